"""The funnel from inquiry to customer, and what sales said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

# The number of a stage here is how far it is (lifecycle.POSITION); what is no step of the funnel is 0.
_BEYOND = "CASE {stage} WHEN 'mql' THEN 4 WHEN 'accepted' THEN 5 WHEN 'opportunity' THEN 6 WHEN 'customer' THEN 7 WHEN 'advocate' THEN 8 ELSE 0 END"

# Everybody who came in since a moment, with the furthest stage ever reached; a won deal counts as “customer”.
_REACHED = f"""
    SELECT c.id, c.created_at, date_trunc('month', c.created_at AT TIME ZONE %s)::date AS month, c.source,
           GREATEST({_BEYOND.format(stage="c.stage")}, COALESCE(m.furthest, 0), CASE WHEN w.contact_id IS NULL THEN 0 ELSE 7 END) AS furthest
    FROM leads_contact c
    LEFT JOIN (
        SELECT contact_id, max({_BEYOND.format(stage="to_stage")}) AS furthest FROM leads_stagemove
        WHERE to_stage IN ('mql', 'accepted', 'opportunity', 'customer', 'advocate') GROUP BY contact_id
    ) m ON m.contact_id = c.id
    LEFT JOIN (
        SELECT DISTINCT dc.contact_id FROM leads_dealcontact dc JOIN leads_deal d ON d.id = dc.deal_id WHERE d.status = 'won'
    ) w ON w.contact_id = c.id
    WHERE c.created_at >= %s AND c.created_at <= %s
"""


@dataclass(frozen=True)
class FunnelRow:
    """People who came in, and how far they have come since."""

    name: str
    inquiries: int
    mqls: int
    accepted: int
    won: int


def funnel(*, zone: str, since: datetime, until: datetime) -> tuple[FunnelRow, list[FunnelRow], list[FunnelRow]]:
    """(all, by month, by source) of the people who came in between two moments. One statement, one pass over them and their stage moves."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT grouping(month, source), month, source, count(*), count(*) FILTER (WHERE furthest >= 4),
                   count(*) FILTER (WHERE furthest >= 5), count(*) FILTER (WHERE furthest >= 7)
            FROM ({_REACHED}) reached GROUP BY GROUPING SETS ((), (month), (source)) ORDER BY month, count(*) DESC, source
            """,
            [zone, since, until],
        )
        everybody = FunnelRow("", 0, 0, 0, 0)
        months: list[FunnelRow] = []
        sources: list[FunnelRow] = []
        for level, month, source, *counts in cursor.fetchall():
            if level == 3:
                everybody = FunnelRow("", *counts)
            elif level == 1:
                months.append(FunnelRow(f"{month:%Y-%m}", *counts))
            else:
                sources.append(FunnelRow(source, *counts))
    return everybody, months, sources


_STAGES_FROM = {
    "mqls": ["mql", "accepted", "opportunity", "customer", "advocate"],
    "accepted": ["accepted", "opportunity", "customer", "advocate"],
    "won": ["customer", "advocate"],
}


def funnel_people(
    *,
    since: datetime,
    until: datetime,
    step: str,
    limit: int,
    month: tuple[datetime, datetime] | None = None,
    source: str | None = None,
    after: tuple[datetime, int] | None = None,
) -> list[int]:
    """Who stands behind one number of the funnel, the newest first; `after` is (created_at, id) of the last one of the page before.

    One statement along the index of the newest, asking each contact's own moves and deals, until the page is full.
    """
    tests = ["c.created_at >= %s", "c.created_at <= %s"]
    params: list[Any] = [since, until]
    if month is not None:
        tests += ["c.created_at >= %s", "c.created_at < %s"]
        params += list(month)
    if source is not None:
        tests.append("c.source = %s")
        params.append(source)
    if after is not None:
        tests.append("(c.created_at, c.id) < (%s, %s)")
        params += list(after)
    if step != "inquiries":
        stages = _STAGES_FROM[step]
        tests.append(
            "(c.stage = ANY (%s)"
            " OR (SELECT true FROM leads_stagemove m WHERE m.contact_id = c.id AND m.to_stage = ANY (%s) LIMIT 1)"
            " OR (SELECT true FROM leads_dealcontact dc JOIN leads_deal d ON d.id = dc.deal_id"
            " WHERE dc.contact_id = c.id AND d.status = 'won' LIMIT 1))"
        )
        params += [stages, stages]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.id FROM leads_contact c WHERE {' AND '.join(tests)} ORDER BY c.created_at DESC, c.id DESC LIMIT %s",
            [*params, limit],
        )
        return [contact for (contact,) in cursor.fetchall()]


@dataclass(frozen=True)
class AnswerRow:
    """What sales said to the leads of one kind."""

    name: str
    handed_over: int
    open: int
    accepted: int
    rejected: int
    recycled: int
    late: int
    won: int


def answers(*, zone: str, since: datetime, until: datetime, now: datetime) -> dict[str, list[AnswerRow]]:
    """“all”, “month”, “source”, “persona”, “model” -> what was handed over between two moments, and what sales said. One statement."""
    names = {31 ^ 16: "month", 31 ^ 8: "source", 31 ^ 4: "persona", 31 ^ 2: "model", 31 ^ 1: "reason", 31: "all"}
    found: dict[str, list[AnswerRow]] = {name: [] for name in names.values()}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT grouping(month, source, persona, model, reason), COALESCE(month, source, persona, model, reason, ''), count(*),
                   count(*) FILTER (WHERE state = 'open'), count(*) FILTER (WHERE state = 'accepted'),
                   count(*) FILTER (WHERE state = 'rejected'), count(*) FILTER (WHERE state = 'recycled'),
                   count(*) FILTER (WHERE COALESCE(answered_at, %s) > due_at), count(*) FILTER (WHERE is_won)
            FROM (
                SELECT h.state, h.answered_at, h.due_at, h.state = 'accepted' AND EXISTS (
                           SELECT FROM leads_dealcontact dc JOIN leads_deal d ON d.id = dc.deal_id
                           WHERE dc.contact_id = h.contact_id AND d.status = 'won' AND d.closed_on >= h.handed_over_at::date
                       ) AS is_won, to_char(h.handed_over_at AT TIME ZONE %s, 'YYYY-MM') AS month,
                       c.source, COALESCE(h.card -> 'persona' ->> 'name', '') AS persona, m.slug AS model,
                       COALESCE(h.answer_reason_id, '') AS reason
                FROM scoring_handoff h JOIN leads_contact c ON c.id = h.contact_id JOIN scoring_scoremodel m ON m.id = h.model_id
                WHERE h.handed_over_at >= %s AND h.handed_over_at <= %s
            ) h
            GROUP BY GROUPING SETS ((), (month), (source), (persona), (model), (reason)) ORDER BY 1, 3 DESC, 2
            """,
            [now, zone, since, until],
        )
        for level, name, *counts in cursor.fetchall():
            found[names[level]].append(AnswerRow(name, *counts))
    found["month"].sort(key=lambda row: row.name)
    return found


@dataclass(frozen=True)
class ReadyRow:
    """One month of one model: hand-offs answered, how many sales found ready, under which threshold."""

    month: str
    threshold: Decimal
    answered: int
    accepted: int

    @property
    def share(self) -> int:
        return round(100 * self.accepted / self.answered)


def sales_ready(model_id: int, *, zone: str, since: datetime, until: datetime) -> list[ReadyRow]:
    """By month of the hand-off and threshold in use then, the oldest first. One statement over the model's answered hand-offs."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT to_char(h.handed_over_at AT TIME ZONE %s, 'YYYY-MM'), v.threshold, count(*),
                   count(*) FILTER (WHERE h.state = 'accepted')
            FROM scoring_handoff h JOIN scoring_scoreversion v ON v.id = h.version_id
            WHERE h.model_id = %s AND h.answered_at IS NOT NULL AND h.handed_over_at >= %s AND h.handed_over_at <= %s
            GROUP BY 1, 2 ORDER BY 1, 2
            """,
            [zone, model_id, since, until],
        )
        return [ReadyRow(*values) for values in cursor.fetchall()]


def misleading_marks(model_id: int) -> dict[UUID, int]:
    """rule key -> how often sales marked it as misleading. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key, count(*) FROM scoring_handoff h CROSS JOIN LATERAL unnest(h.misleading) key"
            " WHERE h.model_id = %s AND h.misleading <> '{}' GROUP BY key",
            [model_id],
        )
        return dict(cursor.fetchall())
