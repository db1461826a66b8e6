"""Reports: how far the people who came in have come, and what sales said to the leads it got. Each number opens its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from leads.access import require
from leads.figures import figures
from leads.models import Contact
from scoring import access, pages, queries
from scoring.models import AnswerReason, ScoreVersion

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
    """The first of the month so many months back, this one counted, in the workspace's zone (WorkspaceMiddleware)."""
    here = timezone.localtime(now)
    number = here.year * 12 + here.month - months
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=here.tzinfo)


@dataclass(frozen=True)
class ReportFigures:
    """What takes a pass over everybody who came in, or over every hand-off. The last three by the number of the score model."""

    funnel: tuple[queries.FunnelRow, list[queries.FunnelRow], list[queries.FunnelRow]]
    said: dict[str, list[queries.AnswerRow]]
    per_rule: dict[int, dict[UUID, dict[str, int]]]
    misleading: dict[int, dict[UUID, int]]
    ready: dict[int, list[queries.ReadyRow]]


def _worked_out(model_ids: Sequence[int], *, start: datetime, now: datetime) -> ReportFigures:
    """Two statements over everybody who came in and every hand-off of the period, three for each model."""
    here = timezone.get_current_timezone_name()
    return ReportFigures(
        queries.funnel(zone=here, since=start, until=now),
        queries.answers(zone=here, since=start, until=now, now=now),
        {pk: queries.answers_per_rule(pk) for pk in model_ids},
        {pk: queries.misleading_marks(pk) for pk in model_ids},
        {pk: queries.sales_ready(pk, zone=here, since=start, until=now) for pk in model_ids},
    )


@require_GET
@require("see")
def report(request: HttpRequest) -> HttpResponse:
    """A few small statements. The figures themselves are kept at a large company (figures.py): the page does not wait for them,
    the part alone is asked for after it. `now=yes` waits, for those without JavaScript."""
    now = timezone.now()
    months = request.GET.get("months", "12")
    months = months if months in PERIODS else "12"
    start = since(int(months), now)
    versions = list(access.live_versions())
    ids = [version.model_id for version in versions]
    is_part = request.headers.get("HX-Target") == "report-tables"
    found = figures(
        f"report:{timezone.get_current_timezone_name()}:{months}:{'-'.join(map(str, ids))}:1",
        lambda: _worked_out(ids, start=start, now=now),
        now=now,
        wait=is_part or request.GET.get("now") == "yes",
    )
    context: dict[str, Any] = {
        "months": months,
        "periods": PERIODS.items(),
        "address": f"{request.path}?months={months}",
        "address_now": f"{request.path}?months={months}&now=yes",
        "is_part": is_part,
    }
    if found is not None:
        context |= _report_context(found.value, versions, start)
        context |= {"as_of": found.at if found.is_kept else None, "is_stale": found.is_stale(now)}
    return render(request, "scoring/_report_tables.html" if is_part else "scoring/report.html", context)


def _report_context(found: ReportFigures, versions: Sequence[ScoreVersion], start: datetime) -> dict[str, Any]:
    """The figures as the tables show them. One statement, and one for the rules of each model."""
    everybody, by_month, by_source = found.funnel
    reasons = {reason.pk: reason for reason in AnswerReason.objects.all()}
    models = []
    for live in versions:
        rows = pages.live_rows(live, found.per_rule[live.model_id])
        marks = found.misleading[live.model_id]
        ranked = sorted(rows, key=lambda row: -row.answers["handed_over"])
        told = [(row, marks.get(row.rule.key, 0)) for row in ranked]
        models.append((live.model, told, pages.ready_chart(found.ready[live.model_id])))
    said = found.said
    return {
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
    }


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


def _month(text: str) -> tuple[datetime, datetime] | None:
    """Where the month begins and where the next one does, in the workspace's zone."""
    try:
        first = date.fromisoformat(f"{text}-01")
    except ValueError:
        return None
    if not 1900 <= first.year <= 2100:
        return None
    here = timezone.get_current_timezone()
    following = (first + timedelta(days=31)).replace(day=1)
    return datetime.combine(first, time(), here), datetime.combine(following, time(), here)


def _after(text: str) -> tuple[datetime, int] | None:
    moment, _separator, contact = text.partition("_")
    try:
        at = datetime.fromisoformat(moment)
    except ValueError:
        return None
    if at.tzinfo is None or not contact.isdigit() or len(contact) > 18:
        return None
    return at, int(contact)
