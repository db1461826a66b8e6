"""What a publication does to the people inside: for each step where somebody stands a choice, with exact numbers, done page by page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from leads.models import Mark
from leads.queries import mark
from nurture import queries_around, tree
from nurture.kinds import KINDS, START, Names, Step
from nurture.models import Program, ProgramVersion, Publication
from nurture.publication import queries_moving, queries_publishing

FINISH = "finish"  # on the version they are in
STAY = "stay"  # at the same step of the new version, due as before
RETIME = "retime"  # there too, the wait counted anew from when they came
RELEASE = "release"
TO = "to:"  # and the id of a step


@dataclass(frozen=True)
class Stop:
    """A step of an earlier version at which people stand, beside the same step of the draft."""

    version: ProgramVersion
    step_id: str
    words: str
    people: int
    change: str  # same, changed, removed
    can_wait: bool

    @property
    def key(self) -> str:
        return f"{self.version.pk}:{self.step_id}"

    @property
    def offers(self) -> list[str]:
        """Choices besides going over to another step; the first is the one that nothing else was chosen for."""
        offers = [FINISH]
        if self.change != "removed":
            offers.append(STAY)
            if self.can_wait:
                offers.append(RETIME)
        return [*offers, RELEASE]


def stops(program: Program, draft: ProgramVersion, names: Names) -> list[Stop]:
    """Every step at which somebody stands, with how many. Two statements."""
    fresh = {step.id: step for step in tree.check(draft.tree).walk()}
    versions = {version.pk: version for version in program.versions.all()}
    trees = {pk: {step.id: step for step in tree.check(version.tree).walk()} for pk, version in versions.items()}
    found = []
    for version_id, step_id, people in queries_moving.standing(program.pk):
        old, new = trees[version_id].get(step_id), fresh.get(step_id)
        words = KINDS[old.kind].words(old.values, names) if old else _("Entry")
        found.append(
            Stop(versions[version_id], step_id, words, people, _change(step_id, old, new), bool(new) and _waits(new))
        )
    return found


def _change(step_id: str, old: Step | None, new: Step | None) -> str:
    if step_id == START:
        return "same"
    if new is None or old is None or new.kind != old.kind:
        return "removed"
    return "same" if new.values == old.values else "changed"


def _waits(step: Step | None) -> bool:
    return step is not None and KINDS[step.kind].makes_wait


class BadChoice(Exception):
    """A choice that does not fit the step; the message is for people."""


Row = dict[str, Any]  # of Publication.sheet


def rows(stops: Sequence[Stop], draft: ProgramVersion, choices: Mapping[str, str], names: Names) -> list[Row]:
    """The sheet as it was decided, to be stored: what was chosen for each stop (by its key), with its people. Raises BadChoice."""
    fresh = {step.id: step for step in tree.check(draft.tree).walk()}
    found = []
    for stop in stops:
        choice = choices.get(stop.key, FINISH)
        if choice not in stop.offers and not (choice.startswith(TO) and choice.removeprefix(TO) in fresh):
            raise BadChoice(_("“%(step)s”: that cannot be chosen for the people there.") % {"step": stop.words})
        place = {"version": stop.version.pk, "number": stop.version.number, "step": stop.step_id, "words": stop.words}
        step = fresh.get(choice.removeprefix(TO)) if choice.startswith(TO) else None
        onto = {"onto": str(KINDS[step.kind].words(step.values, names))} if step else {}
        found.append({**place, "people": stop.people, "choice": choice, **onto})
    return found


def kind_of(choice: str) -> str:
    """finish, stay, retime, release, or to: whatever the step."""
    return "to" if choice.startswith(TO) else choice


def move_page(publication: Publication, row: Row, fresh: Mapping[str, Step], *, after: int, limit: int) -> list[int]:
    """Do what was chosen for the next people at a stop; their enrolments. A handful of statements, one transaction of the caller's.

    Whatever page somebody is on, they go over at one moment: that at which the version went live.
    """
    now, version_id, choice = publication.switched_at, publication.version_id, row["choice"]
    assert now is not None
    assert version_id is not None
    people = queries_publishing.take_page(
        publication.pk, version_id=row["version"], step=row["step"], after=after, limit=limit
    )
    ids = [enrolment_id for enrolment_id, _contact_id, _arrived in people]
    if choice == STAY:
        queries_moving.go_over(ids, version_id=version_id)
    elif choice == RELEASE:
        queries_publishing.note_released(publication.pk, ids)
        queries_around.end_walks(ids, state="left", why="released", now=now)
        mark([contact_id for _id, contact_id, _arrived in people], Mark.Facet.DEFINITION)
    elif choice == RETIME:
        step = fresh[row["step"]]
        due = due_from(step, ((contact_id, arrived) for _id, contact_id, arrived in people))
        moments = [max(due.get(contact_id, now), now) for _id, contact_id, _arrived in people]
        arrivals = [arrived for _id, _contact_id, arrived in people]
        queries_moving.put_at(ids, moments, version_id=version_id, step=step.id, arrived_at=arrivals)
    elif choice.startswith(TO):
        step = fresh[choice.removeprefix(TO)]
        due = due_from(step, ((contact_id, now) for _id, contact_id, _arrived in people))
        moments = [due.get(contact_id, now) for _id, contact_id, _arrived in people]
        queries_moving.put_at(ids, moments, version_id=version_id, step=step.id, arrived_at=[now] * len(ids))
    return ids


def due_from(step: Step, arrivals: Iterable[tuple[int, datetime]]) -> dict[int, datetime]:
    """Contact -> when they are due at the step, having come there at that moment: those who came together are asked together."""
    together: defaultdict[datetime, list[int]] = defaultdict(list)
    for contact_id, arrived in arrivals:
        together[arrived].append(contact_id)
    due: dict[int, datetime] = {}
    for arrived, contact_ids in together.items():
        due |= KINDS[step.kind].due_at(step.values, contact_ids, arrived)
    return due
