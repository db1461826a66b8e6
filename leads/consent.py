"""Consent by address and purpose: said yes, said no, was asked. Rows are only added; the last one that counts is the state.

Everything is kept by the hash of the address, so that a no outlives deletion, import, merging and coming back. Only the person takes
a no back (preference page, confirmed mail), or a colleague who writes down how they said so; never an import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.core import signing
from django.db import transaction
from django.utils.translation import gettext as _

from leads import queries, queries_consent
from leads.addresses import address_hash, domain_of, keyed_hash
from leads.models import (
    ConsentEvent,
    ConsentRequest,
    ConsentWording,
    Contact,
    ContactMerge,
    MailPreference,
    Mark,
    Purpose,
    Suppression,
    SuppressionPattern,
)
from leads.queries_consent import Moved, Word
from leads.text import clean, normal_address

EVERYTHING = Purpose.ALL
DAYS_TO_CONFIRM = 7
MOST_REQUESTS = 3  # mails that ask one address to confirm, within a day: nobody can be flooded by filling in forms
MOST_UNANSWERED = 6  # … that it did not answer, within UNANSWERED_DAYS
UNANSWERED_DAYS = 30
NEVER_ASKED = frozenset({Suppression.Reason.BY_HAND, *SuppressionPattern.Kind})  # their yes would let no mail out
REQUEST_SALT = "leads.consent.request"
PREFERENCE_SALT = "leads.consent.preferences"
State = ConsentEvent.State


class ConsentRefused(Exception):
    """It cannot be recorded; the message is for people."""


@dataclass(frozen=True)
class Standing:
    """How one purpose stands for an address: what was said, when, and whether that lets mail out."""

    purpose: Purpose
    state: str  # given, withdrawn, asked, or empty
    since: datetime | None
    is_on: bool


@dataclass(frozen=True)
class Proof:
    """What shows later that it was the person: how they came, by hashes where the thing itself would be too much to keep."""

    ip: str = ""
    agent: str = ""
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        found = {
            "ip_hash": keyed_hash(self.ip) if self.ip else "",
            "agent": self.agent[:200],
            "note": self.note[:1000],
        }
        return {key: value for key, value in found.items() if value}


# --- How it stands -------------------------------------------------------------------------------------------------------


def standing(address: str, contact: Contact | None = None) -> list[Standing]:
    """Every purpose in use, in its order, for one address. Two statements; the contact's company is loaded."""
    return standing_of_hash(address_hash(address), country_of(address, contact))


def standing_of_hash(digest: str, country: str = "") -> list[Standing]:
    said = queries_consent.states_of(digest)
    return [_standing(purpose, said, country) for purpose in Purpose.objects.filter(archived_at=None)]


def _standing(purpose: Purpose, said: Mapping[str, Word], country: str) -> Standing:
    state, since = _later(said.get(purpose.slug), said.get(EVERYTHING))
    if purpose.basis == Purpose.Basis.CONTRACT:
        return Standing(purpose, state, since, is_on=True)
    is_by_default = purpose.basis == Purpose.Basis.INTEREST and country not in purpose.quiet_countries
    is_on = state == State.GIVEN or (state == "" and is_by_default)
    return Standing(purpose, state, since, is_on)


def _later(one: Word | None, other: Word | None) -> tuple[str, datetime | None]:
    """The later word of two, of one moment the one that was written later; a plain “asked” yields to whatever was said."""
    found = [word for word in (one, other) if word]
    if not found:
        return "", None
    state, at, _number = max(found, key=lambda word: (word[0] != State.ASKED, word[1:]))
    return state, at


def state_of(address: str, purpose: str) -> str:
    """given, withdrawn, asked, or empty where nothing was ever said. One statement."""
    said = queries_consent.states_of(address_hash(address))
    return _later(said.get(purpose), said.get(EVERYTHING))[0]


def country_of(address: str, contact: Contact | None) -> str:
    """Where somebody lives: their own country, their company's, that of their address; empty where nobody knows."""
    if contact is not None and contact.country:
        return contact.country.upper()
    if contact is not None and contact.company is not None and contact.company.country:
        return contact.company.country.upper()
    ending = domain_of(address).rpartition(".")[2].upper()
    return {"UK": "GB", "EU": "BE"}.get(ending, ending) if len(ending) == 2 else ""


# --- Saying ----------------------------------------------------------------------------------------------------------------


def withdraw_consent(
    address: str,
    *,
    source: str,
    now: datetime,
    purpose: str = EVERYTHING,
    contact: Contact | None = None,
    proof: dict[str, Any] | None = None,
) -> bool:
    """Whether this was news. The address gets no mail for the purpose from the commit on, whoever it belongs to now or later.

    Nor does the one that the `contact` has now, where it is another: the mail that they answer was written before the change.
    """
    return _withdraw(_parties(_Party.at(address, contact), contact), purpose, source, now, proof or {})


def withdraw_by_hash(
    digest: str,
    *,
    source: str,
    now: datetime,
    purpose: str = EVERYTHING,
    contact: Contact | None = None,
    proof: dict[str, Any] | None = None,
) -> bool:
    """The same where only the hash is known any more; looks through all contacts for who has the address now."""
    people = queries_consent.contacts_with_hash(digest)
    party = _Party(digest, people[0] if people else contact.pk if contact else None, people)
    return _withdraw(_parties(party, contact), purpose, source, now, proof or {})


def _parties(party: _Party, contact: Contact | None) -> list[_Party]:
    """The address that was spoken for, and the one that the person has now: a no is theirs, wherever they said it."""
    if contact is None or not contact.email or address_hash(contact.email) == party.digest:
        return [party]
    return [party, _Party.at(contact.email, contact)]


def _withdraw(parties: Sequence[_Party], purpose: str, source: str, now: datetime, proof: dict[str, Any]) -> bool:
    with transaction.atomic():
        queries_consent.lock_addresses([party.digest for party in parties])
        told = [proof, *({**proof, "former_address": parties[0].digest} for _other in parties[1:])]
        found = [_withdraw_one(party, purpose, source, now, kept) for party, kept in zip(parties, told, strict=True)]
    return any(found)


def _withdraw_one(party: _Party, purpose: str, source: str, now: datetime, proof: dict[str, Any]) -> bool:
    """The last word, whatever another machine's clock said: never dated before what is there."""
    said = queries_consent.states_of(party.digest)
    if _later(said.get(purpose), said.get(EVERYTHING))[0] == State.WITHDRAWN and (
        purpose != EVERYTHING or not _anything_given(said)
    ):
        return False
    at = max([now, *(at for _state, at, _number in said.values())])
    _add(party, purpose, State.WITHDRAWN, source=source, now=at, proof=proof)
    queries_consent.close_questions([party.digest], purpose=purpose, at=at)
    return True


def _anything_given(said: Mapping[str, Word]) -> bool:
    """Whether some purpose was given again after everything was withdrawn."""
    everything = said.get(EVERYTHING)
    return any(
        state == State.GIVEN and (everything is None or (at, number) > everything[1:])
        for purpose, (state, at, number) in said.items()
        if purpose != EVERYTHING
    )


def give_consent(
    address: str,
    *,
    purposes: Iterable[str],
    source: str,
    now: datetime,
    by_person: bool,
    contact: Contact | None = None,
    proof: dict[str, Any] | None = None,
    is_wording_shown: bool = True,
) -> list[str]:
    """Purposes for which this counts. `by_person`: they said so themselves, or a colleague notes how they did; else a no stays a no.
    `is_wording_shown`: they had the wording in use before their eyes, which the row then names.

    What does not count is kept as a row that changes nothing. Raises ConsentRefused for an unknown purpose.
    """
    party, found = _Party.at(address, contact), []
    slugs = _known(purposes)
    versions = current_wordings(slugs) if is_wording_shown else {}
    with transaction.atomic():
        queries_consent.lock_addresses([party.digest])
        said = queries_consent.states_of(party.digest)
        for slug in slugs:
            state, since = _later(said.get(slug), said.get(EVERYTHING))
            if state == State.GIVEN:
                continue
            # a yes that waited while its own author said no is not the last word
            counts = state != State.WITHDRAWN or (by_person and since is not None and since <= now)
            wording = versions.get(slug, "")
            _add(party, slug, State.GIVEN, source=source, now=now, proof=proof or {}, counts=counts, wording=wording)
            if counts:
                found.append(slug)
    return found


@dataclass(frozen=True)
class _Party:
    """Whom a row is about: the hash, the contact it is filed under, and everybody whose rules may read it."""

    digest: str
    contact_id: int | None
    to_mark: list[int]

    @classmethod
    def at(cls, address: str, contact: Contact | None = None) -> _Party:
        """One statement."""
        people = list(queries.contacts_at(normal_address(address)))
        filed_under = contact.pk if contact is not None else next(iter(people), None)
        return cls(address_hash(address), filed_under, people)


def _add(
    party: _Party,
    purpose: str,
    state: str,
    *,
    source: str,
    now: datetime,
    proof: dict[str, Any],
    counts: bool = True,
    wording: str = "",
) -> None:
    ConsentEvent.objects.create(
        address_hash=party.digest,
        contact_id=party.contact_id,
        purpose=purpose,
        state=state,
        counts=counts,
        occurred_at=now,
        source=clean(source)[:100],
        wording=wording,
        proof=proof,
    )
    if counts:
        queries.mark(party.to_mark, Mark.Facet.CONSENT)


def _known(purposes: Iterable[str]) -> list[str]:
    asked = list(dict.fromkeys(purposes))
    known = set(Purpose.objects.filter(slug__in=asked, archived_at=None).values_list("slug", flat=True))
    for slug in asked:
        if slug not in known:
            raise ConsentRefused(_("There is no purpose “%(slug)s”.") % {"slug": slug})
    if not asked:
        raise ConsentRefused(_("Say for what: at least one purpose."))
    return asked


def current_wordings(purposes: Iterable[str]) -> dict[str, str]:
    """purpose -> the version of its wording in use, as the ledger names it. One statement."""
    return {row.purpose_id: str(row) for row in wordings_of(purposes)}


def wordings_of(purposes: Iterable[str]) -> list[ConsentWording]:
    """The wordings in use. One statement."""
    rows = ConsentWording.objects.filter(purpose__in=list(purposes))
    return list(rows.order_by("purpose_id", "-number").distinct("purpose_id"))


# --- Asking: double opt-in ------------------------------------------------------------------------------------------------


def ask_consent(
    address: str,
    *,
    purposes: Iterable[str],
    source: str,
    now: datetime,
    contact: Contact | None = None,
    language: str = "",
    proof: dict[str, Any] | None = None,
) -> ConsentRequest | None:
    """Ask by mail to confirm; None when there is nothing to ask, when the address was asked too often, or is on the suppression list.

    The mail is written by nurture's beat, which reads `wants_mail`. Nothing is given before the link's button is pressed.
    """
    party, slugs = _Party.at(address, contact), _known(purposes)
    with transaction.atomic():
        queries_consent.lock_addresses([party.digest])
        said = queries_consent.states_of(party.digest)
        states = {slug: _later(said.get(slug), said.get(EVERYTHING))[0] for slug in slugs}
        open_ones = [slug for slug in slugs if states[slug] != State.GIVEN]
        if not open_ones or _was_asked_enough(party.digest, now):
            return None
        if queries_consent.why_blocked([address], EVERYTHING).get(address) in NEVER_ASKED:
            return None
        versions = current_wordings(open_ones)
        for slug in open_ones:
            if states[slug] != State.ASKED:
                _add(
                    party, slug, State.ASKED, source=source, now=now, proof=proof or {},
                    counts=states[slug] == "", wording=versions.get(slug, ""),
                )  # fmt: skip
        return ConsentRequest.objects.create(
            address=clean(address),
            address_hash=party.digest,
            contact_id=party.contact_id,
            purposes=open_ones,
            source=clean(source)[:100],
            language=language[:35],
            proof=proof or {},
            asked_at=now,
            expires_at=now + timedelta(days=DAYS_TO_CONFIRM),
        )


def _was_asked_enough(digest: str, now: datetime) -> bool:
    """One statement."""
    asked = ConsentRequest.objects.filter(address_hash=digest, asked_at__gt=now - timedelta(days=UNANSWERED_DAYS))
    said = list(asked.values_list("asked_at", "confirmed_at"))
    today = [at for at, _confirmed in said if at > now - timedelta(days=1)]
    unanswered = [at for at, confirmed in said if confirmed is None]
    return len(today) >= MOST_REQUESTS or len(unanswered) >= MOST_UNANSWERED


def request_token(request: ConsentRequest) -> str:
    """What the link in the mail carries: the row's number, signed."""
    return signing.Signer(salt=REQUEST_SALT).sign(str(request.pk)).replace(":", ".")


def request_of(token: str, *, now: datetime) -> ConsentRequest | None:
    """The request that a link names while it may still be answered. One statement; none for a forged link."""
    try:
        number = signing.Signer(salt=REQUEST_SALT).unsign(token.replace(".", ":", 1))
    except signing.BadSignature:
        return None
    return ConsentRequest.objects.filter(pk=int(number), confirmed_at=None, expires_at__gt=now).first()


def confirm(request: ConsentRequest, *, now: datetime, proof: dict[str, Any]) -> list[str]:
    """Purposes given now; none when the link was used meanwhile: it works once."""
    with transaction.atomic():
        mine = ConsentRequest.objects.filter(pk=request.pk, confirmed_at=None, expires_at__gt=now)
        if mine.update(confirmed_at=now, wants_mail=False) != 1:
            return []
        in_use = Purpose.objects.filter(slug__in=request.purposes, archived_at=None).values_list("slug", flat=True)
        if not in_use:
            return []
        kept = {**proof, "request": request.pk, "asked_at": request.asked_at.isoformat(), "asked": request.proof}
        return give_consent(
            request.address,
            purposes=list(in_use),
            source=f"confirmed:{request.source}"[:100],
            now=now,
            by_person=True,
            contact=request.contact,
            proof=kept,
        )


# --- The preference page: a link that needs no sign-in ----------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    """Whom a preference link speaks for. Without an address only the hash is left: the contact is gone or has another address.

    `heir`: the person of the link under the address that they have now, whose no it takes and nothing else.
    """

    digest: str
    contact: Contact | None
    address: str
    heir: Contact | None = None

    @property
    def standing(self) -> list[Standing]:
        """Two statements."""
        return standing_of_hash(self.digest, country_of(self.address, self.contact))


def preference_token(address: str, contact_id: int | None) -> str:
    """What the link carries: hash and contact, signed. It works as long as the instance keeps its secret."""
    return _preference_signer().sign(f"{address_hash(address)}-{contact_id or 0}").replace(":", ".")


@cache
def _preference_signer() -> signing.Signer:
    return signing.Signer(salt=PREFERENCE_SALT)


def holder_of(token: str) -> Holder | None:
    """None for a forged link. One statement; two for a contact that went."""
    try:
        value = _preference_signer().unsign(token.replace(".", ":", 1))
    except signing.BadSignature:
        return None
    digest, _dash, number = value.partition("-")
    people = Contact.objects.select_related("company")
    contact = people.filter(pk=int(number)).first()
    if contact is None and (merge := ContactMerge.objects.filter(gone_id=int(number)).first()):
        contact = people.get(pk=merge.kept_id)
    if contact is None or not contact.email or address_hash(contact.email) != digest:
        return Holder(digest, None, "", heir=contact)
    return Holder(digest, contact, contact.email)


def choose(
    holder: Holder, *, wanted: Mapping[str, bool], source: str, now: datetime, proof: dict[str, Any]
) -> tuple[list[str], list[str]]:
    """What somebody ticks on their page: (purposes switched on, switched off). What is as it was leaves no row."""
    given, withdrawn = [], []
    with transaction.atomic():
        queries_consent.lock_addresses([holder.digest])
        for one in holder.standing:
            slug = one.purpose.slug
            if (
                one.purpose.is_all
                or one.purpose.basis == Purpose.Basis.CONTRACT
                or wanted.get(slug, one.is_on) == one.is_on
            ):
                continue
            if wanted[slug]:
                give_consent(
                    holder.address,
                    purposes=[slug],
                    source=source,
                    now=now,
                    by_person=True,
                    contact=holder.contact,
                    proof=proof,
                )
                given.append(slug)
            else:
                withdraw_consent(
                    holder.address, purpose=slug, source=source, now=now, contact=holder.contact, proof=proof
                )
                withdrawn.append(slug)
    return given, withdrawn


def wish(digest: str) -> MailPreference:
    """How often, in which language, not before when; the default where nobody wished anything. One statement."""
    found = MailPreference.objects.filter(pk=digest).first()
    return found or MailPreference(address_hash=digest)


def set_wish(digest: str, *, now: datetime, **values: Any) -> bool:
    """Keep a wish; whether it is another than before."""
    with transaction.atomic():
        queries_consent.lock_addresses([digest])
        row = wish(digest)
        if all(getattr(row, key) == value for key, value in values.items()):
            return False
        MailPreference.objects.update_or_create(pk=digest, defaults={**values, "updated_at": now})
    return True


# --- Two addresses of one person ----------------------------------------------------------------------------------------


def refused_alone(*, gone: str, kept: str) -> dict[str, datetime]:
    """purpose -> when it was refused under the one address, where it is not refused under the other. Two statements."""
    theirs, ours = queries_consent.states_of(address_hash(gone)), queries_consent.states_of(address_hash(kept))
    return {
        slug: at
        for slug, (state, at, _number) in theirs.items()
        if state == State.WITHDRAWN
        and (
            _later(ours.get(slug), ours.get(EVERYTHING))[0] != State.WITHDRAWN
            or (slug == EVERYTHING and _anything_given(ours))
        )
    }


def fold_consent(*, gone: str | None, kept: str | None, now: datetime, contact: Contact | None = None) -> list[str]:
    """Contacts are merged: what the person refused under the address that goes is refused under the one that stays.

    A no travels, a yes never does. The ledger of the address that goes stays as it is, so that it is withdrawn if it ever comes back.
    Purposes that are refused now and were not before.
    """
    if not gone or not kept or address_hash(gone) == address_hash(kept):
        return []
    party = _Party.at(kept, contact)
    moved = [Moved(party.contact_id, gone, kept)]
    with transaction.atomic():
        queries_consent.lock_addresses([address_hash(gone), party.digest])
        refused = queries_consent.carry_refusals(moved, source="merge", now=now)
        queries_consent.carry_wishes(moved, now=now)
        if refused:
            queries.mark(party.to_mark, Mark.Facet.CONSENT)
    return sorted(purpose for _contact, purpose in refused)


def follow_addresses(moved: Sequence[Moved], *, now: datetime) -> None:
    """People have other addresses than before, in the caller's transaction, which marks them: what they refused holds for the new ones.

    Complaints, names put on the suppression list by hand, and wishes go along, too. Three statements whatever the number.
    """
    if moved:
        queries_consent.carry_refusals(moved, source="address_changed", now=now)
        queries_consent.carry_suppressions(moved, source="address_changed", now=now)
        queries_consent.carry_wishes(moved, now=now)
