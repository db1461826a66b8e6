"""Hand-offs: once per set of reasons, one open one each, a frozen card, and answers that count once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads import actions as facts
from leads.access import SALES
from leads.models import AuditEntry, Contact, StageMove
from scoring import actions
from scoring.actions.handing import reasons_key
from scoring.models import AnswerReason, HandOff, ScoreModel, ScoreVersion
from tests.makers import NOW, make_activity, make_company, make_contact, make_owner, make_user
from tests.scoring.conftest import RULES, beat, make_model

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def make_ripe(**values: Any) -> Contact:
    """60 points by who they are; a visit to the pricing page makes 80, over the line of 75."""
    values.setdefault("company", make_company(employees=500))
    return make_contact(title="VP Finance", **values)


def visit(contact: Contact, at: object = NOW) -> None:
    make_activity(contact, url="https://x.test/pricing", subject="Pricing", at=at)  # type: ignore[arg-type]


@pytest.fixture
def lead(model: ScoreModel) -> HandOff:
    contact = make_ripe()
    visit(contact)
    beat(NOW)
    return HandOff.objects.get(contact=contact)


@pytest.fixture
def sally(db: None) -> User:
    return make_user(SALES, username="sally")


def reason(slug: str) -> AnswerReason:
    return AnswerReason.objects.get(pk=slug)


def test_who_crosses_the_line_is_handed_over_with_a_card(model: ScoreModel) -> None:
    colleague = make_contact(title="Clerk", first_name="Cora", company=make_company("Acme", employees=500))
    contact = make_ripe(company=colleague.company, first_name="Vera", last_name="Peters", source="referral")
    beat(NOW, full=True)
    assert HandOff.objects.count() == 0
    visit(colleague, NOW + HOUR)
    visit(contact, NOW + HOUR)
    beat(NOW + 2 * HOUR)
    lead = HandOff.objects.get()
    contact.refresh_from_db()
    assert (lead.contact, lead.state, lead.total, lead.grade, lead.cause) == (contact, "open", 80, "A2", "threshold")
    assert contact.stage == "mql"
    assert StageMove.objects.get(contact=contact).cause == "hand_off"
    assert lead.due_at == (NOW + DAY + 2 * HOUR)  # eight business hours from Monday 14:00 are Tuesday 14:00
    assert [(one["name"], one["points"]) for one in lead.card["reasons"]] == [
        ("Is a VP", 40),
        ("Large company", 20),
        ("Looked at pricing", 20),
    ]
    assert "pricing" in lead.card["reasons"][2]["sentence"]
    assert lead.card["why_now"]["words"] == "“Looked at pricing” lifted it from 60 to 80 points."
    assert lead.card["why_now"]["activity"]["subject"] == "Pricing"
    assert lead.card["read"] == [{**lead.card["why_now"]["activity"], "times": 1}]
    assert [one["name"] for one in lead.card["colleagues"]] == [colleague.full_name]
    assert lead.card["who"]["name"] == "Vera Peters"
    assert "Vera" in lead.card["opener"]
    assert lead.reasons_key == reasons_key(lead.rule_keys)


def test_the_card_stays_as_it_was(lead: HandOff) -> None:
    before = lead.card
    facts.set_field_for([lead.contact_id], field="contact.title", value="Clerk", now=NOW + HOUR)
    beat(NOW + HOUR)
    lead.refresh_from_db()
    assert (lead.card, lead.total, lead.state) == (before, 80, "open")


def test_a_turn_twice_hands_over_once(lead: HandOff) -> None:
    facts.set_field_for([lead.contact_id], field="contact.city", value="Ulm", now=NOW + HOUR)
    beat(NOW + HOUR)
    beat(NOW + 2 * HOUR, full=True)
    assert HandOff.objects.count() == 1


@pytest.mark.parametrize("stage", ["mql", "accepted", "opportunity", "customer", "advocate", "disqualified"])
def test_who_is_with_sales_already_is_not_handed_over(model: ScoreModel, stage: str) -> None:
    visit(make_ripe(stage=stage))
    beat(NOW, full=True)
    assert HandOff.objects.count() == 0


@pytest.mark.parametrize("stage", ["visitor", "subscriber", "inquiry", "recycled", "lost"])
def test_who_is_before_sales_is(model: ScoreModel, stage: str) -> None:
    visit(make_ripe(stage=stage))
    beat(NOW, full=True)
    assert HandOff.objects.count() == 1


def test_accepting_makes_the_lead_yours(lead: HandOff, sally: User) -> None:
    actions.accept_lead(lead, actor=sally, now=NOW + HOUR)
    contact = Contact.objects.get(pk=lead.contact_id)
    assert (lead.state, lead.answered_by, lead.answered_at) == ("accepted", sally, NOW + HOUR)
    assert lead.owner is not None and lead.owner.user == sally
    assert (contact.stage, contact.owner) == ("accepted", lead.owner)
    assert AuditEntry.objects.filter(actor=sally, verb="accepted the lead").count() == 1


def test_two_people_cannot_take_the_same_lead(lead: HandOff, sally: User) -> None:
    other = make_user(SALES, username="otto")
    actions.accept_lead(HandOff.objects.get(pk=lead.pk), actor=sally, now=NOW)
    answers: tuple[Callable[[], None], ...] = (
        lambda: actions.accept_lead(lead, actor=other, now=NOW),
        lambda: actions.reject_lead(lead, reason=reason("no-budget"), actor=other, now=NOW),
        lambda: actions.recycle_lead(lead, reason=reason("too-early"), actor=other, now=NOW),
        lambda: actions.assign_lead(lead, owner=None, actor=other, now=NOW),
    )
    for answer in answers:
        with pytest.raises(actions.AlreadyAnswered, match="sally accepted this lead already"):
            answer()
    lead.refresh_from_db()
    assert lead.answered_by == sally


@pytest.mark.parametrize(("slug", "stage"), [("no-budget", "recycled"), ("bad-data", "disqualified")])
def test_the_reason_says_where_a_rejected_lead_goes(lead: HandOff, sally: User, slug: str, stage: str) -> None:
    actions.reject_lead(lead, reason=reason(slug), note="Said so on the phone", actor=sally, now=NOW + HOUR)
    assert (lead.state, lead.answer_note) == ("rejected", "Said so on the phone")
    assert Contact.objects.get(pk=lead.contact_id).stage == stage


def test_an_answer_needs_a_reason_of_its_kind(lead: HandOff, sally: User) -> None:
    with pytest.raises(actions.Refused):
        actions.reject_lead(lead, reason=None, actor=sally, now=NOW)
    with pytest.raises(actions.Refused):
        actions.reject_lead(lead, reason=reason("too-early"), actor=sally, now=NOW)
    with pytest.raises(actions.Refused):
        actions.recycle_lead(lead, reason=reason("no-budget"), actor=sally, now=NOW)
    lead.refresh_from_db()
    assert lead.state == "open"


def test_a_rejected_lead_comes_back_only_for_something_new(lead: HandOff, sally: User) -> None:
    actions.reject_lead(lead, reason=reason("no-need"), actor=sally, now=NOW + HOUR)
    contact = lead.contact
    facts.set_field_for([contact.pk], field="contact.title", value="Clerk", now=NOW + DAY)
    beat(NOW + DAY)
    facts.set_field_for([contact.pk], field="contact.title", value="VP Finance", now=NOW + 2 * DAY)
    beat(NOW + 2 * DAY)  # fell below the line and rose again, for the same reasons
    visit(contact, NOW + 2 * DAY)
    beat(NOW + 3 * DAY, full=True)
    assert HandOff.objects.count() == 1
    model = ScoreModel.objects.get(slug="product")
    draft = actions.draft_of(model, now=NOW + 3 * DAY)
    demo = {"did": "demo_booked"}
    actions.save_rule(draft, group="behaviour", name="Demo", conditions=demo, points=Decimal(5), now=NOW + 3 * DAY)
    actions.publish(draft, reason="Demos count", now=NOW + 3 * DAY)
    beat(NOW + 3 * DAY)
    assert HandOff.objects.count() == 1
    make_activity(contact, "demo_booked", at=NOW + 4 * DAY)
    beat(NOW + 4 * DAY)
    again = HandOff.objects.get(state="open")
    assert [one["name"] for one in again.card["reasons"]][-1] == "Demo"
    assert Contact.objects.get(pk=contact.pk).stage == "mql"


def test_a_disqualified_lead_never_comes_back_by_a_rule(lead: HandOff, sally: User) -> None:
    actions.reject_lead(lead, reason=reason("competitor-or-student"), actor=sally, now=NOW)
    model = ScoreModel.objects.get(slug="product")
    assert actions.hand_over([lead.contact_id], model=model, cause="program:x", now=NOW + DAY, force=True) == 0


def test_a_recycled_lead_comes_back_on_its_day(lead: HandOff, sally: User) -> None:
    actions.recycle_lead(lead, reason=reason("too-early"), actor=sally, now=NOW + HOUR, returns_at=NOW + 10 * DAY)
    assert Contact.objects.get(pk=lead.contact_id).stage == "recycled"
    beat(NOW + 9 * DAY, full=True)
    assert HandOff.objects.filter(state="open").count() == 0
    beat(NOW + 10 * DAY)
    again = HandOff.objects.get(state="open")
    assert (again.cause, again.card["why_now"]["is_return"]) == ("returned", True)
    actions.reject_lead(again, reason=reason("no-need"), actor=sally, now=NOW + 11 * DAY)
    beat(NOW + 12 * DAY, full=True)
    assert HandOff.objects.filter(state="open").count() == 0


def test_recycled_without_a_date_waits_for_something_new(lead: HandOff, sally: User) -> None:
    actions.recycle_lead(lead, reason=reason("not-reached"), actor=sally, now=NOW + HOUR)
    beat(NOW + DAY, full=True)
    assert HandOff.objects.filter(state="open").count() == 0


def test_a_day_that_has_passed_is_refused(lead: HandOff, sally: User) -> None:
    with pytest.raises(actions.Refused):
        actions.recycle_lead(lead, reason=reason("too-early"), actor=sally, now=NOW, returns_at=NOW)


def test_a_program_may_hand_over_below_the_line(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    beat(NOW, full=True)
    assert actions.hand_over([contact.pk], model=model, cause="program:welcome", now=NOW) == 0
    assert actions.hand_over([contact.pk], model=model, cause="program:welcome", now=NOW, force=True) == 1
    assert actions.hand_over([contact.pk], model=model, cause="program:welcome", now=NOW, force=True) == 0
    lead = HandOff.objects.get()
    assert (lead.total, lead.cause, lead.card["why_now"]["rules"]) == (40, "program:welcome", [])


def test_a_lead_goes_to_the_owner_of_the_contact(model: ScoreModel) -> None:
    owner = make_owner("Olga")
    visit(make_ripe(owner=owner))
    visit(make_ripe())
    beat(NOW, full=True)
    assert list(HandOff.objects.order_by("contact_id").values_list("owner", flat=True)) == [owner.pk, None]


def test_leads_go_in_turn_to_who_has_the_fewest(model: ScoreModel) -> None:
    make_user(SALES, username="one")
    make_user(SALES, username="two")
    make_user(username="marketer")
    actions.change_model(model, name="Product", routing="in_turn", answer_within_hours=4, now=NOW)
    for _number in range(4):
        visit(make_ripe())
    beat(NOW, full=True)
    assert sorted(HandOff.objects.values_list("owner__user__username", flat=True)) == ["one", "one", "two", "two"]


def test_somebody_who_signs_in_takes_over_the_name_of_a_crm_file(db: None) -> None:
    from_file = make_owner("Darcel Schlecht")
    user = make_user(SALES, username="darcel")
    user.first_name, user.last_name = "Darcel", "Schlecht"
    user.save()
    assert actions.owner_for(user).pk == from_file.pk
    namesake = make_user(SALES, username="darcel2")
    namesake.first_name, namesake.last_name = "Darcel", "Schlecht"
    namesake.save()
    assert actions.owner_for(namesake).name == "Darcel Schlecht (darcel2)"


def test_nobody_is_handed_over_before_everybody_is_scored_by_a_new_version(model: ScoreModel) -> None:
    contact = make_ripe()
    visit(contact)
    draft = actions.draft_of(model, now=NOW)
    actions.publish(draft, reason="Again", now=NOW)
    assert actions.hand_over_ripe([contact.pk], NOW) == 0


def test_a_lower_line_hands_over_who_stands_above_it_already() -> None:
    model = make_model(threshold=90)
    visit(make_ripe())
    beat(NOW, full=True)
    assert HandOff.objects.count() == 0
    publish_line(model, 75)
    beat(NOW + HOUR)
    assert HandOff.objects.count() == 1


def test_or_nobody_until_they_do_something_new() -> None:
    model = make_model(rules=[*RULES, ("behaviour", "Demo", 5, {"did": "demo_booked"})], threshold=90)
    contact = make_ripe()
    visit(contact)
    beat(NOW, full=True)
    publish_line(model, 75, backlog=ScoreVersion.Backlog.NONE)
    beat(NOW + HOUR)
    assert HandOff.objects.count() == 0
    make_activity(contact, "demo_booked", at=NOW + 2 * HOUR)
    beat(NOW + 2 * HOUR)
    assert HandOff.objects.count() == 1


def publish_line(model: ScoreModel, threshold: int, *, backlog: str = ScoreVersion.Backlog.ALL) -> None:
    draft = actions.draft_of(model, now=NOW + HOUR)
    actions.change_lines(
        draft,
        threshold=Decimal(threshold),
        fit_lines=draft.fit_lines,
        behaviour_lines=draft.behaviour_lines,
        now=NOW + HOUR,
    )
    actions.publish(draft, reason="Lower", now=NOW + HOUR, backlog=backlog)


def test_an_opportunity_is_not_pulled_back_by_a_late_answer(lead: HandOff, sally: User) -> None:
    facts.move_stage(lead.contact, to="opportunity", actor=None, cause="by_hand", reason="", now=NOW, by_hand=True)
    actions.reject_lead(lead, reason=reason("no-budget"), actor=sally, now=NOW + HOUR)
    assert Contact.objects.get(pk=lead.contact_id).stage == "opportunity"


def test_a_contact_deleted_with_an_open_hand_off(lead: HandOff, sally: User) -> None:
    facts.delete_contact(lead.contact, actor=None, now=NOW)
    with pytest.raises(actions.AlreadyAnswered):
        actions.accept_lead(lead, actor=sally, now=NOW)


def test_reasons_have_one_name_whatever_their_order() -> None:
    first, second = uuid4(), uuid4()
    assert reasons_key([first, second]) == reasons_key([second, first]) != reasons_key([first])


def test_many_leads_cost_the_same_number_of_statements(model: ScoreModel) -> None:
    statements = []
    for count in (1, 3):
        contacts = [make_ripe() for _number in range(count)]
        for contact in contacts:
            visit(contact)
        beat(NOW)
        HandOff.objects.all().delete()
        Contact.objects.update(stage="inquiry")
        with CaptureQueriesContext(connection) as captured:
            assert actions.hand_over([one.pk for one in contacts], model=model, cause="threshold", now=NOW) == count
        statements.append(len(captured))
    assert statements[0] == statements[1]
