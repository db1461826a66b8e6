"""Pages of broadcasts: the list, the form, the sheet before “send”, how far it is and what came of it, and the people."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from leads.access import require
from leads.actions import audit
from leads.figures import at_hand
from leads.lists import Order, safe_cell
from leads.lists import page as keyset_page
from leads.models import Purpose
from leads.workspace import workspace
from nurture import access
from nurture.actions import NurtureRefused
from nurture.broadcasts import actions, queries, results, sheet
from nurture.forms.broadcasts import BroadcastForm
from nurture.models import Broadcast, BroadcastRecipient, BroadcastVariant
from nurture.templating.rendering import BadTemplate
from nurture.views.mails import mail_response
from nurture.views.programs import actor

PAGE = 50
EXPORT_PAGE = 2_000


@require("see")
@require_GET
def broadcast_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by keyset; three statements whatever the rows. At a large company the figures are kept for ten minutes."""
    found = Broadcast.objects.exclude(state=Broadcast.State.DELETING).order_by("-pk")
    after = request.GET.get("after", "")
    if after.isdigit():
        found = found.filter(pk__lt=int(after))
    page = list(found[: PAGE + 1])
    ids = [row.pk for row in page[:PAGE] if not row.is_open]
    kept = at_hand(f"broadcasts:{'-'.join(map(str, ids))}", lambda: queries.figures_of(ids), now=timezone.now())
    context = {
        "rows": [(row, kept.value.get(row.pk, queries.NOTHING)) for row in page[:PAGE]],
        "next": page[PAGE - 1].pk if len(page) > PAGE else None,
        "as_of": kept.at if kept.is_kept else None,
    }
    return render(request, "nurture/broadcast_list.html", context)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def broadcast_edit(request: HttpRequest, slug: str = "") -> HttpResponse:
    """The form of a new one, or of one that was not sent yet."""
    broadcast = access.broadcast_or_404(slug) if slug else None
    if broadcast is not None and not broadcast.is_open:
        messages.error(request, _("It was sent: what it says stays as it is."))
        return redirect("nurture:broadcast-detail", broadcast.slug)
    form = BroadcastForm(request.POST or None, broadcast=broadcast)
    if request.method == "POST" and form.is_valid():
        try:
            saved = actions.save_broadcast(
                broadcast,
                variants=form.variants(),
                into=list(form.cleaned_data["into"]),
                out_of=list(form.cleaned_data["out_of"]),
                values=form.values(),
                version=_version(request),
                actor=actor(request),
                now=timezone.now(),
            )
        except NurtureRefused as error:
            form.add_error(None, str(error))
        else:
            return redirect("nurture:broadcast-detail", saved.slug)
    context = {
        "broadcast": broadcast,
        "form": form,
        "version": _version(request) or (broadcast.version if broadcast else 0),
    }
    return render(request, "nurture/broadcast_edit.html", context, status=422 if form.errors else 200)


def _version(request: HttpRequest) -> int:
    text = request.POST.get("version", "")
    return int(text) if text.isdigit() else 0


@require("see")
@require_GET
def broadcast_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """What it is, and by its state: the sheet, the progress, the results. Fifteen statements whatever the audience."""
    broadcast = access.broadcast_or_404(slug)
    context = _context(broadcast, timezone.now(), is_whole=True, wait=request.GET.get("now") == "yes")
    return render(request, "nurture/broadcast_detail.html", context)


@require("see")
@require_GET
def broadcast_results(request: HttpRequest, slug: str) -> HttpResponse:
    """The part with opens and clicks, worked out while it is waited for; six statements, one of them over the mails."""
    broadcast = access.broadcast_or_404(slug)
    if broadcast.is_open:
        raise Http404
    variants, now = sheet.load_variants(broadcast), timezone.now()
    context = {"broadcast": broadcast, "is_part": True, **_results(broadcast, variants, now, wait=True)}
    return render(request, "nurture/_broadcast_results.html", context)


def _results(broadcast: Broadcast, variants: list[BroadcastVariant], now: datetime, *, wait: bool) -> dict[str, Any]:
    """What came of it; `is_counted` says whether there are figures yet, which a page with a large audience does not wait for."""
    found = results.people(broadcast, now=now, wait=wait)
    return {
        "results": results.by_variant(broadcast, variants, found.value if found else {}),
        "is_counted": found is not None,
        "as_of": found.at if found and found.is_kept else None,
        "is_stale": found is not None and found.is_stale(now),
        "test": results.test_words(broadcast, now),
        "lead": results.lead_words(broadcast, found.value if found else {}),
        "address": reverse("nurture:broadcast-results", args=[broadcast.slug]),
        "address_now": f"{reverse('nurture:broadcast-detail', args=[broadcast.slug])}?now=yes",
    }


@require("see")
@require_GET
def broadcast_state(request: HttpRequest, slug: str) -> HttpResponse:
    """The part that changes by itself; the page is loaded anew when the state is another, or the last mail of one that is done has left."""
    broadcast = access.broadcast_or_404(slug)
    context, was = _context(broadcast, timezone.now(), is_whole=False), request.GET.get("was")
    response = render(request, "nurture/_broadcast_state.html", context)
    is_over = was == Broadcast.State.DONE and not context["progress"].in_outbox
    if was not in (None, broadcast.state) or is_over:
        response["HX-Refresh"] = "true"
    return response


def _context(broadcast: Broadcast, now: datetime, *, is_whole: bool, wait: bool = False) -> dict[str, Any]:
    found: dict[str, Any] = {"broadcast": broadcast, "left_out": sheet.left_out(broadcast)}
    found["left_out_total"] = sum(row.people for row in found["left_out"])
    found["looked_at"] = broadcast.counts.get("in", 0) + found["left_out_total"]
    variants = sheet.load_variants(broadcast)
    found["variants"] = [(one, broadcast.counts.get(f"in:{one.key}", 0)) for one in variants]
    found["rest"] = sheet.rest_of(broadcast)
    if is_whole or broadcast.is_open:
        found["example"] = example = sheet.example_of(broadcast)
    if broadcast.state in (Broadcast.State.DRAFT, Broadcast.State.COUNTED):
        problems = sheet.problems(broadcast, example, now)
        found["problems"] = problems
        found["is_blocked"] = any(problem.blocks for problem in problems)
        found["begins"] = sheet.begins_words(broadcast, now)
    if not broadcast.is_open:
        found["progress"] = results.progress(broadcast)
        found["reasons"] = results.reasons(broadcast)
        found["changed_mails"] = [
            one.template for one in variants
            if broadcast.templates_seen.get(one.key, one.template.version) != one.template.version
        ]  # fmt: skip
    if is_whole:
        if not broadcast.is_open:
            found |= _results(broadcast, variants, now, wait=wait)
        home = workspace()
        found["facts"] = [
            (_("Purpose"), str(Purpose.objects.filter(slug=broadcast.purpose).first() or broadcast.purpose)),
            (_("When"), sheet.when_words(broadcast)),
            (_("How fast"), sheet.pace_words(broadcast)),
            (_("Limits"), sheet.limits_words(broadcast, home)),
            (_("Winner"), sheet.winner_words(broadcast)),
        ]
        found["into"], found["out_of"] = list(broadcast.into.order_by("name")), list(broadcast.out_of.order_by("name"))
        found["mails"] = [(one, sheet.subject_for(one.template, example, home, now)) for one in variants]
    return found


@require("see")
@require_GET
@xframe_options_sameorigin
def broadcast_mail(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """One variant as the first of the audience gets it."""
    broadcast = access.broadcast_or_404(slug)
    variant = broadcast.variants.select_related("template").filter(key=key).first()
    if variant is None:
        raise Http404
    try:
        mail = sheet.mail_for(variant.template, sheet.example_of(broadcast), workspace(), timezone.now())
    except BadTemplate as error:
        raise Http404 from error
    return mail_response(mail.html)


# --- Switches ------------------------------------------------------------------------------------------------------------------------


def _do(request: HttpRequest, slug: str, act: Callable[[Broadcast, User, datetime], str]) -> HttpResponse:
    """Says what was done, or why not, on the page of the broadcast."""
    broadcast = access.broadcast_or_404(slug)
    try:
        words = act(broadcast, actor(request), timezone.now())
    except NurtureRefused as error:
        messages.error(request, str(error))
    else:
        if words:
            messages.success(request, words)
    return redirect("nurture:broadcast-detail", broadcast.slug)


@require("edit_rules")
@require_POST
def broadcast_count(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        actions.count(broadcast, actor=user, now=now)
        return ""

    return _do(request, slug, act)


@require("publish")
@require_POST
def broadcast_send(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        row = actions.send(broadcast, version=_version(request), actor=user, now=now)
        people = row.counts["in"]
        begins = sheet.begins_words(row, now)
        words = ngettext("%(n)s person gets it.", "%(n)s people get it.", people) % {"n": f"{people:,}"}
        return f"{words} " + (_("It begins at %(moment)s.") % {"moment": begins} if begins else "")

    return _do(request, slug, act)


@require("publish")
@require_POST
def broadcast_pause(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        actions.pause(broadcast, actor=user, now=now)
        return _("Paused: nothing more of it leaves until you let it go on.")

    return _do(request, slug, act)


@require("publish")
@require_POST
def broadcast_resume(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        actions.resume(broadcast, actor=user, now=now)
        return _("It goes on where it was.")

    return _do(request, slug, act)


@require("publish")
@require_POST
def broadcast_cancel(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        people = actions.cancel(broadcast, actor=user, now=now)
        return ngettext(
            "Cancelled: %(n)s person does not get it. What had left before has left.",
            "Cancelled: %(n)s people do not get it. What had left before has left.",
            people,
        ) % {"n": f"{people:,}"}

    return _do(request, slug, act)


@require("publish")
@require_POST
def broadcast_winner(request: HttpRequest, slug: str) -> HttpResponse:
    def act(broadcast: Broadcast, user: User, now: datetime) -> str:
        actions.choose_winner(broadcast, request.POST.get("way", ""), actor=user, now=now)
        return _("The rest gets this one.")

    return _do(request, slug, act)


@require("edit_rules")
@require_POST
def broadcast_delete(request: HttpRequest, slug: str) -> HttpResponse:
    broadcast = access.broadcast_or_404(slug)
    try:
        actions.delete(broadcast, actor=actor(request), now=timezone.now())
    except NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:broadcast-detail", broadcast.slug)
    messages.success(request, _("“%(name)s” was deleted.") % {"name": broadcast.name})
    return redirect("nurture:broadcast-list")


# --- People --------------------------------------------------------------------------------------------------------------------------


BY_REASON = Order("reason", gettext_lazy("Reason"), ("why", "id"), descending=False, types=(str, int))


def _people(broadcast: Broadcast, which: str) -> QuerySet[BroadcastRecipient]:
    """Of the frozen audience: who gets it (“in”), who stays out, or who stays out for one reason."""
    rows = BroadcastRecipient.objects.filter(broadcast=broadcast).select_related("contact__company")
    if which == "in":
        return rows.filter(why="")
    if which == "out":
        return rows.filter(why__gt="")
    if which not in broadcast.counts:
        raise Http404
    return rows.filter(why=which)


@require("see")
@require_GET
def broadcast_people(request: HttpRequest, slug: str) -> HttpResponse:
    """The audience by what became of people, in the order of the reasons; by keyset, four statements whatever the rows."""
    broadcast, which = access.broadcast_or_404(slug), request.GET.get("which", "in")
    page = keyset_page(_people(broadcast, which), BY_REASON, after=request.GET.get("after", ""), size=PAGE)
    left_out = sheet.left_out(broadcast)
    tabs = [("in", _("Get it"), broadcast.counts.get("in", 0))]
    tabs += [("out", _("Stay out"), sum(row.people for row in left_out))]
    tabs += [(row.reason, row.words, row.people) for row in left_out]
    context = {
        "broadcast": broadcast,
        "which": which,
        "tabs": tabs,
        "rows": [(row, sheet.words_of(row.why)) for row in page.rows],
        "next": page.next,
    }
    return render(request, "nurture/broadcast_people.html", context)


class _Echo:
    """A file that gives back what is written to it, for csv.writer."""

    def write(self, text: str) -> str:
        return text


@require("export")
@require_safe
def broadcast_export(request: HttpRequest, slug: str) -> HttpResponseBase:
    """The same people as CSV, streamed in pages; audited before the first byte leaves."""
    broadcast, which, now = access.broadcast_or_404(slug), request.GET.get("which", "in"), timezone.now()
    rows = _people(broadcast, which)
    audit(actor(request), "exported", broadcast, {"which": which}, now)

    def lines() -> Iterator[str]:
        writer: Any = csv.writer(_Echo())
        yield "\ufeff"  # spreadsheets read UTF-8 by it
        yield writer.writerow([_("External id"), _("E-mail"), _("Name"), _("Company"), _("Variant"), _("Why not")])
        after, is_more = "", True
        while is_more:
            page = keyset_page(rows, BY_REASON, after=after, size=EXPORT_PAGE)
            for row in page.rows:
                person = row.contact
                company = person.company.name if person.company else ""
                cells = [person.external_id or "", person.email or "", person.full_name, company, row.variant.upper()]
                yield writer.writerow([safe_cell(cell) for cell in [*cells, sheet.words_of(row.why)]])
            after, is_more = page.next, bool(page.next)

    name = f"{broadcast.slug}-{which}-{timezone.localtime(now):%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
