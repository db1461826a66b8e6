"""Why somebody is in a segment, or not: what was decided by hand, the rule leaf by leaf, and the nearest way to the other verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from leads.models import Contact
from segments.conditions import BadConditions, Tree, Verdict, check, explain, moment
from segments.conditions.reasons import LeafVerdict
from segments.conditions.tree import All, AnyOf, MemberLeaf, Not, children, joined
from segments.models import Membership, Segment, SegmentOverride
from segments.words import why_in_words


@dataclass(frozen=True)
class Part:
    """A group or a leaf of the rule with its verdict, as the page draws it. `word` stands between the parts of a group."""

    holds: bool
    word: str = ""  # all, any, not; empty for a leaf
    parts: tuple[Part, ...] = ()
    leaf: LeafVerdict | None = None
    is_deciding: bool = False
    segment: str = ""  # slug of a segment that the leaf names, which has a why of its own


@dataclass(frozen=True)
class Step:
    """A leaf that would have to turn for the rule to give the other verdict."""

    leaf: LeafVerdict
    to_hold: bool


@dataclass
class Why:
    """Why a contact is in a segment or not."""

    segment: Segment
    contact: Contact
    stay: Membership | None
    stay_why: str
    last_left: Membership | None
    last_left_why: str
    override: SegmentOverride | None
    override_cause: str
    verdict: Verdict | None
    problem: str = ""
    rule: Part | None = None
    steps: list[Step] = field(default_factory=list)

    @property
    def is_unlike_rule(self) -> bool:
        """The membership differs from what the rule says now although no hand was in it: the turn has yet to come by."""
        return self.verdict is not None and self.override is None and self.verdict.holds != (self.stay is not None)


def why(segment: Segment, contact: Contact, *, now: datetime) -> Why:
    """Three statements, and those that read the facts the rule asks for."""
    stays = Membership.objects.filter(segment=segment, contact=contact)
    stay = stays.filter(until=None).first()
    last_left = stays.exclude(until=None).order_by("-until").first()
    override = SegmentOverride.objects.filter(segment=segment, contact=contact).select_related("actor").first()
    found = Why(
        segment,
        contact,
        stay,
        why_in_words(stay.why) if stay else "",
        last_left,
        why_in_words(last_left.left_why) if last_left else "",
        override,
        why_in_words(override.cause) if override else "",
        None,
    )
    if segment.mode == Segment.Mode.DYNAMIC and segment.conditions is not None:
        try:
            tree = check(segment.conditions)
        except BadConditions as error:
            found.problem = error.problems[0].message
        else:
            found.verdict = explain(tree, contact.pk, moment(now))
            by_path = {leaf.path: leaf for leaf in found.verdict.leaves}
            found.rule = drawn(tree, by_path, {leaf.path for leaf in found.verdict.because})
            found.steps = nearest(tree, by_path, holds=not found.verdict.holds) or []
    return found


def drawn(tree: Tree, by_path: Mapping[str, LeafVerdict], deciding: set[str], path: str = "") -> Part:
    """The rule as nested parts, each with its verdict."""
    if not isinstance(tree, All | AnyOf | Not):
        leaf = by_path[path]
        slug = tree.slug if isinstance(tree, MemberLeaf) and tree.subject == "in_segment" else ""
        return Part(leaf.holds, leaf=leaf, is_deciding=path in deciding, segment=slug)
    parts = tuple(drawn(child, by_path, deciding, joined(path, step)) for step, child in children(tree))
    match tree:
        case Not():
            return Part(not parts[0].holds, "not", parts)
        case All():
            return Part(all(part.holds for part in parts), "all", parts)
    return Part(any(part.holds for part in parts), "any", parts)


def nearest(tree: Tree, by_path: Mapping[str, LeafVerdict], *, holds: bool, path: str = "") -> list[Step] | None:
    """The fewest leaves that would have to turn for the rule to hold (or not to); None when no leaf can do it.

    Among equally few, those whose distance is known go first: “1 more” is nearer than something unknown.
    """
    if not isinstance(tree, All | AnyOf | Not):
        leaf = by_path[path]
        return [] if leaf.holds == holds else [Step(leaf, holds)]
    if isinstance(tree, Not):
        return nearest(tree.child, by_path, holds=not holds, path=joined(path, "not"))
    ways = [nearest(child, by_path, holds=holds, path=joined(path, step)) for step, child in children(tree)]
    if isinstance(tree, All) == holds:  # every part has to agree
        return None if None in ways else [step for way in ways for step in way or ()]
    return min((way for way in ways if way is not None), key=_effort, default=None)


def _effort(steps: Sequence[Step]) -> tuple[int, int]:
    return len(steps), sum(not step.leaf.missing for step in steps)
