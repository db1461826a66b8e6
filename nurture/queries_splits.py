"""Statements of splits: who is watched after which way, for whom it worked, and the numbers of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import connection

from nurture.queries_around import Arm


@dataclass(frozen=True, slots=True)
class Passed:
    """Somebody who went a way and is still watched; `version_id` is the version they walk."""

    id: int
    contact_id: int
    version_id: int
    step: str


@dataclass(frozen=True, slots=True)
class Count:
    """People of one way: all who are or were watched, and those whose days are over."""

    watched: int = 0
    ripe: Arm = field(default_factory=lambda: Arm(0, 0))


def watch(trial_id: int, walks: Sequence[tuple[int, str]], *, now: datetime, until: datetime) -> int:
    """Rows for (enrolment, way); once for each enrolment. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO nurture_splitpass (trial_id, enrolment_id, way, at, until)
            SELECT %s, enrolment_id, way, %s, %s FROM unnest(%s::bigint[], %s::text[]) row (enrolment_id, way)
            ON CONFLICT DO NOTHING
            """,
            [
                trial_id,
                now,
                until,
                [enrolment_id for enrolment_id, _way in walks],
                [way for _enrolment_id, way in walks],
            ],
        )
        return int(cursor.rowcount)


def watched_of(contact_ids: Sequence[int], *, now: datetime) -> list[Passed]:
    """Open rows of these contacts, in order. One statement; one probe of an index while nobody is watched."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.id, e.contact_id, e.version_id, t.step
            FROM nurture_enrolment e
            JOIN nurture_splitpass s ON s.enrolment_id = e.id AND s.reached_at IS NULL
            JOIN nurture_splittrial t ON t.id = s.trial_id
            WHERE e.contact_id = ANY(%s) AND s.until > %s
                AND EXISTS (SELECT FROM nurture_splitpass open WHERE open.reached_at IS NULL AND open.until > %s)
            ORDER BY s.id
            """,
            [list(contact_ids), now, now],
        )
        return [Passed(*row) for row in cursor.fetchall()]


def set_reached(pass_ids: Sequence[int], *, now: datetime) -> int:
    """One statement; whoever was noted before stays as they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_splitpass SET reached_at = %s WHERE id = ANY(%s) AND reached_at IS NULL",
            [now, sorted(pass_ids)],
        )
        return int(cursor.rowcount)


def counts(trial_id: int, *, now: datetime) -> dict[str, Count]:
    """Way -> its numbers. One statement over the rows of one comparison."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT way, count(*), count(*) FILTER (WHERE until <= %(now)s),
                count(*) FILTER (WHERE until <= %(now)s AND reached_at IS NOT NULL)
            FROM nurture_splitpass WHERE trial_id = %(trial)s GROUP BY way
            """,
            {"trial": trial_id, "now": now},
        )
        return {way: Count(watched, Arm(ripe, reached)) for way, watched, ripe, reached in cursor.fetchall()}


def passed(version_id: int, step: str) -> dict[str, int]:
    """Way -> people who went it in this version. One statement over a covering index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outcome, count(*) FROM nurture_stepvisit WHERE version_id = %s AND step = %s GROUP BY outcome",
            [version_id, step],
        )
        return dict(cursor.fetchall())
