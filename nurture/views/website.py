"""What the script on the company's websites asks for: itself, a page to keep, a form to confirm. Nobody is told whom we know."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from leads import consent, visitors
from leads.models import Visitor, Website
from leads.values import BadValue
from leads.values import email as address_of
from nurture import access
from nurture.models import Sending
from nurture.tracking import proofs, scanners

LARGEST = 8_000  # bytes of a request
MOST_PAGES = 300  # requests of one network address and minute; a whole company may sit behind one
MOST_OF_ONE = 60  # … of one visitor
MOST_FORMS = 10  # … forms of one network address
MOST_PURPOSES = 20


class _Bad(Exception):
    """The request is not one of the script's."""


@cache
def _source() -> str:
    return (settings.BASE_DIR / "static" / "website" / "ripen.js").read_text(encoding="utf-8")


@login_not_required
@cache_control(public=True, max_age=300)
@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """The script with the workspace's settings in it; one that does nothing while visits are not noted. One statement."""
    site = visitors.website()
    told = {"base": f"{settings.PUBLIC_URL}/w/", "isOn": site.is_on, "waits": site.waits_for_consent}
    source = _source().replace("RIPEN_SETTINGS", json.dumps(told))
    response = HttpResponse(source, content_type="text/javascript; charset=utf-8")
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


Door = Callable[[HttpRequest, Website, dict[str, Any]], HttpResponse]


def from_a_website(door: Door) -> Callable[[HttpRequest], HttpResponse]:
    """A request of the script, from one of the websites of the settings; no other gets an answer that a browser would show it."""

    @wraps(door)
    def guarded(request: HttpRequest) -> HttpResponse:
        site = visitors.website()
        origin = request.headers.get("Origin", "")
        if not site.is_on or not visitors.is_ours(origin, site.sites):
            return _words("Not one of our websites.", 403)
        response = _answered(request, site, door)
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Allow-Headers"] = "Content-Type"
        response["Access-Control-Allow-Methods"] = "POST"
        response["Vary"] = "Origin"
        return response

    methods = require_http_methods(["POST", "OPTIONS"])
    return login_not_required(csrf_exempt(never_cache(methods(guarded))))


def _answered(request: HttpRequest, site: Website, door: Door) -> HttpResponse:
    if request.method == "OPTIONS":
        return HttpResponse(status=204)
    if access.asks_too_often(request, "website", MOST_PAGES):
        return _words("Too many requests; try again in a minute.", 429)
    try:
        return door(request, site, _document(request))
    except (_Bad, visitors.BadVisit, BadValue, consent.ConsentRefused) as error:
        return _words(str(error), 400)


def _words(words: str, status: int) -> HttpResponse:
    return HttpResponse(f"{words}\n", status=status, content_type="text/plain; charset=utf-8")


def _document(request: HttpRequest) -> dict[str, Any]:
    if int(request.headers.get("Content-Length") or 0) > LARGEST:
        raise _Bad("The request is too large.")
    try:
        found = json.loads(request.read(LARGEST + 1).decode())
    except (ValueError, RecursionError) as error:
        raise _Bad("The request is no JSON.") from error
    if not isinstance(found, dict):
        raise _Bad("The request is no object.")
    return found


def _text(document: dict[str, Any], key: str) -> str:
    return _said(document.get(key, ""), key)


def _said(value: Any, key: str) -> str:
    """A text that the database takes: no NUL, no half of a pair of surrogates."""
    if not isinstance(value, str) or "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise _Bad(f"“{key}” is no text.")
    return value


def _visitor(document: dict[str, Any]) -> uuid.UUID:
    try:
        found = uuid.UUID(_text(document, "visitor"))
    except ValueError as error:
        raise _Bad("“visitor” is no number of a visitor.") from error
    if found.version != 4:
        raise _Bad("“visitor” is no number of a visitor.")
    return found


@from_a_website
def visit(request: HttpRequest, site: Website, document: dict[str, Any]) -> HttpResponse:
    """Somebody sees a page. Whoever does not want to be noted, and machines, get the same empty answer."""
    visitor_id = _visitor(document)
    seen = visitors.page(_text(document, "url"), _text(document, "title"), _text(document, "referrer"), site)
    code, now = _text(document, "proof"), timezone.now()
    if scanners.wants_not_to_be_noted(request) or scanners.suspicion(request, is_pixel=False):
        return HttpResponse(status=204)
    if access.is_over(f"visitor:{visitor_id}", MOST_OF_ONE):
        return _words("Too many requests; try again in a minute.", 429)
    own = _joined(visitor_id, code, now) if code and site.joins_clicks else visitor_id
    visitors.note_page(own, seen, now=now)
    return HttpResponse(status=204) if own == visitor_id else JsonResponse({"visitor": str(own)})


def _joined(visitor_id: uuid.UUID, code: str, now: Any) -> uuid.UUID:
    """As which visitor the browser goes on, once the proof was looked at. A proof that proves nothing changes nothing."""
    number = proofs.opened(code, now=now)
    if number is None or not proofs.is_first(code, str(visitor_id)):
        return visitor_id
    sending = Sending.objects.filter(pk=number, is_tracked=True).exclude(contact=None).select_related("contact").first()
    if sending is None or sending.contact is None:
        return visitor_id
    return visitors.join(visitor_id, sending.contact, by=Visitor.By.CLICK, now=now)


@from_a_website
def ask(request: HttpRequest, site: Website, document: dict[str, Any]) -> HttpResponse:
    """A form was sent: the address is asked by mail. The answer is the same whether we know it or not."""
    if access.asks_too_often(request, "form", MOST_FORMS):
        return _words("Too many requests; try again in a minute.", 429)
    purposes = document.get("purposes")
    if not isinstance(purposes, list) or len(purposes) > MOST_PURPOSES:
        raise _Bad("“purposes” is no list of purposes.")
    address = address_of(_text(document, "address"))
    if not address:
        raise _Bad("There is no address.")
    agent = request.headers.get("User-Agent", "")
    proof = consent.Proof(ip=access.client_address(request), agent=agent, note=_text(document, "url")).as_json()
    wants_none = scanners.wants_not_to_be_noted(request)
    visitors.ask(
        address,
        purposes=[_said(one, "purposes") for one in purposes],
        form=_text(document, "form"),
        visitor_id=_visitor(document) if document.get("visitor") and not wants_none else None,
        language=_text(document, "language")[:35],
        proof=proof,
        now=timezone.now(),
    )
    return HttpResponse(status=204)
