"""What a draft would give now, had it always been live: rule by rule, and summed after caps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import connection

from scoring.queries.movements import movements_sql, stretches_of
from scoring.queries.rules import GROUPS, RULE_COLUMNS, Plan, rule_table_sql, verdicts_sql
from scoring.queries.text import Text, array_sql, values_sql
from segments.conditions import Sql


def contributions_sql(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """WITH parts up to `contribution` (contact_id, key, "group", points): what each rule of a draft gives now, had it always been live.

    Rules that count once and eras without an end; the plan must be compiled for the contacts.
    """
    text = Text()
    text.put(rule_table_sql(plan.rules), f"rule {RULE_COLUMNS} AS MATERIALIZED (", "),")
    counted = _add_counted(text, plan, contacts, now)
    text.put(
        verdicts_sql(plan, contacts),
        'contribution AS MATERIALIZED (SELECT v.contact_id, rule.key, rule."group", rule.points::bigint AS points FROM (',
        f") v JOIN rule ON rule.number = v.number {counted})",
    )
    return text.sql


def _add_counted(text: Text, plan: Plan, contacts: Sequence[int] | None, now: datetime) -> str:
    """WITH part counted, what rules per occurrence give; the text that adds it, or ''."""
    if plan.timed is None:
        return ""
    eras = plan.timed.eras
    stretches = stretches_of({era.key: number for number, era in enumerate(eras, start=1)}, eras)
    movements = movements_sql(stretches, contacts)
    if movements is None:
        return ""
    caps = array_sql(["Infinity" if era.cap is None else era.cap for era in eras], "float8")
    text.put(
        values_sql(
            [(number, era.key, era.group) for number, era in enumerate(eras, start=1)], ("smallint", "uuid", "text")
        ),
        'era (number, key, "group") AS MATERIALIZED (',
        "),",
    )
    text.put(
        movements,
        f"""
        counted AS (
            SELECT one.contact_id, era.key, era."group",
                   GREATEST(-({caps})[one.number], LEAST(({caps})[one.number], one.points))::bigint AS points
            FROM (SELECT m.contact_id, m.number, sum(m.change) AS points FROM (""",
        ") m WHERE m.at <= %s::timestamptz GROUP BY 1, 2 HAVING sum(m.change) <> 0) one JOIN era ON era.number = one.number),",
    )
    text.params.append(now)
    return 'UNION ALL SELECT contact_id, key, "group", points FROM counted'


def summed_sql(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """WITH part `summed` (contact_id, total, fit, behaviour, keys of the rules that give points) after caps, points given included."""
    assert plan.timed is not None
    limits = {cap.group: cap for cap in plan.timed.caps}

    def clamped(points: str, group: str) -> str:
        cap = limits.get(group)
        if cap is None:
            return points
        found = points if cap.least is None else f"GREATEST({points}, {cap.least})"
        return found if cap.most is None else f"LEAST({found}, {cap.most})"

    sums = {group: f"COALESCE(sum(points) FILTER (WHERE \"group\" = '{group}'), 0)" for group in GROUPS}
    groups = ", ".join(f"{clamped(points, group)} AS {group}" for group, points in sums.items())
    total = clamped(" + ".join(f"COALESCE(g.{group}, 0)" for group in GROUPS) + " + COALESCE(p.points, 0)", "total")
    of_contact = "" if contacts is None else " AND contact_id = ANY (%s::bigint[])"
    return Sql(
        f"""
        of_group AS (
            SELECT contact_id, {groups}, array_agg(key) FILTER (WHERE points > 0) AS keys FROM contribution GROUP BY 1
        ),
        given AS (
            SELECT contact_id, sum(points * 100)::bigint AS points FROM scoring_pointsgiven
            WHERE model_id = %s AND given_at <= %s AND (ends_at IS NULL OR ends_at > %s){of_contact} GROUP BY 1
        ),
        summed AS (
            SELECT contact_id, ({total})::bigint AS total, COALESCE(g.fit, 0)::bigint AS fit,
                   COALESCE(g.behaviour, 0)::bigint AS behaviour, g.keys
            FROM of_group g FULL JOIN given p USING (contact_id)
        )
        """,
        (plan.model_id, now, now, *(() if contacts is None else (list(contacts),))),
    )


def contributions(plan: Plan, contact_id: int, now: datetime) -> dict[UUID, Decimal]:
    """What each rule of a draft gives one contact now; rules that give nothing are left out. One statement."""
    parts = contributions_sql(plan, [contact_id], now)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {parts.text} SELECT key, points * 0.01 FROM contribution", list(parts.params))
        return dict(cursor.fetchall())
