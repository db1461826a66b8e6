"""Traps of plans that do not show at the size of a test: NOT IN, clocks inside queries, reading all activities for a few people."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segments.conditions import Sql, check, matching
from tests.makers import NOW, make_activity, make_contact, make_deal
from tests.segments.conditions import population
from tests.segments.conditions.asking import at, field

pytestmark = pytest.mark.django_db

IN_LAST = {"op": "in_last", "value": 30, "unit": "days"}
TO_MANY: list[dict[str, Any]] = [
    {"did": "page_view"},
    {"did": "page_view", "when": IN_LAST},
    {"did": "page_view", "count": {"op": "exactly", "value": 0}, "when": IN_LAST},
    {
        "did": "page_view",
        "where": [field("url", "contains", "/pricing")],
        "count": {"op": "at_least", "value": 3},
        "when": IN_LAST,
    },
    {"did": "page_view", "where": [field("url", "contains", "/pricing")], "count": {"op": "at_most", "value": 3}},
    {"did": "page_view", "count": {"op": "at_least", "value": 3}},
    {"did": "page_view", "latest": [field("url", "contains", "/pricing")]},
    {"did": "page_view", "first": True, "when": IN_LAST},
    {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 10}},
    {"sequence": [{"did": "download"}, {"did": "page_view"}], "gap": {"value": 7, "unit": "days"}},
    {"has": "deal", "where": [field("status", "is", "won")]},
    field("contact.last_activity_at", "in_last", 30, "days"),
]


def plan(statement: Sql, *, analyze: bool = False) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN ({'ANALYZE, ' if analyze else ''}COSTS OFF) {statement.text}", list(statement.params))
        return "\n".join(row[0] for row in cursor.fetchall())


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("document", TO_MANY, ids=str)
def test_a_to_many_leaf_is_a_join_not_a_plan_per_person(document: dict[str, Any], negated: bool) -> None:
    statement = matching(check({"not": document} if negated else document), at())
    found = plan(statement)
    assert "SubPlan" not in found or "latest" in document  # there it filters an aggregate


@pytest.fixture
def crowd() -> list[int]:
    """Enough people that the planner has a choice; statistics are fresh."""
    people = [make_contact(first_name=str(number)) for number in range(3)]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_contact (external_id, email, stage, first_name, last_name, title, department, seniority, phone, country,"
            " region, city, postal_code, timezone, language, source)"
            " SELECT 'crowd' || n, 'crowd' || n || '@x.test', 'inquiry', '', '', '', '', '', '', '', '', '', '', '', '', ''"
            " FROM generate_series(1, 5000) n"
        )
    make_activity(
        people[0], "page_view", at=NOW - timedelta(days=3), url="https://x.test/pricing", properties={"amount": 5}
    )
    make_activity(people[0], "download", at=NOW - timedelta(days=4))
    make_activity(people[0], "purchase", at=NOW - timedelta(days=4), properties={"amount": 20})
    make_activity(people[1], "page_view", at=NOW)
    make_deal(people[0], status="won")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_activity (contact_id, occurred_at, kind_id, asset_id)"
            " SELECT contact.id, activity.occurred_at - n * interval '1 hour', activity.kind_id, activity.asset_id"
            " FROM leads_contact contact, leads_activity activity, generate_series(1, 4) n WHERE contact.external_id LIKE 'crowd%'"
        )
        cursor.execute(
            "INSERT INTO leads_signal (contact_id, kind_id, n, first_at, last_at) SELECT contact_id, kind_id, count(*), min(occurred_at),"
            " max(occurred_at) FROM leads_activity GROUP BY 1, 2 ON CONFLICT DO NOTHING"
        )
        for table in (
            "leads_contact",
            "leads_activity",
            "leads_signal",
            "leads_asset",
            "leads_deal",
            "leads_dealcontact",
        ):
            cursor.execute(f"ANALYZE {table}")
    return [person.pk for person in people]


def test_for_one_contact_no_table_of_many_rows_is_read_whole(crowd: list[int]) -> None:
    for document in TO_MANY:
        found = plan(matching(check(document), at(), contacts=crowd[:1]))
        for table in ("leads_activity_2026_02", "leads_signal", "leads_contact"):  # empty months do not count
            assert not re.search(rf"Seq Scan on {table}", found), (document, found)


def test_parts_of_the_past_are_left_out_of_the_plan(crowd: list[int]) -> None:
    """The period is bound, so partitions outside of it are not opened."""
    document = {
        "did": "page_view",
        "where": [field("url", "is_known")],
        "when": {"op": "in_last", "value": 12, "unit": "hours"},
    }
    found = plan(matching(check(document), at()))
    assert "leads_activity_2026_03" in found
    assert "leads_activity_2026_02" not in found


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(document=population.documents, stored=st.booleans())
def test_the_text_is_ours_alone(document: dict[str, Any], stored: bool) -> None:
    """Whatever a person wrote is a bound value; no clock stands inside a statement; no NOT IN."""
    from leads.models import CustomField
    from segments.models import Persona, Segment

    if not CustomField.objects.exists():
        for of in CustomField.Of.values:
            for key, type in population.CUSTOM.items():
                CustomField.objects.create(of=of, key=key, label=key, type=type)
        for slug in ("vips", "busy", "nested", "by-hand"):
            Segment.objects.create(slug=slug, name=slug, conditions={"all": []})
        for slug in ("cfo", "cto", "rest", "draft"):
            Persona.objects.create(slug=slug, name=slug, conditions={"all": []})
    tree = check(document, allow_unknown_slugs=True)  # programs need not exist to be read
    text = matching(tree, at(), stored=stored).text
    assert not re.search(r"\bNOT IN\b|\bnow\(\)|current_|clock_timestamp|statement_timestamp", text, re.IGNORECASE)
    # our own words: 'open' of a deal, JSON types, added and removed as bound values, shapes of time, groups of points, grades,
    # verdicts on a need, who is kept out of a program
    literals = {literal for literal in re.findall(r"'([^']*)'", text) if not re.fullmatch(r"[A-D][1-4]", literal)}
    assert literals <= {
        "", "open", "string", "number", "boolean", "array", "null", '""', "[]", "1 day", "month", "day", "UTF8", "hex", "date", "timestamptz",
        "fit", "behaviour", "bant", "DCBA", "4321", "unknown", "met", "held_out",
    }  # fmt: skip
