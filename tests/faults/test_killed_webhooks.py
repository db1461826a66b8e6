"""Workers killed while they call webhooks: the distinct keys that arrive are exactly those planned, and every call is taken in the end."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from pytest_django import Settings

from nurture import engine, queries, turn, webhooks
from nurture.models import WebhookCall
from tests.database import wait_until_alone
from tests.faults.running import run
from tests.makers import NOW
from tests.nurture.makers import make_people, make_program, put_in, segment_of, step
from tests.nurture.receiver import Receiver, answering, receiver

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 50  # a slice and a bit

KILLS = [
    "nurture.queries_webhooks:claim:after:1",  # claimed and committed, nobody called yet
    "nurture.outside:_exchange:after:7",  # taken, and nobody wrote it down
    "nurture.webhooks:_record:after:11",
]


def plan(found: Receiver) -> list[str]:
    program = make_program(step("webhook", "w", url=found.url))
    put_in(segment_of(program), make_people(PEOPLE))
    turn.take_in(NOW)
    engine.run_due(NOW)
    return sorted(str(token) for token in WebhookCall.objects.values_list("token", flat=True))


@pytest.mark.parametrize("point", KILLS)
def test_killed_at(point: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("WEBHOOK_INNER_HOSTS", "127.0.0.1")
    with receiver(answering(200, "ok")) as found:
        planned = plan(found)
        assert len(planned) == PEOPLE
        assert run("call", now=NOW, kill=point) == -9
        wait_until_alone()
        webhooks.send_due(NOW + timedelta(seconds=1), seconds=120.0)
        webhooks.send_due(NOW + webhooks.LEASE, seconds=120.0)
        received = Counter(found.keys)
    assert sorted(received) == planned
    assert max(received.values()) <= 2
    assert set(WebhookCall.objects.values_list("state", "status")) == {("sent", 200)}
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
