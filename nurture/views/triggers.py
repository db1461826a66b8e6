"""The side panel of the entry: what lets people in, edits of it in a draft, and how many came by which."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import can, require
from nurture import access, actions, numbers
from nurture.kinds import START, Names, StepForm
from nurture.models import Program, ProgramVersion
from nurture.triggers import TRIGGERS
from nurture.triggers import document as way_in
from nurture.views.programs import program_page
from nurture.views.steps import answer, edit_number, own_draft

LIST = "nurture/_trigger_list.html"
ONE = "nurture/_trigger_edit.html"


@require("see")
@require_GET
def trigger_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Who enters: each trigger in words; of a version that ran with how many came by it."""
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    return program_page(request, program, version, LIST, _list_context(program, version))


def _list_context(program: Program, version: ProgramVersion) -> dict[str, Any]:
    """One statement for a version that ran, besides the names."""
    names = Names()
    lines = []
    for one in version.triggers:
        words = way_in.kind_of(one).words(way_in.values_of(one), names)
        problems = [message for message, _blocks in way_in.kind_of(one).problems(way_in.values_of(one), names)]
        lines.append({"one": one, "kind": way_in.kind_of(one), "words": words, "problems": problems})
    came = {} if version.state == ProgramVersion.State.DRAFT else numbers.of_entries(program.pk, now=timezone.now())
    return {
        "step_id": START,
        "lines": lines,
        "kinds": list(TRIGGERS.values()),
        "came": [
            (way_in.entered_by(why, program.triggers_ever() if came else [], names), why, number)
            for why, number in came.items()
        ],
    }


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def trigger_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The kinds of triggers, and the trigger that comes of one."""
    program, draft = own_draft(request, slug)
    if request.method == "GET":
        context = {**_list_context(program, draft), "is_adding": True}
        return program_page(request, program, draft, LIST, context)
    if request.POST.get("kind", "") not in TRIGGERS:
        raise Http404
    key = way_in.new_id(draft.triggers, _earlier_ids(program))
    fresh = {"id": key, "kind": request.POST["kind"]}
    draft, refusal = _edited(request, program, draft, lambda triggers: [*triggers, fresh])
    if refusal:
        return answer(request, program, draft, LIST, {**_list_context(program, draft), "refusal": refusal})
    return answer(request, program, draft, ONE, _context(draft, key, may_edit=True))


def _earlier_ids(program: Program) -> list[str]:
    """Ids that triggers of any version have: the enrolments name them."""
    return [one["id"] for triggers in program.versions.values_list("triggers", flat=True) for one in triggers]


@require("see")
@require_http_methods(["GET", "POST"])
def trigger_edit(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    """One trigger; in a draft its form."""
    if request.method == "POST":
        return _save(request, slug, key)
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    may_edit = version.state == ProgramVersion.State.DRAFT and can(request.user, "edit_rules")
    return program_page(request, program, version, ONE, _context(version, key, may_edit=may_edit))


def _context(version: ProgramVersion, key: str, *, may_edit: bool) -> dict[str, Any]:
    """Raises Http404 when the trigger is gone."""
    one, names = _named(version, key), Names()
    kind, values = way_in.kind_of(one), way_in.values_of(one)
    form = kind.form(initial=kind.form.initial_of(values), names=names) if may_edit else None
    return {
        "step_id": START,
        "key": key,
        "kind": kind,
        "form": form,
        "words": kind.words(values, names),
        "values": values,
        "problems": list(kind.problems(values, names)) if may_edit else [],
    }


def _named(version: ProgramVersion, key: str) -> dict[str, Any]:
    for one in version.triggers:
        if one["id"] == key:
            return dict(one)
    raise Http404


def _save(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    program, draft = own_draft(request, slug)
    kind = way_in.kind_of(_named(draft, key))
    form: StepForm = kind.form(request.POST, names=Names())
    if not form.is_valid():
        context = {**_context(draft, key, may_edit=True), "form": form}
        return program_page(request, program, draft, ONE, context, status=422)
    fresh = {"id": key, "kind": kind.key, **form.values()}
    draft, refusal = _edited(
        request, program, draft, lambda triggers: [fresh if one["id"] == key else one for one in triggers]
    )
    if refusal and key not in {one["id"] for one in draft.triggers}:
        return answer(request, program, draft, LIST, {**_list_context(program, draft), "refusal": refusal})
    context = _context(draft, key, may_edit=True)
    if refusal:
        context["form"] = form  # what was typed stays
    return answer(request, program, draft, ONE, {**context, "refusal": refusal, "saved": not refusal})


@require("edit_rules")
@require_POST
def trigger_delete(request: HttpRequest, slug: str, key: str) -> HttpResponse:
    program, draft = own_draft(request, slug)
    draft, refusal = _edited(request, program, draft, lambda triggers: [one for one in triggers if one["id"] != key])
    return answer(request, program, draft, LIST, {**_list_context(program, draft), "refusal": refusal})


def _edited(
    request: HttpRequest,
    program: Program,
    draft: ProgramVersion,
    change: Callable[[way_in.Document], way_in.Document],
) -> tuple[ProgramVersion, str]:
    """The draft after the edit, or as it stands with the reason why it was not made."""
    try:
        triggers = change(draft.triggers)
        edited = actions.set_triggers(draft, edit_number=edit_number(request), triggers=triggers, now=timezone.now())
    except actions.NurtureRefused as error:
        return access.draft_or_404(program), str(error)
    except way_in.BadTriggers as error:
        return access.draft_or_404(program), " ".join(problem.message for problem in error.problems)
    return edited, ""
