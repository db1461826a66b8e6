"""Who enters programs: by their triggers as contacts change, by the clock, and from the queue of those who were there before."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from leads.workspace import zone
from nurture import queries, queries_triggers
from nurture.models import EntryPlace, EntryQueue, Program, ProgramVersion, Trigger
from nurture.queries_triggers import Arrivals, Present
from nurture.triggers import TRIGGERS, day
from nurture.triggers.base import Asked
from nurture.triggers.document import kind_of, values_of
from segments import conditions
from segments.models import Segment

log = logging.getLogger(__name__)

TOGETHER = 50  # triggers in one statement
PAGE = 10_000  # people looked at, or let in, in one transaction
DAYS_BACK = 366  # so far back a day or an anniversary counts for whoever is taken in at the start
DAYS_LATE = 1  # a day that came while the program was paused counts for so long


# --- As contacts change ----------------------------------------------------------------------------------------------------------


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """The last follower of the definitions' turn: marked contacts who came in by a trigger of a live program enter it.

    The marks are the cursor: they go in the transaction in which people enter, so nothing is looked at twice or never. One statement
    for segments, one for the triggers there are, two for each that has no history, one for fifty of the others.
    """
    entered = queries.enrol_members(contact_ids, now=now)
    return entered + enter(queries_triggers.live_triggers(), contact_ids, now)


def enter(triggers: Sequence[Trigger], contact_ids: Sequence[int], now: datetime) -> int:
    """Take in those of these contacts who came in by one of the triggers; how many."""
    if not triggers:
        return 0
    for row, rule in _rules(triggers):
        met = conditions.match_ids(rule, conditions.moment(now), contacts=contact_ids, stored=True)
        queries_triggers.keep_matches(row.pk, contacts=contact_ids, met=met, now=now)
    found = _arrivals(triggers, now)
    ahead = [row.pk for row in triggers if TRIGGERS[row.kind].is_dated_ahead]
    if ahead and (first := queries_triggers.first_activity_ahead(contact_ids, now=now)):
        queries_triggers.be_due(ahead, at=first)
    return sum(
        queries_triggers.enrol_arrivals(found[start : start + TOGETHER], contacts=contact_ids, now=now)
        for start in range(0, len(found), TOGETHER)
    )


def _rules(triggers: Sequence[Trigger]) -> Iterator[tuple[Trigger, conditions.Tree]]:
    """The conditions of the triggers that have one. One that can no longer be read is told on the program's page; the others go on."""
    for row in triggers:
        kind = TRIGGERS[row.kind]
        if kind.condition is not None:
            try:
                yield row, conditions.check(kind.condition(row.values))
            except conditions.BadConditions:
                log.warning("trigger cannot be read", extra={"trigger": row.pk, "kind": row.kind})


def _arrivals(triggers: Sequence[Trigger], now: datetime) -> list[Arrivals]:
    """Who came in by each trigger, but those of the clock."""
    found, asked = [], Asked.at(now)
    for row in triggers:
        kind = TRIGGERS[row.kind]
        people = None
        try:
            if kind.condition is not None:
                people = queries_triggers.matched(row.pk, on_leaving=kind.on_leaving(row.values))
            elif kind.arrivals is not None:
                people = kind.arrivals(row.values, asked, row.since)
        except (conditions.BadConditions, ValueError):
            log.warning("trigger cannot be read", extra={"trigger": row.pk, "kind": row.kind})
        if people is not None:
            found.append(Arrivals(row.pk, why(row.kind, row.key, row.values), people, row.since))
    return found


def why(kind: str, key: str, values: dict[str, Any]) -> str:
    """How an enrolment names the trigger."""
    return f"segment:{values['segment']}" if kind == "segment" else f"{kind}#{key}"


def asks_for_imports() -> bool:
    """Whether some program takes in, or is about to, whom an import makes or changes. One statement."""
    versions = ProgramVersion.objects.exclude(state=ProgramVersion.State.PAST)
    return versions.filter(program__archived_at=None, triggers__contains=[{"kind": "import"}]).exists()


def whom_to_look_at(triggers: Sequence[Trigger], now: datetime) -> list[int]:
    """Contacts whom these triggers may let in although no mark tells of them, as after a pause. One statement, and one for each rule."""
    found = set(queries_triggers.arrived(_arrivals(triggers, now), now=now))
    for row, rule in _rules(triggers):
        everybody = conditions.matching(rule, conditions.moment(now), stored=True)
        found.update(queries_triggers.changed_matches(row.pk, people=everybody))
    return sorted(found)


# --- By the clock ----------------------------------------------------------------------------------------------------------------


def take_due(now: datetime) -> int:
    """Triggers that time alone made due: days that came, activities that were dated ahead; how many entered. One statement when none is.

    Where no clock shows the hour of a day, which is so at most quarters of an hour, one statement passes over all such triggers.
    """
    nobody: dict[int, datetime] = {}
    entered = 0
    for row in queries_triggers.live_triggers(due=now):
        moments = TRIGGERS[row.kind].moments
        if moments is not None and row.looked_until is not None and moments(row.values, row.looked_until, now) is None:
            nobody[row.pk] = row.looked_until
        else:
            entered += _take_due(row, now)
    if nobody:
        queries_triggers.pass_over(nobody, until=now, due_at=day.next_look(now))
    return entered


def _take_due(due: Trigger, now: datetime) -> int:
    """What came since the last look; the entries and how far was looked stand or fall together."""
    with transaction.atomic():
        row = (
            Trigger.objects.select_for_update(no_key=True, skip_locked=True).filter(pk=due.pk, due_at__lte=now).first()
        )
        if row is None or row.due_at is None:
            return 0
        kind = TRIGGERS[row.kind]
        if kind.moments is None:  # what was dated ahead exists now, and nothing else happened at these moments
            found = [replace(one, since=max(row.since or row.due_at, row.due_at)) for one in _arrivals([row], now)]
            entered = queries_triggers.enrol_arrivals(found, contacts=None, now=now)
            Trigger.objects.filter(pk=row.pk).update(due_at=queries_triggers.next_activity_ahead(now))
            return entered
        people = kind.moments(row.values, row.looked_until or now, now)
        found = [] if people is None else [Arrivals(row.pk, why(row.kind, row.key, row.values), people, row.since)]
        entered = queries_triggers.enrol_arrivals(found, contacts=None, now=now)
        Trigger.objects.filter(pk=row.pk).update(looked_until=now, due_at=day.next_look(now))
    return entered


def skip_paused_days(program: Program, now: datetime) -> None:
    """A program goes on: days that came long ago, while it was paused, let nobody in any more."""
    bound = now - timedelta(days=DAYS_LATE)
    rows = Trigger.objects.filter(version__program=program, looked_until__lt=bound)
    rows.update(looked_until=bound)


def close(program: Program) -> None:
    """A program has stopped: nothing lets people in any more, and nobody waits in front of it."""
    Trigger.objects.filter(version__program=program).delete()
    EntryPlace.objects.filter(program=program).delete()
    EntryQueue.objects.filter(program=program).delete()


# --- At publication --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Intake:
    """What was chosen for those who match already: a key of ProgramVersion.Intake, since when, how many a day (None: all at once)."""

    which: str
    since: datetime | None = None
    per_day: int | None = None

    @property
    def is_queued(self) -> bool:
        return self.per_day is not None and self.which != ProgramVersion.Intake.NEW

    @property
    def at_once(self) -> str:
        """What the triggers themselves let in."""
        return ProgramVersion.Intake.NEW if self.is_queued else self.which


def settle(version: ProgramVersion, past: ProgramVersion | None, intake: Intake, now: datetime) -> int:
    """Make the rows by which the turn takes people in, at once and for good; how many wait in the queue."""
    if intake.at_once != ProgramVersion.Intake.NEW:
        EntryPlace.objects.filter(program=version.program_id).delete()
        EntryQueue.objects.filter(program=version.program_id).delete()
    queued = give_places(version, intake, now)
    while begin_next(version, past, intake, now):
        pass
    take_over(version, past, intake)
    if past is not None:
        Trigger.objects.filter(version=past).delete()
    return queued


def _kept(
    version: ProgramVersion, past: ProgramVersion | None, intake: Intake
) -> list[tuple[dict[str, Any], Trigger | None]]:
    """Each trigger of the version with the row of the one before that it keeps.

    A trigger that stays as it was keeps its row unless those who match already are to enter: an edit of the steps changes nobody's entry.
    """
    rows = {}
    if past is not None and intake.at_once == ProgramVersion.Intake.NEW:
        rows = {_said(row.kind, row.values): row for row in past.trigger_rows.order_by("pk")}
    return [(one, rows.pop(_said(one["kind"], values_of(one)), None)) for one in version.triggers]


def begin_next(version: ProgramVersion, past: ProgramVersion | None, intake: Intake, now: datetime) -> bool:
    """Make the row of the next trigger that keeps none; False when each has its own. Nobody enters by it before the version is live."""
    made = set(version.trigger_rows.values_list("key", flat=True))
    for one, row in _kept(version, past, intake):
        if row is None and one["id"] not in made:
            _begin(version, one, intake, now)
            return True
    return False


def take_over(version: ProgramVersion, past: ProgramVersion | None, intake: Intake) -> list[dict[str, Any]]:
    """Give the rows that stay to the version; what they were called before. The others stay with the past version, by which nobody enters."""
    kept = [(one, row) for one, row in _kept(version, past, intake) if row is not None]
    for one, row in kept:
        Trigger.objects.filter(pk=row.pk).update(version=version, key=one["id"])
    return [{"id": row.pk, "key": row.key} for _one, row in kept]


def _said(kind: str, values: dict[str, Any]) -> str:
    return repr((kind, sorted(values.items(), key=lambda item: item[0])))


def _begin(version: ProgramVersion, one: dict[str, Any], intake: Intake, now: datetime) -> None:
    kind, values = kind_of(one), values_of(one)
    segment = Segment.objects.get(slug=values["segment"]) if kind.key == "segment" else None
    since = _bound(intake, segment, now)
    row = Trigger.objects.create(
        version=version, key=one["id"], kind=kind.key, values=values, segment=segment, since=since
    )
    if kind.condition is not None:
        is_new = since is None and not kind.on_leaving(values)
        people = conditions.matching(conditions.check(kind.condition(values)), conditions.moment(now), stored=True)
        queries_triggers.fill_matches(row.pk, people=people, since=now if is_new else None)
    if kind.moments is not None:
        back = now - timedelta(days=DAYS_BACK)
        row.looked_until = back if since is None else max(since, back) if since < now else now
        row.due_at = now
        row.save(update_fields=["looked_until", "due_at"])


def _bound(intake: Intake, segment: Segment | None, now: datetime) -> datetime | None:
    """From when on the trigger counts. For new members of a segment just after the newest present one: an entry that a running turn has
    not committed yet still counts as new, since it is worked at a later moment than any that is stored."""
    if intake.at_once == ProgramVersion.Intake.ALL:
        return None
    if intake.at_once == ProgramVersion.Intake.SINCE:
        return intake.since
    if segment is None:
        return now
    newest = queries.last_entry(segment.pk)
    return newest + timedelta(microseconds=1) if newest else None


def present_arrivals(triggers: Iterable[dict[str, Any]], since: datetime | None, now: datetime) -> list[Arrivals]:
    """Everybody who matches the triggers of a draft now, or came since the moment."""
    found, asked = [], Asked.at(now)
    for one in triggers:
        kind, values = kind_of(one), values_of(one)
        people = None
        if kind.condition is not None:
            if not kind.on_leaving(values) and since is None:
                tree = conditions.check(kind.condition(values))
                people = queries_triggers.at_no_moment(conditions.matching(tree, conditions.moment(now), stored=True))
        elif kind.moments is not None:
            back = now - timedelta(days=DAYS_BACK)
            people = kind.moments(values, max(since, back) if since else back, now)
        elif kind.arrivals is not None:
            people = kind.arrivals(values, asked, since)
        if people is not None:
            found.append(Arrivals(0, why(kind.key, one["id"], values), people, since))
    return found


def count_present(draft: ProgramVersion, *, since: datetime | None, now: datetime) -> Present:
    """The numbers of the start sheet: those who match now, or who came since the moment. Raises BadConditions for what cannot be read."""
    return queries_triggers.count_present(
        draft.program_id,
        present_arrivals(draft.triggers, since, now),
        again_days=(draft.around.get("again") or {}).get("days"),
        now=now,
    )


# --- The queue -------------------------------------------------------------------------------------------------------------------


def give_places(version: ProgramVersion, intake: Intake, now: datetime, given_by: int | None = None) -> int:
    """Places for those who match already, where so many a day were asked for; how many. Who is to enter at once needs none."""
    if intake.per_day is None or intake.which == ProgramVersion.Intake.NEW:
        return 0
    since = intake.since if intake.which == ProgramVersion.Intake.SINCE else None
    queued = queries_triggers.fill_queue(
        version.program_id,
        present_arrivals(version.triggers, since, now),
        again_days=(version.around.get("again") or {}).get("days"),
        now=now,
        given_by=given_by,
    )
    if queued:
        EntryQueue.objects.update_or_create(
            program_id=version.program_id,
            defaults={"per_day": intake.per_day, "is_held": False},
            create_defaults={"per_day": intake.per_day, "is_held": False, "began_at": now},
        )
    return queued


def let_in(now: datetime) -> int:
    """Let the next of each queue in, as many as the day still allows; how many entered. One statement when no queue has room today."""
    today = _today(now)
    return sum(_let_in(queue_id, today, now) for queue_id in queries_triggers.queues_with_room(today, now=now))


def _today(now: datetime) -> date:
    return now.astimezone(zone()).date()


def _let_in(queue_id: int, today: date, now: datetime) -> int:
    """The day's count moves in the transaction in which people enter. Who entered by themselves meanwhile does not count."""
    with transaction.atomic():
        queue = (
            EntryQueue.objects.select_for_update(no_key=True, skip_locked=True)
            .filter(pk=queue_id, is_held=False, set_aside_by=None)
            .first()
        )
        if queue is None:
            return 0
        before = queue.let_in if queue.day == today else 0
        room, entered, taken = queue.per_day - before, 0, 1
        while room > entered and taken:
            taken, number = queries_triggers.let_in(queue.program_id, limit=min(room - entered, PAGE), now=now)
            entered += number
        if not EntryPlace.objects.filter(program=queue.program_id).exists():
            queue.delete()
        else:
            EntryQueue.objects.filter(pk=queue.pk).update(day=today, let_in=before + entered)
    return entered
