"""Public links in mails. A GET never changes anything: scanners follow every link."""

from __future__ import annotations

import hashlib
import uuid

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from leads.workspace import workspace
from nurture import access, actions


@login_not_required
@csrf_exempt  # mail providers post without a cookie (RFC 8058); the token in the address is the secret
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: uuid.UUID) -> HttpResponse:
    """A button on GET, the withdrawal on POST. An unknown token looks the same, so that nothing can be learnt by trying."""
    if access.is_flooding(request):
        return HttpResponse("Too many requests; try again in a minute.\n", status=429, content_type="text/plain")
    is_done = request.method == "POST"
    if is_done:
        one_click = request.POST.get("List-Unsubscribe") == "One-Click"
        proof = {
            "address_of_reader": hashlib.sha256(request.META.get("REMOTE_ADDR", "").encode()).hexdigest()[:16],
            "agent": request.headers.get("User-Agent", "")[:200],
        }
        source = "one_click" if one_click else "unsubscribe_link"
        actions.unsubscribe(token, source=source, now=timezone.now(), proof=proof)
        if one_click:
            return HttpResponse("unsubscribed\n", content_type="text/plain")
    response = render(request, "nurture/unsubscribe.html", {"is_done": is_done, "workspace": workspace()})
    response["X-Robots-Tag"] = "noindex"
    response["Referrer-Policy"] = "no-referrer"
    return response
