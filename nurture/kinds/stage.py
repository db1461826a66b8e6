"""Move people to a stage of the life-cycle; only moves that a program may make, the others stay where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import move_stages
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text


def _words(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("to"):
        return _("Move to stage %(stage)s") % {"stage": names.stage(slug)}
    return _("Change the stage")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    slug = values.get("to")
    if not slug:
        yield _("The step does not say to which stage."), True
    elif slug not in names.stages:
        yield _("The stage “%(slug)s” does not exist.") % {"slug": slug}, True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "to", 50)


def _run(group: Group) -> dict[str, list[Walker]]:
    reason = _("Program “%(program)s”") % {"program": group.program.name}
    move_stages(group.contact_ids, to=group.step.values["to"], cause=group.cause, reason=reason, now=group.now)
    return group.done()


class ChangeStageForm(StepForm):
    to = forms.ChoiceField(
        label=gettext_lazy("Stage"),
        required=False,
        help_text=gettext_lazy("A program moves people forward or into a detour; nobody is moved back."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [("", _("Choose a stage")), *self.names.stages.items()]  # type: ignore[attr-defined]


CHANGE_STAGE = Kind(
    key="change_stage",
    label=gettext_lazy("Change stage"),
    help=gettext_lazy("Move on in the life-cycle."),
    icon="stairs-up",
    colour="teal",
    form=ChangeStageForm,
    words=_words,
    run=_run,
    keys=frozenset({"to"}),
    malformed=_malformed,
    problems=_problems,
)
