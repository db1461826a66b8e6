"""The queue as the turn sees it: the day's share of a backlog, and hand-off conditions that the mere passing of time may change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from time import perf_counter

from leads.models import Mark
from leads.queries import mark
from scoring import actions, queries
from scoring.models import ScoreModel, ScoreVersion
from segments.conditions import BadConditions
from segments.graph import Node
from segments.nodes import AFTER_A_FAILURE, Clock, due_after, time_changed, time_matters_at
from segments.rules import catalogue_stamp, rule_of


class BacklogNode:
    """Of a version published with “the best so many a working day”: hands over the day's share."""

    facets = frozenset[int]()

    def __init__(self, model: ScoreModel) -> None:
        self.model = model
        self.key = f"queue:backlog:{model.slug}"
        self.reads = frozenset({f"score:{model.slug}"})  # after the scores

    def is_stale(self, now: datetime) -> bool:
        return self.model.backlog_next_at is not None and self.model.backlog_next_at <= now

    def make_stale(self, now: datetime) -> None:
        """What is due stands in the row."""

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        if contacts is not None or not self.is_stale(now):
            return []
        return actions.hand_over_backlog(self.model, now=now)


class ConditionNode:
    """A hand-off condition: those whom time may have changed are marked, so that the hand-off looks at them again."""

    facets = frozenset[int]()

    def __init__(self, version: ScoreVersion) -> None:
        self.version = version
        self.model = version.model
        self.key = f"queue:condition:{self.model.slug}"
        self.reads = frozenset({f"score:{self.model.slug}"})

    def is_stale(self, now: datetime) -> bool:
        return self.model.hand_off_due_at is not None and self.model.hand_off_due_at <= now

    def make_stale(self, now: datetime) -> None:
        """What is due stands in the row."""

    def failed(self, error: Exception, now: datetime) -> None:
        ScoreModel.objects.filter(pk=self.model.pk).update(hand_off_due_at=now + AFTER_A_FAILURE)

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """A few statements over those whom the time since the last look may have changed; everybody over the line at the first look."""
        if contacts is not None or not self.is_stale(now):
            return []
        started, clock = perf_counter(), Clock()
        rule = rule_of(self.version.hand_off_conditions, catalogue_stamp())
        since = self.model.hand_off_looked_at
        changed = None if since is None or since > now else time_changed([rule], clock, since, now)
        if changed is None:
            queries.mark_ripe(self.model.pk, self.version.threshold)
        else:
            mark(changed, Mark.Facet.DEFINITION)
        next_at = due_after(time_matters_at([rule], clock, now), now=now, seconds=perf_counter() - started)
        ScoreModel.objects.filter(pk=self.model.pk).update(hand_off_looked_at=now, hand_off_due_at=next_at)
        return 0 if changed is None else len(changed)


def queue_nodes() -> list[Node]:
    """One statement; nodes of what has a due moment at all."""
    versions = ScoreVersion.objects.filter(state=ScoreVersion.State.LIVE, model__archived_at=None).select_related(
        "model"
    )
    found: list[Node] = []
    for version in versions.exclude(model__backlog_next_at=None, model__hand_off_due_at=None).order_by("model__slug"):
        if version.model.backlog_next_at is not None:
            found.append(BacklogNode(version.model))
        if version.hand_off_conditions is not None and version.model.hand_off_due_at is not None:
            found.append(ConditionNode(version))
    return found


def is_readable(document: object) -> bool:
    """Whether a stored condition can still be worked out."""
    try:
        rule_of(document, catalogue_stamp())
    except BadConditions:
        return False
    return True
