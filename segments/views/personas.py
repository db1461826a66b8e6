"""Pages of the personas: list, portrait, edit, order, review."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.workspace import zone
from segments import graph, personas
from segments.builder import sentence_of
from segments.forms.personas import PersonaForm
from segments.models import Persona

STATUS_COLOUR = {
    Persona.Status.DRAFT: "secondary",
    Persona.Status.ON_TEST: "yellow",
    Persona.Status.AGREED: "green",
    Persona.Status.RETIRED: "dark",
}
ROLE_ICON = {
    Persona.Role.DECIDES: "gavel",
    Persona.Role.INFLUENCES: "message-2-share",
    Persona.Role.USES: "hand-click",
    Persona.Role.PAYS: "wallet",
}


@require_GET
@require("see")
def persona_list(request: HttpRequest) -> HttpResponse:
    today = _today()
    rows = [_shown(persona, today) for persona in Persona.objects.all()]
    return render(
        request,
        "segments/persona_list.html",
        {
            "personas": [row for row in rows if row["persona"].status != Persona.Status.RETIRED],
            "retired": [row for row in rows if row["persona"].status == Persona.Status.RETIRED],
            "overdue_count": sum(row["is_overdue"] for row in rows),
        },
    )


@require_GET
@require("see")
def persona_detail(request: HttpRequest, slug: str) -> HttpResponse:
    persona = get_object_or_404(Persona, slug=slug)
    return render(
        request,
        "segments/persona_detail.html",
        {
            **_shown(persona, _today()),
            "motivations": personas.motivations_of(persona),
            "objections": [
                line.strip(" –-") for line in persona.objections.replace(" – ", "\n").splitlines() if line.strip()
            ],
            "sentence": sentence_of(persona.conditions),
            "users": graph.used_by(persona.key),
        },
    )


@require("edit_rules")
def persona_new(request: HttpRequest) -> HttpResponse:
    form = PersonaForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            persona = personas.create_persona(values=form.cleaned_data, actor=_user(request), now=timezone.now())
        except personas.PersonaRefused as refused:
            form.add_error("conditions", str(refused))
        else:
            messages.success(
                request,
                _("“%(name)s” is saved as %(status)s.")
                % {"name": persona.name, "status": persona.get_status_display()},
            )
            return redirect("segments:persona-detail", slug=persona.slug)
    return render(request, "segments/persona_form.html", {"form": form}, status=422 if form.errors else 200)


@require("edit_rules")
def persona_edit(request: HttpRequest, slug: str) -> HttpResponse:
    persona = get_object_or_404(Persona, slug=slug)
    form = PersonaForm(request.POST or None, instance=persona)
    context: dict[str, Any] = {"form": form, "persona": persona}
    if request.method == "POST" and form.is_valid():
        try:
            personas.save_persona(
                Persona(pk=persona.pk),
                values=form.cleaned_data,
                version=form.cleaned_data["version"] or 0,
                actor=_user(request),
                now=timezone.now(),
            )
        except personas.EditedMeanwhile as meanwhile:
            # What this editor wrote stays in the form; saving once more is a decision made with the other's words in sight.
            form.data = request.POST.dict() | {
                "motivations": request.POST.getlist("motivations"),
                "version": str(meanwhile.theirs.version),
            }
            context |= {
                "theirs": meanwhile.theirs,
                "differences": personas.differences(form.cleaned_data, meanwhile.theirs),
            }
            return render(request, "segments/persona_form.html", context, status=409)
        except personas.PersonaRefused as refused:
            form.add_error("conditions", str(refused))
        else:
            messages.success(request, _("Saved. Contacts are being assigned again."))
            return redirect("segments:persona-detail", slug=slug)
    return render(request, "segments/persona_form.html", context, status=422 if form.errors else 200)


@require_POST
@require("edit_rules")
def persona_review(request: HttpRequest, slug: str) -> HttpResponse:
    persona = get_object_or_404(Persona, slug=slug)
    now = timezone.now()
    personas.review_persona(persona, today=_today(), actor=_user(request), now=now)
    messages.success(request, _("Noted: “%(name)s” was reviewed today.") % {"name": persona.name})
    return redirect("segments:persona-detail", slug=slug)


@require_POST
@require("edit_rules")
def persona_move(request: HttpRequest, slug: str) -> HttpResponse:
    persona = get_object_or_404(Persona, slug=slug)
    personas.move_persona(persona, up=request.POST.get("to") == "up", actor=_user(request), now=timezone.now())
    return redirect(f"{reverse('segments:persona-list')}#persona-{slug}")


@require_POST
@require("edit_rules")
def persona_delete(request: HttpRequest, slug: str) -> HttpResponse:
    persona = get_object_or_404(Persona, slug=slug)
    try:
        personas.delete_persona(persona, actor=_user(request), now=timezone.now())
    except personas.PersonaRefused as refused:
        messages.error(request, str(refused))
        return redirect("segments:persona-detail", slug=slug)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": persona.name})
    return redirect("segments:persona-list")


def _today() -> date:
    return timezone.now().astimezone(zone()).date()


def _shown(persona: Persona, today: date) -> dict[str, Any]:
    """What list and page show of a persona beside its words."""
    return {
        "persona": persona,
        "is_overdue": personas.is_overdue(persona, today=today),
        "review_due_on": personas.review_due_on(persona),
        "status_colour": STATUS_COLOUR[Persona.Status(persona.status)],
        "role_icon": ROLE_ICON[Persona.Role(persona.role)] if persona.role else "",
    }


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
