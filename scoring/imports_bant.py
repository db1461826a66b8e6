"""BANT in files of contacts: what a CRM knows of budget, authority, need and timeframe becomes facts beside the contact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import values
from leads.actions import Refused
from leads.importing.extras import Extra, Filled, register_extra
from leads.importing.fields import Field
from leads.text import fold
from leads.values import BadValue, Convert, Reading
from scoring import bant
from scoring.actions.bant import NewFact, fact_of, record_bant
from scoring.models import BantFact

Facet, CRM = BantFact.Facet, BantFact.Source.CRM


@dataclass(frozen=True)
class Cell:
    """What a cell says of a facet."""

    answer: str
    amount: Decimal | None = None
    due_on: date | None = None

    def __str__(self) -> str:
        """As the preview shows it."""
        return " ".join(str(part) for part in (self.answer, self.amount, self.due_on) if part is not None)


def register() -> None:
    register_extra(
        Extra(
            "bant",
            (
                Field(
                    "bant.budget", gettext_lazy("Budget (an amount, yes or no)"), "bant", _budget, is_clearable=False
                ),
                _words(Facet.AUTHORITY, gettext_lazy("Authority (decides, influences, none)")),
                _words(Facet.NEED, gettext_lazy("Need (urgent, clear, vague, none)")),
                Field(
                    "bant.timeframe", gettext_lazy("Timeframe (a day, or none)"), "bant", _timeframe, is_clearable=False
                ),
                Field("bant.known_at", gettext_lazy("BANT known since"), "moment", values.moment, is_clearable=False),
                Field("bant.note", gettext_lazy("BANT note"), "text", lambda _reading: values.text(500)),
            ),
            _check,
            _take,
        )
    )


def _keys(facet: str) -> tuple[str, ...]:
    return tuple(one.key for one in bant.ANSWERS[facet])


def _words(facet: str, label: Any) -> Field:
    return Field(
        f"bant.{facet}", label, "bant", lambda _reading: _answer(facet), is_clearable=False, words=_keys(facet)
    )


def _answer(facet: str) -> Convert:
    keys = _keys(facet)

    def convert(value: Any) -> Cell:
        word = fold(values.as_text(value))
        if word not in keys:
            raise BadValue(_("“%(text)s” is not one of %(words)s") % {"text": word[:60], "words": ", ".join(keys)})
        return Cell(word)

    return convert


def _budget(reading: Reading) -> Convert:
    """An amount above zero, or yes, no, unknown."""
    read = values.decimal(reading)

    def convert(value: Any) -> Cell:
        word = fold(values.as_text(value))
        if word in _keys(Facet.BUDGET):
            return Cell(word)
        if word in ("true", "false"):
            return Cell("yes" if word == "true" else "no")
        amount = read(value)
        return Cell("yes", amount=amount) if amount else Cell("no")

    return convert


def _timeframe(reading: Reading) -> Convert:
    """The day by which they want to have decided, or none, unknown."""
    read = values.day(reading)

    def convert(value: Any) -> Cell:
        if isinstance(value, str) and fold(value.strip()) in ("none", "unknown"):
            return Cell(fold(value.strip()))
        return Cell("dated", due_on=read(value))

    return convert


def _check(said: dict[str, Any], now: datetime) -> list[NewFact]:
    """Facts of nobody yet. Raises BadValue naming the field that makes no sense."""
    facts = []
    for facet in bant.FACETS:
        cell: Cell | None = said.get(facet)
        if cell is None:
            continue
        fact = NewFact(
            0,
            facet,
            cell.answer,
            amount=cell.amount,
            due_on=cell.due_on,
            note=said.get("note") or "",
            known_at=said.get("known_at"),
        )
        try:
            fact_of(fact, source=CRM, actor=None, now=now)
        except Refused as error:
            raise BadValue(f"bant.{facet}: {error}") from error
        facts.append(fact)
    return facts


def _take(rows: Sequence[Filled], now: datetime, actor_id: int | None, is_trial: bool) -> set[int]:
    """Facts that say something else than the newest one of the CRM are stored. Two statements, three with an actor.

    What sales heard in a call stands beside it: the same file again says nothing new, so it does not talk over them.
    """
    newest = _newest({row.contact_id for row in rows})
    news: list[NewFact] = []
    for row in rows:
        for fact in row.values:
            key = (row.contact_id, fact.facet)
            if _is_news(fact, newest.get(key)):
                newest[key] = fact
                news.append(replace(fact, contact_id=row.contact_id))
    if news and not is_trial:
        actor = User.objects.filter(pk=actor_id).first() if actor_id is not None else None
        record_bant(news, source=CRM, now=now, actor=actor)
    return {fact.contact_id for fact in news}


def _is_news(fact: NewFact, before: NewFact | None) -> bool:
    if before is None:
        return True
    if fact.known_at is not None and before.known_at is not None and fact.known_at <= before.known_at:
        return False
    return (fact.answer, fact.amount, fact.due_on) != (before.answer, before.amount, before.due_on)


def _newest(contacts: set[int]) -> dict[tuple[int, str], NewFact]:
    """What the CRM said last of each facet, lapsed or not. One statement along the index."""
    rows = (
        BantFact.objects.filter(contact_id__in=contacts, source=CRM)
        .order_by("contact_id", "facet", "-known_at", "-id")
        .distinct("contact_id", "facet")
    )
    return {
        (row.contact_id, row.facet): NewFact(
            row.contact_id, row.facet, row.answer, amount=row.amount, due_on=row.due_on, known_at=row.known_at
        )
        for row in rows
    }
