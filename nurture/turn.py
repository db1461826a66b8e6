"""One beat of the engine: marks → segments, personas, scores → hand-offs → enrolments → due steps. Mail leaves by sending.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any

from django.db import transaction

from nurture import engine, entering, guards, queries, queries_triggers, wakes
from nurture.models import Program, ProgramVersion
from segments import turn as segments_turn

PAGE = 10_000  # members looked at in one transaction when a program starts


@dataclass
class Report:
    """What a beat did; `seconds` by part."""

    definitions: segments_turn.TurnReport
    enrolled: int = 0
    steps: engine.Report = field(default_factory=engine.Report)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def did_something(self) -> bool:
        return bool(self.definitions.contacts or self.definitions.refreshed or self.enrolled or self.steps.steps)

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["seconds"] = {key: round(value, 4) for key, value in self.seconds.items()}
        definitions = found["definitions"]
        definitions["seconds"] = {key: round(value, 4) for key, value in definitions["seconds"].items()}
        return found


def turn(now: datetime, *, full: bool = False, budget_seconds: float | None = 20.0) -> Report:
    """One beat. With nothing to do: seven small statements. `full` looks at everybody once more, definitions and triggers alike.

    Every part commits by itself and remembers in its rows what is left, so a beat may end or die at any point.
    """
    started = perf_counter()
    definitions = segments_turn.turn(now, full=full, budget_seconds=budget_seconds)
    report = Report(definitions)
    report.seconds["definitions"] = perf_counter() - started
    report.enrolled = definitions.followed.get("enrolments", 0)
    started = perf_counter()
    report.enrolled += take_in(now, full=full)
    report.seconds["enrolments"] = perf_counter() - started
    started = perf_counter()
    report.steps = engine.run_due(now, seconds=budget_seconds if budget_seconds is not None else 24 * 3600.0)
    report.seconds["steps"] = perf_counter() - started
    return report


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """The last follower of the definitions' turn: marked contacts who came in by a trigger of a live program enter it."""
    return entering.follow(contact_ids, now)


def take_in(now: datetime, *, full: bool = False) -> int:
    """Whom no mark tells of: members, and everybody else whom a trigger asks for, of programs just started or resumed; whoever the
    clock or a queue lets in. How many entered. Three statements when there is nobody.

    A program whose first day is still to come stays marked until then, one that is being published until that is done.
    """
    stale = Program.objects.filter(state=Program.State.LIVE, publishing_since=None)
    if not full:
        stale = stale.filter(stale_since__isnull=False)
    entered = 0
    for program in stale.order_by("pk"):
        live = ProgramVersion.objects.filter(program=program, state=ProgramVersion.State.LIVE).first()
        if live is not None and live.enters_from is not None and live.enters_from > now:
            continue
        _sweep(program, now)
        last: int | None = 0
        while live is not None and last is not None:
            with transaction.atomic():
                number, last = queries.enrol_page(live.pk, after=last, size=PAGE, now=now)
            entered += number
        entered += _sweep_triggers(program, now)
        if program.stale_since is not None:  # asked for again meanwhile: the next beat looks again
            Program.objects.filter(pk=program.pk, stale_since=program.stale_since).update(stale_since=None)
    return entered + entering.take_due(now) + entering.let_in(now)


def _sweep_triggers(program: Program, now: datetime) -> int:
    """Those whom the triggers that are no segments let in, page by page. One statement where there are none."""
    triggers = queries_triggers.live_triggers(program_id=program.pk)
    contacts = entering.whom_to_look_at(triggers, now) if triggers else []
    entered = 0
    for start in range(0, len(contacts), PAGE):
        with transaction.atomic():
            entered += entering.enter(triggers, contacts[start : start + PAGE], now)
    return entered


def _sweep(program: Program, now: datetime) -> None:
    """Look at everybody inside once more: whose goal or exit came, or what they waited for, while the program was paused."""
    last: int | None = 0
    while last is not None and program.stale_since is not None:
        with transaction.atomic():
            after = last
            _number, last = guards.sweep_page(program.pk, after=after, now=now)
            if last is not None:
                wakes.sweep_page(program.pk, after=after, last=last, now=now)
