"""Verbs over broadcasts: write, count, send, pause, let go on, cancel, declare a winner, delete. Each is audited.

They leave a mark in the row (`state`, `next_at`) that the worker finds (job.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from leads.actions import audit
from nurture.actions import EditedMeanwhile, NurtureRefused
from nurture.broadcasts import queries, sheet, timing
from nurture.models import Broadcast, BroadcastVariant, Template
from segments.models import Segment

State = Broadcast.State

MOST_VARIANTS = 5
RESERVED_SLUGS = frozenset({"new"})
FIELDS = (
    *("name", "purpose", "timing", "starts_at", "local_on", "local_time", "late", "per_hour", "is_budgeted"),
    *("test_percent", "winner_by", "winner_hours", "winner_at_least", "winner_conditions"),
)


def save_broadcast(
    broadcast: Broadcast | None,
    *,
    variants: Sequence[tuple[Template, int]],
    into: Sequence[Segment],
    out_of: Sequence[Segment],
    values: Mapping[str, Any],
    version: int,
    actor: User | None,
    now: datetime,
) -> Broadcast:
    """A new one, or another wording of one that was not sent; what was counted before counts no more. Raises NurtureRefused."""
    if not 1 <= len(variants) <= MOST_VARIANTS or len({template.pk for template, _weight in variants}) != len(variants):
        raise NurtureRefused(_("A broadcast has one to five mails, each another template."))
    with transaction.atomic():
        if broadcast is None:
            row = Broadcast(slug=_free_slug(values["name"]), created_at=now, created_by=actor, version=0)
        else:
            row = _own(broadcast, *Broadcast.OPEN, version=version)
        for name in FIELDS:
            setattr(row, name, values[name])
        if len(variants) == 1 or not row.winner_by:
            row.test_percent = row.winner_hours = row.winner_at_least = row.winner_conditions = None
            row.winner_by = ""
        row.state, row.version, row.counts, row.after, row.counted_at = State.DRAFT, row.version + 1, {}, 0, None
        row.save()
        row.into.set(into)
        row.out_of.set(out_of)
        row.variants.all().delete()
        BroadcastVariant.objects.bulk_create(
            BroadcastVariant(broadcast=row, key="abcde"[place], template=template, weight=weight)
            for place, (template, weight) in enumerate(variants)
        )
        audit(actor, "created" if broadcast is None else "edited", row, {"version": row.version}, now)
    return row


def _free_slug(name: str) -> str:
    stem = slugify(name)[:90] or "broadcast"
    taken = RESERVED_SLUGS | set(Broadcast.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    return next(slug for slug in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)


def count(broadcast: Broadcast, *, actor: User | None, now: datetime) -> Broadcast:
    """Have the audience frozen and counted, anew if it was before."""
    with transaction.atomic():
        row = _own(broadcast, State.DRAFT, State.COUNTED)
        row.state, row.version, row.counts, row.after = State.COUNTING, row.version + 1, {}, 0
        row.counted_at, row.next_at = None, None
        row.save()
        audit(actor, "counted", row, {"version": row.version}, now)
    return row


def send(broadcast: Broadcast, *, version: int, actor: User | None, now: datetime) -> Broadcast:
    """The audience as it was counted gets it from now on, or from its moment on. Raises NurtureRefused with what is in the way."""
    with transaction.atomic():
        row = _own(broadcast, State.COUNTED, version=version)
        blocking = [problem.words for problem in sheet.problems(row, sheet.example_of(row), now) if problem.blocks]
        if blocking:
            raise NurtureRefused(" ".join(blocking))
        row.state, row.started_at, row.sent_by = State.GOING, timing.begins_at(row, now), actor
        row.next_at = row.started_at
        row.templates_seen = {variant.key: variant.template.version for variant in sheet.load_variants(row)}
        row.save()
        audit(actor, "sent", row, {"people": row.counts["in"], "begins": row.started_at.isoformat()}, now)
    return row


def pause(broadcast: Broadcast, *, actor: User | None, now: datetime) -> int:
    """Nothing more leaves until somebody says so; how many mails wait in the outbox."""
    with transaction.atomic():
        row = _own(broadcast, State.GOING)
        row.state = State.PAUSED
        row.save()
        held = queries.hold_mails(row.pk)
        audit(actor, "paused", row, {"held": held}, now)
    return held


def resume(broadcast: Broadcast, *, actor: User | None, now: datetime) -> int:
    """It goes on where it was; what was missed by its rate meanwhile is not caught up on. How many mails are let go."""
    with transaction.atomic():
        row = _own(broadcast, State.PAUSED)
        row.state, row.paced_until = State.GOING, None
        row.next_at = max(now, row.started_at or now)
        row.save()
        released = queries.release_mails(row.pk, now=now)
        audit(actor, "resumed", row, {"released": released}, now)
    return released


def cancel(broadcast: Broadcast, *, actor: User | None, now: datetime) -> int:
    """What no worker has claimed does not leave any more; how many people get nothing. What left has left."""
    with transaction.atomic():
        row = _own(broadcast, State.GOING, State.PAUSED, State.DONE)
        taken_back = queries.take_back_mails(row.pk)
        not_queued = row.counts["in"] - row.counts.get("queued", 0) if row.state != State.DONE else 0
        row.state, row.ended_at = State.CANCELLED, now
        row.save()
        audit(actor, "cancelled", row, {"taken_back": taken_back, "not_queued": not_queued}, now)
    return taken_back + not_queued


def choose_winner(broadcast: Broadcast, key: str, *, actor: User | None, now: datetime) -> None:
    """A person decides, whatever the numbers say so far."""
    with transaction.atomic():
        row = _own(broadcast, State.GOING, State.PAUSED)
        if row.winner or row.test_percent is None or key not in {variant.key for variant in row.variants.all()}:
            raise NurtureRefused(_("There is nothing to decide here any more."))
        declare(row, key, actor=actor, now=now)
        row.next_at = max(now, row.started_at or now)
        row.save()


def declare(row: Broadcast, key: str, *, actor: User | None, now: datetime) -> None:
    """The rest gets this one. The caller holds the row and saves it."""
    row.winner, row.decided_at, row.decided_by = key, now, actor
    audit(actor, "declared the winner of", row, {"way": key}, now)


def delete(broadcast: Broadcast, *, actor: User | None, now: datetime) -> None:
    """One that was never sent goes, with its audience, which a worker takes away page by page."""
    with transaction.atomic():
        row = _own(broadcast, *Broadcast.OPEN)
        row.state, row.next_at = State.DELETING, None
        row.save()
        row.variants.all().delete()
        row.into.clear()
        row.out_of.clear()
        audit(actor, "deleted", row, {}, now)


def _own(broadcast: Broadcast, *states: str, version: int | None = None) -> Broadcast:
    """The row, locked. Raises NurtureRefused when it is in another state by now, EditedMeanwhile for another version."""
    row = Broadcast.objects.select_for_update(no_key=True).get(pk=broadcast.pk)
    if row.state not in states:
        raise NurtureRefused(_("It is %(state)s by now; nothing was changed.") % {"state": row.get_state_display()})
    if version is not None and row.version != version:
        raise EditedMeanwhile
    return row
