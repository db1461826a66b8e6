"""The form of a persona."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Column, Div, Field, Fieldset, Layout, Row
from django import forms
from django.forms.renderers import BaseRenderer
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from segments.builder import ConditionsField
from segments.models import Persona
from segments.personas import MOTIVATIONS

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Persona]
else:
    ModelForm = forms.ModelForm


class MotivationChoices(forms.SelectMultiple):
    """Boxes to tick, each with what the desire looks like at work. (No CheckboxSelectMultiple: crispy would draw that itself.)"""

    template_name = "segments/_persona_motivations.html"
    hints = {slug: hint for slug, _word, hint in MOTIVATIONS}

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        return render_to_string(
            self.template_name, self.get_context(name, value, attrs)
        )  # the form's renderer knows no templates/

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        option["hint"] = self.hints.get(str(value), "")
        return option


class PersonaForm(ModelForm):
    """Everything a persona says. `version` tells two editors apart."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    motivations = forms.MultipleChoiceField(
        label=_("Motivations"),
        choices=[],
        required=False,
        widget=MotivationChoices,
        help_text=_("The basic desires behind the goals. Two or three say more than ten."),
    )
    conditions = ConditionsField(
        label=_("Assignment rule"),
        required=False,
        help_text=_("Who is this persona? Personas are asked in their order; the first whose rule holds wins."),
    )

    class Meta:
        model = Persona
        fields = [
            "name", "job", "role", "status", "day", "background", "goals", "motivations", "end_goals", "obstacles_external",
            "obstacles_internal", "obstacles_philosophical", "objections", "conditions",
        ]  # fmt: skip
        labels = {
            "name": _("Name"), "job": _("Job"), "role": _("Role in the purchase"), "status": _("Status"), "day": _("A day at work"),
            "background": _("Background"), "goals": _("Goals"), "end_goals": _("End goals behind them"),
            "obstacles_external": _("External"), "obstacles_internal": _("Internal"), "obstacles_philosophical": _("Philosophical"),
            "objections": _("Objections"),
        }  # fmt: skip
        help_texts = {
            "name": _("A first name and what they do, so that everybody pictures the same person."),
            "job": _("Titles that you meet on business cards."),
            "day": _("When do they start, what interrupts them, what do they dread?"),
            "background": _("What did they learn, where do they come from?"),
            "goals": _("What are they measured by?"),
            "end_goals": _("What would that bring them, in the end?"),
            "obstacles_external": _("What in the world stands in the way: budget, contracts, machines."),
            "obstacles_internal": _("What they feel about it: doubt, fear, a bad memory."),
            "obstacles_philosophical": _("Why it should not be so: what they find right or wrong."),
            "objections": _("What they say when they say no; one a line."),
            "status": _("Only personas on test or agreed are given to contacts."),
        }
        widgets = {
            name: forms.Textarea(attrs={"rows": rows})
            for name, rows in {
                "day": 4, "background": 4, "goals": 3, "end_goals": 3, "obstacles_external": 3, "obstacles_internal": 3,
                "obstacles_philosophical": 3, "objections": 3,
            }.items()
        }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = {slug for slug, _word, _hint in MOTIVATIONS}
        own = [slug for slug in (self.instance.motivations or []) if slug not in known]
        motivations = self.fields["motivations"]
        assert isinstance(motivations, forms.MultipleChoiceField)
        motivations.choices = [*((slug, word) for slug, word, _hint in MOTIVATIONS), *((slug, slug) for slug in own)]
        self.fields["version"].initial = self.instance.version
        self.helper = FormHelper()
        self.helper.form_tag = False
        self.helper.layout = Layout(
            "version",
            _card(
                _("Who"),
                Row(Column("name", css_class="col-md-6"), Column("job", css_class="col-md-6")),
                Row(Column("role", css_class="col-md-6"), Column("status", css_class="col-md-6")),
                Row(Column("day", css_class="col-md-6"), Column("background", css_class="col-md-6")),
            ),
            _card(
                _("What they want"),
                Row(Column("goals", css_class="col-md-6"), Column("end_goals", css_class="col-md-6")),
                Field("motivations"),
            ),
            _card(
                _("What stands in the way"),
                Row(
                    *(
                        Column(f"obstacles_{kind}", css_class="col-md-4")
                        for kind in ("external", "internal", "philosophical")
                    )
                ),
                "objections",
            ),
            _card(_("Who is it?"), "conditions"),
        )


def _card(legend: Any, *content: Any) -> Div:
    return Div(Div(Fieldset(legend, *content), css_class="card-body"), css_class="card mb-3")
