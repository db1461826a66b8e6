"""BANT as rules of a score model: in the ledger, in conditions, and when a fact lapses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from leads.models import Contact
from scoring import actions, bant
from scoring.actions.bant import NewFact, record_bant
from scoring.models import BantFact, LedgerRow, Score, ScoreModel, ScoreVersion
from scoring.queries import ledger_sums_hold
from segments.conditions import check, explain, match_ids, moment
from tests.makers import NOW, make_contact
from tests.scoring.conftest import beat, make_draft, make_model

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def learn(contact: Contact, facet: str, answer: str, *, now: Any = NOW, **values: Any) -> BantFact:
    return record_bant([NewFact(contact.pk, facet, answer, **values)], source="call", now=now)[0]


def with_bant(slug: str = "product", *, weights: tuple[int, ...] = (25, 25, 25, 25)) -> ScoreModel:
    """A published model of one rule that includes BANT."""
    draft = make_draft(
        slug.title(), rules=(("fit", "Is a VP", 40, {"field": "contact.title", "op": "contains", "value": "vp"}),)
    )
    ScoreVersion.objects.filter(pk=draft.pk).update(
        includes_bant=True, bant_weights=[Decimal(weight) for weight in weights]
    )
    draft.refresh_from_db()
    actions.publish(draft, reason="With BANT", now=NOW)
    beat(NOW)
    return draft.model


def bant_points(contact: Contact) -> tuple[Decimal, Decimal]:
    score = Score.objects.get(contact=contact, model__slug="product")
    return score.bant, score.total


def test_bant_is_points_in_the_ledger() -> None:
    contact = make_contact(title="VP")
    model = with_bant(weights=(30, 30, 30, 10))
    assert bant_points(contact) == (0, 40)
    learn(contact, "budget", "yes", amount=Decimal(40000))
    learn(contact, "authority", "influences")
    learn(contact, "timeframe", "dated", within_months=3)
    beat(NOW)
    assert bant_points(contact) == (40, 80)
    rows = LedgerRow.objects.filter(contact=contact, model=model, group="bant").values_list("rule_key", "points")
    assert dict(rows) == {
        bant.rule_key("product", "budget"): Decimal(30),
        bant.rule_key("product", "timeframe"): Decimal(10),
    }
    assert ledger_sums_hold()


def test_a_model_without_bant_gives_no_points_for_it() -> None:
    contact = make_contact(title="VP")
    make_model(rules=(("fit", "Is a VP", 40, {"field": "contact.title", "op": "contains", "value": "vp"}),))
    learn(contact, "budget", "yes")
    beat(NOW)
    assert bant_points(contact) == (0, 40)


def test_a_fact_lapses_when_its_moment_comes() -> None:
    contact = make_contact(title="VP")
    with_bant()
    learn(contact, "budget", "yes", lapses_at=NOW + 10 * DAY)
    beat(NOW)
    assert bant_points(contact) == (25, 65)
    beat(NOW + 10 * DAY - timedelta(seconds=1))
    assert bant_points(contact) == (25, 65)
    beat(NOW + 10 * DAY)
    assert bant_points(contact) == (0, 40)
    assert beat(NOW + 10 * DAY, full=True).changes == 0
    assert ledger_sums_hold()


def test_leaving_bant_out_takes_its_points_back() -> None:
    contact = make_contact(title="VP")
    model = with_bant()
    learn(contact, "need", "urgent")
    beat(NOW)
    draft = actions.draft_of(model, now=NOW)
    assert draft.includes_bant
    ScoreVersion.objects.filter(pk=draft.pk).update(includes_bant=False)
    actions.publish(draft, reason="Without", now=NOW + DAY)
    beat(NOW + DAY)
    assert bant_points(contact) == (0, 40)
    assert ledger_sums_hold()


@pytest.mark.parametrize(
    ("leaf", "before", "now", "later"),
    [
        ({"field": "bant.budget", "op": "is", "value": "yes"}, [], ["one"], []),
        ({"field": "bant.budget", "op": "is_not", "value": "yes"}, ["one", "two"], ["two"], ["one", "two"]),
        ({"field": "bant.budget", "op": "is_unknown"}, ["one", "two"], ["two"], ["one", "two"]),
        ({"field": "bant.amount", "op": "at_least", "value": 5000}, [], ["one"], []),
        ({"field": "bant.authority", "op": "in", "value": ["influences", "none"]}, [], ["two"], ["two"]),
        ({"field": "bant.authority_verdict", "op": "is", "value": "not_met"}, [], ["two"], ["two"]),
        ({"field": "bant.need", "op": "is_known"}, [], ["one"], ["one"]),
        ({"field": "bant.timeframe", "op": "in_next", "value": 2, "unit": "months"}, [], ["two"], []),
        ({"field": "bant.timeframe", "op": "is_known"}, [], ["two"], []),
        ({"field": "bant.points", "op": "at_least", "value": 50}, [], ["one"], []),
        ({"field": "bant.points", "op": "is", "value": 25}, [], ["two"], ["one"]),
    ],
)
def test_the_fields_of_bant_agree_in_sql_and_python(
    leaf: dict[str, Any], before: list[str], now: list[str], later: list[str]
) -> None:
    one, two = (make_contact(external_id=name) for name in ("one", "two"))
    names = {one.pk: "one", two.pk: "two"}
    learn(one, "budget", "yes", amount=Decimal(8000), lapses_at=NOW + 30 * DAY)
    learn(one, "need", "vague", known_at=NOW)
    learn(one, "need", "clear")
    learn(two, "need", "urgent")
    learn(two, "need", "unknown")
    learn(two, "authority", "influences")
    learn(two, "timeframe", "dated", within_months=1)
    tree = check(leaf)
    for at, expected in ((NOW - DAY, before), (NOW, now), (NOW + 60 * DAY, later)):
        assert sorted(names[pk] for pk in match_ids(tree, moment(at))) == expected
        assert [name for pk, name in names.items() if explain(tree, pk, moment(at)).holds] == expected
        assert sorted(match_ids(check({"not": leaf}), moment(at))) == sorted(
            pk for pk, name in names.items() if name not in expected
        )
