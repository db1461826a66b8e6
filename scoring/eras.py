"""What a model said over time: how each rule per occurrence counted and which caps held, from one publication to the next.

Points of an activity belong to its own moment, under the version that was live then; before the first publication, under the first.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from scoring.models import Rule, ScoreVersion
from scoring.occurrences import counting_of, leaf_of, says, steps
from scoring.queries import CAPPED, CapEra, Era, Timed
from segments.conditions import Chosen, Moment, chosen_activities
from segments.conditions.fields import Catalogue
from segments.rules import rule_of

Limits = tuple[int | None, int | None]  # least and most, in hundredths


@dataclass(frozen=True)
class Past:
    """A published version: since when, with which caps and rules per occurrence. `since` never lies before the version before."""

    id: int
    since: datetime
    caps: Mapping[str, Any]
    rules: Mapping[UUID, Rule] = field(default_factory=dict)


def histories(model_ids: Iterable[int]) -> dict[int, list[Past]]:
    """Model -> its published versions, oldest first. Two statements whatever the number of models."""
    ids = list(model_ids)
    rules: dict[int, dict[UUID, Rule]] = defaultdict(dict)
    counted = Rule.objects.filter(per_occurrence=True, version__model__in=ids, version__published_at__isnull=False)
    for rule in counted.order_by("version_id", "position", "id"):
        rules[rule.version_id][rule.key] = rule
    found: dict[int, list[Past]] = {pk: [] for pk in ids}
    published = ScoreVersion.objects.filter(model__in=ids, published_at__isnull=False).order_by(
        "published_at", "number"
    )
    for pk, model_id, since, caps in published.values_list("pk", "model_id", "published_at", "caps"):
        assert since is not None
        found[model_id].append(Past(pk, since, caps, rules[pk]))
    return found


def is_timed(history: Sequence[Past]) -> bool:
    """Whether the model ever had a rule per occurrence or a cap."""
    return any(past.rules or any(limits(past.caps, group) != (None, None) for group in CAPPED) for past in history)


def timed_of(
    history: Sequence[Past],
    moment: Moment,
    *,
    stamp: object,
    catalogue: Catalogue | None = None,
    has_given: bool = True,
    for_all: bool = False,
) -> Timed:
    """Everything of the model that is compared moment by moment. BadConditions or Refused for a rule that is no longer readable."""
    compiler = _Compiler(moment, stamp, catalogue or Catalogue(), for_all)
    keys = {key: None for past in history for key in past.rules}
    return Timed(
        eras=tuple(era for key in keys for era in _eras(key, history, compiler)),
        caps=tuple(cap for group in CAPPED for cap in _cap_eras(group, history)),
        versions=tuple((past.since, past.id) for past in history),
        has_given=has_given,
    )


@dataclass
class _Compiler:
    """Compiles each choice of activities once."""

    moment: Moment
    stamp: object
    catalogue: Catalogue
    for_all: bool
    _chosen: dict[str, Chosen | None] = field(default_factory=dict)

    def chosen(self, rule: Rule) -> Chosen | None:
        place = json.dumps(rule.conditions, sort_keys=True)
        if place not in self._chosen:
            leaf = leaf_of(rule_of(rule.conditions, self.stamp).tree)
            self._chosen[place] = chosen_activities(leaf, self.moment, for_all=self.for_all, catalogue=self.catalogue)
        return self._chosen[place]

    def era(self, rule: Rule, since: datetime | None, since_cause: str) -> Era:
        counting = counting_of(rule)
        assert counting is not None
        return Era(
            key=rule.key,
            group=rule.group,
            chosen=self.chosen(rule),
            steps=tuple((step.after, step.change, step.cause) for step in steps(rule.points, counting)),
            first_n=counting.first_n,
            cap=None if counting.cap is None else int(counting.cap * 100),
            since=since,
            since_cause=since_cause,
        )


def _eras(key: UUID, history: Sequence[Past], compiler: _Compiler) -> list[Era]:
    """Stretches of versions in which the rule said the same; none of no length."""
    found: list[Era] = []
    current: Rule | None = None
    for place, past in enumerate(history):
        rule = past.rules.get(key)
        if place and (rule is None) == (current is None) and (rule is None or says(rule) == says(_there(current))):
            continue
        cause = _cause(current, rule)
        if current is not None:
            found[-1] = replace(found[-1], until=past.since, until_cause=cause)
        if rule is not None:
            found.append(compiler.era(rule, past.since if place else None, cause))
        current = rule
    return [era for era in found if era.until is None or era.since is None or era.since < era.until]


def _there(rule: Rule | None) -> Rule:
    assert rule is not None
    return rule


def _cause(before: Rule | None, after: Rule | None) -> str:
    if after is None:
        return "rule_removed"
    return "points_changed" if before is not None and before.conditions == after.conditions else "version_published"


# --- caps -----------------------------------------------------------------------------------------------------------------------


def limits(caps: Mapping[str, Any], group: str) -> Limits:
    """A group's least and most in hundredths, as a version's document says."""
    ends = caps.get(group) or {}
    least, most = (None if ends.get(end) is None else int(Decimal(str(ends[end])) * 100) for end in ("least", "most"))
    return least, most


def _cap_eras(group: str, history: Sequence[Past]) -> list[CapEra]:
    """Stretches with the same limits; none for a group that was never capped."""
    found: list[CapEra] = []
    for place, past in enumerate(history):
        least, most = limits(past.caps, group)
        if not found or (found[-1].least, found[-1].most) != (least, most):
            found.append(CapEra(group, past.since if place else None, least, most))
    return [] if all((cap.least, cap.most) == (None, None) for cap in found) else found
