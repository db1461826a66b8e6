"""Holds people to what stands around the steps: goal, segments kept out, exits. Looked at when a contact changes and before each step."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads.models import Mark
from leads.queries import mark
from nurture import queries_around as queries
from nurture import tree
from nurture.around import END, GOAL_DAYS, NO_MEMBER
from nurture.kinds import KINDS, Names, Step, Walker
from nurture.models import Program, ProgramVersion
from nurture.queries_around import Watched
from nurture.triggers.document import segments
from segments import conditions

HELD_OUT = "held_out"
PAGE = 5_000  # walks looked at in one transaction when a program goes on


def follow(contact_ids: Sequence[int], now: datetime) -> int:
    """A follower of the turn: changed contacts leave, or reach the goal; how many. One statement when no guard stands around them."""
    return _watch(queries.watched_of(contact_ids, now=now, goal_days=GOAL_DAYS), now)


def sweep_page(program_id: int, *, after: int, now: datetime) -> tuple[int, int | None]:
    """Look at the next walks of a program, as after a pause: (changed, last walk looked at or None at the end)."""
    last = queries.last_of_page(program_id, after=after, size=PAGE)
    if last is None:
        return 0, None
    page = queries.watched_page(program_id, after=after, size=PAGE, now=now, goal_days=GOAL_DAYS)
    return _watch(page, now), last


@dataclass(frozen=True)
class Guard:
    """What stands around the steps of one version."""

    program: Program
    version_id: int
    around: Mapping[str, Any]
    segments: tuple[str, ...]  # whose members it takes in
    goal_step: Step | None = None  # where the goal pulls people forward to


def _watch(found: Sequence[Watched], now: datetime) -> int:
    by_version: defaultdict[int, list[Watched]] = defaultdict(list)
    for row in found:
        by_version[row.version_id].append(row)
    versions = ProgramVersion.objects.select_related("program").in_bulk(by_version)
    names, changed = Names(), 0
    for key, rows in sorted(by_version.items()):
        version = versions[key]
        goal_step = step_named(version.tree, (version.around.get("goal") or {}).get("then", END))
        guard = Guard(version.program, key, version.around, tuple(segments(version.triggers)), goal_step)
        changed += len(apply(guard, rows, now=now, names=names))
    return changed


def apply(guard: Guard, walks: Sequence[Watched], *, now: datetime, names: Names) -> set[int]:
    """Let those of the walks go who must, and note who reached the goal; the walks that changed. The caller holds the enrolments.

    A handful of statements, whatever the number. The goal is looked at first: success counts also where it makes people leave.
    """
    goal = guard.around.get("goal") or {}
    met = _met(goal, [walk for walk in walks if not walk.has_goal], now)
    reached = [walk for walk in walks if not walk.has_goal and walk.contact_id in met]
    ended = _reach(goal, guard.goal_step, reached, now)
    leaving = _leaving(guard, [walk for walk in walks if walk.is_inside and walk.id not in ended], now)
    for why, ids in leaving.items():
        queries.end_walks(ids, state="left", why=why, now=now)
    gone = ended | {key for ids in leaving.values() for key in ids}
    told = gone | {walk.id for walk in reached}
    if told and f"program:{guard.program.slug}" in names.programs_read:
        mark([walk.contact_id for walk in walks if walk.id in told], Mark.Facet.DEFINITION)
    return told


def step_named(document: tree.Document, step_id: str) -> Step | None:
    if step_id == END:
        return None
    return next((step for step in tree.check(document).walk() if step.id == step_id), None)


def _reach(goal: Mapping[str, Any], onto: Step | None, reached: Sequence[Watched], now: datetime) -> set[int]:
    """Note the goal; end the walk or pull people forward. The walks that ended."""
    if not reached:
        return set()
    queries.set_goal([walk.id for walk in reached], now=now)
    inside = {walk.id for walk in reached if walk.is_inside}
    then = goal.get("then", END)
    if then != END:
        pulled = dict(queries.pull_forward(sorted(inside), step=then, now=now))
        due = KINDS[onto.kind].due_at(onto.values, list(pulled.values()), now) if onto else {}
        queries.set_due({key: due[contact_id] for key, contact_id in pulled.items() if contact_id in due})
        return set()
    queries.end_walks(sorted(inside), state="finished", why="goal", now=now)
    return inside


def _leaving(guard: Guard, inside: Sequence[Watched], now: datetime) -> dict[str, list[int]]:
    """Why -> the walks that end for it; the first reason counts."""
    whys: dict[int, str] = {}
    contacts = [walk.contact_id for walk in inside]
    exit = guard.around.get("exit") or {}
    if contacts and (slugs := guard.around.get("keep_out")):
        members = queries.members_of(contacts, slugs=slugs)
        whys |= {walk.id: f"keep_out:{members[walk.contact_id]}" for walk in inside if walk.contact_id in members}
    if contacts and exit.get("when") == NO_MEMBER and guard.segments:
        stay = queries.members_of(contacts, slugs=guard.segments)
        for walk in inside:
            if walk.by_segment and walk.contact_id not in stay:
                whys.setdefault(walk.id, NO_MEMBER)
    met = _met(exit, inside, now)
    for walk in inside:
        if walk.contact_id in met:
            whys.setdefault(walk.id, "exit")
    leaving: dict[str, list[int]] = {}
    for key, why in whys.items():
        leaving.setdefault(why, []).append(key)
    return leaving


def _met(part: Mapping[str, Any] | None, walks: Sequence[Watched], now: datetime) -> set[int]:
    """Contacts for whom the conditions of the goal or exit hold. One statement, none without conditions."""
    rule = (part or {}).get("conditions")
    if not rule or not walks:
        return set()
    contacts = sorted({walk.contact_id for walk in walks})
    return set(conditions.match_ids(conditions.check(rule), conditions.moment(now), contacts=contacts, stored=True))


# --- At the entry ----------------------------------------------------------------------------------------------------------------


def before_step(guard: Guard, walkers: Sequence[Walker], *, now: datetime, names: Names) -> list[Walker]:
    """Those of the walkers who still do the step. The caller holds the enrolments."""
    found = queries.walks([walker.enrolment_id for walker in walkers])
    changed = apply(guard, found, now=now, names=names)
    return [walker for walker in walkers if walker.enrolment_id not in changed]


def at_entry(guard: Guard, walkers: Sequence[Walker], *, now: datetime) -> dict[str, list[Walker]]:
    """Who goes in, and who is held out; whoever is to stay outside leaves here. The caller holds the enrolments."""
    found = queries.walks([walker.enrolment_id for walker in walkers])
    had = _met(guard.around.get("goal"), found, now)
    refused = {"goal_before": [walk.id for walk in found if walk.contact_id in had]}
    refused |= _leaving(guard, [walk for walk in found if walk.contact_id not in had], now)
    for why, ids in refused.items():
        if ids:
            queries.end_walks(ids, state="left", why=why, now=now)
    gone = {key for ids in refused.values() for key in ids}
    outcomes: dict[str, list[Walker]] = {"done": [], HELD_OUT: []}
    for walker in walkers:
        if walker.enrolment_id not in gone:
            held = is_held_out(guard.program, walker.contact_id, guard.around.get("hold_out", 0))
            outcomes[HELD_OUT if held else "done"].append(walker)
    return outcomes


def refusals(guard: Guard, contact_ids: Sequence[int], *, now: datetime) -> dict[int, str]:
    """Those of these contacts who would be turned away at the entry -> why."""
    walks = [Watched(contact_id, contact_id, guard.version_id, by_segment=False) for contact_id in contact_ids]
    had = _met(guard.around.get("goal"), walks, now)
    found = dict.fromkeys(had, "goal_before")
    for why, ids in _leaving(guard, [walk for walk in walks if walk.contact_id not in had], now).items():
        found |= dict.fromkeys(ids, why)
    return found


def is_held_out(program: Program, contact_id: int, share: int) -> bool:
    """The same answer each time: by a hash of program and contact, evenly spread."""
    if not share:
        return False
    digest = hashlib.sha256(f"hold-out:{program.pk}:{contact_id}".encode()).digest()
    return int.from_bytes(digest[:8]) % 10_000 < share * 100
