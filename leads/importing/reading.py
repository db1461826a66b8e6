"""Opens a file of rows: encoding, delimiter and header are found out, every row comes with its line number or with what is wrong."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.utils.translation import gettext as _

from leads.values import ISO_DATE, NUMBER

BLOCK = 1 << 20
MOST_COLUMNS = 1_000
LONGEST_LINE = 8 << 20  # bytes without a line break
LONGEST_CELL = 131_072  # characters; past it a quote was opened and never closed
ENCODINGS = {
    "utf-8": "UTF-8",
    "cp1252": "Windows-1252 (Western Europe)",
    "latin-1": "ISO 8859-1 (Latin-1)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "utf-16": "UTF-16",
    "mac-roman": "Mac Roman",
}
DELIMITERS = {",": ",", ";": ";", "\t": "Tab", "|": "|"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_MAGIC = (
    (b"PK\x03\x04", "an Excel workbook or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "a compressed file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
)


class FileRefused(Exception):
    """The file as a whole cannot be taken; the message is for people."""


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row as it stands in the file: cells (CSV) or an object (JSON lines), or the problem and the text that has it."""

    line: int
    cells: Any
    problem: str = ""


@dataclass(frozen=True)
class Source:
    """A file that can be read; `header` is empty for JSON lines. `notes` say what was guessed."""

    path: Path
    format: str
    encoding: str = "utf-8"
    delimiter: str = ","
    header: tuple[str, ...] = ()
    is_damaged: bool = False  # mostly UTF-8 with bytes that are not: such rows are rejected
    notes: tuple[str, ...] = ()

    def rows(self) -> Iterator[RawRow]:
        """Every row but empty ones, in order. Reads on as it is asked; the same each time."""
        return self._csv_rows() if self.format == "csv" else self._json_rows()

    def _open(self) -> io.TextIOWrapper:
        errors = "surrogateescape" if self.is_damaged else "strict"
        return self.path.open(encoding=self.encoding, errors=errors, newline="" if self.format == "csv" else "\n")

    def _csv_rows(self) -> Iterator[RawRow]:
        width = len(self.header)
        with self._open() as file:
            records = _records(file, self.delimiter)
            for record in records:  # the header
                if any(record.cells or ()):
                    break
            for record in records:
                cells = record.cells
                if record.problem:
                    yield record
                elif len(cells) == width:
                    if cells[0] or any(cells):
                        yield self._checked(record) if self.is_damaged else record
                elif any(cells):
                    if len(cells) > width and not any(cells[width:]):
                        yield RawRow(record.line, cells[:width])
                    else:
                        problem = _("%(found)d cells where the header has %(expected)d")
                        yield RawRow(record.line, cells, problem % {"found": len(cells), "expected": width})

    def _checked(self, record: RawRow) -> RawRow:
        try:
            "".join(record.cells).encode()
        except UnicodeEncodeError:
            cells = [cell.encode(errors="replace").decode() for cell in record.cells]
            return RawRow(record.line, cells, _("the row has bytes that are not %(encoding)s") % {"encoding": "UTF-8"})
        return record

    def _json_rows(self) -> Iterator[RawRow]:
        with self._open() as file:
            for line, text in enumerate(file, start=1):
                text = text.strip()
                if text:
                    yield _json_row(line, text)


def _json_row(line: int, text: str) -> RawRow:
    try:
        found = json.loads(text, parse_constant=_no_constant)
        if not text.isascii() or "\\u" in text:
            _demand_text(text, found)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        shown = text.encode(errors="replace").decode()
        return RawRow(line, shown[:10_000], _("not JSON: %(reason)s") % {"reason": reason[:200]})
    if not isinstance(found, dict):
        return RawRow(line, found, _("a JSON object is expected on each line"))
    return RawRow(line, found)


def _no_constant(name: str) -> None:
    raise ValueError(_("%(name)s is no JSON number") % {"name": name})


def _demand_text(text: str, found: Any) -> None:
    """Raises ValueError for characters that no database stores as text: NUL, halves of surrogate pairs."""
    try:
        plain = json.dumps(found, ensure_ascii=False)
        plain.encode()
    except UnicodeEncodeError as error:
        raise ValueError(_("the row has characters that are no text")) from error
    if _NUL.search(plain):
        raise ValueError(_("the row contains a NUL character"))


# --- CSV records -----------------------------------------------------------------------------------------------------------


def _records(file: Iterator[str], delimiter: str) -> Iterator[RawRow]:
    """Records with the number of their first line. A record that is broken costs its first line only: reading goes on behind it."""
    csv.field_size_limit(LONGEST_CELL)
    pushed_back: deque[str] = deque()
    taken: list[str] = []

    def lines() -> Iterator[str]:
        while True:
            if pushed_back:
                text = pushed_back.popleft()
            else:
                following = next(file, None)
                if following is None:
                    return
                text = following
            taken.append(text)
            yield text

    line = 1
    reader = csv.reader(lines(), delimiter=delimiter, strict=True)
    while True:
        taken.clear()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RawRow(line, [taken[0].rstrip("\r\n")[:10_000]], _broken(error, len(taken)))
            pushed_back.extendleft(reversed(taken[1:]))
            reader = csv.reader(lines(), delimiter=delimiter, strict=True)
            line += 1
            continue
        yield RawRow(line, cells)
        line += len(taken)


def _broken(error: csv.Error, lines: int) -> str:
    text = str(error)
    if lines > 1 or "limit" in text or "unexpected end" in text:
        return _("a quote is opened and never closed")
    return _("a quoted cell goes on after its closing quote")


# --- Opening ---------------------------------------------------------------------------------------------------------------


def open_source(path: Path, *, name: str = "", encoding: str = "", delimiter: str = "") -> Source:
    """A readable source. `name` is the file's own name where the path is another; encoding and delimiter overrule the guess.

    Reads the file once through. Raises FileRefused: empty, not text, no header, no JSON lines, too many columns.
    """
    suffix = Path(name or path.name).suffix.lower()
    if suffix not in {".csv", ".tsv", ".txt", ".jsonl", ".ndjson"}:
        raise FileRefused(
            _("“%(name)s” is neither .csv nor .jsonl. Save the table as CSV and try again.")
            % {"name": name or path.name}
        )
    source = _decoded(path, "jsonl" if suffix in {".jsonl", ".ndjson"} else "csv", encoding)
    if source.format == "jsonl":
        _demand_json_lines(source)
        return source
    return _with_header(source, delimiter)


def _decoded(path: Path, format: str, encoding: str) -> Source:
    with path.open("rb") as file:
        start = file.read(BLOCK)
    if not start.strip():
        raise FileRefused(_("The file is empty."))
    for magic, what in _MAGIC:
        if start.startswith(magic):
            raise FileRefused(_("The file is not text: it looks like %(what)s. Save it as CSV.") % {"what": what})
    if encoding:
        return _as_chosen(path, format, encoding)
    for bom, codec in _BOMS:
        if start.startswith(bom):
            return _as_chosen(path, format, codec)
    return _guessed(path, format)


def _as_chosen(path: Path, format: str, encoding: str) -> Source:
    """Raises FileRefused when the whole file cannot be read this way."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            while block := file.read(BLOCK):
                if "\x00" in block:
                    raise FileRefused(_("The file is not text: it contains NUL characters."))
    except (UnicodeError, LookupError) as error:
        raise FileRefused(
            _("The file cannot be read as %(encoding)s.") % {"encoding": ENCODINGS.get(encoding, encoding)}
        ) from error
    return Source(path=path, format=format, encoding=encoding)


def _guessed(path: Path, format: str) -> Source:
    """UTF-8 when it is, or nearly is; else Windows-1252, said so. One pass over the file."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, odd, since_break, size = True, 0, 0, 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            size += len(block)
            if b"\x00" in block:
                raise FileRefused(
                    _(
                        "The file is not text: it contains NUL bytes. If it is UTF-16, save it as UTF-8 or with a byte order mark."
                    )
                )
            odd += len(block.translate(None, delete=_ORDINARY))
            last_break = max(block.rfind(b"\n"), block.rfind(b"\r"))
            since_break = since_break + len(block) if last_break < 0 else len(block) - last_break
            if since_break > LONGEST_LINE:
                raise FileRefused(_("The file is no table: one line has more than 8 MB."))
            if is_utf8:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    is_utf8 = False
    if odd > size // 100:
        raise FileRefused(_("The file is not text: it contains control characters."))
    if is_utf8:
        return Source(path=path, format=format)
    if _is_nearly_utf8(path):
        note = _("The file is UTF-8, but some rows have bytes that are not; these rows are rejected.")
        return Source(path=path, format=format, is_damaged=True, notes=(note,))
    encoding = "cp1252" if _decodes(path, "cp1252") else "latin-1"
    note = _("The file is not UTF-8; it is read as %(encoding)s.") % {"encoding": ENCODINGS[encoding]}
    return Source(path=path, format=format, encoding=encoding, notes=(note,))


_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")
_ORDINARY = bytes([9, 10, 12, 13, 26, *range(32, 127), *range(128, 256)])


def _is_nearly_utf8(path: Path) -> bool:
    """Whether most characters beyond ASCII are proper UTF-8 (in the first 16 MB)."""
    with path.open("rb") as file:
        text = file.read(16 << 20).decode("utf-8", errors="surrogateescape")
    beyond = re.sub(r"[\x00-\x7f]+", "", text)
    broken = sum(1 for char in beyond if "\udc80" <= char <= "\udcff")
    return len(beyond) - broken > broken


def _decodes(path: Path, encoding: str) -> bool:
    try:
        with path.open(encoding=encoding) as file:
            while file.read(BLOCK):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _demand_json_lines(source: Source) -> None:
    first = next(source.rows(), None)
    if first is None:
        raise FileRefused(_("The file is empty."))
    if isinstance(first.cells, list):
        raise FileRefused(_("The file holds one JSON list; JSON lines need one object on each line."))
    if first.problem and not any(not row.problem for row, _n in zip(source.rows(), range(20), strict=False)):
        raise FileRefused(_("The file holds no JSON lines: one object on each line is expected."))


def _with_header(source: Source, delimiter: str) -> Source:
    with source._open() as file:
        start = file.read(1 << 18)
    if not delimiter:
        delimiter = _delimiter(start)
    first = next(
        (record for record in _records(iter(start.splitlines(keepends=True)), delimiter) if any(record.cells)), None
    )
    if first is None or not any(cell.strip() for cell in first.cells):
        raise FileRefused(_("The file is empty."))
    if first.problem:
        raise FileRefused(_("The header cannot be read: %(problem)s.") % {"problem": first.problem})
    cells = [cell.strip() for cell in first.cells]
    if len(cells) > MOST_COLUMNS:
        raise FileRefused(
            _("The file has %(count)d columns; %(most)d are allowed.") % {"count": len(cells), "most": MOST_COLUMNS}
        )
    filled = [cell for cell in cells if cell]
    data = [cell for cell in filled if re.search(r"\S@\S+\.\S", cell) or NUMBER.fullmatch(cell) or ISO_DATE.match(cell)]
    if any("@" in cell for cell in data) or len(data) * 2 >= len(filled):
        raise FileRefused(
            _(
                "The file has no header: its first line (%(cells)s) looks like a row. The first line must name the columns."
            )
            % {"cells": ", ".join(filled)[:120]}
        )
    return replace(source, delimiter=delimiter, header=tuple(_unique(cells)))


def _unique(cells: list[str]) -> Iterator[str]:
    """Column names, made up for empty ones and told apart where two are the same."""
    seen: dict[str, int] = {}
    for place, cell in enumerate(cells, start=1):
        name = cell or f"column {place}"
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name} ({seen[name]})"


def _delimiter(text: str) -> str:
    """The delimiter that cuts the first rows into the most equal cells; a comma when none does."""
    lines = text.splitlines(keepends=True)[:60]
    best, best_score = ",", (0.0, 0)
    for candidate in DELIMITERS:
        widths = [
            len(record.cells) for record in _records(iter(lines), candidate) if record.cells and not record.problem
        ]
        if not widths or widths[0] < 2:
            continue
        score = (sum(width == widths[0] for width in widths) / len(widths), widths[0])
        if score > best_score:
            best, best_score = candidate, score
    return best
