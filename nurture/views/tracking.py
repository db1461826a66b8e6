"""Pages on which the workspace, a template or a program says whether opens and clicks are noted, and what is added to links."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from leads.access import require
from leads.views import posted
from nurture import access
from nurture.forms.tracking import TrackingForm, TrackingRuleForm
from nurture.models import Program, Template
from nurture.tracking import actions
from nurture.views.programs import actor


@require("configure")
@require_http_methods(["GET", "POST"])
def tracking_edit(request: HttpRequest) -> HttpResponse:
    form = TrackingForm(posted(request), initial=TrackingForm.initial_of(actions.defaults()))
    if request.method == "POST" and form.is_valid():
        actions.set_defaults(**form.values(), actor=actor(request), now=timezone.now())
        messages.success(request, _("Mails that are written from now on follow."))
        return redirect("nurture:tracking-edit")
    context = {"form": form, "tab": "tracking", "number_of_quiet": len(form["quiet_countries"].value() or [])}
    return render(request, "nurture/tracking_edit.html", context, status=422 if form.errors else 200)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def tracking_of_template(request: HttpRequest, slug: str) -> HttpResponse:
    return _rule(request, access.template_or_404(slug))


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def tracking_of_program(request: HttpRequest, slug: str) -> HttpResponse:
    return _rule(request, access.program_or_404(slug))


def _rule(request: HttpRequest, owner: Template | Program) -> HttpResponse:
    home = actions.defaults()
    initial = TrackingRuleForm.initial_of(actions.rule_of(owner))
    form = TrackingRuleForm(posted(request), initial=initial, inherited=home.utm)
    if request.method == "POST" and form.is_valid():
        actions.set_rule(owner, **form.values(), actor=actor(request), now=timezone.now())
        messages.success(request, _("Mails that are written from now on follow."))
        return redirect(request.path)
    context = {"form": form, "owner": owner, "is_template": isinstance(owner, Template), "home": home}
    return render(request, "nurture/tracking_rule.html", context, status=422 if form.errors else 200)
