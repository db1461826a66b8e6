"""Somebody enters, finishes or leaves another program, or reaches its goal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries_triggers
from nurture.kinds import Names, StepForm
from nurture.kinds.base import is_text
from nurture.triggers.base import Asked, TriggerKind, Values, missing
from segments.conditions import Sql

WHENS = {
    "finished": gettext_lazy("finish it"),
    "goal": gettext_lazy("reach its goal"),
    "left": gettext_lazy("leave it before the end"),
    "entered": gettext_lazy("enter it"),
}


def _words(values: Values, names: Names) -> str:
    name = {"program": names.program(values["program"]) if values.get("program") else "…"}
    return {
        "entered": _("enters “%(program)s”"),
        "left": _("leaves “%(program)s” before the end"),
        "goal": _("reaches the goal of “%(program)s”"),
    }.get(values.get("when", ""), _("finishes “%(program)s”")) % name


def _problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from missing(values, "program", _("The trigger names no program."))
    slug = values.get("program")
    if slug and slug not in names.programs:
        yield _("The program “%(slug)s” does not exist.") % {"slug": slug}, True


def _malformed(values: Values) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "program", 100)
    if values.get("when", "finished") not in WHENS:
        yield "when", _("choose one of: %(choices)s") % {"choices": ", ".join(WHENS)}


def _arrivals(values: Values, asked: Asked, since: datetime | None) -> Sql:
    return queries_triggers.walks_through(values["program"], values.get("when", "finished"))


class ProgramTriggerForm(StepForm):
    program = forms.ChoiceField(label=gettext_lazy("Another program"), required=False)
    when = forms.ChoiceField(
        label=gettext_lazy("People enter when they"), choices=list(WHENS.items()), required=False, initial="finished"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = sorted(
            ((slug, row.name) for slug, row in self.names.programs.items()), key=lambda one: one[1].casefold()
        )
        self.fields["program"].choices = [("", _("Choose a program")), *choices]  # type: ignore[attr-defined]


PROGRAM = TriggerKind(
    key="program",
    label=gettext_lazy("Comes from another program"),
    help=gettext_lazy("Whoever finished it, reached its goal, left or entered it."),
    icon="route",
    form=ProgramTriggerForm,
    words=_words,
    keys=frozenset({"program", "when"}),
    reads=lambda values: frozenset({f"program:{values['program']}"} if values.get("program") else ()),
    malformed=_malformed,
    problems=_problems,
    arrivals=_arrivals,
)
