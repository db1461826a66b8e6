"""Running a model over everybody or a batch, one writer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from time import perf_counter
from uuid import UUID

from django.db import Error, IntegrityError, connection, transaction

from leads.models import Mark
from scoring.queries.handing import BEFORE_SALES
from scoring.queries.moments import difference_by_moments
from scoring.queries.rules import Plan, difference_sql
from scoring.queries.writing import Written, write
from segments.conditions import Sql

# Pages of the stage (8 kB) worked in the first transaction, and seconds that one should take. What a page holds differs by far, from two
# hundred contacts with one ledger row each to forty whose hundreds of rows lie beside it, and from one chunk to the next: a tenth of a
# second aimed at leaves room below the half that no write may take (LIMITS, goals). 0.2 s gave 0.52 s at load 15 (bench.moments, 2026-11-22).
CHUNK_PAGES = 4
CHUNK_SECONDS = 0.1
MOST_CHUNK_PAGES = 1_024
LOCKS = 0x53434F52  # “SCOR”: first half of the advisory locks' key, the second is the model
EVERYBODY = -(2**62)


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
    """Own a model's ledger, head-counts and live version until the transaction ends. One statement.

    A session that may only read has a ledger of its own (nurture/simulation).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s) WHERE current_setting('transaction_read_only') = 'off'",
            [LOCKS, model_id],
        )


def refresh_some(
    plan: Plan,
    contacts: Sequence[int],
    *,
    now: datetime,
    is_current: Callable[[], bool],
    mark_over: int | None = None,
) -> Written | None:
    """Score a batch; None when the version is no longer the live one. Three statements in one transaction.

    The first waits for the model's lock; the last sees everything that was committed before the lock was given, so that no
    writer overwrites another.
    """
    with transaction.atomic():
        lock_model(plan.model_id)
        if not is_current():
            return None
        return write(plan, _difference(plan, contacts, now), now=now, mark_over=mark_over, tell=True)


def refresh_all(
    plan: Plan, *, now: datetime, mark_over: int, is_current: Callable[[], bool], recount: bool = False
) -> Written | None:
    """Score everybody; None when the version is no longer the live one. `recount`: head-counts of the rules are counted anew.

    The difference is staged without locking a row, then written in chunks, each its own transaction.

    A killed run leaves whole chunks: the next one finds what is left. Staged in an unlogged, not a temporary table, since
    PostgreSQL fills a temporary one without parallel workers (LIMITS, trap 6).
    """
    stage = f"scoring_stage_{plan.model_id}"
    with model_lock(plan.model_id):
        if not is_current():
            return None
        try:
            pages = _stage(stage, _difference(plan, None, now))
            written = Written()
            first, step = 0, CHUNK_PAGES
            while first < pages:
                rows = Sql(
                    f"SELECT * FROM {stage} WHERE ctid >= '({first},0)'::tid AND ctid < '({first + step},0)'::tid",
                    (),
                )
                started = perf_counter()
                written += _write_chunk(plan, rows, now=now, mark_over=mark_over)
                first, step = first + step, next_step(step, perf_counter() - started)
        finally:
            _drop(stage)
        if recount:
            recount_rules(plan.version_id, plan.model_id)
        if written.rows > 50_000:
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE scoring_score, scoring_ledgerrow, scoring_scoredue")  # LIMITS, trap 5
    return written


def next_step(pages: int, seconds: float) -> int:
    """Pages of the next chunk, so that it takes some CHUNK_SECONDS: at most twice as many as took so long."""
    return max(1, min(pages * 2, int(pages * CHUNK_SECONDS / max(seconds, 0.001)), MOST_CHUNK_PAGES))


def _difference(plan: Plan, contacts: Sequence[int] | None, now: datetime) -> Sql:
    return difference_sql(plan, contacts) if plan.timed is None else difference_by_moments(plan, contacts, now)


def _write_chunk(plan: Plan, rows: Sql, *, now: datetime, mark_over: int) -> Written:
    """A contact deleted between the statement's look and its commit breaks the chunk: the second try leaves it out."""
    try:
        with _lazy_commit():
            return write(plan, rows, now=now, mark_over=mark_over, tell=False)
    except IntegrityError:
        with _lazy_commit():
            return write(plan, rows, now=now, mark_over=mark_over, tell=False)


@contextmanager
def _lazy_commit() -> Iterator[None]:
    """A transaction that does not wait for the disk: whoever acts on it commits later, and the log is flushed in order.

    What a falling server loses, the model still waits for: that everybody was looked at is committed after the last chunk.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        yield


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


def recount_rules(version_id: int, model_id: int) -> None:
    """Head-counts of a version's rules from the ledger, once everybody was scored by it; the caller holds the model's lock.

    One statement over the model's ledger, one over the rules: an UPDATE that reads the ledger itself gets no parallel workers.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            "SELECT rule_key, count(*) FROM (SELECT rule_key FROM scoring_ledgerrow WHERE model_id = %s"
            " GROUP BY contact_id, rule_key HAVING sum(points) <> 0) held GROUP BY rule_key",
            [model_id],
        )
        found = cursor.fetchall()
        cursor.execute(
            """
            UPDATE scoring_rule r SET met_count = COALESCE(met.n, 0)
            FROM scoring_rule same LEFT JOIN unnest(%s::uuid[], %s::bigint[]) met(rule_key, n) ON met.rule_key = same.key
            WHERE r.id = same.id AND r.version_id = %s AND r.met_count <> COALESCE(met.n, 0)
            """,
            [[key for key, _n in found], [n for _key, n in found], version_id],
        )
