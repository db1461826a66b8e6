"""Looks through a file's values: examples, how each column is spelled, which date format fits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from leads.importing.reading import Source
from leads.models import CustomField
from leads.values import FIRST_YEAR, ISO_DATE, ISO_MOMENT, LAST_YEAR, LONGEST_TEXT, NUMBER

Type = CustomField.Type

MOST_DISTINCT = 60  # values kept with their counts, for the table of replacements
MOST_DATES = 500  # distinct values that a date format is tried on
# Tried in this order; the first that fits all values is offered.
DATE_FORMATS = (
    "%Y-%m-%d",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d %b %Y",
    "%b %d, %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%Y%m%d",
)
_TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")


@dataclass
class Speller:
    """The type that all values seen so far spell; mixed ones are text."""

    dates: str | None = None
    type: str = ""

    def see_text(self, text: str) -> None:
        if self.type not in (Type.TEXT, Type.LONG_TEXT) or len(text) > LONGEST_TEXT:
            self._meet(_spelled(text, self.dates))

    def see_json(self, value: Any) -> None:
        """null says nothing."""
        if value is None or value in ("", []):
            return
        if isinstance(value, bool):
            self._meet(Type.YES_NO)
        elif isinstance(value, int | float):
            self._meet(Type.NUMBER)
        elif isinstance(value, list):
            self._meet(Type.CHOICES)
        elif isinstance(value, str) and (ISO_DATE.fullmatch(value.strip()) or ISO_MOMENT.fullmatch(value.strip())):
            self._meet(_spelled(value.strip(), None))
        else:
            self._meet(Type.LONG_TEXT if isinstance(value, str) and len(value) > LONGEST_TEXT else Type.TEXT)

    def _meet(self, type: str) -> None:
        if not self.type:
            self.type = type
        elif self.type != type:
            self.type = Type.LONG_TEXT if Type.LONG_TEXT in (self.type, type) else Type.TEXT

    @property
    def found(self) -> str:
        return self.type or Type.TEXT


@lru_cache(maxsize=100_000)
def _spelled(text: str, dates: str | None) -> str:
    """Type of one cell, from its spelling alone; a number with leading zeros is a code, so text."""
    text = text.strip()
    if text.lower() in ("true", "false", "yes", "no"):
        return Type.YES_NO
    if text.isascii() and NUMBER.fullmatch(text):
        digits = text.lstrip("+-")
        is_code = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        return Type.TEXT if is_code or text[0] == "+" else Type.NUMBER
    if ISO_DATE.fullmatch(text):
        return Type.DATE if _is_date(text, "%Y-%m-%d") else Type.TEXT
    if ISO_MOMENT.fullmatch(text):
        return Type.MOMENT if _is_iso(text) else Type.TEXT
    if dates and _is_date(text, dates):
        return Type.MOMENT if "%H" in dates or "%I" in dates else Type.DATE
    if text.startswith("[") and text.endswith("]"):
        try:
            return Type.CHOICES if isinstance(json.loads(text), list) else Type.TEXT
        except (ValueError, RecursionError):
            return Type.TEXT
    return Type.LONG_TEXT if len(text) > LONGEST_TEXT else Type.TEXT


def _is_iso(text: str) -> bool:
    try:
        found = datetime.fromisoformat(text.replace(",", ".").replace(" +", "+").replace(" Z", "Z").upper())
    except ValueError:
        return False
    return FIRST_YEAR <= found.year <= LAST_YEAR


def _is_date(text: str, form: str) -> bool:
    try:
        found = datetime.strptime(text, form)  # noqa: DTZ007 — only whether it parses counts
    except ValueError:
        return False
    return FIRST_YEAR <= found.year <= LAST_YEAR


@dataclass
class ColumnSurvey:
    """What one column holds, in the rows looked at."""

    name: str
    filled: int = 0
    speller: Speller = field(default_factory=Speller)
    counts: Counter[str] = field(default_factory=Counter)
    has_many: bool = False  # more distinct values than are kept

    def see(self, value: Any) -> None:
        if isinstance(value, str):
            self.see_text(value)
            return
        if value is None or value in ("", []):
            return
        self.filled += 1
        self.speller.see_json(value)
        self._count(str(value))

    def see_text(self, text: str) -> None:
        if not text or text.isspace():
            return
        self.filled += 1
        self.speller.see_text(text)
        self._count(text.strip())

    def _count(self, text: str) -> None:
        if text in self.counts or len(self.counts) < MOST_DATES:
            self.counts[text[:200]] += 1
        else:
            self.has_many = True

    def to_document(self) -> dict[str, Any]:
        """As ImportJob.columns keeps it."""
        is_short = not self.has_many and len(self.counts) <= MOST_DISTINCT
        return {
            "name": self.name,
            "filled": self.filled,
            "type": str(self.speller.found),
            "examples": [text[:80] for text, _n in self.counts.most_common(3)],
            "values": [[text, n] for text, n in self.counts.most_common()] if is_short else None,
            "dates": date_formats(self.counts),
        }


def survey(source: Source, *, limit: int, dates: str | None = None) -> tuple[list[ColumnSurvey], int, bool]:
    """(columns, rows looked at, whether that was all of them)."""
    rows = source.rows()
    if source.format == "csv":
        columns = [ColumnSurvey(name, speller=Speller(dates)) for name in source.header]
        seen = 0
        for row in islice(rows, limit):
            seen += 1
            if not row.problem:
                for column, cell in zip(columns, row.cells, strict=True):
                    if cell:
                        column.see_text(cell)
        return columns, seen, next(rows, None) is None
    by_key: dict[str, ColumnSurvey] = {}
    seen = 0
    for row in islice(rows, limit):
        seen += 1
        if not row.problem:
            for key, value in flattened(row.cells):
                if key not in by_key:
                    by_key[key] = ColumnSurvey(key)
                by_key[key].see(value)
    return list(by_key.values()), seen, next(rows, None) is None


def flattened(found: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Keys and values of a JSON row; the parts of `custom` are columns of their own."""
    for key, value in found.items():
        if key == "custom" and isinstance(value, dict):
            for part, inner in value.items():
                yield f"custom.{part}", inner
        else:
            yield key, value


def types_of_new(source: Source, columns: dict[str, str], dates: str | None) -> tuple[dict[str, str], int]:
    """(type by key, rows): the type of each column of `columns` (name -> key) from all values of the file. One pass."""
    spellers = {key: Speller(dates) for key in columns.values()}
    total = 0
    if source.format == "csv":
        places = [(place, spellers[columns[name]]) for place, name in enumerate(source.header) if name in columns]
        for row in source.rows():
            total += 1
            if not row.problem:
                for place, speller in places:
                    cell = row.cells[place]
                    if cell and not cell.isspace():
                        speller.see_text(cell)
    else:
        for row in source.rows():
            total += 1
            if not row.problem and columns:
                for name, value in flattened(row.cells):
                    if name in columns:
                        spellers[columns[name]].see_json(value)
    return {key: str(speller.found) for key, speller in spellers.items()}, total


def names_in(source: Source) -> dict[str, int]:
    """Every key of a JSON lines file with the number of rows that have it. One pass."""
    counts: Counter[str] = Counter()
    for row in source.rows():
        if not row.problem:
            counts.update(key for key, _value in flattened(row.cells))
    return dict(counts)


def date_formats(texts: Iterable[str]) -> list[str]:
    """Formats that fit every text, likeliest first; more than one means that the file does not say which."""
    samples = [text for text in texts if text]
    if not samples or not any(char.isdigit() for char in samples[0]):
        return []
    found = []
    for form in DATE_FORMATS:
        for time in _TIMES:
            if all(_is_date(text, form + time) for text in samples):
                found.append(form + time)
                break
    if all(_is_iso(text) for text in samples if ISO_MOMENT.fullmatch(text)) and all(
        ISO_MOMENT.fullmatch(text) for text in samples
    ):
        found.insert(0, "ISO")
    return found
