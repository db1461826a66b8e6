"""Start another program for people, or let them leave one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Mark
from leads.queries import mark
from nurture import queries_around
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from nurture.models import Program


def _words_of_starting(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("program"):
        return _("Start the program “%(program)s”") % {"program": names.program(slug)}
    return _("Start another program")


def _words_of_leaving(values: Mapping[str, Any], names: Names) -> str:
    if slug := values.get("program"):
        return _("Leave the program “%(program)s”") % {"program": names.program(slug)}
    return _("Leave another program")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    slug = values.get("program")
    if not slug:
        yield _("The step names no program."), True
    elif slug not in names.programs:
        yield _("The program “%(slug)s” does not exist any more.") % {"slug": slug}, True


def _problems_of_starting(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    yield from _problems(values, names)
    program = names.programs.get(values.get("program", ""))
    if program is not None and program.state != Program.State.LIVE:
        words = {"name": program.name, "state": program.get_state_display()}
        yield _("“%(name)s” is %(state)s: nobody would enter it.") % words, False


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "program", 100)


def _known(group: Group) -> str:
    slug: str = group.step.values["program"]
    if slug not in group.names.programs:
        raise LookupError(_("The program “%(slug)s” does not exist any more.") % {"slug": slug})
    return slug


def _run_starting(group: Group) -> dict[str, list[Walker]]:
    """One statement; whoever may not enter (was in it, is in it, it does not run) walks on here."""
    slug = _known(group)
    entered = queries_around.enrol_by_program(group.contact_ids, slug=slug, by=group.program.slug, now=group.now)
    return group.split(entered, inside="done", outside="not_entered")


def _run_leaving(group: Group) -> dict[str, list[Walker]]:
    """Three statements: their walks end and the mails of them that wait are taken back. Leaving one's own program ends the walk at once."""
    slug = _known(group)
    walks = queries_around.walks_in(group.contact_ids, slug=slug)
    queries_around.end_walks(list(walks), state="left", why=f"program:{group.program.slug}", now=group.now)
    if walks and f"program:{slug}" in group.names.programs_read:
        mark(list(walks.values()), Mark.Facet.DEFINITION)
    if slug == group.program.slug:
        return {}
    return group.split(set(walks.values()), inside="done", outside="not_inside")


class ProgramStepForm(StepForm):
    program = forms.ChoiceField(label=gettext_lazy("Program"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        programs = [(slug, row.name) for slug, row in self.names.programs.items()]
        self.fields["program"].choices = [("", _("Choose a program")), *programs]  # type: ignore[attr-defined]


START_PROGRAM = Kind(
    key="start_program",
    label=gettext_lazy("Start another program"),
    help=gettext_lazy("They enter it, and walk on here too."),
    icon="player-track-next",
    colour="indigo",
    form=ProgramStepForm,
    words=_words_of_starting,
    run=_run_starting,
    keys=frozenset({"program"}),
    malformed=_malformed,
    problems=_problems_of_starting,
    outcomes={"not_entered": gettext_lazy("did not enter: in it already, were in it before, or it does not run")},
)
LEAVE_PROGRAM = Kind(
    key="leave_program",
    label=gettext_lazy("Leave another program"),
    help=gettext_lazy("They leave it, and mails of it that wait are taken back."),
    icon="logout",
    colour="indigo",
    form=ProgramStepForm,
    words=_words_of_leaving,
    run=_run_leaving,
    keys=frozenset({"program"}),
    malformed=_malformed,
    problems=_problems,
    outcomes={"not_inside": gettext_lazy("were not in it")},
)
