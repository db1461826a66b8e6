"""What comes next for a contact: a page of its own, and the short form in the panel of the contact's page."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from leads.access import require
from nurture import access, forward_calendar

log = logging.getLogger(__name__)

WEEKS, IN_THE_PANEL = 8, 4
SHOWN_IN_THE_PANEL = 6


@require("see")
@never_cache
@require_GET
def contact_ahead(request: HttpRequest, pk: int) -> HttpResponse:
    """Worked out when asked for, within the seconds that it names itself; `?part=panel` is the short form."""
    contact, is_panel = access.contact_or_404(pk), request.GET.get("part") == "panel"
    weeks = _weeks(request.GET.get("weeks", ""), IN_THE_PANEL if is_panel else WEEKS)
    context = {"contact": contact, "weeks": weeks, "choices": forward_calendar.WEEKS, "shown": SHOWN_IN_THE_PANEL}
    try:
        context["calendar"] = forward_calendar.calendar_of(contact, now=timezone.now(), weeks=weeks)
    except Exception:  # whatever a step says wrong here it says in the engine too; the page of the person stands
        log.exception("the calendar broke off", extra={"contact": contact.pk})
        context["calendar"] = None
    return render(request, "nurture/_contact_ahead.html" if is_panel else "nurture/contact_ahead.html", context)


def _weeks(asked: str, otherwise: int) -> int:
    return int(asked) if asked.isdigit() and int(asked) in forward_calendar.WEEKS else otherwise
