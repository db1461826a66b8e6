"""What a rule reads, which changes touch it, when time does."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from leads.models import Contact, CustomField, Mark
from segments.conditions import Catalogue, changed_by_time, check, facets, mentions, next_due, reads
from tests.makers import NOW, make_activity, make_contact, make_deal
from tests.segments.conditions.asking import at, field

pytestmark = pytest.mark.django_db

# Columns of Contact and Company that are no field of the language, with the reason.
NOT_CONDITIONS = {
    "id": "a number of ours",
    "company": "its fields are there",
    "custom": "its keys are there",
    "stage_since": "part of the stage",
    "created_at": "of a company: ours, not theirs",
    "updated_at": "of a company: ours, not theirs",
}


def test_every_column_of_a_contact_is_a_field_or_has_a_reason() -> None:
    from leads.models import Company, Deal

    catalogue = Catalogue()
    for model, prefix, known in (
        (Contact, "contact", {"created_at", "updated_at", "persona", "tags", "last_activity_at"}),
        (Company, "company", set[str]()),
        (Deal, "deal", set[str]()),
    ):
        names = {each.name for each in model._meta.fields} - {"contacts"}
        listed = {
            each.key.partition(".")[2]
            for each in catalogue.fields(prefix if prefix == "deal" else None)
            if each.key.startswith(f"{prefix}.")
        }
        extra = {"external_id", "owner"} if prefix == "deal" else set[str]()
        assert names - listed - NOT_CONDITIONS.keys() - extra == set()
        assert known <= listed


@pytest.mark.parametrize(
    ("document", "read", "touched"),
    [
        (field("contact.title", "is", "x"), {"contact.title"}, {Mark.Facet.CONTACT}),
        (field("company.name", "is", "x"), {"company.name"}, {Mark.Facet.CONTACT, Mark.Facet.COMPANY}),
        (field("contact.custom.plan", "is", "x"), {"contact.custom.plan"}, {Mark.Facet.CONTACT}),
        (field("consent.marketing", "is", "given"), {"consent.marketing"}, {Mark.Facet.CONTACT, Mark.Facet.CONSENT}),
        (field("contact.last_activity_at", "is_known"), {"contact.last_activity_at"}, {Mark.Facet.ACTIVITY}),
        ({"did": "x", "where": [field("url", "is", "y")]}, {"activity", "activity.url"}, {Mark.Facet.ACTIVITY}),
        ({"sequence": [{"did": "x"}, {"did": "y"}]}, {"activity"}, {Mark.Facet.ACTIVITY}),
        ({"has": "deal", "where": [field("amount", "is", 1)]}, {"deal", "deal.amount"}, {Mark.Facet.DEAL}),
        (
            {"any": [field("contact.title", "is", "x"), {"not": {"did": "x"}}]},
            {"contact.title", "activity"},
            {Mark.Facet.CONTACT, Mark.Facet.ACTIVITY},
        ),
        ({"all": []}, set(), set()),
    ],
)
def test_reads_and_facets(document: dict[str, Any], read: set[str], touched: set[int]) -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="choice")
    tree = check(document)
    assert reads(tree) == read
    assert facets(tree) == touched


def test_mentions_are_values_with_a_life_of_their_own() -> None:
    document = {
        "all": [
            field("contact.tags", "includes_any", ["Partner", "beta"]),
            field("contact.stage", "is", "mql"),
            field("contact.stage", "is_known"),
            {"did": ["download", "call"]},
            {"sequence": [{"did": "reply"}]},
        ]
    }
    assert mentions(check(document)) == {
        "tag:partner",
        "tag:beta",
        "stage:mql",
        "kind:download",
        "kind:call",
        "kind:reply",
    }


@pytest.mark.parametrize(
    ("document", "due"),
    [
        (field("contact.title", "is", "x"), None),
        (field("contact.created_at", "after", "2026-03-01"), None),
        (field("contact.created_at", "is_known"), None),
        (field("contact.created_at", "this", "week"), "2026-03-02T23:00:00"),
        (field("contact.created_at", "anniversary_in", 5), "2026-03-02T23:00:00"),
        (field("contact.custom.renewal", "in_last", 5, "days"), "2026-03-02T23:00:00"),
        (field("contact.created_at", "in_last", 5, "days"), "2026-03-02T12:01:00"),
        ({"did": "x", "when": {"op": "in_last", "value": 5, "unit": "days"}}, "2026-03-02T12:01:00"),
        ({"did": "x", "when": {"op": "last", "value": "month"}}, "2026-03-02T23:00:00"),
        ({"did": "x"}, None),
        ({"has": "deal"}, "2026-03-02T23:00:00"),
        (
            {"all": [field("contact.created_at", "this", "week"), field("contact.created_at", "in_next", 1, "hours")]},
            "2026-03-02T12:01:00",
        ),
    ],
)
def test_when_time_may_matter_next(document: dict[str, Any], due: str | None) -> None:
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    assert next_due(check(document), at(NOW, "Europe/Berlin")) == (
        datetime.fromisoformat(due + "+00:00") if due else None
    )


def changed(document: dict[str, Any], since: datetime, until: datetime) -> set[str]:
    statement = changed_by_time(check(document), at(since), at(until))
    if statement is None:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        ids = [row[0] for row in cursor.fetchall()]
    return set(Contact.objects.filter(pk__in=ids).values_list("first_name", flat=True))


def test_only_whom_an_edge_passed_is_looked_at_again() -> None:
    later = NOW + timedelta(minutes=1)
    for name, moment in {
        "leaves": NOW - timedelta(days=7) + timedelta(seconds=30),
        "stays": NOW - timedelta(days=5),
        "left": NOW - timedelta(days=9),
        "comes": NOW + timedelta(seconds=30),
    }.items():
        contact = make_contact(first_name=name, created_at=moment)
        make_activity(contact, "download", at=moment)
    assert changed(field("contact.created_at", "in_last", 7, "days"), NOW, later) == {"leaves", "comes"}
    assert changed({"did": "download", "when": {"op": "in_last", "value": 7, "unit": "days"}}, NOW, later) == {
        "leaves",
        "comes",
    }
    assert changed({"did": "download"}, NOW, later) == {"comes"}
    assert changed({"did": "never_seen"}, NOW, later) == set()
    assert changed(field("contact.title", "is", "x"), NOW, later) == set()
    assert changed(field("contact.last_activity_at", "in_last", 7, "days"), NOW, later) == {"leaves", "comes"}


def test_deals_move_by_the_calendar() -> None:
    make_deal(make_contact(first_name="ann"))
    make_contact(first_name="bob")
    assert changed({"has": "deal"}, NOW, NOW + timedelta(minutes=1)) == set()
    assert changed({"has": "deal"}, NOW, NOW + timedelta(days=1)) == {"ann"}
