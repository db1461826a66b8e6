"""A document while it is being written: read from text, looked into by path, what it still waits for, what of it is ready."""

from __future__ import annotations

import json
from typing import Any

from django.utils.translation import gettext as _

from segments.builder.catalogue import PROPERTY
from segments.conditions import reading
from segments.conditions.reading import NotJson, RepeatedKeys


def read_document(text: str) -> Any:
    """The document of the textarea; None for an empty one. Raises NotJson, for half a surrogate pair too: no page can show it again."""
    if not text.strip():
        return None
    document = reading.read_document(text)
    if "\\u" in text:
        try:
            json.dumps(document, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise NotJson(_("The text holds a character that cannot be stored.")) from error
        except RecursionError as error:
            raise NotJson(_("This is nested too deep to be a rule.")) from error
    return document


def read_rows(text: str) -> Any:
    """The same for rows, which cannot keep a key that stands twice: they would quietly drop what somebody wrote."""
    document = read_document(text)
    waiting = [document]
    while waiting:
        part = waiting.pop()
        if isinstance(part, RepeatedKeys):
            raise NotJson(_("“%(key)s” stands twice in one object.") % {"key": part.repeated[0][:60]})
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return document


# As people read a condition: what it is about, how it is compared, with what. The database keeps keys by their length.
_READING_ORDER = (
    "all", "any", "not", "field", "did", "sequence", "has", "first", "where", "latest", "total", "of", "as", "count", "gap", "op",
    "value", "unit", "when",
)  # fmt: skip
_PLACE = {key: place for place, key in enumerate(_READING_ORDER)}


def in_reading_order(document: Any) -> Any:
    """The same document with its keys in that order, memberships (`in_…`) first; what is none of the language last, as it stands."""
    if isinstance(document, list):
        return [in_reading_order(part) for part in document]
    if not isinstance(document, dict):
        return document
    keys = sorted(document, key=lambda key: -1 if key.startswith("in_") else _PLACE.get(key, len(_PLACE)))
    return {key: in_reading_order(document[key]) for key in keys}


def line_of(error: NotJson) -> int:
    """The line where the text breaks; 0 when it does not say."""
    return error.__cause__.lineno if isinstance(error.__cause__, json.JSONDecodeError) else 0


def node_at(document: Any, path: str) -> Any:
    """The node at a path such as all[0].not.any[1]; KeyError when there is none."""
    node = document
    for step in path.split(".") if path else ():
        name, _bracket, place = step.partition("[")
        try:
            node = node[name]
            if place:
                node = node[int(place.rstrip("]"))]
        except (TypeError, ValueError, IndexError) as error:
            raise KeyError(path) from error
    return node


def unfinished(node: Any) -> tuple[str, str] | None:
    """Where a leaf still waits for the marketer: the control's path and what to do. None when it is filled in, or is no leaf."""
    if node == "":
        return "value", _("Write the condition as JSON.")
    if not isinstance(node, dict):
        return None
    if set(node) == {"not"}:
        return unfinished(node["not"])
    if "field" in node:
        return _no_value(node, "")
    if "did" in node and node["did"] in ([], ""):
        return "did", _("Choose an activity.")
    for key in ("where", "latest"):
        for place, row in enumerate(node[key] if isinstance(node.get(key), list) else ()):
            found = _no_value(row, f"{key}[{place}].") if isinstance(row, dict) else None
            if found:
                return found
    for place, step in enumerate(node["sequence"] if isinstance(node.get("sequence"), list) else ()):
        found = unfinished(step)
        if found:
            return f"sequence[{place}].{found[0]}", found[1]
    for key in ("count", "total", "when", "gap"):
        part = node.get(key)
        if isinstance(part, dict):
            if key == "total" and part.get("of", PROPERTY) == PROPERTY:
                return "total.of", _("Name the property to add up.")
            found = _no_value(part, f"{key}.")
            if found:
                return found
    for key, value in node.items():
        if value == "" and key.startswith("in_"):
            return key, _("Choose one.")
    return None


def _no_value(part: dict[str, Any], at: str) -> tuple[str, str] | None:
    if part.get("field") == PROPERTY:
        return f"{at}field", _("Name the property.")
    if str(part.get("op")) in ("is_known", "is_unknown", "is_true", "is_false"):
        return None
    value = part.get("value")
    if value in (None, "", []):
        return f"{at}value", _("Fill in the value.")
    if isinstance(value, list) and None in value:
        return f"{at}value[{value.index(None)}]", _("Fill in both ends.")
    return None


def is_group(node: Any) -> bool:
    inner = node.get("not") if isinstance(node, dict) and set(node) == {"not"} else node
    return isinstance(inner, dict) and ("all" in inner or "any" in inner)


def ready(node: Any, left_out: frozenset[int] | set[int]) -> Any:
    """The node without the rows whose id() is in `left_out`; a group that they leave empty goes too. None when nothing is left."""
    if id(node) in left_out:
        return None
    if not isinstance(node, dict) or len(node) != 1:
        return node
    ((key, inside),) = node.items()
    if key == "not":
        kept = ready(inside, left_out)
        return None if kept is None else {"not": kept}
    if key not in ("all", "any") or not isinstance(inside, list):
        return node
    nodes = [kept for child in inside if (kept := ready(child, left_out)) is not None]
    return None if inside and not nodes else {key: nodes}
