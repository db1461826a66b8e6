"""Who may enter the queue now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

# Stages from which the engine hands over; whoever is further, or disqualified, stays where they are.
BEFORE_SALES = ("visitor", "subscriber", "inquiry", "recycled", "lost")


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


def candidates(
    contacts: Sequence[int], *, model_id: int, now: datetime, again: bool, news_since: datetime | None
) -> list[Candidate]:
    """Those of the locked contacts who may enter the queue now, best first. One statement.

    `again` asks nothing of the reasons. `news_since`: only people who met a rule since then by something they did or became.
    """
    same = "" if again else f"AND NOT EXISTS ({SAME_REASONS.format(contact='c.id', keys='met.keys')})"
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
                *(() if again else (model_id, now)),
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
