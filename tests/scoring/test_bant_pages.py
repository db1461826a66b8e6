"""BANT on pages: facts recorded by a click, gaps as questions, what is missing decides the track; rights."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads import merging
from leads.access import MARKETER, SALES
from leads.actions import Refused
from leads.models import Contact, Mark, StageMove
from scoring import actions, bant
from scoring.actions.bant import NewFact, apply_track, record_bant
from scoring.models import BantFact, HandOff, LookAgain, ScoreModel, ScoreVersion
from scoring.queries.bant import bant_of
from tests.makers import NOW, make_contact, make_user
from tests.scoring.conftest import VP, beat, make_draft, make_model
from tests.scoring.test_hand_offs import DAY, HOUR, make_ripe, reason, visit

pytestmark = pytest.mark.django_db

TODAY = NOW.date()


def learn(contact: Contact, facet: str, answer: str, **values: Any) -> BantFact:
    return record_bant([NewFact(contact.pk, facet, answer, **values)], source="call", now=NOW)[0]


def facts_of(contact: Contact) -> dict[str, BantFact]:
    return bant_of([contact.pk], at=NOW)[contact.pk]


@pytest.mark.parametrize(
    ("facet", "answer", "values", "verdict", "lapses_on"),
    [
        ("budget", "yes", {"amount": Decimal(500)}, "met", TODAY + timedelta(days=180)),
        ("budget", "no", {"due_on": date(2026, 9, 1)}, "not_met", date(2026, 9, 2)),
        ("authority", "decides", {}, "met", TODAY + timedelta(days=365)),
        ("authority", "influences", {}, "not_met", TODAY + timedelta(days=365)),
        ("need", "clear", {}, "met", TODAY + timedelta(days=180)),
        ("timeframe", "dated", {"within_months": 6}, "met", date(2026, 9, 3)),
        ("timeframe", "dated", {"within_months": 7}, "not_met", date(2026, 10, 3)),
        ("timeframe", "none", {}, "not_met", TODAY + timedelta(days=180)),
    ],
)
def test_an_answer_has_a_verdict_and_a_day_on_which_it_lapses(
    facet: str, answer: str, values: dict[str, Any], verdict: str, lapses_on: date
) -> None:
    fact = learn(make_contact(), facet, answer, **values)
    assert (fact.verdict, fact.lapses_at and fact.lapses_at.date()) == (verdict, lapses_on)


@pytest.mark.parametrize(
    ("facet", "answer", "values"),
    [
        ("luck", "yes", {}),
        ("budget", "maybe", {}),
        ("need", "clear", {"amount": Decimal(5)}),
        ("budget", "yes", {"amount": Decimal(-5)}),
        ("budget", "yes", {"amount": Decimal("1e15")}),
        ("need", "clear", {"due_on": date(2026, 9, 1)}),
        ("timeframe", "dated", {}),
        ("timeframe", "dated", {"due_on": date(2020, 1, 1)}),
        ("timeframe", "dated", {"within_months": 0}),
        ("timeframe", "dated", {"due_on": date(2200, 1, 1)}),
        ("budget", "yes", {"known_at": NOW + timedelta(days=1)}),
        ("budget", "yes", {"confidence": 9}),
    ],
)
def test_what_makes_no_sense_is_refused(facet: str, answer: str, values: dict[str, Any]) -> None:
    contact = make_contact()
    with pytest.raises(Refused):
        learn(contact, facet, answer, **values)
    assert not BantFact.objects.exists()


def test_a_fact_marks_its_contact() -> None:
    contact = make_contact()
    learn(contact, "need", "urgent")
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.DEFINITION)]


def test_gaps_are_questions_in_the_order_in_which_they_are_best_asked() -> None:
    contact = make_contact()
    assert [one.facet for one in bant.gaps(facts_of(contact))] == ["need", "timeframe", "authority", "budget"]
    learn(contact, "need", "urgent")
    learn(contact, "authority", "unknown")
    assert [str(one.ask) for one in bant.gaps(facts_of(contact))] == [
        "Ask: when do they want to decide?",
        "Ask: who signs?",
        "Ask: is money set aside for it?",
    ]
    question = bant.next_question(contact.pk, at=NOW)
    assert question is not None
    assert (question.facet, [one.key for one in question.answers]) == ("timeframe", ["dated", "none"])


@pytest.mark.parametrize(
    ("known", "key", "until"),
    [
        ([("need", "urgent", {}), ("authority", "decides", {})], None, None),
        ([("authority", "influences", {})], "influencer", None),
        ([("authority", "none", {}), ("budget", "no", {"due_on": date(2026, 9, 1)})], "later", date(2026, 9, 1)),
        ([("budget", "no", {})], "later", date(2026, 6, 2)),
        ([("budget", "no", {}), ("need", "none", {})], "out", None),
        ([("need", "vague", {})], None, None),
    ],
)
def test_what_is_missing_decides_the_track(
    known: list[tuple[str, str, dict[str, Any]]], key: str | None, until: date | None
) -> None:
    contact = make_contact()
    for facet, answer, values in known:
        learn(contact, facet, answer, **values)
    found = bant.track(facts_of(contact), today=TODAY)
    assert (found and found.key, found and found.until) == (key, until)


@pytest.mark.parametrize(
    ("facet", "answer", "key", "stage", "state", "tags"),
    [
        ("authority", "influences", "influencer", "recycled", "rejected", ["influencer"]),
        ("budget", "no", "later", "recycled", "recycled", []),
        ("need", "none", "out", "disqualified", "rejected", []),
    ],
)
def test_a_track_moves_the_contact_and_answers_its_lead(
    facet: str, answer: str, key: str, stage: str, state: str, tags: list[str]
) -> None:
    contact, user = make_contact(title="VP"), make_user(SALES)
    make_model(rules=(("fit", "Is a VP", 80, VP),))
    lead = HandOff.objects.get(contact=contact)
    learn(contact, facet, answer)
    track = apply_track(contact, key=key, actor=user, now=NOW)
    lead.refresh_from_db()
    contact.refresh_from_db()
    move = StageMove.objects.filter(contact=contact).latest("pk")
    assert (contact.stage, contact.tags, lead.state) == (stage, tags, state)
    assert (move.to_stage, move.cause, move.reason, move.actor) == (stage, f"bant:{key}", track.why, user)
    assert (lead.returns_at is not None) == (key == "later")
    with pytest.raises(Refused):
        apply_track(contact, key="something", actor=user, now=NOW)


def test_a_track_that_no_longer_fits_is_refused() -> None:
    contact, user = make_contact(), make_user(SALES)
    learn(contact, "need", "none")
    learn(contact, "need", "urgent")
    with pytest.raises(Refused):
        apply_track(contact, key="out", actor=user, now=NOW)
    contact.refresh_from_db()
    assert contact.stage == "inquiry"


# --- pages -----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sales(client: Client) -> Client:
    client.force_login(make_user(SALES))
    return client


def test_a_click_records_a_fact_and_answers_with_the_panel(sales: Client) -> None:
    contact = make_contact()
    address = reverse("scoring:bant-record", args=[contact.pk])
    answer = sales.post(
        address, {"facet": "budget", "answer": "yes", "amount": "40000"}, headers={"HX-Request": "true"}
    )
    assert answer.status_code == 200
    assert "There is a budget: 40,000" in answer.content.decode()
    fact = BantFact.objects.get()
    assert (fact.source, fact.confidence, fact.recorded_by_id is not None) == ("call", 2, True)
    assert sales.post(address, {"facet": "need", "answer": "urgent"}).status_code == 302
    refused = sales.post(address, {"facet": "timeframe", "answer": "dated"}, headers={"HX-Request": "true"})
    assert (refused.status_code, BantFact.objects.count()) == (422, 2)


def test_the_contact_page_shows_the_panel(sales: Client) -> None:
    contact = make_contact()
    record_bant([NewFact(contact.pk, "authority", "influences")], source="form", now=timezone.now())
    page = sales.get(reverse("leads:contact-detail", args=[contact.pk]), {"panels": "all"}).content.decode()
    assert 'id="bant-panel"' in page
    assert "stays in nurture as an influencer" in page
    assert "Ask: is money set aside for it?" in page
    applied = sales.post(
        reverse("scoring:bant-track", args=[contact.pk]), {"track": "influencer"}, headers={"HX-Request": "true"}
    )
    assert "applied" in applied.content.decode()


def test_only_those_who_answer_leads_apply_a_track(client: Client) -> None:
    contact = make_contact()
    record_bant([NewFact(contact.pk, "need", "none")], source="form", now=timezone.now())
    address = reverse("scoring:bant-track", args=[contact.pk])
    client.force_login(make_user(MARKETER))
    assert client.post(address, {"track": "out"}).status_code == 403
    client.force_login(make_user(SALES))
    assert client.post(address, {"track": "out"}).status_code == 302
    contact.refresh_from_db()
    assert contact.stage == "disqualified"


def test_somebody_without_a_role_sees_and_records_nothing(client: Client) -> None:
    contact = make_contact()
    client.force_login(make_user(""))
    assert client.get(reverse("scoring:bant-panel", args=[contact.pk])).status_code == 403
    answer = client.post(reverse("scoring:bant-record", args=[contact.pk]), {"facet": "need", "answer": "urgent"})
    assert (answer.status_code, BantFact.objects.exists()) == (403, False)


WEIGHTS = {"includes_bant": "on", "budget": "30", "authority": "30", "need": "30", "timeframe": "10", "bant_line": "60"}


def test_the_weights_belong_to_the_draft_and_stand_on_the_sheet(client: Client) -> None:
    draft = make_draft()
    address = reverse("scoring:draft-bant", args=[draft.model.slug])
    client.force_login(make_user(SALES))
    assert client.post(address, WEIGHTS | {"edit_number": draft.edit_number}).status_code == 403
    client.force_login(make_user(MARKETER))
    client.post(address, WEIGHTS | {"edit_number": draft.edit_number})
    draft.refresh_from_db()
    assert (draft.includes_bant, draft.bant_weights, draft.bant_line) == (True, [30, 30, 30, 10], 60)
    sheet = client.get(reverse("scoring:model-publish", args=[draft.model.slug])).content.decode()
    assert "Timeframe verdict is" in sheet
    assert client.get(reverse("scoring:model-draft", args=[draft.model.slug])).status_code == 200
    difference = client.get(reverse("scoring:publish-difference", args=[draft.model.slug]))
    assert difference.status_code == 200
    actions.publish(ScoreVersion.objects.get(pk=draft.pk), reason="BANT", now=timezone.now())
    beat(timezone.now())
    page = client.get(reverse("scoring:model-detail", args=[draft.model.slug])).content.decode()
    assert "What sales knows of them" in page
    people = reverse("scoring:model-people", args=[draft.model.slug])
    assert client.get(people, {"rule": str(bant.rule_key(draft.model.slug, "need"))}).status_code == 200


def test_a_preset_is_offered_where_the_draft_says_something_else(client: Client) -> None:
    draft = make_draft()
    client.force_login(make_user(MARKETER))
    page = client.get(reverse("scoring:model-draft", args=[draft.model.slug])).content.decode()
    assert "Budget, authority and need above the timeframe<" in page
    assert ">30 · 30 · 30 · 10<" in page
    assert "All four alike" not in page


@pytest.mark.parametrize(
    "values",
    [
        {"weights": [25, 25, 25], "line": 75},
        {"weights": [25, 25, 25, -1], "line": 50},
        {"weights": [0, 0, 0, 0], "line": 0},
        {"weights": [25, 25, 25, 25], "line": 101},
        {"weights": [900, 200, 0, 0], "line": 75},
    ],
)
def test_weights_that_make_no_sense_are_refused(values: dict[str, Any]) -> None:
    draft = make_draft()
    with pytest.raises(Refused):
        actions.change_bant(
            draft,
            includes=True,
            weights=[Decimal(weight) for weight in values["weights"]],
            line=Decimal(values["line"]),
            now=NOW,
        )
    draft.refresh_from_db()
    assert not draft.includes_bant


def test_the_card_keeps_what_was_known_and_what_was_to_be_asked() -> None:
    contact = make_contact(title="VP")
    learn(contact, "need", "urgent")
    make_model(rules=(("fit", "Is a VP", 80, VP),))
    kept = HandOff.objects.get(contact=contact).card["bant"]
    assert (kept["points"], kept["line"], kept["passes"]) == (25, 75, False)
    assert [(one["facet"], one["verdict"]) for one in kept["facets"]] == [
        ("budget", "unknown"),
        ("authority", "unknown"),
        ("need", "met"),
        ("timeframe", "unknown"),
    ]
    assert kept["ask"][0] == "Ask: when do they want to decide?"
    assert ScoreModel.objects.filter(hand_offs__contact=contact).count() == 1


# --- later, without a lead that could wait for it ----------------------------------------------------------------------------


def later_on(contact: Contact, user: User, *, now: datetime = NOW) -> LookAgain:
    """BANT says “later”, in half a year; applied without an open lead."""
    record_bant([NewFact(contact.pk, "budget", "no", due_on=date(2026, 9, 1))], source="call", now=now)
    apply_track(contact, key="later", actor=user, now=now)
    return LookAgain.objects.get(contact=contact, done_at=None)


def test_later_without_a_lead_has_a_day_and_is_looked_at_then(model: ScoreModel) -> None:
    sally, ripe, cold = make_user(SALES), make_ripe(created_at=NOW), make_contact(created_at=NOW)
    visit(ripe)
    beat(NOW, full=True)
    actions.reject_lead(HandOff.objects.get(), reason=reason("no-need"), actor=sally, now=NOW)
    ripe.refresh_from_db()
    for contact in (ripe, cold):
        assert later_on(contact, sally).due_at == datetime(2026, 9, 1, tzinfo=UTC)
        LookAgain.objects.filter(contact=contact).update(due_at=NOW + 20 * DAY)  # while the visit still counts
    beat(NOW + 19 * DAY)
    assert LookAgain.objects.pending().count() == 2
    beat(NOW + 20 * DAY)
    beat(NOW + 20 * DAY + HOUR)
    found = {row.contact_id: (row.outcome, row.done_at is not None) for row in LookAgain.objects.all()}
    assert found == {ripe.pk: ("handed_over", True), cold.pk: ("not_ripe", True)}
    lead = HandOff.objects.get(state="open")  # for the same reasons too: sales asked for it
    assert (lead.contact, lead.cause) == (ripe, "returned")


def test_the_day_stands_on_the_panel_and_a_later_promise_takes_its_place(client: Client, model: ScoreModel) -> None:
    sally, contact = make_user(SALES), make_contact()
    first = later_on(contact, sally)
    client.force_login(sally)
    page = client.get(reverse("leads:contact-detail", args=[contact.pk]), {"panels": "all"}).content.decode()
    assert "Will be looked at again on" in page
    contact.refresh_from_db()
    record_bant([NewFact(contact.pk, "budget", "no", due_on=date(2027, 1, 4))], source="call", now=NOW + DAY)
    apply_track(contact, key="later", actor=sally, now=NOW + DAY)
    again = LookAgain.objects.get()
    assert (again.pk, again.due_at) == (first.pk, datetime(2027, 1, 4, tzinfo=UTC))
    other = make_contact()
    later_on_other = LookAgain.objects.create(contact=other, due_at=NOW + DAY, why="", set_at=NOW)
    merging.merge_contacts(contact, gone=other, take={}, actor=None, now=NOW + DAY)
    assert list(LookAgain.objects.values_list("pk", "contact")) == [(later_on_other.pk, contact.pk)]
