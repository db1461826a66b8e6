"""Score models as YAML documents: what is live, or the draft of a model that was never published."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from leads.actions import Refused
from scoring import bant
from scoring.actions import (
    change_bant,
    change_hand_off,
    change_lines,
    change_model,
    delete_rule,
    draft_of,
    make_default,
    publish,
    restore,
    save_rule,
)
from scoring.actions.editing import RESERVED_SLUGS
from scoring.cards import number
from scoring.models import Rule, ScoreModel, ScoreVersion
from scoring.occurrences import FIELDS, Counting, counting_of
from segments.conditions import BadConditions
from segments.definition_kinds import slug_of
from segments.definitions import BadDefinition, DefinitionKind, demand_choice, demand_keys

RULE_KEYS = ("key", "group", "name", "points", "conditions", "per_occurrence")


def export_models(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """Models in use. Three statements."""
    for model in ScoreModel.objects.in_use().prefetch_related("versions__rules").order_by("slug"):
        versions = {version.state: version for version in model.versions.all()}
        version = versions.get(ScoreVersion.State.LIVE) or versions.get(ScoreVersion.State.DRAFT)
        if version is None:
            continue
        yield (
            model.slug,
            {
                "slug": model.slug,
                "name": model.name,
                "default": model.is_default,
                "published": version.state == ScoreVersion.State.LIVE,
                "routing": model.routing,
                "answer_within_hours": model.answer_within_hours,
                "threshold": number(version.threshold),
                "fit_lines": [number(line) for line in version.fit_lines],
                "behaviour_lines": [number(line) for line in version.behaviour_lines],
                "bant": bant_of_version(version),
                **({"caps": version.caps} if version.caps else {}),
                "hand_off": hand_off_of(version),
                "rules": [
                    {
                        "key": str(rule.key),
                        "group": rule.group,
                        "name": rule.name,
                        "points": number(rule.points),
                        "conditions": rule.conditions,
                        **_counted(rule),
                    }
                    for rule in _in_order(version)
                ],
            },
        )


def _counted(rule: Rule) -> dict[str, Any]:
    """The key `per_occurrence` of a rule that gives points for each activity, with its limits."""
    counting = counting_of(rule)
    if counting is None:
        return {}
    limits = {name: getattr(counting, name) for name in FIELDS if getattr(counting, name) is not None}
    return {"per_occurrence": {name: number(v) if isinstance(v, Decimal) else v for name, v in limits.items()}}


def _counting(wanted: dict[str, Any], path: str) -> Counting | None:
    limits = wanted.get("per_occurrence")
    if limits is None:
        return None
    if not isinstance(limits, dict) or not set(limits) <= set(FIELDS):
        raise BadDefinition(
            f"{path}.per_occurrence", _("must be a mapping with %(keys)s.") % {"keys": ", ".join(FIELDS)}
        )
    values = dict(limits)
    if values.get("cap") is not None:
        values["cap"] = _decimal(values["cap"], f"{path}.per_occurrence.cap")
    return Counting(**values)


def _in_order(version: ScoreVersion) -> list[Rule]:
    groups = {group: place for place, group in enumerate(Rule.Group.values)}
    return sorted(version.rules.all(), key=lambda rule: (groups[rule.group], rule.position, rule.pk))


def prepare_model(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str},
        optional={
            "default": bool,
            "published": bool,
            "routing": str,
            "answer_within_hours": int,
            "threshold": object,
            "fit_lines": list,
            "behaviour_lines": list,
            "bant": dict,
            "caps": dict,
            "hand_off": dict,
            "rules": list,
        },
    )
    demand_choice(document, "routing", ScoreModel.Routing.values)
    if document.get("slug") in RESERVED_SLUGS:
        raise BadDefinition("slug", _("“%(slug)s” is a word of our own addresses.") % {"slug": document["slug"]})
    model, made = ScoreModel.objects.get_or_create(slug=slug_of(document), defaults={"name": document["name"]})
    if model.archived_at:
        raise BadDefinition("slug", _("“%(name)s” is archived.") % {"name": model})
    if made:
        ScoreVersion.objects.create(model=model, number=1, edited_at=now)


def apply_model(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """What the document says becomes live (or the draft). Nothing is published where nothing differs."""
    model = ScoreModel.objects.get(slug=document["slug"])
    change_model(
        model,
        name=document["name"],
        routing=document.get("routing") or model.routing,
        answer_within_hours=document.get("answer_within_hours") or model.answer_within_hours,
        actor=actor,
        now=now,
    )
    if document.get("default") and not model.is_default:
        make_default(model, now=now, actor=actor)
    live = model.versions.filter(state=ScoreVersion.State.LIVE).first()
    if live is not None and document.get("published") is False:
        raise BadDefinition("published", _("The model is live here; a file cannot take it back."))
    if live is not None and _says(live) == _said(document, live):
        return []
    remarks: list[str] = []
    if live is not None and model.versions.filter(state=ScoreVersion.State.DRAFT).exists():
        remarks.append(_("The draft that was there is replaced."))
    draft = restore(live, now=now, actor=actor) if live is not None else draft_of(model, now=now)
    _write(draft, document, actor, now)
    if document.get("published", True):
        publish(draft, reason=_("Imported"), actor=actor, now=now)
    return remarks


def bant_of_version(version: ScoreVersion) -> dict[str, Any]:
    """As written: whether it counts, what each of the four is worth, from how many points it passes."""
    return {
        "counts": version.includes_bant,
        "weights": {facet: number(weight) for facet, weight in zip(bant.FACETS, version.bant_weights, strict=True)},
        "passes_from": number(version.bant_line),
    }


def _bant_said(document: dict[str, Any], version: ScoreVersion) -> dict[str, Any]:
    """What the file says of BANT; what it leaves out stays."""
    says, said = bant_of_version(version), document.get("bant") or {}
    if not set(said) <= set(says) or not isinstance(said.get("weights", {}), dict):
        raise BadDefinition("bant", _("must be a mapping with %(keys)s.") % {"keys": ", ".join(says)})
    if not set(said.get("weights", {})) <= set(bant.FACETS):
        raise BadDefinition("bant.weights", _("must be a mapping with %(keys)s.") % {"keys": ", ".join(bant.FACETS)})
    if not isinstance(said.get("counts", False), bool):
        raise BadDefinition("bant.counts", _("must be true or false."))
    return {**says, **said, "weights": {**says["weights"], **said.get("weights", {})}}


def _write_bant(draft: ScoreVersion, document: dict[str, Any], now: datetime) -> None:
    said = _bant_said(document, draft)
    change_bant(
        draft,
        includes=said["counts"],
        weights=[_decimal(said["weights"][facet], f"bant.weights.{facet}") for facet in bant.FACETS],
        line=_decimal(said["passes_from"], "bant.passes_from"),
        now=now,
    )


def hand_off_of(version: ScoreVersion) -> dict[str, Any]:
    """As written: whether it hands over at all, what must hold besides the threshold, the line to fall below."""
    return {
        "hands_over": version.hands_over,
        "conditions": version.hand_off_conditions,
        "lower_line": None if version.lower_line is None else number(version.lower_line),
    }


def _hand_off_said(document: dict[str, Any], version: ScoreVersion) -> dict[str, Any]:
    """What the file says of the hand-off; what it leaves out stays."""
    says, said = hand_off_of(version), document.get("hand_off") or {}
    if not set(said) <= set(says):
        raise BadDefinition("hand_off", _("must be a mapping with %(keys)s.") % {"keys": ", ".join(says)})
    if not isinstance(said.get("hands_over", True), bool):
        raise BadDefinition("hand_off.hands_over", _("must be true or false."))
    return {**says, **said}


def _write_hand_off(draft: ScoreVersion, document: dict[str, Any], now: datetime) -> None:
    said = _hand_off_said(document, draft)
    line = said["lower_line"]
    try:
        change_hand_off(
            draft,
            hands_over=said["hands_over"],
            lower_line=None if line is None else _decimal(line, "hand_off.lower_line"),
            conditions=said["conditions"],
            now=now,
        )
    except BadConditions as error:
        first = error.problems[0]
        path = f"hand_off.conditions{'.' if first.path else ''}{first.path}"
        raise BadDefinition(path, str(first.message)) from error


def _write(draft: ScoreVersion, document: dict[str, Any], actor: User | None, now: datetime) -> None:
    change_lines(
        draft,
        threshold=_decimal(document.get("threshold", draft.threshold), "threshold"),
        fit_lines=[_decimal(line, "fit_lines") for line in document.get("fit_lines") or draft.fit_lines],
        behaviour_lines=[
            _decimal(line, "behaviour_lines") for line in document.get("behaviour_lines") or draft.behaviour_lines
        ],
        caps=document.get("caps", {}),
        now=now,
    )
    _write_bant(draft, document, now)
    _write_hand_off(draft, document, now)
    known = {str(rule.key): rule for rule in draft.rules.all()}
    by_name = {(rule.group, rule.name): rule for rule in known.values()}
    kept: set[UUID] = set()
    for place, wanted in enumerate(document.get("rules") or []):
        path = f"rules[{place}]"
        if not isinstance(wanted, dict) or not set(wanted) <= set(RULE_KEYS):
            raise BadDefinition(path, _("must be a mapping with %(keys)s.") % {"keys": ", ".join(RULE_KEYS)})
        rule = known.get(str(wanted.get("key"))) or (
            None if "key" in wanted else by_name.get((str(wanted.get("group")), str(wanted.get("name"))))
        )
        try:
            saved = save_rule(
                draft,
                key=rule.key if rule else None,
                group=str(wanted.get("group")),
                name=str(wanted.get("name") or ""),
                points=_decimal(wanted.get("points"), f"{path}.points"),
                conditions=wanted.get("conditions"),
                counting=_counting(wanted, path),
                now=now,
            )
        except BadConditions as error:
            first = error.problems[0]
            raise BadDefinition(
                f"{path}.conditions{'.' if first.path else ''}{first.path}", str(first.message)
            ) from error
        except Refused as error:
            raise BadDefinition(path, str(error)) from error
        Rule.objects.filter(pk=saved.pk).update(position=place + 1, key=_key(wanted, saved, path))
        saved.refresh_from_db(fields=["key"])
        kept.add(saved.key)
    for rule in draft.rules.exclude(key__in=kept):
        delete_rule(draft, key=rule.key, now=now)


def _key(wanted: dict[str, Any], saved: Rule, path: str) -> UUID:
    """The key of the file, so that a rule is the same rule on every instance."""
    if "key" not in wanted:
        return saved.key
    try:
        return UUID(str(wanted["key"]))
    except ValueError as error:
        raise BadDefinition(f"{path}.key", _("must be a UUID.")) from error


def _decimal(value: Any, path: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadDefinition(path, _("must be a number, not %(value)s.") % {"value": repr(value)[:80]})
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise BadDefinition(path, _("must be a number.")) from error


def _says(version: ScoreVersion) -> list[Any]:
    return [
        number(version.threshold),
        [number(line) for line in version.fit_lines],
        [number(line) for line in version.behaviour_lines],
        [[rule.group, rule.name, number(rule.points), rule.conditions, _counted(rule)] for rule in _in_order(version)],
        bant_of_version(version),
        version.caps,
        hand_off_of(version),
    ]


def _said(document: dict[str, Any], live: ScoreVersion) -> list[Any]:
    said = _says(live)
    for place, key in enumerate(("threshold", "fit_lines", "behaviour_lines")):
        said[place] = document.get(key, said[place])
    if document.get("rules") is not None:
        said[3] = [
            [
                rule.get("group"),
                rule.get("name"),
                rule.get("points"),
                rule.get("conditions"),
                {"per_occurrence": rule["per_occurrence"]} if rule.get("per_occurrence") is not None else {},
            ]
            for rule in document["rules"]
            if isinstance(rule, dict)
        ]
    said[4] = _bant_said(document, live)
    said[5] = document.get("caps", {})
    said[6] = _hand_off_said(document, live)
    return said


KIND = DefinitionKind(
    kind="score_model",
    folder="score-models",
    order=50,
    export=export_models,
    prepare=prepare_model,
    apply=apply_model,
    refusals=(Refused,),
)
