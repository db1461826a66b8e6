"""Pages of the history of templates, snippets and layouts: the versions, what differs, back to one of them."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from nurture import access, actions
from nurture.models import Stationery, StationeryVersion, Template, TemplateVersion
from nurture.templating import history, stationery_edits, writing
from nurture.views.programs import actor, version_of

PAGE = 50
Version = TemplateVersion | StationeryVersion


@require("see")
@require_GET
def template_history(request: HttpRequest, slug: str) -> HttpResponse:
    return _listed(request, access.template_or_404(slug))


@require("see")
@require_GET
def template_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    return _shown(request, access.template_or_404(slug), number)


@require("edit_rules")
@require_POST
def template_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    template = access.template_or_404(slug)
    version = get_object_or_404(template.versions, number=number)
    return _restored(
        request,
        template,
        number,
        lambda: writing.restore(
            template, version=version, opened=version_of(request), actor=actor(request), now=timezone.now()
        ),
    )


@require("see")
@require_GET
def stationery_history(request: HttpRequest, slug: str) -> HttpResponse:
    return _listed(request, access.stationery_or_404(slug))


@require("see")
@require_GET
def stationery_version(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    return _shown(request, access.stationery_or_404(slug), number)


@require("edit_rules")
@require_POST
def stationery_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    row = access.stationery_or_404(slug)
    version = get_object_or_404(row.versions, number=number)
    return _restored(
        request,
        row,
        number,
        lambda: stationery_edits.restore(
            row, version=version, opened=version_of(request), actor=actor(request), now=timezone.now()
        ),
    )


# --- For both -------------------------------------------------------------------------------------------------------------------


def _address(row: history.Written, page: str, *numbers: int) -> str:
    kind = "stationery" if isinstance(row, Stationery) else "template"
    return reverse(f"nurture:{kind}-{page}", args=[row.slug, *numbers])


def _around(row: history.Written) -> dict[str, object]:
    """What both pages say of the thing itself."""
    is_template = isinstance(row, Template)
    above = "nurture:template-list" if is_template else "nurture:stationery-list"
    return {
        "owner": row,
        "above_url": reverse(above),
        "above": _("Templates") if is_template else _("Snippets and layouts"),
        "edit_url": _address(row, "edit"),
        "history_url": _address(row, "history"),
    }


def _listed(request: HttpRequest, row: history.Written) -> HttpResponse:
    """The newest first, what each changed; three statements whatever the rows."""
    said = request.GET.get("before", "")
    found = row.versions.select_related("saved_by").order_by("-number")
    if said.isdecimal() and len(said) < 10:
        found = found.filter(number__lt=int(said))
    versions: list[Version] = list(found[: PAGE + 1])
    rows = []
    for place, version in enumerate(versions[:PAGE]):
        before = versions[place + 1] if place + 1 < len(versions) else None
        changes = history.changes(before.words, version.words) if before else None
        rows.append((version, changes, _address(row, "version", version.number)))
    context = _around(row) | {"rows": rows, "before": versions[PAGE - 1].number if len(versions) > PAGE else None}
    return render(request, "nurture/history.html", context)


def _shown(request: HttpRequest, row: history.Written, number: int) -> HttpResponse:
    """What a version changed; with ?against=now, what differs from it today."""
    version = row.versions.select_related("saved_by").filter(number=number).first()
    if version is None:
        raise Http404
    is_now = request.GET.get("against") == "now"
    before: Version | None = row.versions.filter(number__lt=number).order_by("-number").first()
    earlier = before.words if before else {}
    pair = (version.words, history.words_of(row)) if is_now else (earlier, version.words)
    context = _around(row) | {
        "version": version,
        "changes": history.changes(*pair),
        "is_now": is_now,
        "is_first": before is None,
        "restore_url": _address(row, "restore", number),
    }
    return render(request, "nurture/history_version.html", context)


def _restored(
    request: HttpRequest, row: history.Written, number: int, restore: Callable[[], history.Written]
) -> HttpResponse:
    try:
        restore()
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect(_address(row, "version", number))
    messages.success(request, _("It reads again as in version %(n)d.") % {"n": number})
    return redirect(_address(row, "edit"))
