"""From a tree to one set-based statement for everybody, a batch or one contact.

Each leaf is true or false, never null, where it matters: negation is pushed down to the leaves, a negated comparison is
`IS NOT TRUE`, a negated row search is NOT EXISTS. Each to-many leaf is its own EXISTS, over rows or over groups of rows, so that
the planner can make it a semi-join or anti-join; a count that zero meets is NOT EXISTS of the counts that do not meet it.
Activities without conditions on the row are answered from leads_signal where that is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, LiteralString

from django.db import connection, transaction

from segments.conditions import definitions
from segments.conditions.fields import Catalogue, Scope
from segments.conditions.fragment import FALSE, TRUE, Sql, bind, both, either, join, sql
from segments.conditions.operators import Operand, amount_holds, amount_sql, from_wall_clock, in_span
from segments.conditions.periods import FIXED_UNITS, MONTHS_IN, Moment, Span, moment_span, shift_moment
from segments.conditions.tree import (
    All,
    Amount,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    Step,
    Total,
    Tree,
    When,
    leaves,
)

ALIASES = Sql("leads_contact contact")
ALIASES_WITH_COMPANY = Sql("leads_contact contact LEFT JOIN leads_company company ON company.id = contact.company_id")


def matching(
    tree: Tree,
    moment: Moment,
    *,
    contacts: Sequence[int] | None = None,
    stored: bool = False,
    catalogue: Catalogue | None = None,
) -> Sql:
    """SELECT of the ids of the contacts for whom the rule holds, each once, in no order; of the batch if one is given.

    `stored`: segments and personas named in the rule are read as stored at that moment, as the turn needs it (it works them in
    order); otherwise they are worked out afresh, each once, in the same statement. One statement over activity kinds while compiling
    a rule about them, and two per segment or persona worked out afresh.
    """
    compiler = _Compiler(moment, contacts, stored, catalogue or Catalogue())
    return compiler.statement(tree)


def predicate(tree: Tree, moment: Moment, *, stored: bool = False, catalogue: Catalogue | None = None) -> Sql:
    """The rule as one condition over the alias `contact` of leads_contact, never null; for FILTER, CASE and WHERE."""
    compiler = _Compiler(moment, None, stored, catalogue or Catalogue())
    condition = compiler.condition(tree, compiler.scope)
    if compiler.parts:  # segments worked out afresh need their WITH
        return sql(
            "EXISTS (SELECT 1 FROM ({}) AS found(id) WHERE found.id = contact.id)",
            matching(tree, moment, catalogue=catalogue),
        )
    return sql("COALESCE({}, FALSE)", condition)


def match_ids(
    tree: Tree,
    moment: Moment,
    contacts: Sequence[int] | None = None,
    *,
    stored: bool = False,
    catalogue: Catalogue | None = None,
) -> list[int]:
    """Ids of the contacts for whom the rule holds, in order. One statement besides those of compiling."""
    found = matching(tree, moment, contacts=contacts, stored=stored, catalogue=catalogue)
    return sorted(row[0] for row in _fetch(found))


def count(tree: Tree, moment: Moment, *, stored: bool = False, catalogue: Catalogue | None = None) -> int:
    """The exact number of contacts for whom the rule holds. One statement besides those of compiling."""
    found = matching(tree, moment, stored=stored, catalogue=catalogue)
    return int(_fetch(sql("SELECT count(*) FROM ({}) AS found", found))[0][0])


def sample(
    tree: Tree, moment: Moment, limit: int, *, stored: bool = False, catalogue: Catalogue | None = None
) -> list[int]:
    """Ids of the newest contacts for whom the rule holds, `limit` at most. One statement besides those of compiling."""
    found = matching(tree, moment, stored=stored, catalogue=catalogue)
    rows = _fetch(sql("SELECT id FROM ({}) AS found(id) ORDER BY id DESC LIMIT {}", found, bind(limit, "bigint")))
    return [row[0] for row in rows]


def names_of_matching(tree: Tree, moment: Moment, *, catalogue: Catalogue | None = None) -> list[str]:
    """External ids, else e-mails, of the contacts for whom the rule holds, sorted by code point."""
    found = matching(tree, moment, catalogue=catalogue)
    rows = _fetch(
        sql(
            "SELECT COALESCE(contact.external_id, contact.email) FROM leads_contact contact WHERE contact.id IN ({})",
            found,
        )
    )
    return sorted(str(row[0]) for row in rows)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """No statement inside runs longer; Django's OperationalError (SQLSTATE 57014) otherwise. A transaction of its own, or a savepoint."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(max(int(seconds * 1000), 1))])
        yield
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


def _fetch(statement: Sql) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return list(cursor.fetchall())


class _Compiler:
    """Compiles one rule and, once each, the segments and personas that it is built on."""

    def __init__(self, moment: Moment, contacts: Sequence[int] | None, stored: bool, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.scope = Scope(moment, None if contacts is None else list(contacts), stored)
        self.parts: dict[str, tuple[LiteralString, Sql]] = {}  # definition -> name and body of its WITH part
        self.open: list[str] = []

    @property
    def moment(self) -> Moment:
        return self.scope.moment

    def statement(self, tree: Tree) -> Sql:
        body = self.select(tree)
        if not self.parts:
            return body
        named = [sql("{} AS MATERIALIZED ({})", Sql(name), part) for name, part in self.parts.values()]
        return sql("WITH {} {}", join(", ", named), body)

    def select(self, tree: Tree, extra: Sql = TRUE) -> Sql:
        """SELECT of contact ids, without the WITH parts it needs."""
        has_company = any(
            isinstance(leaf, FieldLeaf) and leaf.field.startswith("company.") for _path, leaf in leaves(tree)
        )
        scope = replace(self.scope, has_company=has_company)
        source = ALIASES_WITH_COMPANY if has_company else ALIASES
        return sql(
            "SELECT contact.id FROM {} WHERE {}{}",
            source,
            both(self.condition(tree, scope), extra),
            scope.only("contact.id"),
        )

    # --- nodes

    def condition(self, node: Tree, scope: Scope, want: bool = True) -> Sql:
        """The node, or its complement. Null counts as false at the top; nothing below negates a null."""
        match node:
            case All(nodes):
                inside = [self.condition(child, scope, want) for child in nodes]
                return both(*inside) if want else either(*inside)
            case AnyOf(nodes):
                inside = [self.condition(child, scope, want) for child in nodes]
                return either(*inside) if want else both(*inside)
            case Not(child):
                return self.condition(child, scope, not want)
            case FieldLeaf():
                return self.field(node, scope, want)
            case DidLeaf():
                return self.did(node, scope, want)
            case HasLeaf():
                return self.has(node, scope, want)
            case SequenceLeaf():
                return self.sequence(node, scope, want)
            case MemberLeaf():
                return self.member(node, scope, want)

    # --- leaves

    def field(self, leaf: FieldLeaf, scope: Scope, want: bool = True) -> Sql:
        spec = leaf.spec
        condition = leaf.operator.sql(Operand(leaf.type, lambda as_type: spec.sql(as_type, scope)), leaf.wanted, scope)
        want = want != leaf.operator.negates
        if spec.within is not None and not (scope.has_company and spec.key.startswith("company.")):
            found = spec.within(condition, scope)
            return found if want else sql("NOT {}", found)
        return condition if want else sql("({}) IS NOT TRUE", condition)

    def rows(self, where: Iterable[FieldLeaf], scope: Scope) -> list[Sql]:
        return [self.field(row, scope) for row in where]

    def activities(self, kinds: tuple[str, ...] | None, conditions: Iterable[Sql], scope: Scope) -> Sql | None:
        """`FROM leads_activity activity WHERE …` of the rows that exist; None when no row can."""
        of_kinds = self.of_kinds(kinds, Sql("activity.kind_id"))
        if of_kinds == FALSE:
            return None
        chosen = both(of_kinds, sql("activity.occurred_at <= {}", bind(scope.moment.at, "timestamptz")), *conditions)
        return sql("FROM leads_activity activity WHERE {}{}", chosen, scope.only("activity.contact_id"))

    def of_kinds(self, kinds: tuple[str, ...] | None, column: Sql) -> Sql:
        if kinds is None:
            return TRUE
        ids = self.catalogue.kind_ids(kinds)
        if not ids:
            return FALSE
        return (
            sql("{} = {}", column, bind(ids[0], "smallint"))
            if len(ids) == 1
            else sql("{} = ANY ({})", column, bind(ids, "smallint[]"))
        )

    def did(self, leaf: DidLeaf, scope: Scope, want: bool) -> Sql:
        if not leaf.where:
            short = self.from_signals(leaf, scope, want)
            if short is not None:
                return short
        in_period = (
            [] if leaf.when is None or leaf.is_first else [_in_period(leaf.when, Sql("activity.occurred_at"), scope)]
        )
        rows = self.activities(leaf.kinds, [*in_period, *self.rows(leaf.where, scope)], scope)
        if leaf.latest:
            this = both(*self.rows(leaf.latest, scope))
            having = sql("max(activity.occurred_at) FILTER (WHERE {}) = max(activity.occurred_at)", this)
            return self.grouped(rows, having, want)
        if leaf.total is not None:
            return self.grouped(rows, _total(leaf.total, scope), want)
        if leaf.is_first and leaf.when is not None:
            return self.grouped(rows, _in_period(leaf.when, Sql("min(activity.occurred_at)"), scope), want)
        return self.counted(rows, leaf.count, want, "activity.contact_id")

    def has(self, leaf: HasLeaf, scope: Scope, want: bool) -> Sql:
        related = leaf.related
        where = self.rows(leaf.where, scope)
        rows = sql(
            "{}{}{}", related.source(scope), join("", [sql(" AND {}", row) for row in where]), scope.only(related.link)
        )
        return self.counted(rows, leaf.count, want, related.link)

    def counted(self, rows: Sql | None, amount: Amount | None, want: bool, link: LiteralString) -> Sql:
        """How many rows a contact has, zero included."""
        if _is_any(amount):
            return self.some(rows, want, link)
        if _is_none(amount):
            return self.some(rows, not want, link)
        assert amount is not None
        number = Sql("count(*)")
        if amount_holds(amount.op, amount.wanted, 0):
            return self.grouped(rows, sql("NOT ({})", amount_sql(amount.op, amount.wanted, number)), not want, link)
        return self.grouped(rows, amount_sql(amount.op, amount.wanted, number), want, link)

    def some(self, rows: Sql | None, want: bool, link: LiteralString = "activity.contact_id") -> Sql:
        if rows is None:
            return FALSE if want else TRUE
        return _exists(sql("SELECT 1 {} AND {} = contact.id", rows, Sql(link)), want)

    def grouped(self, rows: Sql | None, having: Sql, want: bool, link: LiteralString = "activity.contact_id") -> Sql:
        if rows is None:
            return FALSE if want else TRUE
        groups = sql("SELECT {} AS contact_id {} GROUP BY {} HAVING {}", Sql(link), rows, Sql(link), having)
        return _exists(sql("SELECT 1 FROM ({}) AS found WHERE found.contact_id = contact.id", groups), want)

    # --- activities from signals: n, first_at and last_at per contact and kind, future activities included

    def from_signals(self, leaf: DidLeaf, scope: Scope, want: bool) -> Sql | None:
        """The leaf without reading activities where signals answer it exactly; None where they do not."""
        if leaf.latest or leaf.total is not None:
            return None
        of_kinds = self.of_kinds(leaf.kinds, Sql("signal.kind_id"))
        at = bind(scope.moment.at, "timestamptz")
        begun = both(of_kinds, sql("signal.first_at <= {}", at))
        if leaf.is_first and leaf.when is not None:
            if of_kinds == FALSE:
                return FALSE if want else TRUE
            rows = sql("FROM leads_signal signal WHERE {}{}", begun, scope.only("signal.contact_id"))
            return self.grouped(
                rows, _in_period(leaf.when, Sql("min(signal.first_at)"), scope), want, "signal.contact_id"
            )
        if _is_any(leaf.count) or _is_none(leaf.count):
            want = want if _is_any(leaf.count) else not want
            span = Span[datetime]() if leaf.when is None or leaf.is_first else _span(leaf.when, scope.moment)
            if span is None:
                return None
            if of_kinds == FALSE or span.is_empty:
                return FALSE if want else TRUE
            touched = self.signal_touches(span.until(scope.moment.at))
            return _exists(
                sql(
                    "SELECT 1 FROM leads_signal signal WHERE {} AND {}{} AND signal.contact_id = contact.id",
                    of_kinds, touched, scope.only("signal.contact_id"),
                ),
                want,
            )  # fmt: skip
        if leaf.when is not None or leaf.count is None:
            return None
        if of_kinds == FALSE:
            return TRUE if amount_holds(leaf.count.op, leaf.count.wanted, 0) == want else FALSE
        # What is past counts as summed; where something lies after `at`, the rows until then are counted.
        rows = sql(
            "FROM (SELECT signal.contact_id, signal.n FROM leads_signal signal WHERE {} AND signal.last_at <= {}{}"
            " UNION ALL SELECT activity.contact_id, count(*) FROM leads_signal signal JOIN leads_activity activity"
            " ON activity.contact_id = signal.contact_id AND activity.kind_id = signal.kind_id"
            " WHERE {} AND signal.last_at > {}{} AND activity.occurred_at <= {} GROUP BY activity.contact_id) AS counted",
            of_kinds, at, scope.only("signal.contact_id"), begun, at, scope.only("signal.contact_id"), at,
        )  # fmt: skip
        holds_for_zero = amount_holds(leaf.count.op, leaf.count.wanted, 0)
        having = amount_sql(leaf.count.op, leaf.count.wanted, Sql("sum(counted.n)"))
        if holds_for_zero:
            return self.grouped(rows, sql("NOT ({})", having), not want, "counted.contact_id")
        return self.grouped(rows, having, want, "counted.contact_id")

    def signal_touches(self, span: Span[datetime]) -> Sql:
        """At least one activity of the signal lies in the span: by its ends, else by a look at the activities themselves."""
        if span.low is None:
            return in_span(Sql("signal.first_at"), span, "timestamptz")
        inside = in_span(Sql("activity.occurred_at"), span, "timestamptz")
        return sql(
            "{} AND ({} OR {} OR EXISTS (SELECT 1 FROM leads_activity activity WHERE activity.contact_id = signal.contact_id"
            " AND activity.kind_id = signal.kind_id AND {}))",
            both(
                in_span(Sql("signal.first_at"), Span(None, span.high, has_high=span.has_high), "timestamptz"),
                in_span(Sql("signal.last_at"), Span(span.low, None, has_low=span.has_low), "timestamptz"),
            ),
            in_span(Sql("signal.last_at"), span, "timestamptz"),
            in_span(Sql("signal.first_at"), span, "timestamptz"),
            inside,
        )

    # --- sequences

    def sequence(self, leaf: SequenceLeaf, scope: Scope, want: bool) -> Sql:
        """Rows of all steps in order of time; per step the latest row of the step before, strictly earlier, must be near enough.

        One sort of the rows that any step takes, whatever the number of steps.
        """
        marks = [self.step(step, scope) for step in leaf.steps]
        if FALSE in marks:
            return FALSE if want else TRUE
        period = [] if leaf.when is None else [_in_period(leaf.when, Sql("activity.occurred_at"), scope)]
        rows = self.activities(None, [*period, either(*marks)], scope)
        assert rows is not None
        columns = [sql("({}) IS TRUE AS step_{}", mark, Sql(str(place))) for place, mark in enumerate(marks)]
        level = sql("SELECT activity.contact_id, activity.occurred_at, {} {}", join(", ", columns), rows)
        level = sql("SELECT *, CASE WHEN step_0 THEN occurred_at END AS reached_0 FROM ({}) AS level_0", level)
        for place in range(1, len(marks)):
            here, before = Sql(str(place)), Sql(str(place - 1))
            previous = sql(
                "max(reached_{}) OVER (PARTITION BY contact_id ORDER BY occurred_at GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)",
                before,
            )
            near = sql("{} IS NOT NULL", previous) if leaf.gap is None else _near(previous, leaf.gap, scope)
            level = sql(
                "SELECT *, CASE WHEN step_{} AND {} THEN occurred_at END AS reached_{} FROM ({}) AS level_{}",
                here,
                near,
                here,
                level,
                here,
            )
        last = Sql(str(len(marks) - 1))
        return _exists(
            sql(
                "SELECT 1 FROM ({}) AS found WHERE found.reached_{} IS NOT NULL AND found.contact_id = contact.id",
                level,
                last,
            ),
            want,
        )

    def step(self, step: Step, scope: Scope) -> Sql:
        return both(self.of_kinds(step.kinds, Sql("activity.kind_id")), *self.rows(step.where, scope))

    # --- memberships

    def member(self, leaf: MemberLeaf, scope: Scope, want: bool) -> Sql:
        if scope.is_stored or leaf.subject not in ("in_segment", "in_persona"):
            found = leaf.spec.sql(leaf, scope)
            return found if want else sql("NOT {}", found)
        name = self.segment_part(leaf.slug) if leaf.subject == "in_segment" else self.persona_part(leaf.slug)
        return _exists(sql("SELECT 1 FROM {} AS part WHERE part.id = contact.id", Sql(name)), want)

    def segment_part(self, slug: str) -> LiteralString:
        """The WITH part of a segment's members as of `at`: (matches ∪ added) − removed."""
        return self.part(f"segment:{slug}", lambda: self.segment_members(slug))

    def segment_members(self, slug: str) -> Sql:
        segment = definitions.segment(slug)
        at = bind(self.moment.at, "timestamptz")
        by_hand = (
            "EXISTS (SELECT 1 FROM segments_segmentoverride override WHERE override.segment_id = {} AND override.verdict = {}"
            " AND override.since <= {} AND override.contact_id = contact.id)"
        )
        segment_id = bind(segment.id, "bigint")
        added = sql(by_hand, segment_id, bind("added", "text"), at)
        removed = sql(by_hand, segment_id, bind("removed", "text"), at)
        not_removed = sql("NOT {}", removed)
        if segment.conditions is None:
            return sql(
                "SELECT contact.id FROM leads_contact contact WHERE {} AND {}{}",
                added,
                not_removed,
                self.scope.only("contact.id"),
            )
        tree = definitions.tree_of(segment, self.catalogue)
        if not segment.has_overrides:
            return self.select(tree)
        # The rule's own plan stays as it is; people put in by hand are few.
        return sql(
            "SELECT contact.id FROM (SELECT ruled.id FROM ({}) AS ruled(id)"
            " UNION SELECT contact.id FROM leads_contact contact WHERE {}{}) AS contact WHERE {}",
            self.select(tree), added, self.scope.only("contact.id"), not_removed,
        )  # fmt: skip

    def persona_part(self, slug: str) -> LiteralString:
        """The WITH part of a persona's people: its rule matches, and none of a persona before it does."""
        return self.part(f"persona:{slug}", lambda: self.persona_people(slug))

    def persona_people(self, slug: str) -> Sql:
        personas = definitions.personas_until(slug)
        if not personas:
            return Sql("SELECT contact.id FROM leads_contact contact WHERE FALSE")
        *before, mine = personas
        others = [self.part(f"rule of persona:{other.slug}", lambda other=other: self.rule(other)) for other in before]
        excluded = [
            sql("NOT EXISTS (SELECT 1 FROM {} AS part WHERE part.id = contact.id)", Sql(name)) for name in others
        ]
        return self.select(definitions.tree_of(mine, self.catalogue), both(*excluded))

    def rule(self, definition: definitions.Stored) -> Sql:
        return self.select(definitions.tree_of(definition, self.catalogue))

    def part(self, key: str, make: Any) -> LiteralString:
        if key in self.parts:
            return self.parts[key][0]
        if key in self.open:
            raise definitions.loop([*self.open[self.open.index(key) :], key])
        self.open.append(key)
        body = make()
        self.open.pop()
        name = f"part_{len(self.parts) + 1}"
        self.parts[key] = (name, body)
        return name


def _exists(body: Sql, want: bool) -> Sql:
    return sql("EXISTS ({})" if want else "NOT EXISTS ({})", body)


def _in_period(when: When, moment_of: Sql, scope: Scope) -> Sql:
    found = when.operator.sql(Operand("moment", lambda as_type: moment_of), when.wanted, scope)
    return sql("NOT ({})", found) if when.operator.negates else found


def _span(when: When, moment: Moment) -> Span[datetime] | None:
    """The period as one span; None when it is not one."""
    if not when.operator.negates:
        return moment_span(when.op, when.wanted, moment)
    if when.op == "not_in_last":  # nothing lies after `at`
        edge = moment_span("in_last", when.wanted, moment).low
        return Span(None, edge, is_empty=edge is None)
    return None


def _is_any(amount: Amount | None) -> bool:
    """At least one."""
    return amount is None or (amount.op, amount.wanted) in (("at_least", 1), ("more_than", 0))


def _is_none(amount: Amount | None) -> bool:
    return amount is not None and (amount.op, amount.wanted) in (
        ("exactly", 0),
        ("at_most", 0),
        ("less_than", 1),
        ("between", (0, 0)),
    )


def _total(total: Total, scope: Scope) -> Sql:
    """Rows without a number do not count; none left does not hold. An average is compared without dividing, so it is exact."""
    number = total.spec.sql("number", scope)
    how: dict[str, LiteralString] = {
        "sum": "sum({})",
        "average": "sum({})",
        "smallest": "min({})",
        "largest": "max({})",
    }
    times = sql("count({})", number) if total.how == "average" else None
    compared = amount_sql(total.amount.op, total.amount.wanted, sql(how[total.how], number), times)
    return sql("count({}) > 0 AND {}", number, compared)


def _near(previous: Sql, gap: tuple[int, str], scope: Scope) -> Sql:
    """`occurred_at` is at most the gap after the earlier moment."""
    number, unit = gap
    if shift_moment(scope.moment.at, number, unit, scope.moment.zone) is None:  # longer than the calendar
        return sql("{} IS NOT NULL", previous)
    if unit in FIXED_UNITS:
        return sql("occurred_at <= {} + {}", previous, bind(FIXED_UNITS[unit] * number, "interval"))
    wall = sql(
        "({} AT TIME ZONE {} + make_interval(months => {}))",
        previous,
        bind(scope.moment.zone.key, "text"),
        bind(number * MONTHS_IN[unit], "integer"),
    )
    return sql("occurred_at <= {}", from_wall_clock(wall, scope))
