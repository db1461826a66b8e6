"""Templates and programs as YAML documents, and what programs read in the graph of definitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from leads.models import Purpose
from leads.text import fold
from nurture import around, tree
from nurture.actions import (
    NurtureRefused,
    create_program,
    edit_draft,
    rename_program,
    save_template,
    set_around,
    set_triggers,
    start_draft,
)
from nurture.kinds import KINDS, choose
from nurture.models import Program, ProgramVersion, Stationery, Template
from nurture.templating import blocks as template_blocks
from nurture.templating import languages, stationery_documents, translations
from nurture.templating.rendering import BadTemplate, compiled
from nurture.tracking import documents as tracking
from nurture.triggers import document as way_in
from segments.definition_kinds import slug_of
from segments.definitions import BadDefinition, DefinitionKind, demand_choice, demand_keys, without_empty
from segments.graph import Definition
from segments.models import Segment
from segments.rules import reads_of

# --- Templates ------------------------------------------------------------------------------------------------------------------


def export_templates(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    rules = tracking.rules_by_owner("template")
    for row in Template.objects.filter(archived_at=None).select_related("layout"):
        document: dict[str, Any] = {"slug": row.slug, "name": row.name, "subject": row.subject}
        document |= without_empty(
            {
                "preheader": row.preheader,
                "sender_name": row.sender_name,
                "reply_to": row.reply_to,
                "language": row.language,
            }
        )
        document |= without_empty({"blocks": row.blocks})
        document |= {"text": row.text} if row.has_own_text else {}
        document |= without_empty({"translations": [_translation(one) for one in row.translations]})
        document |= {"layout": row.layout.slug} if row.layout else {}
        document |= {"purpose": row.purpose} if row.purpose != Purpose.ALL else {}
        document |= {"tracking": rules[row.pk]} if row.pk in rules else {}
        yield row.slug, document | {"format": row.format, "body": row.body}


def prepare_template(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str, "subject": str, "body": str},
        optional=dict.fromkeys(
            ("preheader", "format", "purpose", "sender_name", "reply_to", "language", "text", "layout"), str
        )
        | {"blocks": list, "translations": list, "tracking": dict},
    )
    tracking.check(document.get("tracking"))
    demand_choice(document, "purpose", Purpose.objects.values_list("slug", flat=True))
    demand_choice(document, "format", Template.Format.values)
    demand_choice(document, "layout", Stationery.objects.filter(kind="layout").values_list("slug", flat=True))
    demand_choice(document, "language", [tag for tag, _name in languages.choices()])
    slug = slug_of(document)
    _demand_mail(document, document, "body")
    for place, translation in enumerate(_translations(document)):
        _demand_mail(document, translation, f"translations[{place}].body")
    Template.objects.get_or_create(
        slug=slug, defaults={"name": document["name"], "subject": "", "body": "", "version": 0, "created_at": now}
    )


def _translation(row: dict[str, Any]) -> dict[str, Any]:
    words = {"language": row["language"], "subject": row["subject"]} | without_empty({"preheader": row["preheader"]})
    return words | ({} if row["text"] is None else {"text": row["text"]}) | {"body": row["body"]}


def _translations(document: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return translations.check(document.get("translations") or [])
    except ValueError as error:
        raise BadDefinition("translations", str(error)) from error


def _demand_mail(document: dict[str, Any], words: dict[str, Any], path: str) -> None:
    """Refuses words, its own or those of a translation, that cannot become a mail."""
    template = Template(
        format=document.get("format") or Template.Format.MJML,
        layout=_layout(document),
        sender_name=document.get("sender_name") or "",
        reply_to=document.get("reply_to") or "",
        subject=words["subject"],
        preheader=words.get("preheader") or "",
        body=words["body"],
        language=words.get("language") or "",
        has_own_text=words.get("text") is not None,
        text=words.get("text") or "",
        blocks=[{"key": key} for key in _block_names(document)],
    )
    try:
        compiled(template)
    except BadTemplate as error:
        raise BadDefinition(path, str(error)) from error


def _layout(document: dict[str, Any]) -> Stationery | None:
    return Stationery.objects.filter(kind="layout", slug=document.get("layout") or "").first()


def _block_names(document: dict[str, Any]) -> frozenset[str]:
    """Their conditions are looked at when all that they may name is there."""
    return frozenset(str(block.get("key")) for block in document.get("blocks") or [] if isinstance(block, dict))


def _blocks(document: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        return template_blocks.check(document.get("blocks") or [])
    except ValueError as error:
        raise BadDefinition("blocks", str(error)) from error


def apply_template(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    row = Template.objects.get(slug=document["slug"])
    wanted = {
        "name": document["name"],
        "subject": document["subject"],
        "preheader": document.get("preheader") or "",
        "format": document.get("format") or Template.Format.MJML.value,
        "body": document["body"],
        "purpose": document.get("purpose") or Purpose.ALL,
        "sender_name": document.get("sender_name") or "",
        "reply_to": document.get("reply_to") or "",
        "language": document.get("language") or "",
        "has_own_text": document.get("text") is not None,
        "text": document.get("text") or "",
        "blocks": _blocks(document),
        "translations": _translations(document),
        "layout": _layout(document),
    }
    stored = {key: getattr(row, key) for key in wanted}
    stored["translations"] = [{key: value for key, value in one.items() if key != "of"} for one in row.translations]
    if stored != wanted:
        save_template(row, **wanted, actor=actor, now=now)
    tracking.apply(row, document.get("tracking"), actor=actor, now=now)
    return []


# --- Programs --------------------------------------------------------------------------------------------------------------------


def _said(program: Program) -> ProgramVersion | None:
    """The version that a file shows: the draft, else the live one, else the newest."""
    rank = {ProgramVersion.State.DRAFT.value: 0, ProgramVersion.State.LIVE.value: 1, ProgramVersion.State.PAST.value: 2}
    versions = sorted(program.versions.all(), key=lambda version: (rank[version.state], -version.number))
    return versions[0] if versions else None


def _document(program: Program, version: ProgramVersion) -> dict[str, Any]:
    document: dict[str, Any] = {"slug": program.slug, "name": program.name}
    document |= without_empty({"notes": program.notes})
    if len(version.triggers) == 1 and version.triggers[0]["kind"] == "segment":
        document["trigger"] = {"segment": version.triggers[0].get("segment", "")}
    elif version.triggers:
        document["triggers"] = version.triggers
    document |= without_empty({"around": version.around})
    return document | {"steps": version.tree["steps"]}


def export_programs(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    """Programs in use. Three statements."""
    programs = Program.objects.filter(archived_at=None).prefetch_related("versions")
    rules = tracking.rules_by_owner("program")
    for program in programs:
        if (version := _said(program)) is not None:
            rule = {"tracking": rules[program.pk]} if program.pk in rules else {}
            yield program.slug, _document(program, version) | rule


def prepare_program(document: dict[str, Any], now: datetime) -> None:
    demand_keys(
        document,
        required={"slug": str, "name": str, "steps": list},
        optional={"notes": str, "trigger": dict, "triggers": list, "around": dict, "tracking": dict},
    )
    tracking.check(document.get("tracking"))
    slug = slug_of(document)
    trigger = document.get("trigger") or {}
    if set(trigger) - {"segment"}:
        raise BadDefinition("trigger", _("is {segment: slug}."))
    if trigger and "triggers" in document:
        raise BadDefinition("triggers", _("say either “trigger” or “triggers”."))
    program = Program.objects.filter(slug=slug).first()
    if program is None:
        create_program(name=document["name"], slug=slug, trigger_segment=None, actor=None, now=now)


def apply_program(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """An imported program is a draft: nothing starts, and a live version goes on until the draft is published."""
    program = Program.objects.prefetch_related("versions").get(slug=document["slug"])
    triggers = _triggers(document)
    wanted = {"steps": document["steps"]}
    try:
        tree.check(wanted)
    except tree.BadTree as error:
        raise BadDefinition(error.problems[0].path, error.problems[0].message) from error
    surroundings = document.get("around") or {}
    try:
        around.check(surroundings)
    except around.BadAround as error:
        path = f"around.{error.problems[0].path}".rstrip(".")
        raise BadDefinition(path, error.problems[0].message) from error
    if (program.name, program.notes) != (document["name"], document.get("notes") or ""):
        rename_program(program, name=document["name"], notes=document.get("notes") or "", actor=actor, now=now)
    tracking.apply(program, document.get("tracking"), actor=actor, now=now)
    version = _said(program)
    if version is not None and (version.tree, version.triggers, version.around) == (wanted, triggers, surroundings):
        return []
    draft = start_draft(program, actor=actor, now=now)
    draft = edit_draft(draft, edit_number=draft.edit_number, change=lambda _old: wanted, now=now)
    draft = set_triggers(draft, edit_number=draft.edit_number, triggers=triggers, now=now)
    set_around(draft, edit_number=draft.edit_number, document=surroundings, now=now)
    if program.state == Program.State.DRAFT:
        return []
    return [
        _("“%(name)s” is %(state)s; the change waits in its draft.")
        % {"name": program.name, "state": program.get_state_display()}
    ]


def _triggers(document: dict[str, Any]) -> way_in.Document:
    """The triggers that a file names. A file of one segment may say just that: `trigger: {segment: slug}`."""
    slug = (document.get("trigger") or {}).get("segment")
    triggers = way_in.of_segment(slug) if slug else document.get("triggers") or []
    try:
        way_in.check(triggers)
    except way_in.BadTriggers as error:
        raise BadDefinition(f"triggers{error.problems[0].path}", error.problems[0].message) from error
    known = set(Segment.objects.filter(archived_at=None).values_list("slug", flat=True)) if triggers else set()
    for one in way_in.segments(triggers):
        if one not in known:
            path = "trigger.segment" if slug else "triggers"
            raise BadDefinition(path, _("“%(slug)s” is no segment in use.") % {"slug": one})
    return triggers


# --- The graph ---------------------------------------------------------------------------------------------------------------------


def program_definitions() -> list[Definition]:
    """What programs read. One statement.

    Two corners each: trigger, goal and exits decide who is in a program, so they count for loops; what the steps ask is asked once, when
    somebody comes by, so it only counts as a use.
    """
    versions = (
        ProgramVersion.objects.filter(program__archived_at=None)
        .exclude(Q(state=ProgramVersion.State.PAST) & Q(program__state=Program.State.STOPPED))
        .select_related("program")
        .defer("past_edits")
        .order_by("program_id", "number")
    )
    triggers: dict[Program, set[str]] = {}
    steps: dict[Program, set[str]] = {}
    for version in versions:
        if version.state != ProgramVersion.State.PAST:
            triggers.setdefault(version.program, set()).update(way_in.reads(version.triggers))
        triggers.setdefault(version.program, set()).update(around.reads(version.around))
        steps.setdefault(version.program, set()).update(_reads(version.tree.get("steps", [])))
    found = []
    for program in steps:
        url = reverse("nurture:program-detail", args=[program.slug])
        reads = frozenset(triggers.get(program, ()))
        found.append(Definition(f"program:{program.slug}", program.name, _("program"), url, reads))
        asked = frozenset(steps[program]) - reads
        if asked:
            found.append(Definition(f"steps:{program.slug}", program.name, _("steps of the program"), url, asked))
    return found


def _reads(nodes: list[tree.Document]) -> Iterator[str]:
    """Keys of what stored steps name, without checking them again."""
    for node in nodes:
        if conditions := node.get("conditions"):
            yield from reads_of(conditions)
        for conditions in choose.rules_of(node):
            yield from reads_of(conditions)
        if conditions := (node.get("winner") or {}).get("conditions"):
            yield from reads_of(conditions)
        if slug := node.get("segment"):
            yield f"segment:{slug}"
        if slug := node.get("model"):
            yield f"score:{slug}"
        if field := node.get("field"):
            yield f"contact.{field}"
        if tag := node.get("tag"):
            yield f"tag:{fold(tag)}"
        if slug := node.get("program"):
            yield f"program:{slug}"
        if node.get("kind") == "change_stage" and (stage := node.get("to")):
            yield f"stage:{stage}"
        for way in KINDS[node["kind"]].ways if node.get("kind") in KINDS else ():
            yield from _reads(node.get(way, []))


KINDS_OF_DEFINITIONS = (
    stationery_documents.KIND,
    DefinitionKind("template", "templates", 60, export_templates, prepare_template, apply_template, (NurtureRefused,)),
    DefinitionKind(
        "program", "programs", 70, export_programs, prepare_program, apply_program, (NurtureRefused, tree.BadTree)
    ),
)
