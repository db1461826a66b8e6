"""Pages of scoring: who may do what, what they show, and that their cost does not grow with the rows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads import actions as facts
from leads.access import ADMIN, MARKETER, SALES
from leads.models import Contact, StageMove
from scoring import actions, queries
from scoring.models import AnswerReason, HandOff, Rule, ScoreModel
from tests.makers import make_activity, make_company, make_contact, make_deal, make_user
from tests.scoring.conftest import beat, make_model

pytestmark = pytest.mark.django_db

# Pages look at the clock; so do these facts.
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now() -> Any:
    return timezone.now()


@pytest.fixture
def live(db: None, now: Any) -> ScoreModel:
    return make_model(now=now - DAY)


@pytest.fixture
def sign_in(client: Client) -> Callable[[str], User]:
    def sign_in(role: str) -> User:
        user = make_user(role)
        client.force_login(user)
        return user

    return sign_in


def make_leads(count: int, now: Any) -> list[HandOff]:
    for _number in range(count):
        contact = make_contact(title="VP Finance", company=make_company(employees=500), source="referral")
        make_activity(contact, url="/pricing", subject="Pricing", at=now - HOUR)
    beat(now)
    return list(HandOff.objects.order_by("pk"))


def path(name: str, *arguments: Any) -> str:
    return reverse(f"scoring:{name}", args=arguments)


# --- rights ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "method", "roles"),
    [
        ("model-list", (), "get", {MARKETER, SALES, ADMIN}),
        ("model-detail", ("product",), "get", {MARKETER, SALES, ADMIN}),
        ("model-people", ("product",), "get", {MARKETER, SALES, ADMIN}),
        ("version-list", ("product",), "get", {MARKETER, SALES, ADMIN}),
        ("version-detail", ("product", 1), "get", {MARKETER, SALES, ADMIN}),
        ("model-new", (), "get", {MARKETER, ADMIN}),
        ("model-draft", ("product",), "get", {MARKETER, ADMIN}),
        ("model-draft", ("product",), "post", {MARKETER, ADMIN}),
        ("model-test", ("product",), "get", {MARKETER, ADMIN}),
        ("rule-new", ("product",), "get", {MARKETER, ADMIN}),
        ("draft-discard", ("product",), "post", {MARKETER, ADMIN}),
        ("model-publish", ("product",), "get", {MARKETER, ADMIN}),
        ("model-publish", ("product",), "post", {MARKETER, ADMIN}),
        ("publish-difference", ("product",), "get", {MARKETER, ADMIN}),
        ("publish-people", ("product",), "get", {MARKETER, ADMIN}),
        ("version-restore", ("product", 1), "post", {MARKETER, ADMIN}),
        ("model-settings", ("product",), "get", {MARKETER, ADMIN}),
        ("model-default", ("product",), "post", {MARKETER, ADMIN}),
        ("model-archive", ("product",), "post", {MARKETER, ADMIN}),
        ("queue", (), "get", {MARKETER, SALES, ADMIN}),
        ("queue-counts", (), "get", {MARKETER, SALES, ADMIN}),
        ("hand-off-list", (), "get", {MARKETER, SALES, ADMIN}),
        ("report", (), "get", {MARKETER, SALES, ADMIN}),
        ("report-people", (), "get", {MARKETER, SALES, ADMIN}),
        ("hand-off-accept", ("lead",), "post", {SALES, ADMIN}),
        ("hand-off-reject", ("lead",), "post", {SALES, ADMIN}),
        ("hand-off-recycle", ("lead",), "post", {SALES, ADMIN}),
        ("hand-off-assign", ("lead",), "post", {SALES, ADMIN}),
        ("hand-off-undo", ("lead",), "post", {SALES, ADMIN}),
        ("hand-off-deal", ("lead",), "post", {SALES, ADMIN}),
        ("queue-bulk", (), "post", {SALES, ADMIN}),
        ("queue-rows", (), "get", {MARKETER, SALES, ADMIN}),
        ("routing", (), "get", {MARKETER, SALES, ADMIN}),
        ("routing-test", (), "get", {MARKETER, SALES, ADMIN}),
        ("routing-new", (), "get", {MARKETER, ADMIN}),
        ("routing-new", (), "post", {MARKETER, ADMIN}),
        ("answering-edit", ("product",), "get", {MARKETER, ADMIN}),
        ("desk-list", (), "get", {MARKETER, SALES, ADMIN}),
        ("desk-list", (), "post", {ADMIN}),
        ("reason-list", (), "get", {MARKETER, SALES, ADMIN}),
        ("reason-new", (), "get", {MARKETER, ADMIN}),
        ("reason-edit", ("no-need",), "post", {MARKETER, ADMIN}),
        ("notice-list", (), "get", {MARKETER, SALES, ADMIN}),
        ("notice-bell", (), "get", {MARKETER, SALES, ADMIN}),
        ("draft-hand-off", ("product",), "get", {MARKETER, ADMIN}),
        ("publish-backlog", ("product",), "get", {MARKETER, ADMIN}),
    ],
)
def test_rights(
    live: ScoreModel,
    client: Client,
    sign_in: Callable[[str], User],
    now: Any,
    name: str,
    arguments: tuple[Any, ...],
    method: str,
    roles: set[str],
) -> None:
    lead = make_leads(1, now)[0]
    address = path(name, *(lead.pk if one == "lead" else one for one in arguments))
    if name == "publish-people":
        address += "?move=rises"
    assert getattr(client, method)(address).status_code == 302  # nobody is signed in
    for role in (MARKETER, SALES, ADMIN, ""):
        sign_in(role)
        if role in roles:
            if name in ("publish-difference", "publish-people"):
                actions.draft_of(live, now=now)
            shown = getattr(client, method)(address).status_code
            assert shown in (200, 302, 422) or (name == "model-archive" and role == ADMIN)  # the marketer archived it
        else:
            assert getattr(client, method)(address).status_code == 403


def test_a_marketer_sees_the_queue_but_no_buttons(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    make_leads(1, now)
    sign_in(MARKETER)
    page = client.get(path("queue")).content.decode()
    assert "VP Finance" in page
    assert "hand-off-answer" not in page
    sign_in(SALES)
    assert "hand-off-answer" in client.get(path("queue")).content.decode()


# --- queue ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_the_queue_asks_as_much_for_many(
    live: ScoreModel,
    client: Client,
    sign_in: Callable[[str], User],
    now: Any,
    count: int,
    django_assert_num_queries: Any,
) -> None:
    make_leads(count, now)
    sign_in(SALES)
    client.get(path("queue"))
    with django_assert_num_queries(13):
        page = client.get(path("queue"), {"tab": "all"})
    assert len(page.context["leads"]) == count


@pytest.mark.parametrize("count", [1, 3])
def test_the_model_page_asks_as_much_for_many(
    live: ScoreModel,
    client: Client,
    sign_in: Callable[[str], User],
    now: Any,
    count: int,
    django_assert_num_queries: Any,
) -> None:
    make_leads(count, now)
    sign_in(MARKETER)
    client.get(path("model-detail", "product"))
    with django_assert_num_queries(12):
        client.get(path("model-detail", "product"))


def test_tabs_hold_what_they_count(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    leads = make_leads(4, now)
    user = sign_in(SALES)
    actions.assign_lead(leads[0], owner=actions.owner_for(user), actor=user, now=now)
    HandOff.objects.filter(pk=leads[1].pk).update(due_at=now - DAY)
    actions.reject_lead(leads[2], reason=AnswerReason.objects.get(pk="no-need"), actor=user, now=now)
    for tab, expected in {
        "mine": {leads[0].pk},
        "unassigned": {leads[1].pk, leads[3].pk},
        "all": {leads[0].pk, leads[1].pk, leads[3].pk},
        "late": {leads[1].pk},
        "answered": {leads[2].pk},
    }.items():
        page = client.get(path("queue"), {"tab": tab})
        assert {lead.hand_off.pk for lead in page.context["leads"]} == expected
        shown = {key: number for key, _label, number, _more in page.context["tabs"]}[tab]
        assert shown in (len(expected), None)
    assert client.get(path("queue"), {"tab": "late"}).context["leads"][0].is_late


def test_the_first_to_be_answered_stands_first(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    leads = make_leads(3, now)
    HandOff.objects.filter(pk=leads[2].pk).update(due_at=now - DAY)
    HandOff.objects.filter(pk=leads[1].pk).update(grade="A1")
    HandOff.objects.filter(pk=leads[0].pk).update(grade="B1")
    sign_in(SALES)
    page = client.get(path("queue"), {"tab": "all"})
    assert [lead.hand_off.pk for lead in page.context["leads"]] == [leads[2].pk, leads[1].pk, leads[0].pk]


def test_answers_in_the_board(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    first, second, third = make_leads(3, now)
    user = sign_in(SALES)
    htmx = {"headers": {"HX-Request": "true", "HX-Target": "queue-board"}}
    page = client.post(path("hand-off-accept", first.pk), {"tab": "all", "next": second.pk}, **htmx)  # type: ignore[arg-type]
    assert page.context["lead"].hand_off.pk == second.pk
    assert [lead.hand_off.pk for lead in page.context["leads"]] == [second.pk, third.pk]
    first.refresh_from_db()
    assert (first.state, first.answered_by) == ("accepted", user)

    page = client.post(path("hand-off-reject", second.pk), {"tab": "all"}, **htmx)  # type: ignore[arg-type]
    assert (page.status_code, page.context["error"]) == (422, "Choose a reason: it tunes the rules.")
    assert HandOff.objects.get(pk=second.pk).state == "open"
    client.post(path("hand-off-reject", second.pk), {"tab": "all", "reason": "no-budget", "note": "2027"}, **htmx)  # type: ignore[arg-type]
    second.refresh_from_db()
    assert (second.state, second.answer_reason_id, second.answer_note) == ("rejected", "no-budget", "2027")

    day = (now + 30 * DAY).date()
    asked = {"reason": "too-early", "returns_on": day.isoformat()}
    client.post(path("hand-off-recycle", third.pk), {**asked, "returns_on": "2020-01-01"}, **htmx)  # type: ignore[arg-type]
    assert HandOff.objects.get(pk=third.pk).state == "open"
    page = client.post(path("hand-off-recycle", third.pk), asked, **htmx)  # type: ignore[arg-type]
    third.refresh_from_db()
    assert third.returns_at is not None
    assert (third.state, third.returns_at.date()) == ("recycled", day)
    assert "The queue is empty" in page.content.decode() or "Nothing waits" in page.content.decode()


def test_the_second_is_told_who_was_first(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    lead = make_leads(1, now)[0]
    first = make_user(SALES, username="sally")
    actions.accept_lead(lead, actor=first, now=now)
    sign_in(SALES)
    page = client.post(
        path("hand-off-reject", lead.pk),
        {"reason": "no-budget"},
        headers={"HX-Request": "true", "HX-Target": "queue-board"},
    )
    assert page.context["error"] == "sally accepted this lead already."


def test_answers_without_javascript(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    lead = make_leads(1, now)[0]
    sign_in(SALES)
    answer = client.post(path("hand-off-accept", lead.pk), {"tab": "mine"})
    assert answer["Location"] == path("queue") + "?tab=mine"
    assert client.get(path("hand-off-detail", lead.pk)).status_code == 200


def test_the_pane_answers_into_the_board(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    lead = make_leads(1, now)[0]
    sign_in(SALES)
    pane = client.get(path("hand-off-detail", lead.pk), headers={"HX-Target": "hand-off-card"}).content.decode()
    assert 'hx-target="#queue-board"' in pane
    assert "hx-target" not in client.get(path("hand-off-detail", lead.pk)).content.decode().split("hand-off-answer")[1]


def test_new_leads_are_told_without_reloading(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    sign_in(SALES)
    stamp = client.get(path("queue"), {"tab": "all"}).context["stamp"]
    asked = {"tab": "all", "stamp": stamp}
    assert "HX-Trigger-After-Swap" not in client.get(path("queue-counts"), asked)
    lead = make_leads(1, now)[0]
    answer = client.get(path("queue-counts"), asked)
    assert answer["HX-Trigger-After-Swap"] == "queue-changed"
    asked = {"tab": "all", "stamp": answer.context["stamp"], "open": str(lead.pk), "state": "open"}
    assert "HX-Trigger-After-Swap" not in client.get(path("queue-counts"), asked)
    actions.accept_lead(lead, actor=make_user(SALES), now=now)
    assert client.get(path("queue-counts"), asked)["HX-Trigger-After-Swap"] == "queue-changed, lead-changed"
    assert client.get(path("queue-rows"), {"tab": "all"}).context["leads"] == []


# --- models -----------------------------------------------------------------------------------------------------------------


def test_a_rule_is_written_published_and_counted(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    make_contact(title="VP Finance")
    user = sign_in(MARKETER)
    form = client.get(path("rule-new", "product")).context["form"]
    asked = {
        "edit_number": form.initial["edit_number"],
        "name": "Finance",
        "group": "fit",
        "points": "12.5",
        "conditions": json.dumps({"field": "contact.title", "op": "contains", "value": "finance"}),
    }
    refused = client.post(path("rule-new", "product"), {**asked, "points": "1e12"})
    assert (refused.status_code, list(refused.context["form"].errors)) == (422, ["points"])
    assert client.post(path("rule-new", "product"), asked).status_code == 302
    assert client.post(path("rule-new", "product"), {**asked, "name": "Late"}).status_code == 422
    sheet = client.get(path("publish-difference", "product")).context
    assert sheet["difference"].moves["rises"] == 1
    page = client.get(path("model-publish", "product"))
    assert [row.rule.name for row in page.context["changes"]] == ["Finance"]
    number = page.context["form"].initial["edit_number"]
    assert client.post(path("model-publish", "product"), {"edit_number": number, "backlog": "all"}).status_code == 422
    sent = {"edit_number": number, "backlog": "all", "reason": "Finance buys"}
    assert client.post(path("model-publish", "product"), sent).status_code == 302
    version = live.versions.get(state="live")
    assert (version.reason, version.published_by) == ("Finance buys", user)
    beat(now)
    rows = {
        row.rule.name: row.rule.met_count
        for group in client.get(path("model-detail", "product")).context["groups"]
        for row in group.rows
    }
    assert rows["Finance"] == 1


def test_the_test_contact_is_scored_rule_by_rule(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User]
) -> None:
    contact = make_contact(title="VP student", first_name="Vera", last_name="Peters")
    sign_in(MARKETER)
    found = client.get(path("model-test", "product"), {"q": "vera pet"}).context["contacts"]
    assert [one.pk for one in found] == [contact.pk]
    client.post(path("model-test", "product"), {"contact": contact.pk})
    test = client.get(path("model-draft", "product")).context["test"]
    assert (test.total.held, test.grade, test.is_ripe) == (10, "A4", False)
    draft = live.versions.get(state="draft")
    names = dict(draft.rules.values_list("key", "name"))
    assert {names[key] for key in test.held} == {"Is a VP", "Student"}
    client.post(path("model-test", "product"))
    assert client.get(path("model-draft", "product")).context["test"] is None


def test_numbers_open_lists_of_exactly_that_many(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    make_leads(2, now)
    make_contact(title="VP")
    make_contact(title="Student")
    beat(now, full=True)
    sign_in(MARKETER)
    page = client.get(path("model-detail", "product")).context
    people = path("model-people", "product")
    for _letter, cells in page["grid"]:
        for cell in cells:
            listed = client.get(people, {"grade": cell.grade}).context
            assert len(listed["rows"]) == listed["count"] == cell.count
    for bar in page["bars"]:
        listed = client.get(people, {"band": bar.band}).context
        assert len(listed["rows"]) == listed["count"] == bar.count
    for group in page["groups"]:
        for row in group.rows:
            listed = client.get(people, {"rule": row.rule.key}).context
            assert len(listed["rows"]) == listed["count"] == row.rule.met_count
    over = client.get(people, {"over": "line"}).context
    assert len(over["rows"]) == over["count"] == page["over_line"] == 2


def test_lists_of_people_go_on_by_keyset(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scoring.views import models

    monkeypatch.setattr(models, "PAGE_SIZE", 2)
    for number in range(5):
        make_contact(title="VP" if number % 2 else "Clerk")
    beat(now, full=True)
    sign_in(MARKETER)
    seen: list[int] = []
    after = ""
    while True:
        page = client.get(path("model-people", "product"), {"after": after}).context
        seen += [row.contact_id for row, _contact in page["rows"]]
        after = page["next"]
        if not after:
            break
    assert len(seen) == len(set(seen)) == 5
    assert client.get(path("model-people", "product"), {"after": "NaN_x"}).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "/scoring/unknown/",
        "/scoring/product/people/?rule=nonsense",
        "/scoring/product/versions/99/",
        "/scoring/queue/999/",
        "/scoring/product/publish/people/?move=nowhere",
        "/scoring/reports/people/?step=nowhere",
    ],
)
def test_what_is_not_there(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any, address: str
) -> None:
    actions.draft_of(live, now=now)
    sign_in(MARKETER)
    assert client.get(address).status_code == 404


def test_a_flood_is_told(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    for _number in range(60):
        make_contact(title="VP")
    beat(now, full=True)
    draft = actions.draft_of(live, now=now)
    actions.change_lines(
        draft, threshold=Decimal(30), fit_lines=draft.fit_lines, behaviour_lines=draft.behaviour_lines, now=now
    )
    sign_in(MARKETER)
    page = client.get(path("publish-difference", "product"))
    assert page.context["is_flood"]
    text = page.content.decode()
    assert "60 leads would enter the MQL queue at once" in text
    assert (text.count('name="backlog"'), "checked" in text) == (3, False)  # the choice is to be made
    undecided = client.post(path("model-publish", "product"), {"edit_number": draft.edit_number, "reason": "Lower"})
    assert "Choose what happens to those who stand over the line." in undecided.content.decode()


def test_new_models_and_their_settings(client: Client, sign_in: Callable[[str], User], live: ScoreModel) -> None:
    sign_in(MARKETER)
    client.post(path("model-new"), {"name": "Queue", "pattern": "b2b-software"})
    model = ScoreModel.objects.get(name="Queue")
    assert model.slug != "queue"
    assert model.versions.get().rules.count() == len(Rule.objects.filter(version__model=model)) == 14
    client.post(path("model-settings", model.slug), {"name": "Q"})
    model.refresh_from_db()
    assert (model.name, model.routing, model.answer_within_hours) == ("Q", "unassigned", 8)
    settings = client.get(path("model-settings", model.slug)).content.decode()
    assert "within 8 business hours" in settings and path("answering-edit", model.slug) in settings
    client.post(path("model-default", model.slug))
    assert ScoreModel.objects.get(is_default=True) == model
    client.post(path("model-archive", model.slug))
    model.refresh_from_db()
    assert model.archived_at is None  # the default one stays


# --- contact page, list, reports, command ----------------------------------------------------------------------------------------


def test_the_contact_page_says_why(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    lead = make_leads(1, now)[0]
    user = sign_in(SALES)
    actions.reject_lead(lead, reason=AnswerReason.objects.get(pk="no-need"), actor=user, now=now)
    page = client.get(reverse("leads:contact-detail", args=[lead.contact_id]), {"panels": "all"}).content.decode()
    for words in ("Looked at pricing", "A2", "rejected the lead", "Handed to sales with 80 points", "No need now"):
        assert words in page


def test_columns_and_filter_of_the_contact_list(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    actions.make_default(live, now=now)
    vera = make_contact(title="VP", first_name="Vera")
    make_contact(title="Clerk", first_name="Carl")
    beat(now, full=True)
    sign_in(MARKETER)
    page = client.get(reverse("leads:contact-list"), {"grade": "A4"}).content.decode()
    assert str(vera) in page
    assert "Carl" not in page
    assert ">40<" in page.replace("\n", "").replace(" ", "")


def test_the_funnel_counts_cohorts(live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any) -> None:
    def came(source: str, *stages: str, won: bool = False) -> Contact:
        contact = make_contact(source=source, created_at=now - DAY)
        for stage in stages:
            facts.move_stage(contact, to=stage, actor=None, cause="by_hand", reason="", now=now, by_hand=True)
        if won:
            make_deal(contact, status="won", closed_on=now.date())
        return contact

    came("referral")
    came("referral", "mql", "recycled")
    came("referral", "mql", "accepted")
    came("event", "mql", "accepted", "customer")
    came("event", won=True)
    make_contact(created_at=now - 900 * DAY)
    sign_in(SALES)
    page = client.get(path("report"), {"months": "3"}).context
    everybody = page["everybody"]
    assert (everybody.inquiries, everybody.mqls, everybody.accepted, everybody.won) == (5, 4, 3, 2)
    assert {row.name: (row.inquiries, row.mqls, row.accepted, row.won) for row in page["by_source"]} == {
        "referral": (3, 2, 1, 0),
        "event": (2, 2, 2, 2),
    }
    assert StageMove.objects.count() == 7
    for step, count in (("inquiries", 3), ("mqls", 2), ("accepted", 1), ("won", 0)):
        listed = client.get(path("report-people"), {"months": "3", "source": "referral", "step": step}).context
        assert len(listed["rows"]) == count


def test_what_sales_said_is_counted_and_opens(
    live: ScoreModel, client: Client, sign_in: Callable[[str], User], now: Any
) -> None:
    leads = make_leads(4, now)
    user = sign_in(SALES)
    no_need = AnswerReason.objects.get(pk="no-need")
    actions.accept_lead(leads[0], actor=user, now=now)
    actions.reject_lead(leads[1], reason=no_need, actor=user, now=now)
    actions.reject_lead(leads[2], reason=no_need, actor=user, now=now)
    page = client.get(path("report")).context
    said = page["all_answers"]
    assert (said.handed_over, said.accepted, said.rejected, said.recycled, said.open) == (4, 1, 2, 0, 1)
    rows, ready = next((rows, ready) for model, rows, ready in page["models"] if model == live)
    assert [(one.row.answered, one.row.accepted, one.row.share, one.row.threshold) for one in ready.columns] == [
        (3, 1, 33, 75)
    ]
    assert {row.rule.name: (row.answers["handed_over"], row.answers["rejected"]) for row, _marks in rows} == {
        "Is a VP": (4, 2),
        "Large company": (4, 2),
        "Looked at pricing": (4, 2),
        "Student": (0, 0),
    }
    key = Rule.objects.get(version__model=live, version__state="live", name="Is a VP").key
    numbers: list[tuple[dict[str, str], int]] = [
        ({"model": "product", "rule": str(key)}, 4),
        ({"model": "product", "rule": str(key), "state": "rejected"}, 2),
        ({"reason": "no-need"}, 2),
        ({"source": "referral"}, 4),
        ({"source": "elsewhere"}, 0),
        ({"persona": ""}, 4),
        ({"month": said.name or f"{now:%Y-%m}"}, 4),
        ({"month": "2020-01"}, 0),
        ({"late": "yes"}, said.late),
        ({"won": "yes"}, 0),
    ]
    for asked, count in numbers:
        listed = client.get(path("hand-off-list"), asked).context
        assert len(listed["leads"]) == listed["count"] == count


def score_of(*arguments: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("score", *arguments, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_the_command_prints_the_account(live: ScoreModel, now: Any) -> None:
    contact = make_contact(external_id="c1", email="c1@x.test", title="VP")
    beat(now - HOUR, full=True)
    facts.set_field_for([contact.pk], field="contact.title", value="VP student", now=now)
    beat(now)
    found = score_of("c1", "--model", "product")
    assert {key: found[key] for key in ("model", "total", "grade", "groups")} == {
        "model": "product",
        "total": 10,
        "grade": "A4",
        "groups": {"fit": 40, "behaviour": 0, "negative": -30, "bant": 0},
    }
    assert [(row["points"], row["rule"], row["cause"]) for row in found["rows"]] == [
        (40, "Is a VP", "rule_met"),
        (-30, "Student", "rule_met"),
    ]
    assert sum(row["points"] for row in found["rows"]) == found["total"]
    assert score_of("C1@X.test", "--model", "product")["total"] == 10
    past = score_of("c1", "--model", "product", "--at", (now - HOUR).isoformat())
    assert (past["total"], len(past["rows"])) == (40, 1)
    assert score_of("c1", "--model", "product", "--at", "2020-01-01T00:00:00Z")["rows"] == []
    assert score_of("c1")["model"] == "default"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("nobody",), 1), (("c1", "--model", "unknown"), 1), (("c1", "--at", "yesterday"), 2)],
)
def test_the_command_refuses(live: ScoreModel, arguments: tuple[str, ...], code: int) -> None:
    make_contact(external_id="c1")
    with pytest.raises(CommandError) as refused:
        call_command("score", *arguments, stdout=io.StringIO())
    assert refused.value.returncode == code


def test_sums_that_were_tampered_with_are_found(live: ScoreModel, now: Any) -> None:
    contact = make_contact(title="VP")
    beat(now, full=True)
    assert queries.ledger_sums_hold()
    contact.scores.filter(model=live).update(total=41)
    assert not queries.ledger_sums_hold()
    assert queries.one_open_hand_off_each()
    beat(now, full=True)
    assert queries.ledger_sums_hold()
