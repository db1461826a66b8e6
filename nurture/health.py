"""Whether the instance is well: invariants, queues, beats. Behind `manage.py health` and the admins' page."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

from django.core.cache import cache
from django.utils.translation import gettext_lazy

from nurture import queries

# Task -> seconds between its beats (config/celery.py, which this room may not import).
BEATS = {
    "leads.forget_visitors": 3600.0,
    "leads.run_due_imports": 2.0,
    "nurture.run_simulations": 2.0,
    "nurture.turn": 1.0,
    "nurture.run_publications": 1.0,
    "nurture.run_broadcasts": 1.0,
    "nurture.send_due": 2.0,
    "scoring.escalate_late": 10.0,
    "nurture.send_notices": 5.0,
    "nurture.send_webhooks": 2.0,
    "nurture.judge_hits": 2.0,
    "nurture.take_events": 2.0,
    "nurture.read_mailbox": 60.0,
    "nurture.decide_splits": 60.0,
    "nurture.check_health": 60.0,
}
LATE_AFTER = 60.0  # seconds: a turn over a large instance may take that long
KEPT_FOR = timedelta(days=1)  # then a check that takes longer than a page waits is made anew
CHECK_SECONDS = 300.0  # for one check by a worker: sums over 20 M activities take one minute (2026-11-22)
PAGE_SECONDS = 1.2  # for one check of the page, which begins no other after a fourth of it
PAGE_CHECKS = 4  # in one request, two statements each

WORDS = {
    "ledger_sums": gettext_lazy("Every score is the sum of its ledger rows"),
    "one_next_step": gettext_lazy("Everybody in a program has exactly one next step, or an end"),
    "steps_exist": gettext_lazy("That step exists in the version they walk"),
    "no_drafts_walked": gettext_lazy("Nobody walks a draft"),
    "member_counts": gettext_lazy("Counts of segments are the number of members"),
    "persona_counts": gettext_lazy("Counts of personas are the number of people"),
    "no_orphans": gettext_lazy("Every activity belongs to a contact"),
    "stage_history": gettext_lazy("Everybody's stage is the last move of their history"),
    "webhooks_say_why": gettext_lazy("Every webhook that was given up says why"),
    "sendings_say_why": gettext_lazy("Every mail that did not leave says why"),
}


@dataclass
class Health:
    """`invariants`: None where a check was cut short. Only a broken invariant makes it not ok."""

    at: datetime
    invariants: dict[str, bool | None] = field(default_factory=dict)
    queues: dict[str, Any] = field(default_factory=dict)
    beats: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(holds is not False for holds in self.invariants.values())

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "at": self.at.isoformat(),
            "invariants": self.invariants,
            "queues": self.queues,
            "beats": self.beats,
        }


def examine(now: datetime, *, seconds: float | None = None) -> Health:
    """Check everything; `seconds` bounds each invariant (a page cannot wait for a sum over millions of rows)."""
    found = Health(now)
    found.invariants = {name: queries.holds(name, seconds=seconds) for name in queries.INVARIANTS}
    found.queues = queries.queue_depths(now)
    found.beats = beats(now)
    return found


@dataclass(frozen=True)
class Check:
    """One invariant as the page tells it: `holds` None where nobody knows; `at` is None when it was looked at just now."""

    name: str
    holds: bool | None
    at: datetime | None = None
    took: float | None = None

    @property
    def words(self) -> str:
        return str(WORDS[self.name])


def check_next(now: datetime) -> str:
    """Make the check whose last result is the oldest, unless all are of this day; its name. Nothing but the cache is asked then."""
    kept = _kept()
    due = [name for name in queries.INVARIANTS if name not in kept or now - _at(kept[name]) >= KEPT_FOR]
    if not due:
        return ""
    name = min(due, key=lambda one: kept[one]["at"] if one in kept else 0.0)
    began = perf_counter()
    holds = queries.holds(name, seconds=CHECK_SECONDS)
    took = round(perf_counter() - began, 1)
    cache.set(f"health:{name}", {"at": now.timestamp(), "holds": holds, "took": took}, timeout=7 * 24 * 3600)
    return name


def checks(first: int, *, seconds: float | None = None) -> tuple[list[Check], int | None]:
    """Some of the checks from that place on, and the place of the next one. At most eight statements, and little more than PAGE_SECONDS.

    What took a worker longer than a page waits is told as the worker found it.
    """
    seconds = PAGE_SECONDS if seconds is None else seconds
    kept, began, found = _kept(), perf_counter(), list[Check]()
    names = list(queries.INVARIANTS)
    for name in names[first : first + PAGE_CHECKS]:
        word = kept.get(name)
        holds = None if word and word["took"] > seconds else queries.holds(name, seconds=seconds)
        if holds is None and word:
            found.append(Check(name, word["holds"], _at(word), word["took"]))
        else:
            found.append(Check(name, holds))
        if perf_counter() - began > seconds / 4:
            break
    onward = first + len(found)
    return found, onward if onward < len(names) else None


def _kept() -> dict[str, dict[str, Any]]:
    """What workers found last. One round trip to the cache."""
    found = cache.get_many([f"health:{name}" for name in queries.INVARIANTS])
    return {key.removeprefix("health:"): word for key, word in found.items()}


def _at(word: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(word["at"], UTC)


def beats(now: datetime) -> dict[str, Any]:
    return {task: beat(task, period, now) for task, period in BEATS.items()}


def beat(task: str, period: float, now: datetime) -> dict[str, Any]:
    """The word that the task left at its last run (config/celery.py), and whether it is overdue."""
    word = cache.get(f"beat:{task}")
    if not word:
        return {"last": None, "seconds_ago": None, "took": None, "failed": None, "late": True}
    last = datetime.fromtimestamp(word["at"], UTC)
    ago = max(0.0, (now - last).total_seconds())
    return {
        "last": last.isoformat(),
        "seconds_ago": round(ago, 1),
        "took": word["seconds"],
        "failed": word["failed"],
        "late": ago > period + LATE_AFTER,
    }
