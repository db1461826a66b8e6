"""Statements of a publication for the people inside: how many stand where, and their way over to another version."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection


def standing(program_id: int) -> list[tuple[int, str, int]]:
    """(version, step, people walking or parked there), by version and step. One statement over an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT version_id, step, count(*) FROM nurture_enrolment
            WHERE version_id IN (SELECT id FROM nurture_programversion WHERE program_id = %s)
                AND state IN ('active', 'parked') GROUP BY version_id, step ORDER BY version_id, step
            """,
            [program_id],
        )
        return list(cursor.fetchall())


def people_at(version_id: int, step: str) -> list[tuple[int, int, datetime]]:
    """(enrolment, contact, when they came there) of those who walk or are parked; locked in order. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, contact_id, coalesce(arrived_at, entered_at) FROM nurture_enrolment
            WHERE version_id = %s AND step = %s AND state IN ('active', 'parked') ORDER BY id FOR NO KEY UPDATE
            """,
            [version_id, step],
        )
        return list(cursor.fetchall())


def go_over(enrolment_ids: Sequence[int], *, version_id: int) -> int:
    """The same step in another version; everything else stays. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_enrolment SET version_id = %s WHERE id = ANY(%s)", [version_id, list(enrolment_ids)]
        )
        return int(cursor.rowcount)


def put_at(
    enrolment_ids: Sequence[int],
    moments: Sequence[datetime],
    *,
    version_id: int,
    step: str,
    arrived_at: Sequence[datetime],
) -> int:
    """A step of another version, with the moments at which they came there and are due. Parked people walk again. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment e SET version_id = %s, step = %s, state = 'active', problem = '',
                next_step_at = row.moment, arrived_at = row.arrived
            FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[]) row (id, moment, arrived) WHERE e.id = row.id
            """,
            [version_id, step, list(enrolment_ids), list(moments), list(arrived_at)],
        )
        return int(cursor.rowcount)
