"""The life-cycle on the contact page: which stages the contact went through, how long it stayed in each, and who or what moved it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy

from leads.lifecycle import STAGES
from leads.models import Contact, StageMove
from leads.panels import Panel, register_panel
from leads.timeline import cause_in_words
from scoring.contact_page import STYLES

SHOWN = 12
_LABELS = {slug: label for slug, label, _position, _is_detour in STAGES}


def register() -> None:
    """Called by AppConfig.ready."""
    register_panel(
        Panel(
            "lifecycle",
            gettext_lazy("Life-cycle"),
            "scoring/_lifecycle_panel.html",
            _panel,
            order=35,
            stylesheet=STYLES,
            is_later=True,
        )
    )


@dataclass(frozen=True)
class StageStay:
    """One stretch of time in a stage. `until` is None for the present one; `why` says what moved the contact into it."""

    stage: str
    label: Any
    since: datetime
    until: datetime | None
    lasted: timedelta
    why: str
    reason: str


def _panel(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """One statement."""
    moves = list(StageMove.objects.filter(contact=contact).select_related("actor").order_by("moved_at", "pk"))
    return {"stays": stays_of(contact, moves, now)[:SHOWN]}


def stays_of(contact: Contact, moves: list[StageMove], now: datetime) -> list[StageStay]:
    """Newest first. Before the first move the contact stood where that one took it from, since it was recorded."""
    first = min([contact.created_at, *(move.moved_at for move in moves[:1])])
    began = [(moves[0].from_stage if moves else contact.stage, first, "", "")]
    began += [(move.to_stage, move.moved_at, _why(move), move.reason) for move in moves]
    ends = [move.moved_at for move in moves]
    found = [
        StageStay(stage, _LABELS.get(stage, stage), since, until, (until or now) - since, why, reason)
        for (stage, since, why, reason), until in zip(began, [*ends, None], strict=True)
    ]
    return found[::-1]


def _why(move: StageMove) -> str:
    actor = (move.actor.get_full_name() or move.actor.get_username()) if move.actor else ""
    return cause_in_words(move.cause, actor)
