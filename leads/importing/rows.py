"""Turns raw rows into rows for the intake: cells into values of the right type, or into the reasons why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from leads import values
from leads.importing.fields import CUSTOM_OF, FIELDS, REQUIRED, Kind
from leads.importing.mapping import BadMapping, Mapping, Targets, custom_prefix
from leads.importing.reading import RawRow, Source
from leads.intake import Row
from leads.models import CustomField
from leads.text import clean, fold
from leads.values import BadValue, Convert, Reading

Swaps = dict[str, str | None]
Converter = Callable[[RawRow], Row]


class BadRow(ValueError):
    """The row is rejected; the message is the reason."""


@dataclass(frozen=True)
class Step:
    """One column on its way: its name, the field it fills, how."""

    name: str
    target: str
    convert: Convert
    swaps: Swaps | None
    is_clearable: bool


@dataclass(frozen=True)
class Plan:
    """How the rows of one file become rows for the intake."""

    kind: str
    targets: Targets
    convert: Converter


def make_plan(
    kind: str, source: Source, mapping: Mapping, targets: Targets, reading: Reading, new_types: dict[str, str]
) -> Plan:
    """`new_types`: type of each custom field that is to be made, by key. One statement for the custom fields that are there.

    Raises BadMapping when a constant does not fit its field.
    """
    customs: dict[str, Convert] = {}
    if kind in CUSTOM_OF:
        for definition in CustomField.objects.filter(of=CUSTOM_OF[kind]):
            customs[definition.key] = values.for_custom(definition.type, definition.choices, reading)
        for key, type in new_types.items():
            customs.setdefault(key, values.for_custom(type, (), reading))
    steps = {
        name: [_step(kind, name, target, mapping, reading, customs) for target in filled]
        for name, filled in targets.of.items()
        if filled
    }
    constants = _constants(kind, mapping, reading, customs)
    if source.format == "csv":
        return Plan(kind, targets, _csv_converter(kind, source, steps, targets, constants))
    return Plan(kind, targets, _json_converter(kind, steps, targets, constants))


def _step(kind: str, name: str, target: str, mapping: Mapping, reading: Reading, customs: dict[str, Convert]) -> Step:
    prefix = custom_prefix(kind)
    bare = target.removeprefix(prefix)
    swaps = mapping.values.get(target) or mapping.values.get(bare) or mapping.values.get(name)
    if target in FIELDS[kind]:
        field = FIELDS[kind][target]
        return Step(name, target, field.convert(reading), _prepared(swaps), field.is_clearable)
    convert = _property if kind == Kind.ACTIVITIES else customs[bare]
    return Step(name, target, convert, _prepared(swaps), True)


def _property(value: Any) -> Any:
    """A cell that becomes a property of an activity: numbers and yes/no as such, else text."""
    if not isinstance(value, str):
        return value
    text = values.text(values.LONGEST_TEXT)(value)
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isascii() and values.NUMBER.fullmatch(text) and text[0] != "+":
        digits = text.lstrip("-")
        if not (len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()):
            try:
                return values.number(Reading())(text)
            except BadValue:
                return text
    return text


def _prepared(swaps: Swaps | None) -> Swaps | None:
    """Looked up as written first, then whatever the case."""
    if not swaps:
        return None
    return {
        **{fold(clean(key)): value for key, value in swaps.items()},
        **{clean(key): value for key, value in swaps.items()},
    }


def _swapped(swaps: Swaps, text: str) -> str | None:
    """None empties the cell."""
    text = clean(text)
    if text in swaps:
        return swaps[text]
    return swaps.get(fold(text), text)


def _constants(kind: str, mapping: Mapping, reading: Reading, customs: dict[str, Convert]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for target, value in mapping.constants.items():
        step = _step(kind, target, target, Mapping(), reading, customs)
        try:
            _put(found, kind, target, step.convert(value))
        except BadValue as error:
            raise BadMapping(f"constants.{target}: {error}") from error
    return found


def _put(found: dict[str, Any], kind: str, target: str, value: Any) -> None:
    prefix = custom_prefix(kind)
    if target.startswith(prefix):
        found.setdefault(prefix.rstrip("."), {})[target.removeprefix(prefix)] = value
    else:
        found[target] = value


def _copy(constants: dict[str, Any]) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, dict) else value for key, value in constants.items()}


# --- CSV -------------------------------------------------------------------------------------------------------------------


def _csv_converter(
    kind: str, source: Source, steps: dict[str, list[Step]], targets: Targets, constants: dict[str, Any]
) -> Converter:
    prefix = custom_prefix(kind)
    bag = prefix.rstrip(".")
    plain: list[tuple[int, str, Convert, Swaps | None, str]] = []
    bagged: list[tuple[int, str, Convert, Swaps | None, str]] = []
    for place, name in enumerate(source.header):
        for step in steps.get(name, ()):
            if step.target.startswith(prefix):
                bagged.append((place, step.target.removeprefix(prefix), step.convert, step.swaps, name))
            else:
                plain.append((place, step.target, step.convert, step.swaps, name))
    unknown = [(place, name) for place, name in enumerate(source.header) if name in targets.unknown]
    required = _requirements(kind, constants)

    def convert(raw: RawRow) -> Row:
        cells = raw.cells
        found = _copy(constants) if constants else {}
        problems: list[str] = []
        into = found
        for steps in (plain, bagged):
            for place, key, convert_cell, swaps, name in steps:
                cell: str | None = cells[place]
                if cell and swaps:
                    cell = _swapped(swaps, cell)
                if not cell or cell.isspace():
                    continue
                try:
                    into[key] = convert_cell(cell)
                except BadValue as error:
                    problems.append(f"{name}: {error}")
            if bagged and steps is plain:
                into = found.setdefault(bag, {})
        for place, name in unknown:
            if cells[place] and not cells[place].isspace():
                problems.append(_("%(name)s: unknown field") % {"name": name})
        _demand(required, found, problems)
        if problems:
            raise BadRow("; ".join(problems))
        return Row(raw.line, found)

    return convert


# --- JSON lines --------------------------------------------------------------------------------------------------------------


def _json_converter(
    kind: str,
    steps: dict[str, list[Step]],
    targets: Targets,
    constants: dict[str, Any],
) -> Converter:
    required = _requirements(kind, constants)
    has_customs = kind in CUSTOM_OF

    def convert(raw: RawRow) -> Row:
        found = _copy(constants) if constants else {}
        problems: list[str] = []
        for name, value in raw.cells.items():
            if name == "custom" and has_customs and name not in steps:
                if value is None:
                    continue
                if not isinstance(value, dict):
                    problems.append(_("custom: a JSON object is expected"))
                    continue
                for part, inner in value.items():
                    _take(f"custom.{part}", inner, found, problems)
            else:
                _take(name, value, found, problems)
        _demand(required, found, problems)
        if problems:
            raise BadRow("; ".join(problems))
        return Row(raw.line, found)

    def _take(name: str, value: Any, found: dict[str, Any], problems: list[str]) -> None:
        if name not in targets.of:
            problems.append(_("%(name)s: unknown field") % {"name": name[:100]})
        for step in steps.get(name, ()):
            _take_step(step, value, found, problems)

    def _take_step(step: Step, value: Any, found: dict[str, Any], problems: list[str]) -> None:
        if step.swaps and isinstance(value, str):
            value = _swapped(step.swaps, value)
        if value is None or value in ("", []) or (isinstance(value, str) and value.isspace()):
            if step.is_clearable:
                _put(found, kind, step.target, None)
            return
        try:
            _put(found, kind, step.target, step.convert(value))
        except BadValue as error:
            problems.append(f"{step.name}: {error}")

    return convert


def _requirements(kind: str, constants: dict[str, Any]) -> list[tuple[str, ...]]:
    return [options for options in REQUIRED[kind] if not any(option in constants for option in options)]


def _demand(required: Iterable[tuple[str, ...]], found: dict[str, Any], problems: list[str]) -> None:
    """A value that is there but bad has its own problem already."""
    for options in required:
        if not any(found.get(option) for option in options) and not problems:
            problems.append(_("%(fields)s is missing") % {"fields": _(" or ").join(options)})
