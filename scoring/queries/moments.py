"""The ledger by moments: rules per occurrence, points given, and caps, beside the rules that a look sees met or not.

What such a contribution is at every moment up to now follows from stored facts, so it is worked out in full and compared with the
ledger moment by moment: an activity that came late writes rows at its own moment, and where a cap held, further rows at the
moments after it. Rules that count once are compared by sum, as in rules.py. Caps are worked out last, over all rows of their
group, old and new. One statement gives the difference of everybody or a batch, one writes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import NAMESPACE_URL, UUID, uuid5

from django.db import connection

from leads.models import Mark
from scoring.queries.rules import (
    GROUPS,
    RULE_COLUMNS,
    Plan,
    Written,
    grade_sql,
    positional,
    rule_table_sql,
    verdicts_sql,
)
from segments.conditions import Sql

CAPPED = (*GROUPS, "total")
CAP_KEYS: dict[str, UUID] = {group: uuid5(NAMESPACE_URL, f"ripen:cap:{group}") for group in CAPPED}


@dataclass(frozen=True)
class Era:
    """How a rule per occurrence counted between two publications. None: from the beginning; until now.

    `steps`: (after the activity, change in hundredths, cause). `rows`: SELECT (contact_id, occurred_at, id) of the activities;
    None when there can be none.
    """

    key: UUID
    group: str
    rows: Sql | None
    steps: tuple[tuple[timedelta, int, str], ...]
    first_n: int | None = None
    cap: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    since_cause: str = "version_published"
    until_cause: str = "rule_removed"


@dataclass(frozen=True)
class CapEra:
    """The limits of a group, or of “total”, in hundredths, from a publication on (None: from the beginning) until the next era's."""

    group: str
    since: datetime | None
    least: int | None
    most: int | None


@dataclass(frozen=True)
class Timed:
    """What a model's plan holds besides rules that count once. `versions`: (live since, id), oldest first."""

    eras: tuple[Era, ...]
    caps: tuple[CapEra, ...]
    versions: tuple[tuple[datetime, int], ...]


def points_given_exist(model_id: int) -> bool:
    """Whether anybody was ever given points in the model. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM scoring_pointsgiven WHERE model_id = %s)", [model_id])
        return bool(cursor.fetchone()[0])


def due_contacts(model_id: int, now: datetime, limit: int) -> list[int]:
    """Contacts with a known moment that has come, at most so many. One statement along an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contact_id FROM scoring_scoredue WHERE model_id = %s AND due_at <= %s ORDER BY due_at LIMIT %s",
            [model_id, now, limit],
        )
        return sorted(contact for (contact,) in cursor.fetchall())


class _Text:
    """A statement in pieces with its parameters in order."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: list[object] = []

    def add(self, text: str, *params: object) -> None:
        self.parts.append(text)
        self.params += params

    @property
    def sql(self) -> Sql:
        return Sql("\n".join(self.parts), tuple(self.params))


# --- what the rules per occurrence and the points given contribute --------------------------------------------------------------


def _sources(eras: Sequence[Era]) -> tuple[list[Sql], list[int]]:
    """Distinct searches of activities, and the number of the search of each era; 0 for none."""
    found: list[Sql] = []
    numbers: list[int] = []
    for era in eras:
        if era.rows is None:
            numbers.append(0)
            continue
        if era.rows not in found:
            found.append(era.rows)
        numbers.append(found.index(era.rows) + 1)
    return found, numbers


def _values(rows: Sequence[Sequence[object]], types: Sequence[str]) -> Sql:
    """VALUES with typed columns; no row at all where there is none."""
    if not rows:
        return Sql("SELECT " + ", ".join(f"NULL::{one}" for one in types) + " WHERE false", ())
    row = "(" + ", ".join(f"%s::{one}" for one in types) + ")"
    return Sql("VALUES " + ", ".join([row] * len(rows)), tuple(value for values in rows for value in values))


def occurrence_parts(eras: Sequence[Era]) -> _Text:
    """WITH parts era, step and moved: (era, contact_id, at, change, activity, rank), before caps, without an end.

    rank: 0 something happened, 1 it lapsed, 2 it decayed; what happened before an era began counts from its beginning.
    """
    sources, numbers = _sources(eras)
    text = _Text()
    table = _values(
        [
            (place, number, era.key, era.group, era.since, era.until, era.cap, era.since_cause, era.until_cause)
            for place, (era, number) in enumerate(zip(eras, numbers, strict=True), start=1)
        ],
        ("smallint", "smallint", "uuid", "text", "timestamptz", "timestamptz", "bigint", "text", "text"),
    )
    text.add(
        f'era (era, source, key, "group", since, until, cap, since_cause, until_cause) AS MATERIALIZED ({table.text}),',
        *table.params,
    )
    ranks = {"activity": 0, "lapsed": 1, "decayed": 2}
    step_rows = [
        (place, after, change, ranks[cause], era.first_n)
        for place, era in enumerate(eras, start=1)
        for after, change, cause in era.steps
    ]
    table = _values(step_rows, ("smallint", "interval", "bigint", "smallint", "integer"))
    text.add(f"step (era, after, change, rank, first_n) AS MATERIALIZED ({table.text}),", *table.params)
    has_first = any(era.first_n is not None for era in eras)
    place = (
        "row_number() OVER (PARTITION BY found.source, found.contact_id ORDER BY found.at, found.id)"
        if has_first
        else "NULL::bigint"
    )
    nothing = Sql("SELECT NULL::bigint, NULL::timestamptz, NULL::bigint WHERE false", ())
    text.add(f"occurrence AS MATERIALIZED (SELECT found.*, {place} AS place FROM (")
    for number, source in enumerate(sources or [nothing], start=1):
        text.add("UNION ALL" if number > 1 else "")
        text.add(
            f"SELECT {number}::smallint AS source, one.* FROM ({source.text}) AS one(contact_id, at, id)",
            *source.params,
        )
    text.add(") found),")
    text.add(
        """
        moved AS (
            SELECT era.era, o.contact_id, GREATEST(o.at + step.after, era.since) AS at, sum(step.change) AS change,
                   max(o.id) FILTER (WHERE step.rank = 0 AND (era.since IS NULL OR o.at >= era.since)) AS activity,
                   min(CASE WHEN o.at + step.after >= COALESCE(era.since, '-infinity') THEN step.rank END) AS rank
            FROM occurrence o
            JOIN era ON era.source = o.source
            JOIN step ON step.era = era.era AND (step.first_n IS NULL OR o.place <= step.first_n)
            GROUP BY 1, 2, 3
        ),
        """
    )
    return text


def _add_wanted(text: _Text, plan: Plan, contacts: Sequence[int] | None, now: datetime) -> None:
    """WITH parts delta (every change of every era and of points given, those to come too) and wanted (up to now)."""
    assert plan.timed is not None
    parts = occurrence_parts(plan.timed.eras)
    text.add("\n".join(parts.parts), *parts.params)
    of_contact = "" if contacts is None else " AND g.contact_id = ANY (%s::bigint[])"
    ids = () if contacts is None else (list(contacts),)
    text.add(
        f"""
        ended AS (
            SELECT era, contact_id, at, change, activity, rank FROM moved
            UNION ALL
            SELECT DISTINCT era.era, o.contact_id, era.until, 0::numeric, NULL::bigint, NULL::smallint
            FROM occurrence o JOIN era ON era.source = o.source WHERE era.until IS NOT NULL
        ),
        level AS (
            SELECT e.era, e.contact_id, e.at, e.activity, e.rank, era.key, era."group", era.since, era.until, era.since_cause, era.until_cause,
                   CASE WHEN e.at >= era.until THEN 0
                        ELSE GREATEST(-era.cap, LEAST(era.cap, sum(e.change) OVER past)) END AS level
            FROM ended e JOIN era ON era.era = e.era
            WHERE era.until IS NULL OR e.at <= era.until
            WINDOW past AS (PARTITION BY e.era, e.contact_id ORDER BY e.at RANGE UNBOUNDED PRECEDING)
        ),
        delta AS (
            SELECT contact_id, key, "group", at, level - lag(level, 1, 0::numeric) OVER (PARTITION BY era, contact_id ORDER BY at) AS change,
                   activity,
                   CASE WHEN at = until THEN until_cause WHEN rank IS NULL OR at = since THEN since_cause
                        WHEN rank = 0 THEN 'activity' WHEN rank = 1 THEN 'lapsed' ELSE 'decayed' END AS cause
            FROM level
            UNION ALL
            SELECT g.contact_id, g.key, 'given', moment.at, moment.change, NULL, moment.cause
            FROM scoring_pointsgiven g
            CROSS JOIN LATERAL (VALUES (g.given_at, g.points * 100, 'given'), (g.ends_at, -g.points * 100, 'given_lapsed'))
                AS moment(at, change, cause)
            WHERE g.model_id = %s AND moment.at IS NOT NULL AND (g.ends_at IS NULL OR g.ends_at > g.given_at){of_contact}
        ),
        wanted AS (
            SELECT contact_id, key, "group", at, sum(change)::bigint AS points, max(activity) AS activity,
                   max(cause) FILTER (WHERE change <> 0) AS cause
            FROM delta WHERE at <= %s::timestamptz AND change <> 0 GROUP BY 1, 2, 3, 4
        ),
        due AS (SELECT contact_id, min(at) AS due_at FROM delta WHERE at > %s::timestamptz AND change <> 0 GROUP BY 1),
        """,
        plan.model_id,
        *ids,
        now,
        now,
    )


# --- caps -----------------------------------------------------------------------------------------------------------------------


def _add_caps(text: _Text, plan: Plan, now: datetime) -> str:
    """WITH parts of the caps of groups, then of the total; the name of the part with what they change, or ''."""
    assert plan.timed is not None
    if not plan.timed.caps:
        return ""
    table = _values(
        [(CAP_KEYS[cap.group], cap.group, cap.since, cap.least, cap.most) for cap in plan.timed.caps],
        ("uuid", "text", "timestamptz", "bigint", "bigint"),
    )
    text.add(
        f"""
        bound AS MATERIALIZED (
            SELECT key, "group", COALESCE(since, '-infinity') AS since, least, most
            FROM ({table.text}) AS one(key, "group", since, least, most)
        ),
        flow AS MATERIALIZED (
            SELECT contact_id, "group", at, sum(points) AS points FROM (
                SELECT contact_id, "group", at, points FROM held WHERE NOT key = ANY (%s::uuid[])
                UNION ALL SELECT contact_id, "group", at, points FROM rule_change
            ) one GROUP BY 1, 2, 3
        ),
        """,
        *table.params,
        list(CAP_KEYS.values()),
    )
    _add_tier(text, "of_group", 'SELECT contact_id, "group", at, points FROM flow', "<> 'total'", now)
    _add_tier(
        text,
        "of_total",
        "SELECT contact_id, 'total' AS \"group\", at, points FROM flow"
        " UNION ALL SELECT contact_id, 'total', at, points FROM of_group_wanted",
        "= 'total'",
        now,
    )
    text.add(
        """
        cap_change AS (
            SELECT contact_id, key, "group", at, sum(points) AS points FROM (
                SELECT contact_id, key, "group", at, points FROM of_group_wanted
                UNION ALL SELECT contact_id, key, "group", at, points FROM of_total_wanted
                UNION ALL SELECT contact_id, key, "group", at, -points FROM held WHERE key = ANY (%s::uuid[])
            ) both_sides GROUP BY 1, 2, 3, 4 HAVING sum(points) <> 0
        ),
        """,
        list(CAP_KEYS.values()),
    )
    return "cap_change"


def _add_tier(text: _Text, name: str, flow: str, which: str, now: datetime) -> None:
    """WITH part <name>_wanted: what the caps of a tier take or add at each moment, given the changes below them."""
    text.add(
        f"""
        {name}_moment AS (
            SELECT contact_id, "group", at, sum(points) AS points FROM (
                SELECT f.* FROM ({flow}) f WHERE f."group" IN (SELECT "group" FROM bound WHERE "group" {which})
                UNION ALL
                SELECT who.contact_id, bound."group", bound.since, 0
                FROM (SELECT DISTINCT f.contact_id, f."group" FROM ({flow}) f) who
                JOIN bound ON bound."group" = who."group" AND bound."group" {which}
                WHERE bound.since > '-infinity' AND bound.since <= %s::timestamptz
            ) one GROUP BY 1, 2, 3
        ),
        {name}_raw AS (
            SELECT contact_id, "group", at, sum(points) OVER (PARTITION BY contact_id, "group" ORDER BY at) AS raw FROM {name}_moment
        ),
        {name}_level AS (
            SELECT r.contact_id, b.key, r."group", r.at, LEAST(GREATEST(r.raw, b.least), b.most) - r.raw AS level
            FROM {name}_raw r CROSS JOIN LATERAL (
                SELECT bound.key, bound.least, bound.most FROM bound
                WHERE bound."group" = r."group" AND bound.since <= r.at ORDER BY bound.since DESC LIMIT 1
            ) b
        ),
        {name}_wanted AS (
            SELECT * FROM (
                SELECT contact_id, key, "group", at,
                       level - lag(level, 1, 0::numeric) OVER (PARTITION BY contact_id, "group" ORDER BY at) AS points
                FROM {name}_level
            ) each WHERE points <> 0
        ),
        """,
        now,
    )


# --- the difference -------------------------------------------------------------------------------------------------------------


def difference_by_moments(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """One row per contact whose ledger, score or due moment is not what it should be.

    (contact_id, total and each group in hundredths, grade, is_news, due_at, and arrays of the ledger rows to
    write: keys, groups, points, moments, revisions, timed, causes, activities, met: how the rule's head-count changes)
    """
    assert plan.timed is not None
    text = _Text()
    table = rule_table_sql(plan.rules, plan.past_keys)
    verdicts = verdicts_sql(plan.rules, contacts)
    of_contact = "" if contacts is None else " AND l.contact_id = ANY (%s::bigint[])"
    among = "" if contacts is None else " WHERE contact.id = ANY (%s::bigint[])"
    ids = () if contacts is None else (list(contacts),)
    text.add(f"WITH rule {RULE_COLUMNS} AS MATERIALIZED ({table.text}),", *table.params)
    text.add(
        f"""
        held AS MATERIALIZED (
            SELECT l.contact_id, l.rule_key AS key, l."group", l.is_timed, l.counts_from AS at,
                   sum((l.points * 100)::bigint) AS points, count(*) AS times
            FROM scoring_ledgerrow l WHERE l.model_id = %s{of_contact} GROUP BY 1, 2, 3, 4, 5
        ),
        look AS (
            SELECT contact_id, number, sum(wanted) AS wanted, sum(present) AS present, max(newest) AS newest
            FROM (
                SELECT v.contact_id, v.number, rule.points::bigint AS wanted, 0::bigint AS present, NULL::timestamptz AS newest
                FROM ({verdicts.text}) v JOIN rule ON rule.number = v.number
                UNION ALL
                SELECT held.contact_id, rule.number, 0, held.points, held.at
                FROM held JOIN rule ON rule.key = held.key WHERE NOT held.is_timed
            ) both_sides GROUP BY 1, 2
        ),
        """,
        plan.model_id,
        *ids,
        *verdicts.params,
    )
    _add_wanted(text, plan, contacts, now)
    text.add(
        """
        rule_change AS MATERIALIZED (
            SELECT look.contact_id, rule.key, rule."group", GREATEST(%s::timestamptz, look.newest) AS at,
                   look.wanted - look.present AS points, false AS is_timed, NULL::bigint AS activity,
                   CASE WHEN rule.key IN (SELECT key FROM era WHERE until IS NULL) THEN 'version_published'
                        WHEN NOT rule.is_live THEN 'rule_removed'
                        WHEN look.wanted <> 0 AND look.present <> 0 THEN 'points_changed'
                        WHEN rule.is_edited THEN 'version_published'
                        WHEN look.wanted <> 0 THEN 'rule_met'
                        ELSE 'rule_no_longer_met' END AS cause
            FROM look JOIN rule ON rule.number = look.number WHERE look.wanted <> look.present
            UNION ALL
            SELECT contact_id, key, "group", at, sum(points), true, max(activity), COALESCE(max(cause), 'corrected')
            FROM (
                SELECT contact_id, key, "group", at, points, activity, cause FROM wanted
                UNION ALL
                SELECT contact_id, key, "group", at, -points, NULL, NULL FROM held
                WHERE is_timed AND NOT key = ANY (%s::uuid[])
            ) both_sides GROUP BY contact_id, key, "group", at HAVING sum(points) <> 0
        ),
        """,
        now,
        list(CAP_KEYS.values()),
    )
    capped = _add_caps(text, plan, now)
    caps = (
        f"UNION ALL SELECT contact_id, key, \"group\", at, points, true, NULL, 'capped' FROM {capped}" if capped else ""
    )
    grade = grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)
    sums = ", ".join(f"COALESCE(sum(points) FILTER (WHERE \"group\" = '{group}'), 0) AS {group}" for group in GROUPS)
    stored = ", ".join(f"COALESCE(s.{name}, 0)::bigint AS {name}" for name in ("total", *GROUPS))
    differs = " OR ".join(f"old.{name} * 100 <> COALESCE(s.{name}, 0)" for name in ("total", *GROUPS))
    text.add(
        f"""
        change AS MATERIALIZED (
            SELECT contact_id, key, "group", at, points, is_timed, activity, cause FROM rule_change {caps}
        ),
        summed AS (
            SELECT contact_id, sum(points) AS total, {sums} FROM (
                SELECT contact_id, "group", points FROM held UNION ALL SELECT contact_id, "group", points FROM change
            ) every GROUP BY 1
        ),
        stood AS (SELECT contact_id, key, sum(points) AS points FROM held GROUP BY 1, 2),
        rows_there AS (SELECT contact_id, key, at, sum(times) AS times FROM held GROUP BY 1, 2, 3),
        written AS (
            SELECT c.*, stood.points AS before, sum(c.points) OVER (PARTITION BY c.contact_id, c.key) AS more,
                   row_number() OVER (PARTITION BY c.contact_id, c.key ORDER BY c.at, c.is_timed) AS place,
                   COALESCE(there.times, 0) + row_number() OVER (PARTITION BY c.contact_id, c.key, c.at ORDER BY c.is_timed) - 1 AS revision
            FROM change c
            LEFT JOIN stood ON stood.contact_id = c.contact_id AND stood.key = c.key
            LEFT JOIN rows_there there ON there.contact_id = c.contact_id AND there.key = c.key AND there.at = c.at
        ),
        gathered AS (
            SELECT contact_id, array_agg(key) AS keys, array_agg("group"::text) AS groups, array_agg(points::bigint) AS points,
                   array_agg(at) AS moments, array_agg(revision::smallint) AS revisions, array_agg(is_timed) AS timed,
                   array_agg(cause::text) AS causes, array_agg(activity) AS activities,
                   array_agg(CASE WHEN place = 1 THEN (COALESCE(before, 0) + more <> 0)::integer - (COALESCE(before, 0) <> 0)::integer
                                  ELSE 0 END) AS met
            FROM written GROUP BY 1
        )
        SELECT contact.id AS contact_id, {stored}, {grade} AS grade,
               (g.keys IS NOT NULL OR old.contact_id IS NULL OR old.grade <> {grade} OR {differs})
               AND (old.contact_id IS NOT NULL OR g.keys IS NOT NULL) AS is_news,
               due.due_at, g.keys, g.groups, g.points, g.moments, g.revisions, g.timed, g.causes, g.activities, g.met
        FROM leads_contact contact
        LEFT JOIN summed s ON s.contact_id = contact.id
        LEFT JOIN gathered g ON g.contact_id = contact.id
        LEFT JOIN due ON due.contact_id = contact.id
        LEFT JOIN scoring_score old ON old.contact_id = contact.id AND old.model_id = %s
        LEFT JOIN scoring_scoredue next ON next.contact_id = contact.id AND next.model_id = %s
        WHERE (g.keys IS NOT NULL OR old.contact_id IS NULL OR old.grade <> {grade} OR {differs}
               OR due.due_at IS DISTINCT FROM next.due_at)
        {among.replace(" WHERE", " AND")}
        """,
        plan.model_id,
        plan.model_id,
        *ids,
    )
    return text.sql


def write_by_moments(plan: Plan, rows: Sql, *, now: datetime, mark_over: int | None, tell: bool) -> Written:
    """Write what difference_by_moments found: ledger, scores, due moments, head-counts, marks. One statement; the caller holds the lock.

    The ledger's key refuses a row that somebody else has written. Contacts deleted since the staging are left out.
    """
    assert plan.timed is not None
    sums = ("total", *GROUPS)
    versions = _values(list(plan.timed.versions), ("timestamptz", "bigint"))
    statement = f"""
        WITH version (since, id) AS MATERIALIZED ({versions.text}),
        staged AS MATERIALIZED (
            SELECT r.* FROM ({rows.text}) r JOIN leads_contact contact ON contact.id = r.contact_id ORDER BY r.contact_id
        ),
        change AS MATERIALIZED (
            SELECT s.contact_id, u.* FROM staged s
            CROSS JOIN LATERAL unnest(s.keys, s.groups, s.points, s.moments, s.revisions, s.timed, s.causes, s.activities, s.met)
                AS u(key, "group", points, at, revision, is_timed, cause, activity, met)
        ),
        ledger AS (
            INSERT INTO scoring_ledgerrow
                (contact_id, model_id, rule_key, counts_from, revision, version_id, "group", points, recorded_at, cause, is_timed, activity_id)
            SELECT contact_id, %(model)s, key, at, revision,
                   COALESCE((SELECT v.id FROM version v WHERE v.since <= at ORDER BY v.since DESC LIMIT 1),
                            (SELECT v.id FROM version v ORDER BY v.since LIMIT 1), %(version)s),
                   "group", points * 0.01, %(now)s, cause, is_timed, activity
            FROM change
            RETURNING contact_id
        ),
        score AS (
            INSERT INTO scoring_score AS old
                (contact_id, model_id, {", ".join(sums)}, grade, computed_at)
            SELECT contact_id, %(model)s, {", ".join(f"{name} * 0.01" for name in sums)}, grade,
                   GREATEST(%(now)s::timestamptz, (SELECT max(moment) FROM unnest(moments) moment))
            FROM staged WHERE is_news OR NOT EXISTS (
                SELECT FROM scoring_score there WHERE there.contact_id = staged.contact_id AND there.model_id = %(model)s)
            ON CONFLICT (contact_id, model_id) DO UPDATE SET
                {", ".join(f"{name} = excluded.{name}" for name in sums)}, grade = excluded.grade, computed_at = GREATEST(old.computed_at, excluded.computed_at)
        ),
        not_due AS (
            DELETE FROM scoring_scoredue d USING staged s
            WHERE d.contact_id = s.contact_id AND d.model_id = %(model)s AND s.due_at IS NULL
        ),
        due AS (
            INSERT INTO scoring_scoredue AS old (contact_id, model_id, due_at)
            SELECT contact_id, %(model)s, due_at FROM staged WHERE due_at IS NOT NULL
            ON CONFLICT (contact_id, model_id) DO UPDATE SET due_at = excluded.due_at WHERE old.due_at <> excluded.due_at
        ),
        counted AS (
            UPDATE scoring_rule SET met_count = met_count + moved.n
            FROM (SELECT key, sum(met) AS n FROM change GROUP BY key) moved
            WHERE scoring_rule.version_id = %(version)s AND scoring_rule.key = moved.key AND moved.n <> 0
        ),
        marked AS (
            INSERT INTO leads_mark (contact_id, facet)
            SELECT contact_id, %(facet)s FROM staged WHERE is_news AND total >= %(mark_over)s
        )
        SELECT (SELECT count(*) FROM staged WHERE is_news), (SELECT count(*) FROM ledger),
               CASE WHEN %(tell)s THEN (SELECT array_agg(contact_id ORDER BY contact_id) FROM staged WHERE is_news) END
    """
    text, params = positional(
        statement,
        {
            "now": now,
            "model": plan.model_id,
            "version": plan.version_id,
            "facet": int(Mark.Facet.DEFINITION),
            "mark_over": mark_over,
            "tell": tell,
        },
        before=(*versions.params, *rows.params),
    )
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        contacts, ledger_rows, ids = cursor.fetchone()
    return Written(int(contacts), int(ledger_rows), tuple(ids or ()))


# --- what a draft would give now --------------------------------------------------------------------------------------------------


def contributions_sql(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """WITH parts up to `contribution` (contact_id, key, "group", points): what each rule of a draft gives now, had it always been live.

    Rules that count once and eras without an end; the plan and its eras must be compiled for the contacts.
    """
    text = _Text()
    table = rule_table_sql(plan.rules)
    verdicts = verdicts_sql(plan.rules, contacts)
    text.add(f"rule {RULE_COLUMNS} AS MATERIALIZED ({table.text}),", *table.params)
    counted = ""
    if plan.timed is not None and plan.timed.eras:
        parts = occurrence_parts(plan.timed.eras)
        text.add("\n".join(parts.parts), *parts.params)
        text.add(
            """
            counted AS (
                SELECT m.contact_id, era.key, era."group",
                       GREATEST(-era.cap, LEAST(era.cap, sum(m.change)))::bigint AS points
                FROM moved m JOIN era ON era.era = m.era WHERE m.at <= %s::timestamptz
                GROUP BY m.contact_id, era.era, era.key, era."group", era.cap HAVING sum(m.change) <> 0
            ),
            """,
            now,
        )
        counted = 'UNION ALL SELECT contact_id, key, "group", points FROM counted'
    text.add(
        f"""
        contribution AS MATERIALIZED (
            SELECT v.contact_id, rule.key, rule."group", rule.points::bigint AS points
            FROM ({verdicts.text}) v JOIN rule ON rule.number = v.number {counted}
        )
        """,
        *verdicts.params,
    )
    return text.sql


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
