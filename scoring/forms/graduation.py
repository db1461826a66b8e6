"""What people type about graduation rules and targets."""

from __future__ import annotations

from typing import Any

from crispy_forms.bootstrap import InlineCheckboxes
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Layout, Row
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.lifecycle import POSITION
from scoring import graduation
from scoring.actions.editing import MOST_POINTS
from scoring.forms.score_models import plain
from scoring.models import GraduationRule, ScoreModel
from segments.builder import ConditionsField


class GraduationForm(forms.Form):
    """Who moves, out of which stages, to which one."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("Stands in the history of everybody whom the rule moves."),
    )
    to_stage = forms.ChoiceField(label=gettext_lazy("Moves to"))
    from_stages = forms.MultipleChoiceField(
        label=gettext_lazy("Out of"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("A rule only moves forward. Who was moved back waits until they do something new."),
    )
    points_of = forms.ModelChoiceField(
        label=gettext_lazy("With points of"), queryset=ScoreModel.objects.none(), required=False
    )
    points = forms.DecimalField(
        label=gettext_lazy("at least"),
        required=False,
        max_digits=9,
        decimal_places=2,
        min_value=-MOST_POINTS,
        max_value=MOST_POINTS,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    conditions = ConditionsField(label=gettext_lazy("Who also meets"), required=False)
    is_active = forms.BooleanField(label=gettext_lazy("In use"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        to_stage, from_stages, points_of = (self.fields[name] for name in ("to_stage", "from_stages", "points_of"))
        assert isinstance(to_stage, forms.ChoiceField)
        assert isinstance(from_stages, forms.MultipleChoiceField)
        assert isinstance(points_of, forms.ModelChoiceField)
        to_stage.choices = [(slug, str(graduation.LABELS[slug])) for slug in graduation.TARGETS]
        from_stages.choices = [
            (slug, str(graduation.LABELS[slug])) for slug in POSITION if slug not in ("advocate", "disqualified")
        ]
        points_of.queryset = ScoreModel.objects.in_use()
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "version",
            Row(Column("name", css_class="col-md-8"), Column("to_stage", css_class="col-md-4")),
            InlineCheckboxes("from_stages"),
            Row(Column("points_of", css_class="col-md-4"), Column("points", css_class="col-md-2")),
            "conditions",
            "is_active",
        )

    @classmethod
    def initial_of(cls, rule: GraduationRule | None) -> dict[str, Any]:
        if rule is None:
            return {"to_stage": "mql", "from_stages": graduation.usual_from("mql"), "is_active": True}
        return {
            "version": rule.version,
            "name": rule.name,
            "to_stage": rule.to_stage,
            "from_stages": rule.from_stages,
            "points_of": rule.points_of_id,
            "points": None if rule.points is None else plain(rule.points),
            "conditions": rule.conditions,
            "is_active": rule.is_active,
        }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if (cleaned.get("points_of") is None) != (cleaned.get("points") is None):
            self.add_error("points", _("Points need both: a score model and a number."))
        return cleaned


class TargetForm(forms.Form):
    """The company's own target for one step; empty takes it away."""

    percent = forms.DecimalField(required=False, max_digits=5, decimal_places=2, min_value=0, max_value=100)
