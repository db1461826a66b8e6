"""Statements behind the words of mails: what placeholders name beyond the contact."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import connection


@dataclass(frozen=True, slots=True)
class Touched:
    """What somebody last read, downloaded, visited …"""

    kind: str
    title: str
    url: str
    at: datetime


def languages_in_use() -> list[str]:
    """That templates in use are written in. One statement over them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT language FROM nurture_template WHERE archived_at IS NULL AND language <> ''
            UNION SELECT row ->> 'language' FROM nurture_template, jsonb_array_elements(translations) row WHERE archived_at IS NULL
            ORDER BY 1
            """
        )
        return [language for (language,) in cursor.fetchall()]


def last_touched(contact_ids: Collection[int], kinds: Collection[str], *, at: datetime) -> Mapping[int, list[Touched]]:
    """contact -> the last activity of each kind by then. One statement: the signal says when, the index of the person's activities finds it.

    Where the last one is dated ahead, or several share the moment, the newest by then, and the latest recorded.
    """
    found: dict[int, list[Touched]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.contact_id, k.slug, coalesce(nullif(last.subject, ''), last.url, ''), coalesce(last.url, ''), last.occurred_at
            FROM leads_signal s JOIN leads_activitykind k ON k.id = s.kind_id
            CROSS JOIN LATERAL (
                SELECT a.occurred_at, t.subject, t.url FROM leads_activity a LEFT JOIN leads_asset t ON t.id = a.asset_id
                WHERE a.contact_id = s.contact_id AND a.kind_id = s.kind_id
                    AND a.occurred_at <= least(s.last_at, %s) AND a.occurred_at >= s.first_at
                ORDER BY a.occurred_at DESC, a.id DESC LIMIT 1
            ) last
            WHERE s.contact_id = ANY(%s) AND k.slug = ANY(%s)
            ORDER BY s.contact_id, last.occurred_at DESC, k.slug
            """,
            [at, list(contact_ids), list(kinds)],
        )
        for contact_id, *values in cursor.fetchall():
            found.setdefault(contact_id, []).append(Touched(*values))
    return found
