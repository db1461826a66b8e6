"""The forward calendar of a contact in words: what the engine would do next, day by day, and where the answer is still open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from leads.models import Contact
from leads.panels import StrOrPromise
from nurture import around, tree
from nurture.contact_page import ended_words, step_words
from nurture.kinds import KINDS, START, Names, Step
from nurture.mailing.sending import why_words
from nurture.mailing.window import their_zone
from nurture.models import Enrolment, Program, Sending, StepVisit
from nurture.simulation import ahead, queries

WEEKS = (2, 4, 8, 13, 26)
SHOWN_OF_A_WAY = 3  # steps of a way that today's facts do not take
A_MOMENT = timedelta(minutes=1)
ANSWER_IS_OPEN = frozenset(
    {"branch", "choose", "wait_until"}
)  # kinds whose way is decided by facts that may still change


@dataclass(frozen=True)
class Way:
    """One way of a fork: its label, its first steps in words, and whether today's facts lead there."""

    label: StrOrPromise
    steps: tuple[str, ...]
    goes_on: bool
    is_taken: bool


@dataclass(frozen=True)
class Event:
    """Something that will happen. `their_words` is the same moment on the contact's own clock, where it shows another."""

    at: datetime
    icon: str
    title: str
    detail: str = ""
    program: Program | None = None
    is_quiet: bool = False
    tone: str = ""
    ways: tuple[Way, ...] = ()
    their_words: str = ""


@dataclass(frozen=True)
class Stay:
    """A program the person is in at the end of the days, or waits in front of."""

    program: Program
    title: str
    detail: str = ""
    icon: str = "hourglass"
    ways: tuple[Way, ...] = ()


@dataclass
class Calendar:
    """`days` in order; `stays` is where it leaves the person; `around` what may change it, by program."""

    until: datetime
    is_cut: bool
    seconds: float
    days: list[tuple[date, list[Event]]] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    around: list[tuple[Program, list[around.Fact]]] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        return [event for _day, events in self.days for event in events]

    @property
    def number(self) -> int:
        return sum(len(events) for _day, events in self.days)


def calendar_of(contact: Contact, *, now: datetime, weeks: int, seconds: float | None = None) -> Calendar:
    """What is to come within so many weeks if nothing else happens; see nurture/simulation/ahead.py for the cost."""
    found = ahead.look_ahead(contact.pk, now=now, days=7 * weeks, seconds=seconds)
    return _Writer(contact, found).calendar()


class _Writer:
    """Turns the rows of the walk into sentences. The names that steps mention cost a statement for each sort."""

    def __init__(self, contact: Contact, found: ahead.Found) -> None:
        self.contact, self.found = contact, found
        self.names = Names()
        self.walks = {walk.pk: walk for walk in found.walks}
        self.here = timezone.get_current_timezone()
        self.there = their_zone(contact) or self.here
        self.trees: dict[int, tree.Tree] = {}

    def calendar(self) -> Calendar:
        events = sorted(self._events(), key=lambda pair: pair[0])
        days = [
            (day, [event for _key, event in some])
            for day, some in groupby(events, key=lambda pair: timezone.localtime(pair[1].at).date())
        ]
        inside = [walk for walk in self.found.walks if walk.is_inside or self.found.is_new(walk)]
        facts = [(walk.program, self._facts(walk)) for walk in inside]
        return Calendar(
            self.found.until,
            self.found.is_cut,
            self.found.seconds,
            days,
            [*self._stays(), *self._queues()],
            [(program, some) for program, some in facts if some],
        )

    def _events(self) -> Iterator[tuple[tuple[Any, ...], Event]]:
        """With what puts them in order: the moment, the walk, the place in it."""
        for walk in self.found.walks:
            if self.found.is_new(walk):
                yield (
                    (walk.entered_at, walk.pk, 0),
                    self._event(
                        walk.entered_at,
                        "login-2",
                        _("Enters “%(program)s”") % {"program": walk.program.name},
                        walk=walk,
                    ),
                )
        mails = {mail.key: mail for mail in self.found.mails}
        for visit in self.found.visits:
            walk = self.walks[visit.enrolment_id]
            if visit.step != START:
                mail = mails.pop(f"{walk.pk}:{visit.step}:{visit.visit}", None)
                event = self._mail(mail, walk) if mail else self._step(visit, walk)
                yield (event.at, walk.pk, visit.visit), event
        for mail in mails.values():  # queued before, by steps that were done
            event = self._mail(mail, self.walks.get(mail.enrolment_id or 0))
            yield (event.at, mail.enrolment_id or 0, 0), event
        for walk in self.found.walks:
            if walk.ended_at is not None and self.found.has_changed(walk):
                yield (walk.ended_at, walk.pk, walk.visit + 1), self._end(walk)
            elif walk.state == Enrolment.State.PARKED and self.found.has_changed(walk):
                event = self._event(
                    walk.next_step_at or self.found.until,
                    "alert-triangle",
                    _("Would fail"),
                    walk.problem,
                    walk=walk,
                    tone="danger",
                )
                yield (event.at, walk.pk, walk.visit + 1), event
        yield from self._moves()

    def _moves(self) -> Iterator[tuple[tuple[Any, ...], Event]]:
        for move in self.found.moves:
            if not move.cause.startswith("program:"):  # a step says so itself
                title = _("Life-cycle: %(stage)s") % {"stage": self.names.stage(move.to_stage)}
                yield (move.moved_at, 0, move.pk), self._event(move.moved_at, "stairs-up", title, move.reason)
        for hand_off in self.found.hand_offs:
            if not hand_off.cause.startswith("program:"):
                yield (
                    (hand_off.handed_over_at, 0, hand_off.pk),
                    self._event(hand_off.handed_over_at, "user-share", _("Handed to sales"), tone="success"),
                )

    def _step(self, visit: StepVisit, walk: Enrolment) -> Event:
        words, icon = step_words(walk.version, visit.step, self.names)
        step = self._find(walk, visit.step)
        kind = KINDS.get(step.kind) if step else None
        ways = self._ways(step, visit.outcome) if step else ()
        outcome = str(kind.outcomes.get(visit.outcome, "")) if kind else ""
        if kind and visit.outcome in (labels := kind.ways_for(step.values if step else {})):
            outcome = str(labels[visit.outcome])
        quiet = kind is not None and kind.makes_wait and not ways
        title = _("%(wait)s: over") % {"wait": words} if quiet else words
        return self._event(visit.done_at, icon, title, outcome, walk=walk, is_quiet=quiet, ways=ways)

    def _mail(self, mail: Sending, walk: Enrolment | None) -> Event:
        name = {"template": mail.template.name}
        if mail.state == Sending.State.NOT_SENT:
            title = _("No mail “%(template)s”") % name
            return self._event(
                max(mail.queued_at, mail.due_at), "mail-off", title, why_words(mail.why_not), walk=walk, tone="danger"
            )
        if mail.state == Sending.State.SENT and mail.sent_at is not None:
            late = mail.sent_at - mail.queued_at > A_MOMENT
            why = why_words(self.found.delays.get(mail.pk, "")) if late else ""
            return self._event(mail.sent_at, "mail", _("Mail “%(template)s”") % name, why, walk=walk, tone="primary")
        title = _("Mail “%(template)s” still waits") % name
        at = max(mail.queued_at, self.found.began_at)
        return self._event(at, "mail-pause", title, why_words(mail.why_not), walk=walk, tone="warning")

    def _end(self, walk: Enrolment) -> Event:
        name = {"program": walk.program.name}
        title = _("Leaves “%(program)s”") if walk.state == Enrolment.State.LEFT else _("Finishes “%(program)s”")
        if walk.state == Enrolment.State.HELD_OUT:
            title = _("Is not taken into “%(program)s”")
        at = walk.ended_at or self.found.until
        return self._event(at, "flag", title % name, ended_words(walk.ended_why, self.names), walk=walk)

    def _event(
        self, at: datetime, icon: str, title: str, detail: str = "", *, walk: Enrolment | None = None, **more: Any
    ) -> Event:
        theirs = at.astimezone(self.there)
        differs = theirs.replace(tzinfo=None) != at.astimezone(self.here).replace(tzinfo=None)
        is_same_day = theirs.date() == at.astimezone(self.here).date()
        words = (time_format(theirs, "TIME_FORMAT") if is_same_day else _moment(theirs)) if differs else ""
        program = walk.program if walk else None
        return Event(at, icon, title, detail, program, their_words=words, **more)

    # --- Where it leaves them ---

    def _stays(self) -> Iterator[Stay]:
        for walk in self.found.walks:
            if not walk.is_inside:
                continue
            words, icon = (
                step_words(walk.version, walk.step, self.names) if walk.step != START else (_("Enters"), "login-2")
            )
            if walk.state == Enrolment.State.PARKED:
                yield Stay(walk.program, words, walk.problem, "alert-triangle")
                continue
            step = self._find(walk, walk.step)
            detail = ""
            if walk.program.state == Program.State.PAUSED:
                detail = _("The program is paused: nothing happens in it until somebody lets it go on.")
            elif walk.next_step_at is not None and walk.next_step_at > self.found.until:
                moment = timezone.localtime(walk.next_step_at)
                detail = _("until %(moment)s") % {"moment": _moment(moment)}
            yield Stay(walk.program, words, detail, icon, self._ways(step, "") if step else ())

    def _queues(self) -> Iterator[Stay]:
        programs = Program.objects.in_bulk([place.program_id for place in self.found.places])
        entered = {walk.program_id for walk in self.found.walks if self.found.is_new(walk)}
        for place in self.found.places:
            if place.program_id in programs and place.program_id not in entered:
                yield Stay(programs[place.program_id], _("Waits to be let in"), _queue_words(place), "users-group")

    # --- Forks ---

    def _ways(self, step: Step, taken: str) -> tuple[Way, ...]:
        """The ways of a step whose answer is open; none for other steps."""
        if step.kind not in ANSWER_IS_OPEN:
            return ()
        labels = KINDS[step.kind].ways_for(step.values)
        return tuple(
            Way(
                labels[way],
                tuple(self._words(one) for one in step.ways.get(way, ())[:SHOWN_OF_A_WAY]),
                len(step.ways.get(way, ())) > SHOWN_OF_A_WAY,
                way == taken,
            )
            for way in labels
        )

    def _words(self, step: Step) -> str:
        return KINDS[step.kind].words(step.values, self.names)

    def _find(self, walk: Enrolment, step_id: str) -> Step | None:
        if walk.version_id not in self.trees:
            self.trees[walk.version_id] = tree.check(walk.version.tree)
        try:
            return self.trees[walk.version_id].step(step_id)
        except tree.NoSuchStep:
            return None

    def _facts(self, walk: Enrolment) -> list[around.Fact]:
        """What may end the walk before, in words."""
        document: Mapping[str, Any] = walk.version.around
        self._find(walk, START)
        told = around.in_words(document, self.trees[walk.version_id], self.names)
        return [fact for fact in told if fact.key in ("goal", "exit") and fact.key in document]


def _queue_words(place: queries.QueuePlace) -> str:
    words = {"ahead": place.ahead, "per_day": place.per_day}
    if place.is_held:
        return _("%(ahead)d people stand before them; the queue is held.") % words
    return _("%(ahead)d people stand before them; %(per_day)d a day are let in.") % words


def _moment(at: datetime) -> str:
    return date_format(at, "SHORT_DATETIME_FORMAT")
