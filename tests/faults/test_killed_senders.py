"""Workers killed in mid-send: no mail twice; what the server received plus what is listed as uncertain is all that was planned."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from leads.models import Activity
from nurture import engine, queries, turn
from nurture.mailing import sending
from nurture.models import Enrolment, Sending
from tests.database import wait_until_alone, wait_until_joined
from tests.faults.running import run, start
from tests.faults.worker import SLICE
from tests.makers import NOW
from tests.nurture.makers import mail, make_people, make_program, make_template, put_in, segment_of, set_workspace, wait
from tests.nurture.sink import Sink, sink

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 50  # three slices and a bit

KILLS = [
    "nurture.mailing.queries_sending:reserve_sendings:after:1",
    "nurture.mailing.sending:write:after:7",
    "nurture.mailing.queries_sending:claim_sendings:before:1",
    "nurture.mailing.queries_sending:claim_sendings:after:1",  # inside the transaction: rolled back
    "nurture.mailing.sending:_offer:before:1",  # claimed and committed, nothing offered yet
    "nurture.mailing.smtp/Connection:deliver:before:3",
    "nurture.mailing.smtp/Connection:deliver:after:3",
    "nurture.mailing.smtp/Connection:deliver:after:27",
    "nurture.mailing.smtp:_stuffed:after:5",  # between DATA and the mail
    "nurture.mailing.queries_sending:set_sent:before:1",
    "nurture.mailing.queries_sending:set_sent:after:2",  # recorded but not committed
    "nurture.mailing.sending:record_activities:after:1",
]

ON_ITS_WAY = {
    "nurture.mailing.smtp/Connection:deliver:before:3",
    "nurture.mailing.smtp/Connection:deliver:after:3",
    "nurture.mailing.smtp/Connection:deliver:after:27",
    "nurture.mailing.smtp:_stuffed:after:5",
}


@pytest.fixture
def smtp() -> Iterator[Sink]:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    with sink() as found:
        yield found


def build(people: int = PEOPLE) -> list[str]:
    program = make_program(mail(make_template(), "m"), wait(1, "days", "w"))
    found = make_people(people)
    put_in(segment_of(program), found)
    turn.take_in(NOW)
    engine.run_due(NOW)
    return sorted(str(person.email) for person in found)


def finish(smtp: Sink) -> None:
    """The beats after the crash: reservations and leases end, the rest leaves."""
    wait_until_alone()
    for minutes in (0, 3, 6, 7):
        sending.send_due(NOW + timedelta(minutes=minutes), server=smtp.server)


def assert_never_twice(planned: list[str], smtp: Sink) -> int:
    """How many are uncertain."""
    received = Counter(smtp.recipients)
    assert max(received.values(), default=0) <= 1
    states = dict(Sending.objects.values_list("address", "state"))
    assert set(states.values()) <= {"sent", "uncertain"}
    sent = {address for address, state in states.items() if state == "sent"}
    uncertain = set(states) - sent
    assert sent <= set(received)
    assert sorted(set(received) | uncertain) == planned
    assert Activity.objects.filter(kind__slug="email_sent").count() == len(sent)
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
    return len(uncertain)


@pytest.mark.parametrize("point", KILLS)
def test_killed_at(point: str, smtp: Sink) -> None:
    planned = build()
    assert run("send", now=NOW, port=smtp.port, kill=point) == -9
    finish(smtp)
    # the journal tells what was offered and answered: at most the mail that was on its way is in doubt
    uncertain = assert_never_twice(planned, smtp)
    assert uncertain == 1 if point in ON_ITS_WAY else uncertain <= (0 if point in KILLS[:5] else 1)


@pytest.mark.parametrize("point", sorted(ON_ITS_WAY))
def test_killed_with_two_connections(point: str, smtp: Sink) -> None:
    """At most the one mail that was on its way over each of them is in doubt."""
    planned = build()
    assert run("send", now=NOW, port=smtp.port, kill=point, connections=2) == -9
    finish(smtp)
    assert 1 <= assert_never_twice(planned, smtp) <= 2


def test_killed_with_its_machine(smtp: Sink, settings: Any) -> None:
    """The journal is gone as well: whatever was claimed is in doubt once its lease is over."""
    planned = build()
    assert run("send", now=NOW, port=smtp.port, kill="nurture.mailing.queries_sending:set_sent:before:1") == -9
    settings.RIPEN_HOME = settings.RIPEN_HOME / "another"
    finish(smtp)
    assert SLICE <= assert_never_twice(planned, smtp) <= 2 * SLICE


def test_four_senders_at_once(smtp: Sink) -> None:
    planned = build(90)
    workers = [start("send", now=NOW, port=smtp.port) for _each in range(4)]
    for worker in workers:
        _out, said = worker.communicate(timeout=300)
        assert worker.returncode == 0, said
    finish(smtp)
    assert assert_never_twice(planned, smtp) == 0
    assert len(smtp.received) == 90


def test_killed_at_random(smtp: Sink) -> None:
    """FAULT_KILLS=100 for the long run."""
    planned = build(120)
    chance = random.Random(7)
    kills = int(os.environ.get("FAULT_KILLS", "3"))
    for number in range(kills):
        worker = start("both", now=NOW + timedelta(minutes=10 * number), port=smtp.port, rounds=200)
        wait_until_joined()
        time.sleep(chance.uniform(0.0, 1.5))  # any moment will do
        worker.kill()
        worker.communicate()
        wait_until_alone()
    for minutes in (0, 3, 6, 7):
        sending.send_due(NOW + timedelta(minutes=10 * kills + minutes), server=smtp.server)
    assert assert_never_twice(planned, smtp) <= kills
    assert not Enrolment.objects.filter(state="active", next_step_at=None).exists()
