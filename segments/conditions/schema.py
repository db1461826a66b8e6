"""The rule language as a JSON Schema (2020-12), made from the tables of operators and fields. `manage.py rule_schema` prints it.

It describes form, not sense: a reversed `between`, 201 leaves or a slug that does not exist are left to check().
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from segments.conditions.check import HOW, LONGEST_TEXT, MOST_KINDS, MOST_ROWS, MOST_STEPS, MOST_UNITS, MOST_VALUES
from segments.conditions.fields import TYPES, Catalogue, Field
from segments.conditions.operators import AMOUNTS, PROPERTY_TYPES, Operator, operators_for
from segments.conditions.periods import DATE_UNITS, PERIODS, UNITS

SCHEMA = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
_DATE = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}$"
_MOMENT = r"^[1-8][0-9]{3}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?$"
_DAY = {"type": "string", "pattern": _DATE}
_TIME = {"anyOf": [_DAY, {"type": "string", "pattern": _MOMENT}]}
_CONSENT = r"^consent\.[\w-]+$"
# Fields whose keys the company chooses: their types are known only inside an instance.
_OPEN_KEYS = {
    "contact": r"^(contact|company)\.custom\.[a-z0-9_]+$|^score\.[\w-]+\.\w+$|^consent\.[\w-]+$",
    "activity": r"^properties\..+$",
    "deal": r"^custom\.[a-z0-9_]+$",
}


def schema(catalogue: Catalogue | None = None) -> dict[str, Any]:
    """The schema with the fields, custom ones too, of this instance; with None that of every instance, which takes any custom key.

    No statement with None, else one per family of fields.
    """
    definitions: dict[str, Any] = {
        "node": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("all", "any", "not", "leaf")]},
        "all": _object({"all": _list({"$ref": "#/$defs/node"})}),
        "any": _object({"any": _list({"$ref": "#/$defs/node"})}),
        "not": _object({"not": {"$ref": "#/$defs/node"}}),
        "leaf": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in ("field", "did", "sequence", "has", "member")]},
        "field": _fields("contact", catalogue),
        "activity_row": _fields("activity", catalogue),
        "kinds": {
            "anyOf": [
                {"$ref": "#/$defs/kind"},
                {
                    **_list({"$ref": "#/$defs/kind", "not": {"const": "any"}}),
                    "minItems": 1,
                    "maxItems": MOST_KINDS,
                },
            ]
        },
        "kind": {"type": "string", "pattern": r"^[\w.:-]{1,100}$"},
        "when": {"anyOf": _comparisons("moment", without=("anniversary_in", "is_known", "is_unknown"))},
        "count": {"anyOf": _amounts({"type": "integer", "minimum": 0})},
        "did": _did(),
        "sequence": _object(
            {
                "sequence": {**_list({"$ref": "#/$defs/step"}), "minItems": 1, "maxItems": MOST_STEPS},
                "gap": _object({"value": _whole(1, MOST_UNITS), "unit": {"enum": list(UNITS)}}),
                "when": {"$ref": "#/$defs/when"},
            },
            optional=("gap", "when"),
        ),
        "step": _object({"did": {"$ref": "#/$defs/kinds"}, "where": _rows("activity")}, optional=("where",)),
    }
    related = (catalogue or Catalogue()).all_related()
    definitions["has"] = {
        "anyOf": [
            _object(
                {"has": {"const": each.key}, "where": _rows(each.key), "count": {"$ref": "#/$defs/count"}},
                optional=("where", "count"),
            )
            for each in related
        ]
    }
    definitions |= {f"{each.key}_row": _fields(each.key, catalogue) for each in related}
    definitions["member"] = {
        "anyOf": [
            _object(
                {subject.key: _TEXT} | ({"state": {"enum": list(subject.states)}} if subject.states else {}),
                optional=("state",),
            )
            for subject in (catalogue or Catalogue()).subjects()
        ]
    }
    return {
        "$schema": SCHEMA,
        "title": "Conditions",
        "description": "A rule of Ripen: see docs/conditions.md.",
        "$ref": "#/$defs/node",
        "$defs": definitions,
    }


def _did() -> dict[str, Any]:
    """One alternative per mode, so that at most one of count, first, latest, total stands."""
    common = {"did": {"$ref": "#/$defs/kinds"}, "where": _rows("activity"), "when": {"$ref": "#/$defs/when"}}
    modes: list[dict[str, Any]] = [
        {},
        {"count": {"$ref": "#/$defs/count"}},
        {"first": {"const": True}},
        {"latest": {**_rows("activity"), "minItems": 1}},
        {"total": {"anyOf": [_total(each) for each in _amounts({"type": "number"})]}},
    ]
    return {"anyOf": [_object(common | mode, optional=("where", "when")) for mode in modes]}


def _total(compared: dict[str, Any]) -> dict[str, Any]:
    of = {"type": "string", "pattern": _OPEN_KEYS["activity"]}
    return _object({"of": of, "as": {"enum": list(HOW)}, **compared["properties"]})


def _amounts(number: dict[str, Any]) -> list[dict[str, Any]]:
    single = [key for key in AMOUNTS if key != "between"]
    pair = {**_list(number), "minItems": 2, "maxItems": 2}
    return [_object({"op": {"enum": single}, "value": number}), _object({"op": {"const": "between"}, "value": pair})]


def _rows(subject: str) -> dict[str, Any]:
    return {**_list({"$ref": f"#/$defs/{subject}_row"}), "maxItems": MOST_ROWS}


def _fields(subject: str, catalogue: Catalogue | None) -> dict[str, Any]:
    """A comparison of one field, by type: the fields of that type with the operators of that type."""
    rows = None if subject == "contact" else subject
    listed = (catalogue or _Fixed()).fields(rows)
    alternatives = []
    for type in TYPES:
        keys = [_key(each, rows) for each in listed if each.type == type]
        names: list[dict[str, Any]] = [{"enum": sorted(keys)}] if keys else []
        has_open_keys = type == "property" if subject == "activity" else catalogue is None and type != "property"
        if has_open_keys:
            names.append({"type": "string", "pattern": _OPEN_KEYS[subject]})
        elif subject == "contact" and type == "choice":  # a purpose that nobody has consented to yet may be asked for
            names.append({"type": "string", "pattern": _CONSENT})
        if names:
            field = names[0] if len(names) == 1 else {"anyOf": names}
            alternatives += [_with_field(field, compared) for compared in _comparisons(type)]
    return {"anyOf": alternatives}


class _Fixed(Catalogue):
    """The fields that every instance has."""

    def _load(self, family: Any) -> dict[str, Field]:
        return {}


def _key(field: Field, rows: str | None) -> str:
    return field.name if rows else field.key


def _with_field(field: dict[str, Any], compared: dict[str, Any]) -> dict[str, Any]:
    return _object({"field": field, **compared["properties"]})


def _comparisons(type: str, *, without: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Operators of a type, together where they take the same value."""
    by_value: list[tuple[dict[str, Any], list[str]]] = []
    readings = PROPERTY_TYPES if type == "property" else (type,)
    for reading in readings:
        for key, operator in operators_for(reading).items():
            if key in without:
                continue
            value = _value(operator, reading)
            for known, keys in by_value:
                if known == value:
                    if key not in keys:
                        keys.append(key)
                    break
            else:
                by_value.append((value, [key]))
    return [_object({"op": {"enum": keys}, **value}) for value, keys in by_value]


def _value(operator: Operator, type: str) -> dict[str, Any]:
    """The keys beside `op`."""
    number = {"type": "number"}
    time = _DAY if type == "date" else _TIME
    pair = {"minItems": 2, "maxItems": 2}
    match operator.shape:
        case "none":
            return {}
        case "text" | "pattern":
            return {"value": _TEXT}
        case "texts":
            return {"value": {**_list(_TEXT), "minItems": 1, "maxItems": MOST_VALUES}}
        case "number":
            return {"value": number}
        case "numbers":
            return {"value": {**_list(number), **pair}}
        case "day":
            return {"value": _DAY}
        case "time":
            return {"value": time}
        case "times":
            return {"value": {**_list(time), **pair}}
        case "amount":
            return {"value": _whole(1, MOST_UNITS), "unit": {"enum": list(DATE_UNITS if type == "date" else UNITS)}}
        case "period":
            return {"value": {"enum": list(PERIODS)}}
    return {"value": _whole(0, 365)}


def _object(properties: dict[str, Any], *, optional: Iterable[str] = ()) -> dict[str, Any]:
    required = [key for key in properties if key not in set(optional)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _whole(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}
