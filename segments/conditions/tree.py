"""A checked rule as a value: three kinds of node with children, five kinds of leaf. check.py makes it from a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import TYPE_CHECKING, Any

from leads.text import fold

if TYPE_CHECKING:
    from segments.conditions.fields import Field, Related, Subject
    from segments.conditions.operators import Operator

MOST_LEVELS = 8
MOST_LEAVES = 200


@dataclass(frozen=True)
class All:
    """Every child holds; none holds for everybody."""

    children: tuple[Tree, ...]


@dataclass(frozen=True)
class AnyOf:
    """At least one child holds; none holds for nobody."""

    children: tuple[Tree, ...]


@dataclass(frozen=True)
class Not:
    """The exact complement."""

    child: Tree


@dataclass(frozen=True)
class FieldLeaf:
    """One field compared. `value` is as written, `wanted` as compared; `type` is how the field is read, which for a property
    depends on the value. In a `where` row the field is one of that row."""

    field: str
    op: str
    value: Any = None
    unit: str | None = None
    spec: Field = attribute(compare=False, repr=False, kw_only=True)
    operator: Operator = attribute(compare=False, repr=False, kw_only=True)
    type: str = attribute(compare=False, kw_only=True)
    wanted: Any = attribute(compare=False, repr=False, kw_only=True)
    names: Callable[[], Mapping[str, str]] = attribute(default=dict, compare=False, repr=False, kw_only=True)

    def name_of(self, choice: str) -> str:
        """What people call a choice, such as a stage; the text itself where it is none. Reads the names only when asked."""
        return self.names().get(fold(choice), choice)


@dataclass(frozen=True)
class When:
    """A period that activities are tested against; always an operator of moments."""

    op: str
    value: Any
    unit: str | None = None
    operator: Operator = attribute(compare=False, repr=False, kw_only=True)
    wanted: Any = attribute(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Amount:
    """A number compared: of rows, or of a total."""

    op: str
    value: Any
    wanted: Any = attribute(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Total:
    """A number worked out over rows: sum, average, smallest or largest of a property."""

    of: str
    how: str
    amount: Amount
    spec: Field = attribute(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class DidLeaf:
    """Activities of one contact. `kinds` is None for any kind. At most one of count, is_first, latest, total."""

    kinds: tuple[str, ...] | None
    where: tuple[FieldLeaf, ...] = ()
    when: When | None = None
    count: Amount | None = None
    is_first: bool = False
    latest: tuple[FieldLeaf, ...] = ()
    total: Total | None = None
    is_list: bool = attribute(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class Step:
    """One step of a sequence."""

    kinds: tuple[str, ...] | None
    where: tuple[FieldLeaf, ...] = ()
    is_list: bool = attribute(default=False, compare=False, repr=False)


@dataclass(frozen=True)
class SequenceLeaf:
    """Activities one after the other, each strictly later than the one before and at most the gap after it."""

    steps: tuple[Step, ...]
    gap: tuple[int, str] | None = None
    when: When | None = None


@dataclass(frozen=True)
class HasLeaf:
    """Related rows of one contact, such as deals."""

    subject: str
    where: tuple[FieldLeaf, ...] = ()
    count: Amount | None = None
    related: Related = attribute(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class MemberLeaf:
    """Belonging to something with a slug: a segment, a persona, a program."""

    subject: str
    slug: str
    state: str | None = None
    spec: Subject = attribute(compare=False, repr=False, kw_only=True)
    names: Callable[[], Mapping[str, str]] = attribute(default=dict, compare=False, repr=False, kw_only=True)

    @property
    def name(self) -> str:
        """What people call it; the slug of one that is gone. Reads the names once per catalogue, only when asked."""
        return self.names().get(self.slug, self.slug)


Leaf = FieldLeaf | DidLeaf | SequenceLeaf | HasLeaf | MemberLeaf
Tree = All | AnyOf | Not | Leaf


def children(node: Tree) -> list[tuple[str, Tree]]:
    """A node's children with the step of the path that leads to each; none for a leaf."""
    match node:
        case All(nodes):
            return [(f"all[{place}]", child) for place, child in enumerate(nodes)]
        case AnyOf(nodes):
            return [(f"any[{place}]", child) for place, child in enumerate(nodes)]
        case Not(child):
            return [("not", child)]
    return []


def joined(path: str, step: str) -> str:
    return f"{path}.{step}" if path else step


def leaves(tree: Tree, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every leaf with its path, as written."""
    if isinstance(tree, All | AnyOf | Not):
        for step, child in children(tree):
            yield from leaves(child, joined(path, step))
    else:
        yield path, tree


def where_rows(leaf: Leaf) -> tuple[FieldLeaf, ...]:
    """The field conditions inside a leaf about rows."""
    match leaf:
        case DidLeaf():
            return (*leaf.where, *leaf.latest)
        case HasLeaf():
            return leaf.where
        case SequenceLeaf():
            return tuple(row for step in leaf.steps for row in step.where)
    return ()


def to_document(tree: Tree) -> dict[str, Any]:
    """The tree as it is stored and exported; check() of it is the same tree."""
    match tree:
        case All(nodes):
            return {"all": [to_document(child) for child in nodes]}
        case AnyOf(nodes):
            return {"any": [to_document(child) for child in nodes]}
        case Not(child):
            return {"not": to_document(child)}
        case FieldLeaf():
            return {"field": tree.field, **_comparison(tree)}
        case MemberLeaf():
            return {tree.subject: tree.slug} | ({"state": tree.state} if tree.state is not None else {})
        case HasLeaf():
            return {"has": tree.subject} | _rows("where", tree.where) | _amount("count", tree.count)
        case SequenceLeaf():
            steps = [{"did": _kinds(step)} | _rows("where", step.where) for step in tree.steps]
            gap = {"gap": {"value": tree.gap[0], "unit": tree.gap[1]}} if tree.gap else {}
            return {"sequence": steps} | gap | _when(tree.when)
        case DidLeaf():
            first = {"first": True} if tree.is_first else {}
            total = (
                {"total": {"of": tree.total.of, "as": tree.total.how, **_pair(tree.total.amount)}} if tree.total else {}
            )
            return (
                {"did": _kinds(tree)}
                | _rows("where", tree.where)
                | _amount("count", tree.count)
                | first
                | _rows("latest", tree.latest)
                | total
                | _when(tree.when)
            )


def _kinds(part: DidLeaf | Step) -> str | list[str]:
    if part.kinds is None:
        return "any"
    return list(part.kinds) if part.is_list else part.kinds[0]


def _comparison(part: FieldLeaf | When) -> dict[str, Any]:
    found: dict[str, Any] = {"op": part.op}
    if part.value is not None:
        found["value"] = list(part.value) if isinstance(part.value, tuple) else part.value
    if part.unit is not None:
        found["unit"] = part.unit
    return found


def _pair(amount: Amount) -> dict[str, Any]:
    return {"op": amount.op, "value": list(amount.value) if isinstance(amount.value, tuple) else amount.value}


def _rows(key: str, rows: tuple[FieldLeaf, ...]) -> dict[str, Any]:
    return {key: [{"field": row.field, **_comparison(row)} for row in rows]} if rows else {}


def _amount(key: str, amount: Amount | None) -> dict[str, Any]:
    return {key: _pair(amount)} if amount else {}


def _when(when: When | None) -> dict[str, Any]:
    return {"when": _comparison(when)} if when else {}
