"""docs/conditions.md is complete: every operator beside its type, every field, subject, unit and word of the language; its examples work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.conf import settings

from leads.models import CustomField
from segments.conditions import AMOUNTS, OPERATORS, PERIODS, UNITS, Catalogue, check
from segments.conditions.check import HOW, MOST_CHARACTERS, Problem
from segments.conditions.operators import ALL_TYPES, operators_for
from segments.conditions.tree import MOST_LEAVES, MOST_LEVELS
from tests.segments.conditions.asking import field, refused

PAGE = (Path(settings.BASE_DIR) / "docs" / "conditions.md").read_text(encoding="utf-8")
TYPES = {
    "text": "text",
    "number": "number",
    "yes_no": "yes/no",
    "choice": "choice",
    "choices": "several choices, tags",
    "date": "date, moment",
    "moment": "date, moment",
}


def words_of(text: str) -> set[str]:
    """Everything that stands between backquotes in a line, blocks of code left out."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)))


@pytest.mark.parametrize("type", TYPES)
def test_the_operators_of_each_type(type: str) -> None:
    row = re.search(rf"^\| {re.escape(TYPES[type])} \| (`.*) \|$", PAGE, re.MULTILINE)
    assert row is not None
    assert row.group(1).split(" ") == [f"`{key}`" for key in operators_for(type)]


def test_no_type_is_left_out_and_every_operator_says_what_it_takes() -> None:
    assert set(TYPES) == ALL_TYPES - {"iso", "any"}
    table = PAGE.split("| operator | value |")[1].split("\n## ")[0]
    explained = {word for line in table.splitlines() for word in words_of(line.split("|")[1] if "|" in line else "")}
    assert explained == {row.key for row in OPERATORS}


def test_every_word_of_the_language() -> None:
    named = words_of(PAGE)
    assert set(AMOUNTS) | set(HOW) | set(PERIODS) | set(UNITS) <= named
    assert {"did", "where", "count", "when", "first", "latest", "total"} <= named
    for subject in Catalogue().subjects():
        assert f'{{"{subject.key}": "slug"' in PAGE
        assert set(subject.states) <= named
    for related in Catalogue().all_related():
        assert f'{{"has": "{related.key}"' in PAGE
    assert f"Up to {MOST_LEVELS} levels" in PAGE
    assert f"{MOST_LEAVES} conditions" in PAGE
    assert f"documents over {MOST_CHARACTERS:,}" in PAGE


@pytest.mark.django_db
def test_every_field_with_its_type() -> None:
    listed = dict(re.findall(r"^\| `([\w.<>]+)` \| ([\w /]+) \|", PAGE.split("## Fields")[1], re.MULTILINE))
    catalogue = Catalogue()
    found = [*catalogue.fields(), *(each for subject in ("activity", "deal") for each in catalogue.fields(subject))]
    for each in found:
        subject, _dot, rest = each.key.partition(".")
        generic = {"score": f"score.<model>.{rest.partition('.')[2]}", "consent": "consent.<purpose>"}
        assert listed[generic.get(subject, each.key)] in TYPES[each.type], each.key
    for of in CustomField.Of.values:
        assert f"`{of}.custom.<key>`" in PAGE
    assert all(type in PAGE for type in CustomField.Type.values)


@pytest.mark.django_db
def test_the_example_is_a_rule_and_the_refusals_are_real() -> None:
    example = json.loads(PAGE.split("```json")[1].split("```")[0])
    check(example, allow_unknown_slugs=True)
    wrong = {
        "all": [
            field("contact.titel", "is", "x"),
            {"any": [field("company.employees", "is", "12")]},
        ]
    }
    problems = [str(Problem(path, message)) for path, message in refused(wrong).items()]
    assert "\n".join(problems) in PAGE
