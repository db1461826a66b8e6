"""The suppression list as a file: all of it out, ours or anybody's in again, by pages of its rows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import TextIO

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from leads import queries, queries_consent
from leads.actions import Refused, audit
from leads.addresses import address_hash
from leads.models import Mark, Purpose, Suppression, SuppressionPattern
from leads.queries_consent import Listed
from leads.suppression import add_pattern, checked_address
from leads.text import clean, fold

COLUMNS = ("address", "address_hash", "reason", "source", "since")
UNSUBSCRIBED = "unsubscribed"  # in files: a matter of the ledger, not of this list
LARGEST_FILE = 100_000_000  # bytes: some 600,000 rows of our own export
PAGE = (
    500  # rows of a transaction: each holds the lock of its address, of which a server has some thousands for everybody
)
DIGEST_LENGTH = 64
_QUOTED = re.compile(r"^'(?=[=+\-@\t\r])")  # what our own export puts before a cell that a spreadsheet would run
_DELIMITERS = ";\t|"  # beside the comma: spreadsheets write what their country uses


def export_rows() -> Iterator[list[str]]:
    """The list as rows of a CSV file, with its head; addresses as far as they are known, hashes always."""
    yield list(COLUMNS)
    rows = Suppression.objects.order_by("since", "address_hash").iterator(chunk_size=5_000)
    for row in rows:
        yield [row.address, row.address_hash, row.reason, row.source, row.since.isoformat()]
    for pattern in SuppressionPattern.objects.order_by("kind", "value"):
        yield [pattern.value, "", pattern.kind, pattern.source, pattern.since.isoformat()]


@dataclass
class Taken:
    """What a file brought. read = added + known + rejected."""

    read: int = 0
    added: int = 0
    known: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One row, checked. Without an address only its hash is known; a pattern has neither."""

    address: str
    digest: str
    reason: str
    source: str
    since: datetime


def import_file(lines: TextIO, *, file_name: str, actor: User, now: datetime) -> Taken:
    """Take a list in: our own export, or any CSV whose first column or column `address`/`email` holds addresses.

    A file that cannot be read to its end is refused before anything is kept. Then page by page, each in one transaction; a second
    time is as good as once. Raises Refused. Six statements a page, one over all contacts for hashes that unsubscribed.
    """
    delimiter = _delimiter(lines)
    unsubscribed = _unsubscribed_hashes(lines, delimiter)  # reads all of it
    people = queries_consent.people_with_hashes(unsubscribed) if unsubscribed else {}
    found, rows = Taken(), _rows(lines, delimiter)
    while page := list(islice(rows, PAGE)):
        _take_page(page, found, people, source=f"import:{file_name}"[:200], actor=actor, now=now)
    detail = {"file": file_name, "read": found.read, "added": found.added, "rejected": len(found.rejected)}
    audit(actor, "imported", "suppression", detail, now)
    return found


def _unsubscribed_hashes(lines: TextIO, delimiter: str) -> list[str]:
    return [
        row["address_hash"].lower()
        for _line, row in _rows(lines, delimiter)
        if not row.get("address") and row.get("address_hash") and fold(row.get("reason", "")) == UNSUBSCRIBED
    ]


def _take_page(
    page: Sequence[tuple[int, dict[str, str]]],
    found: Taken,
    people: dict[str, list[int]],
    *,
    source: str,
    actor: User,
    now: datetime,
) -> None:
    listed: dict[str, _Entry] = {}
    refused: dict[str, _Entry] = {}
    patterns: list[tuple[int, _Entry]] = []
    for line, row in page:
        found.read += 1
        try:
            entry = _entry(row, source, now)
        except Refused as error:
            found.rejected.append((line, str(error)))
            continue
        if entry.reason in SuppressionPattern.Kind.values:
            patterns.append((line, entry))
        elif entry.reason == UNSUBSCRIBED:
            refused.setdefault(entry.digest, entry)
        else:
            listed[entry.digest] = max(listed.get(entry.digest, entry), entry, key=_is_complaint)
    with transaction.atomic():
        queries_consent.lock_addresses([*listed, *refused])
        found.added += _list(list(listed.values())) + _refuse(list(refused.values()), people, source, now)
        for line, entry in patterns:
            try:
                found.added += add_pattern(
                    entry.reason, entry.address, source=entry.source, now=entry.since, actor=actor
                )
            except Refused as error:
                found.rejected.append((line, str(error)))
    found.known = found.read - found.added - len(found.rejected)


def _is_complaint(entry: _Entry) -> bool:
    return entry.reason == Suppression.Reason.COMPLAINED


def _list(entries: Sequence[_Entry]) -> int:
    """How many were not on the list."""
    if not entries:
        return 0
    rows = [Listed(one.digest, one.address, one.reason, one.source, one.since) for one in entries]
    fresh = queries_consent.put_on_list(rows)
    queries.mark(
        queries_consent.contacts_at([one.address for one in entries if one.digest in fresh]), Mark.Facet.CONSENT
    )
    return len(fresh)


def _refuse(entries: Sequence[_Entry], people: dict[str, list[int]], source: str, now: datetime) -> int:
    """How many had not withdrawn from everything."""
    if not entries:
        return 0
    fresh = queries_consent.refuse_everything([one.digest for one in entries], source=source[:100], now=now)
    queries_consent.close_questions(list(fresh), purpose=Purpose.ALL, at=now)
    queries.mark(
        queries_consent.contacts_at([one.address for one in entries if one.digest in fresh]), Mark.Facet.CONSENT
    )
    queries.mark([pk for digest in fresh for pk in people.get(digest, [])], Mark.Facet.CONSENT)
    return len(fresh)


# --- Reading ----------------------------------------------------------------------------------------------------------------


def _delimiter(lines: TextIO) -> str:
    """The comma, unless the first line has none and another one. Raises Refused for what is no text."""
    try:
        first = lines.readline()
    except UnicodeDecodeError as error:
        raise _unreadable(error) from error
    return "," if "," in first else next((one for one in _DELIMITERS if one in first), ",")


def _unreadable(why: Exception) -> Refused:
    return Refused(_("The file cannot be read as CSV in UTF-8: %(why)s.") % {"why": why})


def _rows(lines: TextIO, delimiter: str) -> Iterator[tuple[int, dict[str, str]]]:
    """From the beginning: line and cells by the names of their columns."""
    lines.seek(0)
    reader = csv.reader(lines, delimiter=delimiter)
    head: list[str] | None = None
    try:
        for row in reader:
            cells = [_QUOTED.sub("", clean(cell)) for cell in row]
            if not any(cells):
                continue
            if head is None:
                head = _head(cells)
                if head is not None:
                    continue
                head = ["address", "reason"]
            yield reader.line_num, dict(zip(head, cells, strict=False))
    except (csv.Error, UnicodeDecodeError) as error:
        raise _unreadable(error) from error
    if head is None:
        raise Refused(_("The file is empty."))


def _head(cells: Iterable[str]) -> list[str] | None:
    names = [fold(cell).replace(" ", "_") for cell in cells]
    names = ["address" if name in ("email", "e-mail", "mail", "email_address") else name for name in names]
    return names if {"address", "address_hash"} & set(names) else None


def _entry(row: dict[str, str], source: str, now: datetime) -> _Entry:
    """Raises Refused."""
    address, digest = row.get("address", ""), row.get("address_hash", "").lower()
    reason = fold(row.get("reason", "")) or Suppression.Reason.BY_HAND.value
    if address.startswith("@"):
        reason = SuppressionPattern.Kind.DOMAIN.value
    entry = _Entry(address, "", reason, (row.get("source", "") or source)[:200], _since(row.get("since", ""), now))
    if reason in SuppressionPattern.Kind.values:
        return entry
    if reason not in (UNSUBSCRIBED, *Suppression.Reason.values):
        raise Refused(_("“%(reason)s” is no reason to suppress an address.") % {"reason": reason[:80]})
    if address:
        address = checked_address(address)
        return replace(entry, address=address, digest=address_hash(address))
    if len(digest) != DIGEST_LENGTH or any(char not in "0123456789abcdef" for char in digest):
        raise Refused(_("The row has neither an address nor a hash of one."))
    return replace(entry, digest=digest)


def _since(text: str, now: datetime) -> datetime:
    """As our own export says it; now where it says nothing, or tomorrow."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return now
    return found if found is not None and found.tzinfo is not None and found <= now else now
