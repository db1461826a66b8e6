"""Going on after a pause: waits that passed are over, begin anew or last longer, and the sheet counts exactly whom that concerns."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nurture import actions
from nurture.models import Program
from nurture.publication import pausing
from nurture.turn import take_in
from tests.makers import NOW
from tests.nurture.makers import make_people, make_program, only_enrolment, put_in, segment_of, step, trace, wait, walk

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def paused() -> tuple[Program, list[object]]:
    """Two wait for two days, from NOW and from NOW + 2; one for a Monday at nine. Paused from NOW + 1 day on."""
    program = make_program(wait(2, "days", "w"))
    early, late = make_people(2)
    put_in(segment_of(program), [early])
    take_in(NOW)
    walk()
    put_in(segment_of(program), [late], now=NOW + DAY)
    take_in(NOW + DAY, full=True)
    walk(NOW + DAY)
    actions.pause(program, actor=None, now=NOW + DAY)
    program.refresh_from_db()
    return program, [early, late]


@pytest.mark.parametrize(
    ("choice", "changed", "early_due", "late_due"),
    [
        ("at_once", 0, 2, 3),
        ("anew", 1, 4.5, 3),
        ("shift", 2, 3.5, 4.5),
    ],
)
def test_what_becomes_of_the_waits(choice: str, changed: int, early_due: float, late_due: float) -> None:
    program, (early, late) = paused()
    now = NOW + 2.5 * DAY
    sheet = pausing.sheet(program, now)
    assert (sheet.passed, sheet.number, sheet.length) == (1, {"at_once": 1, "anew": 1, "shift": 2}, 1.5 * DAY)
    assert actions.resume(program, waits=choice, actor=None, now=now) == changed
    due = [only_enrolment(person).next_step_at for person in (early, late)]  # type: ignore[arg-type]
    assert due == [NOW + early_due * DAY, NOW + late_due * DAY]


def test_a_weekday_comes_when_it_comes() -> None:
    program = make_program(step("wait", "w", until={"days": [1], "at": "09:00"}))
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    take_in(NOW)
    walk()
    monday = only_enrolment(person).next_step_at
    assert monday is not None
    actions.pause(program, actor=None, now=NOW)
    program.refresh_from_db()
    assert pausing.sheet(program, NOW + DAY / 24).number["shift"] == 0
    assert actions.resume(program, waits="shift", actor=None, now=monday + DAY) == 0
    assert only_enrolment(person).next_step_at == monday
    walk(monday + DAY)
    assert trace(person) == [("w", "done")]


def test_anew_a_weekday_is_the_next_one() -> None:
    program = make_program(step("wait", "w", until={"days": [1], "at": "09:00"}))
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    take_in(NOW)
    walk()
    monday = only_enrolment(person).next_step_at
    assert monday is not None
    actions.pause(program, actor=None, now=NOW)
    program.refresh_from_db()
    assert actions.resume(program, waits="anew", actor=None, now=monday + DAY) == 1
    assert only_enrolment(person).next_step_at == monday + 7 * DAY


def test_what_becomes_of_the_waits_must_be_said() -> None:
    program, _people = paused()
    with pytest.raises(actions.NurtureRefused, match="Say what becomes"):
        actions.resume(program, waits="somehow", actor=None, now=NOW + 2 * DAY)
