"""Mail to our own people about leads and what programs tell them: others ask by rows (Notice), this sends them, one mail for what is due together, each once.

A notice is *waiting*, then in one committed statement *being sent*, then sent or failed. A worker that dies in between leaves it
“being sent”: it may have left, so it is never sent again; it stands in the bell anyway.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.workspace import workspace, zone
from nurture.mailing.carriers import configured, line_to
from nurture.mailing.message import BadAddress, Envelope, build
from nurture.mailing.smtp import Connection, Server, Verdict
from nurture.providers.accounts import Account
from nurture.providers.line import ApiLine
from nurture.templating.rendering import Mail, one_line
from scoring.models import HandOff, Notice

AT_ONCE = 500
REST = timedelta(minutes=5)  # before the next try
AGAIN = frozenset({Verdict.TEMPORARY, Verdict.SERVER_DOWN, Verdict.NOT_TRIED})
NAMESPACE = uuid.UUID("0e0a2f3c-6f0b-4c55-9a51-5b8f6a3f2f11")  # the same notices make the same Message-ID


def send_due(now: datetime, *, server: Server | Account | None = None) -> int:
    """Mails sent. One statement when nothing is due. Without a server the notices are kept, in the bell."""
    if not Notice.objects.filter(mail=Notice.Mail.WAITING, mail_due_at__lte=now).exists():
        return 0
    server = server or configured()
    claimed = _claim(now, Notice.Mail.SENDING if server else Notice.Mail.KEPT)
    if server is None or not claimed:
        return 0
    connection, sent = line_to(server), 0
    try:
        for rows in _by_user(claimed).values():
            sent += _send(rows, connection, now)
    finally:
        connection.close()
    return sent


def _claim(now: datetime, to: str) -> list[Notice]:
    """Due notices, owned by this worker: committed before a server hears of them."""
    with transaction.atomic():
        rows = list(
            Notice.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            .filter(mail=Notice.Mail.WAITING, mail_due_at__lte=now)
            .select_related("user", "hand_off", "contact__company")
            .order_by("mail_due_at", "id")[:AT_ONCE]
        )
        Notice.objects.filter(pk__in=[row.pk for row in rows]).update(mail=to)
    return rows


def _by_user(rows: Sequence[Notice]) -> dict[int, list[Notice]]:
    found: dict[int, list[Notice]] = defaultdict(list)
    for row in rows:
        found[row.user_id].append(row)
    return found


def _send(rows: Sequence[Notice], connection: Connection | ApiLine, now: datetime) -> int:
    """One mail to one user about all of these. Those whose lead was read of or answered meanwhile need none."""
    news = [row for row in rows if row.hand_off is None or row.hand_off.state == "open"]
    mine = Notice.objects.filter(pk__in=[row.pk for row in rows], mail=Notice.Mail.SENDING)
    if not news:
        mine.update(mail=Notice.Mail.NONE)
        return 0
    home, user = workspace(), rows[0].user
    token = uuid.uuid5(NAMESPACE, ",".join(str(row.pk) for row in rows))
    envelope = Envelope(
        token=token,
        sender_name=home.sender_name or home.name,
        sender=home.sender_email or "ripen@localhost",
        recipient_name=user.get_full_name(),
        recipient=user.email,
    )
    try:
        answer = connection.deliver(build(write(user, news), envelope, at=now))
    except BadAddress as error:
        mine.update(mail=Notice.Mail.FAILED, problem=str(error)[:300])
        return 0
    if answer.verdict in AGAIN:
        mine.update(mail=Notice.Mail.WAITING, mail_due_at=now + REST, problem=answer.words[:300])
        return 0
    is_sent = answer.verdict is Verdict.SENT
    mine.update(
        mail=Notice.Mail.SENT if is_sent else Notice.Mail.FAILED,
        mailed_at=now if is_sent else None,
        problem="" if is_sent else answer.words[:300],
    )
    return int(is_sent)


def write(user: User, rows: Sequence[Notice]) -> Mail:
    """Subject, HTML and text: each lead with grade, points, why now, until when, and its address."""
    parts = [_about_lead(row, row.hand_off) if row.hand_off else _about_contact(row) for row in rows]
    wishes = f"{settings.PUBLIC_URL}{reverse('scoring:notice-list')}"
    foot = _("How you hear of leads: %(link)s") % {"link": wishes}
    items = "".join(f"<li><p>{part.html}</p></li>" for part in parts)
    return Mail(
        _subject(rows), f"<ul>{items}</ul><p>{escape(foot)}</p>", "\n".join([*(part.text for part in parts), foot])
    )


def _subject(rows: Sequence[Notice]) -> str:
    leads = [row.hand_off for row in rows if row.hand_off]
    if len(rows) > 1:
        if len(leads) == len(rows):
            return ngettext("%(n)d lead waits for you", "%(n)d leads wait for you", len(rows)) % {"n": len(rows)}
        return ngettext("%(n)d notice for you", "%(n)d notices for you", len(rows)) % {"n": len(rows)}
    if not leads:
        return one_line(rows[0].words)
    return f"{rows[0].get_kind_display()}: {leads[0].card.get('who', {}).get('name', '')} ({leads[0].grade})"


@dataclass(frozen=True, slots=True)
class _Part:
    text: str
    html: str


def _about_contact(row: Notice) -> _Part:
    assert row.contact is not None
    link = f"{settings.PUBLIC_URL}{reverse('leads:contact-detail', args=[row.contact_id])}"
    company = row.contact.company.name if row.contact.company else ""
    head = ", ".join(part for part in (str(row.contact), company) if part)
    shown = "<br>".join(escape(line) for line in row.words.splitlines())
    html = f'{shown}<br><a href="{escape(link)}"><b>{escape(head)}</b></a>'
    return _Part(f"{row.words}\n{head}\n{link}\n", html)


def _about_lead(row: Notice, lead: HandOff) -> _Part:
    card = lead.card
    name = f"{lead.grade} {card.get('who', {}).get('name', '')}".strip()
    company = (card.get("who", {}).get("company") or {}).get("name", "")
    why = card.get("why_now", {}).get("words", "")
    until = _("answer until %(when)s") % {"when": date_format(lead.due_at.astimezone(zone()), "SHORT_DATETIME_FORMAT")}
    link = f"{settings.PUBLIC_URL}{reverse('scoring:hand-off-detail', args=[lead.pk])}"
    head, kind = ", ".join(part for part in (name, company) if part), row.get_kind_display()
    html = (
        f'{escape(str(kind))}: <a href="{escape(link)}"><b>{escape(head)}</b></a><br>{escape(why)}<br>{escape(until)}'
    )
    return _Part(f"{kind}: {head}\n{why}\n{until}\n{link}\n", html)
