"""Graduation as the turn sees it: all rules together are one node, worked after the scores they read and before any hand-off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from django.db import transaction
from django.db.models import Q

from leads.models import Mark
from leads.queries import mark, move_stages
from leads.retry import retrying
from scoring import graduation
from scoring.models import GraduationRule, GraduationRuleQuerySet
from scoring.queries.graduation import Move, back_again, movers
from segments import graph
from segments.conditions import BadConditions
from segments.graph import Node
from segments.nodes import AFTER_A_FAILURE, CHUNK, Clock, compiled, due_after, time_changed, time_matters_at, words_of
from segments.rules import Rule as ReadableRule
from segments.rules import catalogue_stamp, rule_of

# A contact that moved or did something may be taken by a rule again.
OWN_FACETS = frozenset({int(Mark.Facet.CONTACT), int(Mark.Facet.ACTIVITY)})


class StagesNode:
    """Every rule in use: everybody goes as far as the furthest one that holds, one step a look."""

    key = graph.STAGES

    def __init__(self, rules: Sequence[GraduationRule], stamp: object, clock: Clock) -> None:
        self.rules = graduation.furthest_first(rules)
        self._clock = clock
        self._readable: list[tuple[GraduationRule, ReadableRule]] = []
        self._broken: dict[int, BadConditions] = {}
        for rule in self.rules:
            try:
                self._readable.append((rule, rule_of(graduation.document(rule), stamp)))
            except BadConditions as error:
                self._broken[rule.pk] = error
        self.reads = frozenset[str]().union(*(readable.reads for _, readable in self._readable))
        self.facets = OWN_FACETS.union(*(readable.facets for _, readable in self._readable))
        if any(graph.is_definition(read) for read in self.reads):
            self.facets |= {int(Mark.Facet.DEFINITION)}

    @property
    def timed_rules(self) -> list[ReadableRule]:
        """Rules whose answer time alone may change."""
        return [readable for _, readable in self._readable]

    def is_stale(self, now: datetime) -> bool:
        """Like GraduationRuleQuerySet.waiting."""
        return any(
            (rule.stale_since is not None and not rule.problem) or (rule.due_at is not None and rule.due_at <= now)
            for rule in self.rules
        )

    def make_stale(self, now: datetime) -> None:
        self._mine().update(stale_since=now)
        for rule in self.rules:
            rule.stale_since = now

    def failed(self, error: Exception, now: datetime) -> None:
        """Store what went wrong and try again later; nobody graduates meanwhile."""
        self._mine().update(problem=words_of(error), stale_since=now, due_at=now + AFTER_A_FAILURE)
        self.facets = frozenset()

    def due_by(self, at: datetime) -> None:
        """Somebody has an activity dated ahead: look again when it will exist."""
        self._mine().filter(Q(due_at=None) | Q(due_at__gt=at)).update(due_at=at)
        for rule in self.rules:
            rule.due_at = min(rule.due_at or at, at)

    def _mine(self) -> GraduationRuleQuerySet:
        return GraduationRule.objects.filter(pk__in=[rule.pk for rule in self.rules])

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """With contacts=None: everybody, or, when only time has passed since the last look, those whom it may have changed."""
        if contacts is not None:
            return self._move(contacts, now)
        started = perf_counter()
        since = min((rule.refreshed_at for rule in self.rules if rule.refreshed_at), default=None)
        ids: Sequence[int] | None = None
        if since is not None and since <= now and not self._is_stale_for_all(now):
            ids = time_changed([readable for _, readable in self._readable], self._clock, since, now)
            ids = None if ids is None else sorted({*ids, *back_again(since, now)})
        if ids is None:
            moved = self._move_everybody(now)
        else:
            moved = 0
            for first in range(0, len(ids), CHUNK):
                moved += retrying(lambda chunk=ids[first : first + CHUNK]: len(self._move(chunk, now)))  # type: ignore[misc]
        self._looked_at(now, perf_counter() - started)
        return moved

    def _is_stale_for_all(self, now: datetime) -> bool:
        return any(
            rule.stale_since is not None or rule.problem or rule.refreshed_at is None for rule in self.rules
        ) or all(rule.due_at is None or rule.due_at > now for rule in self.rules)

    def moves(self, now: datetime, contacts: Sequence[int] | None) -> list[Move]:
        return [
            Move(
                compiled(readable, self._clock, now, contacts),
                tuple(rule.from_stages),
                tuple(graduation.at_or_beyond(rule.to_stage)),
                sparing=rule.pk if rule.spares else None,
            )
            for rule, readable in self._readable
        ]

    def _move(self, contacts: Sequence[int], now: datetime) -> list[int]:
        """One statement when nobody moves, else two more for each rule that moves somebody."""
        with transaction.atomic():
            return self._write(movers(self.moves(now, contacts), now), now)

    def _move_everybody(self, now: datetime) -> int:
        """Found in one statement, moved chunk by chunk, each its own transaction."""
        found = movers(self.moves(now, None), now)
        moved = 0
        for first in range(0, len(found), CHUNK):
            moved += retrying(lambda chunk=found[first : first + CHUNK]: self._write_chunk(chunk, now))  # type: ignore[misc]
        return moved

    def _write_chunk(self, chunk: Sequence[tuple[int, int]], now: datetime) -> int:
        with transaction.atomic():
            return len(self._write(chunk, now))

    def _write(self, found: Sequence[tuple[int, int]], now: datetime) -> list[int]:
        """Moved are those who still stand in a stage that the rule takes people from; the statement locks and looks again."""
        by_rule: dict[int, list[int]] = defaultdict(list)
        for contact, number in found:
            by_rule[number].append(contact)
        moved: list[int] = []
        for number, ids in sorted(by_rule.items()):
            rule = self._readable[number - 1][0]
            moved += move_stages(
                ids, allowed=rule.from_stages, to=rule.to_stage, cause=rule.cause, reason=rule.name[:500], now=now
            )
        mark(moved, Mark.Facet.CONTACT)
        return moved

    def _looked_at(self, now: datetime, seconds: float) -> None:
        """What was edited after this node was built carries another version, and stays stale."""
        due_at = due_after(
            time_matters_at([readable for _, readable in self._readable], self._clock, now), now=now, seconds=seconds
        )
        if self._broken:  # what a rule reads may come back
            due_at = min(due_at or now + AFTER_A_FAILURE, now + AFTER_A_FAILURE)
        for rule in self.rules:
            mine = GraduationRule.objects.filter(pk=rule.pk, version=rule.version)
            error = self._broken.get(rule.pk)
            mine.update(refreshed_at=now, due_at=due_at, problem=words_of(error) if error else "")
            mine.filter(stale_since=rule.stale_since).update(stale_since=None)
            rule.stale_since, rule.due_at, rule.refreshed_at = None, due_at, now
            rule.problem = words_of(error) if error else ""


def graduation_nodes() -> list[Node]:
    """One node where a rule is in use. One statement."""
    rules = list(GraduationRule.objects.in_use().select_related("points_of"))
    return [StagesNode(rules, catalogue_stamp(), Clock())] if rules else []


def graduations_wait(now: datetime) -> bool:
    """Whether a rule is stale or due. One statement over a small table."""
    return GraduationRule.objects.waiting(now).exists()
