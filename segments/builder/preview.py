"""What a rule says about people while it is written: exact counts of each part, estimates where those take long, problems."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from django.core.cache import cache
from django.db import OperationalError
from django.db.models import Max, Min
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg.errors import QueryCanceled

from leads.models import Contact
from leads.queries import estimated_rows
from segments.builder.catalogue import Catalogue
from segments.builder.documents import is_group, line_of, node_at, read_document, ready, unfinished
from segments.builder.lines import lines_of
from segments.builder.queries import count_together
from segments.conditions import (
    BadConditions,
    Moment,
    Problem,
    Tree,
    check,
    count,
    leaves,
    match_ids,
    moment,
    sentence,
    time_limit,
)
from segments.conditions.check import MOST_CHARACTERS
from segments.conditions.reading import NotJson
from segments.conditions.tree import FieldLeaf

ONE_COUNT = 1.0  # seconds for one statement while somebody types (LIMITS: the builder's count answers within a second)
FIRST_ANSWER = 1.2  # seconds after which the first answer goes out; rows not counted by then come with the next
ALL_COUNTS = 2.5  # seconds for each further answer
EXACT_COUNT = 30.0  # seconds when the marketer asked for the exact number
KEPT = 20  # seconds that the count of an unchanged row is not asked again
SAMPLE_SIZE = 2_500  # contacts of an estimate: ± 2 points of percentage at worst; four times as many take 1 s at 1 M
COUNTED_UP_TO = 50_000  # contacts: beyond, the planner's number of everybody is near enough for an estimate
SLOW = -1  # stands in the cache for a count that took too long
HOW = ("count", "estimate", "exact", "rest")

Found = TypeVar("Found")


@dataclass(frozen=True)
class Part:
    """What is known about one row or group: its state, the number, or what is wrong and at which control."""

    index: int
    state: str  # counted, slow, waiting, unfinished, problem
    number: int | None = None
    message: str = ""
    at: str = ""


@dataclass(frozen=True)
class Message:
    """Something about the whole rule, or about a place in its text."""

    text: str
    path: str = ""
    line: int = 0


@dataclass(frozen=True)
class Estimate:
    number: int
    low: int
    high: int
    size: int


@dataclass(frozen=True)
class Preview:
    """`number` is of the whole rule; while rows are unfinished or wrong, of the rule without them."""

    state: str  # empty, counted, estimated, slow, unfinished, problem, rest
    at: datetime
    parts: Sequence[Part] = ()
    number: int | None = None
    estimate: Estimate | None = None
    sentence: str = ""
    messages: Sequence[Message] = ()

    @property
    def waits(self) -> bool:
        """Some rows are not counted yet and come with the next answer."""
        return any(part.state == "waiting" for part in self.parts)


def preview(text: str, paths: Sequence[str], *, how: str, now: datetime) -> Preview:
    """Counts of the whole and of the parts at `paths`, in this order of importance, within the time allowed.

    `how`: count (about a second), rest (the parts that an answer left waiting), estimate (from a sample), exact (up to half a minute).
    One statement for all rows about fields, one for each other part, none for what is kept.
    """
    begun = time.monotonic()
    if len(text) > MOST_CHARACTERS:
        words = _("%(found)s characters are too many for a rule; at most %(most)s fit.")
        return Preview(
            "problem", now, messages=[Message(words % {"found": f"{len(text):,}", "most": f"{MOST_CHARACTERS:,}"})]
        )
    try:
        document = read_document(text)
    except NotJson as error:
        return Preview("problem", now, messages=[Message(str(error), line=line_of(error))])
    if document is None:
        return Preview("empty", now)
    catalogue = Catalogue()
    parts = _Parts(document, paths, catalogue)
    whole: list[Problem] = []
    tree: Tree | None = None
    try:
        tree = check(document, catalogue=catalogue.language)
    except BadConditions as error:
        whole = parts.problems(error.problems)
    at = moment(now)
    if how == "rest":
        return Preview("rest", now, parts.counted(at, until=begun + ALL_COUNTS))
    if tree is None:
        return _incomplete(text, parts, whole, at, begun)
    words = sentence(tree)
    if how == "estimate":
        estimate = _estimated(tree, at)
        if estimate is None:
            return Preview("slow", now, parts.uncounted(), sentence=words)
        return Preview("estimated", now, parts.uncounted(), number=estimate.number, estimate=estimate, sentence=words)
    if how == "exact":
        number = within(EXACT_COUNT, lambda: count(tree, at, catalogue=catalogue.language))
        found = parts.uncounted() if number is None else parts.counted(at, until=begun, known={_key(document): number})
        return Preview("slow" if number is None else "counted", now, found, number=number, sentence=words)
    found = parts.counted(at, until=begun + FIRST_ANSWER, fresh=(document, tree))
    number = parts.whole
    return Preview("slow" if number is None else "counted", now, found, number=number, sentence=words)


def _incomplete(text: str, parts: _Parts, whole: list[Problem], at: Moment, begun: float) -> Preview:
    """A rule with rows that wait or cannot work: the others go on being counted, alone and together."""
    rest = parts.rest_of(parts.document)
    found = parts.counted(at, until=begun + FIRST_ANSWER, fresh=rest)
    waits = sum(part.state == "unfinished" and bool(part.message) for part in found)
    wrong = sum(part.state == "problem" for part in found)
    if whole:
        lines = lines_of(text, [problem.path for problem in whole])
        messages = [
            Message(problem.message, problem.path, lines[problem.path] if problem.path else 0) for problem in whole
        ]
        return Preview("problem", at.at, found, messages=messages)
    if wrong:
        words = ngettext(
            "%(number)s row cannot work as it stands.", "%(number)s rows cannot work as they stand.", wrong
        )
        return Preview("problem", at.at, found, parts.whole, messages=[Message(words % {"number": wrong})])
    words = ngettext("%(number)s row is not finished yet.", "%(number)s rows are not finished yet.", waits)
    return Preview("unfinished", at.at, found, parts.whole, messages=[Message(words % {"number": waits})])


@dataclass
class _Parts:
    """The rows and groups on the page, by the paths that the page names."""

    document: Any
    paths: Sequence[str]
    catalogue: Catalogue
    whole: int | None = None  # the count of the fresh tree, once counted
    _bad: dict[int, Problem] = field(default_factory=dict)
    _left_out: set[int] = field(default_factory=set)

    def _nodes(self) -> Iterator[tuple[int, str, Any]]:
        for index, path in enumerate(self.paths):
            try:
                yield index, path, node_at(self.document, path)
            except KeyError:
                continue

    def problems(self, problems: Iterable[Problem]) -> list[Problem]:
        """Give each problem to the innermost row that holds it; the rest are the whole rule's."""
        listed = [(index, path) for index, path, node in self._nodes() if not is_group(node)]
        whole = []
        for problem in problems:
            holders = [index for index, path in listed if _holds(path, problem.path)]
            if holders:
                self._bad.setdefault(holders[-1], problem)
            else:
                whole.append(problem)
        self._left_out = {
            id(node)
            for index, _path, node in self._nodes()
            if not is_group(node) and (index in self._bad or unfinished(node))
        }
        return whole

    def rest_of(self, node: Any) -> tuple[Any, Tree] | None:
        """The node without rows that wait or cannot work, with its tree; None when that is no rule."""
        rest = ready(node, self._left_out)
        try:
            return None if rest is None else (rest, check(rest, catalogue=self.catalogue.language))
        except BadConditions:
            return None

    def uncounted(self) -> list[Part]:
        return [Part(index, "slow") for index, _path, _node in self._nodes()]

    def counted(
        self,
        at: Moment,
        *,
        until: float,
        fresh: tuple[Any, Tree] | None = None,
        known: Mapping[str, int | None] | None = None,
    ) -> list[Part]:
        """Every part; `fresh` (the whole rule) is counted first and never taken from what is kept."""
        parts: list[Part] = []
        keys: dict[int, str] = {}
        trees: dict[str, Tree] = {}
        for index, path, node in self._nodes():
            waits = None if is_group(node) else unfinished(node)
            if waits:
                parts.append(Part(index, "unfinished", message=waits[1], at=waits[0]))
            elif index in self._bad:
                problem = self._bad[index]
                parts.append(Part(index, "problem", message=problem.message, at=_control(path, problem.path)))
            elif (found := self.rest_of(node)) is None:
                parts.append(
                    Part(index, "unfinished")
                )  # a group without a row that works, or a part of a rule too large
            else:
                keys[index] = _key(found[0])
                trees[keys[index]] = found[1]
                parts.append(Part(index, "unfinished" if found[0] != node else "counted"))
        numbers = self._numbers(trees, at, until, fresh, dict(known or {}))
        return [_numbered(part, part.index in keys, numbers.get(keys.get(part.index, ""))) for part in parts]

    def _numbers(
        self,
        trees: dict[str, Tree],
        at: Moment,
        until: float,
        fresh: tuple[Any, Tree] | None,
        numbers: dict[str, int | None],
    ) -> dict[str, int | None]:
        """The count of each tree: the fresh one, what is kept, rows about fields together, then the others while time is left."""
        places = {key: f"builder:{at.zone}:{hashlib.sha256(key.encode()).hexdigest()}" for key in trees}
        kept = cache.get_many(places.values())
        numbers |= {key: kept[place] for key, place in places.items() if place in kept and key not in numbers}
        wanted = {key: tree for key, tree in trees.items() if key not in numbers}
        if fresh is not None:
            numbers.pop(_key(fresh[0]), None)
        counted: dict[str, int | None] = {}
        if fresh is not None:
            counted[_key(fresh[0])] = self._counted(fresh[1], at)
        if time.monotonic() < until:
            counted |= self._together({key: tree for key, tree in wanted.items() if key not in counted}, at)
        for key, tree in wanted.items():
            if key not in counted and time.monotonic() < until:
                counted[key] = self._counted(tree, at)
        cache.set_many({places[key]: number for key, number in counted.items() if key in places}, KEPT)
        numbers |= counted
        if fresh is not None:
            number = counted.get(_key(fresh[0]))
            self.whole = None if number == SLOW else number
        return numbers

    def _counted(self, tree: Tree, at: Moment) -> int:
        number = within(ONE_COUNT, lambda: count(tree, at, catalogue=self.catalogue.language))
        return SLOW if number is None else number

    def _together(self, wanted: Mapping[str, Tree], at: Moment) -> dict[str, int | None]:
        """Rules that look at the contact's own row, in one pass; none when that takes too long, so each is tried alone."""
        simple = {key: tree for key, tree in wanted.items() if all(_is_simple(leaf) for _path, leaf in leaves(tree))}
        if len(simple) < 2:
            return {}
        found = within(ONE_COUNT, lambda: count_together(list(simple.values()), at, self.catalogue.language))
        return {} if found is None else dict(zip(simple, found, strict=True))


def _numbered(part: Part, is_asked: bool, number: int | None) -> Part:
    if part.state == "counted" and number == SLOW:
        return Part(part.index, "slow")
    if number == SLOW or not is_asked:
        return part
    return Part(part.index, "waiting" if number is None else part.state, number)


def _is_simple(leaf: Any) -> bool:
    """Read from the contact's own row. Rows about the company are quicker alone, from the few companies they take: 37 against 309 ms
    each over 200,000 contacts, while six rows about contacts take 112 ms together and 243 alone (2026-11-22)."""
    return isinstance(leaf, FieldLeaf) and leaf.spec.within is None


def _key(node: Any) -> str:
    return json.dumps(node, sort_keys=True)


def _holds(path: str, inner: str) -> bool:
    return not path or inner == path or (inner.startswith(path) and inner[len(path)] in ".[")


def _control(path: str, problem: str) -> str:
    """The path of a problem inside its leaf, as the controls of the row are called."""
    inside = problem[len(path) :].lstrip(".")
    return inside.removeprefix("not.").removeprefix("not") or "value"


def within(seconds: float, ask: Callable[[], Found]) -> Found | None:
    """What was asked, or None when a statement of it takes longer."""
    try:
        with time_limit(seconds):
            return ask()
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return None
        raise


def _estimated(tree: Tree, at: Moment) -> Estimate | None:
    """From a random sample of contacts, with the range in which the number lies 19 times out of 20 (Wilson)."""
    total = estimated_rows(Contact._meta.db_table)
    if total < COUNTED_UP_TO:
        total = Contact.objects.count()
    picked = _random_ids(total)
    matched = within(ONE_COUNT * 5, lambda: match_ids(tree, at, contacts=picked))
    if matched is None:
        return None
    hits, size = len(matched), len(picked)
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
