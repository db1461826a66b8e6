"""The life-cycle: rules that move people forward, how long people stay in a stage, and the rates from inquiry to customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads.access import require
from leads.figures import Figures, figures
from leads.models import Contact
from leads.workspace import zone
from scoring import graduation, rates
from scoring.actions import Refused
from scoring.actions.graduation import checked, delete_graduation, preview, save_graduation, set_benchmark
from scoring.forms.graduation import GraduationForm, TargetForm
from scoring.models import GraduationRule
from scoring.queries.graduation import moved_by_cause, stays
from segments import graph
from segments.conditions import BadConditions, sentence, time_limit

PREVIEW_SECONDS = 15.0
LATELY = timedelta(days=30)
STAY_MONTHS = 12
MOST_SOURCES = 15


def _user(request: HttpRequest) -> User:
    return cast("User", request.user)


@dataclass(frozen=True)
class RuleLine:
    """A rule in the list."""

    rule: GraduationRule
    sentence: str
    out_of: str
    to: Any
    moved: int
    spared: int


@require_GET
@require("see")
def graduation_list(request: HttpRequest) -> HttpResponse:
    """Three statements."""
    moved = moved_by_cause(timezone.now() - LATELY)
    spared = dict(GraduationRule.objects.values_list("pk").annotate(n=Count("spared")).order_by())
    rules = GraduationRule.objects.select_related("points_of")
    lines = [
        RuleLine(
            rule,
            graduation.words(rule),
            graduation.stage_words(rule.from_stages),
            graduation.LABELS[rule.to_stage],
            moved.get(rule.cause, 0),
            spared.get(rule.pk, 0),
        )
        for rule in graduation.furthest_first(list(rules))
    ]
    return render(request, "scoring/graduation_list.html", {"lines": lines})


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def graduation_new(request: HttpRequest) -> HttpResponse:
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def graduation_edit(request: HttpRequest, slug: str) -> HttpResponse:
    return _edit(request, get_object_or_404(GraduationRule.objects.select_related("points_of"), slug=slug))


def _edit(request: HttpRequest, rule: GraduationRule | None) -> HttpResponse:
    """A POST shows who would move; a second one, from that page, saves."""
    form = GraduationForm(request.POST or None, initial=GraduationForm.initial_of(rule))
    if request.method == "POST" and form.is_valid():
        step = request.POST.get("step", "review")
        try:
            if step == "review":
                return _review(request, rule, form)
            if step == "save":
                moves_present = request.POST.get("present") != "nobody"
                saved = _save(rule, form, _user(request), moves_present=moves_present)
                done = _("“%(rule)s” is saved; the next turn moves people by it.")
                if saved.spares:
                    done = _("“%(rule)s” is saved; whoever meets it already stays until they do something new.")
                messages.success(request, done % {"rule": saved})
                return redirect("scoring:graduation-list")
        except (Refused, BadConditions) as error:
            form.add_error(None, str(error))
    users = graph.used_by(f"graduation:{rule.slug}") if rule else []
    context = {"form": form, "rule": rule, "users": users}
    return render(request, "scoring/graduation_form.html", context, status=422 if form.errors else 200)


def _said(form: GraduationForm) -> dict[str, Any]:
    data = form.cleaned_data
    return {key: data[key] for key in ("to_stage", "from_stages", "conditions", "points_of", "points")}


def _save(rule: GraduationRule | None, form: GraduationForm, user: User, *, moves_present: bool) -> GraduationRule:
    return save_graduation(
        rule,
        name=form.cleaned_data["name"],
        is_active=form.cleaned_data["is_active"],
        version=form.cleaned_data["version"],
        actor=user,
        now=timezone.now(),
        moves_present=moves_present,
        **_said(form),
    )


def _review(request: HttpRequest, rule: GraduationRule | None, form: GraduationForm) -> HttpResponse:
    """How many would move out of which stage, and examples; nothing is saved yet."""
    said = _said(form)
    tree = checked(**said, slug=rule.slug if rule else "")
    counts: dict[str, int] = {}
    some: list[int] = []
    is_counted = True
    if form.cleaned_data["is_active"]:
        try:
            with time_limit(PREVIEW_SECONDS):
                counts, some = preview(
                    tree, to_stage=said["to_stage"], from_stages=said["from_stages"], now=timezone.now()
                )
        except DatabaseError:
            is_counted = False
    people = Contact.objects.select_related("company").filter(pk__in=some).order_by("pk")
    typed = [(key, value) for key in request.POST for value in request.POST.getlist(key) if key not in _OURS]
    context = {
        "rule": rule,
        "name": form.cleaned_data["name"],
        "is_active": form.cleaned_data["is_active"],
        "sentence": sentence(tree),
        "to": graduation.LABELS[said["to_stage"]],
        "to_stage": said["to_stage"],
        "counts": [(graduation.LABELS[slug], n) for slug, n in counts.items()],
        "total": sum(counts.values()),
        "people": people,
        "is_counted": is_counted,
        "typed": typed,
    }
    return render(request, "scoring/graduation_review.html", context)


_OURS = ("csrfmiddlewaretoken", "step", "present")


@require_POST
@require("edit_rules")
def graduation_delete(request: HttpRequest, slug: str) -> HttpResponse:
    rule = get_object_or_404(GraduationRule, slug=slug)
    delete_graduation(rule, actor=_user(request), now=timezone.now())
    messages.success(request, _("“%(rule)s” is gone; whom it moved stays where they are.") % {"rule": rule})
    return redirect("scoring:graduation-list")


# --- rates, time in stage -------------------------------------------------------------------------------------------------


def _counted(now: datetime, *, wait: bool) -> Figures[rates.Counted] | None:
    """Who came in, for the rates; one key for the page and for Home."""
    here = zone()
    return figures(f"rates:{here.key}:1", lambda: rates.counted(now=now, zone=here), now=now, wait=wait)


@require_GET
@require("see")
def lifecycle(request: HttpRequest) -> HttpResponse:
    """The page does not wait for a pass over everybody: where that takes long, the figures kept last stand there with their moment,
    and the part alone is asked for after the page. `now=yes` waits, for those without JavaScript."""
    now, here = timezone.now(), zone()
    is_part = request.headers.get("HX-Target") == "lifecycle-tables"
    wait = is_part or request.GET.get("now") == "yes"
    people = _counted(now, wait=wait)
    since = rates.first_of_month(STAY_MONTHS, now, here)
    told = figures(f"stays:{here.key}:1", lambda: stays(since=since, until=now), now=now, wait=wait)
    context: dict[str, Any] = {"address": request.path, "address_now": f"{request.path}?now=yes", "is_part": is_part}
    if people is not None and told is not None:
        found = rates.rates(people.value, now=now, zone=here)
        context |= {
            "everybody": found.everybody,
            "months": list(reversed(found.months)),
            "sources": found.sources[:MOST_SOURCES],
            "sources_left": max(len(found.sources) - MOST_SOURCES, 0),
            "stays": [(graduation.LABELS[one.stage], one) for one in told.value if one.stage in graduation.LABELS],
            "as_of": min(people.at, told.at) if people.is_kept else None,
            "is_stale": people.is_stale(now) or told.is_stale(now),
        }
    return render(request, "scoring/_lifecycle_tables.html" if is_part else "scoring/lifecycle.html", context)


@require_GET
@require("see")
def lifecycle_figures(request: HttpRequest) -> HttpResponse:
    """The three rates for Home, as a fragment that is asked for after the page."""
    now = timezone.now()
    people = _counted(now, wait=True)
    found = rates.rates(people.value, now=now, zone=zone()) if people else None
    context = {"everybody": found and found.everybody, "as_of": people.at if people and people.is_kept else None}
    return render(request, "scoring/_lifecycle_figures.html", context)


@require_POST
@require("edit_rules")
def benchmark_save(request: HttpRequest, step: str) -> HttpResponse:
    """The company's own target for one step; an empty one takes it away."""
    form = TargetForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("A target is a percentage above 0 and at most 100."))
        return redirect("scoring:lifecycle")
    try:
        set_benchmark(step, percent=form.cleaned_data["percent"], actor=_user(request), now=timezone.now())
    except Refused as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The target is saved."))
    return redirect("scoring:lifecycle")
