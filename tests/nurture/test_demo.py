"""The demo company: reproducible, consistent with itself, and never written over anybody's data."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count, Q

from leads.access import MARKETER, SALES
from leads.models import Activity, Contact, StageMove
from nurture.demo.facts import blocks
from nurture.models import Enrolment, MailClick, MailHit, MailResponse, Program, Sending
from nurture.tracking.judging import SETTLES
from scoring.models import HandOff, LedgerRow, PointsGiven, RoutingRule
from scoring.queries import ledger_sums_hold
from segments.models import Persona, Segment
from tests.makers import make_contact, make_user

UNTIL = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_same_seed_makes_the_same_facts_and_another_seed_others() -> None:
    first, again, other = (list(blocks(contacts=40, activities=800, seed=seed, until=UNTIL)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_block_does_not_depend_on_how_many_are_asked_for() -> None:
    few = list(blocks(contacts=30, activities=600, seed=1, until=UNTIL))
    many = list(blocks(contacts=300, activities=6_000, seed=1, until=UNTIL))

    assert many[: len(few) - 1] == few[:-1]  # the last of the few is cut at the number asked for


def test_facts_are_distinct_and_lie_in_the_past() -> None:
    made = list(blocks(contacts=500, activities=10_000, seed=3, until=UNTIL))
    contacts = [contact for block in made for contact in block.contacts]
    activities = [activity for block in made for activity in block.activities]

    assert len(contacts) == len({contact.email for contact in contacts}) == 500
    assert len({block.company.name for block in made}) == len(made)
    assert max(activity.occurred_at for activity in activities) <= UNTIL
    assert 8_000 < len(activities) < 12_500
    assert {"page_view", "form_submit", "download", "email_open", "webinar_attended", "demo_booked", "purchase"} <= {
        activity.kind for activity in activities
    }


@pytest.mark.django_db
def test_every_room_has_something_to_show_and_agrees_with_itself() -> None:
    """One test for all of it: eighteen months take some forty turns of the engine."""
    make_user(SALES)
    marketer = make_user(MARKETER)

    call_command("seed_demo", contacts=300, activities=6_000, until=UNTIL, stdout=StringIO(), stderr=StringIO())

    assert Contact.objects.count() == 300
    assert Persona.objects.filter(contact_count__gt=0).count() == 3
    assert Segment.objects.filter(owner=marketer).count() == Segment.objects.count() == 15
    assert Segment.objects.get(slug="closed-lost").member_count > 0
    assert Program.objects.filter(state=Program.State.LIVE).count() == 4
    assert Enrolment.objects.exists()
    assert Sending.objects.filter(state=Sending.State.SENT).exists()
    assert MailResponse.objects.filter(opens__gt=0).exists()
    assert MailClick.objects.filter(clicks__gt=0).exists()
    assert not MailHit.objects.filter(verdict="", at__lt=UNTIL - SETTLES).exists()
    assert HandOff.objects.open().exists()
    assert HandOff.objects.filter(state=HandOff.State.ACCEPTED).exists()
    assert HandOff.objects.recycled().exclude(returns_at=None).exists()
    assert RoutingRule.objects.count() == 2
    assert HandOff.objects.exclude(routing_rule=None).exists()
    assert PointsGiven.objects.count() == 8
    assert {"decayed", "activity", "given"} <= set(LedgerRow.objects.values_list("cause", flat=True))
    assert ledger_sums_hold()
    members = Count("memberships", filter=Q(memberships__until=None))
    for slug, stored, counted in Segment.objects.annotate(n=members).values_list("slug", "member_count", "n"):
        assert (slug, stored) == (slug, counted)
    last = dict(StageMove.objects.order_by("contact_id", "moved_at", "id").values_list("contact_id", "to_stage"))
    stages = dict(Contact.objects.values_list("pk", "stage"))
    assert {pk: stages[pk] for pk in last} == last
    assert Counter(stages.values())["customer"] > 0


@pytest.mark.django_db
def test_an_instance_with_data_is_refused() -> None:
    make_contact()

    with pytest.raises(CommandError, match="not empty"):
        call_command("seed_demo", contacts=10, stdout=StringIO(), stderr=StringIO())
    assert Activity.objects.count() == 0


@pytest.mark.django_db
def test_nonsense_is_refused() -> None:
    with pytest.raises(CommandError, match="from 1"):
        call_command("seed_demo", contacts=0, stdout=StringIO(), stderr=StringIO())
