"""Carries out what publish sheets decided, and takes it back: one short transaction after the other, each of which may be the last.

`carry_on` does the next of them and says whether there is more; what is left stands in the rows, so any worker goes on after any crash.

asked → triggers get their rows, then the places in the queue → the version goes live → moving: page by page people go over → done.
taking back → whoever entered meanwhile → page by page people stand as they stood → what the publication made is gone → taken back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import Q

from leads.actions import audit
from leads.models import Mark
from leads.queries import mark
from nurture import around, engine, entering, queries, tree
from nurture.kinds import KINDS
from nurture.models import EntryQueue, Program, ProgramVersion, Publication, Trigger
from nurture.publication import effects, moving, queries_moving, queries_publishing

log = logging.getLogger(__name__)

State = Publication.State

PAGE = 1_000  # people in one transaction; the page after that follows how long this one took
LARGEST = 5_000
PAGE_SECONDS = 0.1  # nobody should wait half a second for a row that a page holds, on a busy machine neither (0.2: 0.85 s, 2026-11-22)
AGAIN_AFTER = timedelta(seconds=30)  # a try that broke off
# Of a version, what its publication writes; a rename may write the rest meanwhile.
PUBLISHED = [
    "state",
    "intake",
    "entered_since",
    "listens",
    "enters_from",
    "enters_until",
    "published_at",
    "published_by",
]


def run_due(clock: Callable[[], datetime], *, seconds: float = 5.0) -> int:
    """Work for so long at the publications that are under way; how many transactions. Three statements when nothing is.

    Afterwards first effects are noted, and what was kept for taking back a publication that stays is thrown away.
    """
    did, until = 0, time.monotonic() + seconds
    due = Publication.objects.filter(Q(next_try_at=None) | Q(next_try_at__lte=clock()), state__in=Publication.UNDER_WAY)
    for pk in due.order_by("id").values_list("pk", flat=True):
        size = PAGE
        while time.monotonic() < until:
            began = time.monotonic()
            if not _try(pk, clock(), size):
                break
            did += 1
            size = next_size(size, time.monotonic() - began)
    effects.note(clock())
    closed = Publication.objects.filter(state=State.DONE, is_cleared=False).exclude(effect="")
    for pk in closed.order_by("id").values_list("pk", flat=True):
        while time.monotonic() < until and _clear(pk):
            did += 1
    return did


def carry_out(publication: Publication, *, now: datetime) -> None:
    """All of it at once, at one moment."""
    while carry_on(publication.pk, now):
        pass


def next_size(size: int, took: float) -> int:
    """How many people the next page has, so that it takes about PAGE_SECONDS."""
    if took > 2 * PAGE_SECONDS:
        return max(100, size // 2)
    return min(LARGEST, size * 2) if took < PAGE_SECONDS / 2 else size


def _try(pk: int, now: datetime, size: int) -> bool:
    """Go on with one; what breaks off is written down, told on the program's page and tried again later."""
    try:
        return carry_on(pk, now, size=size)
    except Exception as error:
        if isinstance(error, OperationalError) and engine.is_race(error):
            return True
        log.exception("publication broke off", extra={"publication": pk})
        Publication.objects.filter(pk=pk, state__in=Publication.UNDER_WAY).update(
            problem=engine.in_words(error), next_try_at=now + AGAIN_AFTER
        )
        return False


def carry_on(pk: int, now: datetime, *, size: int = PAGE) -> bool:
    """The next transaction of a publication; whether there is more to do. False too while another worker is at it."""
    with transaction.atomic():
        rows = Publication.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        publication = rows.select_related("version").filter(pk=pk, state__in=Publication.UNDER_WAY).first()
        if publication is None:
            return False
        if publication.problem:
            publication.problem, publication.next_try_at = "", None
            publication.save(update_fields=["problem", "next_try_at"])
        {State.ASKED: _prepare, State.MOVING: _move, State.TAKING_BACK: _give_back}[State(publication.state)](
            publication, now, size
        )
    return True


def _clear(pk: int) -> bool:
    with transaction.atomic():
        rows = Publication.objects.select_for_update(no_key=True, skip_locked=True)
        publication = rows.filter(pk=pk, state=State.DONE, is_cleared=False).first()
        return publication is not None and effects.clear_page(publication)


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


# --- Over ------------------------------------------------------------------------------------------------------------------------


def _intake(publication: Publication) -> entering.Intake:
    return entering.Intake(publication.intake, publication.since, publication.per_day)


def _version(publication: Publication) -> ProgramVersion:
    assert publication.version is not None
    return publication.version


def _prepare(publication: Publication, now: datetime, size: int) -> None:
    """The next part of what takes long although nobody is moved by it; at last the version goes live."""
    version, intake = _version(publication), _intake(publication)
    earlier = Publication.objects.filter(program=publication.program_id, state=State.DONE, is_cleared=False)
    if (old := earlier.order_by("pk").first()) is not None:
        effects.clear_page(old)
    elif entering.begin_next(version, publication.past, intake, publication.asked_at):
        pass
    elif publication.queued is None:
        queue = EntryQueue.objects.filter(program=publication.program_id).first()
        was = {"per_day": queue.per_day, "is_held": queue.is_held} if queue else None
        publication.before = {**publication.before, "queue": was}
        publication.queued = entering.give_places(version, intake, publication.asked_at, given_by=publication.pk)
        publication.save(update_fields=["before", "queued"])
    else:
        _go_live(publication, version, intake, now)


def _go_live(publication: Publication, version: ProgramVersion, intake: entering.Intake, now: datetime) -> None:
    program = Program.objects.select_for_update(no_key=True).get(pk=publication.program_id)
    publication.before = {
        **publication.before,
        "triggers": entering.take_over(version, publication.past, intake),
        "program": {
            "state": program.state,
            "started_at": _text(program.started_at),
            "stopped_at": _text(program.stopped_at),
        },
        "version": {
            "intake": version.intake,
            "entered_since": _text(version.entered_since),
            "listens": version.listens,
            "enters_from": _text(version.enters_from),
            "enters_until": _text(version.enters_until),
        },
    }
    if intake.at_once != ProgramVersion.Intake.NEW:
        EntryQueue.objects.filter(program=program, set_aside_by=None).update(set_aside_by=publication)
    if publication.past_id is not None:
        ProgramVersion.objects.filter(pk=publication.past_id).update(state=ProgramVersion.State.PAST)
    first = version.trigger_rows.filter(segment=version.trigger_segment_id).first()
    version.intake = publication.intake
    version.entered_since = first.since if first is not None and version.trigger_segment_id else publication.since
    version.listens = any(KINDS[step.kind].wake for step in tree.check(version.tree).walk())
    version.enters_from, version.enters_until = around.bounds(version.around)
    version.state, version.published_at = ProgramVersion.State.LIVE, now
    version.published_by = publication.asked_by
    version.save(update_fields=PUBLISHED)
    if program.state in (Program.State.DRAFT, Program.State.STOPPED):
        program.started_at, program.stopped_at = now, None
        program.state = Program.State.LIVE
    program.updated_at = now
    program.save(update_fields=["state", "started_at", "stopped_at", "updated_at"])
    publication.state, publication.switched_at = State.MOVING, now
    publication.save()


def _move(publication: Publication, now: datetime, size: int) -> None:
    """The next page of people goes over. When all did, those who came to such a step in the same moment are looked for once more."""
    version = _version(publication)
    rows = publication.sheet
    while publication.row < len(rows) and rows[publication.row]["choice"] == moving.FINISH:
        publication.row, publication.after = publication.row + 1, 0
    if publication.row < len(rows):
        row = rows[publication.row]
        fresh = {step.id: step for step in tree.check(version.tree).walk()}
        ids = moving.move_page(publication, row, fresh, after=publication.after, limit=size)
        kind = moving.kind_of(row["choice"])
        if ids:
            publication.moved = {**publication.moved, kind: publication.moved.get(kind, 0) + len(ids)}
            publication.people_done += len(ids)
            publication.after = ids[-1]
        else:
            publication.row, publication.after = publication.row + 1, 0
    elif _is_left(publication):
        publication.row = publication.after = 0
    else:
        _finish(publication, version, now)
    publication.save()


def _is_left(publication: Publication) -> bool:
    """Whether anybody stands where the sheet moves people from. One statement."""
    places = {(row["version"], row["step"]) for row in publication.sheet if row["choice"] != moving.FINISH}
    return any((version, step) in places for version, step, _people in queries_moving.standing(publication.program_id))


def _finish(publication: Publication, version: ProgramVersion, now: datetime) -> None:
    finishing = sum(row["people"] for row in publication.sheet if row["choice"] == moving.FINISH)
    if finishing:
        publication.moved = {moving.FINISH: finishing, **publication.moved}
    publication.state, publication.finished_at = State.DONE, now
    program = _let_go(publication, now)
    detail: dict[str, Any] = {
        "version": version.number,
        "intake": publication.intake,
        "moved": publication.moved,
        "queued": publication.queued,
    }
    audit(publication.asked_by, "published", program, detail | _said(publication.reason), now)


def _said(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _let_go(publication: Publication, now: datetime) -> Program:
    """Everybody walks again; the next beat looks at them, and at whoever is to enter."""
    program = Program.objects.select_for_update(no_key=True).get(pk=publication.program_id)
    is_running = program.state in (Program.State.LIVE, Program.State.PAUSED)
    program.publishing_since, program.stale_since, program.updated_at = None, now if is_running else None, now
    program.save(update_fields=["publishing_since", "stale_since", "updated_at"])
    return program


# --- Back ------------------------------------------------------------------------------------------------------------------------


def _give_back(publication: Publication, now: datetime, size: int) -> None:
    """The next part of taking back; each finds by itself what is left of it."""
    if publication.switched_at is not None and _send_back_entries(publication, size):
        return
    returned = queries_publishing.give_back(publication.pk, limit=size)
    if returned.rows:
        mark(returned.were_out, Mark.Facet.DEFINITION)  # a rule, or a trigger, may ask who left
        done = max(0, publication.people_done - returned.rows)
        Publication.objects.filter(pk=publication.pk).update(people_done=done)
        return
    if queries_publishing.forget_places(publication.pk, limit=effects.PAGE):
        return
    trigger = Trigger.objects.filter(version=publication.version_id).order_by("pk").first()
    if trigger is not None:
        if not queries_publishing.forget_matches(trigger.pk, limit=effects.PAGE):
            trigger.delete()
        return
    _took_back(publication, now)


def _send_back_entries(publication: Publication, size: int) -> bool:
    """Whoever entered the new version meanwhile, and did nothing there yet, enters the one before; who came by what only the new one
    lets in, or was let out by the publication itself, never came. False when there is nobody."""
    version_id = publication.version_id
    assert version_id is not None
    found = queries_publishing.entered_meanwhile(version_id, publication.pk, limit=size)
    ways = {entering.why(row.kind, row.key, row.values) for row in Trigger.objects.filter(version=version_id)}
    never_left = queries_publishing.let_out(publication.pk, [contact_id for _id, contact_id, _why in found])
    over: list[int] = []
    gone: list[int] = []
    for enrolment_id, contact_id, why in found:
        is_gone = publication.past_id is None or why in ways or contact_id in never_left
        (gone if is_gone else over).append(enrolment_id)
    if over and publication.past_id is not None:
        queries_moving.go_over(over, version_id=publication.past_id)
    if gone:
        queries_publishing.drop_walks(gone)
    return bool(found)


def _took_back(publication: Publication, now: datetime) -> None:
    """The version is a draft again, as it was, unless there is another draft by now or somebody's walk names it."""
    version = _version(publication)
    others = ProgramVersion.objects.filter(program=publication.program_id, state=ProgramVersion.State.DRAFT)
    if publication.switched_at is not None:
        is_past = others.exclude(pk=version.pk).exists() or queries_publishing.is_walked(version.pk)
        was = publication.before["version"]
        version.state = ProgramVersion.State.PAST if is_past else ProgramVersion.State.DRAFT
        if not is_past:
            version.published_at = version.published_by = None
            version.intake, version.listens = was["intake"], was["listens"]
            version.entered_since = moment(was["entered_since"])
            version.enters_from, version.enters_until = moment(was["enters_from"]), moment(was["enters_until"])
        version.save(update_fields=PUBLISHED)
    _give_queue_back(publication)
    program = _let_go(publication, now)
    if program.state == Program.State.PAUSED:
        queries.hold_mails(program.pk)
    elif program.state == Program.State.LIVE:
        queries.release_mails(program.pk, now=now)
    publication.state, publication.taken_back_at, publication.is_cleared = State.TAKEN_BACK, now, True
    publication.save()
    detail = {"version": publication.number, "moved": publication.moved}
    audit(
        publication.taken_back_by,
        "took back the publication of",
        program,
        detail | _said(publication.taken_back_reason),
        now,
    )


def _give_queue_back(publication: Publication) -> None:
    EntryQueue.objects.filter(set_aside_by=publication).update(set_aside_by=None)
    if publication.queued:
        queue = EntryQueue.objects.filter(program=publication.program_id)
        if was := publication.before.get("queue"):
            queue.update(**was)
        else:
            queue.delete()
