"""What stands around the steps: the side panel of a draft, what a hold-out shows, and the budget over all programs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from leads.access import can, require
from nurture import access, actions, around, lift, queries_around, tree
from nurture.forms.around import AroundForm, BudgetForm
from nurture.kinds import Names
from nurture.models import MailBudget, Program, ProgramVersion
from nurture.views.programs import actor, program_page
from nurture.views.steps import answer, edit_number, own_draft

PANEL = "nurture/_around_edit.html"


@require("see")
@require_http_methods(["GET", "POST"])
def around_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Goal, exits, re-entry and the rest: read back, in a draft as a form."""
    if request.method == "POST":
        return _save(request, slug)
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    may_edit = version.state == ProgramVersion.State.DRAFT and can(request.user, "edit_rules")
    return program_page(request, program, version, PANEL, _context(version, may_edit=may_edit))


def _context(version: ProgramVersion, *, may_edit: bool) -> dict[str, Any]:
    names, steps = Names(), tree.check(version.tree)
    form = AroundForm(initial=AroundForm.initial_of(version.around), steps=steps, names=names) if may_edit else None
    return {"step_id": "around", "form": form, "facts": around.in_words(version.around, steps, names)}


def _save(request: HttpRequest, slug: str) -> HttpResponse:
    program, draft = own_draft(request, slug)
    form = AroundForm(request.POST, steps=tree.check(draft.tree), names=Names())
    if not form.is_valid():
        context = {**_context(draft, may_edit=True), "form": form}
        return program_page(request, program, draft, PANEL, context, status=422)
    try:
        draft = actions.set_around(
            draft, edit_number=edit_number(request), document=form.document(), now=timezone.now()
        )
    except actions.NurtureRefused as error:
        draft = access.draft_or_404(program)
        context = {**_context(draft, may_edit=True), "form": form, "refusal": str(error)}  # what was typed stays
        return answer(request, program, draft, PANEL, context)
    return answer(request, program, draft, PANEL, {**_context(draft, may_edit=True), "saved": True})


@require("see")
@require_GET
def program_result(request: HttpRequest, slug: str) -> HttpResponse:
    """How many reached the goal, and what the program is worth beside those who were held out. Three statements."""
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    return render(request, "nurture/program_result.html", {"program": program, "version": version, **result(program)})


def result(program: Program) -> dict[str, Any]:
    treated, held_out = queries_around.arms(program.pk, goal_days=around.GOAL_DAYS)
    found = lift.compare(treated, held_out)
    return {
        "treated": treated,
        "held_out": held_out,
        "lift": found,
        "percent": found.in_percent() if found else {},
        "goals": queries_around.goal_count(program.pk),
    }


@require("publish")
@require_http_methods(["GET", "POST"])
def budget_edit(request: HttpRequest) -> HttpResponse:
    """One budget of mails, and the programs in the order in which they may use it."""
    budget = MailBudget.objects.filter(pk=1).first()
    initial = {"mails": budget.mails, "days": budget.days} if budget else {}
    form = BudgetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        actions.set_budget(**form.cleaned_data, actor=actor(request), now=timezone.now())
        messages.success(request, _("The budget holds from now on."))
        return redirect("nurture:budget-edit")
    programs = (
        Program.objects.filter(archived_at=None).exclude(state=Program.State.STOPPED).order_by("priority", "name")
    )
    context = {"form": form, "programs": list(programs)}
    return render(request, "nurture/budget_edit.html", context, status=422 if form.errors else 200)
