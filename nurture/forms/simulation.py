"""The form of a simulation's assumptions."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import ActivityKind
from nurture.simulation.assumptions import MOST_DAYS, Assumptions


class SimulationForm(forms.Form):
    """Filled with the last simulation's assumptions, else with what happened so far."""

    days = forms.IntegerField(label=gettext_lazy("Days ahead"), min_value=1, max_value=MOST_DAYS)
    entry = forms.ChoiceField(
        label=gettext_lazy("Who enters"),
        choices=[
            ("all", gettext_lazy("everybody whom a trigger would let in now, at once")),
            ("some", gettext_lazy("so many of them a day")),
            ("none", gettext_lazy("nobody: only those who are inside go on")),
        ],
        widget=forms.RadioSelect,
    )
    per_day = forms.IntegerField(label=gettext_lazy("People a day"), min_value=1, max_value=1_000_000, required=False)
    open_rate = forms.FloatField(label=gettext_lazy("Opened, % of mails"), min_value=0, max_value=100)
    click_rate = forms.FloatField(label=gettext_lazy("Clicked, % of those"), min_value=0, max_value=100)
    answer_rate = forms.FloatField(label=gettext_lazy("Answered, % of those"), min_value=0, max_value=100)
    answer_kind = forms.ChoiceField(label=gettext_lazy("An answer is"))
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        min_value=0,
        max_value=1_000_000,
        help_text=gettext_lazy("The same seed gives the same result; another one shows how much is chance."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = ActivityKind.objects.exclude(slug__startswith="email_").order_by("label").values_list("slug", "label")
        self.fields["answer_kind"].choices = list(kinds)  # type: ignore[attr-defined]

    @staticmethod
    def initial_of(assumptions: Assumptions) -> dict[str, Any]:
        entry = {None: "all", 0: "none"}.get(assumptions.per_day, "some")
        return assumptions.as_json() | {"entry": entry}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("entry") == "some" and not cleaned.get("per_day") and "per_day" not in self.errors:
            self.add_error("per_day", _("Say how many a day."))
        return cleaned

    def assumptions(self) -> Assumptions:
        data = dict(self.cleaned_data)
        entry = data.pop("entry")
        data["per_day"] = {"all": None, "none": 0, "some": data["per_day"]}[entry]
        return Assumptions(**data)
