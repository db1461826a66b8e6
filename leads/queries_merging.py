"""Statements that give everything of one contact to another one."""

from __future__ import annotations

from django.db import connection


def lock_pair(contact_ids: tuple[int, int]) -> None:
    """Both contacts, until the transaction ends. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM leads_contact WHERE id = ANY(%s) ORDER BY id FOR UPDATE", [sorted(contact_ids)])


def join_activities(*, gone: int, kept: int) -> int:
    """Activities that changed hands, with their keys and signals; waiting marks of the one that goes are dropped. Four statements."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE leads_activity SET contact_id = %s WHERE contact_id = %s", [kept, gone])
        moved = int(cursor.rowcount)
        cursor.execute("UPDATE leads_activitykey SET contact_id = %s WHERE contact_id = %s", [kept, gone])
        cursor.execute(
            """
            WITH gone AS (DELETE FROM leads_signal WHERE contact_id = %s RETURNING kind_id, n, first_at, last_at)
            INSERT INTO leads_signal AS signal (contact_id, kind_id, n, first_at, last_at)
            SELECT %s, kind_id, n, first_at, last_at FROM gone ORDER BY kind_id
            ON CONFLICT (contact_id, kind_id) DO UPDATE SET
                n = signal.n + excluded.n,
                first_at = least(signal.first_at, excluded.first_at),
                last_at = greatest(signal.last_at, excluded.last_at)
            """,
            [gone, kept],
        )
        cursor.execute("DELETE FROM leads_mark WHERE contact_id = %s", [gone])
    return moved


def join_deals(*, gone: int, kept: int) -> int:
    """Deals that now list the one that stays and did not before. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (DELETE FROM leads_dealcontact WHERE contact_id = %s RETURNING deal_id)
            INSERT INTO leads_dealcontact (deal_id, contact_id) SELECT deal_id, %s FROM gone ORDER BY deal_id
            ON CONFLICT (deal_id, contact_id) DO NOTHING
            """,
            [gone, kept],
        )
        return int(cursor.rowcount)
