"""The set-based SQL and the verdict in Python agree on random rules over random populations. RIPEN_TREES asks for more rules, RIPEN_SEED for others."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from pytest_django.plugin import DjangoDbBlocker

from leads.models import CustomField
from segments.conditions import (
    NEAR,
    Catalogue,
    Judge,
    Moment,
    Sql,
    changed_by_time,
    check,
    match_ids,
    matching,
    near_activities,
    predicate,
    read_facts,
    to_document,
)
from segments.conditions.facts import Facts
from tests.segments.conditions import population
from tests.segments.conditions.reached import Part, everything, parts_of, sweep

TREES = int(os.environ.get("RIPEN_TREES", "2000"))
SEEDS = (1, 2, 3, 4)
OTHERS = 10 * int(os.environ.get("RIPEN_SEED", "0"))
LEAVE_MARKS = ("in_segment", "in_persona", "in_program", "contact.persona", "consent.", "score.", "bant.")

pytestmark = pytest.mark.django_db

moments = st.builds(
    Moment,
    st.sampled_from(population.MOMENTS),
    st.sampled_from(population.ZONES).map(ZoneInfo),
    st.sampled_from([1, 6, 7]),
)


searches = st.one_of(population.did_leaves, population.sequence_leaves)


class Loaded:
    """One population and what is known about each of its people."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.ids = population.load(seed).contact_ids
        self.facts: dict[int, Facts] = read_facts(self.ids)
        self.catalogue = Catalogue()


@pytest.fixture(scope="module", params=SEEDS)
def loaded(
    request: pytest.FixtureRequest, django_db_setup: None, django_db_blocker: DjangoDbBlocker
) -> Iterator[Loaded]:
    """Loaded once for all rules, and rolled back."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield Loaded(request.param)
        transaction.set_rollback(True)


def ids_of(statement: Sql) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return sorted(row[0] for row in cursor.fetchall())


def by_hand(loaded: Loaded, tree: Any, moment: Moment, *, stored: bool = False) -> list[int]:
    judge = Judge(moment, stored=stored, catalogue=loaded.catalogue)
    return sorted(number for number, facts in loaded.facts.items() if judge.holds(tree, facts))


def rules(count: int) -> settings:
    """So many rules for each population; the same ones in every run unless more are asked for."""
    return settings(
        max_examples=max(count // len(SEEDS), 1),
        deadline=None,
        derandomize=not {"RIPEN_TREES", "RIPEN_SEED"} & os.environ.keys(),
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        database=None,
    )


Try = Callable[[dict[str, Any], Moment, bool], None]
# Per population: what the rules that were tried there reach of the language.
REACHED: dict[int, Counter[Part]] = {}


def each_rule(seed_number: int, body: Try) -> None:
    """Calls the body with so many rules; another seed gives other rules."""

    @rules(TREES)
    @given(document=population.documents, moment=moments, stored=st.booleans())
    def try_one(document: dict[str, Any], moment: Moment, stored: bool) -> None:
        body(document, moment, stored)

    (try_one if "RIPEN_TREES" in os.environ else seed(seed_number + OTHERS)(try_one))()


def test_sql_and_verdict_agree(loaded: Loaded) -> None:
    reached = REACHED[loaded.seed] = Counter()

    def agree(document: dict[str, Any], moment: Moment, stored: bool) -> None:
        tree = check(document, catalogue=loaded.catalogue)
        reached.update(set(parts_of(tree)))
        with transaction.atomic():
            found = match_ids(tree, moment, stored=stored, catalogue=loaded.catalogue)
        assert found == by_hand(loaded, tree, moment, stored=stored)

    each_rule(loaded.seed, agree)


def test_rules_that_share_what_a_batch_did_agree(loaded: Loaded) -> None:
    """Their searches read one gathering of the batch's activities, wide enough for each of them."""
    batch = loaded.ids[::2]
    shared = Counter[bool]()

    @rules(TREES // 5)
    @seed(loaded.seed + OTHERS)
    @given(documents=st.lists(searches, min_size=1, max_size=2).map(lambda found: found * 2), moment=moments)
    def try_some(documents: list[dict[str, Any]], moment: Moment) -> None:
        trees = [check(document, catalogue=loaded.catalogue) for document in documents]
        near = near_activities(trees, moment, batch, catalogue=loaded.catalogue)
        shared[near is not None] += 1
        for tree in trees if near else ():
            alone = matching(tree, moment, contacts=batch, stored=True, catalogue=loaded.catalogue, near=True)
            assert near
            text = f"WITH {NEAR} AS MATERIALIZED ({near.text}) SELECT id FROM ({alone.text}) AS found(id)"
            with transaction.atomic():
                found = ids_of(Sql(text, (*near.params, *alone.params)))
            assert found == sorted(set(by_hand(loaded, tree, moment, stored=True)) & set(batch))

    try_some()
    assert shared[True] >= 10


def test_each_field_agrees_with_each_operator(loaded: Loaded) -> None:
    """Each population takes its share of all conditions that the tables allow."""
    documents = list(sweep(loaded.catalogue))[loaded.seed % len(SEEDS) :: len(SEEDS)]
    moment = Moment(population.MOMENTS[loaded.seed], ZoneInfo(population.ZONES[loaded.seed]))
    for document in documents:
        tree = check(document, catalogue=loaded.catalogue)
        found = match_ids(tree, moment, stored=True, catalogue=loaded.catalogue)
        assert found == by_hand(loaded, tree, moment, stored=True), document


def test_those_rules_reach_the_whole_language() -> None:
    """Every field, operator of every type, unit, period, way to count and state stands in the rules that were tried."""
    if not CustomField.objects.exists():  # after the tests above the last population is still there
        population.load(0, size=5)
    catalogue = Catalogue()
    for number in set(SEEDS) - REACHED.keys():  # this test runs before those, or alone
        here = REACHED[number] = Counter[Part]()

        def note_parts(document: dict[str, Any], _moment: Moment, _stored: bool, here: Counter[Part] = here) -> None:
            here.update(set(parts_of(check(document, catalogue=catalogue))))

        each_rule(number, note_parts)
    at_random = set(sum(REACHED.values(), Counter[Part]()))
    in_order = {part for document in sweep(catalogue) for part in parts_of(check(document, catalogue=catalogue))}
    whole = everything(catalogue, ("amount", "note", "due", "none"))
    assert sorted(whole - at_random - in_order) == []
    assert len(whole & at_random) >= 0.95 * len(whole)


@rules(TREES // 4)
@given(document=population.documents, moment=moments, some=st.sets(st.integers(0, 44), max_size=4))
def test_every_face_of_a_rule_agrees(loaded: Loaded, document: dict[str, Any], moment: Moment, some: set[int]) -> None:
    """A batch is the part of everybody, the complement is exact, the condition alone says the same, the document comes back."""
    tree = check(document, catalogue=loaded.catalogue)
    found = match_ids(tree, moment, catalogue=loaded.catalogue)
    batch = [loaded.ids[place] for place in sorted(some)]
    assert match_ids(tree, moment, batch, catalogue=loaded.catalogue) == sorted(set(batch) & set(found))
    complement = check({"not": document}, catalogue=loaded.catalogue)
    assert match_ids(complement, moment, catalogue=loaded.catalogue) == sorted(set(loaded.ids) - set(found))
    condition = predicate(tree, moment, catalogue=loaded.catalogue)
    assert ids_of(Sql(f"SELECT id FROM leads_contact contact WHERE {condition.text}", condition.params)) == found
    assert ids_of(
        Sql(f"SELECT id FROM leads_contact contact WHERE NOT ({condition.text})", condition.params)
    ) == sorted(set(loaded.ids) - set(found))
    assert check(to_document(tree), catalogue=loaded.catalogue) == tree
    verdict = Judge(moment, catalogue=loaded.catalogue).verdict(tree, loaded.facts[loaded.ids[0]])
    assert verdict.holds == (loaded.ids[0] in found)
    assert all(leaf in verdict.leaves for leaf in verdict.because)


@rules(TREES // 4)
@given(
    document=population.documents,
    moment=moments,
    later=st.sampled_from(
        [timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=40), timedelta(days=400)]
    ),
)
def test_whom_time_changes_is_found(loaded: Loaded, document: dict[str, Any], moment: Moment, later: timedelta) -> None:
    tree = check(document, catalogue=loaded.catalogue)
    after = Moment(moment.at + later, moment.zone, moment.week_start)
    before_ids = set(match_ids(tree, moment, stored=True, catalogue=loaded.catalogue))
    after_ids = set(match_ids(tree, after, stored=True, catalogue=loaded.catalogue))
    changed = before_ids ^ after_ids
    statement = changed_by_time(tree, moment, after, catalogue=loaded.catalogue)
    found = set() if statement is None else set(ids_of(statement))
    # Memberships, scores and consent dated ahead are no business of time: what changes them leaves marks.
    if not any(key in str(document) for key in LEAVE_MARKS):
        note(f"changed {changed}")
        assert changed <= found
