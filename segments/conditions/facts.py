"""What is known about a few contacts, read row by row: the ground of a verdict in Python, independent of the set-based SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

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
    company: dict[str, Any] | None = None
    company_custom: dict[str, Any] = field(default_factory=dict)
    owner: tuple[str, str] | None = None  # name, e-mail
    activities: list[ActivityFact] = field(default_factory=list)  # oldest first, future ones included
    deals: list[DealFact] = field(default_factory=list)
    moves: list[StageChange] = field(default_factory=list)  # oldest first
    segments: list[Stay] = field(default_factory=list)
    personas: list[Stay] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)  # segment -> verdict
    consents: list[ConsentFact] = field(default_factory=list)  # oldest first
    kept: dict[Any, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> int:
        return int(self.contact["id"])

    def until(self, at: datetime) -> list[ActivityFact]:
        """Activities that exist at that moment."""
        return [activity for activity in self.activities if activity.occurred_at <= at]


def read_json(text: str | None) -> Any:
    """JSON as stored, its numbers exact."""
    return None if text is None else json.loads(text, parse_float=Decimal)


def read_facts(contact_ids: Iterable[int]) -> dict[int, Facts]:
    """Facts of these contacts, those that exist. Ten statements whatever their number; all activities of each are read."""
    ids = list(contact_ids)
    found: dict[int, Facts] = {}
    companies: dict[int, list[Facts]] = {}
    owners: dict[int, list[Facts]] = {}
    for *values, custom in _rows(
        "SELECT {columns}, custom::text FROM leads_contact WHERE id = ANY(%s)", [ids], columns=CONTACT_COLUMNS
    ):
        contact = dict(zip(CONTACT_COLUMNS, values, strict=True))
        facts = found[contact["id"]] = Facts(contact, read_json(custom) or {})
        if contact["company_id"] is not None:
            companies.setdefault(contact["company_id"], []).append(facts)
        if contact["owner_id"] is not None:
            owners.setdefault(contact["owner_id"], []).append(facts)
    if not found:
        return found
    ids = list(found)
    if companies:
        for *values, custom in _rows(
            "SELECT {columns}, custom::text FROM leads_company WHERE id = ANY(%s)",
            [list(companies)],
            columns=COMPANY_COLUMNS,
        ):
            company = dict(zip(COMPANY_COLUMNS, values, strict=True))
            for facts in companies[company["id"]]:
                facts.company, facts.company_custom = company, read_json(custom) or {}
    if owners:
        for owner_id, name, email in _rows(
            "SELECT id, name, email FROM leads_owner WHERE id = ANY(%s)", [list(owners)]
        ):
            for facts in owners[owner_id]:
                facts.owner = (name, email)
    for contact_id, *values, properties in _rows(
        "SELECT activity.contact_id, kind.slug, activity.occurred_at, asset.url, asset.subject, asset.source, activity.properties::text"
        " FROM leads_activity activity JOIN leads_activitykind kind ON kind.id = activity.kind_id"
        " LEFT JOIN leads_asset asset ON asset.id = activity.asset_id"
        " WHERE activity.contact_id = ANY(%s) ORDER BY activity.occurred_at, activity.id",
        [ids],
    ):
        kind, occurred_at, url, subject, source = values
        stored = read_json(properties)
        found[contact_id].activities.append(
            ActivityFact(
                kind, occurred_at, url or "", subject or "", source or "", stored if isinstance(stored, dict) else {}
            )
        )
    for contact_id, *stored_deal, custom in _rows(
        "SELECT link.contact_id, {columns}, deal.custom::text FROM leads_dealcontact link JOIN leads_deal deal ON deal.id = link.deal_id"
        " WHERE link.contact_id = ANY(%s) ORDER BY deal.id",
        [ids],
        columns=DEAL_COLUMNS,
        table="deal",
    ):
        found[contact_id].deals.append(
            DealFact(**dict(zip(DEAL_COLUMNS, stored_deal, strict=True)), custom=read_json(custom) or {})
        )
    for contact_id, *values in _rows(
        "SELECT contact_id, moved_at, from_stage, to_stage FROM leads_stagemove WHERE contact_id = ANY(%s) ORDER BY moved_at, id",
        [ids],
    ):
        found[contact_id].moves.append(StageChange(*values))
    for contact_id, *values in _rows(
        "SELECT stay.contact_id, segment.slug, stay.since, stay.until FROM segments_membership stay"
        " JOIN segments_segment segment ON segment.id = stay.segment_id WHERE stay.contact_id = ANY(%s)",
        [ids],
    ):
        found[contact_id].segments.append(Stay(*values))
    for contact_id, *values in _rows(
        "SELECT stay.contact_id, persona.slug, stay.since, stay.until FROM segments_personaassignment stay"
        " JOIN segments_persona persona ON persona.id = stay.persona_id WHERE stay.contact_id = ANY(%s)",
        [ids],
    ):
        found[contact_id].personas.append(Stay(*values))
    for contact_id, slug, verdict in _rows(
        "SELECT override.contact_id, segment.slug, override.verdict FROM segments_segmentoverride override"
        " JOIN segments_segment segment ON segment.id = override.segment_id WHERE override.contact_id = ANY(%s)",
        [ids],
    ):
        found[contact_id].overrides[slug] = verdict
    by_address = {address_hash(facts.contact["email"]): facts for facts in found.values() if facts.contact["email"]}
    for address, *values in _rows(
        "SELECT address_hash, purpose, state, occurred_at FROM leads_consentevent WHERE address_hash = ANY(%s) AND counts"
        " ORDER BY occurred_at, id",
        [list(by_address)],
    ):
        by_address[address].consents.append(ConsentFact(*values))
    return found


def _rows(
    statement: str, params: Sequence[Any], *, columns: Sequence[str] = (), table: str = ""
) -> list[tuple[Any, ...]]:
    if columns:
        listed = ", ".join(f"{table}.{column}" if table else column for column in columns)
        statement = statement.replace("{columns}", listed)
    with connection.cursor() as cursor:
        cursor.execute(statement, list(params))
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
