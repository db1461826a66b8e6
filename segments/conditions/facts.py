"""What is known about a few contacts, read row by row: the ground of a verdict in Python, independent of the set-based SQL.

Contacts are read at once, their rows (activities, deals, …) when a rule first asks for some, then for all contacts of the batch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from django.db import connection

from leads.addresses import address_hash
from segments.conditions.periods import Moment

CONTACT_COLUMNS = (
    "id", "external_id", "email", "first_name", "last_name", "title", "department", "seniority", "phone", "country",
    "region", "city", "postal_code", "timezone", "language", "source", "stage", "stage_since", "tags", "created_at",
    "updated_at", "company_id", "owner_id",
)  # fmt: skip
COMPANY_COLUMNS = (
    "id", "external_id", "name", "domain", "industry", "employees", "revenue", "founded", "country", "region", "city", "tags",
)  # fmt: skip
DEAL_COLUMNS = ("status", "amount", "margin", "product", "opened_on", "closed_on", "loss_reason")

T = TypeVar("T")


@dataclass(frozen=True)
class ActivityFact:
    """One activity."""

    kind: str
    occurred_at: datetime
    url: str
    subject: str
    source: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class DealFact:
    """One deal as stored."""

    status: str
    amount: Decimal | None
    margin: Decimal | None
    product: str
    opened_on: date | None
    closed_on: date | None
    loss_reason: str
    custom: dict[str, Any]

    def exists_at(self, moment: Moment) -> bool:
        return self.opened_on is None or self.opened_on <= moment.today

    def is_closed_later(self, moment: Moment) -> bool:
        return self.closed_on is not None and self.closed_on > moment.today


@dataclass(frozen=True)
class Stay:
    """One stretch of time in a segment or persona."""

    slug: str
    since: datetime
    until: datetime | None

    def covers(self, at: datetime) -> bool:
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True)
class StageChange:
    moved_at: datetime
    from_stage: str
    to_stage: str


@dataclass(frozen=True)
class ConsentFact:
    """One entry of the consent ledger for the contact's address."""

    purpose: str
    state: str
    occurred_at: datetime


@dataclass
class Facts:
    """Everything a rule can ask about one contact. `kept` is for values that registered fields read once per contact."""

    contact: dict[str, Any]
    custom: dict[str, Any]
    company: dict[str, Any] | None
    company_custom: dict[str, Any]
    owner: tuple[str, str] | None  # name, e-mail
    batch: Batch = field(repr=False)
    kept: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> int:
        return int(self.contact["id"])

    @cached_property
    def activities(self) -> list[ActivityFact]:
        """Oldest first, future ones included. Some 50 µs each, the dearest of all facts."""
        return self.batch.rows(_activities, self.id)

    @cached_property
    def deals(self) -> list[DealFact]:
        return self.batch.rows(_deals, self.id)

    @cached_property
    def moves(self) -> list[StageChange]:
        """Oldest first."""
        return self.batch.rows(_moves, self.id)

    @cached_property
    def segments(self) -> list[Stay]:
        return self.batch.rows(_segments, self.id)

    @cached_property
    def personas(self) -> list[Stay]:
        return self.batch.rows(_personas, self.id)

    @cached_property
    def overrides(self) -> dict[str, str]:
        """Segment -> verdict."""
        return dict(self.batch.rows(_overrides, self.id))

    @cached_property
    def consents(self) -> list[ConsentFact]:
        """Oldest first."""
        return self.batch.rows(_consents, self.id)

    def until(self, at: datetime) -> list[ActivityFact]:
        """Activities that exist at that moment."""
        return [activity for activity in self.activities if activity.occurred_at <= at]


@dataclass
class Batch:
    """Contacts whose rows are read together, one statement for each kind that is asked for. `addresses`: e-mail -> contact."""

    ids: list[int]
    addresses: dict[str, int]
    _read: dict[Callable[[Batch], Iterable[tuple[int, Any]]], dict[int, list[Any]]] = field(default_factory=dict)

    def rows(self, read: Callable[[Batch], Iterable[tuple[int, T]]], contact_id: int) -> list[T]:
        """The contact's rows of a kind. The statement, or none when they were read for another contact of the batch."""
        if read not in self._read:
            found: dict[int, list[Any]] = {}
            for owner, row in read(self):
                found.setdefault(owner, []).append(row)
            self._read[read] = found
        return self._read[read].get(contact_id, [])


def read_json(text: str | None) -> Any:
    """JSON as stored, its numbers exact."""
    return None if text is None else json.loads(text, parse_float=Decimal)


def read_facts(contact_ids: Iterable[int]) -> dict[int, Facts]:
    """Facts of these contacts, those that exist. One statement whatever their number; one more for each kind of rows that is asked for."""
    listed = [f"contact.{column}" for column in CONTACT_COLUMNS] + [f"company.{column}" for column in COMPANY_COLUMNS]
    batch = Batch([], {})
    found: dict[int, Facts] = {}
    for *values, custom, company_custom, owner, owner_email in _rows(
        f"SELECT {', '.join(listed)}, contact.custom::text, company.custom::text, owner.name, owner.email FROM leads_contact contact"
        " LEFT JOIN leads_company company ON company.id = contact.company_id"
        " LEFT JOIN leads_owner owner ON owner.id = contact.owner_id WHERE contact.id = ANY(%s)",
        list(contact_ids),
    ):
        contact = dict(zip(CONTACT_COLUMNS, values, strict=False))
        company = dict(zip(COMPANY_COLUMNS, values[len(CONTACT_COLUMNS) :], strict=True))
        found[contact["id"]] = Facts(
            contact,
            read_json(custom) or {},
            None if company["id"] is None else company,
            read_json(company_custom) or {},
            None if contact["owner_id"] is None else (owner, owner_email),
            batch,
        )
    batch.ids += found
    batch.addresses |= {facts.contact["email"]: pk for pk, facts in found.items() if facts.contact["email"]}
    return found


# --- rows of a batch: (contact, row), in the order in which a contact has them


def _activities(batch: Batch) -> Iterator[tuple[int, ActivityFact]]:
    for contact_id, kind, occurred_at, url, subject, source, properties in _rows(
        "SELECT activity.contact_id, kind.slug, activity.occurred_at, asset.url, asset.subject, asset.source, activity.properties::text"
        " FROM leads_activity activity JOIN leads_activitykind kind ON kind.id = activity.kind_id"
        " LEFT JOIN leads_asset asset ON asset.id = activity.asset_id"
        " WHERE activity.contact_id = ANY(%s) ORDER BY activity.occurred_at, activity.id",
        batch.ids,
    ):
        stored = read_json(properties)
        known = stored if isinstance(stored, dict) else {}
        yield contact_id, ActivityFact(kind, occurred_at, url or "", subject or "", source or "", known)


def _deals(batch: Batch) -> Iterator[tuple[int, DealFact]]:
    listed = ", ".join(f"deal.{column}" for column in DEAL_COLUMNS)
    for contact_id, *values, custom in _rows(
        f"SELECT link.contact_id, {listed}, deal.custom::text FROM leads_dealcontact link JOIN leads_deal deal ON deal.id = link.deal_id"
        " WHERE link.contact_id = ANY(%s) ORDER BY deal.id",
        batch.ids,
    ):
        yield contact_id, DealFact(**dict(zip(DEAL_COLUMNS, values, strict=True)), custom=read_json(custom) or {})


def _moves(batch: Batch) -> Iterator[tuple[int, StageChange]]:
    for contact_id, *values in _rows(
        "SELECT contact_id, moved_at, from_stage, to_stage FROM leads_stagemove WHERE contact_id = ANY(%s) ORDER BY moved_at, id",
        batch.ids,
    ):
        yield contact_id, StageChange(*values)


def _segments(batch: Batch) -> Iterator[tuple[int, Stay]]:
    for contact_id, *values in _rows(
        "SELECT stay.contact_id, segment.slug, stay.since, stay.until FROM segments_membership stay"
        " JOIN segments_segment segment ON segment.id = stay.segment_id WHERE stay.contact_id = ANY(%s)",
        batch.ids,
    ):
        yield contact_id, Stay(*values)


def _personas(batch: Batch) -> Iterator[tuple[int, Stay]]:
    for contact_id, *values in _rows(
        "SELECT stay.contact_id, persona.slug, stay.since, stay.until FROM segments_personaassignment stay"
        " JOIN segments_persona persona ON persona.id = stay.persona_id WHERE stay.contact_id = ANY(%s)",
        batch.ids,
    ):
        yield contact_id, Stay(*values)


def _overrides(batch: Batch) -> Iterator[tuple[int, tuple[str, str]]]:
    for contact_id, slug, verdict in _rows(
        "SELECT override.contact_id, segment.slug, override.verdict FROM segments_segmentoverride override"
        " JOIN segments_segment segment ON segment.id = override.segment_id WHERE override.contact_id = ANY(%s)",
        batch.ids,
    ):
        yield contact_id, (slug, verdict)


def _consents(batch: Batch) -> Iterator[tuple[int, ConsentFact]]:
    by_address = {address_hash(email): contact_id for email, contact_id in batch.addresses.items()}
    for address, *values in _rows(
        "SELECT address_hash, purpose, state, occurred_at FROM leads_consentevent WHERE address_hash = ANY(%s) AND counts"
        " ORDER BY occurred_at, id",
        list(by_address),
    ):
        yield by_address[address], ConsentFact(*values)


def _rows(statement: str, keys: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [list(keys)])
        return list(cursor.fetchall())


def json_text(value: Any, *, whole: bool = False) -> str | None:
    """A stored JSON text, number or yes/no as PostgreSQL's `->>` spells it; lists and objects too with `whole`, else None for them."""
    match value:
        case None:
            return None
        case str():
            return value
        case list() | dict() if not whole:
            return None
    return _spelled(value)


def _spelled(value: Any) -> str:
    match value:
        case Decimal():
            return format(value, "f")
        case list():
            return "[" + ", ".join(_spelled(item) for item in value) + "]"
        case dict():
            return "{" + ", ".join(f"{_spelled(key)}: {_spelled(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
