"""Grades A1 … D4: the letter from fit points, the digit from behaviour points, each against three falling lines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

LETTERS = "ABCD"
DIGITS = "1234"
GRADES = tuple(letter + digit for letter in LETTERS for digit in DIGITS)
WORST = "D4"


def grade(fit: Decimal, behaviour: Decimal, fit_lines: Sequence[Decimal], behaviour_lines: Sequence[Decimal]) -> str:
    """“B2”: at least the second fit line and at least the second behaviour line."""
    return LETTERS[_place(fit, fit_lines)] + DIGITS[_place(behaviour, behaviour_lines)]


def are_falling(lines: Sequence[Decimal]) -> bool:
    """Three lines, each below the one before it."""
    return len(lines) == 3 and lines[0] > lines[1] > lines[2]


def _place(points: Decimal, lines: Sequence[Decimal]) -> int:
    for place, line in enumerate(lines):
        if points >= line:
            return place
    return len(lines)
