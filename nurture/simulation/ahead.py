"""What comes next for one contact: the engine itself on a simulation's tables, with this person alone, as long as a page may wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

from django.db import OperationalError, transaction
from django.db.models import Min

from leads.models import Activity, Mark, StageMove
from leads.queries import mark
from leads.workspace import zone
from nurture.models import Enrolment, EntryQueue, ProgramVersion, Sending, StepVisit, Trigger
from nurture.simulation import queries, reading, run, tables
from nurture.simulation.assumptions import Assumptions
from nurture.triggers import TRIGGERS, day
from scoring.models import HandOff, ScoreDue
from segments import conditions
from segments.graph import Node
from segments.nodes import SegmentNode
from segments.queries import differences_among

NOBODY_ANSWERS = Assumptions(open_rate=0.0, click_rate=0.0, answer_rate=0.0)
# A page waits no longer; on an idle machine it takes 0.5 to 0.9 (12 live programs, 1 M contacts, 2026-11-22), half of that for the tables.
SECONDS = 4.0
READING_SECONDS = 2.0  # for each of the five statements that read what was found
MINUTE = timedelta(minutes=1)
STILL_TO_COME = (Sending.State.QUEUED, Sending.State.HELD)
DAYS_IN_A_WEEK = 7
_CANCELED = "57014"


class TimeUp(Exception):
    """The page can wait no longer."""


@dataclass
class Found:
    """What would happen from `began_at` to `until`. `is_cut`: the time was up before the days were; what is later is not known."""

    began_at: datetime
    until: datetime
    is_cut: bool = False
    seconds: float = 0.0
    walks: list[Enrolment] = field(default_factory=list)
    visits: list[StepVisit] = field(default_factory=list)
    mails: list[Sending] = field(default_factory=list)
    moves: list[StageMove] = field(default_factory=list)
    hand_offs: list[HandOff] = field(default_factory=list)
    places: list[queries.QueuePlace] = field(default_factory=list)
    delays: dict[int, str] = field(default_factory=dict)  # sending -> why it waited last
    states_before: dict[int, str] = field(default_factory=dict)  # of the walks that there were

    def is_new(self, walk: Enrolment) -> bool:
        return walk.pk not in self.states_before

    def has_changed(self, walk: Enrolment) -> bool:
        return walk.state != self.states_before.get(walk.pk)


def look_ahead(contact_id: int, *, now: datetime, days: int, seconds: float | None = None) -> Found:
    """What the engine would do with this contact within the days if nothing else happened. Touches no live row.

    Some 200 statements for the tables, about fifteen a beat; none takes longer than what is left of `seconds`.
    """
    began, found = time.monotonic(), Found(now, now)
    seconds = SECONDS if seconds is None else seconds
    versions = reading.walked_versions()
    if not versions:
        found.until = now + timedelta(days=days)
        return found
    with tables.own_session():
        walk = _Walk(contact_id, versions, now=now, days=days, ends=began + seconds)
        try:
            walk.go(found)
        except TimeUp:
            found.is_cut = True
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != _CANCELED:
                raise
            found.is_cut = True
        if walk.has_tables:
            queries.bound_statements(READING_SECONDS)
            walk.collect(found)
    found.seconds = round(time.monotonic() - began, 2)
    return found


class _Walk:
    """One person on the tables of a session of its own."""

    def __init__(
        self, contact_id: int, versions: list[ProgramVersion], *, now: datetime, days: int, ends: float
    ) -> None:
        self.contact_id, self.ends = contact_id, ends
        self.began_at = now.replace(second=0, microsecond=0)
        self.until = now + timedelta(days=days)
        self.versions = versions
        self.lets_in: dict[datetime, list[int]] = {}
        self.has_tables = False
        self.past_mails: list[int] = []
        self.past_moves: list[int] = []
        self.past_hand_offs: list[int] = []
        self.has_dated_ahead: bool | None = None

    def go(self, found: Found) -> None:
        """Beat by beat; `found.until` says how far, also when a statement is broken off."""
        self._bound()
        reads = reading.reading_of(self.versions, self.began_at)
        with transaction.atomic():
            tables.take_over([self.contact_id], reads, trials=False)
            self._remember(found)
            found.places = queries.queue_places(self.contact_id)
            self._hold_queues(found.places)
        self.has_tables = True
        version = self.versions[0]
        world = run.World(version.program, version, NOBODY_ANSWERS, self.began_at, reads, reads.nodes())
        at: datetime | None = self.began_at
        while at is not None and at <= self.until:
            self._bound()
            self._beat(world, at)
            found.delays |= dict(Sending.objects.filter(state=Sending.State.QUEUED).values_list("pk", "why_not"))
            found.until = at
            at = self._next(world, at)
        found.until = self.until

    def _remember(self, found: Found) -> None:
        """What is there before the clock goes on. Four statements."""
        found.began_at = self.began_at
        found.states_before = dict(Enrolment.objects.filter(contact=self.contact_id).values_list("pk", "state"))
        mails = Sending.objects.filter(contact=self.contact_id)
        self.past_mails = list(mails.exclude(state__in=STILL_TO_COME).values_list("pk", flat=True))
        self.past_moves = list(StageMove.objects.filter(contact=self.contact_id).values_list("pk", flat=True))
        self.past_hand_offs = list(HandOff.objects.filter(contact=self.contact_id).values_list("pk", flat=True))

    def _bound(self) -> None:
        """No statement takes longer than the time that is left. Raises TimeUp when none is. One statement."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise TimeUp
        queries.bound_statements(left)

    def _hold_queues(self, places: Iterable[queries.QueuePlace]) -> None:
        """Those who stand before the person are not here: the queue opens on the day on which their turn comes."""
        EntryQueue.objects.update(is_held=True)
        home = zone()
        today = self.began_at.astimezone(home).date()
        for place in places:
            if place.is_held:
                continue
            room = max(0, place.per_day - (place.let_in if place.day == today else 0))
            later = 0 if place.ahead < room else 1 + (place.ahead - room) // place.per_day
            opens = datetime.combine(today + timedelta(days=later), time_of_day.min, home)
            moment = self.began_at if later == 0 else opens.astimezone(self.began_at.tzinfo)
            self.lets_in.setdefault(moment, []).append(place.program_id)

    def _beat(self, world: run.World, at: datetime) -> None:
        for moment in [moment for moment in self.lets_in if moment <= at]:
            EntryQueue.objects.filter(program__in=self.lets_in.pop(moment)).update(is_held=False, let_in=0, day=None)
        self._let_time_pass(world, at)
        world.looked_on = at
        run.beat(world, at)

    def _let_time_pass(self, world: run.World, at: datetime) -> None:
        """What time alone has changed about the person, told as the engine's look at everybody tells it."""
        with transaction.atomic():
            changed = [node.key for node in world.nodes if node.refresh(contacts=[self.contact_id], now=at)]
        if changed:
            mark([self.contact_id], Mark.Facet.DEFINITION)

    def _next(self, world: run.World, at: datetime) -> datetime | None:
        """The next moment at which something happens by itself, to the minute."""
        self._skip_idle_looks(at)
        starts = ProgramVersion.objects.filter(
            state=ProgramVersion.State.LIVE, program__stale_since__isnull=False, enters_from__gt=at
        )
        dues = [
            queries.next_moment(),
            *self.lets_in,
            starts.aggregate(first=Min("enters_from"))["first"],
            ScoreDue.objects.filter(contact=self.contact_id).aggregate(first=Min("due_at"))["first"]
            if world.reads.scores
            else None,
        ]
        first = min((due for due in dues if due is not None), default=None)
        first = None if first is None else max(at + MINUTE, run.to_the_minute(first))
        return self._first_change(world, at, min(first or self.until, self.until)) or first

    def _skip_idle_looks(self, at: datetime) -> None:
        """Triggers of days are looked at each quarter of an hour: here only where the person's day comes. A statement for each."""
        for row in Trigger.objects.filter(version__state=ProgramVersion.State.LIVE, due_at__isnull=False):
            if (moments := TRIGGERS[row.kind].moments) is not None:
                people = moments(row.values, row.looked_until or at, self.until)
                first = queries.first_moment(people) if people is not None else None
                due = None if first is None else max(at, day.look_at(first))
                Trigger.objects.filter(pk=row.pk).update(due_at=due or self.until + timedelta(days=1))

    def _first_change(self, world: run.World, after: datetime, until: datetime) -> datetime | None:
        """When time alone first changes what a definition says of the person, to the minute: looked at now and then, the span halved.

        Segments are looked at each midnight (one prepared statement), personas, scores and stages, which cost ten times that, each week.
        What changes and changes back between two looks is not seen.
        """
        timed = self._timed(world)
        segments = [node for node in timed if isinstance(node, SegmentNode)]
        others = [node for node in timed if not isinstance(node, SegmentNode)]
        low = seen = after
        for number, high in enumerate(_midnights(after, until) if timed else (), start=1):
            joins = bool(segments) and self._would_join(segments, high)
            if others and (joins or high == until or number % DAYS_IN_A_WEEK == 0):
                if self._would_change(others, high):
                    return max(after + MINUTE, _halve(seen, high, lambda at: self._would_change(others, at)))
                seen = high
            if joins:
                return max(after + MINUTE, _halve(low, high, lambda at: self._would_join(segments, at)))
            low = high
        return None

    def _timed(self, world: run.World) -> list[Node]:
        """Definitions that time can change for this person: by a window, a date, or something of theirs that is dated ahead."""
        if self.has_dated_ahead is None:
            self.has_dated_ahead = Activity.objects.filter(
                contact_id=self.contact_id, occurred_at__gt=self.began_at
            ).exists()
        moment = conditions.moment(self.began_at)
        return [
            node
            for node in world.nodes
            if any(
                conditions.next_due(rule.tree, moment) is not None
                or (self.has_dated_ahead and Mark.Facet.ACTIVITY in rule.facets)
                for rule in getattr(node, "timed_rules", ())
            )
        ]

    def _would_join(self, segments: Sequence[SegmentNode], at: datetime) -> bool:
        """Whether the person would join or leave one of them. One statement, planned once."""
        self._bound()
        parts = [node.part([self.contact_id], at) for node in segments]
        has_overrides = any(node.has_overrides for node in segments)
        return any(differences_among(parts, [self.contact_id], has_overrides=has_overrides))

    def _would_change(self, timed: Sequence[Node], at: datetime) -> bool:
        """Looked at as the engine would, and taken back."""
        self._bound()
        with transaction.atomic():
            changed = any(node.refresh(contacts=[self.contact_id], now=at) for node in timed)
            transaction.set_rollback(True)
        return changed

    def collect(self, found: Found) -> None:
        """Five statements over the session's tables."""
        walks = Enrolment.objects.filter(contact=self.contact_id).select_related("program", "version")
        found.walks = list(walks.order_by("entered_at", "id"))
        found.visits = list(StepVisit.objects.filter(enrolment__contact=self.contact_id).order_by("done_at", "id"))
        mails = Sending.objects.filter(contact=self.contact_id, is_test=False).exclude(pk__in=self.past_mails)
        mails = mails.select_related("template").defer("html", "text", "headers", "template__body")
        found.mails = list(mails.order_by("queued_at", "id"))
        moves = StageMove.objects.filter(contact=self.contact_id).exclude(pk__in=self.past_moves)
        found.moves = list(moves.order_by("moved_at", "id"))
        hand_offs = HandOff.objects.filter(contact=self.contact_id).exclude(pk__in=self.past_hand_offs)
        found.hand_offs = list(hand_offs.order_by("id"))


def _halve(low: datetime, high: datetime, is_changed: Callable[[datetime], bool]) -> datetime:
    """The minute from which on it is changed, between a moment when it is not and one when it is."""
    while high - low > MINUTE and (middle := run.to_the_minute(low + (high - low) / 2)) < high:
        low, high = (low, middle) if is_changed(middle) else (middle, high)
    return run.to_the_minute(high)


def _midnights(after: datetime, until: datetime) -> Iterator[datetime]:
    """On the workspace's clock, and the end."""
    home = zone()
    day = after.astimezone(home).date() + timedelta(days=1)
    while (midnight := datetime.combine(day, time_of_day.min, home).astimezone(UTC)) < until:
        yield midnight
        day += timedelta(days=1)
    if until > after:
        yield until
