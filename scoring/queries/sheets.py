"""The numbers of the publish sheet and of a model's page, and who stands behind each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from scoring.queries.drafts import contributions_sql, summed_sql
from scoring.queries.handing import BEFORE_SALES, SAME_REASONS
from scoring.queries.rules import Plan, grade_sql, hundredths
from segments.conditions import Sql

BAND = 10  # points in one bar of the distribution
LOWEST_BAND, HIGHEST_BAND = -5, 15  # bars beyond stand for everything further out


def band_sql(total: str) -> str:
    """The bar of the distribution that a total (in hundredths) falls into."""
    return f"LEAST({HIGHEST_BAND}, GREATEST({LOWEST_BAND}, floor(({total}) / {BAND * 100}.0)))::integer"


# How a draft moves somebody, as the publish sheet counts them and lists them.
MOVES = {
    "rises": "after_total > before_total",
    "falls": "after_total < before_total",
    "same": "after_total = before_total",
    "regraded": "after_grade <> before_grade",
    "crosses_up": "before_total < old_line AND after_total >= new_line",
    "crosses_down": "before_total >= old_line AND after_total < new_line",
    "over_before": "before_total >= old_line",
    "over_after": "after_total >= new_line",
    "handed_over": "is_handed_over",
}


def _compared(plan: Plan, *, old_line: Decimal | None, new_line: Decimal, now: datetime) -> Sql:
    """WITH parts `contribution` and `compared`: everybody under the draft beside what is stored.

    compared (contact_id, before_total, after_total — in hundredths —, before_grade, after_grade, old_line, new_line, is_handed_over).
    Without a live version nobody stood over a line before.
    """
    given = contributions_sql(plan, None, now)
    summed = summed_sql(plan, None, now)
    condition = (
        "" if plan.hand_off is None else f"AND contact.id IN (SELECT id FROM ({plan.hand_off.text}) AS ready(id))"
    )
    text = f"""
        {given.text}, {summed.text},
        compared AS MATERIALIZED (
            SELECT contact.id AS contact_id,
                   (COALESCE(old.total, 0) * 100)::bigint AS before_total, COALESCE(s.total, 0) AS after_total,
                   COALESCE(old.grade, %s) AS before_grade,
                   {grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)} AS after_grade,
                   %s::bigint AS old_line, %s::bigint AS new_line,
                   COALESCE(s.total, 0) >= %s AND contact.stage = ANY (%s)
                   AND NOT EXISTS (SELECT FROM scoring_handoff h
                                   WHERE h.contact_id = contact.id AND h.model_id = %s AND h.state = 'open')
                   AND NOT EXISTS ({SAME_REASONS.format(contact="contact.id", keys="COALESCE(s.keys, '{}'::uuid[])")})
                   {condition} AS is_handed_over
            FROM leads_contact contact
            LEFT JOIN summed s ON s.contact_id = contact.id
            LEFT JOIN scoring_score old ON old.contact_id = contact.id AND old.model_id = %s
        )
    """
    return Sql(
        text,
        (
            *given.params,
            *summed.params,
            "D4",
            None if old_line is None else hundredths(old_line),
            hundredths(new_line),
            hundredths(new_line),
            list(BEFORE_SALES),
            plan.model_id,
            plan.model_id,
            now,
            *(() if plan.hand_off is None else plan.hand_off.params),
            plan.model_id,
        ),
    )


@dataclass(frozen=True)
class Difference:
    """What publishing a draft would do, counted over everybody."""

    moves: dict[str, int]
    contacts: int
    grades_before: dict[str, int]
    grades_after: dict[str, int]
    bands_before: dict[int, int]
    bands_after: dict[int, int]
    met: dict[UUID, int]


def compare(plan: Plan, *, old_line: Decimal | None, new_line: Decimal, now: datetime) -> Difference:
    """Exact numbers for the publish sheet. One statement over everybody; nothing is written or locked."""
    base = _compared(plan, old_line=old_line, new_line=new_line, now=now)
    moves = " UNION ALL ".join(
        f"SELECT 'move', '{key}', count(*) FROM compared WHERE {test}" for key, test in MOVES.items()
    )
    statement = f"""
        WITH {base.text}
        SELECT 'contacts' AS kind, '' AS name, count(*) AS n FROM compared
        UNION ALL {moves}
        UNION ALL SELECT 'grade before', before_grade, count(*) FROM compared GROUP BY before_grade
        UNION ALL SELECT 'grade after', after_grade, count(*) FROM compared GROUP BY after_grade
        UNION ALL SELECT 'band before', ({band_sql("before_total")})::text, count(*) FROM compared GROUP BY 2
        UNION ALL SELECT 'band after', ({band_sql("after_total")})::text, count(*) FROM compared GROUP BY 2
        UNION ALL SELECT 'met', key::text, count(*) FROM contribution WHERE points <> 0 GROUP BY key
    """
    found: dict[str, dict[str, int]] = {}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(statement, list(base.params))
        for kind, name, n in cursor.fetchall():
            found.setdefault(kind, {})[name] = int(n)
    return Difference(
        moves=found["move"],
        contacts=found["contacts"][""],
        grades_before=found.get("grade before", {}),
        grades_after=found.get("grade after", {}),
        bands_before={int(band): n for band, n in found.get("band before", {}).items()},
        bands_after={int(band): n for band, n in found.get("band after", {}).items()},
        met={UUID(rule): n for rule, n in found.get("met", {}).items()},
    )


@dataclass(frozen=True)
class Moved:
    """Somebody whom a draft moves."""

    contact_id: int
    before_total: Decimal
    after_total: Decimal
    before_grade: str
    after_grade: str


def moved_people(
    plan: Plan,
    move: str,
    *,
    old_line: Decimal | None,
    new_line: Decimal,
    now: datetime,
    limit: int,
    after: tuple[Decimal, int] | None = None,
) -> list[Moved]:
    """Who stands behind one number of the sheet, the highest new total first; `after` is the last row of the page before. One statement."""
    base = _compared(plan, old_line=old_line, new_line=new_line, now=now)
    page = "" if after is None else " AND (after_total, -contact_id) < (%s, %s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH {base.text} SELECT contact_id, before_total * 0.01, after_total * 0.01, before_grade, after_grade"
            f" FROM compared WHERE ({MOVES[move]}){page} ORDER BY after_total DESC, contact_id LIMIT %s",
            [*base.params, *([] if after is None else [hundredths(after[0]), -after[1]]), limit],
        )
        return [Moved(*values) for values in cursor.fetchall()]


def spread(model_id: int) -> tuple[dict[str, int], dict[int, int]]:
    """(grade -> people, band -> people) of everybody in one model. One statement, one pass over the scores."""
    grades: dict[str, int] = {}
    bands: dict[int, int] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT grade, {band_sql('total * 100')}, count(*) FROM scoring_score WHERE model_id = %s GROUP BY 1, 2",
            [model_id],
        )
        for grade, band, n in cursor.fetchall():
            grades[grade] = grades.get(grade, 0) + n
            bands[band] = bands.get(band, 0) + n
    return grades, bands


@dataclass(frozen=True)
class Listed:
    """A row of a list of people: contact, score, grade."""

    contact_id: int
    total: Decimal
    grade: str


def people(
    model_id: int,
    *,
    limit: int,
    grade: str = "",
    band: int | None = None,
    rule: UUID | None = None,
    at_least: Decimal | None = None,
    after: tuple[Decimal, int] | None = None,
) -> list[Listed]:
    """Who stands behind a number of the model page, the highest total first; `after` is the last row of the page before. One statement."""
    tests = ["s.model_id = %s"]
    params: list[Any] = [model_id]
    if grade:
        tests.append("s.grade = %s")
        params.append(grade)
    if band is not None:
        tests.append(f"{band_sql('s.total * 100')} = %s")
        params.append(band)
    if at_least is not None:
        tests.append("s.total >= %s")
        params.append(at_least)
    if rule is not None:
        tests.append(
            "(SELECT sum(l.points) FROM scoring_ledgerrow l WHERE l.contact_id = s.contact_id AND l.model_id = s.model_id"
            " AND l.rule_key = %s) <> 0"
        )
        params.append(rule)
    if after is not None:
        tests.append("(s.total, -s.contact_id) < (%s, %s)")
        params += [after[0], -after[1]]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT s.contact_id, s.total, s.grade FROM scoring_score s WHERE {' AND '.join(tests)}"
            " ORDER BY s.total DESC, s.contact_id LIMIT %s",
            [*params, limit],
        )
        return [Listed(*values) for values in cursor.fetchall()]


def people_count(
    model_id: int,
    *,
    grade: str = "",
    band: int | None = None,
    rule: UUID | None = None,
    at_least: Decimal | None = None,
) -> int:
    """How many `people` lists in all. One statement; for a rule from the ledger."""
    if rule is not None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM (SELECT contact_id FROM scoring_ledgerrow WHERE model_id = %s AND rule_key = %s"
                " GROUP BY contact_id HAVING sum(points) <> 0) met",
                [model_id, rule],
            )
            return int(cursor.fetchone()[0])
    tests, params = ["model_id = %s"], [model_id]
    for test, value in (
        ("grade = %s", grade or None),
        (f"{band_sql('total * 100')} = %s", band),
        ("total >= %s", at_least),
    ):
        if value is not None:
            tests.append(test)
            params.append(value)  # type: ignore[arg-type]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM scoring_score WHERE {' AND '.join(tests)}", params)
        return int(cursor.fetchone()[0])


def answers_per_rule(model_id: int) -> dict[UUID, dict[str, int]]:
    """rule key -> {handed_over, accepted, rejected, recycled, won}: the hand-offs for which it was a reason. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key, count(*), count(*) FILTER (WHERE h.state = 'accepted'), count(*) FILTER (WHERE h.state = 'rejected'),
                   count(*) FILTER (WHERE h.state = 'recycled'), count(*) FILTER (WHERE h.is_won)
            FROM (
                SELECT h.rule_keys, h.state, h.state = 'accepted' AND EXISTS (
                    SELECT FROM leads_dealcontact dc JOIN leads_deal d ON d.id = dc.deal_id
                    WHERE dc.contact_id = h.contact_id AND d.status = 'won' AND d.closed_on >= h.handed_over_at::date
                ) AS is_won
                FROM scoring_handoff h WHERE h.model_id = %s
            ) h CROSS JOIN LATERAL unnest(h.rule_keys) key
            GROUP BY key
            """,
            [model_id],
        )
        names = ("handed_over", "accepted", "rejected", "recycled", "won")
        return {key: dict(zip(names, counts, strict=True)) for key, *counts in cursor.fetchall()}
