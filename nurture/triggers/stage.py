"""Somebody reaches a stage of the life-cycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries_triggers
from nurture.kinds import Names, StepForm
from nurture.triggers.base import Asked, TriggerKind, Values, missing
from segments.conditions import Sql


def _words(values: Values, names: Names) -> str:
    stages = _(" or ").join(names.stage(slug) for slug in values.get("stages", ()))
    return _("reaches the stage %(stages)s") % {"stages": stages or "…"}


def _problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from missing(values, "stages", _("The trigger names no stage."))
    for slug in values.get("stages", ()):
        if slug not in names.stages:
            yield _("The stage “%(slug)s” does not exist.") % {"slug": slug}, True


def _malformed(values: Values) -> Iterator[tuple[str, str]]:
    stages = values.get("stages", [])
    if not isinstance(stages, list) or not all(isinstance(slug, str) for slug in stages):
        yield "stages", _("expected a list of stages")


def _arrivals(values: Values, asked: Asked, since: datetime | None) -> Sql:
    if since is None:
        return queries_triggers.stages_now(values["stages"])
    return queries_triggers.stages_reached(values["stages"])


class StageTriggerForm(StepForm):
    stages = forms.MultipleChoiceField(
        label=gettext_lazy("People enter when they reach"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "By a rule, by sales, by hand or by an import; whoever jumps over a stage does not reach it."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["stages"].choices = list(self.names.stages.items())  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        stages = self.cleaned_data["stages"]
        return {"stages": list(stages)} if stages else {}


STAGE = TriggerKind(
    key="stage",
    label=gettext_lazy("Reaches a stage"),
    help=gettext_lazy("Of the life-cycle, whoever moved them there."),
    icon="stairs-up",
    form=StageTriggerForm,
    words=_words,
    keys=frozenset({"stages"}),
    reads=lambda values: frozenset({"contact.stage", *(f"stage:{slug}" for slug in values.get("stages", ()))}),
    malformed=_malformed,
    problems=_problems,
    arrivals=_arrivals,
)
