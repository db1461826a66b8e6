"""Makers of broadcasts: written, counted, sent, worked on as the worker does it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

from leads.models import Contact
from nurture.broadcasts import actions, job
from nurture.models import Broadcast, Sending, Template
from segments.models import Segment
from tests.makers import NOW, make_segment
from tests.nurture.makers import make_template, put_in

_number = count(1)

USUAL: dict[str, Any] = {
    "purpose": "marketing",
    "timing": "now",
    "starts_at": None,
    "local_on": None,
    "local_time": None,
    "late": "next_day",
    "per_hour": None,
    "is_budgeted": True,
    "test_percent": None,
    "winner_by": "",
    "winner_hours": None,
    "winner_at_least": 1,
    "winner_conditions": None,
}


def audience(*people: Contact) -> Segment:
    segment = make_segment()
    put_in(segment, people)
    return segment


def write(
    *into: Segment,
    out_of: Sequence[Segment] = (),
    variants: Sequence[tuple[Template, int]] = (),
    name: str = "",
    now: datetime = NOW,
    **values: Any,
) -> Broadcast:
    """A draft to the members of these segments."""
    return actions.save_broadcast(
        None,
        variants=variants or [(make_template(), 1)],
        into=into,
        out_of=out_of,
        values={**USUAL, "name": name or f"Broadcast {next(_number)}", **values},
        version=0,
        actor=None,
        now=now,
    )


def work(now: datetime = NOW) -> int:
    """As the worker does it, until nothing is left to do now."""
    did = 0
    while more := job.run_due(lambda: now, seconds=600.0):
        did += more
    assert list(Broadcast.objects.exclude(problem="").values_list("problem", flat=True)) == []
    return did


def count_audience(broadcast: Broadcast, now: datetime = NOW) -> Broadcast:
    actions.count(broadcast, actor=None, now=now)
    work(now)
    broadcast.refresh_from_db()
    assert broadcast.state == Broadcast.State.COUNTED
    return broadcast


def send(broadcast: Broadcast, now: datetime = NOW) -> Broadcast:
    """Counted and sent; the worker has not begun."""
    if broadcast.state == Broadcast.State.DRAFT:
        count_audience(broadcast, now)
    actions.send(broadcast, version=broadcast.version, actor=None, now=now)
    broadcast.refresh_from_db()
    return broadcast


def mailed(broadcast: Broadcast) -> dict[str, int]:
    """State of its mails -> how many."""
    found: dict[str, int] = {}
    for state in Sending.objects.filter(broadcast=broadcast).values_list("state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found
