"""The nearest way to the other verdict, through nested groups and negations; the rule drawn part by part; from the contact's page."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from segments import turn
from segments.actions import add_to_segment
from segments.why import Part, why
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = pytest.mark.django_db

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
GERMAN = {"field": "contact.country", "op": "is", "value": "DE"}
PAID = {"field": "contact.source", "op": "is", "value": "paid"}
BIG = {"field": "company.employees", "op": "at_least", "value": 100}
NOBODY: dict[str, list[Any]] = {"any": []}


def steps(rule: dict[str, Any], **facts: Any) -> list[tuple[str, bool]]:
    contact = make_contact(**facts)
    found = why(make_segment(rule), contact, now=NOW)
    return [(step.leaf.path, step.to_hold) for step in found.steps]


@pytest.mark.parametrize(
    ("rule", "facts", "expected"),
    [
        ({"all": [CFO, GERMAN]}, {"title": "CFO"}, [("all[1]", True)]),
        ({"all": [CFO, GERMAN]}, {}, [("all[0]", True), ("all[1]", True)]),
        ({"all": [CFO, {"any": [GERMAN, {"all": [PAID, BIG]}]}]}, {"title": "cfo"}, [("all[1].any[0]", True)]),
        (
            {"any": [{"all": [CFO, GERMAN]}, {"all": [GERMAN, PAID, BIG]}]},
            {"source": "paid", "company": {"employees": 500}},
            [("any[1].all[0]", True)],
        ),
        ({"all": [GERMAN, {"not": CFO}]}, {"title": "CFO", "country": "DE"}, [("all[1].not", False)]),
        (
            {"not": {"any": [CFO, GERMAN]}},
            {"title": "CFO", "country": "DE"},
            [("not.any[0]", False), ("not.any[1]", False)],
        ),
        ({"not": {"all": [CFO, GERMAN]}}, {"title": "CFO", "country": "DE"}, [("not.all[0]", False)]),
        # in: what would take them out
        ({"any": [CFO, GERMAN]}, {"title": "CFO", "country": "DE"}, [("any[0]", False), ("any[1]", False)]),
        ({"all": [CFO, GERMAN]}, {"title": "CFO", "country": "DE"}, [("all[0]", False)]),
        # a known distance is nearer than something unknown
        ({"any": [CFO, BIG]}, {"company": {"employees": 95}}, [("any[1]", True)]),
        ({"all": [CFO, NOBODY]}, {"title": "CFO"}, []),
    ],
)
def test_the_fewest_leaves_that_would_have_to_turn(
    rule: dict[str, Any], facts: dict[str, Any], expected: list[tuple[str, bool]]
) -> None:
    assert steps(rule, **facts) == expected


def test_the_rule_is_drawn_as_it_is_nested() -> None:
    contact = make_contact(title="CFO", country="FR")
    found = why(make_segment({"all": [CFO, {"not": {"any": [GERMAN]}}]}), contact, now=NOW)

    def shape(part: Part) -> Any:
        return (part.word, part.holds, [shape(each) for each in part.parts]) if part.word else part.holds

    assert found.rule is not None
    assert shape(found.rule) == ("all", True, [True, ("not", True, [("any", False, [False])])])


def test_a_segment_in_the_rule_leads_to_its_own_why(client: Client) -> None:
    client.force_login(make_user())
    make_segment(CFO, name="Chiefs")
    outer = make_segment({"all": [{"in_segment": "chiefs"}, GERMAN]}, name="Outer")
    contact = make_contact()
    page = client.get(reverse("segments:segment-why", args=[outer.slug]), {"contact": contact.pk}).content.decode()
    assert f'href="/segments/chiefs/why/?contact={contact.pk}"' in page


def test_a_membership_that_the_engine_has_yet_to_change_is_told() -> None:
    contact = make_contact(title="CFO")
    segment = make_segment(CFO)
    assert why(segment, contact, now=NOW).is_unlike_rule
    turn.turn(NOW)
    assert not why(segment, contact, now=NOW).is_unlike_rule
    fixed = make_segment()
    add_to_segment(fixed, contact_ids=[contact.pk], cause="by_hand", actor=None, now=NOW)
    assert not why(fixed, contact, now=NOW).is_unlike_rule


def test_a_rule_that_no_longer_reads_says_so() -> None:
    segment = make_segment(CFO)
    segment.conditions = {"field": "contact.custom.gone", "op": "is", "value": "x"}
    found = why(segment, make_contact(), now=NOW)
    assert (found.verdict, found.problem != "") == (None, True)


def test_from_the_page_of_a_contact(client: Client) -> None:
    client.force_login(make_user())
    contact = make_contact(title="CFO")
    make_segment(CFO, name="German chiefs"), make_segment(GERMAN, name="Germans")
    turn.turn(NOW)
    address = reverse("segments:contact-why", args=[contact.pk])
    found = client.get(address, {"q": "german"}).context["candidates"]
    assert [(segment.name, is_in) for segment, is_in in found] == [("German chiefs", True), ("Germans", False)]
    answer = client.get(address, {"segment": "germans"}, headers={"HX-Request": "true"})
    assert [step.leaf.path for step in answer.context["why"].steps] == [""]
    assert b"A near miss" in answer.content
    assert b"No segment is called" in client.get(address, {"q": "french"}).content
    assert client.get(address, {"segment": "nowhere"}).status_code == 404
    page = client.get(reverse("leads:contact-detail", args=[contact.pk]), {"panels": "all"}).content
    assert b"In 1 segment" in page and b"contact-why" in page
