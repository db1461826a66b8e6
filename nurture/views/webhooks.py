"""The page of webhooks: what was called, what came back, and what a person does about calls that were given up."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from leads.access import can, require
from nurture import webhooks
from nurture.models import WebhookCall
from nurture.views.programs import actor

PAGE = 50


@require("see")
@require_GET
def webhook_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by keyset; three statements whatever the rows."""
    state, program = request.GET.get("state", ""), request.GET.get("program", "")
    calls = WebhookCall.objects.select_related("contact", "enrolment__program").defer("body", "answer")
    if state in WebhookCall.State.values:
        calls = calls.filter(state=state)
    if program:
        calls = calls.filter(enrolment__program__slug=program)
    moment, _dot, number = request.GET.get("after", "").rpartition("_")
    if number.isdigit() and moment:
        before = datetime.fromisoformat(moment.replace(" ", "+"))
        calls = calls.filter(queued_at__lte=before).exclude(queued_at=before, pk__gte=int(number))
    page = list(calls.order_by("-queued_at", "-id")[: PAGE + 1])
    last = page[PAGE - 1] if len(page) > PAGE else None
    context = {
        "rows": page[:PAGE],
        "state": state,
        "program": program,
        "states": WebhookCall.State.choices,
        "next": f"{last.queued_at.isoformat()}_{last.pk}" if last else "",
        "failed": WebhookCall.objects.filter(state=WebhookCall.State.FAILED).count(),
    }
    return render(request, "nurture/webhook_list.html", context)


@require("see")
@require_GET
def webhook_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One call as it is sent, and the last answer; the receiver's secret for admins."""
    call = get_object_or_404(WebhookCall.objects.select_related("contact", "enrolment__program"), pk=pk)
    secret = webhooks.secret_of(call.origin) if can(request.user, "configure") else ""
    context = {"call": call, "secret": secret, "most": len(webhooks.BACK_OFF) + 1, "signature": webhooks.SIGNATURE}
    return render(request, "nurture/webhook_detail.html", context)


@require("publish")
@require_POST
def webhook_retry(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    """One call that was given up, or all of them (of a program)."""
    program = request.POST.get("program", "") if pk is None else ""
    count = webhooks.retry(actor=actor(request), now=timezone.now(), pk=pk, program=program)
    messages.success(
        request, ngettext("%(n)d call is queued again.", "%(n)d calls are queued again.", count) % {"n": count}
    ) if count else messages.info(request, _("Nothing was given up any more."))
    if pk is not None:
        return redirect("nurture:webhook-detail", pk)
    return redirect(f"{reverse('nurture:webhook-list')}?{urlencode({'program': program})}")
