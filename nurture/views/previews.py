"""A template looked at before it is used: as any contact, in four ways; what is wrong with it and for how many people; a test to oneself."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.figures import at_hand
from leads.models import Contact
from leads.workspace import workspace
from nurture import access, actions
from nurture.mailing.sending import answers_to
from nurture.models import Sending, Stationery, Template
from nurture.templating import darkened, languages, proofreading, translations, unresolved
from nurture.templating.placeholders import context_for
from nurture.templating.readers import Readers
from nurture.templating.readership import Readership, readership
from nurture.templating.rendering import BadTemplate, compiled
from nurture.templating.stationery import Cupboard
from nurture.views.mails import mail_response
from nurture.views.programs import actor

PREVIEW_SECONDS = 3600
TESTS_A_MINUTE = 10  # that one person may have sent to themselves


@require("see")
@require_POST
def template_preview(request: HttpRequest) -> HttpResponse:
    """The mail as the editor's fields stand, filled for a contact; kept in the cache for the iframe that shows it."""
    wish = request.POST.get("contact", "").strip()
    contact = access.contact_named(wish)
    context = preview_of(_as_written(request), contact or example())
    context["unknown_contact"] = wish if wish and contact is None else ""
    return render(request, "nurture/_template_preview.html", context)


def _as_written(request: HttpRequest) -> Template:
    """A template of the editor's fields, saved or not."""
    stored = Template.objects.filter(slug=request.POST.get("template", "")).first()
    mine = stored or Template()
    return Template(
        format=request.POST.get("format", mine.format),
        subject=request.POST.get("subject", "")[:500],
        preheader=request.POST.get("preheader", "")[:300],
        body=request.POST.get("body", ""),
        has_own_text="has_own_text" in request.POST,
        text=request.POST.get("text", ""),
        sender_name=request.POST.get("sender_name", mine.sender_name)[:200],
        reply_to=request.POST.get("reply_to", mine.reply_to)[:320],
        language=request.POST.get("language", "")[:10],
        translations=mine.translations,
        layout=_layout(request.POST.get("layout"), mine),
        blocks=mine.blocks,
    )


def _layout(wish: str | None, mine: Template) -> Stationery | None:
    """That of the field, or the stored one where the page has none."""
    if wish is None:
        return mine.layout
    return Stationery.objects.filter(kind=Stationery.Kind.LAYOUT, pk=int(wish)).first() if wish.isdecimal() else None


def examples() -> list[Contact]:
    """Whom the preview offers. One statement."""
    return list(Contact.objects.exclude(email=None).order_by("-created_at", "-id")[:20])


def example() -> Contact | None:
    found = Contact.objects.select_related("company", "owner").exclude(email=None)
    return found.order_by("-created_at", "-id").first()


def preview_of(template: Template, contact: Contact | None, cupboard: Cupboard | None = None) -> dict[str, object]:
    """What _template_preview.html shows."""
    cupboard = cupboard or Cupboard()
    home, now = workspace(), timezone.now()
    link = "https://example.com/programs/u/00000000-0000-0000-0000-000000000000/"
    values = context_for(contact, workspace=home, unsubscribe_url=link, preferences_url=f"{link}preferences/")
    values |= {"confirm_url": f"{link}confirm/", "purposes": _("Newsletter")}
    try:
        words = cupboard.compiled(template)
        values |= Readers([Sending(contact=contact)], at=now).about(Sending(contact=contact), template, words)
        mail = words.fill(values)
    except BadTemplate as error:
        return {"preview_problem": str(error)}
    key = uuid.uuid4()
    cache.set(f"nurture:preview:{key}", mail.html, PREVIEW_SECONDS)
    warnings = [] if home.postal_address.strip() else [proofreading.no_postal_address()]
    if template.subject.strip() and not mail.subject.strip():
        warnings.append(_("The subject is empty for this contact."))
    return {
        "preview": mail,
        "preview_key": key,
        "preview_contact": contact,
        "preview_weight": len(mail.html.encode()),
        "preview_findings": proofreading.read_alone(template, cupboard),
        "preview_reads_in": languages.name_of(_read_in(template, contact)),
        "preview_warnings": warnings,
        "preview_is_dark_by_itself": darkened.has_own_rules(mail.html),
        "sender": mail.sender_name or home.sender_name or home.name,
        "sender_email": home.sender_email,
        "answers": answers_to(mail, home),
    }


def _read_in(template: Template, contact: Contact | None) -> str:
    """The language that the contact gets where it is not the one that is shown."""
    chosen = translations.chosen(template, contact.language if contact else "")
    return chosen if chosen != template.language else ""


@require("see")
@require_GET
@xframe_options_sameorigin
def template_preview_body(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The mail of a preview, on a dark screen where asked for."""
    html = cache.get(f"nurture:preview:{key}")
    if html is None:
        raise Http404
    return mail_response(darkened.dark(html) if request.GET.get("dark") == "1" else html)


@require("see")
@require_GET
def template_lacking(request: HttpRequest, slug: str) -> HttpResponse:
    """For how many people placeholders without a default stay empty: asked for after the page, one pass over the people."""
    template = access.template_or_404(slug)
    context: dict[str, object] = {"template": template}
    try:
        paths = unresolved.placeholders(compiled(template))
    except BadTemplate:
        paths = []
    tags = translations.tags(template) if template.language else []  # else nobody knows who reads its own words
    if paths or tags:
        readers = readership(template)
        key = f"template:{template.pk}:{template.version}:lacking"
        found = at_hand(key, lambda: _counted(paths, tags, readers), now=timezone.now())
        counts, others = found.value
        context |= {
            "lacking": counts.lacking,
            "others": others,
            "own_language": languages.name_of(template.language),
            "people": counts.people,
            "segments": readers.segments,
            "as_of": found.at if found.is_kept else None,
        }
    return render(request, "nurture/_template_lacking.html", context)


def _counted(paths: list[str], tags: list[str], readers: Readership) -> tuple[unresolved.Counts, list[tuple[str, int]]]:
    """Who lacks what, and how many read languages that it is not written in. Two statements."""
    return unresolved.count(paths, readers.people), unresolved.readers_of_others(tags, readers.people) if tags else []


# --- A test to oneself ------------------------------------------------------------------------------------------------------


@require("edit_rules")
@require_POST
def template_test(request: HttpRequest, slug: str) -> HttpResponse:
    """A mail to the address of whoever is signed in, of the template as it is saved, filled for the contact they chose."""
    template = access.template_or_404(slug)
    sending, problem = _tested(request, template)
    if not request.headers.get("HX-Request"):
        if sending is None:
            messages.error(request, problem)
            return redirect("nurture:template-edit", template.slug)
        messages.success(request, _("On its way to %(address)s.") % {"address": sending.address})
        return redirect("nurture:sending-detail", sending.pk)
    context = {"template": template, "sending": sending, "problem": problem, "is_unsaved": _differs(request, template)}
    return render(request, "nurture/_template_test.html", context, status=422 if problem else 200)


def _tested(request: HttpRequest, template: Template) -> tuple[Sending | None, str]:
    """The sending, or why there is none."""
    user, wish = actor(request), request.POST.get("contact", "").strip()
    if not user.email:
        return None, _("You have no e-mail address; an admin can give you one under Settings.")
    if wish and access.contact_named(wish) is None:
        return None, _("There is no contact “%(name)s”.") % {"name": wish}
    if access.is_over(f"test:{user.pk}", TESTS_A_MINUTE):
        return None, _("That were many tests within a minute: wait a little.")
    contact, language = access.contact_named(wish) or example(), request.POST.get("translation", "")[:10]
    sending = actions.send_test(
        template, to=user.email, contact=contact, language=language, actor=user, now=timezone.now()
    )
    return sending, ""


def _differs(request: HttpRequest, template: Template) -> bool:
    """Whether the editor holds words that are not saved yet."""
    written = {name: request.POST.get(name) for name in ("subject", "preheader", "body")}
    shown = translations.in_language(template, request.POST.get("translation", ""))
    stored = {name: getattr(shown, name) for name in written}
    return any(value is not None and _lines(value) != _lines(stored[name]) for name, value in written.items())


def _lines(text: str) -> list[str]:
    """As browsers send texts with other line ends than they are kept with."""
    return text.strip().splitlines()
