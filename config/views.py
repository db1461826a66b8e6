"""Pages that belong to no room: home, search over all rooms, the light switch, health for load balancers."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from redis.exceptions import RedisError

from config import home as attention
from leads import access, lists
from leads.access import require
from leads.models import Contact
from segments.models import Persona, Segment

SEARCH_HITS = 8
A_YEAR_IN_SECONDS = 365 * 24 * 3600


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when the database and Redis answer, else 503; says no more than that. One statement, one round trip to Redis."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        cache.get("healthz")
    except (DatabaseError, RedisError):
        return HttpResponse("unavailable\n", status=503, content_type="text/plain")
    return HttpResponse("ok\n", content_type="text/plain")


@require("see")
@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What needs attention: a part for each role that the user has, sales first."""
    assert isinstance(request.user, User)
    now = timezone.now()
    roles = access.roles_of(request.user)
    context: dict[str, Any] = {"now": now}
    if access.SALES in roles:
        context["sales"] = attention.sales(request.user, now)
    if access.MARKETER in roles:
        context["marketer"] = attention.marketer(now)
    if access.ADMIN in roles:
        context["admin"] = attention.admin(now)
    return render(request, "home.html", context)


@require("see")
@require_safe
def search(request: HttpRequest) -> HttpResponse:
    """People, companies, segments and personas by name. Five statements by trigram indexes, whatever the number of rows."""
    text = request.GET.get("q", "")[:200]
    words = lists.words_of(text)
    context: dict[str, Any] = {"search_words": text.strip(), "has_words": bool(words)}
    if words:
        contacts = lists.search_contacts(Contact.objects.select_related("company"), words)
        named = Q()
        for word in words:
            named &= Q(name__icontains=word)
        context |= {
            "contacts": list(contacts.order_by("-created_at", "-pk")[:SEARCH_HITS]),
            "companies": lists.company_options(text, limit=SEARCH_HITS),
            "segments": list(Segment.objects.in_use().filter(named)[:SEARCH_HITS]),
            "personas": list(Persona.objects.filter(named)[:SEARCH_HITS]),
        }
        context["has_hits"] = any(context[key] for key in ("contacts", "companies", "segments", "personas"))
    is_fragment = getattr(request, "htmx", False)
    return render(request, "_search_results.html" if is_fragment else "search_results.html", context)


@login_not_required
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Switch between light and dark without JavaScript; with it the browser writes the same cookie."""
    chosen = "light" if request.COOKIES.get("ripen_theme") == "dark" else "dark"
    back = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
        back = reverse("home")
    response = HttpResponseRedirect(back)
    response.set_cookie(
        "ripen_theme", chosen, max_age=A_YEAR_IN_SECONDS, samesite="Lax", secure=settings.SESSION_COOKIE_SECURE
    )
    return response
