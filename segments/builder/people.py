"""Who a rule is about: a few people who match, or who miss by one row, with a tick for each row."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.utils.translation import gettext as _

from leads.models import Contact
from segments.builder.documents import read_document
from segments.builder.preview import within
from segments.conditions import (
    BadConditions,
    Catalogue,
    LeafVerdict,
    Moment,
    Tree,
    check,
    explain_each,
    match_ids,
    moment,
    sample,
    sentence,
)
from segments.conditions.reading import NotJson
from segments.conditions.tree import All, AnyOf, Not, children, joined

PEOPLE = 8
MOST_TICKS = 12  # columns of the table of people
MOST_NEAR_ROWS = 12  # rows that are turned round one at a time to find near misses
SECONDS = 3.0  # for one question
NEWEST = 2_000  # contacts looked at first: 128 ms where everybody (200,000) takes 2.1 s, and the same answer if enough are found (2026-11-22)


@dataclass(frozen=True)
class Tick:
    """One row for one person; a row that is turned round by “not” holds where its leaf does not."""

    leaf: LeafVerdict
    is_negated: bool

    @property
    def holds(self) -> bool:
        return self.leaf.holds != self.is_negated

    @property
    def missing(self) -> str:
        return "" if self.is_negated else self.leaf.missing


@dataclass(frozen=True)
class Person:
    """`missed` is the path of the one leaf that a near miss fails by."""

    contact: Contact
    ticks: Sequence[Tick]
    missed: str = ""


@dataclass(frozen=True)
class People:
    """A sample with a tick for each row of the rule; `columns` are the rows' sentences in order."""

    columns: Sequence[str] = ()
    people: Sequence[Person] = ()
    message: str = ""
    hidden_columns: int = 0


def people(text: str, *, which: str, now: datetime) -> People:
    """`which`: matches or near. One or two statements for those who match or for each row of near misses, some ten for the ticks."""
    catalogue = Catalogue()
    try:
        document = read_document(text)
        tree = check(document, catalogue=catalogue) if document is not None else None
    except (NotJson, BadConditions):
        return People(message=_("People are shown as soon as the rule is complete."))
    if tree is None:
        return People(message=_("Add a condition first."))
    at = moment(now)
    if which == "near":
        return _near_misses(tree, at, catalogue)
    search = _Search(at, catalogue)
    found = search.newest(tree)
    if found is None or (len(found) < PEOPLE and not search.is_everybody):
        found = search.everybody(tree) or found
    if not found:
        return _too_slow() if found is None else People(message=_("Nobody matches."))
    return _ticked(tree, dict.fromkeys(found, ""), at, catalogue)


def _too_slow() -> People:
    return People(message=_("Looking them up takes longer than a few seconds; the rule itself is fine."))


class _Search:
    """Looks for people within one time for all questions: among the newest contacts, then among everybody."""

    def __init__(self, at: Moment, catalogue: Catalogue) -> None:
        self.at, self.catalogue = at, catalogue
        self.until = time.monotonic() + SECONDS
        self.batch = list(Contact.objects.order_by("-pk").values_list("pk", flat=True)[:NEWEST])

    @property
    def is_everybody(self) -> bool:
        return len(self.batch) < NEWEST

    def newest(self, tree: Tree) -> list[int] | None:
        """Newest first, PEOPLE at most; None when it takes too long. One statement."""
        ids = self._within(partial(match_ids, tree, self.at, self.batch, catalogue=self.catalogue))
        return None if ids is None else sorted(ids, reverse=True)[:PEOPLE]

    def everybody(self, tree: Tree) -> list[int] | None:
        return self._within(partial(sample, tree, self.at, PEOPLE, catalogue=self.catalogue))

    def _within(self, ask: Callable[[], list[int]]) -> list[int] | None:
        seconds = self.until - time.monotonic()
        return within(min(seconds, SECONDS / 2), ask) if seconds > 0 else None


# --- near misses -----------------------------------------------------------------------------------------------------


def _near_misses(tree: Tree, at: Moment, catalogue: Catalogue) -> People:
    """People outside the rule who would be inside if one row were the other way round, a few for each row in turn."""
    missed = {path: All((other, Not(tree))) for path, other in list(_turned(tree))[:MOST_NEAR_ROWS]}
    if not missed:
        return People(
            message=_("Near misses are people who fail one row only: they need two rows or more joined by AND.")
        )
    search = _Search(at, catalogue)
    found = {path: search.newest(one) for path, one in missed.items()}
    if not search.is_everybody and sum(len(ids or ()) for ids in found.values()) < PEOPLE:
        found |= {path: search.everybody(missed[path]) or ids for path, ids in found.items() if not ids}
    if all(ids is None for ids in found.values()):
        return _too_slow()
    picked: dict[int, str] = {}
    for turn in range(PEOPLE):
        for path, ids in found.items():
            if ids and turn < len(ids) and len(picked) < PEOPLE:
                picked.setdefault(ids[turn], path)
    if not picked:
        return People(message=_("Nobody misses by one row only."))
    return _ticked(tree, picked, at, catalogue)


def _turned(node: Tree, path: str = "", want: bool = True, beside_and: bool = False) -> Iterator[tuple[str, Tree]]:
    """The tree once for each row that stands in an AND, with that row turned round, and the row's path.

    A row in none would make everybody outside the rule a near miss. NOT of an OR is an AND as well, and the other way round.
    """
    if not isinstance(node, All | AnyOf | Not):
        if beside_and:
            yield path, Not(node)
        return
    is_and = len(children(node)) > 1 and isinstance(node, All if want else AnyOf)
    for place, (step, child) in enumerate(children(node)):
        wanted = want != isinstance(node, Not)
        for leaf, other in _turned(child, joined(path, step), wanted, beside_and or is_and):
            yield leaf, _with_child(node, place, other)


def _with_child(node: All | AnyOf | Not, place: int, child: Tree) -> Tree:
    if isinstance(node, Not):
        return Not(child)
    return type(node)((*node.children[:place], child, *node.children[place + 1 :]))


def _rows(node: Tree, is_negated: bool = False) -> Iterator[tuple[Tree, bool]]:
    """What stands in one row of the builder: a leaf, or a leaf under “not”; and whether it is turned round. In the order of the leaves."""
    if isinstance(node, Not) and not isinstance(node.child, All | AnyOf):
        for line, inner in _rows(node.child, not is_negated):
            yield (node if line is node.child else line), inner
    elif isinstance(node, All | AnyOf | Not):
        for _step, child in children(node):
            yield from _rows(child)
    else:
        yield node, is_negated


# --- ticks -----------------------------------------------------------------------------------------------------------


def _ticked(tree: Tree, found: dict[int, str], at: Moment, catalogue: Catalogue) -> People:
    contacts = Contact.objects.select_related("company").in_bulk(found)
    lines = list(_rows(tree))
    columns = [sentence(line) for line, _is_negated in lines]
    rows = [
        Person(
            contacts[pk],
            [Tick(leaf, negated) for leaf, (_line, negated) in zip(verdict.leaves[:MOST_TICKS], lines, strict=False)],
            found[pk],
        )
        for pk, verdict in explain_each(tree, found, at, catalogue=catalogue).items()
        if pk in contacts
    ]
    return People(columns[:MOST_TICKS], rows, hidden_columns=max(0, len(columns) - MOST_TICKS))
