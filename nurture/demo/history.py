"""Lets the demo company live through its eighteen months: facts arrive day by day, the real engine turns, sales answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID

from django.contrib.auth.models import User

from leads.models import Mark
from nurture.demo.bant import Talks
from nurture.demo.facts import ActivityFact, Block, CompanyFact, ContactFact, DealFact, StageFact
from nurture.demo.queries import Loader
from scoring.actions import accept_lead, recycle_lead, reject_lead
from scoring.models import AnswerReason, HandOff

# Sales answers a lead between these ages; the younger ones stay in the queue for whoever tries the demo.
_ANSWER_AFTER = timedelta(hours=50)
_ANSWERS = ("accepted", "rejected", "recycled")
_ANSWER_WEIGHTS = (62, 24, 14)


def moments(start: datetime, until: datetime) -> Iterator[datetime]:
    """When the engine turns: monthly at first, weekly in the last eleven weeks, daily in the last fortnight."""
    moment = start
    while moment < until:
        age = until - moment
        moment += timedelta(days=30 if age > timedelta(days=105) else 7 if age > timedelta(days=21) else 1)
        yield min(moment, until)


class Arrivals:
    """All facts in the order in which they became known."""

    def __init__(self, blocks: list[Block]) -> None:
        self.companies: list[CompanyFact] = [b.company for b in blocks]
        self.contacts: list[ContactFact] = sorted((c for b in blocks for c in b.contacts), key=lambda c: c.created_at)
        self.activities: list[ActivityFact] = sorted(
            (a for b in blocks for a in b.activities), key=lambda a: a.occurred_at
        )
        self.deals: list[DealFact] = sorted((d for b in blocks for d in b.deals), key=lambda d: d.opened_on)
        self._contacts_done = self._activities_done = self._deals_done = 0
        self._open_deals: list[DealFact] = []

    def contacts_until(self, moment: datetime) -> list[ContactFact]:
        first = self._contacts_done
        while self._contacts_done < len(self.contacts) and self.contacts[self._contacts_done].created_at <= moment:
            self._contacts_done += 1
        return self.contacts[first : self._contacts_done]

    def activities_until(self, moment: datetime) -> list[ActivityFact]:
        first = self._activities_done
        while (
            self._activities_done < len(self.activities)
            and self.activities[self._activities_done].occurred_at <= moment
        ):
            self._activities_done += 1
        return self.activities[first : self._activities_done]

    def deals_until(self, moment: datetime) -> tuple[list[DealFact], list[DealFact]]:
        """(newly opened ones, formerly opened ones that closed meanwhile)."""
        day = moment.date()
        closed = [d for d in self._open_deals if d.status_at(day) != "open"]
        self._open_deals = [d for d in self._open_deals if d.status_at(day) == "open"]
        first = self._deals_done
        while self._deals_done < len(self.deals) and self.deals[self._deals_done].opened_on <= day:
            self._deals_done += 1
        opened = self.deals[first : self._deals_done]
        self._open_deals += [d for d in opened if d.status_at(day) == "open"]
        return opened, closed


def arrive(arrivals: Arrivals, loader: Loader, *, moment: datetime, all_new: bool = False) -> None:
    """Stores all that became known until the moment, and marks whom it is about. `all_new`: nobody in it was there before."""
    contacts = arrivals.contacts_until(moment)
    loader.contacts(contacts)
    activities = arrivals.activities_until(moment)
    loader.activities(activities)
    opened, closed = arrivals.deals_until(moment)
    loader.deals(opened, at=moment)
    loader.close_deals(closed, at=moment)
    moves = _stage_moves(opened, closed, moment)
    if all_new:
        loader.move_newcomers(moves)
    else:
        loader.move_stages(moves)
    loader.mark((c.number for c in contacts), Mark.Facet.CONTACT, now=moment)
    loader.mark({a.contact_number for a in activities}, Mark.Facet.ACTIVITY, now=moment)
    loader.mark({n for d in (*opened, *closed) for n in d.contact_numbers}, Mark.Facet.DEAL, now=moment)


def _stage_moves(opened: list[DealFact], closed: list[DealFact], moment: datetime) -> list[StageFact]:
    """What deals do to the stages of their people: opportunity when opened, customer or lost when closed."""
    moves: list[StageFact] = []
    for deal in opened:
        at = _at(deal.opened_on, 9, moment)
        for number in deal.contact_numbers:
            # Whom sales found without a hand-off still went through the line.
            moves.append(StageFact(number, "mql", at - timedelta(days=3), ["inquiry", "recycled"]))
            moves.append(StageFact(number, "accepted", at - timedelta(days=2), ["mql"]))
            moves.append(StageFact(number, "opportunity", at))
    for deal in (*opened, *closed):
        if deal.closed_on is not None and deal.status_at(moment.date()) != "open":
            stage = "customer" if deal.outcome == "won" else "lost"
            at = _at(deal.closed_on, 15, moment)
            moves += [StageFact(number, stage, at) for number in deal.contact_numbers]
    return sorted(moves, key=lambda move: move.moved_at)


def _at(day: date, hour: int, moment: datetime) -> datetime:
    """That hour of the day, but not later than the moment at which it is told."""
    return min(moment, datetime.combine(day, time(hour), moment.tzinfo))


class Sales:
    """Plays the people who answer the queue: buyers-to-be are accepted, the rest by chance, always with a reason."""

    def __init__(self, arrivals: Arrivals, *, seed: int, actor: User | None) -> None:
        self.random = Random(f"{seed}:sales")  # noqa: S311 — a demo, not a secret
        self.actor = actor
        self.talks = Talks(seed=seed)
        self.buyers = {number + 1 for deal in arrivals.deals for number in deal.contact_numbers}
        self.reasons = {
            answer: list(AnswerReason.objects.filter(answer=answer, is_active=True).order_by("position"))
            for answer in (AnswerReason.Answer.REJECTED, AnswerReason.Answer.RECYCLED)
        }

    def answer(self, *, now: datetime) -> None:
        """Answer what has waited long enough; the younger leads stay in the queue for whoever tries the demo."""
        if self.actor is None:
            return
        waiting = HandOff.objects.open().filter(handed_over_at__lte=now - _ANSWER_AFTER).select_related("contact")
        for hand_off in waiting.order_by("handed_over_at", "contact_id"):
            moment = min(now, hand_off.handed_over_at + timedelta(hours=self.random.uniform(2, 20)))
            answer = (
                "accepted"
                if hand_off.contact_id in self.buyers
                else self.random.choices(_ANSWERS, weights=_ANSWER_WEIGHTS)[0]
            )
            self.talks.learn(hand_off, answer=answer, now=moment, actor=self.actor)
            if answer == "accepted":
                accept_lead(hand_off, actor=self.actor, now=moment)
            elif answer == "rejected":
                reason = self._reason(AnswerReason.Answer.REJECTED)
                reject_lead(
                    hand_off, reason=reason, actor=self.actor, now=moment, misleading=self._misleading(hand_off)
                )
            else:
                reason = self._reason(AnswerReason.Answer.RECYCLED)
                returns_at = moment + timedelta(days=self.random.choice((45, 90, 180)))
                recycle_lead(hand_off, reason=reason, actor=self.actor, now=moment, returns_at=returns_at)

    def _misleading(self, hand_off: HandOff) -> list[UUID]:
        """Every third rejection says which reason on the card promised too much."""
        named = [UUID(one["rule"]) for one in hand_off.card["reasons"] if one.get("rule")]
        return [self.random.choice(named)] if named and self.random.random() < 1 / 3 else []

    def _reason(self, answer: AnswerReason.Answer) -> AnswerReason:
        return self.random.choice(self.reasons[answer])
