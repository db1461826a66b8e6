"""The room's corners of the graph of definitions: what score models, hand-off conditions, routing and graduation rules read."""

from __future__ import annotations

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from scoring import bant, graduation
from scoring.models import GraduationRule, RoutingRule, Rule, ScoreModel, ScoreVersion
from segments.graph import Definition
from segments.rules import reads_of

# Of the model itself: its hand-off condition may read them, and archiving it is not refused for that.
OWN = ("total", "fit", "behaviour", "negative", "bant", "grade")


def score_definitions() -> list[Definition]:
    """Models in use and their hand-off conditions, by live version and draft. One statement."""
    versions = (
        ScoreVersion.objects.exclude(state=ScoreVersion.State.PAST)
        .filter(model__archived_at=None)
        .select_related("model")
        .annotate(asked=ArraySubquery(Rule.objects.filter(version=OuterRef("pk")).values("conditions")))
        .order_by("model__slug", "number")
    )
    reads: dict[ScoreModel, frozenset[str]] = {}
    found = []
    for version in versions:
        rules = (reads_of(asked) for asked in [*version.asked, *(rule.conditions for rule in bant.rules_of(version))])
        reads[version.model] = reads.get(version.model, frozenset()).union(*rules)
        if version.hand_off_conditions is not None:
            found.append(_hand_off(version))
    return found + [
        Definition(
            f"score:{model.slug}",
            model.name,
            _("score model"),
            reverse("scoring:model-detail", args=[model.slug]),
            read,
        )
        for model, read in reads.items()
    ]


def _hand_off(version: ScoreVersion) -> Definition:
    """For “used by”; nothing reads it, so it closes no loop."""
    model = version.model
    return Definition(
        f"hand_off:{model.slug}:{version.state}",
        model.name,
        _("hand-off condition"),
        reverse("scoring:model-detail", args=[model.slug]),
        reads_of(version.hand_off_conditions) - {f"score.{model.slug}.{name}" for name in OWN},
    )


def routing_definitions() -> list[Definition]:
    """For “used by”; nothing reads them. One statement."""
    return [
        Definition(
            f"routing:{rule.pk}", rule.name, _("routing rule"), reverse("scoring:routing"), reads_of(rule.conditions)
        )
        for rule in RoutingRule.objects.exclude(conditions=None)
    ]


def graduation_definitions() -> list[Definition]:
    """For loops and “used by”. One statement."""
    return [
        Definition(
            f"graduation:{rule.slug}",
            rule.name,
            _("graduation rule"),
            reverse("scoring:graduation-edit", args=[rule.slug]),
            reads_of(graduation.document(rule)),
        )
        for rule in GraduationRule.objects.in_use().select_related("points_of")
    ]
