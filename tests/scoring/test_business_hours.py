"""Business hours: nights, weekends, days off, changes of clocks, and moments outside of them."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads.models import Workspace
from scoring.business_hours import Calendar, after, between, calendar_of

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = Calendar(BERLIN)  # Monday to Friday, 9 to 17


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        ("2026-03-09T10:00", 2, "2026-03-09T12:00"),  # within a day
        ("2026-03-09T10:00", 7, "2026-03-09T17:00"),  # to the last minute of the day
        ("2026-03-09T10:00", 8, "2026-03-10T10:00"),  # a working day later
        ("2026-03-09T06:00", 1, "2026-03-09T10:00"),  # before opening
        ("2026-03-09T17:00", 1, "2026-03-10T10:00"),  # at closing
        ("2026-03-09T23:30", 8, "2026-03-10T17:00"),  # at night
        ("2026-03-13T16:00", 8, "2026-03-16T16:00"),  # Friday afternoon
        ("2026-03-14T12:00", 8, "2026-03-16T17:00"),  # Saturday
        ("2026-03-27T16:00", 8, "2026-03-30T16:00"),  # over the Sunday on which clocks go forward
        ("2026-10-23T16:00", 8, "2026-10-26T16:00"),  # over the Sunday on which clocks go back
        ("2026-03-13T16:00", 41, "2026-03-20T17:00"),  # more than a week, to the last minute of a Friday
        ("2026-03-09T10:00", 0, "2026-03-09T10:00"),
        ("2026-03-14T10:00", 0, "2026-03-16T09:00"),  # nothing to wait for, but nobody works
        ("2026-03-09T10:00", 0.25, "2026-03-09T10:15"),
    ],
)
def test_due(start: str, hours: float, due: str) -> None:
    assert after(berlin(start), hours, OFFICE) == berlin(due)


@pytest.mark.parametrize(
    ("start", "hours", "due"),
    [
        # Clocks go forward on 29 March at 2:00: the night shift that begins on the 28th is seven hours long.
        ("2026-03-28T22:00", 7, "2026-03-29T06:00"),
        ("2026-03-28T22:00", 8, "2026-03-29T23:00"),
        # Clocks go back on 25 October at 3:00: nine hours.
        ("2026-10-24T22:00", 9, "2026-10-25T06:00"),
        ("2026-10-24T22:00", 8, "2026-10-25T05:00"),
        ("2026-03-09T03:00", 1, "2026-03-09T04:00"),  # in a shift that began the day before
    ],
)
def test_night_shifts_count_real_hours(start: str, hours: float, due: str) -> None:
    nights = Calendar(BERLIN, frozenset(range(1, 8)), time(22), time(6))
    assert after(berlin(start), hours, nights) == berlin(due)


def test_hours_that_a_change_of_clocks_swallows_are_no_shift() -> None:
    short = Calendar(BERLIN, frozenset({7}), time(2), time(3))  # Sundays from 2 to 3
    assert short.shift(berlin("2026-03-29T00:00").date()) is None
    assert after(berlin("2026-03-28T12:00"), 1, short) == berlin("2026-04-05T03:00")


def test_around_the_clock() -> None:
    always = Calendar(ZoneInfo("UTC"), frozenset(range(1, 8)), time(0), time(0))
    start = datetime(2026, 3, 14, 5, 30, tzinfo=UTC)
    assert after(start, 100, always) == start + timedelta(hours=100)


def test_a_day_that_does_not_exist_in_a_zone() -> None:
    """Samoa left out 30 December 2011."""
    apia = Calendar(ZoneInfo("Pacific/Apia"))
    start = datetime(2011, 12, 29, 16, tzinfo=apia.zone)
    assert after(start, 2, apia) <= datetime(2012, 1, 2, 10, tzinfo=apia.zone)


@pytest.mark.parametrize(
    ("start", "end", "hours"),
    [
        ("2026-03-09T10:00", "2026-03-09T12:00", 2),
        ("2026-03-13T16:00", "2026-03-16T10:00", 2),
        ("2026-03-14T10:00", "2026-03-15T10:00", 0),
        ("2026-03-09T12:00", "2026-03-09T10:00", -2),
        ("2026-03-27T16:00", "2026-03-30T16:00", 8),
    ],
)
def test_business_time_between(start: str, end: str, hours: int) -> None:
    assert between(berlin(start), berlin(end), OFFICE) == timedelta(hours=hours)


@given(
    start=st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 12, 31)),
    minutes=st.integers(min_value=1, max_value=6000),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    opens=st.integers(min_value=0, max_value=23),
    closes=st.integers(min_value=0, max_value=23),
    days=st.frozensets(st.integers(min_value=1, max_value=7), min_size=1),
)
def test_the_two_functions_agree(
    start: datetime, minutes: int, zone: str, opens: int, closes: int, days: frozenset[int]
) -> None:
    calendar = Calendar(ZoneInfo(zone), days, time(opens), time(closes))
    begin = start.replace(tzinfo=UTC)
    assert between(begin, after(begin, minutes / 60, calendar), calendar) == timedelta(minutes=minutes)


def test_from_the_settings() -> None:
    row = Workspace(timezone="Europe/Berlin", business_days=[7, 1], business_start=time(8), business_end=time(12, 30))
    assert calendar_of(row) == Calendar(BERLIN, frozenset({1, 7}), time(8), time(12, 30))
    assert calendar_of(Workspace(timezone="Mars/Base", business_days=[])) == Calendar(ZoneInfo("UTC"))
