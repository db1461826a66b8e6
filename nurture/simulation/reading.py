"""What the programs of a simulation read: which definitions must be worked while they walk, and whether behaviour or scores matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from leads.models import Mark
from nurture import tree
from nurture.kinds import choose
from nurture.models import Program, ProgramVersion
from nurture.triggers import document as way_in
from segments import conditions, graph
from segments.conditions.tree import All, AnyOf, DidLeaf, SequenceLeaf, where_rows
from segments.graph import Node
from segments.nodes import SegmentNode
from segments.rules import catalogue_stamp, reads_of, rule_of

OF_SCORES = frozenset({"give_points", "hand_to_sales"})
Kinds = frozenset[str] | None


@dataclass(frozen=True)
class Reading:
    """`corners`: definitions that some program reads, directly or through others. `kinds`: the activities that some rule asks for;
    None: of any kind."""

    corners: frozenset[str]
    kinds: Kinds
    scores: bool
    has_open_splits: bool = False

    @property
    def behaviour(self) -> bool:
        return self.kinds is None or bool(self.kinds)

    def nodes(self) -> list[Node]:
        """Those of the engine's nodes that matter here, in their order; lists that only people and steps change need no look."""
        if not self.corners:
            return []
        return [node for node in graph.nodes() if node.facets and graph.corner(node.key) in self.corners]


def reading_of(versions: Iterable[ProgramVersion], now: datetime) -> Reading:
    """A few statements: the names of all definitions."""
    listed = list(versions)
    rules = [rule for version in listed for rule in _rules(version)]
    reads = {read for rule in rules for read in reads_of(rule)}
    reads |= {f"segment:{slug}" for version in listed for slug in version.around.get("keep_out", ())}
    reads |= {read for version in listed for read in way_in.reads(version.triggers)}
    nodes = {graph.corner(node.key): node for node in graph.nodes()}
    steps = [step for version in listed for step in tree.check(version.tree).walk()]
    wanted = {graph.corner(read) for read in reads}
    if OF_SCORES & {step.kind for step in steps}:
        wanted |= {name for name in nodes if name.startswith("score:")}
    corners = _closure(wanted, nodes)
    scores = bool(OF_SCORES & {step.kind for step in steps}) or any(not name.startswith("segment:") for name in corners)
    return Reading(
        corners,
        kinds=None if scores else _kinds(listed, [nodes[name] for name in corners], now),
        scores=scores,
        has_open_splits=any(step.kind == "split" and step.values.get("winner") is not None for step in steps),
    )


def _rules(version: ProgramVersion) -> Iterator[Any]:
    yield from _heeded(version)
    for step in tree.check(version.tree).walk():
        if step.kind != "wait_until" and (rule := step.values.get("conditions")):
            yield rule
        yield from choose.rules_of(step.values)


def _heeded(version: ProgramVersion) -> Iterator[Any]:
    """Rules that are looked at whenever a contact is marked: of who waits, of goal and exit, of splits' winners, of triggers."""
    for step in tree.check(version.tree).walk():
        if step.kind == "wait_until" and (rule := step.values.get("conditions")):
            yield rule
        if rule := (step.values.get("winner") or {}).get("conditions"):
            yield rule
    for part in ("goal", "exit"):
        if rule := (version.around.get(part) or {}).get("conditions"):
            yield rule
    for one in version.triggers:
        if (condition := way_in.kind_of(one).condition) is not None:
            yield condition(way_in.values_of(one))


# --- Which activities matter ---------------------------------------------------------------------------------------------


def _kinds(versions: Iterable[ProgramVersion], nodes: Iterable[Node], now: datetime) -> Kinds:
    """Kinds that some rule asks for. An activity of another kind changes no verdict, and marks nobody for whom there is something to see,
    unless a rule could have come true by time alone, which the next mark of any kind brings to light: then every kind counts."""
    listed = list(versions)
    starting = [
        way_in.values_of(one).get("activity") for each in listed for one in each.triggers if one["kind"] == "activity"
    ]
    trees = [*_trees(rule for each in listed for rule in _rules(each)), *_trees(starting)]
    trees += [node.rule.tree for node in nodes if isinstance(node, SegmentNode) and node.rule is not None]
    found = set[str]()
    for asked in map(_kinds_of, trees):
        if asked is None:
            return None
        found |= asked
    moment = conditions.moment(now)
    if found and any(_comes_true_by_time(tree, moment) for each in listed for tree in _trees(_heeded(each))):
        return None
    return frozenset(found)


def _trees(rules: Iterable[Any]) -> Iterator[conditions.Tree]:
    """Those that can be read: what no longer can is true of nobody, in the engine too."""
    stamp = catalogue_stamp()
    for rule in rules:
        with suppress(conditions.BadConditions):
            yield rule_of(rule, stamp).tree


def _kinds_of(rule: conditions.Tree) -> Kinds:
    found = set[str]()
    for _path, leaf in conditions.leaves(rule):
        steps = leaf.steps if isinstance(leaf, SequenceLeaf) else [leaf]
        for one in steps:
            kinds = getattr(one, "kinds", ())
            if kinds is None:
                return None
            found.update(kinds)
        if not isinstance(leaf, DidLeaf | SequenceLeaf) and Mark.Facet.ACTIVITY in conditions.facets(leaf):
            return None
    return frozenset(found)


def _comes_true_by_time(rule: conditions.Tree, moment: Any) -> bool:
    """Never False where it may. That somebody did something within the last days only comes to an end by time."""
    if isinstance(rule, All | AnyOf):
        return any(_comes_true_by_time(child, moment) for child in rule.children)
    if isinstance(rule, DidLeaf) and rule.when is not None and rule.when.op == "in_last":
        ends_only = rule.count is None or rule.count.op in ("at_least", "more_than")
        if (
            ends_only
            and not rule.latest
            and rule.total is None
            and not rule.is_first
            and not any(row.type in ("date", "moment") for row in where_rows(rule))
        ):
            return False
    return conditions.next_due(rule, moment) is not None


def _closure(wanted: set[str], nodes: dict[str, Node]) -> frozenset[str]:
    found = set[str]()
    waiting = wanted & nodes.keys()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= ({graph.corner(read) for read in nodes[name].reads} & nodes.keys()) - found
    return frozenset(found)


def walked_versions() -> list[ProgramVersion]:
    """Of all programs that run: the live version, and earlier ones in which somebody may be. One statement."""
    return list(
        ProgramVersion.objects.filter(program__state=Program.State.LIVE).exclude(state=ProgramVersion.State.DRAFT)
    )
