"""Writing graduation rules, and handing to sales whom one of them made an MQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import Refused, audit
from leads.queries_vocabulary import own_definitions
from leads.text import clean
from scoring import graduation
from scoring.actions.editing import MOST_POINTS, Outdated
from scoring.actions.handing import hand_over
from scoring.models import Benchmark, GraduationRule, ScoreModel
from scoring.queries.graduation import Move, lone_mqls, movers_by_stage, spare
from segments import graph
from segments.conditions import Tree, check, matching, moment, reads, to_document

SAMPLE = 8
RESERVED_SLUGS = frozenset({"new"})


def checked(
    *,
    to_stage: str,
    from_stages: Sequence[str],
    conditions: Any,
    points_of: ScoreModel | None,
    points: Decimal | None,
    slug: str = "",
) -> Tree:
    """The rule's tree. Raises Refused for a move that no rule may make, for asking nothing, and for a loop, naming it; BadConditions."""
    if to_stage not in graduation.TARGETS:
        raise Refused(_("A rule moves people forward: choose a stage of the line."))
    if not from_stages:
        raise Refused(_("Choose at least one stage that people come from."))
    if wrong := set(from_stages) - set(graduation.may_leave(to_stage)):
        raise Refused(
            _("A rule only moves forward: nobody goes from %(wrong)s to %(to)s.")
            % {
                "wrong": graduation.stage_words(sorted(wrong)) or ", ".join(sorted(wrong)),
                "to": graduation.LABELS[to_stage],
            }
        )
    if (points_of is None) != (points is None):
        raise Refused(_("Points need both: a score model and a number."))
    if points is not None and (not points.is_finite() or not abs(points) <= MOST_POINTS):
        raise Refused(_("Points are a number of at most %(most)s.") % {"most": MOST_POINTS})
    if points is None and conditions in (None, {}, {"all": []}):
        raise Refused(_("Say who moves: a condition, points, or both."))
    tree = check(graduation.document_of(conditions, points_of, points))
    if loop := graph.loop_through(f"graduation:{slug or 'new rule'}", reads(tree)):
        raise Refused(_("This would go round in a circle: %(loop)s.") % {"loop": " → ".join(loop)})
    return tree


def save_graduation(
    rule: GraduationRule | None,
    *,
    name: str,
    to_stage: str,
    from_stages: Sequence[str],
    now: datetime,
    conditions: Any = None,
    points_of: ScoreModel | None = None,
    points: Decimal | None = None,
    is_active: bool = True,
    actor: User | None = None,
    slug: str = "",
    version: int | None = None,
    moves_present: bool = True,
) -> GraduationRule:
    """Make a rule, or change one; everybody is looked at by the next turn. `version`: the one that the person saw.

    Without `moves_present` those who meet it at this moment stay where they are until they do something new.
    """
    name = clean(name)
    if not name:
        raise Refused(_("A rule needs a name: it stands in the history of everybody whom it moves."))
    with transaction.atomic():
        own_definitions()
        tree = checked(
            to_stage=to_stage, from_stages=from_stages, conditions=conditions, points_of=points_of, points=points,
            slug=rule.slug if rule else "",
        )  # fmt: skip
        if rule is None:
            row = GraduationRule(slug=_free_slug(slug or name), position=GraduationRule.objects.count() + 1, version=0)
        else:
            row = GraduationRule.objects.select_for_update(no_key=True).get(pk=rule.pk)
            if version is not None and row.version != version:
                raise Outdated(_("Somebody else changed this rule meanwhile. Open it again to see what it says now."))
        row.name, row.to_stage, row.is_active = name[:200], to_stage, is_active
        row.from_stages = [slug for slug in graduation.may_leave(to_stage) if slug in from_stages]
        row.conditions = None if conditions in (None, {}) else to_document(check(conditions))
        row.points_of, row.points = points_of, points
        row.version += 1
        row.stale_since, row.due_at, row.problem = now, None, ""
        row.spares = is_active and not moves_present
        row.save()
        row.spared.all().delete()
        spared = spare(row.pk, _move(tree, to_stage, row.from_stages, now), now) if row.spares else 0
        detail = {"to": to_stage, "from": row.from_stages, "in_use": is_active, "spared": spared}
        audit(actor, "made" if rule is None else "changed", row, detail, now)
    return row


def _free_slug(wanted: str) -> str:
    stem = slugify(wanted)[:80] or "rule"
    slug, number = stem, 1
    while slug in RESERVED_SLUGS or GraduationRule.objects.filter(slug=slug).exists():
        number += 1
        slug = f"{stem}-{number}"
    return slug


def delete_graduation(rule: GraduationRule, *, actor: User | None, now: datetime) -> None:
    """Nobody moves by it any more; the moves that it made stay in the history."""
    with transaction.atomic():
        audit(actor, "deleted", rule, {"to": rule.to_stage}, now)
        rule.delete()


def preview(
    tree: Tree, *, to_stage: str, from_stages: Sequence[str], now: datetime
) -> tuple[dict[str, int], list[int]]:
    """(stage -> how many would move out of it by the next turn, ids of some). One statement over everybody; nothing is written."""
    return movers_by_stage([_move(tree, to_stage, from_stages, now)], now, sample=SAMPLE)


def _move(tree: Tree, to_stage: str, from_stages: Sequence[str], now: datetime) -> Move:
    """The rule over everybody, sparing nobody."""
    return Move(matching(tree, moment(now), stored=True), tuple(from_stages), tuple(graduation.at_or_beyond(to_stage)))


def hand_over_graduates(contact_ids: Sequence[int], now: datetime) -> int:
    """The turn's follower: whom a rule made an MQL goes to sales, by the default model; nobody is an MQL whom sales never sees.

    For the same reasons too: somebody who had been moved back did something new, or the rule would not have moved them.
    """
    model = ScoreModel.objects.published().filter(is_default=True).first()
    if model is None or not GraduationRule.objects.filter(to_stage="mql").exists():
        return 0
    found = lone_mqls(contact_ids, model_id=model.pk)
    return sum(
        hand_over([contact for contact, _cause in group], model=model, cause=cause, now=now, force=True, again=True)
        for cause, group in groupby(found, key=lambda pair: pair[1])
    )


def set_benchmark(step: str, *, percent: Decimal | None, actor: User | None, now: datetime) -> None:
    """The company's own target for one step of the funnel; None takes it away."""
    if step not in Benchmark.Step.values:
        raise Refused(_("There is no such step."))
    if percent is not None and (not percent.is_finite() or not 0 < percent <= 100):
        raise Refused(_("A target is a percentage above 0 and at most 100."))
    with transaction.atomic():
        if percent is None:
            Benchmark.objects.filter(step=step).delete()
        else:
            Benchmark.objects.update_or_create(step=step, defaults={"percent": percent})
        audit(actor, "set a target", "benchmark", {"step": step, "percent": str(percent)}, now)
