"""Tasks that programs asked for, and the health of the instance."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from leads.views import is_fragment
from nurture import access, actions, health, queries
from nurture.models import Task
from nurture.views.programs import actor

PAGE = 100


@require("see")
@require_GET
def task_list(request: HttpRequest) -> HttpResponse:
    """Open tasks, mine first by default. Two statements."""
    is_mine = request.GET.get("of", "mine") == "mine"
    tasks = Task.objects.filter(done_at=None).select_related("contact__company", "assigned_to", "enrolment__program")
    if is_mine:
        tasks = tasks.filter(assigned_to=actor(request))
    context = {"tasks": list(tasks.order_by("due_at", "id")[:PAGE]), "is_mine": is_mine, "now": timezone.now()}
    return render(request, "nurture/task_list.html", context)


@require("edit_contacts")
@require_POST
def task_done(request: HttpRequest, pk: int) -> HttpResponse:
    actions.finish_task(access.task_or_404(pk), actor=actor(request), now=timezone.now())
    onward = request.POST.get("next", "")
    if onward and url_has_allowed_host_and_scheme(onward, allowed_hosts=None):
        return redirect(onward)
    return redirect("nurture:task-list")


@require("configure")
@require_GET
def health_page(request: HttpRequest) -> HttpResponse:
    """Queues and beats at once; the checks come after the page, some at a time. Ten statements."""
    now = timezone.now()
    context: dict[str, Any] = {"queues": queries.queue_depths(now, exact=False), "beats": health.beats(now)}
    return render(request, "nurture/health.html", context)


@require("configure")
@never_cache
@require_GET
def health_checks(request: HttpRequest) -> HttpResponse:
    """The checks from a place on; asks for the next ones by itself. Without HTMX a page that leads on by a link."""
    asked = request.GET.get("from", "")
    found, onward = health.checks(int(asked) if asked.isdigit() else 0)
    template = "nurture/_health_checks.html" if is_fragment(request) else "nurture/health_checks.html"
    return render(request, template, {"checks": found, "onward": onward})
