"""Pages of programs: list, canvas, start sheet, people, and the switches pause, resume and stop."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import can, require
from leads.figures import figures
from nurture import access, actions, clipboard, numbers, queries, splits, tree
from nurture.canvas import GOAL, TIME, Canvas, draw, strip
from nurture.contact_page import ended_words, place
from nurture.forms.programs import ProgramForm, ProgramSettingsForm
from nurture.kinds import KINDS, START, Names
from nurture.models import Enrolment, Program, ProgramVersion, Simulation, StepVisit
from nurture.patterns import PATTERNS
from nurture.publication import pausing, publication_page
from nurture.queries import StepCount
from nurture.simulation import results
from nurture.triggers import document as way_in
from segments.conditions import one_catalogue
from segments.models import Segment

PAGE = 50


def version_of(request: HttpRequest) -> int:
    """The version that the page of a form was opened with."""
    said = request.POST.get("version", "")
    return int(said) if said.isdecimal() and len(said) < 10 else 0


def actor(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


@require("see")
@require_GET
def program_list(request: HttpRequest) -> HttpResponse:
    """Seven statements whatever the number of programs. At a large company people and mails are kept figures (leads/figures.py), asked
    for after the page."""
    is_archive = request.GET.get("archived") == "1"
    programs = list(Program.objects.filter(archived_at__isnull=not is_archive).prefetch_related("versions"))
    ids, now = [program.pk for program in programs], timezone.now()
    is_part = request.headers.get("HX-Target") == "program-table"
    found = figures(
        f"programs:{'-'.join(map(str, ids))}:1",
        lambda: (queries.people_counts(ids), queries.mail_counts(ids)),
        now=now,
        wait=is_part or request.GET.get("now") == "yes",
    )
    people, mails = found.value if found else ({}, {})
    order = {"live": 0, "paused": 1, "draft": 2, "stopped": 3}
    names = Names()
    rows = [
        {
            "program": program,
            "who_enters": _ways_in(_shown(program), names),
            "has_draft": any(version.state == ProgramVersion.State.DRAFT for version in program.versions.all()),
            "people": people.get(program.pk, {}),
            "sent": mails.get(program.pk, {}).get("sent", 0),
        }
        for program in sorted(programs, key=lambda program: (order[program.state], program.name.casefold()))
    ]
    asked = f"?archived={'1' if is_archive else '0'}"
    context = {
        "rows": rows,
        "is_archive": is_archive,
        "is_counted": found is not None,
        "as_of": found.at if found and found.is_kept else None,
        "is_stale": bool(found and found.is_stale(now)),
        "is_part": is_part,
        "address": request.path + asked,
        "address_now": f"{request.path}{asked}&now=yes",
    }
    return render(request, "nurture/_program_table.html" if is_part else "nurture/program_list.html", context)


def _ways_in(version: ProgramVersion | None, names: Names) -> str:
    """What lets people in, as briefly as the list wants it: segments by their names."""
    triggers = version.triggers if version is not None else []
    return ", ".join(
        names.segment(one["segment"]) if one["kind"] == "segment" and one.get("segment") else words
        for one, words in zip(triggers, way_in.in_words(triggers, names), strict=True)
    )


def _shown(program: Program) -> ProgramVersion | None:
    rank = {"live": 0, "draft": 1, "past": 2}
    versions = sorted(program.versions.all(), key=lambda version: (rank[version.state], -version.number))
    return versions[0] if versions else None


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def program_new(request: HttpRequest) -> HttpResponse:
    initial = {"trigger_segment": Segment.objects.filter(slug=request.GET.get("segment", "")).first()}
    form = ProgramForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            program = actions.create_from_pattern(
                PATTERNS[form.cleaned_data["pattern"]],
                name=form.cleaned_data["name"],
                notes=form.cleaned_data["notes"],
                trigger_segment=form.cleaned_data["trigger_segment"],
                actor=actor(request),
                now=timezone.now(),
            )
        except actions.NurtureRefused as error:
            form.add_error(None, str(error))
        else:
            return redirect("nurture:program-detail", program.slug)
    context = {"form": form, "patterns": PATTERNS, "chosen": form["pattern"].value()}
    return render(request, "nurture/program_new.html", context, status=422 if form.errors else 200)


@require("see")
@require_GET
def program_detail(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    if request.GET.get("layer") == "simulated" and layer_of(request, version) is None:  # there is none yet: ask for one
        return redirect(f"{reverse('nurture:simulation-detail', args=[slug])}?version={version.number}")
    with one_catalogue():
        return program_page(request, program, version, "nurture/_program_overview.html", {})


def program_page(
    request: HttpRequest,
    program: Program,
    version: ProgramVersion,
    panel: str,
    context: dict[str, Any],
    *,
    redraw: bool = False,
    status: int = 200,
) -> HttpResponse:
    """The canvas with a side panel. For HTMX the panel alone, with the canvas beside it when `redraw`."""
    names = Names()
    simulated = layer_of(request, version)
    shown = results.step_counts(simulated.result or {}) if simulated else _live_numbers(version, is_news=redraw)
    canvas = draw(version, names, request.GET.get("layer", ""), counts=shown)
    context = {
        "program": program,
        "version": version,
        "canvas": canvas,
        "simulated": simulated,
        "panel": panel,
        "is_draft": version.state == ProgramVersion.State.DRAFT,
        "may_edit": version.state == ProgramVersion.State.DRAFT
        and can(request.user, "edit_rules")
        and program.archived_at is None
        and program.publishing_since is None,
        "selected": context.get("step_id", ""),
        "layers": [("", _("Live")), (TIME, _("Time in step")), (GOAL, _("Goal rate"))],
        "clipboard": (held := clipboard.held(request)),
        "cut": held.step if held and held.is_cut and held.program == program.slug else "",
        **context,
    }
    if request.headers.get("HX-Request") and not request.headers.get("HX-History-Restore-Request"):
        context["redraw"] = redraw
        return render(request, "nurture/_program_panel_swap.html", context, status=status)
    versions = sorted(program.versions.all(), key=lambda one: -one.number)
    context |= {
        "strip": strip(program, version, numbers.of_versions(program.pk, now=timezone.now(), is_news=False)),
        "versions": versions,
        "draft": next((one for one in versions if one.state == ProgramVersion.State.DRAFT), None),
        **publication_page.of_program(program, names, timezone.now()),
        "builder_media": KINDS["branch"].form(names=names).media if context["may_edit"] else None,
    }
    return render(request, "nurture/program_detail.html", context, status=status)


def _live_numbers(version: ProgramVersion, *, is_news: bool) -> dict[str, StepCount]:
    if version.state == ProgramVersion.State.DRAFT:
        return {}
    return numbers.of_steps(version.pk, now=timezone.now(), is_news=is_news)


def layer_of(request: HttpRequest, version: ProgramVersion) -> Simulation | None:
    """The simulation whose numbers stand on the canvas instead of the live ones, where somebody asks for that layer."""
    if request.GET.get("layer") != "simulated":
        return None
    done = Simulation.objects.filter(version=version, state=Simulation.State.DONE, edit_number=version.edit_number)
    return done.order_by("-id").first()


@require("see")
@require_GET
def program_counts(request: HttpRequest, slug: str) -> HttpResponse:
    """The numbers on the canvas again: the page asks each few seconds while the program is live."""
    program = access.program_or_404(slug)
    version = access.version_or_404(program, request.GET.get("version"))
    with one_catalogue():
        canvas: Canvas = draw(version, Names(), counts=_live_numbers(version, is_news=True))
    by_version = numbers.of_versions(program.pk, now=timezone.now(), is_news=True)
    context = {"program": program, "version": version, "canvas": canvas, "strip": strip(program, version, by_version)}
    return render(request, "nurture/_program_counts.html", context)


@require("edit_rules")
@require_http_methods(["GET", "POST"])
def program_settings(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    form = ProgramSettingsForm(
        request.POST or None, initial={"name": program.name, "notes": program.notes, "priority": program.priority}
    )
    if request.method == "POST" and form.is_valid():
        actions.rename_program(program, **form.cleaned_data, actor=actor(request), now=timezone.now())
        return redirect("nurture:program-detail", program.slug)
    context = {"program": program, "form": form}
    return render(request, "nurture/program_settings.html", context, status=422 if form.errors else 200)


@require("edit_rules")
@require_POST
def program_draft(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    draft = actions.start_draft(program, actor=actor(request), now=timezone.now())
    return redirect(f"{_url(program)}?version={draft.number}")


@require("edit_rules")
@require_POST
def program_discard(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    try:
        actions.discard_draft(access.draft_or_404(program), actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:program-detail", program.slug)
    if Program.objects.filter(pk=program.pk).exists():
        messages.success(request, _("The draft is gone; the version before it goes on as it was."))
        return redirect("nurture:program-detail", program.slug)
    messages.success(request, _("“%(name)s” is gone; it never ran.") % {"name": program.name})
    return redirect("nurture:program-list")


def _url(program: Program) -> str:
    return reverse("nurture:program-detail", args=[program.slug])


@require("publish")
@require_POST
def program_pause(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    try:
        held = actions.pause(program, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    else:
        held_words = ngettext("%(n)d waiting mail is held.", "%(n)d waiting mails are held.", held) % {"n": held}
        messages.success(request, _("Paused: nobody enters, nobody moves.") + (f" {held_words}" if held else ""))
    return redirect("nurture:program-detail", program.slug)


@require("publish")
@require_http_methods(["GET", "POST"])
def program_resume(request: HttpRequest, slug: str) -> HttpResponse:
    """Asks what becomes of the waits that passed during the pause, with exact numbers, and goes on."""
    program, now = access.program_or_404(slug), timezone.now()
    if program.state != Program.State.PAUSED:
        messages.error(request, _("The program is %(state)s by now.") % {"state": program.get_state_display()})
        return redirect("nurture:program-detail", program.slug)
    if request.method == "GET":
        sheet = pausing.sheet(program, now)
        offers = [(key, words, sheet.number[key]) for key, words in pausing.CHOICES.items()]
        return render(request, "nurture/program_resume.html", {"program": program, "sheet": sheet, "offers": offers})
    try:
        actions.resume(program, waits=request.POST.get("waits", ""), actor=actor(request), now=now)
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("“%(name)s” goes on.") % {"name": program.name})
    return redirect("nurture:program-detail", program.slug)


@require("publish")
@require_POST
def queue_hold(request: HttpRequest, slug: str) -> HttpResponse:
    """Stop letting people in from the queue, or go on."""
    program = access.program_or_404(slug)
    try:
        actions.hold_queue(program, is_held=request.POST.get("held") == "1", actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    return redirect("nurture:program-detail", program.slug)


@require("publish")
@require_POST
def queue_drop(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    gone = actions.drop_queue(program, actor=actor(request), now=timezone.now())
    words = ngettext("%(n)d person waits no longer.", "%(n)d people wait no longer.", gone)
    messages.success(request, words % {"n": gone})
    return redirect("nurture:program-detail", program.slug)


@require("publish")
@require_POST
def program_stop(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    try:
        left = actions.stop(program, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(
            request, ngettext("Stopped; %(n)d person left.", "Stopped; %(n)d people left.", left) % {"n": left}
        )
    return redirect("nurture:program-detail", program.slug)


@require("edit_rules")
@require_POST
def program_archive(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    try:
        actions.archive_program(program, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
        return redirect("nurture:program-detail", program.slug)
    messages.success(request, _("“%(name)s” is in the archive.") % {"name": program.name})
    return redirect("nurture:program-list")


@require("edit_rules")
@require_POST
def program_unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    try:
        actions.unarchive_program(program, actor=actor(request), now=timezone.now())
    except actions.NurtureRefused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("“%(name)s” is out of the archive.") % {"name": program.name})
    return redirect("nurture:program-detail", program.slug)


# --- People -----------------------------------------------------------------------------------------------------------------


@require("see")
@require_GET
def program_people(request: HttpRequest, slug: str) -> HttpResponse:
    """The people behind a number, newest first, by keyset. Statements: eight, whatever the rows."""
    program = access.program_or_404(slug)
    number = request.GET.get("version")
    version = access.version_or_404(program, number) if number else None
    step_id, which = request.GET.get("step", ""), request.GET.get("which", "")
    why = request.GET.get("why", "")
    outcome = request.GET.get("outcome", "")
    after = request.GET.get("after", "")
    rows: list[dict[str, Any]]
    if which == "passed" and version is not None:
        visits = _visits(version, step_id, outcome)
        if after.isdigit():
            visits = visits.filter(pk__lt=int(after))
        page = list(visits.order_by("-id")[: PAGE + 1])
        rows = [{"enrolment": visit.enrolment, "at": visit.done_at, "outcome": visit.outcome} for visit in page[:PAGE]]
        last = page[PAGE - 1].pk if len(page) > PAGE else None
        total = _visits(version, step_id, outcome).count()
    else:
        if which in splits.LISTS and version is not None:
            enrolments = splits.people(version, step_id, which, outcome, now=timezone.now())
        else:
            enrolments = _enrolments(program, version, step_id, which)
        if why:
            enrolments = enrolments.filter(entered_why=why)
        total = enrolments.count()
        if after.isdigit():
            enrolments = enrolments.filter(pk__lt=int(after))
        found = list(enrolments.select_related("contact__company", "version", "program").order_by("-id")[: PAGE + 1])
        rows = [{"enrolment": enrolment, "at": enrolment.entered_at, "outcome": ""} for enrolment in found[:PAGE]]
        last = found[PAGE - 1].pk if len(found) > PAGE else None
    names = Names()
    for row in rows:
        row["place"] = place(row["enrolment"], names)
        row["ended_words"] = ended_words(row["enrolment"].ended_why, names)
    context = {
        "program": program,
        "version": version,
        "step_id": step_id,
        "which": which,
        "outcome": outcome,
        "why": why,
        "heading": way_in.entered_by(why, program.triggers_ever(), names)
        if why
        else _heading(version, step_id, which, outcome, names),
        "rows": rows,
        "total": total,
        "next": last,
        "parked": which == "parked" and total,
    }
    return render(request, "nurture/program_people.html", context)


def _visits(version: ProgramVersion, step_id: str, outcome: str) -> QuerySet[StepVisit]:
    visits = StepVisit.objects.filter(version=version, step=step_id)
    if outcome:
        visits = visits.filter(outcome=outcome)
    return visits.select_related("enrolment__contact__company", "enrolment__version", "enrolment__program")


def _enrolments(program: Program, version: ProgramVersion | None, step_id: str, which: str) -> QuerySet[Enrolment]:
    by_which: dict[str, list[Enrolment.State]] = {
        "here": [Enrolment.State.ACTIVE],
        "parked": [Enrolment.State.PARKED],
        "inside": [Enrolment.State.ACTIVE, Enrolment.State.PARKED],
        "finished": [Enrolment.State.FINISHED],
        "left": [Enrolment.State.LEFT],
        "held_out": [Enrolment.State.HELD_OUT],
        "goal": [state for state in list(Enrolment.State) if state != Enrolment.State.HELD_OUT],
    }
    states = by_which.get(which)
    found = Enrolment.objects.filter(program=program)
    if which == "goal":
        found = found.filter(goal_at__isnull=False)
    if version is not None:
        found = found.filter(version=version)
    if step_id:
        found = found.filter(left_at_step=step_id) if which == "left" else found.filter(step=step_id)
    return found.filter(state__in=states) if states else found


def _heading(version: ProgramVersion | None, step_id: str, which: str, outcome: str, names: Names) -> str:
    words = {
        "here": _("Here now"),
        "passed": _("Passed"),
        "parked": _("Failed"),
        "inside": _("Inside"),
        "finished": _("Finished"),
        "left": _("Left"),
        "held_out": _("Held out"),
        "goal": _("Reached the goal"),
        "watched": _("Compared"),
        "ripe": _("Days are over"),
        "worked": _("It worked"),
    }.get(which, _("Everybody"))
    if version is None or not step_id:
        return words
    if step_id == START:
        return f"{words}: {_('Entry')}"
    try:
        step = tree.check(version.tree).step(step_id)
    except tree.NoSuchStep:
        return words
    kind = KINDS[step.kind]
    label = str({**kind.ways, **kind.outcomes}.get(outcome, "")) if outcome else ""
    return f"{words}: {kind.words(step.values, names)}" + (f" → {label}" if label else "")


@require("publish")
@require_POST
def program_retry(request: HttpRequest, slug: str) -> HttpResponse:
    program = access.program_or_404(slug)
    one = request.POST.get("enrolment", "")
    count = actions.retry_parked(
        program, enrolment_id=int(one) if one.isdigit() else None, actor=actor(request), now=timezone.now()
    )
    messages.success(
        request,
        ngettext("%(n)d person is on the road again.", "%(n)d people are on the road again.", count) % {"n": count},
    )
    return redirect("nurture:program-detail", program.slug)


@require("publish")
@require_POST
def person_release(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    program = access.program_or_404(slug)
    enrolment = get_object_or_404(Enrolment.objects.filter(program=program), pk=pk)
    if actions.release_person(enrolment, actor=actor(request), now=timezone.now()):
        messages.success(request, _("Taken out of “%(name)s”.") % {"name": program.name})
    return redirect(f"{_url(program)}people/?which=inside")
