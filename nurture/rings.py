"""Programs that start each other in a ring, so that people would go round for ever: found before a version is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from nurture.kinds.base import Problem, Step
from nurture.models import Program, ProgramVersion


@dataclass(frozen=True)
class _Version:
    """What one program, as it runs or is about to, starts, and whether people who were in it enter anew."""

    name: str
    starts: tuple[str, ...]
    lets_in_again: bool


def problems(version: ProgramVersion, steps: Iterable[Step]) -> list[Problem]:
    """A ring through this version in which every program lets people in again, at each step that would close it.

    One statement, none where the version starts no program.
    """
    closing = [(step, step.values["program"]) for step in steps if _starts(step)]
    if not closing or "again" not in version.around:
        return []
    running = _running(version.program)
    found = []
    for step, slug in closing:
        if way := _way(running, slug, version.program.slug, ()):
            names = " → ".join([version.program.name, *(running[one].name for one in way), version.program.name])
            message = _("People would go round without end, since each of these lets them in again: %(ring)s.")
            found.append(Problem("steps", message % {"ring": names}, step.id))
        elif slug == version.program.slug:
            found.append(Problem("steps", _("The program starts itself again and again, without end."), step.id))
    return found


def _starts(step: Step) -> bool:
    return step.kind == "start_program" and bool(step.values.get("program"))


def _running(besides: Program) -> dict[str, _Version]:
    """Slug -> the live version of every other program that runs or is paused."""
    rows = ProgramVersion.objects.filter(
        state=ProgramVersion.State.LIVE,
        program__state__in=[Program.State.LIVE, Program.State.PAUSED],
        program__archived_at=None,
    ).exclude(program=besides)
    return {
        row.program.slug: _Version(row.program.name, tuple(_started(row.tree.get("steps", []))), "again" in row.around)
        for row in rows.select_related("program").order_by("program_id")
    }


def _started(nodes: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for node in nodes:
        if node.get("kind") == "start_program" and node.get("program"):
            yield node["program"]
        for value in node.values():
            if isinstance(value, list):
                yield from _started([child for child in value if isinstance(child, dict)])


def _way(running: Mapping[str, _Version], at: str, to: str, before: tuple[str, ...]) -> tuple[str, ...] | None:
    """The programs from `at` to the one that starts `to`, all of which let people in again; None when there is no such way."""
    here = running.get(at)
    if here is None or not here.lets_in_again or at in before:
        return None
    if to in here.starts:
        return (*before, at)
    for onto in here.starts:
        if way := _way(running, onto, to, (*before, at)):
            return way
    return None
