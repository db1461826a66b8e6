"""What a card is made of: one statement each, whatever the number of leads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection


@dataclass(frozen=True)
class LedgerEntry:
    contact_id: int
    rule_key: UUID
    group: str
    points: Decimal
    counts_from: datetime
    cause: str
    recorded_at: datetime


def ledger_of(contacts: Sequence[int], *, model_id: int, at: datetime | None = None) -> dict[int, list[LedgerEntry]]:
    """Every ledger row of these contacts in one model, oldest first; those that count from after `at` left out. One statement."""
    cut = "" if at is None else " AND counts_from <= %s"
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT contact_id, rule_key, "group", points, counts_from, cause, recorded_at FROM scoring_ledgerrow'
            f" WHERE contact_id = ANY (%s::bigint[]) AND model_id = %s{cut} AND points <> 0"
            " ORDER BY contact_id, counts_from, points DESC, rule_key",
            [list(contacts), model_id, *([] if at is None else [at])],
        )
        rows: dict[int, list[LedgerEntry]] = {contact: [] for contact in contacts}
        for values in cursor.fetchall():
            rows[values[0]].append(LedgerEntry(*values))
        return rows


@dataclass(frozen=True)
class Deed:
    """Something a contact did."""

    kind: str
    label: str
    subject: str
    url: str
    at: datetime


# What we did to them, or what went wrong on the way, says nothing about how keen they are.
NOT_THEIRS = ("email_sent", "email_delivered", "email_bounce")


def latest_deeds(contacts: Sequence[int], *, now: datetime, limit: int) -> dict[int, list[Deed]]:
    """The newest activities of each contact, newest first. One statement along the index (contact, moment)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, a.slug, a.label, COALESCE(asset.subject, ''), COALESCE(asset.url, ''), a.occurred_at
            FROM unnest(%s::bigint[]) c(id)
            CROSS JOIN LATERAL (
                SELECT kind.slug, kind.label, a.asset_id, a.occurred_at
                FROM leads_activity a JOIN leads_activitykind kind ON kind.id = a.kind_id
                WHERE a.contact_id = c.id AND a.occurred_at <= %s AND kind.slug <> ALL (%s)
                ORDER BY a.occurred_at DESC LIMIT %s
            ) a
            LEFT JOIN leads_asset asset ON asset.id = a.asset_id
            ORDER BY c.id, a.occurred_at DESC
            """,
            [list(contacts), now, list(NOT_THEIRS), limit],
        )
        found: dict[int, list[Deed]] = {contact: [] for contact in contacts}
        for contact, *values in cursor.fetchall():
            found[contact].append(Deed(*values))
        return found


@dataclass(frozen=True)
class Colleague:
    contact_id: int
    name: str
    title: str
    total: Decimal
    last_at: datetime


def active_colleagues(
    companies: Sequence[int], *, model_id: int, since: datetime, now: datetime, limit: int
) -> dict[int, list[Colleague]]:
    """Who of each company did something since the moment, the best score first. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT co.id, p.id, p.name, p.title, p.total, p.last_at
            FROM unnest(%s::bigint[]) co(id)
            CROSS JOIN LATERAL (
                SELECT c.id, trim(c.first_name || ' ' || c.last_name) AS name, c.title, COALESCE(s.total, 0) AS total, active.last_at
                FROM leads_contact c
                JOIN LATERAL (
                    SELECT max(signal.last_at) AS last_at FROM leads_signal signal
                    JOIN leads_activitykind kind ON kind.id = signal.kind_id
                    WHERE signal.contact_id = c.id AND kind.slug <> ALL (%s)
                ) active ON active.last_at >= %s AND active.last_at <= %s
                LEFT JOIN scoring_score s ON s.contact_id = c.id AND s.model_id = %s
                WHERE c.company_id = co.id
                ORDER BY total DESC, c.id LIMIT %s
            ) p
            """,
            [list(companies), list(NOT_THEIRS), since, now, model_id, limit],
        )
        found: dict[int, list[Colleague]] = {company: [] for company in companies}
        for company, *values in cursor.fetchall():
            found[company].append(Colleague(*values))
        return found


def open_leads(contacts: Sequence[int], *, model_id: int) -> dict[int, int]:
    """contact -> its open hand-off of the model. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contact_id, id FROM scoring_handoff WHERE state = 'open' AND model_id = %s AND contact_id = ANY (%s::bigint[])",
            [model_id, list(contacts)],
        )
        return dict(cursor.fetchall())
