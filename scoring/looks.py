"""What rules would have said of one contact at moments of the past, with its activities searched instead of walked through.

The activities that a condition chooses are read as moments, once for all rules and all looks: whether somebody did something three
times in thirty days is then a matter of two searches, however much they did. Whatever asks more of an activity than its moment (the
sum of a property, steps one after the other, a day in the activity that moves with the calendar) is left to the facts.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from leads.models import Mark
from scoring.occurrences import FIXED_PERIODS, MICROSECOND
from scoring.queries import chosen_moments
from segments.conditions import Catalogue, Chosen, Facts, Judge, Leaf, Moment, Tree, chosen_activities, facets, leaves
from segments.conditions.operators import TIME, amount_holds
from segments.conditions.periods import Span, moment_span
from segments.conditions.tree import DidLeaf, FieldLeaf, When, to_document

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
ANY = DidLeaf(None)  # whatever somebody did
LAST_ACTIVITY = "contact.last_activity_at"
TWINS = {"not_on": "on", "not_in_last": "in_last"}


def microseconds(at: datetime) -> int:
    return (at - BEGINNING) // MICROSECOND


def moment_of(at: int) -> datetime:
    return BEGINNING + timedelta(microseconds=at)


def chooses(leaf: Leaf) -> list[DidLeaf]:
    """The choices of activities that answer the leaf by their moments alone; none where that is not enough."""
    if isinstance(leaf, FieldLeaf):
        return [ANY] if leaf.field == LAST_ACTIVITY else []
    if not isinstance(leaf, DidLeaf) or leaf.total is not None:
        return []
    if any(row.type in TIME and row.op not in FIXED_PERIODS for row in (*leaf.where, *leaf.latest)):
        return []
    plain = replace(leaf, when=None, count=None, is_first=False, latest=())
    return [plain, replace(plain, where=(*leaf.where, *leaf.latest))] if leaf.latest else [plain]


def asks_facts(tree: Tree) -> bool:
    """Whether the rule asks activities for more than their moments."""
    return any(int(Mark.Facet.ACTIVITY) in facets(leaf) and not chooses(leaf) for _path, leaf in leaves(tree))


@dataclass(frozen=True)
class Tracks:
    """Moments of the activities that each choice picks, oldest first, those ahead too."""

    found: dict[str, list[int]]

    def of(self, choice: DidLeaf) -> list[int]:
        return self.found[_key(choice)]


def read_tracks(choices: Iterable[DidLeaf], contact_id: int, moment: Moment, catalogue: Catalogue) -> Tracks:
    """Every choice at once: one statement, and one for the kinds of activity."""
    wanted = {_key(choice): choice for choice in choices}
    compiled = {key: chosen_activities(choice, moment, catalogue=catalogue) for key, choice in wanted.items()}
    there: dict[str, Chosen] = {key: chosen for key, chosen in compiled.items() if chosen is not None}
    moments = chosen_moments(list(there.values()), contact_id)
    return Tracks({key: [] for key in wanted} | dict(zip(there, moments, strict=True)))


def _key(choice: DidLeaf) -> str:
    return json.dumps(to_document(choice), sort_keys=True)


@dataclass
class Look(Judge):
    """Verdicts as of one moment, of stored memberships; leaves about activities by their moments where those are enough."""

    tracks: Tracks = field(default_factory=lambda: Tracks({}))

    def measure(self, leaf: Leaf, facts: Facts) -> tuple[bool, Any]:
        choices = chooses(leaf)
        if not choices:
            return super().measure(leaf, facts)
        until = microseconds(self.moment.at)
        if isinstance(leaf, FieldLeaf):
            last = _newest(self.tracks.of(ANY), until, None, self.moment)
            actual = None if last is None else moment_of(last)
            return leaf.operator.verdict(actual, leaf.wanted, self.moment), actual
        assert isinstance(leaf, DidLeaf)
        times = self.tracks.of(choices[0])
        if leaf.is_first:
            first = moment_of(times[0]) if times and times[0] <= until else None
            in_time = first is not None and (
                leaf.when is None or leaf.when.operator.verdict(first, leaf.when.wanted, self.moment)
            )
            return in_time, first
        if leaf.latest:
            last = _newest(times, until, leaf.when, self.moment)
            return last is not None and _has(self.tracks.of(choices[1]), last), last
        number = sum(end - begin for begin, end in _stretches(times, until, leaf.when, self.moment))
        holds = number >= 1 if leaf.count is None else amount_holds(leaf.count.op, leaf.count.wanted, number)
        return holds, number


def _newest(times: Sequence[int], until: int, when: When | None, moment: Moment) -> int | None:
    return max((times[end - 1] for _begin, end in _stretches(times, until, when, moment)), default=None)


def _has(times: Sequence[int], one: int) -> bool:
    place = bisect_left(times, one)
    return place < len(times) and times[place] == one


def _stretches(times: Sequence[int], until: int, when: When | None, moment: Moment) -> list[tuple[int, int]]:
    """Places, from and to, of the moments in a period up to now; those outside it for a negative one. None of no length."""
    whole = bisect_right(times, until)
    if when is None:
        return [(0, whole)] if whole else []
    begin, end = _places(times, moment_span(TWINS.get(when.op, when.op), when.wanted, moment), whole)
    found = [(0, begin), (end, whole)] if when.operator.negates else [(begin, end)]
    return [(first, last) for first, last in found if first < last]


def _places(times: Sequence[int], span: Span[datetime], whole: int) -> tuple[int, int]:
    if span.is_empty:
        return 0, 0
    begin, end = 0, whole
    if span.low is not None:
        begin = (bisect_left if span.has_low else bisect_right)(times, microseconds(span.low), 0, whole)
    if span.high is not None:
        end = (bisect_right if span.has_high else bisect_left)(times, microseconds(span.high), 0, whole)
    return begin, max(begin, end)
