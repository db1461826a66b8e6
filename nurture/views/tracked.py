"""Links and pixels of mails. Whatever is asked, nothing is told: a code that we did not make gets the same answer as one that is gone."""

from __future__ import annotations

import base64
from datetime import datetime

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from leads import visitors
from leads.addresses import keyed_hash
from leads.workspace import workspace
from nurture import access
from nurture.models import Sending
from nurture.tracking import links, proofs, queries, scanners
from nurture.tracking.codes import PIXEL, TRAP, Place, opened

_GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
MOST_NOTED = 300  # requests of one address and minute that are noted; a whole company may sit behind one
MOST_LED = 3_000  # … and that are led on
MOST_OF_ONE = 10  # of one link or pixel in a minute: more says nothing new


@login_not_required
@never_cache
@require_safe
def pixel(request: HttpRequest, code: str) -> HttpResponse:
    """The same picture for everybody and every code. One statement for a mail of ours, none else."""
    place = opened(code)
    if place is not None and place.number == PIXEL:
        _note(request, place, code, url="", now=timezone.now())
    return _quiet(HttpResponse(_GIF, content_type="image/gif"))


@login_not_required
@never_cache
@require_safe
def follow(request: HttpRequest, code: str) -> HttpResponse:
    """On to where the link in the mail led: read from the mail as it is stored, never from the request. Two statements."""
    place = opened(code)
    if place is None or place.number == PIXEL:
        return _nowhere(request)
    if place.number == TRAP:
        _note(request, place, code, url="", now=timezone.now())
        return _nowhere(request)
    if access.asks_too_often(request, "led", MOST_LED):
        return _too_often()
    target = _target(place)
    if not target:
        return _nowhere(request)
    now = timezone.now()
    told = _note(request, place, code, url=links.without_values(target), now=now)
    if visitors.is_ours(target, told):  # the script there hears whose mail it was
        target = proofs.with_proof(target, proofs.sealed(place.sending_id, now=now))
    return _quiet(HttpResponseRedirect(target))


def _target(place: Place) -> str:
    """An address that stands in the mail, or an empty text: the person was erased, the mail is gone."""
    html = Sending.objects.filter(pk=place.sending_id, is_tracked=True).values_list("html", flat=True).first()
    target = links.address_at(html, place.number) if html else ""
    return target if links.is_web_address(target) and not links.is_ours(target) else ""


def _note(request: HttpRequest, place: Place, code: str, *, url: str, now: datetime) -> tuple[str, ...]:
    """Keep the request for judgement; not for a browser that says no, nor more often than tells anything.

    The websites that may hear whose request it was: none where it may be a machine's.
    """
    if scanners.wants_not_to_be_noted(request):
        return ()
    if access.asks_too_often(request, "noted", MOST_NOTED) or access.is_over(f"hit:{code}", MOST_OF_ONE):
        return ()
    agent = request.headers.get("User-Agent", "")
    suspicion = scanners.suspicion(request, is_pixel=place.number == PIXEL) or ("trap" if place.number == TRAP else "")
    noted = queries.note_hit(
        place.sending_id,
        place.number,
        url=url,
        source=keyed_hash(f"{access.client_address(request)} {agent}"),
        agent="".join(char for char in agent if char.isprintable())[:200],
        suspicion=suspicion,
        at=now,
    )
    return () if suspicion or noted is None else noted.told


def _nowhere(request: HttpRequest) -> HttpResponse:
    """The one answer for everything that leads nowhere; trying many codes ends soon."""
    if access.asks_too_often(request, "nowhere", access.PUBLIC_TRIES):
        return _too_often()
    return _quiet(render(request, "nurture/link_stale.html", {"workspace": workspace()}, status=404))


def _too_often() -> HttpResponse:
    return _quiet(
        HttpResponse(
            "Too many requests; try again in a minute.\n", status=429, content_type="text/plain; charset=utf-8"
        )
    )


def _quiet(response: HttpResponse) -> HttpResponse:
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Referrer-Policy"] = "no-referrer"
    return response
