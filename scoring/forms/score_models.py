"""Forms of score models, their rules and lines."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any
from uuid import UUID

from crispy_forms.helper import FormHelper
from crispy_forms.layout import HTML, Column, Div, Field, Layout, Row
from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring import grades
from scoring.actions import Refused
from scoring.actions.editing import MOST_PER_DAY, MOST_POINTS, MOST_RULES, checked_points
from scoring.caps import ENDS, LABELS, checked_caps
from scoring.models import Rule, ScoreVersion
from scoring.occurrences import FIELDS as COUNTING_FIELDS
from scoring.occurrences import (
    MOST_DAYS,
    MOST_FIRST,
    MOST_HALVINGS,
    Counting,
    check_counting,
    leaf_of,
    set_counting,
)
from scoring.patterns import PATTERNS
from scoring.queries import CAPPED
from segments.builder import ConditionsField
from segments.conditions import BadConditions, check

LATEST_RETURN_DAYS = 730


class ModelForm(forms.Form):
    """A new score model."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("What it scores for: a product line, a region."),
    )
    pattern = forms.ChoiceField(label=gettext_lazy("Start from"), required=False, widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        pattern = self.fields["pattern"]
        assert isinstance(pattern, forms.ChoiceField)
        pattern.choices = [
            ("", _("Nothing: I write the rules myself")),
            *((one.key, f"{one.label} – {one.help}") for one in PATTERNS.values()),
        ]
        self.helper = FormHelper()
        self.helper.form_tag = False


class SettingsForm(forms.Form):
    """What is not versioned; who gets the leads and how soon they are answered stands with the queue's routing."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False


def _whole(label: Any, most: int, help_text: Any = "") -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=1, max_value=most, help_text=help_text)


class RuleForm(forms.Form):
    """One rule of a draft: what must hold, what it is worth, and the words that sales reads."""

    edit_number = forms.IntegerField(widget=forms.HiddenInput)
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=200,
        help_text=gettext_lazy("Sales reads it on the card: “Looked at pricing three times this week”."),
    )
    group = forms.ChoiceField(
        label=gettext_lazy("Group"),
        choices=[
            (Rule.Group.FIT, gettext_lazy("Fit: who they are")),
            (Rule.Group.BEHAVIOUR, gettext_lazy("Behaviour: what they do")),
            (Rule.Group.NEGATIVE, gettext_lazy("Negative: what speaks against them")),
        ],
    )
    points = forms.DecimalField(
        label=gettext_lazy("Points"),
        max_digits=9,
        decimal_places=2,
        min_value=-MOST_POINTS,
        max_value=MOST_POINTS,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    conditions = ConditionsField(label=gettext_lazy("Who gets them"))
    counts = forms.ChoiceField(
        label=gettext_lazy("How often they count"),
        choices=[
            ("once", gettext_lazy("once, while the condition holds")),
            ("each", gettext_lazy("for each activity, from its own moment on")),
        ],
        initial="once",
        required=False,
        widget=forms.RadioSelect,
    )
    first_n = _whole(gettext_lazy("Only the first"), MOST_FIRST, gettext_lazy("Later ones give nothing. Empty: all."))
    cap = forms.DecimalField(
        label=gettext_lazy("At most, in all"),
        required=False,
        max_digits=9,
        decimal_places=2,
        min_value=Decimal("0.01"),
        help_text=gettext_lazy("Points of this rule at any moment, either way. Empty: no limit."),
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    fades = forms.ChoiceField(
        label=gettext_lazy("The points of one activity"),
        choices=[
            ("never", gettext_lazy("stay")),
            ("lapse", gettext_lazy("lapse after some days")),
            ("halve", gettext_lazy("halve again and again")),
        ],
        initial="never",
        required=False,
    )
    expires_after_days = _whole(gettext_lazy("Lapse after days"), MOST_DAYS)
    halves_after_days = _whole(gettext_lazy("Halve every so many days"), MOST_DAYS)
    halvings = _whole(
        gettext_lazy("Gone after so many halvings"),
        MOST_HALVINGS,
        gettext_lazy("Empty: once under half a hundredth."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False
        # What fits is shown by the style sheet (.score-each, .score-lapse, .score-halve), so it works without JavaScript.
        self.helper.layout = Layout(
            Field("edit_number"),
            Row(
                Column("name", css_class="col-md-6 col-lg-12 col-xxl-6"),
                Column("group", css_class="col-md-4 col-lg-8 col-xxl-4"),
                Column("points", css_class="col-md-2 col-lg-4 col-xxl-2"),
            ),
            "conditions",
            "counts",
            Div(
                Row(
                    Column("first_n", css_class="col-md-3 col-6"),
                    Column("cap", css_class="col-md-3 col-6"),
                    Column("fades", css_class="col-md-6"),
                ),
                Row(Column("expires_after_days", css_class="col-md-3 col-6"), css_class="score-lapse"),
                Row(
                    Column("halves_after_days", css_class="col-md-3 col-6"),
                    Column("halvings", css_class="col-md-3 col-6"),
                    css_class="score-halve",
                ),
                css_class="score-each",
            ),
        )

    @staticmethod
    def counting_of(rule: Rule) -> dict[str, Any]:
        """Initial values of a rule."""
        fades = "lapse" if rule.expires_after_days else "halve" if rule.halves_after_days else "never"
        found: dict[str, Any] = {name: getattr(rule, name) for name in COUNTING_FIELDS}
        found["cap"] = None if rule.cap is None else plain(rule.cap)
        return {**found, "counts": "each" if rule.per_occurrence else "once", "fades": fades}

    @property
    def counting(self) -> Counting | None:
        """How the cleaned rule counts: what is hidden does not count."""
        data = self.cleaned_data
        if data.get("counts") != "each":
            return None
        lapses, halves = data.get("fades") == "lapse", data.get("fades") == "halve"
        return Counting(
            first_n=data.get("first_n"),
            cap=data.get("cap"),
            expires_after_days=data.get("expires_after_days") if lapses else None,
            halves_after_days=data.get("halves_after_days") if halves else None,
            halvings=data.get("halvings") if halves else None,
        )

    def as_rule(self, draft: ScoreVersion, key: str) -> Rule:
        """The cleaned rule, not saved; with the key of the one that is being edited, else a new one."""
        data = self.cleaned_data
        rule = Rule(version=draft, group=data["group"], name=data["name"], conditions=data["conditions"])
        rule.points = data["points"]
        set_counting(rule, self.counting)
        with suppress(ValueError):
            rule.key = UUID(key)
        return rule

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("points") is not None and cleaned.get("group"):
            try:
                cleaned["points"] = checked_points(cleaned["points"], cleaned["group"])
            except Refused as error:
                self.add_error("points", str(error))
        if cleaned.get("counts") == "each":
            self._clean_counting(cleaned)
        return cleaned

    def _clean_counting(self, cleaned: dict[str, Any]) -> None:
        for fades, name in (("lapse", "expires_after_days"), ("halve", "halves_after_days")):
            if cleaned.get("fades") == fades and cleaned.get(name) is None and name not in self.errors:
                self.add_error(name, _("Say how many days."))
        if self.errors:
            return
        counting = self.counting
        assert counting is not None
        try:
            check_counting(counting, cleaned["points"])
        except Refused as error:
            self.add_error("cap", str(error))
        try:
            leaf_of(check(cleaned["conditions"], allow_unknown_slugs=True))
        except Refused as error:
            self.add_error("conditions", str(error))
        except BadConditions as error:
            self.add_error("conditions", str(error.problems[0].message))


def plain(value: Decimal) -> Decimal | int:
    """Without needless zeros, and never as 1E+2."""
    return int(value) if value == value.to_integral_value() else value.normalize()


def _line(label: Any) -> forms.DecimalField:
    most = MOST_POINTS * MOST_RULES
    return forms.DecimalField(
        label=label,
        max_digits=9,
        decimal_places=2,
        min_value=-most,
        max_value=most,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )


def _cap(group: str, end: str) -> forms.DecimalField:
    """An end of a cap; empty where there is none."""
    label = LABELS[group] if end == "least" else _("to")
    return forms.DecimalField(
        label=label,
        required=False,
        max_digits=9,
        decimal_places=2,
        widget=forms.NumberInput(
            attrs={
                "step": "any",
                "inputmode": "decimal",
                "placeholder": _("no cap"),
                "aria-label": _("%(group)s, least") % {"group": LABELS[group]}
                if end == "least"
                else _("%(group)s, most") % {"group": LABELS[group]},
            }
        ),
    )


class LinesForm(forms.Form):
    """Threshold and grade lines of a draft."""

    edit_number = forms.IntegerField(widget=forms.HiddenInput)
    threshold = _line(gettext_lazy("Hand over from"))
    fit_a = _line(gettext_lazy("A from"))
    fit_b = _line(gettext_lazy("B from"))
    fit_c = _line(gettext_lazy("C from"))
    behaviour_1 = _line(gettext_lazy("1 from"))
    behaviour_2 = _line(gettext_lazy("2 from"))
    behaviour_3 = _line(gettext_lazy("3 from"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for group in CAPPED:
            for end in ENDS:
                self.fields[f"{group}_{end}"] = _cap(group, end)
        self.helper = FormHelper()
        self.helper.form_tag = False
        fit = HTML(f'<h3 class="h4 mb-2">{_("Letter: fit points")}</h3>')
        behaviour = HTML(f'<h3 class="h4 mb-2">{_("Digit: behaviour points")}</h3>')
        self.helper.layout = Layout(
            "edit_number",
            "threshold",
            fit,
            Row(*(Column(name, css_class="col-4") for name in ("fit_a", "fit_b", "fit_c"))),
            behaviour,
            Row(*(Column(name, css_class="col-4") for name in ("behaviour_1", "behaviour_2", "behaviour_3"))),
            HTML(f'<h3 class="h4 mb-2">{_("Caps: points held between")}</h3>'),
            *(Row(*(Column(f"{group}_{end}", css_class="col-6") for end in ENDS)) for group in CAPPED),
        )

    @classmethod
    def of(cls, version: ScoreVersion) -> LinesForm:
        fit, behaviour = version.fit_lines, version.behaviour_lines
        caps = {f"{group}_{end}": points for group, ends in version.caps.items() for end, points in ends.items()}
        return cls(
            initial={
                **caps,
                "edit_number": version.edit_number,
                "threshold": plain(version.threshold),
                "fit_a": plain(fit[0]),
                "fit_b": plain(fit[1]),
                "fit_c": plain(fit[2]),
                "behaviour_1": plain(behaviour[0]),
                "behaviour_2": plain(behaviour[1]),
                "behaviour_3": plain(behaviour[2]),
            }
        )

    @property
    def caps(self) -> dict[str, dict[str, Decimal]]:
        """As ScoreVersion.caps."""
        return {
            group: {
                end: self.cleaned_data[f"{group}_{end}"]
                for end in ENDS
                if self.cleaned_data[f"{group}_{end}"] is not None
            }
            for group in CAPPED
        }

    @property
    def fit_lines(self) -> list[Decimal]:
        return [self.cleaned_data[name] for name in ("fit_a", "fit_b", "fit_c")]

    @property
    def behaviour_lines(self) -> list[Decimal]:
        return [self.cleaned_data[name] for name in ("behaviour_1", "behaviour_2", "behaviour_3")]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if (cleaned.get("threshold") or 1) <= 0:
            self.add_error("threshold", _("The threshold lies above zero."))
        for names in (("fit_a", "fit_b", "fit_c"), ("behaviour_1", "behaviour_2", "behaviour_3")):
            lines = [cleaned.get(name) for name in names]
            if all(line is not None for line in lines) and not grades.are_falling(
                [line for line in lines if line is not None]
            ):
                self.add_error(names[1], _("Each line lies below the one before it."))
        if not self.errors:
            for group, ends in self.caps.items():
                try:
                    checked_caps({group: ends})
                except Refused as error:
                    self.add_error(f"{group}_most", str(error))
        return cleaned


class PublishForm(forms.Form):
    """The last word before a draft goes live."""

    edit_number = forms.IntegerField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=gettext_lazy("Why?"),
        max_length=500,
        help_text=gettext_lazy("Stands in the version history, for those who ask later."),
    )
    backlog = forms.ChoiceField(
        label=gettext_lazy("People who stand over the line at once"),
        choices=ScoreVersion.Backlog.choices,
        initial=ScoreVersion.Backlog.ALL,
        widget=forms.RadioSelect,
        error_messages={"required": gettext_lazy("Choose what happens to those who stand over the line.")},
    )
    backlog_per_day = forms.IntegerField(
        label=gettext_lazy("With the best first: how many a working day"),
        required=False,
        min_value=1,
        max_value=MOST_PER_DAY,
        widget=forms.NumberInput(attrs={"inputmode": "numeric"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.form_tag = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        is_missing = cleaned.get("backlog_per_day") is None and "backlog_per_day" not in self.errors
        if cleaned.get("backlog") == ScoreVersion.Backlog.BEST and is_missing:
            self.add_error("backlog_per_day", _("Say how many a working day."))
        return cleaned
