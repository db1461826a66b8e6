"""Statements of the layers of the canvas: how long people stand at a step, and how many reach the goal afterwards."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

NEWEST = 20_000  # visits looked at: a layer is drawn while somebody waits


@dataclass(frozen=True, slots=True)
class Stay:
    """Seconds from coming to a step to passing it: half of the people took less than the one, nine of ten less than the other."""

    half: float
    most: float


def stays(version_id: int) -> dict[str, Stay]:
    """Step -> how long people stood there, over the newest visits. One statement over two indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH newest AS MATERIALIZED (
                SELECT enrolment_id, step, visit, done_at FROM nurture_stepvisit WHERE version_id = %s ORDER BY id DESC LIMIT %s
            ), took AS (
                SELECT v.step, date_part('epoch', v.done_at - p.done_at) AS seconds
                FROM newest v JOIN nurture_stepvisit p ON p.enrolment_id = v.enrolment_id AND p.visit = v.visit - 1
            )
            SELECT step, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds), percentile_cont(0.9) WITHIN GROUP (ORDER BY seconds)
            FROM took GROUP BY step
            """,
            [version_id, NEWEST],
        )
        return {step: Stay(half, most) for step, half, most in cursor.fetchall()}


def goals_after(version_id: int) -> dict[str, tuple[int, int]]:
    """Step -> (of the newest visits, those whose person reached the goal afterwards). One statement over two indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH newest AS MATERIALIZED (
                SELECT enrolment_id, step, done_at FROM nurture_stepvisit WHERE version_id = %s ORDER BY id DESC LIMIT %s
            )
            SELECT v.step, count(*), count(*) FILTER (WHERE e.goal_at >= v.done_at)
            FROM newest v JOIN nurture_enrolment e ON e.id = v.enrolment_id GROUP BY v.step
            """,
            [version_id, NEWEST],
        )
        return {step: (passed, reached) for step, passed, reached in cursor.fetchall()}
