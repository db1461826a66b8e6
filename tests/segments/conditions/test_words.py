"""Rules read back as sentences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from leads.models import CustomField, Stage
from segments.conditions import Catalogue, check, explain, sentence
from segments.models import Persona
from tests.makers import NOW, make_activity, make_company, make_contact, make_owner
from tests.segments.conditions.asking import at as moment
from tests.segments.conditions.asking import field

pytestmark = pytest.mark.django_db
DOWNLOADED = datetime(2026, 2, 20, 12, tzinfo=UTC)
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
        (field("company.revenue", "at_least", 1000000), "Revenue is at least 1,000,000"),
        (field("company.founded", "is", 1999), "Founded in is 1999"),
        (field("contact.stage", "is", "mql"), "Stage is “MQL”"),
        (
            field("contact.stage", "not_in", ["MQL", "lost", "gone"]),
            "Stage is none of “MQL”, “Lost” or “gone”",
        ),
        (field("contact.persona", "is", "anna"), "Persona is “Anna Abel”"),
        (field("consent.marketing", "is", "Given"), "Consent: marketing is “given”"),
        (field("contact.source", "is", "mql"), "Source is “mql”"),
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
        ({"did": "any", "where": [field("kind", "is", "page_view")]}, "Did anything where Kind is “Page view”"),
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
    Persona.objects.create(slug="anna", name="Anna Abel", created_at=NOW)
    assert sentence(check(document, allow_unknown_slugs=True)) == words


def test_names_are_read_once_for_many_sentences(django_assert_num_queries: Any) -> None:
    Stage.objects.filter(slug="mql").update(label="Ripe")
    catalogue = Catalogue()
    with django_assert_num_queries(1):
        trees = [check(field("contact.stage", "in", ["mql", "lost"]), catalogue=catalogue) for _each in range(3)]
        assert {sentence(tree) for tree in trees} == {"Stage is one of “Ripe” or “Lost”"}


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (field("contact.stage", "is", "lost"), "“MQL”"),
        (field("contact.country", "is", "AT"), "Germany"),
        (field("contact.owner", "is", "x"), "“Zoë Zorn”"),
        (field("contact.city", "is", "x"), "unknown"),
        (field("contact.tags", "includes_any", ["x"]), "“a” or “b”"),
        (field("company.revenue", "is", 1), "1,200,000.5"),
        (field("contact.created_at", "in_last", 1, "days"), "1 February 2026, 08:30"),
        ({"sequence": [{"did": "download"}, {"did": "call"}]}, "1 of 2 steps"),
        (
            {"did": "download", "latest": [field("url", "contains", "b")]},
            "downloaded something, 20 February 2026, 12:00, “/a”",
        ),
        ({"did": "download", "total": {"of": "properties.n", "as": "average", "op": "at_least", "value": 9}}, "1.3333"),
        ({"in_persona": "anna"}, "no"),
    ],
)
def test_what_was_found_in_words(document: dict[str, Any], words: str) -> None:
    Persona.objects.create(slug="anna", name="Anna Abel", created_at=NOW)
    contact = make_contact(
        stage="mql", country="DE", tags=["a", "b"], owner=make_owner("Zoë Zorn"), company=make_company(revenue="1200000.5"),
        created_at="2026-02-01T08:30:00+00:00",
    )  # fmt: skip
    for number in (1, 1, 2):
        make_activity(contact, "download", at=DOWNLOADED, url="/a", properties={"n": number})
    found = explain(check(document, allow_unknown_slugs=True), contact.pk, moment())
    assert found.leaves[0].actual_words == words


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        (field("contact.created_at", "in_last", 28, "days"), "2 days later"),  # 29 days and some hours ago
        (field("contact.created_at", "before", "2026-02-01T08:00:00Z"), "30 minutes earlier"),
        (field("contact.created_at", "after", "2026-02-01T10:00:00Z"), "2 hours later"),
        (field("contact.created_at", "between", ["2026-01-01", "2026-01-30"]), "2 days earlier"),
        (field("contact.created_at", "this", "month"), "28 days later"),
        (field("contact.custom.renewal", "in_next", 10, "days"), "5 days earlier"),
        (field("contact.custom.renewal", "more_than_ago", 3, "weeks"), "36 days earlier"),
        (field("contact.custom.renewal", "anniversary_in", 3), ""),
        (field("contact.custom.renewal", "not_on", "2026-03-17"), ""),
        (field("contact.city", "is", "Ulm"), ""),
        ({"did": "download", "first": True, "when": {"op": "in_last", "value": 1, "unit": "weeks"}}, "3 days later"),
    ],
)
def test_how_far_a_time_is_away(document: dict[str, Any], missing: str) -> None:
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    contact = make_contact(created_at="2026-02-01T08:30:00+00:00", custom={"renewal": "2026-03-17"})
    make_activity(contact, "download", at=DOWNLOADED)
    assert explain(check(document), contact.pk, moment()).leaves[0].missing == missing


def test_a_long_list_is_cut() -> None:
    words = sentence(check(field("contact.title", "in", [f"t{number}" for number in range(40)])))
    assert words.endswith("“t6” or 33 others")


def test_braces_and_percent_signs_stay_text() -> None:
    assert sentence(check(field("contact.title", "is", "{label} %(x)s {0}"))) == "Job title is “{label} %(x)s {0}”"


def test_another_language_writes_numbers_and_dates_its_own_way() -> None:
    with translation.override("de"):
        assert "20,5" in sentence(check(field("company.employees", "at_least", 20.5)))
