"""What a rule reads, which changes of data can change its verdicts, and when mere time can."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from leads.models import Mark
from segments.conditions.fields import Catalogue, Scope
from segments.conditions.fragment import FALSE, TRUE, Sql, bind, both, either, join, sql
from segments.conditions.operators import TIME, Operand, in_span
from segments.conditions.periods import Moment, Span, date_span, moment_span, needs_clock, shift_date, start_of_day
from segments.conditions.tree import (
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    Leaf,
    MemberLeaf,
    SequenceLeaf,
    Tree,
    When,
    leaves,
    where_rows,
)

_FIXED = frozenset({"on", "not_on", "before", "after", "between"})  # the same span at every moment
_CALENDAR = frozenset({"this", "last", "next", "anniversary_in"})  # moves at midnight
# A window that slides with the clock is looked at once a minute.
SLIDE = timedelta(minutes=1)


def reads(tree: Tree) -> frozenset[str]:
    """Keys of what the rule reads: `contact.title`, `score.default.total`, `activity`, `deal`, `deal.status`, `segment:<slug>`,
    `persona:<slug>`, `program:<slug>`."""
    return frozenset(key for _path, leaf in leaves(tree) for key in _reads(leaf))


def _reads(leaf: Leaf) -> Iterator[str]:
    match leaf:
        case FieldLeaf():
            yield leaf.spec.key
            yield from leaf.spec.reads
        case MemberLeaf():
            yield f"{leaf.spec.node}:{leaf.slug}"
        case HasLeaf():
            yield leaf.subject
        case DidLeaf() | SequenceLeaf():
            yield "activity"
    for row in where_rows(leaf):
        yield row.spec.key


def mentions(tree: Tree) -> frozenset[str]:
    """Values that have a life of their own and that the rule names: `tag:partner`, `stage:mql`, `kind:page_view`. For “used by”."""
    found = set()
    for _path, leaf in leaves(tree):
        match leaf:
            case FieldLeaf() if (
                leaf.spec.key in ("contact.tags", "company.tags", "contact.stage") and leaf.wanted is not None
            ):
                kind = "stage" if leaf.spec.key == "contact.stage" else "tag"
                found |= {
                    f"{kind}:{text}" for text in (leaf.wanted if isinstance(leaf.wanted, frozenset) else [leaf.wanted])
                }
            case DidLeaf():
                found |= {f"kind:{kind}" for kind in leaf.kinds or ()}
            case SequenceLeaf():
                found |= {f"kind:{kind}" for step in leaf.steps for kind in step.kinds or ()}
    return frozenset(found)


def facets(tree: Tree) -> frozenset[int]:
    """Mark.Facet values: a change of another facet cannot change the rule's verdict."""
    found: set[int] = set()
    for _path, leaf in leaves(tree):
        match leaf:
            case FieldLeaf() | MemberLeaf():
                found |= leaf.spec.facets
            case HasLeaf():
                found |= leaf.related.facets
            case DidLeaf() | SequenceLeaf():
                found.add(int(Mark.Facet.ACTIVITY))
    return frozenset(found)


# --- time


def next_due(tree: Tree, moment: Moment) -> datetime | None:
    """The earliest moment after `at` when mere time may change a verdict; None when it never does. No statement.

    Never too late but for windows in minutes to years over moments, which slide all the time: they are due after a minute.
    Facts that lie in the future (an activity, a deal) count as facts: see changed_by_time.
    """
    found: datetime | None = None
    for leaf in _timed(tree):
        due = _due(leaf, moment)
        if due is not None and (found is None or due < found):
            found = due
    return found


def _timed(tree: Tree) -> Iterator[tuple[str, Any, str]]:
    """Operator, wanted value and type of every comparison with time."""
    for _path, leaf in leaves(tree):
        for row in (leaf, *where_rows(leaf)):
            if isinstance(row, FieldLeaf) and row.type in TIME and row.operator.shape != "none":
                yield row.op, row.wanted, row.type
        when = _when(leaf)
        if when is not None:
            yield when.op, when.wanted, "moment"
        if isinstance(leaf, HasLeaf):
            yield "this", "day", "date"  # a deal opens or closes by the calendar


def _when(leaf: Leaf) -> When | None:
    return leaf.when if isinstance(leaf, DidLeaf | SequenceLeaf) else None


def _due(comparison: tuple[str, Any, str], moment: Moment) -> datetime | None:
    op, _wanted, type = comparison
    if op in _FIXED:
        return None
    if op in _CALENDAR or type == "date":
        return start_of_day(shift_date(moment.today, 1, "days"), moment.zone)
    return moment.at + SLIDE


def changed_by_time(tree: Tree, since: Moment, until: Moment, *, catalogue: Catalogue | None = None) -> Sql | None:
    """SELECT of contacts whose verdict may differ between two moments although no fact changed; None when nobody's can.

    Never too few: those with a value that a sliding edge of the rule passed between the moments, and those with activities, deals
    or stages between them. Memberships in segments and personas are taken as stored: their own changes leave marks.
    """
    finder = _Finder(since, until, catalogue or Catalogue())
    parts = [part for _path, leaf in leaves(tree) for part in finder.leaf(leaf)]
    return join(" UNION ", parts) if parts else None


class _Finder:
    def __init__(self, since: Moment, until: Moment, catalogue: Catalogue) -> None:
        self.since, self.until = since, until
        self.catalogue = catalogue
        self.scope = Scope(until, is_stored=True)
        self.passed = sql(
            "activity.occurred_at > {} AND activity.occurred_at <= {}",
            bind(since.at, "timestamptz"),
            bind(until.at, "timestamptz"),
        )

    def leaf(self, leaf: Leaf) -> Iterator[Sql]:
        match leaf:
            case FieldLeaf():
                yield from self.field(leaf)
            case DidLeaf() | SequenceLeaf():
                yield from self.activities(leaf)
            case HasLeaf():
                yield from self.rows(leaf)

    def field(self, leaf: FieldLeaf) -> Iterator[Sql]:
        key = leaf.spec.key
        if key == "contact.last_activity_at":
            # Whoever's last activity an edge passed has one there: found by time, without everybody's last one.
            edge = self.swept(leaf, Operand(leaf.type, lambda as_type: Sql("activity.occurred_at")))
            there = either(self.passed, edge)
            yield sql("SELECT DISTINCT activity.contact_id FROM leads_activity activity WHERE {}", there)
            return
        if key.startswith("consent."):
            yield sql(
                "SELECT event.contact_id FROM leads_consentevent event WHERE event.contact_id IS NOT NULL"
                " AND event.occurred_at > {} AND event.occurred_at <= {}",
                bind(self.since.at, "timestamptz"), bind(self.until.at, "timestamptz"),
            )  # fmt: skip
        if key == "contact.stage":
            yield sql(
                "SELECT move.contact_id FROM leads_stagemove move WHERE move.moved_at > {} AND move.moved_at <= {}",
                bind(self.since.at, "timestamptz"), bind(self.until.at, "timestamptz"),
            )  # fmt: skip
        condition = self.swept(leaf, Operand(leaf.type, lambda as_type: leaf.spec.sql(as_type, self.scope)))
        if condition != FALSE:
            whole = leaf.spec.within(condition, self.scope) if leaf.spec.within else condition
            yield sql("SELECT contact.id FROM leads_contact contact WHERE {}", whole)

    def activities(self, leaf: DidLeaf | SequenceLeaf) -> Iterator[Sql]:
        kinds = leaf.kinds if isinstance(leaf, DidLeaf) else _all_kinds(leaf)
        of_kinds = TRUE
        if kinds is not None:
            ids = self.catalogue.kind_ids(kinds)
            if not ids:
                return
            of_kinds = sql("activity.kind_id = ANY ({})", bind(ids, "smallint[]"))
        touched = [self.passed]
        if leaf.when is not None:
            touched.append(self.swept_period(leaf.when))
        for row in where_rows(leaf):
            condition = self.swept(row, Operand(row.type, lambda as_type, row=row: row.spec.sql(as_type, self.scope)))  # type: ignore[misc]
            if condition != FALSE:
                touched.append(row.spec.within(condition, self.scope) if row.spec.within else condition)
        yield sql("SELECT activity.contact_id FROM leads_activity activity WHERE {}", both(of_kinds, either(*touched)))

    def rows(self, leaf: HasLeaf) -> Iterator[Sql]:
        """Whatever is dated moves by the calendar: every contact with such rows once a day."""
        if self.since.today != self.until.today:
            rows = leaf.related.source(replace(self.scope, moment=self.until))
            yield sql("SELECT {} {}", Sql(leaf.related.link), rows)

    def swept(self, leaf: FieldLeaf, operand: Operand) -> Sql:
        """The value lies where an edge of the comparison passed."""
        if leaf.type not in TIME or leaf.operator.shape == "none" or leaf.op in _FIXED:
            return FALSE
        if leaf.operator.shape == "days":
            return TRUE if self.since.today != self.until.today else FALSE
        found = []
        op = "in_last" if leaf.op == "not_in_last" else leaf.op
        if leaf.type in ("date", "iso") and not (leaf.type == "iso" and needs_clock(leaf.wanted)):
            edges = _edges(date_span(op, leaf.wanted, self.since), date_span(op, leaf.wanted, self.until))
            found += [in_span(operand.read("date"), edge, "date") for edge in edges]
        elif leaf.type == "iso":
            found.append(sql("{} IS NOT NULL", operand.read("date")))
        if leaf.type in ("moment", "iso"):
            edges = _edges(moment_span(op, leaf.wanted, self.since), moment_span(op, leaf.wanted, self.until))
            found += [in_span(operand.read("moment"), edge, "timestamptz") for edge in edges]
        return either(*found)  # null counts as no where this stands, and IS TRUE would hide the ranges from indexes

    def swept_period(self, when: When) -> Sql:
        if when.op in _FIXED:
            return FALSE
        op = "in_last" if when.op == "not_in_last" else when.op
        edges = _edges(moment_span(op, when.wanted, self.since), moment_span(op, when.wanted, self.until))
        return either(*(in_span(Sql("activity.occurred_at"), edge, "timestamptz") for edge in edges))


def _all_kinds(leaf: SequenceLeaf) -> tuple[str, ...] | None:
    found: list[str] = []
    for step in leaf.steps:
        if step.kinds is None:
            return None
        found += step.kinds
    return tuple(found)


def _edges(before: Span[Any], after: Span[Any]) -> list[Span[Any]]:
    """What the two ends swept over, both ends of each sweep included."""
    if before.is_empty or after.is_empty:
        return [] if before.is_empty and after.is_empty else [Span()]
    return [
        Span(_least(old, new), _most(old, new))
        for old, new in ((before.low, after.low), (before.high, after.high))
        if old != new
    ]


def _least(old: date | None, new: date | None) -> date | None:
    return None if old is None or new is None else min(old, new)


def _most(old: date | None, new: date | None) -> date | None:
    return None if old is None or new is None else max(old, new)
