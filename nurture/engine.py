"""Walks people through their programs: claims who is due, works them by step in groups, moves them on in the same transaction."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from django.db import OperationalError, transaction
from django.utils.translation import gettext as _

from leads.models import Mark
from leads.queries import mark
from nurture import queries, tree
from nurture.kinds import KINDS, START, Group, Names, Step, Walker
from nurture.models import Program, ProgramVersion

log = logging.getLogger(__name__)

BATCH = 1_000  # LIMITS: set-based steps peak here; larger batches only hold their locks longer
TRIES = 4  # of one batch, when it lost a deadlock or a serialisation race
_RACES = frozenset({"40001", "40P01"})


@dataclass
class Report:
    """What one run did."""

    steps: int = 0
    batches: int = 0
    parked: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, number: int) -> None:
        self.steps += number
        self.by_kind[kind] = self.by_kind.get(kind, 0) + number


@dataclass(frozen=True)
class Plan:
    """A published version, ready to walk: versions never change, so a worker reads each once."""

    steps: dict[str, Step]
    routes: dict[str, dict[str, str | None]]


@lru_cache(maxsize=512)
def plan(version_id: int) -> Plan:
    checked = tree.check(ProgramVersion.objects.exclude(state=ProgramVersion.State.DRAFT).get(pk=version_id).tree)
    return Plan({step.id: step for step in checked.walk()}, tree.routes(checked))


def run_due(
    now: datetime, *, seconds: float = 20.0, batch: int = BATCH, programs: Sequence[int] | None = None
) -> Report:
    """Do every step that is due, several per person where nothing waits, until nothing is left or the time is used up.

    Safe to run in many processes at once: they pass over each other's rows. Each batch is one transaction of its own:
    a killed worker leaves nothing half done. One statement when nothing is due.
    """
    report, names, until = Report(), Names(), time.monotonic() + seconds
    while True:
        waiting = queries.programs_with_due(now)
        if programs is not None:
            waiting = [program_id for program_id in waiting if program_id in programs]
        did = 0
        for program_id in waiting:
            if time.monotonic() >= until:
                return report
            did += run_batch(program_id, now, batch=batch, names=names, report=report)
        if not did:  # nothing due, or other workers hold what is
            return report


def run_batch(program_id: int, now: datetime, *, batch: int, names: Names, report: Report) -> int:
    """One batch of one program; the number of enrolments that it moved or parked. Tried again after a lost race."""
    for attempt in range(1, TRIES + 1):
        trial = Report()
        try:
            with transaction.atomic():
                due = queries.claim_due(program_id, now=now, limit=batch)
                if due:
                    _work(Program.objects.get(pk=program_id), due, now, names, trial)
        except OperationalError as error:
            if not is_race(error) or attempt == TRIES:
                raise
            time.sleep(0.02 * 2**attempt)
            continue
        report.batches += bool(due)
        report.parked += trial.parked
        for kind, number in trial.by_kind.items():
            report.add(kind, number)
        return len(due)
    raise AssertionError("the loop returns or raises")


def is_race(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in _RACES


def _work(program: Program, due: Sequence[queries.Due], now: datetime, names: Names, report: Report) -> None:
    groups: defaultdict[tuple[int, str], list[Walker]] = defaultdict(list)
    for row in due:
        groups[row.version_id, row.step].append(Walker(row.enrolment_id, row.contact_id, row.visit))
    for (version_id, step_id), walkers in sorted(groups.items()):
        _work_group(program, version_id, step_id, walkers, now, names, report)


def _work_group(
    program: Program, version_id: int, step_id: str, walkers: list[Walker], now: datetime, names: Names, report: Report
) -> None:
    """Do one step for these people inside a savepoint. If that fails, each of them alone, so that the others go on."""
    try:
        with transaction.atomic():
            kind = _do(program, version_id, step_id, walkers, now, names)
    except Exception as error:
        if isinstance(error, OperationalError):  # a lost race or a lost connection: the whole batch is tried again
            raise
        if len(walkers) > 1:
            for walker in walkers:
                _work_group(program, version_id, step_id, [walker], now, names, report)
            return
        log.exception("step failed", extra={"program": program.slug, "step": step_id, "contact": walkers[0].contact_id})
        queries.park(walkers[0].enrolment_id, problem=in_words(error))
        report.parked += 1
    else:
        report.add(kind, len(walkers))


def in_words(error: Exception) -> str:
    """Why somebody is parked, for a person to read; the log has the rest."""
    said = " ".join(str(error).split())[:500]
    return said or _("An error without a message: %(name)s") % {"name": type(error).__name__}


def _do(program: Program, version_id: int, step_id: str, walkers: list[Walker], now: datetime, names: Names) -> str:
    """Run the step and move everybody on; the key of its kind."""
    walked = plan(version_id)
    if step_id == START:
        kind, outcomes, ends_by = START, {"done": walkers}, ""
    else:
        step = walked.steps[step_id]
        kind = step.kind
        outcomes = KINDS[kind].run(Group(program, version_id, step, walkers, now, names))
        ends_by = str(step.values.get("label") or "") if KINDS[kind].ends else ""
    moves = queries.Moves.none()
    routes = walked.routes[step_id]
    for outcome, some in outcomes.items():
        next_id = routes[outcome] if outcome in routes else routes["done"]
        _move(moves, outcome, some, walked.steps[next_id] if next_id else None, ends_by, now)
    queries.advance(version_id, step_id, moves, now=now)
    if f"program:{program.slug}" in names.programs_read:
        _tell_rules(step_id, moves, walkers)
    return kind


def _tell_rules(step_id: str, moves: queries.Moves, walkers: Sequence[Walker]) -> None:
    """Mark those who just entered or left a program that some rule asks for."""
    over = {place for place, way in enumerate(moves.ways) if way.next_step is None}
    ended = {number for number, place in zip(moves.enrolment_ids, moves.places, strict=True) if place in over}
    told = [walker.contact_id for walker in walkers if step_id == START or walker.enrolment_id in ended]
    mark(told, Mark.Facet.DEFINITION)


def _move(
    moves: queries.Moves, outcome: str, walkers: Sequence[Walker], onto: Step | None, ends_by: str, now: datetime
) -> None:
    """Add the people of one outcome, apart by the moment at which they are due next: one for most steps, one a zone for clocks."""
    if not walkers:
        return
    if onto is None:
        moves.add(walkers, queries.Onward(outcome, None, None, ends_by))
        return
    due = KINDS[onto.kind].due_at(onto.values, [walker.contact_id for walker in walkers], now)
    if not due:
        moves.add(walkers, queries.Onward(outcome, onto.id, now))
        return
    by_moment: defaultdict[datetime, list[Walker]] = defaultdict(list)
    for walker in walkers:
        by_moment[due.get(walker.contact_id, now)].append(walker)
    for moment, some in by_moment.items():
        moves.add(some, queries.Onward(outcome, onto.id, moment))
