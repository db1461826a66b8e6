"""What a set of rules reaches of the language, and all there is to reach: from the tables, so that something new is missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from segments.conditions import (
    AMOUNTS,
    DATE_UNITS,
    OPERATORS,
    PERIODS,
    UNITS,
    Catalogue,
    Field,
    Leaf,
    Tree,
    leaves,
    operators_for,
)
from segments.conditions.check import HOW
from segments.conditions.tree import (
    All,
    Amount,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    When,
    children,
)

Part = tuple[str, ...]
NO_WHEN = ("anniversary_in", "is_known", "is_unknown")


def everything(catalogue: Catalogue, property_keys: tuple[str, ...]) -> set[Part]:
    """All parts of the language that a rule can have in an instance with these fields."""
    found: set[Part] = {("node", name) for name in ("all", "any", "not", "empty all", "empty any")}
    found |= {("field", each.key) for each in catalogue.fields()}
    for subject in ("activity", *(each.key for each in catalogue.all_related())):
        found |= {("field", each.key) for each in catalogue.fields(subject) if each.type != "property"}
    found |= {("field", f"activity.properties.{key}") for key in property_keys}
    for row in OPERATORS:
        for type in row.types:
            if type != "iso" or row.key not in ("is_known", "is_unknown"):  # a property is known whatever it holds
                found.add(("operator", type, row.key))
            if row.shape == "amount":
                found |= {("unit", type, unit) for unit in (DATE_UNITS if type == "date" else UNITS)}
            if row.shape == "period":
                found |= {("period", row.key, period) for period in PERIODS}
            if type == "moment" and row.key not in NO_WHEN:
                found.add(("when", row.key))
    found |= {("did", kinds) for kinds in ("one", "list", "any")}
    found |= {("did with", mode) for mode in ("where", "when", "count", "first", "latest", "total", "first and when")}
    found |= {("count", op) for op in AMOUNTS} | {("has with", "count"), ("has with", "where")}
    found |= {("total of", how) for how in HOW} | {("total", op) for op in AMOUNTS}
    found |= {("gap", unit) for unit in UNITS} | {("sequence with", part) for part in ("gap", "when", "where")}
    for each in catalogue.subjects():
        found |= {(each.key, state) for state in ("", *each.states)}
    return found


# One value of each shape; a choice that is closed wants one of its own.
_SAMPLES: dict[str, dict[str, Any]] = {
    "none": {}, "text": {"value": "vp"}, "texts": {"value": ["vp", "100%"]}, "pattern": {"value": "^.[a-z]"}, "number": {"value": 20},
    "numbers": {"value": [0, 20.5]}, "day": {"value": "2026-03-01"}, "time": {"value": "2026-03-01"},
    "times": {"value": ["2024-02-29", "2026-03-01"]}, "days": {"value": 28},
}  # fmt: skip


def sweep(catalogue: Catalogue) -> Iterator[dict[str, Any]]:
    """One condition for each field, operator, unit and period: from the tables, nothing left to chance."""
    for field in catalogue.fields():
        yield from _swept(field, field.key)
    for subject, around in (("activity", {"did": "any"}), ("deal", {"has": "deal"})):
        for field in catalogue.fields(subject):
            for leaf in _swept(field, field.name):
                yield {**around, "where": [leaf]}


def _swept(field: Field, name: str) -> Iterator[dict[str, Any]]:
    for op, row in operators_for(field.type).items():
        leaf = {"field": name, "op": op}
        if row.shape == "amount":
            for unit in DATE_UNITS if field.type == "date" else UNITS:
                yield {**leaf, "value": 3, "unit": unit}
        elif row.shape == "period":
            yield from ({**leaf, "value": period} for period in PERIODS)
        elif field.is_closed and field.choices is not None and row.shape in ("text", "texts"):
            choice = next(iter(field.choices()))[0]
            yield {**leaf, "value": choice if row.shape == "text" else [choice]}
        else:
            yield {**leaf, **_SAMPLES[row.shape]}


def parts_of(tree: Tree) -> Iterator[Part]:
    yield from _nodes(tree)
    for _path, leaf in leaves(tree):
        yield from _leaf(leaf)


def _nodes(tree: Tree) -> Iterator[Part]:
    match tree:
        case All(inside):
            yield ("node", "all" if inside else "empty all")
        case AnyOf(inside):
            yield ("node", "any" if inside else "empty any")
        case Not():
            yield ("node", "not")
    for _step, child in children(tree):
        yield from _nodes(child)


def _leaf(leaf: Leaf) -> Iterator[Part]:
    match leaf:
        case FieldLeaf():
            yield from _compared(leaf)
        case DidLeaf():
            yield ("did", "any" if leaf.kinds is None else "list" if leaf.is_list else "one")
            given: dict[str, Any] = {
                "where": leaf.where, "when": leaf.when, "count": leaf.count, "first": leaf.is_first, "latest": leaf.latest,
                "total": leaf.total, "first and when": leaf.is_first and leaf.when,
            }  # fmt: skip
            yield from (("did with", name) for name, part in given.items() if part)
            yield from (part for row in (*leaf.where, *leaf.latest) for part in _compared(row))
            yield from _when(leaf.when)
            yield from _count(leaf.count)
            if leaf.total is not None:
                yield ("total of", leaf.total.how)
                yield ("total", leaf.total.amount.op)
        case SequenceLeaf():
            rows = [row for step in leaf.steps for row in step.where]
            given = {"gap": leaf.gap, "when": leaf.when, "where": rows}
            yield from (("sequence with", name) for name, part in given.items() if part)
            yield from (part for row in rows for part in _compared(row))
            yield from _when(leaf.when)
            if leaf.gap is not None:
                yield ("gap", leaf.gap[1])
        case HasLeaf():
            yield from (("has with", name) for name, part in (("where", leaf.where), ("count", leaf.count)) if part)
            yield from (part for row in leaf.where for part in _compared(row))
            yield from _count(leaf.count)
        case MemberLeaf():
            yield (leaf.subject, leaf.state or "")


def _compared(row: FieldLeaf) -> Iterator[Part]:
    yield ("field", row.spec.key)
    yield ("operator", row.type, row.op)
    yield from _time(row, row.type)


def _time(part: FieldLeaf | When, type: str) -> Iterator[Part]:
    if part.operator.shape == "amount" and part.unit is not None:
        yield ("unit", type, part.unit)
    if part.operator.shape == "period":
        yield ("period", part.op, str(part.value))


def _when(when: When | None) -> Iterator[Part]:
    if when is not None:
        yield ("when", when.op)
        yield from _time(when, "moment")


def _count(count: Amount | None) -> Iterator[Part]:
    if count is not None:
        yield ("count", count.op)
