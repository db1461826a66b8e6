"""What the tests of scoring share: a published model, made with plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from leads.models import Contact
from scoring import actions
from scoring.models import Score, ScoreModel, ScoreVersion
from segments.turn import TurnReport, turn
from tests.makers import NOW

VP = {"field": "contact.title", "op": "contains", "value": "vp"}
BIG = {"field": "company.employees", "op": "at_least", "value": 100}
PRICING = {
    "did": "page_view",
    "where": [{"field": "url", "op": "contains", "value": "/pricing"}],
    "when": {"op": "in_last", "value": 30, "unit": "days"},
}
STUDENT = {"field": "contact.title", "op": "contains", "value": "student"}

RULES: Sequence[tuple[str, str, int, dict[str, Any]]] = (
    ("fit", "Is a VP", 40, VP),
    ("fit", "Large company", 20, BIG),
    ("behaviour", "Looked at pricing", 20, PRICING),
    ("negative", "Student", -30, STUDENT),
)


def make_draft(
    name: str = "Product",
    rules: Sequence[tuple[str, str, int | Decimal, dict[str, Any]]] = RULES,
    *,
    threshold: int = 75,
    now: datetime = NOW,
) -> ScoreVersion:
    """A new model whose draft has these rules: (group, name, points, conditions)."""
    model = actions.create_model(name, now=now)
    draft = actions.draft_of(model, now=now)
    for group, rule_name, points, conditions in rules:
        actions.save_rule(draft, group=group, name=rule_name, conditions=conditions, points=Decimal(points), now=now)
    ScoreVersion.objects.filter(pk=draft.pk).update(threshold=threshold)
    draft.refresh_from_db()
    return draft


def make_model(
    name: str = "Product",
    rules: Sequence[tuple[str, str, int | Decimal, dict[str, Any]]] = RULES,
    *,
    threshold: int = 75,
    now: datetime = NOW,
    is_worked: bool = True,
) -> ScoreModel:
    """A published model; `is_worked` runs one turn, so that everybody is scored by it."""
    draft = make_draft(name, rules, threshold=threshold, now=now)
    actions.publish(draft, reason="For the test", now=now)
    if is_worked:
        beat(now)
    return ScoreModel.objects.get(pk=draft.model_id)


def beat(now: datetime = NOW, *, full: bool = False) -> TurnReport:
    """One turn of the engine that must not fail."""
    report = turn(now, full=full)
    assert report.problems == {}
    return report


def total(contact: Contact, model: ScoreModel) -> Decimal:
    return Score.objects.get(contact=contact, model=model).total


@pytest.fixture
def model(db: None) -> ScoreModel:
    return make_model()
