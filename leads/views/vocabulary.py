"""Settings for admins: the company's own words (custom fields, tags), who uses them, and what changing them does to stored values."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from leads import actions, queries_vocabulary, vocabulary
from leads.access import require
from leads.figures import at_hand, forget
from leads.forms.facts import submit
from leads.forms.settings import FieldForm, NewFieldForm
from leads.models import Company, Contact, CustomField, Deal
from leads.text import clean, fold
from leads.usage import key_of_field, key_of_tag, uses
from leads.views import posted

MOST_TAGS_SHOWN = 500
TAGS = "tags"  # the name of the kept figures
# The product's own fields, as rules name them; the rule language has a few more that are no columns (persona, last activity).
STANDARD: dict[str, tuple[type[Model], tuple[str, ...]]] = {
    CustomField.Of.CONTACT: (
        Contact,
        (
            "email", "first_name", "last_name", "title", "department", "seniority", "phone", "country", "region", "city",
            "postal_code", "timezone", "language", "source", "owner", "stage", "tags", "external_id", "created_at", "updated_at",
        ),
    ),
    CustomField.Of.COMPANY: (
        Company,
        (
            "name", "domain", "industry", "employees", "revenue", "founded", "country", "region", "city", "tags", "external_id",
        ),
    ),
    CustomField.Of.DEAL: (
        Deal, ("status", "amount", "margin", "product", "opened_on", "closed_on", "loss_reason"),
    ),
}  # fmt: skip


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


# --- Custom fields ---------------------------------------------------------------------------------------------------------


@require("configure")
@never_cache
@require_safe
def field_list(request: HttpRequest) -> HttpResponse:
    """Every field with who uses it: the company's own, then the product's."""
    users = uses()
    custom = list(CustomField.objects.all())
    groups = []
    for of, (model, names) in STANDARD.items():
        own = [(field, users.get(key_of_field(field), [])) for field in custom if field.of == of]
        fixed = []
        for name in names:
            label = capfirst(str(getattr(model._meta.get_field(name), "verbose_name", name)))
            fixed.append((label, f"{of}.{name}", users.get(f"{of}.{name}", [])))
        groups.append((CustomField.Of(of).label, of, own, fixed))
    return render(request, "leads/field_list.html", {"groups": groups, "tab": "fields"})


@require("configure")
@require_http_methods(["GET", "HEAD", "POST"])
def field_new(request: HttpRequest) -> HttpResponse:
    form = NewFieldForm(posted(request), initial={"of": request.GET.get("of", "contact")})
    if request.method == "POST":

        def make() -> None:
            data = form.cleaned_data
            actions.make_custom_field(
                data["of"],
                key=data["key"],
                type=data["type"],
                label=data["label"],
                choices=form.options(),
                help=data["help"],
                actor=_user(request),
                now=timezone.now(),
            )

        if submit(form, make):
            messages.success(
                request, _("The field “%(label)s” can be used now.") % {"label": form.cleaned_data["label"]}
            )
            return redirect("leads:field-list")
    return render(request, "leads/field_form.html", {"form": form, "tab": "fields"}, status=422 if form.errors else 200)


@require("configure")
@require_http_methods(["GET", "HEAD", "POST"])
def field_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Words and choices at once; another type after it was said what becomes of the stored values."""
    field = get_object_or_404(CustomField, pk=pk)
    form = FieldForm(posted(request), instance=CustomField(**_columns(field)))
    context: dict[str, Any] = {"form": form, "field": field, "tab": "fields", "conversion": None}
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            vocabulary.change_custom_field(
                field,
                label=data["label"],
                type=data["type"],
                choices=data["choices"],
                help=data["help"],
                actor=_user(request),
                now=timezone.now(),
                lose=_number(request.POST.get("lose", "")),
            )
        except vocabulary.Lossy as lossy:
            context |= {"conversion": lossy.conversion, "to_type": CustomField.Type(data["type"]).label}
        except vocabulary.InUse as used:
            form.add_error("type", str(used))
        except actions.Refused as refused:
            form.add_error("choices", str(refused))
        else:
            messages.success(request, _("Saved."))
            return redirect("leads:field-list")
    context |= {
        "users": uses().get(key_of_field(field), []),
        "stored": queries_vocabulary.count_values(field.of, field.key),
    }
    is_refused = bool(form.errors) or context["conversion"] is not None
    return render(request, "leads/field_form.html", context, status=422 if is_refused else 200)


def _number(text: str) -> int:
    """How many values the person agreed to lose; none without a plain number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _columns(field: CustomField) -> dict[str, Any]:
    """A copy for the form to write on; the action changes the row."""
    return {column.attname: getattr(field, column.attname) for column in CustomField._meta.concrete_fields}


@require("configure")
@require_http_methods(["GET", "HEAD", "POST"])
def field_delete(request: HttpRequest, pk: int) -> HttpResponse:
    """The field and its values, after its key was typed; refused while something uses it."""
    field = get_object_or_404(CustomField, pk=pk)
    problem = ""
    if request.method == "POST":
        if clean(request.POST.get("key", "")) != field.key:
            problem = _("Type the key “%(key)s” to delete the field.") % {"key": field.key}
        else:
            try:
                lost = vocabulary.delete_custom_field(field, actor=_user(request), now=timezone.now())
            except actions.Refused as refused:
                problem = str(refused)
            else:
                messages.success(
                    request,
                    _("“%(label)s” is deleted; %(lost)s values went with it.") % {"label": field.label, "lost": lost},
                )
                return redirect("leads:field-list")
    context = {
        "field": field,
        "tab": "fields",
        "problem": problem,
        "users": uses().get(key_of_field(field), []),
        "stored": queries_vocabulary.count_values(field.of, field.key),
    }
    return render(request, "leads/field_delete.html", context, status=422 if problem else 200)


# --- Tags ------------------------------------------------------------------------------------------------------------------


@require("configure")
@never_cache
@require_safe
def tag_list(request: HttpRequest) -> HttpResponse:
    """Every tag with how many have it and who uses it. One statement over people and companies, one per kind of definition."""
    text = clean(request.GET.get("q", ""))[:100]
    read = partial(queries_vocabulary.tags_in_use, fold(text), limit=MOST_TAGS_SHOWN + 1)
    known = None if text else at_hand(TAGS, read, now=timezone.now())
    found = known.value if known else read()
    users = uses()
    held = {fold(tag) for tag, _contacts, _companies in found}
    rows = [
        (tag, contacts, companies, users.get(key_of_tag(tag), []))
        for tag, contacts, companies in found[:MOST_TAGS_SHOWN]
    ]
    unheld = sorted(
        key.removeprefix("tag:")
        for key in users
        if key.startswith("tag:") and fold(text) in key and key.removeprefix("tag:") not in held
    )
    if len(found) <= MOST_TAGS_SHOWN:  # else a tag that nobody seems to have may merely stand beyond the end
        rows += [(tag, 0, 0, users[f"tag:{tag}"]) for tag in unheld]
    context = {
        "rows": rows,
        "text": text,
        "tab": "tags",
        "has_more": len(found) > MOST_TAGS_SHOWN,
        "as_of": known.at if known and known.is_kept else None,
        "most": MOST_TAGS_SHOWN,
    }
    return render(request, "leads/tag_list.html", context)


@require("configure")
@require_http_methods(["GET", "HEAD", "POST"])
def tag_edit(request: HttpRequest) -> HttpResponse:
    """Rename a tag, merge it into another one, or take it off everybody; refused while something names it."""
    tag = clean(request.GET.get("tag", ""))
    if not tag:  # an address without its end
        return redirect("leads:tag-list")
    problem = ""
    to = clean(request.POST.get("to", ""))
    if request.method == "POST":
        try:
            return _change_tag(request, tag, to)
        except actions.Refused as refused:
            problem = str(refused)
    contacts, companies = queries_vocabulary.count_tag(fold(tag))
    context = {
        "tag": tag,
        "to": to or tag,
        "contacts": contacts,
        "companies": companies,
        "users": uses().get(key_of_tag(tag), []),
        "problem": problem,
        "tab": "tags",
    }
    return render(request, "leads/tag_form.html", context, status=422 if problem else 200)


def _change_tag(request: HttpRequest, tag: str, to: str) -> HttpResponse:
    now = timezone.now()
    if request.POST.get("verb") == "delete":
        if fold(clean(request.POST.get("name", ""))) != fold(tag):
            raise actions.Refused(_("Type “%(tag)s” to take it off everybody.") % {"tag": tag})
        contacts, companies = vocabulary.delete_tag(tag, actor=_user(request), now=now)
        words = _("“%(tag)s” is gone from %(contacts)s people and %(companies)s companies.")
    else:
        if (
            fold(to) != fold(tag)
            and request.POST.get("is_merge") != "yes"
            and any(queries_vocabulary.count_tag(fold(to)))
        ):
            raise actions.Refused(
                _("There is a tag “%(to)s” already. Tick the box to merge the two; that cannot be undone.") % {"to": to}
            )
        contacts, companies = vocabulary.rename_tag(tag, to=to, actor=_user(request), now=now)
        words = _("“%(tag)s” is called “%(to)s” now, with %(contacts)s people and %(companies)s companies.")
    forget(TAGS)
    messages.success(request, words % {"tag": tag, "to": to, "contacts": contacts, "companies": companies})
    return redirect("leads:tag-list")
