"""Statements for the people inside: how many stand where, their way over to another version, and their waits after a pause."""

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


def waiting(program_id: int, *, since: datetime, now: datetime) -> list[tuple[int, str, int, int]]:
    """(version, step, people walking there, those of them who became due after `since`), by version and step. One statement over an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT version_id, step, count(*), count(*) FILTER (WHERE next_step_at > %s AND next_step_at <= %s)
            FROM nurture_enrolment
            WHERE version_id IN (SELECT id FROM nurture_programversion WHERE program_id = %s) AND state = 'active'
            GROUP BY version_id, step ORDER BY version_id, step
            """,
            [since, now, program_id],
        )
        return list(cursor.fetchall())


def passed_at(version_id: int, step: str, *, since: datetime, now: datetime) -> list[tuple[int, int]]:
    """(enrolment, contact) of those who became due there after `since`; locked in order. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, contact_id FROM nurture_enrolment
            WHERE version_id = %s AND step = %s AND state = 'active' AND next_step_at > %s AND next_step_at <= %s
            ORDER BY id FOR NO KEY UPDATE
            """,
            [version_id, step, since, now],
        )
        return list(cursor.fetchall())


def shift(version_id: int, step: str, *, seconds: float) -> int:
    """Everybody who waits at the step came there later and is due later. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment SET next_step_at = next_step_at + make_interval(secs => %(seconds)s),
                arrived_at = coalesce(arrived_at, entered_at) + make_interval(secs => %(seconds)s)
            WHERE version_id = %(version)s AND step = %(step)s AND state = 'active'
            """,
            {"seconds": seconds, "version": version_id, "step": step},
        )
        return int(cursor.rowcount)
