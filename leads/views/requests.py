"""Data requests: the list for admins, one request with what is kept, its answers, and the form on the contact page."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leads import data_requests, lists, person_file
from leads.access import require
from leads.actions import Refused
from leads.forms.requests import AnswerForm, AskForm
from leads.models import Contact, DataRequest
from leads.views import posted

NEWEST = lists.Order("newest", "", ("asked_at", "id"), True, (datetime, int))
MOST_OPEN = 200


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


@require("answer_requests")
@never_cache
@require_safe
def request_list(request: HttpRequest) -> HttpResponse:
    """Open ones first, the oldest on top; the answered ones by keyset. Two statements whatever the rows."""
    rows = DataRequest.objects.select_related("contact", "done_by")
    answered = rows.exclude(state=DataRequest.State.OPEN)
    page = lists.page(answered, NEWEST, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    context = {
        "open_ones": list(rows.filter(state=DataRequest.State.OPEN).order_by("asked_at", "id")[:MOST_OPEN]),
        "page": page,
        "previous_link": f"?before={page.previous}" if page.previous else "",
        "next_link": f"?after={page.next}" if page.next else "",
        "now": timezone.now(),
        "tab": "requests",
    }
    return render(request, "leads/request_list.html", context)


@require("answer_requests")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def request_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """What is kept about the person, and the answer. POST erases or refuses."""
    row = get_object_or_404(DataRequest.objects.select_related("contact", "asked_by", "done_by"), pk=pk)
    form = AnswerForm(posted(request))
    if request.method == "POST" and form.is_valid() and _answer(request, row, form):
        return redirect("leads:request-detail", pk)
    is_open = row.state == DataRequest.State.OPEN
    rows = person_file.counts(person_file.person_of(row)) if is_open else row.rows
    titles = person_file.titles()
    context = {
        "row": row,
        "form": form,
        "is_open": is_open,
        "chapters": [(titles.get(key, key), number) for key, number in rows.items()],
        "now": timezone.now(),
        "tab": "requests",
    }
    return render(request, "leads/request_detail.html", context, status=422 if form.errors else 200)


def _answer(request: HttpRequest, row: DataRequest, form: AnswerForm) -> bool:
    now, note = timezone.now(), form.cleaned_data["note"]
    try:
        if form.cleaned_data["verb"] == "erase":
            data_requests.erase(row, note=note, actor=_user(request), now=now)
            messages.success(request, _("Erased. Hashes of the addresses stay, so that nobody writes to them again."))
        else:
            data_requests.refuse(row, note=note, actor=_user(request), now=now)
            messages.success(request, _("Written down."))
    except Refused as error:
        form.add_error(None, str(error))
        return False
    return True


@require("answer_requests")
@require_POST
def request_file(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The file to hand over: a zip with a page to read and the same as JSON."""
    row = get_object_or_404(DataRequest, pk=pk)
    now = timezone.now()
    try:
        file = data_requests.export(row, actor=_user(request), now=now)
    except Refused as error:
        messages.error(request, str(error))
        return redirect("leads:request-detail", pk)
    name = f"person-{row.pk}-{timezone.localtime(now):%Y-%m-%d}.zip"
    return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")


@require("answer_requests")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def contact_request(request: HttpRequest, pk: int) -> HttpResponse:
    """Somebody asked by letter or phone: a colleague writes it down, and goes on to the answer."""
    contact = get_object_or_404(Contact, pk=pk)
    form = AskForm(posted(request), initial={"kind": request.GET.get("kind", DataRequest.Kind.EXPORT)})
    if request.method == "POST" and form.is_valid():
        row, is_new = data_requests.ask(
            form.cleaned_data["kind"],
            contact=contact,
            source="by_hand",
            reason=form.cleaned_data["reason"],
            actor=_user(request),
            now=timezone.now(),
        )
        if not is_new:
            messages.info(request, _("They asked for it before; this is the open request."))
        return redirect("leads:request-detail", row.pk)
    return render(
        request, "leads/contact_request.html", {"contact": contact, "form": form}, status=422 if form.errors else 200
    )
