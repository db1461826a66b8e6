"""Pages about consent: purposes and window, the suppression list, and how it stands for one contact."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import datetime
from typing import cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leads import actions, consent, consent_words, lists, purposes, queries_consent, suppression, suppression_file
from leads.access import demand, require
from leads.addresses import address_hash
from leads.forms.consent import (
    MailWindowForm,
    NoteForm,
    PurposeForm,
    SuppressForm,
    SuppressionFileForm,
    SuppressionFilterForm,
)
from leads.models import ConsentEvent, Contact, Purpose, Suppression, SuppressionPattern
from leads.views import posted
from leads.workspace import workspace

NEWEST = lists.Order("newest", "", ("since", "address_hash"), True, (datetime, str))
MOST_PATTERNS = 500
MOST_ROWS = 200


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


# --- Purposes and window ----------------------------------------------------------------------------------------------------


@require("configure")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def purpose_list(request: HttpRequest) -> HttpResponse:
    """What mail is for, and when it leaves."""
    row = workspace()
    form = MailWindowForm(posted(request), instance=row)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            form.save()
            actions.audit(_user(request), "changed", row, {"fields": form.changed_data}, timezone.now())
        messages.success(request, _("Saved."))
        return redirect("leads:purpose-list")
    rows = list(Purpose.objects.filter(archived_at=None))
    wordings = {one.purpose_id: one for one in consent.wordings_of([one.slug for one in rows])}
    context = {"rows": [(one, wordings.get(one.slug)) for one in rows], "form": form, "tab": "consent"}
    return render(request, "leads/purpose_list.html", context, status=422 if form.errors else 200)


@require("configure")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def purpose_edit(request: HttpRequest, slug: str = "") -> HttpResponse:
    purpose = get_object_or_404(Purpose, slug=slug) if slug else None
    form = PurposeForm(posted(request), instance=purpose)
    if request.method == "POST" and form.is_valid():
        try:
            purposes.save_purpose(
                get_object_or_404(Purpose, slug=slug) if slug else None,
                **form.cleaned_data,
                actor=_user(request),
                now=timezone.now(),
            )
        except actions.Refused as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("Saved."))
            return redirect("leads:purpose-list")
    context = {
        "form": form,
        "purpose": purpose,
        "heading": purpose.name if purpose else _("New purpose"),
        "wordings": purpose.wordings.order_by("-number") if purpose else [],
        "users": purposes.users_of(purpose) if purpose else [],
        "tab": "consent",
    }
    return render(request, "leads/purpose_form.html", context, status=422 if form.errors else 200)


@require("configure")
@require_POST
def purpose_archive(request: HttpRequest, slug: str) -> HttpResponse:
    purpose = get_object_or_404(Purpose, slug=slug)
    try:
        purposes.archive_purpose(purpose, actor=_user(request), now=timezone.now())
    except actions.Refused as error:
        messages.error(request, str(error))
        return redirect("leads:purpose-edit", slug)
    messages.success(request, _("Put away; what people said stays in the ledger."))
    return redirect("leads:purpose-list")


# --- Suppression list -----------------------------------------------------------------------------------------------------


@require("configure")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def suppression_list(request: HttpRequest) -> HttpResponse:
    """Newest first, by keyset; a whole address is found by its hash. POST puts one on the list."""
    form = SuppressForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            is_new = _suppress(request, form.cleaned_data["what"].strip(), form.cleaned_data["note"])
        except actions.Refused as error:
            form.add_error("what", str(error))
        else:
            messages.success(request, _("On the list.") if is_new else _("It was on the list already."))
            return redirect("leads:suppression-list")
    return _list(request, form)


def _suppress(request: HttpRequest, what: str, note: str) -> bool:
    user, now, source = _user(request), timezone.now(), note or "by_hand"
    if what.startswith("@"):
        return suppression.add_pattern("domain", what, source=source, now=now, actor=user)
    if what.endswith("@"):
        return suppression.add_pattern("role", what, source=source, now=now, actor=user)
    address = suppression.checked_address(what)
    return suppression.suppress(address, reason=Suppression.Reason.BY_HAND, source=source, now=now, actor=user)


def _list(
    request: HttpRequest,
    form: SuppressForm,
    *,
    file_form: SuppressionFileForm | None = None,
    taken: suppression_file.Taken | None = None,
) -> HttpResponse:
    """Four statements whatever the rows."""
    asked = SuppressionFilterForm(request.GET)
    asked.is_valid()
    q, reason = asked.cleaned_data.get("q", "").strip(), asked.cleaned_data.get("reason", "")
    rows = Suppression.objects.all()
    if reason:
        rows = rows.filter(reason=reason)
    if q:
        rows = rows.filter(address_hash=address_hash(q)) if "@" in q.strip("@") else rows.filter(address__icontains=q)
    page = lists.page(rows, NEWEST, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    question = urlencode({"q": q, "reason": reason})
    context = {
        "page": page,
        "form": form,
        "file_form": file_form or SuppressionFileForm(),
        "taken": taken,
        "shown_rejects": taken.rejected[:MOST_ROWS] if taken else [],
        "q": q,
        "reason": reason,
        "reasons": Suppression.Reason.choices,
        "patterns": list(SuppressionPattern.objects.order_by("kind", "value")[:MOST_PATTERNS]),
        "previous_link": f"?{question}&before={page.previous}" if page.previous else "",
        "next_link": f"?{question}&after={page.next}" if page.next else "",
        "tab": "suppression",
    }
    is_wrong = bool(form.errors or (file_form and file_form.errors))
    return render(request, "leads/suppression_list.html", context, status=422 if is_wrong else 200)


@require("configure")
@require_POST
def suppression_release(request: HttpRequest) -> HttpResponse:
    """One address or pattern off the list."""
    user, now = _user(request), timezone.now()
    try:
        if (number := request.POST.get("pattern", "")).isdigit():
            suppression.remove_pattern(get_object_or_404(SuppressionPattern, pk=int(number)), actor=user, now=now)
        else:
            row = get_object_or_404(Suppression, pk=request.POST.get("address_hash", ""))
            suppression.release(row, actor=user, now=now)
    except actions.Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("Off the list."))
    return redirect("leads:suppression-list")


@require("configure")
@require_POST
def suppression_import(request: HttpRequest) -> HttpResponse:
    """A file of addresses; the page tells what came of it, and which rows were not taken."""
    form = SuppressionFileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _list(request, SuppressForm(), file_form=form)
    file = form.cleaned_data["file"]
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        taken = suppression_file.import_file(text, file_name=file.name or "", actor=_user(request), now=timezone.now())
    except actions.Refused as error:
        form.add_error("file", str(error))
        return _list(request, SuppressForm(), file_form=form)
    return _list(request, SuppressForm(), taken=taken)


class _Echo:
    """A file that gives back what is written to it, for csv.writer."""

    def write(self, text: str) -> str:
        return text


@require("configure")
@require_safe
def suppression_export(request: HttpRequest) -> HttpResponseBase:
    """The whole list as CSV, streamed; audited before the first byte leaves."""
    now = timezone.now()
    actions.audit(_user(request), "exported", "suppression", {}, now)

    def lines() -> Iterator[str]:
        writer = csv.writer(_Echo())
        yield "\ufeff"
        for row in suppression_file.export_rows():
            yield writer.writerow([lists.safe_cell(cell) for cell in row])

    name = f"suppression-{timezone.localtime(now):%Y-%m-%d}.csv"
    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


# --- One contact ------------------------------------------------------------------------------------------------------------


@require("see")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def contact_consent(request: HttpRequest, pk: int) -> HttpResponse:
    """How every purpose stands for a contact, the ledger behind it, and what a colleague notes. Nine statements to show."""
    contact = get_object_or_404(Contact.objects.select_related("company"), pk=pk)
    form = NoteForm(posted(request))
    if request.method == "POST":
        demand(request.user, "edit_contacts")
        if form.is_valid() and contact.email:
            _note(request, contact, form)
            return redirect("leads:contact-consent", pk)
    context = {"contact": contact, "form": form, **_standing(contact)}
    return render(request, "leads/contact_consent.html", context, status=422 if form.errors else 200)


def _standing(contact: Contact) -> dict[str, object]:
    if not contact.email:
        return {}
    digest = address_hash(contact.email)
    blocked = queries_consent.why_blocked([contact.email], Purpose.ALL)
    said = ConsentEvent.objects.filter(address_hash=digest).order_by("-occurred_at", "-id")
    return {
        "standing": consent.standing(contact.email, contact),
        "suppressed": Suppression.objects.filter(pk=digest).first(),
        "is_pattern": blocked.get(contact.email) in SuppressionPattern.Kind.values,
        "wish": consent.wish(digest),
        "now": timezone.now(),
        "rows": consent_words.lines(said[:MOST_ROWS]),
    }


def _note(request: HttpRequest, contact: Contact, form: NoteForm) -> None:
    user, now, address = _user(request), timezone.now(), str(contact.email)
    slug, verb = form.cleaned_data["purpose"].slug, form.cleaned_data["verb"]
    proof = {"by": user.get_username(), "note": form.cleaned_data["note"].strip()}
    with transaction.atomic():
        if verb == "give":
            is_news = bool(
                consent.give_consent(
                    address,
                    purposes=[slug],
                    source="by_hand",
                    now=now,
                    by_person=True,
                    contact=contact,
                    proof=proof,
                    is_wording_shown=False,
                )
            )
        elif verb == "ask":
            asked = consent.ask_consent(
                address,
                purposes=[slug],
                source="by_hand",
                now=now,
                contact=contact,
                language=contact.language,
                proof=proof,
            )
            is_news = asked is not None
        else:
            is_news = consent.withdraw_consent(
                address, purpose=slug, source="by_hand", now=now, contact=contact, proof=proof
            )
        if is_news:
            actions.audit(user, f"consent: {verb}", contact, {"purpose": slug, "note": proof["note"]}, now)
    if is_news:
        messages.success(
            request, _("Written down.") if verb != "ask" else _("A mail that asks to confirm is on its way.")
        )
    else:
        messages.info(
            request, _("Nothing changed: it stands like that already, or the address was asked often enough today.")
        )
