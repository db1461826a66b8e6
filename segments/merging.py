"""What a merge of two contacts does to segments: decisions by hand go over, memberships by rule are looked at anew."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.merging import Line, Pair, Part, register_part
from segments.actions import add_to_segment, remove_from_segment
from segments.models import PersonaAssignment, SegmentOverride

Verdict = SegmentOverride.Verdict


def register() -> None:
    register_part(
        Part(
            "segments",
            gettext_lazy("Segments"),
            moves=frozenset({"segments_segmentoverride"}),
            drops=frozenset({"segments_membership", "segments_personaassignment"}),
            tell=_tell,
            join=_join,
            order=30,
        )
    )


def _going_over(pair: Pair) -> list[SegmentOverride]:
    """Decisions by hand about the one who goes, in segments where nobody decided about the one who stays. One statement."""
    decided = SegmentOverride.objects.filter(contact=pair.kept).values("segment")
    return list(
        SegmentOverride.objects.filter(contact=pair.gone)
        .exclude(segment__in=decided)
        .select_related("segment", "actor")
        .order_by("segment__name")
    )


def _tell(pair: Pair) -> Sequence[Line]:
    lines = []
    for row in _going_over(pair):
        words = (
            _("Put into %(segment)s by hand.")
            if row.verdict == Verdict.ADDED
            else _("Kept out of %(segment)s by hand.")
        )
        lines.append(
            Line(words % {"segment": row.segment}, "hand-stop" if row.verdict == Verdict.REMOVED else "hand-click")
        )
    personas = PersonaAssignment.objects.filter(contact__in=[pair.kept, pair.gone], until=None).values("persona")
    if personas.distinct().count() > 1:
        lines.append(Line(_("Both have a persona: the rules choose anew from the joined facts."), "masks-theater"))
    lines.append(Line(_("Segments by rule are looked at anew from the joined facts."), "refresh"))
    return lines


def _join(pair: Pair, actor: User | None) -> None:
    """As if it had been decided about the one who stays, by whom and why it was."""
    for row in _going_over(pair):
        change = add_to_segment if row.verdict == Verdict.ADDED else remove_from_segment
        change(
            row.segment, contact_ids=[pair.kept.pk], cause=row.cause, actor=row.actor, now=pair.now, reason=row.reason
        )
