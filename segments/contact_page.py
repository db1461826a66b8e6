"""What segments add to the pages of contacts: a panel of memberships, events of the timeline, a filter of the list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import Refused
from leads.models import Contact
from leads.panels import (
    BulkAction,
    ListFilter,
    Panel,
    TimelineEvent,
    TimelineSource,
    register_bulk_action,
    register_filter,
    register_panel,
    register_timeline,
)
from segments.actions import add_to_segment
from segments.models import Membership, Segment
from segments.words import why_in_words

MOST_SHOWN = 50


def register() -> None:
    register_panel(
        Panel(
            "segments",
            gettext_lazy("Segments"),
            "segments/_segment_panel.html",
            _panel,
            order=30,
            stylesheet="segments/segments.css",
            is_later=True,
        )
    )
    register_timeline(TimelineSource("segments", gettext_lazy("Segments"), _events, order=40))
    register_filter(ListFilter("segment", gettext_lazy("Segment"), _choices, _in_segment, order=30))
    register_bulk_action(
        BulkAction(
            "add_to_segment",
            gettext_lazy("Add to a fixed segment"),
            "users-plus",
            "edit_rules",
            _add,
            choices=_fixed,
            order=40,
        )
    )


def _fixed() -> Sequence[tuple[str, str]]:
    """Fixed segments by name. One statement."""
    return list(Segment.objects.in_use().filter(mode=Segment.Mode.FIXED).values_list("slug", "name"))


def _add(contact_ids: Sequence[int], slug: str, user: User, now: datetime) -> int:
    segment = Segment.objects.in_use().filter(mode=Segment.Mode.FIXED, slug=slug).first()
    if segment is None:
        raise Refused(_("Choose a fixed segment; there may be none yet."))
    return add_to_segment(segment, contact_ids=contact_ids, cause="by_hand", actor=user, now=now)


def _panel(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """Open memberships, newest first. One statement."""
    rows = (
        Membership.objects.filter(contact=contact, until=None, segment__archived_at=None)
        .select_related("segment")
        .order_by("-since", "-id")[:MOST_SHOWN]
    )
    return {"memberships": [(row, why_in_words(row.why)) for row in rows]}


def _events(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """Joined and left. One statement over the memberships of one contact."""
    stays = Membership.objects.filter(contact_id=contact_id).select_related("segment")
    joined = stays if before is None else stays.filter(since__lt=before)
    left = stays.exclude(until=None) if before is None else stays.filter(until__lt=before)
    events = []
    for row in joined.order_by("-since")[:limit].union(left.order_by("-until")[:limit]):
        address = reverse("segments:segment-detail", args=[row.segment.slug])
        name = {"segment": row.segment.name}
        if before is None or row.since < before:
            events.append(
                TimelineEvent(row.since, "users-plus", _("Joined “%(segment)s”") % name, why_in_words(row.why), address)
            )
        if row.until is not None and (before is None or row.until < before):
            events.append(
                TimelineEvent(
                    row.until, "users-minus", _("Left “%(segment)s”") % name, why_in_words(row.left_why), address
                )
            )
    events.sort(key=lambda event: event.at, reverse=True)
    return events[:limit]


def _choices() -> list[tuple[str, str]]:
    return list(Segment.objects.in_use().values_list("slug", "name"))


def _in_segment(contacts: QuerySet[Contact], slug: str) -> QuerySet[Contact]:
    segment = Segment.objects.filter(slug=slug).first()
    if segment is None:
        return contacts.none()
    return contacts.filter(Exists(Membership.objects.filter(segment=segment, contact=OuterRef("pk"), until=None)))
