"""The published JSON Schema: up to date, takes what check() takes, refuses what is of another form."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from leads.models import CustomField
from segments.conditions import Catalogue
from segments.conditions.schema import schema
from tests.segments.conditions import population
from tests.segments.conditions.asking import field
from tests.segments.conditions.test_check import EXAMPLES

PUBLISHED = Path(django_settings.BASE_DIR) / "docs" / "conditions.schema.json"


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


@settings(max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
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


@pytest.mark.django_db
def test_an_instance_names_its_own_fields() -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="choice")
    mine = Draft202012Validator(schema(Catalogue()))
    assert mine.is_valid(field("contact.custom.plan", "is", "pro"))
    assert not mine.is_valid(field("contact.custom.plan", "contains", "pro"))
    assert not mine.is_valid(field("contact.custom.plam", "is", "pro"))
