"""A withdrawal and a claim never pass each other: no mail is claimed after the withdrawal was committed."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta

import pytest
from django.db import connection, transaction

from leads.actions import withdraw_consent
from leads.models import ConsentEvent
from nurture.mailing import queries_sending, sending
from nurture.models import Sending
from tests.makers import NOW, make_contact
from tests.nurture.makers import make_template, set_workspace

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 120.0  # seconds; only a broken lock makes a test wait that long


def queue(mails: int) -> list[str]:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    template = make_template()
    people = [make_contact(f"reader{number}@example.test") for number in range(mails)]
    Sending.objects.bulk_create(
        Sending(
            key=f"race:{person.pk}",
            contact=person,
            template=template,
            address=str(person.email),
            queued_at=NOW,
            due_at=NOW,
        )
        for person in people
    )
    return [str(person.email) for person in people]


def send() -> None:
    sending.send_due(NOW, seconds=3600.0)


@contextmanager
def running(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """The work in a thread with a connection of its own; its failure is the test's."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(PATIENCE)
    assert not thread.is_alive()
    assert failures == []


def wait_until_somebody_waits() -> None:
    """Until another connection stands before a lock of an address."""
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
                    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                """
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("Nobody waits for the lock.")


def test_a_claim_waits_for_a_withdrawal_that_is_being_written() -> None:
    (address,) = queue(1)
    with ExitStack() as threads, transaction.atomic():
        withdraw_consent(address, source="one_click", now=NOW)
        threads.enter_context(running(send))
        wait_until_somebody_waits()
        assert Sending.objects.get().state == "queued"
    assert (Sending.objects.get().state, Sending.objects.get().why_not) == ("not_sent", "withdrawn")


def test_a_withdrawal_waits_for_a_claim_that_is_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    (address,) = queue(1)
    real = queries_sending.claim_sendings
    seen: list[int] = []

    def withdraw() -> None:
        withdraw_consent(address, source="one_click", now=NOW)
        seen.append(Sending.objects.filter(state__in=["sending", "sent"]).count())

    with ExitStack() as threads:

        def claim(*args: object, **kwargs: object) -> dict[int, str]:
            threads.enter_context(running(withdraw))
            wait_until_somebody_waits()
            assert not ConsentEvent.objects.exists()
            return real(*args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(queries_sending, "claim_sendings", claim)
        assert sending.send_due(NOW).sent == 1
    assert seen == [1]  # the claim was committed first
    assert ConsentEvent.objects.count() == 1


def test_tries_at_random() -> None:
    """CONSENT_RACES=10000 for the long run. Whatever is still queued right after a withdrawal was committed never leaves."""
    tries = int(os.environ.get("CONSENT_RACES", "200"))
    addresses = queue(tries)
    late: set[str] = set()
    places = iter(addresses)
    guard = threading.Lock()
    chance = random.Random(3)

    def withdraw() -> None:
        while True:
            with guard:
                address = next(places, None)
                skipped = chance.random() < 0.2
            if address is None:
                return
            if skipped:
                continue
            withdraw_consent(address, source="one_click", now=NOW)
            if Sending.objects.filter(address=address, state="queued").exists():
                late.add(address)

    with running(withdraw), running(withdraw), running(send):
        pass
    sending.send_due(NOW + timedelta(minutes=10), seconds=3600.0)
    states = dict(Sending.objects.values_list("address", "state"))
    assert {states[address] for address in late} <= {"not_sent"}
    assert set(states.values()) <= {"sent", "not_sent"}
    withdrawn = {address for address, state in states.items() if state == "not_sent"}
    assert set(Sending.objects.filter(state="not_sent").values_list("why_not", flat=True)) <= {"withdrawn"}
    assert withdrawn >= late
