"""What the programs of a simulation read: which definitions must be worked while they walk, and whether behaviour or scores matter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from leads.models import Mark
from nurture import tree
from nurture.models import Program, ProgramVersion
from nurture.triggers import document as way_in
from segments import graph
from segments.graph import Node
from segments.rules import catalogue_stamp, reads_of, rule_of

OF_SCORES = frozenset({"give_points", "hand_to_sales"})


@dataclass(frozen=True)
class Reading:
    """`corners`: definitions that some program reads, directly or through others."""

    corners: frozenset[str]
    behaviour: bool
    scores: bool

    def nodes(self) -> list[Node]:
        """Those of the engine's nodes that matter here, in their order; lists that only people and steps change need no look."""
        if not self.corners:
            return []
        return [node for node in graph.nodes() if node.facets and graph.corner(node.key) in self.corners]


def reading_of(versions: Iterable[ProgramVersion]) -> Reading:
    """A few statements: the names of all definitions."""
    listed = list(versions)
    rules = [rule for version in listed for rule in _rules(version)]
    reads = {read for rule in rules for read in reads_of(rule)}
    reads |= {f"segment:{slug}" for version in listed for slug in version.around.get("keep_out", ())}
    reads |= {read for version in listed for read in way_in.reads(version.triggers)}
    nodes = {graph.corner(node.key): node for node in graph.nodes()}
    kinds = {step.kind for version in listed for step in tree.check(version.tree).walk()}
    wanted = {graph.corner(read) for read in reads}
    if kinds & OF_SCORES:
        wanted |= {name for name in nodes if name.startswith("score:")}
    corners = _closure(wanted, nodes)
    stamp = catalogue_stamp()
    facets = {facet for rule in rules for facet in rule_of(rule, stamp).facets}
    facets |= {facet for name in corners for facet in nodes[name].facets}
    return Reading(
        corners,
        behaviour=Mark.Facet.ACTIVITY in facets
        or any(one["kind"] == "activity" for version in listed for one in version.triggers),
        scores=bool(kinds & OF_SCORES) or any(not name.startswith("segment:") for name in corners),
    )


def _rules(version: ProgramVersion) -> Iterator[Any]:
    for step in tree.check(version.tree).walk():
        if rule := step.values.get("conditions"):
            yield rule
    for part in ("goal", "exit"):
        if rule := (version.around.get(part) or {}).get("conditions"):
            yield rule
    for one in version.triggers:
        if (condition := way_in.kind_of(one).condition) is not None:
            yield condition(way_in.values_of(one))


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
