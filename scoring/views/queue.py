"""The MQL queue: leads with the reasons, one key press to answer; hand-offs behind the numbers of the reports."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import F, Q, QuerySet
from django.db.models.functions import TruncDate
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from leads import lists
from leads.access import can, require
from leads.models import Owner
from leads.workspace import workspace, zone
from scoring import access, actions, pages
from scoring.actions import Refused
from scoring.business_hours import calendar_of
from scoring.forms import AnswerForm, AssignForm
from scoring.models import AnswerReason, HandOff, Rule, ScoreModel

TABS = {
    "mine": gettext_lazy("Mine"),
    "unassigned": gettext_lazy("Unassigned"),
    "all": gettext_lazy("All open"),
    "late": gettext_lazy("Late"),
    "answered": gettext_lazy("Answered"),
}
WAITING = lists.Order("waiting", "", ("due_at", "grade", "id"), False, (datetime, str, int))
ANSWERED = lists.Order("answered", "", ("answered_at", "id"), True, (datetime, int))
NEWEST = lists.Order("newest", "", ("id",), True, (int,))
PAGE_SIZE = 30


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _rows() -> QuerySet[HandOff]:
    return HandOff.objects.select_related("contact", "model", "owner__user", "answered_by", "answer_reason")


def _of_tab(tab: str, user: User, now: datetime) -> QuerySet[HandOff]:
    match tab:
        case "mine":
            return _rows().mine(user)  # type: ignore[attr-defined, no-any-return]
        case "unassigned":
            return _rows().unassigned()  # type: ignore[attr-defined, no-any-return]
        case "late":
            return _rows().late(now)  # type: ignore[attr-defined, no-any-return]
        case "answered":
            return _rows().answered()  # type: ignore[attr-defined, no-any-return]
    return _rows().open()  # type: ignore[attr-defined, no-any-return]


def counts(user: User, now: datetime) -> dict[str, int]:
    """How many stand in each tab but “answered”. Four statements along the partial indexes of open hand-offs."""
    return {
        "mine": HandOff.objects.mine(user).count(),
        "unassigned": HandOff.objects.unassigned().count(),
        "all": HandOff.objects.open().count(),
        "late": HandOff.objects.late(now).count(),
    }


def _context(request: HttpRequest, *, opened: int | None = None) -> dict[str, Any]:
    """The list of a tab with the opened lead beside it. Some ten statements, whatever the number of leads."""
    now = timezone.now()
    user = _user(request)
    numbers = counts(user, now)
    tab = request.GET.get("tab", "")
    if tab not in TABS:
        tab = "mine" if numbers["mine"] else "all"
    calendar = calendar_of(workspace())
    page = lists.page(
        _of_tab(tab, user, now),
        ANSWERED if tab == "answered" else WAITING,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
        size=PAGE_SIZE,
    )
    leads = [pages.lead(row, calendar, now) for row in page.rows]
    asked = opened or _number(request.GET.get("open"))
    shown = next((lead for lead in leads if lead.hand_off.pk == asked), None)
    if shown is None and asked:
        row = access.hand_off_or_404(asked)
        shown = pages.lead(row, calendar, now)
    if shown is None and leads:
        shown = leads[0]
    return {
        "tab": tab,
        "tabs": [(key, label, numbers.get(key)) for key, label in TABS.items()],
        "leads": leads,
        "page": page,
        "lead": shown,
        "now": now,
        "is_asked": bool(asked),
        **_answer_context(request, now),
    }


def _answer_context(request: HttpRequest, now: datetime) -> dict[str, Any]:
    if not can(request.user, "answer"):
        return {"may_answer": False}
    reasons = list(AnswerReason.objects.filter(is_active=True))
    return {
        "may_answer": True,
        "reject_reasons": [one for one in reasons if one.answer == AnswerReason.Answer.REJECTED],
        "recycle_reasons": [one for one in reasons if one.answer == AnswerReason.Answer.RECYCLED],
        "owners": Owner.objects.exclude(user=None).order_by("name"),
        "today": now.astimezone(zone()).date(),
    }


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


@require_GET
@require("see")
def queue(request: HttpRequest) -> HttpResponse:
    """The whole page, or the part that changes with a tab, a page or an answer."""
    is_fragment = request.headers.get("HX-Target") == "queue-board"
    return render(request, "scoring/_queue_board.html" if is_fragment else "scoring/queue.html", _context(request))


@require_GET
@require("see")
def queue_counts(request: HttpRequest) -> HttpResponse:
    """The tabs alone, asked for every few seconds: new leads show without reloading. Five statements."""
    tab = request.GET.get("tab", "")
    now = timezone.now()
    numbers = counts(_user(request), now)
    shown = _number(request.GET.get("shown"))
    return render(
        request,
        "scoring/_queue_tabs.html",
        {
            "tab": tab,
            "tabs": [(key, label, numbers.get(key)) for key, label in TABS.items()],
            "news": tab in numbers and shown is not None and numbers[tab] != shown,
        },
    )


@require_GET
@require("see")
def hand_off_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One lead's card: the side pane of the queue, or a page of its own."""
    now = timezone.now()
    lead = pages.lead(access.hand_off_or_404(pk), calendar_of(workspace()), now)
    is_pane = request.headers.get("HX-Target") == "hand-off-card"
    tab = request.GET.get("tab", "all")
    context = {"lead": lead, "now": now, "tab": tab, "is_board": is_pane, **_answer_context(request, now)}
    return render(request, "scoring/_hand_off_card.html" if is_pane else "scoring/hand_off_detail.html", context)


# --- answers ------------------------------------------------------------------------------------------------------------------


@require_POST
@require("answer")
def hand_off_accept(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.hand_off_or_404(pk)
    try:
        actions.accept_lead(row, actor=_user(request), now=timezone.now())
    except Refused as error:
        return _done(request, pk, error=str(error))
    return _done(request, pk, told=_("%(name)s is yours.") % {"name": row.contact})


@require_POST
@require("answer")
def hand_off_reject(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.hand_off_or_404(pk)
    form = _answer_form(request, AnswerReason.Answer.REJECTED)
    if not form.is_valid():
        return _done(request, pk, error=_first_error(form), stay=True)
    try:
        actions.reject_lead(
            row,
            reason=form.cleaned_data["reason"],
            note=form.cleaned_data["note"],
            actor=_user(request),
            now=timezone.now(),
        )
    except Refused as error:
        return _done(request, pk, error=str(error))
    return _done(
        request, pk, told=_("%(name)s is rejected: %(reason)s.") % {"name": row.contact, "reason": row.answer_reason}
    )


@require_POST
@require("answer")
def hand_off_recycle(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.hand_off_or_404(pk)
    form = _answer_form(request, AnswerReason.Answer.RECYCLED)
    if not form.is_valid():
        return _done(request, pk, error=_first_error(form), stay=True)
    try:
        actions.recycle_lead(
            row,
            reason=form.cleaned_data["reason"],
            note=form.cleaned_data["note"],
            returns_at=form.returns_at,
            actor=_user(request),
            now=timezone.now(),
        )
    except Refused as error:
        return _done(request, pk, error=str(error))
    return _done(
        request,
        pk,
        told=_("%(name)s goes back to nurture: %(reason)s.") % {"name": row.contact, "reason": row.answer_reason},
    )


@require_POST
@require("answer")
def hand_off_assign(request: HttpRequest, pk: int) -> HttpResponse:
    """To an owner, to oneself (`to=me`), or to nobody."""
    row = access.hand_off_or_404(pk)
    form = AssignForm(request.POST)
    if not form.is_valid():
        return _done(request, pk, error=_first_error(form), stay=True)
    owner = actions.owner_for(_user(request)) if request.POST.get("to") == "me" else form.cleaned_data["owner"]
    try:
        actions.assign_lead(row, owner=owner, actor=_user(request), now=timezone.now())
    except Refused as error:
        return _done(request, pk, error=str(error))
    told = _("The lead is with %(name)s now.") % {"name": owner} if owner else _("The lead is unassigned now.")
    return _done(request, pk, told=told, stay=True)


def _answer_form(request: HttpRequest, answer: str) -> AnswerForm:
    here = zone()
    return AnswerForm(request.POST, answer=answer, today=timezone.now().astimezone(here).date(), zone=here)


def _first_error(form: Any) -> str:
    return str(next(iter(form.errors.values()))[0])


def _done(request: HttpRequest, pk: int, *, told: str = "", error: str = "", stay: bool = False) -> HttpResponse:
    """The board again with the next lead open (or the same one), or back to the page for those without JavaScript."""
    tab = request.POST.get("tab", "")
    if request.headers.get("HX-Request"):
        asked = request.GET.copy()
        asked["tab"] = tab
        request.GET = asked  # type: ignore[assignment]  # the stubs know only the immutable one
        following = pk if stay else _number(request.POST.get("next"))
        context = _context(request, opened=following)
        status = 422 if error and stay else 200
        return render(request, "scoring/_queue_board.html", context | {"told": told, "error": error}, status=status)
    if error:
        messages.error(request, error)
    elif told:
        messages.success(request, told)
    if stay:
        return redirect("scoring:hand-off-detail", pk)
    return redirect(f"{reverse('scoring:queue')}?tab={tab}" if tab in TABS else reverse("scoring:queue"))


# --- behind the numbers ---------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def hand_off_list(request: HttpRequest) -> HttpResponse:
    """Hand-offs behind a number: by model, rule, state, reason, month, source or persona, the newest first. Five statements."""
    rows, told, query = _chosen(request)
    page = lists.page(rows, NEWEST, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    return render(
        request,
        "scoring/hand_off_list.html",
        {
            "page": page,
            "leads": [(row, pages.thawed(row.card), pages.cause_in_words(row.cause)) for row in page.rows],
            "count": rows.count(),
            "told": told,
            "query": query,
        },
    )


def _chosen(request: HttpRequest) -> tuple[QuerySet[HandOff], list[str], str]:
    """Rows, the filters in words, and the address that keeps them."""
    asked = request.GET
    rows = _rows().select_related("contact__company")
    told: list[str] = []
    if model := ScoreModel.objects.filter(slug=asked.get("model", "")).first():
        rows, told = rows.filter(model=model), [*told, model.name]
    if asked.get("state") in HandOff.State.values:
        rows, told = rows.filter(state=asked["state"]), [*told, str(HandOff.State(asked["state"]).label)]
    if asked.get("late") == "yes":
        late = Q(answered_at__gt=F("due_at")) | Q(answered_at=None, due_at__lt=timezone.now())
        rows, told = rows.filter(late), [*told, _("late")]
    if "reason" in asked:
        reason = AnswerReason.objects.filter(pk=asked["reason"]).first()
        rows = rows.filter(answer_reason=reason)
        told.append(str(reason) if reason else _("no reason"))
    if rule := _rule(asked.get("rule", "")):
        rows, told = rows.filter(rule_keys__contains=[rule.key]), [*told, rule.name]
    if asked.get("won") == "yes":
        won = Q(
            state=HandOff.State.ACCEPTED,
            contact__dealcontact__deal__status="won",
            contact__dealcontact__deal__closed_on__gte=TruncDate("handed_over_at"),
        )
        rows = rows.filter(pk__in=HandOff.objects.filter(won).values("pk"))
        told.append(_("won"))
    if "source" in asked:
        rows, told = rows.filter(contact__source=asked["source"]), [*told, asked["source"] or _("no source")]
    if "persona" in asked:
        persona = asked["persona"]
        rows = (
            rows.filter(card__persona__name=persona)
            if persona
            else rows.filter(Q(card__persona=None) | Q(card__persona__isnull=True))
        )
        told.append(persona or _("no persona"))
    since, until = _period(asked.get("month", ""), asked.get("since", ""))
    if since:
        rows = rows.filter(handed_over_at__gte=since)
    if until:
        rows = rows.filter(handed_over_at__lt=until)
    if asked.get("month"):
        told.append(asked["month"][:7])
    kept = asked.copy()
    for key in ("after", "before"):
        kept.pop(key, None)
    return rows, told, kept.urlencode()


def _rule(text: str) -> Rule | None:
    try:
        key = UUID(text)
    except ValueError:
        return None
    return Rule.objects.filter(key=key).order_by("-version__number").first()


def _period(month: str, since: str) -> tuple[datetime | None, datetime | None]:
    """A month (2026-03) of the workspace's zone, or everything since a moment."""
    here = zone()
    try:
        start = datetime.strptime(month, "%Y-%m").replace(tzinfo=here)
        following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        return start, following
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        return None, None
    return (moment if moment.tzinfo else moment.replace(tzinfo=here)), None
