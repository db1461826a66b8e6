"""Pages of segments: list, page, save as a decision, members, why, versions, by hand, archive, export."""

from __future__ import annotations

from datetime import datetime
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
from segments import actions, graph, pages, queries
from segments.conditions import BadConditions, Catalogue
from segments.definition_kinds import contacts_named
from segments.forms import PeopleForm, SegmentForm
from segments.models import Membership, Segment, SegmentOverride, SegmentVersion
from segments.words import why_in_words

MOST_LISTED = 500
TREND_DAYS = 90
MOST_CANDIDATES = 8
MEMBERS_A_PAGE = 25

JOINED = lists.Order("joined", "", ("since", "id"), True, (datetime, int))
LEFT = lists.Order("left", "", ("until", "id"), True, (datetime, int))


@require_GET
@require("see")
def segment_list(request: HttpRequest) -> HttpResponse:
    """Some eight statements, whatever the number of segments."""
    text, folder, mode = (request.GET.get(key, "").strip()[:200] for key in ("q", "folder", "mode"))
    is_archive = request.GET.get("archived") == "yes"
    segments = Segment.objects.exclude(archived_at=None) if is_archive else Segment.objects.in_use()
    if text:
        segments = segments.filter(Q(name__icontains=text) | Q(notes__icontains=text) | Q(slug__icontains=text))
    if folder:
        segments = segments.filter(folder=folder)
    if mode in Segment.Mode.values:
        segments = segments.filter(mode=mode)
    found = list(segments.select_related("owner").order_by("folder", "name")[: MOST_LISTED + 1])
    users = graph.users_of(graph.definitions())
    catalogue = Catalogue()
    return render(
        request,
        "segments/_segment_list.html"
        if request.headers.get("HX-Target") == "segment-list"
        else "segments/segment_list.html",
        {
            "rows": [
                (segment, pages.in_words(segment.conditions, catalogue), users.get(segment.key, []))
                for segment in found[:MOST_LISTED]
            ],
            "has_more": len(found) > MOST_LISTED,
            "most": MOST_LISTED,
            "folders": pages.folders(),
            "modes": Segment.Mode.choices,
            "text": text,
            "folder": folder,
            "mode": mode,
            "is_archive": is_archive,
            "is_filtered": bool(text or folder or mode),
            "archived_count": Segment.objects.exclude(archived_at=None).count(),
        },
    )


@require_GET
@require("see")
def segment_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """Some twelve statements; members are read by page."""
    segment = _segment(slug)
    now = timezone.now()
    here = timezone.get_current_timezone()  # the workspace's (WorkspaceMiddleware)
    assert isinstance(here, ZoneInfo)
    days = queries.trend(
        segment.pk, segment.member_count, days=TREND_DAYS, today=now.astimezone(here).date(), zone=here
    )
    by_hand = SegmentOverride.objects.filter(segment=segment).aggregate(
        added_count=Count("pk", filter=Q(verdict="added")), removed_count=Count("pk", filter=Q(verdict="removed"))
    )
    return render(
        request,
        "segments/segment_detail.html",
        {
            **_members(request, segment),
            "segment": segment,
            "sentence": pages.in_words(segment.conditions),
            "users": graph.used_by(segment.key),
            **by_hand,
            "trend": {
                "days": [day.isoformat() for day, _size, _joined, _left in days],
                "members": [size for _day, size, _joined, _left in days],
                "joined": [joined for _day, _size, joined, _left in days],
                "left": [-left for _day, _size, _joined, left in days],
                "words": {"members": _("Members"), "joined": _("Joined"), "left": _("Left")},
            },
            "joined_30": sum(joined for _day, _size, joined, _left in days[-30:]),
            "left_30": sum(left for _day, _size, _joined, left in days[-30:]),
        },
    )


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
    words = lists.words_of(text)
    if words:
        stays = stays.filter(contact__in=lists.search_contacts(Contact.objects.all(), words))
    page = lists.page(
        stays, order, after=request.GET.get("after", ""), before=request.GET.get("before", ""), size=MEMBERS_A_PAGE
    )
    return {
        "which": which,
        "text": text,
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
        initial = {
            "version": segment.version,
            "name": segment.name,
            "folder": segment.folder,
            "notes": segment.notes,
            "owner": segment.owner_id,
            "conditions": segment.conditions,
            "everybody": segment.conditions == actions.EVERYBODY,
        }
        return _form_page(request, SegmentForm(initial=initial, segment=segment), segment)
    return _decide(request, segment)


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
        is_meant = not proposal.is_jump or request.POST.get("is_meant") == "yes"
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
    context = {"form": form, "segment": segment, "folders": pages.folders(), **more}
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
        "factor": pages.JUMP_FACTOR,
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
    )


# --- versions ---------------------------------------------------------------------------------------------------------------


@require_GET
@require("see")
def segment_versions(request: HttpRequest, slug: str) -> HttpResponse:
    segment = _segment(slug)
    catalogue = Catalogue()
    versions = list(SegmentVersion.objects.filter(segment=segment).select_related("saved_by")[:MOST_LISTED])
    rows = [
        (
            version,
            pages.in_words(version.conditions, catalogue),
            index + 1 < len(versions) and versions[index + 1].conditions == version.conditions,
        )
        for index, version in enumerate(versions)
    ]
    return render(request, "segments/segment_versions.html", {"segment": segment, "rows": rows})


@require("edit_rules")
def segment_restore(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """An earlier rule goes through the same decision as an edit: its difference is shown before it is saved."""
    segment = _segment(slug)
    version = get_object_or_404(SegmentVersion, segment=segment, number=number)
    initial = {
        "version": segment.version,
        "name": segment.name,
        "folder": segment.folder,
        "notes": segment.notes,
        "owner": segment.owner_id,
        "conditions": version.conditions,
        "everybody": version.conditions == actions.EVERYBODY,
        "reason": _("Version %(number)s restored") % {"number": number},
    }
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
        context["why"] = pages.why(segment, contact, now=timezone.now())
    elif text:
        people = lists.search_contacts(Contact.objects.select_related("company"), lists.words_of(text))
        context["candidates"] = list(people.order_by("-created_at", "-id")[:MOST_CANDIDATES])
    is_fragment = bool(request.headers.get("HX-Request"))
    return render(request, "segments/_segment_why.html" if is_fragment else "segments/segment_why.html", context)


# --- by hand ----------------------------------------------------------------------------------------------------------------


@require_POST
@require("edit_rules")
def segment_people(request: HttpRequest, slug: str) -> HttpResponse:
    """Put people in, take them out, or leave them to the rule again."""
    segment = _segment(slug)
    form = PeopleForm(request.POST)
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


def _segment(slug: str) -> Segment:
    segment = Segment.objects.select_related("owner").filter(slug=slug).first()
    if segment is None:
        raise Http404
    return segment


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
