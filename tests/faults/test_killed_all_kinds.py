"""Workers killed, and their connections cut, over a program of all step kinds: each effect once, nobody stuck.

FAULT_PEOPLE=5000 and FAULT_KILLS=100 for the long run.
"""

from __future__ import annotations

import os
import random
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from pytest_django import Settings

from nurture.mailing import notices
from tests.database import wait_until_alone, wait_until_joined
from tests.faults import everything
from tests.faults.running import run, start
from tests.makers import NOW
from tests.nurture.receiver import answering, receiver
from tests.nurture.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = int(os.environ.get("FAULT_PEOPLE", "12"))
KILLS = int(os.environ.get("FAULT_KILLS", "2"))

POINTS = [
    "nurture.kinds.give_points:give_points:after:1",
    "nurture.kinds.hand_to_sales:hand_over:after:2",
    "nurture.kinds.segments:remove_from_segment:after:1",
    "nurture.splits:begin:after:1",
    "scoring.notices:tell:after:1",
    "nurture.webhooks:queue:after:2",
]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str) -> None:
    program = everything.build(PEOPLE)
    assert run("walk", now=NOW, kill=point) == -9
    everything.finish()
    everything.assert_once(program)


def test_killed_at_random_cut_off_and_the_cache_emptied(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when machines fail: workers die at any moment, all connections to the database are cut at once, Redis forgets everything."""
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("WEBHOOK_INNER_HOSTS", "127.0.0.1")
    chance = random.Random(11)
    with sink() as smtp, receiver(answering(200, "ok")) as http:
        program = everything.build(PEOPLE, url=http.url)
        for number in range(KILLS):
            at = NOW + timedelta(minutes=10 * number)
            worker = start("all", now=at, port=smtp.port, batch=max(10, PEOPLE // 50), rounds=200)
            wait_until_joined()
            time.sleep(chance.uniform(0.0, 1.5))  # any moment will do
            if number % 3 == 1:
                cut_off()
                cache.clear()
            worker.kill()
            worker.communicate()
            wait_until_alone()
        over = NOW + timedelta(minutes=10 * KILLS)
        everything.finish(over)
        everything.finish_outside(over, smtp)
        everything.assert_once(program)
        assert everything.assert_mailed_once(smtp) <= KILLS  # the journal tells of all others
        assert everything.assert_told_once(smtp) <= KILLS * notices.AT_ONCE
        everything.assert_called_once(http)


def cut_off() -> None:
    """Every other connection to this database breaks, as when the server restarts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
