"""Makers of this room's rows: a program that runs, a template, people in a segment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import count
from typing import Any

from leads.models import Contact, Workspace
from nurture import actions, tree
from nurture.engine import Report, run_due
from nurture.models import Enrolment, Program, ProgramVersion, StepVisit, Template
from nurture.publication import publishing, publishing_job
from nurture.turn import take_in
from segments.actions import add_to_segment
from segments.models import Segment
from tests.makers import NOW, make_contact, make_segment

_number = count(1)


def step(kind: str, step_id: str | None = None, **values: Any) -> tree.Document:
    """`step("wait", **{"for": …})`; the id is the kind with a number unless given."""
    return {"id": step_id or f"{kind.replace('_', '-')}-{next(_number)}", "kind": kind, **values}


def wait(value: int = 1, unit: str = "days", step_id: str | None = None) -> tree.Document:
    return step("wait", step_id, **{"for": {"value": value, "unit": unit}})


def make_template(subject: str = "Hello {{ contact.first_name }}", body: str = "<p>Hi</p>", **values: Any) -> Template:
    number = next(_number)
    values.setdefault("format", "html")
    return actions.save_template(
        None,
        name=values.pop("name", f"Template {number}"),
        slug=values.pop("slug", f"template-{number}"),
        subject=subject,
        preheader=values.pop("preheader", ""),
        body=body,
        actor=None,
        now=NOW,
        **values,
    )


def mail(template: Template | None = None, step_id: str | None = None) -> tree.Document:
    return step("send_email", step_id, template=(template or make_template()).slug)


def make_people(number: int, **values: Any) -> list[Contact]:
    return [make_contact(**values) for _each in range(number)]


def make_program(
    *steps: tree.Document,
    segment: Segment | None = None,
    name: str | None = None,
    live: bool = True,
    intake: str = "all",
    now: datetime = NOW,
) -> Program:
    """A program of these steps, live unless said otherwise; takes in all members of a fixed segment of its own."""
    program = actions.create_program(
        name=name or f"Program {next(_number)}",
        trigger_segment=segment or make_segment(),
        document={"steps": list(steps)},
        actor=None,
        now=now,
    )
    if live:
        publish(program, intake=intake, now=now)
        program.refresh_from_db()
    return program


def publish(
    program: Program, *, intake: str = "all", since: datetime | None = None, now: datetime = NOW
) -> ProgramVersion:
    draft = program.versions.get(state="draft")
    return publishing.publish(draft, edit_number=draft.edit_number, intake=intake, since=since, actor=None, now=now)


def work_publications(now: datetime = NOW) -> None:
    """As the worker does it, until nothing is left to do."""
    while publishing_job.run_due(lambda: now, seconds=600.0):
        pass


def segment_of(program: Program) -> Segment:
    version = program.versions.order_by("-number").first()
    assert version is not None
    assert version.trigger_segment is not None
    return version.trigger_segment


def put_in(segment: Segment, people: Iterable[Contact], *, now: datetime = NOW) -> None:
    add_to_segment(segment, contact_ids=[person.pk for person in people], cause="by_hand", actor=None, now=now)


def make_walk(
    *steps: tree.Document, people: int = 1, now: datetime = NOW, **values: Any
) -> tuple[Program, list[Contact]]:
    """A live program with people who have entered and not moved yet."""
    program, found = make_program(*steps, now=now), make_people(people, **values)
    put_in(segment_of(program), found, now=now)
    take_in(now)
    return program, found


def walk(now: datetime = NOW) -> Report:
    return run_due(now)


def trace(contact: Contact) -> list[tuple[str, str]]:
    """(step, outcome) of everything that the person did, without the entry."""
    visits = StepVisit.objects.filter(enrolment__contact=contact).exclude(step="start").order_by("done_at", "visit")
    return list(visits.values_list("step", "outcome"))


def only_enrolment(contact: Contact) -> Enrolment:
    return Enrolment.objects.get(contact=contact)


def set_workspace(**values: Any) -> None:
    Workspace.objects.update_or_create(pk=1, defaults={"business_days": [1, 2, 3, 4, 5], **values})
