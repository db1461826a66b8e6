"""Workers killed in mid-step: every effect once, nobody stuck."""

from __future__ import annotations

import time
from collections import Counter
from datetime import timedelta

import pytest

from leads.models import Activity, Contact, Mark
from nurture import actions, engine, queries, turn
from nurture.models import Enrolment, Sending, StepVisit, Task
from segments.models import Membership
from tests.database import wait_until_alone
from tests.faults.running import run, start
from tests.makers import NOW, make_segment
from tests.nurture.makers import mail, make_people, make_program, make_template, publish, put_in, segment_of, step, wait

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 35
STEPS = ("start", "tag", "mail", "task", "stage", "add", "branch", "field")

KILLS = [
    "nurture.queries:claim_due:after:1",
    "nurture.queries:claim_due:after:5",
    "nurture.queries:advance:before:1",
    "nurture.queries:advance:after:1",
    "nurture.queries:advance:after:7",
    "nurture.kinds.tags:add_tag:after:2",
    "nurture.mailing.queries_sending:queue_mails:before:1",
    "nurture.mailing.queries_sending:queue_mails:after:2",
    "nurture.queries:create_tasks:after:1",
    "nurture.kinds.stage:move_stages:after:1",
    "nurture.kinds.segments:add_to_segment:after:1",
    "nurture.kinds.set_field:set_field_for:after:1",
    "nurture.engine:plan:after:3",
]


def build() -> list[Contact]:
    fixed = make_segment(name="Met")
    program = make_program(
        step("add_tag", "tag", tag="hot"),
        mail(make_template(), "mail"),
        step("create_task", "task", title="Call"),
        step("change_stage", "stage", to="mql"),
        step("add_to_segment", "add", segment=fixed.slug),
        step("branch", "branch", conditions={"field": "contact.title", "op": "is_known"}, yes=[], no=[]),
        step("set_field", "field", field="source", value="nurtured"),
        wait(1, "days", "wait"),
    )
    people = make_people(PEOPLE)
    put_in(segment_of(program), people)
    turn.take_in(NOW)
    return people


def finish() -> None:
    """As the next beats do; the killed worker's locks fall with its connection."""
    wait_until_alone()
    until = time.monotonic() + 120
    while Enrolment.objects.filter(state="active", next_step_at__lte=NOW).exists():
        engine.run_due(NOW, batch=10)
        assert time.monotonic() < until, "somebody is stuck"


def assert_once(people: list[Contact]) -> None:
    ids = [person.pk for person in people]
    assert Counter(StepVisit.objects.values_list("step", flat=True)) == dict.fromkeys(STEPS, PEOPLE)
    assert Counter(Sending.objects.values_list("contact_id", flat=True)) == dict.fromkeys(ids, 1)
    assert Counter(Task.objects.values_list("contact_id", flat=True)) == dict.fromkeys(ids, 1)
    assert Counter(
        Membership.objects.filter(segment__name="Met").values_list("contact_id", flat=True)
    ) == dict.fromkeys(ids, 1)
    assert set(Contact.objects.values_list("stage", "source")) == {("mql", "nurtured")}
    assert [tags for (tags,) in Contact.objects.values_list("tags")] == [["hot"]] * PEOPLE
    assert set(Enrolment.objects.values_list("state", "step", "next_step_at")) == {
        ("active", "wait", NOW + timedelta(days=1))
    }
    assert Enrolment.objects.count() == PEOPLE
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
    assert Mark.objects.exists()
    assert not Activity.objects.exists()


@pytest.mark.parametrize("point", KILLS)
def test_killed_at(point: str) -> None:
    people = build()
    assert run("walk", now=NOW, kill=point) == -9
    finish()
    assert_once(people)


@pytest.mark.parametrize(
    "point", ["nurture.queries_around:end_walks:after:2", "nurture.queries_around:set_goal:after:1"]
)
def test_killed_while_people_leave(point: str) -> None:
    """Half reach the goal, half are let go: each noted once, and the mails that waited are taken back with them."""
    rule = {"field": "contact.title", "op": "is_known"}
    program = make_program(mail(make_template(), "mail"), wait(1, "days", "wait"), live=False)
    draft = program.versions.get()
    around = {"goal": {"conditions": rule}, "exit": {"conditions": {"not": rule}}}
    actions.set_around(draft, edit_number=draft.edit_number, document=around, now=NOW)
    publish(program)
    people = make_people(PEOPLE)
    put_in(segment_of(program), people)
    turn.take_in(NOW)
    Enrolment.objects.update(step="wait", visit=3, next_step_at=NOW)  # as if they had gone in before
    Contact.objects.filter(pk__in=[person.pk for person in people[:20]]).update(title="CFO")
    assert run("walk", now=NOW, kill=point) == -9
    finish()
    ended = Counter(Enrolment.objects.values_list("state", "ended_why"))
    assert ended == {("finished", "goal"): 20, ("left", "exit"): PEOPLE - 20}
    assert Enrolment.objects.filter(goal_at=NOW).count() == 20
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def test_killed_while_people_enter_another_program() -> None:
    other = make_program(wait(1, "days", "w"), intake="new")
    program = make_program(step("start_program", "start-other", program=other.slug), wait(1, "days", "wait"))
    people = make_people(PEOPLE)
    put_in(segment_of(program), people)
    turn.take_in(NOW)
    assert run("walk", now=NOW, kill="nurture.queries_around:enrol_by_program:after:2") == -9
    finish()
    entered = Enrolment.objects.filter(program=other).values_list("contact", flat=True)
    assert Counter(entered) == dict.fromkeys([person.pk for person in people], 1)
    assert Counter(StepVisit.objects.filter(step="start-other").values_list("outcome", flat=True)) == {"done": PEOPLE}
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def test_killed_again_and_again() -> None:
    people = build()
    for number in (1, 2, 3):
        run("walk", now=NOW, kill=f"nurture.queries:advance:after:{number}")
    finish()
    assert_once(people)


def test_four_workers_at_once() -> None:
    people = build()
    workers = [start("walk", now=NOW, batch=3) for _each in range(4)]
    for worker in workers:
        _out, said = worker.communicate(timeout=300)
        assert worker.returncode == 0, said
    finish()
    assert_once(people)


def test_killed_while_people_enter() -> None:
    program = make_program(wait(1, "days", "w"))
    people = make_people(PEOPLE)
    put_in(segment_of(program), people)
    assert run("take_in", now=NOW, kill="nurture.queries:enrol_page:after:2") == -9
    wait_until_alone()
    assert Enrolment.objects.count() == 10
    turn.take_in(NOW)
    assert Counter(Enrolment.objects.values_list("contact_id", flat=True)) == dict.fromkeys([p.pk for p in people], 1)
    program.refresh_from_db()
    assert program.stale_since is None
