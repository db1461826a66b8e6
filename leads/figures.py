"""Figures that take a pass over everybody: at a large company kept for ten minutes and told with their moment, at a small one always fresh."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from django.core.cache import cache
from redis.exceptions import RedisError

from leads.queries import estimated_rows

Figure = TypeVar("Figure")

# Up to here the dearest page of figures answers within a tenth of a second: worked out whenever it is asked for.
FRESH_UP_TO = 30_000
FRESH_FOR = timedelta(minutes=10)
KEPT_SECONDS = 24 * 3600  # older ones are shown, with their moment, while new ones are worked out
WORKED_OUT_WITHIN = 60  # seconds after which somebody else may try


@dataclass(frozen=True)
class Figures(Generic[Figure]):
    """What was worked out, and as of when; `is_kept` says that it may differ from what a list shows now."""

    value: Figure
    at: datetime
    is_kept: bool

    def is_stale(self, now: datetime) -> bool:
        return self.is_kept and now - self.at > FRESH_FOR


def figures(key: str, work: Callable[[], Figure], *, now: datetime, wait: bool) -> Figures[Figure] | None:
    """The figures of a name. One statement, and those of the work where it is done.

    A page does not wait (None: there are none yet) and shows kept ones of any age; a part that was asked for after the page
    waits, and works stale ones out anew. Of several who ask at once one works; the others get what is kept, or None.
    """
    if estimated_rows("leads_contact") <= FRESH_UP_TO:
        return Figures(work(), now, is_kept=False)
    try:
        kept: Figures[Figure] | None = cache.get(f"figures:{key}")
        if not wait or (kept is not None and not kept.is_stale(now)):
            return kept
        if not cache.add(f"figures:{key}:at-work", 1, WORKED_OUT_WITHIN):
            return kept
    except RedisError:
        return Figures(work(), now, is_kept=False)
    try:
        found = Figures(work(), now, is_kept=True)
        with contextlib.suppress(RedisError):
            cache.set(f"figures:{key}", found, KEPT_SECONDS)
    finally:
        with contextlib.suppress(RedisError):
            cache.delete(f"figures:{key}:at-work")
    return found


def at_hand(key: str, work: Callable[[], Figure], *, now: datetime) -> Figures[Figure]:
    """Figures that are worked out within a second, for a page that has no later part: kept ones up to ten minutes old, else new ones."""
    return figures(key, work, now=now, wait=True) or Figures(work(), now, is_kept=False)


def forget(key: str) -> None:
    """What was kept no longer holds: whoever changed it wants to see that."""
    with contextlib.suppress(RedisError):
        cache.delete(f"figures:{key}")
