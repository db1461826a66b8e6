"""Pages of a template's history: its versions, what differs, back to one of them."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from nurture import access, actions
from nurture.models import Template, TemplateVersion
from nurture.templating import history, writing
from nurture.views.programs import actor, version_of

PAGE = 50


@require("see")
@require_GET
def template_history(request: HttpRequest, slug: str) -> HttpResponse:
    """The newest first, what each changed; three statements whatever the rows."""
    template = access.template_or_404(slug)
    said = request.GET.get("before", "")
    found = template.versions.select_related("saved_by").order_by("-number")
    if said.isdecimal() and len(said) < 10:
        found = found.filter(number__lt=int(said))
    versions = list(found[: PAGE + 1])
    rows = []
    for place, version in enumerate(versions[:PAGE]):
        before = versions[place + 1] if place + 1 < len(versions) else None
        rows.append((version, history.changes(before.words, version.words) if before else None))
    context = {
        "template": template,
        "rows": rows,
        "before": versions[PAGE - 1].number if len(versions) > PAGE else None,
    }
    return render(request, "nurture/template_history.html", context)


@require("see")
@require_GET
def template_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """What a version changed; with ?against=now, what differs from it today."""
    template = access.template_or_404(slug)
    version = _version_or_404(template, number)
    is_now = request.GET.get("against") == "now"
    before = template.versions.filter(number__lt=number).order_by("-number").first()
    earlier = before.words if before else {}
    pair = (version.words, history.words_of(template)) if is_now else (earlier, version.words)
    context = {
        "template": template,
        "version": version,
        "changes": history.changes(*pair),
        "is_now": is_now,
        "is_first": before is None,
    }
    return render(request, "nurture/template_version.html", context)


def _version_or_404(template: Template, number: int) -> TemplateVersion:
    found = template.versions.select_related("saved_by").filter(number=number).first() if number < 2**31 else None
    if found is None:
        raise Http404
    return found


@require("edit_rules")
@require_POST
def template_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    template = access.template_or_404(slug)
    version = _version_or_404(template, number)
    try:
        writing.restore(template, version=version, opened=version_of(request), actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:template-version", template.slug, number)
    messages.success(request, _("It reads again as in version %(n)d.") % {"n": number})
    return redirect("nurture:template-edit", template.slug)
