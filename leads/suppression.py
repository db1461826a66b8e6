"""Addresses that get no marketing mail, whatever they agreed to: bounced, complained, put on the list by hand; whole domains and roles."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from leads import queries, queries_consent, values
from leads.actions import Refused, audit
from leads.addresses import address_hash, domain_of
from leads.models import Mark, Suppression, SuppressionPattern
from leads.text import clean, fold, normal_address


def suppress(
    address: str, *, reason: str, source: str, now: datetime, actor: User | None = None, digest: str = ""
) -> bool:
    """Whether that is news. `digest` where the address itself is not known.

    A complaint takes the place of any other reason; what a colleague puts on the list takes that of a bounce, since whoever takes a
    mended mailbox off the list must not take off a wish.
    """
    if reason not in Suppression.Reason.values:
        raise Refused(_("“%(reason)s” is no reason to suppress an address.") % {"reason": reason})
    key = address_hash(address) if address else digest
    with transaction.atomic():
        queries_consent.lock_addresses([key])
        row = queries_consent.Listed(key, clean(address)[:320], reason, source[:200], now)
        is_new = bool(queries_consent.put_on_list([row], by_person=actor is not None))
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
    if is_domain and text and (not text.isascii() or "xn--" in text):
        try:
            text = domain_of(values.email(f"a@{text}"))
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
