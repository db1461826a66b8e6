"""Set a field of the contact, or clear it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import TEXT_LENGTHS, set_field_for
from leads.values import BadValue, Reading, country, for_custom, text
from leads.workspace import zone
from nurture.kinds.base import SETTABLE, Group, Kind, Names, StepForm, Walker, is_text


def _words(values: Mapping[str, Any], names: Names) -> str:
    if not (key := values.get("field")):
        return _("Set a field")
    label = names.field_label(key)
    if values.get("value") in (None, ""):
        return _("Clear the field “%(field)s”") % {"field": label}
    return _("Set “%(field)s” to “%(value)s”") % {"field": label, "value": values["value"]}


def _refusal(key: str, value: str, names: Names) -> str:
    """Why the value does not fit the field, or an empty text."""
    if key.startswith("custom."):
        custom = names.custom_fields.get(key.removeprefix("custom."))
        if custom is None:
            return _("The field “%(field)s” does not exist any more.") % {"field": key}
        convert = for_custom(custom.type, custom.choices, Reading(zone=zone()))
    elif key in SETTABLE:
        convert = country if key == "country" else text(TEXT_LENGTHS[key])
    else:
        return _("“%(field)s” is no field that a program may set.") % {"field": key}
    if value == "":
        return ""
    try:
        convert(value)
    except BadValue as error:
        return _("“%(field)s”: %(why)s.") % {"field": names.field_label(key), "why": error}
    return ""


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not (key := values.get("field")):
        yield _("The step names no field."), True
    elif refusal := _refusal(key, values.get("value", ""), names):
        yield refusal, True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "field", 80)
    yield from is_text(values, "value", 1000)


def _run(group: Group) -> dict[str, list[Walker]]:
    value = group.step.values.get("value") or None
    set_field_for(group.contact_ids, field=group.step.values["field"], value=value, now=group.now)
    return group.done()


class SetFieldForm(StepForm):
    field = forms.ChoiceField(label=gettext_lazy("Field"), required=False)
    value = forms.CharField(
        label=gettext_lazy("New value"),
        max_length=1000,
        required=False,
        help_text=gettext_lazy("Empty: the field is cleared. Dates as 2026-03-31, several choices separated by “;”."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("Choose a field")), *((key, self.names.field_label(key).capitalize()) for key in SETTABLE)]
        choices += [(f"custom.{key}", row.label) for key, row in self.names.custom_fields.items()]
        self.fields["field"].choices = choices  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if (key := cleaned.get("field")) and (refusal := _refusal(key, cleaned.get("value") or "", self.names)):
            self.add_error("value", refusal)
        return cleaned


SET_FIELD = Kind(
    key="set_field",
    label=gettext_lazy("Set field"),
    help=gettext_lazy("Write a value on the contact, or clear it."),
    icon="forms",
    colour="yellow",
    form=SetFieldForm,
    words=_words,
    run=_run,
    keys=frozenset({"field", "value"}),
    malformed=_malformed,
    problems=_problems,
)
