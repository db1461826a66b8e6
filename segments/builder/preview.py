"""What a rule says about people while it is written: exact counts of each part, estimates where those take long, people with ticks."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db import OperationalError
from django.db.models import Max, Min
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg.errors import QueryCanceled

from leads.models import Contact
from segments.builder.catalogue import PROPERTY, Catalogue
from segments.conditions import (
    BadConditions,
    LeafVerdict,
    Moment,
    Problem,
    Tree,
    check,
    count,
    explain_each,
    leaves,
    match_ids,
    moment,
    reading,
    sample,
    sentence,
    time_limit,
)
from segments.conditions.reading import NotJson

ONE_COUNT = 1.0  # seconds for one statement while somebody types (LIMITS: the builder's count answers within a second)
ALL_COUNTS = 2.5  # seconds for one preview; what is left then waits for the next
EXACT_COUNT = 30.0  # seconds when the marketer asked for the exact number
KEPT = 20  # seconds that the count of an unchanged row is not asked again
SAMPLE_SIZE = 10_000  # contacts of an estimate: ± 1 point of percentage at worst
PEOPLE = 8
MOST_TICKS = 12  # columns of the table of people
MOST_NEAR_ROWS = 10  # rows that are left out one at a time to find near misses


@dataclass(frozen=True)
class Part:
    """What is known about one row or group: its state, the number, or what is wrong and at which control."""

    index: int
    state: str  # counted, estimated, slow, unfinished, problem
    number: int | None = None
    message: str = ""
    at: str = ""


@dataclass(frozen=True)
class Estimate:
    number: int
    low: int
    high: int
    size: int


@dataclass(frozen=True)
class Preview:
    state: str  # empty, counted, estimated, slow, unfinished, problem
    at: datetime
    parts: Sequence[Part] = ()
    number: int | None = None
    estimate: Estimate | None = None
    sentence: str = ""
    messages: Sequence[str] = ()


@dataclass(frozen=True)
class Person:
    contact: Contact
    ticks: Sequence[LeafVerdict]


@dataclass(frozen=True)
class People:
    """A sample with a tick for each row of the rule; `columns` are the rows' sentences in order."""

    columns: Sequence[str] = ()
    people: Sequence[Person] = ()
    message: str = ""
    hidden_columns: int = 0


def read_document(text: str) -> Any:
    """The document of the textarea; None for an empty one."""
    if not text.strip():
        return None
    return reading.read_document(text)


def node_at(document: Any, path: str) -> Any:
    """The node at a path such as all[0].not.any[1]; KeyError when there is none."""
    node = document
    for step in path.split(".") if path else ():
        name, _bracket, place = step.partition("[")
        try:
            node = node[name]
            if place:
                node = node[int(place.rstrip("]"))]
        except (TypeError, ValueError, IndexError) as error:
            raise KeyError(path) from error
    return node


def unfinished(node: Any) -> tuple[str, str] | None:
    """Where a leaf still waits for the marketer: the control's path and what to do. None when it is filled in, or is no leaf."""
    if node == "":
        return "value", _("Write the condition as JSON.")
    if not isinstance(node, dict):
        return None
    if set(node) == {"not"}:
        return unfinished(node["not"])
    if "field" in node:
        return _no_value(node, "")
    if "did" in node and node["did"] in ([], ""):
        return "did", _("Choose an activity.")
    for key in ("where", "latest"):
        for place, row in enumerate(node[key] if isinstance(node.get(key), list) else ()):
            found = _no_value(row, f"{key}[{place}].") if isinstance(row, dict) else None
            if found:
                return found
    for place, step in enumerate(node["sequence"] if isinstance(node.get("sequence"), list) else ()):
        found = unfinished(step)
        if found:
            return f"sequence[{place}].{found[0]}", found[1]
    for key in ("count", "total", "when", "gap"):
        part = node.get(key)
        if isinstance(part, dict):
            if key == "total" and part.get("of", PROPERTY) == PROPERTY:
                return "total.of", _("Name the property to add up.")
            found = _no_value(part, f"{key}.")
            if found:
                return found
    for key, value in node.items():
        if value == "" and key.startswith("in_"):
            return key, _("Choose one.")
    return None


def _no_value(part: dict[str, Any], at: str) -> tuple[str, str] | None:
    if part.get("field") == PROPERTY:
        return f"{at}field", _("Name the property.")
    if str(part.get("op")) in ("is_known", "is_unknown", "is_true", "is_false"):
        return None
    value = part.get("value")
    if value in (None, "", []):
        return f"{at}value", _("Fill in the value.")
    if isinstance(value, list) and None in value:
        return f"{at}value[{value.index(None)}]", _("Fill in both ends.")
    return None


def preview(text: str, paths: Sequence[str], *, how: str, now: datetime) -> Preview:
    """Counts of the whole and of the parts at `paths`, in this order of importance, within the time allowed.

    `how`: count (about a second), estimate (from a sample), exact (up to half a minute). One statement per part that is not kept.
    """
    try:
        document = read_document(text)
    except NotJson as error:
        return Preview("problem", now, messages=[str(error)])
    if document is None:
        return Preview("empty", now)
    catalogue = Catalogue()
    parts = _Parts(document, paths, catalogue)
    try:
        tree = check(document, catalogue=catalogue.language)
    except BadConditions as error:
        whole = parts.problems(error.problems)
        found = parts.counted(moment(now), until=time.monotonic() + ALL_COUNTS)
        waits = sum(part.state == "unfinished" and bool(part.message) for part in found)
        problems = [part for part in found if part.state == "problem"]
        if waits and not problems and not whole:
            words = ngettext("%(number)s row is not finished yet.", "%(number)s rows are not finished yet.", waits) % {
                "number": waits
            }
            return Preview("unfinished", now, found, messages=[words])
        return Preview(
            "problem", now, found, messages=whole or [_("Mend the marked rows, then the people are counted.")]
        )
    at = moment(now)
    words = sentence(tree)
    if how == "estimate":
        estimate = _estimated(tree, at)
        if estimate is None:
            return Preview("slow", now, parts.uncounted(), sentence=words)
        return Preview("estimated", now, parts.uncounted(), number=estimate.number, estimate=estimate, sentence=words)
    until = time.monotonic() + ALL_COUNTS
    number = _counted(tree, at, seconds=EXACT_COUNT if how == "exact" else ONE_COUNT)
    found = parts.counted(at, until=until, known={json.dumps(document, sort_keys=True): number})
    return Preview("slow" if number is None else "counted", now, found, number=number, sentence=words)


@dataclass
class _Parts:
    """The rows and groups on the page, by the paths that the page names."""

    document: Any
    paths: Sequence[str]
    catalogue: Catalogue
    _bad: dict[int, Problem] = field(default_factory=dict)

    def _nodes(self) -> Iterator[tuple[int, str, Any]]:
        for index, path in enumerate(self.paths):
            try:
                yield index, path, node_at(self.document, path)
            except KeyError:
                continue

    def problems(self, problems: Iterable[Problem]) -> list[str]:
        """Give each problem to the innermost part that holds it; the rest are the whole rule's."""
        whole = []
        for problem in problems:
            holders = [
                index for index, path, node in self._nodes() if _holds(path, problem.path) and not _is_group(node)
            ]
            if holders:
                self._bad.setdefault(holders[-1], problem)
            else:
                whole.append(str(problem))
        return whole

    def uncounted(self) -> list[Part]:
        return [Part(index, "slow") for index, _path, _node in self._nodes()]

    def counted(self, at: Moment, *, until: float, known: dict[str, int | None] | None = None) -> list[Part]:
        return [self._part(index, path, node, at, until, known or {}) for index, path, node in self._nodes()]

    def _part(self, index: int, path: str, node: Any, at: Moment, until: float, known: dict[str, int | None]) -> Part:
        is_group = _is_group(node)
        waits = None if is_group else unfinished(node)
        if waits:
            return Part(index, "unfinished", message=waits[1], at=waits[0])
        if index in self._bad:
            problem = self._bad[index]
            return Part(index, "problem", message=problem.message, at=_control(path, problem.path))
        key = json.dumps(node, sort_keys=True)
        number = known.get(key)
        if number is None:
            try:
                tree = check(node, catalogue=self.catalogue.language)
            except BadConditions:
                return Part(index, "unfinished")  # a group with such a row, or a part of a rule that is too large
            number = None if time.monotonic() > until else _kept(key, tree, at)
        return Part(index, "slow" if number is None else "counted", number)


def _is_group(node: Any) -> bool:
    inner = node.get("not") if isinstance(node, dict) and set(node) == {"not"} else node
    return isinstance(inner, dict) and ("all" in inner or "any" in inner)


def _holds(path: str, inner: str) -> bool:
    return not path or inner == path or (inner.startswith(path) and inner[len(path)] in ".[")


def _control(path: str, problem: str) -> str:
    """The path of a problem inside its leaf, as the controls of the row are called."""
    inside = problem[len(path) :].lstrip(".")
    return inside.removeprefix("not.").removeprefix("not") or "value"


def _kept(key: str, tree: Tree, at: Moment) -> int | None:
    """The count of a row, asked again after KEPT seconds at most: while one row is edited the others need not be."""
    place = f"builder:{at.zone}:{hashlib.sha256(key.encode()).hexdigest()}"
    number: int | None = cache.get(place)
    if number is None:
        number = _counted(tree, at, seconds=ONE_COUNT)
        if number is not None:
            cache.set(place, number, KEPT)
    return number


def _counted(tree: Tree, at: Moment, *, seconds: float) -> int | None:
    """The exact number, or None when it takes longer."""
    try:
        with time_limit(seconds):
            return count(tree, at)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise


def _estimated(tree: Tree, at: Moment) -> Estimate | None:
    """From a random sample of contacts, with the range in which the number lies 19 times out of 20 (Wilson)."""
    total = Contact.objects.count()
    picked = _random_ids(total)
    try:
        with time_limit(ONE_COUNT * 5):
            hits = len(match_ids(tree, at, contacts=picked))
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise
    size = len(picked)
    if size == 0:
        return Estimate(0, 0, 0, 0)
    share, z = hits / size, 1.96
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    if size >= total:
        return Estimate(hits, hits, hits, size)
    return Estimate(
        round(share * total),
        math.floor(max(0.0, middle - half) * total),
        math.ceil(min(1.0, middle + half) * total),
        size,
    )


def _random_ids(total: int) -> list[int]:
    """Ids of about SAMPLE_SIZE contacts, each with the same chance. Two statements."""
    if total <= SAMPLE_SIZE:
        return list(Contact.objects.values_list("pk", flat=True))
    ends = Contact.objects.aggregate(low=Min("pk"), high=Max("pk"))
    width = ends["high"] - ends["low"] + 1
    wanted = min(width, round(SAMPLE_SIZE * width / total))
    guesses = random.sample(range(ends["low"], ends["high"] + 1), min(wanted, 5 * SAMPLE_SIZE))
    return list(Contact.objects.filter(pk__in=guesses).values_list("pk", flat=True))


# --- people ----------------------------------------------------------------------------------------------------------


def people(text: str, *, which: str, now: datetime) -> People:
    """A few people who match, or who miss by one row, with a tick for each row."""
    try:
        document = read_document(text)
        tree = check(document) if document is not None else None
    except (NotJson, BadConditions):
        return People(message=_("People are shown as soon as the rule is complete."))
    if tree is None:
        return People(message=_("Add a condition first."))
    at = moment(now)
    try:
        with time_limit(ONE_COUNT * 3):
            found = _near(document, at) if which == "near" else list(sample(tree, at, PEOPLE))
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return People(message=_("Looking them up takes longer than a few seconds; the rule itself is fine."))
        raise
    if found is None:
        return People(
            message=_("Near misses are people who fail one row only: they need two rows or more joined by AND.")
        )
    if not found:
        return People(message=_("Nobody misses by one row only.") if which == "near" else _("Nobody matches."))
    return _ticked(tree, found, at)


def _near(document: Any, at: Moment) -> list[int] | None:
    """Contacts who meet all rows of the outermost AND but one; None when there is no such AND. One statement per row."""
    rows = document.get("all") if isinstance(document, dict) else None
    if not isinstance(rows, list) or len(rows) < 2:
        return None
    found: list[int] = []
    each = max(1, math.ceil(PEOPLE / len(rows)))
    for place in range(min(len(rows), MOST_NEAR_ROWS)):
        missed = {"all": [{"not": row} if index == place else row for index, row in enumerate(rows)]}
        try:
            tree = check(missed)
        except BadConditions:  # one level deeper than a rule may be
            continue
        found += [pk for pk in sample(tree, at, each) if pk not in found]
        if len(found) >= PEOPLE:
            break
    return found[:PEOPLE]


def _ticked(tree: Tree, found: Sequence[int], at: Moment) -> People:
    contacts = Contact.objects.select_related("company").in_bulk(found)
    columns = [sentence(leaf) for _path, leaf in leaves(tree)]
    rows = [
        Person(contacts[pk], verdict.leaves[:MOST_TICKS])
        for pk, verdict in explain_each(tree, found, at).items()
        if pk in contacts
    ]
    return People(columns[:MOST_TICKS], rows, hidden_columns=max(0, len(columns) - MOST_TICKS))
