"""The published JSON Schema: up to date, takes what check() takes, refuses what is of another form."""

from __future__ import annotations

import json
import random
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from leads.models import CustomField
from segments.conditions import Catalogue
from segments.conditions.schema import schema
from tests.segments.conditions import population
from tests.segments.conditions.asking import field, refused
from tests.segments.conditions.test_check import EXAMPLES

PUBLISHED = Path(django_settings.BASE_DIR) / "docs" / "conditions.schema.json"


class Instance:
    """The fields of one instance and their schema."""

    def __init__(self) -> None:
        population.load(0, size=5)
        self.catalogue = Catalogue()
        self.schema = Draft202012Validator(schema(self.catalogue))


@pytest.fixture
def mine(db: None) -> Instance:
    return Instance()


@pytest.fixture(scope="module")
def published() -> Draft202012Validator:
    return Draft202012Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))


def test_the_published_schema_is_the_one_of_the_tables() -> None:
    printed = StringIO()
    call_command("rule_schema", stdout=printed)
    assert printed.getvalue() == PUBLISHED.read_text(encoding="utf-8"), (
        "manage.py rule_schema > docs/conditions.schema.json"
    )
    Draft202012Validator.check_schema(json.loads(printed.getvalue()))


@pytest.mark.parametrize("document", EXAMPLES, ids=json.dumps)
def test_the_contracts_examples_fit(published: Draft202012Validator, document: dict[str, Any]) -> None:
    assert published.is_valid(document)


@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(document=population.documents)
def test_random_rules_fit(published: Draft202012Validator, document: dict[str, Any]) -> None:
    assert published.is_valid(json.loads(json.dumps(document, default=float)))


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        {"all": {}},
        {"all": [], "any": []},
        {"colour": 1},
        field("contact.title", "at_least", 5),
        field("contact.titel", "is", "x"),
        field("contact.title", "is", 5),
        field("contact.title", "in", []),
        {"field": "contact.title", "op": "is"},
        {"field": "contact.title", "op": "is_known", "value": "x"},
        field("company.employees", "is", "75"),
        field("contact.created_at", "in_last", 0, "days"),
        field("contact.created_at", "in_last", 5, "day"),
        field("contact.created_at", "on", "1 March"),
        {"did": "page view"},
        {"did": "x", "first": True, "count": {"op": "at_least", "value": 1}},
        {"did": "x", "count": {"op": "at_least", "value": -1}},
        {"did": "x", "when": {"op": "is_known"}},
        {"did": "x", "latest": []},
        {"has": "deal", "when": {"op": "this", "value": "year"}},
        {"has": "deals"},
        {"sequence": []},
        {"in_segment": ""},
    ],
    ids=json.dumps,
)
def test_another_form_does_not_fit(published: Draft202012Validator, document: Any) -> None:
    assert not published.is_valid(document)


ODD: tuple[Any, ...] = (
    None, "", "  ", [], {}, 0, 1, -1, 1.5, 366, 10**10, True, False, "x", "any", "is", "days", "week", "2026-03-01", "2026-03-01T10:00:00Z",
    "1 March", ["x"], ["any"], [1, 2], [2, 1], ["x", 1], [None], {"op": "is"}, {"field": "contact.title", "op": "is", "value": "x"},
    "contact.title", "company.employees", "properties.amount", "won", "x" * 3000,
)  # fmt: skip


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to everything inside a document."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path] + [place for key, value in inside for place in places(value, (*path, key))]


def spoiled(document: dict[str, Any], number: int) -> Any:
    """The document with one thing changed: a value replaced, a key left out, added or renamed."""
    rng = random.Random(number)
    found = json.loads(json.dumps(document, default=float))
    path = rng.choice(places(found))
    if not path:
        return rng.choice(ODD)
    parent = found
    for key in path[:-1]:
        parent = parent[key]
    last = path[-1]
    match rng.randrange(5):
        case 0 if isinstance(parent, dict):
            del parent[last]
        case 1 if isinstance(parent, dict):
            parent[rng.choice(["colour", "unit", "value", "count", "first", "state", "not", "when"])] = rng.choice(ODD)
        case 2 if isinstance(parent, dict):
            parent[rng.choice(["op", "field", "did", "has", "any", "in_segment", "of"])] = parent.pop(last)
        case _:
            parent[last] = rng.choice(ODD)
    return found


# What a schema cannot say: order, the calendar, what exists, patterns, and that a choice is one of those there are.
SENSE = (
    "is reversed", "both ends have the same form", "does not exist", "is none of", "expected a date", "expected a bare date", "(character ",
    "is no value", "expected two dates", "more than 50 brackets", "does not go with", "expected a text", "expected a number", "nested",
)  # fmt: skip


@pytest.mark.django_db
@settings(max_examples=600, suppress_health_check=list(HealthCheck))
@given(document=population.documents, number=st.integers(0, 2**32))
def test_what_is_refused_does_not_fit_and_what_is_taken_does(
    mine: Instance, document: dict[str, Any], number: int
) -> None:
    candidate = spoiled(document, number)
    problems = refused(candidate, catalogue=mine.catalogue)
    fits = mine.schema.is_valid(candidate)
    if not problems:
        assert fits
    elif fits:
        assert all(any(sense in message for sense in SENSE) for message in problems.values()), problems


@pytest.mark.django_db
def test_an_instance_names_its_own_fields() -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="choice")
    mine = Draft202012Validator(schema(Catalogue()))
    assert mine.is_valid(field("contact.custom.plan", "is", "pro"))
    assert not mine.is_valid(field("contact.custom.plan", "contains", "pro"))
    assert not mine.is_valid(field("contact.custom.plam", "is", "pro"))
    assert mine.is_valid(field("consent.of_nobody_yet", "is", "given"))
    assert not mine.is_valid(field("consent.of_nobody_yet", "contains", "given"))
