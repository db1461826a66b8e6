"""The mapping document: which column fills which field, read, checked, guessed, and resolved against one file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from leads.importing.fields import CUSTOM_OF, FIELDS, REQUIRED, STATUS_WORDS, SYNONYMS, Kind
from leads.models import CustomField
from leads.text import clean, fold

KEYS = ("columns", "values", "dates", "ignore", "constants", "decimal")
# What the download of rejected rows adds; the mended file is imported without them.
REJECT_COLUMNS = ("ripen_line", "ripen_reason")


class BadMapping(Exception):
    """The mapping does not fit; the message names the place and what would fit."""


@dataclass(frozen=True)
class Mapping:
    """The document of docs/imports.md.

    A column may fill several fields (a list); `constants` give every row a value; `decimal` is the decimal sign of the file.
    """

    columns: dict[str, str | list[str]] = field(default_factory=dict)
    values: dict[str, dict[str, str | None]] = field(default_factory=dict)
    dates: str | None = None
    ignore: tuple[str, ...] = ()
    constants: dict[str, Any] = field(default_factory=dict)
    decimal: str = "."

    def to_document(self) -> dict[str, Any]:
        document = {
            "columns": self.columns,
            "values": self.values,
            "dates": self.dates,
            "ignore": list(self.ignore),
            "constants": self.constants,
            "decimal": None if self.decimal == "." else self.decimal,
        }
        return {key: value for key, value in document.items() if value}


def from_document(document: Any) -> Mapping:
    """Raises BadMapping naming the path."""
    if not isinstance(document, dict):
        raise BadMapping(_("The mapping must be a JSON object with %(keys)s.") % {"keys": ", ".join(KEYS)})
    for key in document:
        if key not in KEYS:
            raise BadMapping(_("“%(key)s” is unknown; a mapping has %(keys)s.") % {"key": key, "keys": ", ".join(KEYS)})
    columns = _columns(document.get("columns") or {})
    value_maps = document.get("values") or {}
    if not isinstance(value_maps, dict):
        raise BadMapping(_("values: an object of fields is expected."))
    ignore = document.get("ignore") or []
    if not isinstance(ignore, list) or not all(isinstance(name, str) for name in ignore):
        raise BadMapping(_("ignore: a list of column names is expected."))
    constants = document.get("constants") or {}
    if not isinstance(constants, dict):
        raise BadMapping(_("constants: an object of fields is expected."))
    dates = document.get("dates")
    if dates is not None:
        _demand_date_format(dates)
    decimal = document.get("decimal") or "."
    if decimal not in (".", ","):
        raise BadMapping(_("decimal: “.” or “,” is expected."))
    return Mapping(
        columns=columns,
        values={key: _swaps(table, f"values.{key}") for key, table in value_maps.items()},
        dates=dates,
        ignore=tuple(ignore),
        constants=constants,
        decimal=decimal,
    )


def _columns(table: Any) -> dict[str, str | list[str]]:
    if not isinstance(table, dict):
        raise BadMapping(_("columns: an object is expected."))
    for key, value in table.items():
        targets = value if isinstance(value, list) else [value]
        if not targets or not all(isinstance(target, str) for target in targets):
            raise BadMapping(_("columns.%(key)s: the name of a field is expected, or a list of them.") % {"key": key})
    return dict(table)


def _swaps(table: Any, path: str) -> dict[str, str | None]:
    if not isinstance(table, dict):
        raise BadMapping(_("%(path)s: an object is expected.") % {"path": path})
    for key, value in table.items():
        if value is not None and not isinstance(value, str):
            raise BadMapping(_("%(path)s.%(key)s: text is expected.") % {"path": path, "key": key})
    return dict(table)


def _demand_date_format(dates: Any) -> None:
    if not isinstance(dates, str) or not any(f"%{code}" in dates for code in "YyxcG"):
        raise BadMapping(_("dates: a format like %(form)s is expected.") % {"form": "%m/%d/%Y"})
    sample = datetime(2001, 12, 31, 13, 45, 59)  # noqa: DTZ001 — only its spelling counts
    try:
        read = datetime.strptime(sample.strftime(dates), dates)  # noqa: DTZ007
    except ValueError as error:
        raise BadMapping(
            _("dates: “%(form)s” is no date format: %(reason)s") % {"form": dates, "reason": error}
        ) from error
    if read.date() != sample.date():
        raise BadMapping(_("dates: “%(form)s” does not name year, month and day.") % {"form": dates})


# --- Resolving against a file ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewField:
    """A custom field that the import makes; an empty type is inferred from all values of the file."""

    key: str
    label: str
    type: str = ""


@dataclass
class Targets:
    """Where every column of a file goes: name -> field keys, none for ignored. `unknown` fit nothing; `new` are fields to be made."""

    of: dict[str, list[str]] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    new: dict[str, NewField] = field(default_factory=dict)

    def filled(self) -> set[str]:
        return {target for targets in self.of.values() for target in targets}


def normal_name(name: str) -> str:
    """A column's name as names are compared: `E-Mail Address` is `e_mail_address`."""
    return re.sub(r"[^a-z0-9]+", "_", fold(clean(name))).strip("_")


def field_key(name: str, taken: Iterable[str] = ()) -> str:
    """A key for a custom field named after a column."""
    key = normal_name(name)[:60]
    if not key or not key[0].isalpha():
        key = f"field_{key}".rstrip("_")
    used, number, found = set(taken), 2, key
    while found in used:
        found, number = f"{key}_{number}", number + 1
    return found


def custom_prefix(kind: str) -> str:
    return "properties." if kind == Kind.ACTIVITIES else "custom."


def exact_target(kind: str, name: str, customs: Sequence[str]) -> str | None:
    """The field whose name the column bears, a known custom field included."""
    prefix = custom_prefix(kind)
    if name.startswith(prefix) and len(name) > len(prefix):
        key = name.removeprefix(prefix)
        if kind == Kind.ACTIVITIES:
            return name
        return f"{prefix}{field_key(key)}" if field_key(key) in customs else None
    normal = normal_name(name)
    if normal in FIELDS[kind]:
        return normal
    if (dotted := normal.replace("_", ".", 1)) in FIELDS[kind]:  # a target of a higher room, `bant.budget`
        return dotted
    if kind != Kind.ACTIVITIES and normal in customs:
        return f"{prefix}{normal}"
    return None


def resolve(
    kind: str, names: Sequence[str], mapping: Mapping, customs: Sequence[str], *, create_fields: bool = False
) -> Targets:
    """Where each column goes: as the mapping says, else by its own name, else (with create_fields) into a new custom field.

    Raises BadMapping: a column that is not there, a field that is none, two columns for one field, no column for a required field.
    """
    by_fold = {fold(name): name for name in reversed(names)}
    targets = Targets()
    for column, wanted in mapping.columns.items():
        name = column if column in names else by_fold.get(fold(clean(column)))
        if name is None:
            raise BadMapping(
                _("columns: there is no column “%(column)s”; the file has %(names)s.")
                % {"column": column, "names": ", ".join(names)[:500]}
            )
        targets.of[name] = [
            _demand_target(kind, target, customs, targets, create_fields=create_fields, label=name)
            for target in (wanted if isinstance(wanted, list) else [wanted])
        ]
    ignored = {fold(clean(name)) for name in (*mapping.ignore, *REJECT_COLUMNS)}
    taken = targets.filled() | set(mapping.constants)
    for name in names:
        if name in targets.of:
            continue
        target = exact_target(kind, name, customs)
        if fold(name) in ignored or (target is not None and target in mapping.constants):
            targets.of[name] = []
        elif target is not None and target not in taken:
            targets.of[name] = [target]
            taken.add(target)
        elif create_fields:
            targets.of[name] = [_new_target(kind, name, customs, targets)]
        else:
            targets.unknown.append(name)
    _demand_once(targets)
    for target in mapping.constants:
        _demand_target(kind, target, customs, targets, create_fields=False, label=target)
    _demand_required(kind, names, targets, mapping)
    return targets


def _demand_target(
    kind: str, target: str, customs: Sequence[str], targets: Targets, *, create_fields: bool, label: str
) -> str:
    prefix = custom_prefix(kind)
    if target in FIELDS[kind]:
        return target
    if target.startswith(prefix) and len(target) > len(prefix):
        key = target.removeprefix(prefix)
        if kind == Kind.ACTIVITIES or key in customs or target in targets.new:
            return target
        if create_fields and key == field_key(key):
            targets.new[target] = NewField(key=key, label=label)
            return target
    fields = [*FIELDS[kind], *(f"{prefix}{key}" for key in customs)]
    raise BadMapping(
        _("columns: “%(target)s” is no field of %(kind)s; choose one of %(fields)s.")
        % {"target": target, "kind": kind, "fields": ", ".join(fields)}
    )


def _new_target(kind: str, name: str, customs: Sequence[str], targets: Targets) -> str:
    prefix = custom_prefix(kind)
    if kind == Kind.ACTIVITIES:
        return f"{prefix}{clean(name)}"
    bare = name.removeprefix(prefix)
    key = field_key(bare, [*customs, *(new.key for new in targets.new.values())])
    targets.new[f"{prefix}{key}"] = NewField(key=key, label=clean(bare))
    return f"{prefix}{key}"


def _demand_once(targets: Targets) -> None:
    by_target: dict[str, str] = {}
    for name, target in ((name, target) for name, filled in targets.of.items() for target in filled):
        if target in by_target:
            raise BadMapping(
                _("Two columns, “%(one)s” and “%(other)s”, would fill “%(target)s”; ignore one of them.")
                % {"one": by_target[target], "other": name, "target": target}
            )
        by_target[target] = name


def _demand_required(kind: str, names: Sequence[str], targets: Targets, mapping: Mapping) -> None:
    filled = targets.filled() | set(mapping.constants)
    for options in REQUIRED[kind]:
        if not filled & set(options):
            raise BadMapping(
                _("No column fills %(fields)s, which %(kind)s need. The file has: %(names)s.")
                % {"fields": " / ".join(options), "kind": kind, "names": ", ".join(names)[:500]}
            )


# --- Guessing --------------------------------------------------------------------------------------------------------------


def guess(kind: str, names: Sequence[str], customs: Sequence[str]) -> dict[str, str]:
    """The field that each column most likely fills; columns without a guess are absent. No field is guessed twice."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    finders: tuple[Callable[[str], str | None], ...] = (
        lambda name: exact_target(kind, name, customs),
        lambda name: SYNONYMS[kind].get(normal_name(name)),
    )
    for find in finders:
        for name in names:
            target = find(name)
            if target is not None and name not in found and target not in taken:
                found[name] = target
                taken.add(target)
    return found


def guess_constants(kind: str, names: Sequence[str], columns: dict[str, str]) -> dict[str, Any]:
    """A file of won or closed deals without a column for the status."""
    if kind != Kind.DEALS or "status" in columns.values():
        return {}
    normal = {normal_name(name) for name in names}
    if normal & {"won_date", "won_at", "won_on"}:
        return {"status": "won"}
    if normal & {"lost_date", "lost_at", "lost_on"}:
        return {"status": "lost"}
    return {}


def guess_status(spelled: Iterable[str]) -> dict[str, str]:
    """open, won or lost for the words of another system; only those that are not a status already."""
    found = {}
    for text in spelled:
        word = fold(clean(text))
        if text in ("open", "won", "lost"):
            continue
        if status := STATUS_WORDS.get(re.sub(r"[_-]+", " ", word)):
            found[text] = status
    return found


def guess_twins(counts: dict[str, int]) -> dict[str, str]:
    """Two spellings of one thing, the odd one -> the usual one.

    Spellings that differ only by blanks, dots or dashes (the rarer -> the commoner), and words of the other values written together
    (“GTXPro” beside “GTX Basic” and “MG Pro” -> “GTX Pro”).
    """
    found: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for text in counts:
        groups.setdefault(re.sub(r"[\s_.\-]+", "", fold(text)), []).append(text)
    for group in groups.values():
        best = max(group, key=lambda text: (counts[text], " " in text, text))
        found.update({text: best for text in group if fold(text) != fold(best)})
    for text in counts:
        if " " not in text and text not in found:
            words = {word for other in counts if other != text for word in other.split() if not word.isdigit()}
            for place in range(2, len(text) - 1):
                if text[:place] in words and text[place:] in words:
                    found[text] = f"{text[:place]} {text[place:]}"
    return found


def custom_keys(kind: str) -> list[str]:
    """Keys of the custom fields that rows of this kind may fill. One statement."""
    if kind not in CUSTOM_OF:
        return []
    return list(CustomField.objects.filter(of=CUSTOM_OF[kind]).order_by("key").values_list("key", flat=True))
