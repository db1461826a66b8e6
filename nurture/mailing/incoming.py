"""Mail that comes back to us: somebody leaves by mail, a server tells of a bounce (RFC 3464), a provider of a complaint (RFC 5965).

Everything is believed only of a sending whose token the mail names: it stands in our Message-ID and in the address to leave by, and nobody
but its reader and the servers on the way have seen it. What cannot be read changes nothing.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import Message
from enum import Enum

from django.db import transaction

from leads import queries_consent
from leads.actions import NewActivity, record_activities
from leads.consent import withdraw_consent
from leads.models import Suppression
from leads.suppression import suppress
from nurture import actions
from nurture.mailing import sending
from nurture.models import Sending

LARGEST = 2_000_000  # bytes that are looked at; the reports of servers are far smaller
_UUID = r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_LEAVE = re.compile(rf"\bunsubscribe\s+{_UUID}", re.IGNORECASE)
_OURS = re.compile(rf"^message-id:\s*<{_UUID}@", re.IGNORECASE | re.MULTILINE)
_STATUS = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})")
_LEFT = (Sending.State.SENT, Sending.State.SENDING, Sending.State.UNCERTAIN)


class Outcome(Enum):
    """What came of a mail that came in."""

    UNSUBSCRIBED = "unsubscribed"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    WAITS = "waits"  # a server tells that it goes on trying
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Report:
    """The part for machines of a report."""

    status: str
    words: str


def take(data: bytes, *, now: datetime) -> Outcome:
    """Read one mail and do what it says; twice is as good as once."""
    message = message_from_bytes(data[:LARGEST], policy=policy.compat32)
    kind = str(message.get_param("report-type", "") or "").lower()
    if message.get_content_type() == "multipart/report" and kind == "delivery-status":
        return _take_report(message, now)
    if message.get_content_type() == "multipart/report" and kind == "feedback-report":
        return _take_complaint(message, now)
    return _take_wish(message, now)


def _take_wish(message: Message, now: datetime) -> Outcome:
    found = _LEAVE.search(" ".join(str(message.get("Subject", "")).split()))
    if found and actions.unsubscribe(uuid.UUID(found[1]), source="mailbox", now=now, proof={}):
        return Outcome.UNSUBSCRIBED
    return Outcome.UNKNOWN


# --- Bounces ---------------------------------------------------------------------------------------------------------------


def _take_report(message: Message, now: datetime) -> Outcome:
    """The first recipient that failed; each mail of ours has one."""
    reports = list(_reports(message))
    failed = [report for report in reports if report.status.startswith("5.")]
    row = _sending_of(message)
    if row is None or not reports:
        return Outcome.UNKNOWN
    if not failed:
        return Outcome.WAITS
    return Outcome.BOUNCED if _bounce(row, failed[0], now) else Outcome.UNKNOWN


def _reports(message: Message) -> Iterator[_Report]:
    """A delivery-status part holds one block for the mail, then one for each recipient."""
    for part in message.walk():
        blocks = part.get_payload() if part.get_content_type() == "message/delivery-status" else None
        for block in blocks if isinstance(blocks, list) else []:
            if not isinstance(block, Message):
                continue
            action, status = str(block.get("Action", "")).strip().lower(), _STATUS.match(str(block.get("Status", "")))
            if action in ("failed", "delayed") and status:
                words = " ".join(str(block.get("Diagnostic-Code", "")).split())[:250]
                yield _Report(status[1] if action == "failed" else "4.0.0", words or status[1])


@transaction.atomic
def _bounce(row: Sending, report: _Report, now: datetime) -> bool:
    queries_consent.lock_addresses_in_clear([row.address])  # first of all, see lock_addresses
    row = Sending.objects.select_for_update(no_key=True, of=("self",)).select_related("template").get(pk=row.pk)
    if row.state not in _LEFT:
        return row.state == Sending.State.BOUNCED
    words = report.words if report.words.startswith(report.status) else f"{report.status} {report.words}"
    about_mailbox = report.status.startswith("5.1.") or report.status == "5.2.1"
    sending.bounce(row, words[:300], now, is_mailbox=about_mailbox)
    return True


# --- Complaints -------------------------------------------------------------------------------------------------------------


def _take_complaint(message: Message, now: datetime) -> Outcome:
    row = _sending_of(message)
    if row is None or not complain(row, source="feedback-report", now=now):
        return Outcome.UNKNOWN
    return Outcome.COMPLAINED


@transaction.atomic
def complain(row: Sending, *, source: str, now: datetime) -> bool:
    """The reader told their provider that they did not want it: no mail to them again, and a no to everything in the ledger.

    Whether somebody may complain of it: nobody does of a test. Twice is as good as once.
    """
    if row.is_test or not row.address:
        return False
    is_new = suppress(row.address, reason=Suppression.Reason.COMPLAINED, source=source, now=now)
    if row.contact is not None and row.contact.email:  # it is about the person, who may have another address by now
        suppress(row.contact.email, reason=Suppression.Reason.COMPLAINED, source=source, now=now)
    withdraw_consent(row.address, source="complaint", now=now, contact=row.contact, proof={"sending": row.pk})
    if is_new and row.contact_id is not None:
        activity = NewActivity(
            row.contact_id,
            "email_complaint",
            now,
            subject=row.subject,
            source=f"template:{row.template.slug}",
        )
        record_activities([activity], now=now)
    return True


def _sending_of(message: Message) -> Sending | None:
    """The mail that a report gives back, whole or its head, by the Message-ID that we gave it. One statement."""
    for part in message.walk():
        if part.get_content_type() not in ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers"):
            continue
        payload = part.get_payload()
        inner = payload[0] if isinstance(payload, list) and payload else None
        head = f"Message-ID: {inner.get('Message-ID', '')}" if isinstance(inner, Message) else _text(part)
        if found := _OURS.search(head):
            return Sending.objects.select_related("template").filter(token=uuid.UUID(found[1])).first()
    return None


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
