"""Statements over visitors of websites: who one is, a page kept, pages taken for a contact, what is forgotten."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from leads.queries_prepared import prepared_cursor


@dataclass(frozen=True, slots=True)
class Whose:
    """The contact behind a visitor, and whether they said on their preference page that nothing is noted."""

    contact_id: int
    says_no: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page that somebody saw, cleaned: without what stands behind ? and #."""

    url: str
    title: str
    properties: dict[str, Any]


def whose(visitor_id: uuid.UUID) -> Whose | None:
    """None: anonymous, or never seen. One statement."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            SELECT v.contact_id, coalesce(w.tracking = 'no', false) FROM leads_visitor v JOIN leads_contact c ON c.id = v.contact_id
            LEFT JOIN leads_mailpreference w ON w.address_hash = leads_address_hash(c.email) WHERE v.id = %s
            """,
            [visitor_id],
        )
        row = cursor.fetchone()
    return Whose(*row) if row else None


def see(visitor_id: uuid.UUID, *, at: datetime) -> tuple[int | None, int]:
    """Note that the visitor is there: (contact, pages that wait). One statement; the row stays locked until the transaction ends."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_visitor AS v (id, first_at, last_at, pages, joined_by) VALUES (%s, %s, %s, 0, '')
            ON CONFLICT (id) DO UPDATE SET last_at = greatest(v.last_at, excluded.last_at) RETURNING contact_id, pages
            """,
            [visitor_id, at, at],
        )
        contact_id, pages = cursor.fetchone()
        return contact_id, int(pages)


def keep_page(visitor_id: uuid.UUID, page: Page, *, at: datetime) -> None:
    """One statement; the caller holds the visitor's row."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            WITH kept AS (
                INSERT INTO leads_visitorpage (visitor_id, occurred_at, url, title, properties) VALUES (%s, %s, %s, %s, %s::jsonb)
            )
            UPDATE leads_visitor SET pages = pages + 1 WHERE id = %s
            """,
            [visitor_id, at, page.url, page.title, json.dumps(page.properties), visitor_id],
        )


def take_pages(visitor_id: uuid.UUID) -> list[tuple[datetime, Page]]:
    """The pages that wait, which are gone from then on, in the order they were seen. One statement; the caller holds the visitor's row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH taken AS (DELETE FROM leads_visitorpage WHERE visitor_id = %s RETURNING id, occurred_at, url, title, properties)
            SELECT occurred_at, url, title, properties FROM taken ORDER BY occurred_at, id
            """,
            [visitor_id],
        )
        return [(at, Page(url, title, _document(properties))) for at, url, title, properties in cursor.fetchall()]


def _document(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(value) if isinstance(value, str) else value
    return found


def forget_visitors(*, before: datetime, limit: int) -> int:
    """Visitors who were not seen since, with their pages; at most so many. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH old AS MATERIALIZED (
                SELECT id FROM leads_visitor WHERE last_at < %s ORDER BY last_at LIMIT %s FOR UPDATE SKIP LOCKED
            ), pages AS (
                DELETE FROM leads_visitorpage p USING old WHERE p.visitor_id = old.id
            )
            DELETE FROM leads_visitor v USING old WHERE v.id = old.id
            """,
            [before, limit],
        )
        return int(cursor.rowcount)


def forget_pages(*, before: datetime, limit: int) -> int:
    """Pages that were seen before, at most so many, of visitors who still come. One statement; locks their visitors first, as all do."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH owners AS MATERIALIZED (
                SELECT id FROM leads_visitor WHERE id IN (
                    SELECT visitor_id FROM leads_visitorpage WHERE occurred_at < %(before)s ORDER BY occurred_at LIMIT %(limit)s
                ) ORDER BY id FOR UPDATE SKIP LOCKED
            ), old AS (
                DELETE FROM leads_visitorpage p USING owners WHERE p.visitor_id = owners.id AND p.occurred_at < %(before)s
                RETURNING p.visitor_id
            ), counted AS (
                UPDATE leads_visitor v SET pages = v.pages - gone.n
                FROM (SELECT visitor_id, count(*) AS n FROM old GROUP BY visitor_id) gone WHERE v.id = gone.visitor_id
            )
            SELECT count(*) FROM old
            """,
            {"before": before, "limit": limit},
        )
        return int(cursor.fetchone()[0])
