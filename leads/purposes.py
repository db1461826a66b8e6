"""What a company writes to people for: made, changed and put away by admins, each change audited."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from leads.actions import Refused, audit
from leads.models import ConsentWording, Purpose
from leads.text import clean
from leads.usage import Use, uses


def save_purpose(
    purpose: Purpose | None,
    *,
    name: str,
    description: str,
    basis: str,
    position: int,
    wording: str,
    actor: User,
    now: datetime,
    slug: str = "",
    quiet_countries: Sequence[str] = (),
) -> Purpose:
    """A purpose made or changed; another wording becomes a new version. Raises Refused for a taken key or a basis that cannot be."""
    if purpose is not None and purpose.is_all and basis != Purpose.Basis.INTEREST:
        raise Refused(_("“Everything we send” has no basis of its own; give each purpose one."))
    if slug == "new":
        raise Refused(_("“new” cannot be a key."))
    with transaction.atomic():
        row = purpose or Purpose(slug=slug, created_at=now)
        row.name, row.description, row.basis, row.position = clean(name), clean(description), basis, position
        row.quiet_countries = sorted(set(quiet_countries))
        try:
            with transaction.atomic():
                row.save(force_insert=purpose is None)
        except IntegrityError as error:
            raise Refused(_("There is a purpose “%(slug)s” already.") % {"slug": slug}) from error
        last = row.wordings.order_by("-number").first()
        text = clean(wording)
        if text != (last.text if last else ""):
            ConsentWording.objects.create(purpose=row, number=last.number + 1 if last else 1, text=text, since=now)
        audit(
            actor, "changed" if purpose else "made", row, {"basis": basis, "quiet_countries": row.quiet_countries}, now
        )
    return row


def users_of(purpose: Purpose) -> list[Use]:
    """Templates that are sent for it, and rules that read it. The statements of `uses`."""
    known = uses()
    found = [*known.get(key_of_purpose(purpose.slug), []), *known.get(f"consent.{purpose.slug}", [])]
    return list({use.url: use for use in found}.values())


def key_of_purpose(slug: str) -> str:
    return f"purpose:{slug}"


def archive_purpose(purpose: Purpose, *, actor: User, now: datetime) -> None:
    """Off the preference page; the ledger stays. Raises Refused while something uses it."""
    users: Sequence[Use] = users_of(purpose)
    if purpose.is_all:
        raise Refused(_("“Everything we send” stays: it speaks for all purposes together."))
    if users:
        raise Refused(_("It is used by %(names)s.") % {"names": ", ".join(f"“{use.label}”" for use in users)})
    with transaction.atomic():
        Purpose.objects.filter(pk=purpose.pk).update(archived_at=now)
        audit(actor, "archived", purpose, {}, now)
