"""Pages of publications: the sheet before, how far the worker is, taking back, and the history of versions."""

from __future__ import annotations

from datetime import datetime

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from leads.access import require
from nurture import access, actions, around, entering, queries, tree
from nurture.canvas import who_enters
from nurture.forms.programs import MovesForm, PublishForm, TakeBackForm
from nurture.kinds import KINDS, Names
from nurture.models import ProgramVersion, Publication
from nurture.publication import effects, moving, publication_page, publishing
from nurture.triggers import document as way_in
from nurture.views.programs import actor


@require("publish")
@require_http_methods(["GET", "POST"])
def program_publish(request: HttpRequest, slug: str) -> HttpResponse:
    """The start sheet: who will be taken in, exactly, and what happens to the people inside."""
    program = access.program_or_404(slug)
    draft = (
        program.versions.select_related("trigger_segment", "program").filter(state=ProgramVersion.State.DRAFT).first()
    )
    if program.publishing_since is not None or draft is None:
        gone = _("There is no draft any more: somebody published it or threw it away meanwhile.")
        messages.error(request, gone if program.publishing_since is None else str(actions.BeingPublished()))
        return redirect("nurture:program-detail", program.slug)
    form = PublishForm(request.POST or None, initial={"intake": "new", "edit_number": draft.edit_number})
    now, names = timezone.now(), Names()
    steps = tree.check(draft.tree)
    stops = moving.stops(program, draft, names)
    onto = [(step.id, KINDS[step.kind].words(step.values, names)) for step in steps.walk()]
    moves = MovesForm(request.POST or None, stops=stops, onto=onto)
    if request.method == "POST" and "count" not in request.POST and form.is_valid() and moves.is_valid():
        try:
            publishing.ask(draft, **form.decision(), moves=moves.moves(), actor=actor(request), now=now)
        except actions.BeingPublished as error:
            messages.error(request, str(error))
            return redirect("nurture:program-detail", program.slug)
        except actions.NurtureRefused as error:
            messages.error(request, str(error))
            return redirect("nurture:program-publish", program.slug)
        return redirect("nurture:program-detail", program.slug)
    since: datetime | None = None
    if form.is_bound:
        form.is_valid()
        since = form.cleaned_data.get("since")
    problems = actions.problems_of(draft, names, now)
    blocking = [problem for problem in problems if problem.blocks]
    live = program.versions.filter(state=ProgramVersion.State.LIVE).first()
    context = {
        "program": program,
        "draft": draft,
        "form": form,
        "blocking": blocking,
        "doubtful": [problem for problem in problems if not problem.blocks],
        "live": live,
        "keeps_trigger": live is not None and live.triggers == draft.triggers,
        "who_enters": who_enters(draft, names),
        "inside": sum(queries.version_counts(program.pk).values()),
        "present": None if blocking else entering.count_present(draft, since=None, now=now),
        "present_since": entering.count_present(draft, since=since, now=now) if since and not blocking else None,
        "has_unknown_since": any(way_in.kind_of(one).condition for one in draft.triggers),
        "since": since,
        "stops": [(stop, moves[stop.key]) for stop in stops],
        "outline": tree.outline(steps, names),
        "facts": around.in_words(draft.around, steps, names),
    }
    return render(request, "nurture/program_publish.html", context)


@require("see")
@require_GET
def publication_state(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the last publication is: the page asks each second while it is under way, and is loaded anew when it is done."""
    program = access.program_or_404(slug)
    context = publication_page.of_program(program, Names(), timezone.now())
    publication = context["publication"]
    response = render(request, "nurture/_publication_state.html", {"program": program, **context})
    if request.GET.get("under_way") and (publication is None or not publication.is_under_way):
        response["HX-Refresh"] = "true"
    return response


@require("publish")
@require_http_methods(["GET", "POST"])
def publication_take_back(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Asks why, says what will be again, and takes the publication back."""
    program = access.program_or_404(slug)
    publication = program.publications.select_related("version__program", "past__program").filter(pk=pk).first()
    if publication is None:
        raise Http404
    if refusal := publishing.why_not(publication):
        messages.error(request, refusal)
        return redirect("nurture:program-detail", program.slug)
    form = TakeBackForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            publishing.take_back(
                publication, reason=form.cleaned_data["reason"], actor=actor(request), now=timezone.now()
            )
        except actions.NurtureRefused as error:
            messages.error(request, str(error))
        return redirect("nurture:program-detail", program.slug)
    context = {
        "program": program,
        "publication": publication,
        "form": form,
        "moved": publication_page.moved_words(
            {key: number for key, number in publication.moved.items() if key != moving.FINISH}
        ),
    }
    return render(request, "nurture/publication_take_back.html", context, status=422 if form.errors else 200)


@require("see")
@require_GET
def publication_list(request: HttpRequest, slug: str) -> HttpResponse:
    """Which version was live since when, by whom, why, for how many, and what was taken back. Three statements, and the
    names that steps mention."""
    program = access.program_or_404(slug)
    found = program.publications.select_related("version", "asked_by", "taken_back_by").order_by("-id")
    names = Names()
    rows = [
        {
            "publication": row,
            "moved": publication_page.moved_words(row.moved),
            "sheet": [(line, publication_page.chosen_words(line)) for line in row.sheet],
            "effect": effects.words(row, names) if row.effect and row.state == Publication.State.DONE else "",
        }
        for row in found[:200]
    ]
    return render(request, "nurture/publication_list.html", {"program": program, "rows": rows})
