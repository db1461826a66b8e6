"""The steps of a program as a document: checked with the path of every fault, edited as a value, and laid out as routes.

    {"steps": [STEP, …]}
    STEP = {"id": "s1a2b3", "kind": "wait", "for": {"value": 3, "unit": "days"}}
    a branch also has its ways: {"id": …, "kind": "branch", "conditions": {…}, "yes": [STEP, …], "no": [STEP, …]}

People walk a list from top to bottom. After a way of a branch they go on with the step below the branch, unless the way ends.
What each kind of step may say stands in nurture/kinds/.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from nurture.kinds import KINDS, START, Names, Problem, Step

Document = dict[str, Any]

MOST_STEPS = 200
DEEPEST = 8  # branches inside branches
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_OWN_KEYS = frozenset({"id", "kind"})


class BadTree(Exception):
    """The document is no program; `problems` says where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))


class NoSuchStep(LookupError):
    """The step was deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class Tree:
    steps: tuple[Step, ...]

    def walk(self) -> Iterator[Step]:
        """Every step, from top to bottom, a branch before its ways."""
        yield from _walk(self.steps)

    def step(self, step_id: str) -> Step:
        for step in self.walk():
            if step.id == step_id:
                return step
        raise NoSuchStep(step_id)


def empty() -> Document:
    return {"steps": []}


def new_id() -> str:
    return f"s{secrets.token_hex(4)}"


# --- Checking ----------------------------------------------------------------------------------------------------------


def check(document: Any) -> Tree:
    """The tree; raises BadTree with every fault in its shape. Missing values are allowed: a draft may be unfinished (see problems)."""
    faults: list[Problem] = []
    if not isinstance(document, dict) or set(document) != {"steps"}:
        raise BadTree([Problem("", _('expected {"steps": […]}'))])
    seen: dict[str, str] = {}
    steps = _check_list(document["steps"], "steps", faults, seen, depth=1)
    if len(seen) > MOST_STEPS:
        faults.append(Problem("steps", _("a program has at most %(n)d steps") % {"n": MOST_STEPS}))
    if faults:
        raise BadTree(faults)
    return Tree(steps)


def _check_list(nodes: Any, path: str, faults: list[Problem], seen: dict[str, str], *, depth: int) -> tuple[Step, ...]:
    if not isinstance(nodes, list):
        faults.append(Problem(path, _("expected a list of steps")))
        return ()
    if depth > DEEPEST:
        faults.append(Problem(path, _("branches may lie at most %(n)d deep") % {"n": DEEPEST - 1}))
        return ()
    found = (_check_step(node, f"{path}[{place}]", faults, seen, depth=depth) for place, node in enumerate(nodes))
    return tuple(step for step in found if step is not None)


def _check_step(node: Any, path: str, faults: list[Problem], seen: dict[str, str], *, depth: int) -> Step | None:
    if not isinstance(node, dict):
        faults.append(Problem(path, _("expected a step such as {“id”: “s1”, “kind”: “wait”}")))
        return None
    step_id, kind_key = node.get("id"), node.get("kind")
    if not isinstance(step_id, str) or not _ID.fullmatch(step_id) or step_id == START:
        faults.append(Problem(f"{path}.id", _("expected lower-case letters and digits, other than “start”")))
        step_id = ""
    elif step_id in seen:
        faults.append(
            Problem(f"{path}.id", _("“%(id)s” is taken by %(path)s") % {"id": step_id, "path": seen[step_id]})
        )
    else:
        seen[step_id] = path
    kind = KINDS.get(kind_key) if isinstance(kind_key, str) else None
    if kind is None:
        faults.append(Problem(f"{path}.kind", _("choose one of: %(kinds)s") % {"kinds": ", ".join(KINDS)}, step_id))
        return None
    values = {key: node[key] for key in sorted(kind.keys) if key in node}
    has_ways = kind.ways_for(values)
    for key in sorted(set(node) - _OWN_KEYS - kind.keys - set(has_ways), key=str):
        known = ", ".join(sorted(kind.keys | set(has_ways))) or _("nothing else")
        message = _("is not known here; “%(kind)s” takes: %(known)s") % {"kind": kind.key, "known": known}
        faults.append(Problem(f"{path}.{key}", message, step_id))
    faults.extend(Problem(f"{path}.{key}", message, step_id) for key, message in kind.malformed(values))
    ways = {way: _check_list(node.get(way, []), f"{path}.{way}", faults, seen, depth=depth + 1) for way in has_ways}
    return Step(step_id, kind.key, values, ways)


def to_document(tree: Tree) -> Document:
    """The way back; check(to_document(t)) == t."""
    return {"steps": [_step_document(step) for step in tree.steps]}


def _step_document(step: Step) -> Document:
    ways = {way: [_step_document(child) for child in children] for way, children in step.ways.items()}
    return {"id": step.id, "kind": step.kind, **copy.deepcopy(dict(step.values)), **ways}


def problems(tree: Tree, names: Names) -> list[Problem]:
    """What keeps the program from starting (blocks), and what is doubtful; in reading order."""
    found: list[Problem] = []
    if not tree.steps:
        found.append(Problem("steps", _("There is no step yet.")))
    for path, step in _paths(tree.steps, "steps"):
        for message, blocks in KINDS[step.kind].problems(step.values, names):
            found.append(Problem(path, message, step.id, blocks, str(KINDS[step.kind].label)))
        if KINDS[step.kind].ways and not KINDS[step.kind].makes_wait and not any(step.ways.values()):
            found.append(Problem(path, _("All its ways are empty: it decides nothing."), step.id, False))
    for path, step in _unreachable(tree.steps, "steps"):
        found.append(Problem(path, _("Nobody gets here: the step above ends the program."), step.id, False))
    return found


# --- Reading -----------------------------------------------------------------------------------------------------------


def _walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        for children in step.ways.values():
            yield from _walk(children)


def _paths(steps: tuple[Step, ...], path: str) -> Iterator[tuple[str, Step]]:
    for place, step in enumerate(steps):
        yield f"{path}[{place}]", step
        for way, children in step.ways.items():
            yield from _paths(children, f"{path}[{place}].{way}")


def always_ends(steps: tuple[Step, ...]) -> bool:
    """Whether nobody gets past this list."""
    return any(
        KINDS[step.kind].ends or (bool(step.ways) and all(always_ends(children) for children in step.ways.values()))
        for step in steps
    )


def _unreachable(steps: tuple[Step, ...], path: str) -> Iterator[tuple[str, Step]]:
    """The first step of each stretch that nobody reaches."""
    for place, step in enumerate(steps):
        if place and always_ends(steps[:place]):
            yield f"{path}[{place}]", step
            return
        for way, children in step.ways.items():
            yield from _unreachable(children, f"{path}[{place}].{way}")


def routes(tree: Tree) -> dict[str, dict[str, str | None]]:
    """Where each step leads: step -> way -> next step, None for the end. Kinds without ways have the one way "done"."""
    found: dict[str, dict[str, str | None]] = {START: {"done": tree.steps[0].id if tree.steps else None}}
    _route(tree.steps, None, found)
    return found


def _route(steps: tuple[Step, ...], after: str | None, found: dict[str, dict[str, str | None]]) -> None:
    for place, step in enumerate(steps):
        below = steps[place + 1].id if place + 1 < len(steps) else after
        if KINDS[step.kind].ends:
            found[step.id] = {"done": None}
        elif step.ways:
            found[step.id] = {way: children[0].id if children else below for way, children in step.ways.items()}
            for children in step.ways.values():
                _route(children, below, found)
        else:
            found[step.id] = {"done": below}


# --- Editing: every function gives a new document --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new step goes: after a step (or START), or first in a way of a branch."""

    step: str
    way: str = ""

    @classmethod
    def read(cls, text: str) -> Place:
        """From “s1” or “s1.yes”."""
        step, _dot, way = text.partition(".")
        return cls(step, way)

    def __str__(self) -> str:
        return f"{self.step}.{self.way}" if self.way else self.step


def insert(document: Document, place: Place, kind: str, values: Mapping[str, Any]) -> tuple[Document, str]:
    """The document with a new step, and that step's id. Raises NoSuchStep when the place is gone."""
    changed = copy.deepcopy(document)
    node: Document = {"id": new_id(), "kind": kind, **copy.deepcopy(dict(values))}
    node |= {way: [] for way in KINDS[kind].ways_for(values)}
    _put(changed, place, node)
    return changed, str(node["id"])


def _put(document: Document, place: Place, node: Document) -> None:
    """The node goes into the document itself. Raises NoSuchStep when the place is gone."""
    if place.step == START:
        document["steps"].insert(0, node)
        return
    siblings, index = _locate(document["steps"], place.step)
    if not place.way:
        siblings.insert(index + 1, node)
    elif place.way in _ways(siblings[index]):
        siblings[index].setdefault(place.way, []).insert(0, node)
    else:
        raise NoSuchStep(str(place))


def replace(document: Document, step_id: str, values: Mapping[str, Any]) -> Document:
    """The document with a step's values changed; its ways stay. Raises BadTree when a way that holds steps would go."""
    changed = copy.deepcopy(document)
    siblings, index = _locate(changed["steps"], step_id)
    old = siblings[index]
    kind = KINDS[old["kind"]]
    has_ways = kind.ways_for(values)
    for way in _ways(old):
        if old.get(way) and way not in has_ways:
            message = _("“%(way)s” still holds steps: move or delete them first.") % {"way": kind.ways[way]}
            raise BadTree([Problem("", message, step_id)])
    ways = {way: old.get(way, []) for way in has_ways}
    siblings[index] = {"id": old["id"], "kind": old["kind"], **copy.deepcopy(dict(values)), **ways}
    return changed


def remove(document: Document, step_id: str) -> Document:
    """The document without a step and what lies below it."""
    changed = copy.deepcopy(document)
    siblings, index = _locate(changed["steps"], step_id)
    del siblings[index]
    return changed


def move(document: Document, step_id: str, by: int) -> Document:
    """The document with a step moved up (−1) or down (+1) among its siblings; unchanged at either end."""
    changed = copy.deepcopy(document)
    siblings, index = _locate(changed["steps"], step_id)
    if 0 <= index + by < len(siblings):
        siblings.insert(index + by, siblings.pop(index))
    return changed


def take(document: Document, step_id: str) -> Document:
    """A step with what lies below it, to be put in elsewhere. Raises NoSuchStep."""
    siblings, index = _locate(document["steps"], step_id)
    return copy.deepcopy(siblings[index])


def paste(document: Document, place: Place, node: Document, *, moved: str = "") -> tuple[Document, str]:
    """The document with `node` at a place, and the id of its first step. `moved`: that step goes from where it is, and ids stay.

    A copy gets ids of its own. Raises NoSuchStep for a place that is gone or lies within what is moved.
    """
    changed = copy.deepcopy(document)
    node = copy.deepcopy(node) if moved else _with_new_ids(node)
    if moved:
        node = take(changed, moved)
        if place.step == moved and not place.way:
            return changed, moved  # it is there already
        if place.step in {child["id"] for child in _nodes_of(node)}:
            raise NoSuchStep(str(place))
        changed = remove(changed, moved)
    _put(changed, place, node)
    return changed, str(node["id"])


def _nodes_of(node: Document) -> Iterator[Document]:
    yield node
    for way in _ways(node):
        for child in node.get(way, []):
            yield from _nodes_of(child)


def _with_new_ids(node: Document) -> Document:
    ways = {way: [_with_new_ids(child) for child in node.get(way, [])] for way in _ways(node)}
    return {**copy.deepcopy({key: value for key, value in node.items() if key not in ways}), **ways, "id": new_id()}


def _ways(node: Document) -> Mapping[str, Any]:
    return KINDS[node["kind"]].ways_for(node)


def _locate(nodes: list[Document], step_id: str) -> tuple[list[Document], int]:
    for index, node in enumerate(nodes):
        if node["id"] == step_id:
            return nodes, index
        for way in _ways(node):
            try:
                return _locate(node.get(way, []), step_id)
            except NoSuchStep:
                continue
    raise NoSuchStep(step_id)


# --- In words ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the outline: a step at its depth, or the heading of a way (`step` is None)."""

    depth: int
    words: str
    step: Step | None = None
    way: str = ""


def outline(tree: Tree, names: Names) -> list[Line]:
    """The program read back in words, one line a step."""
    return list(_outline(tree.steps, names, 0))


def _outline(steps: tuple[Step, ...], names: Names, depth: int) -> Iterator[Line]:
    for step in steps:
        kind = KINDS[step.kind]
        yield Line(depth, kind.words(step.values, names), step)
        labels = kind.ways_for(step.values)
        for way, children in step.ways.items():
            yield Line(depth + 1, str(labels[way]), None, way)
            yield from _outline(children, names, depth + 2)
            if not children:
                yield Line(depth + 2, _("go on below"))
