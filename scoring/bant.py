"""BANT in words and numbers: which answers there are, what each means, what is still to be asked, and where a contact goes from here."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from scoring.models import DEFAULT_BANT_WEIGHTS, BantFact, Rule, ScoreModel, ScoreVersion
from scoring.queries.bant import bant_of
from segments.conditions.periods import shift_date

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

Facet, Verdict = BantFact.Facet, BantFact.Verdict
FACETS: tuple[str, ...] = tuple(Facet.values)
# A decision further away than this is no reason to call now.
MET_WITHIN_MONTHS = 6
# What was said about money, need and time is old after half a year; who decides changes more slowly.
LAPSES_AFTER_DAYS = {Facet.BUDGET: 180, Facet.AUTHORITY: 365, Facet.NEED: 180, Facet.TIMEFRAME: 180}
LATER_MONTHS = 3  # no budget and no date given: look again after a quarter
EQUAL_WEIGHTS = tuple(Decimal(weight) for weight in DEFAULT_BANT_WEIGHTS)
WEIGHT_PRESETS: dict[str, tuple[StrOrPromise, tuple[Decimal, ...]]] = {
    "equal": (gettext_lazy("All four alike"), EQUAL_WEIGHTS),
    "who_pays": (
        gettext_lazy("Budget, authority and need above the timeframe"),
        (Decimal(30), Decimal(30), Decimal(30), Decimal(10)),
    ),
}
_KEYS = uuid.UUID("6f0d3d0e-6c1b-4a57-9d55-5f5f8ad0ba47")  # any number of our own


@dataclass(frozen=True)
class Answer:
    """What may be said of a facet; `letter` chooses it by keyboard."""

    key: str
    label: StrOrPromise
    verdict: str
    letter: str = ""


ANSWERS: dict[str, tuple[Answer, ...]] = {
    Facet.BUDGET: (
        Answer("yes", gettext_lazy("There is a budget"), Verdict.MET, "1"),
        Answer("no", gettext_lazy("No budget now"), Verdict.NOT_MET, "2"),
        Answer("unknown", gettext_lazy("Not known"), Verdict.UNKNOWN, "3"),
    ),
    Facet.AUTHORITY: (
        Answer("decides", gettext_lazy("Decides"), Verdict.MET, "1"),
        Answer("influences", gettext_lazy("Influences"), Verdict.NOT_MET, "2"),
        Answer("none", gettext_lazy("No say in it"), Verdict.NOT_MET, "3"),
        Answer("unknown", gettext_lazy("Not known"), Verdict.UNKNOWN, "4"),
    ),
    Facet.NEED: (
        Answer("urgent", gettext_lazy("Urgent"), Verdict.MET, "1"),
        Answer("clear", gettext_lazy("Clear"), Verdict.MET, "2"),
        Answer("vague", gettext_lazy("Vague"), Verdict.NOT_MET, "3"),
        Answer("none", gettext_lazy("None"), Verdict.NOT_MET, "4"),
        Answer("unknown", gettext_lazy("Not known"), Verdict.UNKNOWN, "5"),
    ),
    Facet.TIMEFRAME: (
        Answer("dated", gettext_lazy("By a day"), Verdict.MET, "1"),
        Answer("none", gettext_lazy("No plan"), Verdict.NOT_MET, "2"),
        Answer("unknown", gettext_lazy("Not known"), Verdict.UNKNOWN, "3"),
    ),
}
LABELS: dict[str, StrOrPromise] = {
    Facet.BUDGET: gettext_lazy("Budget"),
    Facet.AUTHORITY: gettext_lazy("Authority"),
    Facet.NEED: gettext_lazy("Need"),
    Facet.TIMEFRAME: gettext_lazy("Timeframe"),
}
ICONS = {Facet.BUDGET: "coin", Facet.AUTHORITY: "signature", Facet.NEED: "target-arrow", Facet.TIMEFRAME: "calendar"}
# For sales, to ask in a talk; and for a form, as a person would read it.
QUESTIONS: dict[str, tuple[StrOrPromise, StrOrPromise]] = {
    Facet.AUTHORITY: (gettext_lazy("Ask: who signs?"), gettext_lazy("What is your part in the decision?")),
    Facet.NEED: (gettext_lazy("Ask: what must change, and why now?"), gettext_lazy("How pressing is this for you?")),
    Facet.BUDGET: (gettext_lazy("Ask: is money set aside for it?"), gettext_lazy("Is there a budget for it?")),
    Facet.TIMEFRAME: (
        gettext_lazy("Ask: when do they want to decide?"),
        gettext_lazy("By when do you want to decide?"),
    ),
}
# What people are asked first: somebody without a need has no budget for it; nobody likes to start with money.
ASKED_IN_ORDER = (Facet.NEED, Facet.TIMEFRAME, Facet.AUTHORITY, Facet.BUDGET)


def months_on(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a shorter month."""
    return shift_date(day, months, "months") or date.max


def answer_of(facet: str, key: str) -> Answer | None:
    return next((one for one in ANSWERS.get(facet, ()) if one.key == key), None)


def verdict_of(facet: str, answer: Answer, *, due_on: date | None, today: date) -> str:
    """Met by the answer; a day for the decision is met when it lies within MET_WITHIN_MONTHS."""
    if facet == Facet.TIMEFRAME and answer.key == "dated" and due_on is not None:
        return Verdict.MET if due_on <= months_on(today, MET_WITHIN_MONTHS) else Verdict.NOT_MET
    return answer.verdict


def lapse_of(facet: str, *, due_on: date | None, now: datetime) -> datetime:
    """When the fact is to be asked again: after the day that it names, else after LAPSES_AFTER_DAYS."""
    if due_on is not None:
        return datetime.combine(due_on + timedelta(days=1), datetime.min.time(), now.tzinfo)
    return now + timedelta(days=LAPSES_AFTER_DAYS[Facet(facet)])


# --- in a score model ------------------------------------------------------------------------------------------------------


def rule_key(slug: str, facet: str) -> uuid.UUID:
    """One name for a facet in the ledger of a model, the same on every instance."""
    return uuid.uuid5(_KEYS, f"{slug}:{facet}")


def rule_keys(slug: str) -> tuple[tuple[uuid.UUID, str], ...]:
    """(key, group) of the four facets in a model's ledger."""
    return tuple((rule_key(slug, facet), str(Rule.Group.BANT)) for facet in FACETS)


def rules_of(version: ScoreVersion) -> list[Rule]:
    """The four facets as rules of a version that includes BANT, never stored; those of no weight left out. The model is read."""
    if not version.includes_bant:
        return []
    weights = zip(FACETS, version.bant_weights, strict=True)
    return [_rule(version.model, facet, weight, version) for facet, weight in weights if weight]


def named(model: ScoreModel) -> dict[uuid.UUID, Rule]:
    """key -> facet of a model, to be called by name wherever the ledger is told, whatever the versions said."""
    return {rule_key(model.slug, facet): _rule(model, facet, Decimal(0)) for facet in FACETS}


def _rule(model: ScoreModel, facet: str, weight: Decimal, version: ScoreVersion | None = None) -> Rule:
    return Rule(
        version=version,
        key=rule_key(model.slug, facet),
        group=Rule.Group.BANT,
        name=str(LABELS[Facet(facet)]),
        conditions={"field": f"bant.{facet}_verdict", "op": "is", "value": str(Verdict.MET)},
        points=weight,
        position=FACETS.index(facet) + 1,
    )


def all_rules(version: ScoreVersion) -> list[Rule]:
    """Stored rules and BANT: everything that gives points under a version."""
    return [*version.rules.all(), *rules_of(version)]


# --- one contact -----------------------------------------------------------------------------------------------------------

Facts = Mapping[str, BantFact]


def known(facts: Facts, facet: str) -> BantFact | None:
    """What counts of a facet; a fact that says “not known” is a gap like none at all."""
    fact = facts.get(facet)
    return None if fact is None or fact.verdict == Verdict.UNKNOWN else fact


def points(facts: Facts, weights: Sequence[Decimal] = EQUAL_WEIGHTS) -> Decimal:
    """Weights of the facets that are met, of 100 by default."""
    return sum(
        (
            weight
            for facet, weight in zip(FACETS, weights, strict=True)
            if (fact := known(facts, facet)) is not None and fact.verdict == Verdict.MET
        ),
        Decimal(0),
    )


def said(fact: BantFact) -> str:
    """A fact in a few words: “There is a budget, 40,000”."""
    answer = answer_of(fact.facet, fact.answer)
    words = str(answer.label) if answer else fact.answer
    if fact.facet == Facet.TIMEFRAME and fact.due_on:
        words = _("By %(day)s") % {"day": date_format(fact.due_on, "SHORT_DATE_FORMAT")}
    elif fact.facet == Facet.BUDGET and fact.due_on and fact.answer == "no":
        words = _("No budget before %(day)s") % {"day": date_format(fact.due_on, "SHORT_DATE_FORMAT")}
    if fact.amount is not None:
        shown = fact.amount.normalize() if fact.amount != fact.amount.to_integral_value() else int(fact.amount)
        words = _("%(words)s: %(amount)s") % {"words": words, "amount": number_format(shown, force_grouping=True)}
    return words


@dataclass(frozen=True)
class Question:
    """A gap: what sales asks in a talk, what a form asks, and the answers that a form offers."""

    facet: str
    ask: StrOrPromise
    form_label: StrOrPromise
    answers: tuple[Answer, ...]


def gaps(facts: Facts) -> list[Question]:
    """What is not known, in the order in which it is best asked."""
    return [
        Question(
            str(facet),
            *QUESTIONS[facet],
            answers=tuple(one for one in ANSWERS[facet] if one.verdict != Verdict.UNKNOWN),
        )
        for facet in ASKED_IN_ORDER
        if known(facts, facet) is None
    ]


def next_question(contact_id: int, *, at: datetime) -> Question | None:
    """What the next form asks this contact, or nothing more to ask. One statement."""
    return next(iter(gaps(bant_of([contact_id], at=at)[contact_id])), None)


@dataclass(frozen=True)
class Track:
    """Where a contact goes from here: what is missing decides. `until` with “later”."""

    key: str
    title: StrOrPromise
    why: str
    icon: str
    until: date | None = None


def track(facts: Facts, *, today: date) -> Track | None:
    """The strongest reason against a talk now; None when nothing speaks against it.

    No need: out of the line. No budget now: later, with a day. No authority: nurtured on as an influencer.
    """
    need, budget, authority = (known(facts, facet) for facet in (Facet.NEED, Facet.BUDGET, Facet.AUTHORITY))
    if need is not None and need.answer == "none":
        return Track("out", gettext_lazy("Out of the line"), _("No need for what we sell."), "circle-off")
    if budget is not None and budget.answer == "no":
        until = budget.due_on if budget.due_on and budget.due_on > today else months_on(today, LATER_MONTHS)
        why = _("No budget now: look again on %(day)s.") % {"day": date_format(until, "SHORT_DATE_FORMAT")}
        return Track("later", gettext_lazy("Later"), why, "calendar-pause", until)
    if authority is not None and authority.verdict == Verdict.NOT_MET:
        why = _("No authority to decide: stays in nurture as an influencer.")
        return Track("influencer", gettext_lazy("Nurture as an influencer"), why, "users")
    return None


def frozen(facts: Facts, weights: Sequence[Decimal], line: Decimal) -> dict[str, Any]:
    """BANT as a card keeps it: what was known of each facet, and what was still to be asked."""
    total = points(facts, weights)
    return {
        "points": float(total) if total % 1 else int(total),
        "line": float(line) if line % 1 else int(line),
        "passes": total >= line,
        "facets": [
            {
                "facet": facet,
                "label": str(LABELS[Facet(facet)]),
                "verdict": fact.verdict if fact else str(Verdict.UNKNOWN),
                "said": said(fact) if fact else "",
            }
            for facet in FACETS
            for fact in (known(facts, facet),)
        ],
        "ask": [str(one.ask) for one in gaps(facts)],
    }
