"""The routing of leads as one YAML document: the rules in their order, owners by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from leads.actions import Refused
from leads.models import Owner
from scoring.actions import save_routing_rule
from scoring.models import RoutingRule, ScoreModel
from segments.conditions import BadConditions
from segments.definitions import BadDefinition, DefinitionKind, demand_keys

SLUG = "routing"
KEYS = ("name", "model", "conditions", "to", "owners", "in_use")


def export_routing(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """One document, none without rules. Three statements."""
    rules = list(RoutingRule.objects.select_related("model").prefetch_related("seats__owner"))
    if not rules:
        return
    yield (
        SLUG,
        {
            "slug": SLUG,
            "rules": [
                {
                    "name": rule.name,
                    "model": rule.model.slug if rule.model else None,
                    "conditions": rule.conditions,
                    "to": rule.target,
                    "owners": [seat.owner.name for seat in rule.seats.all()],
                    "in_use": rule.is_active,
                }
                for rule in rules
            ],
        },
    )


def prepare_routing(document: dict[str, Any], now: datetime) -> None:
    demand_keys(document, required={"slug": str, "rules": list}, optional={})
    if document["slug"] != SLUG:
        raise BadDefinition("slug", _("must be “%(slug)s”.") % {"slug": SLUG})


def apply_routing(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """The list of the file becomes the list: rules of the same name are changed, those it does not name go."""
    known = {rule.name: rule for rule in RoutingRule.objects.all()}
    kept = set[int]()
    if document == dict(next(iter(export_routing(False)), ("", {}))[1]):
        return []
    for place, wanted in enumerate(document["rules"]):
        path = f"rules[{place}]"
        if not isinstance(wanted, dict) or not set(wanted) <= set(KEYS) or not isinstance(wanted.get("name"), str):
            raise BadDefinition(path, _("must be a mapping with %(keys)s.") % {"keys": ", ".join(KEYS)})
        rule = known.get(wanted["name"])
        if rule is not None and rule.pk in kept:
            raise BadDefinition(f"{path}.name", _("two rules are called “%(name)s”.") % {"name": rule.name})
        try:
            saved = save_routing_rule(
                rule,
                name=wanted["name"],
                model=_model(wanted.get("model"), path),
                conditions=wanted.get("conditions"),
                target=str(wanted.get("to", RoutingRule.Target.TEAM)),
                owners=_owners(wanted.get("owners") or [], path),
                is_active=wanted.get("in_use", True) is True,
                actor=actor,
                now=now,
            )
        except BadConditions as error:
            first = error.problems[0]
            raise BadDefinition(
                f"{path}.conditions{'.' if first.path else ''}{first.path}", str(first.message)
            ) from error
        except Refused as error:
            raise BadDefinition(path, str(error)) from error
        RoutingRule.objects.filter(pk=saved.pk).update(position=place)
        kept.add(saved.pk)
    gone = RoutingRule.objects.exclude(pk__in=kept)
    names = [rule.name for rule in gone]
    gone.delete()
    return (
        [_("Routing rules that the file does not name are gone: %(names)s.") % {"names": ", ".join(names)}]
        if names
        else []
    )


def _model(slug: Any, path: str) -> ScoreModel | None:
    if slug is None:
        return None
    model = ScoreModel.objects.in_use().filter(slug=slug).first() if isinstance(slug, str) else None
    if model is None:
        raise BadDefinition(f"{path}.model", _("there is no score model “%(slug)s”.") % {"slug": slug})
    return model


def _owners(names: Any, path: str) -> list[Owner]:
    if not isinstance(names, list):
        raise BadDefinition(f"{path}.owners", _("must be a list of names."))
    found = []
    for name in names:
        owner = Owner.objects.filter(name__iexact=str(name)).first()
        if owner is None:
            raise BadDefinition(f"{path}.owners", _("there is no owner “%(name)s”.") % {"name": name})
        found.append(owner)
    return found


KIND = DefinitionKind(
    kind="routing",
    folder="routing",
    order=55,
    export=export_routing,
    prepare=prepare_routing,
    apply=apply_routing,
    refusals=(Refused,),
)
