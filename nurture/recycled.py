"""Recycled leads that sales sent into a program: the wish stands in scoring's row, the turn takes it up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from nurture import queries
from nurture.models import Program


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """A follower of the turn: marked contacts with a wish enter the program at its live version, once per person. One statement."""
    return queries.enrol_recycled(contact_ids, now=now)


def choices() -> list[tuple[str, str]]:
    """Programs that take people in now, for the queue."""
    return list(Program.objects.filter(state=Program.State.LIVE).order_by("name").values_list("slug", "name"))
