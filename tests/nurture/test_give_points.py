"""The step “give points”: a row of the ledger with the program as its cause, for good or for some days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from nurture import tree
from nurture.kinds import KINDS, Names
from scoring.ledger import account
from scoring.models import PointsGiven
from tests.makers import NOW
from tests.nurture.makers import make_walk, step, trace, walk
from tests.scoring.conftest import beat, make_model, total

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def test_points_given_by_a_program_are_rows_that_lapse() -> None:
    model = make_model(rules=())
    program, people = make_walk(step("give_points", "g", points=12.5, days=7, model=model.slug), people=2)
    walk()
    assert PointsGiven.objects.count() == 2
    assert trace(people[0]) == [("g", "done")]
    beat(NOW)
    assert [total(contact, model) for contact in people] == [12.5, 12.5]
    (row,) = account(people[0].pk, model=model, at=NOW).rows
    assert (row.points, row.cause, row.group, row.name) == (12.5, "given", "given", f"Program “{program.slug}”")
    walk()
    beat(NOW)
    assert PointsGiven.objects.count() == 2
    beat(NOW + 7 * DAY)
    assert [total(contact, model) for contact in people] == [0, 0]
    assert account(people[0].pk, model=model, at=NOW + 6 * DAY).total == 12.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"points": 5}, "Give +5 points"),
        ({"points": -2.5, "days": 30}, "Give −2.5 points for 30 days"),
        ({}, "Give points"),
    ],
)
def test_in_words(values: dict[str, Any], words: str) -> None:
    assert KINDS["give_points"].words(values, Names()) == words


@pytest.mark.parametrize("values", [{"points": "many"}, {"points": 10**12}, {"points": 5, "days": 0}, {"points": True}])
def test_values_of_the_wrong_shape_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(tree.BadTree):
        tree.check({"steps": [step("give_points", "g", **values)]})
    tree.check({"steps": [step("give_points", "g", points=5)]})


def test_what_is_missing_blocks() -> None:
    problems = KINDS["give_points"].problems
    assert [blocks for _message, blocks in problems({}, Names())] == [True]
    assert list(problems({"points": 5}, Names())) == []
    assert [blocks for _message, blocks in problems({"points": 5, "model": "gone"}, Names())] == [True]


def test_the_form_keeps_points_as_a_number() -> None:
    form = KINDS["give_points"].form({"points": "7.50", "days": "", "model": ""}, names=Names())
    assert form.is_valid()
    assert form.values() == {"points": 7.5}
