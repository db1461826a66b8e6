"""Segments, personas, custom fields and stages as YAML documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from leads.actions import Refused, make_custom_field
from leads.models import Contact, CustomField, Stage
from leads.text import normal_address
from leads.vocabulary import change_custom_field
from segments.actions import (
    EVERYBODY,
    LONGEST_LABEL,
    RESERVED_SLUGS,
    SegmentRefused,
    add_to_segment,
    leave_to_rule,
    remove_from_segment,
    save_segment,
)
from segments.conditions import BadConditions, Catalogue, check, to_document
from segments.definitions import BadDefinition, DefinitionKind, demand_choice, demand_keys, without_empty
from segments.models import Persona, Segment, SegmentOverride
from segments.personas import MOTIVATIONS, WORDS_OF_PERSONA, PersonaRefused, save_persona

MOST_NAMES_TOLD = 20


def slug_of(document: Mapping[str, Any]) -> str:
    """The document's slug, refused unless it is one."""
    slug = document.get("slug")
    try:
        validate_slug(slug if isinstance(slug, str) else "")
    except ValidationError as error:
        raise BadDefinition("slug", _("must be letters, digits, hyphens and underscores.")) from error
    assert isinstance(slug, str)
    if slug in RESERVED_SLUGS:
        raise BadDefinition("slug", _("“%(slug)s” is a word of our own addresses.") % {"slug": slug})
    if len(slug) > 100:
        raise BadDefinition("slug", _("has more than 100 characters."))
    return slug


def in_reading_order(conditions: Any, catalogue: Catalogue) -> Any:
    """A stored rule with its keys as people read them (field, op, value): the database sorts keys by length."""
    try:
        return to_document(check(conditions, allow_unknown_slugs=True, catalogue=catalogue))
    except BadConditions:
        return conditions


# --- segments ---------------------------------------------------------------------------------------------------------------


def export_segments(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """Segments in use. Two statements, one of them over the overrides when people are wanted."""
    people: dict[tuple[int, str], list[str]] = {}
    if with_people:
        for segment_id, verdict, external_id, email in SegmentOverride.objects.values_list(
            "segment_id", "verdict", "contact__external_id", "contact__email"
        ):
            people.setdefault((segment_id, verdict), []).append(external_id or email or "")
    catalogue = Catalogue()
    for segment in Segment.objects.in_use().select_related("owner").order_by("slug"):
        document: dict[str, Any] = {"slug": segment.slug, "name": segment.name, "mode": segment.mode}
        owner = segment.owner.get_username() if segment.owner else ""
        document |= without_empty(
            {"folder": segment.folder, "labels": segment.labels, "owner": owner, "notes": segment.notes}
        )
        if segment.mode == Segment.Mode.DYNAMIC:
            document["conditions"] = in_reading_order(segment.conditions, catalogue)
        for verdict in (SegmentOverride.Verdict.ADDED, SegmentOverride.Verdict.REMOVED):
            if names := people.get((segment.pk, verdict)):
                document[verdict.value] = sorted(names)
        yield segment.slug, document


def prepare_segment(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str},
        optional={
            "mode": str, "folder": str, "labels": list, "owner": str, "notes": str, "conditions": dict, "added": list, "removed": list,
        },
    )  # fmt: skip
    for place, label in enumerate(document.get("labels") or []):
        if not isinstance(label, str) or not 0 < len(label.strip()) <= LONGEST_LABEL:
            raise BadDefinition(
                f"labels[{place}]", _("must be a text of at most %(most)s characters.") % {"most": LONGEST_LABEL}
            )
    demand_choice(document, "mode", Segment.Mode.values)
    mode = document.get("mode") or Segment.Mode.DYNAMIC.value
    segment, _made = Segment.objects.get_or_create(
        slug=slug_of(document), defaults={"name": document["name"], "mode": mode, "version": 0, "created_at": now}
    )
    if segment.archived_at:
        raise BadDefinition(
            "slug", _("“%(name)s” is archived; take it out of the archive first.") % {"name": segment.name}
        )
    if segment.mode != mode:
        raise BadDefinition("mode", _("is %(mode)s and cannot be changed.") % {"mode": segment.mode})
    if mode == Segment.Mode.DYNAMIC and document.get("conditions") is None:
        raise BadDefinition("conditions", _("is missing."))
    if mode == Segment.Mode.FIXED and (document.get("conditions") is not None or document.get("removed")):
        raise BadDefinition(
            "conditions" if document.get("conditions") is not None else "removed",
            _("does not go with a fixed segment, which holds only who was added."),
        )


def apply_segment(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """A file that says “everybody” (`conditions: {all: []}`) says it by name. An owner who is nobody here leaves the owner as it is."""
    segment = Segment.objects.select_related("owner").get(slug=document["slug"])
    owner, remarks = segment.owner, []
    if "owner" in document:
        name = document["owner"] or ""
        found = User.objects.filter(username=name).first()
        if name and found is None:
            remarks.append(_("owner: nobody is called “%(name)s” here.") % {"name": name})
        else:
            owner = found
    segment = save_segment(
        segment,
        name=document["name"],
        conditions=document.get("conditions"),
        actor=actor,
        now=now,
        notes=document.get("notes") or "",
        folder=document.get("folder") or "",
        labels=document.get("labels") or [],
        owner=owner,
        reason=_("Imported"),
        everybody=document.get("conditions") == EVERYBODY,
    )
    for verdict in SegmentOverride.Verdict:
        names = document.get(verdict.value)
        if names is not None:
            remarks += _put_people(segment, verdict, names, actor, now)
    return remarks


def _put_people(
    segment: Segment, verdict: SegmentOverride.Verdict, names: Sequence[Any], actor: User | None, now: datetime
) -> list[str]:
    """Make the list of people in or out by hand exactly these; those who are not known here are told."""
    if not all(isinstance(name, str | int) and not isinstance(name, bool) for name in names):
        raise BadDefinition(verdict.value, _("must be a list of external ids or e-mail addresses."))
    ids, unknown = contacts_named([str(name) for name in names])
    others = SegmentOverride.objects.filter(segment=segment, verdict=verdict).exclude(contact_id__in=ids)
    leave_to_rule(segment, contact_ids=list(others.values_list("contact_id", flat=True)), now=now)
    put = add_to_segment if verdict == SegmentOverride.Verdict.ADDED else remove_from_segment
    put(segment, contact_ids=ids, cause="import", actor=actor, now=now)
    if not unknown:
        return []
    told = ", ".join(unknown[:MOST_NAMES_TOLD]) + (" …" if len(unknown) > MOST_NAMES_TOLD else "")
    return [
        _("%(key)s: %(count)s people are not known here: %(names)s")
        % {"key": verdict.value, "count": len(unknown), "names": told}
    ]


def contacts_named(names: Sequence[str]) -> tuple[list[int], list[str]]:
    """(ids, names not found) by external id, else by e-mail. Two statements."""
    found: dict[str, int] = dict(
        Contact.objects.filter(external_id__in=list(names)).values_list("external_id", "pk")  # type: ignore[arg-type]
    )
    addresses = {normal_address(name): name for name in names if name not in found}
    by_address = Contact.objects.alias(address=Lower("email")).filter(address__in=list(addresses))
    for address, pk in by_address.values_list("email", "pk"):
        found[addresses[normal_address(address or "")]] = pk
    return sorted(set(found.values())), [name for name in names if name not in found]


# --- personas ---------------------------------------------------------------------------------------------------------------

_PERSONA_WORDS = tuple(name for name in WORDS_OF_PERSONA if name not in {"name", "conditions", "motivations"})


def export_personas(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    catalogue = Catalogue()
    for persona in Persona.objects.order_by("slug"):
        document = {"slug": persona.slug, "name": persona.name, "position": persona.position}
        document |= without_empty({name: getattr(persona, name) for name in (*_PERSONA_WORDS, "motivations")})
        if persona.conditions is not None:
            document["conditions"] = in_reading_order(persona.conditions, catalogue)
        yield persona.slug, document


def prepare_persona(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str},
        optional={**dict.fromkeys(_PERSONA_WORDS, str), "position": int, "motivations": list, "conditions": dict},
    )
    demand_choice(document, "status", Persona.Status.values)
    demand_choice(document, "role", Persona.Role.values)
    known = [slug for slug, _word, _hint in MOTIVATIONS]
    for place, motivation in enumerate(document.get("motivations") or []):
        if motivation not in known:
            raise BadDefinition(
                f"motivations[{place}]", _("does not fit; choose one of %(choices)s.") % {"choices": ", ".join(known)}
            )
    position = document.get("position") or 0
    if not 0 <= position <= 32_767:
        raise BadDefinition("position", _("must lie between 0 and 32,767."))
    Persona.objects.get_or_create(
        slug=slug_of(document), defaults={"name": document["name"], "position": position, "created_at": now}
    )


def apply_persona(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """Absent words become empty: a file says all that a persona is. A new place in the order makes everybody be assigned again."""
    persona = Persona.objects.get(slug=document["slug"])
    conditions = document.get("conditions")
    values: dict[str, Any] = {name: document.get(name) or "" for name in _PERSONA_WORDS}
    values |= {
        "name": document["name"],
        "status": document.get("status") or Persona.Status.DRAFT.value,
        "motivations": document.get("motivations") or [],
        "conditions": None if conditions is None else to_document(check(conditions)),
    }
    persona = save_persona(persona, values=values, version=persona.version, actor=actor, now=now)
    if document.get("position") is not None and persona.position != document["position"]:
        Persona.objects.filter(pk=persona.pk).update(position=document["position"])
        Persona.objects.update(stale_since=now, problem="")
    return []


# --- fields and stages ------------------------------------------------------------------------------------------------------


def field_file(document: Mapping[str, Any]) -> str:
    """A contact's field is called by its key; the same key of a company needs another file."""
    of, key = document.get("of") or CustomField.Of.CONTACT.value, document.get("key")
    return str(key) if of == CustomField.Of.CONTACT else f"{of}.{key}"


def export_fields(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    for custom in CustomField.objects.order_by("of", "key"):
        document: dict[str, Any] = {"of": custom.of, "key": custom.key, "label": custom.label, "type": custom.type}
        document |= without_empty({"choices": custom.choices, "help": custom.help})
        yield field_file(document), document


def prepare_field(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"of": str, "key": str, "type": str},
        optional={"label": str, "choices": list, "help": str},
    )
    demand_choice(document, "of", CustomField.Of.values)
    demand_choice(document, "type", CustomField.Type.values)
    choices = document.get("choices") or []
    if not all(isinstance(choice, str) for choice in choices):
        raise BadDefinition("choices", _("must be a list of texts."))
    known = CustomField.objects.filter(of=document["of"], key=document["key"]).first()
    if known is None:
        make_custom_field(
            document["of"],
            key=document["key"],
            type=document["type"],
            now=now,
            label=document.get("label") or "",
            choices=choices,
            help=document.get("help") or "",
        )
    elif known.type != document["type"]:
        _change_type(known, document, choices, now)


def _change_type(field: CustomField, document: Mapping[str, Any], choices: Sequence[str], now: datetime) -> None:
    """Another type only while no rule uses the field and every stored value spells the new one."""
    try:
        change_custom_field(
            field, label=field.label, type=document["type"], choices=choices, help=field.help, actor=None, now=now
        )
    except Refused as refused:
        raise BadDefinition(
            "type", _("is %(type)s here and cannot be changed: %(why)s") % {"type": field.type, "why": refused}
        ) from refused


def apply_field(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    CustomField.objects.filter(of=document["of"], key=document["key"]).update(
        label=document.get("label") or document["key"],
        choices=document.get("choices") or [],
        help=document.get("help") or "",
    )
    return []


def export_stages(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    for stage in Stage.objects.order_by("position"):
        yield (
            stage.slug,
            {"slug": stage.slug, "label": stage.label, "position": stage.position, "detour": stage.is_detour},
        )


def prepare_stage(document: dict[str, Any], now: datetime) -> None:
    """Stages and their order are the product's (leads/lifecycle.py); what a company calls them is its own."""
    demand_keys(document, required={"slug": str, "label": str}, optional={"position": int, "detour": bool})
    stage = Stage.objects.filter(slug=slug_of(document)).first()
    if stage is None:
        known = ", ".join(Stage.objects.values_list("slug", flat=True))
        raise BadDefinition("slug", _("is no stage; the stages are %(known)s.") % {"known": known})
    for key, stored in (("position", stage.position), ("detour", stage.is_detour)):
        if document.get(key) not in (None, stored):
            raise BadDefinition(key, _("is %(value)s and cannot be changed.") % {"value": stored})


def apply_stage(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    Stage.objects.filter(slug=document["slug"]).update(label=document["label"])
    return []


KINDS = (
    DefinitionKind("field", "fields", 10, export_fields, prepare_field, apply_field, (Refused,), field_file),
    DefinitionKind("stage", "stages", 20, export_stages, prepare_stage, apply_stage),
    DefinitionKind("segment", "segments", 30, export_segments, prepare_segment, apply_segment, (SegmentRefused,)),
    DefinitionKind("persona", "personas", 40, export_personas, prepare_persona, apply_persona, (PersonaRefused,)),
)
