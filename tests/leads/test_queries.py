"""Statements over many facts: partitions, activities with signals and marks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from leads import queries, queries_prepared
from leads.models import Activity, Mark, Signal
from tests.makers import NOW, make_contact

pytestmark = pytest.mark.django_db


def partition_of(activity: Activity) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM leads_activity WHERE id = %s", [activity.pk])
        (name,) = cursor.fetchone()
    return str(name)


def row(contact_id: int, at: datetime, kind: str = "page_view", url: str = "") -> queries.ActivityRow:
    return queries.ActivityRow(contact_id, queries.kind_ids([kind])[kind], at, (url, "", ""))


def test_activities_are_stored_with_signals_and_marks() -> None:
    one, other = make_contact(), make_contact()
    earlier = NOW - timedelta(days=40)
    assert queries.store_activities([row(one.pk, earlier), row(one.pk, NOW), row(other.pk, NOW, "call")], now=NOW) == 3
    assert queries.store_activities([row(one.pk, NOW - timedelta(days=1))], now=NOW) == 1
    signal = Signal.objects.get(contact=one)
    assert (signal.n, signal.first_at, signal.last_at) == (3, earlier, NOW)
    assert Signal.objects.get(contact=other).n == 1
    assert sorted(Mark.objects.values_list("contact_id", "facet")) == sorted([(one.pk, 3), (other.pk, 3), (one.pk, 3)])


@pytest.mark.parametrize("count", [1, 3])
def test_the_number_of_statements_does_not_grow(count: int, django_assert_num_queries: object) -> None:
    contacts = [make_contact() for _ in range(count)]
    rows = [row(contact.pk, NOW, url=f"/{contact.pk}") for contact in contacts]
    queries.store_activities([row(contacts[0].pk, NOW)], now=NOW)
    with django_assert_num_queries(4):  # type: ignore[operator]
        queries.store_activities(rows, now=NOW)


def test_near_months_get_a_partition_and_far_ones_share_one() -> None:
    contact = make_contact()
    far, near, future = datetime(1900, 1, 1, tzinfo=UTC), NOW - timedelta(days=70), datetime(2100, 12, 31, tzinfo=UTC)
    queries.store_activities([row(contact.pk, far), row(contact.pk, near), row(contact.pk, future)], now=NOW)
    stored = {activity.occurred_at: partition_of(activity) for activity in Activity.objects.filter(contact=contact)}
    assert stored == {far: "leads_activity_other", near: "leads_activity_2025_12", future: "leads_activity_other"}


def test_a_new_month_takes_its_rows_out_of_the_common_partition() -> None:
    contact = make_contact()
    moment = datetime(1999, 5, 5, tzinfo=UTC)
    queries.store_activities([row(contact.pk, moment)], now=NOW)
    activity = Activity.objects.get(contact=contact)
    assert partition_of(activity) == "leads_activity_other"
    assert queries.ensure_partitions(moment, moment) == 1
    assert partition_of(activity) == "leads_activity_1999_05"
    assert queries.ensure_partitions(moment, moment) == 0


def test_assets_are_stored_once() -> None:
    first = queries.asset_ids({("/a", "", ""), ("/b", "Guide", "google"), ("", "", "")})
    assert first[("", "", "")] is None
    assert queries.asset_ids({("/a", "", "")}) == {("/a", "", ""): first[("/a", "", "")]}


def test_a_prepared_statement_takes_values_by_place_or_by_name() -> None:
    with queries_prepared.prepared_cursor() as cursor:
        for _twice in range(2):
            cursor.execute(
                "SELECT %(a)s::int, %(b)s::text, %(a)s::int + 1, 7 %% 4", {"b": "%s", "a": 2, "unused": None}
            )
            assert cursor.fetchall() == [(2, "%s", 3, 3)]
            cursor.execute("SELECT %s::text, %s::int[], 'a' LIKE '%%'", ["x", [1, 2]])
            assert cursor.fetchall() == [("x", [1, 2], True)]
