"""Random programs, clocks and answers as values, for the engine and for tests/nurture/interpreter.py alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tests.nurture.interpreter import Document, Person, Predicate

Rule = dict[str, Any]

# --- Conditions: the document and what it means ----------------------------------------------------------------------

HOT = "hot"
ATOMS: dict[str, tuple[Rule, Predicate]] = {
    "title": ({"field": "contact.title", "op": "is_known"}, lambda person: bool(person.title)),
    "hot": ({"field": "contact.tags", "op": "includes_any", "value": [HOT]}, lambda person: HOT in person.tags),
    "mql": ({"field": "contact.stage", "op": "is", "value": "mql"}, lambda person: person.stage == "mql"),
    "met": ({"in_segment": "met"}, lambda person: "met" in person.segments),
    "opened": ({"did": "email_open"}, lambda person: person.has_opened),
}


@st.composite
def _conditions(draw: st.DrawFn) -> tuple[Rule, Predicate]:
    rule, holds = ATOMS[draw(st.sampled_from(sorted(ATOMS)))]
    match draw(st.sampled_from(["plain", "plain", "not", "all", "any"])):
        case "not":
            return {"not": rule}, lambda person: not holds(person)
        case "all":
            other_rule, other = ATOMS[draw(st.sampled_from(sorted(ATOMS)))]
            return {"all": [rule, other_rule]}, lambda person: holds(person) and other(person)
        case "any":
            other_rule, other = ATOMS[draw(st.sampled_from(sorted(ATOMS)))]
            return {"any": [rule, other_rule]}, lambda person: holds(person) or other(person)
    return rule, holds


# --- Programs ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A program as it was drawn; `holds` gives the meaning of the conditions of each step, goal and exit."""

    steps: list[Document]
    around: Document
    holds: dict[str, Predicate] = field(default_factory=dict)

    def kinds(self) -> Iterator[str]:
        waiting = list(self.steps)
        while waiting:
            node = waiting.pop()
            yield node["kind"]
            waiting += [inner for way in WAYS.get(node["kind"], ()) for inner in node[way]]


CLOCKS = ("workspace", "contact")
WAITS = st.one_of(
    st.sampled_from([(1, "minutes"), (1, "hours"), (30, "hours"), (1, "days"), (2, "days"), (1, "weeks")]).map(
        lambda wait: {"for": {"value": wait[0], "unit": wait[1]}}
    ),
    st.builds(
        lambda days, at, clock: {"until": {"days": sorted(days), "at": at, "clock": clock}},
        st.sets(st.integers(1, 7), min_size=1, max_size=4),
        st.sampled_from(["00:00", "01:30", "02:30", "09:00", "23:59"]),
        st.sampled_from(CLOCKS),
    ),
)
DATES = st.fixed_dictionaries(
    {
        "field": st.just("custom.renewal"),
        "days": st.sampled_from([-30, -1, 0, 0, 1, 30]),
        "at": st.sampled_from(["00:30", "02:30", "09:00"]),
        "clock": st.sampled_from(CLOCKS),
    },
    optional={"yearly": st.just(True)},
)
STAGES = ("subscriber", "mql", "customer", "recycled", "disqualified")
PLAIN: dict[str, st.SearchStrategy[Document]] = {
    "send_email": st.just({"template": "letter"}),
    "give_points": st.sampled_from([{"points": 2}, {"points": -1}]),
    "change_stage": st.sampled_from(STAGES).map(lambda stage: {"to": stage}),
    "add_tag": st.sampled_from([HOT, "seen"]).map(lambda tag: {"tag": tag}),
    "remove_tag": st.sampled_from([HOT, "seen"]).map(lambda tag: {"tag": tag}),
    "set_field": st.sampled_from([{"field": "title", "value": "CFO"}, {"field": "title"}, {"field": "source", "value": "x"}]),
    "change_owner": st.sampled_from([{"owner": "Olga"}, {"nobody": True}]),
    "add_to_segment": st.just({"segment": "met"}),
    "remove_from_segment": st.just({"segment": "met"}),
    "create_task": st.just({"title": "Call"}),
    "hand_to_sales": st.just({}),
    "start_program": st.just({"program": "other"}),
    "leave_program": st.sampled_from(["other", "other", "main"]).map(lambda slug: {"program": slug}),
    "end": st.sampled_from([{}, {"label": "won"}]),
}  # fmt: skip
WAYS = {
    "branch": ("yes", "no"),
    "choose": ("a", "b", "else"),
    "wait_until": ("met", "late"),
    "wait_for_date": ("day", "none"),
}
KINDS = ("wait", *WAYS, *PLAIN)


@st.composite
def programs(draw: st.DrawFn) -> Drawn:
    holds: dict[str, Predicate] = {}
    ids = iter(f"n{number}" for number in range(1, 1_000))
    steps = _steps(draw, ids, holds, depth=0)
    around: Document = {}
    if draw(st.booleans()):
        rule, holds["goal"] = draw(_conditions())
        names = [node["id"] for node in steps]
        around["goal"] = {"conditions": rule, "then": draw(st.sampled_from(["end", *names])), "days": draw(st.sampled_from([2, 90]))}  # fmt: skip
    if draw(st.booleans()):
        around["exit"] = {}
        if is_member := draw(st.booleans()):
            around["exit"]["when"] = "no_member"
        if not is_member or draw(st.booleans()):
            around["exit"]["conditions"], holds["exit"] = draw(_conditions())
    if draw(st.booleans()):
        around["again"] = {"days": draw(st.sampled_from([0, 0, 2]))}
    if draw(st.booleans()):
        around["keep_out"] = ["banned"]
    return Drawn(steps, around, holds)


def every_kind() -> Drawn:
    """A program in which each kind stands once; waits and branches come first, so that everybody gets past all others."""
    rule, holds = ATOMS["title"]
    steps: list[Document] = [
        {"id": "b", "kind": "branch", "conditions": rule, "yes": [], "no": []},
        {"id": "y", "kind": "choose", "when": {"a": rule, "b": {"not": rule}}, "a": [], "b": [], "else": []},
        {"id": "u", "kind": "wait_until", "conditions": {"not": rule}, "days": 1, "met": [], "late": []},
        {"id": "d", "kind": "wait_for_date", "field": "custom.renewal", "days": 0, "at": "09:00", "day": [], "none": []},
        {"id": "m", "kind": "send_email", "template": "letter"},
        {"id": "p", "kind": "give_points", "points": 2},
        {"id": "c", "kind": "change_stage", "to": "subscriber"},
        {"id": "h", "kind": "hand_to_sales"},
        {"id": "t", "kind": "add_tag", "tag": HOT},
        {"id": "r", "kind": "remove_tag", "tag": HOT},
        {"id": "f", "kind": "set_field", "field": "source", "value": "x"},
        {"id": "o", "kind": "change_owner", "owner": "Olga"},
        {"id": "i", "kind": "add_to_segment", "segment": "met"},
        {"id": "x", "kind": "remove_from_segment", "segment": "met"},
        {"id": "k", "kind": "create_task", "title": "Call"},
        {"id": "s", "kind": "start_program", "program": "other"},
        {"id": "l", "kind": "leave_program", "program": "other"},
        {"id": "w", "kind": "wait", "for": {"value": 1, "unit": "days"}},
        {"id": "e", "kind": "end"},
    ]  # fmt: skip
    otherwise: Predicate = lambda person: not holds(person)  # noqa: E731
    return Drawn(steps, {}, {"b": holds, "y.a": holds, "y.b": otherwise, "u": otherwise})


def _steps(draw: st.DrawFn, ids: Iterator[str], holds: dict[str, Predicate], *, depth: int) -> list[Document]:
    return [_step(draw, ids, holds, depth=depth) for _each in range(draw(st.integers(0 if depth else 1, 4)))]


def _step(draw: st.DrawFn, ids: Iterator[str], holds: dict[str, Predicate], *, depth: int) -> Document:
    kind = draw(st.sampled_from(KINDS if depth < 2 else ("wait", *PLAIN)))
    node: Document = {"id": next(ids), "kind": kind}
    if kind == "wait":
        node |= draw(WAITS)
    elif kind == "wait_for_date":
        node |= draw(DATES)
    elif kind == "choose":
        node["when"] = {}
        for way in ("a", "b"):
            node["when"][way], holds[f"{node['id']}.{way}"] = draw(_conditions())
    elif kind in WAYS:
        node["conditions"], holds[node["id"]] = draw(_conditions())
    else:
        node |= draw(PLAIN[kind])
    if kind == "wait_until":
        node["days"] = draw(st.sampled_from([1, 7]))
    for way in WAYS.get(kind, ()):
        node[way] = _steps(draw, ids, holds, depth=depth + 1)
    return node


# --- Clocks and answers --------------------------------------------------------------------------------------------------

STARTS = (
    datetime(2026, 3, 27, 12, tzinfo=UTC),  # Europe's clocks go forward on the 29th
    datetime(2026, 10, 23, 12, tzinfo=UTC),  # and back on the 25th
    datetime(2027, 1, 30, 20, tzinfo=UTC),
    datetime(2028, 2, 27, 23, 30, tzinfo=UTC),
)
AHEAD = [timedelta(), timedelta(seconds=1), timedelta(minutes=59), timedelta(hours=6)]
AHEAD += [timedelta(days=days) for days in (1, 2, 3, 7, 8, 31)]
BACK = [timedelta(hours=-1), timedelta(days=-1), timedelta(days=-3)]
ANSWERS = (
    "opens", "is_titled", "loses_title", "is_tagged", "is_untagged", "moves_on", "is_lost", "refuses", "leaves", "comes_back",
    "is_banned", "is_unbanned", "meets", "renews_soon", "renews_on_the_29th", "no_day",
)  # fmt: skip
ZONES = ("", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Nowhere/At_all")
PEOPLE = len(ZONES)


@dataclass(frozen=True)
class Beat:
    """A moment at which the engine looks, and what people did before: (person, answer)."""

    at: datetime
    answers: list[tuple[int, str]]


@st.composite
def histories(draw: st.DrawFn) -> list[Beat]:
    at = draw(st.sampled_from(STARTS))
    answers = st.lists(st.tuples(st.integers(0, PEOPLE - 1), st.sampled_from(ANSWERS)), max_size=4)
    beats = [Beat(at, [])]
    for _each in range(draw(st.integers(2, 9))):
        at += draw(st.sampled_from([*AHEAD, *AHEAD, *BACK]))
        beats.append(Beat(at, draw(answers)))
    return beats


def soon(at: datetime) -> str:
    return (at + timedelta(days=2)).date().isoformat()


def apply(person: Person, answer: str, at: datetime) -> None:
    """What an answer changes about a person, for the interpreter."""
    match answer:
        case "opens":
            person.has_opened = person.is_changed = True
        case "is_titled":
            person.put("title", "CFO")
        case "loses_title":
            person.put("title", "")
        case "is_tagged":
            person.tag(HOT)
        case "is_untagged":
            person.untag(HOT)
        case "moves_on":
            person.move("mql")
        case "is_lost":
            person.move("lost")
        case "refuses":
            person.has_refused = person.is_changed = True
        case "leaves":
            person.leave("members")
        case "comes_back":
            person.join("members", at)
        case "is_banned":
            person.join("banned", at)
        case "is_unbanned":
            person.leave("banned")
        case "meets":
            person.join("met", at)
        case "renews_soon":
            person.put("day", soon(at))
        case "renews_on_the_29th":
            person.put("day", "2024-02-29")
        case "no_day":
            person.put("day", "")
        case _:
            raise AssertionError(answer)
