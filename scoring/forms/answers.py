"""Forms of what a person decides about one lead: the answer, points by hand, whose it is."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crispy_forms.helper import FormHelper
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Owner
from scoring.actions.giving import MOST_GIVEN
from scoring.forms.score_models import LATEST_RETURN_DAYS
from scoring.models import AnswerReason


class AnswerForm(forms.Form):
    """Reject or recycle: a reason of that kind is required, a note is welcome."""

    reason = forms.ModelChoiceField(
        label=gettext_lazy("Reason"),
        queryset=AnswerReason.objects.none(),
        error_messages={"required": gettext_lazy("Choose a reason: it tunes the rules.")},
    )
    note = forms.CharField(label=gettext_lazy("Note"), required=False, max_length=2000)
    returns_on = forms.DateField(
        label=gettext_lazy("Back in the queue on"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )

    def __init__(self, *args: Any, answer: str, today: date, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._today, self._zone = today, zone
        reason = self.fields["reason"]
        assert isinstance(reason, forms.ModelChoiceField)
        reason.queryset = AnswerReason.objects.filter(answer=answer, is_active=True)
        if answer != AnswerReason.Answer.RECYCLED:
            del self.fields["returns_on"]

    def clean_returns_on(self) -> date | None:
        day: date | None = self.cleaned_data["returns_on"]
        if day is None:
            return None
        if day <= self._today:
            raise forms.ValidationError(_("Choose a day that is still to come."))
        if day > self._today + timedelta(days=LATEST_RETURN_DAYS):
            raise forms.ValidationError(_("Choose a day within two years."))
        return day

    @property
    def returns_at(self) -> datetime | None:
        """The beginning of that day in the workspace's zone."""
        day = self.cleaned_data.get("returns_on")
        return datetime.combine(day, time(0), self._zone) if day else None


class PointsForm(forms.Form):
    """Points by hand for one contact: how many, why, until when."""

    points = forms.DecimalField(
        label=gettext_lazy("Points"),
        max_digits=7,
        decimal_places=2,
        min_value=-MOST_GIVEN,
        max_value=MOST_GIVEN,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
        help_text=gettext_lazy("Below zero takes points away."),
    )
    reason = forms.CharField(label=gettext_lazy("Why?"), max_length=500)
    until = forms.DateField(
        label=gettext_lazy("Until the end of"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("Empty: for good."),
    )

    def __init__(self, *args: Any, zone: ZoneInfo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone
        self.helper = FormHelper()
        self.helper.form_tag = False

    @property
    def expires_at(self) -> datetime | None:
        """The end of that day in the workspace's zone."""
        day = self.cleaned_data.get("until")
        return datetime.combine(day + timedelta(days=1), time(0), self._zone) if day and day < date.max else None


class AssignForm(forms.Form):
    """To whom an open lead goes."""

    owner = forms.ModelChoiceField(queryset=Owner.objects.all(), required=False)
