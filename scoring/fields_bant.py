"""BANT in the rule language: `bant.budget`, `bant.authority`, `bant.need`, `bant.timeframe`, their verdicts, `bant.amount` and `bant.points`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from django.utils.translation import gettext_lazy as _

from leads.models import Mark
from scoring import bant
from scoring.models import BantFact
from scoring.queries.bant import bant_of, points_sql, within
from segments.conditions.facts import Facts
from segments.conditions.fields import Choices, Field, register_field
from segments.conditions.fragment import Sql
from segments.conditions.periods import Moment

GROUP = _("BANT")
HELP = _("From the newest fact that has not lapsed.")
# A fact that is recorded or lapses leaves a mark of this facet.
FACETS = frozenset({int(Mark.Facet.DEFINITION)})
VERDICTS = (
    ("budget", _("Budget verdict")),
    ("authority", _("Authority verdict")),
    ("need", _("Need verdict")),
    ("timeframe", _("Timeframe verdict")),
)


def register() -> None:
    """Called by AppConfig.ready."""
    for facet in (BantFact.Facet.BUDGET, BantFact.Facet.AUTHORITY, BantFact.Facet.NEED):
        _register(f"bant.{facet}", "choice", bant.LABELS[facet], facet, "fact.answer", "answer", _answers(facet))
    timeframe = BantFact.Facet.TIMEFRAME
    help = _("The day by which they want to have decided.")
    _register("bant.timeframe", "date", bant.LABELS[timeframe], timeframe, "fact.due_on", "due_on", help=help)
    _register(
        "bant.amount", "number", _("Budget amount"), BantFact.Facet.BUDGET, "fact.amount", "amount", flavour="money"
    )
    for name, label in VERDICTS:
        _register(f"bant.{name}_verdict", "choice", label, name, "fact.verdict", "verdict", _verdicts)
    register_field(
        Field(
            key="bant.points",
            type="number",
            label=_("BANT points"),
            group=GROUP,
            sql=lambda as_type, scope: points_sql(scope),
            value=lambda facts, as_type, moment: _points(facts, moment.at),
            help=_("25 for each of the four that is met."),
            facets=FACETS,
        )
    )


def _register(
    key: str,
    type: str,
    label: Any,
    facet: str,
    column: LiteralString,
    attribute: str,
    choices: Choices | None = None,
    *,
    help: Any = HELP,
    flavour: str = "",
) -> None:
    register_field(
        Field(
            key=key,
            type=type,
            label=label,
            group=GROUP,
            sql=lambda as_type, scope: Sql(column),
            within=lambda condition, scope: within(facet, condition, scope),
            value=_value(facet, attribute),
            choices=choices,
            is_closed=choices is not None,
            is_lower=choices is not None,
            help=help,
            flavour=flavour,
            facets=FACETS,
        )
    )


def _answers(facet: BantFact.Facet) -> Choices:
    return lambda: [(one.key, one.label) for one in bant.ANSWERS[facet] if one.verdict != BantFact.Verdict.UNKNOWN]


def _verdicts() -> list[tuple[str, Any]]:
    return [(str(one), one.label) for one in (BantFact.Verdict.MET, BantFact.Verdict.NOT_MET)]


def _value(facet: str, attribute: str) -> Callable[[Any, str, Moment], Any]:
    def value(facts: Facts, as_type: str, moment: Moment) -> Any:
        fact = bant.known(_facts(facts, moment.at), facet)
        return None if fact is None else getattr(fact, attribute)

    return value


def _points(facts: Facts, at: datetime) -> Decimal:
    return bant.points(_facts(facts, at))


def _facts(facts: Facts, at: datetime) -> dict[str, BantFact]:
    """What counts for one contact at a moment; read once."""
    place = ("bant", at)
    if place not in facts.kept:
        facts.kept[place] = bant_of([facts.id], at=at)[facts.id]
    found: dict[str, BantFact] = facts.kept[place]
    return found
