"""Simulations of a program: the assumptions, the progress, and what would come of it as a calendar."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import can, require
from nurture import access
from nurture.forms.simulation import SimulationForm
from nurture.kinds import Names
from nurture.models import ProgramVersion, Simulation
from nurture.simulation import jobs, queries
from nurture.simulation.assumptions import Assumptions, rates
from nurture.simulation.picture import picture_of
from nurture.views.programs import actor


@require("see")
@require_http_methods(["GET", "POST"])
def simulation_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """The form beside the last result. Asking needs the right to edit, looking does not."""
    version = access.version_or_404(access.program_or_404(slug), request.GET.get("version"))
    if request.method == "POST":
        if not can(request.user, "edit_rules"):
            raise PermissionDenied
        return _ask(request, version)
    last = _last(version)
    before = Assumptions.read(last.assumptions) if last else _from_the_past()
    form = SimulationForm(initial=SimulationForm.initial_of(before))
    return render(request, "nurture/simulation_detail.html", _context(version, last) | {"form": form})


def _ask(request: HttpRequest, version: ProgramVersion) -> HttpResponse:
    form = SimulationForm(request.POST)
    if not form.is_valid():
        context = _context(version, _last(version)) | {"form": form}
        return render(request, "nurture/simulation_detail.html", context, status=422)
    jobs.ask(version, form.assumptions(), user=actor(request), now=timezone.now())
    return redirect(_url(version))


@require("see")
@require_GET
def simulation_state(request: HttpRequest, slug: str) -> HttpResponse:
    """The result, or how far it is: the page asks each second while it is worked out."""
    version = access.version_or_404(access.program_or_404(slug), request.GET.get("version"))
    return render(request, "nurture/_simulation_state.html", _context(version, _last(version)))


@require("edit_rules")
@require_POST
def simulation_stop(request: HttpRequest, slug: str) -> HttpResponse:
    version = access.version_or_404(access.program_or_404(slug), request.GET.get("version"))
    if (last := _last(version)) is not None:
        jobs.stop(last, now=timezone.now())
    return redirect(_url(version))


def _url(version: ProgramVersion) -> str:
    return f"{reverse('nurture:simulation-detail', args=[version.program.slug])}?version={version.number}"


def _last(version: ProgramVersion) -> Simulation | None:
    return Simulation.objects.filter(version=version).order_by("-id").first()


def _from_the_past() -> Assumptions:
    """Rates as they were, where mails went out before."""
    usual = Assumptions()
    found = rates(
        queries.past_shares(["email_sent", "email_open", "email_click", usual.answer_kind]), usual.answer_kind
    )
    return Assumptions.read(usual.as_json() | found)


def _context(version: ProgramVersion, last: Simulation | None) -> dict[str, Any]:
    is_done = last is not None and last.state == Simulation.State.DONE and last.result is not None
    return {
        "program": version.program,
        "version": version,
        "simulation": last,
        "picture": picture_of(version, last.result, Names()) if last and is_done and last.result else None,
        "is_outdated": last is not None and last.edit_number != version.edit_number,
    }
