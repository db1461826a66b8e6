"""What segments and personas know about one person, for the file that they may ask for."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from leads.person_file import Chapter, Person, Row, register_chapter
from segments.models import Membership, PersonaAssignment, SegmentOverride


def register() -> None:
    for chapter in (
        Chapter("segments", _("Segments"), frozenset({"segments_membership"}), _memberships, order=40),
        Chapter("put_by_hand", _("Put by hand"), frozenset({"segments_segmentoverride"}), _overrides, order=41),
        Chapter("personas", _("Personas"), frozenset({"segments_personaassignment"}), _personas, order=42),
    ):
        register_chapter(chapter)


def _memberships(person: Person) -> Iterable[Row]:
    rows = Membership.objects.filter(contact=person.contact_id).order_by("since", "id")
    return rows.values("since", "until", "why", "left_why", in_segment=F("segment__name"))


def _overrides(person: Person) -> Iterable[Row]:
    rows = SegmentOverride.objects.filter(contact=person.contact_id).order_by("since", "id")
    return rows.values("since", "verdict", "cause", "reason", of_segment=F("segment__name"))


def _personas(person: Person) -> Iterable[Row]:
    rows = PersonaAssignment.objects.filter(contact=person.contact_id).order_by("since", "id")
    return rows.values("since", "until", "why", as_persona=F("persona__name"))
