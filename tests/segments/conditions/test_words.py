"""Rules read back as sentences."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from leads.models import CustomField
from segments.conditions import check, sentence
from tests.segments.conditions.asking import field

pytestmark = pytest.mark.django_db
TITLE = field("contact.title", "contains", "vp")
GERMAN = field("contact.country", "is", "de")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (TITLE, "Job title contains “vp”"),
        (field("contact.title", "does_not_contain", "vp"), "Job title does not contain “vp”"),
        (field("contact.title", "is_unknown"), "Job title is unknown"),
        (
            field("contact.country", "in", ["DE", "Austria", "Atlantis"]),
            "Country is one of Germany, Austria or Atlantis",
        ),
        (field("contact.tags", "includes_all", ["a", "b"]), "Tags include all of “a” and “b”"),
        (field("company.employees", "between", [5, 20.5]), "Employees is between 5 and 20.5"),
        (field("company.revenue", "at_least", 1000000), "Revenue is at least 1000000"),
        (field("contact.created_at", "in_last", 1, "weeks"), "Created is in the last 1 week"),
        (field("contact.created_at", "this", "quarter"), "Created is this quarter"),
        (field("contact.created_at", "after", "2026-03-01"), "Created is after 1 March 2026"),
        (field("contact.created_at", "anniversary_in", 0), "The anniversary of Created is today"),
        (field("contact.created_at", "anniversary_in", 5), "The anniversary of Created is in 5 days"),
        (field("contact.custom.vip", "is_true"), "VIP is yes"),
        ({"all": []}, "Everybody"),
        ({"any": []}, "Nobody"),
        ({"not": TITLE}, "Not (Job title contains “vp”)"),
        (
            {"all": [TITLE, {"any": [GERMAN, TITLE]}]},
            "Job title contains “vp” and (Country is Germany or Job title contains “vp”)",
        ),
        ({"any": [{"all": [GERMAN]}]}, "Country is Germany"),
        ({"did": "page_view"}, "Viewed a page"),
        ({"did": "tasted"}, "Did “tasted”"),
        ({"did": "any", "count": {"op": "at_most", "value": 2}}, "Did anything at most 2 times"),
        (
            {"did": ["email_open", "email_click"], "count": {"op": "exactly", "value": 0}},
            "Never opened an e-mail or clicked in an e-mail",
        ),
        (
            {
                "did": "page_view",
                "where": [field("url", "contains", "/pricing"), field("source", "is", "ads")],
                "count": {"op": "between", "value": [3, 5]},
                "when": {"op": "in_last", "value": 30, "unit": "days"},
            },
            "Viewed a page between 3 and 5 times in the last 30 days where URL contains “/pricing” and Activity source is “ads”",
        ),
        (
            {"did": "form_submit", "first": True, "when": {"op": "last", "value": "week"}},
            "For the first time submitted a form last week",
        ),
        (
            {"did": "page_view", "latest": [field("url", "contains", "x")]},
            "The last time the contact viewed a page: URL contains “x”",
        ),
        (
            {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 1000}},
            "The sum of amount where the contact purchased is at least 1000",
        ),
        (
            {"sequence": [{"did": "webinar_attended"}, {"did": "download"}], "gap": {"value": 7, "unit": "days"}},
            "Attended a webinar, then downloaded something, each within 7 days of the one before",
        ),
        ({"has": "deal", "where": [field("status", "is", "lost")]}, "Has a deal where Status is “lost”"),
        ({"has": "deal", "count": {"op": "exactly", "value": 0}}, "Does not have a deal"),
        ({"has": "deal", "count": {"op": "at_least", "value": 2}}, "The number of deals is at least 2"),
        ({"in_segment": "dach"}, "Is in segment “dach”"),
        ({"in_persona": "cfo"}, "Counts as persona “cfo”"),
    ],
)
def test_in_words(document: dict[str, Any], words: str) -> None:
    CustomField.objects.create(of="contact", key="vip", label="VIP", type="yes_no")
    assert sentence(check(document, allow_unknown_slugs=True)) == words


def test_a_long_list_is_cut() -> None:
    words = sentence(check(field("contact.title", "in", [f"t{number}" for number in range(40)])))
    assert words.endswith("“t6” or 33 others")


def test_braces_and_percent_signs_stay_text() -> None:
    assert sentence(check(field("contact.title", "is", "{label} %(x)s {0}"))) == "Job title is “{label} %(x)s {0}”"


def test_another_language_writes_numbers_and_dates_its_own_way() -> None:
    with translation.override("de"):
        assert "20,5" in sentence(check(field("company.employees", "at_least", 20.5)))
