"""One contact's score over time: as it was by the ledger, and what today's rules would have given (worked out, not stored)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from leads.models import Contact
from scoring import bant
from scoring.eras import Limits, limits
from scoring.ledger import Line
from scoring.looks import ANY, Look, Tracks, asks_facts, chooses, microseconds, moment_of, read_tracks
from scoring.models import PointsGiven, Rule, ScoreVersion
from scoring.occurrences import Earned, counting_of, earned, leaf_of
from scoring.queries import CAPPED
from scoring.words import CAUSES, shown
from segments.conditions import Catalogue, Facts, Moment, Tree, leaves, moment, read_facts
from segments.rules import catalogue_stamp, rule_of

LOOKS = 60  # moments at which rules that count once are asked
MOST_READ = 20_000  # activities read whole, some 50 µs each (2026-11-22)
MOST_MOMENTS = 4_000  # of change that are all asked; beyond, SPREAD are, spread evenly
SPREAD = 1_000
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


@dataclass(frozen=True)
class Worked:
    """What rules would have given. `since`: asked back to then only, the time was up; `is_thinned`: not at every moment of change."""

    stops: list[Stop]
    since: datetime | None = None
    is_thinned: bool = False


class TooMuch(Exception):
    """A rule asks more of the activities than their moments, and there are too many to read."""

    def __init__(self, rule: str, number: int) -> None:
        self.rule, self.number = rule, number
        super().__init__(rule)


class TooSlow(Exception):
    """The time was up before anything was known."""


def under(
    version: ScoreVersion, contact: Contact, *, now: datetime, is_over: Callable[[], bool] = lambda: False
) -> Worked:
    """What the rules of a version would have given over the last year at most. Some fifteen statements whatever the rules and activities.

    Rules per occurrence change at their own moments; the others are asked at LOOKS moments, the newest first and none once `is_over`
    says so, with the contact's fields as they are now, as everywhere in the rule language. TooMuch, TooSlow.
    """
    ground = _ground(version, contact, now)
    if is_over():
        raise TooSlow
    begin = max(
        min([contact.created_at, *(moment_of(each.times[0]) for each in ground.earned.values() if each.times)]),
        now - LONGEST,
    )
    held, since = _looks(ground, begin, now, is_over)
    given = list(PointsGiven.objects.filter(contact=contact, model=version.model_id))
    moments, is_thinned = _moments(ground, given, held, since or now - LONGEST, now)
    looks = sorted(held)
    found: list[Stop] = []
    for at in moments:
        total = ground.total(held[looks[max(bisect_right(looks, at) - 1, 0)]], given, at)
        if not found or found[-1].total != total:
            found.append(Stop(moment_of(at), total))
    return Worked(found, since, is_thinned)


@dataclass(frozen=True)
class _Ground:
    """What is known of the contact and of the rules, read once."""

    moment: Moment
    catalogue: Catalogue
    rules: Sequence[Rule]
    trees: dict[UUID, Tree]  # of the rules that count once
    earned: dict[UUID, Earned]  # of the others
    facts: Facts
    tracks: Tracks
    caps: dict[str, Limits]

    def held_at(self, at: datetime) -> set[UUID]:
        """Keys of the rules that count once and hold."""
        look = Look(replace(self.moment, at=at), stored=True, catalogue=self.catalogue, tracks=self.tracks)
        return {key for key, tree in self.trees.items() if look.holds(tree, self.facts)}

    def total(self, held: set[UUID], given: Sequence[PointsGiven], at: int) -> Decimal:
        sums: dict[str, int] = defaultdict(int)
        for rule in self.rules:
            if rule.key in self.earned:
                sums[rule.group] += self.earned[rule.key].level(at)
            elif rule.key in held:
                sums[rule.group] += int(rule.points * 100)
        total = sum(_within(points, self.caps[group]) for group, points in sums.items())
        moment = moment_of(at)
        by_hand = (row for row in given if row.given_at <= moment and (row.ends_at is None or row.ends_at > moment))
        return _within(total + sum(int(row.points * 100) for row in by_hand), self.caps["total"]) * CENT


def _ground(version: ScoreVersion, contact: Contact, now: datetime) -> _Ground:
    """Two statements over activities, one of them only where a rule asks more of them than their moments."""
    at, catalogue, stamp = moment(now), Catalogue(), catalogue_stamp()
    rules = bant.all_rules(version)
    trees = {rule.key: rule_of(rule.conditions, stamp).tree for rule in rules}
    counted = {rule.key: leaf_of(trees[rule.key]) for rule in rules if rule.per_occurrence}
    once = {rule.key: trees[rule.key] for rule in rules if not rule.per_occurrence}
    asking = [rule.name for rule in rules if rule.key in once and asks_facts(once[rule.key])]
    choices = [choice for tree in once.values() for _path, leaf in leaves(tree) for choice in chooses(leaf)]
    tracks = read_tracks([*choices, *counted.values(), *([ANY] if asking else [])], contact.pk, at, catalogue)
    if asking and len(tracks.of(ANY)) > MOST_READ:
        raise TooMuch(asking[0], len(tracks.of(ANY)))
    earned_by = {
        rule.key: earned(tracks.of(counted[rule.key]), rule.points, counting)
        for rule in rules
        if (counting := counting_of(rule)) is not None
    }
    facts = read_facts([contact.pk])[contact.pk]
    caps = {group: limits(version.caps, group) for group in CAPPED}
    return _Ground(at, catalogue, rules, once, earned_by, facts, tracks, caps)


def _looks(
    ground: _Ground, begin: datetime, now: datetime, is_over: Callable[[], bool]
) -> tuple[dict[int, set[UUID]], datetime | None]:
    """Moment -> rules that count once and hold then; and since when, where the time was up before the beginning."""
    found: dict[int, set[UUID]] = {}
    for place in range(LOOKS + 1):
        at = now - (now - begin) * place / LOOKS
        found[microseconds(at)] = ground.held_at(at)
        if is_over() and place < LOOKS:
            return found, at
    return found, None


def _moments(
    ground: _Ground, given: Sequence[PointsGiven], held: Iterable[int], since: datetime, now: datetime
) -> tuple[list[int], bool]:
    """When the total may change, in order; an even spread instead where there are more than a chart shows."""
    first, last = microseconds(since), microseconds(now)
    found = {*held, *(microseconds(at) for row in given for at in (row.given_at, row.ends_at) if at is not None)}
    is_thinned = sum(each.most_moments for each in ground.earned.values()) > MOST_MOMENTS
    if is_thinned:
        begin = min(found)
        found.update(last - (last - begin) * place // SPREAD for place in range(SPREAD + 1))
    else:
        found.update(at for each in ground.earned.values() for at in each.moments())
    return sorted(at for at in found if first <= at <= last), is_thinned


def _within(points: int, ends: Limits) -> int:
    least, most = ends
    points = points if least is None else max(points, least)
    return points if most is None else min(points, most)


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
