"""Statements of publications: people go over page by page, each with a row that says how they stood, and come back by those rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection


def wait_at_most(seconds: float) -> None:
    """No statement of this transaction waits longer for a lock: an OperationalError comes instead. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])


# --- Over ------------------------------------------------------------------------------------------------------------------------


def take_page(
    publication_id: int, *, version_id: int, step: str, after: int, limit: int
) -> list[tuple[int, int, datetime]]:
    """(enrolment, contact, when they came there) of the next people at a step; how they stand is kept. One statement over an index.

    They are locked in order. Nobody is kept twice, by a unique key; who was moved is not at the step any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH page AS MATERIALIZED (
                SELECT id, contact_id, version_id, state, step, next_step_at, arrived_at, entered_at, problem FROM nurture_enrolment
                WHERE version_id = %(version)s AND step = %(step)s AND state IN ('active', 'parked') AND id > %(after)s
                ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE
            ), kept AS (
                INSERT INTO nurture_publicationmove
                    (publication_id, enrolment_id, version_id, state, step, next_step_at, arrived_at, problem, is_released)
                SELECT %(publication)s, id, version_id, state, step, next_step_at, arrived_at, problem, false FROM page
            )
            SELECT id, contact_id, coalesce(arrived_at, entered_at) FROM page ORDER BY id
            """,
            {"publication": publication_id, "version": version_id, "step": step, "after": after, "limit": limit},
        )
        return list(cursor.fetchall())


def note_released(publication_id: int, enrolment_ids: Sequence[int]) -> None:
    """Those who are about to be let out, with their mails that wait. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_publicationmove m SET is_released = true, mails = (
                SELECT jsonb_agg(jsonb_build_object('id', s.id, 'state', s.state, 'why_not', s.why_not, 'lease_until', s.lease_until))
                FROM nurture_sending s WHERE s.enrolment_id = m.enrolment_id AND s.state IN ('queued', 'held')
            ) WHERE m.publication_id = %s AND m.enrolment_id = ANY(%s)
            """,
            [publication_id, list(enrolment_ids)],
        )


# --- Back ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Returned:
    """A page of people who were moved: how many rows were worked off, and the contacts of those who had been let out."""

    rows: int
    were_out: list[int]


def give_back(publication_id: int, *, limit: int) -> Returned:
    """The next people stand as they stood, and their rows are gone: what is left is what is left to do. Two statements.

    Whoever is not as the publication left them (another hand let them out in between) stays as they are.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH page AS MATERIALIZED (
                SELECT m.* FROM nurture_publicationmove m JOIN nurture_enrolment e ON e.id = m.enrolment_id
                WHERE m.publication_id = %(publication)s ORDER BY m.enrolment_id LIMIT %(limit)s FOR NO KEY UPDATE OF e
            ), mailed AS (
                UPDATE nurture_sending s SET state = was.state, why_not = was.why_not, lease_until = was.lease_until
                FROM page CROSS JOIN jsonb_to_recordset(page.mails) was (id bigint, state text, why_not text, lease_until timestamptz)
                WHERE page.mails IS NOT NULL AND s.id = was.id AND s.state = 'not_sent' AND s.why_not = 'left_program'
            ), returned AS (
                UPDATE nurture_enrolment e SET version_id = page.version_id, state = page.state, step = page.step,
                    next_step_at = page.next_step_at, arrived_at = page.arrived_at, problem = page.problem,
                    left_at_step = '', ended_at = NULL, ended_why = ''
                FROM page WHERE e.id = page.enrolment_id AND (
                    NOT page.is_released AND e.state IN ('active', 'parked')
                    OR page.is_released AND e.state = 'left' AND e.ended_why = 'released'
                ) RETURNING e.contact_id, page.is_released
            ), gone AS (
                DELETE FROM nurture_publicationmove m USING page WHERE m.id = page.id
            )
            SELECT (SELECT count(*) FROM page), (SELECT array_agg(contact_id ORDER BY contact_id) FROM returned WHERE is_released)
            """,
            {"publication": publication_id, "limit": limit},
        )
        rows, were_out = cursor.fetchone()
        return Returned(int(rows), list(were_out or []))


def entered_meanwhile(version_id: int, publication_id: int, *, limit: int) -> list[tuple[int, int, str]]:
    """(enrolment, contact, why they entered) of those at the entry of a version whom its publication did not put there; locked. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.id, e.contact_id, e.entered_why FROM nurture_enrolment e
            WHERE e.version_id = %s AND e.step = 'start' AND e.state IN ('active', 'parked') AND NOT EXISTS (
                SELECT FROM nurture_publicationmove m WHERE m.enrolment_id = e.id AND m.publication_id = %s
            ) ORDER BY e.id LIMIT %s FOR NO KEY UPDATE
            """,
            [version_id, publication_id, limit],
        )
        return list(cursor.fetchall())


def let_out(publication_id: int, contact_ids: Sequence[int]) -> set[int]:
    """Those of these contacts whom the publication let out. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.contact_id FROM nurture_publicationmove m JOIN nurture_enrolment e ON e.id = m.enrolment_id
            WHERE m.publication_id = %s AND m.is_released AND e.contact_id = ANY(%s)
            """,
            [publication_id, list(contact_ids)],
        )
        return {contact_id for (contact_id,) in cursor.fetchall()}


def drop_walks(enrolment_ids: Sequence[int]) -> None:
    """Walks on which nothing happened yet never began. One statement; the caller holds them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM nurture_enrolment WHERE id = ANY(%s) AND NOT EXISTS "
            "(SELECT FROM nurture_stepvisit v WHERE v.enrolment_id = nurture_enrolment.id)",
            [list(enrolment_ids)],
        )


def is_walked(version_id: int) -> bool:
    """Whether anybody's walk names the version, ended ones too. One statement over the program's walks."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT EXISTS (SELECT FROM nurture_enrolment e JOIN nurture_programversion v ON v.program_id = e.program_id
                WHERE v.id = %s AND e.version_id = v.id)
            """,
            [version_id],
        )
        return bool(cursor.fetchone()[0])


# --- Forgotten ---------------------------------------------------------------------------------------------------------------------


def forget_moves(publication_id: int, *, limit: int) -> int:
    """Rows that nobody needs any more; how many went. One statement."""
    return _delete_page("nurture_publicationmove", "publication_id", publication_id, limit)


def forget_places(publication_id: int, *, limit: int) -> int:
    """Places in the queue that the publication gave; how many went. One statement."""
    return _delete_page("nurture_entryplace", "given_by_id", publication_id, limit)


def forget_program_places(program_id: int, *, limit: int) -> int:
    """Places in the queue in front of a program; how many went. One statement."""
    return _delete_page("nurture_entryplace", "program_id", program_id, limit)


def forget_matches(trigger_id: int, *, limit: int) -> int:
    """Who met the condition of a trigger that is no more; how many went. One statement."""
    return _delete_page("nurture_triggermatch", "trigger_id", trigger_id, limit)


def _delete_page(table: str, column: str, key: int, limit: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE {column} = %s ORDER BY id LIMIT %s)",
            [key, limit],
        )
        return int(cursor.rowcount)


# --- The first effect ------------------------------------------------------------------------------------------------------------

# How a new version can have affected somebody: what it is called -> SELECT of (moment, step), `p` being the publication. All but the
# moves of the publication itself; each over an index of the version.
_EFFECTS = {
    "step": """
        SELECT v.done_at, v.step FROM nurture_stepvisit v WHERE v.version_id = p.version_id
    """,
    "entered": """
        SELECT e.entered_at, e.step FROM nurture_enrolment e
        WHERE e.version_id = p.version_id AND e.step = 'start' AND e.state IN ('active', 'parked')
            AND NOT EXISTS (SELECT FROM nurture_publicationmove m WHERE m.enrolment_id = e.id AND m.publication_id = p.id)
    """,
    "goal": """
        SELECT e.goal_at, e.step FROM nurture_enrolment e WHERE e.version_id = p.version_id AND e.goal_at >= p.finished_at
    """,
    "left": """
        SELECT e.ended_at, e.left_at_step FROM nurture_enrolment e WHERE e.version_id = p.version_id AND e.state = 'left'
    """,
    "failed": """
        SELECT NULL::timestamptz, e.step FROM nurture_enrolment e WHERE e.version_id = p.version_id AND e.state = 'parked'
            AND NOT EXISTS (
                SELECT FROM nurture_publicationmove m WHERE m.enrolment_id = e.id AND m.publication_id = p.id AND m.state = 'parked'
            )
    """,
    "elsewhere": """
        SELECT o.entered_at, '' FROM nurture_trigger t
        JOIN nurture_programversion w ON w.id = t.version_id AND w.state = 'live'
        JOIN nurture_enrolment o ON o.program_id = w.program_id AND o.entered_why = 'program#' || t.key AND o.entered_at >= p.switched_at
        WHERE t.kind = 'program' AND t.values ->> 'when' = 'left' AND p.moved ? 'release'
            AND t.values ->> 'program' = (SELECT slug FROM nurture_program WHERE id = p.program_id)
            AND EXISTS (
                SELECT FROM nurture_publicationmove m JOIN nurture_enrolment e ON e.id = m.enrolment_id
                WHERE m.publication_id = p.id AND m.is_released AND e.contact_id = o.contact_id
            )
    """,
}


# The first by the order of an index. Without it a plan that believes that there are many reads the whole table to find none (0.5 s at
# 500,000 walks, 2026-11-22).
_FIRST = {
    "step": "ORDER BY v.step, v.outcome, v.id LIMIT 1",
    "entered": "ORDER BY e.id LIMIT 1",
    "goal": "ORDER BY e.goal_at LIMIT 1",
    "left": "ORDER BY e.left_at_step, e.id LIMIT 1",
    "failed": "ORDER BY e.id LIMIT 1",
    "elsewhere": "LIMIT 1",
}


def affecting(publication_ids: Sequence[int]) -> list[int]:
    """Those of these publications whose version has affected somebody. One statement: a few probes of indexes each."""
    some = " OR ".join(f"EXISTS (SELECT FROM ({effect} {_FIRST[name]}) f)" for name, effect in _EFFECTS.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT p.id FROM nurture_publication p WHERE p.id = ANY(%s) AND ({some}) ORDER BY p.id",
            [list(publication_ids)],
        )
        return [key for (key,) in cursor.fetchall()]


def first_effect(publication_id: int) -> tuple[str, datetime | None, str] | None:
    """(what it is called, when, at which step) of the first thing that a publication's version did to anybody. One statement over
    what happened in the version, which is little when it is asked soon."""
    each = " UNION ALL ".join(
        f"SELECT '{name}', f.at, f.step FROM ({effect}) f (at, step)" for name, effect in _EFFECTS.items()
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT found.name, found.at, found.step FROM nurture_publication p
            CROSS JOIN LATERAL ({each}) found (name, at, step) WHERE p.id = %s
            ORDER BY found.at NULLS LAST, found.name, found.step LIMIT 1
            """,
            [publication_id],
        )
        row: tuple[str, datetime | None, str] | None = cursor.fetchone()
        return row
