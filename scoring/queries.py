"""Statements over many scores: every rule against everybody or a batch, the difference written to the ledger, and the sheets drawn from them.

One form serves all: `_verdicts` gives (contact, rule number) for each rule that holds; `_difference` compares their points with the
sums in the ledger and gives one row per contact that must change; `_write` writes such rows. Points travel as whole hundredths,
since numeric arithmetic costs four times as much (LIMITS, trap 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import Error, IntegrityError, connection, transaction

from leads.models import Mark
from scoring.grades import DIGITS, LETTERS
from segments.conditions import Sql

# Pages of the stage worked in one transaction: 64 × 8 kB hold 3,000–6,000 contacts with their new rows when all of them change
# and some 10,000 when few rules do, which keeps the longest write below half a second (LIMITS, goals).
CHUNK_PAGES = 64
LOCKS = 0x53434F52  # “SCOR”: first half of the advisory locks' key, the second is the model

EVERYBODY = -(2**62)

# Stages from which the engine hands over; whoever is further, or disqualified, stays where they are.
BEFORE_SALES = ("visitor", "subscriber", "inquiry", "recycled", "lost")


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


@dataclass(frozen=True)
class Written:
    """Contacts whose score changed, ledger rows, and the contacts' ids when a batch asked."""

    contacts: int = 0
    rows: int = 0
    ids: tuple[int, ...] = ()

    def __add__(self, other: Written) -> Written:
        return Written(self.contacts + other.contacts, self.rows + other.rows, self.ids + other.ids)


def _positional(statement: str, values: Mapping[str, Any], *, before: Sequence[Any]) -> tuple[str, list[Any]]:
    """Turn %(name)s into %s with the values in order; `before` belongs to the plain %s, all of which come first."""
    pieces = re.split(r"%\((\w+)\)s", statement)
    return "%s".join(pieces[::2]), [*before, *(values[name] for name in pieces[1::2])]


# --- one statement over all rules --------------------------------------------------------------------------------------


def _hundredths(points: Decimal) -> int:
    return int(points * 100)


def _verdicts(rules: Sequence[CompiledRule], contacts: Sequence[int] | None) -> Sql:
    """Rows (contact_id, number) of every rule that holds, numbered from 1.

    Rules on columns alone share one pass over the contacts; each other rule is a set of its own. `contacts` must be the ones
    the rules were compiled for.
    """
    parts: list[str] = []
    params: list[Any] = []
    plain = [(number, rule) for number, rule in enumerate(rules, start=1) if rule.is_plain]
    if plain:
        cases = ", ".join(f"CASE WHEN {rule.predicate.text} THEN {number}::smallint END" for number, rule in plain)
        only = "" if contacts is None else " WHERE contact.id = ANY (%s::bigint[])"
        parts.append(
            "SELECT contact.id AS contact_id, unnest(array_remove(ARRAY["
            f"{cases}], NULL)) AS number FROM leads_contact contact{only}"
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
    return Sql(" UNION ALL ".join(parts), tuple(params))


def _rule_table(rules: Sequence[CompiledRule], past_keys: Sequence[tuple[UUID, str]] = ()) -> Sql:
    """VALUES rows (number, key, "group", points, is_live, is_edited); past rules follow the live ones with 0 points."""
    rows: list[tuple[Any, ...]] = [
        (number, rule.key, rule.group, _hundredths(rule.points), True, rule.is_edited)
        for number, rule in enumerate(rules, start=1)
    ]
    rows += [(len(rules) + place, key, group, 0, False, False) for place, (key, group) in enumerate(past_keys, start=1)]
    if not rows:
        return Sql("SELECT 0::smallint, NULL::uuid, ''::text, 0, false, false WHERE false", ())
    row = "(%s::smallint, %s::uuid, %s::text, %s::integer, %s::boolean, %s::boolean)"
    return Sql("VALUES " + ", ".join([row] * len(rows)), tuple(value for values in rows for value in values))


_RULE_COLUMNS = '(number, key, "group", points, is_live, is_edited)'


def grade_sql(fit: str, behaviour: str, lines: Lines) -> str:
    """SQL for a grade from two expressions in hundredths; lines are numbers, written in."""

    def place(points: str, three: Sequence[Decimal], signs: str) -> str:
        rising = ", ".join(str(_hundredths(line)) for line in reversed(three))
        return f"substr('{signs[::-1]}', 1 + width_bucket(({points})::bigint, ARRAY[{rising}]::bigint[]), 1)"

    return f"{place(fit, lines.fit, LETTERS)} || {place(behaviour, lines.behaviour, DIGITS)}"


def _difference(plan: Plan, contacts: Sequence[int] | None) -> Sql:
    """One row per contact whose ledger or score is not what it should be.

    (contact_id, total, fit, behaviour, negative — all in hundredths —, grade, is_news, numbers[], wanted[], present[], newest[])
    """
    verdicts = _verdicts(plan.rules, contacts)
    table = _rule_table(plan.rules, plan.past_keys)
    of_contact = "" if contacts is None else " AND l.contact_id = ANY (%s::bigint[])"
    among = "" if contacts is None else " WHERE contact.id = ANY (%s::bigint[])"
    ids = () if contacts is None else (list(contacts),)
    text = f"""
        WITH rule {_RULE_COLUMNS} AS MATERIALIZED ({table.text}),
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
                   {grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)} AS grade,
                   s.numbers, s.wanted, s.present, s.newest
            FROM leads_contact contact LEFT JOIN summed s ON s.contact_id = contact.id{among}
        )
        SELECT g.contact_id, g.total, g.fit, g.behaviour, g.negative, g.grade,
               old.contact_id IS NOT NULL OR g.fit <> 0 OR g.behaviour <> 0 OR g.negative <> 0 AS is_news,
               g.numbers, g.wanted, g.present, g.newest
        FROM graded g LEFT JOIN scoring_score old ON old.contact_id = g.contact_id AND old.model_id = %s
        WHERE g.numbers IS NOT NULL OR old.contact_id IS NULL OR old.grade <> g.grade
           OR old.fit * 100 <> g.fit OR old.behaviour * 100 <> g.behaviour OR old.negative * 100 <> g.negative
           OR old.total * 100 <> g.total
    """
    return Sql(text, (*table.params, *verdicts.params, plan.model_id, *ids, *ids, plan.model_id))


def _write(plan: Plan, rows: Sql, *, now: datetime, mark_over: int | None, tell: bool) -> Written:
    """Write staged rows: ledger, scores, head-counts of the rules, marks. One statement; the caller holds the model's lock.

    A row never counts from before the newest one of the same rule, so that a clock going back leaves no sum out of order.
    What changes twice in one moment is one row. Contacts deleted since the staging are left out.
    Marks (facet “definition”): None = nobody, else news whose total is at least so many hundredths.
    """
    table = _rule_table(plan.rules, plan.past_keys)
    statement = f"""
        WITH rule {_RULE_COLUMNS} AS MATERIALIZED ({table.text}),
        staged AS MATERIALIZED (
            SELECT r.* FROM ({rows.text}) r JOIN leads_contact contact ON contact.id = r.contact_id ORDER BY r.contact_id
        ),
        change AS (
            SELECT s.contact_id, rule.key, rule."group", u.wanted, u.present,
                   GREATEST(%(now)s::timestamptz, u.newest) AS counts_from,
                   CASE WHEN NOT rule.is_live THEN 'rule_removed'
                        WHEN u.wanted <> 0 AND u.present <> 0 THEN 'points_changed'
                        WHEN rule.is_edited THEN 'version_published'
                        WHEN u.wanted <> 0 THEN 'rule_met'
                        ELSE 'rule_no_longer_met' END AS cause
            FROM staged s
            CROSS JOIN LATERAL unnest(s.numbers, s.wanted, s.present, s.newest) u(number, wanted, present, newest)
            JOIN rule ON rule.number = u.number
        ),
        ledger AS (
            INSERT INTO scoring_ledgerrow
                (contact_id, model_id, rule_key, counts_from, version_id, "group", points, recorded_at, cause)
            SELECT contact_id, %(model)s, key, counts_from, %(version)s, "group", (wanted - present) * 0.01, now(), cause
            FROM change
            ON CONFLICT (contact_id, model_id, rule_key, counts_from) DO UPDATE SET
                points = scoring_ledgerrow.points + excluded.points, version_id = excluded.version_id,
                recorded_at = excluded.recorded_at, cause = excluded.cause
            RETURNING contact_id
        ),
        score AS (
            INSERT INTO scoring_score AS old
                (contact_id, model_id, total, fit, behaviour, negative, grade, computed_at)
            SELECT contact_id, %(model)s, total * 0.01, fit * 0.01, behaviour * 0.01, negative * 0.01, grade,
                   GREATEST(%(now)s::timestamptz, (SELECT max(moment) FROM unnest(newest) moment))
            FROM staged
            ON CONFLICT (contact_id, model_id) DO UPDATE SET
                total = excluded.total, fit = excluded.fit, behaviour = excluded.behaviour, negative = excluded.negative,
                grade = excluded.grade, computed_at = GREATEST(old.computed_at, excluded.computed_at)
        ),
        counted AS (
            UPDATE scoring_rule SET met_count = met_count + moved.n
            FROM (SELECT key, sum((wanted <> 0)::integer - (present <> 0)::integer) AS n FROM change GROUP BY key) moved
            WHERE scoring_rule.version_id = %(version)s AND scoring_rule.key = moved.key AND moved.n <> 0
        ),
        marked AS (
            INSERT INTO leads_mark (contact_id, facet)
            SELECT contact_id, %(facet)s FROM staged WHERE is_news AND total >= %(mark_over)s
        )
        SELECT (SELECT count(*) FROM staged WHERE is_news), (SELECT count(*) FROM ledger),
               CASE WHEN %(tell)s THEN (SELECT array_agg(contact_id ORDER BY contact_id) FROM staged WHERE is_news) END
    """
    text, params = _positional(
        statement,
        {
            "now": now,
            "model": plan.model_id,
            "version": plan.version_id,
            "facet": int(Mark.Facet.DEFINITION),
            "mark_over": mark_over,
            "tell": tell,
        },
        before=(*table.params, *rows.params),
    )
    with connection.cursor() as cursor:
        cursor.execute(text, params)
        contacts, ledger_rows, ids = cursor.fetchone()
    return Written(int(contacts), int(ledger_rows), tuple(ids or ()))


# --- running a model ---------------------------------------------------------------------------------------------------


@contextmanager
def model_lock(model_id: int) -> Iterator[None]:
    """Own a model's ledger for many transactions: two short statements. Batches of the same model wait; the lock falls with the connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCKS, model_id])
    try:
        yield
    finally:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCKS, model_id])
        except Error:
            connection.close()


def lock_model(model_id: int) -> None:
    """Own a model's ledger, head-counts and live version until the transaction ends. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [LOCKS, model_id])


def refresh_some(
    plan: Plan, contacts: Sequence[int], *, now: datetime, is_current: Callable[[], bool]
) -> Written | None:
    """Score a batch; None when the version is no longer the live one. Three statements in one transaction.

    The first waits for the model's lock; the last sees everything that was committed before the lock was given, so that no
    writer overwrites another.
    """
    with transaction.atomic():
        lock_model(plan.model_id)
        if not is_current():
            return None
        return _write(plan, _difference(plan, contacts), now=now, mark_over=None, tell=True)


def refresh_all(plan: Plan, *, now: datetime, mark_over: int, is_current: Callable[[], bool]) -> Written | None:
    """Score everybody; None when the version is no longer the live one.

    The difference is staged without locking a row, then written in chunks, each its own transaction.

    A killed run leaves whole chunks: the next one finds what is left. Staged in an unlogged, not a temporary table, since
    PostgreSQL fills a temporary one without parallel workers (LIMITS, trap 6).
    """
    stage = f"scoring_stage_{plan.model_id}"
    with model_lock(plan.model_id):
        if not is_current():
            return None
        try:
            pages = _stage(stage, _difference(plan, None))
            written = Written()
            for first in range(0, pages, CHUNK_PAGES):
                rows = Sql(
                    f"SELECT * FROM {stage} WHERE ctid >= '({first},0)'::tid AND ctid < '({first + CHUNK_PAGES},0)'::tid",
                    (),
                )
                written += _write_chunk(plan, rows, now=now, mark_over=mark_over)
        finally:
            _drop(stage)
        if written.rows > 50_000:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE scoring_score, scoring_ledgerrow")  # LIMITS, trap 5
    return written


def _write_chunk(plan: Plan, rows: Sql, *, now: datetime, mark_over: int) -> Written:
    """A contact deleted between the statement's look and its commit breaks the chunk: the second try leaves it out."""
    try:
        with transaction.atomic():
            return _write(plan, rows, now=now, mark_over=mark_over, tell=False)
    except IntegrityError:
        with transaction.atomic():
            return _write(plan, rows, now=now, mark_over=mark_over, tell=False)


def _stage(name: str, rows: Sql) -> int:
    """Fill the stage; the number of its pages."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {name}")
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(f"CREATE UNLOGGED TABLE {name} AS {rows.text}", list(rows.params))
        cursor.execute("SELECT pg_relation_size(%s) / current_setting('block_size')::int", [name])
        pages = int(cursor.fetchone()[0])
        if pages > 1:
            cursor.execute(f"ANALYZE {name}")
        return pages


def _drop(name: str) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
    except Error:
        pass  # the connection is gone; the next run drops it first


def mark_ripe(model_id: int, threshold: Decimal) -> int:
    """Mark everybody over the line who could be handed over, after a publication that may have changed only the line.

    One statement over all scores.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_mark (contact_id, facet)
            SELECT s.contact_id, %s FROM scoring_score s JOIN leads_contact c ON c.id = s.contact_id
            WHERE s.model_id = %s AND s.total >= %s AND c.stage = ANY (%s)
              AND NOT EXISTS (SELECT FROM scoring_handoff h WHERE h.contact_id = c.id AND h.model_id = %s AND h.state = 'open')
            """,
            [int(Mark.Facet.DEFINITION), model_id, threshold, list(BEFORE_SALES), model_id],
        )
        return int(cursor.rowcount)


def ledger_keys(model_id: int) -> tuple[tuple[UUID, str], ...]:
    """(key, group) of every rule that any published version of the model had. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT DISTINCT r.key, r."group" FROM scoring_rule r JOIN scoring_scoreversion v ON v.id = r.version_id'
            " WHERE v.model_id = %s AND v.state <> 'draft' ORDER BY r.key",
            [model_id],
        )
        return tuple(cursor.fetchall())


# --- invariants (health) -------------------------------------------------------------------------------------------------


def broken_sums(limit: int = 20) -> list[tuple[int, int, Decimal, Decimal]]:
    """(contact, model, score, sum of ledger rows) where the two differ; empty when all is well. One statement over both tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT COALESCE(s.contact_id, l.contact_id), COALESCE(s.model_id, l.model_id), COALESCE(s.total, 0), COALESCE(l.total, 0)
            FROM scoring_score s
            FULL JOIN (
                SELECT contact_id, model_id, sum(points) AS total,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'fit'), 0) AS fit,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'behaviour'), 0) AS behaviour,
                       COALESCE(sum(points) FILTER (WHERE "group" = 'negative'), 0) AS negative
                FROM scoring_ledgerrow GROUP BY contact_id, model_id
            ) l ON l.contact_id = s.contact_id AND l.model_id = s.model_id
            WHERE COALESCE(s.total, 0) <> COALESCE(l.total, 0) OR COALESCE(s.fit, 0) <> COALESCE(l.fit, 0)
               OR COALESCE(s.behaviour, 0) <> COALESCE(l.behaviour, 0) OR COALESCE(s.negative, 0) <> COALESCE(l.negative, 0)
            LIMIT %s
            """,
            [limit],
        )
        return list(cursor.fetchall())


def ledger_sums_hold() -> bool:
    """Every score is the sum of its ledger rows, in total and in each group."""
    return not broken_sums(1)


def one_open_hand_off_each() -> bool:
    """No contact stands in the queue twice for one model (the unique index holds it; this asks the rows)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT NOT EXISTS (SELECT FROM scoring_handoff WHERE state = 'open'"
            " GROUP BY contact_id, model_id HAVING count(*) > 1)"
        )
        return bool(cursor.fetchone()[0])


# --- hand-offs ---------------------------------------------------------------------------------------------------------


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
_SAME_REASONS = """
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
    same = "" if again else f"AND NOT EXISTS ({_SAME_REASONS.format(contact='c.id', keys='met.keys')})"
    news = (
        ""
        if news_since is None
        else "AND EXISTS (SELECT FROM scoring_ledgerrow n WHERE n.contact_id = c.id AND n.model_id = %s"
        " AND n.cause = 'rule_met' AND n.points > 0 AND n.counts_from >= %s)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.id, c.owner_id, s.total, s.grade, s.fit, s.behaviour, s.negative, met.keys,
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
                groups={"fit": fit, "behaviour": behaviour, "negative": negative},
                rule_keys=list(keys),
                is_return=is_return,
            )
            for contact_id, owner_id, total, grade, fit, behaviour, negative, keys, is_return in cursor.fetchall()
        ]


# --- what a card is made of: one statement each, whatever the number of leads ---------------------------------------------


@dataclass(frozen=True)
class LedgerEntry:
    contact_id: int
    rule_key: UUID
    group: str
    points: Decimal
    counts_from: datetime
    cause: str


def ledger_of(contacts: Sequence[int], *, model_id: int, at: datetime | None = None) -> dict[int, list[LedgerEntry]]:
    """Every ledger row of these contacts in one model, oldest first; those that count from after `at` left out. One statement."""
    cut = "" if at is None else " AND counts_from <= %s"
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT contact_id, rule_key, "group", points, counts_from, cause FROM scoring_ledgerrow'
            f" WHERE contact_id = ANY (%s::bigint[]) AND model_id = %s{cut} AND points <> 0"
            " ORDER BY contact_id, counts_from, points DESC, rule_key",
            [list(contacts), model_id, *([] if at is None else [at])],
        )
        rows: dict[int, list[LedgerEntry]] = {contact: [] for contact in contacts}
        for values in cursor.fetchall():
            rows[values[0]].append(LedgerEntry(*values))
        return rows


@dataclass(frozen=True)
class Deed:
    """Something a contact did."""

    kind: str
    label: str
    subject: str
    url: str
    at: datetime


# What we did to them, or what went wrong on the way, says nothing about how keen they are.
NOT_THEIRS = ("email_sent", "email_delivered", "email_bounce")


def latest_deeds(contacts: Sequence[int], *, now: datetime, limit: int) -> dict[int, list[Deed]]:
    """The newest activities of each contact, newest first. One statement along the index (contact, moment)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT c.id, a.slug, a.label, COALESCE(asset.subject, ''), COALESCE(asset.url, ''), a.occurred_at
            FROM unnest(%s::bigint[]) c(id)
            CROSS JOIN LATERAL (
                SELECT kind.slug, kind.label, a.asset_id, a.occurred_at
                FROM leads_activity a JOIN leads_activitykind kind ON kind.id = a.kind_id
                WHERE a.contact_id = c.id AND a.occurred_at <= %s AND kind.slug <> ALL (%s)
                ORDER BY a.occurred_at DESC LIMIT %s
            ) a
            LEFT JOIN leads_asset asset ON asset.id = a.asset_id
            ORDER BY c.id, a.occurred_at DESC
            """,
            [list(contacts), now, list(NOT_THEIRS), limit],
        )
        found: dict[int, list[Deed]] = {contact: [] for contact in contacts}
        for contact, *values in cursor.fetchall():
            found[contact].append(Deed(*values))
        return found


@dataclass(frozen=True)
class Colleague:
    contact_id: int
    name: str
    title: str
    total: Decimal
    last_at: datetime


def active_colleagues(
    companies: Sequence[int], *, model_id: int, since: datetime, now: datetime, limit: int
) -> dict[int, list[Colleague]]:
    """Who of each company did something since the moment, the best score first. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT co.id, p.id, p.name, p.title, p.total, p.last_at
            FROM unnest(%s::bigint[]) co(id)
            CROSS JOIN LATERAL (
                SELECT c.id, trim(c.first_name || ' ' || c.last_name) AS name, c.title, COALESCE(s.total, 0) AS total, active.last_at
                FROM leads_contact c
                JOIN LATERAL (
                    SELECT max(signal.last_at) AS last_at FROM leads_signal signal
                    JOIN leads_activitykind kind ON kind.id = signal.kind_id
                    WHERE signal.contact_id = c.id AND kind.slug <> ALL (%s)
                ) active ON active.last_at >= %s AND active.last_at <= %s
                LEFT JOIN scoring_score s ON s.contact_id = c.id AND s.model_id = %s
                WHERE c.company_id = co.id
                ORDER BY total DESC, c.id LIMIT %s
            ) p
            """,
            [list(companies), list(NOT_THEIRS), since, now, model_id, limit],
        )
        found: dict[int, list[Colleague]] = {company: [] for company in companies}
        for company, *values in cursor.fetchall():
            found[company].append(Colleague(*values))
        return found


# --- what a draft would do ---------------------------------------------------------------------------------------------


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
    """WITH parts `verdict` and `compared`: everybody under the draft beside what is stored.

    compared (contact_id, before_total, after_total — in hundredths —, before_grade, after_grade, old_line, new_line, is_handed_over).
    Without a live version nobody stood over a line before.
    """
    table = _rule_table(plan.rules)
    verdicts = _verdicts(plan.rules, None)
    text = f"""
        rule {_RULE_COLUMNS} AS MATERIALIZED ({table.text}),
        verdict AS MATERIALIZED ({verdicts.text}),
        summed AS (
            SELECT v.contact_id, sum(rule.points) AS total,
                   COALESCE(sum(rule.points) FILTER (WHERE rule."group" = 'fit'), 0) AS fit,
                   COALESCE(sum(rule.points) FILTER (WHERE rule."group" = 'behaviour'), 0) AS behaviour,
                   array_agg(rule.key) FILTER (WHERE rule.points > 0) AS keys
            FROM verdict v JOIN rule ON rule.number = v.number GROUP BY v.contact_id
        ),
        compared AS MATERIALIZED (
            SELECT contact.id AS contact_id,
                   (COALESCE(old.total, 0) * 100)::bigint AS before_total, COALESCE(s.total, 0) AS after_total,
                   COALESCE(old.grade, %s) AS before_grade,
                   {grade_sql("COALESCE(s.fit, 0)", "COALESCE(s.behaviour, 0)", plan.lines)} AS after_grade,
                   %s::bigint AS old_line, %s::bigint AS new_line,
                   COALESCE(s.total, 0) >= %s AND contact.stage = ANY (%s)
                   AND NOT EXISTS (SELECT FROM scoring_handoff h
                                   WHERE h.contact_id = contact.id AND h.model_id = %s AND h.state = 'open')
                   AND NOT EXISTS ({_SAME_REASONS.format(contact="contact.id", keys="COALESCE(s.keys, '{}'::uuid[])")}) AS is_handed_over
            FROM leads_contact contact
            LEFT JOIN summed s ON s.contact_id = contact.id
            LEFT JOIN scoring_score old ON old.contact_id = contact.id AND old.model_id = %s
        )
    """
    return Sql(
        text,
        (
            *table.params,
            *verdicts.params,
            "D4",
            None if old_line is None else _hundredths(old_line),
            _hundredths(new_line),
            _hundredths(new_line),
            list(BEFORE_SALES),
            plan.model_id,
            plan.model_id,
            now,
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
    met: dict[int, int]


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
        UNION ALL SELECT 'met', number::text, count(*) FROM verdict GROUP BY number
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
        met={int(rule): n for rule, n in found.get("met", {}).items()},
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
            [*base.params, *([] if after is None else [_hundredths(after[0]), -after[1]]), limit],
        )
        return [Moved(*values) for values in cursor.fetchall()]


# --- pages of a model ----------------------------------------------------------------------------------------------------


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


def rules_held(plan: Plan, contact_id: int) -> set[int]:
    """Numbers (from 1) of the plan's rules that hold for one contact; the plan must be compiled for it. One statement."""
    verdicts = _verdicts(plan.rules, [contact_id])
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT number FROM ({verdicts.text}) v", list(verdicts.params))
        return {int(number) for (number,) in cursor.fetchall()}


# --- reports -------------------------------------------------------------------------------------------------------------


STEPS = {
    "inquiries": 0,
    "mqls": 4,
    "accepted": 5,
    "won": 7,
}  # least stage that somebody has reached (lifecycle.POSITION)
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


def funnel_people(
    *,
    zone: str,
    since: datetime,
    until: datetime,
    step: str,
    limit: int,
    month: date | None = None,
    source: str | None = None,
    after: tuple[datetime, int] | None = None,
) -> list[int]:
    """Who stands behind one number of the funnel, the newest first; `after` is (created_at, id) of the last one of the page before."""
    tests = ["furthest >= %s"]
    params: list[Any] = [zone, since, until, STEPS[step]]
    for test, value in (("month = %s", month), ("source = %s", source)):
        if value is not None:
            tests.append(test)
            params.append(value)
    if after is not None:
        tests.append("(created_at, id) < (%s, %s)")
        params += list(after)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM ({_REACHED}) reached WHERE {' AND '.join(tests)} ORDER BY created_at DESC, id DESC LIMIT %s",
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
                   count(*) FILTER (WHERE COALESCE(answered_at, %s) > due_at)
            FROM (
                SELECT h.state, h.answered_at, h.due_at, to_char(h.handed_over_at AT TIME ZONE %s, 'YYYY-MM') AS month,
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
