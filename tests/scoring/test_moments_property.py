"""Rules per occurrence, caps and points given: after any history the ledger is what plain Python works out, now and at any past moment."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from leads import actions as facts
from leads import merging
from leads.models import Contact
from scoring import actions, queries
from scoring.grades import grade
from scoring.ledger import account
from scoring.models import LedgerRow, PointsGiven, Score, ScoreDue, ScoreModel, ScoreVersion
from scoring.occurrences import Counting
from tests.makers import NOW, make_activity, make_contact
from tests.scoring.conftest import VP, beat

EXAMPLES = int(os.environ.get("RIPEN_LEDGER_EXAMPLES", "12"))
CENT = Decimal("0.01")
URLS = ["/pricing", "/blog", "/careers"]
DAY = timedelta(days=1)
COUNTINGS = [
    Counting(),
    Counting(first_n=2),
    Counting(cap=Decimal(20)),
    Counting(expires_after_days=10),
    Counting(halves_after_days=7),
    Counting(halves_after_days=3, halvings=2),
    Counting(first_n=3, cap=Decimal("15.5"), expires_after_days=20),
    Counting(cap=Decimal(18), halves_after_days=5),
]
CAPS: list[dict[str, Any]] = [
    {},
    {"behaviour": {"most": 25}},
    {"negative": {"least": -6}, "total": {"least": -5, "most": 30}},
    {"fit": {"most": 30}, "behaviour": {"least": 0, "most": 12}, "total": {"most": 35}},
]

steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "visit",
                "visit",
                "late",
                "late",
                "ahead",
                "same",
                "title",
                "wait",
                "wait",
                "publish",
                "give",
                "take",
                "full",
                "delete",
                "merge",
                "crash",
            ]
        ),
        st.integers(0, 10_000),
    ),
    min_size=4,
    max_size=12,
)


@dataclass
class Known:
    """What plain Python remembers of the world: versions as they went live, verdicts of rules that count once as looks saw them."""

    versions: list[tuple[datetime, list[Any], dict[str, Any]]] = field(default_factory=list)
    visits: dict[int, list[tuple[datetime, str]]] = field(default_factory=dict)
    looks: list[tuple[datetime, dict[int, dict[str, Decimal]]]] = field(default_factory=list)

    def version_at(self, at: datetime) -> tuple[datetime, list[Any], dict[str, Any]]:
        return ([version for version in self.versions if version[0] <= at] or self.versions[:1])[-1]

    def look_at(self, at: datetime, contact: int) -> dict[str, Decimal]:
        seen = [look for moment, look in self.looks if moment <= at]
        return seen[-1].get(contact, {}) if seen else {}

    def groups(self, contact: int, at: datetime) -> dict[str, Decimal]:
        """Every group's points after its cap, points given, and what the cap of the total takes."""
        _since, rules, caps = self.version_at(at)
        sums = dict.fromkeys(("fit", "behaviour", "negative", "bant", "given"), Decimal(0))
        for group, points in self.look_at(at, contact).items():
            sums[group] += points
        for rule in rules:
            if rule.per_occurrence:
                found = sorted(moment for moment, url in self.visits.get(contact, []) if url == url_of(rule))
                sums[rule.group] += points_of(rule, found, at)
        for row in PointsGiven.objects.filter(contact=contact):
            if row.given_at <= at and (row.ends_at is None or at < row.ends_at):
                sums["given"] += row.points
        for group in ("fit", "behaviour", "negative", "bant"):
            sums[group] = held(sums[group], caps.get(group, {}))
        total = sum(sums.values())
        return {**sums, "total": held(Decimal(total), caps.get("total", {})) - total}


def url_of(rule: Any) -> str:
    return str(rule.conditions["where"][0]["value"])


def points_of(rule: Any, visits: list[datetime], at: datetime) -> Decimal:
    """One activity after the other, by the words of the manual."""
    total = Decimal(0)
    for place, moment in enumerate(visits):
        if moment > at or (rule.first_n is not None and place >= rule.first_n):
            continue
        age = at - moment
        if rule.expires_after_days is not None and age >= rule.expires_after_days * DAY:
            continue
        points = rule.points
        if rule.halves_after_days is not None:
            times = age // (rule.halves_after_days * DAY)
            exact = rule.points / 2**times
            if abs(exact) < CENT / 2 or (rule.halvings is not None and times > rule.halvings):
                continue
            points = exact.quantize(CENT, ROUND_HALF_UP)
        total += points
    return held(total, {} if rule.cap is None else {"least": -rule.cap, "most": rule.cap})


def held(points: Decimal, ends: dict[str, Any]) -> Decimal:
    least, most = ends.get("least"), ends.get("most")
    points = points if least is None else max(points, Decimal(str(least)))
    return points if most is None else min(points, Decimal(str(most)))


def visit_rule(url: str) -> dict[str, Any]:
    return {"did": "page_view", "where": [{"field": "url", "op": "is", "value": url}]}


def put(draft: ScoreVersion, chance: random.Random, now: datetime, **key: Any) -> None:
    group = chance.choice(["fit", "behaviour", "behaviour", "negative"])
    points = Decimal(chance.choice(["5", "12.5", "0.01", "7.25"]))
    counting = chance.choice([None, *COUNTINGS])
    if counting is not None and counting.cap is not None:
        points = min(points, counting.cap)
    actions.save_rule(
        draft,
        group=group,
        name=f"Rule {chance.random()}",
        conditions=VP if counting is None else visit_rule(chance.choice(URLS)),
        points=-points if group == "negative" else points,
        counting=counting,
        now=now,
        **key,
    )


def publish(chance: random.Random, model: ScoreModel, now: datetime, known: Known) -> None:
    draft = actions.draft_of(model, now=now)
    for rule in list(draft.rules.all()):
        if chance.random() < 0.25:
            actions.delete_rule(draft, key=rule.key, now=now)
        elif chance.random() < 0.4:
            put(draft, chance, now, key=rule.key)
    for _number in range(chance.randint(0, 2) if known.versions else 4):
        put(draft, chance, now)
    actions.change_lines(
        draft,
        threshold=Decimal(20),
        caps=chance.choice(CAPS),
        fit_lines=[Decimal(30), Decimal(20), Decimal(0)],
        behaviour_lines=[Decimal(20), Decimal(9), Decimal(1)],
        now=now,
    )
    actions.publish(draft, reason="Random", now=now)
    live = ScoreVersion.objects.get(pk=draft.pk)
    known.versions.append((now, list(live.rules.all()), live.caps))


def visit(known: Known, contact: Contact, at: datetime, url: str) -> None:
    make_activity(contact, url=url, at=at)
    known.visits.setdefault(contact.pk, []).append((at, url))


def do(step: str, chance: random.Random, model: ScoreModel, now: datetime, known: Known) -> None:
    contacts = list(Contact.objects.order_by("pk"))
    contact, url = chance.choice(contacts), chance.choice(URLS)
    match step:
        case "visit":
            visit(known, contact, now, url)
        case "late":
            for _number in range(chance.randint(1, 4)):
                visit(known, contact, now - timedelta(hours=chance.randrange(1, 24 * 60)), url)
        case "ahead":
            visit(known, contact, now + timedelta(hours=chance.randrange(1, 24 * 15)), url)
        case "same":
            for _number in range(3):
                visit(known, contact, now - DAY, url)
        case "title":
            facts.set_field_for([contact.pk], field="contact.title", value=chance.choice(["VP", "Clerk"]), now=now)
        case "publish":
            publish(chance, model, now, known)
        case "give":
            ends = chance.choice([None, now + timedelta(days=chance.randint(1, 20))])
            actions.give_points(
                [one.pk for one in contacts[:2]],
                model=model,
                points=Decimal(chance.choice(["10", "-4.5"])),
                cause="program:test",
                expires_at=ends,
                now=now,
            )
        case "take":
            row = PointsGiven.objects.filter(ends_at=None).first()
            if row is not None:
                actions.take_back_points(row, now=now)
        case "delete" if len(contacts) > 2:
            facts.delete_contact(contact, actor=None, now=now)
        case "merge" if len(contacts) > 2:
            gone = chance.choice([one for one in contacts if one != contact])
            known.visits.setdefault(contact.pk, []).extend(known.visits.pop(gone.pk, []))
            merging.merge_contacts(contact, gone=gone, take={}, actor=None, now=now)
        case "crash":
            visit(known, contact, now, url)
            with pytest.raises(ZeroDivisionError):
                killed(now)


def killed(now: datetime) -> None:
    """A turn that is undone after its last statement."""
    with transaction.atomic():
        beat(now)
        raise ZeroDivisionError


# Examples are slow, a dozen turns each. Each undoes what it did; none is shrunk.
@pytest.mark.django_db
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(sequence=steps, seed=st.integers(0, 2**32))
def test_the_ledger_is_what_python_works_out(sequence: list[tuple[str, int]], seed: int) -> None:
    with transaction.atomic():
        run(sequence, random.Random(seed))
        transaction.set_rollback(True)


def run(sequence: list[tuple[str, int]], chance: random.Random) -> None:
    now, known = NOW, Known()
    for _number in range(3):
        contact = make_contact(title=chance.choice(["VP", "Clerk"]), created_at=NOW)
        for _visit in range(chance.randint(0, 4)):
            visit(known, contact, NOW - timedelta(hours=chance.randrange(24 * 90)), chance.choice(URLS))
    model = actions.create_model("Random", now=now)
    publish(chance, model, now, known)
    work(known, model, now)
    for step, number in sequence:
        now += (
            timedelta(minutes=1 + number % 50)
            if step != "wait"
            else timedelta(days=1 + number % 25, minutes=number % 7)
        )
        note(f"{step} at {now}")
        do(step, chance, model, now, known)
        work(known, model, now, full=step == "full")
        agree(known, model, now)
    for _number in range(12):
        past = NOW + (now - NOW + 60 * DAY) * chance.random() - 60 * DAY
        for contact in Contact.objects.all():
            note(f"{contact.pk} at {past}")
            assert account(contact.pk, model=model, at=past).groups == shown(known.groups(contact.pk, past))
    rows = LedgerRow.objects.count()
    assert beat(now, full=True).refreshed[f"score:{model.slug}"] == 0
    assert LedgerRow.objects.count() == rows


def shown(groups: dict[str, Decimal]) -> dict[str, Decimal]:
    """The groups of an account: those that are no groups of rules only where they are something."""
    return {group: points for group, points in groups.items() if points or group not in ("given", "total")}


def work(known: Known, model: ScoreModel, now: datetime, *, full: bool = False) -> None:
    """A turn, and what it must have seen of the rules that count once."""
    beat(now, full=full)
    _since, rules, _caps = known.version_at(now)
    look: dict[int, dict[str, Decimal]] = {}
    for contact in Contact.objects.all():
        for rule in rules:
            if not rule.per_occurrence and "vp" in contact.title.lower():
                sums = look.setdefault(contact.pk, {})
                sums[rule.group] = sums.get(rule.group, Decimal(0)) + rule.points
    known.looks.append((now, look))


def agree(known: Known, model: ScoreModel, now: datetime) -> None:
    version = ScoreVersion.objects.get(model=model, state="live")
    for contact in Contact.objects.all():
        groups = known.groups(contact.pk, now)
        row = Score.objects.get(contact=contact, model=model)
        assert {name: getattr(row, name) for name in ("fit", "behaviour", "negative", "bant")} == {
            name: groups[name] for name in ("fit", "behaviour", "negative", "bant")
        }
        assert row.total == sum(groups.values())
        assert row.grade == grade(groups["fit"], groups["behaviour"], version.fit_lines, version.behaviour_lines)
    assert queries.broken_sums() == []
    assert not ScoreDue.objects.filter(model=model, due_at__lte=now).exists()
    counts = {rule.key: rule.met_count for rule in version.rules.all()}
    assert counts == {key: queries.people_count(model.pk, rule=key) for key in counts}
