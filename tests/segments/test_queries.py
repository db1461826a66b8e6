"""Statements over memberships: what they return, write and cost."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads.actions import change_contact, move_stages
from leads.models import Contact, Mark
from segments import queries, queries_pages, turn
from segments.actions import add_to_segment
from segments.conditions import Sql
from segments.models import Membership, Persona, Segment
from segments.queries import Claimed
from tests.makers import NOW, make_activity, make_contact, make_segment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}


def test_marks_are_claimed_once_with_their_facets() -> None:
    queries.put_back([1, 2], Mark.Facet.CONTACT)
    queries.put_back([1, 1, 3], Mark.Facet.DEAL)
    assert (queries.marks_wait(), queries.marks_up_to(3), queries.marks_up_to(9)) == (True, 3, 5)
    assert queries.claim_marks(4) == Claimed({1: frozenset({1, 4}), 2: frozenset({1})}, is_full=True)
    assert queries.claim_marks(4) == Claimed({3: frozenset({4})}, is_full=False)
    assert (queries.claim_marks(4), queries.marks_wait()) == (Claimed({}, is_full=False), False)


def test_folded_marks_are_one_per_contact() -> None:
    queries.put_back([1, 1, 2], Mark.Facet.CONTACT)
    assert queries.fold_marks(0) == 2
    queries.put_back([2, 3], Mark.Facet.CONTACT)
    queries.put_back([2, 4, 4], 0)
    assert (queries.marks_up_to(9), queries.marks_up_to(9, besides=0), queries.marks_up_to(1, besides=0)) == (7, 2, 1)
    assert queries.fold_marks(0, only=True) == 3
    assert queries.claim_marks(9).facets == {
        1: frozenset({0}),
        2: frozenset({0, int(Mark.Facet.CONTACT)}),
        3: frozenset({int(Mark.Facet.CONTACT)}),
        4: frozenset({0}),
    }


@pytest.mark.parametrize("people", [1, 3])
def test_a_look_at_everybody_costs_the_same_for_one_and_three(people: int) -> None:
    for _ in range(people):
        make_contact(title="CFO")
    make_segment(CFO)
    with CaptureQueriesContext(connection) as captured:
        turn.turn(NOW)
    assert len(captured) == 30


@pytest.mark.parametrize("people", [1, 3])
def test_changed_contacts_cost_the_same_for_one_and_three(people: int) -> None:
    contacts = [make_contact(title="Clerk") for _ in range(people)]
    make_segment(CFO)
    turn.turn(NOW)
    for contact in contacts:
        change_contact(contact, changes={"title": "CFO"}, actor=None, now=NOW)
    with CaptureQueriesContext(connection) as captured:
        assert sum(turn.turn(NOW).changed.values()) == people
    assert len(captured) == 17


def test_a_staged_difference_respects_what_was_decided_after_it() -> None:
    joins, added, removed, gone = (make_contact().pk for _ in range(4))
    segment = make_segment(CFO)
    add_to_segment(segment, contact_ids=[added], cause="by_hand", actor=None, now=NOW)
    segment.overrides.create(contact_id=removed, verdict="removed", cause="by_hand", since=NOW)
    rows = queries.rows_of([(joins, True), (added, False), (removed, True), (gone, False), (987_654_321, True)])

    changed = queries.write_members(segment.pk, rows, why="rule:1", now=NOW, mark=True, tell=True)

    assert changed == queries.Changed(1, 0, (joins,))
    assert set(Membership.objects.filter(until=None).values_list("contact_id", "why")) == {
        (joins, "rule:1"),
        (added, "by_hand"),
    }
    assert Segment.objects.get().member_count == 2


def test_nobody_joins_twice() -> None:
    contact = make_contact().pk
    segment = make_segment(CFO)
    for expected in (1, 0):
        changed = queries.write_members(
            segment.pk, queries.rows_of([(contact, True)]), why="rule:1", now=NOW, mark=False, tell=False
        )
        assert changed.joined == expected


def test_the_difference_of_a_rule_counts_and_shows_some() -> None:
    stays, leaves, joins = make_contact(title="CFO"), make_contact(title="Clerk"), make_contact(title="CFO x")
    segment = make_segment(CFO)
    queries.write_members(
        segment.pk,
        queries.rows_of([(stays.pk, True), (leaves.pk, True)]),
        why="rule:1",
        now=NOW,
        mark=False,
        tell=False,
    )
    rule = Sql("SELECT id FROM leads_contact WHERE title LIKE %s", ("CFO%",))
    with queries_pages.staged_difference(segment.pk, rule, seconds=5) as staged:
        assert (staged.before, staged.after, staged.joining, staged.leaving) == (2, 2, 1, 1)
        assert (staged.examples(joins=True, most=5), staged.examples(joins=False, most=5)) == ([joins.pk], [leaves.pk])
        clerks = Contact.objects.filter(title="Clerk").values("pk")
        assert (staged.count_among(clerks, joins=True), staged.count_among(clerks, joins=False)) == (0, 1)
    with queries_pages.staged_difference(None, rule, seconds=5) as staged:
        assert (staged.before, staged.after, staged.examples(joins=True, most=1)) == (0, 2, [joins.pk])


def test_the_trend_follows_the_intervals_in_the_zone() -> None:
    first, second = make_contact(), make_contact()
    segment = make_segment()
    day = timedelta(days=1)
    Membership.objects.bulk_create(
        [
            Membership(segment=segment, contact=first, since=NOW - 5 * day, until=NOW - day, why="x"),
            Membership(segment=segment, contact=second, since=NOW.replace(hour=23) - 2 * day, until=None, why="x"),
        ]
    )
    today = date(2026, 3, 2)
    sizes = queries_pages.sizes_by_day({segment.pk: 1, 0: 7}, days=4, today=today, zone=ZoneInfo("UTC"))
    assert sizes[0] == [(today - back * day, 7, 0, 0) for back in (3, 2, 1, 0)]
    assert sizes[segment.pk] == [
        (date(2026, 2, 27), 1, 0, 0),
        (date(2026, 2, 28), 2, 1, 0),
        (date(2026, 3, 1), 1, 0, 1),
        (today, 1, 0, 0),
    ]
    in_tokyo = queries_pages.sizes_by_day({segment.pk: 1}, days=4, today=today, zone=ZoneInfo("Asia/Tokyo"))
    assert in_tokyo[segment.pk][2][2] == 1  # it was March there


def test_wrong_counts_are_found() -> None:
    segment = make_segment()
    Persona.objects.create(slug="p", name="p", contact_count=7)
    Segment.objects.filter(pk=segment.pk).update(member_count=3)
    assert queries.wrong_counts() == [("persona:p", 7, 0), (segment.key, 3, 0)]


def test_the_first_facts_ahead() -> None:
    contact, other = make_contact(), make_contact()
    make_activity(contact, at=NOW + timedelta(days=2))
    make_activity(contact, at=NOW - timedelta(days=2))
    move_stages([other.pk], to="mql", cause="rule:x", reason="", now=NOW + timedelta(seconds=1))
    assert queries.next_activity(NOW) == NOW + timedelta(days=2)
    assert queries.next_activity(NOW + timedelta(days=2)) is None
    activity, fields, deal = int(Mark.Facet.ACTIVITY), int(Mark.Facet.CONTACT), int(Mark.Facet.DEAL)
    both = {contact.pk, other.pk}
    assert queries.first_ahead(NOW, {activity: both, fields: both, deal: both}) == {
        activity: NOW + timedelta(days=2),
        fields: NOW + timedelta(seconds=1),
    }
    assert queries.first_ahead(NOW, {activity: {other.pk}, fields: {contact.pk}}) == {}
    with CaptureQueriesContext(connection) as captured:
        assert queries.first_ahead(NOW, {deal: both}) == {}
    assert len(captured) == 0


@pytest.mark.django_db(transaction=True)
def test_the_writing_statement_reads_the_stage_by_pages_and_members_by_index() -> None:
    """At test size a plan tells little; what must not stand in it at any size does: a scan of all memberships for a chunk."""
    segment = make_segment(CFO)
    Contact.objects.bulk_create([Contact(external_id=f"x{number}") for number in range(5_000)])
    pages = queries.stage_members(segment.pk, Sql("SELECT id FROM leads_contact"))
    assert pages > 10
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {queries.staged_pages(pages)[0].text}")
        assert "Tid Range Scan" in cursor.fetchone()[0]
        cursor.execute("SELECT relpersistence FROM pg_class WHERE relname = %s", [queries.STAGE])
        assert cursor.fetchone() == ("u",)
    queries.drop_stage()
