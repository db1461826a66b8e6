"""Steps that wait for something about the person: a condition with its end, a day in a field; woken by a change, in time and once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from leads import actions as facts
from leads.actions import NewActivity, record_activities
from leads.models import Contact, CustomField
from nurture import actions, turn
from nurture.kinds import KINDS, Names
from nurture.kinds.wait_for_date import moment_of
from nurture.models import Enrolment
from tests.makers import NOW, make_contact
from tests.nurture.makers import (
    make_walk,
    only_enrolment,
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
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")


def until(conditions: dict[str, Any], days: int = 7) -> dict[str, Any]:
    yes, no = [step("add_tag", "y", tag="yes")], [step("add_tag", "n", tag="no")]
    return step("wait_until", "u", conditions=conditions, days=days, met=yes, late=no)


def tag(contact: Contact, name: str, *, now: datetime) -> None:
    facts.add_tag([contact.pk], tag=name, now=now)


# --- Until a condition -------------------------------------------------------------------------------------------------------


def test_goes_on_at_once_when_it_holds_and_the_other_way_when_it_is_too_late() -> None:
    _program, (soon, never) = make_walk(until(HOT), people=2)
    already = make_contact(tags=["hot"])
    put_in(segment_of(_program), [already])
    turn.turn(NOW)
    assert trace(already) == [("u", "met"), ("y", "done")]
    assert only_enrolment(soon).next_step_at == NOW + 7 * DAY
    tag(soon, "hot", now=NOW + DAY)
    report = turn.turn(NOW + DAY)
    assert report.definitions.followed["wakes"] == 1
    assert trace(soon) == [("u", "met"), ("y", "done")]
    assert trace(never) == []
    turn.turn(NOW + 7 * DAY - timedelta(seconds=1))
    assert trace(never) == []
    turn.turn(NOW + 7 * DAY)
    assert trace(never) == [("u", "late"), ("n", "done")]


def test_until_an_activity() -> None:
    _program, (person,) = make_walk(
        until({"did": "form_submit", "when": {"op": "in_last", "value": 1, "unit": "days"}})
    )
    turn.turn(NOW)
    record_activities([NewActivity(person.pk, "form_submit", NOW + 2 * DAY)], now=NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY)
    assert trace(person) == [("u", "met"), ("y", "done")]


def test_who_was_woken_for_nothing_waits_on_until_the_same_end() -> None:
    _program, (person,) = make_walk(wait(1, step_id="w"), until(HOT))
    walk(NOW)
    walk(NOW + DAY)
    Enrolment.objects.update(next_step_at=NOW + 2 * DAY)  # woken, but the tag was gone again before the step
    assert walk(NOW + 2 * DAY).parked == 0
    enrolment = only_enrolment(person)
    assert (enrolment.step, enrolment.state, enrolment.next_step_at) == ("u", "active", NOW + 8 * DAY)
    assert trace(person) == [("w", "done")]


def test_a_pause_moves_the_end_or_not_and_what_came_meanwhile_is_seen() -> None:
    program, (met, late) = make_walk(until(HOT), people=2)
    turn.turn(NOW)
    actions.pause(program, actor=None, now=NOW + DAY)
    tag(met, "hot", now=NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY)
    assert trace(met) == []
    actions.resume(program, waits="shift", actor=None, now=NOW + 4 * DAY)
    turn.turn(NOW + 4 * DAY)
    assert trace(met) == [("u", "met"), ("y", "done")]
    assert only_enrolment(late).next_step_at == NOW + 10 * DAY
    turn.turn(NOW + 10 * DAY)
    assert trace(late) == [("u", "late"), ("n", "done")]


# --- For a day -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("2026-03-20", {"days": -3}, datetime(2026, 3, 17, 8, tzinfo=UTC)),
        ("2026-03-20", {"days": 0, "at": "00:30"}, datetime(2026, 3, 19, 23, 30, tzinfo=UTC)),
        ("2026-03-20", {"clock": "contact"}, datetime(2026, 3, 20, 13, tzinfo=UTC)),
        ("2026-02-01", {}, None),  # past
        ("2026-02-27", {"days": 5}, datetime(2026, 3, 4, 8, tzinfo=UTC)),  # past itself, five days later not
        ("", {}, None),
        ("soon", {}, None),
        ("9999-12-31", {"days": 30}, None),
        ("2026-03-29", {"at": "02:30"}, datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),  # skipped: an hour later
        ("2026-10-25", {"at": "02:30"}, datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # twice: the first
        ("2026-03-20T23:30:00+00:00", {}, datetime(2026, 3, 21, 8, tzinfo=UTC)),  # a moment is its day in Berlin
        ("1980-06-15", {"yearly": True}, datetime(2026, 6, 15, 7, tzinfo=UTC)),
        ("1980-01-15", {"yearly": True, "days": -7}, datetime(2027, 1, 8, 8, tzinfo=UTC)),
        ("1980-02-29", {"yearly": True}, datetime(2027, 2, 28, 8, tzinfo=UTC)),
        ("1980-03-01", {"yearly": True, "days": 3650}, datetime(2027, 2, 27, 8, tzinfo=UTC)),
    ],
)
def test_when_a_day_comes(text: str, values: dict[str, Any], expected: datetime | None) -> None:
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert moment_of(text, {"at": "09:00", **values}, since=since, home=BERLIN, own=NEW_YORK) == expected


def for_day(**values: Any) -> dict[str, Any]:
    yes, no = [step("add_tag", "y", tag="yes")], [step("add_tag", "n", tag="no")]
    return step("wait_for_date", "d", field="custom.renewal", days=-2, at="09:00", **values, day=yes, none=no)


def test_waits_for_the_day_and_follows_it_when_it_moves() -> None:
    facts.make_custom_field("contact", key="renewal", label="Renewal", type=CustomField.Type.DATE, actor=None, now=NOW)
    set_workspace(timezone="UTC")
    nine = NOW.replace(hour=9, minute=0, second=0, microsecond=0)
    day = (nine + 12 * DAY).date().isoformat()
    _program, (kept, moved, gone, none) = make_walk(for_day(), people=4)
    Contact.objects.exclude(pk=none.pk).update(custom={"renewal": day})
    turn.turn(NOW)
    assert trace(none) == [("d", "none"), ("n", "done")]
    assert {only_enrolment(person).next_step_at for person in (kept, moved, gone)} == {nine + 10 * DAY}
    later = (nine + 22 * DAY).date().isoformat()
    facts.set_field_for([moved.pk], field="custom.renewal", value=later, now=NOW + DAY)
    facts.set_field_for([gone.pk], field="custom.renewal", value=None, now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert only_enrolment(moved).next_step_at == nine + 20 * DAY
    assert trace(gone) == [("d", "none"), ("n", "done")]
    turn.turn(nine + 10 * DAY)
    assert trace(kept) == [("d", "day"), ("y", "done")]
    assert trace(moved) == []
    turn.turn(nine + 20 * DAY)
    assert trace(moved) == [("d", "day"), ("y", "done")]


# --- What a form may hold ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "values", "keys"),
    [
        ("wait_until", {"days": 0}, ["days"]),
        ("wait_until", {"conditions": {"field": "nothing", "op": "is"}}, ["conditions.field"]),
        ("wait_for_date", {"days": 1.5}, ["days"]),
        (
            "wait_for_date",
            {"days": 9999, "yearly": "yes", "at": "25:00", "clock": "mine"},
            ["days", "yearly", "at", "clock"],
        ),
        ("wait_for_date", {"field": 5}, ["field"]),
        ("change_owner", {"owner": "Ada", "nobody": True}, ["nobody"]),
        ("start_program", {"program": 5}, ["program"]),
    ],
)
def test_malformed_values_name_their_key(kind: str, values: dict[str, Any], keys: list[str]) -> None:
    assert [key for key, _message in KINDS[kind].malformed(values)] == keys


@pytest.mark.parametrize(
    ("kind", "values", "problems"),
    [
        (
            "wait_until",
            {},
            ["The wait has no condition.", "The wait has no end: say after how many days it is too late."],
        ),
        ("wait_for_date", {}, ["The wait names no field."]),
        ("wait_for_date", {"field": "title"}, ["“job title” is no field that holds a day."]),
        ("change_owner", {}, ["The step does not say to whom."]),
        ("change_owner", {"owner": "Nobody Known"}, ["There is no owner “Nobody Known” any more."]),
        ("start_program", {"program": "gone"}, ["The program “gone” does not exist any more."]),
        ("leave_program", {}, ["The step names no program."]),
    ],
)
def test_what_is_missing_is_said(kind: str, values: dict[str, Any], problems: list[str]) -> None:
    assert [message for message, _blocks in KINDS[kind].problems(values, Names())] == problems


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("wait_until", {"conditions": HOT, "days": 7}, "Wait until: Tags include any of “hot”, at most 7 days"),
        (
            "wait_for_date",
            {"field": "created_at", "days": -2, "at": "09:00"},
            "Wait until 2 days before “known since”, 09:00",
        ),
        (
            "wait_for_date",
            {"field": "created_at", "days": 1, "at": "10:30", "yearly": True, "clock": "contact"},
            "Wait until 1 day after the next anniversary of “known since”, 10:30 on the contact's clock",
        ),
        ("change_owner", {"nobody": True}, "Take the owner off"),
        ("start_program", {"program": "gone"}, "Start the program “gone”"),
    ],
)
def test_words(kind: str, values: dict[str, Any], words: str) -> None:
    assert KINDS[kind].words(values, Names()) == words


@pytest.mark.parametrize(
    ("kind", "typed", "stored"),
    [
        (
            "wait_for_date",
            {"field": "created_at", "days": "-2", "at": "08:15", "clock": "contact", "yearly": "on"},
            {"field": "created_at", "days": -2, "at": "08:15", "clock": "contact", "yearly": True},
        ),
        ("wait_until", {"days": "7", "conditions": ""}, {"days": 7}),
        ("change_owner", {"nobody": "on"}, {"nobody": True}),
    ],
)
def test_forms_store_what_the_tree_takes_and_read_it_back(
    kind: str, typed: dict[str, str], stored: dict[str, Any]
) -> None:
    form = KINDS[kind].form(typed, names=Names())
    assert form.is_valid(), form.errors
    assert form.values() == stored
    assert list(KINDS[kind].malformed(stored)) == []
    assert KINDS[kind].form.initial_of(stored) == stored
