"""Pages behind the queue: routing rules with their test, how long sales has, desks and days off, reasons."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from leads import lists
from leads.access import can, require
from leads.models import Contact, Owner
from scoring import access, actions, queries, queue_nodes, routing
from scoring.actions import Refused
from scoring.forms.queue import AnsweringForm, DeskForm, HandOffForm, HolidaysForm, ReasonForm, RoutingForm
from scoring.models import AnswerReason, Desk, HandOff, Holiday, RoutingRule, ScoreModel
from segments.builder import sentence_of
from segments.conditions import BadConditions


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


# --- routing ------------------------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def routing_page(request: HttpRequest) -> HttpResponse:
    """Rules in their order, what each model says of time, and the test. Some eight statements, whatever the number of rules."""
    rules = RoutingRule.objects.select_related("model").prefetch_related("seats__owner")
    return render(
        request,
        "scoring/routing.html",
        {
            "tab": "routing",
            "rules": [
                (
                    rule,
                    sentence_of(rule.conditions),
                    rule.conditions is None or queue_nodes.is_readable(rule.conditions),
                )
                for rule in rules
            ],
            "models": ScoreModel.objects.in_use().select_related("escalate_to"),
            **_test(request),
        },
    )


@require_GET
@require("see")
def routing_test(request: HttpRequest) -> HttpResponse:
    """“Who would get it” alone."""
    return render(request, "scoring/_routing_test.html", _test(request))


def _test(request: HttpRequest) -> dict[str, Any]:
    """People found by words, or where the lead of one of them would go."""
    text = request.GET.get("q", "").strip()[:200]
    pk = request.GET.get("contact", "")
    models = ScoreModel.objects.in_use()
    model = models.filter(slug=request.GET.get("model", "")).first() or models.first()
    found: dict[str, Any] = {"text": text, "test_model": model, "test_models": list(models)}
    contact = None
    if pk.isascii() and pk.isdigit() and len(pk) < 19:
        contact = Contact.objects.filter(pk=pk).select_related("company").first()
    if contact is not None and model is not None:
        route, trace = routing.who_would_get(contact, model=model, now=timezone.now())
        owner = Owner.objects.filter(pk=route.owner_id).first() if route.owner_id else None
        return found | {"contact": contact, "owner": owner, "why": route.why, "trace": trace}
    words = lists.words_of(text)
    if words:
        people = lists.search_contacts(Contact.objects.all(), words).select_related("company")
        found["contacts"] = people.order_by("-created_at", "-id")[:8]
    return found


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def routing_edit(request: HttpRequest, pk: int | None = None) -> HttpResponse:
    rule = get_object_or_404(RoutingRule.objects.prefetch_related("seats"), pk=pk) if pk else None
    initial: dict[str, Any] = {"target": RoutingRule.Target.TEAM, "is_active": True}
    if rule is not None:
        initial = {
            "name": rule.name,
            "model": rule.model.slug if rule.model else "",
            "conditions": rule.conditions or {"all": []},
            "target": rule.target,
            "owners": [seat.owner_id for seat in rule.seats.all()],
            "is_active": rule.is_active,
        }
    form = RoutingForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            data = form.cleaned_data | {"owners": list(form.cleaned_data["owners"])}
            saved = actions.save_routing_rule(rule, **data, actor=_user(request), now=timezone.now())
        except (Refused, BadConditions) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("“%(name)s” is saved; it routes from the next lead on.") % {"name": saved})
            return redirect("scoring:routing")
    context = {"form": form, "rule": rule, "tab": "routing"}
    return render(request, "scoring/routing_edit.html", context, status=422 if form.errors else 200)


@require_POST
@require("edit_rules")
def routing_move(request: HttpRequest, pk: int) -> HttpResponse:
    """Up, down, or out."""
    rule = get_object_or_404(RoutingRule, pk=pk)
    to = request.POST.get("to")
    if to == "delete":
        actions.delete_routing_rule(rule, actor=_user(request), now=timezone.now())
        messages.success(
            request, _("“%(name)s” is deleted. Leads that it routed stay where they are.") % {"name": rule.name}
        )
    else:
        actions.move_routing_rule(rule, up=to == "up", actor=_user(request), now=timezone.now())
    return redirect("scoring:routing")


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def answering_edit(request: HttpRequest, slug: str) -> HttpResponse:
    """How long sales has to answer leads of a model."""
    model = access.editable_model_or_404(slug)
    names = ("answer_within_hours", "routing", "escalate_after_hours")
    initial = {name: getattr(model, name) for name in names} | {"escalate_to": model.escalate_to_id}
    form = AnsweringForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        actions.change_answering(model, **form.cleaned_data, actor=_user(request), now=timezone.now())
        messages.success(request, _("Saved. It holds for leads handed over from now on."))
        return redirect("scoring:routing")
    context = {"form": form, "model": model, "tab": "routing"}
    return render(request, "scoring/answering_edit.html", context, status=422 if form.errors else 200)


# --- desks --------------------------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@require("see")
def desk_list(request: HttpRequest) -> HttpResponse:
    """Everybody who owns leads, and the days off of the company. Five statements."""
    text = "\n".join(f"{day:%Y-%m-%d} {name}".strip() for day, name in _days_off(None))
    form = HolidaysForm(request.POST or None, initial={"holidays": text})
    if request.method == "POST":
        if not can(request.user, "configure"):
            raise PermissionDenied
        if form.is_valid():
            actions.save_company_holidays(form.cleaned_data["holidays"], actor=_user(request), now=timezone.now())
            messages.success(request, _("Saved. It counts for leads handed over from now on."))
            return redirect("scoring:desk-list")
    owners = list(Owner.objects.select_related("desk", "user").order_by(Lower("name"), "pk"))
    loads = queries.open_loads([owner.pk for owner in owners])
    context = {
        "tab": "desks",
        "owners": [(owner, getattr(owner, "desk", None), loads.get(owner.pk, 0)) for owner in owners],
        "form": form,
        "today": timezone.localdate(),
    }
    return render(request, "scoring/desk_list.html", context, status=422 if form.errors else 200)


def _days_off(owner: Owner | None) -> list[tuple[Any, str]]:
    return list(Holiday.objects.filter(owner=owner).values_list("on", "name"))


@require_http_methods(["GET", "POST"])
@require("see")
def desk_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """An owner's hours, absence and capacity: their own, or for an admin anybody's."""
    owner = get_object_or_404(Owner.objects.select_related("user"), pk=pk)
    is_admin = can(request.user, "configure")
    if not is_admin and owner.user_id != request.user.pk:
        raise PermissionDenied
    desk = Desk.objects.filter(owner=owner).first()
    now = timezone.now()
    if request.method == "POST" and request.POST.get("to") in ("left", "back"):
        if not is_admin:
            raise PermissionDenied
        return _leave_or_return(request, owner)
    text = "\n".join(f"{day:%Y-%m-%d} {name}".strip() for day, name in _days_off(owner))
    form = DeskForm(request.POST or None, initial=DeskForm.values_of(desk) | {"holidays": text})
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        holidays = values.pop("holidays")
        actions.save_desk(owner, values=values, holidays=holidays, actor=_user(request), now=now)
        messages.success(request, _("Saved. It counts for leads handed over from now on."))
        return redirect("scoring:desk-list")
    context = {"form": form, "owner": owner, "desk": desk, "tab": "desks", "is_admin": is_admin}
    return render(request, "scoring/desk_edit.html", context, status=422 if form.errors else 200)


def _leave_or_return(request: HttpRequest, owner: Owner) -> HttpResponse:
    if request.POST.get("to") == "back":
        actions.owner_returns(owner, actor=_user(request), now=timezone.now())
        messages.success(request, _("%(name)s gets leads again.") % {"name": owner})
    else:
        moved = actions.owner_leaves(owner, actor=_user(request), now=timezone.now())
        messages.success(
            request,
            _("%(name)s gets no leads any more; open ones routed anew: %(moved)s.") % {"name": owner, "moved": moved},
        )
    return redirect("scoring:desk-list")


# --- reasons ------------------------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def reason_list(request: HttpRequest) -> HttpResponse:
    """What sales may say, with how often each was said. Two statements."""
    said = dict(
        HandOff.objects.exclude(answer_reason=None).values_list("answer_reason").annotate(Count("pk")).order_by()
    )
    rows = [(reason, said.get(reason.pk, 0)) for reason in AnswerReason.objects.all()]
    return render(request, "scoring/reason_list.html", {"tab": "reasons", "rows": rows})


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def reason_edit(request: HttpRequest, pk: str | None = None) -> HttpResponse:
    reason = get_object_or_404(AnswerReason, pk=pk) if pk else None
    form = ReasonForm(request.POST or None, instance=reason)
    if request.method == "POST" and form.is_valid():
        row = form.save(commit=False)
        actions.save_reason(row, fields=form.changed_data, actor=_user(request), now=timezone.now())
        messages.success(request, _("Saved."))
        return redirect("scoring:reason-list")
    context = {"form": form, "reason": reason, "tab": "reasons"}
    return render(request, "scoring/reason_edit.html", context, status=422 if form.errors else 200)


# --- the hand-off of a draft --------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@require("edit_rules")
def draft_hand_off(request: HttpRequest, slug: str) -> HttpResponse:
    """When the draft hands over: besides the threshold a condition, a lower line, or not at all."""
    model = access.editable_model_or_404(slug)
    draft = actions.draft_of(model, now=timezone.now())
    form = HandOffForm(request.POST or None, initial=HandOffForm.values_of(draft))
    if request.method == "POST" and form.is_valid():
        try:
            actions.change_hand_off(draft, **form.cleaned_data, actor=_user(request), now=timezone.now())
        except (Refused, BadConditions) as error:
            form.add_error(None, str(error))
        else:
            messages.success(request, _("The hand-off of the draft is saved. Nothing changes until you publish."))
            return redirect("scoring:model-draft", model.slug)
    context = {"form": form, "model": model, "draft": draft}
    return render(request, "scoring/draft_hand_off.html", context, status=422 if form.errors else 200)


@require_GET
@require("edit_rules")
def publish_backlog(request: HttpRequest, slug: str) -> HttpResponse:
    """How many working days “the best so many a day” takes, as one types."""
    access.editable_model_or_404(slug)
    count, per_day = (_whole(request.GET.get(name)) for name in ("count", "backlog_per_day"))
    days = -(-count // per_day) if count and per_day else None
    return render(
        request, "scoring/_publish_backlog.html", {"slug": slug, "count": count, "per_day": per_day, "days": days}
    )


def _whole(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 12 else 0
