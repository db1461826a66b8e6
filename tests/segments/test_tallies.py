"""The tallies by quarter of an hour say what the intervals say, whoever wrote those."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from leads.actions import delete_contact
from segments import actions, queries_pages
from segments.models import Membership, MembershipTally, Segment
from tests.makers import make_contact, make_segment

NOW = datetime(2026, 3, 2, 12, 7, tzinfo=UTC)
ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns", "Pacific/Auckland")

pytestmark = pytest.mark.django_db


def of_intervals(segment: Segment, zone: ZoneInfo) -> dict[date, tuple[int, int]]:
    """day -> (joined, left), counted one by one."""
    found: dict[date, tuple[int, int]] = {}
    for since, until in Membership.objects.filter(segment=segment).values_list("since", "until"):
        for moment, joined, left in ((since, 1, 0), (until, 0, 1)):
            if moment is not None:
                day = moment.astimezone(zone).date()
                before = found.get(day, (0, 0))
                found[day] = (before[0] + joined, before[1] + left)
    return found


def agree(segment: Segment) -> None:
    for name in ZONES:
        zone = ZoneInfo(name)
        begins = datetime(2026, 1, 1, tzinfo=zone)
        told = queries_pages.moves_by_day([segment.pk], begins=begins, zone=zone).get(segment.pk, {})
        assert {day: moves for day, moves in told.items() if moves != (0, 0)} == of_intervals(segment, zone)


def test_every_way_to_write_an_interval_is_tallied() -> None:
    people = [make_contact() for _ in range(6)]
    segment = make_segment()
    ids = [contact.pk for contact in people]
    actions.add_to_segment(segment, contact_ids=ids, cause="by_hand", actor=None, now=NOW - timedelta(hours=13))
    agree(segment)
    actions.remove_from_segment(segment, contact_ids=ids[:3], cause="by_hand", actor=None, now=NOW)
    agree(segment)
    Membership.objects.filter(contact=people[3]).update(since=NOW - timedelta(days=20), until=NOW - timedelta(days=3))
    agree(segment)
    Membership.objects.filter(contact=people[4]).update(why="only words")
    agree(segment)
    assert MembershipTally.objects.filter(segment=segment).count() == 4
    delete_contact(people[0], actor=None, now=NOW)
    delete_contact(people[3], actor=None, now=NOW)
    agree(segment)


def test_a_deleted_segment_takes_its_tallies_along() -> None:
    segment = make_segment()
    actions.add_to_segment(segment, contact_ids=[make_contact().pk], cause="by_hand", actor=None, now=NOW)
    segment.delete()
    assert not MembershipTally.objects.exists()


def test_the_migration_fills_a_database_that_holds_intervals() -> None:
    people = [make_contact() for _ in range(3)]
    segment = make_segment()
    actions.add_to_segment(segment, contact_ids=[one.pk for one in people], cause="by_hand", actor=None, now=NOW)
    actions.remove_from_segment(segment, contact_ids=[people[0].pk], cause="by_hand", actor=None, now=NOW)
    kept = sorted(MembershipTally.objects.values_list("segment_id", "slot", "joined", "gone"))
    migration = import_module("segments.migrations.0004_tallies")
    connection.check_constraints()  # nothing is pending when a migration begins
    with connection.cursor() as cursor:
        cursor.execute(migration.UNMAKE)
        cursor.execute("TRUNCATE segments_membershiptally")
        cursor.execute(migration.MAKE)
    assert sorted(MembershipTally.objects.values_list("segment_id", "slot", "joined", "gone")) == kept
    assert [row[2:] for row in kept] == [(3, 1)]
    agree(segment)
