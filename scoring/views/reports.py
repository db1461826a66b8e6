"""Reports: how far the people who came in have come, and what sales said to the leads it got. Each number opens its people."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from leads.access import require
from leads.models import Contact
from leads.workspace import zone
from scoring import access, pages, queries
from scoring.models import AnswerReason, ScoreModel

PERIODS = {
    "3": gettext_lazy("3 months"),
    "6": gettext_lazy("6 months"),
    "12": gettext_lazy("12 months"),
    "24": gettext_lazy("24 months"),
}
STEP_TITLES = {
    "inquiries": gettext_lazy("came in"),
    "mqls": gettext_lazy("became MQL"),
    "accepted": gettext_lazy("accepted by sales"),
    "won": gettext_lazy("won"),
}
RATES_PERIOD = "13"  # this month and the twelve whole ones before it: the page of rates
PAGE_SIZE = 50
MOST_SOURCES = 20


def since(months: int, now: datetime) -> datetime:
    """The first of the month so many months back, this one counted, in the workspace's zone."""
    here = now.astimezone(zone())
    number = here.year * 12 + here.month - months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=here.tzinfo)


@require_GET
@require("see")
def report(request: HttpRequest) -> HttpResponse:
    """Two statements over everybody who came in and every hand-off of the period, and a few small ones."""
    now = timezone.now()
    months = request.GET.get("months", "12")
    months = months if months in PERIODS else "12"
    start = since(int(months), now)
    everybody, by_month, by_source = queries.funnel(zone=zone().key, since=start, until=now)
    said = queries.answers(zone=zone().key, since=start, until=now, now=now)
    reasons = {reason.pk: reason for reason in AnswerReason.objects.all()}
    models = []
    for model in ScoreModel.objects.in_use():
        live = access.live_version(model)
        if live is not None:
            rows = pages.live_rows(live, queries.answers_per_rule(model.pk))
            marks = queries.misleading_marks(model.pk)
            ready = queries.sales_ready(model.pk, zone=zone().key, since=start, until=now)
            ranked = sorted(rows, key=lambda row: -row.answers["handed_over"])
            told = [(row, marks.get(row.rule.key, 0)) for row in ranked]
            models.append((model, told, pages.ready_chart(ready)))
    return render(
        request,
        "scoring/report.html",
        {
            "months": months,
            "periods": PERIODS.items(),
            "since": start,
            "everybody": everybody,
            "steps": _steps(everybody),
            "by_month": by_month,
            "by_source": by_source[:MOST_SOURCES],
            "sources_left": max(len(by_source) - MOST_SOURCES, 0),
            "all_answers": said["all"][0] if said["all"] else None,
            "answers_by_month": said["month"],
            "answers_by_source": said["source"][:MOST_SOURCES],
            "answers_by_persona": said["persona"],
            "reasons": [(reasons[row.name], row) for row in said["reason"] if row.name in reasons],
            "models": models,
            "period_query": urlencode({"since": start.isoformat()}),
        },
    )


def _steps(row: queries.FunnelRow) -> list[tuple[str, Any, int, int | None, float]]:
    """(key, title, people, percent of the step before, width of the bar in percent of the first)."""
    counts = (("inquiries", row.inquiries), ("mqls", row.mqls), ("accepted", row.accepted), ("won", row.won))
    found = []
    before: int | None = None
    for key, count in counts:
        share = round(100 * count / before) if before else None
        found.append(
            (key, STEP_TITLES[key], count, share, round(100 * count / row.inquiries, 2) if row.inquiries else 0.0)
        )
        before = count
    return found


@require_GET
@require("see")
def report_people(request: HttpRequest) -> HttpResponse:
    """Who stands behind one number of the funnel."""
    now = timezone.now()
    months = request.GET.get("months", "12")
    step = request.GET.get("step", "inquiries")
    if months not in (*PERIODS, RATES_PERIOD) or step not in STEP_TITLES:
        raise Http404
    month = _month(request.GET.get("month", ""))
    source = request.GET.get("source")
    ids = queries.funnel_people(
        zone=zone().key,
        since=since(int(months), now),
        until=now,
        step=step,
        month=month,
        source=source,
        limit=PAGE_SIZE + 1,
        after=_after(request.GET.get("after", "")),
    )
    contacts = Contact.objects.select_related("company").in_bulk(ids[:PAGE_SIZE])
    rows = [contacts[pk] for pk in ids[:PAGE_SIZE] if pk in contacts]
    kept = request.GET.copy()
    kept.pop("after", None)
    told = [
        part
        for part in (
            request.GET.get("month", "") if month else "",
            (source or _("no source")) if source is not None else "",
        )
        if part
    ]
    return render(
        request,
        "scoring/report_people.html",
        {
            "title": STEP_TITLES[step],
            "told": told,
            "rows": rows,
            "next": f"{rows[-1].created_at.isoformat()}_{rows[-1].pk}" if len(ids) > PAGE_SIZE and rows else "",
            "query": kept.urlencode(),
            "months": months,
        },
    )


def _month(text: str) -> date | None:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        return None


def _after(text: str) -> tuple[datetime, int] | None:
    moment, _separator, contact = text.partition("_")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if at.tzinfo is None or not contact.isdigit() or len(contact) > 18:
        return None
    return at, int(contact)
