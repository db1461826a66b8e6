"""Time as the rule language means it: one given moment, a zone, and the span of values a period stands for."""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

FIXED_UNITS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),
    "weeks": timedelta(weeks=1),
}
MONTHS_IN = {"months": 1, "quarters": 3, "years": 12}
UNITS = (*FIXED_UNITS, *MONTHS_IN)
DATE_UNITS = tuple(unit for unit in UNITS if unit not in ("minutes", "hours"))
PERIODS = ("week", "month", "quarter", "year")

# What SQL and Python both read as ISO text; hour 24, second 60 and years outside 1000–8999 are read by one of them only.
ISO_DATE = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}$"
ISO_MOMENT = (
    r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?"
    r"(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])?$"
)
_ISO_DATE = re.compile(ISO_DATE.replace("$", r"\Z"))
_ISO_MOMENT = re.compile(ISO_MOMENT.replace("$", r"\Z"))
T = TypeVar("T", date, datetime)
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """The moment for which a rule is worked out, with the workspace's zone and week (1 = Monday … 7 = Sunday)."""

    at: datetime
    zone: ZoneInfo
    week_start: int = 1

    @cached_property
    def today(self) -> date:
        return self.at.astimezone(self.zone).date()


@dataclass(frozen=True)
class Span(Generic[T]):
    """Values between two ends; None is no end on that side."""

    low: T | None = None
    high: T | None = None
    has_low: bool = True
    has_high: bool = True
    is_empty: bool = False

    def holds(self, value: T) -> bool:
        if self.is_empty:
            return False
        if self.low is not None and (value < self.low or (value == self.low and not self.has_low)):
            return False
        return self.high is None or value < self.high or (value == self.high and self.has_high)

    def until(self, end: T) -> Span[T]:
        """The part that is not after `end`."""
        if self.high is None or self.high > end:
            return Span(self.low, end, self.has_low, True, self.is_empty)
        return self


def parse_date(text: str) -> date | None:
    """A bare ISO date, or None."""
    if not _ISO_DATE.match(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def parse_moment(text: str) -> datetime | None:
    """An ISO moment to the microsecond, without a zone when none is written; None when it is no such text."""
    if not _ISO_MOMENT.match(text):
        return None
    try:
        return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text))
    except ValueError:
        return None


def instant(value: datetime, zone: ZoneInfo) -> datetime:
    """The value as an aware UTC moment; without a zone it is wall clock of `zone` (the first of two, in a gap moved on by it)."""
    try:
        return (value if value.tzinfo else value.replace(tzinfo=zone, fold=0)).astimezone(UTC)
    except OverflowError:
        return _BEGINNING if value.year == 1 else _END


def start_of_day(day: date | None, zone: ZoneInfo) -> datetime | None:
    """The first instant of that day in the zone; None for None."""
    if day is None:
        return None
    midnight = datetime.combine(day, time())
    early, late = (instant(midnight.replace(tzinfo=zone, fold=fold), zone) for fold in (1, 0))
    if early >= late or early == _BEGINNING:  # midnight is there: once, or twice (then the first is fold 0)
        return late
    # Clocks jump over midnight: the day starts at the jump, which lies between the two readings.
    offset = late.astimezone(zone).utcoffset()
    while late - early > timedelta(microseconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late


def shift_date(day: date, number: int, unit: str) -> date | None:
    """`day` moved by days, weeks, months, quarters or years, month ends kept inside their month; None beyond the calendar."""
    try:
        if unit in FIXED_UNITS:
            return day + FIXED_UNITS[unit] * number
        month = day.year * 12 + day.month - 1 + MONTHS_IN[unit] * number
        year, month = divmod(month, 12)
        return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
    except (OverflowError, ValueError):
        return None


def shift_moment(at: datetime, number: int, unit: str, zone: ZoneInfo) -> datetime | None:
    """`at` moved on (back when negative); months, quarters and years keep the wall clock of the zone. None beyond the calendar."""
    try:
        if unit in FIXED_UNITS:
            return (at + FIXED_UNITS[unit] * number).astimezone(UTC)
        local = at.astimezone(zone)
    except OverflowError:
        return None
    day = shift_date(local.date(), number, unit)
    return None if day is None else instant(datetime.combine(day, local.time().replace(fold=0)), zone)


def period_days(period: str, which: int, moment: Moment) -> tuple[date | None, date | None]:
    """First day of the calendar period and of the one after it; which: 0 this, -1 the last one, 1 the next one."""
    today = moment.today
    first: date | None = today.replace(day=1)
    if period == "week":
        first = shift_date(today, -((today.isoweekday() - moment.week_start) % 7), "days")
    elif period == "quarter":
        first = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1)
    elif period == "year":
        first = today.replace(month=1, day=1)
    if first is None:
        return None, None
    return shift_date(first, which, f"{period}s"), shift_date(first, which + 1, f"{period}s")


# What a time operator compares with: a date, a moment, two of them, (number, unit), a period's name, a number of days.
TimeValue = Any

_WHICH = {"last": -1, "this": 0, "next": 1}


def date_span(key: str, wanted: TimeValue, moment: Moment) -> Span[date]:
    """The dates for which the operator holds."""
    today = moment.today
    match key, wanted:
        case "on", date() as day:
            return Span(day, day)
        case "before", date() as day:
            return Span(None, day, has_high=False)
        case "after", date() as day:
            return Span(day, None, has_low=False)
        case "between", (date() as first, date() as last):
            return Span(first, last)
        case "in_last", (int() as number, str() as unit):
            return Span(shift_date(today, -number, unit), today, has_low=False)
        case "in_next", (int() as number, str() as unit):
            return Span(today, shift_date(today, number, unit), has_low=False)
        case "more_than_ago", (int() as number, str() as unit):
            edge = shift_date(today, -number, unit)
            return Span(None, edge, has_high=False, is_empty=edge is None)
        case "this" | "last" | "next", str() as period:
            return Span(*period_days(period, _WHICH[key], moment), has_high=False)
    raise ValueError(f"no span of dates for {key} {wanted!r}")


def moment_span(key: str, wanted: TimeValue, moment: Moment) -> Span[datetime]:
    """The instants for which the operator holds; bare dates stand for whole days of the zone."""
    at, zone = moment.at, moment.zone
    match key, wanted:
        case "before", datetime() as edge:
            return Span(None, instant(edge, zone), has_high=False)
        case "after", datetime() as edge:
            return Span(instant(edge, zone), None, has_low=False)
        case "between", (datetime() as low, datetime() as high):
            return Span(instant(low, zone), instant(high, zone))
        case "in_last", (int() as number, str() as unit):
            return Span(shift_moment(at, -number, unit, zone), at, has_low=False)
        case "in_next", (int() as number, str() as unit):
            return Span(at, shift_moment(at, number, unit, zone), has_low=False)
        case "more_than_ago", (int() as number, str() as unit):
            edge_ago = shift_moment(at, -number, unit, zone)
            return Span(None, edge_ago, has_high=False, is_empty=edge_ago is None)
    days = date_span(key, wanted, moment)
    begin: date | None = days.low
    end: date | None = days.high
    if begin is not None and not days.has_low:
        begin = shift_date(begin, 1, "days")
        if begin is None:
            return Span(is_empty=True)
    if end is not None and days.has_high:
        end = shift_date(end, 1, "days")
    return Span(start_of_day(begin, zone), start_of_day(end, zone), has_high=False, is_empty=days.is_empty)


def needs_clock(wanted: TimeValue) -> bool:
    """Whether the condition speaks of a time of day, so that a bare date stands for its first instant."""
    match wanted:
        case datetime() | (datetime(), _) | (_, "minutes") | (_, "hours"):
            return True
    return False


def anniversaries(number: int, moment: Moment) -> list[int]:
    """Month × 100 + day of the dates whose anniversary is `number` days after today; 29 February falls on the 28th in common years."""
    day = shift_date(moment.today, number, "days")
    if day is None:
        return []
    found = [day.month * 100 + day.day]
    if found == [228] and not calendar.isleap(day.year):
        found.append(229)
    return found
