"""Forms of what stands around the steps, and of the budget over all programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import around, tree
from nurture.kinds import KINDS, Names
from segments.builder import ConditionsField

MOST_OFFERED = 500  # segments in a list


class AroundForm(forms.Form):
    """Goal, exits, re-entry, dates, segments kept out and hold-out of a draft. `document()` gives what the version stores."""

    again = forms.ChoiceField(
        label=gettext_lazy("How often"),
        choices=[
            ("never", gettext_lazy("Once per person")),
            ("after", gettext_lazy("Again when they enter anew, after some days")),
            ("always", gettext_lazy("Each time they enter anew")),
        ],
        widget=forms.RadioSelect,
    )
    again_days = forms.IntegerField(
        label=gettext_lazy("Days after the end"), min_value=1, max_value=around.MOST_DAYS, required=False
    )
    leave = forms.ChoiceField(
        label=gettext_lazy("Whoever entered"),
        choices=[
            ("finish", gettext_lazy("finishes, also after leaving the segment")),
            ("no_member", gettext_lazy("leaves when they no longer belong to the segment")),
        ],
        widget=forms.RadioSelect,
    )
    exit_conditions = ConditionsField(
        label=gettext_lazy("Leaves also when"),
        required=False,
        help_text=gettext_lazy(
            "Looked at when the contact changes, and before each step. Waiting mails are taken back."
        ),
    )
    keep_out = forms.MultipleChoiceField(
        label=gettext_lazy("Members of these segments stay outside"),
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 5}),
    )
    goal_conditions = ConditionsField(
        label=gettext_lazy("The goal is reached when"),
        required=False,
        help_text=gettext_lazy(
            "Counts as a success, wherever somebody stands. Who had reached it before does not enter."
        ),
    )
    goal_then = forms.ChoiceField(label=gettext_lazy("Whoever reaches it"), required=False)
    goal_days = forms.IntegerField(
        label=gettext_lazy("Counts within days of the entry"), min_value=1, max_value=around.MOST_DAYS, required=False
    )
    hold_out = forms.IntegerField(
        label=gettext_lazy("Hold out, in per cent"),
        min_value=0,
        max_value=around.MOST_HELD_OUT,
        required=False,
        help_text=gettext_lazy("So many get nothing, to see what the program is worth. Needs a goal."),
    )
    starts_on = forms.DateField(
        label=gettext_lazy("Takes people in from"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    ends_on = forms.DateField(
        label=gettext_lazy("until, that day included"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("Whoever is inside then finishes."),
    )

    def __init__(self, *args: Any, steps: tree.Tree, names: Names, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        segments = sorted(names.segments.values(), key=lambda row: row.name.casefold())
        known = {row.slug for row in segments[:MOST_OFFERED]}
        chosen = [slug for slug in (self.initial.get("keep_out") or []) if slug not in known]
        offered = [(row.slug, row.name) for row in segments[:MOST_OFFERED]] + [(slug, slug) for slug in chosen]
        self.fields["keep_out"].choices = offered  # type: ignore[attr-defined]
        onward = [
            (step.id, f"{_('goes on at')}: {KINDS[step.kind].words(step.values, names)}") for step in steps.walk()
        ]
        self.fields["goal_then"].choices = [(around.END, _("has finished")), *onward]  # type: ignore[attr-defined]

    @staticmethod
    def initial_of(document: Mapping[str, Any]) -> dict[str, Any]:
        again, exit, goal = document.get("again"), document.get("exit") or {}, document.get("goal") or {}
        return {
            "again": "never" if again is None else "after" if again["days"] else "always",
            "again_days": again["days"] if again and again["days"] else None,
            "leave": "no_member" if exit.get("when") else "finish",
            "exit_conditions": exit.get("conditions"),
            "keep_out": document.get("keep_out", []),
            "goal_conditions": goal.get("conditions"),
            "goal_then": goal.get("then", around.END),
            "goal_days": goal.get("days", around.GOAL_DAYS),
            "hold_out": document.get("hold_out"),
            "starts_on": document.get("starts_on"),
            "ends_on": document.get("ends_on"),
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("again") == "after" and not cleaned.get("again_days") and "again_days" not in self.errors:
            self.add_error("again_days", _("Say after how many days."))
        if cleaned.get("hold_out") and not cleaned.get("goal_conditions") and "goal_conditions" not in self.errors:
            self.add_error("hold_out", _("Say first what the goal is: without one there is nothing to compare."))
        start, end = cleaned.get("starts_on"), cleaned.get("ends_on")
        if start and end and end < start:
            self.add_error("ends_on", _("The last day lies before the first."))
        return cleaned

    def document(self) -> around.Document:
        data, found = self.cleaned_data, around.Document()
        if data["again"] != "never":
            found["again"] = {"days": data["again_days"] if data["again"] == "after" else 0}
        exit = {"when": around.NO_MEMBER} if data["leave"] == "no_member" else {}
        if data["exit_conditions"]:
            exit["conditions"] = data["exit_conditions"]
        if exit:
            found["exit"] = exit
        if data["goal_conditions"]:
            then, days = data["goal_then"] or around.END, data["goal_days"] or around.GOAL_DAYS
            found["goal"] = {"conditions": data["goal_conditions"], "then": then, "days": days}
        found |= {key: data[key].isoformat() for key in ("starts_on", "ends_on") if data[key]}
        found |= {key: data[key] for key in ("keep_out", "hold_out") if data[key]}
        return found


class BudgetForm(forms.Form):
    """One budget of marketing mails over all programs; empty lifts it."""

    mails = forms.IntegerField(
        label=gettext_lazy("Mails to one person, at most"),
        min_value=1,
        max_value=1_000,
        required=False,
        help_text=gettext_lazy("Empty: no budget."),
    )
    days = forms.IntegerField(label=gettext_lazy("within days"), min_value=1, max_value=365, initial=7)
