"""A program goes on after a pause: what becomes of the waits meanwhile, with exact numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy

from nurture import tree
from nurture.kinds import KINDS, Names, Step
from nurture.models import Program, ProgramVersion
from nurture.publication import moving, queries_moving

AT_ONCE, ANEW, SHIFT = "at_once", "anew", "shift"
CHOICES = {
    AT_ONCE: gettext_lazy("Go on at once: a wait that passed is over"),
    ANEW: gettext_lazy("Start those waits anew, from now"),
    SHIFT: gettext_lazy("Waits last longer by the pause"),
}


@dataclass(frozen=True)
class Wait:
    """A step at which people wait."""

    step: Step
    words: str
    version_number: int
    waiting: int
    passed: int


@dataclass(frozen=True)
class Sheet:
    """What is asked when a paused program is to go on."""

    paused_at: datetime
    now: datetime
    waits: list[Wait]

    @property
    def length(self) -> timedelta:
        return self.now - self.paused_at

    @property
    def passed(self) -> int:
        """People whose wait passed during the pause."""
        return sum(wait.passed for wait in self.waits)

    @property
    def shifted(self) -> int:
        """People whose wait lasts longer by the pause, if that is chosen."""
        return sum(wait.waiting for wait in self.waits if is_span(wait.step))

    @property
    def number(self) -> dict[str, int]:
        """How many people each choice concerns."""
        return {AT_ONCE: self.passed, ANEW: self.passed, SHIFT: self.shifted}


def sheet(program: Program, now: datetime) -> Sheet:
    """Two statements, and the names that the steps mention."""
    assert program.paused_at is not None
    names, found = Names(), []
    versions, steps = _steps(program)
    for version_id, step_id, waiting, passed in queries_moving.waiting(program.pk, since=program.paused_at, now=now):
        step = steps[version_id].get(step_id)
        if step is not None and KINDS[step.kind].makes_wait:
            words = KINDS[step.kind].words(step.values, names)
            found.append(Wait(step, words, versions[version_id].number, waiting, passed))
    return Sheet(program.paused_at, now, found)


def _steps(program: Program) -> tuple[Mapping[int, ProgramVersion], Mapping[int, dict[str, Step]]]:
    versions = {version.pk: version for version in program.versions.all()}
    return versions, {
        pk: {step.id: step for step in tree.check(version.tree).walk()} for pk, version in versions.items()
    }


def go_on(program: Program, choice: str, *, now: datetime) -> int:
    """Do with the waits what was chosen; how many people it concerned. The caller holds the program's row.

    A few statements for each step at which somebody waits.
    """
    since = program.paused_at
    if since is None or choice == AT_ONCE:
        return 0
    concerned = 0
    _versions, steps = _steps(program)
    for version_id, step_id, _waiting, _passed in queries_moving.waiting(program.pk, since=since, now=now):
        step = steps[version_id].get(step_id)
        if step is None or not KINDS[step.kind].makes_wait:
            continue
        if choice == SHIFT:
            if is_span(step):
                concerned += queries_moving.shift(version_id, step_id, seconds=(now - since).total_seconds())
            continue
        people = queries_moving.passed_at(version_id, step_id, since=since, now=now)
        due = moving.due_from(step, ((contact_id, now) for _id, contact_id in people))
        moments = [due.get(contact_id, now) for _id, contact_id in people]
        queries_moving.put_at(
            [key for key, _contact_id in people],
            moments,
            version_id=version_id,
            step=step_id,
            arrived_at=[now] * len(people),
        )
        concerned += len(people)
    return concerned


def is_span(step: Step) -> bool:
    """Whether the wait lasts so long, which a pause can lengthen; a weekday or a day in a field comes when it comes."""
    return "for" in step.values or "conditions" in step.values
