"""From a tree to one set-based statement for everybody, a batch or one contact.

Each leaf is true or false, never null, where it matters: negation is pushed down to the leaves, a negated comparison is
`IS NOT TRUE`, a negated search of rows is NOT EXISTS. Each leaf about rows is a search of its own (people.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any, LiteralString

from django.db import connection, transaction

from segments.conditions import definitions
from segments.conditions.fields import Catalogue, Scope
from segments.conditions.fragment import FALSE, TRUE, Sql, bind, both, either, join, sql
from segments.conditions.operators import Operand
from segments.conditions.people import People, Search
from segments.conditions.periods import Moment
from segments.conditions.tree import (
    All,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    Tree,
    leaves,
)

NEAR: LiteralString = "near_activity"
AFTER_ALL = datetime(2200, 1, 1, tzinfo=UTC)  # activities are dated until 2100
ALIASES = Sql("leads_contact contact")
ALIASES_WITH_COMPANY = Sql("leads_contact contact LEFT JOIN leads_company company ON company.id = contact.company_id")


def matching(
    tree: Tree,
    moment: Moment,
    *,
    contacts: Sequence[int] | None = None,
    stored: bool = False,
    catalogue: Catalogue | None = None,
    near: bool = False,
) -> Sql:
    """SELECT of the ids of the contacts for whom the rule holds, each once, in no order; of the batch if one is given.

    `near`: activities are read from the WITH part NEAR, which the caller makes of `near_activities` for all rules of the batch.

    `stored`: segments and personas named in the rule are read as stored at that moment, as the turn needs it (it works them in
    order); otherwise they are worked out afresh, each once, in the same statement. One statement over activity kinds while compiling
    a rule about them, and two per segment or persona worked out afresh.
    """
    compiler = _Compiler(moment, contacts, stored, catalogue or Catalogue())
    if near:
        compiler.scope = replace(compiler.scope, activities=NEAR)
    return compiler.statement(tree)


def near_activities(
    trees: Iterable[Tree], moment: Moment, contacts: Sequence[int], *, catalogue: Catalogue | None = None
) -> Sql | None:
    """SELECT of what the batch has of the activities that these rules search, read once instead of once for each search.

    None when fewer than two searches read any.
    """
    compiler = _Compiler(moment, contacts, True, catalogue or Catalogue())
    search = Search(compiler.catalogue, compiler.scope, compiler.field)
    found = [leaf for tree in trees for _path, leaf in leaves(tree) if isinstance(leaf, DidLeaf | SequenceLeaf)]
    reaches = [reach for leaf in found if (reach := search.reach(leaf)) is not None]
    if len(reaches) < 2:
        return None
    reach = reduce(or_, reaches)
    conditions = [sql("activity.occurred_at <= {}", search.at)]
    if reach.kinds is not None:
        conditions.append(sql("activity.kind_id = ANY ({})", bind(sorted(reach.kinds), "smallint[]")))
    if reach.low is not None:
        conditions.append(sql("activity.occurred_at >= {}", bind(reach.low, "timestamptz")))
    columns = "contact_id, occurred_at, kind_id, asset_id"
    return sql(
        "SELECT {} FROM leads_activity activity WHERE {}{}",
        Sql(columns + ", properties" if reach.has_properties else columns),
        both(*conditions),
        compiler.scope.only("activity.contact_id"),
    )


def predicate(
    tree: Tree, moment: Moment, *, stored: bool = False, catalogue: Catalogue | None = None, has_company: bool = False
) -> Sql:
    """The rule as one condition over the alias `contact` of leads_contact, never null; for FILTER, CASE and WHERE.

    `has_company`: the statement joins the contact's company as `company`.
    """
    compiler = _Compiler(moment, None, stored, catalogue or Catalogue())
    condition = compiler.condition(tree, replace(compiler.scope, has_company=has_company))
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


@dataclass(frozen=True)
class Chosen:
    """Which activities a leaf chooses: of these kinds and meeting a condition on the alias `activity` of leads_activity. None: of any, no more."""

    kinds: tuple[int, ...] | None
    condition: Sql | None


def chosen_activities(
    leaf: DidLeaf, moment: Moment, *, for_all: bool = False, catalogue: Catalogue | None = None
) -> Chosen | None:
    """The activities that kinds, `where` and `when` of the leaf choose, those dated ahead too; None when there can be none.

    For leaves whose `where` and `when` do not move with time. `for_all`: the activities of everybody will be asked.
    """
    compiler = _Compiler(replace(moment, at=AFTER_ALL), None, True, catalogue or Catalogue())
    search = Search(compiler.catalogue, replace(compiler.scope, is_listed=for_all), compiler.field)
    kinds = None if leaf.kinds is None else tuple(compiler.catalogue.kind_ids(leaf.kinds))
    condition = both(*search.in_period(leaf.when, "activity.occurred_at"), *search.on_row(leaf.where))
    if kinds == () or condition == FALSE:
        return None
    return Chosen(kinds, None if condition == TRUE else condition)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """No statement inside runs longer; Django's OperationalError (SQLSTATE 57014) otherwise. A transaction of its own, or a savepoint.

    One statement; in a transaction that goes on another one, which sets the limit back.
    """
    is_inside = connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "WITH earlier AS MATERIALIZED (SELECT current_setting('statement_timeout') AS value)"
            " SELECT value, set_config('statement_timeout', %s, true) FROM earlier",
            [str(max(int(seconds * 1000), 1))],
        )
        before = cursor.fetchone()[0]
        yield
        if is_inside:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [before])


def _fetch(statement: Sql) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return list(cursor.fetchall())


class _Compiler:
    """Compiles one rule and, once each, the segments and personas that it is built on."""

    def __init__(self, moment: Moment, contacts: Sequence[int] | None, stored: bool, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.scope = Scope(moment, None if contacts is None else list(contacts), stored, catalogue=catalogue)
        self.parts: dict[str, tuple[LiteralString, Sql]] = {}  # definition -> name and body of its WITH part
        self.open: list[str] = []

    @property
    def moment(self) -> Moment:
        return self.scope.moment

    def statement(self, tree: Tree) -> Sql:
        body = self.select(tree)
        if not self.parts:
            return body
        named = [sql("{}(id) AS MATERIALIZED ({})", Sql(name), part) for name, part in self.parts.values()]
        return sql("WITH {} {}", join(", ", named), body)

    def select(self, tree: Tree, extra: Sql = TRUE) -> Sql:
        """SELECT of contact ids, without the WITH parts it needs."""
        if extra == TRUE and (alone := self.alone(tree)) is not None:
            return alone
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

    def alone(self, tree: Tree) -> Sql | None:
        """SELECT of the ids without the contacts' table, each once; None when the rule asks for it.

        Alternatives are united instead of asking each contact for each; rows that must meet in one contact begin with one search.
        """
        match tree:
            case DidLeaf() | HasLeaf():
                people = self.people(tree, self.scope)
                return people.ids if people.is_sure and not people.is_rest and people.rows is not None else None
            case FieldLeaf() if tree.spec.people is not None and not tree.operator.negates:
                return tree.spec.people(self.compared(tree, self.scope), self.scope)
            case MemberLeaf():
                return self.members(tree)
            case AnyOf(nodes):
                return self.united(nodes)
            case All(nodes) if not any(isinstance(leaf, FieldLeaf) for _path, leaf in leaves(tree)):
                for place, child in enumerate(nodes):
                    if (first := self.alone(child)) is not None:
                        others = [self.condition(other, self.scope) for other in (*nodes[:place], *nodes[place + 1 :])]
                        return sql("SELECT contact.id FROM ({}) AS contact(id) WHERE {}", first, both(*others))
        return None

    def united(self, nodes: Sequence[Tree]) -> Sql | None:
        """Alternatives as a union, those about fields of the contact together as one part of it."""
        each = [(child, self.alone(child)) for child in nodes]
        found = [one for _, one in each if one is not None]
        others = [child for child, one in each if one is None]
        if not found or not all(isinstance(leaf, FieldLeaf) for child in others for _path, leaf in leaves(child)):
            return None
        if others:
            found.append(self.select(AnyOf(tuple(others))))
        return join(" UNION ", [sql("({})", one) for one in found])

    def members(self, leaf: MemberLeaf) -> Sql | None:
        if self.is_fresh(leaf):
            return sql("SELECT part.id FROM {} AS part", Sql(self.member_part(leaf)))
        if leaf.spec.people is None:
            return None
        return sql("{}{}", leaf.spec.people(leaf, self.scope), self.scope.only("stay.contact_id"))

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
            case DidLeaf() | HasLeaf() | SequenceLeaf():
                return self.people(node, scope).condition(scope, want)
            case MemberLeaf():
                return self.member(node, scope, want)

    # --- leaves

    def people(self, leaf: DidLeaf | HasLeaf | SequenceLeaf, scope: Scope) -> People:
        search = Search(self.catalogue, scope, self.field)
        match leaf:
            case DidLeaf():
                return search.did(leaf)
            case HasLeaf():
                return search.has(leaf)
        return search.sequence(leaf)

    def field(self, leaf: FieldLeaf, scope: Scope, want: bool = True) -> Sql:
        spec = leaf.spec
        condition = self.compared(leaf, scope)
        want = want != leaf.operator.negates
        if spec.within is not None and not (scope.has_company and spec.key.startswith("company.")):
            found = spec.within(condition, scope)
            return found if want else sql("NOT {}", found)
        return condition if want else sql("({}) IS NOT TRUE", condition)

    def compared(self, leaf: FieldLeaf, scope: Scope) -> Sql:
        """The leaf's comparison on the row that holds its value; of a negative operator, its twin's."""
        operand = Operand(leaf.type, lambda as_type: leaf.spec.sql(as_type, scope), leaf.spec.is_lower)
        return leaf.operator.sql(operand, leaf.wanted, scope)

    # --- memberships

    def member(self, leaf: MemberLeaf, scope: Scope, want: bool) -> Sql:
        if not self.is_fresh(leaf):
            found = leaf.spec.sql(leaf, scope)
            return found if want else sql("NOT {}", found)
        return _exists(sql("SELECT 1 FROM {} AS part WHERE part.id = contact.id", Sql(self.member_part(leaf))), want)

    def is_fresh(self, leaf: MemberLeaf) -> bool:
        """Whether the membership is worked out in this statement."""
        return not self.scope.is_stored and leaf.subject in ("in_segment", "in_persona")

    def member_part(self, leaf: MemberLeaf) -> LiteralString:
        return self.segment_part(leaf.slug) if leaf.subject == "in_segment" else self.persona_part(leaf.slug)

    def segment_part(self, slug: str) -> LiteralString:
        """The WITH part of a segment's members: (matches as of `at` ∪ added) − removed. Who is in by hand belongs to the definition as it is now."""
        return self.part(f"segment:{slug}", lambda: self.segment_members(slug))

    def segment_members(self, slug: str) -> Sql:
        segment = definitions.segment(slug)
        by_hand = (
            "EXISTS (SELECT 1 FROM segments_segmentoverride override WHERE override.segment_id = {} AND override.verdict = {}"
            " AND override.contact_id = contact.id)"
        )
        segment_id = bind(segment.id, "bigint")
        added = sql(by_hand, segment_id, bind("added", "text"))
        removed = sql(by_hand, segment_id, bind("removed", "text"))
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
