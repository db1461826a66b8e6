"""Pages of the queue beyond the single answer: many at once, undo, deals, routing, desks, reasons, notices, definitions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from leads.access import ADMIN, MARKETER, SALES
from leads.models import Deal
from scoring import actions
from scoring.models import (
    AnswerReason,
    Desk,
    HandOff,
    Holiday,
    Notice,
    NoticeWish,
    RoutingRule,
    ScoreModel,
    ScoreVersion,
)
from tests.makers import make_contact, make_owner, make_user
from tests.scoring.test_pages import live, make_leads, now, path, sign_in

__all__ = ["live", "now", "sign_in"]

pytestmark = pytest.mark.django_db

BOARD: dict[str, Any] = {"headers": {"HX-Request": "true", "HX-Target": "queue-board"}}
SignIn = Callable[[str], User]


def states() -> list[str]:
    return list(HandOff.objects.order_by("pk").values_list("state", flat=True))


def test_many_leads_get_one_answer(live: ScoreModel, client: Client, sign_in: SignIn, now: Any) -> None:
    leads = make_leads(4, now)
    otto = make_user(SALES, username="otto")
    actions.accept_lead(leads[0], actor=otto, now=now)
    sign_in(SALES)
    chosen = [str(lead.pk) for lead in leads[:3]]
    page = client.post(path("queue-bulk"), {"tab": "all", "lead": chosen, "verb": "reject"}, **BOARD)
    assert (page.status_code, page.context["error"]) == (422, "Choose a reason: it tunes the rules.")
    asked = {"tab": "all", "lead": chosen, "verb": "reject", "reject_reason": "no-need"}
    page = client.post(path("queue-bulk"), asked, **BOARD)
    assert states() == ["accepted", "rejected", "rejected", "open"]
    assert page.context["told"] == "2 leads are rejected."
    assert "otto accepted this lead already." in page.context["error"]
    assert client.post(path("queue-bulk"), {"verb": "accept"}, **BOARD).status_code == 422
    assert client.post(path("queue-bulk"), {"lead": chosen, "verb": "burn"}, **BOARD).status_code == 422
    owner = make_owner("Olga")
    client.post(path("queue-bulk"), {"lead": [leads[3].pk], "verb": "assign", "owner": owner.pk}, **BOARD)
    assert HandOff.objects.get(pk=leads[3].pk).owner == owner
    recycle = {"lead": [leads[3].pk], "verb": "recycle", "recycle_reason": "too-early"}
    assert client.post(path("queue-bulk"), recycle)["Location"] == path("queue")  # without JavaScript
    assert states()[3] == "recycled"


def test_an_answer_is_taken_back_from_the_board(live: ScoreModel, client: Client, sign_in: SignIn, now: Any) -> None:
    lead = make_leads(1, now)[0]
    sign_in(SALES)
    rule = lead.card["reasons"][0]["rule"]
    asked = {"tab": "all", "reason": "no-need", "misleading": [rule, "no-uuid"]}
    page = client.post(path("hand-off-reject", lead.pk), asked, **BOARD)
    assert path("hand-off-undo", lead.pk) in page.content.decode()
    assert [str(key) for key in HandOff.objects.get().misleading] == [rule]
    told = next(rows for model, rows, _ready in client.get(path("report")).context["models"] if model == live)
    assert {str(row.rule.key): marks for row, marks in told if marks} == {rule: 1}
    listed = client.get(path("hand-off-list"), {"model": "product", "misleading": rule}).context
    assert listed["count"] == 1
    page = client.post(path("hand-off-undo", lead.pk), {"tab": "all"}, **BOARD)
    assert page.context["lead"].hand_off.pk == lead.pk
    assert states() == ["open"]
    other = client.post(path("hand-off-undo", lead.pk), {"tab": "all"}, **BOARD)
    assert other.context["error"] == "This answer cannot be taken back any more."


def test_an_accepted_lead_becomes_a_deal_from_its_card(
    live: ScoreModel, client: Client, sign_in: SignIn, now: Any
) -> None:
    lead = make_leads(1, now)[0]
    sign_in(SALES)
    client.post(path("hand-off-accept", lead.pk), {"tab": "all"}, **BOARD)
    assert 'data-answer="deal"' in client.get(path("hand-off-detail", lead.pk)).content.decode()
    client.post(path("hand-off-deal", lead.pk), {"tab": "all", "amount": "-1"}, **BOARD)
    assert Deal.objects.count() == 0
    client.post(path("hand-off-deal", lead.pk), {"tab": "all", "product": "Pro", "amount": "1200.50"}, **BOARD)
    deal = Deal.objects.get()
    assert (deal.product, str(deal.amount)) == ("Pro", "1200.500000")
    assert f"/deals/{deal.pk}/" in client.get(path("hand-off-detail", lead.pk)).content.decode()


def test_recycled_leads_have_a_tab(live: ScoreModel, client: Client, sign_in: SignIn, now: Any) -> None:
    leads = make_leads(2, now)
    user = sign_in(SALES)
    actions.recycle_lead(leads[0], reason=AnswerReason.objects.get(pk="too-early"), actor=user, now=now)
    page = client.get(path("queue"), {"tab": "recycled"})
    assert [lead.hand_off.pk for lead in page.context["leads"]] == [leads[0].pk]


# --- arranging ----------------------------------------------------------------------------------------------------------------------


def test_a_routing_rule_is_made_moved_and_deleted(live: ScoreModel, client: Client, sign_in: SignIn) -> None:
    owner = make_owner("Olga")
    sign_in(MARKETER)
    asked = {"name": "All", "conditions": '{"all": []}', "target": "team", "is_active": "on"}
    assert client.post(path("routing-new"), asked).status_code == 422  # a team of nobody
    client.post(path("routing-new"), asked | {"owners": [owner.pk]})
    client.post(
        path("routing-new"),
        {
            "name": "Germans",
            "conditions": '{"field": "contact.country", "op": "is", "value": "DE"}',
            "target": "owner",
            "owners": [owner.pk],
            "is_active": "on",
        },
    )
    first, second = RoutingRule.objects.all()
    assert (first.name, first.conditions, second.name) == ("All", None, "Germans")
    client.post(path("routing-move", second.pk), {"to": "up"})
    assert [rule.name for rule in RoutingRule.objects.all()] == ["Germans", "All"]
    page = client.get(path("routing")).content.decode()
    assert "Country is Germany" in page
    contact = make_contact(first_name="Greta", country="DE")
    tested = client.get(path("routing-test"), {"contact": contact.pk})
    assert tested.context["owner"] == owner
    assert list(client.get(path("routing-test"), {"q": "greta"}).context["contacts"]) == [contact]
    client.post(path("routing-edit", first.pk), asked | {"name": "Rest", "owners": [owner.pk]})
    client.post(path("routing-move", second.pk), {"to": "delete"})
    assert [rule.name for rule in RoutingRule.objects.all()] == ["Rest"]


def test_the_time_to_answer_is_changed(live: ScoreModel, client: Client, sign_in: SignIn) -> None:
    sign_in(MARKETER)
    asked = {"answer_within_hours": "4", "routing": "in_turn", "escalate_after_hours": "2", "escalate_to": ""}
    client.post(path("answering-edit", "product"), asked)
    live.refresh_from_db()
    assert (live.answer_within_hours, live.routing, live.escalate_after_hours) == (4, "in_turn", 2)
    assert client.post(path("answering-edit", "product"), asked | {"answer_within_hours": "0"}).status_code == 422


def test_people_keep_their_own_desk_and_admins_everybodys(
    live: ScoreModel, client: Client, sign_in: SignIn, now: Any
) -> None:
    user = sign_in(SALES)
    mine, other = actions.owner_for(user), make_owner("Otto")
    asked = {
        "capacity": "5",
        "away_until": "2030-01-02",
        "timezone": "Europe/Berlin",
        "days": ["1", "2"],
        "start": "08:00",
    }
    assert client.post(path("desk-edit", mine.pk), asked).status_code == 422  # one end of the day
    client.post(path("desk-edit", mine.pk), asked | {"end": "12:00", "holidays": "2026-12-24 Eve\n2026-12-31"})
    desk = Desk.objects.get(owner=mine)
    assert (desk.capacity, desk.away_until, desk.timezone, desk.days) == (5, date(2030, 1, 2), "Europe/Berlin", [1, 2])
    assert list(Holiday.objects.values_list("owner", "on", "name")) == [
        (mine.pk, date(2026, 12, 24), "Eve"),
        (mine.pk, date(2026, 12, 31), ""),
    ]
    assert client.post(path("desk-edit", other.pk), asked).status_code == 403
    assert client.post(path("desk-edit", mine.pk), {"to": "left"}).status_code == 403
    sign_in(ADMIN)
    client.post(path("desk-edit", mine.pk), {"to": "left"})
    assert Desk.objects.get(owner=mine).left_at is not None
    client.post(path("desk-edit", mine.pk), {"to": "back"})
    assert Desk.objects.get(owner=mine).left_at is None
    assert client.post(path("desk-list"), {"holidays": "tomorrow"}).status_code == 422
    client.post(path("desk-list"), {"holidays": "2026-12-25 Christmas"})
    assert Holiday.objects.get(owner=None).on == date(2026, 12, 25)


def test_reasons_are_edited_and_never_deleted(live: ScoreModel, client: Client, sign_in: SignIn) -> None:
    sign_in(MARKETER)
    client.post(
        path("reason-new"),
        {"label": "Merger under way", "answer": "rejected", "moves_to": "recycled", "position": "9", "is_active": "on"},
    )
    made = AnswerReason.objects.get(pk="merger-under-way")
    client.post(path("reason-edit", made.pk), {"label": "Merger", "moves_to": "recycled", "position": "9"})
    made.refresh_from_db()
    assert (made.label, made.answer, made.is_active) == ("Merger", "rejected", False)


def test_the_hand_off_of_a_draft(live: ScoreModel, client: Client, sign_in: SignIn, now: Any) -> None:
    sign_in(MARKETER)
    draft = actions.draft_of(live, now=now)
    asked = {
        "edit_number": str(draft.edit_number),
        "hands_over": "on",
        "lower_line": "60",
        "conditions": '{"field": "contact.phone", "op": "is_known"}',
    }
    assert client.post(path("draft-hand-off", "product"), asked | {"lower_line": "80"}).status_code == 422
    assert client.post(path("draft-hand-off", "product"), asked).status_code == 302
    draft.refresh_from_db()
    assert (draft.lower_line, draft.hands_over) == (60, True)
    assert draft.hand_off_conditions == {"field": "contact.phone", "op": "is_known"}
    assert client.post(path("draft-hand-off", "product"), asked).status_code == 422  # somebody edited meanwhile
    shown = client.get(path("model-publish", "product")).content.decode()
    assert "Handed over only if" in shown
    days = client.get(path("publish-backlog", "product"), {"count": "41", "backlog_per_day": "10"})
    assert days.context["days"] == 5
    form = {"edit_number": str(draft.edit_number), "reason": "x", "backlog": "best"}
    assert client.post(path("model-publish", "product"), form).status_code == 422
    client.post(path("model-publish", "product"), form | {"backlog_per_day": "10"})
    version = ScoreVersion.objects.get(model=live, state="live")
    assert (version.backlog, version.backlog_per_day, version.lower_line) == ("best", 10, 60)


# --- notices ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 3])
def test_the_bell_asks_as_much_for_many(
    live: ScoreModel, client: Client, sign_in: SignIn, now: Any, count: int, django_assert_num_queries: Any
) -> None:
    user = sign_in(SALES)
    for lead in make_leads(count, now):
        actions.assign_lead(lead, owner=actions.owner_for(user), actor=make_user(SALES), now=now)
    client.get(path("notice-bell"))
    with django_assert_num_queries(6):
        page = client.get(path("notice-bell"))
    assert page.context["unread"] == count


def test_notices_are_read_one_by_one_or_all(live: ScoreModel, client: Client, sign_in: SignIn, now: Any) -> None:
    user = sign_in(SALES)
    leads = make_leads(3, now)
    for lead in leads:
        actions.assign_lead(lead, owner=actions.owner_for(user), actor=make_user(SALES), now=now)
    first = Notice.objects.filter(hand_off=leads[0]).get()
    assert client.post(path("notice-read", first.pk))["Location"] == path("hand-off-detail", leads[0].pk)
    client.get(path("hand-off-detail", leads[1].pk))  # looking at it is reading of it
    assert client.get(path("notice-bell")).context["unread"] == 1
    client.post(path("notices-read"))
    assert client.get(path("notice-bell")).context["unread"] == 0
    assert len(client.get(path("notice-list")).context["page"].rows) == 3
    client.post(path("notice-list"), {"by_mail": "at_once", "digest_hour": "7"})
    assert NoticeWish.objects.get(user=user).by_mail == "at_once"
    sign_in(SALES)
    assert client.post(path("notice-read", first.pk)).status_code == 404


# --- definitions --------------------------------------------------------------------------------------------------------------------


def test_routing_and_hand_off_go_round_as_files(live: ScoreModel, tmp_path: Path, now: Any) -> None:
    owner = make_owner("Olga")
    conditions = {"field": "contact.country", "op": "is", "value": "DE"}
    actions.save_routing_rule(
        None,
        name="Germany",
        model=live,
        conditions=conditions,
        target="owner",
        owners=[owner],
        is_active=True,
        actor=None,
        now=now,
    )
    draft = actions.draft_of(live, now=now)
    actions.change_hand_off(draft, hands_over=True, lower_line=None, conditions=conditions, now=now)
    actions.publish(draft, reason="x", now=now)
    call_command("definitions", "export", str(tmp_path / "one"))
    RoutingRule.objects.all().delete()
    versions = ScoreVersion.objects.count()
    call_command("definitions", "import", str(tmp_path / "one"))
    call_command("definitions", "export", str(tmp_path / "two"))
    one, two = ({file.name: file.read_text() for file in (tmp_path / name).rglob("*.yaml")} for name in ("one", "two"))
    assert one == two
    assert "lower_line: null" in one["product.yaml"]
    assert RoutingRule.objects.get().seats.get().owner == owner
    assert ScoreVersion.objects.count() == versions


def test_what_belongs_to_the_queue_stands_under_it_in_the_navigation(client: Client) -> None:
    client.force_login(make_user())
    queue = path("queue")
    for name in ("routing", "desk-list", "reason-list", "notice-list"):
        page = client.get(path(name)).content.decode()
        assert f'<a href="{queue}" class="active" aria-current="page">' in page, name
        assert page.count('aria-current="page"><i class="ti ti-gauge"') == 0, name
