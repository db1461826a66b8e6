"""One turn of the engine over everything that is worked out: stale and due definitions in full, then the marked contacts, then who follows.

Nothing here remembers anything: what must be done stands in the rows (stale_since, due_at, leads_mark), so a turn that is killed
at any point is finished by the next one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

from django.db import DatabaseError, InterfaceError, transaction

from leads.models import Mark
from leads.retry import is_race, retrying
from segments import graph, queries
from segments.graph import Node, register_nodes
from segments.nodes import EditedMeanwhile, words_of

__all__ = ["Follower", "Node", "TurnReport", "register_follower", "register_nodes", "turn", "work_marks"]

LOCK = 7_246_001  # any number that nobody else in this database uses
BATCH = 10_000  # contacts: 0.85 s for 20 segments (LIMITS); a longer batch holds its locks longer
FULL_FROM = 70_000  # marks: beyond, looking at everybody once is cheaper (LIMITS)
BATCH_SECONDS = 60.0  # for one statement of a batch
TOGETHER = 200  # contacts: up to here several nodes share a statement; the list of ids stands in it once a node
FOLLOW_ONLY = 0  # facet of marks whose contacts were looked at with everybody: only followers still want them

logger = logging.getLogger(__name__)

Follow = Callable[[Sequence[int], datetime], int]


@dataclass(frozen=True)
class Follower:
    """What happens after the definitions in each batch: hand-offs, enrolments. `follow(contact_ids, now)` returns how many it moved."""

    name: str
    order: int
    follow: Follow


@dataclass
class TurnReport:
    """What a turn did. `busy`: another turn was at work and this one did nothing. `more`: the time was up, the next turn goes on."""

    busy: bool = False
    more: bool = False
    refreshed: dict[str, int] = field(default_factory=dict)  # key of a definition looked at in full -> contacts changed
    changed: dict[str, int] = field(default_factory=dict)  # key -> contacts changed among the marked ones
    contacts: int = 0
    batches: int = 0
    followed: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """Changes of any definition, in full or for marked contacts: a second look finds none."""
        return sum(self.refreshed.values()) + sum(self.changed.values())

    def spend(self, part: str, since: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + perf_counter() - since


_followers: list[Follower] = []


def register_follower(name: str, order: int, follow: Follow) -> None:
    """Let a room act on every marked contact, in the transaction that looked at it; again after any failure."""
    _followers.append(Follower(name, order, follow))
    _followers.sort(key=lambda follower: (follower.order, follower.name))


def turn(now: datetime, *, full: bool = False, budget_seconds: float | None = None) -> TurnReport:
    """One beat. With nothing to do: three small statements. One turn at a time; a second one returns at once, `busy`.

    `full` looks at every definition over everybody. The budget ends the turn after the batch that exceeds it.
    """
    report = TurnReport()
    marks = queries.marks_up_to(FULL_FROM + 1)
    if not full and not marks and not graph.is_waiting(now):
        return report
    with _alone() as alone:
        if not alone:
            report.busy = True
            return report
        started = perf_counter()
        nodes = graph.nodes()
        if full or (marks > FULL_FROM and queries.marks_up_to(FULL_FROM + 1, besides=FOLLOW_ONLY) > FULL_FROM):
            _ask_for_everybody(nodes, now)
        _refresh_whole(nodes, now, report, full=full)
        while _work_batch(nodes, now, report):
            if budget_seconds is not None and perf_counter() - started > budget_seconds:
                report.more = True
                break
    return report


def work_marks(nodes: Sequence[Node], now: datetime, *, followers: Collection[str]) -> TurnReport:
    """Work all marks off by these definitions and the followers of these names, alone: for sessions whose tables are their own."""
    report = TurnReport()
    chosen = [follower for follower in _followers if follower.name in followers]
    while _work_batch(nodes, now, report, chosen):
        pass
    return report


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether this session holds the engine's lock, which falls with its connection."""
    if not queries.try_turn_lock(LOCK):
        yield False
        return
    try:
        yield True
    finally:
        with suppress(DatabaseError, InterfaceError):  # a lost connection has let go of it already
            queries.release_turn_lock(LOCK)


def _ask_for_everybody(nodes: Sequence[Node], now: datetime) -> None:
    """Where everybody will be looked at, say so in the rows, and keep the marks that are there for the followers only.

    One transaction: a turn that is killed afterwards leaves the definitions stale.
    """
    with transaction.atomic():
        asked = [getattr(node, "make_stale", None) for node in nodes]
        for make_stale in asked:
            if make_stale is not None:
                make_stale(now)
        if None not in asked:
            queries.fold_marks(FOLLOW_ONLY)


def _refresh_whole(nodes: Sequence[Node], now: datetime, report: TurnReport, *, full: bool) -> None:
    """Stale and due definitions over everybody, each after what it reads. One that fails stores its problem; the others go on."""
    started = perf_counter()
    many: set[str] = set()
    for place, node in enumerate(nodes):
        if not (full or node.is_stale(now) or many & {graph.corner(read) for read in node.reads}):
            continue
        if _is_read_in_full(node, nodes[:place], nodes[place + 1 :]):
            node.mark_facet = FOLLOW_ONLY  # type: ignore[attr-defined]
        try:
            result = node.refresh(contacts=None, now=now)
        except EditedMeanwhile:
            logger.info("%s was edited while it was looked at; next turn.", node.key)
            continue
        except Exception as error:
            if _is_lost(error):
                raise
            _fail(node, error, now, report)
            continue
        report.refreshed[node.key] = result if isinstance(result, int) else len(result)
        if report.refreshed[node.key] > FULL_FROM:
            many.add(graph.corner(node.key))
    if report.refreshed or report.problems:
        queries.drop_stage()
        if sum(report.refreshed.values()) > FULL_FROM:
            queries.fold_marks(FOLLOW_ONLY, only=True)  # who joined several is told to the followers once
        report.spend("full", started)


def _is_read_in_full(node: Node, before: Sequence[Node], after: Sequence[Node]) -> bool:
    """Whether all that reads the node comes after it and will look at everybody because its row says so.

    Its changes need then be told to the followers only. A turn that is killed leaves these rows, and the next one looks at
    everybody too; the rows are cleared by a look that saw the changes.
    """
    if not hasattr(node, "mark_facet"):
        return False

    def is_reader(other: Node) -> bool:
        return graph.corner(node.key) in {graph.corner(read) for read in other.reads}

    return not any(map(is_reader, before)) and all(
        getattr(other, "awaits_all", False) for other in after if is_reader(other)
    )


def _work_batch(
    nodes: Sequence[Node], now: datetime, report: TurnReport, followers: Sequence[Follower] | None = None
) -> bool:
    """One batch of marks in one transaction; False when none is left. On failure once more, each part in a savepoint.

    Where the batch took all marks and changed nothing, none can be left but of facts stored meanwhile: the next beat's.
    """
    try:
        tally = retrying(lambda: _batch(nodes, now, followers=followers))
    except Exception as error:
        if _is_lost(error):
            raise
        logger.warning("A batch failed (%s); working it again part by part.", words_of(error))
        tally = retrying(lambda: _batch(nodes, now, carefully=True, followers=followers))
    for key, number in tally.changed.items():
        report.changed[key] = report.changed.get(key, 0) + number
    for name, number in tally.followed.items():
        report.followed[name] = report.followed.get(name, 0) + number
    for part, seconds in tally.seconds.items():
        report.seconds[part] = report.seconds.get(part, 0.0) + seconds
    report.problems |= tally.problems
    report.contacts += tally.contacts
    report.batches += bool(tally.contacts)
    moved = bool(tally.changes or tally.problems or any(tally.followed.values()))
    return tally.more or (moved and queries.marks_wait())


def _batch(
    nodes: Sequence[Node], now: datetime, *, carefully: bool = False, followers: Sequence[Follower] | None = None
) -> TurnReport:
    tally = TurnReport()
    with transaction.atomic():
        queries.bound_statements(BATCH_SECONDS)
        claimed = queries.claim_marks(BATCH)
        tally.contacts, tally.more = len(claimed.facets), claimed.is_full
        if not claimed.facets:
            return tally
        started = perf_counter()
        touched = _by_facet(claimed.facets)
        _look_ahead(nodes, touched, now)
        changed: dict[str, set[int]] = {}
        for group, contacts in _groups(nodes, touched, changed, carefully=carefully):
            for node, result in _refresh_group(group, contacts, now, tally, carefully=carefully):
                if result:
                    changed[graph.corner(node.key)] = set(result)
                    tally.changed[node.key] = len(result)
        tally.spend("definitions", started)
        for follower in _followers if followers is None else followers:
            started = perf_counter()
            moved = _follow(follower, list(claimed.facets), now, tally, carefully=carefully)
            tally.followed[follower.name] = moved
            tally.spend(follower.name, started)
    return tally


def _look_ahead(nodes: Sequence[Node], touched: dict[int, set[int]], now: datetime) -> None:
    """Facts dated ahead, or later than the turn began, do not exist yet: whoever reads such is due when the first of them will."""
    for facet, first in queries.first_ahead(now, touched).items():
        for node in nodes:
            due_by = getattr(node, "due_by", None)
            if due_by is not None and facet in node.facets:
                due_by(first)


def _by_facet(claimed: Mapping[int, frozenset[int]]) -> dict[int, set[int]]:
    touched: dict[int, set[int]] = {}
    for contact_id, facets in claimed.items():
        for facet in facets:
            touched.setdefault(facet, set()).add(contact_id)
    return touched


def _groups(
    nodes: Sequence[Node], touched: dict[int, set[int]], changed: dict[str, set[int]], *, carefully: bool
) -> Iterator[tuple[list[Node], list[int]]]:
    """Nodes with the contacts they must look at, in order. Neighbours that look at the same few and do not read each other go together.

    `changed` grows while the groups are worked; whom a node looks at is found out when its turn comes.
    """
    group: list[Node] = []
    of_group: set[int] = set()
    for node in nodes:
        reads = {graph.corner(read) for read in node.reads}
        if group and reads & {graph.corner(other.key) for other in group}:
            yield group, sorted(of_group)
            group = []
        contacts = set[int]().union(
            *(touched.get(facet, ()) for facet in node.facets), *(changed.get(read, ()) for read in reads)
        )
        if not contacts:
            continue
        is_small = not carefully and len(contacts) <= TOGETHER and hasattr(node, "write_difference")
        if group and not (is_small and contacts == of_group):
            yield group, sorted(of_group)
            group = []
        if is_small:
            group.append(node)
            of_group = contacts
        else:
            yield [node], sorted(contacts)
    if group:
        yield group, sorted(of_group)


def _refresh_group(
    group: Sequence[Node], contacts: Sequence[int], now: datetime, tally: TurnReport, *, carefully: bool
) -> list[tuple[Node, Sequence[int]]]:
    """Each node with the contacts whose result changed. One statement reads what several nodes must change."""
    if len(group) == 1:
        return [(group[0], _refresh_some(group[0], contacts, now, tally, carefully=carefully))]
    parts = [node.part(contacts, now) for node in group]  # type: ignore[attr-defined]
    has_overrides = any(node.has_overrides for node in group)  # type: ignore[attr-defined]
    differences = queries.differences_among(parts, contacts, has_overrides=has_overrides)
    return [(node, node.write_difference(rows, now)) for node, rows in zip(group, differences, strict=True)]  # type: ignore[attr-defined]


def _refresh_some(
    node: Node, contacts: Sequence[int], now: datetime, tally: TurnReport, *, carefully: bool
) -> Sequence[int]:
    if not carefully:
        result = node.refresh(contacts=contacts, now=now)
    else:
        try:
            with transaction.atomic():
                result = node.refresh(contacts=contacts, now=now)
        except Exception as error:
            if _is_lost(error) or is_race(error):
                raise
            _fail(node, error, now, tally)
            return ()
    assert not isinstance(result, int), f"{node.key} must say which contacts changed"
    return result


def _follow(follower: Follower, contacts: Sequence[int], now: datetime, tally: TurnReport, *, carefully: bool) -> int:
    """What a follower moved. Carefully: halves until the contact that breaks it stands alone; that one is told and left out."""
    if not carefully:
        return follower.follow(contacts, now)
    try:
        with transaction.atomic():
            return follower.follow(contacts, now)
    except Exception as error:
        if _is_lost(error) or is_race(error):
            raise
        if len(contacts) == 1:
            logger.exception("%s failed for contact %s.", follower.name, contacts[0])
            tally.problems[f"{follower.name}: contact {contacts[0]}"] = words_of(error)
            return 0
    middle = len(contacts) // 2
    return sum(_follow(follower, half, now, tally, carefully=True) for half in (contacts[:middle], contacts[middle:]))


def _fail(node: Node, error: Exception, now: datetime, report: TurnReport) -> None:
    logger.error("%s could not be evaluated: %s", node.key, words_of(error))
    report.problems[node.key] = words_of(error)
    failed = getattr(node, "failed", None)
    if failed is not None:
        failed(error, now)


def _is_lost(error: Exception) -> bool:
    """Whether the session is gone, and the engine's lock with it: the turn ends. Django has opened another session by then."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, DatabaseError):
        return False
    try:
        return not queries.holds_turn_lock(LOCK)
    except (DatabaseError, InterfaceError):
        return True


assert FOLLOW_ONLY not in Mark.Facet.values
