"""Regular expressions as PostgreSQL and Python read them alike: checked, folded, written for PostgreSQL, and run here in bounded time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext as _

from leads.text import fold

# A counted group is spelled out in states; past this a pattern is refused. PostgreSQL compiles 1,000 states in under 20 ms.
MOST_STATES = 1000
MOST_TIMES = 255  # PostgreSQL's own bound of {m,n}
_SPECIAL = frozenset(r".[]^$*+?{}()|\-")
_ALWAYS = frozenset("^$")


class BadPattern(ValueError):
    """The pattern is outside the common subset; the text says where and what would fit."""


@dataclass(frozen=True)
class Char:
    """One character: any of `ranges`, or none of them when negated; any at all for the dot."""

    ranges: tuple[tuple[str, str], ...]
    is_negated: bool = False

    def holds(self, char: str) -> bool:
        return any(low <= char <= high for low, high in self.ranges) != self.is_negated


@dataclass(frozen=True)
class Edge:
    """Start or end of the text."""

    is_start: bool


@dataclass(frozen=True)
class Row:
    """One after the other."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Choice:
    """One of several."""

    branches: tuple[Part, ...]


@dataclass(frozen=True)
class Repeat:
    """A part several times; most None is without end."""

    part: Part
    least: int
    most: int | None


Part = Char | Edge | Row | Choice | Repeat
DOT = Char((), is_negated=True)


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.place = 0

    def peek(self) -> str:
        return self.pattern[self.place : self.place + 1]

    def take(self) -> str:
        char = self.peek()
        self.place += 1
        return char

    def fail(self, why: str) -> BadPattern:
        return BadPattern(
            _("%(why)s (character %(place)s)") % {"why": why, "place": min(self.place, len(self.pattern)) + 1}
        )

    def choice(self, depth: int) -> Part:
        if depth > 50:
            raise self.fail(_("more than 50 brackets inside each other"))
        branches = [self.row(depth)]
        while self.peek() == "|":
            self.take()
            branches.append(self.row(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def row(self, depth: int) -> Part:
        parts: list[Part] = []
        while (char := self.peek()) not in ("", "|", ")"):
            part = self.atom(depth)
            quantifier = self.quantifier()
            if quantifier is not None:
                if isinstance(part, Edge):
                    raise self.fail(_("“%(char)s” cannot be repeated") % {"char": char})
                part = Repeat(part, *quantifier)
                if self.peek() in ("*", "+", "?") or (self.peek() == "{"):
                    raise self.fail(_("one repetition directly after another is read differently; use brackets"))
            parts.append(part)
        return parts[0] if len(parts) == 1 else Row(tuple(parts))

    def atom(self, depth: int) -> Part:
        char = self.take()
        if char == "(":
            if self.peek() == "?":
                raise self.fail(_("“(?” is not taken; use plain brackets"))
            inside = self.choice(depth + 1)
            if self.take() != ")":
                raise self.fail(_("a “(” is not closed"))
            return inside
        if char == "[":
            return self.bracket()
        if char in _ALWAYS:
            return Edge(char == "^")
        if char == ".":
            return DOT
        if char in ("*", "+", "?", "{"):
            self.place -= 1
            raise self.fail(
                _("“%(char)s” has nothing to repeat; write “\\%(char)s” for the character itself") % {"char": char}
            )
        if char == "\\":
            char = self.escaped()
        return _one(char)

    def escaped(self) -> str:
        char = self.take()
        if char == "":
            raise self.fail(_("a backslash at the end; write “\\\\” for the character itself"))
        if char.isalnum() or char == "_" or char.isspace() or ord(char) > 127:
            self.place -= 1
            raise self.fail(_("a backslash goes before punctuation only; use [0-9] for digits, [a-z] for letters"))
        return char

    def quantifier(self) -> tuple[int, int | None] | None:
        char = self.peek()
        if char in ("*", "+", "?") and char:
            self.take()
            return {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        if char != "{":
            return None
        self.take()
        end = self.pattern.find("}", self.place)
        inside = self.pattern[self.place : end] if end >= 0 else ""
        low, comma, high = inside.partition(",")
        if (
            not (low.isascii() and low.isdigit() and (high == "" or (high.isascii() and high.isdigit())))
            or len(inside) > 9
        ):
            raise self.fail(_("“{” wants {m}, {m,} or {m,n}; write “\\{” for the character itself"))
        least = int(low)
        most = int(high) if high else (None if comma else least)
        if least > MOST_TIMES or (most is not None and (most > MOST_TIMES or most < least)):
            raise self.fail(_("a repetition goes from 0 to %(most)s, the smaller number first") % {"most": MOST_TIMES})
        self.place = end + 1
        return least, most

    def bracket(self) -> Part:
        is_negated = self.peek() == "^"
        if is_negated:
            self.take()
        ranges: list[tuple[str, str]] = []
        is_first = True
        while True:
            char = self.take()
            if char == "":
                raise self.fail(_("a “[” is not closed"))
            if char == "]" and not is_first:
                return Char(tuple(ranges), is_negated)
            is_first = False
            low = self.member(char)
            if self.peek() == "-" and self.pattern[self.place + 1 : self.place + 2] not in ("]", ""):
                self.take()
                high = self.member(self.take())
                if _sort(low) != _sort(high) or fold(low) > fold(high):
                    raise self.fail(
                        _(
                            "the range “%(low)s-%(high)s” is not taken; both ends are digits, small letters, capitals or signs,"
                            " the lower first"
                        )
                        % {"low": low, "high": high}
                    )
                ranges.append((fold(low), fold(high)))
            else:
                ranges.append((fold(low), fold(low)))

    def member(self, char: str) -> str:
        if char == "[" and self.peek() in (":", ".", "="):
            raise self.fail(_("classes such as [:alpha:] are not taken; write the range"))
        return self.escaped() if char == "\\" else char


def _sort(char: str) -> str:
    if char.isdigit():
        return "digit"
    if fold(char) != char:
        return "capital"
    return "letter" if char.isalpha() else "sign"


def _one(char: str) -> Char:
    return Char(((fold(char), fold(char)),))


def _size(part: Part) -> int:
    match part:
        case Row(parts) | Choice(parts):
            return 1 + sum(_size(each) for each in parts)
        case Repeat(inside, least, most):
            return 1 + _size(inside) * max(least, most or 0, 1)
    return 1


@lru_cache(maxsize=500)
def parse(pattern: str) -> Part:
    """The pattern as a tree over folded text. Raises BadPattern."""
    reader = _Reader(pattern)
    part = reader.choice(0)
    if reader.peek():
        raise reader.fail(_("a “)” without “(”; write “\\)” for the character itself"))
    if _size(part) > MOST_STATES:
        raise BadPattern(_("the pattern spells out to more than %(most)s parts") % {"most": MOST_STATES})
    return part


def _literal(char: str) -> str:
    return "\\" + char if char in _SPECIAL else char


def for_postgres(part: Part) -> str:
    """The tree as an advanced regular expression over folded text."""
    match part:
        case Edge(is_start):
            return "^" if is_start else "$"
        case Char(ranges, is_negated):
            if part == DOT:
                return "."
            if len(ranges) == 1 and ranges[0][0] == ranges[0][1] and not is_negated:
                return _literal(ranges[0][0])
            inside = "".join(
                _literal(low) if low == high else f"{_literal(low)}-{_literal(high)}" for low, high in ranges
            )
            return f"[{'^' if is_negated else ''}{inside}]"
        case Row(parts):
            return "".join(
                for_postgres(each) if not isinstance(each, Choice) else f"(?:{for_postgres(each)})" for each in parts
            )
        case Choice(branches):
            return "|".join(for_postgres(each) for each in branches)
        case Repeat(inside, least, most):
            times = {(0, None): "*", (1, None): "+", (0, 1): "?"}.get((least, most))
            if times is None:
                times = f"{{{least}}}" if least == most else f"{{{least},{'' if most is None else most}}}"
            return f"(?:{for_postgres(inside)}){times}"


@dataclass(frozen=True)
class _Machine:
    """A non-deterministic machine: per state either a character to the next state, or free moves (some only at an edge)."""

    chars: tuple[Char | None, ...]
    free: tuple[tuple[tuple[int, str], ...], ...]
    start: int
    end: int

    def closed(self, states: Iterator[int], is_start: bool, is_end: bool) -> set[int]:
        seen: set[int] = set()
        waiting = list(states)
        while waiting:
            state = waiting.pop()
            if state in seen:
                continue
            seen.add(state)
            waiting.extend(
                target
                for target, edge in self.free[state]
                if edge == "" or (edge == "^" and is_start) or (edge == "$" and is_end)
            )
        return seen


@lru_cache(maxsize=500)
def _machine(part: Part) -> _Machine:
    chars: list[Char | None] = []
    free: list[list[tuple[int, str]]] = []

    def new() -> int:
        chars.append(None)
        free.append([])
        return len(chars) - 1

    def build(each: Part, start: int) -> int:
        match each:
            case Char():
                chars[start] = each
                return new_after(start)
            case Edge(is_start):
                end = new()
                free[start].append((end, "^" if is_start else "$"))
                return end
            case Row(parts):
                for inside in parts:
                    start = build(inside, fresh(start))
                return start
            case Choice(branches):
                end = new()
                for branch in branches:
                    free[build(branch, fresh(start))].append((end, ""))
                return end
            case Repeat(inside, least, most):
                for _time in range(least):
                    start = build(inside, fresh(start))
                if most is None:
                    loop = fresh(start)
                    free[build(inside, fresh(loop))].append((loop, ""))
                    return loop
                end = new()
                for _time in range(most - least):
                    free[start].append((end, ""))
                    start = build(inside, fresh(start))
                free[start].append((end, ""))
                return end

    def fresh(before: int) -> int:
        state = new()
        free[before].append((state, ""))
        return state

    def new_after(before: int) -> int:
        state = new()
        after[before] = state
        return state

    after: dict[int, int] = {}
    begin = new()
    finish = build(part, fresh(begin))
    for state, target in after.items():
        if target != state + 1:
            raise AssertionError("a character's next state directly follows it")
    return _Machine(tuple(chars), tuple(tuple(moves) for moves in free), begin, finish)


def search(part: Part, text: str) -> bool:
    """Whether the pattern is found anywhere in the text (both folded); time is bounded by pattern size × text length."""
    machine = _machine(part)
    states: set[int] = set()
    length = len(text)
    for place in range(length + 1):
        states = machine.closed(iter(states | {machine.start}), place == 0, place == length)
        if machine.end in states:
            return True
        if place == length:
            return False
        char = text[place]
        held: dict[Char, bool] = {}
        states = {
            state + 1
            for state in states
            if (wanted := machine.chars[state]) is not None and held.setdefault(wanted, wanted.holds(char))
        }
    return False
