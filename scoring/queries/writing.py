"""Writing a difference that was found: ledger, scores, due moments, head-counts, marks. One form for every way to find it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from leads.models import Mark
from scoring.queries.moments import changes_by_moments
from scoring.queries.rules import GROUPS, Plan, changes_of_looks
from segments.conditions import Sql

SUMS = ("total", *GROUPS)


@dataclass(frozen=True)
class Written:
    """Contacts whose score changed, ledger rows, and the contacts' ids when a batch asked."""

    contacts: int = 0
    rows: int = 0
    ids: tuple[int, ...] = ()

    def __add__(self, other: Written) -> Written:
        return Written(self.contacts + other.contacts, self.rows + other.rows, self.ids + other.ids)


def positional(statement: str, values: Mapping[str, Any], *, before: Sequence[Any]) -> tuple[str, list[Any]]:
    """Turn %(name)s into %s with the values in order; `before` belongs to the plain %s, all of which come first."""
    pieces = re.split(r"%\((\w+)\)s", statement)
    return "%s".join(pieces[::2]), [*before, *(values[name] for name in pieces[1::2])]


def write(plan: Plan, rows: Sql, *, now: datetime, mark_over: int | None, tell: bool) -> Written:
    """Write rows of a difference: ledger, scores, due moments, head-counts of the rules, marks. One statement; the caller holds the model's lock.

    The ledger's key refuses a row that somebody else has written. Contacts deleted since the staging are left out.
    Marks (facet “definition”): None = nobody, else news whose total is at least so many hundredths.
    """
    is_timed = plan.timed is not None
    changes = changes_by_moments(plan) if is_timed else changes_of_looks(plan)
    moments = "moments" if is_timed else "newest"
    statement = f"""
        WITH staged AS MATERIALIZED (
            SELECT r.* FROM ({rows.text}) r JOIN leads_contact contact ON contact.id = r.contact_id ORDER BY r.contact_id
        ),
        {changes.text},
        ledger AS (
            INSERT INTO scoring_ledgerrow
                (contact_id, model_id, rule_key, counts_from, revision, version_id, "group", points, recorded_at, cause, is_timed, activity_id)
            SELECT contact_id, %(model)s, key, at, revision, version_id, "group", points * 0.01, %(now)s, cause, is_timed, activity
            FROM change
            RETURNING contact_id
        ),
        score AS (
            INSERT INTO scoring_score AS old (contact_id, model_id, {", ".join(SUMS)}, grade, computed_at)
            SELECT contact_id, %(model)s, {", ".join(f"{name} * 0.01" for name in SUMS)}, grade,
                   GREATEST(%(now)s::timestamptz, (SELECT max(moment) FROM unnest({moments}) moment))
            FROM staged WHERE is_news OR NOT EXISTS (
                SELECT FROM scoring_score there WHERE there.contact_id = staged.contact_id AND there.model_id = %(model)s)
            ON CONFLICT (contact_id, model_id) DO UPDATE SET
                {", ".join(f"{name} = excluded.{name}" for name in SUMS)}, grade = excluded.grade, computed_at = GREATEST(old.computed_at, excluded.computed_at)
        ),
        {_DUE if is_timed else ""}
        counted AS (
            UPDATE scoring_rule SET met_count = met_count + met.n FROM met
            WHERE scoring_rule.version_id = %(version)s AND scoring_rule.key = met.key AND met.n <> 0
        ),
        marked AS (
            INSERT INTO leads_mark (contact_id, facet)
            SELECT contact_id, %(facet)s FROM staged WHERE is_news AND total >= %(mark_over)s
        )
        SELECT (SELECT count(*) FROM staged WHERE is_news), (SELECT count(*) FROM ledger),
               CASE WHEN %(tell)s THEN (SELECT array_agg(contact_id ORDER BY contact_id) FROM staged WHERE is_news) END
    """
    values = {
        "now": now,
        "model": plan.model_id,
        "version": plan.version_id,
        "facet": int(Mark.Facet.DEFINITION),
        "mark_over": mark_over,
        "tell": tell,
    }
    text, params = positional(statement, values, before=(*rows.params, *changes.params))
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        contacts, ledger_rows, ids = cursor.fetchone()
    return Written(int(contacts), int(ledger_rows), tuple(ids or ()))


_DUE = """
        not_due AS (
            DELETE FROM scoring_scoredue d USING staged s
            WHERE d.contact_id = s.contact_id AND d.model_id = %(model)s AND s.due_at IS NULL
        ),
        due AS (
            INSERT INTO scoring_scoredue AS old (contact_id, model_id, due_at)
            SELECT contact_id, %(model)s, due_at FROM staged WHERE due_at IS NOT NULL
            ON CONFLICT (contact_id, model_id) DO UPDATE SET due_at = excluded.due_at WHERE old.due_at <> excluded.due_at
        ),
"""
