"""Reasons that hold only because a value is unknown (“country is not Germany” of somebody without a country): no card shows them."""

from __future__ import annotations

from typing import Any

# Each is true of an unknown value, as the exact complement of its twin (docs of the rule language, Meaning 1).
NEGATIVE = frozenset(
    {
        "is_not",
        "does_not_contain",
        "not_in",
        "does_not_match",
        "not_between",
        "includes_none",
        "not_on",
        "not_in_last",
    }
)
NOBODY: dict[str, Any] = {"any": []}


def asks_of_unknown(node: Any, *, denied: bool = False) -> bool:
    """Whether an unknown value may make the rule hold."""
    if "not" in node:
        return asks_of_unknown(node["not"], denied=not denied)
    for key in ("all", "any"):
        if key in node:
            return any(asks_of_unknown(child, denied=denied) for child in node[key])
    return "field" in node and "op" in node and _is_open(node, denied)


def _is_open(leaf: dict[str, Any], denied: bool) -> bool:
    if leaf["op"] in ("is_known", "is_unknown"):
        return (leaf["op"] == "is_unknown") is not denied
    return (leaf["op"] in NEGATIVE) is not denied


def only_known(node: dict[str, Any], *, denied: bool = False) -> dict[str, Any]:
    """The rule as it holds for known values alone: each leaf that an unknown value may meet also asks that it is known."""
    if "not" in node:
        return only_known(node["not"], denied=not denied)
    for key, other in (("all", "any"), ("any", "all")):
        if key in node:
            return {other if denied else key: [only_known(child, denied=denied) for child in node[key]]}
    said = {"not": node} if denied else node
    if "field" not in node or not _is_open(node, denied):
        return said
    if node["op"] in ("is_known", "is_unknown"):
        return NOBODY
    return {"all": [said, {"field": node["field"], "op": "is_known"}]}
