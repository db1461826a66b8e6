"""Arithmetic in the company's business hours: when an answer is due, and how much working time is left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leads.models import Workspace

MONDAY_TO_FRIDAY = frozenset({1, 2, 3, 4, 5})
NEVER_LONGER_THAN_DAYS = 3660


@dataclass(frozen=True)
class Calendar:
    """On which days (1 = Monday … 7 = Sunday) and between which wall-clock times people work, in one zone.

    A day that ends at or before its start (00:00–00:00, 22:00–06:00) runs on into the next day.
    """

    zone: ZoneInfo
    days: frozenset[int] = MONDAY_TO_FRIDAY
    start: time = time(9)
    end: time = time(17)
    holidays: frozenset[date] = frozenset()

    def shift(self, day: date) -> tuple[datetime, datetime] | None:
        """When work begins and ends on that day, in UTC; None on a day off or holiday, or when a change of clocks swallows it."""
        if day.isoweekday() not in self.days or day in self.holidays:
            return None
        last = day if self.end > self.start else day + timedelta(days=1)
        opens = datetime.combine(day, self.start, self.zone).astimezone(UTC)
        closes = datetime.combine(last, self.end, self.zone).astimezone(UTC)
        return (opens, closes) if closes > opens else None

    def shifts(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Shifts that end after the moment, in order; the first may have begun before it. Shifts never overlap."""
        day = since.astimezone(self.zone).date() - timedelta(days=1)
        worked_until = datetime.min.replace(tzinfo=UTC)
        for offset in range(NEVER_LONGER_THAN_DAYS):
            shift = self.shift(day + timedelta(days=offset))
            if shift is None:
                continue
            opens, closes = max(shift[0], worked_until), shift[1]
            if closes > since and closes > opens:
                yield opens, closes
            worked_until = max(worked_until, closes)


def calendar_of(workspace: Workspace, holidays: Iterable[date] = ()) -> Calendar:
    """From Settings; a company that named no business day works Monday to Friday."""
    days = frozenset(day for day in workspace.business_days if 1 <= day <= 7)
    return Calendar(
        zone=_zone(workspace.timezone),
        days=days or MONDAY_TO_FRIDAY,
        start=_as_time(workspace.business_start),
        end=_as_time(workspace.business_end),
        holidays=frozenset(holidays),
    )


def opening(since: datetime, calendar: Calendar) -> datetime:
    """When work begins next, strictly after the moment; UTC."""
    return next((opens for opens, _closes in calendar.shifts(since) if opens > since), since + timedelta(days=1))


def after(start: datetime, hours: float, calendar: Calendar) -> datetime:
    """The moment at which that many business hours have passed since `start`; UTC.

    Counted in real time: on the day the clocks go forward a night shift of 22:00–06:00 is seven hours long. No hours at all are
    due at once, within business hours or at the next opening.
    """
    left = timedelta(hours=hours)
    for opens, closes in calendar.shifts(start):
        begin = max(opens, start)
        if begin + left <= closes:
            return begin + left
        left -= closes - begin
    return start.astimezone(UTC) + left


def between(start: datetime, end: datetime, calendar: Calendar) -> timedelta:
    """Business time from `start` to `end`; negative when `end` comes first."""
    if end < start:
        return -between(end, start, calendar)
    total = timedelta()
    for opens, closes in calendar.shifts(start):
        if opens >= end:
            break
        total += min(closes, end) - max(opens, start)
    return total


def _as_time(value: time | str) -> time:
    """A row that was just made still holds its default as text."""
    return value if isinstance(value, time) else time.fromisoformat(value)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
