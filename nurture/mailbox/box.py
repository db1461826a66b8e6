"""One connection to the mailbox of INBOUND_URL. What goes wrong raises Trouble, in words without secrets."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

SECONDS = 30.0  # for each answer of the server
MOST_SECONDS = 150.0  # for the whole visit, however slowly answers drip
EXAMPLE = "imaps://user:password@imap.example.org/INBOX"
_SIZE = re.compile(rb"RFC822\.SIZE (\d{1,12})")
_FOLDER = re.compile(r"[^\x00-\x1f\x7f\"\\*%&]{1,200}")


class Trouble(Exception):
    """The mailbox cannot be read now; the message is for people."""


@dataclass(frozen=True)
class Address:
    """Where the mailbox is: imaps:// for TLS from the first byte, imap://…?tls=starttls, or tls=none inside one's own network."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    folder: str = "INBOX"
    done: str = "Ripen-done"
    parked: str = "Ripen-parked"
    tls: str = "implicit"

    @classmethod
    def from_url(cls, url: str) -> Address:
        """Raises ImproperlyConfigured in words, which hold no secret."""
        parts = urlsplit(url)
        if parts.scheme not in ("imap", "imaps") or not parts.hostname or not parts.username:
            raise ImproperlyConfigured(f"INBOUND_URL: expected {EXAMPLE} or imap://…?tls=starttls.")
        options = {key: values[0] for key, values in parse_qs(parts.query).items()}
        tls = "implicit" if parts.scheme == "imaps" else options.pop("tls", "starttls")
        if tls not in ("implicit", "starttls", "none"):
            raise ImproperlyConfigured(f"INBOUND_URL: tls={tls} is unknown; choose none or starttls.")
        folders = {"folder": unquote(parts.path.strip("/")) or "INBOX", "done": "Ripen-done", "parked": "Ripen-parked"}
        folders |= {key: options.pop(key) for key in ("done", "parked") if key in options}
        if options:
            raise ImproperlyConfigured(f"INBOUND_URL knows no “{sorted(options)[0]}”; known are tls, done and parked.")
        if bad := [name for name in folders.values() if not name.isascii() or not _FOLDER.fullmatch(name)]:
            raise ImproperlyConfigured(f"INBOUND_URL: “{bad[0]}” is no name of a folder in plain letters.")
        if len(set(folders.values())) < len(folders):
            raise ImproperlyConfigured("INBOUND_URL: the three folders must be different ones.")
        port = parts.port or (993 if tls == "implicit" else 143)
        return cls(parts.hostname, port, unquote(parts.username), unquote(parts.password or ""), tls=tls, **folders)


def configured() -> Address | None:
    """The mailbox of INBOUND_URL, where one is named."""
    return Address.from_url(settings.INBOUND_URL) if settings.INBOUND_URL else None


class Box:
    """The opened folder. Mails are named by their UID, which is good for this connection only: nothing of it is remembered."""

    def __init__(self, imap: imaplib.IMAP4, address: Address) -> None:
        self._imap, self._address = imap, address
        self._can_move = "MOVE" in imap.capabilities
        self._can_expunge_one = "UIDPLUS" in imap.capabilities

    def waiting(self) -> list[int]:
        """UIDs of all mails that are in the folder, the oldest first."""
        answer = self._asked("SEARCH", "UNDELETED")
        words = b" ".join(part for part in answer if isinstance(part, bytes)).split()
        return sorted(int(word) for word in words if word.isdigit())

    def size_of(self, uid: int) -> int | None:
        """None where it is gone."""
        for part in self._asked("FETCH", str(uid), "(RFC822.SIZE)"):
            if found := _SIZE.search(part if isinstance(part, bytes) else part[0] if part else b""):
                return int(found[1])
        return None

    def read(self, uid: int, *, most: int) -> bytes:
        """Its first bytes, without marking it as read."""
        for part in self._asked("FETCH", str(uid), f"(BODY.PEEK[]<0.{most}>)"):
            if isinstance(part, tuple):
                return bytes(part[1])
        return b""

    def put(self, uid: int, folder: str) -> None:
        """Move it; the copy comes first, so that a connection that breaks between leaves two mails, never none."""
        if self._can_move:
            self._asked("MOVE", str(uid), _quoted(folder))
            return
        self._asked("COPY", str(uid), _quoted(folder))
        self._asked("STORE", str(uid), "+FLAGS.SILENT", r"(\Deleted)")
        if self._can_expunge_one:
            self._asked("EXPUNGE", str(uid))

    def make_folder(self, folder: str) -> None:
        """Whether it was there before does not matter."""
        with _in_words():
            self._imap.create(_quoted(folder))

    def _asked(self, *command: str) -> Sequence[Any]:
        with _in_words():
            kind, answer = self._imap.uid(*command)
            if kind != "OK":
                raise Trouble(_said(answer))
            return answer or ()


class _Bounded:
    """A line that is cut when its time is up, wherever it is; time-outs of a socket begin anew with each byte."""

    sock: socket.socket
    is_late = False

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        super().open(host, port, timeout)  # type: ignore[misc]
        self.watchdog = threading.Timer(MOST_SECONDS, self._cut)
        self.watchdog.daemon = True
        self.watchdog.start()

    def _cut(self) -> None:
        self.is_late = True
        with suppress(OSError):
            socket.socket.shutdown(
                self.sock, socket.SHUT_RDWR
            )  # not the TLS object's own: it would talk to the other side

    def read(self, size: int) -> bytes:
        return self._in_time(super().read(size))  # type: ignore[misc]

    def readline(self) -> bytes:
        return self._in_time(super().readline())  # type: ignore[misc]

    def _in_time(self, data: bytes) -> bytes:
        if self.is_late:
            raise imaplib.IMAP4.abort(_("it takes longer than %(n)d seconds") % {"n": MOST_SECONDS})
        return data

    def shutdown(self) -> None:
        self.watchdog.cancel()
        super().shutdown()  # type: ignore[misc]


class _Line(_Bounded, imaplib.IMAP4):
    """In clear, or by STARTTLS."""


class _PrivateLine(_Bounded, imaplib.IMAP4_SSL):  # type: ignore[misc]  # typeshed calls its timeout otherwise
    """By TLS from the first byte."""


@contextmanager
def opened(address: Address) -> Iterator[Box]:
    """The folder, opened; closed again whatever happens. Raises Trouble."""
    imap = _connected(address)
    try:
        with _in_words():
            imap.login(address.user, address.password)
            kind, answer = imap.select(_quoted(address.folder))
            if kind != "OK":
                raise Trouble(_said(answer))
        box = Box(imap, address)
        for folder in (address.done, address.parked):
            box.make_folder(folder)
        yield box
    finally:
        try:
            imap.logout()
        except (imaplib.IMAP4.error, OSError):  # the line broke before
            with suppress(OSError):
                imap.shutdown()


def _connected(address: Address) -> imaplib.IMAP4:
    """No password goes over a line that somebody else can read, unless tls=none says so."""
    imap: imaplib.IMAP4
    with _in_words():
        if address.tls == "implicit":
            context = ssl.create_default_context()
            return _PrivateLine(address.host, address.port, ssl_context=context, timeout=SECONDS)
        imap = _Line(address.host, address.port, timeout=SECONDS)
        if address.tls == "none":
            return imap
        try:
            imap.starttls(ssl.create_default_context())
        except BaseException:
            with suppress(imaplib.IMAP4.error, OSError):
                imap.shutdown()
            raise
        return imap


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        words = _("the certificate of the mail server is not trusted: %(why)s") % {"why": error.verify_message}
        raise Trouble(words[:300]) from error
    except (TimeoutError, imaplib.IMAP4.error, OSError) as error:
        words = " ".join(str(error).replace("b'", "'").split()) or type(error).__name__
        raise Trouble(words[:300]) from error


def _said(answer: Any) -> str:
    first = answer[0] if answer else b""
    words = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return " ".join(words.split())[:300]


def _quoted(folder: str) -> str:
    return f'"{folder}"'
