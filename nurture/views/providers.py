"""Webhooks of mail providers, and the page that tells how mail leaves and comes back."""

from __future__ import annotations

import logging

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from nurture import access
from nurture.mailing import delivery
from nurture.providers.accounts import PROVIDERS
from nurture.providers.events import Reader, keep
from nurture.providers.refusals import Forged, Unproven, Unreadable

log = logging.getLogger(__name__)

LARGEST = 2_000_000  # bytes; the largest batch of a provider is a third of that
MOST_A_MINUTE = 12_000  # requests of one network address; a provider comes from few, with an event each
MOST_FORGED = 30


@login_not_required
@csrf_exempt  # it is no browser's form: a secret in the request proves who sent it
@never_cache
@require_POST
def provider_events(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep what a provider says of our mails. What proves nothing gets the same answer whatever it asks; nothing of it is kept."""
    reader = Reader.of(PROVIDERS[slug]) if slug in PROVIDERS else None
    if reader is None:
        raise Http404
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
        return _plain("Too large.", 413)
    if access.asks_too_often(request, "events", MOST_A_MINUTE):
        return _plain("Too many requests; try again in a minute.", 429)
    if reader.wants_password(request):  # Amazon gives its password only when it is asked
        response = _plain("Sign in.", 401)
        response["WWW-Authenticate"] = 'Basic realm="events"'
        return response
    try:
        keep(reader.events(request, now=timezone.now()))
    except Forged as error:
        log.warning("forged event of a mail provider", extra={"provider": slug, "why": str(error)})
        if access.asks_too_often(request, "forged-events", MOST_FORGED):
            return _plain("Too many requests; try again in a minute.", 429)
        return _plain("Refused.", 403)
    except Unproven as error:
        log.warning("event of a mail provider cannot be checked", extra={"provider": slug, "why": str(error)})
        return _plain("Cannot be checked now; try again later.", 503)
    except Unreadable as error:
        log.warning("unreadable event of a mail provider", extra={"provider": slug, "why": str(error)})
        return _plain("Unreadable.", 400)
    return HttpResponse()


def _plain(words: str, status: int) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")


@require("configure")
@require_GET
def delivery_page(request: HttpRequest) -> HttpResponse:
    """How mail leaves, what comes back, and what is wrong with either; no secret is shown. Eight statements at most."""
    context = {"delivery": delivery.state(timezone.now()), "tab": "delivery"}
    return render(request, "nurture/delivery.html", context)
