"""After any sequence of changes, time steps and publications the ledger's sums are what Python works out from scratch, now and in the past."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from leads import actions as facts
from leads.models import Contact
from scoring import actions, bant, queries
from scoring.actions.bant import NewFact, record_bant
from scoring.grades import grade
from scoring.ledger import account
from scoring.models import LedgerRow, Score, ScoreModel, ScoreVersion
from segments.conditions import Judge, check, match_ids, moment, read_facts
from tests.makers import NOW, make_activity, make_company, make_contact
from tests.scoring.conftest import BIG, PRICING, STUDENT, VP, beat, make_draft

TITLES = ["VP Sales", "Student", "VP, student", "Clerk", ""]
CONDITIONS: list[dict[str, Any]] = [
    VP,
    BIG,
    PRICING,
    STUDENT,
    {"not": VP},
    {"did": "page_view", "count": {"op": "at_least", "value": 2}},
    {"did": "any", "count": {"op": "exactly", "value": 0}, "when": {"op": "in_last", "value": 10, "unit": "days"}},
    {"any": [STUDENT, {"field": "contact.tags", "op": "includes_any", "value": ["hot"]}]},
    {"field": "contact.created_at", "op": "more_than_ago", "value": 20, "unit": "days"},
]
POINTS = [Decimal(text) for text in ("5", "12.5", "-7.25", "40", "0.01")]

steps = st.lists(
    st.tuples(
        st.sampled_from(["title", "visit", "tag", "company", "wait", "publish", "full", "delete", "join", "know"]),
        st.integers(0, 10_000),
    ),
    min_size=3,
    max_size=10,
)


Sums = dict[int, tuple[dict[str, Decimal], str]]


def by_hand(model: ScoreModel, now: datetime) -> Sums:
    """Groups and grade of everybody from the rules that hold by the Python verdict, one contact and one rule at a time."""
    version = ScoreVersion.objects.get(model=model, state="live")
    rules = [(rule, check(rule.conditions)) for rule in bant.all_rules(version)]
    judge = Judge(moment(now))
    found: Sums = {}
    for pk, known in read_facts(Contact.objects.values_list("pk", flat=True)).items():
        groups = dict.fromkeys(("fit", "behaviour", "negative", "bant"), Decimal(0))
        for rule, tree in rules:
            if judge.verdict(tree, known).holds:
                groups[rule.group] += rule.points
        found[pk] = groups, grade(groups["fit"], groups["behaviour"], version.fit_lines, version.behaviour_lines)
    return found


def do(step: str, chance: random.Random, model: ScoreModel, now: datetime) -> None:
    contacts = list(Contact.objects.order_by("pk"))
    contact = chance.choice(contacts)
    match step:
        case "title":
            facts.set_field_for([contact.pk], field="contact.title", value=chance.choice(TITLES), now=now)
        case "visit":
            url = chance.choice(["/pricing", "/blog"])
            make_activity(contact, url=url, at=now - timedelta(days=chance.choice([0, 5, 29, 60])))
        case "tag":
            (facts.add_tag if chance.random() < 0.6 else facts.remove_tag)([contact.pk], tag="hot", now=now)
        case "company":
            company = make_company(employees=chance.choice([5, 500]))
            facts.change_contact(contact, changes={"company": company}, actor=None, now=now)
        case "delete" if len(contacts) > 2:
            facts.delete_contact(contact, actor=None, now=now)
        case "join":
            new = make_contact(title=chance.choice(TITLES), created_at=now)
            facts.set_field_for([new.pk], field="contact.city", value="Ulm", now=now)
        case "know":
            facet = chance.choice(("budget", "authority", "need"))
            answer = chance.choice(bant.ANSWERS[facet]).key
            lapses_at = now + timedelta(days=chance.choice([1, 10, 90]))
            record_bant([NewFact(contact.pk, facet, answer, lapses_at=lapses_at)], source="rule", now=now)
        case "publish":
            publish(chance, model, now)


def publish(chance: random.Random, model: ScoreModel, now: datetime) -> None:
    """Some rules go, some change their points, conditions or group, some are new; the lines move."""
    draft = actions.draft_of(model, now=now)
    for rule in list(draft.rules.all()):
        if chance.random() < 0.3:
            actions.delete_rule(draft, key=rule.key, now=now)
        elif chance.random() < 0.5:
            put(draft, chance, now, key=rule.key)
    for _number in range(chance.randint(0, 2)):
        put(draft, chance, now)
    actions.change_lines(
        draft,
        threshold=Decimal(chance.choice([10, 75])),
        fit_lines=[Decimal(30), Decimal(chance.choice([5, 20])), Decimal(0)],
        behaviour_lines=[Decimal(40), Decimal(20), Decimal(chance.choice([-5, 10]))],
        now=now,
    )
    includes, weights = chance.random() < 0.7, [Decimal(chance.choice([0, 25, 40])) for _facet in bant.FACETS]
    ScoreVersion.objects.filter(pk=draft.pk).update(includes_bant=includes, bant_weights=weights)
    actions.publish(draft, reason="Random", now=now)


def put(draft: ScoreVersion, chance: random.Random, now: datetime, **key: Any) -> None:
    group, points = chance.choice(["fit", "behaviour", "negative"]), chance.choice(POINTS)
    actions.save_rule(
        draft,
        group=group,
        name=f"Rule {chance.random()}",
        conditions=chance.choice(CONDITIONS),
        points=-abs(points) if group == "negative" else points,
        now=now,
        **key,
    )


# Examples are slow, a dozen turns each: ten of them, and none is shrunk. Each undoes what it did.
@pytest.mark.django_db
@settings(
    max_examples=10, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
@given(sequence=steps, seed=st.integers(0, 2**32))
def test_the_ledger_is_what_python_works_out(sequence: list[tuple[str, int]], seed: int) -> None:
    with transaction.atomic():
        run(sequence, random.Random(seed))
        transaction.set_rollback(True)


def run(sequence: list[tuple[str, int]], chance: random.Random) -> None:
    now = NOW
    for _number in range(4):
        make_contact(title=chance.choice(TITLES), created_at=NOW, company={"employees": chance.choice([5, 500])})
    draft = make_draft()
    actions.publish(draft, reason="First", now=now)
    model = ScoreModel.objects.get(pk=draft.model_id)
    beat(now)
    seen: list[tuple[datetime, Sums]] = []
    for step, number in sequence:
        now += timedelta(minutes=1 + number % 50 if step != "wait" else 60 * 24 * (1 + number % 40))
        do(step, chance, model, now)
        beat(now, full=step == "full")
        note(f"{step} at {now}")
        expected = by_hand(model, now)
        seen.append((now, expected))
        stored = {
            row.contact_id: (
                {group: getattr(row, group) for group in ("fit", "behaviour", "negative", "bant")},
                row.grade,
            )
            for row in Score.objects.filter(model=model)
        }
        assert stored == expected
        assert queries.broken_sums() == []
        counts = {rule.key: rule.met_count for rule in ScoreVersion.objects.get(model=model, state="live").rules.all()}
        assert counts == {key: queries.people_count(model.pk, rule=key) for key in counts}
    rows = LedgerRow.objects.count()
    report = beat(now, full=True)
    assert report.refreshed[f"score:{model.slug}"] == 0
    assert LedgerRow.objects.count() == rows
    for past, expected in chance.sample(seen, min(3, len(seen))):
        for contact in Contact.objects.filter(pk__in=expected):
            groups, shown = expected[contact.pk]
            found = account(contact.pk, model=model, at=past)
            assert (found.groups, found.total, found.grade) == (groups, sum(groups.values()), shown)
        line = {"field": f"score.{model.slug}.total", "op": "at_least", "value": 20}
        over = {pk for pk, (groups, _grade) in expected.items() if sum(groups.values()) >= 20}
        alive = set(Contact.objects.values_list("pk", flat=True))
        assert set(match_ids(check(line), moment(past))) & set(expected) == over & alive
