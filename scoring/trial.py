"""A draft tried on one contact: rule by rule, after the caps of the groups, in total, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.utils.translation import gettext_lazy as _

from leads.actions import Refused
from leads.models import Contact
from scoring import bant, eras, queries
from scoring.caps import LABELS
from scoring.grades import grade
from scoring.models import PointsGiven, Rule, ScoreVersion
from scoring.nodes import compile_rules, lines_of
from scoring.queries import CapEra, Plan
from segments.conditions import (
    BadConditions,
    Judge,
    Moment,
    Sql,
    Tree,
    check,
    leaves,
    matching,
    moment,
    read_facts,
    time_limit,
)
from segments.conditions.tree import FieldLeaf
from segments.rules import catalogue_stamp, rule_of

SECONDS = 5
CENT = Decimal("0.01")


def draft_plan(
    draft: ScoreVersion, now: datetime, contacts: Sequence[int] | None, rules: Sequence[Rule] | None = None
) -> Plan:
    """The draft as if it had always been live; `rules` instead of its own ones. BadConditions or Refused for a rule that does not fit."""
    stamp, at = catalogue_stamp(), moment(now)
    chosen = list(bant.all_rules(draft)) if rules is None else list(rules)
    once = [(rule, rule_of(rule.conditions, stamp)) for rule in chosen if not rule.per_occurrence]
    counted = {rule.key: rule for rule in chosen if rule.per_occurrence}
    timed = eras.timed_of([eras.Past(draft.pk, now, draft.caps, counted)], at, stamp=stamp, for_all=contacts is None)
    compiled, near = compile_rules(once, at, contacts)
    return Plan(
        model_id=draft.model_id,
        version_id=draft.pk,
        rules=compiled,
        near=near,
        past_keys=(),
        lines=lines_of(draft),
        timed=replace(timed, versions=()),
        hand_off=_hand_off(draft, at, stamp),
    )


def _hand_off(draft: ScoreVersion, at: Moment, stamp: object) -> Sql | None:
    """Whom the draft would hand over besides their points; its own score and grade are read as they are stored now."""
    if not draft.hands_over:
        return Sql("SELECT NULL::bigint WHERE FALSE", ())
    if draft.hand_off_conditions is None:
        return None
    return matching(rule_of(draft.hand_off_conditions, stamp).tree, at, stored=True)


@dataclass(frozen=True)
class Part:
    """Points of a group or of the total, before and after its cap."""

    label: Any
    raw: Decimal
    held: Decimal

    @property
    def is_capped(self) -> bool:
        return self.raw != self.held


@dataclass(frozen=True)
class Trial:
    """What a draft says of one contact. `unknown`: rules that ask something that is not known of them."""

    contact: Contact
    points: dict[UUID, Decimal]
    unknown: set[UUID]
    parts: list[Part]
    given: Decimal
    total: Part
    grade: str
    is_ripe: bool
    live_total: Decimal | None
    problem: str = ""

    @property
    def held(self) -> set[UUID]:
        return set(self.points)


def try_on(contact: Contact, draft: ScoreVersion, *, now: datetime, rules: Sequence[Rule] | None = None) -> Trial:
    """Some fifteen statements. `rules` instead of the draft's own: one that is being typed, say."""
    chosen = list(bant.all_rules(draft)) if rules is None else list(rules)
    stored = contact.scores.filter(model=draft.model).first()
    live_total = stored.total if stored else None
    try:
        with time_limit(SECONDS):
            plan = draft_plan(draft, now, [contact.pk], chosen)
            points = queries.contributions(plan, contact.pk, now)
            unknown = unknown_to([rule for rule in chosen if rule.key not in points], contact, now)
    except (BadConditions, Refused, DatabaseError) as error:
        nothing = Part("", Decimal(0), Decimal(0))
        return Trial(contact, {}, set(), [], Decimal(0), nothing, "", False, live_total, problem=_problem(error))
    limits = {cap.group: cap for cap in plan.timed.caps} if plan.timed else {}
    parts = {
        group: _part(
            group,
            sum((points[rule.key] for rule in chosen if rule.group == group and rule.key in points), Decimal(0)),
            limits.get(group),
        )
        for group in Rule.Group.values
        if group != Rule.Group.BANT or draft.includes_bant
    }
    given = sum((row.points for row in _given(contact, draft, now)), Decimal(0))
    total = _part("total", sum((part.held for part in parts.values()), given), limits.get("total"))
    return Trial(
        contact,
        points,
        unknown,
        list(parts.values()),
        given,
        total,
        grade(parts["fit"].held, parts["behaviour"].held, draft.fit_lines, draft.behaviour_lines),
        total.held >= draft.threshold,
        live_total,
    )


def _part(group: str, raw: Decimal, cap: CapEra | None) -> Part:
    held = raw
    if cap is not None and cap.least is not None:
        held = max(held, cap.least * CENT)
    if cap is not None and cap.most is not None:
        held = min(held, cap.most * CENT)
    return Part(LABELS[group], raw, held)


def _given(contact: Contact, draft: ScoreVersion, now: datetime) -> list[PointsGiven]:
    rows = PointsGiven.objects.filter(contact=contact, model=draft.model_id, given_at__lte=now)
    return [row for row in rows if row.ends_at is None or row.ends_at > now]


def unknown_to(rules: Sequence[Rule], contact: Contact, now: datetime) -> set[UUID]:
    """Of rules that give nothing, those that a missing value decides. The statements of read_facts."""
    trees = {rule.key: check(rule.conditions, allow_unknown_slugs=True) for rule in rules if not rule.per_occurrence}
    asking = [rule for rule in rules if rule.key in trees and _asks_a_field(trees[rule.key])]
    facts = read_facts([contact.pk]).get(contact.pk) if asking else None
    if facts is None:
        return set()
    judge = Judge(moment(now), stored=True)
    found = set()
    for rule in asking:
        verdict = judge.verdict(trees[rule.key], facts)
        if any(isinstance(leaf.leaf, FieldLeaf) and leaf.actual in (None, "", []) for leaf in verdict.because):
            found.add(rule.key)
    return found


def _asks_a_field(tree: Tree) -> bool:
    return any(isinstance(leaf, FieldLeaf) for _path, leaf in leaves(tree))


def _problem(error: Exception) -> str:
    if isinstance(error, BadConditions):
        return "; ".join(str(problem.message) for problem in error.problems)
    return str(error) if isinstance(error, Refused) else str(_("This could not be worked out in time."))
