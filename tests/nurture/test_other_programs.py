"""Programs that start or end others, the owner, and loops that never become endless."""

from __future__ import annotations

from datetime import timedelta

import pytest

from leads.models import Contact
from nurture import actions, engine, queries, tree, turn
from nurture.kinds import Names
from nurture.models import Enrolment, Program, ProgramVersion, Sending
from segments.actions import remove_from_segment
from tests.makers import NOW, make_owner
from tests.nurture.makers import mail, make_people, make_program, publish, put_in, segment_of, step, trace, wait

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def edited(draft: ProgramVersion, steps: list[tree.Document]) -> ProgramVersion:
    return actions.edit_draft(draft, edit_number=draft.edit_number, change=lambda _old: {"steps": steps}, now=NOW)


def again(program: Program, days: int) -> None:
    """Let people in again, in a new version."""
    draft = actions.start_draft(program, actor=None, now=NOW)
    actions.set_around(draft, edit_number=draft.edit_number, document={"again": {"days": days}}, now=NOW)
    publish(program, intake="new")


def test_starts_another_program_once_and_walks_on() -> None:
    other = make_program(wait(3), name="Other", intake="new")
    program = make_program(step("start_program", "s", program=other.slug), step("add_tag", "t", tag="after"))
    fresh, inside = make_people(2)
    put_in(segment_of(other), [inside])
    put_in(segment_of(program), [fresh, inside])
    turn.turn(NOW)
    assert trace(fresh) == [("s", "done"), ("t", "done")]
    assert trace(inside) == [("s", "not_entered"), ("t", "done")]
    entered = Enrolment.objects.get(program=other, contact=fresh)
    assert (entered.entered_why, entered.state, entered.round) == (f"program:{program.slug}", "active", 1)
    assert queries.holds("one_next_step")


def test_a_program_that_does_not_run_is_not_entered_and_the_draft_is_warned() -> None:
    other = make_program(wait(3), name="Other", live=False)
    program = make_program(step("start_program", "s", program=other.slug))
    problems = actions.problems_of(program.versions.get(), Names())
    assert [(problem.message, problem.blocks) for problem in problems] == [
        ("“Other” is draft: nobody would enter it.", False)
    ]
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    turn.turn(NOW)
    assert trace(person) == [("s", "not_entered")]
    assert not Enrolment.objects.filter(program=other).exists()


def test_leaves_another_program_with_the_mail_that_waits() -> None:
    other = make_program(mail(step_id="planned"), wait(3), name="Other")
    program = make_program(wait(1), step("leave_program", "l", program=other.slug))
    inside, outside = make_people(2)
    put_in(segment_of(other), [inside])
    put_in(segment_of(program), [inside, outside])
    turn.turn(NOW)
    turn.turn(NOW + DAY)
    left = Enrolment.objects.get(program=other)
    assert (left.state, left.ended_why) == ("left", f"program:{program.slug}")
    assert Sending.objects.get().why_not == "left_program"
    outcomes = dict(
        Enrolment.objects.filter(program=program, visits__step="l").values_list("contact", "visits__outcome")
    )
    assert outcomes == {inside.pk: "done", outside.pk: "not_inside"}


def test_leaving_the_own_program_ends_the_walk() -> None:
    program = make_program(wait(1), name="Own", live=False)
    draft = program.versions.get()
    steps = [step("leave_program", "l", program=program.slug), step("add_tag", "t", tag="never")]
    edited(draft, steps)
    publish(program)
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    turn.turn(NOW)
    assert Enrolment.objects.get().state == "left"
    assert Contact.objects.get(pk=person.pk).tags == []


def ring(*names: str) -> list[Program]:
    """Live programs, each of which starts the next one and the last the first, with people let in again; the last one is only a draft."""
    programs = [make_program(wait(1), name=name, intake="new") for name in names]
    for number, program in enumerate(programs):
        onto = programs[(number + 1) % len(programs)]
        draft = edited(
            actions.start_draft(program, actor=None, now=NOW), [step("start_program", "s", program=onto.slug)]
        )
        actions.set_around(draft, edit_number=draft.edit_number, document={"again": {"days": 0}}, now=NOW)
        if program != programs[-1]:
            publish(program, intake="new")
    return programs


def test_a_ring_of_programs_is_refused_where_it_would_close() -> None:
    last = ring("First", "Second", "Third")[-1]
    with pytest.raises(actions.CannotStart) as caught:
        publish(last, intake="new")
    (problem,) = caught.value.problems
    words = "People would go round without end, since each of these lets them in again: Third → First → Second → Third."
    assert (problem.step, problem.message) == ("s", words)
    draft = last.versions.get(state="draft")
    actions.set_around(draft, edit_number=draft.edit_number, document={}, now=NOW)
    publish(last, intake="new")  # who was in the third does not come again: the ring ends by itself


def test_a_ring_of_a_step_and_a_trigger_is_refused() -> None:
    """The first starts the second, whose end lets people into the first."""
    first, second = make_program(wait(1), name="First"), make_program(wait(1), name="Second")
    again(second, 0)
    draft = edited(actions.start_draft(first, actor=None, now=NOW), [step("start_program", "s", program=second.slug)])
    draft = actions.set_around(draft, edit_number=draft.edit_number, document={"again": {"days": 0}}, now=NOW) or draft
    draft.refresh_from_db()
    triggers = [{"id": "t1", "kind": "program", "program": second.slug, "when": "finished"}]
    actions.set_triggers(draft, edit_number=draft.edit_number, triggers=triggers, now=NOW)
    with pytest.raises(actions.CannotStart) as caught:
        publish(first, intake="new")
    assert [(problem.step, "First → Second → First" in problem.message) for problem in caught.value.problems] == [
        ("s", True)
    ]


def test_a_program_that_starts_itself_is_refused() -> None:
    program = make_program(wait(1), name="Own", live=False)
    draft = edited(program.versions.get(), [step("start_program", "s", program=program.slug)])
    actions.set_around(draft, edit_number=draft.edit_number, document={"again": {"days": 0}}, now=NOW)
    with pytest.raises(actions.CannotStart, match="starts itself"):
        publish(program)


def test_a_ring_that_came_about_otherwise_goes_round_once_a_day() -> None:
    first, last = ring("First", "Second")
    ProgramVersion.objects.filter(program=last, state="live").update(state="past")
    ProgramVersion.objects.filter(program=last, state="draft").update(state="live")
    (person,) = make_people(1)
    put_in(segment_of(first), [person], now=NOW)
    for hours in (0, 1, 2, 30):
        turn.turn(NOW + timedelta(hours=hours))
    assert Enrolment.objects.filter(contact=person).count() == 2
    assert not Enrolment.objects.filter(state="active").exists()


def test_whoever_goes_round_too_often_is_parked_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "STEPS_A_DAY", 6)  # three walks of entry and tag
    program = make_program(step("add_tag", "t", tag="x"), name="Round", intake="new")
    again(program, 0)
    (person,) = make_people(1)
    segment = segment_of(program)
    for minute in range(0, 10, 2):
        put_in(segment, [person], now=NOW + timedelta(minutes=minute))
        turn.turn(NOW + timedelta(minutes=minute))
        out = NOW + timedelta(minutes=minute + 1)
        remove_from_segment(segment, contact_ids=[person.pk], cause="by_hand", actor=None, now=out)
    parked = Enrolment.objects.get(state="parked")
    assert (parked.round, parked.step) == (4, "start")
    assert parked.problem.startswith("Went round too often: 6 steps")
    actions.retry_parked(program, actor=None, now=NOW + timedelta(hours=1))
    turn.turn(NOW + timedelta(hours=1))
    assert Enrolment.objects.filter(state="parked").count() == 1
    actions.retry_parked(program, actor=None, now=NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY)
    assert not Enrolment.objects.filter(state="parked").exists()
    assert queries.holds("one_next_step")


def test_nobody_enters_a_program_more_than_ten_times_a_day() -> None:
    """Whatever lets people enter anew, also programs that take each other's people out of a segment and put them in again."""
    program = make_program(step("add_tag", "t", tag="x"), name="Round", intake="new")
    segment = segment_of(program)
    again(program, 0)
    (person,) = make_people(1)
    for minute in range(0, 26, 2):
        put_in(segment, [person], now=NOW + timedelta(minutes=minute))
        turn.turn(NOW + timedelta(minutes=minute))
        out = NOW + timedelta(minutes=minute + 1)
        remove_from_segment(segment, contact_ids=[person.pk], cause="by_hand", actor=None, now=out)
    assert Enrolment.objects.filter(contact=person).count() == 10
    put_in(segment, [person], now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert Enrolment.objects.filter(contact=person).count() == 11


def test_changes_the_owner() -> None:
    owner = make_owner(name="Grace")
    program = make_program(step("change_owner", "o", owner="Grace"), wait(1), step("change_owner", "p", nobody=True))
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    turn.turn(NOW)
    assert Contact.objects.get().owner == owner
    turn.turn(NOW + DAY)
    assert Contact.objects.get().owner is None
