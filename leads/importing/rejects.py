"""Writes rejected rows as a file that people can mend and import again; no cell of it runs as a formula."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from leads.importing.mapping import REJECT_COLUMNS

_FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
_PLAIN_NUMBER = re.compile(r"^\s*[+-]?[\d.,]+%?\s*$")


def safe_cell(value: Any) -> str:
    """The text with an apostrophe before what a spreadsheet would run; plain numbers stay numbers."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    if _FORMULA.match(text) and not _PLAIN_NUMBER.match(text):
        return f"'{text}"
    return text


def csv_lines(header: Sequence[str], rejects: Iterable[tuple[int, str, Any]]) -> Iterator[str]:
    """CSV text, row by row: the file's own columns, then line and reason. Without a header (JSON lines) each row is one cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    own = list(header) or ["row"]
    writer.writerow([*(safe_cell(name) for name in own), *REJECT_COLUMNS])
    yield _flushed(buffer)
    for line, reason, raw in rejects:
        cells = [safe_cell(cell) for cell in raw] if isinstance(raw, list) and header else [safe_cell(raw)]
        cells += [""] * (len(own) - len(cells))
        if len(cells) > len(own):  # a row with too many cells: the last one keeps the rest
            cells = [*cells[: len(own) - 1], " | ".join(cells[len(own) - 1 :])]
        writer.writerow([*cells, str(line), safe_cell(reason)])
        yield _flushed(buffer)


def json_lines(rejects: Iterable[tuple[int, str, Any]]) -> Iterator[str]:
    for line, reason, raw in rejects:
        yield json.dumps({"line": line, "reason": reason, "row": raw}, ensure_ascii=False) + "\n"


def _flushed(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
