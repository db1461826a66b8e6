"""Counts audiences and sends broadcasts off: one short transaction after the other, each of which may be the last.

What is left stands in the rows, so any worker goes on after any crash: an audience goes on after the last contact that was looked at,
mails are queued for whoever has none yet. Only so many wait in the outbox at a time, so that programs' mails pass in between, and a
broadcast that is cancelled has little to take back.

counting: rows of an earlier count go → page by page people are let in or left out → doubles go → counted.
going: page by page, at most at the wanted rate: whose turn has come gets a mail, whose hour is still to come is put off → done.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import accumulate

from django.db import OperationalError, transaction
from django.db.models import Q

from leads.models import Purpose
from leads.workspace import workspace
from nurture import engine
from nurture.broadcasts import queries, timing, winner
from nurture.models import Broadcast

log = logging.getLogger(__name__)

State = Broadcast.State

PAGE = 2_000  # people in one transaction; the page after that follows how long this one took
LARGEST = 20_000
PAGE_SECONDS = 0.2
OUTBOX = 10_000  # mails of one broadcast that wait to leave: what one worker sends in ten to twenty seconds (bench/README.md)
BREATH = timedelta(seconds=2)  # until the outbox is looked at again
BEHIND = timedelta(minutes=1)  # so much of a rate is caught up on after workers were away, not more
AGAIN_AFTER = timedelta(seconds=30)  # a try that broke off
WORKED = (State.COUNTING, State.GOING, State.DELETING)


def run_due(clock: Callable[[], datetime], *, seconds: float = 5.0) -> int:
    """Work for so long at the broadcasts that are due, each in its turn; how many transactions. One statement when none is."""
    did, until = 0, time.monotonic() + seconds
    due = Broadcast.objects.filter(Q(next_at=None) | Q(next_at__lte=clock()), state__in=WORKED)
    sizes = dict.fromkeys(due.order_by("next_at", "id").values_list("pk", flat=True), PAGE)
    while sizes and time.monotonic() < until:
        for pk in list(sizes):
            began = time.monotonic()
            if not _try(pk, clock(), sizes[pk]):
                del sizes[pk]
                continue
            did += 1
            sizes[pk] = _next_size(sizes[pk], time.monotonic() - began)
    return did


def _next_size(size: int, took: float) -> int:
    """How many people the next page has, so that it takes about PAGE_SECONDS."""
    if took > 1.5 * PAGE_SECONDS:
        return max(100, size // 2)
    return min(LARGEST, size * 2) if took < PAGE_SECONDS / 2 else size


def _try(pk: int, now: datetime, size: int) -> bool:
    """Go on with one; what breaks off is written down, told on its page and tried again later."""
    try:
        return carry_on(pk, now, size=size)
    except Exception as error:
        if isinstance(error, OperationalError) and engine.is_race(error):
            return True
        log.exception("broadcast broke off", extra={"broadcast": pk})
        Broadcast.objects.filter(pk=pk, state__in=WORKED).update(
            problem=engine.in_words(error), next_at=now + AGAIN_AFTER
        )
        return False


def carry_on(pk: int, now: datetime, *, size: int = PAGE) -> bool:
    """The next transaction of a broadcast; whether there is more to do now. False too while another worker is at it."""
    with transaction.atomic():
        rows = Broadcast.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        broadcast = rows.filter(Q(next_at=None) | Q(next_at__lte=now), pk=pk, state__in=WORKED).first()
        if broadcast is None:
            return False
        broadcast.problem, broadcast.next_at = "", None
        step = {State.COUNTING: _count, State.GOING: _send_off, State.DELETING: _delete}[State(broadcast.state)]
        return step(broadcast, now, size)


# --- Counting ----------------------------------------------------------------------------------------------------------------------


def shares_of(broadcast: Broadcast) -> list[tuple[str, int]]:
    """Variant -> the slot (of queries.SLOTS) up to which people get it; without a test the last ends at all of them."""
    variants = [(variant.key, variant.weight) for variant in broadcast.variants.all()]
    total = sum(weight for _key, weight in variants)
    part = queries.SLOTS * (broadcast.test_percent if broadcast.test_percent is not None else 100) // 100
    ends = accumulate(weight for _key, weight in variants)
    return [(key, part * end // total) for (key, _weight), end in zip(variants, ends, strict=True)]


def _count(broadcast: Broadcast, now: datetime, size: int) -> bool:
    """The next page of the audience; before the first, what an earlier count left goes."""
    if not broadcast.counts:
        if not queries.forget_page(broadcast.pk, limit=size):
            broadcast.counts, broadcast.after = {"in": 0}, 0
        broadcast.save(update_fields=["counts", "after", "problem", "next_at"])
        return True
    page = queries.take_page(
        broadcast.pk,
        into=[segment.pk for segment in broadcast.into.all()],
        out_of=[segment.pk for segment in broadcast.out_of.all()],
        purpose=broadcast.purpose,
        budgeted=broadcast.is_budgeted,
        moment=timing.begins_at(broadcast, now),
        after=broadcast.after,
        before=broadcast.counts["in"],
        shares=shares_of(broadcast),
        limit=size,
    )
    if page.last is not None:
        _add(broadcast, page.found)
        broadcast.after = page.last
    else:
        queries.analyze()
        doubles = queries.leave_out_doubles(broadcast.pk)
        if doubles:
            _add(broadcast, Counter({what: -number for what, number in doubles.items()}))
            broadcast.counts["same_address"] = doubles.total()
        broadcast.state, broadcast.counted_at = State.COUNTED, now
    broadcast.save(update_fields=["counts", "after", "state", "counted_at", "problem", "next_at"])
    return page.last is not None


def _add(broadcast: Broadcast, found: Counter[str]) -> None:
    """Into the counts: reasons by their names, who is in by variant and together."""
    counts = dict(broadcast.counts)
    for what, number in found.items():
        counts[what] = counts.get(what, 0) + number
        if what.startswith("in:"):
            counts["in"] += number
    broadcast.counts = counts


def _delete(broadcast: Broadcast, now: datetime, size: int) -> bool:
    if queries.forget_page(broadcast.pk, limit=size):
        broadcast.save(update_fields=["problem", "next_at"])
        return True
    broadcast.delete()
    return False


# --- On its way --------------------------------------------------------------------------------------------------------------------


def _send_off(broadcast: Broadcast, now: datetime, size: int) -> bool:
    """Mails for the next of those whose turn has come. When nobody is left who may get one now: when to look again."""
    allowed = _allowed(broadcast, now)
    is_over = allowed > 0 and not _work_page(broadcast, now, size, allowed)
    if is_over:
        broadcast.next_at = _look_again(broadcast, now)
    if is_over and broadcast.next_at is None:
        if broadcast.test_percent is not None and not broadcast.winner:
            _find_winner(broadcast, now)
        else:
            broadcast.state, broadcast.ended_at = State.DONE, now
    broadcast.save()
    return broadcast.state == State.GOING and (broadcast.next_at is None or broadcast.next_at <= now)


def _states(broadcast: Broadcast) -> list[str]:
    return ["waiting", "rest"] if broadcast.winner else ["waiting"]


def _look_again(broadcast: Broadcast, now: datetime) -> datetime | None:
    return queries.next_due(broadcast.pk, _states(broadcast), now=now)


def _allowed(broadcast: Broadcast, now: datetime) -> int:
    """How many mails may be queued now, by the rate and by what waits in the outbox; for none `next_at` says when to ask again."""
    room = OUTBOX - queries.waiting_mails(broadcast.pk, now=now, most=OUTBOX)
    if room <= 0:
        broadcast.next_at = now + BREATH
        return 0
    if broadcast.per_hour is None:
        return room
    each = timedelta(hours=1) / broadcast.per_hour
    broadcast.paced_until = max(broadcast.paced_until or now - each, now - max(BEHIND, each))
    places = (now - broadcast.paced_until) // each
    if places <= 0:
        broadcast.next_at = broadcast.paced_until + max(each, timedelta(seconds=1))
    return min(room, places)


def _work_page(broadcast: Broadcast, now: datetime, size: int, allowed: int) -> bool:
    """Queue and put off; whether anybody's turn had come or was put off. Three statements, the window's hours once a zone."""
    page: list[tuple[int, str]] = []
    for state in _states(broadcast):
        page = page or queries.take_due(broadcast.pk, state, now=now, limit=min(size, max(allowed, 500)))
    if not page:
        return False
    home = workspace()
    is_operational = Purpose.objects.filter(slug=broadcast.purpose, basis=Purpose.Basis.CONTRACT).exists()
    base = broadcast.decided_at if state == "rest" and broadcast.decided_at else broadcast.started_at
    until = {
        zone: timing.later_than(broadcast, home, zone, base=base or now, now=now, is_operational=is_operational)
        for zone in {zone for _recipient, zone in page}
    }
    later = [(recipient, at) for recipient, zone in page if (at := until[zone]) is not None]
    if later:
        queries.put_off([recipient for recipient, _at in later], [at for _recipient, at in later])
    turn = [recipient for recipient, zone in page if until[zone] is None][:allowed]
    if turn:
        queued = queries.queue_mails(broadcast.pk, turn, winner=broadcast.winner, purpose=broadcast.purpose, now=now)
        broadcast.counts = {**broadcast.counts, "queued": broadcast.counts.get("queued", 0) + queued}
        if broadcast.per_hour is not None and broadcast.paced_until is not None:
            broadcast.paced_until += queued * (timedelta(hours=1) / broadcast.per_hour)
    return True


def _find_winner(broadcast: Broadcast, now: datetime) -> None:
    """The test is out: note when, look when its hours are over, and again each ten minutes until each variant reached enough people."""
    if broadcast.tested_at is None:
        broadcast.tested_at = now
    looks_at = winner.looks_at(broadcast) or now
    if now < looks_at:
        broadcast.next_at = looks_at
        return
    found = winner.arms(broadcast, now)
    best = winner.best_of(found, at_least=broadcast.winner_at_least or 1)
    if not best:
        broadcast.next_at = now + winner.LOOK_EVERY
        return
    from nurture.broadcasts.actions import declare

    declare(broadcast, best, actor=None, now=now)
