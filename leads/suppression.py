"""Addresses that get no marketing mail, whatever they agreed to: bounced, complained, put on the list by hand; whole domains and roles."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TextIO

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from leads import queries, queries_consent, values
from leads.actions import Refused, audit
from leads.addresses import address_hash
from leads.consent import withdraw_by_hash, withdraw_consent
from leads.models import Mark, Suppression, SuppressionPattern
from leads.text import clean, fold, normal_address

COLUMNS = ("address", "address_hash", "reason", "source", "since")
UNSUBSCRIBED = "unsubscribed"  # in files: a matter of the ledger, not of this list
LARGEST_FILE = 20_000_000  # bytes
DIGEST_LENGTH = 64
_QUOTED = re.compile(r"^'(?=[=+\-@])")  # what our own export puts before a cell that a spreadsheet would run


def suppress(
    address: str, *, reason: str, source: str, now: datetime, actor: User | None = None, digest: str = ""
) -> bool:
    """Whether the address was not suppressed before; the first reason stays. `digest` where the address itself is not known."""
    if reason not in Suppression.Reason.values:
        raise Refused(_("“%(reason)s” is no reason to suppress an address.") % {"reason": reason})
    key = address_hash(address) if address else digest
    with transaction.atomic():
        queries_consent.lock_addresses([key])
        _row, is_new = Suppression.objects.get_or_create(
            address_hash=key,
            defaults={"address": clean(address)[:320], "reason": reason, "source": source[:200], "since": now},
        )
        if is_new and address:
            queries.mark(queries.contacts_at(normal_address(address)), Mark.Facet.CONSENT)
        if is_new and actor is not None:
            audit(actor, "suppressed", "suppression", {"address": address or key[:8], "reason": reason}, now)
    return is_new


def release(row: Suppression, *, actor: User, now: datetime) -> None:
    """Take an address off the list. What its owner withdrew stays withdrawn. Raises Refused for a complaint."""
    if row.reason == Suppression.Reason.COMPLAINED:
        raise Refused(_("Who complained stays on the list."))
    with transaction.atomic():
        queries_consent.lock_addresses([row.address_hash])
        Suppression.objects.filter(pk=row.pk).delete()
        if row.address:
            queries.mark(queries.contacts_at(normal_address(row.address)), Mark.Facet.CONSENT)
        audit(actor, "released", "suppression", {"address": row.address or row.pk[:8], "reason": row.reason}, now)


def add_pattern(kind: str, value: str, *, source: str, now: datetime, actor: User | None) -> bool:
    """Whether the domain or role was not on the list. Raises Refused for what is none."""
    text = fold(clean(value)).removeprefix("@").removesuffix("@")
    is_domain = kind == SuppressionPattern.Kind.DOMAIN
    if is_domain and text and not text.isascii():
        try:
            values.email(f"a@{text}")
        except values.BadValue as error:
            raise Refused(_("“%(value)s” is no domain.") % {"value": value[:80]}) from error
    if not text or "@" in text or any(char.isspace() or char in "%*,;" for char in text) or len(text) > 253:
        raise Refused(_("“%(value)s” is no domain or role.") % {"value": value[:80]})
    if is_domain and "." not in text:
        raise Refused(_("“%(value)s” is no domain.") % {"value": value[:80]})
    with transaction.atomic():
        row, is_new = SuppressionPattern.objects.get_or_create(
            kind=kind, value=text, defaults={"source": source[:200], "since": now}
        )
        if is_new:
            audit(actor, "suppressed", "suppression", {"pattern": str(row)}, now)
    return is_new


def remove_pattern(row: SuppressionPattern, *, actor: User, now: datetime) -> None:
    with transaction.atomic():
        row.delete()
        audit(actor, "released", "suppression", {"pattern": str(row)}, now)


def checked_address(address: str) -> str:
    """As it is stored. Raises Refused."""
    try:
        found: str = values.email(address)
    except values.BadValue as error:
        raise Refused(str(error)) from error
    return found


# --- Files ------------------------------------------------------------------------------------------------------------------


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


def import_file(lines: TextIO, *, file_name: str, actor: User, now: datetime) -> Taken:
    """Take a list in: our own export, or any CSV whose first column or column `address`/`email` holds addresses.

    All or nothing: one transaction. Raises Refused for a file that is none.
    """
    found = Taken()
    with transaction.atomic():
        for line, row in _rows(lines):
            found.read += 1
            try:
                is_new = _take(row, source=f"import:{file_name}"[:200], actor=actor, now=now)
            except Refused as error:
                found.rejected.append((line, str(error)))
            else:
                found.added += is_new
                found.known += not is_new
        detail = {"file": file_name, "read": found.read, "added": found.added, "rejected": len(found.rejected)}
        audit(actor, "imported", "suppression", detail, now)
    return found


def _rows(lines: TextIO) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(lines)
    head: list[str] | None = None
    try:
        for row in reader:
            cells = [clean(cell) for cell in row]
            if not any(cells):
                continue
            if head is None:
                head = _head(cells)
                if head is not None:
                    continue
                head = ["address", "reason"]
            yield reader.line_num, dict(zip(head, cells, strict=False))
    except (csv.Error, UnicodeDecodeError) as error:
        raise Refused(_("The file cannot be read as CSV in UTF-8: %(why)s.") % {"why": error}) from error
    if head is None:
        raise Refused(_("The file is empty."))


def _head(cells: Iterable[str]) -> list[str] | None:
    names = [fold(cell).replace(" ", "_") for cell in cells]
    names = ["address" if name in ("email", "e-mail", "mail", "email_address") else name for name in names]
    return names if {"address", "address_hash"} & set(names) else None


def _take(row: dict[str, str], *, source: str, actor: User, now: datetime) -> bool:
    address, digest = row.get("address", ""), row.get("address_hash", "").lower()
    reason = fold(row.get("reason", "")) or Suppression.Reason.BY_HAND.value
    if reason in SuppressionPattern.Kind.values:
        return add_pattern(reason, address, source=source, now=now, actor=actor)
    if address.startswith("@"):
        return add_pattern("domain", address, source=source, now=now, actor=actor)
    if address:
        address = checked_address(_QUOTED.sub("", address))
    elif len(digest) != DIGEST_LENGTH or any(char not in "0123456789abcdef" for char in digest):
        raise Refused(_("The row has neither an address nor a hash of one."))
    if reason == UNSUBSCRIBED:
        if address:
            return withdraw_consent(address, source=source, now=now)
        return withdraw_by_hash(digest, source=source, now=now)
    return suppress(address, reason=reason, source=row.get("source", "") or source, now=now, digest=digest)
