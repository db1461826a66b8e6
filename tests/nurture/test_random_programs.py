"""Random programs over random clocks and random answers: everybody ends where the plain interpreter says.

RIPEN_PROGRAMS asks for more programs than the usual number, RIPEN_SEED for others.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, example, given, settings

from leads import actions as facts
from leads.actions import NewActivity, record_activities
from leads.consent import withdraw_consent
from leads.models import Contact, CustomField
from nurture import actions, engine, queries, turn
from nurture.kinds import KINDS
from nurture.models import Enrolment, Sending, Task
from scoring.models import HandOff, PointsGiven
from segments.actions import remove_from_segment, save_segment
from segments.models import Membership, Segment
from tests.makers import NOW, make_contact, make_owner
from tests.nurture import interpreter, random_programs
from tests.nurture.interpreter import Document
from tests.nurture.makers import make_template, publish, put_in, set_workspace
from tests.nurture.random_programs import Beat, Drawn
from tests.scoring.conftest import make_model

EXAMPLES = int(os.environ.get("RIPEN_PROGRAMS", "8"))
HOME = "Europe/Berlin"
NOBODY = [("fit", "Never", 1, {"field": "contact.title", "op": "is", "value": "nobody is called so"})]
# Steps whose effect lies outside, and those that chance decides (tests/nurture/test_splits.py).
OUTSIDE = {"notify", "webhook", "split"}


class Company:
    """What all drawn programs share: people, segments, a score model, and another program that some start."""

    def __init__(self, *, zones: Sequence[str] = random_programs.ZONES) -> None:
        at = min(random_programs.STARTS) - timedelta(days=1)
        set_workspace(timezone=HOME)
        CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
        make_owner("Olga")
        make_template(slug="letter")
        self.people = [make_contact(timezone=zone, stage="inquiry") for zone in zones]
        self.segments = {slug: self._segment(slug, at) for slug in ("members", "banned", "met", "others")}
        make_model(rules=NOBODY, now=at)
        self.publish("other", OTHER.steps, OTHER.around, segment="others", at=at)
        turn.turn(at)

    @staticmethod
    def _segment(slug: str, at: datetime) -> Segment:
        return save_segment(
            None, name=slug, slug=slug, conditions=None, mode=Segment.Mode.FIXED, actor=None, now=at, everybody=True
        )

    def publish(self, slug: str, steps: list[Document], around: Document, *, segment: str, at: datetime) -> None:
        program = actions.create_program(
            name=slug,
            slug=slug,
            trigger_segment=self.segments[segment],
            document={"steps": steps},
            actor=None,
            now=at,
        )
        draft = program.versions.get()
        actions.set_around(draft, edit_number=draft.edit_number, document=around, now=at)
        publish(program, now=at)

    def start(self, drawn: Drawn, at: datetime) -> None:
        """The drawn program goes live, and everybody comes into its segment."""
        self.publish("main", drawn.steps, drawn.around, segment="members", at=at)
        put_in(self.segments["members"], self.people, now=at)

    def answer(self, number: int, answer: str, at: datetime) -> None:
        """The same as random_programs.apply, through the product's own actions."""
        person = self.people[number]
        ids = [person.pk]
        match answer:
            case "opens":  # dated back, so that it stands whatever the clock does later
                record_activities([NewActivity(person.pk, "email_open", NOW - timedelta(days=400))], now=at)
            case "is_titled":
                facts.set_field_for(ids, field="title", value="CFO", now=at)
            case "loses_title":
                facts.set_field_for(ids, field="title", value=None, now=at)
            case "is_tagged":
                facts.add_tag(ids, tag=random_programs.HOT, now=at)
            case "is_untagged":
                facts.remove_tag(ids, tag=random_programs.HOT, now=at)
            case "moves_on":
                facts.move_stages(ids, to="mql", cause="test", reason="", now=at)
            case "is_lost":
                facts.move_stages(ids, to="lost", cause="test", reason="", now=at)
            case "refuses":
                withdraw_consent(str(person.email), source="test", now=at, contact=person)
            case "leaves":
                remove_from_segment(self.segments["members"], contact_ids=ids, cause="test", actor=None, now=at)
            case "comes_back":
                put_in(self.segments["members"], [person], now=at)
            case "is_banned":
                put_in(self.segments["banned"], [person], now=at)
            case "is_unbanned":
                remove_from_segment(self.segments["banned"], contact_ids=ids, cause="test", actor=None, now=at)
            case "meets":
                put_in(self.segments["met"], [person], now=at)
            case "renews_soon":
                facts.set_field_for(ids, field="custom.renewal", value=random_programs.soon(at), now=at)
            case "renews_on_the_29th":
                facts.set_field_for(ids, field="custom.renewal", value="2024-02-29", now=at)
            case "no_day":
                facts.set_field_for(ids, field="custom.renewal", value=None, now=at)
            case _:
                raise AssertionError(answer)

    def traces(self) -> list[dict[str, Any]]:
        return [self._trace(person) for person in self.people]

    def _trace(self, person: Contact) -> dict[str, Any]:
        row = Contact.objects.select_related("owner").get(pk=person.pk)
        walks = Enrolment.objects.filter(contact=row).select_related("program").order_by("id")
        mails = Sending.objects.filter(contact=row).order_by("id")
        members = Membership.objects.filter(contact=row, until=None)
        return {
            "walks": [
                {
                    "in": (walk.program.slug, walk.round, walk.entered_at),
                    "at": (walk.state, walk.step, walk.next_step_at),
                    "end": (walk.ended_at, walk.ended_why),
                    "goal": walk.goal_at,
                    "visits": list(walk.visits.order_by("visit").values_list("step", "outcome", "done_at")),
                }
                for walk in walks
            ],
            "mails": [(mail.step, int(mail.key.rpartition(":")[2]), mail.state, mail.why_not) for mail in mails],
            "facts": (row.title, row.source, row.owner.name if row.owner else "", row.stage, sorted(row.tags)),
            "segments": sorted(members.values_list("segment__slug", flat=True)),
            "tasks": Task.objects.filter(contact=row).count(),
            "points": sum(PointsGiven.objects.filter(contact=row).values_list("points", flat=True)),
            "leads": HandOff.objects.filter(contact=row).count(),
        }


EVERY_KIND = random_programs.every_kind()
OTHER = Drawn(
    [{"id": "o1", "kind": "wait", "for": {"value": 3, "unit": "days"}}, {"id": "o2", "kind": "add_tag", "tag": "other"}],
    {"again": {"days": 2}},
)  # fmt: skip


def imagined(drawn: Drawn, at: datetime, *, zones: Sequence[str] = random_programs.ZONES) -> interpreter.World:
    people = [interpreter.Person(number, zone=zone) for number, zone in enumerate(zones)]
    programs = [
        interpreter.Program("other", "others", OTHER.steps, OTHER.around),
        interpreter.Program("main", "members", drawn.steps, drawn.around, drawn.holds),
    ]
    for person in people:
        person.join("members", at)
    return interpreter.World(people, programs, ZoneInfo(HOME))


def told(world: interpreter.World) -> list[dict[str, Any]]:
    return [
        {
            "walks": [
                {
                    "in": (walk.program.slug, walk.round, walk.entered_at),
                    "at": (walk.state, walk.step, walk.due_at),
                    "end": (walk.ended_at, walk.ended_why),
                    "goal": walk.goal_at,
                    "visits": walk.visits,
                }
                for walk in person.walks
            ],
            "mails": [(mail.step, mail.visit, mail.state, mail.why_not) for mail in person.mails],
            "facts": (person.title, person.source, person.owner, person.stage, sorted(person.tags)),
            "segments": sorted(person.segments),
            "tasks": person.tasks,
            "points": person.points,
            "leads": int(person.is_handed),
        }
        for person in world.people
    ]


@pytest.mark.django_db
def test_everybody_ends_where_the_interpreter_says() -> None:
    company = Company()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=not {"RIPEN_PROGRAMS", "RIPEN_SEED"} & os.environ.keys(),
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        database=None,
    )
    @example(drawn=EVERY_KIND, beats=[Beat(random_programs.STARTS[0], [])])
    @given(drawn=random_programs.programs(), beats=random_programs.histories())
    def ends_there(drawn: Drawn, beats: list[Beat]) -> None:
        with transaction.atomic():
            company.start(drawn, beats[0].at)
            world = imagined(drawn, beats[0].at)
            for beat in beats:
                for number, answer in beat.answers:
                    company.answer(number, answer, beat.at)
                    random_programs.apply(world.people[number], answer, beat.at)
                report = turn.turn(beat.at)
                assert (report.definitions.problems, report.steps.parked) == ({}, 0)
                world.beat(beat.at)
            assert company.traces() == told(world)
            assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
            transaction.set_rollback(True)

    ends_there()


def test_programs_are_drawn_of_every_kind() -> None:
    """A new kind is taught to the interpreter, or said to have its effect outside."""
    assert set(random_programs.KINDS) == set(KINDS) - OUTSIDE
    assert set(EVERY_KIND.kinds()) == set(random_programs.KINDS)


@pytest.mark.django_db(transaction=True)
def test_overlapping_beats_and_eight_workers_do_each_step_once() -> None:
    """Two beats and six more walkers at once, in small batches, at each moment. Nobody leaves the program that they just started:
    whether its entry came first is for the workers to say."""
    zones = random_programs.ZONES * 6
    steps = [node for node in EVERY_KIND.steps if node["kind"] != "leave_program"]
    drawn = Drawn(steps, {"exit": {"when": "no_member"}}, EVERY_KIND.holds)
    company, at = Company(zones=zones), random_programs.STARTS[0]
    company.start(drawn, at)
    world = imagined(drawn, at, zones=zones)
    answers = [(0, "leaves"), (1, "is_titled"), (2, "refuses"), (3, "renews_soon"), (4, "moves_on")]
    for beat in (
        Beat(at, []),
        Beat(at + timedelta(hours=20), answers),
        *(Beat(at + timedelta(days=n), []) for n in (1, 3, 4)),
    ):
        for number, answer in beat.answers:
            company.answer(number, answer, beat.at)
            random_programs.apply(world.people[number], answer, beat.at)
        at_once([partial(turn.turn, beat.at)] * 2 + [partial(engine.run_due, beat.at, batch=3)] * 6)
        turn.turn(beat.at)  # what the others held when it was looked for
        world.beat(beat.at)
        assert company.traces() == told(world)
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()


def at_once(jobs: Sequence[Callable[[], object]]) -> None:
    """Each in a thread with a connection of its own, let go together."""
    ready = threading.Barrier(len(jobs))

    def work(job: Callable[[], object]) -> None:
        try:
            connection.ensure_connection()
            ready.wait()
            job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        for done in [threads.submit(work, job) for job in jobs]:
            done.result()
