"""Workers killed while they count an audience and while they queue its mails: nobody is in it twice, nobody is missing, nobody gets two mails."""

from __future__ import annotations

from collections import Counter

import pytest

from nurture.broadcasts import actions
from nurture.models import Broadcast, Sending
from tests.database import wait_until_alone
from tests.faults.running import run
from tests.makers import NOW
from tests.nurture.broadcasting import audience, count_audience, work, write
from tests.nurture.makers import make_people, make_template, set_workspace

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 14  # in pages of four


def build() -> tuple[Broadcast, list[int]]:
    set_workspace(name="Plant", postal_address="Hauptstr. 1", sender_email="ada@plant.test")
    people = make_people(PEOPLE)
    one, other = audience(*people[:10]), audience(*people[5:])
    broadcast = write(one, other, variants=[(make_template(), 1), (make_template(), 1)])
    return broadcast, sorted(person.pk for person in people)


def assert_counted_once(broadcast: Broadcast, people: list[int]) -> None:
    broadcast.refresh_from_db()
    assert (broadcast.state, broadcast.counts["in"]) == ("counted", PEOPLE)
    rows = list(broadcast.recipients.order_by("contact_id").values_list("contact_id", "variant"))
    assert [contact for contact, _variant in rows] == people
    assert Counter(variant for _contact, variant in rows) == {
        "a": broadcast.counts["in:a"],
        "b": broadcast.counts["in:b"],
    }


@pytest.mark.parametrize(
    "point", ["nurture.broadcasts.queries:take_page:after:2", "nurture.broadcasts.job:carry_on:after:3"]
)
def test_killed_while_it_counts(point: str) -> None:
    broadcast, people = build()
    actions.count(broadcast, actor=None, now=NOW)
    assert run("broadcast", now=NOW, kill=point) == -9
    wait_until_alone()
    broadcast.refresh_from_db()
    assert broadcast.state == "counting"
    work()
    assert_counted_once(broadcast, people)


@pytest.mark.parametrize(
    "point", ["nurture.broadcasts.queries:queue_mails:after:2", "nurture.broadcasts.job:carry_on:after:2"]
)
def test_killed_while_it_queues(point: str) -> None:
    broadcast, people = build()
    count_audience(broadcast)
    assert_counted_once(broadcast, people)
    actions.send(broadcast, version=broadcast.version, actor=None, now=NOW)
    assert run("broadcast", now=NOW, kill=point) == -9
    wait_until_alone()
    broadcast.refresh_from_db()
    assert broadcast.state == "going"
    assert 0 < Sending.objects.count() < PEOPLE
    work()
    broadcast.refresh_from_db()
    assert (broadcast.state, broadcast.counts["queued"]) == ("done", PEOPLE)
    assert sorted(Sending.objects.values_list("contact_id", flat=True)) == people
    assert Counter(broadcast.recipients.values_list("state", flat=True)) == {"queued": PEOPLE}
