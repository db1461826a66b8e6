"""Walks people through their programs: claims who is due, works them by step in groups, moves them on in the same transaction."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

from django.db import OperationalError, transaction
from django.utils.translation import gettext as _

from leads.models import Mark
from leads.queries import mark
from nurture import guards, queries, tree
from nurture.guards import Guard
from nurture.kinds import KINDS, START, Group, Names, Step, Walker
from nurture.models import Program, ProgramVersion
from nurture.triggers.document import segments

log = logging.getLogger(__name__)

BATCH = 1_000  # LIMITS: set-based steps peak here; larger batches only hold their locks longer
IN_A_ROW = 10  # batches of one program before the others are asked again: asking costs 7 ms while dead rows lie about
STEPS_A_DAY = (
    1_000  # of one person, over all programs; looked at when somebody comes to a program anew: one walk has an end
)
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
    """A published version, ready to walk; a worker reads it once for each edit number, which only a renamed segment changes."""

    steps: dict[str, Step]
    routes: dict[str, dict[str, str | None]]
    around: Mapping[str, Any]
    segments: tuple[str, ...]

    @property
    def is_guarded(self) -> bool:
        """Whether people must be looked at again before each step."""
        return bool(self.around.keys() & {"goal", "exit", "keep_out"})

    def guard(self, program: Program, version_id: int) -> Guard:
        then = (self.around.get("goal") or {}).get("then", "")
        return Guard(program, version_id, self.around, self.segments, self.steps.get(then))

    @cached_property
    def passing(self) -> list[str]:
        """Steps at which nothing is done or decided; START is one, unless something is looked at there."""
        if self.is_guarded:
            return []
        start = [] if "hold_out" in self.around else [START]
        return [*start, *(step.id for step in self.steps.values() if KINDS[step.kind].passes)]

    def next_of(self, step_id: str, outcome: str) -> Step | None:
        routes = self.routes[step_id]
        next_id = routes[outcome] if outcome in routes else routes["done"]
        return self.steps[next_id] if next_id else None

    def end_of(self, step_id: str) -> str:
        """What the end of a walk at this step is called."""
        step = self.steps.get(step_id)
        return str(step.values.get("label") or "") if step and KINDS[step.kind].ends else ""


@lru_cache(maxsize=512)
def plan(version_id: int, edit_number: int) -> Plan:
    version = ProgramVersion.objects.exclude(state=ProgramVersion.State.DRAFT).get(pk=version_id)
    checked = tree.check(version.tree)
    steps = {step.id: step for step in checked.walk()}
    return Plan(steps, tree.routes(checked), version.around, tuple(segments(version.triggers)))


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
            for _batch in range(IN_A_ROW):
                if time.monotonic() >= until:
                    return report
                number = run_batch(program_id, now, batch=batch, names=names, report=report)
                did += number
                if number < batch:
                    break
        if not did:  # nothing due, or other workers hold what is
            return report


def run_batch(program_id: int, now: datetime, *, batch: int, names: Names, report: Report) -> int:
    """One batch of one program; the number of enrolments that it moved or parked. Tried again after a lost race."""
    for attempt in range(1, TRIES + 1):
        trial = Report()
        try:
            with transaction.atomic():
                number = _batch(program_id, now, batch, names, trial)
        except OperationalError as error:
            if not is_race(error) or attempt == TRIES:
                raise
            time.sleep(0.02 * 2**attempt)
            continue
        report.batches += bool(number)
        report.parked += trial.parked
        for kind, steps in trial.by_kind.items():
            report.add(kind, steps)
        return number
    raise AssertionError("the loop returns or raises")


def _batch(program_id: int, now: datetime, limit: int, names: Names, report: Report) -> int:
    program = queries.live_program(program_id)
    if program is None:
        return 0
    plans = {int(key): plan(int(key), number) for key, number in program.walked.items()}  # type: ignore[attr-defined]
    claimed = queries.claim_due(program_id, now=now, limit=limit, passing=_passing(program, plans, now, names))
    for (version_id, step_id), number in claimed.passed.items():
        step = plans[version_id].steps.get(step_id)
        report.add(step.kind if step else START, number)
    groups: defaultdict[tuple[int, str], list[Walker]] = defaultdict(list)
    for row in claimed.due:
        groups[row.version_id, row.step].append(Walker(row.enrolment_id, row.contact_id, row.visit))
    for (version_id, step_id), walkers in sorted(groups.items()):
        _work_group(Stand(program, version_id, plans[version_id], step_id, now, names), walkers, report)
    return claimed.number


def _passing(program: Program, plans: dict[int, Plan], now: datetime, names: Names) -> list[queries.Passing]:
    """Steps that the claiming statement may do by itself: the way on is one for everybody, and no rule wants to hear of it."""
    is_told = f"program:{program.slug}" in names.programs_read
    found = []
    for version_id, walked in plans.items():
        for step_id in walked.passing:
            onto = walked.next_of(step_id, "done")
            if is_told and (step_id == START or onto is None):
                continue
            if onto is None:
                found.append(queries.Passing(version_id, step_id, None, None, walked.end_of(step_id)))
            elif (moment := KINDS[onto.kind].due_for_all(onto.values, now)) is not None:
                found.append(queries.Passing(version_id, step_id, onto.id, moment))
    return found


def is_race(error: OperationalError) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in _RACES


@dataclass(frozen=True)
class Stand:
    """The step of a version at which a group of people is due."""

    program: Program
    version_id: int
    plan: Plan
    step_id: str
    now: datetime
    names: Names


def _work_group(stand: Stand, walkers: list[Walker], report: Report) -> None:
    """Do one step for these people inside a savepoint. If that fails, each of them alone, so that the others go on."""
    try:
        with transaction.atomic():
            kind = _do(stand, walkers)
    except Exception as error:
        if isinstance(error, OperationalError):  # a lost race or a lost connection: the whole batch is tried again
            raise
        if len(walkers) > 1:
            for walker in walkers:
                _work_group(stand, [walker], report)
            return
        extra = {"program": stand.program.slug, "step": stand.step_id, "contact": walkers[0].contact_id}
        log.exception("step failed", extra=extra)
        queries.park(walkers[0].enrolment_id, problem=in_words(error))
        report.parked += 1
    else:
        report.add(kind, len(walkers))


def in_words(error: Exception) -> str:
    """Why somebody is parked, for a person to read; the log has the rest."""
    said = " ".join(str(error).split())[:500]
    return said or _("An error without a message: %(name)s") % {"name": type(error).__name__}


def _do(stand: Stand, walkers: list[Walker]) -> str:
    """Run the step and move everybody on whom nothing around the steps lets go; the key of its kind."""
    guard = stand.plan.guard(stand.program, stand.version_id)
    if stand.step_id == START:
        walkers = _hold_rounds(walkers, stand.now)
        kind, outcomes = START, guards.at_entry(guard, walkers, now=stand.now) if guard.around else {"done": walkers}
    else:
        step = stand.plan.steps[stand.step_id]
        kind = step.kind
        if stand.plan.is_guarded:
            walkers = guards.before_step(guard, walkers, now=stand.now, names=stand.names)
        group = Group(stand.program, stand.version_id, step, walkers, stand.now, stand.names, stand.plan.around)
        outcomes = KINDS[kind].run(group) if walkers else {}
    moves, ends_by = queries.Moves.none(), stand.plan.end_of(stand.step_id)
    for outcome, some in outcomes.items():
        if outcome == guards.HELD_OUT:
            moves.add(some, queries.Onward(outcome, None, None, outcome, ended_as=outcome))
        else:
            _move(moves, outcome, some, stand.plan.next_of(stand.step_id, outcome), ends_by, stand.now)
    queries.advance(stand.version_id, stand.step_id, moves, now=stand.now)
    if f"program:{stand.program.slug}" in stand.names.programs_read:
        _tell_rules(stand.step_id, moves, walkers)
    return kind


def _hold_rounds(walkers: list[Walker], now: datetime) -> list[Walker]:
    """Those who go in; whoever came round too often today is parked with that reason. One statement."""
    since = now - timedelta(days=1)
    over = queries.over_steps([walker.enrolment_id for walker in walkers], most=STEPS_A_DAY, since=since)
    words = _("Went round too often: %(n)d steps of all programs within a day. Tried again later, they go on.")
    for enrolment_id in sorted(over):
        queries.park(enrolment_id, problem=words % {"n": STEPS_A_DAY})
    return [walker for walker in walkers if walker.enrolment_id not in over]


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
