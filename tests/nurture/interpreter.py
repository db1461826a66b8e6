"""Programs walked in plain Python, person by person, as docs/programs.md tells it: what the engine's result is held against.

Nothing of nurture/ or segments/ is used here. Conditions are functions over a `Person`; the document that the engine reads stands
beside the function in tests/nurture/random_programs.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Document = dict[str, Any]
DAY = timedelta(days=1)
UNITS = {"minutes": timedelta(minutes=1), "hours": timedelta(hours=1), "days": DAY, "weeks": 7 * DAY}
LINE = ["visitor", "subscriber", "inquiry", "mql", "accepted", "opportunity", "customer", "advocate"]
DETOURS = ["recycled", "lost", "disqualified"]
BEFORE_SALES = {"visitor", "subscriber", "inquiry", "mql", "recycled", "lost"}
GOAL_DAYS = 90
OUTSIDE = None


@dataclass
class Person:
    """What is known about somebody. `is_changed`: the next beat looks at them."""

    number: int
    zone: str = ""
    title: str = ""
    source: str = ""
    owner: str = ""
    day: str = ""
    stage: str = "inquiry"
    tags: set[str] = field(default_factory=set)
    segments: dict[str, datetime] = field(default_factory=dict)  # slug -> member since
    has_opened: bool = False
    has_refused: bool = False
    tasks: int = 0
    points: int = 0
    is_handed: bool = False
    is_changed: bool = False
    walks: list[Walk] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)

    def put(self, name: str, value: Any) -> None:
        if getattr(self, name) != value:
            setattr(self, name, value)
            self.is_changed = True

    def tag(self, name: str) -> None:
        self.put("tags", self.tags | {name})

    def untag(self, name: str) -> None:
        self.put("tags", self.tags - {name})

    def join(self, slug: str, now: datetime) -> None:
        if slug not in self.segments:
            self.segments[slug] = now
            self.is_changed = True

    def leave(self, slug: str) -> None:
        if self.segments.pop(slug, None) is not None:
            self.is_changed = True

    def move(self, stage: str) -> None:
        """As a program may: forward, into a detour, out of one; nobody who was disqualified."""
        if self.stage == "disqualified" or self.stage == stage:
            return
        if {stage, self.stage} & set(DETOURS) or LINE.index(stage) > LINE.index(self.stage):
            self.put("stage", stage)


@dataclass
class Mail:
    walk: Walk
    step: str
    visit: int
    state: str = "queued"
    why_not: str = ""


@dataclass
class Walk:
    program: Program
    round: int
    entered_at: datetime
    why: str
    step: str = "start"
    state: str = "active"
    due_at: datetime | None = None
    arrived_at: datetime | None = None
    ended_at: datetime | None = None
    ended_why: str = ""
    goal_at: datetime | None = None
    visits: list[tuple[str, str, datetime]] = field(default_factory=list)  # step, outcome, when

    @property
    def is_inside(self) -> bool:
        return self.state == "active"


Predicate = Callable[[Person], bool]


@dataclass
class Program:
    """One version: its steps as a document, what stands around them, its conditions as functions by the id of their step."""

    slug: str
    segment: str
    steps: list[Document]
    around: Document = field(default_factory=dict)
    holds: Mapping[str, Predicate] = field(default_factory=dict)  # by step id; "goal" and "exit" for those

    def nodes(self) -> Iterator[Document]:
        yield from _below(self.steps)

    def node(self, step_id: str) -> Document:
        return next(node for node in self.nodes() if node["id"] == step_id)

    def onward(self, step_id: str, outcome: str) -> str | None:
        """Into the way of that name, or else on below, or else below the branch that one is in."""
        if step_id == "start":
            return self.steps[0]["id"] if self.steps else OUTSIDE
        node = self.node(step_id)
        if node["kind"] == "end":
            return OUTSIDE
        if node.get(outcome) and isinstance(node[outcome], list):
            return str(node[outcome][0]["id"])
        return _after(self.steps, step_id, OUTSIDE)


def _below(nodes: Sequence[Document]) -> Iterator[Document]:
    for node in nodes:
        yield node
        for ways in _ways(node):
            yield from _below(ways)


def _ways(node: Document) -> list[list[Document]]:
    names = {
        "branch": ("yes", "no"),
        "wait_until": ("met", "late"),
        "wait_for_date": ("day", "none"),
        "choose": ("a", "b", "else"),
    }
    return [node[name] for name in names.get(node["kind"], ())]


def _after(nodes: Sequence[Document], step_id: str, below: str | None) -> str | None:
    for place, node in enumerate(nodes):
        following = str(nodes[place + 1]["id"]) if place + 1 < len(nodes) else below
        if node["id"] == step_id:
            return following
        for way in _ways(node):
            if any(inner["id"] == step_id for inner in _below(way)):
                return _after(way, step_id, following)
    raise LookupError(step_id)


# --- Clocks ------------------------------------------------------------------------------------------------------------


def wall(day: date, at: time, zone: ZoneInfo) -> datetime:
    """When the clocks of the zone show that: the first time if twice; if they skip it, as much later as they jump."""
    naive = datetime.combine(day, at)
    offsets = [(naive + shift).replace(tzinfo=UTC).astimezone(zone).utcoffset() for shift in (-DAY, DAY)]
    moments = [(naive - offset).replace(tzinfo=UTC) for offset in offsets if offset is not None]
    shown = [moment for moment in moments if moment.astimezone(zone).replace(tzinfo=None) == naive]
    return min(shown) if shown else moments[0]


def next_weekday(now: datetime, days: Sequence[int], at: time, zone: ZoneInfo) -> datetime:
    today = now.astimezone(zone).date()
    moments = (wall(today + n * DAY, at, zone) for n in range(16) if (today + n * DAY).isoweekday() in days)
    return next(moment for moment in moments if moment >= now)


def day_in_field(text: str, node: Document, since: datetime, zone: ZoneInfo) -> datetime | None:
    """The day of the field with the step's days and time; of an anniversary the next one; None without one that is still to come."""
    if not text:
        return None
    day, at, shift = date.fromisoformat(text), time.fromisoformat(node["at"]), timedelta(days=node["days"])
    if not node.get("yearly"):
        moment = wall(day + shift, at, zone)
        return moment if moment >= since else None
    years = range(since.year - 3, since.year + 4)
    anniversaries = [date(year, day.month, min(day.day, 28 if day.month == 2 and year % 4 else 31)) for year in years]
    return next(moment for moment in (wall(each + shift, at, zone) for each in anniversaries) if moment >= since)


# --- The beat ----------------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Everybody and all programs, those of the first priority first."""

    people: list[Person]
    programs: list[Program]
    home: ZoneInfo

    def beat(self, now: datetime) -> None:
        changed = [person for person in self.people if person.is_changed]
        for person in changed:
            person.is_changed = False
            for program in self.programs:
                self._take_in(program, person, now)
            for walk in person.walks:
                if walk.step != "start":
                    self._look_around(walk, person, now)
            for walk in person.walks:
                self._wake(walk, person, now)
        while self._round(now):
            pass

    def _round(self, now: datetime) -> int:
        """Everybody who is due does one step, program by program."""
        steps = 0
        for program in self.programs:
            due = [
                (person, walk)
                for person in self.people
                for walk in person.walks
                if walk.program is program and walk.is_inside and walk.due_at is not None and walk.due_at <= now
            ]
            for person, walk in due:
                self._step(walk, person, now)
            steps += len(due)
        return steps

    def _zone(self, person: Person, node: Document) -> ZoneInfo:
        try:
            return ZoneInfo(person.zone) if node.get("clock") == "contact" and person.zone else self.home
        except (KeyError, ValueError, OSError):
            return self.home

    # --- In and out

    def _take_in(self, program: Program, person: Person, now: datetime) -> None:
        """Who came into the segment enters: once, or anew where the program says so, ten times a day at most."""
        since = person.segments.get(program.segment)
        past = [walk for walk in person.walks if walk.program is program]
        if since is None:
            return
        if past:
            again = program.around.get("again")
            last = past[-1]
            if again is None or last.ended_at is None or since <= last.ended_at + timedelta(days=again["days"]):
                return
            if len(past) >= 10 and past[-10].entered_at > now - DAY:
                return
        self._enter(program, person, f"segment:{program.segment}", now)

    def _enter(self, program: Program, person: Person, why: str, now: datetime) -> None:
        rounds = sum(walk.program is program for walk in person.walks)
        person.walks.append(Walk(program, rounds + 1, now, why, due_at=now))

    def _look_around(self, walk: Walk, person: Person, now: datetime) -> bool:
        """The goal first, then what makes people leave. Whether anything came of it."""
        around = walk.program.around
        goal = around.get("goal")
        came = False
        if goal and walk.goal_at is None and walk.program.holds["goal"](person):
            in_time = now - timedelta(days=goal.get("days", GOAL_DAYS)) < walk.entered_at
            if walk.is_inside or (in_time and walk.visits):  # whoever was turned away at the entry never walked
                walk.goal_at, came = now, True
                if walk.is_inside and goal.get("then", "end") == "end":
                    self._end(walk, person, "finished", "goal", now)
                elif walk.is_inside:
                    self._pull(walk, person, goal["then"], now)
        if walk.is_inside and (why := self._must_leave(walk, person)):
            self._end(walk, person, "left", why, now)
            came = True
        return came

    def _must_leave(self, walk: Walk, person: Person) -> str:
        around = walk.program.around
        for slug in sorted(around.get("keep_out", ())):
            if slug in person.segments:
                return f"keep_out:{slug}"
        exit = around.get("exit", {})
        by_segment = walk.why.startswith("segment:")
        if exit.get("when") == "no_member" and by_segment and walk.program.segment not in person.segments:
            return "no_member"
        return "exit" if "conditions" in exit and walk.program.holds["exit"](person) else ""

    def _pull(self, walk: Walk, person: Person, step: str, now: datetime) -> None:
        """Forward to a step; nobody who stands there or passed it is moved."""
        if walk.step != step and step not in {done for done, _outcome, _at in walk.visits}:
            self._arrive(walk, person, step, now)

    def _end(self, walk: Walk, person: Person, state: str, why: str, now: datetime) -> None:
        """The walk is over; mails of it that still wait are taken back."""
        walk.state, walk.ended_why, walk.ended_at, walk.step, walk.due_at = state, why, now, "", None
        for mail in person.mails:
            if mail.walk is walk and mail.state == "queued":
                mail.state, mail.why_not = "not_sent", "left_program"

    # --- Steps

    def _arrive(self, walk: Walk, person: Person, step: str, now: datetime) -> None:
        walk.step, walk.arrived_at = step, now
        walk.due_at = self._due(walk, person, now)

    def _due(self, walk: Walk, person: Person, now: datetime) -> datetime:
        """When somebody who waits at their step since they arrived goes on, as things stand now."""
        node, arrived = walk.program.node(walk.step), walk.arrived_at or walk.entered_at
        if node["kind"] == "wait" and "for" in node:
            return arrived + int(node["for"]["value"]) * UNITS[node["for"]["unit"]]
        if node["kind"] == "wait":
            until = node["until"]
            return next_weekday(arrived, until["days"], time.fromisoformat(until["at"]), self._zone(person, until))
        if node["kind"] == "wait_until":
            return now if walk.program.holds[walk.step](person) else arrived + timedelta(days=node["days"])
        if node["kind"] == "wait_for_date":
            return day_in_field(person.day, node, arrived, self._zone(person, node)) or now
        return now

    def _wake(self, walk: Walk, person: Person, now: datetime) -> None:
        """Whoever waits for something about themselves follows it."""
        if walk.is_inside and walk.step != "start" and walk.due_at is not None and walk.due_at > now:
            if walk.program.node(walk.step)["kind"] == "wait_until":
                walk.due_at = self._due(walk, person, now)
            elif walk.program.node(walk.step)["kind"] == "wait_for_date":
                walk.due_at = max(self._due(walk, person, now), now)

    def _step(self, walk: Walk, person: Person, now: datetime) -> None:
        if walk.step == "start":
            if "goal" in walk.program.around and walk.program.holds["goal"](person):
                self._end(walk, person, "left", "goal_before", now)
            elif why := self._must_leave(walk, person):
                self._end(walk, person, "left", why, now)
            else:
                self._go_on(walk, person, "done", now)
            return
        if self._look_around(walk, person, now):
            return
        node = walk.program.node(walk.step)
        outcome = self._do(node, walk, person, now)
        if outcome and walk.is_inside:
            self._go_on(walk, person, outcome, now)

    def _go_on(self, walk: Walk, person: Person, outcome: str, now: datetime) -> None:
        step, onto = walk.step, walk.program.onward(walk.step, outcome)
        walk.visits.append((step, outcome, now))
        if onto is not None:
            self._arrive(walk, person, onto, now)
            return
        why = ""
        if step != "start" and walk.program.node(step)["kind"] == "end":
            why = walk.program.node(step).get("label", "")
        walk.state, walk.step, walk.due_at, walk.arrived_at = "finished", "", None, now
        walk.ended_at, walk.ended_why = now, why

    def _do(self, node: Document, walk: Walk, person: Person, now: datetime) -> str:
        """How the step came out; empty when they wait on."""
        kind = node["kind"]
        if kind in ("wait_until", "wait_for_date"):
            return self._wait_over(node, walk, person, now)
        if kind == "branch":
            return "yes" if walk.program.holds[node["id"]](person) else "no"
        if kind == "choose":
            return next((way for way in ("a", "b") if walk.program.holds[f"{node['id']}.{way}"](person)), "else")
        if kind == "send_email":
            return self._mail(node, walk, person)
        if kind == "hand_to_sales":
            return self._hand(person)
        if kind in ("start_program", "leave_program"):
            return self._other(node, walk, person, now)
        self._change(node, person, now)
        return "done"

    def _wait_over(self, node: Document, walk: Walk, person: Person, now: datetime) -> str:
        arrived = walk.arrived_at or walk.entered_at
        if node["kind"] == "wait_until":
            if walk.program.holds[node["id"]](person):
                return "met"
            end: datetime | None = arrived + timedelta(days=node["days"])
            over = "late"
        else:
            end = day_in_field(person.day, node, arrived, self._zone(person, node))
            over = "none" if end is None else "day"
        if end is not None and end > now:
            walk.due_at = end
            return ""
        return over

    def _mail(self, node: Document, walk: Walk, person: Person) -> str:
        mail = Mail(walk, node["id"], len(walk.visits) + 1)
        if person.has_refused:
            mail.state, mail.why_not = "not_sent", "withdrawn"
        person.mails.append(mail)
        return "not_mailed" if person.has_refused else "done"

    def _hand(self, person: Person) -> str:
        if person.is_handed:
            return "already_there"
        if person.stage not in BEFORE_SALES:
            return "not_handed"
        person.is_handed = True
        person.move("mql")
        return "done"

    def _other(self, node: Document, walk: Walk, person: Person, now: datetime) -> str:
        other = next(program for program in self.programs if program.slug == node["program"])
        past = [each for each in person.walks if each.program is other]
        if node["kind"] == "leave_program":
            inside = [each for each in past if each.is_inside]
            for each in inside:
                self._end(each, person, "left", f"program:{walk.program.slug}", now)
            return "done" if inside else "not_inside"
        again = other.around.get("again")
        rest = timedelta(days=max(1, again["days"])) if again else None
        if past and (rest is None or past[-1].ended_at is None or past[-1].ended_at + rest > now):
            return "not_entered"
        self._enter(other, person, f"program:{walk.program.slug}", now)
        return "done"

    def _change(self, node: Document, person: Person, now: datetime) -> None:
        match node["kind"]:
            case "add_tag":
                person.tag(node["tag"])
            case "remove_tag":
                person.untag(node["tag"])
            case "set_field":
                person.put(node["field"], node.get("value", ""))
            case "change_owner":
                person.put("owner", node.get("owner", ""))
            case "change_stage":
                person.move(node["to"])
            case "create_task":
                person.tasks += 1
            case "give_points":
                person.points += node["points"]
                person.is_changed = True
            case "add_to_segment":
                person.join(node["segment"], now)
            case "remove_from_segment":
                person.leave(node["segment"])
            case kind:
                assert kind in ("wait", "end"), kind
