"""Statements of what stands around the steps: who must be looked at, who leaves, who reached the goal, what a hold-out shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from psycopg import sql


@dataclass(frozen=True, slots=True)
class Watched:
    """One enrolment that a guard looks at. `is_inside`: it walks; else only its goal still counts."""

    id: int
    contact_id: int
    version_id: int
    is_inside: bool = True
    by_segment: bool = True
    has_goal: bool = False


_COLUMNS = """
    e.id, e.contact_id, e.version_id, e.state IN ('active', 'parked'), e.entered_why LIKE 'segment:%%', e.goal_at IS NOT NULL
"""
_WATCHED = f"""
    SELECT {_COLUMNS}
    FROM nurture_enrolment e
    JOIN nurture_programversion v ON v.id = e.version_id AND v.around ?| ARRAY['goal', 'exit', 'keep_out']
    JOIN nurture_program p ON p.id = e.program_id AND p.state = 'live' AND p.publishing_since IS NULL
    WHERE {{only}} AND e.step <> 'start' AND (
        e.state IN ('active', 'parked')
        OR e.goal_at IS NULL AND e.visit > 1 AND v.around ? 'goal' AND e.entered_at > %(now)s - make_interval(
            days => coalesce((v.around #>> '{{{{goal,days}}}}')::int, %(days)s)
        )
    ) ORDER BY e.id FOR NO KEY UPDATE OF e
"""


def watched_of(contact_ids: Sequence[int], *, now: datetime, goal_days: int) -> list[Watched]:
    """Walks of these contacts that some guard stands around, past their entry; locked in order. One statement.

    Whoever was turned away at the entry never walked: no goal of theirs counts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _WATCHED.format(only="e.contact_id = ANY(%(contacts)s)"),
            {"contacts": list(contact_ids), "now": now, "days": goal_days},
        )
        return [Watched(*row) for row in cursor.fetchall()]


def watched_page(program_id: int, *, after: int, size: int, now: datetime, goal_days: int) -> list[Watched]:
    """The next walks of one program that some guard stands around, by id; locked. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM nurture_enrolment WHERE program_id = %s AND id > %s ORDER BY id LIMIT %s",
            [program_id, after, size],
        )
        page = [key for (key,) in cursor.fetchall()]
        cursor.execute(_WATCHED.format(only="e.id = ANY(%(ids)s)"), {"ids": page, "now": now, "days": goal_days})
        return [Watched(*row) for row in cursor.fetchall()]


def walks(enrolment_ids: Sequence[int]) -> list[Watched]:
    """These enrolments, which the caller holds. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_COLUMNS} FROM nurture_enrolment e WHERE e.id = ANY(%s) ORDER BY e.id", [list(enrolment_ids)]
        )
        return [Watched(*row) for row in cursor.fetchall()]


def last_of_page(program_id: int, *, after: int, size: int) -> int | None:
    """The highest id of the next page of a program's walks; None at the end. One statement over an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT max(id) FROM (
                SELECT id FROM nurture_enrolment WHERE program_id = %s AND id > %s ORDER BY id LIMIT %s
            ) page
            """,
            [program_id, after, size],
        )
        last: int | None = cursor.fetchone()[0]
        return last


def end_walks(enrolment_ids: Sequence[int], *, state: str, why: str, now: datetime) -> int:
    """End walks, and take back the mails of them that still wait. Two statements; the caller holds the enrolments."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment SET state = %s, left_at_step = step, step = '', next_step_at = NULL, ended_at = %s, ended_why = %s, problem = ''
            WHERE id = ANY(%s) AND state IN ('active', 'parked')
            """,
            [state, now, why, list(enrolment_ids)],
        )
        ended = int(cursor.rowcount)
        cursor.execute(
            """
            UPDATE nurture_sending SET state = 'not_sent', why_not = 'left_program', lease_until = NULL
            WHERE enrolment_id = ANY(%s) AND state IN ('queued', 'held')
            """,
            [list(enrolment_ids)],
        )
        return ended


def set_goal(enrolment_ids: Sequence[int], *, now: datetime) -> int:
    """Remember when the goal was first seen to be met. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_enrolment SET goal_at = %s WHERE id = ANY(%s) AND goal_at IS NULL",
            [now, list(enrolment_ids)],
        )
        return int(cursor.rowcount)


def pull_forward(enrolment_ids: Sequence[int], *, step: str, now: datetime) -> list[tuple[int, int]]:
    """Put people at a step, unless they stand there or passed it already; (enrolment, contact) of those. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment e SET step = %(step)s, state = 'active', next_step_at = %(now)s, arrived_at = %(now)s, problem = ''
            WHERE e.id = ANY(%(ids)s) AND e.state IN ('active', 'parked') AND e.step <> %(step)s
                AND NOT EXISTS (SELECT FROM nurture_stepvisit s WHERE s.enrolment_id = e.id AND s.step = %(step)s)
            RETURNING e.id, e.contact_id
            """,
            {"step": step, "now": now, "ids": list(enrolment_ids)},
        )
        return list(cursor.fetchall())


def members_of(contact_ids: Sequence[int], *, slugs: Sequence[str]) -> dict[int, str]:
    """Contact -> a segment of these in which it is now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT m.contact_id, min(s.slug) FROM segments_membership m JOIN segments_segment s ON s.id = m.segment_id
            WHERE m.until IS NULL AND m.contact_id = ANY(%s) AND s.slug = ANY(%s) GROUP BY m.contact_id
            """,
            [list(contact_ids), list(slugs)],
        )
        return dict(cursor.fetchall())


# --- The hold-out ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arm:
    """One side of a comparison: people, and how many of them reached the goal in time."""

    people: int
    reached: int


def arms(program_id: int, *, goal_days: int) -> tuple[Arm, Arm]:
    """(with the program, held out): over the versions that hold people out for a goal. One statement over the program's walks.

    Whoever was turned away at the entry (had reached the goal before, is kept out) is on neither side.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.state = 'held_out', count(*), count(*) FILTER (
                WHERE e.goal_at <= e.entered_at + make_interval(days => coalesce((v.around #>> '{goal,days}')::int, %s))
            )
            FROM nurture_enrolment e JOIN nurture_programversion v ON v.id = e.version_id
            WHERE e.program_id = %s AND v.around ?& ARRAY['goal', 'hold_out'] AND (e.state = 'held_out' OR e.visit > 1)
            GROUP BY 1
            """,
            [goal_days, program_id],
        )
        found = {is_held_out: Arm(people, reached) for is_held_out, people, reached in cursor.fetchall()}
    return found.get(False, Arm(0, 0)), found.get(True, Arm(0, 0))


def goal_count(program_id: int) -> int:
    """People who reached the goal, held-out ones apart. One statement over the program's walks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM nurture_enrolment WHERE program_id = %s AND goal_at IS NOT NULL AND state <> 'held_out'",
            [program_id],
        )
        return int(cursor.fetchone()[0])


# --- Waiting for something about the contact ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """One enrolment at a step that waits, since `arrived_at`."""

    id: int
    contact_id: int
    version_id: int
    step: str
    arrived_at: datetime
    next_step_at: datetime


_WAITING = "e.id, e.contact_id, e.version_id, e.step, coalesce(e.arrived_at, e.entered_at), e.next_step_at"


def listening(contact_ids: Sequence[int], *, now: datetime) -> list[Waiting]:
    """Walks of these contacts that wait in versions with a step that listens; locked in order. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {_WAITING} FROM nurture_enrolment e
            JOIN nurture_programversion v ON v.id = e.version_id AND v.listens
            JOIN nurture_program p ON p.id = e.program_id AND p.state = 'live' AND p.publishing_since IS NULL
            WHERE e.state = 'active' AND e.contact_id = ANY(%s) AND e.next_step_at > %s
            ORDER BY e.id FOR NO KEY UPDATE OF e
            """,
            [list(contact_ids), now],
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def listening_page(program_id: int, *, after: int, last: int, now: datetime) -> list[Waiting]:
    """The same for one program, by enrolment id. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT {_WAITING} FROM nurture_enrolment e JOIN nurture_programversion v ON v.id = e.version_id AND v.listens
            WHERE e.program_id = %s AND e.id > %s AND e.id <= %s AND e.state = 'active' AND e.next_step_at > %s
            ORDER BY e.id FOR NO KEY UPDATE OF e
            """,
            [program_id, after, last, now],
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def waiting(enrolment_ids: Sequence[int]) -> list[Waiting]:
    """These enrolments, which the caller holds. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_WAITING} FROM nurture_enrolment e WHERE e.id = ANY(%s) ORDER BY e.id", [list(enrolment_ids)]
        )
        return [Waiting(*row) for row in cursor.fetchall()]


def set_due(moments: Mapping[int, datetime]) -> int:
    """Let each of these walks be due at its moment. One statement; the caller holds the enrolments."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment e SET next_step_at = row.moment
            FROM unnest(%s::bigint[], %s::timestamptz[]) row (id, moment) WHERE e.id = row.id AND e.state = 'active'
            """,
            [list(moments), list(moments.values())],
        )
        return int(cursor.rowcount)


def days_of(contact_ids: Sequence[int], *, column: str | None, custom: str | None) -> list[tuple[int, str, str]]:
    """(contact, its date or moment as ISO text or empty, its time zone) of a column or a custom field. One statement."""
    value = (
        sql.SQL("c.custom ->> {}").format(sql.Literal(custom))
        if custom
        else sql.SQL("c.{}::text").format(sql.Identifier(column or ""))
    )
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT c.id, coalesce({}, ''), c.timezone FROM leads_contact c WHERE c.id = ANY(%s)").format(
                value
            ),
            [list(contact_ids)],
        )
        return [(int(key), str(day), str(name)) for key, day, name in cursor.fetchall()]


# --- Programs that start or end others ------------------------------------------------------------------------------------------------


def enrol_by_program(contact_ids: Sequence[int], *, slug: str, by: str, now: datetime) -> set[int]:
    """Take those of these contacts who may enter into another program; who entered. One statement.

    Who was in it before enters again only where it lets people in again, and a day after the end at the earliest: programs that
    start each other make no endless loop. The other program's row is share-locked, so that stopping it waits.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO nurture_enrolment
                (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem, round)
            SELECT p.id, v.id, c.id, 'active', 'start', 1, %(now)s, %(now)s, %(why)s, '', '', coalesce(past.round, 0) + 1
            FROM nurture_program p JOIN nurture_programversion v ON v.program_id = p.id AND v.state = 'live'
            JOIN leads_contact c ON c.id = ANY(%(contacts)s)
            LEFT JOIN LATERAL (
                SELECT e.round, e.ended_at FROM nurture_enrolment e WHERE e.program_id = p.id AND e.contact_id = c.id
                ORDER BY e.round DESC LIMIT 1
            ) past ON true
            WHERE p.slug = %(slug)s AND p.state = 'live' AND (v.enters_from IS NULL OR v.enters_from <= %(now)s)
                AND (v.enters_until IS NULL OR v.enters_until > %(now)s)
                AND (past.round IS NULL OR v.around ? 'again' AND past.ended_at
                    + make_interval(days => greatest(1, (v.around #>> '{again,days}')::int)) <= %(now)s)
            ORDER BY c.id FOR SHARE OF p
            ON CONFLICT DO NOTHING
            RETURNING contact_id
            """,
            {"slug": slug, "why": f"program:{by}", "contacts": list(contact_ids), "now": now},
        )
        return {contact_id for (contact_id,) in cursor.fetchall()}


def walks_in(contact_ids: Sequence[int], *, slug: str) -> dict[int, int]:
    """Enrolment -> contact of those who walk a program now; locked in order. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.id, e.contact_id FROM nurture_enrolment e JOIN nurture_program p ON p.id = e.program_id
            WHERE p.slug = %s AND e.contact_id = ANY(%s) AND e.state IN ('active', 'parked')
            ORDER BY e.id FOR NO KEY UPDATE OF e
            """,
            [slug, list(contact_ids)],
        )
        return dict(cursor.fetchall())
