"""Every operator of every type on a known and on unknown values; the table holds nothing that is not tried here."""

from __future__ import annotations

from typing import Any

import pytest

from leads.models import CustomField
from segments.conditions import OPERATORS, check, sentence
from segments.conditions.operators import PROPERTY_TYPES, operators_for
from segments.conditions.tree import FieldLeaf
from tests.makers import make_activity, make_contact
from tests.segments.conditions.asking import at, field, who

pytestmark = pytest.mark.django_db

# Per type: the stored value, then per operator a comparison that holds for it and one that does not: (value,) or (value, unit).
Row = tuple[tuple[Any, ...], tuple[Any, ...]]
TEXT: dict[str, Row] = {
    "is": (("mÜLLER gmbh",), ("müller",)),
    "is_not": (("muller gmbh",), ("Müller GmbH",)),
    "contains": (("ller g",), ("l%g",)),
    "does_not_contain": (("_ller",), ("MÜLL",)),
    "starts_with": (("müll",), ("üller",)),
    "ends_with": (("GMBH",), ("gmb",)),
    "in": ((["x", "müller gmbh"],), (["x", "müller"],)),
    "not_in": ((["x"],), (["MÜLLER GMBH", "x"],)),
    "matches": (("^m.+ g(m|n)bh$",), ("^gmbh",)),
    "does_not_match": (("[0-9]",), ("ü",)),
}
NUMBER: dict[str, Row] = {
    "is": ((12.5,), (12,)),
    "is_not": ((12,), (12.5,)),
    "less_than": ((12.6,), (12.5,)),
    "at_most": ((12.5,), (12.4,)),
    "more_than": ((12.4,), (12.5,)),
    "at_least": ((12.5,), (12.6,)),
    "between": (([12.5, 20],), ([12.6, 20],)),
    "not_between": (([13, 14],), ([12, 12.5],)),
}
CHOICE: dict[str, Row] = {
    "is": (("PRO",), ("team",)),
    "is_not": (("team",), ("pro",)),
    "in": ((["pro", "team"],), (["team"],)),
    "not_in": ((["team"],), (["Pro", "team"],)),
}
SEVERAL: dict[str, Row] = {
    "includes_any": ((["A", "x"],), (["x"],)),
    "includes_all": ((["b", "A"],), (["a", "x"],)),
    "includes_none": ((["x"],), (["x", "B"],)),
}
# The moment is Monday 2026-03-02 12:00 UTC.
DATE: dict[str, Row] = {
    "on": (("2026-02-27",), ("2026-02-28",)),
    "not_on": (("2026-02-28",), ("2026-02-27",)),
    "before": (("2026-02-28",), ("2026-02-27",)),
    "after": (("2026-02-26",), ("2026-02-27",)),
    "between": ((["2026-02-27", "2026-02-27"],), (["2026-02-28", "2026-03-01"],)),
    "in_last": ((4, "days"), (3, "days")),
    "not_in_last": ((3, "days"), (4, "days")),
    "in_next": ((1, "years"), (1, "days")),
    "more_than_ago": ((2, "days"), (3, "days")),
    "this": (("year",), ("month",)),
    "last": (("month",), ("quarter",)),
    "next": (("quarter",), ("month",)),
    "anniversary_in": ((362,), (361,)),
}
LATER = {"in_next", "next"}  # tried on a value that lies ahead
YES_NO: dict[str, Row] = {"is_true": ((), ()), "is_false": ((), ())}
TYPES: dict[str, tuple[Any, dict[str, Row]]] = {
    "text": ("Müller GmbH", TEXT),
    "long_text": ("Müller GmbH", TEXT),
    "email": ("Müller GmbH", TEXT),
    "url": ("Müller GmbH", TEXT),
    "phone": ("Müller GmbH", TEXT),
    "number": (12.5, NUMBER),
    "money": (12.5, NUMBER),
    "yes_no": (True, YES_NO),
    "choice": ("Pro", CHOICE),
    "country": ("Pro", CHOICE),  # no country: matched as written
    "choices": (["a", "B"], SEVERAL),
    "date": ("2026-02-27", DATE),
    "moment": ("2026-02-27T12:00:00+00:00", DATE),
}
FAMILY = {"long_text": "text", "email": "text", "url": "text", "phone": "text", "money": "number", "country": "choice"}
CASES = [(type, op) for type, (_value, rows) in TYPES.items() for op in rows]


def document(name: str, op: str, row: tuple[Any, ...]) -> dict[str, Any]:
    return field(name, op, *row)


def stored_value(type: str, op: str) -> Any:
    if type == "yes_no":
        return op == "is_true"
    if op in LATER and type in ("date", "moment"):
        return {"in_next": "2026-09-01", "next": "2026-06-15"}[op] + ("T12:00:00+00:00" if type == "moment" else "")
    return TYPES[type][0]


@pytest.mark.parametrize(("type", "op"), CASES)
def test_operator_on_known_and_unknown_values(type: str, op: str) -> None:
    CustomField.objects.create(of="contact", key="probe", label="Probe", type=type)
    make_contact(first_name="known", custom={"probe": stored_value(type, op)})
    make_contact(first_name="absent")
    make_contact(first_name="null", custom={"probe": None})
    make_contact(first_name="empty", custom={"probe": [] if type == "choices" else ""})
    unknown = {"absent", "null", "empty"}
    operator = operators_for(FAMILY.get(type, type))[op]
    holds, fails = TYPES[type][1][op]
    if type == "yes_no":
        other = "is_false" if op == "is_true" else "is_true"
        assert who(document("contact.custom.probe", op, ())) == {"known"}
        assert who(document("contact.custom.probe", other, ())) == set()
        return
    holding, failing = document("contact.custom.probe", op, holds), document("contact.custom.probe", op, fails)
    others = unknown if operator.negates else set()
    assert who(holding) == {"known"} | others
    assert who(failing) == others
    assert who({"not": holding}) == unknown - others
    assert who({"not": failing}) == {"known"} | (unknown - others)


@pytest.mark.parametrize("type", TYPES)
def test_known_and_unknown(type: str) -> None:
    CustomField.objects.create(of="contact", key="probe", label="Probe", type=type)
    make_contact(first_name="known", custom={"probe": TYPES[type][0]})
    make_contact(first_name="absent")
    make_contact(first_name="null", custom={"probe": None})
    make_contact(first_name="empty", custom={"probe": [] if type == "choices" else ""})
    assert who(field("contact.custom.probe", "is_known")) == {"known"}
    assert who(field("contact.custom.probe", "is_unknown")) == {"absent", "null", "empty"}


def test_every_type_of_a_custom_field_is_tried() -> None:
    assert set(TYPES) == set(CustomField.Type.values)


def test_nothing_that_a_property_can_be_asked_is_left_out() -> None:
    tried = {(reading, op) for reading, rows in READINGS.items() for op in rows}
    tried |= {("yes_no", op) for op in YES_NO}  # test_yes_and_no_are_stored_yes_and_no
    table = {
        (type, op) for type in PROPERTY_TYPES for op in operators_for(type) if op not in ("is_known", "is_unknown")
    }
    assert tried == table


@pytest.mark.parametrize(
    ("stored", "is_known"),
    [(None, False), ("", False), ([], False), ("x", True), (0, True), (False, True), ({}, True), ([None], True)],
)
def test_a_property_is_known_whatever_it_holds(stored: Any, is_known: bool) -> None:
    make_activity(make_contact(first_name="someone"), properties={"probe": stored})
    asked = {op: who({"did": "any", "where": [field("properties.probe", op)]}) for op in ("is_known", "is_unknown")}
    assert asked == {"is_known": {"someone"} if is_known else set(), "is_unknown": set() if is_known else {"someone"}}


def test_nothing_in_the_table_is_left_out() -> None:
    tried = {(FAMILY.get(type, type), op) for type, op in CASES}
    table = {
        (type, row.key)
        for row in OPERATORS
        for type in row.types - {"iso", "any"}
        if row.key not in ("is_known", "is_unknown")
    }
    assert tried == table


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("contact.title", {"title": ""}),
        ("contact.country", {"country": ""}),
        ("contact.tags", {"tags": []}),
        ("contact.owner", {"owner": None}),
        ("contact.external_id", {"external_id": None}),
        ("contact.last_activity_at", {}),
        ("contact.persona", {}),
        ("company.employees", {"company": {"employees": None}}),
        ("company.industry", {"company": {"industry": ""}}),
        ("company.tags", {"company": {"tags": []}}),
        ("company.name", {"company": None}),
        ("consent.marketing", {}),
    ],
)
def test_unknown_in_columns_and_rows_elsewhere(name: str, make: dict[str, Any]) -> None:
    make_contact(first_name="someone", **make)
    assert who(field(name, "is_unknown")) == {"someone"}
    assert who(field(name, "is_known")) == set()


READINGS = {"text": TEXT, "number": NUMBER, "iso": DATE, "choices": SEVERAL}


@pytest.mark.parametrize(("reading", "op"), [(reading, op) for reading, rows in READINGS.items() for op in rows])
def test_operator_on_a_property(reading: str, op: str) -> None:
    stored = {"text": "Müller GmbH", "number": 12.5, "choices": ["a", "B"], "iso": stored_value("date", op)}[reading]
    known, unknown, other = (make_contact(first_name=name) for name in ("known", "unknown", "unreadable"))
    make_activity(known, properties={"probe": stored})
    make_activity(unknown, properties={"probe": None})
    make_activity(other, properties={"probe": {"an": "object"}})
    holds, fails = READINGS[reading][op]
    others = {"unknown", "unreadable"} if operators_for(reading)[op].negates else set()
    assert who({"did": "any", "where": [field("properties.probe", op, *holds)]}) == {"known"} | others
    assert who({"did": "any", "where": [field("properties.probe", op, *fails)]}) == others


@pytest.mark.parametrize(
    ("stored", "readable_as"),
    [
        (12.5, {"number", "text"}),
        ("12.5", {"number", "text"}),
        ("12.50", {"number"}),
        ("1e3", set()),
        (True, set()),
        ("Twelve", set()),
    ],
)
def test_a_property_is_read_as_the_value_asks(stored: Any, readable_as: set[str]) -> None:
    make_activity(make_contact(first_name="someone"), properties={"probe": stored})
    asked = {"number": 12.5, "text": "12.5"}
    found = {
        kind for kind, value in asked.items() if who({"did": "any", "where": [field("properties.probe", "is", value)]})
    }
    assert found == readable_as


@pytest.mark.parametrize(
    ("stored", "yes", "no", "as_text"),
    [(True, 1, 0, "true"), (False, 0, 1, "false"), ("true", 0, 0, "true"), (1, 0, 0, "1")],
)
def test_yes_and_no_are_stored_yes_and_no(stored: Any, yes: int, no: int, as_text: str) -> None:
    make_activity(make_contact(first_name="someone"), properties={"probe": stored})
    assert len(who({"did": "any", "where": [field("properties.probe", "is_true")]})) == yes
    assert len(who({"did": "any", "where": [field("properties.probe", "is_false")]})) == no
    assert who({"did": "any", "where": [field("properties.probe", "is", as_text)]}) == {"someone"}


@pytest.mark.parametrize("row", OPERATORS, ids=lambda row: f"{row.key}-{'-'.join(sorted(row.types))}")
def test_every_operator_has_words(row: Any) -> None:
    assert "{label}" in str(row.words)


def test_an_owner_is_known_by_name_or_mail() -> None:
    from tests.makers import make_owner

    owner = make_owner("Zoë Ölmann")
    owner.email = "zoe@x.test"
    owner.save()
    make_contact(first_name="hers", owner=owner)
    make_contact(first_name="nobodys")
    assert who(field("contact.owner", "is", "zoë ölmann")) == {"hers"}
    assert who(field("contact.owner", "is", "ZOE@X.TEST")) == {"hers"}
    assert who(field("contact.owner", "not_in", ["zoe@x.test"])) == {"nobodys"}


def test_a_country_is_its_code_and_its_names() -> None:
    make_contact(first_name="german", country="DE")
    make_contact(first_name="atlantean", country="Atlantis")
    make_contact(first_name="nowhere", country="")
    for spelling in ("DE", "de", "DEU", "Germany", "germany"):
        assert who(field("contact.country", "is", spelling)) == {"german"}
        assert who(field("contact.country", "is_not", spelling)) == {"atlantean", "nowhere"}
    assert who(field("contact.country", "in", ["ATLANTIS", "FR"])) == {"atlantean"}


def test_sentences_read_back() -> None:
    tree = check(field("contact.title", "contains", "vp"))
    assert isinstance(tree, FieldLeaf)
    assert sentence(tree) == "Job title contains “vp”"
    assert set(PROPERTY_TYPES) == {"text", "number", "yes_no", "choices", "iso", "any"}
    assert at().today.isoformat() == "2026-03-02"
