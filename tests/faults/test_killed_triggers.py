"""Workers killed while they let people in by every kind of trigger and from a queue: nobody twice, nobody lost.

FAULT_PEOPLE=5000 and FAULT_KILLS=100 for the long run.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import Count

from leads import actions as facts
from leads.models import Contact, CustomField, Mark
from nurture import actions, queries, turn
from nurture.models import Enrolment, EntryPlace, EntryQueue, Program, Trigger
from nurture.publication import publishing
from tests.database import wait_until_alone, wait_until_joined
from tests.faults.running import run, start
from tests.makers import NOW, make_activity, make_segment
from tests.nurture.makers import make_people, make_program, put_in, segment_of, set_workspace, step, wait

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
LOOK = timedelta(minutes=20)  # after the day has come in the contacts' field
KILLS = int(os.environ.get("FAULT_KILLS", "2"))
WAVE = max(2, int(os.environ.get("FAULT_PEOPLE", "12")) // KILLS // 6)  # for each of six ways
A_DAY = 2

POINTS = [
    "nurture.queries_triggers:enrol_arrivals:after:1",  # with the marks taken and the tags remembered
    "nurture.triggers.day:next_look:before:1",  # entered by the clock, which has not moved on
    "nurture.queries_triggers:let_in:after:1",
]


@dataclass
class Ways:
    """A program with six triggers, another that is a queue of so many a day, and who must come into both by what."""

    program: Program
    queue: Program
    before: Program
    queued: list[int]
    expected: dict[int, str] = field(default_factory=dict)

    def come(self, at: datetime, people: int = WAVE) -> None:
        """New people come to each of the triggers on that day."""
        members, risen, visitors, tagged, dated, finished = (make_people(people) for _way in range(6))
        put_in(segment_of(self.program), members, now=at)
        for person in risen:
            facts.move_stage(person, to="mql", actor=None, cause="by_hand", reason="", now=at, by_hand=True)
        for person in visitors:
            make_activity(person, "form_submit", at=at)
        facts.add_tag([person.pk for person in tagged], tag="hot", now=at)
        Contact.objects.filter(pk__in=[one.pk for one in dated]).update(custom={"renewal": at.date().isoformat()})
        put_in(segment_of(self.before), finished, now=at)
        ways = [
            (members, f"segment:{segment_of(self.program).slug}"),
            (risen, "stage#t2"), (visitors, "activity#t3"), (tagged, "tag#t4"), (dated, "day#t5"), (finished, "program#t6"),
        ]  # fmt: skip
        self.expected |= {person.pk: why for found, why in ways for person in found}

    def finish(self, at: datetime) -> None:
        """As the next beats do, until the queue is empty."""
        wait_until_alone()
        while EntryPlace.objects.exists() or Mark.objects.exists():
            turn.turn(at)
            at += DAY
            assert at < NOW + 400 * DAY, "somebody waits for ever"

    def assert_once(self) -> None:
        walks = self.program.enrolments.values_list("contact_id", "entered_why")
        assert dict(walks) == self.expected
        assert len(walks) == len(self.expected)
        assert sorted(self.queue.enrolments.values_list("contact_id", flat=True)) == self.queued
        by_day = self.queue.enrolments.values("entered_at__date").annotate(people=Count("pk"))
        assert {row["people"] for row in by_day} == {A_DAY}
        assert not EntryQueue.objects.exists()
        assert Trigger.objects.get(kind="day").looked_until is not None
        assert not Enrolment.objects.filter(state="parked").exists()
        assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def build(*, days: int) -> Ways:
    set_workspace(timezone="UTC")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    queued = make_people(A_DAY * days, source="queued")
    before = make_program(step("end"), name="Before")
    program = make_triggered(
        "Ways in",
        {"kind": "segment", "segment": make_segment().slug},
        {"kind": "stage", "stages": ["mql"]},
        {"kind": "activity", "activity": {"did": "form_submit"}},
        {"kind": "tag", "tag": "hot"},
        {"kind": "day", "field": "custom.renewal", "at": "12:10", "clock": "workspace"},
        {"kind": "program", "program": before.slug},
    )
    waiting = make_segment()
    put_in(waiting, queued)
    queue = make_triggered("Queue", {"kind": "segment", "segment": waiting.slug}, intake="all", per_day=A_DAY)
    assert EntryPlace.objects.count() == len(queued)
    Mark.objects.all().delete()
    return Ways(program, queue, before, sorted(person.pk for person in queued))


def make_triggered(name: str, *triggers: dict[str, Any], intake: str = "new", **values: Any) -> Program:
    listed = [{"id": f"t{place}", **one} for place, one in enumerate(triggers, start=1)]
    program = actions.create_program(
        name=name, trigger_segment=None, triggers=listed, document={"steps": [wait(400, "days", "w")]}, actor=None, now=NOW
    )  # fmt: skip
    publishing.publish(program.versions.get(), edit_number=1, intake=intake, since=None, actor=None, now=NOW, **values)
    return program


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(point: str) -> None:
    ways = build(days=2)
    ways.come(NOW + timedelta(minutes=1))
    assert run("turn", now=NOW + LOOK, kill=point) == -9
    ways.finish(NOW + LOOK)
    ways.assert_once()


def test_killed_at_random_day_after_day() -> None:
    ways = build(days=KILLS + 1)
    chance = random.Random(13)
    for number in range(KILLS):
        at = NOW + number * DAY
        ways.come(at + timedelta(minutes=1))
        worker = start("turn", now=at + LOOK, rounds=200)
        wait_until_joined()
        time.sleep(chance.uniform(0.0, 1.5))  # any moment will do
        worker.kill()
        worker.communicate()
        wait_until_alone()
    ways.finish(NOW + KILLS * DAY + LOOK)
    ways.assert_once()
