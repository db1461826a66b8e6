"""Forms of BANT: its weights in a draft, and a fact that somebody learned."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils.translation import gettext_lazy

from scoring import bant
from scoring.actions.editing import MOST_BANT
from scoring.forms.score_models import plain
from scoring.models import BantFact, ScoreVersion


def _weight(label: Any) -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        min_value=0,
        max_value=MOST_BANT,
        max_digits=6,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


class WeightsForm(forms.Form):
    """Whether BANT counts, what each of the four is worth, and from how many points it passes."""

    edit_number = forms.IntegerField(widget=forms.HiddenInput)
    includes_bant = forms.BooleanField(label=gettext_lazy("BANT counts in the score"), required=False)
    budget = _weight(bant.LABELS["budget"])
    authority = _weight(bant.LABELS["authority"])
    need = _weight(bant.LABELS["need"])
    timeframe = _weight(bant.LABELS["timeframe"])
    bant_line = _weight(gettext_lazy("BANT passes from"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "edit_number",
            "includes_bant",
            Row(*(Column(facet, css_class="col-6") for facet in bant.FACETS)),
            "bant_line",
        )

    @classmethod
    def of(cls, version: ScoreVersion) -> WeightsForm:
        weights = dict(zip(bant.FACETS, map(plain, version.bant_weights), strict=True))
        return cls(
            initial={
                "edit_number": version.edit_number,
                "includes_bant": version.includes_bant,
                "bant_line": plain(version.bant_line),
                **weights,
            }
        )

    @property
    def weights(self) -> list[Decimal]:
        return [self.cleaned_data[facet] for facet in bant.FACETS]


@dataclass(frozen=True)
class Preset:
    """Weights by one click; what else the draft says of BANT stays."""

    label: Any
    weights: tuple[Decimal, ...]
    fields: list[tuple[str, Any]]


def presets_of(draft: ScoreVersion) -> list[Preset]:
    """Those that differ from what the draft says."""
    kept: list[tuple[str, Any]] = [
        ("bant_line", draft.bant_line),
        *([("includes_bant", "on")] if draft.includes_bant else []),
    ]
    return [
        Preset(label, weights, [*zip(bant.FACETS, weights, strict=True), *kept])
        for label, weights in bant.WEIGHT_PRESETS.values()
        if list(weights) != list(draft.bant_weights)
    ]


class FactForm(forms.Form):
    """One fact: the facet and the answer, with what belongs to it."""

    facet = forms.ChoiceField(choices=BantFact.Facet.choices)
    answer = forms.CharField(max_length=20)
    amount = forms.DecimalField(required=False, max_digits=14, decimal_places=2)
    due_on = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}))
    within_months = forms.IntegerField(required=False)
    confidence = forms.TypedChoiceField(
        choices=BantFact.Confidence.choices,
        coerce=int,
        required=False,
        empty_value=str(BantFact.Confidence.HEARD.value),
    )
    note = forms.CharField(required=False, max_length=500)
