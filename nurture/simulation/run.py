"""The virtual clock: one beat of the engine after the other on a simulation's own tables, with mails that leave for nowhere."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from threading import Event
from typing import Any

from django.db import connections
from django.utils.translation import gettext as _

from leads.models import Contact
from leads.queries import mark
from leads.workspace import workspace, zone
from nurture import around, engine, entering, queries_triggers, splits, tree, turn
from nurture.kinds import KINDS
from nurture.mailing import sending, window
from nurture.models import EntryQueue, Program, ProgramVersion, Sending, Trigger
from nurture.queries_triggers import Arrivals
from nurture.simulation import queries, reading, results, tables
from nurture.simulation.assumptions import Assumptions
from nurture.triggers import TRIGGERS, day
from nurture.triggers import document as way_in
from segments import turn as segments_turn
from segments.graph import Node
from segments.models import Segment
from segments.nodes import Clock, SegmentNode, time_changed

# Nobody else waits for these rows, so batches are as large as the memory of statements likes (measured 2026-11-22).
BATCH = 10_000
MAILS = 10_000
FOLLOWERS = frozenset({"enrolments", "guards", "splits", "wakes"})
OF_SCORES = frozenset({"hand_offs", "looks_again", "graduates"})
IN_PARTS_FROM = 20_000  # people; for fewer a second session costs more than it saves
PARTS = 2
A_DAY = timedelta(days=1)
MOST_BEATS_AT_ONCE = 50  # at the same moment; what goes round longer than that waits for the next minute

TELL_SECONDS = 0.5  # between two words on the progress; a worker's lease is renewed with them
BEATS_A_DAY = 48  # a day of the clock with more of them goes on by whole hours: thousands of people inside may each have a minute of their own

Tell = Callable[[float], None]


class Stopped(Exception):
    """Nobody wants the result any more."""


@dataclass
class World:
    """A simulation under way."""

    program: Program
    version: ProgramVersion
    assumptions: Assumptions
    began_at: datetime
    reads: reading.Reading
    nodes: list[Node]
    delays: Counter[str] = field(default_factory=Counter)
    waits_for_days: bool = False
    beats: int = 0
    sizes: dict[str, int] = field(default_factory=dict)
    looked_on: datetime | None = None

    @property
    def followers(self) -> frozenset[str]:
        return FOLLOWERS | OF_SCORES if self.reads.scores else FOLLOWERS

    @property
    def ends_at(self) -> datetime:
        return self.began_at + timedelta(days=self.assumptions.days)


def simulate(
    version_id: int, assumptions: Assumptions, *, now: datetime, tell: Tell = lambda share: None
) -> dict[str, Any]:
    """What the version would do from `now` on, as results.collect says it. Touches no live row; `tell` hears the share that is done.

    Each part has a session of its own; two parts use two processors, and nobody belongs to two.
    """
    began = time.monotonic()
    version = ProgramVersion.objects.select_related("program").get(pk=version_id)
    people = people_of(version, assumptions, now)
    parts = _parts(people, reading.reading_of(_together_with(version), now))
    shares = [0.0] * len(parts)
    is_stopped = Event()
    with ThreadPoolExecutor(len(parts), thread_name_prefix="simulation") as threads:
        under_way = [
            threads.submit(_simulate_part, version, part, assumptions.part(place, len(parts)), len(parts), now, _teller(shares, place, is_stopped))
            for place, part in enumerate(parts)
        ]  # fmt: skip
        try:
            while wait(under_way, timeout=TELL_SECONDS, return_when=FIRST_EXCEPTION).not_done:
                if any(part.done() and part.exception() for part in under_way):
                    break
                tell(min(shares))
            found = results.together([part.result() for part in under_way])
        finally:
            is_stopped.set()
    return found | {"seconds": round(time.monotonic() - began, 1), "edit_number": version.edit_number}


def _parts(people: list[int], reads: reading.Reading) -> list[list[int]]:
    """Who walks in which session. Where a split may find its winner all walk together: it is found among all of them."""
    if len(people) < IN_PARTS_FROM or reads.has_open_splits:
        return [people]
    return [people[first::PARTS] for first in range(PARTS)]


def _teller(shares: list[float], place: int, is_stopped: Event) -> Tell:
    """A part only notes how far it is: whoever waits for it tells, also while one beat takes minutes."""

    def note(share: float) -> None:
        shares[place] = share
        if is_stopped.is_set():
            raise Stopped

    return note


def people_of(version: ProgramVersion, assumptions: Assumptions, now: datetime) -> list[int]:
    """Those who walk the program; unless nobody is to enter, those too whom its triggers would let in now, and whose day comes in the time.

    Two statements, one more for each trigger's rule.
    """
    inside = queries.walkers_of(version.program_id)
    if assumptions.per_day == 0:
        return sorted(inside)
    arrivals = entering.present_arrivals(version.triggers, None, now)
    for one in version.triggers:
        if (moments_of := way_in.kind_of(one).moments) is not None:
            coming = moments_of(way_in.values_of(one), now, now + timedelta(days=assumptions.days))
            arrivals += [Arrivals(0, "", coming, None)] if coming is not None else []
    until = now + timedelta(days=assumptions.days)
    return sorted({*queries_triggers.arrived(arrivals, now=until), *inside})


def _simulate_part(
    version: ProgramVersion, people: Sequence[int], assumptions: Assumptions, parts: int, now: datetime, tell: Tell
) -> dict[str, Any]:
    """In a thread, whose sessions end with it."""
    try:
        with tables.own_session():
            world = make_world(version, people, assumptions, now=now)
            if parts > 1:
                queries.share_paces(parts)
            for at in moments(world):
                beat(world, at)
                tell(min(1.0, (at - world.began_at) / (world.ends_at - world.began_at)))
            return results.collect(world)
    finally:
        connections.close_all()


def make_world(version: ProgramVersion, people: Sequence[int], assumptions: Assumptions, *, now: datetime) -> World:
    """The tables, filled; in them the version is live, and everybody who enters does so by the assumptions.

    The version is simulated as it was given, whoever edits it meanwhile.
    """
    reads = reading.reading_of(_together_with(version), now)
    tables.take_over(people, reads)
    Segment.objects.update(stale_since=None)
    began_at = now.replace(second=0, microsecond=0)
    world = World(version.program, version, assumptions, began_at, reads, reads.nodes())
    _go_live(world)
    world.waits_for_days = Trigger.objects.filter(due_at__isnull=False).exists()
    return world


def _together_with(version: ProgramVersion) -> list[ProgramVersion]:
    """The version and all others in which somebody may walk meanwhile. One statement."""
    return [version, *(one for one in reading.walked_versions() if one.pk != version.pk)]


def _go_live(world: World) -> None:
    """As a publication makes it, on the simulation's rows."""
    version = world.version
    past = ProgramVersion.objects.filter(program=world.program, state=ProgramVersion.State.LIVE).first()
    if past is not None and past.pk != version.pk:
        ProgramVersion.objects.filter(pk=past.pk).update(state=ProgramVersion.State.PAST)
    _let_enter(world, past)
    enters_from, enters_until = around.bounds(version.around)
    ProgramVersion.objects.filter(pk=version.pk).update(
        state=ProgramVersion.State.LIVE,
        tree=version.tree,
        triggers=version.triggers,
        around=version.around,
        edit_number=version.edit_number,
        listens=any(KINDS[step.kind].wake for step in tree.check(version.tree).walk()),
        enters_from=enters_from,
        enters_until=enters_until,
    )
    Program.objects.exclude(pk=world.program.pk).update(stale_since=None)
    Program.objects.update(publishing_since=None)
    Program.objects.filter(pk=world.program.pk).update(state=Program.State.LIVE, stale_since=world.began_at)


def _let_enter(world: World, past: ProgramVersion | None) -> None:
    """The triggers as the assumptions say; a version that is live already has rows of its own, which stay where nobody else is to enter."""
    version, per_day = world.version, world.assumptions.per_day
    which = ProgramVersion.Intake.NEW if per_day == 0 else ProgramVersion.Intake.ALL
    if past is not None and past.pk == version.pk:
        if which == ProgramVersion.Intake.NEW:
            return
        Trigger.objects.filter(version=version).delete()
        past = None
    entering.settle(version, past, entering.Intake(which, None, per_day or None), world.began_at)


def moments(world: World) -> Iterable[datetime]:
    """The beats: where something is due, and each day while people wait to be let in; by the minute, each later than the one before, by
    the hour on days that have very many."""
    at, beats_on = world.began_at, Counter[date]()
    while at <= world.ends_at:
        yield at
        beats_on[at.date()] += 1
        due = [queries.next_moment(), _next_day(at)]
        after = at + timedelta(minutes=1)
        at = max(after, to_the_minute(min((one for one in due if one is not None), default=world.ends_at)))
        if beats_on[at.date()] >= BEATS_A_DAY:
            at = _to_the_hour(at)
        if at > world.ends_at and not any(due):
            return


def _to_the_hour(at: datetime) -> datetime:
    whole = at.replace(minute=0)
    return whole if whole == at else whole + timedelta(hours=1)


def to_the_minute(at: datetime) -> datetime:
    whole = at.replace(second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(minutes=1)


def _next_day(at: datetime) -> datetime | None:
    """When a queue in front of a program lets people in again. One statement."""
    if not EntryQueue.objects.filter(is_held=False).exists():
        return None
    home = zone()
    tomorrow = at.astimezone(home).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time_of_day.min, home).astimezone(UTC)


def beat(world: World, now: datetime) -> None:
    """What is due at this moment, in the order of every beat, until nothing is left of it."""
    world.beats += 1
    if world.reads.behaviour:
        queries.store_answers(now=now)
    _look_at_time(world, now)
    for _each in range(MOST_BEATS_AT_ONCE):
        segments_turn.work_marks(world.nodes, now, followers=world.followers)
        turn.take_in(now)
        _skip_idle_looks(world, now)
        _keep_statistics(world)
        engine.run_due(now, seconds=3600.0, batch=BATCH)
        splits.decide(now)
        _keep_statistics(world)
        if not _post(world, now) and not queries.marks_wait():
            return


def _skip_idle_looks(world: World, now: datetime) -> None:
    """Triggers of days, which look each quarter of an hour, look again when somebody's day comes: within a day, since a step may set one."""
    if not world.waits_for_days:
        return
    for row in Trigger.objects.filter(version__state=ProgramVersion.State.LIVE, looked_until=now, due_at__gt=now):
        if (moments_of := TRIGGERS[row.kind].moments) is not None:
            people = moments_of(row.values, now, now + A_DAY)
            first = queries.first_moment(people) if people is not None else None
            due = now + A_DAY if first is None else day.look_at(first)
            Trigger.objects.filter(pk=row.pk).update(due_at=due)


def _keep_statistics(world: World) -> None:
    """Of tables that have doubled: nobody else looks after them, and a plan for ten rows takes minutes over 50,000. One statement."""
    for table, size in queries.sizes(tables.GROWING).items():
        if size > 2 * world.sizes.get(table, 0):
            queries.analyze([table])
            world.sizes[table] = size


def _look_at_time(world: World, now: datetime) -> None:
    """Once a day: whom the passing of time alone lets join or leave a segment that is read here."""
    since, world.looked_on = world.looked_on or world.began_at, now
    if not world.nodes or since.astimezone(zone()).date() == now.astimezone(zone()).date():
        world.looked_on = since
        return
    for node in world.nodes:
        if isinstance(node, SegmentNode) and node.rule is not None:
            changed = time_changed([node.rule], Clock(), since, now)
            if changed is None:
                queries.mark_everybody(sorted(node.facets))
            elif changed:
                mark(changed, *sorted(node.facets))


# --- Mail that leaves for nowhere --------------------------------------------------------------------------------------


def _post(world: World, now: datetime) -> int:
    """Due mails leave as nurture/mailing/sending.py lets them: by the same text with the same limits, without the writing and the server."""
    sent, home = 0, workspace()
    while due := queries.due_mails(now=now, limit=MAILS):
        zones = sorted({name for _key, _round, name in due if name is not None})
        opens = [window.opens_at(home, Contact(timezone=name), now) for name in zones]
        places: dict[str | None, int | None] = {None: None} | {name: place for place, name in enumerate(zones)}
        # In rounds, none of which holds two mails to one address: a limit counts the earlier one as it came out, not as it might.
        rounds: defaultdict[int, list[tuple[int, int | None]]] = defaultdict(list)
        for key, number, name in due:
            rounds[number].append((key, places[name]))
        sent += sum(_let_go(world, rounds[number], opens, now) for number in sorted(rounds))
    return sent


def _let_go(
    world: World, mails: Sequence[tuple[int, int | None]], opens: Sequence[datetime | None], now: datetime
) -> int:
    found = queries.leave(mails, opens, now=now, wait_days=sending.LONGEST_WAIT)
    world.delays.update(why for _key, state, why in found if state == Sending.State.QUEUED)
    leaving = [key for key, state, _why in found if state == Sending.State.SENT]
    if leaving:
        queries.draw(leaving, world.assumptions, program_id=world.program.pk, kinds=world.reads.kinds)
        if world.reads.kinds is None or "email_sent" in world.reads.kinds:
            queries.store_mails_sent(leaving, now=now)
    return len(leaving)


def problem_words(error: Exception) -> str:
    """Why a simulation came to nothing, for the one who asked for it."""
    return _("The simulation broke off: %(why)s") % {"why": " ".join(str(error).split())[:300] or type(error).__name__}
