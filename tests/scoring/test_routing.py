"""Routing: own owner, rules in order, turns, capacity, absence, leaving; business hours of the owner; escalation; notices."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads.access import ADMIN, SALES
from leads.models import Owner
from scoring import actions, desks, notices, routing
from scoring.models import (
    AnswerReason,
    Desk,
    HandOff,
    HandOffEvent,
    Holiday,
    Notice,
    NoticeWish,
    RoutingRule,
    RoutingSeat,
    ScoreModel,
)
from tests.makers import NOW, make_contact, make_owner, make_user
from tests.scoring.conftest import beat
from tests.scoring.test_hand_offs import make_ripe, visit

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GERMANY = {"field": "contact.country", "op": "is", "value": "DE"}


def make_rule(name: str, *owners: Owner, conditions: Any = None, target: str = "team", **values: Any) -> RoutingRule:
    rule = RoutingRule.objects.create(
        name=name, conditions=conditions, target=target, position=RoutingRule.objects.count(), **values
    )
    RoutingSeat.objects.bulk_create(
        [RoutingSeat(rule=rule, owner=owner, position=place) for place, owner in enumerate(owners)]
    )
    return rule


def hand_over(*contacts: Any) -> list[HandOff]:
    for contact in contacts:
        visit(contact)
    beat(NOW, full=True)
    return list(HandOff.objects.filter(contact__in=contacts).order_by("contact_id"))


def owner_of(lead: HandOff) -> Owner | None:
    return HandOff.objects.get(pk=lead.pk).owner


@pytest.fixture
def anna(db: None) -> Owner:
    return make_owner("Anna", user=make_user(SALES, username="anna"))


@pytest.fixture
def ben(db: None) -> Owner:
    return make_owner("Ben", user=make_user(SALES, username="ben"))


def test_the_first_rule_that_holds_decides(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    german = make_rule("Germany", anna, conditions=GERMANY, target="owner")
    make_rule("The rest", ben)
    one, two, own = make_ripe(country="DE"), make_ripe(country="FR"), make_ripe(country="DE", owner=ben)
    leads = hand_over(one, two, own)
    assert [lead.owner for lead in leads] == [anna, ben, ben]
    assert leads[0].routing_rule == german
    assert [event.note for event in HandOffEvent.objects.order_by("hand_off__contact")] == [
        "by the rule “Germany”",
        "by the rule “The rest”",
        "the contact's own owner",
    ]


def test_a_rule_may_leave_a_lead_to_nobody(model: ScoreModel, ben: Owner) -> None:
    make_rule("Ask first", conditions=GERMANY, target="nobody")
    make_rule("The rest", ben)
    assert [lead.owner for lead in hand_over(make_ripe(country="DE"), make_ripe())] == [None, ben]


def test_a_team_gets_them_in_turn(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Team", ben, anna)
    first = [lead.owner for lead in hand_over(make_ripe(), make_ripe(), make_ripe())]
    assert first == [ben, anna, ben]
    assert [lead.owner for lead in hand_over(make_ripe(), make_ripe())] == [anna, ben]


def test_capacity_counts_open_leads(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Team", anna, ben)
    Desk.objects.create(owner=anna, capacity=1)
    Desk.objects.create(owner=ben, capacity=2)
    leads = hand_over(*[make_ripe() for _number in range(4)])
    assert sorted(str(lead.owner) for lead in leads) == ["Anna", "Ben", "Ben", "None"]
    anna_s = next(lead for lead in leads if lead.owner == anna)
    assert anna.user is not None
    actions.reject_lead(anna_s, reason=AnswerReason.objects.get(pk="no-need"), actor=anna.user, now=NOW)
    assert hand_over(make_ripe())[0].owner == anna


def test_who_is_away_or_gone_gets_nothing(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Team", anna, ben)
    Desk.objects.create(owner=anna, away_until=NOW.date() + DAY)
    assert [lead.owner for lead in hand_over(make_ripe(owner=anna), make_ripe())] == [ben, ben]
    Desk.objects.filter(owner=anna).update(away_until=NOW.date())
    assert hand_over(make_ripe(owner=anna))[0].owner == anna
    User.objects.filter(username="ben").update(is_active=False)
    assert [lead.owner for lead in hand_over(make_ripe(), make_ripe())] == [anna, anna]


def test_the_leads_of_somebody_who_leaves_are_routed_anew(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Team", anna, ben)
    leads = hand_over(make_ripe(owner=anna), make_ripe(owner=anna))
    assert [lead.owner for lead in leads] == [anna, anna]
    assert actions.owner_leaves(anna, actor=None, now=NOW + HOUR) == 2
    assert [owner_of(lead) for lead in leads] == [ben, ben]
    last = HandOffEvent.objects.filter(hand_off=leads[0]).latest("pk")
    assert (last.kind, last.note) == ("assigned", "Anna has left: by the rule “Team”")
    with pytest.raises(actions.Refused, match="Anna has left"):
        actions.assign_lead(leads[0], owner=anna, actor=make_user(SALES), now=NOW)
    actions.owner_returns(anna, actor=None, now=NOW + DAY)
    assert hand_over(make_ripe(owner=anna))[0].owner == anna


def test_a_rule_that_cannot_be_read_holds_for_nobody(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Broken", anna, conditions={"field": "contact.custom.gone", "op": "is", "value": "x"})
    make_rule("The rest", ben)
    assert hand_over(make_ripe())[0].owner == ben


def test_who_would_get_it_says_what_each_step_said(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Germany", anna, conditions=GERMANY)
    make_rule("Team", anna, ben)
    Desk.objects.create(owner=anna, capacity=0)
    found, trace = routing.who_would_get(make_contact(country="FR"), model=model, now=NOW)
    assert found.owner_id == ben.pk
    assert trace == [
        ("The contact's own owner", "nobody owns the contact"),
        ("Germany", "does not hold"),
        ("Team", "Ben"),
    ]
    found, trace = routing.who_would_get(make_contact(country="DE"), model=model, now=NOW)
    assert trace[1] == ("Germany", "Anna has as many open leads as they take")
    RoutingRule.objects.filter(name="Team").update(is_active=False)
    found, trace = routing.who_would_get(make_contact(country="DE"), model=model, now=NOW)
    assert (found.owner_id, trace[-1]) == (None, ("Otherwise", "unassigned"))


def test_many_leads_cost_the_same_number_of_statements(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    make_rule("Germany", anna, conditions=GERMANY)
    make_rule("Team", anna, ben)
    statements = []
    for count in (1, 3):
        contacts = [(make_contact(country="DE").pk, None) for _number in range(count)]
        with CaptureQueriesContext(connection) as captured:
            routing.route(contacts, model=model, now=NOW)
        statements.append(len(captured))
    assert statements == [11, 11]


# --- hours ------------------------------------------------------------------------------------------------------------------------


def test_the_clock_runs_in_the_hours_of_the_owner(model: ScoreModel, anna: Owner) -> None:
    Desk.objects.create(owner=anna, timezone="America/New_York", start=time(8), end=time(12), days=[1, 2])
    Holiday.objects.create(owner=anna, on=date(2026, 3, 3))
    lead = hand_over(make_ripe(owner=anna))[0]
    # Monday 12:00 UTC is 7:00 in New York: four hours on Monday, none on the holiday, four on the next Monday.
    assert lead.due_at == datetime(2026, 3, 9, 12, tzinfo=ZoneInfo("America/New_York"))


def test_holidays_of_the_company_count_for_everybody(model: ScoreModel, anna: Owner) -> None:
    Holiday.objects.create(on=date(2026, 3, 3))
    leads = hand_over(make_ripe(owner=anna), make_ripe())
    assert {lead.due_at for lead in leads} == {NOW + 2 * DAY}
    assert desks.calendars([anna.pk]).of(anna.pk).holidays == frozenset({date(2026, 3, 3)})


def test_a_day_on_which_clocks_go_back_is_an_hour_longer(model: ScoreModel, anna: Owner) -> None:
    Desk.objects.create(owner=anna, timezone="Europe/Berlin", start=time(0), end=time(0), days=[1, 2, 3, 4, 5, 6, 7])
    start = datetime(2026, 10, 25, 0, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    row = HandOff(model=model, owner=anna, handed_over_at=start)
    model.answer_within_hours = 24
    clock = actions.handing.clock(model, anna.pk, since=row.handed_over_at, hours=desks.calendars([anna.pk]))
    assert clock["due_at"] == datetime(2026, 10, 25, 23, tzinfo=ZoneInfo("Europe/Berlin"))


def test_reassigning_keeps_the_clock_in_the_hours_of_the_new_owner(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    Desk.objects.create(owner=ben, timezone="Asia/Tokyo")
    lead = hand_over(make_ripe(owner=anna))[0]
    assert lead.due_at == NOW + DAY
    actions.assign_lead(lead, owner=ben, actor=make_user(SALES), now=NOW + HOUR, note="He speaks Japanese")
    assert lead.due_at == datetime(2026, 3, 3, 17, tzinfo=ZoneInfo("Asia/Tokyo"))
    event = HandOffEvent.objects.filter(hand_off=lead).latest("pk")
    assert (event.owner, event.note) == (ben, "He speaks Japanese")


# --- escalation, notices ------------------------------------------------------------------------------------------------------------


def test_a_late_lead_is_escalated_once(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    ScoreModel.objects.filter(pk=model.pk).update(escalate_after_hours=2, escalate_to=ben)
    lead = hand_over(make_ripe(owner=anna))[0]
    assert lead.escalate_at == lead.due_at + 2 * HOUR
    assert actions.escalate_late(lead.due_at + HOUR) == 0
    assert actions.escalate_late(lead.due_at + 2 * HOUR) == 1
    assert actions.escalate_late(lead.due_at + 3 * HOUR) == 0
    told = Notice.objects.filter(kind="late").values_list("user__username", flat=True)
    assert sorted(told) == ["anna", "ben"]
    assert HandOffEvent.objects.get(kind="escalated").note == "told to Ben"


def test_without_a_name_admins_hear_of_late_leads(model: ScoreModel) -> None:
    admin = make_user(ADMIN)
    ScoreModel.objects.filter(pk=model.pk).update(escalate_after_hours=1)
    lead = hand_over(make_ripe())[0]
    assert actions.escalate_late(lead.due_at + 5 * DAY) == 1
    assert Notice.objects.get().user == admin


def test_an_answered_lead_is_not_escalated(model: ScoreModel, anna: Owner) -> None:
    ScoreModel.objects.filter(pk=model.pk).update(escalate_after_hours=1)
    lead = hand_over(make_ripe(owner=anna))[0]
    assert anna.user is not None
    actions.accept_lead(lead, actor=anna.user, now=NOW)
    assert actions.escalate_late(NOW + 30 * DAY) == 0


@pytest.mark.parametrize(
    ("by_mail", "mail", "due"),
    [
        ("off", "none", None),
        ("at_once", "waiting", NOW),
        ("digest", "waiting", datetime(2026, 3, 2, 13, tzinfo=ZoneInfo("Europe/Berlin")) + DAY),
    ],
)
def test_the_owner_hears_of_a_lead_as_they_wish(
    model: ScoreModel, anna: Owner, by_mail: str, mail: str, due: datetime | None
) -> None:
    assert anna.user is not None
    NoticeWish.objects.create(user=anna.user, by_mail=by_mail, digest_hour=13)
    Desk.objects.create(owner=anna, timezone="Europe/Berlin")
    lead = hand_over(make_ripe(owner=anna))[0]
    notice = Notice.objects.get()
    assert (notice.user, notice.hand_off, notice.mail, notice.mail_due_at) == (anna.user, lead, mail, due)
    assert notices.tell(notices.news_of([lead], kind="lead"), now=NOW) >= 0
    assert Notice.objects.count() == 1


def test_whoever_gives_a_lead_to_themselves_is_not_told(model: ScoreModel, anna: Owner, ben: Owner) -> None:
    lead = hand_over(make_ripe())[0]
    assert anna.user is not None
    actions.assign_lead(lead, owner=anna, actor=anna.user, now=NOW)
    assert Notice.objects.count() == 0
    actions.assign_lead(lead, owner=ben, actor=anna.user, now=NOW)
    assert [(one.user, one.kind) for one in Notice.objects.all()] == [(ben.user, "assigned")]
