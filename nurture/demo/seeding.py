"""Fills an empty instance: a small company lives through its history, a large population is loaded in one go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from leads.models import Activity, Contact, Deal, Owner
from leads.models import Company as CompanyRow
from nurture.demo import company, words
from nurture.demo.company import is_empty
from nurture.demo.facts import HISTORY, Block, blocks
from nurture.demo.history import Arrivals, Sales, arrive, moments
from nurture.demo.queries import Loader
from nurture.demo.readers import Readers
from nurture.mailing import sending
from nurture.tracking.judging import judge_due
from nurture.turn import turn
from scoring.actions.giving import BY_HAND, give_points
from scoring.models import HandOff, ScoreModel
from segments.actions import add_to_segment
from segments.models import Segment

__all__ = ["is_empty", "seed"]

# A larger population is for measuring: its history is loaded, not lived through (a turn for each week would take hours).
LIVED_THROUGH = 20_000
BLOCKS_AT_ONCE = 20_000

Tell = Callable[[str], None]


def seed(
    *,
    contacts: int,
    activities: int,
    seed: int,
    until: datetime,
    sales: User | None,
    marketer: User | None,
    start_programs: bool,
    tell: Tell,
) -> dict[str, Any]:
    """Counts of what was made. Facts come in transactions of their own; an instance that is half filled says so by not being empty."""
    start = until - HISTORY
    company.set_up_workspace()
    company.set_up_rules(now=start, today=until.date(), actor=None, owner=marketer)
    company.set_up_mails(now=start, actor=None)
    if contacts <= LIVED_THROUGH:
        _live(contacts, activities, seed, until, sales, start_programs, tell)
    else:
        _load(contacts, activities, seed, until, tell)
    return {
        "contacts": Contact.objects.count(),
        "companies": CompanyRow.objects.count(),
        "deals": Deal.objects.count(),
        "activities": Activity.objects.count(),
        "segments": Segment.objects.count(),
        "open_hand_offs": HandOff.objects.open().count(),
    }


def _live(
    contacts: int, activities: int, seed: int, until: datetime, sales: User | None, start_programs: bool, tell: Tell
) -> None:
    tell(f"Making a company with {contacts:,} contacts and eighteen months of history …")
    made = list(blocks(contacts=contacts, activities=activities, seed=seed, until=until))
    arrivals, loader = Arrivals(made), Loader()
    answers, readers = Sales(arrivals, seed=seed, actor=sales), Readers(seed=seed, until=until)
    if sales is not None:
        Owner.objects.filter(name=words.SALES_PEOPLE[0][0]).update(user=sales)  # so that the tab “mine” has entries
    loader.companies(arrivals.companies)
    company.set_up_routing(now=until - HISTORY, actor=None)
    programs = company.Programs(made_at=until - HISTORY, actor=None)
    for moment in moments(until - HISTORY, until):
        with transaction.atomic():
            arrive(arrivals, loader, moment=moment)
        loader.finish()  # ids that others draw, and what the planner knows
        if start_programs:
            days_left = (until - moment).total_seconds() / 86_400
            for program in programs.start_due(days_left=days_left, now=moment, actor=None):
                tell(f"{moment:%Y-%m-%d} program “{program}” started")
        judge_due(moment)
        turn(moment)
        if start_programs:
            readers.agree(moment)
            sending.send_due(moment)
            readers.read()
        answers.answer(now=moment)
    _invite_advisers(until)
    answers.talks.fill_in_forms(now=until)
    _meet_at_the_fair(until)
    judge_due(until)
    turn(until)


def _meet_at_the_fair(now: datetime) -> None:
    """A few inquiries were met in person last week: points by hand, for a quarter."""
    met = Contact.objects.filter(stage="inquiry").order_by("-created_at", "pk").values_list("pk", flat=True)[:8]
    give_points(
        list(met), model=ScoreModel.objects.get(is_default=True), points=Decimal(10), cause=BY_HAND,
        reason="Talked at the Hanover fair", expires_at=now + timedelta(days=90), now=now,
    )  # fmt: skip


def _load(contacts: int, activities: int, seed: int, until: datetime, tell: Tell) -> None:
    loader = Loader()
    source = blocks(contacts=contacts, activities=activities, seed=seed, until=until)
    done = 0
    while some := list(islice(source, BLOCKS_AT_ONCE)):
        _load_some(some, loader, until)
        done += sum(len(block.contacts) for block in some)
        tell(f"{done:,} of {contacts:,} contacts loaded")
    loader.finish()
    company.Programs(made_at=until, actor=None)


def _load_some(some: list[Block], loader: Loader, until: datetime) -> None:
    arrivals = Arrivals(some)
    with transaction.atomic():
        loader.companies(arrivals.companies)
        arrive(arrivals, loader, moment=until, all_new=True)


def _invite_advisers(now: datetime) -> None:
    """A dozen customers in the one fixed segment."""
    advisers = Contact.objects.filter(stage="customer").order_by("pk").values_list("pk", flat=True)[:12]
    add_to_segment(
        Segment.objects.get(slug="advisory-circle"), contact_ids=list(advisers), cause="by_hand", actor=None, now=now
    )
