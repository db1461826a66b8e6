"""Subjects that look like spam, by a short list of rules: readers and filters have learnt them. docs/mail.md holds the same list."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy

from nurture.templating.shielding import LIQUID

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

LONG = 100  # characters; phones show some 40, the widest readers some 90
FEW_LETTERS = 8  # a subject of fewer may be an abbreviation

_MONEY = re.compile(
    r"100 ?% (?:free|gratis)|\bfree money\b|\bcash bonus\b|\bearn (?:money|cash|[$€£])|\bmake money\b|\bextra income\b|\bget rich\b"
    r"|\bdouble your\b|\brisk[- ]free\b|\bno obligation\b|\blowest price\b|\bguaranteed\b|\bprize\b|\byou(?:'ve| have) won\b"
    r"|\bgeld verdienen\b|\bgewonnen\b|\bkostenlos\b|[$€£]{2,}|[$€£] ?\d[\d.,]*[.,]000\b",
    re.IGNORECASE,
)
_HURRY = re.compile(
    r"\bact now\b|\burgent\b|\blast chance\b|\bonly today\b|\bexpires? (?:today|tonight)\b|\bclick here\b|\bwhile supplies last\b"
    r"|\bnur heute\b|\bletzte chance\b|\bdringend\b",
    re.IGNORECASE,
)
_ANSWER = re.compile(r"^\s*(?:re|aw|fw|fwd|wg)\s*:", re.IGNORECASE)
_MARKS = re.compile(r"[!！]{2,}|[?？]{3,}|(?:[!！][^!！]*){3,}")


@dataclass(frozen=True)
class SubjectRule:
    """`finds` gets the subject with its placeholders taken out."""

    key: str
    words: StrOrPromise
    finds: Callable[[str], object]


def _shouts(subject: str) -> bool:
    letters = [char for char in subject if char.isalpha() and char.upper() != char.lower()]
    return len(letters) >= FEW_LETTERS and sum(char.isupper() for char in letters) >= 0.8 * len(letters)


RULES = (
    SubjectRule("capitals", gettext_lazy("nearly all of it is capitals"), _shouts),
    SubjectRule("marks", gettext_lazy("it has many exclamation or question marks"), _MARKS.search),
    SubjectRule("money", gettext_lazy("it promises money or something free, as spam does"), _MONEY.search),
    SubjectRule("hurry", gettext_lazy("it urges, as spam does"), _HURRY.search),
    SubjectRule("answer", gettext_lazy("it begins like an answer or a forwarded mail, and is none"), _ANSWER.search),
    SubjectRule(
        "long", gettext_lazy("it has more than 100 characters: readers cut it off"), lambda text: len(text) > LONG
    ),
)


def broken(subject: str) -> list[SubjectRule]:
    """The rules that a subject breaks, in the order of the list."""
    words = LIQUID.sub("", subject)
    return [rule for rule in RULES if rule.finds(words)]
