"""Every rule against everybody or a batch, and the difference written to the ledger.

One form serves all: `verdicts_sql` gives (contact, rule number) for each rule that holds; `difference_sql` compares their points
with the sums in the ledger and gives one row per contact that must change; writing.py writes such rows. Points travel as whole
hundredths, since numeric arithmetic costs four times as much (LIMITS, trap 4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from leads.queries_prepared import prepared_cursor
from scoring.grades import DIGITS, LETTERS
from segments.conditions import NEAR, Sql

if TYPE_CHECKING:
    from scoring.queries.moments import Timed

GROUPS = ("fit", "behaviour", "negative", "bant")  # each a column of Score


@dataclass(frozen=True)
class CompiledRule:
    """A rule ready for a statement. `is_plain`: it reads only columns of the contact and its company."""

    key: UUID
    group: str
    points: Decimal
    predicate: Sql
    matching: Sql
    is_plain: bool
    is_edited: bool = False


@dataclass(frozen=True)
class Lines:
    fit: tuple[Decimal, ...]
    behaviour: tuple[Decimal, ...]


@dataclass(frozen=True)
class Plan:
    """What one run of a model needs: its live rules, and the keys that earlier versions left in the ledger."""

    model_id: int
    version_id: int
    rules: tuple[CompiledRule, ...]
    past_keys: tuple[tuple[UUID, str], ...]
    lines: Lines
    near: Sql | None = None  # what the batch has of the activities that its rules search; they read it as NEAR
    timed: Timed | None = None  # None: every rule counts once, nothing is capped, nobody was given points
    hand_off: Sql | None = None  # for the sheet: ids for whom the hand-off condition holds; None asks nothing more


def hundredths(points: Decimal) -> int:
    return int(points * 100)


def verdicts_sql(plan: Plan, contacts: Sequence[int] | None) -> Sql:
    """Rows (contact_id, number) of every rule that holds, numbered from 1.

    Rules on columns alone share one pass over the contacts; each other rule is a set of its own. `contacts` must be the ones
    the rules were compiled for.
    """
    rules = plan.rules
    parts: list[str] = []
    params: list[Any] = []
    plain = [(number, rule) for number, rule in enumerate(rules, start=1) if rule.is_plain]
    if plain:
        cases = ", ".join(f"CASE WHEN {rule.predicate.text} THEN {number}::smallint END" for number, rule in plain)
        only = "" if contacts is None else " WHERE contact.id = ANY (%s::bigint[])"
        parts.append(
            "SELECT contact.id AS contact_id, unnest(array_remove(ARRAY["
            f"{cases}], NULL)) AS number"
            f" FROM leads_contact contact LEFT JOIN leads_company company ON company.id = contact.company_id{only}"
        )
        params.extend(value for _, rule in plain for value in rule.predicate.params)
        if contacts is not None:
            params.append(list(contacts))
    for number, rule in enumerate(rules, start=1):
        if not rule.is_plain:
            parts.append(
                f"SELECT contact_id, {number}::smallint AS number FROM ({rule.matching.text}) AS rule_{number}(contact_id)"
            )
            params.extend(rule.matching.params)
    if not parts:
        return Sql("SELECT NULL::bigint AS contact_id, NULL::smallint AS number WHERE false", ())
    if plan.near is None:
        return Sql(" UNION ALL ".join(parts), tuple(params))
    text = f"WITH {NEAR} AS MATERIALIZED ({plan.near.text}) {' UNION ALL '.join(parts)}"
    return Sql(text, (*plan.near.params, *params))


def rule_table_sql(rules: Sequence[CompiledRule], past_keys: Sequence[tuple[UUID, str]] = ()) -> Sql:
    """VALUES rows (number, key, "group", points, is_live, is_edited); past rules follow the live ones with 0 points."""
    rows: list[tuple[Any, ...]] = [
        (number, rule.key, rule.group, hundredths(rule.points), True, rule.is_edited)
        for number, rule in enumerate(rules, start=1)
    ]
    rows += [(len(rules) + place, key, group, 0, False, False) for place, (key, group) in enumerate(past_keys, start=1)]
    if not rows:
        return Sql("SELECT 0::smallint, NULL::uuid, ''::text, 0, false, false WHERE false", ())
    row = "(%s::smallint, %s::uuid, %s::text, %s::integer, %s::boolean, %s::boolean)"
    return Sql("VALUES " + ", ".join([row] * len(rows)), tuple(value for values in rows for value in values))


RULE_COLUMNS = '(number, key, "group", points, is_live, is_edited)'


def publications_stamp() -> object:
    """Changes with each publication, since grades are read by the lines of the version live then. One statement over a small table."""
    with prepared_cursor() as cursor:
        cursor.execute(
            "SELECT count(*), max(version.id), max(version.published_at) FROM scoring_scoreversion version"
            " JOIN scoring_scoremodel model ON model.id = version.model_id"
            " WHERE version.published_at IS NOT NULL AND model.archived_at IS NULL"
        )
        return tuple(cursor.fetchone())


def grade_sql(fit: str, behaviour: str, lines: Lines) -> str:
    """SQL for a grade from two expressions in hundredths; lines are numbers, written in."""

    def place(points: str, three: Sequence[Decimal], signs: str) -> str:
        rising = ", ".join(str(hundredths(line)) for line in reversed(three))
        return f"substr('{signs[::-1]}', 1 + width_bucket(({points})::bigint, ARRAY[{rising}]::bigint[]), 1)"

    return f"{place(fit, lines.fit, LETTERS)} || {place(behaviour, lines.behaviour, DIGITS)}"


def difference_sql(plan: Plan, contacts: Sequence[int] | None) -> Sql:
    """One row per contact whose ledger or score is not what it should be.

    (contact_id, total, fit, behaviour, negative, bant — all in hundredths —, grade, is_news, numbers[], wanted[], present[], newest[])
    """
    verdicts = verdicts_sql(plan, contacts)
    table = rule_table_sql(plan.rules, plan.past_keys)
    of_contact = "" if contacts is None else " AND l.contact_id = ANY (%s::bigint[])"
    among = "" if contacts is None else " WHERE contact.id = ANY (%s::bigint[])"
    ids = () if contacts is None else (list(contacts),)
    text = f"""
        WITH rule {RULE_COLUMNS} AS MATERIALIZED ({table.text}),
        compared AS (
            SELECT contact_id, number, sum(wanted)::integer AS wanted, sum(present)::integer AS present, max(newest) AS newest
            FROM (
                SELECT v.contact_id, v.number, rule.points AS wanted, 0 AS present, NULL::timestamptz AS newest
                FROM ({verdicts.text}) v JOIN rule ON rule.number = v.number
                UNION ALL
                SELECT l.contact_id, rule.number, 0, (l.points * 100)::integer, l.counts_from
                FROM scoring_ledgerrow l JOIN rule ON rule.key = l.rule_key
                WHERE l.model_id = %s{of_contact}
            ) both_sides
            GROUP BY contact_id, number
        ),
        summed AS (
            SELECT c.contact_id, sum(c.wanted) AS total,
                   COALESCE(sum(c.wanted) FILTER (WHERE rule."group" = 'fit'), 0) AS fit,
                   COALESCE(sum(c.wanted) FILTER (WHERE rule."group" = 'behaviour'), 0) AS behaviour,
                   COALESCE(sum(c.wanted) FILTER (WHERE rule."group" = 'negative'), 0) AS negative,
                   COALESCE(sum(c.wanted) FILTER (WHERE rule."group" = 'bant'), 0) AS bant,
                   array_agg(c.number) FILTER (WHERE c.wanted <> c.present) AS numbers,
                   array_agg(c.wanted) FILTER (WHERE c.wanted <> c.present) AS wanted,
                   array_agg(c.present) FILTER (WHERE c.wanted <> c.present) AS present,
                   array_agg(c.newest) FILTER (WHERE c.wanted <> c.present) AS newest
            FROM compared c JOIN rule ON rule.number = c.number
            GROUP BY c.contact_id
        ),
        graded AS (
            SELECT contact.id AS contact_id, COALESCE(s.total, 0) AS total, COALESCE(s.fit, 0) AS fit,
                   COALESCE(s.behaviour, 0) AS behaviour, COALESCE(s.negative, 0) AS negative,
                   COALESCE(s.bant, 0) AS bant,
                   {grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)} AS grade,
                   s.numbers, s.wanted, s.present, s.newest
            FROM leads_contact contact LEFT JOIN summed s ON s.contact_id = contact.id{among}
        )
        SELECT g.contact_id, g.total, g.fit, g.behaviour, g.negative, g.bant, g.grade,
               old.contact_id IS NOT NULL OR g.fit <> 0 OR g.behaviour <> 0 OR g.negative <> 0 OR g.bant <> 0 AS is_news,
               g.numbers, g.wanted, g.present, g.newest
        FROM graded g LEFT JOIN scoring_score old ON old.contact_id = g.contact_id AND old.model_id = %s
        WHERE g.numbers IS NOT NULL OR old.contact_id IS NULL OR old.grade <> g.grade
           OR old.fit * 100 <> g.fit OR old.behaviour * 100 <> g.behaviour OR old.negative * 100 <> g.negative
           OR old.bant * 100 <> g.bant OR old.total * 100 <> g.total
    """
    return Sql(text, (*table.params, *verdicts.params, plan.model_id, *ids, *ids, plan.model_id))


def changes_of_looks(plan: Plan) -> Sql:
    """WITH parts change and met of `writing.write`, from `staged` rows of difference_sql.

    A row never counts from before the newest one of the same rule, so that a clock going back leaves no sum out of order; what
    changes twice in one moment is another revision of it.
    """
    table = rule_table_sql(plan.rules, plan.past_keys)
    return Sql(
        f"""
        rule {RULE_COLUMNS} AS MATERIALIZED ({table.text}),
        change AS MATERIALIZED (
            SELECT s.contact_id, rule.key, rule."group", u.wanted - u.present AS points, u.wanted, u.present,
                   GREATEST(%(now)s::timestamptz, u.newest) AS at,
                   CASE WHEN u.newest >= %(now)s::timestamptz THEN (
                       SELECT max(l.revision) + 1 FROM scoring_ledgerrow l WHERE l.contact_id = s.contact_id
                       AND l.model_id = %(model)s AND l.rule_key = rule.key AND l.counts_from = u.newest
                   ) ELSE 0 END AS revision,
                   %(version)s AS version_id,
                   CASE WHEN NOT rule.is_live THEN 'rule_removed'
                        WHEN u.wanted <> 0 AND u.present <> 0 THEN 'points_changed'
                        WHEN rule.is_edited THEN 'version_published'
                        WHEN u.wanted <> 0 THEN 'rule_met'
                        ELSE 'rule_no_longer_met' END AS cause,
                   false AS is_timed, NULL::bigint AS activity
            FROM staged s
            CROSS JOIN LATERAL unnest(s.numbers, s.wanted, s.present, s.newest) u(number, wanted, present, newest)
            JOIN rule ON rule.number = u.number
        ),
        met AS (SELECT key, sum((wanted <> 0)::integer - (present <> 0)::integer) AS n FROM change GROUP BY key)""",
        table.params,
    )
