"""An import finishes: those whom it made or changed enter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries_triggers
from nurture.kinds import Names, StepForm
from nurture.kinds.base import is_text
from nurture.triggers.base import Asked, TriggerKind, Values
from segments.conditions import Sql

WHO = {
    "created": gettext_lazy("the people whom it made"),
    "updated": gettext_lazy("the people whom it changed"),
    "both": gettext_lazy("both"),
}


def _words(values: Values, names: Names) -> str:
    file, source = values.get("file", ""), values.get("source", "")
    words = {
        "created": _("is new in %(file)s"),
        "updated": _("is changed by %(file)s"),
        "both": _("is new in %(file)s or changed by it"),
    }[values.get("who", "created")]
    said = words % {"file": _("an import of “%(file)s”") % {"file": file} if file else _("an import")}
    return _("%(words)s, with the source “%(source)s”") % {"words": said, "source": source} if source else said


def _malformed(values: Values) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "file", 300)
    yield from is_text(values, "source", 200)
    if values.get("who", "created") not in WHO:
        yield "who", _("choose one of: %(choices)s") % {"choices": ", ".join(WHO)}


def _arrivals(values: Values, asked: Asked, since: datetime | None) -> Sql:
    who = values.get("who", "created")
    outcomes = ["created", "updated"] if who == "both" else [who]
    return queries_triggers.imported(values.get("file", ""), values.get("source", ""), outcomes)


class ImportTriggerForm(StepForm):
    file = forms.CharField(
        label=gettext_lazy("Imports whose file name contains"),
        max_length=300,
        required=False,
        help_text=gettext_lazy("Empty: every import of contacts, whatever the file is called."),
    )
    source = forms.CharField(
        label=gettext_lazy("Only people whose source is"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("As the file, or the contact before, names it. Empty: any source."),
    )
    who = forms.ChoiceField(
        label=gettext_lazy("When it has finished, take in"),
        choices=list(WHO.items()),
        required=False,
        initial="created",
    )

    def values(self) -> dict[str, Any]:
        return {key: value.strip() for key, value in super().values().items() if value.strip()}


IMPORT = TriggerKind(
    key="import",
    label=gettext_lazy("Comes with an import"),
    help=gettext_lazy("Once it has finished: the people whom it made or changed."),
    icon="file-import",
    form=ImportTriggerForm,
    words=_words,
    keys=frozenset({"file", "source", "who"}),
    reads=lambda values: frozenset(),
    malformed=_malformed,
    arrivals=_arrivals,
)
