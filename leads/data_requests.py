"""Data subject requests: asked by the person or written down by a colleague, answered by an admin with a file, by erasing, or with a no."""

from __future__ import annotations

from datetime import datetime
from typing import IO, Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import holding, person_file, queries, queries_consent
from leads.actions import Refused, audit
from leads.addresses import address_hash
from leads.consent import withdraw_by_hash, withdraw_consent
from leads.models import Contact, DataRequest
from leads.retry import retrying
from leads.text import clean, fold


def ask(
    kind: str,
    *,
    contact: Contact | None,
    digest: str = "",
    source: str,
    reason: str = "",
    proof: dict[str, Any] | None = None,
    actor: User | None,
    now: datetime,
) -> tuple[DataRequest, bool]:
    """The open request of this kind about this person, and whether it is new: asking twice makes no second one."""
    if contact is not None and contact.email:
        digest = address_hash(contact.email)
    if open_one := _open(kind, contact, digest):
        return open_one, False
    try:
        with transaction.atomic():
            request = DataRequest.objects.create(
                kind=DataRequest.Kind(kind),
                contact=contact,
                address_hash=digest,
                source=source,
                reason=clean(reason)[:1000],
                proof=proof or {},
                asked_at=now,
                asked_by=actor,
            )
            if actor is not None:
                audit(actor, "asked", request, {"kind": kind, "contact": contact.pk if contact else None}, now)
    except IntegrityError:  # somebody pressed twice at once
        if open_one := _open(kind, contact, digest):
            return open_one, False
        raise
    return request, True


def _open(kind: str, contact: Contact | None, digest: str) -> DataRequest | None:
    rows = DataRequest.objects.filter(kind=kind, state=DataRequest.State.OPEN)
    if contact is not None and (found := rows.filter(contact=contact).first()):
        return found
    return rows.filter(address_hash=digest).first() if digest else None


def open_kinds(contact: Contact | None, digest: str) -> set[str]:
    """What somebody has asked for and waits for. One statement."""
    whose = Q(address_hash=digest)
    if contact is not None:
        whose |= Q(contact=contact)
    return set(DataRequest.objects.filter(whose, state=DataRequest.State.OPEN).values_list("kind", flat=True))


def export(request: DataRequest, *, actor: User, now: datetime) -> IO[bytes]:
    """The file to hand over; the request is done with the first one. Each is in the audit."""
    if request.kind != DataRequest.Kind.EXPORT or request.state == DataRequest.State.REFUSED:
        raise Refused(_("They did not ask for a copy."))
    file, rows = person_file.write_file(person_file.person_of(request), now=now)
    with transaction.atomic():
        mine = DataRequest.objects.filter(pk=request.pk, state=DataRequest.State.OPEN)
        mine.update(state=DataRequest.State.DONE, done_at=now, done_by=actor, rows=rows)
        audit(actor, "exported", request, {"rows": rows}, now)
    return file


def erase(request: DataRequest, *, note: str, actor: User, now: datetime) -> dict[str, int]:
    """What went: chapter -> rows. Nothing is left but hashes: of the addresses, each with its no to everything.

    One transaction, tried again where somebody stored something for them in that moment. Locks the
    addresses first, like whoever writes consent or claims mail. Raises Refused for what is not open.
    """
    if not note.strip():
        raise Refused(_("Say why: how you know that it was them."))
    person = person_file.person_of(request)
    if _names(note, person):
        raise Refused(_("The note stays in the record: leave out their name and address."))
    return retrying(lambda: _erase(request.pk, person, note, actor, now))


def _erase(request_id: int, person: person_file.Person, note: str, actor: User, now: datetime) -> dict[str, int]:
    with transaction.atomic():
        queries_consent.lock_addresses(person.digests)
        if person.contact is not None:
            holding.hold([person.contact.pk])
        row = DataRequest.objects.select_for_update(no_key=True).get(pk=request_id)
        if row.state != DataRequest.State.OPEN or row.kind != DataRequest.Kind.ERASE:
            raise Refused(_("There is nothing to erase any more: the request was answered."))
        rows = person_file.counts(person)
        _say_no(person, now)
        for chapter in reversed(person_file.chapters()):  # clicks before the mails by which they are found
            if chapter.forget is not None:
                chapter.forget(person, now)
        if person.contact is not None:
            queries.delete_activities_of(person.contact.pk)
            Contact.objects.get(pk=person.contact.pk).delete()
        row.state, row.done_at, row.done_by = DataRequest.State.DONE, now, actor
        row.contact, row.answer, row.reason, row.proof, row.rows = None, clean(note)[:1000], "", {}, rows
        row.save(update_fields=["state", "done_at", "done_by", "contact", "answer", "reason", "proof", "rows"])
        audit(actor, "erased", row, {"rows": rows}, now)
    return rows


def _names(note: str, person: person_file.Person) -> bool:
    text = fold(note)
    name = fold(person.contact.full_name) if person.contact else ""
    return any(address in text for address in person.addresses) or (" " in name and name in text)


def _say_no(person: person_file.Person, now: datetime) -> None:
    """Nobody writes to them again, should a file bring the address back."""
    known = {address_hash(address): address for address in person.addresses}
    for digest in person.digests:
        if digest in known:
            withdraw_consent(known[digest], source="erased", now=now, contact=person.contact)
        else:
            withdraw_by_hash(digest, source="erased", now=now)


def refuse(request: DataRequest, *, note: str, actor: User, now: datetime) -> None:
    """Answered with a no, which needs a reason. Raises Refused."""
    if not note.strip():
        raise Refused(_("Say why: the person has a right to know."))
    with transaction.atomic():
        mine = DataRequest.objects.filter(pk=request.pk, state=DataRequest.State.OPEN)
        if not mine.update(state=DataRequest.State.REFUSED, done_at=now, done_by=actor, answer=clean(note)[:1000]):
            raise Refused(_("The request was answered meanwhile."))
        audit(actor, "refused", request, {"kind": request.kind}, now)
