"""A live program whose edit moves everybody inside, and everything that publishing it may touch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from leads.models import Contact
from nurture import actions, entering
from nurture.kinds import Names
from nurture.models import (
    Enrolment,
    EntryPlace,
    EntryQueue,
    Program,
    ProgramVersion,
    Publication,
    Sending,
    Trigger,
    TriggerMatch,
)
from nurture.publication import moving, publishing
from tests.makers import NOW
from tests.nurture.makers import mail, make_people, make_walk, put_in, segment_of, step, wait, walk

LATER = NOW + timedelta(days=1)
HISTORY = frozenset({"updated_at", "stale_since", "publishing_since", "given_by_id"})


@dataclass
class Edited:
    """A live program with people at four steps and a queue in front of it, and a draft that changes all of them."""

    program: Program
    draft: ProgramVersion
    moves: dict[str, str]
    people: list[Contact]

    def ask(self, intake: str = "new", per_day: int | None = None, now: Any = LATER) -> Publication:
        return publishing.ask(
            self.draft,
            edit_number=self.draft.edit_number,
            intake=intake,
            since=None,
            actor=None,
            now=now,
            moves=self.moves,
            per_day=per_day,
            reason="Shorter waits",
        )


def build() -> Edited:
    """Three at a wait, three at another, two at a third whose mail still waits, one parked there, one at the entry; two in the queue."""
    title = {"field": "contact.title", "op": "is"}
    ways = step(
        "branch",
        "b",
        conditions={**title, "value": "A"},
        yes=[wait(10, step_id="a")],
        no=[step("branch", "c", conditions={**title, "value": "B"}, yes=[wait(20, step_id="d")], no=[mail(step_id="m"), wait(30, step_id="e")])],
    )  # fmt: skip
    program, people = make_walk(ways, people=9)
    for title_of, some in (("A", people[:3]), ("B", people[3:6])):
        Contact.objects.filter(pk__in=[person.pk for person in some]).update(title=title_of)
    walk(NOW)
    Enrolment.objects.filter(contact=people[8]).update(state="parked", next_step_at=None, problem="Broken")
    queued = make_people(2, tags=["old"])
    EntryQueue.objects.create(program=program, per_day=1, is_held=True, began_at=NOW)
    for person in queued:
        EntryPlace.objects.create(program=program, contact=person, why="tag#t9", since=NOW)
    at_entry = make_people(1)
    put_in(segment_of(program), at_entry, now=LATER)
    entering.follow([at_entry[0].pk], LATER)
    make_people(2, tags=["hot"])
    draft = actions.start_draft(program, actor=None, now=NOW)
    steps = [wait(5, step_id="a"), wait(6, step_id="d"), wait(7, step_id="new")]
    draft = actions.edit_draft(draft, edit_number=draft.edit_number, change=lambda _old: {"steps": steps}, now=NOW)
    triggers = [{**draft.triggers[0], "id": "t7"}, {"id": "t8", "kind": "tag", "tag": "hot"}]
    draft = actions.set_triggers(draft, edit_number=draft.edit_number, triggers=triggers, now=NOW)
    choices = {"a": "retime", "d": "stay", "e": "release", "start": "to:new"}
    moves = {stop.key: choices[stop.step_id] for stop in moving.stops(program, draft, Names())}
    assert len(moves) == 4
    return Edited(program, draft, moves, [*people, *at_entry])


def rows() -> dict[str, set[tuple[Any, ...]]]:
    """Everything that a publication may touch, without marks and moments that say when something was last changed."""
    found = {}
    for model in (Program, ProgramVersion, Enrolment, Trigger, TriggerMatch, EntryQueue, EntryPlace, Sending):
        columns = [field.attname for field in model._meta.concrete_fields if field.attname not in HISTORY]
        found[model.__name__] = {repr(row) for row in model._default_manager.values_list(*columns)}
    return found  # type: ignore[return-value]
