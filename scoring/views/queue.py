"""The MQL queue: leads with the reasons, one key press to answer; hand-offs behind the numbers of the reports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_POST

from leads import lists
from leads.access import can, require
from leads.models import Owner
from leads.workspace import zone
from scoring import access, actions, notices, pages, queries, recycling
from scoring.actions import Refused
from scoring.desks import calendars
from scoring.forms.answers import AnswerForm, AssignForm
from scoring.forms.queue import DealForm
from scoring.models import AnswerReason, HandOff, Rule, ScoreModel

TABS = {
    "mine": gettext_lazy("Mine"),
    "unassigned": gettext_lazy("Unassigned"),
    "all": gettext_lazy("All open"),
    "late": gettext_lazy("Late"),
    "recycled": gettext_lazy("Recycled"),
    "answered": gettext_lazy("Answered"),
}
ANSWERED_TABS = ("recycled", "answered")
WAITING = lists.Order("waiting", "", ("due_at", "grade", "id"), False, (datetime, str, int))
ANSWERED = lists.Order("answered", "", ("answered_at", "id"), True, (datetime, int))
NEWEST = lists.Order("newest", "", ("id",), True, (int,))
PAGE_SIZE = 30
STAMP_SECONDS = 300  # how long “3 h 20 min left” may stand unchanged in a list that nothing else changes
MOST_AT_ONCE = 200


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
        case "recycled":
            return _rows().recycled()  # type: ignore[attr-defined, no-any-return]
        case "answered":
            return _rows().answered()  # type: ignore[attr-defined, no-any-return]
    return _rows().open()  # type: ignore[attr-defined, no-any-return]


STAMPED = ("id", "owner_id", "state", "due_at", "grade", "answered_at")


def _page(request: HttpRequest, tab: str, now: datetime, *, is_stamp: bool = False) -> lists.Page[HandOff]:
    """The rows of the tab; for a stamp without their cards, which are nearly all of them."""
    rows = _of_tab(tab, _user(request), now)
    return lists.page(
        rows.select_related(None).only(*STAMPED) if is_stamp else rows,
        ANSWERED if tab in ANSWERED_TABS else WAITING,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
        size=PAGE_SIZE,
    )


def _tab(request: HttpRequest, numbers: dict[str, int]) -> str:
    tab = request.GET.get("tab", "")
    if tab in TABS:
        return tab
    return "mine" if numbers["mine"] else "all"


def _tabs(numbers: dict[str, int]) -> list[tuple[str, Any, int | None, bool]]:
    """(key, label, number or None, whether there are more than that)."""
    most = queries.COUNT_UP_TO
    return [
        (key, label, min(numbers[key], most) if key in numbers else None, numbers.get(key, 0) > most)
        for key, label in TABS.items()
    ]


def _leads(rows: Sequence[HandOff], now: datetime, *more: HandOff) -> list[pages.Lead]:
    """Rows with the time left, each in the business hours of its owner. Three statements."""
    hours = calendars([row.owner_id for row in (*rows, *more)])
    return [pages.lead(row, hours.of(row.owner_id), now) for row in (*rows, *more)]


def _stamp(rows: Sequence[HandOff], now: datetime) -> str:
    """Changes whenever the shown list would look different, and every few minutes for the sake of the clocks."""
    said = [f"{row.pk}:{row.owner_id}:{row.state}:{row.due_at.timestamp()}" for row in rows]
    return hashlib.md5(
        "|".join([*said, str(int(now.timestamp()) // STAMP_SECONDS)]).encode(), usedforsecurity=False
    ).hexdigest()


def _context(request: HttpRequest, *, opened: int | None = None) -> dict[str, Any]:
    """The list of a tab with the opened lead beside it. Some fifteen statements, whatever the number of leads."""
    now = timezone.now()
    user = _user(request)
    numbers = queries.queue_counts(user.pk, now=now)
    tab = _tab(request, numbers)
    page = _page(request, tab, now)
    asked = opened or _number(request.GET.get("open"))
    row = next((row for row in page.rows if row.pk == asked), None)
    if row is None and asked:
        row = access.hand_off_or_404(asked)
    if row is None and page.rows:
        row = page.rows[0]
    leads = _leads(page.rows, now, *([row] if row else []))
    shown = leads.pop() if row else None
    return {
        "tab": tab,
        "tabs": _tabs(numbers),
        "leads": leads,
        "page": page,
        "after": request.GET.get("after", ""),
        "before": request.GET.get("before", ""),
        "stamp": _stamp(page.rows, now),
        "lead": shown,
        "now": now,
        "is_asked": bool(asked),
        **_card_context(request, row, now),
    }


def _card_context(request: HttpRequest, row: HandOff | None, now: datetime) -> dict[str, Any]:
    if row is None:
        return {"may_answer": can(request.user, "answer"), **_answer_context(request, now)}
    return {
        **_answer_context(request, now),
        "history": list(row.events.select_related("actor", "owner")),
        "may_undo": can(request.user, "answer") and actions.may_undo(row, actor=_user(request), now=now),
        "deal_form": DealForm(),
    }


def _answer_context(request: HttpRequest, now: datetime) -> dict[str, Any]:
    if not can(request.user, "answer"):
        return {"may_answer": False}
    reasons = list(AnswerReason.objects.filter(is_active=True))
    return {
        "may_answer": True,
        "reject_reasons": [one for one in reasons if one.answer == AnswerReason.Answer.REJECTED],
        "recycle_reasons": [one for one in reasons if one.answer == AnswerReason.Answer.RECYCLED],
        "owners": Owner.objects.exclude(user=None).filter(desk__left_at=None).order_by("name"),
        "programs": recycling.programs(),
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
    """The tabs alone, asked for every two seconds. The answer says when the list or the opened lead has changed. Two statements, three with a lead."""
    now = timezone.now()
    numbers = queries.queue_counts(_user(request).pk, now=now)
    tab = _tab(request, numbers)
    stamp = _stamp(_page(request, tab, now, is_stamp=True).rows, now)
    shown = _number(request.GET.get("open"))
    response = render(
        request,
        "scoring/_queue_tabs.html",
        {
            "tab": tab,
            "tabs": _tabs(numbers),
            "stamp": stamp,
            "after": request.GET.get("after", ""),
            "before": request.GET.get("before", ""),
        },
    )
    told = []
    if stamp != request.GET.get("stamp"):
        told.append("queue-changed")
    if shown and not HandOff.objects.filter(pk=shown, state=request.GET.get("state", "")).exists():
        told.append("lead-changed")
    if told:
        response["HX-Trigger-After-Swap"] = ", ".join(told)
    return response


@require_GET
@require("see")
def queue_rows(request: HttpRequest) -> HttpResponse:
    """The list alone, as it is now; the opened lead beside it is left alone."""
    now = timezone.now()
    tab = request.GET.get("tab", "all")
    page = _page(request, tab if tab in TABS else "all", now)
    context = {"tab": tab, "leads": _leads(page.rows, now), "page": page, "may_answer": can(request.user, "answer")}
    context |= {"after": request.GET.get("after", ""), "before": request.GET.get("before", "")}
    return render(request, "scoring/_queue_list.html", context)


@require_GET
@require("see")
def hand_off_detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One lead's card: the side pane of the queue, or a page of its own."""
    now = timezone.now()
    row = access.hand_off_or_404(pk)
    is_pane = request.headers.get("HX-Target") == "hand-off-card"
    notices.read(_user(request), now=now, hand_off_id=row.pk)
    context = {
        "lead": _leads([row], now)[0],
        "now": now,
        "tab": request.GET.get("tab", "all"),
        "is_board": is_pane,
        **_card_context(request, row, now),
    }
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
    return _done(request, pk, told=_("%(name)s is yours.") % {"name": row.contact}, answered=row)


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
            misleading=_misleading(request),
            actor=_user(request),
            now=timezone.now(),
        )
    except Refused as error:
        return _done(request, pk, error=str(error))
    return _done(
        request,
        pk,
        told=_("%(name)s is rejected: %(reason)s.") % {"name": row.contact, "reason": row.answer_reason},
        answered=row,
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
            program=request.POST.get("program", "")[:100],
            misleading=_misleading(request),
            actor=_user(request),
            now=timezone.now(),
        )
    except Refused as error:
        return _done(request, pk, error=str(error))
    return _done(
        request,
        pk,
        told=_("%(name)s goes back to nurture: %(reason)s.") % {"name": row.contact, "reason": row.answer_reason},
        answered=row,
    )


def _misleading(request: HttpRequest) -> list[UUID]:
    """Rules of the card that were ticked as misleading."""
    found = []
    for text in request.POST.getlist("misleading")[:MOST_AT_ONCE]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


@require_POST
@require("answer")
def hand_off_undo(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.hand_off_or_404(pk)
    program = row.program if row.program_entered_at else ""
    try:
        actions.undo_answer(row, actor=_user(request), now=timezone.now())
    except Refused as error:
        return _done(request, pk, error=str(error))
    told = _("%(name)s is open again.") % {"name": row.contact}
    if program:
        told += " " + _("The program “%(name)s” has taken the contact in already.") % {"name": program}
    return _done(request, pk, told=told, stay=True)


@require_POST
@require("answer")
def hand_off_deal(request: HttpRequest, pk: int) -> HttpResponse:
    row = access.hand_off_or_404(pk)
    form = DealForm(request.POST)
    if not form.is_valid():
        return _done(request, pk, error=_first_error(form), stay=True)
    try:
        deal = actions.open_deal(row, **form.cleaned_data, actor=_user(request), now=timezone.now())
    except Refused as error:
        return _done(request, pk, error=str(error), stay=True)
    return _done(request, pk, told=_("%(deal)s is open.") % {"deal": deal}, stay=True)


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
        note = request.POST.get("note", "")
        actions.assign_lead(row, owner=owner, note=note, actor=_user(request), now=timezone.now())
    except Refused as error:
        return _done(request, pk, error=str(error))
    told = _("The lead is with %(name)s now.") % {"name": owner} if owner else _("The lead is unassigned now.")
    return _done(request, pk, told=told, stay=True)


@require_POST
@require("answer")
def queue_bulk(request: HttpRequest) -> HttpResponse:
    """One answer for all chosen leads. Each counts for itself: one that somebody took meanwhile does not stop the others."""
    ids = [pk for pk in (_number(text) for text in request.POST.getlist("lead")) if pk][:MOST_AT_ONCE]
    verb = request.POST.get("verb", "")
    if not ids:
        return _done(request, None, error=_("Choose leads first: tick them, or press X."))
    form = None
    if verb in ("reject", "recycle"):
        answer = AnswerReason.Answer.REJECTED if verb == "reject" else AnswerReason.Answer.RECYCLED
        asked = request.POST.copy()
        asked["reason"] = asked.get(f"{verb}_reason", "")
        form = _answer_form(request, answer, asked)
        if not form.is_valid():
            return _done(request, None, error=_first_error(form))
    elif verb not in ("accept", "assign"):
        return _done(request, None, error=_("Choose what to do with them."))
    done, refused = 0, list[str]()
    for row in HandOff.objects.select_related("contact", "model").filter(pk__in=ids).order_by("due_at", "pk"):
        try:
            _one_of_many(request, row, verb, form)
            done += 1
        except Refused as error:
            refused.append(f"{row.contact}: {error}")
    words = {
        "accept": ngettext("%(n)d lead is yours.", "%(n)d leads are yours.", done),
        "reject": ngettext("%(n)d lead is rejected.", "%(n)d leads are rejected.", done),
        "recycle": ngettext("%(n)d lead goes back to nurture.", "%(n)d leads go back to nurture.", done),
        "assign": ngettext("%(n)d lead is assigned.", "%(n)d leads are assigned.", done),
    }
    return _done(request, None, told=words[verb] % {"n": done} if done else "", error=" ".join(refused[:5]))


def _one_of_many(request: HttpRequest, row: HandOff, verb: str, form: AnswerForm | None) -> None:
    user, now = _user(request), timezone.now()
    match verb:
        case "accept":
            actions.accept_lead(row, actor=user, now=now)
        case "assign":
            owner = Owner.objects.filter(pk=_number(request.POST.get("owner")) or 0).first()
            actions.assign_lead(row, owner=owner, actor=user, now=now)
        case "reject":
            assert form is not None
            actions.reject_lead(row, reason=form.cleaned_data["reason"], actor=user, now=now)
        case _:
            assert form is not None
            actions.recycle_lead(
                row, reason=form.cleaned_data["reason"], returns_at=form.returns_at, actor=user, now=now
            )


def _answer_form(request: HttpRequest, answer: str, data: Any = None) -> AnswerForm:
    here = zone()
    today = timezone.now().astimezone(here).date()
    return AnswerForm(request.POST if data is None else data, answer=answer, today=today, zone=here)


def _first_error(form: Any) -> str:
    return str(next(iter(form.errors.values()))[0])


def _done(
    request: HttpRequest,
    pk: int | None,
    *,
    told: str = "",
    error: str = "",
    stay: bool = False,
    answered: HandOff | None = None,
) -> HttpResponse:
    """The board again with the next lead open (or the same one), or back to the page for those without JavaScript."""
    tab = request.POST.get("tab", "")
    if request.headers.get("HX-Request"):
        asked = request.GET.copy()
        asked["tab"] = tab
        request.GET = asked  # type: ignore[assignment]  # the stubs know only the immutable one
        following = pk if stay else _number(request.POST.get("next"))
        context = _context(request, opened=following) | {"told": told, "error": error, "answered": answered}
        status = 422 if error and (stay or pk is None) and not told else 200
        return render(request, "scoring/_queue_board.html", context, status=status)
    if error:
        messages.error(request, error)
    if told:
        messages.success(request, told)
    if stay and pk is not None:
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
    elif asked.get("state") == "answered":
        rows, told = rows.filter(answered_at__isnull=False), [*told, _("answered")]
    if asked.get("late") == "yes":
        late = Q(answered_at__gt=F("due_at")) | Q(answered_at=None, due_at__lt=timezone.now())
        rows, told = rows.filter(late), [*told, _("late")]
    if "reason" in asked:
        reason = AnswerReason.objects.filter(pk=asked["reason"]).first()
        rows = rows.filter(answer_reason=reason)
        told.append(str(reason) if reason else _("no reason"))
    if rule := _rule(asked.get("rule", "")):
        rows, told = rows.filter(rule_keys__contains=[rule.key]), [*told, rule.name]
    if misleading := _rule(asked.get("misleading", "")):
        rows = rows.filter(misleading__contains=[misleading.key])
        told.append(_("“%(rule)s” marked as misleading") % {"rule": misleading.name})
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
