"""Rules per occurrence with decay, expiry and caps over everybody: the product beside hand-written SQL, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.moments --contacts 100000 --activities 2000000

The population of bench.segments in an instance of its own. The yardstick is what somebody who knows the tables writes: one join of
the activities to a list of steps, sums by window, rule caps and the cap of behaviour by window, the difference to the ledger moment
by moment, then the scores and the moments that come next. It reads the product's ledger and writes to empty copies of the three
tables, so that both meet the same differences without a second ledger on the disk. Both must find the same rows and scores.

It used to find only the ledger rows, in numeric and without a parallel worker, since it inserted straight from the search; now it
stages in unlogged tables, counts in float8, adds hours instead of days, and gives the whole answer: scores and due moments too.
Prints one JSON object.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Any

from bench.command import command
from bench.scoring import Told, longest_write, node, score_everybody, tell_changed
from bench.segments import NOW, fill, pair, timed

# kind, only pages with “/pricing”, points, limits
RULES: tuple[tuple[str, bool, int, dict[str, int]], ...] = (
    ("page_view", True, 8, {"cap": 24, "halves_after_days": 14}),
    ("page_view", False, 1, {"cap": 20, "expires_after_days": 30}),
    ("email_click", False, 3, {"cap": 9, "expires_after_days": 30}),
    ("form_submit", False, 10, {"cap": 20, "expires_after_days": 60}),
    ("webinar_attended", False, 15, {"cap": 30, "halves_after_days": 45}),
    ("demo_booked", False, 30, {"cap": 30, "expires_after_days": 60}),
    ("purchase", False, 20, {"cap": 40}),
)
MOST = 60
SLUG = "bench-moments"


def make_model(now: datetime) -> Any:
    from scoring import actions
    from scoring.models import ScoreModel
    from scoring.occurrences import Counting

    model = ScoreModel.objects.filter(slug=SLUG).first()
    if model is not None:
        return model
    model = actions.create_model("Bench moments", slug=SLUG, now=now)
    draft = actions.draft_of(model, now=now)
    for number, (kind, is_pricing, points, limits) in enumerate(RULES, start=1):
        leaf: dict[str, Any] = {"did": kind}
        if is_pricing:
            leaf["where"] = [{"field": "url", "op": "contains", "value": "/pricing"}]
        counting = Counting(
            cap=Decimal(limits["cap"]),
            expires_after_days=limits.get("expires_after_days"),
            halves_after_days=limits.get("halves_after_days"),
        )
        actions.save_rule(
            draft,
            group="behaviour",
            name=f"{number:02}",
            conditions=leaf,
            points=Decimal(points),
            counting=counting,
            now=now,
        )
    actions.change_lines(
        draft,
        threshold=Decimal(75),
        fit_lines=draft.fit_lines,
        behaviour_lines=draft.behaviour_lines,
        caps={"behaviour": {"most": MOST}},
        now=now,
    )
    actions.publish(draft, reason="Bench", now=now)
    return model


COPIES = {"bench_moments": "scoring_ledgerrow", "bench_score": "scoring_score", "bench_due": "scoring_scoredue"}


def make_copies() -> None:
    """Empty tables of the same form, for what the yardstick writes."""
    from django.db import connection

    drop_copies()
    with connection.cursor() as cursor:
        for name, table in COPIES.items():
            cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        cursor.execute("VACUUM ANALYZE scoring_ledgerrow, scoring_score, scoring_scoredue")


def drop_copies() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {', '.join(COPIES)}")


def wanted_sql(only: str) -> str:
    """What each rule changes at each moment, those to come too: (contact_id, number, at, points)."""
    from scoring.models import Rule
    from scoring.occurrences import counting_of, steps

    live = {int(rule.name): rule for rule in Rule.objects.filter(version__state="live", version__model__slug=SLUG)}
    listed = ", ".join(
        f"({number}, (SELECT id FROM leads_activitykind WHERE slug = '{kind}'), {is_pricing}, {limits['cap'] * 100}::float8)"
        for number, (kind, is_pricing, _points, limits) in enumerate(RULES, start=1)
    )
    moves = ", ".join(
        f"({number}, interval '{step.after.days * 24} hours', {step.change}::float8)"
        for number, rule in sorted(live.items())
        for step in steps(rule.points, counting_of(rule))  # type: ignore[arg-type]
    )
    return f"""
        SELECT contact_id, number, at, points FROM (
            SELECT contact_id, number, at, level - lag(level, 1, 0::float8) OVER (PARTITION BY number, contact_id ORDER BY at) AS points
            FROM (
                SELECT m.contact_id, m.number, m.at,
                       LEAST(r.cap, sum(m.change) OVER (PARTITION BY m.number, m.contact_id ORDER BY m.at)) AS level
                FROM (
                    SELECT r.number, a.contact_id, a.occurred_at + step.after AS at, sum(step.change) AS change
                    FROM leads_activity a JOIN (VALUES {listed}) r(number, kind, pricing, cap) ON r.kind = a.kind_id
                    JOIN (VALUES {moves}) step(number, after, change) ON step.number = r.number
                    LEFT JOIN leads_asset s ON s.id = a.asset_id
                    WHERE (NOT r.pricing OR s.url LIKE '%%/pricing%%'){only.format("a")}
                    GROUP BY 1, 2, 3
                ) m JOIN (VALUES {listed}) r(number, kind, pricing, cap) USING (number)
            ) levelled
        ) each WHERE points <> 0
    """


def difference_sql(only: str) -> str:
    """Rows that the ledger lacks (contact_id, key, at, points), from “bench_wanted”."""
    from scoring.models import Rule

    live = Rule.objects.filter(version__state="live", version__model__slug=SLUG)
    keys = ", ".join(f"({int(rule.name)}, '{rule.key}'::uuid)" for rule in live)
    over = f"LEAST(0, {MOST * 100} - level)"
    return f"""
        SELECT contact_id, key, at, sum(points) AS points FROM (
            SELECT contact_id, key.key, at, points FROM bench_wanted JOIN (VALUES {keys}) key(number, key) USING (number) WHERE at <= %(now)s
            UNION ALL
            SELECT contact_id, %(cap)s::uuid, at, {over} - lag({over}, 1, 0::float8) OVER (PARTITION BY contact_id ORDER BY at)
            FROM (
                SELECT contact_id, at, sum(sum(points)) OVER (PARTITION BY contact_id ORDER BY at) AS level
                FROM bench_wanted WHERE at <= %(now)s GROUP BY 1, 2
            ) summed
            UNION ALL
            SELECT l.contact_id, l.rule_key, l.counts_from, -(l.points * 100)::bigint::float8
            FROM scoring_ledgerrow l WHERE l.model_id = %(model)s{only.format("l")}
        ) both_sides GROUP BY 1, 2, 3 HAVING sum(points) <> 0
    """


STANDS = f"""
    SELECT contact_id, LEAST({MOST * 100}, COALESCE(sum(points) FILTER (WHERE at <= %(now)s), 0)) AS total,
           min(at) FILTER (WHERE at > %(now)s) AS due_at FROM bench_wanted GROUP BY 1
"""
WRITES = """
    WITH stands AS MATERIALIZED (%s),
    ledger AS (
        INSERT INTO bench_moments (contact_id, model_id, rule_key, counts_from, version_id, "group", points, recorded_at, cause, revision)
        SELECT contact_id, %%(model)s, key, at, 0, 'behaviour', points * 0.01, now(), 'activity', 1 FROM bench_difference
    ),
    score AS (
        INSERT INTO bench_score (contact_id, model_id, total, fit, behaviour, negative, grade, computed_at)
        SELECT s.contact_id, %%(model)s, s.total * 0.01, 0, s.total * 0.01, 0, 'D4', %%(now)s
        FROM stands s JOIN scoring_score old ON old.contact_id = s.contact_id AND old.model_id = %%(model)s
        WHERE (old.total * 100)::bigint <> s.total
    ),
    due AS (
        INSERT INTO bench_due (contact_id, model_id, due_at)
        SELECT s.contact_id, %%(model)s, s.due_at FROM stands s
        LEFT JOIN scoring_scoredue old ON old.contact_id = s.contact_id AND old.model_id = %%(model)s
        WHERE s.due_at IS NOT NULL AND s.due_at IS DISTINCT FROM old.due_at
    )
    SELECT (SELECT count(*) FROM bench_difference), (SELECT count(*) FROM stands)
"""


def by_hand(model: Any, now: datetime, contacts: Sequence[int] | None = None) -> int:
    """Ledger rows written. Everybody: staged in unlogged tables, then written; a batch: one statement."""
    from django.db import connection, transaction

    only = "" if contacts is None else " AND {}.contact_id = ANY (%(ids)s::bigint[])"
    values = {"now": now, "ids": list(contacts or ()), "model": model.pk, "cap": _cap_key()}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        if contacts is not None:
            parts = f"bench_wanted AS MATERIALIZED ({wanted_sql(only)}), bench_difference AS MATERIALIZED ({difference_sql(only)}), stands"
            cursor.execute((WRITES % STANDS).replace("stands", parts, 1), values)
            return int(cursor.fetchone()[0])
        cursor.execute("DROP TABLE IF EXISTS bench_wanted, bench_difference")
        cursor.execute(f"CREATE UNLOGGED TABLE bench_wanted AS {wanted_sql(only)}", values)
        cursor.execute("ANALYZE bench_wanted")
        cursor.execute(f"CREATE UNLOGGED TABLE bench_difference AS {difference_sql(only)}", values)
        cursor.execute(WRITES % STANDS, values)
        rows = int(cursor.fetchone()[0])
        cursor.execute("DROP TABLE bench_wanted, bench_difference")
        return rows


def _cap_key() -> str:
    from scoring.queries import CAP_KEYS

    return str(CAP_KEYS["behaviour"])


def a_day_later(model: Any, times: int) -> dict[str, Any]:
    """Everybody at the next days: a day of decay and expiry is written by both; they must write as many rows."""
    ours, theirs, by_product, of_hand = [], [], [], []
    longest = 0.0
    for number in range(1, times + 1):
        now = NOW + timedelta(days=number)
        make_copies()
        started = perf_counter()
        of_hand.append(by_hand(model, now))
        theirs.append(perf_counter() - started)
        with longest_write() as written:
            ours.append(timed(partial(score_everybody, model, now), 1))
        by_product.append(written[1])
        longest = max(longest, written[0])
    middle = sorted(range(times), key=lambda place: ours[place] / theirs[place])[times // 2]
    return {
        "product_s": round(ours[middle], 3),
        "yardstick_s": round(theirs[middle], 3),
        "ratio": round(ours[middle] / theirs[middle], 2),
        "rows": by_product,
        "rows_by_hand": of_hand,
        "longest_write_s": round(longest, 3),
    }


def run(contacts: int, activities: int, times: int) -> dict[str, Any]:
    from scoring import queries
    from scoring.models import LedgerRow, ScoreDue

    fill(contacts, activities)
    model = make_model(NOW)
    with longest_write() as first:
        started = perf_counter()
        score_everybody(model, NOW)
        seconds = perf_counter() - started
    told = Told()
    told.tell(
        contacts=contacts,
        activities=activities,
        first_fill_s=round(seconds, 2),
        ledger_rows=LedgerRow.objects.filter(model=model).count(),
        contacts_due_later=ScoreDue.objects.filter(model=model).count(),
        longest_write_s=round(first[0], 3),
    )
    make_copies()
    told["rows_that_differ_by_hand"] = by_hand(model, NOW)  # 0: both ways agree on every moment of everybody
    told["scores_that_differ_by_hand"] = written_to("bench_score")
    told["due_moments_that_differ_by_hand"] = written_to("bench_due")
    told["full_nothing_changes"] = pair(partial(score_everybody, model, NOW), partial(by_hand, model, NOW), times)
    tell_changed(told, model, by_hand, NOW, times)
    hour = NOW + timedelta(hours=1)
    due = len(queries.due_contacts(model.pk, hour, 10**7))
    started = perf_counter()
    changed = node(model).refresh(contacts=None, now=hour)
    told["an_hour_later"] = {"due": due, "changed": changed, "seconds": round(perf_counter() - started, 2)}
    told["full_a_day_later"] = a_day_later(model, times)
    drop_copies()
    told["ledger_sums_hold"] = queries.ledger_sums_hold()
    return told


def written_to(table: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


if __name__ == "__main__":
    command(run, __doc__)
