"""Random streams of changes: after any of them a look at everybody finds nothing that the turns between had missed."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from leads.actions import (
    NewActivity,
    add_tag,
    change_company,
    change_contact,
    delete_contact,
    make_custom_field,
    move_stages,
    record_activities,
    remove_tag,
    withdraw_consent,
)
from leads.models import Company, Contact, Mark
from leads.queries import mark, mark_people_of
from segments import nodes, queries, turn
from segments.actions import add_to_segment, leave_to_rule, remove_from_segment, save_segment
from segments.conditions import check, match_ids, moment
from segments.models import Membership, Persona, PersonaAssignment, Segment, SegmentOverride
from tests.makers import NOW, make_company, make_contact, make_deal, make_segment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]

STREAMS = int(os.environ.get("RIPEN_STREAMS", "4"))
OTHERS = 1_000 * int(os.environ.get("RIPEN_SEED", "0"))
STEPS = 30
TITLES = ["CFO", "cfo of Finance", "Clerk", "", "VP Sales"]
COUNTRIES = ["DE", "FR", "", "AT"]
KINDS = ["page_view", "form_submit", "email_open", "odd-kind", "purchase"]
URLS = ["https://x.test/pricing", "https://x.test/blog", ""]

RULES: list[dict[str, Any]] = [
    {"field": "contact.title", "op": "contains", "value": "cfo"},
    {"field": "contact.country", "op": "not_in", "value": ["DE", "AT"]},
    {"field": "company.employees", "op": "between", "value": [5, 20]},
    {"field": "contact.tags", "op": "includes_any", "value": ["partner"]},
    {"field": "contact.stage", "op": "is", "value": "mql"},
    {"field": "contact.created_at", "op": "in_last", "value": 3, "unit": "days"},
    {"field": "contact.last_activity_at", "op": "more_than_ago", "value": 2, "unit": "days"},
    {"did": "page_view", "where": [{"field": "url", "op": "contains", "value": "/pricing"}],
     "count": {"op": "at_least", "value": 2}, "when": {"op": "in_last", "value": 2, "unit": "days"}},
    {"did": "page_view", "count": {"op": "exactly", "value": 0}, "when": {"op": "in_last", "value": 36, "unit": "hours"}},
    {"did": "form_submit", "first": True, "when": {"op": "in_last", "value": 1, "unit": "weeks"}},
    {"did": "any", "latest": [{"field": "url", "op": "contains", "value": "/blog"}]},
    {"did": "odd-kind"},
    {"sequence": [{"did": "email_open"}, {"did": "page_view"}], "gap": {"value": 1, "unit": "days"}},
    {"has": "deal", "where": [{"field": "status", "op": "is", "value": "open"}]},
    {"did": "email_open", "when": {"op": "this", "value": "week"}},
    {"field": "contact.custom.plan", "op": "in", "value": ["pro", "team"]},
    {"field": "contact.custom.renewal", "op": "anniversary_in", "value": 1},
    {"field": "contact.custom.renewal", "op": "in_next", "value": 2, "unit": "weeks"},
    {"field": "company.custom.tier", "op": "more_than", "value": 2},
    {"field": "consent.marketing", "op": "is", "value": "withdrawn"},
    {"did": ["page_view", "email_open"], "count": {"op": "between", "value": [1, 3]}},
    {"did": "page_view", "count": {"op": "at_most", "value": 1}, "when": {"op": "in_last", "value": 90, "unit": "minutes"}},
    {"did": "form_submit", "when": {"op": "more_than_ago", "value": 2, "unit": "days"}},
    {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 50}},
    {"has": "deal", "where": [{"field": "closed_on", "op": "in_last", "value": 3, "unit": "days"}], "count": {"op": "at_least", "value": 1}},
    {"has": "deal", "count": {"op": "at_most", "value": 1}},
]  # fmt: skip


def _rule(chance: random.Random, slugs: list[str]) -> dict[str, Any]:
    leaves: list[dict[str, Any]] = [chance.choice(RULES) for _ in range(chance.randint(1, 3))]
    if slugs and chance.random() < 0.5:
        leaves.append({"in_segment": chance.choice(slugs)})
    if chance.random() < 0.2:
        leaves.append({"in_persona": "buyer"})
    if chance.random() < 0.3:
        leaves[0] = {"not": leaves[0]}
    return {chance.choice(["all", "any"]): leaves}


def _population(chance: random.Random) -> None:
    make_custom_field("contact", key="plan", type="choice", choices=["free", "pro", "team"], now=NOW)
    make_custom_field("contact", key="renewal", type="date", now=NOW)
    make_custom_field("company", key="tier", type="number", now=NOW)
    companies = [make_company(employees=chance.choice([None, 3, 5, 20, 21])) for _ in range(4)]
    for _ in range(25):
        make_contact(
            title=chance.choice(TITLES),
            country=chance.choice(COUNTRIES),
            company=chance.choice([None, *companies]),
            created_at=NOW - timedelta(hours=chance.randint(0, 200)),
        )
    Persona.objects.create(
        slug="buyer", name="Buyer", position=1, status="agreed", stale_since=NOW, conditions=RULES[0]
    )
    Persona.objects.create(
        slug="other", name="Other", position=2, status="on_test", stale_since=NOW, conditions=RULES[8]
    )
    slugs: list[str] = []
    for number in range(8):
        slugs.append(make_segment(_rule(chance, slugs), name=f"s{number}").slug)
    make_segment(name="by hand")


def _change(chance: random.Random, now: datetime) -> None:
    """One thing that happens to the data, through the verbs of the product."""
    contacts = list(Contact.objects.order_by("pk"))
    some = [contact.pk for contact in chance.sample(contacts, min(4, len(contacts)))]
    contact = chance.choice(contacts)
    segment = chance.choice(list(Segment.objects.order_by("pk")))
    match chance.randint(0, 17):
        case 0:
            change_contact(contact, changes={"title": chance.choice(TITLES)}, actor=None, now=now)
        case 1:
            change_contact(contact, changes={"country": chance.choice(COUNTRIES) or None}, actor=None, now=now)
        case 2:
            add_tag(some, tag="partner", now=now)
        case 3:
            remove_tag(some, tag="partner", now=now)
        case 4:
            move_stages(some, to=chance.choice(["mql", "recycled"]), cause="rule:x", reason="", now=now)
        case 5 | 6 | 7:
            ahead = chance.choice([0, 0, 0, -1_000, -50, -3, 20])  # imported late, dated ahead
            record_activities(
                [
                    NewActivity(
                        pk,
                        chance.choice(KINDS),
                        now + timedelta(hours=ahead),
                        url=chance.choice(URLS),
                        properties={"amount": chance.choice([10, 60])},
                    )
                    for pk in some
                ],
                now=now,
            )
        case 8:
            company = chance.choice(list(Company.objects.order_by("pk")))
            change_company(company, changes={"employees": chance.choice([3, 10, 30])}, actor=None, now=now)
        case 9:
            opened_on: date = (now + timedelta(days=chance.choice([-1, 0, 1]))).date()
            status = chance.choice(["open", "lost", "won"])
            closed_on = None if status == "open" else opened_on + timedelta(days=chance.choice([0, 2]))
            make_deal(contact, status=status, opened_on=opened_on, closed_on=closed_on)
            mark([contact.pk], Mark.Facet.DEAL)
        case 10:
            chance.choice([add_to_segment, remove_from_segment])(
                segment, contact_ids=some, cause="by_hand", actor=None, now=now
            )
        case 11:
            leave_to_rule(segment, contact_ids=some, now=now)
        case 12:
            delete_contact(contact, actor=None, now=now)
        case 14:
            plan = {"custom.plan": chance.choice(["free", "pro", None])}
            change_contact(contact, changes=plan, actor=None, now=now)
        case 15:
            renewal = (now + timedelta(days=chance.choice([-370, 1, 3, 20]))).date().isoformat()
            change_contact(contact, changes={"custom.renewal": renewal}, actor=None, now=now)
        case 16:
            company = chance.choice(list(Company.objects.order_by("pk")))
            Company.objects.filter(pk=company.pk).update(custom={"tier": chance.choice([1, 3])})
            mark_people_of([company.pk])
        case 17:
            withdraw_consent(contact.email or "nobody@x.test", source="form", now=now)
        case 13 if segment.mode == Segment.Mode.DYNAMIC:
            before = list(Segment.objects.filter(pk__lt=segment.pk, mode="dynamic").values_list("slug", flat=True))
            save_segment(segment, name=segment.name, conditions=_rule(chance, before), actor=None, now=now)


def _assert_as_worked_out_afresh(now: datetime) -> None:
    """Members = (matches ∪ added) − removed, the rule worked out through all that it names, without anything stored."""
    for segment in Segment.objects.all():
        wanted = set()
        if segment.mode == Segment.Mode.DYNAMIC:
            wanted = set(match_ids(check(segment.conditions), moment(now)))
        for contact_id, verdict in SegmentOverride.objects.filter(segment=segment).values_list("contact_id", "verdict"):
            (wanted.add if verdict == "added" else wanted.discard)(contact_id)
        stored = set(Membership.objects.filter(segment=segment, until=None).values_list("contact_id", flat=True))
        assert stored == wanted, segment.conditions
        assert segment.problem == ""
    buyers = set(
        PersonaAssignment.objects.filter(until=None, persona__slug="buyer").values_list("contact_id", flat=True)
    )
    assert buyers == set(match_ids(check({"in_persona": "buyer"}), moment(now)))


def _change_within(monkeypatch: pytest.MonkeyPatch, chance: random.Random, now: datetime) -> None:
    """Between two batches of the next turn something happens, a little later than the turn's own moment."""
    original, changes = turn._batch, [1, 2]

    def and_then(nodes: Sequence[turn.Node], at: datetime, **options: Any) -> turn.TurnReport:
        done = original(nodes, at, **options)
        if changes:
            changes.pop()
            _change(chance, now + timedelta(milliseconds=300))
        return done

    monkeypatch.setattr(turn, "_batch", and_then)


@pytest.mark.parametrize("seed", range(STREAMS))
def test_a_full_look_after_any_stream_finds_nothing_to_change(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams also run out of time, collect so many marks that everybody is looked at, and change facts while a turn is at work."""
    chance = random.Random(seed + OTHERS)
    monkeypatch.setattr(turn, "BATCH", chance.choice([3, 10_000]))
    if seed % 2:
        monkeypatch.setattr(turn, "FULL_FROM", 12)
        monkeypatch.setattr(nodes, "FULL_FROM", 4)
    _population(chance)
    now = NOW
    turn.turn(now)
    for step in range(STEPS):
        for _ in range(chance.randint(0, 3)):
            _change(chance, now)
        if chance.random() < 0.6:
            now += timedelta(minutes=chance.choice([1, 1, 30, 500, 3_000]))
        with monkeypatch.context() as within:
            if chance.random() < 0.3:
                _change_within(within, chance, now)
            report = turn.turn(now, budget_seconds=chance.choice([None, None, 0.0]))
        assert report.problems == {}
        if step % 10 == 9:
            now += timedelta(seconds=1)
            while turn.turn(now).more or queries.marks_wait():
                pass
            _assert_as_worked_out_afresh(now)
            full = turn.turn(now, full=True)
            assert full.changes == 0, (seed, step, full)
            assert queries.wrong_counts() == []
