"""The list of contacts: filters, columns, what is done to many at once, export."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from leads import access, actions, lists, panels
from leads.access import require
from leads.bulk import bulk_actions
from leads.views import is_fragment, stage_labels


@require("see")
@never_cache
@require_safe
def contact_list(request: HttpRequest) -> HttpResponse:
    """People by keyset: at most fifteen statements whatever the rows, and one for each filter that is on."""
    query = lists.ContactQuery.read(request.GET)
    contacts = query.contacts()
    columns, every = lists.chosen_columns(request.session.get("contact_columns"))
    found = lists.page(
        contacts.select_related("company", "owner"),
        query.order,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
    )
    context: dict[str, Any] = {
        "query": query,
        "page": found,
        "rows": lists.contact_rows(found.rows, columns),
        "columns": columns,
        "every_column": every,
        "count": lists.count(contacts, is_everything=query.is_everything, page=found),
        "stage_labels": stage_labels(),
        "orders": [(order, query.link(order=order.key)) for order in lists.CONTACT_ORDERS.values()],
        "previous_link": query.link(before=found.previous) if found.previous else "",
        "next_link": query.link(after=found.next) if found.next else "",
        "first_link": query.link(),
        "stylesheets": panels.stylesheets(),
        "now": timezone.now(),
    }
    context["chips"] = [(shown, query.link(**{shown.key: ""})) for shown in lists.active_filters(query)]
    context["bulk_actions"] = [action for action in bulk_actions() if access.can(request.user, action.right)]
    template = "leads/_contact_list.html" if is_fragment(request) else "leads/contact_list.html"
    return render(request, template, context)


@require("see")
@never_cache
@require_safe
def contact_filters(request: HttpRequest) -> HttpResponse:
    """The filters with their choices, fetched when somebody opens them; a page of its own without HTMX."""
    query = lists.ContactQuery.read(request.GET)
    context = {"query": query, "filters": lists.shown_filters(query)}
    template = "leads/_contact_filters.html" if is_fragment(request) else "leads/contact_filters.html"
    return render(request, template, context)


@require("see")
@require_POST
def contact_columns(request: HttpRequest) -> HttpResponse:
    """Keep the chosen columns for this person; none chosen means those that everybody starts with."""
    known = {column.key for column in lists.contact_columns()}
    chosen = [key for key in request.POST.getlist("column") if key in known]
    if chosen and "reset" not in request.POST:
        request.session["contact_columns"] = chosen
    else:
        request.session.pop("contact_columns", None)
    return redirect(f"{reverse('leads:contact-list')}{_list_query(request.POST.get('back', ''))}")


@require("see")
@never_cache
@require_safe
def contact_bulk_value(request: HttpRequest) -> HttpResponse:
    """The choices of one bulk action, fetched when somebody turns to it."""
    action = next((one for one in bulk_actions() if one.key == request.GET.get("action")), None)
    if action is None or action.choices is None:
        raise Http404
    access.demand(request.user, action.right)
    return render(request, "leads/_contact_bulk_value.html", {"action": action, "choices": action.choices()})


@require("see")
@require_POST
def contact_bulk(request: HttpRequest) -> HttpResponse:
    """One action over the chosen contacts, or over everybody that the list's question finds."""
    action = next((one for one in bulk_actions() if one.key == request.POST.get("action")), None)
    back = _list_query(request.POST.get("back", ""))
    address = f"{reverse('leads:contact-list')}{back}"
    if action is None:
        messages.error(request, _("Choose what to do."))
        return redirect(address)
    access.demand(request.user, action.right)
    if request.POST.get("everyone") == "yes":
        query = lists.ContactQuery.read(QueryDict(back.removeprefix("?")).dict())
        ids = list(query.contacts().values_list("pk", flat=True)[: lists.COUNT_UP_TO + 1])
        if len(ids) > lists.COUNT_UP_TO:
            messages.error(
                request, _("More than 10,000 people: narrow the list first, or use a segment and a program.")
            )
            return redirect(address)
    else:
        ids = [int(pk) for pk in request.POST.getlist("chosen") if pk.isascii() and pk.isdigit()][: lists.PAGE_SIZE * 4]
    try:
        if action.page is not None:
            return redirect(action.page(ids))
        assert action.run is not None
        changed = action.run(ids, request.POST.get("value", ""), cast("User", request.user), timezone.now())
    except actions.Refused as error:
        messages.error(request, str(error))
        return redirect(address)
    messages.success(
        request,
        ngettext("%(action)s: %(n)s person changed.", "%(action)s: %(n)s people changed.", changed)
        % {"action": action.label, "n": changed},
    )
    return redirect(address)


def _list_query(back: str) -> str:
    """The list's own parameters of a posted query text, and nothing else."""
    query = lists.ContactQuery.read(QueryDict(back.removeprefix("?")).dict())
    link = query.link()
    return "" if link == "?" else link


class _Echo:
    """A file that gives each line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


@require("export")
@require_GET
def contact_export(request: HttpRequest) -> HttpResponseBase:
    """CSV of everybody that the list's question finds, streamed by chunks; audited before the first byte leaves."""
    query = lists.ContactQuery.read(request.GET)
    now = timezone.now()
    columns, every = lists.chosen_columns(request.session.get("contact_columns"))
    if request.GET.get("columns") == "all":
        columns = every
    actions.audit(
        cast("User", request.user),
        "exported",
        "contacts",
        {"question": query.link(), "columns": [column.key for column in columns]},
        now,
    )

    def lines() -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield "\ufeff"  # spreadsheets read UTF-8 by it
        for row in lists.export_rows(query.contacts(), columns):
            yield writer.writerow(row)

    name = f"contacts-{timezone.localtime(now):%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
