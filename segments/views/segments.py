"""Pages of segments: page, save as a decision, members, why, versions, by hand, archive, export."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from leads import lists
from leads.access import require
from leads.actions import audit
from leads.models import Contact, Stage
from segments import actions, graph, overview, pages, queries_pages, renaming, why
from segments.conditions import BadConditions, Catalogue
from segments.definition_kinds import contacts_named
from segments.forms.segments import PeopleForm, SegmentForm
from segments.models import Membership, Segment, SegmentOverride, SegmentVersion
from segments.words import why_in_words

MOST_LISTED = 500
TREND_DAYS = 90
TREND_PERIODS = ("30", "90", "365")
MOST_CANDIDATES = 8
MEMBERS_A_PAGE = 25

JOINED = lists.Order("joined", "", ("since", "id"), True, (datetime, int))
LEFT = lists.Order("left", "", ("until", "id"), True, (datetime, int))


@dataclass(frozen=True)
class Period:
    """Days that the lists of members, joined and left are narrowed to, in the workspace's zone; each end may be open."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, request: HttpRequest) -> Period:
        return cls(_day(request.GET.get("from", "")), _day(request.GET.get("to", "")))

    @property
    def kept(self) -> str:
        """For the addresses of further pages."""
        days = {"from": self.first, "to": self.last}
        return "".join(f"&{key}={day.isoformat()}" for key, day in days.items() if day)

    def of_stays(self, stays: QuerySet[Membership], column: str) -> QuerySet[Membership]:
        if self.first:
            stays = stays.filter(**{f"{column}__gte": datetime.combine(self.first, time(), _zone())})
        if self.last:
            stays = stays.filter(**{f"{column}__lt": datetime.combine(self.last + timedelta(days=1), time(), _zone())})
        return stays


def _day(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1900 <= found.year <= 2100 else None


def _zone() -> ZoneInfo:
    """The workspace's (WorkspaceMiddleware)."""
    here = timezone.get_current_timezone()
    assert isinstance(here, ZoneInfo)
    return here


@require_GET
@require("see")
def segment_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Some twelve statements; members are read by page."""
    segment = _segment(slug, _with_counts_by_hand())
    asked = request.GET.get("days", "")
    period = int(asked) if asked in TREND_PERIODS else TREND_DAYS
    today = timezone.now().astimezone(_zone()).date()
    sizes = queries_pages.sizes_by_day({segment.pk: segment.member_count}, days=period, today=today, zone=_zone())
    days = sizes[segment.pk]
    known = graph.definitions()
    return render(
        request,
        "segments/segment_detail.html",
        {
            **_members(request, segment),
            "segment": segment,
            "sentence": pages.in_words(segment.conditions, pages.catalogue_with(known)),
            "users": graph.users_of(known).get(segment.key, []),
            "trend": {
                "days": [day.isoformat() for day, _size, _joined, _left in days],
                "members": [size for _day, size, _joined, _left in days],
                "joined": [joined for _day, _size, joined, _left in days],
                "left": [-left for _day, _size, _joined, left in days],
                "words": {"members": _("Members"), "joined": _("Joined"), "left": _("Left")},
                "address": reverse("segments:segment-detail", args=[slug]),
            },
            "period": period,
            "periods": [int(days) for days in TREND_PERIODS],
            "joined_count": sum(joined for _day, _size, joined, _left in days),
            "left_count": sum(left for _day, _size, _joined, left in days),
            "first_day": days[0][0].isoformat(),
            "last_day": today.isoformat(),
        },
    )


def _with_counts_by_hand() -> QuerySet[Segment]:
    by_hand = {
        f"{verdict}_count": Count("overrides", filter=Q(overrides__verdict=verdict))
        for verdict in SegmentOverride.Verdict.values
    }
    return Segment.objects.annotate(**by_hand)


@require_GET
@require("see")
def segment_now(request: HttpRequest, slug: str) -> HttpResponse:
    """The size of a segment that the engine is working out, asked every two seconds until it is done."""
    segment = _segment(slug, _with_counts_by_hand())
    if not request.headers.get("HX-Request"):
        return redirect("segments:segment-detail", slug=slug)
    context = {"segment": segment, "sentence": pages.in_words(segment.conditions), "is_news": True}
    return render(request, "segments/_segment_now.html", context)


@require_GET
@require("see")
def segment_members(request: HttpRequest, slug: str) -> HttpResponse:
    """The list of the segment's page, alone: members, joined, left, or put in and taken out by hand."""
    segment = _segment(slug)
    if not request.headers.get("HX-Request"):
        address = reverse("segments:segment-detail", args=[slug])
        return redirect(f"{address}?{request.GET.urlencode()}#segment-members")
    return render(request, "segments/_segment_members.html", {**_members(request, segment), "segment": segment})


def _members(request: HttpRequest, segment: Segment) -> dict[str, Any]:
    """One page of people. Two statements, three with a search."""
    which = request.GET.get("which", "members")
    text = request.GET.get("q", "").strip()[:200]
    stays: QuerySet[Membership] = Membership.objects.filter(segment=segment).select_related("contact__company")
    order = JOINED
    if which == "left":
        stays, order = stays.exclude(until=None), LEFT
    elif which == "by_hand":
        return _by_hand(segment)
    elif which != "joined":
        which, stays = "members", stays.filter(until=None)
    period = Period.of(request)
    stays = period.of_stays(stays, "until" if which == "left" else "since")
    words = lists.words_of(text)
    if words:
        stays = stays.filter(contact__in=lists.search_contacts(Contact.objects.all(), words))
    page = lists.page(
        stays, order, after=request.GET.get("after", ""), before=request.GET.get("before", ""), size=MEMBERS_A_PAGE
    )
    return {
        "which": which,
        "text": text,
        "period_from": period.first,
        "period_to": period.last,
        "kept": period.kept,
        "page": page,
        "stage_labels": dict(Stage.objects.values_list("slug", "label")),
        "people": [(stay, why_in_words(stay.left_why if which == "left" else stay.why)) for stay in page.rows],
    }


def _by_hand(segment: Segment) -> dict[str, Any]:
    """The newest decisions made by hand. One statement."""
    overrides = SegmentOverride.objects.filter(segment=segment).select_related("contact__company", "actor")
    newest = list(overrides.order_by("-since", "-id")[:MOST_LISTED])
    return {
        "which": "by_hand",
        "text": "",
        "overrides": [(row, why_in_words(row.cause)) for row in newest],
        "most": MOST_LISTED,
    }


# --- saving is a decision ---------------------------------------------------------------------------------------------------


@require("edit_rules")
def segment_new(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        initial = {"owner": request.user.pk, "folder": request.GET.get("folder", "")[:100]}
        return _form_page(request, SegmentForm(initial=initial), None)
    return _decide(request, None)


@require("edit_rules")
def segment_edit(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    if segment.archived_at:
        messages.warning(
            request, _("“%(name)s” is archived; take it out of the archive to change it.") % {"name": segment.name}
        )
        return redirect("segments:segment-detail", slug=slug)
    if request.method != "POST":
        form = SegmentForm(initial=_initial(segment, segment.conditions), segment=segment)
        return _form_page(request, form, segment)
    return _decide(request, segment)


def _initial(segment: Segment, conditions: Any) -> dict[str, Any]:
    return {
        "version": segment.version,
        "name": segment.name,
        "folder": segment.folder,
        "labels": ", ".join(segment.labels),
        "notes": segment.notes,
        "owner": segment.owner_id,
        "conditions": conditions,
        "everybody": conditions == actions.EVERYBODY,
    }


def _decide(request: HttpRequest, segment: Segment | None) -> HttpResponse:
    """Form → what the save would do → save. A change of words only is saved at once; nothing that was typed is ever lost."""
    form = SegmentForm(request.POST, segment=segment)
    step = request.POST.get("step", "review")
    if not form.is_valid():
        return _form_page(request, form, segment, status=422)
    if step == "edit":
        return _form_page(request, form, segment)
    if segment is not None and form.cleaned_data["version"] != segment.version:
        return _told(request, form, segment)
    now = timezone.now()
    try:
        proposal = pages.propose(
            segment,
            name=form.cleaned_data["name"],
            mode=form.chosen_mode,
            conditions=form.cleaned_data.get("conditions"),
            everybody=bool(form.cleaned_data.get("everybody")),
            now=now,
        )
        is_meant = not proposal.is_jump or proposal.is_meant(request.POST.get("is_meant", ""))
        if proposal.is_new_rule and (step != "save" or not is_meant):
            return _review_page(request, segment, proposal, is_asked=step == "save")
        saved = _save(request, form, segment, proposal)
    except actions.SavedMeanwhile as meanwhile:
        return _told(request, form, meanwhile.theirs)
    except BadConditions as error:
        for problem in error.problems:
            form.add_error("conditions", f"{problem.path}: {problem.message}" if problem.path else problem.message)
        return _form_page(request, form, segment, status=422)
    except actions.SegmentRefused as refused:
        form.add_error("conditions" if "conditions" in form.fields else None, str(refused))
        return _form_page(request, form, segment, status=422)
    messages.success(
        request,
        _("“%(name)s” is saved. Members are being worked out.") % {"name": saved.name}
        if proposal.is_new_rule
        else _("“%(name)s” is saved.") % {"name": saved.name},
    )
    return redirect("segments:segment-detail", slug=saved.slug)


def _save(request: HttpRequest, form: SegmentForm, segment: Segment | None, proposal: pages.Proposal) -> Segment:
    cleaned = form.cleaned_data
    difference = proposal.difference
    return actions.save_segment(
        segment,
        name=cleaned["name"],
        conditions=proposal.conditions,
        actor=_user(request),
        now=timezone.now(),
        mode=form.chosen_mode,
        notes=cleaned["notes"],
        folder=cleaned["folder"],
        labels=cleaned["labels"],
        owner=cleaned["owner"],
        version=cleaned["version"] if segment else None,
        reason=cleaned.get("reason", ""),
        everybody=bool(cleaned.get("everybody")),
        joining=difference.joining if difference else None,
        leaving=difference.leaving if difference else None,
    )


def _form_page(
    request: HttpRequest, form: SegmentForm, segment: Segment | None, *, status: int = 200, **more: Any
) -> HttpResponse:
    offered = overview.choices()
    context = {"form": form, "segment": segment, "folders": offered.folders, "labels": offered.labels, **more}
    return render(request, "segments/segment_form.html", context, status=status)


def _review_page(
    request: HttpRequest, segment: Segment | None, proposal: pages.Proposal, *, is_asked: bool
) -> HttpResponse:
    """What was typed travels along in hidden fields, so that going back loses nothing."""
    dropped = {"csrfmiddlewaretoken", "step", "is_meant"}
    typed = [(key, value) for key, values in request.POST.lists() if key not in dropped for value in values]
    context = {
        "segment": segment,
        "proposal": proposal,
        "typed": typed,
        "is_asked": is_asked,
        "factor": proposal.factor,
    }
    return render(request, "segments/segment_review.html", context, status=422 if is_asked else 200)


def _told(request: HttpRequest, form: SegmentForm, theirs: Segment) -> HttpResponse:
    """Somebody saved first: their version is shown, ours stays in the form; saving once more is a decision with theirs in sight."""
    form.data = request.POST.copy()
    form.data["version"] = str(theirs.version)
    last = SegmentVersion.objects.filter(segment=theirs).select_related("saved_by").first()
    return _form_page(
        request,
        form,
        theirs,
        status=409,
        theirs=theirs,
        their_version=last,
        their_sentence=pages.in_words(theirs.conditions),
        mine_sentence=pages.in_words(form.cleaned_data.get("conditions")),
        their_changes=pages.changes_between(theirs.conditions, form.cleaned_data.get("conditions"), Catalogue()),
        their_words=_words_of_theirs(form, theirs),
    )


def _words_of_theirs(form: SegmentForm, theirs: Segment) -> list[tuple[str, str]]:
    """What the other editor's words are, where they differ from mine: label and their value."""
    stored = _initial(theirs, None)
    found = []
    for name in ("name", "folder", "labels", "notes"):
        mine = form.cleaned_data[name]
        if (", ".join(mine) if name == "labels" else mine) != stored[name]:
            found.append((str(form.fields[name].label), stored[name]))
    if (form.cleaned_data["owner"].pk if form.cleaned_data["owner"] else None) != theirs.owner_id:
        found.append((str(form.fields["owner"].label), str(theirs.owner or "")))
    return found


# --- versions ---------------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def segment_versions(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    catalogue = Catalogue()
    versions = list(SegmentVersion.objects.filter(segment=segment).select_related("saved_by")[:MOST_LISTED])
    rows = []
    for version, before in zip(versions, [*versions[1:], None], strict=True):
        is_same = before is not None and before.conditions == version.conditions
        changes = pages.changes_between(before.conditions, version.conditions, catalogue) if before else []
        rows.append((version, pages.in_words(version.conditions, catalogue), is_same, changes))
    return render(request, "segments/segment_versions.html", {"segment": segment, "rows": rows})


@require("edit_rules")
def segment_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """An earlier rule goes through the same decision as an edit: its difference is shown before it is saved."""
    segment = _segment(slug)
    version = get_object_or_404(SegmentVersion, segment=segment, number=number)
    initial = _initial(segment, version.conditions) | {"reason": _("Version %(number)s restored") % {"number": number}}
    return _form_page(request, SegmentForm(initial=initial, segment=segment), segment, restored=version)


# --- why --------------------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def segment_why(request: HttpRequest, slug: str) -> HttpResponse:
    """Search somebody, then see why they are in or not."""
    segment = _segment(slug)
    text = request.GET.get("q", "").strip()[:200]
    chosen = request.GET.get("contact", "")
    context: dict[str, Any] = {"segment": segment, "text": text, "candidates": [], "why": None}
    if chosen.isascii() and chosen.isdigit() and len(chosen) < 19:
        contact = get_object_or_404(Contact.objects.select_related("company"), pk=int(chosen))
        context["why"] = why.why(segment, contact, now=timezone.now())
    elif text:
        people = lists.search_contacts(Contact.objects.select_related("company"), lists.words_of(text))
        context["candidates"] = list(people.order_by("-created_at", "-id")[:MOST_CANDIDATES])
    is_fragment = bool(request.headers.get("HX-Request"))
    return render(request, "segments/_segment_why.html" if is_fragment else "segments/segment_why.html", context)


@require_GET
@require("see")
def contact_why(request: HttpRequest, pk: int) -> HttpResponse:
    """For the page of a contact: find a segment, then see why they are in it or not. Some eight statements."""
    contact = get_object_or_404(Contact.objects.select_related("company"), pk=pk)
    text = request.GET.get("q", "").strip()[:200]
    context: dict[str, Any] = {"contact": contact, "text": text, "candidates": [], "why": None}
    if slug := request.GET.get("segment", ""):
        context["why"] = why.why(_segment(slug), contact, now=timezone.now())
    elif text:
        found = Segment.objects.in_use()
        for word in text.split():
            found = found.filter(Q(name__icontains=word) | Q(slug__icontains=word))
        candidates = list(found.order_by("name")[:MOST_CANDIDATES])
        stays = Membership.objects.filter(contact=contact, until=None, segment__in=candidates)
        inside = set(stays.values_list("segment_id", flat=True))
        context["candidates"] = [(segment, segment.pk in inside) for segment in candidates]
    is_fragment = bool(request.headers.get("HX-Request"))
    return render(request, "segments/_contact_why.html" if is_fragment else "segments/contact_why.html", context)


# --- by hand ----------------------------------------------------------------------------------------------------------------


@require_POST
@require("edit_rules")
def segment_people(request: HttpRequest, slug: str) -> HttpResponse:
    """Put people in, take them out, or leave them to the rule again."""
    segment = _segment(slug)
    form = PeopleForm(request.POST, request.FILES)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("segments:segment-detail", slug=slug)
    ids, unknown = contacts_named(form.cleaned_data["names"])
    try:
        _done_by_hand(request, segment, form.cleaned_data["verb"], ids, form.cleaned_data["reason"])
    except actions.SegmentRefused as refused:
        messages.error(request, str(refused))
    if unknown:
        shown = ", ".join(unknown[:5]) + (" …" if len(unknown) > 5 else "")
        messages.warning(
            request,
            ngettext("Not known here: %(names)s", "%(count)s are not known here: %(names)s", len(unknown))
            % {"names": shown, "count": len(unknown)},
        )
    return redirect("segments:segment-detail", slug=slug)


def _done_by_hand(request: HttpRequest, segment: Segment, verb: str, ids: list[int], reason: str) -> None:
    if not ids:
        return
    now = timezone.now()
    if verb == PeopleForm.LEAVE:
        count = actions.leave_to_rule(segment, contact_ids=ids, now=now)
        messages.success(
            request,
            ngettext(
                "Left to the rule; %(count)s person changed.", "Left to the rule; %(count)s people changed.", count
            )
            % {"count": count},
        )
        return
    act = actions.add_to_segment if verb == PeopleForm.ADD else actions.remove_from_segment
    count = act(segment, contact_ids=ids, cause="by_hand", actor=_user(request), now=now, reason=reason)
    if verb == PeopleForm.ADD:
        words = ngettext("%(count)s person joined.", "%(count)s people joined.", count)
    else:
        words = ngettext("%(count)s person left.", "%(count)s people left.", count)
    messages.success(request, words % {"count": count})


# --- whole segments -----------------------------------------------------------------------------------------------------------


@require_POST
@require("edit_rules")
def segment_duplicate(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    name = request.POST.get("name", "").strip()[:200] or _("Copy of %(name)s") % {"name": segment.name}
    try:
        copy = actions.duplicate_segment(
            segment,
            name=name[:200],
            as_fixed=request.POST.get("as_fixed") == "yes",
            actor=_user(request),
            now=timezone.now(),
        )
    except (actions.SegmentRefused, BadConditions) as refused:
        messages.error(request, str(refused))
        return redirect("segments:segment-detail", slug=slug)
    messages.success(request, _("“%(name)s” is made.") % {"name": copy.name})
    return redirect("segments:segment-detail", slug=copy.slug)


@require_POST
@require("edit_rules")
def segment_rename(request: HttpRequest, slug: str) -> HttpResponse:
    """Another slug; every stored rule that names the segment follows."""
    segment = _segment(slug)
    try:
        renamed = renaming.rename_segment(
            segment, slug=request.POST.get("slug", "").strip(), actor=_user(request), now=timezone.now()
        )
    except actions.SegmentRefused as refused:
        messages.error(request, str(refused))
        return redirect("segments:segment-detail", slug=slug)
    messages.success(
        request,
        ngettext(
            "The slug is “%(slug)s” now; %(count)s rule followed.",
            "The slug is “%(slug)s” now; %(count)s rules followed.",
            renamed.documents,
        )
        % {"slug": renamed.slug, "count": renamed.documents},
    )
    return redirect("segments:segment-detail", slug=renamed.slug)


@require_POST
@require("edit_rules")
def segment_archive(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    try:
        actions.archive_segment(segment, actor=_user(request), now=timezone.now())
    except actions.SegmentRefused as refused:
        messages.error(request, str(refused))
        return redirect("segments:segment-detail", slug=slug)
    messages.success(request, _("“%(name)s” is in the archive.") % {"name": segment.name})
    return redirect("segments:segment-list")


@require_POST
@require("edit_rules")
def segment_unarchive(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    try:
        actions.unarchive_segment(segment, actor=_user(request), now=timezone.now())
    except actions.SegmentRefused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _("“%(name)s” is in use again.") % {"name": segment.name})
    return redirect("segments:segment-detail", slug=slug)


@require_POST
@require("edit_rules")
def segment_delete(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    try:
        actions.delete_segment(segment, actor=_user(request), now=timezone.now())
    except actions.SegmentRefused as refused:
        messages.error(request, str(refused))
        return redirect("segments:segment-detail", slug=slug)
    messages.success(request, _("“%(name)s” is deleted.") % {"name": segment.name})
    return redirect("segments:segment-list")


@require_GET
@require("export")
def segment_export(request: HttpRequest, slug: str) -> StreamingHttpResponse:
    segment = _segment(slug)
    now = timezone.now()
    audit(_user(request), "exported", segment, {"members": segment.member_count}, now=now)
    response = StreamingHttpResponse(pages.export_rows(segment), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(segment.slug)}-{now:%Y-%m-%d}.csv"'
    return response


def _segment(slug: str, segments: QuerySet[Segment] | None = None) -> Segment:
    found = Segment.objects.all() if segments is None else segments
    segment = found.select_related("owner").filter(slug=slug).first()
    if segment is None:
        raise Http404
    return segment


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
