"""Pages of templates: list, editor, blocks. Previews and test mails stand in previews.py."""

from __future__ import annotations

from django.contrib import messages
from django.db.models import Count, Func, JSONField
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import demand, require
from leads.figures import at_hand
from nurture import access, actions
from nurture.forms.templates import BlockForm, TemplateForm
from nurture.models import Sending, Stationery, Template
from nurture.patterns import STARTERS
from nurture.patterns.starters import FOOT, HEAD
from nurture.templating import blocks, history, writing
from nurture.views.previews import example, examples, preview_of
from nurture.views.programs import actor, version_of
from nurture.views.translations import tabs


@require("see")
@require_GET
def template_list(request: HttpRequest) -> HttpResponse:
    """Two statements whatever the number of templates; how many mails left is a pass over all of them, kept for ten minutes."""
    is_archive = request.GET.get("archived") == "1"
    sent = at_hand("templates:sent", _sent, now=timezone.now())
    templates = Template.objects.filter(archived_at__isnull=not is_archive).defer("body", "text", "translations")
    tags = Func(
        "translations", template="jsonb_path_query_array(%(expressions)s, '$[*].language')", output_field=JSONField()
    )
    templates = templates.annotate(tags=tags)
    context = {
        "rows": [(template, sent.value.get(template.pk, 0), _languages(template)) for template in templates],
        "starters": STARTERS,
        "is_archive": is_archive,
        "as_of": sent.at if sent.is_kept else None,
    }
    return render(request, "nurture/template_list.html", context)


def _languages(template: Template) -> list[tuple[str, bool]]:
    """Its translations, and whether each is older than the text, by its last reading."""
    found = (template.findings or {}).get("found", [])
    older = {language for sort, _about, language in found if sort == "older"}
    return [(tag, tag in older) for tag in template.tags]  # type: ignore[attr-defined]  # annotated


def _sent() -> dict[int, int]:
    """Template -> mails that left, tests aside. One statement over all mails: some 0.6 s for half a million."""
    left = Sending.objects.filter(state=Sending.State.SENT, is_test=False, template__isnull=False)
    return dict(left.order_by().values_list("template").annotate(number=Count("*")))


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def template_new(request: HttpRequest) -> HttpResponse:
    starter = STARTERS.get(request.GET.get("from", ""), STARTERS["letter"])
    initial: dict[str, object] = {
        "subject": starter.subject,
        "preheader": starter.preheader,
        "body": starter.body,
        "format": "mjml",
    }
    if layout := Stationery.objects.filter(is_default=True, format=Template.Format.MJML).first():
        initial |= {"layout": layout, "body": _without_frame(starter.body)}
    form = TemplateForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        template = actions.save_template(None, **form.cleaned_data, actor=actor(request), now=timezone.now())
        messages.success(request, _("Saved."))
        return redirect("nurture:template-edit", template.slug)
    return _editor(request, None, form)


def _without_frame(body: str) -> str:
    """A starter for a layout: its sections alone, as a document that the visual editor shows."""
    return f"<mjml>\n  <mj-body>\n{body.removeprefix(HEAD).removesuffix(FOOT)}  </mj-body>\n</mjml>\n"


@require("see")
@require_http_methods(["GET", "POST"])
def template_edit(request: HttpRequest, slug: str) -> HttpResponse:
    template = access.template_or_404(slug)
    if request.method == "GET":
        return _editor(request, template, TemplateForm(instance=template))
    return _save(request, template)


def _save(request: HttpRequest, template: Template) -> HttpResponse:
    demand(request.user, "edit_rules")
    draft = Template(slug=template.slug, blocks=template.blocks, translations=template.translations)
    form = TemplateForm(request.POST, instance=draft)
    if form.is_valid():
        try:
            actions.save_template(
                template,
                **form.cleaned_data,
                version=version_of(request),
                reason=request.POST.get("reason", ""),
                actor=actor(request),
                now=timezone.now(),
            )
        except actions.EditedMeanwhile as error:
            form.add_error(None, str(error))
            return _editor(request, template, form, meanwhile=history.since(template, version_of(request)))
        else:
            messages.success(request, _("Saved. Mails that were not prepared yet go out like this."))
            return redirect("nurture:template-edit", template.slug)
    return _editor(request, template, form)


def _editor(
    request: HttpRequest, template: Template | None, form: TemplateForm, meanwhile: history.Meanwhile | None = None
) -> HttpResponse:
    """`meanwhile`: what somebody else saved since the page was opened; saving again puts one's own words over it, knowingly."""
    context: dict[str, object] = {
        "template": template,
        "form": form,
        "examples": examples(),
        "meanwhile": meanwhile,
        "users": actions.programs_using_template(template) if template else [],
    }
    context |= tabs(template) if template else {}
    if template is not None and not form.is_bound:
        context |= preview_of(template, example())
        context["blocks"] = [(block["key"], blocks.sentence(block)) for block in template.blocks]
        context["unwritten"] = writing.unwritten(template, now=timezone.now()).count()
    return render(request, "nurture/template_edit.html", context, status=422 if form.errors else 200)


@require("edit_rules")
@require_POST
def template_archive(request: HttpRequest, slug: str) -> HttpResponse:
    template = access.template_or_404(slug)
    try:
        actions.archive_template(template, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:template-edit", template.slug)
    return redirect("nurture:template-list")


@require("edit_rules")
@require_POST
def template_again(request: HttpRequest, slug: str) -> HttpResponse:
    """The mails that the template could not be written for are queued once more."""
    template = access.template_or_404(slug)
    number = writing.write_again(template, actor=actor(request), now=timezone.now())
    messages.success(request, _("%(n)d mails are queued again.") % {"n": number})
    return redirect("nurture:template-edit", template.slug)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def block_edit(request: HttpRequest, slug: str, key: str = "") -> HttpResponse:
    """Who sees a block, in the builder of conditions."""
    template = access.template_or_404(slug)
    block = access.block_or_404(template, key) if key else None
    form = BlockForm(request.POST or None, initial=block)
    if block:
        form.fields["key"].disabled = True
    if request.method == "POST" and form.is_valid():
        try:
            writing.set_block(
                template,
                key=form.cleaned_data["key"],
                conditions=form.cleaned_data["conditions"],
                version=version_of(request),
                actor=actor(request),
                now=timezone.now(),
            )
        except actions.NurtureRefused as error:
            form.add_error(None, str(error))
        else:
            return redirect(f"{reverse('nurture:template-edit', args=[template.slug])}#blocks")
    context = {"template": template, "block": block, "form": form}
    return render(request, "nurture/block_edit.html", context, status=422 if form.errors else 200)


@require("edit_rules")
@require_POST
def block_delete(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    template = access.template_or_404(slug)
    access.block_or_404(template, key)
    try:
        writing.remove_block(
            template,
            key=key,
            version=version_of(request),
            actor=actor(request),
            now=timezone.now(),
        )
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('nurture:template-edit', args=[template.slug])}#blocks")
