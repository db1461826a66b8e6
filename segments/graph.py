"""The one graph of definitions: what reads what, in which order the turn works, which loop a save would make, who uses a thing.

Segments, personas, score models and program triggers are its corners; higher rooms register theirs. An edge is a read:
`segment:dach` is read by a score rule with `{"in_segment": "dach"}`. Fields are read too (`contact.title`), as mere ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from segments.rules import reads_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

STAGES = "stages"  # all graduation rules are one corner: whoever reads the stage depends on each of them
PERSONAS = "personas"  # all personas are one corner: the first match wins, so each depends on those before it


class Node(Protocol):
    """Something that the turn keeps up to date.

    Optional: `failed(error, now)` stores a failure, `make_stale(now)` asks for a look at everybody, `due_by(at)` for a look at a
    moment (somebody has an activity dated ahead); `part(contacts, now)` and `write_difference(rows, now)` are refresh in two
    steps, so that the turn reads several small differences in one statement. `awaits_all`: the row says that everybody must be looked
    at; `mark_facet`: what marks a look at everybody leaves for each change, DEFINITION unless the turn sets another; `timed_rules`:
    those of its rules whose answer time alone may change.
    """

    @property
    def key(self) -> str: ...

    @property
    def reads(self) -> frozenset[str]: ...

    @property
    def facets(self) -> frozenset[int]: ...

    def is_stale(self, now: datetime) -> bool: ...

    def refresh(self, *, contacts: Sequence[int] | None, now: datetime) -> list[int] | int:
        """Contacts whose result changed; with contacts=None everybody is looked at, in chunked transactions, and their number returned."""
        ...


@dataclass(frozen=True)
class Definition:
    """A corner for people: what it is called, where its page is, what it reads. Its key is a node's or, for what is no node, its own."""

    key: str
    label: str
    kind: StrOrPromise
    url: str
    reads: frozenset[str]

    def __str__(self) -> str:
        return self.label


NodeSource = Callable[[], "list[Node]"]
Waiting = Callable[[datetime], bool]

_node_sources: list[tuple[NodeSource, Waiting | None]] = []
_definition_sources: list[Callable[[], Iterable[Definition]]] = []


def register_nodes(source: Callable[[], list[Node]], *, waiting: Waiting | None = None) -> None:
    """Let the turn keep a room's definitions up to date.

    `waiting(now)` says cheaply whether any is stale or due, so that an idle beat builds none.
    """
    _node_sources.append((source, waiting))


def register_definitions(source: Callable[[], Iterable[Definition]]) -> None:
    """Let a room's definitions count in loops and in “used by”."""
    _definition_sources.append(source)


def nodes() -> list[Node]:
    """Every registered node, in the order in which they must be worked."""
    return in_order([node for source, _ in _node_sources for node in source()])


def is_waiting(now: datetime) -> bool:
    """Whether any node is stale or due."""
    return any(
        waiting(now) if waiting else any(node.is_stale(now) for node in source()) for source, waiting in _node_sources
    )


def definitions() -> list[Definition]:
    """Every registered definition. The statements of its sources: one per kind."""
    return [definition for source in _definition_sources for definition in source()]


@lru_cache(maxsize=4096)
def corner(read: str) -> str:
    """The corner of the graph that a read leads to: personas are one, so are stages, a score field belongs to its model, fields stand for themselves."""
    if read == "contact.persona" or read.startswith("persona:"):
        return PERSONAS
    if read == "contact.stage" or read.startswith("graduation:"):
        return STAGES
    if read.startswith("score."):
        return "score:" + read.split(".")[1]
    return read


def is_definition(read: str) -> bool:
    """Whether a read leads to something that the engine works out, not to a plain fact."""
    return corner(read) in (PERSONAS, STAGES) or corner(read).partition(":")[0] in {"segment", "score", "program"}


class _HasEdges(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def reads(self) -> frozenset[str]: ...


Item = TypeVar("Item", bound=_HasEdges)


def in_order(items: Sequence[Item]) -> list[Item]:
    """Each after what it reads; among equals by key. Members of a loop, which no save lets in, come last, by key."""
    by_corner: dict[str, Item] = {corner(item.key): item for item in items}
    open_reads = {
        name: {corner(read) for read in item.reads} & by_corner.keys() - {name} for name, item in by_corner.items()
    }
    done: list[str] = []
    while open_reads:
        ready = sorted(name for name, waits in open_reads.items() if not waits) or sorted(open_reads)
        for name in ready:
            del open_reads[name]
        for waits in open_reads.values():
            waits.difference_update(ready)
        done += ready
    return [by_corner[name] for name in done]


def would_loop(key: str, rule: Any) -> list[str]:
    """The loop that storing a rule (tree, document or None) under the key would make: keys from it back to itself, else []."""
    return loop_through(key, reads_of(rule))


def loop_through(key: str, new_reads: Iterable[str]) -> list[str]:
    """Like would_loop, for something whose reads are known (a program's trigger, a score model's rules)."""
    edges: dict[str, dict[str, str]] = {}  # corner -> corner it reads -> the read as it was written
    own = corner(key)
    for definition in definitions():
        if definition.key != key:
            _add_edges(edges, definition.key, definition.reads)
    _add_edges(edges, key, new_reads)
    came_from: dict[str, str] = {}
    waiting = [own]
    while waiting:
        here = waiting.pop(0)
        for there in edges.get(here, {}):
            if there == own:
                return [key, *_way_back(edges, came_from, own, here), key]
            if there not in came_from and there in edges:
                came_from[there] = here
                waiting.append(there)
    return []


def _add_edges(edges: dict[str, dict[str, str]], key: str, written: Iterable[str]) -> None:
    for read in sorted(written):
        if is_definition(read):
            edges.setdefault(corner(key), {}).setdefault(corner(read), read)


def _way_back(edges: Mapping[str, Mapping[str, str]], came_from: Mapping[str, str], start: str, last: str) -> list[str]:
    way: list[str] = []
    while last != start:
        before = came_from[last]
        way.append(edges[before][last])
        last = before
    return way[::-1]


def used_by(key: str) -> list[Definition]:
    """The definitions that read a segment, persona, score model, program or field; by kind and label."""
    return users_of(definitions()).get(key, [])


def users_of(known: Sequence[Definition]) -> dict[str, list[Definition]]:
    """key read -> the definitions that read it. A score field counts as its model, the field “persona” as every persona."""
    users: dict[str, list[Definition]] = {}
    personas = [definition.key for definition in known if definition.key.startswith("persona:")]
    for definition in sorted(known, key=lambda one: (str(one.kind), one.label)):
        keys = set(definition.reads) | {corner(read) for read in definition.reads}
        if "contact.persona" in keys:
            keys.update(personas)
        for key in keys - {definition.key}:
            users.setdefault(key, []).append(definition)
    return users
