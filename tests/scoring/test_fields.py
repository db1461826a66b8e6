"""Score fields in the rule language: SQL and the Python verdict agree, at now and in the past."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from leads.models import Contact
from scoring import actions
from scoring.models import ScoreModel
from segments.conditions import BadConditions, check, explain, match_ids, moment, sentence
from segments.rules import catalogue_stamp, rule_of
from tests.makers import NOW, make_activity, make_contact
from tests.scoring.conftest import beat, make_draft

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("leaf", "yesterday", "today"),
    [
        ({"field": "score.product.total", "op": "at_least", "value": 60}, [], ["vera"]),
        ({"field": "score.product.total", "op": "less_than", "value": 20}, ["nobody"], ["nobody"]),
        ({"field": "score.product.fit", "op": "is", "value": 40}, ["vera"], ["vera"]),
        ({"field": "score.product.behaviour", "op": "more_than", "value": 0}, [], ["vera"]),
        ({"field": "score.product.negative", "op": "is", "value": 0}, ["nobody", "vera"], ["nobody", "vera"]),
        ({"field": "score.product.grade", "op": "is", "value": "A4"}, ["vera"], []),
        ({"field": "score.product.grade", "op": "in", "value": ["a2", "D4"]}, ["nobody"], ["nobody", "vera"]),
        ({"field": "score.product.grade", "op": "is_known"}, ["nobody", "vera"], ["nobody", "vera"]),
        ({"field": "score.default.total", "op": "is", "value": 0}, ["nobody", "vera"], ["nobody", "vera"]),
        ({"field": "score.draft.total", "op": "is", "value": 0}, ["nobody", "vera"], ["nobody", "vera"]),
    ],
)
def test_scores_are_cut_at_the_moment(
    model: ScoreModel, leaf: dict[str, Any], yesterday: list[str], today: list[str]
) -> None:
    make_draft("Draft")
    people = {make_contact(external_id=name, title=title).pk: name for name, title in (("vera", "VP"), ("nobody", ""))}
    beat(NOW, full=True)
    make_activity(Contact.objects.get(external_id="vera"), url="/pricing", at=NOW + 2 * DAY)
    beat(NOW + 2 * DAY)
    tree = check(leaf)
    for at, names in ((NOW + DAY, yesterday), (NOW + 2 * DAY, today)):
        assert sorted(people[pk] for pk in match_ids(tree, moment(at))) == sorted(names)
        assert sorted(name for pk, name in people.items() if explain(tree, pk, moment(at)).holds) == sorted(names)
        reverse = check({"not": leaf})
        assert set(match_ids(reverse, moment(at))) == set(people) - set(match_ids(tree, moment(at)))


def test_a_contact_that_was_never_scored_has_zero_points(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    zero = check({"field": "score.product.total", "op": "is", "value": 0})
    worst = check({"field": "score.product.grade", "op": "is", "value": "D4"})
    for tree in (zero, worst):
        assert match_ids(tree, moment(NOW)) == [contact.pk]
        assert explain(tree, contact.pk, moment(NOW)).holds


def test_the_sentence_names_the_model(model: ScoreModel) -> None:
    tree = check({"field": "score.product.total", "op": "at_least", "value": 75})
    assert sentence(tree) == "Product: points is at least 75"


@pytest.mark.parametrize(
    "leaf",
    [
        {"field": "score.unknown.total", "op": "at_least", "value": 1},
        {"field": "score.product.luck", "op": "at_least", "value": 1},
        {"field": "score.product.grade", "op": "is", "value": "Z9"},
        {"field": "score.product.total", "op": "contains", "value": "7"},
    ],
)
def test_what_does_not_fit_is_refused(model: ScoreModel, leaf: dict[str, Any]) -> None:
    with pytest.raises(BadConditions):
        check(leaf)


def test_a_model_in_use_is_not_archived(model: ScoreModel) -> None:
    other = make_draft("Other").model
    draft = actions.draft_of(model, now=NOW)
    rule = {"field": "score.other.total", "op": "at_least", "value": 5}
    actions.save_rule(draft, group="fit", name="Other", conditions=rule, points=Decimal(5), now=NOW)
    with pytest.raises(actions.Refused, match="Product"):
        actions.archive_model(other, now=NOW)


def test_grades_are_read_by_the_lines_live_now_in_a_process_that_read_them_before(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    beat(NOW, full=True)
    rule = {"field": "score.product.grade", "op": "is", "value": "A4"}
    assert match_ids(rule_of(rule, catalogue_stamp()).tree, moment(NOW)) == [contact.pk]
    draft = actions.draft_of(model, now=NOW)
    fit_lines = [Decimal(90), Decimal(80), Decimal(70)]
    actions.change_lines(
        draft, threshold=draft.threshold, fit_lines=fit_lines, behaviour_lines=draft.behaviour_lines, now=NOW
    )
    actions.publish(actions.draft_of(model, now=NOW), reason="Stricter", now=NOW + DAY)
    assert match_ids(rule_of(rule, catalogue_stamp()).tree, moment(NOW + DAY)) == []
