"""The builder's count of some thirty rules, simple to worst nested, beside hand-written counts, and its estimate, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.builder --contacts 1000000 --activities 20000000

Uses the population of bench.segments (its own RIPEN_HOME). The product's side is the very function behind the live preview, with
nothing kept from before. Prints one JSON object: per rule seconds of both, the goal (1.2 × + 20 ms), the estimate and its time.
"""

from __future__ import annotations

import json
import statistics
from time import perf_counter
from typing import Any

from bench.command import command
from bench.segments import ALL, NOW, SEGMENTS, ago, fill, kind, make_segments, written

IN_30 = {"op": "in_last", "value": 30, "unit": "days"}
IN_14 = {"op": "in_last", "value": 14, "unit": "days"}
PRICING = [{"field": "url", "op": "contains", "value": "/pricing"}]
PAGES = "leads_activity a JOIN leads_asset s ON s.id = a.asset_id"
PRICING_VIEW = f"a.kind_id = {kind('page_view')} AND s.url LIKE '%/pricing%'"
PRICING_IN_30 = f"{PRICING_VIEW} AND a.occurred_at > {ago(days=30)} AND a.occurred_at <= {ago(days=0)}"
PRICING_3 = f"SELECT a.contact_id FROM {PAGES} WHERE {PRICING_IN_30} GROUP BY 1 HAVING count(*) >= 3"
SPENDERS = f"SELECT contact_id FROM leads_activity WHERE kind_id = {kind('purchase')} GROUP BY 1 HAVING sum((properties ->> 'amount')::numeric) >= 1000"
WON = "SELECT FROM leads_dealcontact x JOIN leads_deal d ON d.id = x.deal_id WHERE x.contact_id = c.id AND d.status = 'won'"


def _signal(slug: str, more: str = "") -> str:
    return f"SELECT FROM leads_signal g WHERE g.contact_id = c.id AND g.kind_id = {kind(slug)}{more}"


# The rules of bench.segments that name no segment, and these: two rows and more, groups in groups, what must read activities.
NESTED: list[tuple[str, dict[str, Any], str]] = [
    ("fresh segments", {"all": [{"in_segment": "dach"}, {"in_segment": "webinar"}]},
     f"{ALL} WHERE c.country IN ('DE', 'AT', 'CH') AND EXISTS ({_signal('webinar_attended')})"),
    ("not in a segment", {"not": {"in_segment": "no-demo"}}, f"{ALL} WHERE EXISTS ({_signal('demo_booked')})"),
    ("field and did", {"all": [{"field": "contact.title", "op": "contains", "value": "cfo"}, {"did": "form_submit"}]},
     f"{ALL} WHERE lower(c.title) LIKE '%cfo%' AND EXISTS ({_signal('form_submit')})"),
    ("field or did", {"any": [{"field": "contact.title", "op": "contains", "value": "cfo"}, {"did": "form_submit", "when": IN_30}]},
     f"{ALL} WHERE lower(c.title) LIKE '%cfo%' UNION SELECT contact_id FROM leads_signal WHERE kind_id = {kind('form_submit')}"
     f" AND last_at > {ago(days=30)}"),
    ("few views", {"did": "page_view", "count": {"op": "at_most", "value": 2}, "when": IN_30},
     f"{ALL} WHERE NOT EXISTS (SELECT FROM (SELECT contact_id FROM leads_activity WHERE kind_id = {kind('page_view')}"
     f" AND occurred_at > {ago(days=30)} AND occurred_at <= {ago(days=0)} GROUP BY 1 HAVING count(*) > 2) o WHERE o.contact_id = c.id)"),
    ("behaviour or field", {"any": [
        {"did": "page_view", "where": PRICING, "count": {"op": "at_least", "value": 3}, "when": IN_30},
        {"did": "form_submit", "when": IN_30}, {"field": "contact.title", "op": "contains", "value": "cfo"}]},
     f"{PRICING_3} UNION SELECT contact_id FROM leads_signal WHERE kind_id = {kind('form_submit')} AND last_at > {ago(days=30)}"
     f" UNION {ALL} WHERE lower(c.title) LIKE '%cfo%'"),
    ("groups in groups", {"all": [
        {"any": [{"field": "contact.country", "op": "in", "value": ["DE", "AT", "CH"]}, {"field": "contact.tags", "op": "includes_any", "value": ["partner"]}]},
        {"any": [{"did": "webinar_attended"}, {"all": [{"did": "form_submit"}, {"did": "email_click", "when": IN_14}]}]},
        {"not": {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}}]},
     f"{ALL} WHERE (c.country IN ('DE', 'AT', 'CH') OR 'partner' = ANY (c.tags)) AND NOT EXISTS ({WON}) AND (EXISTS ({_signal('webinar_attended')})"
     f" OR (EXISTS ({_signal('form_submit')}) AND EXISTS ({_signal('email_click', f' AND g.last_at > {ago(days=14)}')})))"),
    ("worst nested", {"all": [
        {"any": [{"did": "page_view", "where": PRICING, "count": {"op": "at_least", "value": 3}, "when": IN_30},
                 {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 1000}},
                 {"all": [{"did": "webinar_attended"}, {"not": {"did": "email_click", "when": IN_14}}]}]},
        {"not": {"did": "demo_booked"}},
        {"any": [{"field": "company.employees", "op": "between", "value": [50, 500]}, {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}]}]},
     f"WITH pricing AS ({PRICING_3}), spenders AS ({SPENDERS})"
     f" {ALL} JOIN leads_company f ON f.id = c.company_id WHERE NOT EXISTS ({_signal('demo_booked')}) AND (f.employees BETWEEN 50 AND 500 OR EXISTS ({WON}))"
     f" AND (c.id IN (SELECT contact_id FROM pricing) OR c.id IN (SELECT contact_id FROM spenders) OR (EXISTS ({_signal('webinar_attended')})"
     f" AND NOT EXISTS ({_signal('email_click', f' AND g.last_at > {ago(days=14)}')})))"),
    ("latest", {"did": "page_view", "latest": PRICING},
     "SELECT contact_id FROM (SELECT DISTINCT ON (a.contact_id) a.contact_id, s.url FROM leads_activity a LEFT JOIN leads_asset s ON s.id = a.asset_id"
     f" WHERE a.kind_id = {kind('page_view')} ORDER BY a.contact_id, a.occurred_at DESC) newest WHERE url LIKE '%/pricing%'"),
    ("sequence", {"sequence": [{"did": "webinar_attended"}, {"did": "page_view", "where": PRICING}], "gap": {"value": 7, "unit": "days"}},
     f"SELECT DISTINCT w.contact_id FROM leads_activity w JOIN {PAGES} ON a.contact_id = w.contact_id AND a.occurred_at > w.occurred_at"
     f" AND a.occurred_at <= w.occurred_at + interval '7 days' WHERE w.kind_id = {kind('webinar_attended')} AND {PRICING_VIEW}"),
]  # fmt: skip
RULES = [*((name, rule, sql) for name, rule, sql in SEGMENTS if "in_segment" not in str(rule)), *NESTED]


def count_by_hand(sql: str) -> int:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({written(sql, for_batch=False)}) counted")
        return int(cursor.fetchone()[0])


def measure(name: str, rule: dict[str, Any], sql: str, times: int) -> dict[str, Any]:
    """Both sides in turns, then the estimate. For a count that the builder stops: after how long, and the exact one that may be asked for."""
    from segments.builder.preview import preview

    text = json.dumps(rule)
    ours, theirs = [], []
    number: int | None = None
    by_hand = 0
    for _ in range(times):
        started = perf_counter()
        by_hand = count_by_hand(sql)
        theirs.append(perf_counter() - started)
        started = perf_counter()
        found = preview(text, [], how="count", now=NOW)
        ours.append(perf_counter() - started)
        number = found.number
    stopped_s = None
    if (
        found.state != "counted"
    ):  # stopped after about a second; asked again for the exact number, which the ratio speaks of
        stopped_s, started = statistics.median(ours), perf_counter()
        number = preview(text, [], how="exact", now=NOW).number
        ours = [perf_counter() - started]
    started = perf_counter()
    estimate = preview(text, [], how="estimate", now=NOW).estimate
    estimated_s = perf_counter() - started
    product, yardstick = statistics.median(ours), statistics.median(theirs)
    return {
        "rule": name,
        "stopped_after_s": None if stopped_s is None else round(stopped_s, 3),
        "number": number,
        "agrees": number in (None, by_hand),
        "product_s": round(product, 3),
        "yardstick_s": round(yardstick, 3),
        "ratio": round(product / yardstick, 2),
        "reached": product <= 1.2 * yardstick + 0.02,
        "estimate_s": round(estimated_s, 3),
        "estimate": None if estimate is None else [estimate.low, estimate.number, estimate.high],
        "estimate_holds": estimate is not None and estimate.low <= by_hand <= estimate.high,
    }


def run(contacts: int, activities: int, times: int) -> dict[str, Any]:
    fill(contacts, activities)
    make_segments()
    rows = [measure(name, rule, sql, times) for name, rule, sql in RULES]
    counted = sorted(row["product_s"] for row in rows)
    estimates = sorted(row["estimate_s"] for row in rows)
    return {
        "contacts": contacts,
        "activities": activities,
        "median_s": statistics.median(counted),
        "worst_s": counted[-1],
        "median_ratio": statistics.median(row["ratio"] for row in rows),
        "disagree": [row["rule"] for row in rows if not row["agrees"]],
        "goal_missed": [row["rule"] for row in rows if not row["reached"]],
        "stopped": [row["rule"] for row in rows if row["stopped_after_s"] is not None],
        "estimate_median_s": statistics.median(estimates),
        "estimate_worst_s": estimates[-1],
        "estimates_that_hold": f"{sum(row['estimate_holds'] for row in rows)} of {len(rows)}",
        "rules": rows,
    }


if __name__ == "__main__":
    command(run, __doc__)
