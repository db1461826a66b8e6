"""Rules per occurrence with decay, expiry and caps over everybody: the product beside hand-written SQL, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.moments --contacts 100000 --activities 2000000

The population of bench.segments in an instance of its own. The yardstick is what somebody who knows the tables writes: one join of
the activities to a list of steps, sums by window, rule caps and the cap of behaviour by window, the difference to a copy of the
ledger moment by moment, inserted. Both must agree on every score. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Any

import django

from bench.scores import node, score_everybody
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


def make_model(now: datetime) -> Any:
    from scoring import actions
    from scoring.models import ScoreModel
    from scoring.occurrences import Counting

    model = ScoreModel.objects.filter(slug="bench-moments").first()
    if model is not None:
        return model
    model = actions.create_model("Bench moments", slug="bench-moments", now=now)
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


def copy_ledger(model: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_moments")
        cursor.execute("CREATE TABLE bench_moments (LIKE scoring_ledgerrow INCLUDING ALL)")
        cursor.execute("INSERT INTO bench_moments SELECT * FROM scoring_ledgerrow WHERE model_id = %s", [model.pk])
        cursor.execute("VACUUM ANALYZE bench_moments, scoring_ledgerrow, scoring_score")


def by_hand(model: Any, now: datetime, contacts: Sequence[int] | None = None) -> int:
    """Ledger rows written."""
    from django.db import connection, transaction

    from scoring.models import Rule
    from scoring.occurrences import counting_of, steps

    live = {int(rule.name): rule for rule in Rule.objects.filter(version__model=model, version__state="live")}
    listed = ", ".join(
        f"({number}, (SELECT id FROM leads_activitykind WHERE slug = '{kind}'), {is_pricing}, {limits['cap'] * 100})"
        for number, (kind, is_pricing, _points, limits) in enumerate(RULES, start=1)
    )
    moves = ", ".join(
        f"({number}, interval '{step.after.days} days', {step.change})"
        for number, rule in sorted(live.items())
        for step in steps(rule.points, counting_of(rule))  # type: ignore[arg-type]
    )
    keys = ", ".join(f"({number}, '{rule.key}'::uuid)" for number, rule in sorted(live.items()))
    only = "" if contacts is None else " AND {}.contact_id = ANY (%(ids)s::bigint[])"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        cursor.execute(
            f"""
            WITH rule(number, kind, pricing, cap) AS (VALUES {listed}), step(number, after, change) AS (VALUES {moves}),
            key(number, key) AS (VALUES {keys}),
            moved AS (
                SELECT r.number, a.contact_id, a.occurred_at + step.after AS at, sum(step.change) AS change
                FROM leads_activity a JOIN rule r ON r.kind = a.kind_id JOIN step ON step.number = r.number
                LEFT JOIN leads_asset s ON s.id = a.asset_id
                WHERE (NOT r.pricing OR s.url LIKE '%%/pricing%%') AND a.occurred_at + step.after <= %(now)s{only.format("a")}
                GROUP BY 1, 2, 3
            ),
            level AS (
                SELECT m.*, LEAST(r.cap, sum(m.change) OVER (PARTITION BY m.number, m.contact_id ORDER BY m.at)) AS level
                FROM moved m JOIN rule r USING (number)
            ),
            delta AS (
                SELECT contact_id, number, at, level - lag(level, 1, 0::numeric) OVER (PARTITION BY number, contact_id ORDER BY at) AS points
                FROM level
            ),
            summed AS (
                SELECT contact_id, at, sum(sum(points)) OVER (PARTITION BY contact_id ORDER BY at) AS level
                FROM delta WHERE points <> 0 GROUP BY 1, 2
            ),
            capped AS (
                SELECT contact_id, at, LEAST(0, {MOST * 100} - level) - lag(LEAST(0, {MOST * 100} - level), 1, 0::numeric)
                    OVER (PARTITION BY contact_id ORDER BY at) AS points
                FROM summed
            ),
            wanted AS (
                SELECT contact_id, key.key, at, points FROM delta JOIN key USING (number) WHERE points <> 0
                UNION ALL SELECT contact_id, %(cap)s::uuid, at, points FROM capped WHERE points <> 0
            )
            INSERT INTO bench_moments (contact_id, model_id, rule_key, counts_from, version_id, "group", points, recorded_at, cause, revision)
            SELECT contact_id, %(model)s, key, at, 0, 'behaviour', sum(points) * 0.01, now(), 'activity', 1 FROM (
                SELECT contact_id, key, at, points FROM wanted
                UNION ALL
                SELECT l.contact_id, l.rule_key, l.counts_from, -l.points * 100 FROM bench_moments l WHERE true{only.format("l")}
            ) both_sides GROUP BY 1, 2, 3, 4 HAVING sum(points) <> 0
            """,
            {"now": now, "ids": list(contacts or ()), "model": model.pk, "cap": _cap_key()},
        )
        return int(cursor.rowcount)


def _cap_key() -> str:
    from scoring.queries import CAP_KEYS

    return str(CAP_KEYS["behaviour"])


def run(contacts: int, activities: int, times: int) -> dict[str, Any]:
    from leads.models import Contact
    from scoring import queries
    from scoring.models import LedgerRow, ScoreDue
    from scoring.queries import running

    fill(contacts, activities)
    model = make_model(NOW)
    longest = [0.0]
    write = running.write_by_moments  # type: ignore[attr-defined]

    def timed_write(*arguments: Any, **values: Any) -> Any:
        started = perf_counter()
        written = write(*arguments, **values)
        longest[0] = max(longest[0], perf_counter() - started)
        return written

    running.write_by_moments = timed_write  # type: ignore[attr-defined]
    started = perf_counter()
    score_everybody(model, NOW)
    told: dict[str, Any] = {
        "contacts": contacts,
        "activities": activities,
        "first_fill_s": round(perf_counter() - started, 2),
        "ledger_rows": LedgerRow.objects.filter(model=model).count(),
        "contacts_due_later": ScoreDue.objects.filter(model=model).count(),
        "longest_write_s": round(longest[0], 3),
    }
    copy_ledger(model)
    told["rows_that_differ_by_hand"] = by_hand(model, NOW)  # 0: both ways agree on every moment of everybody
    told["full_nothing_changes"] = pair(partial(score_everybody, model, NOW), partial(by_hand, model, NOW), times)
    everybody = list(Contact.objects.order_by("?").values_list("pk", flat=True)[:1_000])
    told["changed_1000"] = pair(
        partial(node(model).refresh, contacts=everybody, now=NOW), partial(by_hand, model, NOW, everybody), times
    )
    single = sorted(timed(partial(node(model).refresh, contacts=[one], now=NOW), 1) * 1000 for one in everybody[:60])
    told["one_contact_ms"] = {"p50": round(single[30], 1), "p95": round(single[56], 1)}
    hour = NOW + timedelta(hours=1)
    due = len(queries.due_contacts(model.pk, hour, 10**7))
    started = perf_counter()
    changed = node(model).refresh(contacts=None, now=hour)
    told["an_hour_later"] = {"due": due, "changed": changed, "seconds": round(perf_counter() - started, 2)}
    told["ledger_sums_hold"] = queries.ledger_sums_hold()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--activities", type=int, default=2_000_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import servers

    with servers.in_use():
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        print(json.dumps(run(options.contacts, options.activities, options.times), indent=1, default=str))


if __name__ == "__main__":
    main()
