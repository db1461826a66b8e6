"""The end of a way: whoever comes here has finished the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text


def _words(values: Mapping[str, Any], names: Names) -> str:
    return _("End: %(label)s") % {"label": values["label"]} if values.get("label") else _("End")


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "label", 100)


def _run(group: Group) -> dict[str, list[Walker]]:
    return group.done()


class EndForm(StepForm):
    label = forms.CharField(
        label=gettext_lazy("What this end means"),
        max_length=100,
        required=False,
        help_text=gettext_lazy("For example “handed over” or “not interested”."),
    )


END = Kind(
    key="end",
    label=gettext_lazy("End"),
    help=gettext_lazy("Whoever comes here has finished."),
    icon="flag",
    colour="dark",
    form=EndForm,
    words=_words,
    run=_run,
    keys=frozenset({"label"}),
    malformed=_malformed,
    ends=True,
    passes=True,
)
