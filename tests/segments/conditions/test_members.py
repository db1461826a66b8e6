"""Segments and personas inside rules: afresh as of `at`, or as stored; chains, loops, what is gone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leads.models import Contact
from segments.conditions import BadConditions, check, count, explain, facets, match_ids, matching, predicate, reads
from segments.models import Membership, Persona, PersonaAssignment, Segment, SegmentOverride
from tests.makers import NOW, make_contact
from tests.segments.conditions.asking import at, field, who

pytestmark = pytest.mark.django_db
BOSS = field("contact.title", "contains", "chief")


def segment(slug: str, rule: Any, *, mode: str = Segment.Mode.DYNAMIC) -> Segment:
    return Segment.objects.create(slug=slug, name=slug, conditions=rule, mode=mode)


def by_hand(of: Segment, contact: Contact, verdict: str, days_ago: int = 1) -> None:
    since = NOW - timedelta(days=days_ago)
    SegmentOverride.objects.create(segment=of, contact=contact, verdict=verdict, cause="by_hand", since=since)


@pytest.fixture
def people() -> dict[str, Contact]:
    titles = {"ann": "Chief Buyer", "bob": "Chief Cook", "eve": "Clerk", "joe": ""}
    return {name: make_contact(first_name=name, title=title) for name, title in titles.items()}


def test_members_are_matches_and_added_less_removed(people: dict[str, Contact]) -> None:
    bosses = segment("bosses", BOSS)
    by_hand(bosses, people["bob"], "removed")
    by_hand(bosses, people["joe"], "added")
    assert who({"in_segment": "bosses"}) == {"ann", "joe"}
    assert who({"not": {"in_segment": "bosses"}}) == {"bob", "eve"}
    assert who({"in_segment": "bosses"}, at(NOW - timedelta(days=2))) == {
        "ann",
        "joe",
    }  # by hand counts as the definition is now
    batch = [people["joe"].pk, people["bob"].pk]
    assert match_ids(check({"in_segment": "bosses"}), at(), batch) == [people["joe"].pk]


def test_a_fixed_segment_has_whom_somebody_put_in(people: dict[str, Contact]) -> None:
    picked = segment("picked", BOSS, mode=Segment.Mode.FIXED)
    by_hand(picked, people["eve"], "added")
    assert who({"in_segment": "picked"}) == {"eve"}


def test_segments_chain_and_are_worked_out_once_each(people: dict[str, Contact]) -> None:
    segment("level-0", BOSS)
    for level in range(1, 30):  # each names the one before twice: written out, that were 2^29 rules
        inner = {"in_segment": f"level-{level - 1}"}
        segment(f"level-{level}", {"any": [{"all": [inner, inner]}, field("contact.title", "is", "nobody")]})
    tree = check({"in_segment": "level-29"})
    assert matching(tree, at()).text.count("MATERIALIZED") == 30
    assert match_ids(tree, at()) == sorted([people["ann"].pk, people["bob"].pk])
    assert explain(tree, people["ann"].pk, at()).holds
    assert count(tree, at()) == 2


def test_a_loop_is_named(people: dict[str, Contact]) -> None:
    segment("hen", {"in_segment": "egg"})
    segment("egg", {"not": {"in_segment": "hen"}})
    tree = check({"in_segment": "hen"})
    for work in (lambda: matching(tree, at()), lambda: explain(tree, people["ann"].pk, at())):
        with pytest.raises(BadConditions, match="segment:hen → segment:egg → segment:hen"):
            work()
    match_ids(tree, at(), stored=True)  # as stored there is nothing to work out


def test_what_is_gone_or_broken_is_said(people: dict[str, Contact]) -> None:
    tree = check({"in_segment": "later"}, allow_unknown_slugs=True)
    with pytest.raises(BadConditions, match="segment “later” does not exist"):
        matching(tree, at())
    with pytest.raises(BadConditions, match="persona “later” does not exist"):
        matching(check({"in_persona": "later"}, allow_unknown_slugs=True), at())
    segment("broken", field("contact.custom.gone", "is", "x"))
    with pytest.raises(BadConditions, match=r"segment:broken: there is no field “contact.custom.gone”"):
        matching(check({"in_segment": "broken"}), at())
    archived = segment("old", BOSS)
    archived.archived_at = NOW
    archived.save()
    with pytest.raises(BadConditions, match="segment “old” is in the archive"):
        check({"in_segment": "old"})


def test_as_stored_at_that_moment(people: dict[str, Contact]) -> None:
    bosses = segment("bosses", BOSS)
    week = timedelta(days=7)
    Membership.objects.create(
        segment=bosses, contact=people["eve"], since=NOW - 2 * week, until=NOW - week, why="rule:1"
    )
    Membership.objects.create(segment=bosses, contact=people["joe"], since=NOW - week, why="rule:1")
    document = {"in_segment": "bosses"}
    assert who(document, stored=True) == {"joe"}
    assert who(document, at(NOW - week), stored=True) == {"joe"}  # the end is no part of the stay
    assert who(document, at(NOW - week - timedelta(seconds=1)), stored=True) == {"eve"}
    assert who({"not": document}, stored=True) == {"ann", "bob", "eve"}


def test_the_first_persona_that_matches_wins(people: dict[str, Contact]) -> None:
    everybody: dict[str, Any] = {"all": []}
    for position, (slug, rule, status) in enumerate(
        [
            ("draft", everybody, Persona.Status.DRAFT),
            ("buyer", field("contact.title", "contains", "buyer"), Persona.Status.AGREED),
            ("boss", BOSS, Persona.Status.ON_TEST),
            ("retired", everybody, Persona.Status.RETIRED),
            ("none", None, Persona.Status.AGREED),
            ("rest", everybody, Persona.Status.AGREED),
        ]
    ):
        Persona.objects.create(slug=slug, name=slug, position=position, conditions=rule, status=status)
    expected = {
        "draft": set(),
        "buyer": {"ann"},
        "boss": {"bob"},
        "retired": set(),
        "none": set(),
        "rest": {"eve", "joe"},
    }
    assert {slug: who({"in_persona": slug}) for slug in expected} == expected


def test_the_persona_as_assigned(people: dict[str, Contact]) -> None:
    boss = Persona.objects.create(slug="boss", name="Boss", conditions=BOSS, status=Persona.Status.AGREED)
    PersonaAssignment.objects.create(contact=people["eve"], persona=boss, since=NOW)
    assert who(field("contact.persona", "is", "boss")) == {"eve"}
    assert who(field("contact.persona", "is_unknown")) == {"ann", "bob", "joe"}
    assert who({"in_persona": "boss"}, stored=True) == {"eve"}
    assert who(field("contact.persona", "is", "boss"), at(NOW - timedelta(seconds=1))) == set()


def test_the_condition_alone_holds_its_segments(people: dict[str, Contact]) -> None:
    segment("bosses", BOSS)
    condition = predicate(check({"not": {"in_segment": "bosses"}}), at())
    assert condition.text.startswith("EXISTS (SELECT 1 FROM (WITH ")


def test_reads_and_facets_name_the_definitions() -> None:
    tree = check(
        {"all": [{"in_segment": "a"}, {"in_persona": "b"}, field("contact.persona", "is", "c")]},
        allow_unknown_slugs=True,
    )
    assert reads(tree) == {"segment:a", "persona:b", "contact.persona"}
    assert facets(tree) == {6}
