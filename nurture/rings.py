"""Programs that lead into each other in a ring, so that people would go round for ever: found before a version is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext as _

from nurture.kinds.base import START, Problem, Step
from nurture.models import Program, ProgramVersion


@dataclass
class _Runs:
    """What one program, as it runs or is about to, leads into, and whether people who were in it enter anew."""

    name: str
    lets_in_again: bool
    onto: dict[str, str] = field(
        default_factory=dict
    )  # program -> the step that starts it, or START: its own trigger does


def problems(version: ProgramVersion, steps: Iterable[Step]) -> list[Problem]:
    """A ring through this version in which every program lets people in again, where it would be closed.

    One statement, none where the version lets nobody in again.
    """
    if "again" not in version.around:
        return []
    own, runs = version.program.slug, _running(version.program)
    started = {
        step.values["program"]: step.id for step in steps if step.kind == "start_program" and "program" in step.values
    }
    here = _Runs(version.program.name, True, {**runs.pop(own).onto, **started})
    _lead(version.triggers, own, {**runs, own: here})
    found = []
    for slug, step_id in here.onto.items():
        if slug == own:
            found.append(Problem("steps", _("The program starts itself again and again, without end."), step_id))
        elif way := _way(runs, slug, own, ()):
            names = " → ".join([here.name, *(runs[one].name for one in way), here.name])
            message = _("People would go round without end, since each of these lets them in again: %(ring)s.")
            found.append(Problem("steps", message % {"ring": names}, step_id))
    return found


def _running(program: Program) -> dict[str, _Runs]:
    """Slug -> every other program that is live or paused; this one with the programs whose triggers wait for it."""
    rows = ProgramVersion.objects.filter(
        state=ProgramVersion.State.LIVE,
        program__state__in=[Program.State.LIVE, Program.State.PAUSED],
        program__archived_at=None,
    ).exclude(program=program)
    versions = list(rows.select_related("program").order_by("program_id"))
    found = {row.program.slug: _Runs(row.program.name, "again" in row.around) for row in versions}
    found[program.slug] = _Runs(program.name, True)
    for row in versions:
        for slug, step_id in _started(row.tree.get("steps", [])):
            found[row.program.slug].onto[slug] = step_id
        _lead(row.triggers, row.program.slug, found)
    return found


def _lead(triggers: Sequence[Mapping[str, Any]], into: str, runs: Mapping[str, _Runs]) -> None:
    """Programs that these triggers wait for lead into this one."""
    for trigger in triggers:
        if (before := runs.get(trigger.get("program", ""))) is not None:
            before.onto.setdefault(into, START)


def _started(nodes: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    for node in nodes:
        if node.get("kind") == "start_program" and node.get("program"):
            yield node["program"], node["id"]
        for value in node.values():
            if isinstance(value, list):
                yield from _started([child for child in value if isinstance(child, dict)])


def _way(runs: Mapping[str, _Runs], at: str, to: str, before: tuple[str, ...]) -> tuple[str, ...] | None:
    """The programs from `at` to the one that leads into `to`, all of which let people in again; None when there is no such way."""
    here = runs.get(at)
    if here is None or not here.lets_in_again or at in before:
        return None
    if to in here.onto:
        return (*before, at)
    for onto in here.onto:
        if way := _way(runs, onto, to, (*before, at)):
            return way
    return None
