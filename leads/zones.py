"""Names of time zones that people may choose."""

from __future__ import annotations

import zoneinfo
from functools import cache


@cache
def names() -> tuple[str, ...]:
    """Region/City and UTC, sorted: old names such as “EST5EDT” and “Cuba” are left out. Read from disk once."""
    return tuple(sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC"))


def choices(stored: str = "") -> list[tuple[str, str]]:
    """Each name as stored and as read; what is stored stays choosable, whatever it is."""
    known = names()
    all_names = known if not stored or stored in known else (stored, *known)
    return [(name, name.replace("_", " ")) for name in all_names]
