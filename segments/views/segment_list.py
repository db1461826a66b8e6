"""The list of segments, the small lines of their sizes, and what is done to many at once."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from leads.access import require
from segments import actions, overview
from segments.forms.segments import BulkForm
from segments.models import Segment

MOST_REFUSALS_TOLD = 3


@require_GET
@require("see")
def segment_list(request: HttpRequest) -> HttpResponse:
    """Some ten statements, whatever the number of segments; closed folders and the sizes over time come after the page.

    `part=folder` asks for the rows of one folder alone.
    """
    question = overview.question_of(request.GET)
    if request.GET.get("part") == "folder":
        shown = overview.overview(question)
        return render(
            request,
            "segments/_segment_folder.html",
            {"folder": shown.folders[0] if shown.folders else None, "question": question},
        )
    offered = overview.choices()
    is_fragment = request.headers.get("HX-Target") == "segment-list"
    context = {
        "question": question,
        "overview": overview.overview(question, offered),
        "choices": offered,
        "modes": Segment.Mode.choices,
        "sorts": [(key, words) for key, (words, _order) in overview.SORTS.items()],
        "states": overview.STATES.items(),
        "no_folder": overview.NO_FOLDER,
        "most": overview.MOST_LISTED,
        "bulk_verbs": BulkForm.VERBS,
        "people": User.objects.filter(is_active=True).order_by("first_name", "username"),
        "here": request.get_full_path(),
    }
    return render(request, "segments/_segment_list.html" if is_fragment else "segments/segment_list.html", context)


@require_GET
@require("see")
def segment_sizes(request: HttpRequest) -> HttpResponse:
    """Small lines of the sizes of the segments named by `ids`, each for its place in the list. Two statements and those of the session."""
    ids = [
        int(part)
        for part in request.GET.get("ids", "").split(",")
        if part.isascii() and part.isdigit() and len(part) < 10
    ]
    counts = dict(Segment.objects.filter(pk__in=ids[: overview.MOST_LISTED]).values_list("pk", "member_count"))
    here = timezone.get_current_timezone()  # the workspace's (WorkspaceMiddleware)
    assert isinstance(here, ZoneInfo)
    today = timezone.now().astimezone(here).date()
    sparks = overview.sparks(counts, today=today, zone=here) if counts else []
    return render(request, "segments/_segment_sizes.html", {"sparks": sparks})


@require_POST
@require("edit_rules")
def segment_bulk(request: HttpRequest) -> HttpResponse:
    """Move, label, hand over or archive the ticked segments; those that must not be archived are told with their users."""
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("segments:segment-list")
    form = BulkForm(request.POST)
    if not form.is_valid():
        words = " ".join(str(error) for errors in form.errors.values() for error in errors)
        messages.error(request, _("Nothing was done. %(why)s") % {"why": words})
        return redirect(back)
    segments = list(form.cleaned_data["slugs"])
    if form.cleaned_data["verb"] in (BulkForm.ARCHIVE, BulkForm.UNARCHIVE):
        _archive(request, segments, is_back=form.cleaned_data["verb"] == BulkForm.UNARCHIVE)
    else:
        count = _change(request, form, segments)
        messages.success(
            request,
            ngettext("%(count)s segment changed.", "%(count)s segments changed.", count) % {"count": count},
        )
    return redirect(back)


def _change(request: HttpRequest, form: BulkForm, segments: list[Segment]) -> int:
    data = form.cleaned_data
    verb, user, now = data["verb"], _user(request), timezone.now()
    if verb == BulkForm.MOVE:
        reason = (
            _("Moved to “%(folder)s”") % {"folder": data["folder"]} if data["folder"] else _("Taken out of its folder")
        )
        return actions.change_words(segments, actor=user, now=now, reason=reason, folder=data["folder"])
    if verb == BulkForm.OWN:
        return actions.change_words(segments, actor=user, now=now, reason=_("Owner set"), owner=data["owner"])
    labels = data["labels"]
    if verb == BulkForm.LABEL:
        return actions.change_words(segments, actor=user, now=now, reason=_("Labelled"), add_labels=labels)
    return actions.change_words(segments, actor=user, now=now, reason=_("Labels taken off"), remove_labels=labels)


def _archive(request: HttpRequest, segments: list[Segment], *, is_back: bool) -> None:
    """Users before what they use, so that a whole chain goes at once."""
    user, now = _user(request), timezone.now()
    act = actions.unarchive_segment if is_back else actions.archive_segment
    done, waiting = 0, segments
    refusals: list[str] = []
    while waiting:
        refusals, left = [], []
        for segment in waiting:
            try:
                act(segment, actor=user, now=now)
                done += 1
            except actions.SegmentRefused as refused:
                refusals.append(str(refused))
                left.append(segment)
        if len(left) == len(waiting):
            break
        waiting = left
    if done:
        words = (
            ngettext("%(count)s segment is in use again.", "%(count)s segments are in use again.", done)
            if is_back
            else ngettext("%(count)s segment is in the archive.", "%(count)s segments are in the archive.", done)
        )
        messages.success(request, words % {"count": done})
    if refusals:
        more = _(" … and %(count)s more.") % {"count": len(refusals) - MOST_REFUSALS_TOLD}
        words = " ".join(refusals[:MOST_REFUSALS_TOLD]) + (more if len(refusals) > MOST_REFUSALS_TOLD else "")
        messages.error(request, words)


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
