"""Goal, exits, segments kept out, re-entry, dates and hold-out: at the entry, when a contact changes, and before each step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from leads import actions as facts
from leads.models import Contact
from nurture import actions, guards, queries, queries_around, turn
from nurture.mailing import sending
from nurture.models import Enrolment, Program, Sending
from nurture.queries_around import Arm
from segments.actions import add_to_segment, remove_from_segment
from segments.models import Membership, Segment
from tests.makers import NOW, make_contact, make_segment
from tests.nurture.makers import (
    mail,
    make_people,
    make_program,
    make_template,
    only_enrolment,
    publish,
    put_in,
    segment_of,
    set_workspace,
    step,
    trace,
    wait,
    walk,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
HOT = {"field": "contact.tags", "op": "includes_any", "value": ["hot"]}
COLD = {"field": "contact.tags", "op": "includes_any", "value": ["cold"]}


def guarded(*steps: Any, around: dict[str, Any], people: int = 1, now: datetime = NOW) -> tuple[Program, list[Contact]]:
    """A live program with this around its steps, and people who have just entered it."""
    program = make_program(*steps, live=False)
    draft = program.versions.get()
    actions.set_around(draft, edit_number=draft.edit_number, document=around, now=now)
    publish(program, now=now)
    found = make_people(people)
    put_in(segment_of(program), found, now=now)
    turn.turn(now)
    return program, found


def tag(contact: Contact, name: str, *, now: datetime) -> None:
    facts.add_tag([contact.pk], tag=name, now=now)


def ended(contact: Contact) -> tuple[str, str]:
    enrolment = Enrolment.objects.filter(contact=contact).latest("round")
    return enrolment.state, enrolment.ended_why


def test_the_goal_ends_a_long_wait_at_once_and_takes_the_mail_back() -> None:
    steps = (mail(step_id="m"), wait(4, "weeks", "w"), step("add_tag", "t", tag="late"))
    _program, (reached, other) = guarded(*steps, around={"goal": {"conditions": HOT}}, people=2)
    assert set(Sending.objects.values_list("state", flat=True)) == {"queued"}
    tag(reached, "hot", now=NOW + DAY)
    report = turn.turn(NOW + DAY)
    assert report.definitions.followed["guards"] == 1
    assert ended(reached) == ("finished", "goal")
    assert only_enrolment(reached).goal_at == NOW + DAY
    assert Sending.objects.get(contact=reached).why_not == "left_program"
    assert (only_enrolment(other).state, only_enrolment(other).step) == ("active", "w")
    assert Sending.objects.get(contact=other).state == "queued"
    assert turn.turn(NOW + 2 * DAY).definitions.followed.get("guards", 0) == 0


def test_the_goal_pulls_forward_once() -> None:
    steps = (
        wait(4, "weeks", "w"),
        step("add_tag", "t", tag="late"),
        wait(1, step_id="v"),
        step("add_tag", "z", tag="z"),
    )
    around = {"goal": {"conditions": HOT, "then": "v", "days": 30}}
    _program, (person,) = guarded(*steps, around=around)
    tag(person, "hot", now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert (only_enrolment(person).step, only_enrolment(person).next_step_at) == ("v", NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY)
    assert trace(person) == [("v", "done"), ("z", "done")]
    assert ended(person) == ("finished", "")
    assert only_enrolment(person).goal_at == NOW + DAY


def test_who_passed_the_step_is_not_pulled_back() -> None:
    around = {"goal": {"conditions": HOT, "then": "t"}}
    _program, (person,) = guarded(step("add_tag", "t", tag="x"), wait(2, "weeks", "w"), around=around)
    tag(person, "hot", now=NOW + DAY)
    turn.turn(NOW + DAY)
    enrolment = only_enrolment(person)
    assert (enrolment.step, enrolment.goal_at, enrolment.next_step_at) == ("w", NOW + DAY, NOW + 14 * DAY)
    assert trace(person) == [("t", "done")]


def test_who_had_reached_the_goal_before_does_not_go_in() -> None:
    program, (person,) = guarded(mail(step_id="m"), around={"goal": {"conditions": HOT}})
    late = make_contact(tags=["hot"])
    put_in(segment_of(program), [late], now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert ended(late) == ("left", "goal_before")
    assert only_enrolment(late).goal_at is None
    assert trace(late) == []
    assert not Sending.objects.filter(contact=late).exists()
    assert trace(person) == [("m", "done")]


def test_both_exits_stated_and_kept() -> None:
    around = {"exit": {"when": "no_member", "conditions": COLD}}
    program, (gone, cold, stays) = guarded(wait(3, "weeks"), around=around, people=3)
    segment = segment_of(program)
    remove_from_segment(segment, contact_ids=[gone.pk], cause="by_hand", actor=None, now=NOW + DAY)
    tag(cold, "cold", now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert [ended(person) for person in (gone, cold, stays)] == [
        ("left", "no_member"),
        ("left", "exit"),
        ("active", ""),
    ]


def test_without_an_exit_they_finish_once_entered() -> None:
    program, (person,) = guarded(wait(1, step_id="w"), around={})
    segment = segment_of(program)
    remove_from_segment(segment, contact_ids=[person.pk], cause="by_hand", actor=None, now=NOW)
    turn.turn(NOW + DAY)
    assert ended(person) == ("finished", "")


def test_members_of_a_segment_are_kept_out_and_let_out() -> None:
    customers = make_segment(slug="customers")
    early = make_contact()
    put_in(customers, [early])
    program, (inside,) = guarded(wait(3, "weeks"), around={"keep_out": ["customers"]})
    put_in(segment_of(program), [early], now=NOW)
    put_in(customers, [inside], now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert ended(early) == ended(inside) == ("left", "keep_out:customers")


def test_looked_at_again_before_each_step_where_nobody_marked() -> None:
    """Time alone makes a rule hold: nothing changed about the contact, but the step is not done."""
    quiet = {"field": "contact.created_at", "op": "more_than_ago", "value": 5, "unit": "days"}
    program, (person,) = guarded(wait(3, step_id="w"), mail(step_id="m"), around={"exit": {"conditions": quiet}})
    Contact.objects.filter(pk=person.pk).update(created_at=NOW - 3 * DAY)
    walk(NOW + 3 * DAY)
    assert ended(person) == ("left", "exit")
    assert trace(person) == []
    assert not Sending.objects.exists()


def test_a_pause_is_made_good() -> None:
    program, (person,) = guarded(wait(3, "weeks"), around={"goal": {"conditions": HOT}})
    actions.pause(program, actor=None, now=NOW)
    tag(person, "hot", now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert ended(person) == ("active", "")
    actions.resume(program, waits="at_once", actor=None, now=NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY)
    assert ended(person) == ("finished", "goal")


def enter_anew(program: Program, person: Contact, *, now: datetime) -> None:
    segment = segment_of(program)
    remove_from_segment(segment, contact_ids=[person.pk], cause="by_hand", actor=None, now=now - timedelta(hours=1))
    add_to_segment(segment, contact_ids=[person.pk], cause="by_hand", actor=None, now=now)
    turn.turn(now)


@pytest.mark.parametrize(
    ("around", "rounds"), [({}, [1, 1, 1]), ({"again": {"days": 0}}, [1, 2, 3]), ({"again": {"days": 10}}, [1, 1, 2])]
)
def test_again(around: dict[str, Any], rounds: list[int]) -> None:
    program, (person,) = guarded(step("add_tag", "t", tag="x"), around=around)
    found = [Enrolment.objects.filter(contact=person).count()]
    turn.turn(NOW + DAY, full=True)  # still a member, but nothing was entered anew
    for day in (5, 20):
        enter_anew(program, person, now=NOW + day * DAY)
        found.append(Enrolment.objects.filter(contact=person).count())
    assert found == rounds
    assert Enrolment.objects.filter(contact=person, state="finished").count() == rounds[-1]
    assert queries.holds("one_next_step")


def test_nobody_enters_again_while_inside() -> None:
    program, (person,) = guarded(wait(8, "weeks"), around={"again": {"days": 0}})
    enter_anew(program, person, now=NOW + DAY)
    assert Enrolment.objects.filter(contact=person).count() == 1


def test_start_and_end_dates_on_the_workspaces_clock() -> None:
    set_workspace(timezone="America/New_York")
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    around = {"starts_on": "2026-03-10", "ends_on": "2026-03-12"}
    program, (early,) = guarded(wait(1), around=around, now=now)
    version = program.versions.get()
    assert (version.enters_from, version.enters_until) == (
        datetime(2026, 3, 10, 4, tzinfo=UTC),  # the clocks went forward on the 8th
        datetime(2026, 3, 13, 4, tzinfo=UTC),
    )
    turn.turn(datetime(2026, 3, 10, 3, 59, tzinfo=UTC))
    assert not Enrolment.objects.exists()
    turn.turn(datetime(2026, 3, 10, 4, 0, tzinfo=UTC))
    assert only_enrolment(early).entered_at == datetime(2026, 3, 10, 4, tzinfo=UTC)
    late = make_contact()
    put_in(segment_of(program), [late], now=datetime(2026, 3, 13, 4, tzinfo=UTC))
    turn.turn(datetime(2026, 3, 13, 4, tzinfo=UTC))
    assert not Enrolment.objects.filter(contact=late).exists()


def test_the_same_share_is_held_out_each_time_and_compared() -> None:
    around = {"goal": {"conditions": HOT, "days": 10}, "hold_out": 50}
    program, people = guarded(mail(step_id="m"), around=around, people=12)
    held = {person.pk for person in people if guards.is_held_out(program, person.pk, 50)}
    states = dict(Enrolment.objects.values_list("contact_id", "state"))
    assert {key for key, state in states.items() if state == "held_out"} == held
    assert not Sending.objects.filter(contact__in=held).exists()
    assert Sending.objects.count() == 12 - len(held)
    assert queries.holds("one_next_step")
    assert not Membership.objects.filter(segment__slug="none").exists()
    facts.add_tag([person.pk for person in people], tag="hot", now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert Enrolment.objects.filter(goal_at=NOW + DAY).count() == 12
    treated, out = queries_around.arms(program.pk, goal_days=90)
    assert (treated, out) == (Arm(12 - len(held), 12 - len(held)), Arm(len(held), len(held)))


def test_a_goal_reached_too_late_counts_on_neither_side() -> None:
    around = {"goal": {"conditions": HOT, "days": 10}, "hold_out": 50}
    program, people = guarded(wait(8, "weeks"), around=around, people=6)
    facts.add_tag([person.pk for person in people], tag="hot", now=NOW + 11 * DAY)
    turn.turn(NOW + 11 * DAY)
    assert [arm.reached for arm in queries_around.arms(program.pk, goal_days=90)] == [0, 0]


def test_hold_out_shares_are_even() -> None:
    program = Program(pk=7)
    assert 900 < sum(guards.is_held_out(program, contact, 10) for contact in range(10_000)) < 1_100


def test_leaves_a_program_by_a_stage_enters_another_and_the_planned_mail_stays_here() -> None:
    is_mql = {"field": "contact.stage", "op": "is", "value": "mql"}
    welcome, (person,) = guarded(mail(step_id="planned"), wait(2, "weeks"), around={"exit": {"conditions": is_mql}})
    ripe = make_segment(slug="ripe", conditions=is_mql)
    after = make_program(mail(step_id="after"), segment=ripe, now=NOW)
    turn.turn(NOW)
    facts.move_stages([person.pk], to="mql", cause="by_hand", reason="", now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert Enrolment.objects.get(program=welcome).ended_why == "exit"
    assert Enrolment.objects.get(program=after).state == "finished"
    assert dict(Sending.objects.values_list("step", "state")) == {"planned": "not_sent", "after": "queued"}


def test_one_budget_over_all_programs_and_the_first_priority_first() -> None:
    actions.set_budget(mails=1, days=7, actor=None, now=NOW)
    segment, template = make_segment(), make_template()
    last = make_program(mail(template, "late"), segment=segment)
    first = make_program(mail(template, "early"), wait(2), mail(template, "again"), segment=segment)
    for program, priority in ((last, 9), (first, 1)):
        actions.rename_program(program, name=program.name, notes="", priority=priority, actor=None, now=NOW)
    (person,) = make_people(1)
    put_in(segment, [person])
    turn.turn(NOW)
    sending.send_due(NOW)
    turn.turn(NOW + 2 * DAY)
    sending.send_due(NOW + 2 * DAY)
    waiting = dict(Sending.objects.filter(state="queued", why_not="frequency").values_list("step", "due_at"))
    assert waiting.keys() == {"late", "again"}
    assert waiting["late"] - waiting["again"] == timedelta(milliseconds=8)
    assert Enrolment.objects.get(program=last).state == "finished"  # it walked on meanwhile
    sending.send_due(waiting["late"])
    assert dict(Sending.objects.values_list("step", "state")) == {"early": "sent", "again": "sent", "late": "not_sent"}
    assert (
        Sending.objects.get(step="late").why_not == "frequency"
    )  # its next place is more than ten days after it was queued
    actions.set_budget(mails=None, days=7, actor=None, now=NOW)
    (other,) = make_people(1)
    put_in(segment, [other])
    turn.turn(NOW + 9 * DAY)
    assert set(Sending.objects.filter(contact=other).values_list("state", flat=True)) == {"queued"}


def test_who_was_turned_away_at_the_entry_is_no_success_later() -> None:
    around = {"goal": {"conditions": HOT}, "keep_out": [make_segment(name="Kept out").slug]}
    program, (reached,) = guarded(wait(1, step_id="w"), around=around)
    (refused,) = make_people(1)
    add_to_segment(Segment.objects.get(name="Kept out"), contact_ids=[refused.pk], cause="by_hand", actor=None, now=NOW)
    put_in(segment_of(program), [refused])
    turn.turn(NOW)
    assert ended(refused)[0] == "left"
    for person in (reached, refused):
        tag(person, "hot", now=NOW + timedelta(hours=1))
    turn.turn(NOW + timedelta(hours=1))
    assert (ended(reached), only_enrolment(refused).goal_at) == (("finished", "goal"), None)
    assert queries_around.goal_count(program.pk) == 1
