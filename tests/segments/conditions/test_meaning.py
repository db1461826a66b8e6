"""The rules of meaning that no other file tries: two values, folding, negation of everything, fields as they are now."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from leads.models import CustomField
from segments.conditions import NEAR, check, explain, match_ids, matching, near_activities
from tests.makers import NOW, make_activity, make_company, make_contact
from tests.segments.conditions.asking import at, field, who

pytestmark = pytest.mark.django_db


def test_a_person_is_in_a_node_or_in_its_complement() -> None:
    make_contact(first_name="german", country="DE", company={"industry": "Steel"})
    make_contact(first_name="nowhere", country="", company=None)
    nodes: list[dict[str, Any]] = [
        field("contact.country", "in", ["DE"]),
        field("company.industry", "contains", "steel"),
        {"all": [field("contact.country", "is", "DE"), field("company.employees", "at_least", 5)]},
        {"any": [field("contact.country", "is", "FR"), field("company.employees", "less_than", 5)]},
        {"not": {"not": field("company.industry", "is_unknown")}},
        {"all": []},
        {"any": []},
    ]
    for node in nodes:
        inside, outside = who(node), who({"not": node})
        assert inside | outside == {"german", "nowhere"}
        assert inside & outside == set()
    assert who(field("contact.country", "not_in", ["DE"])) == {"nowhere"}
    assert who(field("company.industry", "is_not", "steel")) == {"nowhere"}


def test_everybody_and_nobody() -> None:
    make_contact(first_name="ann")
    assert who({"all": []}) == {"ann"}
    assert who({"any": []}) == set()
    assert who({"not": {"any": []}}) == {"ann"}
    assert match_ids(check({"all": []}), at(), contacts=[]) == []


def test_what_a_batch_did_is_gathered_wide_enough() -> None:
    """Rules that share one gathering: each finds whom it finds alone, however far back its search reaches."""
    early, late = make_contact(first_name="early"), make_contact(first_name="late")
    for days in (40, 2):
        make_activity(early, "page_view", at=NOW - timedelta(days=days), url="https://x.test/pricing")
    make_activity(late, "page_view", at=NOW - timedelta(days=2), url="https://x.test/pricing")
    make_activity(late, "purchase", at=NOW - timedelta(days=20), properties={"amount": 5})
    pricing = {"did": "page_view", "where": [field("url", "contains", "/pricing")]}
    week = {"op": "in_last", "value": 7, "unit": "days"}
    rules: list[tuple[dict[str, Any], set[int]]] = [
        (pricing | {"when": week}, {early.pk, late.pk}),
        (pricing | {"first": True, "when": week}, {late.pk}),
        ({"did": "page_view", "count": {"op": "at_least", "value": 2}, "when": week | {"value": 60}}, {early.pk}),
        (
            {"did": "purchase", "where": [field("properties.amount", "at_least", 5)], "when": week | {"value": 30}},
            {late.pk},
        ),
        (pricing | {"when": {"op": "not_in_last", "value": 7, "unit": "days"}}, {early.pk}),
    ]
    batch = [early.pk, late.pk]
    for one, holds_one in rules:
        for other, holds_other in rules:
            trees = [check(one), check(other)]
            near = near_activities(trees, at(), batch)
            assert near is not None
            for tree, holds in zip(trees, (holds_one, holds_other), strict=True):
                found = matching(tree, at(), contacts=batch, stored=True, near=True)
                with connection.cursor() as cursor:
                    cursor.execute(
                        f"WITH {NEAR} AS MATERIALIZED ({near.text}) SELECT id FROM ({found.text}) AS found(id)",
                        [*near.params, *found.params],
                    )
                    assert {row[0] for row in cursor.fetchall()} == holds
    assert near_activities([check({"did": "page_view"})] * 2, at(), batch) is None  # signals answer that


@pytest.mark.parametrize(
    ("stored", "op", "value", "holds"),
    [
        ("Straße", "is", "STRASSE", False),
        ("Straße", "is", "STRAßE", True),
        ("Café", "is", "cafe", False),
        ("CAFÉ", "is", "café", True),
        ("Café", "is", "Cafe\u0301", True),  # stored as NFC
        ("İstanbul", "is", "istanbul", True),
        ("ΣΊΣΥΦΟΣ", "contains", "σίσυφοσ", True),
        ("100% off", "contains", "0%", True),
        ("100 off", "contains", "0%", False),
        ("a_b", "contains", "a_b", True),
        ("axb", "contains", "a_b", False),
        ("c\\d", "contains", "c\\", True),
        ("c\\d", "starts_with", "C\\D", True),
        ("vp ", "contains", "vp ", True),
        ("VP", "is", " vp ", True),
        ("'; DROP TABLE leads_contact; --", "is", "'; drop table leads_contact; --", True),
        ("%s", "contains", "%s", True),
        ("%(x)s", "in", ["%(x)s"], True),
    ],
)
def test_text_is_compared_character_by_character(stored: str, op: str, value: Any, holds: bool) -> None:
    make_contact(first_name="ann", title=stored)
    assert who(field("contact.title", op, value)) == ({"ann"} if holds else set())


def test_odd_keys_are_values_too() -> None:
    key = 'it\'s "100%" %s {}'
    make_activity(make_contact(first_name="ann"), properties={key: "x"})
    assert who({"did": "any", "where": [field(f"properties.{key}", "is", "X")]}) == {"ann"}


@pytest.mark.parametrize(
    ("stored", "op", "value", "holds"),
    [
        (0.1, "is", 0.1, True),
        (0.3, "is", 0.30000000000000004, False),
        (10**15 + 1, "is", 10**15, False),
        (20, "between", [5, 20], True),
        (5, "between", [5, 20], True),
        (5.0, "is", 5, True),
        (-3, "less_than", 0, True),
        (0, "is_known", None, True),
    ],
)
def test_numbers_compare_as_decimals(stored: Any, op: str, value: Any, holds: bool) -> None:
    CustomField.objects.create(of="contact", key="probe", label="Probe", type="number")
    make_contact(first_name="ann", custom={"probe": stored})
    assert who(field("contact.custom.probe", op, value)) == ({"ann"} if holds else set())


def test_a_moment_without_a_zone_is_wall_clock() -> None:
    make_contact(first_name="ann", created_at="2026-03-01T09:30:00+00:00")
    after = field("contact.created_at", "after", "2026-03-01T10:00:00")
    assert who(after, at(NOW, "UTC")) == set()
    assert who(after, at(NOW, "Europe/Berlin")) == {"ann"}
    assert who(field("contact.created_at", "after", "2026-03-01T10:00:00+02:00"), at(NOW, "Europe/Berlin")) == {"ann"}


def test_fields_count_as_they_are_now_whatever_the_moment() -> None:
    make_contact(first_name="ann", title="CFO", company=make_company(industry="Steel"), created_at=NOW)
    past = at("2020-01-01T00:00:00+00:00")
    assert who(field("contact.title", "is", "cfo"), past) == {"ann"}
    assert who(field("company.industry", "is", "steel"), past) == {"ann"}
    assert who(field("contact.created_at", "in_next", 10, "years"), past) == {"ann"}


def test_a_company_field_holds_for_the_contacts_company() -> None:
    steel = make_company(industry="Steel")
    make_contact(first_name="ann", company=steel)
    make_contact(first_name="bob", company=steel)
    make_contact(first_name="eve")
    assert who(field("company.industry", "is", "steel")) == {"ann", "bob"}
    assert who(field("company.industry", "is_unknown")) == {"eve"}
    mixed = {"any": [field("company.industry", "is", "steel"), {"not": field("company.name", "is_known")}]}
    assert who(mixed) == {"ann", "bob", "eve"}


def test_consent_is_cut_at_the_moment_and_marketing_speaks_for_all() -> None:
    from leads.addresses import address_hash
    from leads.models import ConsentEvent

    make_contact("Ann@x.test".lower(), first_name="ann")
    make_contact(first_name="bob")
    for when, purpose, state in (("2026-01-01", "events", "given"), ("2026-02-01", "marketing", "withdrawn")):
        ConsentEvent.objects.create(
            address_hash=address_hash("ANN@x.test"),
            purpose=purpose,
            state=state,
            occurred_at=f"{when}T00:00:00+00:00",
            source="test",
        )
    given = field("consent.events", "is", "given")
    assert who(given, at("2026-01-15T00:00:00+00:00")) == {"ann"}
    assert who(given) == set()
    assert who(field("consent.events", "is", "withdrawn")) == {"ann"}
    assert who(field("consent.events", "is_unknown")) == {"bob"}


def test_an_explanation_names_the_leaves_that_decided() -> None:
    ann = make_contact(first_name="ann", title="VP Sales", company={"employees": 12})
    make_activity(ann, "download")
    document = {
        "all": [
            field("contact.title", "contains", "vp"),
            {
                "any": [
                    field("company.employees", "at_least", 50),
                    {"did": "download", "count": {"op": "at_least", "value": 3}},
                ]
            },
        ]
    }
    verdict = explain(check(document), ann.pk, at())
    assert not verdict.holds
    assert [(leaf.path, leaf.actual, leaf.holds, leaf.missing) for leaf in verdict.because] == [
        ("all[1].any[0]", 12, False, "38 more"),
        ("all[1].any[1]", 1, False, "2 more"),
    ]
    assert [leaf.path for leaf in verdict.leaves] == ["all[0]", "all[1].any[0]", "all[1].any[1]"]
    opposite = explain(check({"not": document}), ann.pk, at())
    assert opposite.holds
    assert [leaf.path for leaf in opposite.because] == ["not.all[1].any[0]", "not.all[1].any[1]"]
    json.dumps([leaf.document for leaf in verdict.leaves])
