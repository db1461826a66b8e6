"""Who may get the mails of a template, as far as anybody can know before they are sent."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, QuerySet

from leads.models import Contact
from nurture.actions import programs_using_template
from nurture.models import ProgramVersion, Template
from segments.models import Membership, Segment


@dataclass(frozen=True)
class Readership:
    """Who may get the mail, as far as it is known: members of the segments of the programs that send it, else whoever has an address."""

    people: QuerySet[Contact]
    segments: tuple[Segment, ...]


def readership(template: Template) -> Readership:
    """Two statements. A program that takes in people in another way may mail anybody."""
    programs = programs_using_template(template)
    versions = ProgramVersion.objects.filter(program__in=programs).exclude(state=ProgramVersion.State.PAST)
    rows = list(versions.select_related("trigger_segment"))
    everybody = Contact.objects.exclude(email=None)
    segments = {row.trigger_segment.pk: row.trigger_segment for row in rows if row.trigger_segment}
    if not segments or any(len(row.triggers) > 1 or not row.trigger_segment for row in rows):
        return Readership(everybody, ())
    inside = Membership.objects.filter(contact=OuterRef("pk"), segment__in=list(segments), until=None)
    return Readership(everybody.filter(Exists(inside)), tuple(sorted(segments.values(), key=lambda one: one.name)))
