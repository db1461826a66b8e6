"""Recipient domains whose server asked for less of our mail (421, 4.7.x): all mail to them waits a while, longer each time it asks again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import F
from django.db.models.functions import Greatest

from leads.addresses import domain_of
from nurture.models import DomainRest, Sending

MINUTES = (1, 5, 15, 30, 60)
FORGIVEN = timedelta(hours=1)  # without another such answer, and the next rest is a short one again
WAITS = "domain_rests"


def begin(slow: Sequence[int], held: Sequence[int], *, at: datetime) -> int:
    """The domains of the mails `slow` rest from now on; mails that were `held` back for it wait as long. How many of those.

    Two statements, three for each domain. Later mails wait by the claiming statement.
    """
    addresses = dict(Sending.objects.filter(pk__in=[*slow, *held]).values_list("pk", "address"))
    until = {domain: _rest(domain, at) for domain in sorted({domain_of(addresses[pk]) for pk in slow})}
    waiting: dict[str, list[int]] = defaultdict(list)
    for pk in held:
        waiting[domain_of(addresses[pk])].append(pk)
    put_off = 0
    for domain, sending_ids in waiting.items():
        due_at = until.get(domain) or _end_of(domain, at)
        put_off += Sending.objects.filter(pk__in=sending_ids, state=Sending.State.SENDING).update(
            state=Sending.State.QUEUED,
            due_at=due_at,
            why_not=WAITS,
            lease_until=None,
            claimed_at=None,
            tries=Greatest(F("tries") - 1, 0),
        )
    return put_off


def _rest(domain: str, at: datetime) -> datetime:
    row, _is_new = DomainRest.objects.select_for_update(no_key=True).get_or_create(
        domain=domain, defaults={"until": at}
    )
    if row.until > at:
        return row.until
    row.times = row.times + 1 if at < row.until + FORGIVEN else 1
    row.until = at + timedelta(minutes=MINUTES[min(row.times, len(MINUTES)) - 1])
    row.save(update_fields=["until", "times"])
    return row.until


def _end_of(domain: str, at: datetime) -> datetime:
    row = DomainRest.objects.filter(pk=domain).first()
    return row.until if row and row.until > at else at


def current(now: datetime) -> list[DomainRest]:
    """One statement."""
    return list(DomainRest.objects.filter(until__gt=now).order_by("until", "domain"))
