"""A simulation's result as people look at it: the calendar, what is doubtful in words."""

from __future__ import annotations

from typing import Any

import pytest

from nurture.kinds import Names
from nurture.simulation.picture import picture_of
from nurture.simulation.results import SERIES, together
from tests.nurture.makers import mail, make_program, make_template, set_workspace, step, wait

pytestmark = pytest.mark.django_db
NONE = {"goals": 0, "never_mailed": 0, "inside": 0, "held_out": 0, "parked": 0, "without_mail": 0}


def part(**values: Any) -> dict[str, Any]:
    """What results.collect gives for one part of the people."""
    return {
        "began_at": "2026-03-25T12:00:00+00:00",
        "ends_at": "2026-04-06T12:00:00+00:00",
        "beats": 3,
        "totals": {**NONE, "people": 100},
        "days": {"2026-03-30": {"mails": 10}, "2026-03-31": {"mails": 90, "entered": 5}},
        "hours": {"2026-03-31T07:00:00+00:00": 90, "2026-03-30T07:00:00+00:00": 10},
        "steps": {"start": {"done": 100}, "m": {"done": 100}, "w": {"here": 100}},
        "not_sent": {"withdrawn": 2},
        "delays": {"window": 3},
        "waiting_to_enter": 0,
        **values,
    }


def test_the_calendar_shows_the_weeks_that_were_walked_and_what_is_doubtful() -> None:
    set_workspace(timezone="Europe/Berlin")
    program = make_program(mail(make_template(), "m"), wait(30, "days", "w"), wait(1, "days", "after"), live=False)
    result = together([part(), part(delays={"window": 1, "frequency": 2})])
    assert {what: result["totals"][what] for what in SERIES if result["totals"][what]} == {"mails": 200, "entered": 10}
    assert result["delays"] == {"window": 4, "frequency": 2}
    assert result["hours"][0] == ("2026-03-31T07:00:00+00:00", 180)
    picture = picture_of(program.versions.get(), result, Names())
    assert [(month.title, len(month.weeks)) for month in picture.months] == [("March 2026", 2), ("April 2026", 2)]
    days = {
        day.on.isoformat(): day for month in picture.months for week in month.weeks for day in week if day.is_inside
    }
    assert (len(days), min(days), max(days)) == (13, "2026-03-25", "2026-04-06")
    assert [days[on].shade for on in ("2026-03-29", "2026-03-30", "2026-03-31")] == [0, 1, 4]
    assert [(hour.words, hour.mails, hour.share) for hour in picture.hours] == [
        ("31 March 2026, 09:00", 180, 100),
        ("30 March 2026, 09:00", 20, 11),
    ]
    assert picture.reasons == [("Consent was withdrawn.", 4)]
    assert picture.doubts == [
        "A dead end: 200 people come to a step, and nobody gets past it in this time: Wait 30 days",
        "Nobody comes to this step: Wait 1 day",
        "4 times a mail waits: It waits for the hours in which mail leaves.",
        "2 times a mail waits: The reader gets no more mails in these days.",
        "A pile-up: 180 mails, 90 % of all, leave in the hour from 31 March 2026, 09:00.",
    ]


def test_hand_offs_that_come_to_nothing_are_told() -> None:
    set_workspace(timezone="Europe/Berlin")
    program = make_program(step("hand_to_sales", "h"), live=False)
    steps = {"start": {"done": 1200}, "h": {"not_handed": 1200}}
    picture = picture_of(program.versions.get(), together([part(steps=steps, delays={}, hours={})]), Names())
    assert picture.doubts == ["Nobody of those who come to this step is handed over: Hand to sales"]
    handed = together([part(steps=steps | {"h": {"not_handed": 1199, "done": 1}}, delays={}, hours={})])
    assert picture_of(program.versions.get(), handed, Names()).doubts == []
