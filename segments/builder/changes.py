"""What a click or another choice makes of a leaf: a new field, operator, period, detail. Documents in, documents out."""

from __future__ import annotations

import copy
import re
from typing import Any

from segments.builder.catalogue import PROPERTY, Catalogue, Spec
from segments.builder.rows import BARE_DATE, WANTS_TIME

Part = dict[str, Any]
WAYS = ("count", "first", "latest", "total")
_STEP = re.compile(r"([a-z_]+)(?:\[(\d+)\])?")
_LAST_30_DAYS = {"op": "in_last", "value": 30, "unit": "days"}
# The first operator that people mean by a field of this type, and what stands in it at once.
_FIRST: dict[str, Part] = {
    "text": {"op": "contains"},
    "number": {"op": "at_least"},
    "yes_no": {"op": "is_true"},
    "choice": {"op": "is"},
    "choices": {"op": "includes_any"},
    "date": _LAST_30_DAYS,
    "moment": _LAST_30_DAYS,
    "iso": _LAST_30_DAYS,
}


_SEARCHED = frozenset(
    {"title", "name", "subject", "loss_reason", "url", "email"}
)  # texts that people search rather than name in full


class NoSuchChange(ValueError):
    """The request names a change that no control of the builder makes."""


def first_leaf(choice: str, catalogue: Catalogue) -> Any:
    """The leaf that a choice in the picker begins with."""
    head, _colon, rest = choice.partition(":")
    if head == "did":
        return {"did": rest or "any"}
    if head == "has":
        related, _colon, status = rest.partition(":")
        return {"has": related} | ({"where": [{"field": "status", "op": "is", "value": status}]} if status else {})
    if head == "sequence":
        return {"sequence": [{"did": "any"}, {"did": "any"}], "gap": {"value": 7, "unit": "days"}}
    if head == "json":
        return ""
    if catalogue.language.subject(head):
        return {head: ""}
    spec = catalogue.field(choice)
    if spec is None:
        raise NoSuchChange(choice)
    return {"field": choice, **_start(spec)}


def _start(spec: Spec) -> Part:
    """Operator and value that a field begins with."""
    if spec.type == "text" and spec.suggests and spec.key.rpartition(".")[2] not in _SEARCHED:
        return {"op": "is"}
    return _FIRST[spec.type]


def changed(node: Any, change: str, to: str, catalogue: Catalogue) -> Any:
    """The node after a change inside its leaf, a negation kept. `change` is the path of the control, such as where[0].op."""
    if change == "field":
        return first_leaf(to, catalogue)
    if not isinstance(node, dict):
        raise NoSuchChange(change)
    if set(node) == {"not"}:
        return {"not": changed(node["not"], change, to, catalogue)}
    leaf = copy.deepcopy(node)
    path, _dot, what = change.rpartition(".")
    if what == "add":
        _add(leaf, path)
    elif what == "remove":
        _remove(leaf, path)
    elif what == "often":
        _often(leaf, to)
    elif path == "when" and what == "op":
        _when(leaf, to, catalogue)
    elif path == "total" and what == "op":
        _reshape(leaf["total"], to, "numbers" if to == "between" else "number")
    else:
        part = _at(leaf, path)
        subject = "deal" if "has" in leaf else "activity"
        if what == "field":
            _other_field(part, subject if not isinstance(leaf.get("has"), str) else leaf["has"], to, catalogue)
        elif what == "as":
            _begin(part, _FIRST[to])
        elif what == "op":
            spec = catalogue.row_field(leaf.get("has", subject), part) if path else catalogue.field(part.get("field"))
            if spec is None:
                raise NoSuchChange(change)
            _compare(part, to, spec.type, catalogue)
        elif what == "time":
            _time(part, to)
        else:
            raise NoSuchChange(change)
    return leaf


def _at(leaf: Part, path: str) -> Part:
    """The part of a leaf at a path such as sequence[1].where[0]."""
    part: Any = leaf
    for step in path.split(".") if path else ():
        match = _STEP.fullmatch(step)
        try:
            part = part[match[1]] if match else None
            if match and match[2] is not None:
                part = part[int(match[2])]
        except (KeyError, IndexError, TypeError):
            part = None
        if part is None:
            raise NoSuchChange(path)
    if not isinstance(part, dict):
        raise NoSuchChange(path)
    return part


def _add(leaf: Part, path: str) -> None:
    """A detail, a step, a gap."""
    before, _dot, key = path.rpartition(".")
    part = _at(leaf, before)
    if key == "sequence":
        part["sequence"].append({"did": "any"})
    elif key == "gap":
        part["gap"] = {"value": 7, "unit": "days"}
    elif key in ("where", "latest"):
        is_deal = "has" in leaf
        row = {"field": "status", "op": "is"} if is_deal else {"field": "url", "op": "contains"}
        part.setdefault(key, []).append(row)
    else:
        raise NoSuchChange(path)


def _remove(leaf: Part, path: str) -> None:
    before, _dot, last = path.rpartition(".")
    part = _at(leaf, before)
    match = _STEP.fullmatch(last)
    if match is None or match[1] not in part:
        raise NoSuchChange(path)
    if match[2] is None:
        del part[match[1]]
        return
    rows = part[match[1]]
    if int(match[2]) >= len(rows):
        raise NoSuchChange(path)
    del rows[int(match[2])]
    if not rows and match[1] in ("where", "latest"):
        del part[match[1]]


def _often(leaf: Part, way: str) -> None:
    """Another way of saying how often; a number that was there stays."""
    count = leaf.get("count")
    for name in WAYS:
        leaf.pop(name, None)
    if way == "":
        return
    if way == "never":
        leaf["count"] = {"op": "exactly", "value": 0}
    elif way == "first":
        leaf["first"] = True
        leaf.setdefault("when", dict(_LAST_30_DAYS))
    elif way == "latest":
        leaf["latest"] = [{"field": "url", "op": "contains"}]
    elif way == "total":
        leaf["total"] = {"of": PROPERTY, "as": "sum", "op": "at_least"}
    else:
        kept = {"op": way} if not isinstance(count, dict) or count.get("value") == 0 else {**count}
        _reshape(kept, way, "numbers" if way == "between" else "number")
        leaf["count"] = kept


def _when(leaf: Part, op: str, catalogue: Catalogue) -> None:
    if op == "":
        leaf.pop("when", None)
        return
    if "when" not in leaf:
        leaf["when"] = {"op": op}
        if next((one.shape for one in catalogue.when_operators() if one.key == op), "") == "amount":
            leaf["when"] |= {"value": 30, "unit": "days"}
        return
    _compare(leaf["when"], op, "moment", catalogue)


def _other_field(part: Part, subject: str, key: str, catalogue: Catalogue) -> None:
    spec = catalogue.row_field(subject, {"field": key})
    if spec is None:
        raise NoSuchChange(key)
    part["field"] = key
    _begin(part, _start(spec))


def _begin(part: Part, start: Part) -> None:
    for key in ("op", "value", "unit"):
        part.pop(key, None)
    part.update(start)


def _compare(part: Part, op: str, type: str, catalogue: Catalogue) -> None:
    """Another operator; the value stays as far as the new one can hold it."""
    operators = {one.key: one.shape for one in catalogue.operators(type)}
    if op not in operators:
        raise NoSuchChange(op)
    _reshape(part, op, operators[op])
    if operators[op] == "amount":
        part.setdefault("value", 30)
        part.setdefault("unit", "days")


def _reshape(part: Part, op: str, shape: str) -> None:
    part["op"] = op
    value = part.get("value")
    values = [one for one in (value if isinstance(value, list) else [value]) if one is not None]
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    texts = [one for one in values if isinstance(one, str)]
    days = [one for one in texts if BARE_DATE.match(one)]
    dates = [one for one in texts if BARE_DATE.match(one) or "T" in one]
    fits: dict[str, Any] = {
        "text": texts[:1], "pattern": texts[:1], "texts": [texts], "number": numbers[:1], "day": days[:1],
        "numbers": [[*numbers, None, None][:2]], "time": dates[:1], "times": [[*dates, None, None][:2]], "amount": numbers[:1],
        "days": numbers[:1], "period": ["month"],
    }  # fmt: skip
    found = fits.get(shape, [])
    part.pop("value", None)
    if found and found[0] not in ([], [None, None]):
        part["value"] = found[0]
    if shape != "amount":
        part.pop("unit", None)


def _time(part: Part, to: str) -> None:
    """A time of day for a bare day, or the other way round."""

    def turned(value: Any) -> Any:
        text = value if isinstance(value, str) else ""
        if to == "day":
            return text[:10] if BARE_DATE.match(text[:10]) else None
        return f"{text}T00:00" if BARE_DATE.match(text) else text or WANTS_TIME

    value = part.get("value")
    if isinstance(value, list):
        part["value"] = [turned(one) for one in value]
    elif part.get("op") in ("between", "not_between"):
        part["value"] = [turned(None), turned(None)]
    else:
        part["value"] = turned(value)
    if part["value"] is None:
        del part["value"]
