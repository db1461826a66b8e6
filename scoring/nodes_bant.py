"""BANT as the turn sees it: a fact that lapses is a known moment; its contact is looked at again when it comes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from leads.models import Mark
from leads.queries import mark
from scoring.models import BantFact, LookAgain
from scoring.queries.bant import claim_lapses
from segments.graph import Node

LOOKS_IN_ONE_TURN = 5_000


class LapsesNode:
    """Facts whose day has come: their contacts are marked, so that whatever reads BANT looks at them."""

    key = "bant:lapses"
    reads = frozenset[str]()
    facets = frozenset[int]()

    def is_stale(self, now: datetime) -> bool:
        return lapses_wait(now)

    def make_stale(self, now: datetime) -> None:
        """What is due stands in the rows."""

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """Two statements over a bounded number of facts; the next turn takes what is left."""
        if contacts is not None:
            return []
        with transaction.atomic():
            lapsed = claim_lapses(now)
            mark(lapsed, Mark.Facet.DEFINITION)
        return len(lapsed)


class LooksAgainNode:
    """People whose day has come: they are marked, so that actions.bant.look_again finds them after the scores."""

    key = "bant:looks-again"
    reads = frozenset[str]()
    facets = frozenset[int]()

    def is_stale(self, now: datetime) -> bool:
        return LookAgain.objects.ready(now).exists()

    def make_stale(self, now: datetime) -> None:
        """What is due stands in the rows."""

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """Two statements over a bounded number of rows; they stay due until the follower has looked."""
        if contacts is not None:
            return []
        due = LookAgain.objects.ready(now).order_by("due_at", "pk").values_list("contact", flat=True)
        return mark(list(due[:LOOKS_IN_ONE_TURN]), Mark.Facet.DEFINITION)


def bant_nodes() -> list[Node]:
    return [LapsesNode(), LooksAgainNode()]


def lapses_wait(now: datetime) -> bool:
    """Whether a fact has lapsed that nobody was told of, or somebody's day has come. Two statements along partial indexes."""
    return BantFact.objects.lapsing(now).exists() or LookAgain.objects.ready(now).exists()
