"""The engine: a file is prepared against a mapping, then taken in chunk by chunk, each chunk its own transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.db import DataError, IntegrityError, OperationalError, transaction
from django.utils.translation import gettext as _

from leads import actions, intake
from leads.importing import mapping as mappings
from leads.importing import survey
from leads.importing.fields import CUSTOM_OF, FIELDS, REQUIRED
from leads.importing.mapping import BadMapping, Mapping, Targets
from leads.importing.reading import FileRefused, RawRow, Source
from leads.importing.rows import BadRow, Plan, make_plan
from leads.intake import Circumstances, Outcome, Row
from leads.values import Reading
from leads.workspace import zone

logger = logging.getLogger(__name__)

CHUNK_ROWS = 10_000  # 0.3–0.5 s a transaction (2026-11, two cores); from 50,000 on locks get long without a gain
CHUNK_CELLS = 400_000
TRIES = 6


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken, as it stood in the file."""

    line: int
    reason: str
    raw: Any


@dataclass
class Tally:
    """Read = created + updated + unchanged + rejected, always."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0

    def add(self, other: Tally) -> None:
        self.read += other.read
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.rejected += other.rejected

    def to_document(self) -> dict[str, int]:
        return {
            "read": self.read,
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
        }


@dataclass
class Chunk:
    """What became of some rows in a row."""

    tally: Tally = field(default_factory=Tally)
    rejects: list[Reject] = field(default_factory=list)
    people_made: list[int] = field(default_factory=list)
    people_changed: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Prepared:
    """A file with everything decided; `new_types` are the custom fields to be made."""

    kind: str
    source: Source
    mapping: Mapping
    targets: Targets
    new_types: dict[str, str]
    rows_total: int | None

    def plan(self) -> Plan:
        """Raises BadMapping when a constant does not fit."""
        reading = Reading(zone=zone(), dates=self.mapping.dates, decimal_comma=self.mapping.decimal == ",")
        return make_plan(self.kind, self.source, self.mapping, self.targets, reading, self.new_types)


def prepare(
    kind: str, source: Source, mapping: Mapping, *, create_fields: bool = False, types: dict[str, str] | None = None
) -> Prepared:
    """Columns resolved and new fields typed from all values of the file (`types` overrules by key). Up to two passes over the file.

    Raises BadMapping, or FileRefused when the file is plainly of another kind.
    """
    names = list(source.header or survey.names_in(source))
    customs = mappings.custom_keys(kind)
    if not mapping.columns and (other := _other_kind(kind, names)):
        raise FileRefused(
            _("This looks like a file of %(other)s, not of %(kind)s: it has %(names)s.")
            % {"other": other, "kind": kind, "names": ", ".join(names)[:300]}
        )
    targets = mappings.resolve(kind, names, mapping, customs, create_fields=create_fields)
    columns = {
        name: targets.new[target].key
        for name, filled in targets.of.items()
        for target in filled
        if target in targets.new
    }
    inferred: dict[str, str] = {}
    total = None
    if types and columns and all(types.get(key) for key in columns.values()):
        inferred = {key: types[key] for key in columns.values()}
    elif columns:
        inferred, total = survey.types_of_new(source, columns, mapping.dates)
        inferred.update({key: type for key, type in (types or {}).items() if key in inferred and type})
    return Prepared(kind, source, mapping, targets, inferred, total)


def _other_kind(kind: str, names: Sequence[str]) -> str | None:
    """The kind that all columns fit when some do not fit this one."""
    plain = {mappings.normal_name(name) for name in names if not name.startswith(("custom.", "properties."))} - {
        "custom"
    }
    if plain <= FIELDS[kind].keys():
        return None
    for other, fields in FIELDS.items():
        if other != kind and plain <= fields.keys() and all(plain & set(options) for options in REQUIRED[other]):
            return str(other)
    return None


def make_new_fields(prepared: Prepared, *, actor: User | None, now: datetime) -> list[str]:
    """Keys of the custom fields made; those that somebody made meanwhile are used as they are."""
    made = []
    labels = {new.key: new.label for new in prepared.targets.new.values()}
    known = set(mappings.custom_keys(prepared.kind))
    for key, type in prepared.new_types.items():
        if key not in known:
            actions.make_custom_field(
                CUSTOM_OF[prepared.kind], key=key, type=type, label=labels.get(key, key), actor=actor, now=now
            )
            made.append(key)
    return made


# --- Running -----------------------------------------------------------------------------------------------------------------


def run(
    prepared: Prepared,
    circumstances: Circumstances,
    *,
    skip: int = 0,
    record: Callable[[Chunk], None] | None = None,
    tell: Callable[[Chunk], None] | None = None,
) -> Tally:
    """Takes the file in from row `skip` on, chunk by chunk, each its own transaction.

    `record` runs inside the transaction, so that what it writes stands or falls with the chunk; `tell` after it, once.
    """
    plan = prepared.plan()
    total = Tally()
    for raws in _chunks(prepared.source, skip):
        chunk = _take_chunk(plan, raws, circumstances, record)
        total.add(chunk.tally)
        if tell is not None:
            tell(chunk)
    return total


def _chunks(source: Source, skip: int) -> Iterator[list[RawRow]]:
    size = max(200, min(CHUNK_ROWS, CHUNK_CELLS // max(1, len(source.header) or 20)))
    rows = islice(source.rows(), skip, None)
    while chunk := list(islice(rows, size)):
        yield chunk


def _take_chunk(
    plan: Plan, raws: Sequence[RawRow], circumstances: Circumstances, record: Callable[[Chunk], None] | None
) -> Chunk:
    rows, rejects = _converted(plan, raws)
    by_line = {raw.line: raw.cells for raw in raws}
    for attempt in range(1, TRIES + 1):
        try:
            with transaction.atomic():
                outcome = _taken(plan.kind, rows, circumstances, is_last_try=attempt == TRIES)
                chunk = Chunk(
                    Tally(
                        read=len(raws),
                        created=outcome.created,
                        updated=outcome.updated,
                        unchanged=outcome.unchanged,
                        rejected=len(rejects) + len(outcome.rejected),
                    ),
                    sorted(
                        [*rejects, *(Reject(line, reason, by_line[line]) for line, reason in outcome.rejected)],
                        key=lambda reject: reject.line,
                    ),
                    outcome.people_made,
                    outcome.people_changed,
                )
                if record is not None:
                    record(chunk)
            return chunk
        except (OperationalError, IntegrityError) as error:
            # Somebody else took a key meanwhile, or a deadlock chose us: the next try sees what they left.
            if attempt == TRIES or not _is_passing(error):
                raise
            logger.info("import chunk tried again", extra={"attempt": attempt, "reason": str(error)[:200]})
            time.sleep(0.05 * attempt)
    raise AssertionError


def _is_passing(error: Exception) -> bool:
    """Serialisation failure, deadlock, and keys that others took or gave back."""
    return getattr(error.__cause__, "sqlstate", "") in {"40001", "40P01", "23505", "23503"}


def _converted(plan: Plan, raws: Sequence[RawRow]) -> tuple[list[Row], list[Reject]]:
    rows: list[Row] = []
    rejects: list[Reject] = []
    convert = plan.convert
    for raw in raws:
        if raw.problem:
            rejects.append(Reject(raw.line, raw.problem, raw.cells))
            continue
        try:
            rows.append(convert(raw))
        except BadRow as error:
            rejects.append(Reject(raw.line, str(error)[:1000], raw.cells))
    return rows, rejects


def _taken(kind: str, rows: Sequence[Row], circumstances: Circumstances, *, is_last_try: bool) -> Outcome:
    """One bad row never stops the others: what the database will not store is searched for by halving, and rejected."""
    if not rows:
        return Outcome()
    try:
        return intake.take(kind, rows, circumstances)
    except (DataError, IntegrityError) as error:
        if isinstance(error, IntegrityError) and not is_last_try:
            raise
        if len(rows) == 1:
            logger.warning("row could not be stored", extra={"line": rows[0].line, "reason": str(error)[:300]})
            reason = _("the row could not be stored: %(reason)s") % {"reason": str(error).splitlines()[0][:300]}
            return Outcome(rejected=[(rows[0].line, reason)])
    middle = len(rows) // 2
    outcome = _taken(kind, rows[:middle], circumstances, is_last_try=is_last_try)
    outcome.add(_taken(kind, rows[middle:], circumstances, is_last_try=is_last_try))
    return outcome


__all__ = ["BadMapping", "Chunk", "FileRefused", "Prepared", "Reject", "Tally", "make_new_fields", "prepare", "run"]
