"""BANT of many contacts: the fact that counts, and lapses that are due."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from scoring.models import BantFact
from segments.conditions import Sql, bind
from segments.conditions.fields import Scope
from segments.conditions.fragment import sql

LAPSES_IN_ONE_LOOK = 5_000


def within(facet: str, condition: Sql, scope: Scope) -> Sql:
    """EXISTS (the fact of the facet that counts at the moment, with a condition on it as `fact`), over the alias `contact`.

    A semi-join with the facts, which are few beside the contacts; nobody's newest fact is looked for one by one.
    """
    at = bind(scope.moment.at, "timestamptz")
    return sql(
        "EXISTS (SELECT 1 FROM scoring_bantfact fact WHERE fact.contact_id = contact.id{} AND fact.facet = {}"
        " AND fact.known_at <= {} AND (fact.lapses_at IS NULL OR fact.lapses_at > {}) AND fact.verdict <> 'unknown' AND {}"
        " AND NOT EXISTS (SELECT 1 FROM scoring_bantfact newer WHERE newer.contact_id = fact.contact_id"
        " AND newer.facet = fact.facet AND newer.known_at <= {} AND (newer.lapses_at IS NULL OR newer.lapses_at > {})"
        " AND (newer.known_at, newer.id) > (fact.known_at, fact.id)))",
        scope.only("fact.contact_id"), bind(facet, "text"), at, at, condition, at, at,
    )  # fmt: skip


def points_sql(scope: Scope) -> Sql:
    """25 for each facet met at the moment, as an expression over `contact`: a step down the index of facts for each contact."""
    at = bind(scope.moment.at, "timestamptz")
    return sql(
        "(SELECT 25 * count(*) FILTER (WHERE held.verdict = 'met') FROM (SELECT DISTINCT ON (fact.facet) fact.verdict"
        " FROM scoring_bantfact fact WHERE fact.contact_id = contact.id AND fact.known_at <= {}"
        " AND (fact.lapses_at IS NULL OR fact.lapses_at > {}) ORDER BY fact.facet, fact.known_at DESC, fact.id DESC) held)",
        at, at,
    )  # fmt: skip


def bant_of(contacts: Sequence[int], *, at: datetime) -> dict[int, dict[str, BantFact]]:
    """contact -> facet -> the newest fact that has not lapsed at the moment. One statement along the index."""
    found: dict[int, dict[str, BantFact]] = {contact: {} for contact in contacts}
    rows = (
        BantFact.objects.valid(at)
        .filter(contact_id__in=list(contacts))
        .order_by("contact_id", "facet", "-known_at", "-id")
        .distinct("contact_id", "facet")
        .select_related("recorded_by")
    )
    for row in rows:
        found[row.contact_id][row.facet] = row
    return found


def claim_lapses(now: datetime) -> list[int]:
    """Contacts of whom a fact has lapsed that nobody was told of, at most LAPSES_IN_ONE_LOOK facts; they are told now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT id FROM scoring_bantfact WHERE lapses_at <= %s AND lapsed_at IS NULL
                ORDER BY lapses_at, id LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
            )
            UPDATE scoring_bantfact fact SET lapsed_at = %s FROM due WHERE fact.id = due.id RETURNING fact.contact_id
            """,
            [now, LAPSES_IN_ONE_LOOK, now],
        )
        return sorted({contact for (contact,) in cursor.fetchall()})


def met_counts(at: datetime) -> dict[str, int]:
    """facet -> contacts for whom it is met at the moment. One statement over all facts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT facet, count(*) FROM (
                SELECT DISTINCT ON (contact_id, facet) facet, verdict FROM scoring_bantfact
                WHERE known_at <= %s AND (lapses_at IS NULL OR lapses_at > %s)
                ORDER BY contact_id, facet, known_at DESC, id DESC
            ) held WHERE verdict = 'met' GROUP BY facet
            """,
            [at, at],
        )
        return {facet: int(n) for facet, n in cursor.fetchall()}
