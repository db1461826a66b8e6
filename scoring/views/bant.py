"""BANT of a contact: filled in by sales in seconds, on the contact page and on the card; and its weights in a model's draft."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.models import Contact
from scoring import access, actions
from scoring.actions import Refused
from scoring.actions.bant import NewFact, apply_track, record_bant
from scoring.contact_page_bant import panel_context
from scoring.forms.bant import FactForm, WeightsForm
from scoring.models import BantFact


def _answer(request: HttpRequest, contact: Contact, error: str = "") -> HttpResponse:
    """The panel as it is now, for HTMX; else back to the contact."""
    if request.headers.get("HX-Request") == "true":
        context: dict[str, Any] = panel_context(contact, cast("User", request.user), timezone.now())
        context |= {"contact": contact, "bant_error": error}
        return render(request, "scoring/_bant_panel.html", context, status=422 if error else 200)
    if error:
        messages.error(request, error)
    return redirect("leads:contact-detail", contact.pk)


@require_GET
@require("see")
def bant_panel(request: HttpRequest, pk: int) -> HttpResponse:
    """Two or three statements."""
    contact = get_object_or_404(Contact, pk=pk)
    context = panel_context(contact, cast("User", request.user), timezone.now())
    return render(request, "scoring/_bant_panel.html", {**context, "contact": contact})


@require_POST
@require("edit_contacts")
def bant_record(request: HttpRequest, pk: int) -> HttpResponse:
    """One fact, by one click or key."""
    contact = get_object_or_404(Contact, pk=pk)
    form = FactForm(request.POST)
    if not form.is_valid():
        first = next(iter(form.errors.values()))[0]
        return _answer(request, contact, str(first))
    data = form.cleaned_data
    fact = NewFact(
        contact.pk,
        data["facet"],
        data["answer"],
        amount=data["amount"],
        due_on=data["due_on"],
        within_months=data["within_months"],
        confidence=int(data["confidence"]),
        note=data["note"],
    )
    try:
        record_bant([fact], source=BantFact.Source.CALL, actor=cast("User", request.user), now=timezone.now())
    except Refused as error:
        return _answer(request, contact, str(error))
    return _answer(request, contact)


@require_POST
@require("answer")
def bant_track(request: HttpRequest, pk: int) -> HttpResponse:
    """What BANT suggests, applied by one click: the contact moves, its open leads are answered."""
    contact = get_object_or_404(Contact, pk=pk)
    try:
        apply_track(contact, key=request.POST.get("track", ""), actor=cast("User", request.user), now=timezone.now())
    except Refused as error:
        return _answer(request, contact, str(error))
    return _answer(request, contact)


@require_POST
@require("edit_rules")
def draft_bant(request: HttpRequest, slug: str) -> HttpResponse:
    """The weights of a draft."""
    model = access.editable_model_or_404(slug)
    draft = access.draft_or_404(model)
    form = WeightsForm(request.POST)
    if not form.is_valid():
        messages.error(request, "; ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("scoring:model-draft", model.slug)
    try:
        actions.change_bant(
            draft,
            includes=form.cleaned_data["includes_bant"],
            weights=form.weights,
            line=form.cleaned_data["bant_line"],
            edit_number=form.cleaned_data["edit_number"],
            actor=cast("User", request.user),
            now=timezone.now(),
        )
        messages.success(request, _("BANT is saved in the draft. Nobody's score changes until you publish."))
    except Refused as error:
        messages.error(request, str(error))
    return redirect("scoring:model-draft", model.slug)
