"""How mail leaves and comes back, for the page of delivery: no secret in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Count, Max
from django.urls import reverse

from nurture.mailbox import box
from nurture.mailing import carriers, domain_rests
from nurture.mailing.sending import SERVER_DOWN
from nurture.mailing.smtp import Server
from nurture.models import DomainRest, MailboxLetter, MailboxState, ProviderEvent
from nurture.providers.accounts import PROVIDERS, STATES, Account, Provider, webhook_settings

SHOWN = timedelta(days=7)
MOST_PARKED = 20


@dataclass(frozen=True)
class Webhook:
    """Where one provider's events go, and what came of those of the last week."""

    provider: Provider
    url: str
    is_proven: bool
    is_ours: bool  # mail leaves by this provider now
    last_at: datetime | None = None
    counts: list[tuple[str, int]] = field(default_factory=list)
    unknown: int = 0
    failed: int = 0


@dataclass(frozen=True)
class State:
    """What the page shows. `carrier` is empty where mail stays in the outbox."""

    carrier: str
    account: Account | None
    is_private: bool
    rate: str
    down: str
    problem: str
    webhooks: list[Webhook]
    resting: list[DomainRest]
    mailbox: box.Address | None
    reading: MailboxState
    parked: list[MailboxLetter]


def state(now: datetime) -> State:
    """Six statements, two more with a mailbox."""
    problem, carrier, mailbox = "", None, None
    try:
        carrier, mailbox = carriers.configured(), box.configured()
        carriers.pace()
    except ImproperlyConfigured as error:  # its words hold no secret
        problem = str(error)
    account = carrier if isinstance(carrier, Account) else None
    down = cache.get(SERVER_DOWN)
    parked = MailboxLetter.objects.filter(state=MailboxLetter.State.PARKED).order_by("-taken_at")[:MOST_PARKED]
    return State(
        carrier=carrier.name if carrier else "",
        account=account,
        is_private=account is not None or (isinstance(carrier, Server) and carrier.is_private),
        rate=settings.EMAIL_RATE,
        down=down["words"] if down and carrier and down["host"] == carrier.name else "",
        problem=problem,
        webhooks=_webhooks(account, now),
        resting=domain_rests.current(now),
        mailbox=mailbox,
        reading=MailboxState.objects.filter(pk=1).first() or MailboxState(pk=1),
        parked=list(parked),
    )


def _webhooks(account: Account | None, now: datetime) -> list[Webhook]:
    """Of the provider in use, of those whose secret is set, and of whoever sent something lately. One statement."""
    rows = ProviderEvent.objects.filter(received_at__gte=now - SHOWN).values("provider", "kind", "outcome")
    found = list(rows.annotate(n=Count("id"), last=Max("received_at")).order_by("provider", "kind", "outcome"))
    webhooks = []
    for slug, provider in PROVIDERS.items():
        mine = [row for row in found if row["provider"] == slug]
        is_ours = account is not None and account.provider is provider
        if not mine and not is_ours:
            continue
        webhooks.append(
            Webhook(
                provider,
                f"{settings.PUBLIC_URL}{reverse('nurture:provider-events', args=[slug])}",
                is_proven=webhook_settings(provider) is not None,
                is_ours=is_ours,
                last_at=max((row["last"] for row in mine), default=None),
                counts=[
                    (str(words), number)
                    for kind, words in STATES.items()
                    if (number := sum(row["n"] for row in mine if row["kind"] == kind))
                ],
                unknown=sum(row["n"] for row in mine if row["outcome"] == ProviderEvent.Outcome.UNKNOWN),
                failed=sum(row["n"] for row in mine if row["outcome"] == ProviderEvent.Outcome.FAILED),
            )
        )
    return webhooks
