"""Somebody crosses a line of a score, upwards or downwards, or gets one of some grades."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds import Names, StepForm
from nurture.kinds.base import is_text
from nurture.triggers.base import TriggerKind, Values, missing
from scoring.grades import GRADES

PARTS = {
    "total": gettext_lazy("total"),
    "fit": gettext_lazy("fit"),
    "behaviour": gettext_lazy("behaviour"),
    "bant": gettext_lazy("BANT"),
}
UP, DOWN = "up", "down"
MOST = 1_000_000


def _model(values: Values, names: Names) -> str:
    slug = values.get("model", "")
    return names.score_models[slug].name if slug in names.score_models else slug or "…"


def _score_words(values: Values, names: Names) -> str:
    words = {
        "model": _model(values, names),
        "part": PARTS[values.get("part", "total")],
        "line": f"{values['line']:g}" if "line" in values else "…",
    }
    if values.get("direction") == DOWN:
        return _("falls below %(line)s points in “%(model)s” (%(part)s)") % words
    return _("rises to %(line)s points or more in “%(model)s” (%(part)s)") % words


def _grade_words(values: Values, names: Names) -> str:
    grades = _(" or ").join(values.get("grades", ())) or "…"
    return _("gets the grade %(grades)s in “%(model)s”") % {"grades": grades, "model": _model(values, names)}


def _model_problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from missing(values, "model", _("The trigger names no score model."))
    slug = values.get("model")
    if slug and slug not in names.score_models:
        yield _("The score model “%(slug)s” does not exist.") % {"slug": slug}, True


def _score_problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from _model_problems(values, names)
    if "line" not in values:
        yield _("The trigger names no line of the score."), True


def _grade_problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from _model_problems(values, names)
    yield from missing(values, "grades", _("The trigger names no grade."))


def _score_malformed(values: Values) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "model", 100)
    line = values.get("line", 0)
    if isinstance(line, bool) or not isinstance(line, int | float) or abs(line) > MOST:
        yield "line", _("expected a number of points")
    if values.get("part", "total") not in PARTS:
        yield "part", _("choose one of: %(choices)s") % {"choices": ", ".join(PARTS)}
    if values.get("direction", UP) not in (UP, DOWN):
        yield "direction", _("choose one of: %(choices)s") % {"choices": f"{UP}, {DOWN}"}


def _grade_malformed(values: Values) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "model", 100)
    grades = values.get("grades", [])
    if not isinstance(grades, list) or any(grade not in GRADES for grade in grades):
        yield "grades", _("expected a list of grades such as A1")


def _over_the_line(values: Values) -> dict[str, Any]:
    field = f"score.{values['model']}.{values.get('part', 'total')}"
    return {"field": field, "op": "at_least", "value": values["line"]}


def _has_grade(values: Values) -> dict[str, Any]:
    return {"field": f"score.{values['model']}.grade", "op": "in", "value": list(values["grades"])}


def _reads(values: Values) -> frozenset[str]:
    return frozenset({f"score:{values['model']}"} if values.get("model") else ())


class _ModelForm(StepForm):
    model = forms.ChoiceField(label=gettext_lazy("Score model"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(slug, row.name) for slug, row in self.names.score_models.items()]
        self.fields["model"].choices = [("", _("Choose a model")), *choices]  # type: ignore[attr-defined]


class ScoreTriggerForm(_ModelForm):
    part = forms.ChoiceField(label=gettext_lazy("Points of"), choices=list(PARTS.items()), required=False)
    direction = forms.ChoiceField(
        label=gettext_lazy("People enter when they"),
        choices=[(UP, gettext_lazy("rise to the line or above")), (DOWN, gettext_lazy("fall below the line"))],
        required=False,
    )
    line = forms.FloatField(label=gettext_lazy("Line"), min_value=-MOST, max_value=MOST, required=False)

    def values(self) -> dict[str, Any]:
        found = super().values()
        line = found.get("line")
        return found | ({"line": int(line)} if line is not None and line == int(line) else {})


class GradeTriggerForm(_ModelForm):
    grades = forms.MultipleChoiceField(
        label=gettext_lazy("People enter when they get one of these grades"),
        choices=[(grade, grade) for grade in GRADES],
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 8}),
        help_text=gettext_lazy("Whoever changes from one of them to another does not enter anew."),
    )

    def values(self) -> dict[str, Any]:
        return {key: value for key, value in super().values().items() if value != []}


SCORE = TriggerKind(
    key="score",
    label=gettext_lazy("Crosses a line of a score"),
    help=gettext_lazy("Upwards or downwards, in one score model."),
    icon="chart-arrows-vertical",
    form=ScoreTriggerForm,
    words=_score_words,
    keys=frozenset({"model", "part", "line", "direction"}),
    reads=_reads,
    malformed=_score_malformed,
    problems=_score_problems,
    condition=_over_the_line,
    on_leaving=lambda values: values.get("direction") == DOWN,
)
GRADE = TriggerKind(
    key="grade",
    label=gettext_lazy("Gets a grade"),
    help=gettext_lazy("One of some grades, in one score model."),
    icon="letter-a",
    form=GradeTriggerForm,
    words=_grade_words,
    keys=frozenset({"model", "grades"}),
    reads=_reads,
    malformed=_grade_malformed,
    problems=_grade_problems,
    condition=_has_grade,
)
