"""One contact's score in one model: as of any moment, its history as a chart, every ledger row, points given by hand."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.models import Contact
from leads.workspace import zone
from scoring import access, actions, history, queries
from scoring.actions import Refused
from scoring.forms.answers import PointsForm
from scoring.ledger import accounts, given_in_words
from scoring.models import PointsGiven, ScoreModel, ScoreVersion
from scoring.trial import unknown_to
from segments.conditions import BadConditions, time_limit

MOST_ROWS = 200
SECONDS = 5


def _contact(pk: int) -> Contact:
    return get_object_or_404(Contact.objects.select_related("company"), pk=pk)


@require_GET
@require("see")
def contact_score(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """Score, grade and reasons as they were at a moment. Twelve statements at most, whatever the number of rows.

    The rules that ask what is not known are asked for after the page; `unknown=yes` tells them at once, for those without JavaScript.
    """
    contact, model = _contact(pk), access.model_or_404(slug)
    return _page(request, contact, model, PointsForm(zone=zone()))


def _page(request: HttpRequest, contact: Contact, model: ScoreModel, form: PointsForm) -> HttpResponse:
    now = timezone.now()
    at = _moment(request.GET.get("at", ""), now)
    whole, shown = accounts(contact.pk, model=model, moments=[now, at])
    live = model.versions.filter(state=ScoreVersion.State.LIVE).first()
    given = PointsGiven.objects.filter(contact=contact, model=model).select_related("given_by").order_by("-given_at")
    context: dict[str, Any] = {
        "contact": contact,
        "model": model,
        "live": live,
        "at": at,
        "is_past": at < now,
        "account": shown,
        "reasons": shown.reasons,
        "lines": list(reversed(shown.rows))[:MOST_ROWS],
        "more": max(len(shown.rows) - MOST_ROWS, 0),
        "chart": {
            "stops": history.for_chart(history.as_it_was(whole.rows), now),
            "line": float(live.threshold) if live else None,
            "moment": int(at.timestamp() * 1000) if at < now else None,
            "words": {"was": _("as it was"), "today": _("under today's rules"), "line": _("threshold")},
        },
        "given": [(row, given_in_words(row), row.ends_at is None or row.ends_at > now) for row in given],
        "form": form,
    }
    if request.GET.get("unknown") == "yes":
        context |= {"is_unknown_told": True, "unknown": _unknown(contact, model, now)}
    if request.GET.get("today") == "yes":
        context |= {"is_compared": True, **_under_todays_rules(contact, access.live_version(model), now)}
    return render(request, "scoring/contact_score.html", context, status=422 if form.errors else 200)


def _unknown(contact: Contact, model: ScoreModel, now: datetime) -> list[str]:
    """Names of the live rules that ask something that is not known of the contact, and so give nothing."""
    live = access.live_version(model)
    if live is None:
        return []
    sums: dict[UUID, Decimal] = defaultdict(Decimal)
    for row in queries.ledger_of([contact.pk], model_id=model.pk, at=now)[contact.pk]:
        sums[row.rule_key] += row.points
    try:
        with time_limit(SECONDS):
            found = unknown_to([rule for rule in live.rules.all() if not sums[rule.key]], contact, now)
    except (BadConditions, Refused, DatabaseError):
        return []
    return [rule.name for rule in live.rules.all() if rule.key in found]


@require_GET
@require("see")
def score_unknown(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """The rules that ask what is not known, asked for after the page: they take all facts of the contact. Without HTMX the page with it."""
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('scoring:contact-score', args=[pk, slug])}?unknown=yes")
    contact, model = _contact(pk), access.model_or_404(slug)
    return render(request, "scoring/_score_unknown.html", {"unknown": _unknown(contact, model, timezone.now())})


def _moment(text: str, now: datetime) -> datetime:
    """A moment from the address, read in the workspace's zone; now for none or a spoilt one, never later than now."""
    try:
        at = parse_datetime(text[:40])
    except ValueError:
        at = None
    if at is None:
        return now
    return min(at if at.tzinfo else at.replace(tzinfo=zone()), now)


@require_GET
@require("see")
def score_today(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """The history under the live rules, worked out now: the second line of the chart. Without HTMX the whole page with it."""
    if not request.headers.get("HX-Request"):
        return redirect(f"{reverse('scoring:contact-score', args=[pk, slug])}?today=yes")
    contact, model, now = _contact(pk), access.model_or_404(slug), timezone.now()
    context = _under_todays_rules(contact, access.live_version(model), now)
    return render(request, "scoring/_score_today.html", context)


def _under_todays_rules(contact: Contact, live: ScoreVersion | None, now: datetime) -> dict[str, Any]:
    """SECONDS at most for the looks, and for any statement; what was worked out by then is shown, with a word since when."""
    if live is None:
        return {"problem": _("Nothing is published yet.")}
    end = monotonic() + SECONDS
    try:
        with time_limit(SECONDS):
            worked = history.under(live, contact, now=now, is_over=lambda: monotonic() > end)
    except history.TooMuch as error:
        words = _(
            "Not worked out: rule “%(rule)s” reads every activity, and of %(number)s activities of this contact that takes too long. "
            "The ledger below tells what was counted."
        )
        return {"problem": words % {"rule": error.rule, "number": f"{error.number:,}"}}
    except (BadConditions, Refused) as error:
        return {"problem": _("A rule can no longer be read: %(problem)s") % {"problem": error}}
    except (history.TooSlow, DatabaseError):
        return {"problem": _("The history could not be worked out in %(seconds)s seconds.") % {"seconds": SECONDS}}
    return {"stops": history.for_chart(worked.stops, now), "since": worked.since, "is_thinned": worked.is_thinned}


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@require_POST
@require("adjust_points")
def points_adjust(request: HttpRequest, pk: int, slug: str) -> HttpResponse:
    """Give or take points by hand, with a reason, until a day or for good."""
    contact, model = _contact(pk), access.editable_model_or_404(slug)
    form = PointsForm(request.POST, zone=zone())
    if form.is_valid():
        data = form.cleaned_data
        try:
            actions.adjust_points(
                contact,
                model=model,
                points=data["points"],
                reason=data["reason"],
                expires_at=form.expires_at,
                actor=_user(request),
                now=timezone.now(),
            )
        except Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The points count within moments."))
            return redirect(reverse("scoring:contact-score", args=[contact.pk, model.slug]))
    return _page(request, contact, model, form)


@require_POST
@require("adjust_points")
def points_take_back(request: HttpRequest, pk: int) -> HttpResponse:
    given = get_object_or_404(PointsGiven.objects.select_related("model"), pk=pk)
    try:
        actions.take_back_points(given, actor=_user(request), now=timezone.now())
        messages.success(request, _("The points count no more, within moments."))
    except Refused as error:
        messages.error(request, str(error))
    return redirect(reverse("scoring:contact-score", args=[given.contact_id, given.model.slug]))
