"""Somebody becomes a member of a segment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries_triggers
from nurture.forms.programs import SegmentChoice
from nurture.kinds import Names, StepForm
from nurture.kinds.base import is_text
from nurture.triggers.base import Asked, TriggerKind, Values
from segments.conditions import Sql
from segments.models import Segment


def _words(values: Values, names: Names) -> str:
    if slug := values.get("segment"):
        return _("enters “%(segment)s”") % {"segment": names.segment(slug)}
    return _("enters a segment")


def _problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    if not (slug := values.get("segment")):
        yield _("Nobody enters: choose the segment whose members the program takes in."), True
    elif slug in names.segments:
        if names.segments[slug].problem:
            words = {"name": names.segment(slug), "why": names.segments[slug].problem}
            yield _("The segment “%(name)s” cannot be worked out: %(why)s") % words, False
    elif name := Segment.objects.filter(slug=slug).values_list("name", flat=True).first():
        yield _("The segment “%(name)s” is archived.") % {"name": name}, True
    else:
        yield _("The segment “%(slug)s” does not exist.") % {"slug": slug}, True


def _arrivals(values: Values, asked: Asked, since: datetime | None) -> Sql:
    return queries_triggers.members_since(values["segment"])


class SegmentTriggerForm(StepForm):
    segment = SegmentChoice(
        label=gettext_lazy("People enter when they become members of"),
        required=False,
        empty_label=gettext_lazy("Choose a segment"),
        to_field_name="slug",
        help_text=gettext_lazy("How often, and when they leave again, stands under “Goal, exits, re-entry”."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        field = self.fields["segment"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = Segment.objects.filter(archived_at=None).order_by("name")

    def values(self) -> dict[str, str]:
        segment = self.cleaned_data["segment"]
        return {"segment": segment.slug} if segment else {}


SEGMENT = TriggerKind(
    key="segment",
    label=gettext_lazy("Enters a segment"),
    help=gettext_lazy("Somebody becomes a member, by rule or by hand."),
    icon="users-group",
    form=SegmentTriggerForm,
    words=_words,
    keys=frozenset({"segment"}),
    reads=lambda values: frozenset({f"segment:{values['segment']}"} if values.get("segment") else ()),
    malformed=lambda values: is_text(values, "segment", 100),
    problems=_problems,
    arrivals=_arrivals,
)
