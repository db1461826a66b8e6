"""One door for rows from files, forms and other systems: keys and references are resolved, differences written, the rest said why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from leads import queries, queries_intake
from leads.consent import follow_addresses
from leads.importing.extras import Filled, extras
from leads.models import ImportJob
from leads.queries_intake import KnownContact, Shadow, StagedActivity, StagedRow
from leads.text import fold
from leads.values import BadValue

Kind = ImportJob.Kind


@dataclass(slots=True)
class Row:
    """One row with converted values (leads.values): an absent key leaves a value untouched, None clears it.

    `custom` (and `properties` of an activity) are dicts of JSON values. `line` names the row in outcomes.
    """

    line: int
    values: dict[str, Any]


@dataclass
class Outcome:
    """What became of a number of rows; `rejected` holds line and reason."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: list[tuple[int, str]] = field(default_factory=list)
    people_made: list[int] = field(default_factory=list)
    people_changed: list[int] = field(default_factory=list)

    def add(self, other: Outcome) -> None:
        self.created += other.created
        self.updated += other.updated
        self.unchanged += other.unchanged
        self.rejected += other.rejected
        self.people_made += other.people_made
        self.people_changed += other.people_changed


@dataclass(frozen=True)
class Circumstances:
    """Of one intake: when, from where, by whom, and whether it is only tried."""

    now: datetime
    cause: str = "import"
    actor_id: int | None = None
    shadow: Shadow | None = None


def take(kind: str, rows: Sequence[Row], circumstances: Circumstances) -> Outcome:
    """Outcome of every row, in order: a later row of the same key meets what the earlier one left. One transaction.

    Some ten statements whatever the number of rows (again for rows that repeat a key); best by 1,000 to 10,000.
    Raises IntegrityError when somebody else took a key meanwhile: take the rows again.
    """
    takers: dict[str, Callable[[Sequence[Row], Circumstances], Outcome]] = {
        Kind.CONTACTS: take_contacts,
        Kind.COMPANIES: take_companies,
        Kind.DEALS: take_deals,
        Kind.ACTIVITIES: take_activities,
    }
    own = [Row(row.line, dict(row.values)) for row in rows]  # worked upon below; the caller may need to try again
    with transaction.atomic():
        return takers[kind](own, circumstances)


# --- Contacts ------------------------------------------------------------------------------------------------------------


def take_contacts(rows: Sequence[Row], circumstances: Circumstances) -> Outcome:
    outcome = Outcome()
    rows, beside = _with_extras(rows, circumstances, outcome)
    rows = _with_references(rows, circumstances, outcome)
    keys = {row.line: (row.values.get("external_id"), row.values.get("email")) for row in rows if row.line in beside}
    written: set[int] = set()
    while rows:
        rows = _contacts_pass(rows, circumstances, outcome, written)
    if beside:
        _take_extras(beside, keys, circumstances, outcome, written)
    return outcome


Beside = dict[int, dict[str, Any]]  # line -> prefix -> what a higher room made of the row


def _with_extras(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome) -> tuple[list[Row], Beside]:
    """Rows without what higher rooms take, and that; rows of which a room can make no sense are rejected."""
    names: set[str] = set().union(*(row.values for row in rows))
    asked = [extra for extra in extras() if any(name.startswith(f"{extra.prefix}.") for name in names)]
    if not asked:
        return list(rows), {}
    found: list[Row] = []
    beside: Beside = {}
    for row in rows:
        try:
            for extra in asked:
                start = f"{extra.prefix}."
                own = {
                    key.removeprefix(start): row.values.pop(key) for key in list(row.values) if key.startswith(start)
                }
                if any(value is not None for value in own.values()):
                    beside.setdefault(row.line, {})[extra.prefix] = extra.check(own, circumstances.now)
        except BadValue as error:
            outcome.rejected.append((row.line, str(error)))
            beside.pop(row.line, None)
        else:
            found.append(row)
    return found, beside


def _take_extras(
    beside: Beside,
    keys: dict[int, tuple[str | None, str | None]],
    circumstances: Circumstances,
    outcome: Outcome,
    written: set[int],
) -> None:
    """Hand over what higher rooms take, row by row of the file; a row of which only that was news counts as updated, not as unchanged."""
    by_key: dict[str | None, int] = {}
    ids, addresses = (
        ([key for key in column if key] for column in zip(*keys.values(), strict=True)) if keys else ([], [])
    )
    for one in queries_intake.contacts_by_key(ids, addresses):
        if one.merged_into is None:
            by_key |= {key: one.id for key in (one.external_id, one.address) if key}
    rejected = {line for line, _reason in outcome.rejected}
    lines = {
        line: contact
        for line, (external_id, address) in keys.items()
        if line not in rejected and (contact := by_key.get(external_id) or by_key.get(address)) is not None
    }
    news: set[int] = set()
    for extra in extras():
        rows = [
            Filled(contact, beside[line][extra.prefix])
            for line, contact in lines.items()
            if extra.prefix in beside[line]
        ]
        if rows:
            is_trial = circumstances.shadow is not None
            news |= extra.take(rows, circumstances.now, circumstances.actor_id, is_trial)
    more = len(news - written)
    outcome.people_changed += sorted(news - written)
    outcome.updated += more
    outcome.unchanged -= more


def _contacts_pass(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome, written: set[int]) -> list[Row]:
    """Takes every row whose keys no earlier row of this pass touches; returns the others for the next pass."""
    external_ids = [row.values["external_id"] for row in rows if row.values.get("external_id")]
    addresses = [row.values["email"] for row in rows if row.values.get("email")]
    if circumstances.shadow:
        circumstances.shadow.pull_contacts(external_ids, addresses)
    by_external_id: dict[str, tuple[int, str | None]] = {}
    by_address: dict[str, tuple[int, str | None]] = {}
    merged = _Merged()
    for found in queries_intake.contacts_by_key(external_ids, addresses):
        if found.merged_into is not None:
            merged.add(found)
            continue
        if found.external_id is not None:
            by_external_id[found.external_id] = (found.id, found.external_id)
        if found.address is not None:
            by_address[found.address] = (found.id, found.external_id)
    staged: list[StagedRow] = []
    later: list[Row] = []
    seen_external_ids: set[str | None] = set()
    seen_addresses: set[str | None] = set()
    seen: set[int] = set()
    for row in rows:
        values = row.values
        external_id, address = values.get("external_id") or None, values.get("email") or None
        at_address = by_address.get(address) if address else None
        known = by_external_id.get(external_id) if external_id else at_address
        is_touched = (
            (external_id is not None and external_id in seen_external_ids)
            or (address is not None and address in seen_addresses)
            or (known is not None and known[0] in seen)
            or (at_address is not None and at_address[0] in seen)
        )
        if is_touched:
            later.append(row)
        elif external_id and at_address and known != at_address and not (known is None and at_address[1] is None):
            whose = at_address[1] or _("a contact without external id")
            outcome.rejected.append(
                (row.line, _("the e-mail %(email)s belongs to %(other)s") % {"email": address, "other": whose})
            )
            continue
        elif known is None and at_address is None and (whose := merged.name_of(external_id, address)):
            outcome.rejected.append((row.line, _("this contact was merged into %(other)s") % {"other": whose}))
            continue
        else:
            known = known or at_address  # a contact known by address only until now gets its external id
            if known and _loses_its_keys(values, known):
                outcome.rejected.append((row.line, _("a contact needs an e-mail address or an external id")))
                continue
            staged.append(_staged(known[0] if known else None, values))
        seen_external_ids.add(external_id)
        seen_addresses.add(address)
        if known is not None:
            seen.add(known[0])
        if at_address is not None:
            seen.add(at_address[0])
    if staged:
        created, updated, moved = queries_intake.upsert_contacts(
            staged, cause=circumstances.cause, actor_id=circumstances.actor_id, now=circumstances.now
        )
        if circumstances.shadow is None:
            follow_addresses(moved, now=circumstances.now)
        written.update(created, updated)
        outcome.people_made += created
        outcome.people_changed += updated
        _count(outcome, len(staged), (len(created), len(updated)))
    return later


class _Merged:
    """Where the people went whose keys a merge dropped."""

    def __init__(self) -> None:
        self._by_external_id: dict[str, KnownContact] = {}
        self._by_address: dict[str, KnownContact] = {}

    def add(self, found: KnownContact) -> None:
        if found.external_id is not None:
            self._by_external_id[found.external_id] = found
        if found.address is not None:
            self._by_address[found.address] = found

    def name_of(self, external_id: str | None, address: str | None) -> str:
        """Of the contact that stayed, or an empty text."""
        found = self._by_external_id.get(external_id or "") or self._by_address.get(address or "")
        return (found.merged_into or "") if found else ""

    def id_of(self, name: str) -> int | None:
        """By either key."""
        found = self._by_external_id.get(name) or self._by_address.get(fold(name))
        return found.id if found else None


def _loses_its_keys(values: dict[str, Any], known: tuple[int, str | None]) -> bool:
    has_external_id = values["external_id"] if "external_id" in values else known[1]
    return not has_external_id and "email" in values and not values["email"]


def _with_references(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome) -> list[Row]:
    """Rows with `owner` and `company` put as ids; those that name an unknown company are rejected."""
    names = [row.values["company"] for row in rows if row.values.get("company")]
    companies = _Companies(names, circumstances.shadow) if names else None
    owners = queries_intake.owner_ids(sorted({row.values["owner"] for row in rows if row.values.get("owner")}))
    found = []
    for row in rows:
        values = row.values
        if "owner" in values:
            name = values.pop("owner")
            values["owner_id"] = owners[fold(name)] if name else None
        if "company" in values:
            assert companies is not None or not values["company"]
            try:
                values["company_id"] = companies[values["company"]] if companies and values["company"] else None
            except _Unknown as error:
                outcome.rejected.append((row.line, str(error)))
                continue
            del values["company"]
        found.append(row)
    return found


class _Unknown(LookupError):
    """A reference that leads nowhere; the message is the reason of the reject."""


class _Companies:
    """Ids of companies by external id, else by name. One statement."""

    def __init__(self, names: Iterable[str], shadow: Shadow | None) -> None:
        wanted = sorted(set(names))
        folded = sorted({fold(name) for name in wanted})
        if shadow:
            shadow.pull_companies(wanted, folded)
        self._by_external_id: dict[str, int] = {}
        self._by_name: dict[str, list[int]] = {}
        for number, external_id, name in queries_intake.companies_by_key(wanted, folded):
            if external_id is not None:
                self._by_external_id[external_id] = number
            self._by_name.setdefault(name, []).append(number)

    def __getitem__(self, name: str) -> int:
        if name in self._by_external_id:
            return self._by_external_id[name]
        numbers = self._by_name.get(fold(name), [])
        if len(numbers) == 1:
            return numbers[0]
        if numbers:
            raise _Unknown(_("%(count)d companies are called “%(name)s”") % {"count": len(numbers), "name": name[:100]})
        raise _Unknown(_("unknown company “%(name)s”") % {"name": name[:100]})


# --- Companies -----------------------------------------------------------------------------------------------------------


def take_companies(rows: Sequence[Row], circumstances: Circumstances) -> Outcome:
    outcome = Outcome()
    queries_intake.hold_companies()
    while rows:
        rows = _companies_pass(rows, circumstances, outcome)
    return outcome


def _companies_pass(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome) -> list[Row]:
    external_ids = [row.values["external_id"] for row in rows if row.values.get("external_id")]
    names = [fold(row.values["name"]) for row in rows if row.values.get("name")]
    if circumstances.shadow:
        circumstances.shadow.pull_companies(external_ids, names)
    by_external_id: dict[str, int] = {}
    by_name: dict[str, list[tuple[int, str | None]]] = {}
    for company_id, own_id, own_name in queries_intake.companies_by_key(external_ids, names):
        if own_id is not None:
            by_external_id[own_id] = company_id
        by_name.setdefault(own_name, []).append((company_id, own_id))
    staged: list[StagedRow] = []
    later: list[Row] = []
    touched: set[Any] = set()
    for row in rows:
        values = row.values
        external_id, name = values.get("external_id"), fold(values.get("name") or "")
        namesakes = by_name.get(name, [])
        number: int | None
        if external_id:
            number = by_external_id.get(external_id)
            if number is None:  # known by name only until now
                number = next((found for found, other in namesakes if other is None), None)
        elif len(namesakes) > 1:
            outcome.rejected.append(
                (
                    row.line,
                    _("%(count)d companies are called “%(name)s”") % {"count": len(namesakes), "name": name[:100]},
                )
            )
            continue
        else:
            number = namesakes[0][0] if namesakes else None
        keys: set[Any] = {("x", external_id)} if external_id else set()
        if name:
            keys.add(("n", name))
        if number is not None:
            keys.add(("i", number))
        if not touched.isdisjoint(keys):
            touched |= keys
            later.append(row)
            continue
        touched |= keys
        if number is None and not values.get("name"):
            values["name"] = external_id  # so that it can be seen and clicked
        staged.append(_staged(number, values))
    _count(outcome, len(staged), queries_intake.upsert_companies(staged, now=circumstances.now) if staged else (0, 0))
    return later


# --- Deals ---------------------------------------------------------------------------------------------------------------


def take_deals(rows: Sequence[Row], circumstances: Circumstances) -> Outcome:
    outcome = Outcome()
    rows = _with_references(rows, circumstances, outcome)
    rows = _with_contacts(rows, circumstances, outcome)
    while rows:
        rows = _deals_pass(rows, circumstances, outcome)
    return outcome


def _with_contacts(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome) -> list[Row]:
    """Rows with `contacts` put as ids; those that name an unknown contact are rejected."""
    contacts = _Contacts((name for row in rows for name in row.values.get("contacts") or ()), circumstances.shadow)
    found = []
    for row in rows:
        if row.values.get("contacts"):
            try:
                numbers = [contacts[name] for name in row.values["contacts"]]
            except _Unknown as error:
                outcome.rejected.append((row.line, str(error)))
                continue
            row.values["contacts"] = list(dict.fromkeys(numbers))
        found.append(row)
    return found


class _Contacts:
    """Ids of contacts by external id, else by e-mail; a key that a merge dropped leads to whom it was merged into. One statement."""

    def __init__(self, names: Iterable[str], shadow: Shadow | None) -> None:
        wanted = sorted(set(names))
        self._by_external_id: dict[str, int] = {}
        self._by_address: dict[str, int] = {}
        self._merged = _Merged()
        if not wanted:
            return
        addresses = sorted({fold(name) for name in wanted if "@" in name})
        if shadow:
            shadow.pull_contacts(wanted, addresses)
        for found in queries_intake.contacts_by_key(wanted, addresses):
            if found.merged_into is not None:
                self._merged.add(found)
                continue
            if found.external_id is not None:
                self._by_external_id[found.external_id] = found.id
            if found.address is not None:
                self._by_address[found.address] = found.id

    def __getitem__(self, name: str) -> int:
        number = self._by_external_id.get(name) or self._by_address.get(fold(name)) or self._merged.id_of(name)
        if number is None:
            raise _Unknown(_("unknown contact “%(name)s”") % {"name": name[:100]})
        return number


def _deals_pass(rows: Sequence[Row], circumstances: Circumstances, outcome: Outcome) -> list[Row]:
    external_ids = [row.values["external_id"] for row in rows]
    if circumstances.shadow:
        circumstances.shadow.pull_deals(external_ids)
    known = queries_intake.deals_by_key(external_ids)
    staged: list[StagedRow] = []
    later: list[Row] = []
    links: list[tuple[str, list[int]]] = []
    touched: set[str] = set()
    for row in rows:
        external_id = row.values["external_id"]
        if external_id in touched:
            later.append(row)
            continue
        touched.add(external_id)
        if "contacts" in row.values:
            links.append((external_id, row.values.pop("contacts") or []))
        staged.append(_staged(known.get(external_id), row.values))
    _count(outcome, len(staged), queries_intake.upsert_deals(staged, links, now=circumstances.now))
    return later


# --- Activities ------------------------------------------------------------------------------------------------------------


def take_activities(rows: Sequence[Row], circumstances: Circumstances) -> Outcome:
    outcome = Outcome()
    contacts = _Contacts((row.values["contact"] for row in rows), circumstances.shadow)
    resolved: list[tuple[Row, int]] = []
    for row in rows:
        try:
            resolved.append((row, contacts[row.values["contact"]]))
        except _Unknown as error:
            outcome.rejected.append((row.line, str(error)))
    kinds = queries.kind_ids({row.values["kind"] for row, _contact in resolved})
    if not circumstances.shadow:
        moments = (row.values["occurred_at"] for row, _contact in resolved)
        queries.make_partitions(queries.months_worth_a_partition(moments, now=circumstances.now))
    while resolved:
        resolved = _activities_pass(resolved, kinds, circumstances, outcome)
    return outcome


def _activities_pass(
    rows: Sequence[tuple[Row, int]], kinds: dict[str, int], circumstances: Circumstances, outcome: Outcome
) -> list[tuple[Row, int]]:
    """Takes every row whose external id no earlier row of this pass has; returns the others for the next pass."""
    now: list[tuple[Row, int]] = []
    later: list[tuple[Row, int]] = []
    touched: set[str] = set()
    for row, contact in rows:
        external_id = row.values.get("external_id")
        if external_id and external_id in touched:
            later.append((row, contact))
            continue
        if external_id:
            touched.add(external_id)
        now.append((row, contact))
    if circumstances.shadow:
        circumstances.shadow.pull_activities(
            sorted(touched), [contact for _row, contact in now], [row.values["occurred_at"] for row, _contact in now]
        )
    known = queries_intake.activities_by_key(sorted(touched)) if touched else {}
    for row, _contact in now:
        if before := known.get(row.values.get("external_id")):
            row.values = {**before, **row.values}
    assets = {row.line: _asset(row.values) for row, _contact in now}
    distinct = set(assets.values())
    if circumstances.shadow:
        circumstances.shadow.pull_assets([queries.asset_digest(asset) for asset in distinct if any(asset)])
    asset_ids = queries.asset_ids(distinct)
    staged = [
        StagedActivity(
            external_id=row.values.get("external_id") or None,
            contact_id=contact,
            kind_id=kinds[row.values["kind"]],
            occurred_at=row.values["occurred_at"],
            asset_id=asset_ids[assets[row.line]],
            properties=queries.json_text(row.values["properties"]) if row.values.get("properties") else None,
        )
        for row, contact in now
    ]
    if staged:
        _count(outcome, len(staged), queries_intake.take_activities(staged, now=circumstances.now))
    return later


def _asset(values: dict[str, Any]) -> tuple[str, str, str]:
    return (values.get("url") or "", values.get("subject") or "", values.get("source") or "")


# --- Common ----------------------------------------------------------------------------------------------------------------


def _staged(number: int | None, values: dict[str, Any]) -> StagedRow:
    custom = values.pop("custom", None)
    return StagedRow(id=number, values=values, custom=queries.json_text(custom) if custom else None)


def _count(outcome: Outcome, staged: int, written: tuple[int, int]) -> None:
    created, updated = written
    outcome.created += created
    outcome.updated += updated
    outcome.unchanged += staged - created - updated
