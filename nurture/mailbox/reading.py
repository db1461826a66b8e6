"""Reads what is in the mailbox and hands each mail to nurture.mailing.incoming: once, whatever breaks, an odd one beside the others."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes

from django.core.cache import cache
from django.db import OperationalError, transaction
from django.db.models import F

from nurture.mailbox.box import Address, Box, Trouble, configured, opened
from nurture.mailing import incoming
from nurture.models import MailboxLetter, MailboxState

log = logging.getLogger(__name__)

AT_ONCE = 500  # mails of one run
SECONDS = 45.0
REST = (1, 5, 15, 60)  # minutes after each failure in a row: a server locks out who tries a wrong password each minute
KEPT = timedelta(days=90)
DUE = "nurture:mailbox-due"
State = MailboxLetter.State


@dataclass
class Report:
    """What one run did."""

    taken: int = 0
    again: int = 0  # read before: only moved now
    parked: int = 0
    waiting: int = 0
    problem: str = ""


def read(now: datetime, *, address: Address | None = None) -> Report:
    """Read the mailbox of INBOUND_URL, unless it rests after a failure. Nothing is asked where none is named."""
    address = address or configured()
    report = Report()
    if address is None or cache.get(DUE):
        return report
    try:
        with opened(address) as box:
            _read_all(box, address, now, report)
    except Trouble as error:
        report.problem = str(error)
        log.warning("mailbox cannot be read", extra={"why": report.problem})
    _note(report, now)
    return report


def _read_all(box: Box, address: Address, now: datetime, report: Report) -> None:
    began, uids = time.monotonic(), box.waiting()
    for number, uid in enumerate(uids):
        report.waiting = len(uids) - number
        if number >= AT_ONCE or time.monotonic() - began > SECONDS:
            return
        _read_one(box, address, uid, now, report)
    report.waiting = 0


def _read_one(box: Box, address: Address, uid: int, now: datetime, report: Report) -> None:
    """What it says is stored with its key; only then is it moved. A crash between the two makes it be read again, which does nothing."""
    size = box.size_of(uid)
    if size is None:  # somebody took it away meanwhile
        return
    data = box.read(uid, most=incoming.LARGEST)
    letter = take(data, size_bytes=size, now=now)
    if letter is None:
        report.again += 1
        letter = MailboxLetter.objects.get(key=_key(data))
    elif letter.state == State.TAKEN:
        report.taken += 1
    else:
        report.parked += 1
    box.put(uid, address.done if letter.state == State.TAKEN else address.parked)


def take(data: bytes, *, size_bytes: int, now: datetime) -> MailboxLetter | None:
    """Do what one mail says, with its row, in one transaction; None for a mail that was taken before. What throws is parked, with why."""
    letter = MailboxLetter(key=_key(data), message_id=_message_id(data), size_bytes=size_bytes, taken_at=now)
    try:
        with transaction.atomic():
            if not _is_first(letter, State.TAKEN):
                return None
            letter.outcome = incoming.take(data, now=now).value
            MailboxLetter.objects.filter(key=letter.key).update(outcome=letter.outcome)
    except OperationalError:  # the database is gone, or two waited for each other: later
        raise
    except Exception as error:
        log.exception("mail of the mailbox failed", extra={"message_id": letter.message_id})
        letter.problem = f"{type(error).__name__}: {error}"[:300]
        if not _is_first(letter, State.PARKED):
            return None
    return letter


def _is_first(letter: MailboxLetter, state: str) -> bool:
    """Store the row, unless there is one: two workers with the same mail wait for each other here."""
    letter.state = state
    _row, is_new = MailboxLetter.objects.get_or_create(
        key=letter.key,
        defaults={
            "message_id": letter.message_id,
            "state": state,
            "problem": letter.problem,
            "size_bytes": letter.size_bytes,
            "taken_at": letter.taken_at,
        },
    )
    return is_new


def _key(data: bytes) -> str:
    """All of the mail, not its Message-ID alone: servers that give all their reports the same one exist, and whoever forges one knows it."""
    return hashlib.sha256(data).hexdigest()


def _message_id(data: bytes) -> str:
    try:
        words = str(message_from_bytes(data[:100_000]).get("Message-ID", ""))
    except Exception:  # a broken head is a broken mail: incoming says so
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in words).split())[:300]


def _note(report: Report, now: datetime) -> None:
    """For the page; after a failure the mailbox rests, longer each time. Old rows go."""
    MailboxState.objects.get_or_create(pk=1)
    row = MailboxState.objects.filter(pk=1)
    if report.problem:
        row.update(tried_at=now, problem=report.problem, failures=F("failures") + 1, waiting=report.waiting)
        failures = row.get().failures
        cache.set(DUE, True, 60 * REST[min(failures, len(REST)) - 1])
    else:
        row.update(tried_at=now, read_at=now, problem="", failures=0, waiting=report.waiting)
    if report.taken:
        MailboxLetter.objects.filter(taken_at__lt=now - KEPT, state=State.TAKEN).delete()
