"""Verbs over facts. Whatever changes a contact goes through here or through intake.py, so that no mark is ever forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from leads import holding, lifecycle, queries, queries_consent, values
from leads.addresses import address_hash
from leads.consent import follow_addresses
from leads.consent import withdraw_consent as withdraw_consent  # a verb over facts, kept in a file of its own
from leads.models import (
    AuditEntry,
    Company,
    Contact,
    CustomField,
    Mark,
    Owner,
    StageMove,
)
from leads.queries_consent import Moved
from leads.retry import retrying
from leads.text import clean, fold
from leads.workspace import zone

FIELD_KEY = re.compile(r"[a-z][a-z0-9_]{0,62}")
# Fields of a contact that people and rules may set; stage, tags, owner and company have verbs or objects of their own.
TEXT_LENGTHS = {
    "external_id": 200,
    "first_name": 200,
    "last_name": 200,
    "title": 300,
    "department": 200,
    "seniority": 100,
    "phone": 60,
    "region": 200,
    "city": 200,
    "postal_code": 30,
    "timezone": 64,
    "language": 35,
    "source": 200,
}


class Refused(Exception):
    """The change cannot be made; the message is for people."""


class IllegalMove(Refused):
    """A rule or program may not move a contact this way (lifecycle.is_legal_for_rules)."""


@dataclass(frozen=True, slots=True)
class NewActivity:
    """Something a contact did or received, as callers know it; `kind` is any slug."""

    contact_id: int
    kind: str
    occurred_at: datetime
    url: str = ""
    subject: str = ""
    source: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


# --- Contacts ------------------------------------------------------------------------------------------------------------


def change_contact(contact: Contact, *, changes: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """Keys whose value changed. `changes` holds field names, `custom.<key>`, `tags`, `owner` (Owner), `company` (Company); None clears.

    Raises Refused naming the field when a value does not fit, or when the address or external id belongs to somebody else.
    """
    with transaction.atomic():
        row = Contact.objects.select_for_update(no_key=True).get(pk=contact.pk)
        before = row.email
        changed = [key for key, value in changes.items() if _apply(row, key, value)]
        if not changed:
            return []
        if row.email is None and row.external_id is None:
            raise Refused(_("A contact needs an e-mail address or an external id."))
        row.updated_at = now
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError as error:
            raise Refused(_("This e-mail address or external id belongs to another contact.")) from error
        facets = [Mark.Facet.CONTACT]
        if "company" in changed:
            facets.append(Mark.Facet.COMPANY)
        if "email" in changed:
            facets.append(Mark.Facet.CONSENT)
            if before and row.email:  # the row first, as merges do
                queries_consent.lock_addresses_in_clear([before, row.email])
                follow_addresses([Moved(row.pk, before, row.email)], now=now)
        queries.mark([row.pk], *facets)
        if actor is not None:
            audit(actor, "changed", row, {"fields": changed}, now)
    contact.refresh_from_db()
    return changed


def _apply(row: Contact, key: str, value: Any) -> bool:
    """Set one value on the row in memory; whether it differs from before."""
    if key.startswith("custom."):
        return _apply_custom(row, key.removeprefix("custom."), value)
    if key not in (*TEXT_LENGTHS, "email", "country", "tags", "owner", "company"):
        raise Refused(_("“%(field)s” is no field of a contact that can be changed.") % {"field": key})
    fresh = _converted(key, value)
    if getattr(row, key) == fresh:
        return False
    setattr(row, key, fresh)
    return True


def _apply_custom(row: Contact, key: str, value: Any) -> bool:
    fresh = _custom_value(key, value)
    if row.custom.get(key) == fresh:
        return False
    if fresh is None:
        del row.custom[key]
    else:
        row.custom[key] = fresh
    return True


def _converted(key: str, value: Any) -> Any:
    if key in ("owner", "company"):
        return value
    unknown: Any = None if key in ("email", "external_id") else [] if key == "tags" else ""
    if value is None or value in ("", []):
        return unknown
    convert = {"email": values.email, "country": values.country, "tags": values.tags}.get(key)
    try:
        return (convert or values.text(TEXT_LENGTHS[key]))(value)
    except values.BadValue as error:
        raise Refused(f"{key}: {error}") from error


def _custom_value(key: str, value: Any) -> Any:
    definition = CustomField.objects.filter(of=CustomField.Of.CONTACT, key=key).first()
    if definition is None:
        raise Refused(_("There is no custom field “%(key)s” of contacts.") % {"key": key})
    if value is None or value in ("", []):
        return None
    try:
        return values.for_custom(definition.type, definition.choices, values.Reading(zone=zone()))(value)
    except values.BadValue as error:
        raise Refused(f"{definition.label}: {error}") from error


def set_field_for(contact_ids: Sequence[int], *, field: str, value: Any, now: datetime) -> int:
    """How many contacts changed. `field` as in a rule (`contact.title`, `contact.custom.plan`) or without `contact.`; None clears.

    One statement over the contacts whose value differs. Raises Refused when the field is unknown or the value does not fit.
    """
    key = field.removeprefix("contact.")
    if key.startswith("custom."):
        key = key.removeprefix("custom.")
        fresh = _custom_value(key, value)
        with transaction.atomic():
            changed = queries.set_custom(contact_ids, key=key, value=fresh, now=now)
            queries.mark(changed, Mark.Facet.CONTACT)
        return len(changed)
    if key == "owner":
        return set_owner(contact_ids, owner=_owner_of(value), now=now)
    if key not in (*TEXT_LENGTHS, "country") or key == "external_id":
        raise Refused(_("“%(field)s” is no field that can be set for many contacts.") % {"field": field})
    with transaction.atomic():
        changed = queries.set_column(contact_ids, column=key, value=_converted(key, value), now=now)
        queries.mark(changed, Mark.Facet.CONTACT)
    return len(changed)


def _owner_of(value: Any) -> Owner | None:
    if value is None or isinstance(value, Owner):
        return value
    owner = Owner.objects.filter(name__iexact=clean(str(value))).first()
    if owner is None:
        raise Refused(_("There is no owner “%(name)s”.") % {"name": value})
    return owner


def set_owner(contact_ids: Sequence[int], *, owner: Owner | None, now: datetime) -> int:
    """How many contacts have another owner than before. One statement."""
    with transaction.atomic():
        changed = queries.set_column(contact_ids, column="owner_id", value=owner.pk if owner else None, now=now)
        queries.mark(changed, Mark.Facet.CONTACT)
    return len(changed)


def add_tag(contact_ids: Sequence[int], *, tag: str, now: datetime) -> int:
    """How many contacts did not have the tag (whatever its case). One statement."""
    name = _tag(tag)
    with transaction.atomic():
        changed = queries.add_tag(contact_ids, tag=name, now=now)
        queries.mark(changed, Mark.Facet.CONTACT)
    return len(changed)


def remove_tag(contact_ids: Sequence[int], *, tag: str, now: datetime) -> int:
    """How many contacts had the tag (whatever its case). One statement."""
    name = _tag(tag)
    with transaction.atomic():
        changed = queries.remove_tag(contact_ids, tag=name, now=now)
        queries.mark(changed, Mark.Facet.CONTACT)
    return len(changed)


def _tag(tag: str) -> str:
    try:
        name: str = values.text(values.LONGEST_TAG)(tag)
    except values.BadValue as error:
        raise Refused(str(error)) from error
    if not name:
        raise Refused(_("A tag needs a name."))
    return name


def delete_contact(contact: Contact, *, actor: User | None, now: datetime) -> None:
    """The contact with everything that is about them. Consent and suppression stay by the hash of the address.

    Tried again where somebody stored something for them in that moment: a worker that was doing a step, an import.
    """
    retrying(lambda: _delete(contact.pk, actor, now))


def _delete(contact_id: int, actor: User | None, now: datetime) -> None:
    with transaction.atomic():
        holding.hold([contact_id])
        contact = Contact.objects.filter(pk=contact_id).first()
        if contact is None:
            raise Refused(_("The contact was deleted or merged meanwhile."))
        # by the hash its line is found, should they ask to be erased later
        known = {"address_hash": address_hash(contact.email)} if contact.email else {}
        audit(actor, "deleted", contact, {"external_id": contact.external_id, **known}, now)
        queries.delete_activities_of(contact.pk)
        contact.delete()


# --- Stages --------------------------------------------------------------------------------------------------------------


def move_stage(
    contact: Contact,
    *,
    to: str,
    actor: User | None,
    cause: str,
    reason: str,
    now: datetime,
    by_hand: bool = False,
) -> bool:
    """Whether the contact was moved; False when it is there already. Raises IllegalMove unless legal for rules or made by hand."""
    _known_stage(to)
    with transaction.atomic():
        row = Contact.objects.select_for_update(no_key=True).get(pk=contact.pk)
        before = row.stage
        if before == to:
            return False
        if not by_hand and not lifecycle.is_legal_for_rules(before, to):
            raise IllegalMove(
                _("A rule may not move somebody from “%(before)s” to “%(to)s”.") % {"before": before, "to": to}
            )
        row.stage, row.stage_since, row.updated_at = to, now, now
        row.save(update_fields=["stage", "stage_since", "updated_at"])
        StageMove.objects.create(
            contact=row, moved_at=now, from_stage=before, to_stage=to, actor=actor, cause=cause, reason=reason[:500]
        )
        queries.mark([row.pk], Mark.Facet.CONTACT)
    contact.stage, contact.stage_since, contact.updated_at = to, now, now
    return True


def move_stages(contact_ids: Sequence[int], *, to: str, cause: str, reason: str, now: datetime) -> int:
    """How many were moved: those whose present stage allows it (lifecycle.is_legal_for_rules). One statement, locks in key order."""
    _known_stage(to)
    allowed = [slug for slug in lifecycle.POSITION if lifecycle.is_legal_for_rules(slug, to)]
    with transaction.atomic():
        moved = queries.move_stages(contact_ids, allowed=allowed, to=to, cause=cause, reason=reason[:500], now=now)
        queries.mark(moved, Mark.Facet.CONTACT)
    return len(moved)


def _known_stage(slug: str) -> None:
    if slug not in lifecycle.POSITION:
        raise Refused(_("There is no stage “%(slug)s”.") % {"slug": slug})


# --- Activities ----------------------------------------------------------------------------------------------------------


def record_activities(rows: Iterable[NewActivity], *, now: datetime) -> int:
    """Activities stored, with their signals and marks; a few statements whatever their number. Raises Refused for a bad kind."""
    new = list(rows)
    for row in new:
        if not values.SLUG.fullmatch(row.kind):
            raise Refused(_("“%(kind)s” is no kind of activity.") % {"kind": row.kind})
    with transaction.atomic():
        kinds = queries.kind_ids({row.kind for row in new})
        return queries.store_activities(
            [
                queries.ActivityRow(
                    contact_id=row.contact_id,
                    kind_id=kinds[row.kind],
                    occurred_at=row.occurred_at,
                    asset=(clean(row.url), clean(row.subject), clean(row.source)[:200]),
                    properties=queries.json_text(row.properties) if row.properties else None,
                )
                for row in new
            ],
            now=now,
        )


# --- Custom fields, audit ------------------------------------------------------------------------------------------------


def make_custom_field(
    of: str,
    *,
    key: str,
    type: str,
    now: datetime,
    label: str = "",
    choices: Sequence[str] = (),
    help: str = "",
    actor: User | None = None,
) -> CustomField:
    """A new field of contacts, companies or deals. Raises Refused for a bad or taken key, an unknown type, choices without sense."""
    if of not in CustomField.Of.values:
        raise Refused(_("Custom fields belong to contacts, companies or deals."))
    if not FIELD_KEY.fullmatch(key):
        raise Refused(
            _("“%(key)s” is no key: use lower-case letters, digits and underscores, a letter first, at most 63.")
            % {"key": key}
        )
    if type not in CustomField.Type.values:
        raise Refused(
            _("“%(type)s” is no type; choose one of %(types)s.")
            % {"type": type, "types": ", ".join(CustomField.Type.values)}
        )
    names = list({fold(clean(name)): clean(name) for name in choices if clean(name)}.values())
    if type == CustomField.Type.CHOICE and not names:
        raise Refused(_("A choice needs at least one option."))
    if any(len(name) > 200 for name in names):
        raise Refused(_("An option has at most 200 characters."))
    try:
        with transaction.atomic():
            made = CustomField.objects.create(
                of=of, key=key, type=type, label=clean(label)[:200] or key, choices=names, help=help[:500]
            )
    except IntegrityError as error:
        raise Refused(_("There is a custom field “%(key)s” already.") % {"key": key}) from error
    if actor is not None:
        audit(actor, "made", made, {"of": of, "key": key, "type": type}, now)
    return made


def audit(actor: User | None, verb: str, obj: Model | str, detail: dict[str, Any], now: datetime) -> AuditEntry:
    """One line of the audit: who did what to which object; `obj` may be a word where there is no row."""
    if isinstance(obj, str):
        kind, number, label = obj, "", obj
    else:
        kind, number, label = obj._meta.model_name or "", str(obj.pk), str(obj)
    return AuditEntry.objects.create(
        at=now,
        actor=actor,
        verb=verb,
        object_kind=kind,
        object_id=number[:100],
        object_label=label[:300],
        detail=detail,
    )


def change_company(company: Company, *, changes: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    """Keys whose value changed; the company's people are marked. Raises Refused when a value does not fit."""
    converters = {
        "name": values.text(500),
        "domain": values.text(253),
        "industry": values.text(200),
        "employees": values.whole(values.Reading(), lowest=0, highest=2**62),
        "revenue": values.decimal(values.Reading()),
        "founded": values.whole(values.Reading(), lowest=1, highest=values.LAST_YEAR),
        "country": values.country,
        "region": values.text(200),
        "city": values.text(200),
        "tags": values.tags,
    }
    with transaction.atomic():
        row = Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        changed = []
        for key, value in changes.items():
            if key not in converters:
                raise Refused(_("“%(field)s” is no field of a company that can be changed.") % {"field": key})
            fresh: Any
            if value is None or value in ("", []):
                fresh = [] if key == "tags" else None if key in ("employees", "revenue", "founded") else ""
            else:
                try:
                    fresh = converters[key](value)
                except values.BadValue as error:
                    raise Refused(f"{key}: {error}") from error
            if getattr(row, key) != fresh:
                setattr(row, key, fresh)
                changed.append(key)
        if not changed:
            return []
        if not row.name:
            raise Refused(_("A company needs a name."))
        row.updated_at = now
        row.save()
        queries.mark_people_of([row.pk])
        if actor is not None:
            audit(actor, "changed", row, {"fields": changed}, now)
    company.refresh_from_db()
    return changed


def make_contact(*, changes: dict[str, Any], actor: User | None, now: datetime) -> Contact:
    """A contact recorded by hand, marked for every rule. Raises Refused like change_contact; two or three statements and a mark."""
    with transaction.atomic():
        row = Contact(created_at=now, updated_at=now, stage_since=now)
        for key, value in changes.items():
            _apply(row, key, value)
        if row.email is None and row.external_id is None:
            raise Refused(_("A contact needs an e-mail address or an external id."))
        try:
            with transaction.atomic():
                row.save()
        except IntegrityError as error:
            raise Refused(_("This e-mail address or external id belongs to another contact.")) from error
        queries.mark([row.pk], *queries.FACETS_OF_A_NEW_CONTACT)
        if actor is not None:
            audit(actor, "made", row, {"fields": sorted(changes)}, now)
    return row
