"""Events of providers become states of mails: each once, in any order, an odd one beside the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import OperationalError, transaction

from leads import queries_consent
from nurture import actions
from nurture.mailing import incoming, sending
from nurture.models import ProviderEvent, Sending
from nurture.providers.accounts import PROVIDERS, account_named
from nurture.tracking import links
from nurture.tracking.codes import PIXEL, TRAP
from nurture.tracking.queries import note_hit

log = logging.getLogger(__name__)

BATCH = 500
KEPT = timedelta(days=30)
OLDEST = timedelta(
    days=25
)  # what happened before is not believed: its key may be forgotten already, so it could be a replay
Outcome = ProviderEvent.Outcome
_OUT = (Sending.State.SENT, Sending.State.SENDING, Sending.State.UNCERTAIN, Sending.State.BOUNCED)


def take_due(now: datetime) -> int:
    """Take what waits, forget what is old; events taken. One statement while nothing waits."""
    taken = 0
    for pk in list(
        ProviderEvent.objects.filter(outcome=Outcome.WAITS).order_by("pk").values_list("pk", flat=True)[:BATCH]
    ):
        taken += _take_one(pk, now)
    if taken:  # what grows is cut where it grows
        old = ProviderEvent.objects.filter(received_at__lt=now - KEPT).exclude(outcome=Outcome.WAITS)
        ProviderEvent.objects.filter(
            pk__in=list(old.order_by("received_at").values_list("pk", flat=True)[: 2 * BATCH])
        ).delete()
    return taken


def _take_one(pk: int, now: datetime) -> bool:
    """One transaction; whether it was this worker's. What throws is parked with its reason, and the next one goes on."""
    try:
        with transaction.atomic():
            event = ProviderEvent.objects.select_for_update(skip_locked=True, no_key=True).filter(
                pk=pk, outcome=Outcome.WAITS
            )
            if not (row := event.first()):
                return False
            row.outcome = take(row, now=now)
            row.save(update_fields=["outcome"])
    except OperationalError:  # the database is gone, or two waited for each other: later
        raise
    except Exception as error:
        log.exception("event of a mail provider failed", extra={"event": pk})
        ProviderEvent.objects.filter(pk=pk).update(
            outcome=Outcome.FAILED, problem=f"{type(error).__name__}: {error}"[:300]
        )
    return True


def take(event: ProviderEvent, *, now: datetime) -> str:
    """Do what one event says; its outcome. Twice is as good as once, and late as good as early."""
    mail = Sending.objects.select_related("template").filter(token=event.token).first() if event.token else None
    if mail is None:
        return Outcome.UNKNOWN
    if event.at < now - OLDEST:
        return Outcome.IGNORED
    verb = _VERBS.get(event.kind)
    return Outcome.TAKEN if verb is not None and verb(event, mail, now) else Outcome.IGNORED


def _note_left(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    """The provider has it: a mail of which we did not know is sent, also one that would be tried again."""
    if mail.state in (Sending.State.SENT, Sending.State.BOUNCED):
        return True
    mine = Sending.objects.filter(pk=mail.pk, tries__gt=0, state__in=(Sending.State.QUEUED, Sending.State.NOT_SENT))
    mine.update(state=Sending.State.UNCERTAIN, lease_until=None, why_not="")
    sending.left([mail.pk], now)
    return True


def _bounce(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    """It came back, or the provider does not even try."""
    queries_consent.lock_addresses_in_clear([mail.address])  # first of all, see lock_addresses
    if event.kind == "bounced":
        _note_left(event, mail, now)
    row = Sending.objects.select_for_update(no_key=True, of=("self",)).select_related("template").get(pk=mail.pk)
    if row.state not in _OUT:
        return False
    if row.state != Sending.State.BOUNCED:
        sending.bounce(row, event.words or event.kind, now, is_mailbox=event.is_about_mailbox)
    return True


def _complain(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    return incoming.complain(mail, source=event.provider, now=now)


def _unsubscribe(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    return actions.unsubscribe(mail.token, source=event.provider, now=now, proof={"event": event.key})


def _open(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    return _note_hit(event, mail, PIXEL)


def _click(event: ProviderEvent, mail: Sending, now: datetime) -> bool:
    """Only on a link that stands in the mail."""
    place = links.place_of(mail.html, event.url)
    return 0 < place < TRAP and _note_hit(event, mail, place)


def _note_hit(event: ProviderEvent, mail: Sending, place: int) -> bool:
    """Judged like our own, in place of our own: where links lead by us, what the provider sees is the same press once more."""
    account = account_named()
    if account is None or not account.is_tracking or account.provider is not PROVIDERS.get(event.provider):
        return False
    noted = note_hit(
        mail.pk,
        place,
        url=event.url,
        source=event.source,
        agent=event.agent,
        suspicion=event.suspicion,
        at=event.at,
    )
    return noted is not None


_VERBS: dict[str, Callable[[ProviderEvent, Sending, datetime], bool]] = {
    "queued": _note_left,
    "sent": _note_left,
    "delivered": _note_left,
    "deferred": _note_left,
    "bounced": _bounce,
    "rejected": _bounce,
    "failed": _bounce,
    "complained": _complain,
    "unsubscribed": _unsubscribe,
    "opened": _open,
    "clicked": _click,
}
