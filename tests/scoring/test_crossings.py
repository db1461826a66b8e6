"""Crossing the line: the hand-off condition, the lower line, the backlog by days, undo, deals."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User

from leads import actions as facts
from leads.access import ADMIN, SALES
from leads.models import Contact, DealContact, StageMove
from scoring import actions, queries
from scoring.models import AnswerReason, HandOff, HandOffEvent, ScoreModel, ScoreVersion
from scoring.trial import draft_plan
from tests.makers import NOW, make_activity, make_company, make_contact, make_owner, make_user
from tests.scoring.conftest import beat, make_model
from tests.scoring.test_hand_offs import DAY, HOUR, lead, make_ripe, reason, sally, visit

__all__ = ["lead", "sally"]

pytestmark = pytest.mark.django_db

B_OR_BETTER = {"field": "score.product.grade", "op": "in", "value": ["A1", "A2", "A3", "A4", "B1", "B2", "B3", "B4"]}


def set_hand_off(
    model: ScoreModel, *, at: Any = NOW, backlog: str = "all", per_day: int | None = None, **values: Any
) -> None:
    draft = actions.draft_of(model, now=at)
    values = {"hands_over": True, "lower_line": None, "conditions": None} | values
    actions.change_hand_off(draft, **values, now=at)
    actions.publish(draft, reason="Hand-off", now=at, backlog=backlog, backlog_per_day=per_day)
    beat(at)


def title(contact: Contact, value: str, at: Any) -> None:
    facts.set_field_for([contact.pk], field="contact.title", value=value, now=at)
    beat(at)


def open_leads() -> int:
    return HandOff.objects.open().count()


# --- conditions -----------------------------------------------------------------------------------------------------------------


def test_the_condition_must_hold_besides_the_points(model: ScoreModel) -> None:
    set_hand_off(model, conditions={"field": "contact.phone", "op": "is_known"})
    contact = make_ripe()
    visit(contact)
    beat(NOW)
    assert open_leads() == 0
    facts.set_field_for([contact.pk], field="contact.phone", value="+49 1", now=NOW + HOUR)
    beat(NOW + HOUR)
    assert open_leads() == 1


def test_the_condition_may_read_the_grade(model: ScoreModel) -> None:
    set_hand_off(model, conditions=B_OR_BETTER)
    good = make_ripe()
    visit(good)
    beat(NOW)
    assert [row.grade for row in HandOff.objects.all()] == ["A2"]


def test_a_condition_that_time_makes_true_hands_over_then(model: ScoreModel) -> None:
    set_hand_off(model, conditions={"field": "contact.created_at", "op": "more_than_ago", "value": 3, "unit": "days"})
    visit(make_ripe(created_at=NOW))
    beat(NOW)
    assert open_leads() == 0
    beat(NOW + 2 * DAY)
    assert open_leads() == 0
    beat(NOW + 3 * DAY + HOUR)
    assert open_leads() == 1


def test_a_new_condition_lets_those_in_who_stand_there_already(model: ScoreModel) -> None:
    set_hand_off(model, conditions={"field": "contact.phone", "op": "is_known"})
    visit(make_ripe())
    beat(NOW)
    set_hand_off(model, at=NOW + HOUR)
    assert open_leads() == 1


def test_a_model_may_only_score(model: ScoreModel) -> None:
    set_hand_off(model, hands_over=False)
    contact = make_ripe()
    visit(contact)
    beat(NOW)
    assert open_leads() == 0
    assert actions.hand_over([contact.pk], model=model, cause="program:x", now=NOW, force=True) == 1


def test_the_lower_line_lies_below_the_threshold(model: ScoreModel) -> None:
    draft = actions.draft_of(model, now=NOW)
    with pytest.raises(actions.Refused):
        actions.change_hand_off(draft, hands_over=True, lower_line=Decimal(75), conditions=None, now=NOW)


# --- hysteresis -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lower_line", "comes_back"), [(50, True), (39, False), (None, False)])
def test_falling_below_the_lower_line_makes_the_next_crossing_count(
    model: ScoreModel, sally: User, lower_line: int | None, comes_back: bool
) -> None:
    set_hand_off(model, lower_line=None if lower_line is None else Decimal(lower_line))
    contact = make_ripe()
    visit(contact)
    beat(NOW)
    actions.reject_lead(HandOff.objects.get(), reason=reason("no-need"), actor=sally, now=NOW + HOUR)
    title(contact, "Clerk", NOW + DAY)  # 40 points
    assert open_leads() == 0
    title(contact, "VP Finance", NOW + 2 * DAY)
    assert open_leads() == int(comes_back)


def test_flapping_above_the_lower_line_hands_nobody_over_again(sally: User) -> None:
    model = make_model(threshold=75)
    set_hand_off(model, lower_line=Decimal(55))
    contact = make_ripe(country="DE")
    visit(contact)
    beat(NOW)
    actions.reject_lead(HandOff.objects.get(), reason=reason("no-need"), actor=sally, now=NOW + HOUR)
    for round_ in range(1, 4):  # 60 and 80, by turns
        beat(NOW + round_ * 40 * DAY)
        visit(contact, NOW + round_ * 40 * DAY + HOUR)
        beat(NOW + round_ * 40 * DAY + 2 * HOUR)
    assert open_leads() == 0


# --- backlog ----------------------------------------------------------------------------------------------------------------------


def make_crowd(count: int) -> list[Contact]:
    contacts = [make_ripe(first_name=f"P{number}") for number in range(count)]
    for contact in contacts:
        visit(contact)
    return contacts


def lower(model: ScoreModel, *, per_day: int) -> None:
    draft = actions.draft_of(model, now=NOW + HOUR)
    actions.change_lines(
        draft, threshold=Decimal(50), fit_lines=draft.fit_lines, behaviour_lines=draft.behaviour_lines, now=NOW + HOUR
    )
    actions.publish(draft, reason="Lower", now=NOW + HOUR, backlog=ScoreVersion.Backlog.BEST, backlog_per_day=per_day)
    beat(NOW + HOUR)


def test_the_best_so_many_enter_each_working_day() -> None:
    model = make_model(threshold=90)
    crowd = make_crowd(5)
    make_activity(crowd[3], url="/other", at=NOW)
    best = make_contact(title="VP", company=make_company(employees=500))  # 60 points: the last one
    beat(NOW, full=True)
    assert open_leads() == 0
    lower(model, per_day=2)  # Monday
    assert open_leads() == 2
    beat(NOW + 2 * HOUR)
    assert open_leads() == 2
    beat(NOW + DAY)  # Tuesday
    assert open_leads() == 4
    beat(NOW + 2 * DAY)
    assert open_leads() == 6
    assert HandOff.objects.order_by("-pk")[0].contact == best
    assert set(HandOff.objects.values_list("cause", flat=True)) == {"backlog"}
    beat(NOW + 3 * DAY)
    assert ScoreModel.objects.get(pk=model.pk).backlog_next_at is None
    beat(NOW + 9 * DAY, full=True)
    assert open_leads() == 6


def test_a_weekend_hands_nobody_over() -> None:
    model = make_model(threshold=90)
    make_crowd(3)
    beat(NOW, full=True)
    lower(model, per_day=1)
    for day in range(1, 6):
        ScoreModel.objects.filter(pk=model.pk).update(backlog_next_at=NOW + 4 * DAY) if day == 1 else None
        beat(NOW + day * DAY)
    assert open_leads() == 2  # Monday's and Friday's
    beat(NOW + 6 * DAY)
    assert open_leads() == 2
    beat(NOW + 7 * DAY)
    assert open_leads() == 3


def test_who_does_something_new_does_not_wait_for_their_day() -> None:
    model = make_model(threshold=90)
    first, second = make_ripe(), make_ripe()
    beat(NOW, full=True)
    lower(model, per_day=1)
    assert open_leads() == 1
    waiting = second if HandOff.objects.get().contact == first else first
    visit(waiting, NOW + 2 * HOUR)
    beat(NOW + 2 * HOUR)
    assert HandOff.objects.get(contact=waiting).cause == "threshold"


@pytest.mark.parametrize("per_day", [None, 0, 100_001])
def test_so_many_a_day_is_a_number(model: ScoreModel, per_day: int | None) -> None:
    draft = actions.draft_of(model, now=NOW)
    with pytest.raises(actions.Refused):
        actions.publish(draft, reason="x", now=NOW, backlog="best", backlog_per_day=per_day)


# --- answers ------------------------------------------------------------------------------------------------------------------------


def test_an_answer_may_mark_reasons_as_misleading(lead: HandOff, sally: User) -> None:
    shown = [UUID(one["rule"]) for one in lead.card["reasons"]]
    strange = UUID(int=1)
    actions.reject_lead(lead, reason=reason("not-a-fit"), actor=sally, now=NOW, misleading=[shown[0], strange])
    assert lead.misleading == [shown[0]]


@pytest.mark.parametrize("answer", ["accept", "reject", "recycle"])
def test_a_wrong_answer_is_taken_back(lead: HandOff, sally: User, answer: str) -> None:
    owner = make_owner("Olga")
    facts.set_owner([lead.contact_id], owner=owner, now=NOW)
    before = (lead.due_at, lead.owner_id, Contact.objects.get(pk=lead.contact_id).owner_id)
    if answer == "accept":
        actions.accept_lead(lead, actor=sally, now=NOW + HOUR)
    elif answer == "reject":
        actions.reject_lead(lead, reason=reason("bad-data"), note="x", actor=sally, now=NOW + HOUR)
    else:
        actions.recycle_lead(lead, reason=reason("too-early"), actor=sally, now=NOW + HOUR, returns_at=NOW + 9 * DAY)
    other = make_user(SALES)
    with pytest.raises(actions.Refused):
        actions.undo_answer(lead, actor=other, now=NOW + HOUR)
    assert actions.may_undo(lead, actor=make_user(ADMIN), now=NOW + HOUR)
    actions.undo_answer(lead, actor=sally, now=NOW + HOUR + timedelta(minutes=9))
    contact = Contact.objects.get(pk=lead.contact_id)
    assert (lead.state, lead.answered_at, lead.answer_reason, lead.returns_at) == ("open", None, None, None)
    assert (lead.due_at, lead.owner_id, contact.owner_id) == before
    assert contact.stage == "mql"
    assert StageMove.objects.filter(contact=contact, cause="answer_undone").count() == 1
    assert list(HandOffEvent.objects.order_by("pk").values_list("kind", flat=True)) == [
        "handed_over",
        "answered",
        "undone",
    ]
    actions.accept_lead(lead, actor=other, now=NOW + 2 * HOUR)


def test_after_ten_minutes_an_answer_stays(lead: HandOff, sally: User) -> None:
    actions.accept_lead(lead, actor=sally, now=NOW)
    with pytest.raises(actions.Refused, match="cannot be taken back"):
        actions.undo_answer(lead, actor=sally, now=NOW + timedelta(minutes=11))


def test_an_accepted_lead_becomes_a_deal_once(lead: HandOff, sally: User) -> None:
    with pytest.raises(actions.Refused, match="Accept the lead first"):
        actions.open_deal(lead, product="Pro", amount=None, actor=sally, now=NOW)
    actions.accept_lead(lead, actor=sally, now=NOW)
    deal = actions.open_deal(lead, product=" Pro ", amount=Decimal(1200), actor=sally, now=NOW)
    assert (deal.status, deal.product, deal.amount, deal.company) == ("open", "Pro", 1200, lead.contact.company)
    assert DealContact.objects.get(deal=deal).contact_id == lead.contact_id
    assert Contact.objects.get(pk=lead.contact_id).stage == "opportunity"
    with pytest.raises(actions.Refused, match="already"):
        actions.open_deal(lead, product="", amount=None, actor=sally, now=NOW)
    with pytest.raises(actions.Refused):
        actions.undo_answer(lead, actor=sally, now=NOW)


def test_an_archived_model_keeps_its_open_leads(model: ScoreModel, lead: HandOff, sally: User) -> None:
    ScoreModel.objects.filter(pk=model.pk).update(is_default=False)
    model.refresh_from_db()
    actions.archive_model(model, now=NOW)
    visit(make_ripe())
    beat(NOW + HOUR, full=True)
    assert open_leads() == 1
    actions.reject_lead(lead, reason=reason("no-need"), actor=sally, now=NOW + HOUR)
    assert open_leads() == 0


def test_a_user_without_an_owner_row_may_answer(lead: HandOff) -> None:
    user = make_user(SALES, username="new")
    actions.accept_lead(lead, actor=user, now=NOW)
    assert lead.owner is not None
    assert lead.owner.user == user


def test_an_unknown_program_is_refused(lead: HandOff, sally: User) -> None:
    with pytest.raises(actions.Refused):
        actions.recycle_lead(lead, reason=reason("too-early"), actor=sally, now=NOW, program="nowhere")


def test_reasons_are_the_ones_that_are_offered(sally: User, lead: HandOff) -> None:
    AnswerReason.objects.filter(pk="no-need").update(is_active=False)
    with pytest.raises(actions.Refused):
        actions.reject_lead(lead, reason=reason("no-need"), actor=sally, now=NOW)


def test_the_sheet_counts_whom_the_condition_lets_in(model: ScoreModel) -> None:
    for phone in ("+49 1", ""):
        contact = make_ripe(phone=phone)
        visit(contact, NOW + DAY)  # nobody is handed over yet
    draft = actions.draft_of(model, now=NOW)
    for values, count in (
        ({"conditions": None, "hands_over": True}, 2),
        ({"conditions": {"field": "contact.phone", "op": "is_known"}, "hands_over": True}, 1),
        ({"conditions": None, "hands_over": False}, 0),
    ):
        actions.change_hand_off(draft, lower_line=None, now=NOW, **values)
        draft.refresh_from_db()
        at = NOW + 2 * DAY
        found = queries.compare(draft_plan(draft, at, None), old_line=Decimal(75), new_line=Decimal(75), now=at)
        assert found.moves["handed_over"] == count


def test_a_reason_that_comes_from_an_unknown_value_is_not_shown() -> None:
    rules = [
        ("fit", "Is a VP", 60, {"field": "contact.title", "op": "contains", "value": "vp"}),
        ("fit", "Not in Germany", 10, {"field": "contact.country", "op": "is_not", "value": "DE"}),
        ("fit", "No student", 10, {"not": {"field": "contact.department", "op": "is", "value": "University"}}),
    ]
    make_model(rules=rules, threshold=75)  # type: ignore[arg-type]
    make_contact(title="VP", country="FR", department="Sales")
    make_contact(title="VP", country="", department="Sales")
    make_contact(title="VP", country="FR")
    beat(NOW, full=True)
    shown = [{one["name"] for one in row.card["reasons"]} for row in HandOff.objects.order_by("contact_id")]
    assert shown == [
        {"Is a VP", "Not in Germany", "No student"},
        {"Is a VP", "No student"},
        {"Is a VP", "Not in Germany"},
    ]


def test_the_card_says_who_must_not_be_called_or_mailed(model: ScoreModel) -> None:
    free, refusing = make_ripe(phone="+49 1"), make_ripe(phone="+49 2", email="no@x.test")
    facts.withdraw_consent("no@x.test", source="by_hand", now=NOW)
    visit(free)
    visit(refusing)
    beat(NOW, full=True)
    cards = [row.card for row in HandOff.objects.order_by("contact_id")]
    assert [(card["may_be_mailed"], card["may_be_called"]) for card in cards] == [(True, True), (False, False)]
    assert cards[0]["consent"] == ""
    assert "No calls" in cards[1]["consent"]
