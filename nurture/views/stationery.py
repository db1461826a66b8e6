"""Pages of snippets and layouts: list, editor with a preview, what uses them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import demand, require
from nurture import access, actions
from nurture.forms.templates import StationeryForm
from nurture.models import Stationery, Template
from nurture.patterns.starters import BARE, FOOT, HEAD
from nurture.templating import history, stationery_edits
from nurture.templating.stationery import Cupboard
from nurture.views.previews import example, preview_of
from nurture.views.programs import actor, version_of

LAYOUT = HEAD + "    {% content %}\n" + FOOT
SNIPPET = "<p>{{ owner.name | default: workspace.sender_name }}<br>{{ workspace.name }}</p>\n"


@require("see")
@require_GET
def stationery_list(request: HttpRequest) -> HttpResponse:
    rows = list(Stationery.objects.defer("body"))
    context = {
        "layouts": [row for row in rows if row.kind == Stationery.Kind.LAYOUT],
        "snippets": [row for row in rows if row.kind == Stationery.Kind.SNIPPET],
    }
    return render(request, "nurture/stationery_list.html", context)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def stationery_new(request: HttpRequest, kind: str) -> HttpResponse:
    if kind not in Stationery.Kind.values:
        raise Http404
    return _editor(request, kind, None)


@require("see")
@require_http_methods(["GET", "POST"])
def stationery_edit(request: HttpRequest, slug: str) -> HttpResponse:
    row = access.stationery_or_404(slug)
    return _editor(request, row.kind, row)


def _editor(request: HttpRequest, kind: str, row: Stationery | None) -> HttpResponse:
    begin = {"body": LAYOUT if kind == Stationery.Kind.LAYOUT else SNIPPET}
    form = StationeryForm(request.POST or None, kind=kind, row=row, initial=begin)
    meanwhile: history.Meanwhile | None = None
    if request.method == "POST":
        demand(request.user, "edit_rules")
        try:
            saved = _saved(request, kind, row, form) if form.is_valid() else None
        except actions.EditedMeanwhile as error:
            saved, meanwhile = None, history.since(row, version_of(request)) if row else None
            form.add_error(None, str(error))
        if saved:
            messages.success(request, _("Saved. Mails that were not prepared yet go out like this."))
            return redirect("nurture:stationery-edit", saved.slug)
    context: dict[str, object] = {"row": row, "kind": kind, "form": form, "meanwhile": meanwhile}
    context["users"] = stationery_edits.users(row) if row else None
    if not form.is_bound:
        context |= _preview(row or Stationery(kind=kind, slug="new", format="mjml", **begin))
    return render(request, "nurture/stationery_edit.html", context, status=422 if form.errors else 200)


def _saved(request: HttpRequest, kind: str, row: Stationery | None, form: StationeryForm) -> Stationery | None:
    """Raises EditedMeanwhile."""
    words: dict[str, Any] = {"slug": "", "format": "", "is_default": False} | form.cleaned_data
    try:
        return stationery_edits.save(
            row,
            kind=kind,
            **words,
            version=version_of(request) if row else None,
            reason=request.POST.get("reason", ""),
            actor=actor(request),
            now=timezone.now(),
        )
    except actions.EditedMeanwhile:
        raise
    except actions.NurtureRefused as error:
        form.add_error(None, str(error))
        return None


@require("see")
@require_POST
def stationery_preview(request: HttpRequest) -> HttpResponse:
    """As the fields stand, in a mail of our own."""
    stored = Stationery.objects.filter(slug=request.POST.get("row", "")).first()
    kind = request.POST.get("kind", Stationery.Kind.SNIPPET)
    shown = stored or Stationery(kind=kind, slug="new", format=request.POST.get("format", "mjml"))
    shown.body = request.POST.get("body", "")
    return render(request, "nurture/_template_preview.html", _preview(shown))


def _preview(row: Stationery) -> dict[str, object]:
    """A layout around a letter, a snippet by itself."""
    if row.kind == Stationery.Kind.LAYOUT:
        body = (
            BARE
            if row.format == Template.Format.MJML
            else "<p>Hello,</p><p>this is where the words of a mail stand.</p>"
        )
        template = Template(subject=_("A mail in this layout"), format=row.format, body=body, layout=row)
        template.layout_id = row.pk
        return preview_of(template, example(), Cupboard([row]))
    body, format = f"{{% render '{row.slug}' %}}", Template.Format.HTML
    if "<mj-" in row.body:
        format = Template.Format.MJML
        inside = body if "<mj-section" in row.body else f"<mj-section><mj-column>{body}</mj-column></mj-section>"
        body = f"<mjml><mj-body>{inside}</mj-body></mjml>"
    return preview_of(Template(subject=row.name or "…", format=format, body=body), example(), Cupboard([row]))


@require("edit_rules")
@require_POST
def stationery_delete(request: HttpRequest, slug: str) -> HttpResponse:
    row = access.stationery_or_404(slug)
    try:
        stationery_edits.delete(row, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:stationery-edit", row.slug)
    return redirect("nurture:stationery-list")
