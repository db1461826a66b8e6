"""Broken documents are refused with the path, what was found and what would fit; sound ones come back as they were."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from leads.models import CustomField
from segments.conditions import check, to_document
from segments.models import Persona, Segment
from tests.segments.conditions.asking import field, refused

pytestmark = pytest.mark.django_db
TITLE = field("contact.title", "contains", "vp")

# The examples of the contract, word for word.
EXAMPLES: list[dict[str, Any]] = [
    {"field": "contact.title", "op": "contains", "value": "vp"},
    {"field": "company.employees", "op": "between", "value": [5, 20]},
    {"field": "contact.custom.plan", "op": "in", "value": ["pro", "team"]},
    {"field": "contact.tags", "op": "includes_any", "value": ["partner"]},
    {"field": "contact.created_at", "op": "in_last", "value": 2, "unit": "weeks"},
    {"field": "contact.custom.renewal", "op": "this", "value": "quarter"},
    {"field": "contact.stage", "op": "is", "value": "mql"},
    {
        "did": "page_view",
        "where": [{"field": "url", "op": "contains", "value": "/pricing"}],
        "count": {"op": "at_least", "value": 3},
        "when": {"op": "in_last", "value": 30, "unit": "days"},
    },
    {"did": ["email_open", "email_click"], "count": {"op": "exactly", "value": 0}},
    {"did": "form_submit", "first": True, "when": {"op": "in_last", "value": 7, "unit": "days"}},
    {"did": "page_view", "latest": [{"field": "url", "op": "contains", "value": "/pricing"}]},
    {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 1000}},
    {
        "sequence": [{"did": "webinar_attended"}, {"did": "page_view", "where": [{"field": "url", "op": "is_known"}]}],
        "gap": {"value": 7, "unit": "days"},
    },
    {
        "has": "deal",
        "where": [{"field": "status", "op": "is", "value": "lost"}],
        "count": {"op": "at_least", "value": 1},
    },
    {"in_segment": "dach-manufacturing"},
    {"in_persona": "cfo"},
    {"did": "any", "count": {"op": "between", "value": [0, 5]}},
    {"all": []},
    {"any": []},
    {"not": {"any": [TITLE, {"all": [TITLE]}]}},
    {
        "all": [
            {"field": "company.country", "op": "in", "value": ["DE", "AT", "CH"]},
            field("company.industry", "is", "manufacturing"),
        ]
    },
]


@pytest.fixture
def known() -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="choice", choices=["free", "pro", "team"])
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    Segment.objects.create(slug="dach-manufacturing", name="DACH")
    Persona.objects.create(slug="cfo", name="CFO")


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("document", EXAMPLES, ids=json.dumps)
def test_sound_documents_come_back_as_they_were(document: dict[str, Any]) -> None:
    tree = check(document)
    assert to_document(tree) == document
    assert check(to_document(tree)) == tree
    assert hash(tree) == hash(check(document))


# document, path of the problem, what the message says
BROKEN: list[tuple[Any, str, str]] = [
    (None, "", "null; a condition is an object with one of: all, any, not, field"),
    ([TITLE], "", "a condition is an object"),
    ({}, "", "an empty object"),
    ({"al": []}, "", "“al”; a condition has one of: all, any"),
    ({"all": [], "any": []}, "", "all, any stand together"),
    ({"all": TITLE}, "all", "expected a list of conditions"),
    ({"all": [TITLE, "x"]}, "all[1]", "the text “x”"),
    ({"not": []}, "not", "an empty list"),
    ({**TITLE, "colour": 1}, "colour", "“colour” is not known here; what fits: field, op, value"),
    ({**TITLE, "unit": "days"}, "unit", "“unit” is not known here"),
    ({"field": "contact.title"}, "", "“op” is missing"),
    ({"field": 5, "op": "is"}, "field", "expected the name of a field"),
    (field("contact.titel", "is", "x"), "field", "did you mean “contact.title”?"),
    (field("contakt.title", "is", "x"), "field", "did you mean “contact.title”?"),
    (field("contact.custom.nope", "is", "x"), "field", "there is no field “contact.custom.nope”"),
    (field("activity.url", "is", "x"), "field", "belongs to rows"),
    (field("deal.status", "is", "won"), "field", "belongs to rows"),
    (field("contact.title", "containz", "x"), "op", "did you mean “contains”?"),
    (field("contact.title", "at_least", 5), "op", "choose one of: is, is_not, contains"),
    (field("contact.country", "contains", "x"), "op", "cannot use “contains”"),
    ({"field": "contact.title", "op": ["is"]}, "op", "expected the name of an operator"),
    ({"field": "contact.title", "op": "is"}, "", "“value” is missing"),
    ({"field": "contact.title", "op": "is", "value": None}, "value", "say is_unknown"),
    (field("contact.title", "is", ""), "value", "say is_unknown"),
    (field("contact.title", "is", "   "), "value", "say is_unknown"),
    (field("contact.title", "in", []), "value", "say is_unknown"),
    (field("contact.title", "in", ["a", ""]), "value[1]", "say is_unknown"),
    (field("contact.title", "in", "a"), "value", "expected a list"),
    (field("contact.title", "is", 5), "value", "write it in quotes"),
    (field("contact.title", "is", ["a"]), "value", "expected a text"),
    (field("contact.title", "is_known", True), "value", "is not known here"),
    (field("contact.title", "is", "a\0b"), "value", "cannot be stored"),
    (field("contact.title", "is", "\ud800"), "value", "cannot be stored"),
    (field("contact.title", "is", "x" * 1_000_000), "value", "1000000 characters"),
    (field("contact.title", "matches", "a(b"), "value", "not closed"),
    (field("contact.title", "matches", "\\d+"), "value", "use [0-9] for digits"),
    (field("company.employees", "is", "75"), "value", "write it without quotes"),
    (field("company.employees", "is", True), "value", "expected a number"),
    (field("company.employees", "is", float("nan")), "value", "no finite number"),
    (field("company.employees", "is", 10**5000), "value", "never stored"),
    (field("company.employees", "is", Decimal("1e999999")), "value", "never stored"),
    (field("company.employees", "between", [20, 5]), "value", "reversed"),
    (field("company.employees", "between", [5]), "value", "expected two numbers"),
    (field("company.employees", "between", 5), "value", "expected two numbers"),
    (field("contact.created_at", "in_last", 5), "", "“unit” is missing"),
    (field("contact.created_at", "in_last", 0, "days"), "value", "whole number from 1"),
    (field("contact.created_at", "in_last", 1.5, "days"), "value", "whole number from 1"),
    (field("contact.created_at", "in_last", "5", "days"), "value", "without quotes"),
    (field("contact.created_at", "in_last", 5, "day"), "unit", "did you mean “days”?"),
    (field("contact.custom.renewal", "in_last", 5, "hours"), "unit", "minutes and hours do not fit a date"),
    (field("contact.custom.renewal", "after", "2026-03-01T10:00:00Z"), "value", "expected a bare date"),
    (field("contact.created_at", "on", "2026-03-01T10:00:00Z"), "value", "expected a bare date"),
    (field("contact.created_at", "after", "1 March"), "value", "expected a date such as"),
    (field("contact.created_at", "after", "2026-02-30"), "value", "expected a date such as"),
    (field("contact.created_at", "between", ["2026-03-01", "2026-03-01T10:00:00Z"]), "value", "the same form"),
    (field("contact.created_at", "between", ["2026-03-01T10:00:00", "2026-03-01T10:00:00Z"]), "value", "the same form"),
    (field("contact.created_at", "between", ["2026-03-02", "2026-03-01"]), "value", "reversed"),
    (field("contact.created_at", "this", "decade"), "value", "choose one of: week, month"),
    (field("contact.created_at", "anniversary_in", 366), "value", "from 0 to 365"),
    (field("contact.created_at", "anniversary_in", -1), "value", "from 0 to 365"),
    (field("contact.stage", "is", "mqll"), "value", "did you mean “mql”?"),
    (field("contact.persona", "is", "cfoo"), "value", "did you mean “cfo”?"),
    ({"did": ""}, "did", "no kind of activity"),
    ({"did": "page view"}, "did", "a slug such as page_view"),
    ({"did": []}, "did", "1 to 100 kinds"),
    ({"did": ["page_view", "any"]}, "did[1]", "stands alone"),
    ({"did": "x", "count": {"op": "at_least", "value": 1}, "first": True}, "", "count, first stand together"),
    ({"did": "x", "first": False}, "first", "true or absent"),
    ({"did": "x", "latest": []}, "latest", "at least one condition"),
    ({"did": "x", "count": 3}, "count", "expected such as"),
    ({"did": "x", "count": {"op": "is", "value": 3}}, "count.op", "choose one of: exactly"),
    ({"did": "x", "count": {"op": "at_least", "value": -1}}, "count.value", "a whole number from 0"),
    ({"did": "x", "count": {"op": "at_least", "value": 1.5}}, "count.value", "a whole number from 0"),
    ({"did": "x", "count": {"op": "between", "value": [3, 1]}}, "count.value", "reversed"),
    ({"did": "x", "count": {"op": "at_least"}}, "count", "“value” is missing"),
    ({"did": "x", "when": {"op": "is_known"}}, "when.op", "a period cannot use “is_known”"),
    ({"did": "x", "when": {"op": "anniversary_in", "value": 3}}, "when.op", "a period cannot use"),
    ({"did": "x", "when": 30}, "when", "expected a period"),
    ({"did": "x", "where": TITLE}, "where", "expected a list"),
    ({"did": "x", "where": [field("contact.title", "is", "x")]}, "where[0].field", "there is no field “contact.title”"),
    ({"did": "x", "where": [field("url", "is", "x"), field("urll", "is", "x")]}, "where[1].field", "did you mean “url”?"),
    ({"did": "x", "where": [field("url", "at_most", 3)]}, "where[0].op", "cannot use “at_most”"),
    ({"did": "x", "where": [field("properties.a", "is", True)]}, "where[0].value", "is_true or is_false"),
    ({"did": "x", "where": [field("properties.a", "in", [1])]}, "where[0].value[0]", "write it in quotes"),
    ({"did": "x", "where": [{"op": "is"}]}, "where[0]", "“field” is missing"),
    ({"did": "x", "total": {"of": "properties.a", "as": "mean", "op": "at_least", "value": 1}}, "total.as", "choose one of: sum"),
    ({"did": "x", "total": {"of": "url", "as": "sum", "op": "at_least", "value": 1}}, "total.of", "is no number"),
    ({"did": "x", "total": {"of": "properties.a", "as": "sum", "op": "at_least", "value": "1"}}, "total.value", "without quotes"),
    ({"sequence": []}, "sequence", "1 to 10 steps"),
    ({"sequence": [{"did": "x", "count": {"op": "at_least", "value": 1}}]}, "sequence[0].count", "is not known here"),
    ({"sequence": [{"did": "x"}], "gap": 7}, "gap", "expected such as"),
    ({"sequence": [{"did": "x"}], "gap": {"value": 7, "unit": "moons"}}, "gap.unit", "no unit"),
    ({"has": "deals"}, "has", "did you mean “deal”?"),
    ({"has": "deal", "when": {"op": "this", "value": "year"}}, "when", "put the date into “where”"),
    ({"has": "deal", "where": [field("status", "is", "closed")]}, "where[0].value", "choose one of: open, won, lost"),
    ({"in_segment": "dach"}, "in_segment", "does not exist"),
    ({"in_segment": 5}, "in_segment", "expected a slug"),
    ({"in_segment": "dach-manufacturing", "state": "active"}, "state", "is not known here"),
    ({"in_persona": "cf"}, "in_persona", "did you mean “cfo”?"),
]  # fmt: skip


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("document", "path", "says"), BROKEN, ids=[f"{path or 'root'}: {says}"[:70] for _doc, path, says in BROKEN]
)
def test_broken_documents_are_refused(document: Any, path: str, says: str) -> None:
    found = refused(document)
    assert list(found) == [path]
    assert says in found[path]


@pytest.mark.usefixtures("known")
def test_every_problem_is_told_at_once() -> None:
    document = {
        "all": [
            field("contact.titel", "is", "x"),
            {
                "did": "bad kind",
                "where": [field("url", "is", 5), field("url", "at_most", 3)],
                "count": {"op": "at_least", "value": -1},
            },
            {"not": field("company.employees", "between", [9, 1])},
        ]
    }
    assert list(refused(document)) == [
        "all[0].field", "all[1].did", "all[1].where[0].value", "all[1].where[1].op", "all[1].count.value", "all[2].not.value",
    ]  # fmt: skip


def nested(levels: int) -> dict[str, Any]:
    return TITLE if levels == 1 else {"not": nested(levels - 1)}


def test_eight_levels_fit_and_nine_do_not() -> None:
    assert refused(nested(8)) == {}
    assert list(refused(nested(9))) == [".".join(["not"] * 8)]
    assert list(refused(nested(50))) == [".".join(["not"] * 8)]


def test_200_leaves_fit_and_201_do_not() -> None:
    assert refused({"any": [TITLE] * 200}) == {}
    assert refused({"any": [TITLE] * 201}) == {"": "201 conditions; a rule has at most 200"}


def test_a_document_that_is_too_large_is_refused_quickly() -> None:
    assert "5001 entries" in refused(field("contact.title", "in", ["a"] * 5001))["value"]
    assert refused({"all": [field("contact.title", "in", ["x" * 2000] * 300)]}) != {}


def test_unknown_slugs_are_taken_where_that_is_asked() -> None:
    assert refused({"in_segment": "later"}, allow_unknown_slugs=True) == {}
    assert refused(field("contact.persona", "is", "later"), allow_unknown_slugs=True) == {}
    assert refused({"in_segment": "later"}) != {}


def test_a_field_whose_type_changed_is_refused() -> None:
    probe = CustomField.objects.create(of="contact", key="probe", label="Probe", type="number")
    document = field("contact.custom.probe", "at_least", 5)
    assert refused(document) == {}
    probe.type = "text"
    probe.save()
    assert "cannot use “at_least”" in refused(document)["op"]
