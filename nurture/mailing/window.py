"""When mail may leave: the days and hours that the settings name, by the clock of the reader."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from leads.models import Contact, Workspace


def opens_at(home: Workspace, contact: Contact | None, at: datetime) -> datetime | None:
    """The next moment inside the window, or None while it is open (or there is none).

    A window that ends before it begins goes over midnight and belongs to the day on which it begins. An hour that the clocks skip in spring
    falls as much later as they jump; of one that comes twice in autumn the first counts.
    """
    if not home.mail_days and home.mail_start is None and home.mail_end is None:
        return None
    zone = their_zone(contact) or _zone(home.timezone) or ZoneInfo("UTC")
    days = set(home.mail_days) or set(range(1, 8))
    start, end = home.mail_start or time.min, home.mail_end or time.max
    over_midnight = timedelta(days=end <= start)
    today = at.astimezone(zone).date()
    for ahead in range(-1, 9):
        day = today + timedelta(days=ahead)
        if day.isoweekday() not in days:
            continue
        begin, close = datetime.combine(day, start, zone), datetime.combine(day + over_midnight, end, zone)
        if begin <= at < close:
            return None
        if at < begin:
            return begin.astimezone(at.tzinfo)
    return None


def their_zone(contact: Contact | None) -> ZoneInfo | None:
    """The contact's own, where it names one that exists."""
    return _zone(contact.timezone if contact else "")


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo | None:
    """A contact's zone is kept as it was written, whether there is one of that name or not."""
    try:
        return ZoneInfo(name) if name else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
