"""The verdict for one contact, worked out in Python from facts, with the leaves that decided it and the actual values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.text import fold
from segments.conditions import definitions
from segments.conditions.facts import ActivityFact, Facts, read_facts
from segments.conditions.fields import Catalogue, Either
from segments.conditions.operators import amount_holds
from segments.conditions.periods import Moment, date_span, moment_span, needs_clock, shift_moment
from segments.conditions.tree import (
    All,
    Amount,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    Leaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    Step,
    Total,
    Tree,
    When,
    children,
    joined,
    to_document,
)
from segments.conditions.words import actual_in_words, sentence, time_between, value_in_words


@dataclass(frozen=True)
class LeafVerdict:
    """One leaf for one contact. `actual`: the value, count, total or moment found, in types of JSON; None when unknown.

    `measured` is the same as it was read: Decimals, dates, moments.
    """

    path: str
    leaf: Leaf
    actual: Any
    holds: bool
    missing: str = ""  # how near it came: “1 more”
    measured: Any = None

    @property
    def document(self) -> dict[str, Any]:
        return to_document(self.leaf)

    @cached_property
    def sentence(self) -> str:
        return sentence(self.leaf)

    @property
    def actual_words(self) -> str:
        return actual_in_words(self.leaf, self.measured)


@dataclass(frozen=True)
class Verdict:
    """Whether a rule holds for one contact. `because`: the leaves that decided it; `leaves`: every leaf, in the order of the rule."""

    holds: bool
    because: list[LeafVerdict]
    leaves: list[LeafVerdict]


class NoSuchContact(LookupError):
    """The contact is not there."""


def explain(
    tree: Tree, contact_id: int, moment: Moment, *, stored: bool = False, catalogue: Catalogue | None = None
) -> Verdict:
    """The verdict for one contact. One statement and one for each kind of facts it asks, two per segment or persona named in the rule.

    Raises NoSuchContact.
    """
    facts = read_facts([contact_id]).get(contact_id)
    if facts is None:
        raise NoSuchContact(contact_id)
    return Judge(moment, stored=stored, catalogue=catalogue).verdict(tree, facts)


def explain_each(
    tree: Tree, contact_ids: Iterable[int], moment: Moment, *, stored: bool = False, catalogue: Catalogue | None = None
) -> dict[int, Verdict]:
    """The verdicts for a page of contacts, in their order. As many statements as for one."""
    found = read_facts(contact_ids)
    judge = Judge(moment, stored=stored, catalogue=catalogue)
    return {contact_id: judge.verdict(tree, found[contact_id]) for contact_id in contact_ids if contact_id in found}


@dataclass
class Judge:
    """Gives verdicts as of one moment; segments and personas named in rules are read once."""

    moment: Moment
    stored: bool = False
    catalogue: Catalogue | None = None
    _segments: dict[str, tuple[definitions.Stored, Tree | None]] = field(default_factory=dict)
    _personas: dict[str, list[tuple[definitions.Stored, Tree]]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)
    _members: dict[tuple[str, int], bool] = field(
        default_factory=dict
    )  # (definition, contact): rules may name one often

    def __post_init__(self) -> None:
        self.catalogue = self.catalogue or Catalogue()

    def verdict(self, tree: Tree, facts: Facts) -> Verdict:
        holds, because, leaves = self._judge(tree, facts, "")
        return Verdict(holds, because, leaves)

    def _judge(self, node: Tree, facts: Facts, path: str) -> tuple[bool, list[LeafVerdict], list[LeafVerdict]]:
        if not isinstance(node, All | AnyOf | Not):
            holds, actual = self.measure(node, facts)
            missing = "" if holds else _missing(node, actual, self.moment)
            found = LeafVerdict(path, node, plain(actual), holds, missing, actual)
            return holds, [found], [found]
        judged = [self._judge(child, facts, joined(path, step)) for step, child in children(node)]
        leaves = [leaf for each in judged for leaf in each[2]]
        match node:
            case Not():
                return not judged[0][0], judged[0][1], leaves
            case All():
                holds = all(each[0] for each in judged)
            case AnyOf():
                holds = any(each[0] for each in judged)
        # Decided by the children that agree with the whole.
        return holds, [leaf for each in judged if each[0] == holds for leaf in each[1]], leaves

    def holds(self, node: Tree, facts: Facts) -> bool:
        """The verdict alone."""
        match node:
            case All(nodes):
                return all(self.holds(child, facts) for child in nodes)
            case AnyOf(nodes):
                return any(self.holds(child, facts) for child in nodes)
            case Not(child):
                return not self.holds(child, facts)
        return self.measure(node, facts)[0]

    # --- leaves: whether it holds, and the actual value

    def measure(self, leaf: Leaf, facts: Facts) -> tuple[bool, Any]:
        match leaf:
            case FieldLeaf():
                actual = leaf.spec.value(facts, leaf.type, self.moment)
                return leaf.operator.verdict(actual, leaf.wanted, self.moment), actual
            case DidLeaf():
                return self._did(leaf, facts)
            case HasLeaf():
                number = sum(1 for row in leaf.related.rows(facts, self.moment) if self._row_holds(leaf.where, row))
                return _counts(leaf.count, number), number
            case SequenceLeaf():
                reached = self._reached(leaf, facts)
                return reached == len(leaf.steps), reached
            case MemberLeaf():
                return self._is_member(leaf, facts)

    def _row_holds(self, where: Sequence[FieldLeaf], row: Any) -> bool:
        return all(
            each.operator.verdict(each.spec.value(row, each.type, self.moment), each.wanted, self.moment)
            for each in where
        )

    def _in_period(self, when: When | None, at: datetime) -> bool:
        return when is None or when.operator.verdict(at, when.wanted, self.moment)

    def _rows(self, part: DidLeaf | Step, facts: Facts) -> list[ActivityFact]:
        kinds = None if part.kinds is None else {fold(kind) for kind in part.kinds}
        return [
            row
            for row in facts.until(self.moment.at)
            if (kinds is None or fold(row.kind) in kinds) and self._row_holds(part.where, row)
        ]

    def _did(self, leaf: DidLeaf, facts: Facts) -> tuple[bool, Any]:
        rows = self._rows(leaf, facts)
        if leaf.is_first:
            first = min((row.occurred_at for row in rows), default=None)
            return first is not None and self._in_period(leaf.when, first), first
        rows = [row for row in rows if self._in_period(leaf.when, row.occurred_at)]
        if leaf.latest:
            last = max((row.occurred_at for row in rows), default=None)
            latest = [row for row in rows if row.occurred_at == last]
            shown = [self._shown(row, leaf.latest) for row in latest]
            return any(self._row_holds(leaf.latest, row) for row in latest), shown[0] if len(
                shown
            ) == 1 else shown or None
        if leaf.total is not None:
            return self._total(leaf.total, rows)
        return _counts(leaf.count, len(rows)), len(rows)

    def _shown(self, row: ActivityFact, tested: Sequence[FieldLeaf]) -> dict[str, Any]:
        found = {"kind": row.kind, "occurred_at": row.occurred_at}
        return found | {each.field: each.spec.value(row, each.type, self.moment) for each in tested}

    def _total(self, total: Total, rows: Sequence[ActivityFact]) -> tuple[bool, Any]:
        numbers = [
            Fraction(number) for row in rows if (number := total.spec.value(row, "number", self.moment)) is not None
        ]
        if not numbers:
            return False, None
        found = {
            "sum": lambda: sum(numbers, Fraction()),
            "average": lambda: sum(numbers, Fraction()) / len(numbers),
            "smallest": lambda: min(numbers),
            "largest": lambda: max(numbers),
        }[total.how]()
        wanted = total.amount.wanted
        exact = tuple(Fraction(each) for each in wanted) if isinstance(wanted, tuple) else Fraction(wanted)
        return amount_holds(total.amount.op, exact, found), found

    def _reached(self, leaf: SequenceLeaf, facts: Facts) -> int:
        """How many steps were done in order."""
        reached: list[datetime] | None = None
        for number, step in enumerate(leaf.steps):
            moments = sorted(
                {row.occurred_at for row in self._rows(step, facts) if self._in_period(leaf.when, row.occurred_at)}
            )
            if reached is not None:
                before = reached
                moments = [
                    at
                    for at in moments
                    if any(earlier < at and self._is_near(earlier, at, leaf.gap) for earlier in before)
                ]
            if not moments:
                return number
            reached = moments
        return len(leaf.steps)

    def _is_near(self, earlier: datetime, later: datetime, gap: tuple[int, str] | None) -> bool:
        if gap is None:
            return True
        end = shift_moment(earlier, *gap, self.moment.zone)
        return end is None or later <= end

    # --- memberships

    def _is_member(self, leaf: MemberLeaf, facts: Facts) -> tuple[bool, Any]:
        if self.stored or leaf.subject not in ("in_segment", "in_persona"):
            holds = leaf.spec.holds(leaf, facts, self.moment)
            return holds, leaf.spec.actual(leaf, facts, self.moment) if leaf.spec.actual else holds
        key = f"{leaf.spec.node}:{leaf.slug}"
        if key in self._open:
            raise definitions.loop([*self._open[self._open.index(key) :], key])
        place = (key, facts.id)
        if place not in self._members:
            self._open.append(key)
            try:
                is_in = self._is_in_segment if leaf.subject == "in_segment" else self._is_persona
                self._members[place] = is_in(leaf.slug, facts)
            finally:
                self._open.pop()
        return self._members[place], self._members[place]

    def _is_in_segment(self, slug: str, facts: Facts) -> bool:
        assert self.catalogue is not None
        if slug not in self._segments:
            segment = definitions.segment(slug)
            tree = None if segment.conditions is None else definitions.tree_of(segment, self.catalogue)
            self._segments[slug] = (segment, tree)
        _segment, tree = self._segments[slug]
        if slug in facts.overrides:
            return facts.overrides[slug] == "added"
        return tree is not None and self.holds(tree, facts)

    def _is_persona(self, slug: str, facts: Facts) -> bool:
        assert self.catalogue is not None
        if slug not in self._personas:
            self._personas[slug] = [
                (each, definitions.tree_of(each, self.catalogue)) for each in definitions.personas_until(slug)
            ]
        first = next((each.slug for each, tree in self._personas[slug] if self.holds(tree, facts)), None)
        return first == slug


def _counts(amount: Amount | None, number: int) -> bool:
    return number >= 1 if amount is None else amount_holds(amount.op, amount.wanted, number)


def plain(value: Any) -> Any:
    """The value in types of JSON; numbers stay numbers."""
    match value:
        case Either():
            return plain(value[0])
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Fraction():
            return int(value) if value.denominator == 1 else float(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case "":
            return None
    return value


def _missing(leaf: Leaf, actual: Any, moment: Moment) -> str:
    """How far a number or a time is from the one wanted, in words; empty where that says nothing."""
    match leaf:
        case FieldLeaf(op=op, wanted=wanted, operator=operator) if isinstance(actual, date):
            return _time_off(op, wanted, actual, moment) if not operator.negates else ""
        case DidLeaf(is_first=True, when=When() as when) if isinstance(actual, date) and not when.operator.negates:
            return _time_off(when.op, when.wanted, actual, moment)
        case FieldLeaf(type="number") if actual is not None and not leaf.operator.negates:
            return _distance(leaf.op, leaf.wanted, Fraction(actual))
        case DidLeaf(is_first=False, latest=(), total=None) | HasLeaf():
            op, wanted = (leaf.count.op, leaf.count.wanted) if leaf.count else ("at_least", 1)
            return _distance(op, wanted, Fraction(actual), step=1)
        case DidLeaf(total=Total()) if actual is not None and leaf.total is not None:
            return _distance(leaf.total.amount.op, leaf.total.amount.wanted, Fraction(actual))
        case SequenceLeaf():
            steps = len(leaf.steps) - actual
            return ngettext("%(steps)s step more", "%(steps)s steps more", steps) % {"steps": steps}
    return ""


def _time_off(op: str, wanted: Any, actual: date, moment: Moment) -> str:
    """How much earlier or later it would have to be. A date beside a time of day is left without."""
    if op == "anniversary_in" or (not isinstance(actual, datetime) and needs_clock(wanted)):
        return ""
    low: date | None
    high: date | None
    if isinstance(actual, datetime):
        instants = moment_span(op, wanted, moment)
        low, high = instants.low, instants.high
    else:
        days = date_span(op, wanted, moment)
        low, high = days.low, days.high
    if low is not None and actual <= low:
        return _("%(time)s later") % {"time": time_between(actual, low)}
    if high is not None and actual >= high:
        return _("%(time)s earlier") % {"time": time_between(high, actual)}
    return ""


def _distance(op: str, wanted: Any, actual: Fraction, *, step: int = 0) -> str:
    low, high = (Fraction(each) for each in (wanted if isinstance(wanted, tuple) else (wanted, wanted)))
    if op in ("at_least", "more_than", "exactly", "is", "between") and actual <= low:
        short = low - actual + (step if op == "more_than" else 0)
        return _("%(number)s more") % {"number": value_in_words(plain(short))} if short else _("just not more")
    if op in ("at_most", "less_than", "exactly", "is", "between") and actual >= high:
        over = actual - high + (step if op == "less_than" else 0)
        return _("%(number)s less") % {"number": value_in_words(plain(over))} if over else _("just not less")
    return ""
