"""The page on which two contacts become one: who is the other, which value stays, what will happen."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet, Value
from django.db.models.functions import Lower
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from leads import lists, merging
from leads.access import require
from leads.actions import Refused
from leads.models import Contact
from leads.views import is_fragment

CANDIDATES = 12


@require("import")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def contact_merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Without `with`: choose the other one. With it: both side by side, and a POST merges. HTMX asks for the sheet alone."""
    people = Contact.objects.select_related("company", "owner")
    kept = get_object_or_404(people, pk=pk)
    other = request.POST.get("with") or request.GET.get("with", "")
    if not other:
        return _choose(request, kept)
    if not (other.isascii() and other.isdigit()) or int(other) == pk:
        raise Http404
    gone = get_object_or_404(people, pk=int(other))
    said = request.POST if request.method == "POST" else request.GET
    take = {row.key: said[row.name] for row in merging.choices(kept, gone) if row.name in said}
    problem = ""
    if request.method == "POST":
        try:
            return _merge(request, kept, gone, take)
        except Refused as error:
            problem = str(error)
    context = _context(kept, gone, take) | {"problem": problem}
    if is_fragment(request):
        return render(request, "leads/_contact_merge_sheet.html", context)
    return render(request, "leads/contact_merge.html", context, status=422 if problem else 200)


def _merge(request: HttpRequest, kept: Contact, gone: Contact, take: dict[str, str]) -> HttpResponse:
    name = str(gone)
    record = merging.merge_contacts(
        kept,
        gone=gone,
        take=take,
        actor=cast("User", request.user),
        now=timezone.now(),
        seen=_moments(request.POST.getlist("seen")),
    )
    messages.success(request, _("%(name)s was merged into this contact.") % {"name": name})
    return redirect("leads:contact-detail", record.kept_id)


def _moments(texts: list[str]) -> list[datetime]:
    try:
        return [datetime.fromisoformat(text) for text in texts]
    except ValueError as error:
        raise Refused(_("One of the two was changed meanwhile: look again.")) from error


def _context(kept: Contact, gone: Contact, take: dict[str, str]) -> dict[str, Any]:
    rows = merging.choices(kept, gone, take)
    sides = {row.key: row.taken for row in rows}
    pair = merging.Pair(kept, gone, merging.address_of(kept, gone, sides), timezone.now())
    return {
        "kept": kept,
        "gone": gone,
        "different": [row for row in rows if row.differs],
        "same": [row for row in rows if not row.differs and row.kept],
        "sheet": merging.sheet(pair),
        "seen": [one.updated_at.isoformat() for one in (kept, gone)],
    }


def _choose(request: HttpRequest, kept: Contact) -> HttpResponse:
    """Who looks like the same person, or who is found by the words."""
    text = request.GET.get("q", "")[:200].replace("\x00", "").strip()
    others = Contact.objects.exclude(pk=kept.pk).select_related("company")
    found = lists.search_contacts(others, lists.words_of(text)) if text else _alike(others, kept)
    context = {"kept": kept, "text": text, "people": list(found.order_by("-created_at", "-pk")[:CANDIDATES])}
    template = "leads/_contact_merge_people.html" if is_fragment(request) else "leads/contact_merge_choose.html"
    return render(request, template, context)


def _alike(others: QuerySet[Contact], contact: Contact) -> QuerySet[Contact]:
    """The same name, whatever its case, by the index of names; nobody when there is none."""
    if not contact.last_name:
        return others.none()
    named = others.alias(last=Lower("last_name"), first=Lower("first_name"))
    return named.filter(last=Lower(Value(contact.last_name)), first=Lower(Value(contact.first_name)))
