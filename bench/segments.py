"""Twenty mixed segments: a turn of the product beside hand-written SQL, over everybody, 10,000, 1,000 and one contact, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.segments --contacts 100000 --activities 2000000

Fills an empty instance (its own RIPEN_HOME) with plain SQL, checks that both ways agree on the members, prints one JSON object.
The ratio counts, not the seconds: both run on the same machine, data and minute.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter, sleep
from typing import Any

from bench.command import command

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
DAYS = 180
SINGLY = 300  # contacts changed one by one

CONTACTS = """
INSERT INTO leads_company (external_id, name, domain, industry, employees, country, region, city)
SELECT 'co' || n, 'Company ' || n, '', (ARRAY['manufacturing', 'software', 'retail', 'health'])[1 + n %% 4], (n * 37) %% 900 + 1,
       (ARRAY['DE', 'AT', 'CH', 'FR', 'US'])[1 + n %% 5], '', ''
FROM generate_series(1, %(companies)s) n;
INSERT INTO leads_contact (external_id, email, first_name, last_name, title, department, seniority, phone, country, region, city,
                           postal_code, timezone, language, source, company_id, stage, stage_since, tags, custom, created_at)
SELECT 'c' || n, 'c' || n || '@bench.test', 'First', 'Last ' || n,
       (ARRAY['VP Sales', 'Clerk', 'CFO', 'Engineer', 'Head of IT'])[1 + hashint4(n) %% 5 + CASE WHEN hashint4(n) %% 5 < 0 THEN 5 ELSE 0 END],
       '', '', '', (ARRAY['DE', 'AT', 'CH', 'FR', 'US', 'GB', ''])[1 + n %% 7], '', '', '', '', '', '',
       (SELECT min(id) FROM leads_company) + n %% %(companies)s, (ARRAY['inquiry', 'inquiry', 'mql', 'customer'])[1 + n %% 4],
       %(now)s, CASE WHEN n %% 11 = 0 THEN ARRAY['partner'] ELSE ARRAY[]::text[] END,
       CASE WHEN n %% 3 = 0 THEN '{"plan": "pro"}'::jsonb ELSE '{}'::jsonb END,
       %(now)s::timestamptz - (n %% 700) * interval '1 day'
FROM generate_series(1, %(contacts)s) n;
INSERT INTO leads_deal (external_id, company_id, status, amount, product, opened_on, closed_on, loss_reason)
SELECT 'd' || n, NULL, (ARRAY['won', 'lost', 'open'])[1 + n %% 3], n %% 5000, 'P', '2026-03-01',
       CASE WHEN n %% 3 < 2 THEN '2026-06-01'::date END, ''
FROM generate_series(1, %(contacts)s / 20) n;
INSERT INTO leads_dealcontact (deal_id, contact_id)
SELECT d.id, (SELECT min(id) FROM leads_contact) + (d.id * 7919) %% %(contacts)s FROM leads_deal d;
INSERT INTO leads_asset (url, subject, source, digest)
SELECT 'https://www.bench.test/' || CASE WHEN n %% 20 = 0 THEN 'pricing/' ELSE 'blog/' END || n, '', '', md5(n::text)::uuid
FROM generate_series(1, 500) n;
"""
ACTIVITIES = """
INSERT INTO leads_activity (contact_id, occurred_at, recorded_at, kind_id, asset_id, properties)
SELECT first.contact + floor(%(contacts)s * power(random(), 3))::bigint, %(now)s::timestamptz - random() * %(days)s * interval '1 day', %(now)s,
       k.kind, first.asset + floor(random() * 500)::int, CASE WHEN k.slug = 'purchase' THEN jsonb_build_object('amount', floor(random() * 900)) END
FROM generate_series(1, %(activities)s) n
JOIN LATERAL (SELECT n %% 1000 AS r) dice ON true
JOIN LATERAL (SELECT id AS kind, slug FROM leads_activitykind WHERE slug = CASE WHEN r < 700 THEN 'page_view' WHEN r < 850 THEN 'email_open'
    WHEN r < 930 THEN 'email_click' WHEN r < 970 THEN 'form_submit' WHEN r < 985 THEN 'webinar_attended' WHEN r < 995 THEN 'purchase'
    ELSE 'demo_booked' END) k ON true
CROSS JOIN (SELECT (SELECT min(id) FROM leads_contact) AS contact, (SELECT min(id) FROM leads_asset) AS asset) first;
INSERT INTO leads_signal (contact_id, kind_id, n, first_at, last_at)
SELECT contact_id, kind_id, count(*), min(occurred_at), max(occurred_at) FROM leads_activity GROUP BY 1, 2;
DELETE FROM leads_mark;
"""

K = "(SELECT id FROM leads_activitykind WHERE slug = '{}')"
ALL = "SELECT c.id FROM leads_contact c"
BATCH = "SELECT id FROM bench_batch"


def kind(slug: str) -> str:
    return K.format(slug)


def ago(**period: float) -> str:
    return f"'{(NOW - timedelta(**period)).isoformat()}'"


# name, rule, and what somebody who knows the tables writes by hand; [column] is where a batch of contacts enters
SEGMENTS: list[tuple[str, dict[str, Any], str]] = [
    ("dach", {"field": "contact.country", "op": "in", "value": ["DE", "AT", "CH"]}, f"{ALL} WHERE [c.id] AND c.country IN ('DE', 'AT', 'CH')"),
    ("vp", {"field": "contact.title", "op": "contains", "value": "vp"}, f"{ALL} WHERE [c.id] AND lower(c.title) LIKE '%vp%'"),
    ("mid-size", {"field": "company.employees", "op": "between", "value": [50, 200]},
     f"{ALL} JOIN leads_company f ON f.id = c.company_id WHERE [c.id] AND f.employees BETWEEN 50 AND 200"),
    ("german-makers", {"all": [{"field": "company.industry", "op": "is", "value": "manufacturing"}, {"field": "contact.country", "op": "is", "value": "DE"}]},
     f"{ALL} JOIN leads_company f ON f.id = c.company_id WHERE [c.id] AND f.industry = 'manufacturing' AND c.country = 'DE'"),
    ("partners", {"field": "contact.tags", "op": "includes_any", "value": ["partner"]}, f"{ALL} WHERE [c.id] AND 'partner' = ANY (c.tags)"),
    ("mqls", {"field": "contact.stage", "op": "is", "value": "mql"}, f"{ALL} WHERE [c.id] AND c.stage = 'mql'"),
    ("newcomers", {"field": "contact.created_at", "op": "in_last", "value": 30, "unit": "days"},
     f"{ALL} WHERE [c.id] AND c.created_at > {ago(days=30)} AND c.created_at <= {ago(days=0)}"),
    ("pricing", {"did": "page_view", "where": [{"field": "url", "op": "contains", "value": "/pricing"}], "count": {"op": "at_least", "value": 3},
                 "when": {"op": "in_last", "value": 30, "unit": "days"}},
     f"SELECT a.contact_id FROM leads_activity a JOIN leads_asset s ON s.id = a.asset_id WHERE [a.contact_id] AND a.kind_id = {kind('page_view')} AND s.url LIKE '%/pricing%'"
     f" AND a.occurred_at > {ago(days=30)} AND a.occurred_at <= {ago(days=0)} GROUP BY 1 HAVING count(*) >= 3"),
    ("no-demo", {"did": "demo_booked", "count": {"op": "exactly", "value": 0}},
     f"{ALL} WHERE [c.id] AND NOT EXISTS (SELECT FROM leads_signal g WHERE g.contact_id = c.id AND g.kind_id = {kind('demo_booked')})"),
    ("readers", {"did": "email_open", "count": {"op": "at_least", "value": 5}},
     f"SELECT contact_id FROM leads_signal WHERE [contact_id] AND kind_id = {kind('email_open')} AND n >= 5"),
    ("webinar", {"did": "webinar_attended"}, f"SELECT contact_id FROM leads_signal WHERE [contact_id] AND kind_id = {kind('webinar_attended')}"),
    ("new-forms", {"did": "form_submit", "first": True, "when": {"op": "in_last", "value": 90, "unit": "days"}},
     f"SELECT contact_id FROM leads_signal WHERE [contact_id] AND kind_id = {kind('form_submit')} AND first_at > {ago(days=90)} AND first_at <= {ago(days=0)}"),
    ("lost", {"has": "deal", "where": [{"field": "status", "op": "is", "value": "lost"}]},
     "SELECT DISTINCT x.contact_id FROM leads_dealcontact x JOIN leads_deal d ON d.id = x.deal_id WHERE [x.contact_id] AND d.status = 'lost'"),
    ("not-won", {"not": {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}},
     f"{ALL} WHERE [c.id] AND NOT EXISTS (SELECT FROM leads_dealcontact x JOIN leads_deal d ON d.id = x.deal_id WHERE x.contact_id = c.id AND d.status = 'won')"),
    ("dach-webinar", {"all": [{"in_segment": "dach"}, {"in_segment": "webinar"}]},
     "SELECT a.contact_id FROM segments_membership a JOIN segments_membership b ON b.contact_id = a.contact_id AND b.until IS NULL"
     " AND b.segment_id = (SELECT id FROM segments_segment WHERE slug = 'webinar')"
     " WHERE [a.contact_id] AND a.until IS NULL AND a.segment_id = (SELECT id FROM segments_segment WHERE slug = 'dach')"),
    ("had-demo", {"not": {"in_segment": "no-demo"}},
     f"{ALL} WHERE [c.id] AND NOT EXISTS (SELECT FROM segments_membership m WHERE m.contact_id = c.id AND m.until IS NULL"
     " AND m.segment_id = (SELECT id FROM segments_segment WHERE slug = 'no-demo'))"),
    ("pro", {"field": "contact.custom.plan", "op": "is", "value": "pro"}, f"{ALL} WHERE [c.id] AND lower(c.custom ->> 'plan') = 'pro'"),
    ("asleep", {"field": "contact.last_activity_at", "op": "more_than_ago", "value": 60, "unit": "days"},
     f"SELECT contact_id FROM leads_signal WHERE [contact_id] GROUP BY 1 HAVING max(last_at) < {ago(days=60)}"),
    ("busy", {"any": [{"did": "page_view", "when": {"op": "in_last", "value": 7, "unit": "days"}},
                      {"did": "email_click", "when": {"op": "in_last", "value": 14, "unit": "days"}}]},
     f"SELECT contact_id FROM leads_activity WHERE [contact_id] AND kind_id = {kind('page_view')} AND occurred_at > {ago(days=7)} AND occurred_at <= {ago(days=0)}"
     f" UNION SELECT contact_id FROM leads_activity WHERE [contact_id] AND kind_id = {kind('email_click')} AND occurred_at > {ago(days=14)} AND occurred_at <= {ago(days=0)}"),
    ("spenders", {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 1000}},
     f"SELECT contact_id FROM leads_activity WHERE [contact_id] AND kind_id = {kind('purchase')} GROUP BY 1 HAVING sum((properties ->> 'amount')::numeric) >= 1000"),
]  # fmt: skip


def fill(contacts: int, activities: int) -> None:
    from django.db import connection, transaction

    from leads.actions import make_custom_field
    from leads.models import Contact
    from leads.queries import ensure_partitions

    if Contact.objects.exists():
        if Contact.objects.count() != contacts or not Contact.objects.filter(external_id="c1").exists():
            sys.exit("This instance holds other data; give the benchmark a RIPEN_HOME of its own.")
        return
    make_custom_field("contact", key="plan", type="choice", choices=["pro", "free"], now=NOW)
    ensure_partitions(NOW - timedelta(days=DAYS + 1), NOW)
    values: dict[str, Any] = {
        "contacts": contacts,
        "companies": max(contacts // 10, 1),
        "activities": activities,
        "now": NOW,
        "days": DAYS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (CONTACTS + ACTIVITIES).split(";\n"):
            if statement.strip():
                cursor.execute(statement, values)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


def make_segments() -> None:
    from segments.actions import save_segment
    from segments.models import Segment

    for slug, rule, _sql in SEGMENTS:
        if not Segment.objects.filter(slug=slug).exists():
            save_segment(None, name=slug, slug=slug, conditions=rule, actor=None, now=NOW)


def by_hand(contacts: Sequence[int] | None) -> int:
    """What somebody would write: one statement a segment, the difference staged, then written. How many rows differ.

    A batch stands in a table of its own, since a list of ten thousand is looked through anew wherever it is written. Where nothing
    differs nothing is written: an empty stage without statistics would be joined with all memberships.
    """
    from django.db import connection

    changed = 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT slug, id FROM segments_segment")
        ids = dict(cursor.fetchall())
        if contacts is not None:
            cursor.execute("DROP TABLE IF EXISTS bench_batch")
            cursor.execute("CREATE TEMPORARY TABLE bench_batch AS SELECT unnest(%s::bigint[]) AS id", [list(contacts)])
            cursor.execute("ANALYZE bench_batch")
        only = "" if contacts is None else f" AND contact_id IN ({BATCH})"
        for slug, _rule, sql in SEGMENTS:
            wanted = written(sql, for_batch=contacts is not None)
            cursor.execute("DROP TABLE IF EXISTS bench_stage")
            cursor.execute(
                f"CREATE UNLOGGED TABLE bench_stage AS SELECT COALESCE(w.id, m.contact_id) AS contact_id, w.id IS NULL AS leaves FROM ({wanted}) w(id)"
                f" FULL JOIN (SELECT contact_id FROM segments_membership WHERE segment_id = {ids[slug]} AND until IS NULL{only}) m ON m.contact_id = w.id"
                " WHERE w.id IS NULL OR m.contact_id IS NULL"
            )
            if not cursor.rowcount:
                continue
            cursor.execute("ANALYZE bench_stage")
            cursor.execute(
                "INSERT INTO segments_membership (segment_id, contact_id, since, until, why, left_why)"
                " SELECT %s, contact_id, %s, NULL, '', '' FROM bench_stage WHERE NOT leaves",
                [ids[slug], NOW],
            )
            changed += cursor.rowcount
            cursor.execute(
                "UPDATE segments_membership m SET until = %s FROM bench_stage b WHERE b.leaves AND m.segment_id = %s"
                " AND m.contact_id = b.contact_id AND m.until IS NULL",
                [NOW, ids[slug]],
            )
            changed += cursor.rowcount
    return changed


def written(sql: str, *, for_batch: bool) -> str:
    """The hand-written statement for everybody or for the contacts of the batch."""
    return re.sub(r"\[([a-z_.]+)\]", rf"\1 IN ({BATCH})" if for_batch else "TRUE", sql)


def timed(work: Callable[[], object], times: int) -> float:
    """The median of some runs, in seconds."""
    taken = []
    for _ in range(times):
        started = perf_counter()
        work()
        taken.append(perf_counter() - started)
    return statistics.median(taken)


def pair(product: Callable[[], object], yardstick: Callable[[], object], times: int) -> dict[str, float]:
    """Both in turns, so that a busy moment of the machine meets both."""
    ours, theirs = [], []
    for _ in range(times):
        theirs.append(timed(yardstick, 1))
        ours.append(timed(product, 1))
    return {
        "product_s": round(statistics.median(ours), 4),
        "yardstick_s": round(statistics.median(theirs), 4),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 2),
    }


def until_marks_are_vacuumed() -> None:
    """One contact that changes is the ordinary day, not the minute after 100,000 marks were worked: autovacuum has seconds for it."""
    from django.db import connection

    deadline = perf_counter() + 120
    while perf_counter() < deadline:
        with connection.cursor() as cursor:
            cursor.execute("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'leads_mark'")
            if cursor.fetchone()[0] < 5_000:
                return
        sleep(1)


def run(contacts: int, activities: int, times: int) -> dict[str, Any]:
    from leads.models import Contact, Mark
    from leads.queries import mark
    from segments import graph, nodes, queries, turn

    graph._node_sources[:] = [(nodes.segment_nodes, nodes.segments_wait)]  # this room alone
    turn._followers.clear()
    fill(contacts, activities)
    make_segments()
    started = perf_counter()
    first = turn.turn(NOW, full=True)
    told: dict[str, Any] = {
        "contacts": contacts,
        "activities": activities,
        "first_fill_s": round(perf_counter() - started, 2),
    }
    told["problems"] = first.problems
    told["memberships"] = sum(first.refreshed.values())
    told["rows_that_differ_by_hand"] = by_hand(None)  # 0: both ways agree on every member of every segment
    facets = (Mark.Facet.CONTACT, Mark.Facet.COMPANY, Mark.Facet.ACTIVITY, Mark.Facet.DEAL)
    told["full"] = pair(lambda: turn.turn(NOW, full=True), lambda: by_hand(None), times)
    everybody = list(Contact.objects.order_by("?").values_list("pk", flat=True)[:10_000])

    def changed(ids: Sequence[int]) -> None:
        mark(ids, *facets)
        turn.turn(NOW)

    for number in (10_000, 1_000):
        ids = everybody[:number]
        told[f"changed_{number}"] = pair(lambda ids=ids: changed(ids), lambda ids=ids: by_hand(ids), times)  # type: ignore[misc]
    until_marks_are_vacuumed()
    single = sorted(timed(lambda one=one: changed([one]), 1) * 1000 for one in everybody[:SINGLY])  # type: ignore[misc]
    told["one_contact_all_segments_ms"] = {
        "p50": round(single[SINGLY // 2], 1),
        "p95": round(single[SINGLY * 95 // 100], 1),
    }
    told["nothing_to_do_ms"] = round(timed(lambda: turn.turn(NOW), 20) * 1000, 2)
    due = NOW + timedelta(minutes=2)
    started = perf_counter()
    told["time_alone_changed"] = turn.turn(due).changes
    told["time_alone_s"] = round(perf_counter() - started, 3)
    told["wrong_counts"] = queries.wrong_counts()
    return told


if __name__ == "__main__":
    command(run, __doc__)
