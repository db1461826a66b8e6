"""Hits become opens and clicks a few seconds later, when their neighbours are known: activities for people, a count for machines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from leads.actions import NewActivity, record_activities
from nurture.models import MailClick, MailResponse, Sending
from nurture.tracking import queries
from nurture.tracking.codes import PIXEL
from nurture.tracking.queries import Hit

SETTLES = timedelta(seconds=5)  # scanners follow all links within that; longer would make sales wait for a click
SOON = timedelta(
    seconds=10
)  # after the mail left; gateways look at links before they deliver, people do not read that fast
BESIDE = timedelta(seconds=60)
BURST = timedelta(seconds=1)
BURST_LINKS = 3
AGAIN = timedelta(minutes=10)  # the same link sooner than that is the same press
KEPT = timedelta(days=30)
BATCH = 1_000


def judge_due(now: datetime) -> int:
    """Judge what has settled, forget what is old; hits judged. One statement while nothing is due."""
    judged = 0
    while True:
        with transaction.atomic():
            hits = queries.take_hits(
                until=now - SETTLES, soon=SOON, beside=BESIDE, burst=BURST, burst_links=BURST_LINKS, limit=BATCH
            )
            if hits:
                _record(hits, now)
        judged += len(hits)
        if len(hits) < BATCH:
            break
    if judged:  # what grows is cut where it grows
        queries.forget_hits(before=now - KEPT, limit=2 * BATCH)
    return judged


def _record(hits: list[Hit], now: datetime) -> None:
    """Six statements whatever the number; the mails are locked in their order, so that two workers add up."""
    ids = sorted({hit.sending_id for hit in hits})
    locked = Sending.objects.select_for_update(no_key=True, of=("self",)).select_related("template").order_by("pk")
    sendings = {
        row.pk: row
        for row in locked.filter(pk__in=ids).only("pk", "contact_id", "subject", "is_test", "template__slug")
    }
    responses = {row.pk: row for row in MailResponse.objects.filter(pk__in=ids)}
    clicks = {(row.sending_id, row.place): row for row in MailClick.objects.filter(sending__in=ids)}
    activities: list[NewActivity] = []
    for hit in hits:
        response = responses.setdefault(hit.sending_id, MailResponse(sending_id=hit.sending_id))
        is_news = _count_open(response, hit) if hit.place == PIXEL else _count_click(response, clicks, hit)
        sending = sendings[hit.sending_id]
        if is_news and sending.contact_id is not None and not sending.is_test:
            activities.append(_activity(sending, sending.contact_id, hit))
    _store(responses.values(), clicks.values())
    if activities:
        record_activities(activities, now=now)


def _count_open(response: MailResponse, hit: Hit) -> bool:
    if hit.verdict != "person":
        response.machine_opens += 1
        return False
    if response.opened_last_at is not None and hit.at < response.opened_last_at + AGAIN:
        return False
    response.opens += 1
    response.opened_first_at = response.opened_first_at or hit.at
    response.opened_last_at = hit.at
    return True


def _count_click(response: MailResponse, clicks: dict[tuple[int, int], MailClick], hit: Hit) -> bool:
    key = (hit.sending_id, hit.place)
    is_person = hit.verdict == "person"
    if not hit.url:  # the link that nobody sees leads nowhere
        response.machine_clicks += 1
        return False
    click = clicks.setdefault(key, MailClick(sending_id=hit.sending_id, place=hit.place, url=hit.url))
    if not is_person:
        click.machine_clicks += 1
        response.machine_clicks += 1
        return False
    if click.last_at is not None and hit.at < click.last_at + AGAIN:
        return False
    click.clicks += 1
    click.first_at, click.last_at = click.first_at or hit.at, hit.at
    response.clicks += 1
    response.clicked_first_at = response.clicked_first_at or hit.at
    response.clicked_last_at = hit.at
    return True


def _activity(sending: Sending, contact_id: int, hit: Hit) -> NewActivity:
    return NewActivity(
        contact_id,
        "email_open" if hit.place == PIXEL else "email_click",
        hit.at,
        url=hit.url,
        subject=sending.subject,
        source=f"template:{sending.template.slug}",
    )


def _store(responses: Iterable[MailResponse], clicks: Iterable[MailClick]) -> None:
    counted = ["opens", "opened_first_at", "opened_last_at", "clicks", "clicked_first_at", "clicked_last_at"]
    MailResponse.objects.bulk_create(
        responses,
        update_conflicts=True,
        unique_fields=["sending"],
        update_fields=[*counted, "machine_opens", "machine_clicks"],
    )
    MailClick.objects.bulk_create(
        clicks,
        update_conflicts=True,
        unique_fields=["sending", "place"],
        update_fields=["clicks", "first_at", "last_at", "machine_clicks"],
    )


def note_unsubscribed(sending: Sending, *, now: datetime) -> None:
    """Somebody left by this mail; the first time counts. One statement."""
    row, is_new = MailResponse.objects.get_or_create(sending=sending, defaults={"unsubscribed_at": now})
    if not is_new and row.unsubscribed_at is None:
        MailResponse.objects.filter(pk=row.pk, unsubscribed_at=None).update(unsubscribed_at=now)
