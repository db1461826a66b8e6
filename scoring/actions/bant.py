"""Recording what is known of budget, authority, need and timeframe, and letting it decide where a contact goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from leads.actions import Refused, add_tag, move_stage
from leads.models import Contact, Mark
from leads.queries import mark
from leads.text import clean
from leads.workspace import zone
from scoring import bant
from scoring.actions.answering import recycle_lead, reject_lead
from scoring.actions.handing import hand_over
from scoring.models import AnswerReason, BantFact, HandOff, LookAgain, ScoreModel
from scoring.queries import BEFORE_SALES
from scoring.queries.bant import bant_of

MOST_AMOUNT = Decimal(10) ** 12
FARTHEST = timedelta(days=3660)  # nobody plans further ahead than ten years; a longer one is a slip of the keys


@dataclass(frozen=True)
class NewFact:
    """What somebody learned of one facet. `within_months` is the other way to say a day for the timeframe."""

    contact_id: int
    facet: str
    answer: str
    amount: Decimal | None = None
    due_on: date | None = None
    within_months: int | None = None
    confidence: int = BantFact.Confidence.HEARD
    note: str = ""
    known_at: datetime | None = None
    lapses_at: datetime | None = None


def record_bant(facts: list[NewFact], *, source: str, now: datetime, actor: User | None = None) -> list[BantFact]:
    """The facts stored, their contacts marked. One insert and one mark, whatever their number. Raises Refused for what makes no sense."""
    if source not in BantFact.Source.values:
        raise Refused(_("“%(source)s” is no source of BANT.") % {"source": source})
    rows = [fact_of(one, source=source, actor=actor, now=now) for one in facts]
    with transaction.atomic():
        stored = BantFact.objects.bulk_create(rows)
        mark({row.contact_id for row in stored}, Mark.Facet.DEFINITION)
    return stored


def fact_of(one: NewFact, *, source: str, actor: User | None, now: datetime) -> BantFact:
    """The row, not stored. Refused for what makes no sense."""
    answer = bant.answer_of(one.facet, one.answer)
    if answer is None:
        raise Refused(_("“%(answer)s” is no answer for “%(facet)s”.") % {"answer": one.answer, "facet": one.facet})
    if one.confidence not in BantFact.Confidence.values:
        raise Refused(_("Choose how sure it is."))
    known_at = one.known_at or now
    if known_at > now:
        raise Refused(_("Nobody knows it before it is said: choose a moment that has passed."))
    here = known_at.astimezone(zone())
    due_on = _due_on(one, here.date())
    lapses_at = one.lapses_at or bant.lapse_of(one.facet, due_on=due_on, now=here)
    return BantFact(
        contact_id=one.contact_id,
        facet=one.facet,
        answer=answer.key,
        amount=_amount(one),
        due_on=due_on,
        verdict=bant.verdict_of(one.facet, answer, due_on=due_on, today=here.date()),
        source=source,
        confidence=one.confidence,
        note=clean(one.note)[:500],
        known_at=known_at,
        recorded_by=actor,
        lapses_at=lapses_at,
        # One that has lapsed before it was recorded changes nothing when it comes.
        lapsed_at=now if lapses_at <= now else None,
    )


def _amount(one: NewFact) -> Decimal | None:
    if one.amount is None:
        return None
    if one.facet != BantFact.Facet.BUDGET or one.answer != "yes":
        raise Refused(_("An amount belongs to a budget that is there."))
    if not one.amount.is_finite() or not 0 < one.amount < MOST_AMOUNT:
        raise Refused(_("A budget is a number above zero."))
    return one.amount.quantize(Decimal("0.01"))


def _due_on(one: NewFact, today: date) -> date | None:
    """The day of a timeframe, or the day from which there may be a budget."""
    due_on = one.due_on
    if one.within_months is not None:
        if not 1 <= one.within_months <= 120:
            raise Refused(_("Say a number of months from 1 to 120."))
        due_on = bant.months_on(today, one.within_months)
    if one.facet == BantFact.Facet.TIMEFRAME and one.answer == "dated":
        if due_on is None:
            raise Refused(_("By which day, or within how many months?"))
    elif due_on is not None and not (one.facet == BantFact.Facet.BUDGET and one.answer == "no"):
        raise Refused(_("A day belongs to a timeframe, or to a budget that is still to come."))
    if due_on is not None and not today <= due_on <= today + FARTHEST:
        raise Refused(_("Choose a day that is still to come, within ten years."))
    return due_on


# --- where the contact goes ------------------------------------------------------------------------------------------------

TAG_OF_INFLUENCERS = "influencer"
# Track -> the stage, and the reason that an open lead is answered with.
_GOES_TO = {
    "influencer": ("recycled", "no-authority"),
    "later": ("recycled", "no-budget-until"),
    "out": ("disqualified", "no-need-at-all"),
}


def apply_track(contact: Contact, *, key: str, actor: User, now: datetime) -> bant.Track:
    """Do what BANT suggests: move the contact with the reason in words, and answer its open leads.

    Refused when BANT suggests something else by now. Later: the leads come back on the day; without one the contact is looked at
    again then. Influencer: tagged, so that nurture finds them. One transaction.
    """
    with transaction.atomic():
        facts = bant_of([contact.pk], at=now)[contact.pk]
        track = bant.track(facts, today=now.astimezone(zone()).date())
        if track is None or track.key != key:
            raise Refused(_("BANT says something else by now: look again."))
        stage, reason_slug = _GOES_TO[track.key]
        move_stage(contact, to=stage, actor=actor, cause=f"bant:{track.key}", reason=track.why, now=now, by_hand=True)
        reason = AnswerReason.objects.filter(pk=reason_slug).first()
        leads = list(HandOff.objects.open().filter(contact=contact).order_by("pk"))
        due_at = _begin(track.until)
        if due_at is not None and not leads:
            _look_again(contact, due_at, why=track.why, actor=actor, now=now)
        for lead in leads:
            if reason is not None and reason.answer == AnswerReason.Answer.RECYCLED:
                recycle_lead(lead, reason=reason, actor=actor, now=now, note=track.why, returns_at=due_at)
            else:
                reject_lead(lead, reason=reason, actor=actor, now=now, note=track.why)
        if track.key == "influencer":
            add_tag([contact.pk], tag=TAG_OF_INFLUENCERS, now=now)
    return track


def _look_again(contact: Contact, due_at: datetime, *, why: str, actor: User, now: datetime) -> None:
    """The day; an earlier promise for the same contact gives way to it."""
    values = {"due_at": due_at, "why": why[:300], "set_at": now, "set_by": actor}
    LookAgain.objects.update_or_create(contact=contact, done_at=None, defaults=values)


def look_again(contact_ids: Sequence[int], now: datetime) -> int:
    """The turn's follower: whose day has come is handed to sales if they stand over the line of a model, for the same reasons too. How many did.

    One statement when nobody's day has come.
    """
    rows = list(LookAgain.objects.ready(now).filter(contact__in=list(contact_ids)).select_related("contact"))
    if not rows:
        return 0
    due = [row.contact_id for row in rows if row.contact.stage in BEFORE_SALES]
    with transaction.atomic():
        for model in ScoreModel.objects.published().order_by("-is_default", "slug").distinct():
            hand_over(due, model=model, cause="returned", now=now, again=True)
        waiting = set(HandOff.objects.open().filter(contact__in=due).values_list("contact", flat=True))
        for row in rows:
            row.done_at, row.outcome = now, _outcome(row, waiting)
        LookAgain.objects.bulk_update(rows, ["done_at", "outcome"])
    return len(waiting)


def _outcome(row: LookAgain, waiting: set[int]) -> str:
    if row.contact_id in waiting:
        return LookAgain.Outcome.HANDED_OVER
    return LookAgain.Outcome.NOT_RIPE if row.contact.stage in BEFORE_SALES else LookAgain.Outcome.MOVED_ON


def _begin(day: date | None) -> datetime | None:
    """The day's first moment in the workspace's zone."""
    return None if day is None else datetime.combine(day, time(0), zone())
