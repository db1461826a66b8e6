"""Numbers on the canvas. Those of a very large program are kept for a while: counting its visits takes a second, and the page asks every five."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from django.core.cache import cache
from redis.exceptions import RedisError

from nurture import queries, queries_triggers
from nurture.queries import StepCount

MANY = 200_000  # visits or walks: counted within a tenth of a second (1 M: 0.3 to 0.9 s, 2026-11-22)
FRESH_FOR = timedelta(seconds=30)
KEPT_SECONDS = (
    24 * 3600
)  # older ones are shown to whoever opens the page, until they are counted anew a few seconds later
COUNTED_WITHIN = 60  # seconds after which somebody else may try

Numbers = TypeVar("Numbers")


@dataclass(frozen=True)
class _Kept(Generic[Numbers]):
    value: Numbers
    at: datetime


def of_steps(version_id: int, *, now: datetime, is_news: bool) -> dict[str, StepCount]:
    """Step -> its numbers. Two statements, or none."""
    return _at_hand(
        f"steps:{version_id}",
        lambda: queries.step_counts(version_id),
        lambda found: sum(count.passed + count.here for count in found.values()),
        now=now,
        is_news=is_news,
    )


def of_versions(program_id: int, *, now: datetime, is_news: bool) -> dict[int, dict[str, int]]:
    """Version -> state -> people. One statement, or none."""
    return _at_hand(
        f"versions:{program_id}",
        lambda: queries.counts_by_version(program_id),
        lambda found: sum(sum(states.values()) for states in found.values()),
        now=now,
        is_news=is_news,
    )


def of_entries(program_id: int, *, now: datetime) -> dict[str, int]:
    """What let people in -> how many. One statement, or none."""
    work = lambda: queries_triggers.entry_counts(program_id)  # noqa: E731
    return _at_hand(f"entries:{program_id}", work, lambda found: sum(found.values()), now=now, is_news=True)


def _at_hand(
    key: str,
    work: Callable[[], Numbers],
    size: Callable[[Numbers], int],
    *,
    now: datetime,
    is_news: bool,
) -> Numbers:
    """Counted now, where that is quick. Else as they were counted last; for news (what a page asks for later) of the last half minute,
    and of several who ask at once one counts."""
    with contextlib.suppress(RedisError):
        kept: _Kept[Numbers] | None = cache.get(f"numbers:{key}")
        if kept is not None and (not is_news or now - kept.at <= FRESH_FOR):
            return kept.value
        if kept is not None and not cache.add(f"numbers:{key}:at-work", 1, COUNTED_WITHIN):
            return kept.value
    found = work()
    with contextlib.suppress(RedisError):
        if size(found) > MANY:
            cache.set(f"numbers:{key}", _Kept(found, now), KEPT_SECONDS)
        cache.delete(f"numbers:{key}:at-work")
    return found
