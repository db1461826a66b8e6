"""The choice of segments in a form: a select of several; with JavaScript a search with chips and head-counts (segment_picker.js)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms import Script
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from segments.models import Segment


class SegmentPicker(forms.SelectMultiple):
    """The select stands in the page and is what the form sends; the rest of the element is drawn over it by the script."""

    class Media:
        js = [Script("nurture/segment_picker.js", type="module")]

    def use_required_attribute(self, initial: Any) -> bool:
        return False  # a hidden select that is required would stop the form without a word

    def create_option(
        self, name: str, value: Any, label: Any, selected: bool, index: int, subindex: int | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        option = super().create_option(name, value, label, selected, index, subindex, dict(attrs or {}))
        segment: Segment = value.instance
        option["attrs"] |= {"data-name": named(segment), "data-people": segment.member_count}
        option["attrs"]["data-words"] = people_words(segment.member_count)
        return option

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        attributes = {"size": 6, **(attrs or {})}
        select = super().render(name, value, attributes, renderer)
        is_invalid = "is-invalid" in str({**self.attrs, **attributes}.get("class", ""))
        return render_to_string("nurture/_segment_picker.html", {"select": select, "is_invalid": is_invalid})


class SegmentsChoice(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Segments of which somebody chooses several."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Segment.objects.none(), widget=SegmentPicker(), **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return f"{named(obj)} ({people_words(obj.member_count)})"


def named(segment: Segment) -> str:
    """Its name, and that it is in the archive."""
    return _("%(name)s, in the archive") % {"name": segment.name} if segment.archived_at else segment.name


def people_words(number: int) -> str:
    return ngettext("%(n)s person", "%(n)s people", number) % {"n": f"{number:,}"}
