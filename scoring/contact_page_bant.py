"""BANT on the contact page: a panel with what is known, what to ask, and where the contact goes from here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.translation import gettext_lazy

from leads.access import can
from leads.models import Contact, StageMove
from leads.panels import Panel, register_panel
from scoring import bant
from scoring.contact_page import STYLES
from scoring.models import BantFact, LookAgain, ScoreVersion

HISTORY = 20
MONTHS = (1, 3, 6, 12)  # offered for the timeframe by one click
# Who is further, or out of the line, needs no word about where to go.
MAY_BE_MOVED = ("visitor", "subscriber", "inquiry", "mql", "accepted", "recycled", "lost")


def register() -> None:
    """Called by AppConfig.ready."""
    register_panel(
        Panel(
            "bant",
            gettext_lazy("BANT"),
            "scoring/_bant_panel.html",
            panel_context,
            order=30,
            stylesheet=STYLES,
            is_later=True,
        )
    )


@dataclass(frozen=True)
class FacetRow:
    """One of the four on a page."""

    key: str
    label: Any
    icon: str
    fact: BantFact | None
    said: str
    answers: Sequence[bant.Answer]

    @property
    def verdict(self) -> str:
        return self.fact.verdict if self.fact else str(BantFact.Verdict.UNKNOWN)


def panel_context(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """Two statements: what was said and the default model's weights; two more, where they are needed, for the day and the last move."""
    history = _history(contact)
    facts = _that_count(history, now)
    live = ScoreVersion.objects.filter(model__is_default=True, state=ScoreVersion.State.LIVE).first()
    weights = live.bant_weights if live else list(bant.EQUAL_WEIGHTS)
    line = live.bant_line if live else ScoreVersion().bant_line
    points = bant.points(facts, weights)
    today = timezone.localtime(now).date()
    suggestion = bant.track(facts, today=today) if contact.stage in MAY_BE_MOVED else None
    last = StageMove.objects.filter(contact=contact).order_by("-moved_at", "-pk").first() if suggestion else None
    return {
        "bant_rows": [_row(facts, facet) for facet in bant.FACETS],
        "bant_points": points,
        "bant_most": sum(weights),
        "bant_line": line,
        "bant_passes": points >= line,
        "bant_gaps": bant.gaps(facts),
        "bant_track": suggestion,
        "bant_is_applied": bool(
            suggestion and last and last.cause == f"bant:{suggestion.key}" and last.to_stage == contact.stage
        ),
        "bant_again": _look_again(contact) if history else None,
        "bant_history": [(row, bant.said(row)) for row in history[:HISTORY]],
        "bant_months": MONTHS,
        "bant_today": today,
        "bant_may_record": can(user, "edit_contacts"),
        "bant_may_apply": can(user, "answer"),
    }


def _look_again(contact: Contact) -> LookAgain | None:
    """The pending day, else the last one."""
    return LookAgain.objects.filter(contact=contact).select_related("set_by").order_by("-set_at", "-pk").first()


def _row(facts: bant.Facts, facet: str) -> FacetRow:
    fact = bant.known(facts, facet)
    return FacetRow(
        facet,
        bant.LABELS[facet],
        bant.ICONS[BantFact.Facet(facet)],
        fact,
        bant.said(fact) if fact else "",
        bant.ANSWERS[BantFact.Facet(facet)],
    )


def _history(contact: Contact) -> list[BantFact]:
    """Newest first."""
    rows = BantFact.objects.filter(contact=contact).select_related("recorded_by")
    return list(rows.order_by("-known_at", "-pk"))


def _that_count(newest_first: Iterable[BantFact], now: datetime) -> dict[str, BantFact]:
    """The newest of each facet that has not lapsed."""
    found: dict[str, BantFact] = {}
    for row in newest_first:
        if row.known_at <= now and (row.lapses_at is None or row.lapses_at > now):
            found.setdefault(row.facet, row)
    return found
