"""Calls webhooks: an outbox of calls with the bytes that will be sent, claimed, sent, and tried again with one and the same key.

A call is *queued*, then in one committed statement *being sent*, then sent, queued again or given up. A worker that dies in between
leaves a lease; past it the call is sent again, with the same `Idempotency-Key`, so that a receiver can tell it is the same one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils.translation import gettext as _

from leads.actions import audit
from leads.models import Contact
from leads.workspace import workspace
from nurture import outside
from nurture import queries_webhooks as queries
from nurture.models import WebhookCall
from nurture.templating.placeholders import context_for

if TYPE_CHECKING:
    from nurture.kinds.base import Group

log = logging.getLogger(__name__)

SLICE = 40  # calls claimed at once
TOGETHER = 8  # receivers spoken to at once
LEASE = timedelta(minutes=5)
RUN_SECONDS = 8.0  # no call is begun after that: the engine's other tasks want the worker too
BACK_OFF = (1, 5, 15, 60, 240, 720, 1440)  # minutes after each try; past the last the call is given up
REST = timedelta(minutes=1)  # of a receiver that could not be reached
LONGEST_WISH = 24 * 3600  # seconds of a Retry-After that are believed
AGAIN = frozenset({408, 425, 429})
SIGNATURE = "Ripen-Signature"

Post = Callable[[str, bytes, dict[str, str]], outside.Answer]


# --- What is sent -------------------------------------------------------------------------------------------------------------


def queue(group: Group, *, url: str) -> int:
    """A call for each walker, with its body; the unique key makes a second one for the same visit impossible. Two statements."""
    contacts = Contact.objects.filter(pk__in=group.contact_ids).select_related("company", "owner").in_bulk()
    home, origin = workspace(), outside.origin_of(url)
    rows = []
    for walker in group.walkers:
        token = uuid.uuid4()
        told = {
            "id": str(token),
            "program": group.program.slug,
            "step": group.step.id,
            "visit": walker.visit,
            "occurred_at": group.now,
            **_about(contacts[walker.contact_id], home),
        }
        rows.append(
            WebhookCall(
                key=f"{walker.enrolment_id}:{group.step.id}:{walker.visit}",
                token=token,
                contact_id=walker.contact_id,
                enrolment_id=walker.enrolment_id,
                step=group.step.id,
                url=url,
                origin=origin,
                body=json.dumps(told, cls=DjangoJSONEncoder, ensure_ascii=False),
                queued_at=group.now,
                due_at=group.now,
            )
        )
    return len(WebhookCall.objects.bulk_create(rows, ignore_conflicts=True))


def _about(contact: Contact, home: Any) -> dict[str, Any]:
    """Contact, company and owner as placeholders name them; no company or owner is null."""
    found = context_for(contact, workspace=home, unsubscribe_url="")
    return {
        "contact": found["contact"],
        "company": found["company"] if contact.company else None,
        "owner": found["owner"] if contact.owner else None,
    }


def secret_of(origin: str) -> str:
    """What calls to one receiver are signed with: made of our own key, so that no receiver can sign for another and nothing is stored."""
    digest = hmac.new(settings.WEBHOOK_KEY.encode(), f"webhook:{origin}".encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(digest).decode()


def signature(secret: str, body: bytes, *, at: datetime) -> str:
    """`t=SECONDS,v1=HEX`: HMAC-SHA256 of the moment, a dot and the body."""
    moment = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def headers_of(call: WebhookCall, *, now: datetime) -> dict[str, str]:
    return {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "Ripen-Webhooks/1",
        "Idempotency-Key": str(call.token),
        SIGNATURE: signature(secret_of(call.origin), call.body.encode(), at=now),
    }


# --- Sending --------------------------------------------------------------------------------------------------------------------


@dataclass
class Report:
    sent: int = 0
    again: int = 0
    failed: int = 0
    put_back: int = 0


def send_due(now: datetime, *, seconds: float = RUN_SECONDS, post: Post = outside.post) -> Report:
    """Send what is due until nothing is or the time is up. One statement when nothing is due.

    Safe in many processes at once: they pass over each other's rows. Receivers are spoken to side by side, one call after the other
    each; one that cannot be reached rests with all its calls and holds nobody else up.
    """
    report, until = Report(), time.monotonic() + seconds
    while time.monotonic() < until:
        calls = _claim(now)
        if not calls:
            break
        by_origin: defaultdict[str, list[WebhookCall]] = defaultdict(list)
        for call in calls:
            by_origin[call.origin].append(call)
        with ThreadPoolExecutor(max_workers=TOGETHER, thread_name_prefix="webhook") as pool:
            jobs = [pool.submit(_speak, some, now, until, post) for some in by_origin.values()]
            for job in jobs:
                _record_all(job.result(), now, report)
    return report


def _claim(now: datetime) -> list[WebhookCall]:
    """Calls that this worker owns, committed before anybody hears of them."""
    ids = queries.claim(now=now, lease_until=now + LEASE, limit=SLICE)
    return list(WebhookCall.objects.filter(pk__in=ids).order_by("due_at", "pk"))


def _speak(
    calls: Sequence[WebhookCall], now: datetime, until: float, post: Post
) -> list[tuple[WebhookCall, outside.Answer | str | None]]:
    """In a thread, without the database: the answers of one receiver, a text why it was refused, None where it was not asked any more."""
    found: list[tuple[WebhookCall, outside.Answer | str | None]] = []
    is_over = False
    for call in calls:
        if is_over or time.monotonic() >= until:
            found.append((call, None))
            continue
        try:
            answer = post(call.url, call.body.encode(), headers_of(call, now=now))
        except outside.Refused as error:
            found.append((call, str(error)))
            continue
        is_over = answer.is_unreachable
        found.append((call, answer))
    return found


def _record_all(
    found: Sequence[tuple[WebhookCall, outside.Answer | str | None]], now: datetime, report: Report
) -> None:
    """Write down what came of the calls of one receiver; when it could not be reached, it rests."""
    for call, answer in found:
        _record(call, answer, now, report)
    if any(isinstance(answer, outside.Answer) and answer.is_unreachable for _call, answer in found):
        queries.let_rest(found[0][0].origin, until=now + REST)


def _record(call: WebhookCall, answer: outside.Answer | str | None, now: datetime, report: Report) -> None:
    """Write down what came of one call; only of a call that is still this worker's."""
    mine = WebhookCall.objects.filter(pk=call.pk, state=WebhookCall.State.SENDING, lease_until=call.lease_until)
    if answer is None:
        report.put_back += mine.update(
            state=WebhookCall.State.QUEUED, lease_until=None, tries=call.tries - 1, due_at=call.due_at
        )
        return
    if isinstance(answer, str):
        report.failed += mine.update(
            state=WebhookCall.State.FAILED,
            lease_until=None,
            status=None,
            problem=answer[:500],
            answer="",
            answered_at=now,
        )
        return
    told: dict[str, Any] = {"status": answer.status, "answered_at": now, "lease_until": None}
    if answer.status is not None and 200 <= answer.status < 300:
        report.sent += mine.update(state=WebhookCall.State.SENT, problem="", answer=answer.words, **told)
        return
    told |= {"problem": _problem(answer), "answer": answer.words if answer.status else ""}
    is_hopeless = answer.status is not None and answer.status < 500 and answer.status not in AGAIN
    if is_hopeless or call.tries > len(BACK_OFF):
        report.failed += mine.update(state=WebhookCall.State.FAILED, **told)
        return
    wait = timedelta(minutes=BACK_OFF[call.tries - 1])
    if answer.retry_after is not None:
        wait = max(wait, timedelta(seconds=min(answer.retry_after, LONGEST_WISH)))
    report.again += mine.update(state=WebhookCall.State.QUEUED, due_at=now + wait, **told)


def _problem(answer: outside.Answer) -> str:
    if answer.status is None or 300 <= answer.status < 400:
        return answer.words[:500]
    return _("The receiver answered %(status)d.") % {"status": answer.status}


# --- By hand ----------------------------------------------------------------------------------------------------------------------


def retry(*, actor: User | None, now: datetime, pk: int | None = None, program: str = "") -> int:
    """Put calls that were given up back in the queue, one or all (of a program), with their keys; how many."""
    with transaction.atomic():
        rows = WebhookCall.objects.filter(state=WebhookCall.State.FAILED)
        if pk is not None:
            rows = rows.filter(pk=pk)
        if program:
            rows = rows.filter(enrolment__program__slug=program)
        count = WebhookCall.objects.filter(pk__in=list(rows.values_list("pk", flat=True))).update(
            state=WebhookCall.State.QUEUED, due_at=now, tries=0, lease_until=None
        )
        if count:
            audit(actor, "retried", "webhooks", {"calls": count, "program": program}, now)
    return count
