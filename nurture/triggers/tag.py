"""Somebody gets a tag."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.text import fold
from nurture.kinds import Names, StepForm
from nurture.kinds.base import is_text
from nurture.triggers.base import TriggerKind, Values, missing


def _words(values: Values, names: Names) -> str:
    return _("gets the tag “%(tag)s”") % {"tag": values.get("tag") or "…"}


def _condition(values: Values) -> dict[str, Any]:
    return {"field": "contact.tags", "op": "includes_any", "value": [values["tag"]]}


class TagTriggerForm(StepForm):
    tag = forms.CharField(label=gettext_lazy("People enter when they get the tag"), max_length=100, required=False)

    def values(self) -> dict[str, Any]:
        tag = self.cleaned_data["tag"].strip()
        return {"tag": tag} if tag else {}


TAG = TriggerKind(
    key="tag",
    label=gettext_lazy("Gets a tag"),
    help=gettext_lazy("By hand, by an import or by another program."),
    icon="tag",
    form=TagTriggerForm,
    words=_words,
    keys=frozenset({"tag"}),
    reads=lambda values: frozenset({"contact.tags", f"tag:{fold(values['tag'])}"} if values.get("tag") else ()),
    malformed=lambda values: is_text(values, "tag", 100),
    problems=lambda values, names: missing(values, "tag", _("The trigger names no tag.")),
    condition=_condition,
)
