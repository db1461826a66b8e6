"""Pages of a template's translations: one editor for each language, beside the template's own."""

from __future__ import annotations

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import demand, require
from nurture import access, actions
from nurture.forms.templates import TranslationForm
from nurture.models import Template
from nurture.templating import history, languages, translations, writing
from nurture.templating.queries_writing import languages_in_use
from nurture.views.previews import example, examples, preview_of
from nurture.views.programs import actor, version_of


@require("edit_rules")
@require_GET
def language_new(request: HttpRequest, slug: str) -> HttpResponse:
    """To the editor of the language that was chosen from the list."""
    template = access.template_or_404(slug)
    return redirect("nurture:language-edit", template.slug, _known(template, request.GET.get("language", "")))


@require("see")
@require_http_methods(["GET", "POST"])
def language_edit(request: HttpRequest, slug: str, language: str) -> HttpResponse:
    """A translation; one that is not there yet begins with the template's own words."""
    template = access.template_or_404(slug)
    _known(template, language)
    form = TranslationForm(request.POST or None, template=template, language=language)
    if request.method == "POST":
        demand(request.user, "edit_rules")
        if form.is_valid() and _is_saved(request, template, form):
            messages.success(request, _("Saved. Mails that were not prepared yet go out like this."))
            return redirect("nurture:language-edit", template.slug, language)
    context: dict[str, object] = {"template": template, "form": form, "translation": language, "examples": examples()}
    context |= {"is_new": translations.of(template, language) is None}
    context |= tabs(template, language)
    if translations.is_older(template, language):
        row = translations.of(template, language)
        context |= {"is_older": True, "since": history.own_words_since(template, row["of"]) if row else []}
    if not form.is_bound:
        context |= preview_of(translations.in_language(template, language), example())
    return render(request, "nurture/template_edit.html", context, status=422 if form.errors else 200)


def _known(template: Template, language: str) -> str:
    if language not in dict(languages.choices()) or language == template.language:
        raise Http404
    return language


def _is_saved(request: HttpRequest, template: Template, form: TranslationForm) -> bool:
    try:
        writing.set_translation(
            template,
            language=form.language,
            **form.words(),
            version=version_of(request),
            actor=actor(request),
            now=timezone.now(),
        )
    except actions.NurtureRefused as error:
        form.add_error(None, str(error))
        return False
    return True


@require("edit_rules")
@require_POST
def language_delete(request: HttpRequest, slug: str, language: str) -> HttpResponse:
    template = access.template_or_404(slug)
    try:
        writing.remove_translation(
            template, language=language, version=version_of(request), actor=actor(request), now=timezone.now()
        )
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:language-edit", template.slug, language)
    messages.success(request, _("Removed. Its readers get the template's own language, or the next of kin."))
    return redirect("nurture:template-edit", template.slug)


def tabs(template: Template, language: str = "") -> dict[str, object]:
    """What _template_languages.html shows: the languages that are there, those that other templates have, and all others. One statement."""
    there = [row["language"] for row in template.translations]
    shown = [*there, language] if language and language not in there else there
    taken, older = {template.language, *shown}, translations.older(template)
    return {
        "own_language": languages.name_of(template.language),
        "tabs": [(tag, languages.name_of(tag), tag == language, tag in older) for tag in sorted(shown)],
        "missing": [(tag, languages.name_of(tag)) for tag in languages_in_use() if tag not in taken],
        "more_languages": [(tag, words) for tag, words in languages.choices() if tag not in taken],
    }
