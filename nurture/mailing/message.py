"""The bytes of a mail: headers that nothing can be injected into, text and HTML beside each other, the same bytes for the same mail."""

from __future__ import annotations

import binascii
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime
from functools import lru_cache

from django.utils.translation import gettext as _

from nurture.templating.rendering import Mail, one_line

_LABEL = re.compile(r"[^a-z0-9-]+")
_NO_LOCAL_PART = re.compile(r'[<>()\[\],;:@\\"]')


class BadAddress(Exception):
    """Nothing can be sent to or from this address; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom, and where to go to hear no more."""

    token: uuid.UUID
    sender_name: str
    sender: str
    recipient_name: str
    recipient: str
    reply_to: str = ""
    unsubscribe_url: str = ""  # empty: not marketing
    list_name: str = ""  # what the reader may leave, as `List-Id` and for their provider's own reports (Feedback-ID)
    campaign: str = ""
    inbound: str = (
        ""  # where bounces go and where mail leads that wants to leave; empty: to the sender, and by link only
    )
    language: str = ""  # that it is written in, where anybody said
    is_automatic: bool = False  # nobody wrote it: no out-of-office answer, please (RFC 3834)


@dataclass(frozen=True, slots=True)
class Message:
    """`headers` as stored and shown; `data` is what goes over the wire, without dot-stuffing."""

    message_id: str
    sender: str
    recipient: str
    headers: list[tuple[str, str]]
    data: bytes
    is_tracked: bool = False  # a provider that notes opens and clicks may do so for this reader


def message_id(token: uuid.UUID, sender: str) -> str:
    """Made of the sending's token, so that a repeated mail would be the same one to every server and reader."""
    return f"<{token}@{ascii_address(sender).rpartition('@')[2]}>"


@lru_cache(maxsize=512)  # the sender's is asked three times a mail
def ascii_address(address: str) -> str:
    """The address for the wire: international domains in ASCII. Raises BadAddress for what plain SMTP cannot carry."""
    address = address.strip()
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or " " in address or not address.isprintable():
        raise BadAddress(_("“%(address)s” is no e-mail address.") % {"address": one_line(address)})
    if not local.isascii():
        raise BadAddress(
            _("The part before the @ of “%(address)s” has letters that plain SMTP cannot carry.")
            % {"address": one_line(address)}
        )
    if _NO_LOCAL_PART.search(local):
        raise BadAddress(_("“%(address)s” is no e-mail address.") % {"address": one_line(address)})
    try:
        return f"{local}@{domain.encode('idna').decode('ascii') if not domain.isascii() else domain}"
    except UnicodeError as error:
        raise BadAddress(_("The domain of “%(address)s” is none.") % {"address": one_line(address)}) from error


def build(mail: Mail, envelope: Envelope, *, at: datetime) -> Message:
    """Raises BadAddress."""
    sender, recipient = ascii_address(envelope.sender), ascii_address(envelope.recipient)
    identity = message_id(envelope.token, envelope.sender)
    readable = [
        ("From", _named(envelope.sender_name, sender)),
        ("To", _named(envelope.recipient_name, recipient)),
        ("Subject", one_line(mail.subject)),
        ("Date", format_datetime(at)),
        ("Message-ID", identity),
    ]
    if envelope.reply_to:
        readable.append(("Reply-To", ascii_address(envelope.reply_to)))
    if envelope.unsubscribe_url:
        readable.append(("List-Unsubscribe", ", ".join(_ways_out(envelope))))
        readable.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    if envelope.language:
        readable.append(("Content-Language", envelope.language))
    readable += _about(envelope, sender)
    boundary = f"=_{envelope.token.hex}"
    wire = [*readable, ("MIME-Version", "1.0"), ("Content-Type", f'multipart/alternative; boundary="{boundary}"')]
    head = "".join(f"{name}: {_encoded(name, value)}\r\n" for name, value in wire)
    parts = [_part("text/plain", mail.text, boundary), _part("text/html", mail.html, boundary)]
    return Message(
        identity,
        ascii_address(envelope.inbound) if envelope.inbound else sender,
        recipient,
        readable,
        head.encode("ascii") + b"\r\n" + b"".join(parts) + f"--{boundary}--\r\n".encode(),
    )


def _ways_out(envelope: Envelope) -> list[str]:
    """The link, which one-click uses, and a mail for programs that know no other way (nurture/mailing/incoming.py reads it)."""
    ways = [f"<{envelope.unsubscribe_url}>"]
    if envelope.inbound:
        ways.append(f"<mailto:{ascii_address(envelope.inbound)}?subject=unsubscribe%20{envelope.token}>")
    return ways


def _about(envelope: Envelope, sender: str) -> list[tuple[str, str]]:
    """What servers along the way want to know: which list, whose feedback, whether a machine wrote it."""
    domain = sender.rpartition("@")[2]
    found = []
    if envelope.list_name:
        label = _LABEL.sub("-", envelope.list_name.lower()).strip("-") or "mail"
        found.append(("List-Id", f"<{label}.{domain}>"))
        campaign = _LABEL.sub("-", envelope.campaign.lower()).strip("-") or label
        found.append(("Feedback-ID", f"{campaign}:{label}:ripen:{domain}"))
    if envelope.is_automatic:
        found.append(("Auto-Submitted", "auto-generated"))
        found.append(("X-Auto-Response-Suppress", "All"))
    return found


def _named(name: str, address: str) -> str:
    """`Ada Example <ada@x.test>`, quoted where the name needs it; encoding comes later."""
    words = one_line(name).replace("\\", "").replace('"', "'")
    if not words:
        return address
    if any(char in "()<>[]:;@,." for char in words):
        words = f'"{words}"'
    return f"{words} <{address}>"


@lru_cache(maxsize=512)  # sender, subject, list: the same for many
def _encoded(name: str, value: str) -> str:
    """Folded to short lines; what is not ASCII as encoded words."""
    if value.isascii():
        if name in ("From", "To") or len(name) + len(value) < 76 or name.startswith("List-") or name == "Message-ID":
            return value
        return Header(value, header_name=name, maxlinelen=76).encode(linesep="\r\n")
    if value.endswith(">") and " <" in value:
        words, _less, address = value.rpartition(" <")
        encoded = Header(words.strip('"'), "utf-8", maxlinelen=76).encode(linesep="\r\n")
        return f"{encoded} <{address}"
    return Header(value, "utf-8", header_name=name, maxlinelen=76).encode(linesep="\r\n")


def _part(kind: str, text: str, boundary: str) -> bytes:
    data = "\r\n".join(text.splitlines()).encode() + b"\r\n"
    if len(data) - text.count("\n") <= 1.2 * len(text):  # mostly ASCII: stays readable in the source
        encoding, body = "quoted-printable", binascii.b2a_qp(data, istext=True)
    else:
        encoding, body = (
            "base64",
            b"\r\n".join(
                binascii.b2a_base64(data[start : start + 57], newline=False) for start in range(0, len(data), 57)
            ),
        )
    head = f"--{boundary}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + body + b"\r\n"
