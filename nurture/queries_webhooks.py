"""Statements of the outbox of webhooks: claims, and the rest of a receiver that cannot be reached."""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def claim(*, now: datetime, lease_until: datetime, limit: int) -> list[int]:
    """Due calls, and those whose worker died, become “being sent” by this worker, so many of each. One statement over two partial indexes.

    Rows of other workers are passed over.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_webhookcall SET state = 'sending', lease_until = %(lease)s, tries = tries + 1
            WHERE id = ANY(ARRAY(
                SELECT id FROM nurture_webhookcall WHERE state = 'sending' AND lease_until <= %(now)s
                ORDER BY lease_until, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            ) || ARRAY(
                SELECT id FROM nurture_webhookcall WHERE state = 'queued' AND due_at <= %(now)s
                ORDER BY due_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            )) RETURNING id
            """,
            {"now": now, "lease": lease_until, "limit": limit},
        )
        return [call_id for (call_id,) in cursor.fetchall()]


def let_rest(origin: str, *, until: datetime) -> int:
    """All waiting calls of a receiver wait until then at least. One statement over a partial index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_webhookcall SET due_at = %s WHERE origin = %s AND state = 'queued' AND due_at < %s",
            [until, origin, until],
        )
        return int(cursor.rowcount)
