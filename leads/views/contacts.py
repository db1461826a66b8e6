"""One contact: facts, stage, timeline and what other rooms tell of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from leads import access, actions, lists, panels
from leads.access import require
from leads.countries import name_of
from leads.forms.facts import ContactForm, StageForm, submit
from leads.models import Contact, ContactMerge, CustomField
from leads.views import is_fragment, posted, stage_labels

TIMELINE_PAGE = 40


def _contact(pk: int) -> Contact:
    return get_object_or_404(Contact.objects.select_related("company", "owner"), pk=pk)


def _merged_into(pk: int) -> int | None:
    """Whom the contact was merged into that had this id."""
    return ContactMerge.objects.filter(gone_id=pk).values_list("kept", flat=True).first()


def _custom_fields() -> list[CustomField]:
    return list(CustomField.objects.filter(of=CustomField.Of.CONTACT))


def _facts(contact: Contact) -> list[tuple[str, Any, str]]:
    """(label, value, kind) of the plain facts, the empty ones too: people see what is unknown."""
    names = ("email", "phone", "title", "department", "seniority")
    found: list[tuple[str, Any, str]] = []
    for name in names:
        label = str(Contact._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        found.append((label, getattr(contact, name), name))
    place = ", ".join(part for part in (contact.postal_code, contact.city, contact.region) if part)
    found += [
        (_("country"), name_of(contact.country), "country"),
        (_("place"), place, "text"),
        (_("time zone"), contact.timezone, "text"),
        (_("language"), contact.language, "text"),
        (_("source"), contact.source, "source"),
        (_("owner"), contact.owner, "text"),
        (_("tags"), contact.tags, "tags"),
        (_("external id"), contact.external_id, "text"),
    ]
    return found


def _custom_facts(contact: Contact, definitions: list[CustomField]) -> list[tuple[str, str]]:
    return [(one.label, lists.plain_text(contact.custom.get(one.key))) for one in definitions]


@require("see")
@never_cache
@require_safe
def contact_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """Everything about one person: facts, deals, what higher rooms registered, and the first page of the timeline.

    At most fifteen statements: the later panels and the timeline are asked for after the page, each in as many at most.
    `?panels=all` draws them at once, for those without JavaScript.
    The page of somebody who was merged leads to the contact that stayed.
    """
    try:
        contact, now = _contact(pk), timezone.now()
    except Http404:
        if (kept := _merged_into(pk)) is None:
            raise
        return redirect("leads:contact-detail", kept)
    definitions = _custom_fields()
    labels = stage_labels()
    headline = [(column, column.value_of(contact)) for column in panels.columns() if column.in_header]
    is_whole = request.GET.get("panels") == "all"
    context = {
        "contact": contact,
        "now": now,
        "stage_label": labels.get(contact.stage, contact.stage),
        "facts": _facts(contact),
        "custom_facts": _custom_facts(contact, definitions),
        "headline": [(column, value, column.text(value)) for column, value in headline if value not in (None, "", [])],
        "stylesheets": panels.stylesheets(),
        "deals": list(contact.deals.select_related("company").order_by("-opened_on", "-pk")[:20]),
        "panels": _drawn_panels(
            request, contact, now, [one for one in panels.panels() if is_whole or not one.is_later]
        ),
        "is_whole": is_whole,
        "stage_labels": labels,
        **(_timeline_context(request, contact) if is_whole else {}),
    }
    return render(request, "leads/contact_detail.html", context)


@require("see")
@never_cache
@require_safe
def contact_panels(request: HttpRequest, pk: int) -> HttpResponse:
    """The later panels, asked for after the page; without HTMX the page with all of them."""
    if not is_fragment(request):
        return redirect(f"{reverse('leads:contact-detail', args=[pk])}?panels=all")
    later = [panel for panel in panels.panels() if panel.is_later]
    context = {"panels": _drawn_panels(request, _contact(pk), timezone.now(), later)}
    return render(request, "leads/_contact_panels.html", context)


def _drawn_panels(
    request: HttpRequest, contact: Contact, now: datetime, chosen: list[panels.Panel]
) -> list[tuple[panels.Panel, str]]:
    user = cast("User", request.user)
    return [
        (
            panel,
            render_to_string(
                panel.template, {**panel.context(contact, user, now), "contact": contact, "now": now}, request
            ),
        )
        for panel in chosen
    ]


def _timeline_context(request: HttpRequest, contact: Contact) -> dict[str, Any]:
    known = panels.categories()
    category = request.GET.get("category", "")
    if category not in dict(known):
        category = ""
    try:
        before = datetime.fromisoformat(request.GET.get("before", ""))
    except ValueError:
        before = None
    if before is not None and before.tzinfo is None:
        before = None
    found = panels.timeline(contact.pk, before=before, limit=TIMELINE_PAGE, category=category)
    address = reverse("leads:contact-timeline", args=[contact.pk])
    return {
        "contact": contact,
        "events": found.events,
        "is_continued": before is not None,
        "category": category,
        "categories": [("", _("Everything"), address)]
        + [(key, label, f"{address}?{urlencode({'category': key})}") for key, label in known],
        "older": f"{address}?{urlencode({'category': category, 'before': found.before.isoformat()})}"
        if found.before
        else "",
    }


@require("see")
@never_cache
@require_safe
def contact_timeline(request: HttpRequest, pk: int) -> HttpResponse:
    """One page of the timeline; a page of its own without HTMX."""
    contact = _contact(pk)
    context = _timeline_context(request, contact)
    if is_fragment(request):
        template = "leads/_timeline_events.html" if context["is_continued"] else "leads/_contact_timeline.html"
        return render(request, template, context)
    return render(request, "leads/contact_timeline.html", context)


@require("see")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_facts(request: HttpRequest, pk: int) -> HttpResponse:
    """The facts: shown, or in a form with `?edit=yes`; saved by POST."""
    contact = _contact(pk)
    definitions = _custom_fields()
    if request.method != "POST" and request.GET.get("edit") != "yes":
        context = {"contact": contact, "facts": _facts(contact), "custom_facts": _custom_facts(contact, definitions)}
        if is_fragment(request):
            return render(request, "leads/_contact_facts.html", context)
        return redirect("leads:contact-detail", contact.pk)
    access.demand(request.user, "edit_contacts")
    form = ContactForm(posted(request), contact=contact, definitions=definitions)
    if request.method == "POST":
        user = cast("User", request.user)

        def change() -> None:
            actions.change_contact(contact, changes=form.changes(), actor=user, now=timezone.now())

        if submit(form, change):
            if is_fragment(request):
                response = HttpResponse(status=204)
                response["HX-Redirect"] = reverse("leads:contact-detail", args=[contact.pk])
                messages.success(request, _("Saved."))
                return response
            messages.success(request, _("Saved."))
            return redirect("leads:contact-detail", contact.pk)
    context = {"contact": contact, "form": form}
    template = "leads/_contact_form.html" if is_fragment(request) else "leads/contact_form.html"
    return render(request, template, context, status=422 if form.errors else 200)


@require("edit_contacts")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_new(request: HttpRequest) -> HttpResponse:
    form = ContactForm(posted(request), definitions=_custom_fields())
    if request.method == "POST":
        made: list[Contact] = []
        user = cast("User", request.user)

        def make() -> None:
            made.append(actions.make_contact(changes=form.changes(), actor=user, now=timezone.now()))

        if submit(form, make):
            messages.success(request, _("Recorded."))
            return redirect("leads:contact-detail", made[0].pk)
    return render(request, "leads/contact_form.html", {"form": form}, status=422 if form.errors else 200)


@require("edit_contacts")
@require_POST
def contact_stage(request: HttpRequest, pk: int) -> HttpResponse:
    """A move by hand, with the reason that the timeline keeps."""
    contact = _contact(pk)
    form = StageForm(request.POST)
    user = cast("User", request.user)

    def move() -> None:
        moved = actions.move_stage(
            contact,
            to=form.cleaned_data["to"],
            actor=user,
            cause="by_hand",
            reason=form.cleaned_data["reason"],
            now=timezone.now(),
            by_hand=True,
        )
        if moved:
            messages.success(
                request, _("Moved to %(stage)s.") % {"stage": stage_labels().get(contact.stage, contact.stage)}
            )
        else:
            messages.info(request, _("The contact is in that stage already."))

    if not submit(form, move):
        messages.error(request, _("Choose a stage and say why."))
    return redirect("leads:contact-detail", contact.pk)


@require("import")
@require_http_methods(["GET", "HEAD", "POST"])
def contact_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first; then the contact goes with everything about them. Marketers and admins, like the import that brings people in."""
    contact = _contact(pk)
    if request.method == "POST":
        name = str(contact)
        try:
            actions.delete_contact(contact, actor=cast("User", request.user), now=timezone.now())
        except actions.Refused as error:
            messages.error(request, str(error))
        else:
            messages.success(request, _("%(name)s was deleted.") % {"name": name})
        return redirect("leads:contact-list")
    return render(request, "leads/contact_delete.html", {"contact": contact})
