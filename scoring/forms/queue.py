"""What people type about the queue: routing rules, desks, holidays, reasons, notices, the hand-off of a draft, deals."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Field, Layout, Row
from django import forms
from django.db.models.functions import Lower
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import zones
from leads.models import Owner
from leads.widgets import LongSelect
from leads.workspace import WEEKDAYS
from scoring.models import AnswerReason, Desk, NoticeWish, RoutingRule, ScoreModel, ScoreVersion
from segments.builder import ConditionsField

MOST_HOLIDAYS = 400


def _helper(*layout: Any) -> FormHelper:
    helper = FormHelper()
    helper.form_tag = False
    if layout:
        helper.layout = Layout(*layout)
    return helper


class OwnersField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """People in an order: as they stand in the list."""

    widget = forms.CheckboxSelectMultiple

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Owner.objects.order_by(Lower("name")), **kwargs)


class RoutingForm(forms.Form):
    """One routing rule."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    model = forms.ModelChoiceField(
        label=gettext_lazy("Score model"),
        queryset=ScoreModel.objects.none(),
        required=False,
        empty_label=gettext_lazy("every model"),
        to_field_name="slug",
    )
    conditions = ConditionsField(label=gettext_lazy("Which leads"), offers_everybody=True)
    target = forms.ChoiceField(
        label=gettext_lazy("They go to"), choices=RoutingRule.Target.choices, widget=forms.RadioSelect
    )
    owners = OwnersField(
        label=gettext_lazy("Who"),
        required=False,
        help_text=gettext_lazy(
            "One for “one person”, the members for a team. Who is away, has left or is full is passed over."
        ),
    )
    is_active = forms.BooleanField(label=gettext_lazy("In use"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        model = self.fields["model"]
        assert isinstance(model, forms.ModelChoiceField)
        model.queryset = ScoreModel.objects.in_use()
        self.helper = _helper(
            Row(Column("name", css_class="col-md-8"), Column("model", css_class="col-md-4")),
            "conditions",
            "target",
            "owners",
            "is_active",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        target, owners = cleaned.get("target"), cleaned.get("owners")
        chosen = len(owners) if owners is not None else 0
        if target == RoutingRule.Target.OWNER and chosen != 1:
            self.add_error("owners", _("Choose exactly one person."))
        if target == RoutingRule.Target.TEAM and not chosen:
            self.add_error("owners", _("Choose at least one person."))
        return cleaned


class AnsweringForm(forms.Form):
    """How long sales has to answer leads of a model, and who hears of it when they do not."""

    answer_within_hours = forms.IntegerField(
        label=gettext_lazy("Business hours to answer"), min_value=1, max_value=1000
    )
    routing = forms.ChoiceField(
        label=gettext_lazy("A lead that no rule gave to anybody"), choices=ScoreModel.Routing.choices
    )
    escalate_after_hours = forms.IntegerField(
        label=gettext_lazy("Escalate after so many business hours late"),
        min_value=0,
        max_value=1000,
        required=False,
        help_text=gettext_lazy("Empty: never."),
    )
    escalate_to = forms.ModelChoiceField(
        label=gettext_lazy("Escalate to"),
        queryset=Owner.objects.exclude(user=None).order_by(Lower("name")),
        required=False,
        empty_label=gettext_lazy("the admins"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper(
            Row(Column("answer_within_hours", css_class="col-md-6"), Column("routing", css_class="col-md-6")),
            Row(Column("escalate_after_hours", css_class="col-md-6"), Column("escalate_to", css_class="col-md-6")),
        )


def _dates(text: str) -> list[tuple[date, str]]:
    """“2026-12-24 Christmas Eve”, one a line."""
    found: dict[date, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        day, _space, name = line.strip().partition(" ")
        if not day:
            continue
        try:
            found[date.fromisoformat(day)] = name.strip()[:200]
        except ValueError as error:
            raise forms.ValidationError(
                _("Line %(number)s: “%(day)s” is no day. Write it as 2026-12-24.") % {"number": number, "day": day[:40]}
            ) from error
    if len(found) > MOST_HOLIDAYS:
        raise forms.ValidationError(_("At most %(most)s days.") % {"most": MOST_HOLIDAYS})
    return sorted(found.items())


class HolidaysField(forms.CharField):
    """Days off, one a line; cleans to (day, name) pairs."""

    widget = forms.Textarea(attrs={"rows": 6, "placeholder": "2026-12-24 Christmas Eve", "spellcheck": "false"})

    def clean(self, value: Any) -> Any:
        return _dates(super().clean(value))


class HolidaysForm(forms.Form):
    """Days on which nobody in the company works."""

    holidays = HolidaysField(
        label=gettext_lazy("Days off for everybody"),
        required=False,
        help_text=gettext_lazy("One day a line, with a name if you like. The clock of a lead stands still on them."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper()


class DeskForm(forms.Form):
    """How one owner works."""

    capacity = forms.IntegerField(
        label=gettext_lazy("Open leads at most"),
        required=False,
        min_value=0,
        max_value=100_000,
        help_text=gettext_lazy("Rules pass over whoever is full. Empty: as many as come."),
    )
    away_until = forms.DateField(
        label=gettext_lazy("Away until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("The first day back. New leads go to somebody else before."),
    )
    timezone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False, widget=LongSelect)
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Working days"),
        choices=list(WEEKDAYS.items()),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: the company's."),
    )
    start = forms.TimeField(
        label=gettext_lazy("From"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    end = forms.TimeField(
        label=gettext_lazy("Until"), required=False, widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )
    holidays = HolidaysField(label=gettext_lazy("Own days off"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = str(self.initial.get("timezone") or "")
        self.fields["timezone"].choices = [("", _("the company's")), *zones.choices(stored)]  # type: ignore[attr-defined]
        self.helper = _helper(
            Row(Column("capacity", css_class="col-md-6"), Column("away_until", css_class="col-md-6")),
            Row(
                Column("timezone", css_class="col-md-6"),
                Column("start", css_class="col-6 col-md-3"),
                Column("end", css_class="col-6 col-md-3"),
            ),
            "days",
            "holidays",
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if (cleaned.get("start") is None) != (cleaned.get("end") is None):
            self.add_error("end", _("Name both ends of the day, or neither."))
        return cleaned

    @classmethod
    def values_of(cls, desk: Desk | None) -> dict[str, Any]:
        if desk is None:
            return {}
        return {name: getattr(desk, name) for name in ("capacity", "away_until", "timezone", "days", "start", "end")}


class ReasonForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A reason that sales may give."""

    class Meta:
        model = AnswerReason
        fields = ("label", "answer", "moves_to", "position", "is_active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            del self.fields["answer"]  # answers of the past point at it
        self.helper = _helper()


class NoticeForm(forms.ModelForm):  # type: ignore[type-arg]
    """How somebody wants to hear of leads."""

    digest_hour = forms.TypedChoiceField(
        label=gettext_lazy("The one mail comes at"),
        coerce=int,
        choices=[(hour, f"{hour:02}:00") for hour in range(24)],
    )

    class Meta:
        model = NoticeWish
        fields = ("by_mail", "digest_hour")
        widgets = {"by_mail": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper()


class HandOffForm(forms.Form):
    """When the draft hands over."""

    edit_number = forms.IntegerField(widget=forms.HiddenInput)
    hands_over = forms.BooleanField(
        label=gettext_lazy("Hand over to sales"),
        required=False,
        help_text=gettext_lazy("Off: the model only scores, without a threshold."),
    )
    conditions = ConditionsField(label=gettext_lazy("Only those for whom this holds too"), required=False)
    lower_line = forms.DecimalField(
        label=gettext_lazy("Lower line"),
        required=False,
        max_digits=9,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
        help_text=gettext_lazy(
            "Who was answered and then falls below it may cross the threshold anew, for the same rules too. "
            "Between the two lines a score may flap without handing anybody over. Empty: only something new counts."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = _helper("edit_number", "hands_over", "conditions", Field("lower_line"))

    @classmethod
    def values_of(cls, draft: ScoreVersion) -> dict[str, Any]:
        return {
            "edit_number": draft.edit_number,
            "hands_over": draft.hands_over,
            "conditions": draft.hand_off_conditions,
            "lower_line": None if draft.lower_line is None else draft.lower_line.normalize(),
        }


class DealForm(forms.Form):
    """An open deal of an accepted lead."""

    product = forms.CharField(label=gettext_lazy("Product"), required=False, max_length=300)
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"),
        required=False,
        min_value=Decimal(0),
        max_digits=17,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
