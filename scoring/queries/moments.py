"""The ledger by moments: rules per occurrence, points given, and caps, beside the rules that a look sees met or not.

What such a contribution is at every moment up to now follows from stored facts, so it is worked out in full and compared with the
ledger moment by moment: an activity that came late writes rows at its own moment, and where a cap held, further rows at the
moments after it. Rules that count once are compared by sum, as in rules.py. Caps are worked out last, over all rows of their
group, old and new.

Facts and ledger run through one stream of narrow rows, sorted once by contact, rule and moment: what each moment adds, what the
ledger says of it, and the difference come out side by side. Rules are numbers there, points are hundredths in float8, which is
exact up to 9e15 (numeric is four times as dear: LIMITS, trap 4). One statement gives the difference of everybody or a batch,
one writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from django.db import connection

from scoring.queries.caps import CAP_KEYS, CapEra, Tier, add_tier
from scoring.queries.movements import CAUSES, CODES, Era, Stretch, movements_sql, stretches_of
from scoring.queries.rules import GROUPS, RULE_COLUMNS, Plan, grade_sql, rule_table_sql, verdicts_sql
from scoring.queries.text import Text, array_sql, values_sql
from segments.conditions import Sql


@dataclass(frozen=True)
class Timed:
    """What a model's plan holds besides rules that count once. `versions`: (live since, id), oldest first."""

    eras: tuple[Era, ...]
    caps: tuple[CapEra, ...]
    versions: tuple[tuple[datetime, int], ...]
    has_given: bool = True  # whether anybody was ever given points in the model


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


@dataclass(frozen=True)
class _Shape:
    """Numbers for everything a statement speaks of: rules first (as in the table of rules), then what is given, then the caps."""

    plan: Plan

    @cached_property
    def timed(self) -> Timed:
        assert self.plan.timed is not None
        return self.plan.timed

    @cached_property
    def groups(self) -> dict[int, str]:
        """Number of a rule -> its group."""
        found = [rule.group for rule in self.plan.rules] + [group for _key, group in self.plan.past_keys]
        return dict(enumerate(found, start=1))

    @cached_property
    def numbers(self) -> dict[UUID, int]:
        keys = [rule.key for rule in self.plan.rules] + [key for key, _group in self.plan.past_keys]
        return {key: number for number, key in enumerate(keys, start=1)}

    @cached_property
    def stretches(self) -> list[Stretch]:
        return stretches_of(self.numbers, self.timed.eras)

    @property
    def given(self) -> int:
        return len(self.numbers) + 1

    @cached_property
    def caps(self) -> dict[str, int]:
        """Group, or “total” -> number of its cap."""
        capped = dict.fromkeys(cap.group for cap in self.timed.caps)
        return {group: self.given + place for place, group in enumerate(capped, start=1)}

    @property
    def highest(self) -> int:
        return self.given + len(self.caps)

    @property
    def open_numbers(self) -> list[int]:
        """Rules that count each activity now."""
        return [self.numbers[era.key] for era in self.timed.eras if era.until is None]

    @property
    def mixed(self) -> list[int]:
        """Rules that count each activity at some times and at others do not: then they may have counted once."""
        timed = {one.number for one in self.stretches if one.era is not None}
        return sorted(timed & {one.number for one in self.stretches if one.era is None})

    def eras_of_cap(self, group: str) -> list[CapEra]:
        return [cap for cap in self.timed.caps if cap.group == group]

    def numbers_of(self, group: str) -> list[int]:
        """Rules of a group and its cap."""
        rules = [number for number, one in self.groups.items() if one == group]
        return rules + [number for name, number in self.caps.items() if name == group]


def difference_by_moments(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """One row per contact whose ledger, score or due moment is not what it should be.

    (contact_id, total and each group in hundredths, grade, is_news, due_at; arrays of the ledger rows to write: numbers, keys (of
    points given), points, moments, revisions, codes (of causes), activities; how head-counts of rules change: met_numbers, met_by)
    """
    shape = _Shape(plan)
    text = Text()
    _add_looks(text, shape, contacts, now)
    _add_stream(text, shape, contacts, now)
    if shape.timed.has_given:
        _add_given(text, shape, contacts, now)
    _add_caps(text, shape)
    _add_changes(text, shape)
    _add_result(text, shape, contacts, now)
    return text.sql


# --- what a look sees -----------------------------------------------------------------------------------------------------------


def _add_looks(text: Text, shape: _Shape, contacts: Sequence[int] | None, now: datetime) -> None:
    """WITH part turned (contact_id, number, at, points, code): rules that count once whose rows do not add up to their verdict."""
    plan = shape.plan
    text.put(rule_table_sql(plan.rules, plan.past_keys), f"WITH rule {RULE_COLUMNS} AS MATERIALIZED (", "),")
    text.add(
        """
        turned AS MATERIALIZED (
            SELECT look.contact_id, look.number, GREATEST(%s::timestamptz, look.newest) AS at, look.newest,
                   look.wanted - look.present AS points, """
        + _look_codes(shape)
        + """ AS code
            FROM (
                SELECT contact_id, number, sum(wanted) AS wanted, sum(present) AS present, max(newest) AS newest FROM (""",
        now,
    )
    if plan.rules:
        text.put(
            verdicts_sql(plan, contacts),
            "SELECT v.contact_id, v.number, rule.points::float8 AS wanted, 0::float8 AS present, NULL::timestamptz AS newest FROM (",
            ") v JOIN rule ON rule.number = v.number UNION ALL",
        )
    text.add(
        """
                    SELECT l.contact_id, rule.number, 0::float8 AS wanted, (l.points * 100)::bigint::float8 AS present, l.counts_from AS newest
                    FROM scoring_ledgerrow l JOIN rule ON rule.key = l.rule_key WHERE l.model_id = %s AND NOT l.is_timed""",
        plan.model_id,
    )
    _add_among(text, "l.contact_id", contacts)
    text.add(
        ") both_sides GROUP BY 1, 2) look JOIN rule ON rule.number = look.number WHERE look.wanted <> look.present),"
    )


def _look_codes(shape: _Shape) -> str:
    """Below zero: of what a look saw, not of a known moment."""
    edited = CODES["version_published"]
    published = f"WHEN rule.number = ANY ({array_sql(shape.open_numbers, 'smallint')}) THEN {edited}"
    return f"""-(CASE {published} WHEN NOT rule.is_live THEN {CODES["rule_removed"]}
        WHEN look.wanted <> 0 AND look.present <> 0 THEN {CODES["points_changed"]}
        WHEN rule.is_edited THEN {edited} WHEN look.wanted <> 0 THEN {CODES["rule_met"]}
        ELSE {CODES["rule_no_longer_met"]} END)::smallint"""


# --- the stream: what activities give beside what the ledger says -----------------------------------------------------------------


def _add_stream(text: Text, shape: _Shape, contacts: Sequence[int] | None, now: datetime) -> None:
    """WITH part part (contact_id, number, stretch, at, …), in this order.

    flow: what the moment adds to its group, once it is written; diff: what of it is not in the ledger's timed rows; due_at: the
    moment where it lies ahead; times: rows of the moment in the ledger; cap_held: the ledger's rows of a cap, whose flow is nothing.

    The order inside min() costs nothing where rows come sorted by it, and keeps the planner from a hash table of all moments, which it
    takes for small, spills, and sorts afterwards.
    """
    text.add(
        "moved AS (SELECT contact_id, number, stretch, at, sum(change) AS change, sum(held) AS held, sum(kept) AS kept,"
    )
    text.add("count(held) + count(kept) AS times, max(activity) AS activity, min(rank ORDER BY at) AS rank FROM (")
    movements = movements_sql(shape.stretches, contacts)
    if movements is not None:
        text.put(movements, "SELECT m.*, NULL::float8 AS held, NULL::float8 AS kept FROM (", ") m UNION ALL")
    _add_ledger(text, shape, contacts)
    _add_cap_starts(text, shape, contacts, now)
    text.add(") every GROUP BY 1, 2, 3, 4),")
    caps = array_sql(
        ["Infinity" if one.era is None or one.era.cap is None else one.era.cap for one in shape.stretches], "float8"
    )
    text.add(
        f"""
        run AS (
            SELECT moved.*, COALESCE(sum(change) OVER (PARTITION BY contact_id, number, stretch ORDER BY at), 0) AS run,
                   COALESCE(({caps})[stretch], 'Infinity') AS cap
            FROM moved {_SORTED} OFFSET 0
        ),
        {_stepped(shape)},
        part AS MATERIALIZED (
            SELECT * FROM (
                SELECT contact_id, number, stretch, at, activity, rank, times,
                       NULLIF(wanted + COALESCE(kept, 0), 0) AS flow,
                       CASE WHEN number < {shape.given} THEN NULLIF(wanted - COALESCE(held, 0), 0) END AS diff,
                       CASE WHEN number > {shape.given} THEN held END AS cap_held, wanted,
                       CASE WHEN step <> 0 AND at > %s::timestamptz THEN at END AS due_at
                FROM (SELECT *, CASE WHEN at <= %s::timestamptz THEN step ELSE 0 END AS wanted FROM stepped {_SORTED} OFFSET 0) known
            ) told WHERE flow IS NOT NULL OR diff IS NOT NULL OR due_at IS NOT NULL OR number > {shape.given}
            {_SORTED}
        ),
        """,
        now,
        now,
    )


# Said again at each step, since the planner forgets an order that nobody asks for; it sorts only once.
_SORTED = "ORDER BY contact_id, number, stretch, at"


def _add_ledger(text: Text, shape: _Shape, contacts: Sequence[int] | None) -> None:
    """The ledger's rows. Those of a batch are gathered before they are numbered, else the key is searched once for every rule and contact."""
    text.add(
        """
        SELECT l.contact_id, line.number, line.stretch, l.counts_from AS at, NULL::float8 AS change, NULL::bigint AS activity, NULL::smallint AS rank,
               CASE WHEN l.is_timed THEN (l.points * 100)::bigint::float8 END AS held,
               CASE WHEN NOT l.is_timed THEN (l.points * 100)::bigint::float8 END AS kept
        FROM"""
    )
    if contacts is None:
        text.add("scoring_ledgerrow l")
    else:
        text.add("(SELECT * FROM scoring_ledgerrow l WHERE l.model_id = %s", shape.plan.model_id)
        _add_among(text, "l.contact_id", contacts)
        text.add("OFFSET 0) l")
    text.put(_ledger_lines(shape), "JOIN (", ") AS line(key, number, stretch, since, until) ON line.key = l.rule_key")
    text.add(
        "AND l.counts_from >= line.since AND l.counts_from < line.until WHERE l.model_id = %s", shape.plan.model_id
    )


def _ledger_lines(shape: _Shape) -> Sql:
    """VALUES (key, number, stretch, since, until) for whatever the ledger names, points given aside."""
    keys = {number: key for key, number in shape.numbers.items()}
    rows: list[tuple[object, ...]] = [
        (keys[one.number], one.number, place, one.since or "-infinity", one.until or "infinity")
        for place, one in enumerate(shape.stretches, start=1)
    ]
    rows += [(CAP_KEYS[group], number, 0, "-infinity", "infinity") for group, number in shape.caps.items()]
    return values_sql(rows, ("uuid", "smallint", "smallint", "timestamptz", "timestamptz"))


def _add_cap_starts(text: Text, shape: _Shape, contacts: Sequence[int] | None, now: datetime) -> None:
    """Moments at which the ends of a cap were changed, for everybody: the cap may take more or less from there on."""
    starts = [
        (shape.caps[cap.group], cap.since) for cap in shape.timed.caps if cap.since is not None and cap.since <= now
    ]
    if not starts:
        return
    text.put(
        values_sql(starts, ("smallint", "timestamptz")),
        "UNION ALL SELECT contact.id, start.number, 0::smallint, start.at,"
        " NULL::float8, NULL::bigint, NULL::smallint, NULL::float8, NULL::float8"
        " FROM leads_contact contact CROSS JOIN (",
        ") AS start(number, at) WHERE TRUE",
    )
    _add_among(text, "contact.id", contacts)


def _stepped(shape: _Shape) -> str:
    """WITH part: run and step, by how much the contribution changes at the moment, held within the rule's cap.

    Within a stretch the level before follows from the sum itself; where a rule has several, it is looked up in the row before.
    """
    level = "GREATEST(-cap, LEAST(cap, run))"
    if len(shape.stretches) == len(shape.numbers):
        before = "GREATEST(-cap, LEAST(cap, run - COALESCE(change, 0)))"
        return f"stepped AS (SELECT run.*, {level} - {before} AS step FROM run {_SORTED} OFFSET 0)"
    return f"""
        levelled AS (SELECT run.*, {level} AS level FROM run {_SORTED} OFFSET 0),
        stepped AS (
            SELECT levelled.*, level - lag(level, 1, 0::float8) OVER (PARTITION BY contact_id, number ORDER BY stretch, at) AS step
            FROM levelled {_SORTED} OFFSET 0
        )"""


# --- caps and points given --------------------------------------------------------------------------------------------------------


def _add_caps(text: Text, shape: _Shape) -> None:
    """WITH parts of_group and of_total, where there are such caps: see add_tier."""
    groups = {group: number for group, number in shape.caps.items() if group != "total"}
    looks = "SELECT contact_id, number, at, points FROM turned"
    if groups:
        cap_of = {number: cap for group, cap in groups.items() for number in shape.numbers_of(group)}
        eras = {cap: shape.eras_of_cap(group) for group, cap in groups.items()}
        add_tier(text, Tier("of_group", "FROM part WHERE TRUE", [looks], cap_of, eras, shape.highest))
    if "total" in shape.caps:
        total = shape.caps["total"]
        more = [looks]
        if groups:
            more.append("SELECT contact_id, number, at, delta FROM of_group")
        if shape.timed.has_given:
            more.append(f"SELECT contact_id, {shape.given}::smallint, at, flow FROM given")
        rows = f"FROM part WHERE number <> ALL ({array_sql(groups.values(), 'smallint')})"
        cap_of = dict.fromkeys(range(1, total + 1), total)
        eras = {total: shape.eras_of_cap("total")}
        add_tier(text, Tier("of_total", rows, more, cap_of, eras, shape.highest))


def _add_given(text: Text, shape: _Shape, contacts: Sequence[int] | None, now: datetime) -> None:
    """WITH part given (contact_id, key, at, flow, held, times, code, due_at): points given beside their rows in the ledger."""
    model = shape.plan.model_id
    text.add(
        f"""
        given AS MATERIALIZED (
            SELECT contact_id, key, at, COALESCE(sum(change) FILTER (WHERE at <= %s::timestamptz), 0) AS flow, COALESCE(sum(held), 0) AS held,
                   count(held) AS times, max(code) FILTER (WHERE at <= %s::timestamptz) AS code,
                   CASE WHEN at > %s::timestamptz AND sum(change) <> 0 THEN at END AS due_at
            FROM (
                SELECT g.contact_id, g.key, moment.at, (moment.change * 100)::bigint::float8 AS change, NULL::float8 AS held, moment.code
                FROM scoring_pointsgiven g
                CROSS JOIN LATERAL (VALUES (g.given_at, g.points, {CODES["given"]}), (g.ends_at, -g.points, {CODES["given_lapsed"]}))
                    AS moment(at, change, code)
                WHERE g.model_id = %s AND moment.at IS NOT NULL AND (g.ends_at IS NULL OR g.ends_at > g.given_at)""",
        now,
        now,
        now,
        model,
    )
    _add_among(text, "g.contact_id", contacts)
    text.add(
        """
                UNION ALL
                SELECT l.contact_id, l.rule_key, l.counts_from, NULL, (l.points * 100)::bigint::float8, NULL
                FROM scoring_ledgerrow l WHERE l.model_id = %s AND l."group" = 'given'""",
        model,
    )
    _add_among(text, "l.contact_id", contacts)
    text.add(") both_sides GROUP BY 1, 2, 3),")


# --- the difference -------------------------------------------------------------------------------------------------------------


def _add_changes(text: Text, shape: _Shape) -> None:
    """WITH parts gathered (rows to write) and met (how head-counts change), one row a contact each."""
    since = array_sql([one.since or "-infinity" for one in shape.stretches], "timestamptz")
    cause = array_sql([CODES[one.cause] for one in shape.stretches], "smallint")
    text.add(
        f"""
        news AS MATERIALIZED (SELECT * FROM part WHERE diff IS NOT NULL),
        change AS (
            SELECT contact_id, number, NULL::uuid AS key, at, diff AS points, times AS revision,
                   CASE WHEN wanted = 0 THEN {CODES["corrected"]} WHEN rank IS NULL OR at = ({since})[stretch] THEN ({cause})[stretch]
                        ELSE rank END AS code,
                   CASE WHEN wanted <> 0 THEN activity END AS activity
            FROM news
            UNION ALL
            {_turned_changes(shape)}
        """
    )
    for name, group in (("of_group", "groups"), ("of_total", "total")):
        if (group == "total" and "total" in shape.caps) or (group == "groups" and set(shape.caps) - {"total"}):
            text.add(
                f"UNION ALL SELECT contact_id, number, NULL, at, delta - held, COALESCE(times, 0), {CODES['capped']}, NULL"
                f" FROM {name} WHERE delta <> held"
            )
    if shape.timed.has_given:
        text.add(
            f"UNION ALL SELECT contact_id, {shape.given}, key, at, flow - held, times,"
            f" CASE WHEN flow <> 0 THEN code ELSE {CODES['corrected']} END, NULL FROM given WHERE flow <> held"
        )
    text.add(
        f"""),
        gathered AS (
            SELECT contact_id, array_agg(number::smallint) AS numbers, array_agg(key) AS keys, array_agg(points::bigint) AS points,
                   array_agg(at) AS moments, array_agg(revision::smallint) AS revisions, array_agg(code::smallint) AS codes,
                   array_agg(activity) AS activities
            FROM change GROUP BY 1
        ),
        met AS (
            SELECT contact_id, array_agg(number) AS numbers, array_agg(by) AS by FROM (
                SELECT contact_id, number, (after <> 0)::integer - (after <> more)::integer AS by FROM (
                    SELECT contact_id, number, COALESCE(sum(flow), 0) AS after, COALESCE(sum(more), 0) AS more FROM (
                        SELECT contact_id, number, flow, diff AS more FROM part
                        WHERE number < {shape.given} AND contact_id IN (SELECT contact_id FROM news UNION ALL SELECT contact_id FROM turned)
                        UNION ALL SELECT contact_id, number, points, points FROM turned
                    ) every GROUP BY 1, 2
                ) stood
            ) each WHERE by <> 0 GROUP BY 1
        ),
        """
    )


def _turned_changes(shape: _Shape) -> str:
    """What a look saw, with the revision of its moment: something may count from there already when the clock went back."""
    written = (
        f"(SELECT count(*) FROM scoring_ledgerrow l WHERE l.contact_id = t.contact_id AND l.model_id = {shape.plan.model_id}"
        " AND l.rule_key = rule.key AND l.counts_from = t.at)"
    )
    if not shape.mixed:
        return f"""
            SELECT t.contact_id, t.number, NULL, t.at, t.points, CASE WHEN t.newest >= t.at THEN {written} ELSE 0 END, t.code, NULL
            FROM turned t JOIN rule ON rule.number = t.number"""
    mixed = array_sql(shape.mixed, "smallint")
    return f"""
            SELECT t.contact_id, t.number, NULL, t.at, t.points,
                   CASE WHEN t.newest >= t.at OR t.number = ANY ({mixed}) THEN {written} ELSE 0 END
                   + (beside.contact_id IS NOT NULL)::integer, t.code, NULL
            FROM turned t JOIN rule ON rule.number = t.number
            LEFT JOIN news beside ON beside.number = ANY ({mixed})
                 AND beside.contact_id = t.contact_id AND beside.number = t.number AND beside.at = t.at"""


def _add_result(text: Text, shape: _Shape, contacts: Sequence[int] | None, now: datetime) -> None:
    plan = shape.plan
    sums = ", ".join(_sum_of(group, shape) for group in GROUPS)
    text.add(f"summed AS (SELECT contact_id, COALESCE(sum(flow), 0) AS total, {sums}, min(due_at) AS due_at FROM (")
    text.add("SELECT contact_id, number, flow, due_at FROM part")
    text.add("UNION ALL SELECT contact_id, number, points, NULL FROM turned")
    if set(shape.caps) - {"total"}:
        text.add("UNION ALL SELECT contact_id, number, delta, NULL FROM of_group")
    if "total" in shape.caps:
        text.add("UNION ALL SELECT contact_id, number, delta, NULL FROM of_total")
    if shape.timed.has_given:
        text.add(f"UNION ALL SELECT contact_id, {shape.given}::smallint, flow, due_at FROM given")
    text.add(") every GROUP BY 1)")
    names = ("total", *GROUPS)
    stored = ", ".join(f"COALESCE(s.{name}, 0)::bigint AS {name}" for name in names)
    differs = " OR ".join(f"(old.{name} * 100)::bigint <> COALESCE(s.{name}, 0)" for name in names)
    grade = grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)
    text.add(
        f"""
        SELECT contact.id AS contact_id, {stored}, {grade} AS grade,
               (g.numbers IS NOT NULL OR old.contact_id IS NULL OR old.grade <> {grade} OR {differs})
               AND (old.contact_id IS NOT NULL OR g.numbers IS NOT NULL) AS is_news,
               s.due_at, g.numbers, g.keys, g.points, g.moments, g.revisions, g.codes, g.activities,
               met.numbers AS met_numbers, met.by AS met_by
        FROM leads_contact contact
        LEFT JOIN summed s ON s.contact_id = contact.id
        LEFT JOIN gathered g ON g.contact_id = contact.id
        LEFT JOIN met ON met.contact_id = contact.id
        LEFT JOIN scoring_score old ON old.contact_id = contact.id AND old.model_id = %s
        LEFT JOIN scoring_scoredue next ON next.contact_id = contact.id AND next.model_id = %s
        WHERE (g.numbers IS NOT NULL OR old.contact_id IS NULL OR old.grade <> {grade} OR {differs}
               OR s.due_at IS DISTINCT FROM next.due_at)""",
        plan.model_id,
        plan.model_id,
    )
    _add_among(text, "contact.id", contacts)


def _sum_of(group: str, shape: _Shape) -> str:
    numbers = shape.numbers_of(group)
    if not numbers:
        return f"0::float8 AS {group}"
    return f"COALESCE(sum(flow) FILTER (WHERE number = ANY ({array_sql(numbers, 'smallint')})), 0) AS {group}"


def _add_among(text: Text, column: str, contacts: Iterable[int] | None) -> None:
    if contacts is not None:
        text.add(f"AND {column} = ANY (%s::bigint[])", list(contacts))


# --- writing it -------------------------------------------------------------------------------------------------------------------


def changes_by_moments(plan: Plan) -> Sql:
    """WITH parts change and met of `writing.write`, from `staged` rows of difference_by_moments."""
    shape = _Shape(plan)
    keys = {number: (key, shape.groups[number]) for key, number in shape.numbers.items()}
    keys |= {number: (CAP_KEYS[group], group) for group, number in shape.caps.items()}
    lines = values_sql([(number, *line) for number, line in sorted(keys.items())], ("smallint", "uuid", "text"))
    since = array_sql([since for since, _pk in shape.timed.versions], "timestamptz")
    ids = array_sql([pk for _since, pk in shape.timed.versions], "bigint")
    version = f"COALESCE(({ids})[GREATEST(width_bucket(u.at, {since}), 1)], {plan.version_id})"
    causes = array_sql(CAUSES, "text")
    return Sql(
        f"""
        line (number, key, "group") AS MATERIALIZED ({lines.text}),
        change AS MATERIALIZED (
            SELECT s.contact_id, COALESCE(u.key, line.key) AS key, COALESCE(line."group", 'given') AS "group", u.points, u.at, u.revision,
                   {version} AS version_id, ({causes})[abs(u.code)] AS cause, u.code > 0 AS is_timed, u.activity
            FROM staged s
            CROSS JOIN LATERAL unnest(s.numbers, s.keys, s.points, s.moments, s.revisions, s.codes, s.activities)
                AS u(number, key, points, at, revision, code, activity)
            LEFT JOIN line ON line.number = u.number
        ),
        met AS (
            SELECT line.key, sum(u.by) AS n FROM staged s CROSS JOIN LATERAL unnest(s.met_numbers, s.met_by) AS u(number, by)
            JOIN line ON line.number = u.number GROUP BY 1
        )""",
        lines.params,
    )
