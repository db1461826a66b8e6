"""Whom an import made and changed, kept for what asks for it: a higher room registers what wants to know."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from leads.models import ImportPerson

KEPT_FOR = timedelta(days=30)

_interests: list[Callable[[], bool]] = []


def register_interest(is_wanted: Callable[[], bool]) -> None:
    """Let imports keep whom they make and change while this says so; it is asked as each of them starts."""
    _interests.append(is_wanted)


def are_wanted() -> bool:
    return any(is_wanted() for is_wanted in _interests)


def forget(now: datetime) -> int:
    """Of imports that ended long ago. Asked at each new upload."""
    return ImportPerson.objects.filter(job__finished_at__lt=now - KEPT_FOR).delete()[0]
