"""Statements behind the pages of segments: sizes over time, what a save would change and whom that touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import QuerySet

from segments import queries
from segments.conditions import Sql


def moves_by_day(
    segment_ids: Sequence[int], *, begins: datetime, zone: ZoneInfo
) -> dict[int, dict[date, tuple[int, int]]]:
    """segment -> day -> (joined, left) since a midnight of the zone. One statement over the quarters of an hour since then, at most
    35,000 a year and segment."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT segment_id, (slot AT TIME ZONE %s)::date, sum(joined)::bigint, sum(gone)::bigint
            FROM segments_membershiptally WHERE segment_id = ANY (%s) AND slot >= %s GROUP BY 1, 2
            """,
            [zone.key, list(segment_ids), begins],
        )
        found: dict[int, dict[date, tuple[int, int]]] = {}
        for segment_id, day, joined, left in cursor.fetchall():
            found.setdefault(segment_id, {})[day] = (int(joined), int(left))
        return found


def sizes_by_day(
    member_counts: dict[int, int], *, days: int, today: date, zone: ZoneInfo
) -> dict[int, list[tuple[date, int, int, int]]]:
    """segment -> (day, members at its end, joined, left) of the last days, oldest first. One statement."""
    first = today - timedelta(days=days - 1)
    begins = datetime(first.year, first.month, first.day, tzinfo=zone)
    moves = moves_by_day(list(member_counts), begins=begins, zone=zone)
    return {
        segment_id: _backwards(count, moves.get(segment_id, {}), days=days, today=today)
        for segment_id, count in member_counts.items()
    }


def _backwards(
    size: int, moves: dict[date, tuple[int, int]], *, days: int, today: date
) -> list[tuple[date, int, int, int]]:
    """From today's size back, day by day."""
    size -= sum(joined - left for day, (joined, left) in moves.items() if day > today)
    rows = []
    for back in range(days):
        day = today - timedelta(days=back)
        joined, left = moves.get(day, (0, 0))
        rows.append((day, size, joined, left))
        size -= joined - left
    return rows[::-1]


# --- what a save would change -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Staged:
    """Who would join and leave under a rule, staged for the length of one transaction. Every count is one statement."""

    table: str
    before: int
    joining: int
    leaving: int

    @property
    def after(self) -> int:
        return self.before + self.joining - self.leaving

    def examples(self, *, joins: bool, most: int) -> list[int]:
        """Some of them, the newest contacts first."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT contact_id FROM {self.table} WHERE joins = %s ORDER BY contact_id DESC LIMIT %s", [joins, most]
            )
            return [int(contact_id) for (contact_id,) in cursor.fetchall()]

    def count_among(self, contact_ids: QuerySet[Any, Any], *, joins: bool) -> int:
        """How many of those who would join (or leave) are among the contacts that a query of one column names."""
        text, params = contact_ids.query.sql_with_params()
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT count(*) FROM {self.table} s WHERE s.joins = %s AND EXISTS"
                f" (SELECT FROM ({text}) AS among(contact_id) WHERE among.contact_id = s.contact_id)",
                [joins, *params],
            )
            return int(cursor.fetchone()[0])


@contextmanager
def staged_difference(segment_id: int | None, matching: Sql, *, seconds: float) -> Iterator[Staged]:
    """What members = (matches ∪ added) − removed would be under a rule, against what is stored now.

    A table of its own for one transaction, which is rolled back: one statement over everybody, in parallel since the table is not a
    temporary one (LIMITS, trap 6). Bounded by `seconds`: past it OperationalError (query canceled), which the page says.
    """
    rows = queries.difference_of(segment_id or 0, matching)
    with transaction.atomic(), connection.cursor() as cursor:
        queries.bound_statements(seconds)
        cursor.execute("SELECT 'segments_review_' || pg_backend_pid()")
        table = str(cursor.fetchone()[0])
        cursor.execute(
            f"""
            CREATE UNLOGGED TABLE {table} AS
            SELECT d.contact_id, m.contact_id IS NULL AS joins
            FROM ({rows.text}) d
            LEFT JOIN segments_membership m ON m.segment_id = %s AND m.contact_id = d.contact_id AND m.until IS NULL
            """,
            [*rows.params, segment_id or 0],
        )
        cursor.execute(
            f"SELECT (SELECT count(*) FROM segments_membership WHERE segment_id = %s AND until IS NULL),"
            f" count(*) FILTER (WHERE joins), count(*) FILTER (WHERE NOT joins) FROM {table}",
            [segment_id or 0],
        )
        before, joining, leaving = cursor.fetchone()
        yield Staged(table, int(before), int(joining), int(leaving))
        cursor.execute(f"DROP TABLE {table}")
