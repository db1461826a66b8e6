"""The side panel: what a step says, and edits of a draft. Every edit names the draft's number: two editors never overwrite each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from leads.access import can, demand, require
from nurture import access, actions, clipboard, splits, tree
from nurture.kinds import KINDS, START, Names, StepForm
from nurture.models import Program, ProgramVersion
from nurture.views.programs import actor, program_page

OVERVIEW = "nurture/_program_overview.html"
STEP = "nurture/_step_detail.html"


def edit_number(request: HttpRequest) -> int:
    text = request.POST.get("edit_number", "")
    return int(text) if text.isdigit() else 0


def own_draft(request: HttpRequest, slug: str) -> tuple[Program, ProgramVersion]:
    demand(request.user, "edit_rules")
    program = access.program_or_404(slug)
    return program, access.draft_or_404(program)


def _edited(
    request: HttpRequest, program: Program, draft: ProgramVersion, change: Callable[[tree.Document], tree.Document]
) -> tuple[ProgramVersion, str]:
    """The draft after the edit, or as it stands with the reason why it was not made."""
    try:
        edited = actions.edit_draft(draft, edit_number=edit_number(request), change=change, now=timezone.now())
    except actions.EditedMeanwhile as error:
        return access.draft_or_404(program), str(error)
    except tree.NoSuchStep:
        return access.draft_or_404(program), _("That step is gone; somebody deleted it meanwhile.")
    except tree.BadTree as error:
        return access.draft_or_404(program), " ".join(problem.message for problem in error.problems)
    return edited, ""


def _page_of(program: Program, draft: ProgramVersion, step: str = "") -> str:
    if step:
        return reverse("nurture:step-detail", args=[program.slug, step]) + f"?version={draft.number}"
    return reverse("nurture:program-detail", args=[program.slug]) + f"?version={draft.number}"


def answer(
    request: HttpRequest, program: Program, draft: ProgramVersion, panel: str, context: dict[str, Any]
) -> HttpResponse:
    """After an edit: panel and canvas for HTMX; without JavaScript a redirect, unless there is something to say."""
    if not request.headers.get("HX-Request") and not context.get("refusal"):
        return redirect(_page_of(program, draft, context.get("step_id", "")))
    return program_page(request, program, draft, panel, context, redraw=True)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def step_new(request: HttpRequest, slug: str) -> HttpResponse:
    """The palette behind a +, and the step that comes of it."""
    program, draft = own_draft(request, slug)
    at = request.GET.get("at") or request.POST.get("at") or START
    if request.method == "GET":
        context = {"at": at, "kinds": list(KINDS.values())}
        return program_page(request, program, draft, "nurture/_step_new.html", context)
    if "paste" in request.POST:
        return _paste(request, program, draft, at)
    kind = request.POST.get("kind", "")
    if kind not in KINDS:
        raise Http404
    made: list[str] = []

    def add(document: tree.Document) -> tree.Document:
        changed, step_id = tree.insert(document, tree.Place.read(at), kind, {})
        made.append(step_id)
        return changed

    draft, refusal = _edited(request, program, draft, add)
    if refusal:
        return answer(request, program, draft, OVERVIEW, {"refusal": refusal})
    return answer(request, program, draft, STEP, _step_context(draft, made[-1], may_edit=True))


def _paste(request: HttpRequest, program: Program, draft: ProgramVersion, at: str) -> HttpResponse:
    held = clipboard.held(request)
    if held is None:
        return answer(request, program, draft, OVERVIEW, {"refusal": _("Nothing is cut or copied any more.")})
    put_in: list[str] = []

    def put(document: tree.Document) -> tree.Document:
        changed, step_id = clipboard.put(held, document, program=program.slug, place=tree.Place.read(at))
        put_in.append(step_id)
        return changed

    draft, refusal = _edited(request, program, draft, put)
    if refusal:
        return answer(request, program, draft, OVERVIEW, {"refusal": refusal})
    if held.is_cut:
        clipboard.drop(request)
    return answer(request, program, draft, STEP, _step_context(draft, put_in[-1], may_edit=True))


@require("edit_rules")
@require_POST
def step_take(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    """Cut (in a draft) or copy a step with what lies below it; changes nothing until it is put in."""
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.POST.get("version"))
    is_draft = version.state == ProgramVersion.State.DRAFT
    is_cut = is_draft and request.POST.get("how") == "cut"
    try:
        clipboard.hold(request, program=slug, document=version.tree, step=step, is_cut=is_cut)
        context = _step_context(version, step, may_edit=is_draft)
    except tree.NoSuchStep:
        refusal = _("That step is gone; somebody deleted it meanwhile.")
        return answer(request, program, version, OVERVIEW, {"refusal": refusal})
    return answer(request, program, version, STEP, {**context, "taken": "cut" if is_cut else "copied"})


@require("edit_rules")
@require_POST
def program_undo(request: HttpRequest, slug: str) -> HttpResponse:
    """The draft as it was before the last edit, whoever made it."""
    program, draft = own_draft(request, slug)
    refusal = ""
    try:
        draft = actions.undo_edit(draft, edit_number=edit_number(request), now=timezone.now())
    except actions.NurtureRefused as error:
        refusal = str(error)
        draft = access.draft_or_404(program)
    return answer(request, program, draft, OVERVIEW, {"refusal": refusal, "undone": not refusal})


@require("see")
@require_http_methods(["GET", "POST"])
def step_detail(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    """What a step says; in a draft its form."""
    if request.method == "POST":
        return _save_step(request, slug, step)
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    may_edit = version.state == ProgramVersion.State.DRAFT and can(request.user, "edit_rules")
    try:
        context = _step_context(version, step, may_edit=may_edit)
    except tree.NoSuchStep as error:
        raise Http404 from error
    return program_page(request, program, version, STEP, context)


def _step_context(version: ProgramVersion, step_id: str, *, may_edit: bool) -> dict[str, Any]:
    step, names = tree.check(version.tree).step(step_id), Names()
    kind = KINDS[step.kind]
    ways = kind.ways_for(step.values)
    context: dict[str, Any] = {
        "step_id": step_id,
        "step": step,
        "kind": kind,
        "form": kind.form(initial=kind.form.initial_of(step.values), names=names) if may_edit else None,
        "words": kind.words(step.values, names),
        "ways": ways,
    }
    if step.kind == "split" and version.state != ProgramVersion.State.DRAFT:
        context["split"] = splits.table(version, step, ways, timezone.now())
    return context


def _save_step(request: HttpRequest, slug: str, step_id: str) -> HttpResponse:
    program, draft = own_draft(request, slug)
    try:
        step = tree.check(draft.tree).step(step_id)
    except tree.NoSuchStep:
        refusal = _("That step is gone; somebody deleted it meanwhile.")
        return answer(request, program, draft, OVERVIEW, {"refusal": refusal})
    names = Names()
    form: StepForm = KINDS[step.kind].form(request.POST, names=names)
    if not form.is_valid():
        context = {**_step_context(draft, step_id, may_edit=True), "form": form, "refusal": ""}
        return program_page(request, program, draft, STEP, context, status=422)
    values = form.values()
    is_meanwhile = edit_number(request) != draft.edit_number
    draft, refusal = _edited(request, program, draft, lambda document: tree.replace(document, step_id, values))
    try:
        context = _step_context(draft, step_id, may_edit=True)
    except tree.NoSuchStep:
        return answer(request, program, draft, OVERVIEW, {"refusal": refusal})
    if refusal:
        context["form"] = form  # what was typed stays
    if refusal and is_meanwhile:
        refusal = _(
            "Somebody else changed this program meanwhile. What you wrote stands below, unsaved; saving again puts it in."
            " Stored is now: %(words)s."
        ) % {"words": context["words"]}
    return answer(request, program, draft, STEP, {**context, "refusal": refusal, "saved": not refusal})


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def step_delete(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    """Asked first when steps below go with it."""
    program, draft = own_draft(request, slug)
    if request.method == "GET":
        try:
            context = _step_context(draft, step, may_edit=True)
        except tree.NoSuchStep as error:
            raise Http404 from error
        below = sum(1 for way in context["step"].ways.values() for _child in tree.Tree(way).walk())
        return program_page(request, program, draft, "nurture/_step_delete.html", {**context, "below": below})
    draft, refusal = _edited(request, program, draft, lambda document: tree.remove(document, step))
    return answer(request, program, draft, OVERVIEW, {"refusal": refusal})


@require("publish")
@require_POST
def step_winner(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    """Which way of a split everybody takes from now on; without one it compares again."""
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.POST.get("version"))
    if version.state == ProgramVersion.State.DRAFT:
        raise Http404
    refusal = ""
    try:
        if not splits.choose(version, step, way=request.POST.get("way", ""), actor=actor(request), now=timezone.now()):
            refusal = _("Somebody decided that meanwhile; here is how it stands now.")
        context = _step_context(version, step, may_edit=False)
    except LookupError as error:
        raise Http404 from error
    return answer(request, program, version, STEP, {**context, "refusal": refusal})


@require("edit_rules")
@require_POST
def step_move(request: HttpRequest, slug: str, step: str) -> HttpResponse:
    program, draft = own_draft(request, slug)
    by = -1 if request.POST.get("by") == "up" else 1
    draft, refusal = _edited(request, program, draft, lambda document: tree.move(document, step, by))
    try:
        context = _step_context(draft, step, may_edit=True)
    except tree.NoSuchStep:
        return answer(request, program, draft, OVERVIEW, {"refusal": refusal})
    return answer(request, program, draft, STEP, {**context, "refusal": refusal})
