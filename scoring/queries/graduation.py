"""Who graduates, and how long people stay in a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from leads.lifecycle import DETOURS
from scoring.queries.cards import NOT_THEIRS
from segments.conditions import Sql


@dataclass(frozen=True)
class Move:
    """One rule ready for a statement: who meets it, out of which stages it takes people, which stages lie at or beyond its target.

    `sparing`: the id of a rule that leaves people where they are who met it when it was saved.
    """

    matching: Sql
    from_stages: tuple[str, ...]
    beyond: tuple[str, ...]
    sparing: int | None = None


# Whoever was moved back from there, or stands in a detour, must have done something since: a person's decision stands until then.
_NEWS = """
    EXISTS (SELECT FROM leads_activity a JOIN leads_activitykind kind ON kind.id = a.kind_id
            WHERE a.contact_id = c.id AND a.occurred_at > {since} AND a.occurred_at <= %s AND kind.slug <> ALL (%s))
"""


def movers_sql(moves: Sequence[Move], now: datetime) -> Sql:
    """Rows (contact_id, number, stage): who moves by which rule, numbered from 1; the first rule that holds decides."""
    parts: list[str] = []
    params: list[object] = []
    for number, move in enumerate(moves, start=1):
        parts.append(
            f"""
            SELECT c.id AS contact_id, {number}::smallint AS number, c.stage
            FROM ({move.matching.text}) AS met_{number}(contact_id) JOIN leads_contact c ON c.id = met_{number}.contact_id
            WHERE c.stage = ANY (%s)
              AND (c.stage <> ALL (%s) OR {_NEWS.format(since="c.stage_since")})
              AND NOT EXISTS (
                  SELECT FROM leads_stagemove back
                  WHERE back.contact_id = c.id AND back.from_stage = ANY (%s) AND back.to_stage <> ALL (%s) AND back.moved_at <= %s
                    AND NOT {_NEWS.format(since="back.moved_at")}
              )
            """
        )
        passive = [now, list(NOT_THEIRS)]
        params += [*move.matching.params, list(move.from_stages), sorted(DETOURS), *passive]
        params += [list(move.beyond), list(move.beyond), now, *passive]
        if move.sparing is not None:
            parts[-1] += f"""
              AND NOT EXISTS (
                  SELECT FROM scoring_graduationspared spared
                  WHERE spared.rule_id = %s AND spared.contact_id = c.id AND NOT {_NEWS.format(since="spared.since")}
              )
            """
            params += [move.sparing, *passive]
    if not parts:
        return Sql("SELECT NULL::bigint AS contact_id, NULL::smallint AS number, NULL::text AS stage WHERE false", ())
    text = f"SELECT DISTINCT ON (contact_id) contact_id, number, stage FROM ({' UNION ALL '.join(parts)}) found ORDER BY contact_id, number"
    return Sql(text, tuple(params))


def movers(moves: Sequence[Move], now: datetime) -> list[tuple[int, int]]:
    """(contact, number of the rule) of everybody, or of the batch the rules were compiled for, who moves. One statement."""
    found = movers_sql(moves, now)
    with connection.cursor() as cursor:
        cursor.execute(found.text, list(found.params))
        return [(contact, number) for contact, number, _stage in cursor.fetchall()]


def movers_by_stage(moves: Sequence[Move], now: datetime, *, sample: int) -> tuple[dict[str, int], list[int]]:
    """(stage they stand in -> how many would move, ids of some of them). One statement, nothing is written."""
    found = movers_sql(moves, now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH found AS MATERIALIZED ({found.text})
            SELECT stage, count(*), NULL::bigint[] FROM found GROUP BY stage
            UNION ALL SELECT NULL, NULL, array_agg(contact_id) FROM (SELECT contact_id FROM found LIMIT %s) listed
            """,
            [*found.params, sample],
        )
        counts: dict[str, int] = {}
        some: list[int] = []
        for stage, n, ids in cursor.fetchall():
            if stage is None:
                some = list(ids or ())
            else:
                counts[stage] = int(n)
        return counts, some


def spare(rule_id: int, move: Move, now: datetime) -> int:
    """People whom the rule would move now and shall not. One statement over everybody."""
    found = movers_sql([move], now)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO scoring_graduationspared (rule_id, contact_id, since)
            SELECT %s, contact_id, %s FROM ({found.text}) found ORDER BY contact_id
            """,
            [rule_id, now, *found.params],
        )
        return int(cursor.rowcount)


def back_again(since: datetime, until: datetime) -> list[int]:
    """Contacts that were moved or spared at some time and did something between two moments: a rule may take them. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT a.contact_id FROM leads_activity a
            WHERE a.occurred_at > %s AND a.occurred_at <= %s
              AND (EXISTS (SELECT FROM leads_stagemove m WHERE m.contact_id = a.contact_id AND m.moved_at < a.occurred_at)
                   OR EXISTS (SELECT FROM scoring_graduationspared s WHERE s.contact_id = a.contact_id AND s.since < a.occurred_at))
            """,
            [since, until],
        )
        return [contact for (contact,) in cursor.fetchall()]


def moved_by_cause(since: datetime) -> dict[str, int]:
    """cause -> people moved by a graduation rule since then. One statement along the index of arrivals."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.cause, count(DISTINCT m.contact_id) FROM leads_stage s JOIN leads_stagemove m ON m.to_stage = s.slug"
            " WHERE m.moved_at >= %s AND m.cause LIKE 'rule:%%' GROUP BY m.cause",
            [since],
        )
        return {cause: int(n) for cause, n in cursor.fetchall()}


@dataclass(frozen=True)
class Stay:
    """How long people stayed in a stage before they left it, and how many stand in it now."""

    stage: str
    left: int
    median: timedelta | None
    nine_in_ten: timedelta | None
    here: int


def stays(*, since: datetime, until: datetime) -> list[Stay]:
    """Each stage with the median stay of those who left it between two moments. One statement: a pass over those moves, a step down
    the index of the history for each, and one count of the contacts by stage."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH stay AS (
                SELECT m.from_stage AS stage, date_part('epoch', m.moved_at - COALESCE(before.moved_at, c.created_at)) AS seconds
                FROM leads_stagemove m JOIN leads_contact c ON c.id = m.contact_id
                LEFT JOIN LATERAL (
                    SELECT b.moved_at FROM leads_stagemove b
                    WHERE b.contact_id = m.contact_id AND (b.moved_at, b.id) < (m.moved_at, m.id)
                    ORDER BY b.moved_at DESC, b.id DESC LIMIT 1
                ) before ON true
                WHERE m.moved_at >= %s AND m.moved_at <= %s
            ),
            told AS (
                SELECT stage, count(*) AS n, percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY GREATEST(seconds, 0)) AS lines
                FROM stay GROUP BY stage
            ),
            here AS (SELECT stage, count(*) AS n FROM leads_contact GROUP BY stage)
            SELECT s.slug, COALESCE(t.n, 0), t.lines[1], t.lines[2], COALESCE(h.n, 0)
            FROM leads_stage s LEFT JOIN told t ON t.stage = s.slug LEFT JOIN here h ON h.stage = s.slug ORDER BY s.position
            """,
            [since, until],
        )
        return [
            Stay(stage, left, _span(median), _span(most), here) for stage, left, median, most, here in cursor.fetchall()
        ]


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def lone_mqls(contacts: Sequence[int], *, model_id: int) -> list[tuple[int, str]]:
    """(contact, cause) of those whom a graduation rule made MQL and whom nobody handed to sales since. One statement along indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, m.cause FROM leads_contact c
            JOIN LATERAL (
                SELECT cause FROM leads_stagemove m WHERE m.contact_id = c.id ORDER BY m.moved_at DESC, m.id DESC LIMIT 1
            ) m ON m.cause LIKE 'rule:%%'
            WHERE c.id = ANY (%s::bigint[]) AND c.stage = 'mql'
              AND EXISTS (SELECT FROM scoring_score s WHERE s.contact_id = c.id AND s.model_id = %s)
              AND NOT EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.handed_over_at >= c.stage_since)
            ORDER BY m.cause, c.id
            """,
            [list(contacts), model_id],
        )
        return list(cursor.fetchall())
