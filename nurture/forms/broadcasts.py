"""The form of a broadcast: which mails, to whom, when, how fast, and what finds a winner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Purpose
from leads.workspace import zone
from nurture.broadcasts.actions import FIELDS, MOST_VARIANTS
from nurture.broadcasts.segment_picker import SegmentsChoice
from nurture.models import Broadcast, Template
from segments.builder import ConditionsField
from segments.models import Segment

KEYS = "abcde"[:MOST_VARIANTS]


class BroadcastForm(forms.Form):
    """`values()`, `variants()`: what actions.save_broadcast is told."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=200, help_text=gettext_lazy("For your colleagues; no reader sees it.")
    )
    into = SegmentsChoice(
        label=gettext_lazy("To members of"),
        help_text=gettext_lazy("Several: whoever is in any of them, once."),
    )
    out_of = SegmentsChoice(
        label=gettext_lazy("But to nobody of"),
        required=False,
        help_text=gettext_lazy("Whoever is in one of these stays out, whatever else they are in."),
    )
    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"))
    timing = forms.ChoiceField(
        label=gettext_lazy("When"), choices=Broadcast.Timing.choices, widget=forms.RadioSelect, initial="now"
    )
    starts_at = forms.DateTimeField(
        label=gettext_lazy("Moment"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    local_on = forms.DateField(
        label=gettext_lazy("Day"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )
    local_time = forms.TimeField(
        label=gettext_lazy("Hour on each reader's clock"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    late = forms.ChoiceField(
        label=gettext_lazy("People for whom it is later already"),
        choices=Broadcast.Late.choices,
        required=False,
        initial=Broadcast.Late.NEXT_DAY,
    )
    per_hour = forms.IntegerField(
        label=gettext_lazy("At most so many an hour"),
        min_value=1,
        max_value=10_000_000,
        required=False,
        help_text=gettext_lazy("Empty: as fast as mail leaves."),
        widget=forms.NumberInput(attrs={"placeholder": "2000"}),
    )
    is_unbudgeted = forms.BooleanField(
        label=gettext_lazy("Outside the budget of mails"),
        required=False,
        help_text=gettext_lazy(
            "People may then get more mails in these days than you allowed; they leave for less. A reader's own pace holds anyway."
        ),
    )
    winner_by = forms.ChoiceField(
        label=gettext_lazy("The winner is found by"), choices=Broadcast.WinnerBy.choices, required=False
    )
    test_percent = forms.IntegerField(
        label=gettext_lazy("Test with, in per cent"), min_value=1, max_value=90, required=False, initial=20
    )
    winner_hours = forms.IntegerField(
        label=gettext_lazy("Hours after the test"), min_value=1, max_value=720, required=False, initial=4
    )
    winner_at_least = forms.IntegerField(
        label=gettext_lazy("People of each variant, at least"),
        min_value=1,
        max_value=1_000_000,
        required=False,
        initial=100,
        help_text=gettext_lazy("For opens and clicks those count whose opens and clicks are noted."),
    )
    winner_conditions = ConditionsField(label=gettext_lazy("It worked for people for whom"), required=False)

    def __init__(self, *args: Any, broadcast: Broadcast | None = None, **kwargs: Any) -> None:
        if broadcast is not None:
            kwargs["initial"] = _initial_of(broadcast) | (kwargs.get("initial") or {})
        super().__init__(*args, **kwargs)
        for key in KEYS:
            self.fields[f"template_{key}"] = forms.ModelChoiceField(
                Template.objects.filter(archived_at=None).order_by("name", "pk").defer("body", "text", "translations"),
                label=_("Mail") if key == "a" else _("Variant %(letter)s") % {"letter": key.upper()},
                required=key == "a",
                empty_label=_("choose a template") if key == "a" else _("none"),
            )
            self.fields[f"weight_{key}"] = forms.IntegerField(
                label=_("Weight of %(letter)s") % {"letter": key.upper()},
                min_value=1, max_value=1_000, required=False, initial=1,
            )  # fmt: skip
        for name in ("into", "out_of"):
            chosen = getattr(broadcast, name).values("pk") if broadcast else []
            segments = Segment.objects.filter(archived_at=None) | Segment.objects.filter(pk__in=chosen)
            self.fields[name].queryset = segments.order_by("name", "pk")  # type: ignore[attr-defined]
        rows = Purpose.objects.filter(archived_at=None)
        self.fields["purpose"].choices = [(row.slug, f"{row.name} ({row.get_basis_display()})") for row in rows]  # type: ignore[attr-defined]
        self.fields["purpose"].help_text = _("Only people whose consent covers it get the mail.")
        self.fields["starts_at"].help_text = _("On the clock of %(zone)s.") % {"zone": zone()}

    @property
    def mails(self) -> list[tuple[forms.BoundField, forms.BoundField]]:
        """Template and weight of the variants after the first."""
        return [(self[f"template_{key}"], self[f"weight_{key}"]) for key in KEYS[1:]]

    @property
    def compares(self) -> bool:
        """Whether the part about variants is open."""
        named = [f"template_{key}" for key in KEYS[1:]]
        return any(self[name].value() for name in named) or any(
            name in self.errors for name in (*named, "winner_by", "winner_conditions", "test_percent", "winner_hours")
        )

    def clean_starts_at(self) -> datetime | None:
        """What is typed means the workspace's clock."""
        at: datetime | None = self.cleaned_data["starts_at"]
        return at.replace(tzinfo=zone()) if at else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        needed = {
            Broadcast.Timing.AT.value: {"starts_at": _("Say from which moment on.")},
            Broadcast.Timing.LOCAL.value: {"local_on": _("Say on which day."), "local_time": _("Say at which hour.")},
        }
        for name, words in needed.get(cleaned.get("timing", ""), {}).items():
            self._demand(name, words)
        both = set(cleaned.get("into") or ()) & set(cleaned.get("out_of") or ())
        if both:
            names = ", ".join(sorted(segment.name for segment in both))
            self.add_error(
                "out_of", _("%(names)s: that is where it goes to; nobody of it would get it.") % {"names": names}
            )
        templates = [template for template, _weight in self.variants()]
        if len({template.pk for template in templates}) != len(templates):
            raise ValidationError(_("Each variant needs a template of its own."))
        if cleaned.get("winner_by") and len(templates) < 2:
            self.add_error("winner_by", _("There is only one mail: nothing to compare."))
        elif cleaned.get("winner_by"):
            self._demand("test_percent", _("Say how many take part in the test."))
            self._demand("winner_hours", _("Say after how many hours."))
        if cleaned.get("winner_by") == Broadcast.WinnerBy.CONDITION:
            self._demand("winner_conditions", _("Say for whom it worked."))
        return cleaned

    def _demand(self, name: str, words: str) -> None:
        if not self.cleaned_data.get(name) and name not in self.errors:
            self.add_error(name, words)

    def variants(self) -> list[tuple[Template, int]]:
        data = self.cleaned_data
        chosen = [(data.get(f"template_{key}"), data.get(f"weight_{key}") or 1) for key in KEYS]
        return [(template, weight) for template, weight in chosen if template is not None]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        found = {name: data[name] for name in FIELDS if name in data}
        found |= {"is_budgeted": not data["is_unbudgeted"], "late": data["late"] or Broadcast.Late.NEXT_DAY}
        by_condition = data["winner_by"] == Broadcast.WinnerBy.CONDITION
        found |= {"winner_at_least": data["winner_at_least"] or 1}
        found |= {"winner_conditions": data["winner_conditions"] if by_condition else None}
        timing = data["timing"]
        found["starts_at"] = data["starts_at"] if timing == Broadcast.Timing.AT else None
        for name in ("local_on", "local_time"):
            found[name] = data[name] if timing == Broadcast.Timing.LOCAL else None
        return found


def _initial_of(broadcast: Broadcast) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(broadcast, name) for name in FIELDS}
    found = {name: value for name, value in found.items() if value is not None}
    found["is_unbudgeted"] = not broadcast.is_budgeted
    if broadcast.starts_at:
        found["starts_at"] = broadcast.starts_at.astimezone(zone()).replace(tzinfo=None)
    found |= {"into": list(broadcast.into.all()), "out_of": list(broadcast.out_of.all())}
    for variant in broadcast.variants.all():
        found |= {f"template_{variant.key}": variant.template_id, f"weight_{variant.key}": variant.weight}
    return found
