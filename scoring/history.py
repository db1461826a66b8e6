"""One contact's score over time: as it was by the ledger, and what today's rules would have given (worked out, not stored)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from leads.models import Contact
from scoring import bant
from scoring.eras import limits
from scoring.ledger import Line
from scoring.models import PointsGiven, Rule, ScoreVersion
from scoring.occurrences import contribution, counting_of, leaf_of
from scoring.queries import CAPPED, occurrence_moments
from scoring.words import CAUSES, shown
from segments.conditions import Judge, chosen_activities, moment, read_facts
from segments.rules import catalogue_stamp, rule_of

LOOKS = 60  # moments at which rules that count once are asked; a look is some milliseconds
LONGEST = timedelta(days=365)
CENT = Decimal("0.01")


@dataclass(frozen=True)
class Stop:
    """The total from a moment on, and what changed it then."""

    at: datetime
    total: Decimal
    lines: tuple[Line, ...] = ()


def as_it_was(lines: Sequence[Line]) -> list[Stop]:
    """The steps of the ledger, oldest first."""
    by_moment: dict[datetime, list[Line]] = defaultdict(list)
    for line in lines:
        by_moment[line.counts_from].append(line)
    found, total = [], Decimal(0)
    for at in sorted(by_moment):
        total += sum((line.points for line in by_moment[at]), Decimal(0))
        found.append(Stop(at, total, tuple(by_moment[at])))
    return found


def under(version: ScoreVersion, contact: Contact, *, now: datetime) -> list[Stop]:
    """What the rules of a version would have given over the last year at most. Some fifteen statements, one per rule per occurrence.

    Rules per occurrence change at their own moments; the others are asked at LOOKS moments, with the contact's fields as they are
    now, as everywhere in the rule language.
    """
    since = max(contact.created_at, now - LONGEST)
    rules = bant.all_rules(version)
    levels = {rule.key: _levels(rule, contact, now) for rule in rules if rule.per_occurrence}
    given = list(PointsGiven.objects.filter(contact=contact, model=version.model_id))
    first = min([since, *(at for steps in levels.values() for at, _level in steps)])
    looks = [now - (now - max(first, now - LONGEST)) * place / LOOKS for place in range(LOOKS, -1, -1)]
    held = _looks([rule for rule in rules if not rule.per_occurrence], contact, looks)
    moments = {*looks, *(at for steps in levels.values() for at, _level in steps)}
    moments |= {at for row in given for at in (row.given_at, row.ends_at) if at is not None and at <= now}
    found: list[Stop] = []
    for at in sorted(at for at in moments if at >= now - LONGEST):
        total = _total(version, rules, levels, held[max(bisect_right(looks, at) - 1, 0)], given, at)
        if not found or found[-1].total != total:
            found.append(Stop(at, total))
    return found


Levels = list[tuple[datetime, int]]


def _levels(rule: Rule, contact: Contact, now: datetime) -> Levels:
    """(moment, hundredths from then on) of a rule per occurrence. One statement."""
    leaf, counting = leaf_of(rule_of(rule.conditions, catalogue_stamp()).tree), counting_of(rule)
    chosen = chosen_activities(leaf, moment(now))
    if chosen is None or counting is None:
        return []
    moments = occurrence_moments(chosen, contact.pk)
    return contribution(moments, rule.points, counting, until=now)


def _looks(rules: Sequence[Rule], contact: Contact, looks: Sequence[datetime]) -> list[set[Any]]:
    """Keys of the rules that hold, at each of the moments."""
    facts = read_facts([contact.pk])[contact.pk]
    stamp = catalogue_stamp()
    trees = {rule.key: rule_of(rule.conditions, stamp).tree for rule in rules}
    found = []
    for at in looks:
        judge = Judge(moment(at), stored=True)
        found.append({key for key, tree in trees.items() if judge.holds(tree, facts)})
    return found


def _total(
    version: ScoreVersion,
    rules: Sequence[Rule],
    levels: dict[Any, Levels],
    held: set[Any],
    given: Sequence[PointsGiven],
    at: datetime,
) -> Decimal:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for rule in rules:
        if rule.per_occurrence:
            place = bisect_right(levels[rule.key], at, key=lambda step: step[0])
            sums[rule.group] += levels[rule.key][place - 1][1] * CENT if place else 0
        elif rule.key in held:
            sums[rule.group] += rule.points
    total = sum((_held(points, version, group) for group, points in sums.items()), Decimal(0))
    total += sum(
        (row.points for row in given if row.given_at <= at and (row.ends_at is None or row.ends_at > at)), Decimal(0)
    )
    return _held(total, version, "total")


def _held(points: Decimal, version: ScoreVersion, group: str) -> Decimal:
    least, most = limits(version.caps, group) if group in CAPPED else (None, None)
    points = points if least is None else max(points, least * CENT)
    return points if most is None else min(points, most * CENT)


def for_chart(stops: Sequence[Stop], now: datetime) -> list[dict[str, Any]]:
    """Points of a line of steps: milliseconds, total, and what happened in words; the last one reaches until now."""
    found: list[dict[str, Any]] = [
        {"at": _milliseconds(stop.at), "total": float(stop.total), "rows": [_words(line) for line in stop.lines]}
        for stop in stops
    ]
    if stops and stops[-1].at < now:
        found.append({"at": _milliseconds(now), "total": float(stops[-1].total), "rows": []})
    return found


def _words(line: Line) -> str:
    return f"{shown(line.points, sign=True)}  {line.name} – {CAUSES.get(line.cause, line.cause)}"


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
