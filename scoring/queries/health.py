"""What always holds, asked of the rows themselves, for `manage.py health`."""

from __future__ import annotations

from decimal import Decimal

from django.db import connection


def broken_sums(limit: int = 20) -> list[tuple[int, int, Decimal, Decimal]]:
    """(contact, model, score, sum of ledger rows) where the two differ; empty when all is well. One statement over both tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT COALESCE(s.contact_id, l.contact_id), COALESCE(s.model_id, l.model_id), COALESCE(s.total, 0), COALESCE(l.total, 0)
            FROM scoring_score s
            FULL JOIN (
                SELECT contact_id, model_id, sum(points) AS total,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'fit'), 0) AS fit,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'behaviour'), 0) AS behaviour,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'negative'), 0) AS negative,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'bant'), 0) AS bant
                FROM scoring_ledgerrow GROUP BY contact_id, model_id
            ) l ON l.contact_id = s.contact_id AND l.model_id = s.model_id
            WHERE COALESCE(s.total, 0) <> COALESCE(l.total, 0) OR COALESCE(s.fit, 0) <> COALESCE(l.fit, 0)
               OR COALESCE(s.behaviour, 0) <> COALESCE(l.behaviour, 0) OR COALESCE(s.negative, 0) <> COALESCE(l.negative, 0)
               OR COALESCE(s.bant, 0) <> COALESCE(l.bant, 0)
            LIMIT %s
            """,
            [limit],
        )
        return list(cursor.fetchall())


def ledger_sums_hold() -> bool:
    """Every score is the sum of its ledger rows, in total and in each group."""
    return not broken_sums(1)


def one_open_hand_off_each() -> bool:
    """No contact stands in the queue twice for one model (the unique index holds it; this asks the rows)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM scoring_handoff WHERE state = 'open'"
            " GROUP BY contact_id, model_id HAVING count(*) > 1)"
        )
        return bool(cursor.fetchone()[0])
