"""Wall-clock waits: weekday sets, zones, gaps and overlaps of daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.kinds.clock import zone_named
from nurture.kinds.wait import next_at

ALL = [1, 2, 3, 4, 5, 6, 7]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


CASES = [
    # now, days, wall clock, zone, expected; in UTC
    ("2026-03-02T12:00", [2], "09:00", "UTC", "2026-03-03T09:00"),
    ("2026-03-03T09:00", [2], "09:00", "UTC", "2026-03-03T09:00"),
    ("2026-03-03T09:00:01", [2], "09:00", "UTC", "2026-03-10T09:00"),
    ("2026-03-06T20:00", [1, 2, 3, 4, 5], "09:00", "UTC", "2026-03-09T09:00"),
    ("2026-03-02T23:30", ALL, "09:00", "Asia/Tokyo", "2026-03-03T00:00"),
    ("2026-03-02T23:30", [2], "09:00", "America/Los_Angeles", "2026-03-03T17:00"),
    ("2026-03-03T01:00", [2], "09:00", "America/Los_Angeles", "2026-03-03T17:00"),
    (
        "2026-03-29T00:00",
        ALL,
        "02:30",
        "Europe/Berlin",
        "2026-03-29T01:30",
    ),  # the gap: 02:30 does not exist, 03:30 does
    ("2026-03-29T01:45", ALL, "02:30", "Europe/Berlin", "2026-03-30T00:30"),
    ("2026-10-25T00:00", ALL, "02:30", "Europe/Berlin", "2026-10-25T00:30"),  # the overlap: the first of the two
    ("2026-10-25T00:45", ALL, "02:30", "Europe/Berlin", "2026-10-26T01:30"),
    ("2026-10-24T12:00", [7], "09:00", "Europe/Berlin", "2026-10-25T08:00"),
    ("2026-04-04T12:00", [7], "02:30", "Australia/Sydney", "2026-04-04T15:30"),
    ("2026-03-02T12:00", [2], "00:00", "Pacific/Kiritimati", "2026-03-09T10:00"),
]


@pytest.mark.parametrize(("now", "days", "clock", "zone", "expected"), CASES)
def test_next_at(now: str, days: list[int], clock: str, zone: str, expected: str) -> None:
    assert next_at(at(now), days=days, at=time.fromisoformat(clock), zone=ZoneInfo(zone)) == at(expected)


@given(
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    days=st.lists(st.integers(1, 7), min_size=1, unique=True).map(sorted),
    clock=st.times().map(lambda found: found.replace(second=0, microsecond=0, tzinfo=None)),
    name=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"]
    ),
)
def test_it_is_soon_and_on_a_wanted_day(moment: datetime, days: list[int], clock: time, name: str) -> None:
    zone = ZoneInfo(name)
    found = next_at(moment, days=days, at=clock, zone=zone)
    assert moment <= found <= moment + timedelta(days=8, hours=2)
    local = found.astimezone(zone)
    off = datetime.combine(local.date(), clock, zone).astimezone(UTC) - found
    assert abs(off) <= timedelta(hours=1)
    if local.time() == clock:
        assert local.isoweekday() in days


def test_unknown_zones_fall_back() -> None:
    home = ZoneInfo("Europe/Berlin")
    for name in ("", "Mars/Olympus", "../../etc/passwd", "\0"):
        assert zone_named(name, otherwise=home) == home
    assert zone_named("Asia/Tokyo", otherwise=home) == ZoneInfo("Asia/Tokyo")
