"""Who may enter the queue now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from segments.conditions import Sql

# Stages from which the engine hands over; whoever is further, or disqualified, stays where they are.
BEFORE_SALES = ("visitor", "subscriber", "inquiry", "recycled", "lost")
ROUTING = 0x524F5554  # “ROUT”: first half of the advisory lock of routing


@dataclass(frozen=True)
class Candidate:
    """Somebody to hand over. `rule_keys`: the rules met that give points, sorted. `is_return`: recycled until a day that has come."""

    contact_id: int
    owner_id: int | None
    total: Decimal
    grade: str
    groups: dict[str, Decimal]
    rule_keys: list[UUID]
    is_return: bool


def lock_ripe(contacts: Sequence[int], *, model_id: int, threshold: Decimal | None, stages: Sequence[str]) -> list[int]:
    """Those with enough points in a fitting stage and no open hand-off, locked in order until the transaction ends. One statement.

    Whoever hands over locks the contact first, so that what the next statement sees stays true.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.id FROM leads_contact c JOIN scoring_score s ON s.contact_id = c.id AND s.model_id = %s
            WHERE c.id = ANY (%s::bigint[]) AND c.stage = ANY (%s){"" if threshold is None else " AND s.total >= %s"}
              AND NOT EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s AND h.state = 'open')
            ORDER BY c.id FOR NO KEY UPDATE OF c
            """,
            [model_id, list(contacts), list(stages), *([] if threshold is None else [threshold]), model_id],
        )
        return [contact for (contact,) in cursor.fetchall()]


# Reasons are the same when every rule met now was met at an earlier answered hand-off: a rule that lapsed is nothing new.
# A recycled one whose day has come blocks no more.
SAME_REASONS = """
    SELECT FROM scoring_handoff h
    WHERE h.contact_id = {contact} AND h.model_id = %s AND h.answered_at IS NOT NULL
      AND {keys} <@ h.rule_keys AND (h.returns_at IS NULL OR h.returns_at > %s)
"""


# Causes of ledger rows that are our own doing: nobody did or became anything.
OUR_DOING = ("version_published", "points_changed", "rule_removed")

# Crossed anew: fell below the lower line after the last answer, and rose by something the person did or became since.
CROSSED_ANEW = """
    SELECT FROM (
        SELECT step.moment, sum(step.points) OVER (ORDER BY step.moment) AS total
        FROM (
            SELECT l.counts_from AS moment, sum(l.points) AS points FROM scoring_ledgerrow l
            WHERE l.contact_id = c.id AND l.model_id = %s AND l.counts_from <= %s GROUP BY 1
        ) step
    ) run
    WHERE run.total < %s
      AND run.moment >= (SELECT max(h.answered_at) FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s)
      AND EXISTS (SELECT FROM scoring_ledgerrow n WHERE n.contact_id = c.id AND n.model_id = %s AND n.points > 0
                  AND n.counts_from > run.moment AND n.cause <> ALL (%s))
"""


def candidates(
    contacts: Sequence[int],
    *,
    model_id: int,
    now: datetime,
    again: bool,
    news_since: datetime | None,
    lower_line: Decimal | None = None,
) -> list[Candidate]:
    """Those of the locked contacts who may enter the queue now, best first. One statement.

    `again` asks nothing of the reasons. `news_since`: only people who met a rule since then by something they did or became.
    `lower_line`: who fell below it since the last answer and rose again may come back for the same reasons.
    """
    same, same_params = "", list[Any]()
    if not again:
        same, same_params = f"NOT EXISTS ({SAME_REASONS.format(contact='c.id', keys='met.keys')})", [model_id, now]
        if lower_line is not None:
            same = f"({same} OR EXISTS ({CROSSED_ANEW}))"
            same_params += [model_id, now, lower_line, model_id, model_id, list(OUR_DOING)]
        same = f"AND {same}"
    news = (
        ""
        if news_since is None
        else "AND EXISTS (SELECT FROM scoring_ledgerrow n WHERE n.contact_id = c.id AND n.model_id = %s"
        " AND n.cause IN ('rule_met', 'activity') AND n.points > 0 AND n.counts_from >= %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.id, c.owner_id, s.total, s.grade, s.fit, s.behaviour, s.negative, s.bant, met.keys,
                   EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s
                           AND h.returned_at IS NOT NULL AND met.keys <@ h.rule_keys)
            FROM leads_contact c
            JOIN scoring_score s ON s.contact_id = c.id AND s.model_id = %s
            CROSS JOIN LATERAL (
                SELECT COALESCE(array_agg(held.rule_key ORDER BY held.rule_key), '{{}}'::uuid[]) AS keys
                FROM (
                    SELECT l.rule_key FROM scoring_ledgerrow l
                    WHERE l.contact_id = c.id AND l.model_id = %s
                    GROUP BY l.rule_key HAVING sum(l.points) > 0
                ) held
            ) met
            WHERE c.id = ANY (%s::bigint[])
              AND NOT EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s AND h.state = 'open')
              {same} {news}
            ORDER BY s.total DESC, c.id
            """,
            [
                model_id,
                model_id,
                model_id,
                list(contacts),
                model_id,
                *same_params,
                *(() if news_since is None else (model_id, news_since)),
            ],
        )
        return [
            Candidate(
                contact_id=contact_id,
                owner_id=owner_id,
                total=total,
                grade=grade,
                groups={"fit": fit, "behaviour": behaviour, "negative": negative, "bant": bant},
                rule_keys=list(keys),
                is_return=is_return,
            )
            for contact_id, owner_id, total, grade, fit, behaviour, negative, bant, keys, is_return in cursor.fetchall()
        ]


def lock_routing() -> None:
    """Whoever gives leads away counts alone until the transaction ends. One statement.

    A session that may only read gives none away: what it hands over are rows of its own (nurture/simulation).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, 0) WHERE current_setting('transaction_read_only') = 'off'", [ROUTING]
        )


def open_loads(owner_ids: Sequence[int]) -> dict[int, int]:
    """owner -> open leads; without an entry for none. One statement along the index of open leads by owner."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT owner_id, count(*) FROM scoring_handoff WHERE state = 'open' AND owner_id = ANY (%s::bigint[]) GROUP BY 1",
            [list(owner_ids)],
        )
        return dict(cursor.fetchall())


def last_turns() -> dict[tuple[int, int], int]:
    """(routing rule, owner) -> number of the last lead given. One statement that reads one index entry a seat."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.rule_id, s.owner_id, l.id FROM scoring_routingseat s CROSS JOIN LATERAL (
                SELECT h.id FROM scoring_handoff h WHERE h.routing_rule_id = s.rule_id AND h.owner_id = s.owner_id
                ORDER BY h.id DESC LIMIT 1
            ) l
            """
        )
        return {(rule, owner): last for rule, owner, last in cursor.fetchall()}


def last_leads(owner_ids: Sequence[int]) -> dict[int, int]:
    """owner -> number of the last lead they got. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT owner_id, max(id) FROM scoring_handoff WHERE owner_id = ANY (%s::bigint[]) GROUP BY 1",
            [list(owner_ids)],
        )
        return dict(cursor.fetchall())


def best_of_backlog(
    model_id: int, *, threshold: Decimal, now: datetime, limit: int, holds: Sql | None = None
) -> list[int]:
    """Who stands over the line without having been handed over, by grade and total, the best first. One pass over the model's scores.

    `holds`: a statement of contact ids, the hand-off condition.
    """
    condition = "" if holds is None else f"AND c.id IN (SELECT id FROM ({holds.text}) AS holding(id))"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.id FROM scoring_score s JOIN leads_contact c ON c.id = s.contact_id
            CROSS JOIN LATERAL (
                SELECT COALESCE(array_agg(held.rule_key), '{{}}'::uuid[]) AS keys FROM (
                    SELECT l.rule_key FROM scoring_ledgerrow l
                    WHERE l.contact_id = c.id AND l.model_id = %s GROUP BY l.rule_key HAVING sum(l.points) > 0
                ) held
            ) met
            WHERE s.model_id = %s AND s.total >= %s AND c.stage = ANY (%s)
              AND NOT EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s AND h.state = 'open')
              AND NOT EXISTS ({SAME_REASONS.format(contact="c.id", keys="met.keys")})
              {condition}
            ORDER BY s.grade, s.total DESC, c.id LIMIT %s
            """,
            [
                model_id,
                model_id,
                threshold,
                list(BEFORE_SALES),
                model_id,
                model_id,
                now,
                *(() if holds is None else holds.params),
                limit,
            ],
        )
        return [contact for (contact,) in cursor.fetchall()]


COUNT_UP_TO = 1_000  # leads in a tab; beyond, the number is “more than”


def queue_counts(user_id: int, *, now: datetime) -> dict[str, int]:
    """Open leads: mine, unassigned, all, late; COUNT_UP_TO + 1 stands for more. One statement that reads so many index entries a tab."""
    tests = {
        "mine": "owner_id = (SELECT id FROM leads_owner WHERE user_id = %(user)s)",
        "unassigned": "owner_id IS NULL",
        "all": "TRUE",
        "late": "due_at < %(now)s",
    }
    parts = [
        f"(SELECT count(*) FROM (SELECT 1 FROM scoring_handoff WHERE state = 'open' AND {test}"
        f" ORDER BY due_at LIMIT {COUNT_UP_TO + 1}) of_{name})"
        for name, test in tests.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(parts)}", {"user": user_id, "now": now})
        return dict(zip(tests, cursor.fetchone(), strict=True))
