"""Thirty rules over everybody with the ledger: the product beside hand-written SQL, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.scores --contacts 100000 --activities 2000000

Uses the population of bench.segments in an instance of its own. The yardstick is what somebody who knows the tables writes: fit as
CASE over contact and company, behaviour as one join of the activities to a list of rules, the difference to the ledger's sums, ledger
and scores written in one transaction, into copies of the product's tables. Both ways must agree on every score. Prints one JSON object.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from time import perf_counter
from typing import Any

from bench.command import command
from bench.scoring import Told, longest_write, score_everybody, tell_changed
from bench.segments import NOW, fill, pair, timed

TITLES = ("vp", "cfo", "head", "engineer", "clerk")
COUNTRIES = (("DE", "AT", "CH"), ("FR",), ("US", "GB"), ("DE",))
SIZES = ((1, 49), (50, 199), (200, 499), (500, 900))
# kind, least, days, only pages with “/pricing”
BEHAVIOUR = (
    ("page_view", 1, 7, False), ("page_view", 5, 30, False), ("page_view", 20, 90, False), ("page_view", 1, 30, True),
    ("page_view", 3, 90, True), ("email_open", 1, 14, False), ("email_open", 10, 90, False), ("email_click", 1, 30, False),
    ("email_click", 5, 120, False), ("form_submit", 1, 60, False), ("form_submit", 2, 150, False), ("webinar_attended", 1, 90, False),
    ("demo_booked", 1, 60, False), ("purchase", 1, 180, False), ("purchase", 3, 180, False),
)  # fmt: skip


def rules() -> list[tuple[str, int, dict[str, Any], str]]:
    """(group, points, document, hand-written test over c and f for fit or "" for behaviour); thirty of them."""
    found: list[tuple[str, int, dict[str, Any], str]] = []
    for word in TITLES:
        found.append(
            ("fit", 10, {"field": "contact.title", "op": "contains", "value": word}, f"lower(c.title) LIKE '%{word}%'")
        )
    for countries in COUNTRIES:
        listed = ", ".join(f"'{code}'" for code in countries)
        found.append(
            ("fit", 5, {"field": "contact.country", "op": "in", "value": list(countries)}, f"c.country IN ({listed})")
        )
    for low, high in SIZES:
        found.append(
            (
                "fit",
                8,
                {"field": "company.employees", "op": "between", "value": [low, high]},
                f"f.employees BETWEEN {low} AND {high}",
            )
        )
    found.append(
        ("fit", 7, {"field": "company.industry", "op": "is", "value": "software"}, "lower(f.industry) = 'software'")
    )
    found.append(
        (
            "negative",
            -10,
            {"field": "contact.tags", "op": "includes_any", "value": ["partner"]},
            "'partner' = ANY (c.tags)",
        )
    )
    for kind, least, days, is_pricing in BEHAVIOUR:
        leaf: dict[str, Any] = {"did": kind, "when": {"op": "in_last", "value": days, "unit": "days"}}
        if is_pricing:
            leaf["where"] = [{"field": "url", "op": "contains", "value": "/pricing"}]
        if least > 1:
            leaf["count"] = {"op": "at_least", "value": least}
        found.append(("behaviour", 6, leaf, ""))
    return found


def make_model(now: datetime) -> Any:
    from scoring import actions
    from scoring.models import ScoreModel

    model = ScoreModel.objects.filter(slug="bench").first()
    if model is not None:
        return model
    model = actions.create_model("Bench", slug="bench", now=now)
    draft = actions.draft_of(model, now=now)
    for number, (group, points, document, _sql) in enumerate(rules(), start=1):
        actions.save_rule(draft, group=group, name=f"{number:02}", conditions=document, points=Decimal(points), now=now)
    actions.publish(draft, reason="Bench", now=now)
    return model


def copy_tables(model: Any) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for table, name in (("scoring_ledgerrow", "bench_ledger"), ("scoring_score", "bench_score")):
            cursor.execute(f"DROP TABLE IF EXISTS {name}")
            cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
            cursor.execute(f"INSERT INTO {name} SELECT * FROM {table} WHERE model_id = %s", [model.pk])
        cursor.execute("VACUUM ANALYZE bench_ledger, bench_score, scoring_ledgerrow, scoring_score")


def by_hand(model: Any, now: datetime, contacts: Sequence[int] | None = None) -> int:
    """Ledger rows written. Two staged tables and two writes; for a batch every table is narrowed to it."""
    from django.db import connection, transaction

    from scoring.models import ScoreVersion

    version = ScoreVersion.objects.get(model=model, state="live")
    live = {int(rule.name): rule for rule in version.rules.all()}
    fit, behaviour = [], []
    for number, (_group, _points, _document, test) in enumerate(rules(), start=1):
        if test:
            fit.append(f"CASE WHEN {test} THEN {number}::smallint END")
        else:
            kind, least, days, is_pricing = BEHAVIOUR[number - 16]
            since = (now - timedelta(days=days)).isoformat()
            behaviour.append(
                f"({number}::smallint, (SELECT id FROM leads_activitykind WHERE slug = '{kind}'), {least}, '{since}'::timestamptz, {is_pricing})"
            )
    table = ", ".join(
        f"({number}::smallint, '{rule.key}'::uuid, '{rule.group}'::text, {rule.points}::numeric)"
        for number, rule in sorted(live.items())
    )

    def only(column: str) -> str:
        return "" if contacts is None else f" AND {column} = ANY (%(ids)s::bigint[])"

    statements = [
        "DROP TABLE IF EXISTS bench_stage, bench_difference",
        f"""
        CREATE UNLOGGED TABLE bench_stage AS
        SELECT c.id AS contact_id, unnest(array_remove(ARRAY[{", ".join(fit)}], NULL)) AS rule
        FROM leads_contact c LEFT JOIN leads_company f ON f.id = c.company_id WHERE true{only("c.id")}
        UNION ALL
        SELECT a.contact_id, r.rule FROM leads_activity a
        JOIN (VALUES {", ".join(behaviour)}) r(rule, kind, least, since, pricing) ON r.kind = a.kind_id AND a.occurred_at > r.since
        LEFT JOIN leads_asset s ON s.id = a.asset_id
        WHERE a.occurred_at <= %(now)s AND (NOT r.pricing OR s.url LIKE '%%/pricing%%'){only("a.contact_id")}
        GROUP BY a.contact_id, r.rule, r.least HAVING count(*) >= r.least
        """,
        "ANALYZE bench_stage",
        f"""
        CREATE UNLOGGED TABLE bench_difference AS
        WITH rule(rule, key, grp, points) AS (VALUES {table})
        SELECT COALESCE(w.contact_id, l.contact_id) AS contact_id, rule.key, rule.grp,
               COALESCE(w.points, 0) - COALESCE(l.points, 0) AS points
        FROM (SELECT s.contact_id, rule.key, rule.points FROM bench_stage s JOIN rule USING (rule)) w
        FULL JOIN (
            SELECT contact_id, rule_key AS key, sum(points) AS points FROM bench_ledger WHERE true{only("contact_id")} GROUP BY 1, 2
        ) l ON l.contact_id = w.contact_id AND l.key = w.key
        JOIN rule ON rule.key = COALESCE(w.key, l.key)
        WHERE COALESCE(w.points, 0) <> COALESCE(l.points, 0)
        """,
        """
        INSERT INTO bench_ledger (contact_id, model_id, rule_key, counts_from, version_id, "group", points, recorded_at, cause)
        SELECT contact_id, %(model)s, key, %(now)s, %(version)s, grp, points, now(), 'rule_met' FROM bench_difference
        """,
        f"""
        WITH rule(rule, key, grp, points) AS (VALUES {table}),
        s AS (
            SELECT b.contact_id, sum(rule.points) AS total, COALESCE(sum(rule.points) FILTER (WHERE grp = 'fit'), 0) AS fit,
                   COALESCE(sum(rule.points) FILTER (WHERE grp = 'behaviour'), 0) AS behaviour,
                   COALESCE(sum(rule.points) FILTER (WHERE grp = 'negative'), 0) AS negative
            FROM bench_stage b JOIN rule USING (rule) GROUP BY b.contact_id
        )
        UPDATE bench_score old SET total = s.total, fit = s.fit, behaviour = s.behaviour, negative = s.negative, computed_at = %(now)s
        FROM s WHERE old.contact_id = s.contact_id
          AND (old.total, old.fit, old.behaviour, old.negative) IS DISTINCT FROM (s.total, s.fit, s.behaviour, s.negative)
        """,
    ]
    values = {"now": now, "ids": list(contacts or ()), "model": model.pk, "version": version.pk}
    written = 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '128MB'")
        for place, statement in enumerate(statements):
            # percent signs of the hand-written tests stand doubled where values are bound
            text = (
                statement
                if "%%" in statement or "LIKE '%" not in statement
                else statement.replace("LIKE '%", "LIKE '%%")
            )
            for word in TITLES:
                text = text.replace(f"%{word}%'", f"%%{word}%%'").replace(f"%%%{word}%%%'", f"%%{word}%%'")
            cursor.execute(text, values)
            if place == 4:
                written = cursor.rowcount
    return written


def disagreements(model: Any) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM scoring_score s FULL JOIN bench_score b ON b.contact_id = s.contact_id"
            " WHERE (s.model_id = %s OR s.model_id IS NULL) AND s.total IS DISTINCT FROM b.total",
            [model.pk],
        )
        return int(cursor.fetchone()[0])


def change_points(model: Any, now: datetime, points: int) -> None:
    """Another worth of the rule that most people meet, published."""
    from scoring import actions
    from scoring.models import Rule

    draft = actions.draft_of(model, now=now)
    live = Rule.objects.filter(version__model=model, version__state="live").order_by("-met_count").first()
    assert live is not None
    actions.save_rule(
        draft,
        key=live.key,
        group=live.group,
        name=live.name,
        conditions=live.conditions,
        points=Decimal(points),
        now=now,
    )
    actions.publish(draft, reason="Bench", now=now)


def run(contacts: int, activities: int, times: int) -> dict[str, Any]:
    from scoring import queries

    fill(contacts, activities)
    model = make_model(NOW)
    with longest_write() as first:
        started = perf_counter()
        score_everybody(model, NOW)
    told = Told()
    told.tell(
        contacts=contacts,
        activities=activities,
        rules=len(rules()),
        first_fill_s=round(perf_counter() - started, 2),
        longest_write_first_s=round(first[0], 3),
    )
    copy_tables(model)
    told["rows_that_differ_by_hand"] = by_hand(model, NOW)  # 0: both ways agree on every rule of everybody
    told["scores_that_differ"] = disagreements(model)
    told["full_nothing_changes"] = pair(lambda: score_everybody(model, NOW), lambda: by_hand(model, NOW), times)
    ours, theirs = [], []
    with longest_write() as later:
        for number in range(times):
            now = NOW + timedelta(minutes=number + 1)
            change_points(model, now, 20 + number)
            theirs.append(timed(partial(by_hand, model, now), 1))
            ours.append(timed(partial(score_everybody, model, now), 1))
    told["full_after_a_publication"] = {
        "product_s": round(statistics.median(ours), 3),
        "yardstick_s": round(statistics.median(theirs), 3),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
        "rows": later[1],
    }
    told["scores_that_differ_then"] = disagreements(model)
    told["longest_write_s"] = round(later[0], 3)
    now = NOW + timedelta(hours=1)
    score_everybody(model, now)
    by_hand(model, now)
    tell_changed(told, model, by_hand, now, times)
    told["ledger_sums_hold"] = queries.ledger_sums_hold()
    return told


if __name__ == "__main__":
    command(run, __doc__)
