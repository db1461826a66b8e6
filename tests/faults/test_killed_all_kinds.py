"""Workers killed, and their connections cut, over a program of all step kinds: each effect once, nobody stuck.

FAULT_PEOPLE=5000 and FAULT_KILLS=100 for the long run.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet

from leads.models import Contact, CustomField
from nurture import engine, queries, sending, turn
from nurture.kinds import KINDS
from nurture.models import Enrolment, Program, Sending, SplitPass, StepVisit, Task, WebhookCall
from scoring.models import HandOff, Notice, PointsGiven
from segments.models import Membership
from tests.database import wait_until_alone, wait_until_joined
from tests.faults.running import run, start
from tests.makers import NOW, make_owner, make_user
from tests.nurture import random_programs
from tests.nurture.makers import make_people, make_program, make_template, put_in, segment_of, set_workspace, step, wait
from tests.nurture.sink import sink
from tests.scoring.conftest import make_model

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = int(os.environ.get("FAULT_PEOPLE", "12"))
KILLS = int(os.environ.get("FAULT_KILLS", "2"))
HOT = {"field": "contact.tags", "op": "includes_any", "value": [random_programs.HOT]}

POINTS = [
    "nurture.kinds.give_points:give_points:after:1",
    "nurture.kinds.hand_to_sales:hand_over:after:2",
    "nurture.kinds.segments:remove_from_segment:after:1",
    "nurture.splits:begin:after:1",
    "scoring.notices:tell:after:1",
    "nurture.webhooks:queue:after:2",
]


def build(people: int = PEOPLE) -> Program:
    """Everybody has entered a program in which each kind of step stands, and nobody has moved."""
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    owner = make_owner("Olga", user=make_user())
    make_template(slug="letter")
    found = make_people(people, stage="inquiry", owner=owner)
    make_model(rules=[("fit", "Hot", 1, HOT)])
    other = make_program(wait(30), name="Other", intake="new")
    Program.objects.filter(pk=other.pk).update(slug="other")
    fixed = segment_of(other).slug
    steps = [node | ({"segment": fixed} if "segment" in node else {}) for node in random_programs.every_kind().steps]
    steps[:0] = [
        step("split", "split", weights={"a": 1, "b": 1}, winner={"conditions": HOT, "days": 1}, a=[], b=[]),
        step("notify", "notify", text="Look", whom="owner"),
        step("webhook", "webhook", url="https://receiver.example/ripen"),
    ]
    assert {node["kind"] for node in steps} == set(KINDS)
    program = make_program(*steps, name="Everything")
    put_in(segment_of(program), found)
    turn.take_in(NOW)
    return program


def finish(at: datetime = NOW) -> None:
    """As the next beats do; the killed worker's locks fall with its connection."""
    wait_until_alone()
    until = time.monotonic() + 300
    while Enrolment.objects.filter(state="active", next_step_at__lte=at).exists():
        engine.run_due(at, batch=500)
        assert time.monotonic() < until, "somebody is stuck"


def assert_once(program: Program) -> None:
    ids = sorted(Contact.objects.values_list("pk", flat=True))
    once = dict.fromkeys(ids, 1)
    visits = StepVisit.objects.filter(enrolment__program=program)
    done = [key for key in ("start", *(node["id"] for node in program.versions.get().tree["steps"])) if key not in "we"]
    assert Counter(visits.values_list("step", flat=True)) == dict.fromkeys(done, len(ids))
    assert set(Enrolment.objects.filter(program=program).values_list("state", "step")) == {("active", "w")}
    assert whose(Sending.objects.all()) == once
    assert whose(Task.objects.all()) == once
    assert whose(PointsGiven.objects.all()) == once
    assert whose(HandOff.objects.all()) == once
    assert whose(WebhookCall.objects.all()) == once
    assert whose(Notice.objects.filter(kind=Notice.Kind.PROGRAM)) == once
    assert (
        whose(Enrolment.objects.filter(program__slug="other", state="left", ended_why=f"program:{program.slug}"))
        == once
    )
    assert Counter(SplitPass.objects.values_list("enrolment__contact_id", flat=True)) == once
    fixed = Membership.objects.filter(segment__triggered_versions__program__slug="other")
    assert Counter(fixed.exclude(until=None).values_list("contact_id", flat=True)) == once
    assert not fixed.filter(until=None).exists()
    assert set(Contact.objects.values_list("stage", "source", "owner__name")) == {("mql", "x", "Olga")}
    assert not any(tags for (tags,) in Contact.objects.values_list("tags"))
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def whose(rows: QuerySet[Any]) -> Counter[int]:
    return Counter(rows.values_list("contact_id", flat=True))


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str) -> None:
    program = build()
    assert run("walk", now=NOW, kill=point) == -9
    finish()
    assert_once(program)


def test_killed_at_random_cut_off_and_the_cache_emptied() -> None:
    """As when machines fail: workers die at any moment, all connections to the database are cut at once, Redis forgets everything."""
    program = build()
    chance = random.Random(11)
    with sink() as smtp:
        for number in range(KILLS):
            at = NOW + timedelta(minutes=10 * number)
            worker = start("both", now=at, port=smtp.port, batch=max(10, PEOPLE // 50), rounds=200)
            wait_until_joined()
            time.sleep(chance.uniform(0.0, 1.5))  # any moment will do
            if number % 3 == 1:
                cut_off()
                cache.clear()
            worker.kill()
            worker.communicate()
            wait_until_alone()
        over = NOW + timedelta(minutes=10 * KILLS)
        finish(over)
        assert_once(program)
        for minutes in (0, 3, 6, 7):
            sending.send_due(over + timedelta(minutes=minutes), server=smtp.server)
        received = Counter(smtp.recipients)
    assert max(received.values(), default=0) <= 1
    sent = set(Sending.objects.filter(state="sent").values_list("address", flat=True))
    uncertain = set(Sending.objects.filter(state="uncertain").values_list("address", flat=True))
    assert sent <= set(received)
    assert set(received) | uncertain == set(Contact.objects.values_list("email", flat=True))
    assert len(uncertain) <= KILLS * 2 * sending.SLICE


def cut_off() -> None:
    """Every other connection to this database breaks, as when the server restarts."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
