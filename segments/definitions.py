"""Definitions as files: one YAML document each, exported in a stable order, imported all or none, round trip = identity."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from yaml.resolver import Resolver

from leads.queries_vocabulary import own_definitions
from segments.conditions import BadConditions

LARGEST_FILE = 5_000_000  # bytes; the largest rule document is a few hundred kilobytes


class BadDefinition(Exception):
    """A document that is refused: where in it, and why in words for people."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path
        self.message = message


def _slug(document: Mapping[str, Any]) -> str:
    return str(document.get("slug"))


@dataclass(frozen=True)
class DefinitionKind:
    """How one kind is written and read. `name(document)` is the file name that an export gives it, the slug for most.

    `export(with_people)` gives (file name without ending, document) of each; `prepare(document, now)` makes the bare row, so that
    other documents of the same import may name it; `apply(document, actor, now)` stores the rest and returns remarks for people.
    Both raise BadDefinition, BadConditions, or one of `refusals`.
    """

    kind: str
    folder: str
    order: int
    export: Callable[[bool], Iterable[tuple[str, dict[str, Any]]]]
    prepare: Callable[[dict[str, Any], datetime], None]
    apply: Callable[[dict[str, Any], User | None, datetime], list[str]]
    refusals: tuple[type[Exception], ...] = ()
    name: Callable[[Mapping[str, Any]], str] = _slug


@dataclass
class FileReport:
    """What became of one file."""

    file: str
    kind: str = ""
    outcome: str = ""
    difference: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        row: dict[str, Any] = {"file": self.file, "kind": self.kind, "outcome": self.outcome}
        row |= {key: value for key, value in vars(self).items() if key not in row and value}
        return row


class _Undo(Exception):
    """Rolls a dry run or a refused import back."""


_kinds: dict[str, DefinitionKind] = {}


def register_definition_kind(kind: DefinitionKind) -> None:
    if kind.kind in _kinds:
        raise ValueError(f"Definition kind “{kind.kind}” is registered already.")
    _kinds[kind.kind] = kind


def kinds() -> list[DefinitionKind]:
    return sorted(_kinds.values(), key=lambda kind: (kind.order, kind.kind))


def documents(*, with_people: bool) -> dict[tuple[str, str], dict[str, Any]]:
    """(folder, file name) -> document of everything that is defined."""
    return {
        (kind.folder, f"{name}.yaml"): {"kind": kind.kind, **document}
        for kind in kinds()
        for name, document in sorted(kind.export(with_people), key=lambda pair: pair[0])
    }


# --- files ------------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML with the scalars of JSON: “on”, “no” and 2026-01-05 are text, as people mean them. Aliases and doubled keys are refused."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, Any]]] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.YAMLError(f"aliases (*{event.anchor}) are not read; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _value in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: a key must be text, not {key!r}")
            if key in seen:
                raise yaml.YAMLError(f"line {key_node.start_mark.line + 1}: “{key}” stands there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


_FLOAT = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"  # 1e3 too, which YAML 1.1 takes for text


def _only_json_scalars() -> None:
    for tag, pattern, first in (
        ("bool", r"true|false|True|False|TRUE|FALSE", "tTfF"),
        ("int", r"-?(?:0|[1-9][0-9]*)", "-0123456789"),
        ("float", _FLOAT, "-0123456789"),
        ("null", r"~|null|Null|NULL|", "~nN\0"),
    ):
        _Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), ["" if char == "\0" else char for char in first]
        )


_only_json_scalars()
assert Resolver.yaml_implicit_resolvers is not _Loader.yaml_implicit_resolvers
_BREAKS = re.compile("[\x85\u2028\u2029]")  # line ends of YAML 1.1, folded unless they are written as escapes


class _Dumper(yaml.SafeDumper):
    """Quotes what _Loader or another YAML reader takes for a number, a date or yes/no; writes each value out where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _BREAKS.search(text) else None)


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^(?:{_FLOAT})$"), list("-0123456789"))
_Dumper.add_representer(str, _text_node)


def to_yaml(document: Mapping[str, Any]) -> str:
    """Keys in the document's order, short lists on one line; from_yaml gives the same document back."""
    text: str = yaml.dump(
        dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=None
    )
    return text


def from_yaml(text: str) -> dict[str, Any]:
    """The one document of a file; BadDefinition when it is none."""
    try:
        document = yaml.load(text, Loader=_Loader)  # noqa: S506 – a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadDefinition("", _("This is not YAML: %(error)s") % {"error": " ".join(str(error).split())}) from error
    if not isinstance(document, dict):
        raise BadDefinition("", _("A definition is a mapping of keys to values."))
    return document


def export_to(folder: Path, *, with_people: bool) -> dict[str, Any]:
    """Write every definition; counts per kind, and YAML files that were there and are none of them (they are left alone)."""
    written: dict[str, int] = {kind.kind: 0 for kind in kinds()}
    mine: set[Path] = set()
    for (subfolder, name), document in documents(with_people=with_people).items():
        path = folder / subfolder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_yaml(document), encoding="utf-8")
        mine.add(path)
        written[document["kind"]] += 1
    strangers = sorted(str(path.relative_to(folder)) for path in _files(folder) if path not in mine)
    return {"files": len(mine), "kinds": written, "other_files": strangers}


def import_from(folder: Path, *, dry_run: bool, actor: User | None, now: datetime) -> dict[str, Any]:
    """Read every file below the folder, all or none: one refused document and nothing is stored. Counts, and a difference per file."""
    reports: list[FileReport] = []
    read: list[tuple[FileReport, DefinitionKind, dict[str, Any]]] = []
    for path in _files(folder):
        report = FileReport(str(path.relative_to(folder)))
        reports.append(report)
        try:
            document = from_yaml(_text(path))
            kind = _kind_of(document)
            report.kind = kind.kind
            read.append((report, kind, document))
        except BadDefinition as error:
            _refuse(report, error)
    try:
        with transaction.atomic():
            _store(read, actor, now)
            if dry_run or any(report.problems for report in reports):
                raise _Undo
    except _Undo:
        pass
    counts = {
        outcome: sum(report.outcome == outcome for report in reports)
        for outcome in ("created", "updated", "unchanged", "refused")
    }
    is_refused = counts["refused"] > 0
    return {
        "dry_run": dry_run,
        "stored": not dry_run and not is_refused,
        "read": len(reports),
        **counts,
        "files": [report.as_json() for report in reports],
    }


def _store(read: list[tuple[FileReport, DefinitionKind, dict[str, Any]]], actor: User | None, now: datetime) -> None:
    """Two passes, so that documents may name each other in any order; each document in a savepoint, so that all problems are told."""
    own_definitions()
    in_order = sorted(read, key=lambda entry: entry[1].order)
    before = _by_name()
    for report, kind, document in in_order:
        _try(report, kind, lambda kind=kind, document=document: kind.prepare(document, now))  # type: ignore[misc]
    seen: dict[tuple[str, str], str] = {}
    waiting = []
    for report, kind, document in in_order:
        if report.problems:
            continue
        place = (kind.kind, kind.name(document))
        if place in seen:
            _refuse(report, BadDefinition("", _("%(file)s defines the same.") % {"file": seen[place]}))
            continue
        seen[place] = report.file
        waiting.append((report, kind, document))
    _apply(waiting, actor, now)
    after = _by_name()
    for report, kind, document in in_order:
        if not report.problems:
            place = (kind.kind, kind.name(document))
            report.difference = difference(before.get(place), after.get(place) or {})
            report.outcome = "created" if place not in before else "updated" if report.difference else "unchanged"


def _apply(waiting: list[tuple[FileReport, DefinitionKind, dict[str, Any]]], actor: User | None, now: datetime) -> None:
    """Each document; a refused one again after the others, as long as that helps.

    Two rules that turn an arrow of the graph round would go in a circle only while one of them still stands as it was.
    """
    while waiting:
        refused = []
        for report, kind, document in waiting:
            report.problems, report.outcome = [], ""
            remarks = _try(report, kind, lambda kind=kind, document=document: kind.apply(document, actor, now))  # type: ignore[misc]
            report.remarks = remarks or []
            if report.problems:
                refused.append((report, kind, document))
        if len(refused) == len(waiting):
            return
        waiting = refused


def _by_name() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (document["kind"], name.removesuffix(".yaml")): document
        for (_folder, name), document in documents(with_people=True).items()
    }


def _try(report: FileReport, kind: DefinitionKind, work: Callable[[], Any]) -> Any:
    try:
        with transaction.atomic():
            return work()
    except BadDefinition as error:
        _refuse(report, error)
    except BadConditions as error:
        report.outcome = "refused"
        report.problems += [
            {"path": f"conditions.{problem.path}" if problem.path else "conditions", "message": str(problem.message)}
            for problem in error.problems
        ]
    except kind.refusals as error:
        _refuse(report, BadDefinition("", str(error)))
    return None


def _refuse(report: FileReport, error: BadDefinition) -> None:
    report.outcome = "refused"
    report.problems.append({"path": error.path, "message": error.message})


def difference(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """key -> [before, after] of what differs; a created document differs in nothing."""
    if before is None:
        return {}
    return {
        key: [before.get(key), after.get(key)]
        for key in [*before, *(key for key in after if key not in before)]
        if before.get(key) != after.get(key)
    }


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file())


def _text(path: Path) -> str:
    if path.stat().st_size > LARGEST_FILE:
        raise BadDefinition("", _("The file is larger than %(size)s MB.") % {"size": LARGEST_FILE // 1_000_000})
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadDefinition("", _("The file is not UTF-8 text.")) from error


def _kind_of(document: Mapping[str, Any]) -> DefinitionKind:
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _kinds:
        raise BadDefinition(
            "kind",
            _("“%(kind)s” is no kind of definition; choose one of %(kinds)s.")
            % {"kind": kind, "kinds": ", ".join(sorted(_kinds))},
        )
    return _kinds[kind]


# --- reading documents, for every kind ----------------------------------------------------------------------------------------


def demand_keys(document: Mapping[str, Any], *, required: Mapping[str, type], optional: Mapping[str, type]) -> None:
    """Refuses a missing or unknown key and a value of another type; null stands for an absent optional one."""
    known = {"kind": str, **required, **optional}
    for key in document:
        if key not in known:
            raise BadDefinition(key, _("is not a key here; known are %(keys)s.") % {"keys": ", ".join(known)})
    for key, kind in known.items():
        value = document.get(key)
        if value is None:
            if key in required:
                raise BadDefinition(key, _("is missing."))
            continue
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise BadDefinition(
                key, _("must be %(wanted)s, not %(value)s.") % {"wanted": _WORDS[kind], "value": repr(value)[:80]}
            )


_WORDS: dict[type, str] = {str: "text", int: "a whole number", list: "a list", dict: "a mapping", bool: "true or false"}


def demand_choice(document: Mapping[str, Any], key: str, choices: Iterable[str]) -> None:
    value = document.get(key)
    if value is not None and value not in list(choices):
        raise BadDefinition(
            key,
            _("“%(value)s” does not fit; choose one of %(choices)s.") % {"value": value, "choices": ", ".join(choices)},
        )


def without_empty(document: Mapping[str, Any]) -> dict[str, Any]:
    """As it is written: keys without a value are left out."""
    return {key: value for key, value in document.items() if value not in ("", None, [])}
