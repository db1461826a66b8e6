"""Time from one given moment: sliding windows, calendar periods, bare dates, clocks that jump, month ends, leap days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from segments.conditions.periods import (
    Moment,
    Span,
    anniversaries,
    date_span,
    instant,
    moment_span,
    parse_date,
    parse_moment,
    shift_date,
    shift_moment,
    start_of_day,
)


def at(text: str, zone: str = "UTC", week_start: int = 1) -> Moment:
    return Moment(datetime.fromisoformat(text).astimezone(UTC), ZoneInfo(zone), week_start)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text + "+00:00")


NOON = at("2026-03-02T12:00:00+00:00")


@pytest.mark.parametrize(
    ("key", "wanted", "inside", "outside"),
    [
        ("in_last", (30, "minutes"), ["12:00:00", "11:30:00.000001"], ["11:30:00", "12:00:00.000001"]),
        ("in_next", (30, "minutes"), ["12:00:00.000001", "12:30:00"], ["12:00:00", "12:30:00.000001"]),
        ("more_than_ago", (30, "minutes"), ["11:29:59.999999"], ["11:30:00", "12:00:00"]),
        ("before", utc("2026-03-02T12:00:00"), ["11:59:59.999999"], ["12:00:00"]),
        ("after", utc("2026-03-02T12:00:00"), ["12:00:00.000001"], ["12:00:00"]),
        (
            "between",
            (utc("2026-03-02T10:00:00"), utc("2026-03-02T11:00:00")),
            ["10:00:00", "11:00:00"],
            ["09:59:59", "11:00:01"],
        ),
    ],
)
def test_edges_of_moments(key: str, wanted: Any, inside: list[str], outside: list[str]) -> None:
    span = moment_span(key, wanted, NOON)
    assert [span.holds(utc(f"2026-03-02T{text}")) for text in inside] == [True] * len(inside)
    assert [span.holds(utc(f"2026-03-02T{text}")) for text in outside] == [False] * len(outside)


@pytest.mark.parametrize(
    ("key", "wanted", "first", "last"),
    [
        ("in_last", (7, "days"), date(2026, 2, 24), date(2026, 3, 2)),
        ("in_last", (1, "months"), date(2026, 2, 3), date(2026, 3, 2)),
        ("in_next", (7, "days"), date(2026, 3, 3), date(2026, 3, 9)),
        ("in_next", (1, "years"), date(2026, 3, 3), date(2027, 3, 2)),
        ("on", date(2026, 3, 2), date(2026, 3, 2), date(2026, 3, 2)),
        ("between", (date(2026, 3, 1), date(2026, 3, 5)), date(2026, 3, 1), date(2026, 3, 5)),
        ("this", "week", date(2026, 3, 2), date(2026, 3, 8)),
        ("last", "week", date(2026, 2, 23), date(2026, 3, 1)),
        ("next", "week", date(2026, 3, 9), date(2026, 3, 15)),
        ("this", "month", date(2026, 3, 1), date(2026, 3, 31)),
        ("last", "month", date(2026, 2, 1), date(2026, 2, 28)),
        ("next", "month", date(2026, 4, 1), date(2026, 4, 30)),
        ("this", "quarter", date(2026, 1, 1), date(2026, 3, 31)),
        ("last", "quarter", date(2025, 10, 1), date(2025, 12, 31)),
        ("next", "quarter", date(2026, 4, 1), date(2026, 6, 30)),
        ("this", "year", date(2026, 1, 1), date(2026, 12, 31)),
        ("last", "year", date(2025, 1, 1), date(2025, 12, 31)),
        ("next", "year", date(2027, 1, 1), date(2027, 12, 31)),
    ],
)
def test_first_and_last_day(key: str, wanted: Any, first: date, last: date) -> None:
    """The same days as dates and, from their first to their last instant, as moments."""
    span = date_span(key, wanted, NOON)
    day = timedelta(days=1)
    assert [span.holds(each) for each in (first - day, first, last, last + day)] == [False, True, True, False]
    if key not in ("in_last", "in_next"):
        moments = moment_span(key, wanted, NOON)
        assert (moments.low, moments.high, moments.has_high) == (
            datetime(first.year, first.month, first.day, tzinfo=UTC),
            datetime(last.year, last.month, last.day, tzinfo=UTC) + day,
            False,
        )


@pytest.mark.parametrize(
    ("key", "wanted", "begin", "end"),
    [
        ("after", date(2026, 3, 1), "2026-03-02T00:00:00", None),
        ("before", date(2026, 3, 1), None, "2026-03-01T00:00:00"),
        ("between", (date(2026, 2, 28), date(2026, 3, 1)), "2026-02-28T00:00:00", "2026-03-02T00:00:00"),
        ("on", date(2026, 3, 1), "2026-03-01T00:00:00", "2026-03-02T00:00:00"),
    ],
)
def test_moments_against_bare_dates_take_whole_days(key: str, wanted: Any, begin: str | None, end: str | None) -> None:
    span = moment_span(key, wanted, NOON)
    assert (span.low, span.high) == (utc(begin) if begin else None, utc(end) if end else None)


@pytest.mark.parametrize(
    ("week_start", "first"), [(1, date(2026, 2, 23)), (6, date(2026, 2, 28)), (7, date(2026, 3, 1))]
)
def test_weeks_start_where_the_workspace_says(week_start: int, first: date) -> None:
    sunday = at("2026-03-01T12:00:00+00:00", week_start=week_start)
    assert date_span("this", "week", sunday).low == first


@pytest.mark.parametrize(
    ("day", "number", "unit", "expected"),
    [
        ("2026-03-31", -1, "months", "2026-02-28"),
        ("2024-03-31", -1, "months", "2024-02-29"),
        ("2026-05-31", -1, "quarters", "2026-02-28"),
        ("2024-02-29", -1, "years", "2023-02-28"),
        ("2024-02-29", 4, "years", "2028-02-29"),
        ("2026-01-31", 1, "months", "2026-02-28"),
        ("2026-12-15", 1, "months", "2027-01-15"),
        ("2026-03-02", -2, "weeks", "2026-02-16"),
    ],
)
def test_month_ends_stay_in_their_month(day: str, number: int, unit: str, expected: str) -> None:
    assert shift_date(date.fromisoformat(day), number, unit) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("text", "number", "unit", "zone", "expected"),
    [
        # clocks went forward on 29 March 2026 at 02:00 in Berlin
        ("2026-03-30T10:00:00+00:00", -1, "days", "Europe/Berlin", "2026-03-29T10:00:00"),  # 24 hours
        ("2026-03-30T10:00:00+00:00", -1, "months", "Europe/Berlin", "2026-02-28T11:00:00"),  # 12:00 on the wall
        ("2026-04-15T10:00:00+00:00", -1, "months", "Europe/Berlin", "2026-03-15T11:00:00"),
        (
            "2026-04-29T00:30:00+00:00",
            -1,
            "months",
            "Europe/Berlin",
            "2026-03-29T01:30:00",
        ),  # 02:30 is not there: 03:30
        (
            "2025-11-26T01:30:00+00:00",
            -1,
            "months",
            "Europe/Berlin",
            "2025-10-26T00:30:00",
        ),  # 02:30 comes twice: the first
        ("2026-03-31T12:00:00+00:00", -1, "months", "UTC", "2026-02-28T12:00:00"),
        ("2026-03-02T12:00:00.123456+00:00", -1, "years", "UTC", "2025-03-02T12:00:00.123456"),
    ],
)
def test_months_keep_the_wall_clock(text: str, number: int, unit: str, zone: str, expected: str) -> None:
    assert shift_moment(datetime.fromisoformat(text), number, unit, ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    ("day", "zone", "expected"),
    [
        ("2026-03-29", "Europe/Berlin", "2026-03-28T23:00:00"),
        ("2026-03-30", "Europe/Berlin", "2026-03-29T22:00:00"),
        ("2018-11-04", "America/Sao_Paulo", "2018-11-04T03:00:00"),  # midnight is skipped
        ("2025-11-02", "America/Havana", "2025-11-02T04:00:00"),  # midnight comes twice: the first
        ("1919-03-31", "America/Toronto", "1919-03-31T04:30:00"),  # from 23:30 to 00:30: the day starts at 00:30
        ("2011-12-31", "Pacific/Apia", "2011-12-30T10:00:00"),  # 30 December 2011 was left out
    ],
)
def test_a_day_starts_at_its_first_instant(day: str, zone: str, expected: str) -> None:
    assert start_of_day(date.fromisoformat(day), ZoneInfo(zone)) == utc(expected)


def test_a_day_of_changed_clocks_has_23_or_25_hours() -> None:
    spring = moment_span("on", date(2026, 3, 29), at("2026-04-01T00:00:00+00:00", "Europe/Berlin"))
    autumn = moment_span("on", date(2025, 10, 26), at("2026-04-01T00:00:00+00:00", "Europe/Berlin"))
    assert spring.low is not None
    assert spring.high is not None
    assert autumn.low is not None
    assert autumn.high is not None
    assert (spring.high - spring.low, autumn.high - autumn.low) == (timedelta(hours=23), timedelta(hours=25))


def test_today_is_a_day_of_the_zone() -> None:
    assert at("2026-03-01T23:30:00+00:00", "Asia/Tokyo").today == date(2026, 3, 2)
    assert at("2026-03-01T23:30:00+00:00", "America/New_York").today == date(2026, 3, 1)


@pytest.mark.parametrize(
    ("today", "number", "days"),
    [
        ("2026-03-02", 0, [302]),
        ("2026-02-27", 1, [228, 229]),  # a common year: 29 February falls on the 28th
        ("2024-02-27", 1, [228]),
        ("2024-02-28", 1, [229]),
        ("2026-02-28", 1, [301]),
        ("2026-12-31", 1, [101]),
        ("2026-03-02", 365, [302]),
    ],
)
def test_anniversaries(today: str, number: int, days: list[int]) -> None:
    assert anniversaries(number, at(f"{today}T12:00:00+00:00")) == days


@pytest.mark.parametrize(
    ("number", "unit"), [(10**9, "years"), (10**9, "minutes"), (10**9, "weeks"), (9000, "years"), (10**9, "quarters")]
)
def test_beyond_the_calendar_is_without_end(number: int, unit: str) -> None:
    wanted = (number, unit)
    assert moment_span("in_last", wanted, NOON).holds(utc("1900-01-01T00:00:00"))
    assert not moment_span("more_than_ago", wanted, NOON).holds(utc("1900-01-01T00:00:00"))
    assert date_span("in_next", (number, "years"), NOON).holds(date(2100, 1, 1))
    assert moment_span("after", date(9999, 12, 31), NOON).is_empty


@pytest.mark.parametrize(
    ("text", "is_date", "is_moment"),
    [
        ("2026-03-31", True, False),
        ("2026-02-30", False, False),
        ("20260331", False, False),
        ("2026-3-1", False, False),
        ("2026-03-31T10:00", False, True),
        ("2026-03-31 10:00:00.5Z", False, True),
        ("2026-03-31T10:00:00.1234567+02:00", False, True),
        ("2026-03-31T24:00:00", False, False),
        ("2026-03-31T10:00:60", False, False),
        ("now", False, False),
        ("2026-03-31\n", False, False),
        ("٢٠٢٦-٠٣-٣١", False, False),
    ],
)
def test_iso_text(text: str, is_date: bool, is_moment: bool) -> None:
    assert (parse_date(text) is not None, parse_moment(text) is not None) == (is_date, is_moment)


def test_moments_are_kept_to_the_microsecond_and_read_in_the_zone() -> None:
    parsed = parse_moment("2026-03-31T10:00:00.1234567")
    assert parsed == datetime(2026, 3, 31, 10, 0, 0, 123456)
    assert instant(parsed, ZoneInfo("Europe/Berlin")) == utc("2026-03-31T08:00:00.123456")
    assert instant(datetime.min, ZoneInfo("Asia/Tokyo")) == datetime.min.replace(tzinfo=UTC)


def test_a_span_without_ends_holds_everything_and_an_empty_one_nothing() -> None:
    assert Span[date]().holds(date(2026, 1, 1))
    assert not Span[date](is_empty=True).holds(date(2026, 1, 1))
    assert Span(None, date(2026, 5, 1)).until(date(2026, 1, 1)) == Span(None, date(2026, 1, 1))
