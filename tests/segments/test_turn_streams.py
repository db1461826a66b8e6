"""Random streams of changes: after any of them a look at everybody finds nothing that the turns between had missed."""

from __future__ import annotations

import os
import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from leads.actions import (
    NewActivity,
    add_tag,
    change_company,
    change_contact,
    delete_contact,
    move_stages,
    record_activities,
    remove_tag,
)
from leads.models import Company, Contact, Mark
from leads.queries import mark
from segments import queries, turn
from segments.actions import add_to_segment, leave_to_rule, remove_from_segment, save_segment
from segments.conditions import check, match_ids, moment
from segments.models import Membership, Persona, PersonaAssignment, Segment, SegmentOverride
from tests.makers import NOW, make_company, make_contact, make_deal, make_segment

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]

STREAMS = int(os.environ.get("RIPEN_STREAMS", "4"))
STEPS = 30
TITLES = ["CFO", "cfo of Finance", "Clerk", "", "VP Sales"]
COUNTRIES = ["DE", "FR", "", "AT"]
KINDS = ["page_view", "form_submit", "email_open", "odd-kind"]
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
    match chance.randint(0, 13):
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
            ahead = chance.choice([0, 0, 0, -50, -3, 20])
            record_activities(
                [
                    NewActivity(pk, chance.choice(KINDS), now + timedelta(hours=ahead), url=chance.choice(URLS))
                    for pk in some
                ],
                now=now,
            )
        case 8:
            company = chance.choice(list(Company.objects.order_by("pk")))
            change_company(company, changes={"employees": chance.choice([3, 10, 30])}, actor=None, now=now)
        case 9:
            opened_on: date = (now + timedelta(days=chance.choice([-1, 0, 1]))).date()
            make_deal(contact, status=chance.choice(["open", "lost"]), opened_on=opened_on)
            mark([contact.pk], Mark.Facet.DEAL)
        case 10:
            chance.choice([add_to_segment, remove_from_segment])(
                segment, contact_ids=some, cause="by_hand", actor=None, now=now
            )
        case 11:
            leave_to_rule(segment, contact_ids=some, now=now)
        case 12:
            delete_contact(contact, actor=None, now=now)
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


@pytest.mark.parametrize("seed", range(STREAMS))
def test_a_full_look_after_any_stream_finds_nothing_to_change(seed: int) -> None:
    chance = random.Random(seed)
    _population(chance)
    now = NOW
    turn.turn(now)
    for step in range(STEPS):
        for _ in range(chance.randint(0, 3)):
            _change(chance, now)
        if chance.random() < 0.6:
            now += timedelta(minutes=chance.choice([1, 1, 30, 500, 3_000]))
        report = turn.turn(now)
        assert report.problems == {}
        if step % 10 == 9:
            _assert_as_worked_out_afresh(now)
            full = turn.turn(now, full=True)
            assert full.changes == 0, (seed, step, full)
            assert queries.wrong_counts() == []
