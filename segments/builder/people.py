"""Who a rule is about: a few people who match, or who miss by one row, with a tick for each row."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import zip_longest

from django.utils.translation import gettext as _

from leads.models import Contact
from segments.builder.documents import read_document
from segments.builder.preview import ONE_COUNT, within
from segments.conditions import (
    BadConditions,
    Catalogue,
    LeafVerdict,
    Moment,
    Tree,
    check,
    explain_each,
    leaves,
    moment,
    sample,
    sentence,
)
from segments.conditions.reading import NotJson
from segments.conditions.tree import All, AnyOf, Not, children, joined

PEOPLE = 8
MOST_TICKS = 12  # columns of the table of people
MOST_NEAR_ROWS = 12  # rows that are turned round one at a time to find near misses
NEAR_SECONDS = 3.0  # for all of them


@dataclass(frozen=True)
class Person:
    """`missed` is the path of the one row that a near miss fails by."""

    contact: Contact
    ticks: Sequence[LeafVerdict]
    missed: str = ""


@dataclass(frozen=True)
class People:
    """A sample with a tick for each row of the rule; `columns` are the rows' sentences in order."""

    columns: Sequence[str] = ()
    people: Sequence[Person] = ()
    message: str = ""
    hidden_columns: int = 0


def people(text: str, *, which: str, now: datetime) -> People:
    """`which`: matches or near. One statement for those who match, one per row for near misses, some ten for the ticks."""
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
    found = within(ONE_COUNT * 3, lambda: sample(tree, at, PEOPLE, catalogue=catalogue))
    if found is None:
        return _too_slow()
    if not found:
        return People(message=_("Nobody matches."))
    return _ticked(tree, dict.fromkeys(found, ""), at, catalogue)


def _too_slow() -> People:
    return People(message=_("Looking them up takes longer than a few seconds; the rule itself is fine."))


# --- near misses -----------------------------------------------------------------------------------------------------


def _near_misses(tree: Tree, at: Moment, catalogue: Catalogue) -> People:
    """People outside the rule who would be inside if one row were the other way round, a few for each row in turn."""
    turned = list(_turned(tree))[:MOST_NEAR_ROWS]
    if not turned:
        return People(
            message=_("Near misses are people who fail one row only: they need two rows or more joined by AND.")
        )
    until = time.monotonic() + NEAR_SECONDS
    found: list[list[tuple[int, str]]] = []
    for path, other in turned:
        seconds = min(ONE_COUNT, until - time.monotonic())
        if seconds <= 0:
            break
        ids = within(seconds, partial(sample, All((other, Not(tree))), at, PEOPLE, catalogue=catalogue))
        if ids is not None:
            found.append([(pk, path) for pk in ids])
    if not found:
        return _too_slow()
    picked: dict[int, str] = {}
    for row in zip_longest(*found):
        for one in row:
            if one is not None and len(picked) < PEOPLE:
                picked.setdefault(*one)
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


# --- ticks -----------------------------------------------------------------------------------------------------------


def _ticked(tree: Tree, found: dict[int, str], at: Moment, catalogue: Catalogue) -> People:
    contacts = Contact.objects.select_related("company").in_bulk(found)
    columns = [sentence(leaf) for _path, leaf in leaves(tree)]
    rows = [
        Person(contacts[pk], verdict.leaves[:MOST_TICKS], found[pk])
        for pk, verdict in explain_each(tree, found, at, catalogue=catalogue).items()
        if pk in contacts
    ]
    return People(columns[:MOST_TICKS], rows, hidden_columns=max(0, len(columns) - MOST_TICKS))
