"""Put people into a fixed segment, or take them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from segments.actions import add_to_segment, remove_from_segment
from segments.models import Segment


def _words_of_adding(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("segment"):
        return _("Add to the segment “%(segment)s”") % {"segment": names.segment(slug)}
    return _("Add to a segment")


def _words_of_removing(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("segment"):
        return _("Remove from the segment “%(segment)s”") % {"segment": names.segment(slug)}
    return _("Remove from a segment")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    slug = values.get("segment")
    if not slug:
        yield _("The step names no segment."), True
    elif slug not in names.segments:
        yield _("The segment “%(slug)s” does not exist any more.") % {"slug": slug}, True
    elif names.segments[slug].mode != Segment.Mode.FIXED:
        yield (
            _("“%(name)s” is a dynamic segment: its conditions decide who is in.") % {"name": names.segment(slug)},
            True,
        )


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "segment", 100)


def _segment(group: Group) -> Segment:
    slug = group.step.values["segment"]
    if (segment := group.names.segments.get(slug)) is None:
        raise LookupError(_("The segment “%(slug)s” does not exist any more.") % {"slug": slug})
    return segment


def _run_adding(group: Group) -> dict[str, list[Walker]]:
    add_to_segment(_segment(group), contact_ids=group.contact_ids, cause=group.cause, actor=None, now=group.now)
    return group.done()


def _run_removing(group: Group) -> dict[str, list[Walker]]:
    remove_from_segment(_segment(group), contact_ids=group.contact_ids, cause=group.cause, actor=None, now=group.now)
    return group.done()


class SegmentForm(StepForm):
    segment = forms.ChoiceField(label=gettext_lazy("Fixed segment"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fixed = [(slug, row.name) for slug, row in self.names.segments.items() if row.mode == Segment.Mode.FIXED]
        self.fields["segment"].choices = [("", _("Choose a segment")), *fixed]  # type: ignore[attr-defined]


ADD_TO_SEGMENT = Kind(
    key="add_to_segment",
    label=gettext_lazy("Add to segment"),
    help=gettext_lazy("A fixed segment, for lists and other programs."),
    icon="users-plus",
    colour="indigo",
    form=SegmentForm,
    words=_words_of_adding,
    run=_run_adding,
    keys=frozenset({"segment"}),
    malformed=_malformed,
    problems=_problems,
)
REMOVE_FROM_SEGMENT = Kind(
    key="remove_from_segment",
    label=gettext_lazy("Remove from segment"),
    help=gettext_lazy("Take people out of a fixed segment."),
    icon="users-minus",
    colour="indigo",
    form=SegmentForm,
    words=_words_of_removing,
    run=_run_removing,
    keys=frozenset({"segment"}),
    malformed=_malformed,
    problems=_problems,
)
