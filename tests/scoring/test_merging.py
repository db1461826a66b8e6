"""Two contacts become one: their leads, BANT and points given join, and the score is that of the joined facts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import User

from leads import merging
from leads.models import Contact
from scoring import actions, queries
from scoring.actions.bant import NewFact, record_bant
from scoring.ledger import account
from scoring.models import HandOff, HandOffEvent, LedgerRow, PointsGiven, ScoreModel
from scoring.queries.bant import bant_of
from tests.makers import NOW, make_contact, make_owner
from tests.scoring.conftest import beat, total
from tests.scoring.test_hand_offs import DAY, HOUR, make_ripe, reason, sally, visit

__all__ = ["sally"]

pytestmark = pytest.mark.django_db


def told(kept: Contact, gone: Contact, *, at: object = NOW) -> list[str]:
    pair = merging.Pair(kept, gone, kept.email, at)  # type: ignore[arg-type]
    return [line.text for part, lines in merging.sheet(pair) if part.key == "scores" for line in lines]


def merge(kept: Contact, gone: Contact, *, at: object, actor: User | None = None) -> None:
    merging.merge_contacts(kept, gone=gone, take={}, actor=actor, now=at)  # type: ignore[arg-type]


def test_of_two_open_leads_the_one_due_first_stays_and_names_the_other(model: ScoreModel, sally: User) -> None:
    gone, kept = make_ripe(first_name="Old", owner=make_owner("Olga")), make_ripe(first_name="New")
    visit(gone)
    beat(NOW)
    visit(kept, NOW + HOUR)
    beat(NOW + HOUR)
    assert "Both wait in the queue of Product: the lead that is due first stays, with Olga." in told(
        kept, gone, at=NOW + HOUR
    )
    merge(kept, gone, at=NOW + HOUR, actor=sally)
    row = HandOff.objects.get()
    assert (row.contact, row.state, row.card["who"]["name"], str(row.owner)) == (kept, "open", gone.full_name, "Olga")
    assert kept.full_name in HandOffEvent.objects.get(kind="merged").note
    beat(NOW + 2 * HOUR)
    assert HandOff.objects.count() == 1  # nobody is handed over a second time for it


def test_an_answered_lead_joins_the_history_and_an_open_one_goes_on(model: ScoreModel, sally: User) -> None:
    gone, kept = make_ripe(), make_ripe()
    visit(gone)
    beat(NOW)
    actions.reject_lead(HandOff.objects.get(), reason=reason("no-need"), actor=sally, now=NOW + HOUR)
    visit(kept, NOW + HOUR)
    beat(NOW + HOUR)
    assert "1 answered lead joins the history." in told(kept, gone)
    merge(kept, gone, at=NOW + DAY, actor=sally)
    beat(NOW + DAY)
    assert sorted(HandOff.objects.filter(contact=kept).values_list("state", flat=True)) == ["open", "rejected"]


def test_the_score_is_that_of_the_joined_facts(model: ScoreModel) -> None:
    kept, gone = make_contact(title="VP Finance"), make_contact(company=make_ripe().company)
    visit(gone, NOW - DAY)
    beat(NOW, full=True)
    assert (total(kept, model), total(gone, model)) == (40, 40)
    assert "Product: 40 (A4) and 40 (B2); the score is worked out anew from the joined facts." in told(kept, gone)
    before = list(LedgerRow.objects.filter(contact=kept).values_list("pk", "points"))
    merge(kept, gone, at=NOW + HOUR)
    beat(NOW + HOUR)
    assert total(kept, model) == 80
    assert account(kept.pk, model=model, at=NOW + HOUR).total == 80
    assert set(before) <= set(LedgerRow.objects.filter(contact=kept).values_list("pk", "points"))  # append-only
    assert not LedgerRow.objects.filter(contact_id=gone.pk).exists()
    assert queries.broken_sums() == []


def test_bant_counts_the_newer_fact_and_points_given_come_along(model: ScoreModel) -> None:
    kept, gone = make_contact(), make_contact()
    record_bant([NewFact(kept.pk, "budget", "no"), NewFact(kept.pk, "need", "clear")], source="call", now=NOW)
    record_bant(
        [NewFact(gone.pk, "budget", "yes"), NewFact(gone.pk, "authority", "decides")], source="call", now=NOW + HOUR
    )
    actions.give_points([gone.pk], model=model, points=Decimal(7), cause="by_hand", now=NOW)
    beat(NOW + HOUR)
    lines = told(kept, gone, at=NOW + HOUR)
    assert "Budget: “There is a budget” counts, the newer of the two." in lines
    assert "Authority: “Decides”." in lines
    assert "Points given once come along." in lines
    merge(kept, gone, at=NOW + HOUR)
    beat(NOW + HOUR)
    found = bant_of([kept.pk], at=NOW + HOUR)[kept.pk]
    assert {facet: fact.answer for facet, fact in found.items()} == {
        "budget": "yes",
        "authority": "decides",
        "need": "clear",
    }
    assert PointsGiven.objects.get().contact == kept
    assert total(kept, model) == 7
