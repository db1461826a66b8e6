"""Graduation rules as YAML documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from leads.actions import Refused
from scoring import graduation
from scoring.actions.graduation import save_graduation
from scoring.cards import number
from scoring.models import GraduationRule, ScoreModel
from segments.conditions import BadConditions
from segments.definition_kinds import slug_of
from segments.definitions import BadDefinition, DefinitionKind, demand_choice, demand_keys


def export_rules(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """One statement."""
    for rule in GraduationRule.objects.select_related("points_of").order_by("slug"):
        yield (
            rule.slug,
            {
                "slug": rule.slug,
                "name": rule.name,
                "in_use": rule.is_active,
                "to": rule.to_stage,
                "from": list(rule.from_stages),
                "points_of": rule.points_of.slug if rule.points_of else None,
                "points": None if rule.points is None else number(rule.points),
                "conditions": rule.conditions,
            },
        )


def prepare_rule(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str, "to": str},
        optional={
            "in_use": bool,
            "from": list,
            "points_of": str,
            "points": object,
            "conditions": dict,
        },
    )
    demand_choice(document, "to", graduation.TARGETS)


def apply_rule(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """Nothing is written where nothing differs."""
    slug = slug_of(document)
    rule = GraduationRule.objects.select_related("points_of").filter(slug=slug).first()
    model = _model(document.get("points_of"))
    said = {
        "name": document["name"],
        "to_stage": document["to"],
        "from_stages": document.get("from") or graduation.usual_from(document["to"]),
        "conditions": document.get("conditions"),
        "points_of": model,
        "points": _points(document.get("points")),
        "is_active": document.get("in_use", True),
    }
    if rule is not None and all(getattr(rule, key) == value for key, value in said.items()):
        return []
    try:
        save_graduation(rule, **said, slug=slug, actor=actor, now=now)
    except BadConditions as error:
        first = error.problems[0]
        raise BadDefinition(f"conditions{'.' if first.path else ''}{first.path}", str(first.message)) from error
    return []


def _model(slug: str | None) -> ScoreModel | None:
    if slug is None:
        return None
    model = ScoreModel.objects.in_use().filter(slug=slug).first()
    if model is None:
        raise BadDefinition("points_of", _("There is no score model “%(slug)s”.") % {"slug": slug})
    return model


def _points(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadDefinition("points", _("must be a number."))
    return Decimal(str(value))


KIND = DefinitionKind(
    kind="graduation",
    folder="graduation",
    order=55,
    export=export_rules,
    prepare=prepare_rule,
    apply=apply_rule,
    refusals=(Refused,),
)
