"""One connection to a mail server. Every delivery gives an answer; none raises."""

from __future__ import annotations

import io
import smtplib
import socket
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from nurture.mailing.message import Message

SECONDS = 30.0  # for each answer of the server
LONGEST_ANSWER = 100_000  # bytes, all lines of it
MOST_CONNECTIONS = 10
_BAD_MAILBOX = frozenset({550, 551, 553})


class Verdict(Enum):
    SENT = "sent"
    TEMPORARY = "temporary"  # try again later
    PERMANENT = "permanent"  # the server does not take this mail
    BAD_ADDRESS = "bad_address"  # there is no such mailbox
    UNCERTAIN = "uncertain"  # the mail was on its way when the server fell silent: it may have left
    SERVER_DOWN = "server_down"  # nothing was offered: no connection, no sign-in
    NOT_TRIED = "not_tried"  # the worker's time was up before
    PACED = "paced"  # the carrier gets no more for now (EMAIL_RATE)
    DOMAIN_RESTS = "domain_rests"  # the reader's server just asked to be left alone for a while


@dataclass(frozen=True, slots=True)
class Answer:
    verdict: Verdict
    words: str = ""
    is_slow_down: bool = False  # the reader's server wants less of us: 421, or 4.7.x
    is_refusal: bool = False  # the server is there, and takes nothing of us


@dataclass(frozen=True, slots=True)
class Server:
    """Where mail goes: smtp://user:password@host:587?tls=starttls&connections=2, or smtps:// for TLS from the first byte."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    tls: str = "none"  # none | starttls | implicit
    seconds: float = SECONDS
    connections: int = 2  # of one run at a time; a distant server answers many better than one

    @classmethod
    def from_url(cls, url: str) -> Server:
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ImproperlyConfigured(
                "EMAIL_URL: expected smtp://user:password@host:587?tls=starttls or smtps://host."
            )
        options = parse_qs(parts.query)
        asked = options.get("tls", ["none"])[0]
        if asked not in ("none", "starttls", "implicit"):
            raise ImproperlyConfigured(f"EMAIL_URL: tls={asked} is unknown; choose none, starttls or implicit.")
        lines = options.get("connections", ["2"])[0]
        if lines not in map(str, range(1, MOST_CONNECTIONS + 1)):
            raise ImproperlyConfigured(
                f"EMAIL_URL: connections={lines} is not possible; choose 1 to {MOST_CONNECTIONS}."
            )
        tls = "implicit" if parts.scheme == "smtps" else asked
        port = parts.port or {"none": 25, "starttls": 587, "implicit": 465}[tls]
        return cls(
            parts.hostname,
            port,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            tls,
            connections=int(lines),
        )

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def is_private(self) -> bool:
        return self.tls != "none"


class Connection:
    """Opened at the first mail, used for all that follow, opened again when the server closed it between two mails."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._smtp: smtplib.SMTP | None = None

    def deliver(self, message: Message) -> Answer:
        """What became of one mail. Only once the whole of it was offered may an error mean that it left."""
        was_open = self._smtp is not None
        answer = self._deliver(message)
        if was_open and answer.verdict is Verdict.SERVER_DOWN:  # closed while idle, or it had enough of us on this line
            answer = self._deliver(message)
        return answer

    def _deliver(self, message: Message) -> Answer:
        try:
            smtp = self._opened()
        except (OSError, smtplib.SMTPException) as error:
            return _down(error)
        most, size = _most_bytes(smtp), len(message.data)
        if size > most > 0:
            words = _("The mail has %(size)d bytes; the mail server takes at most %(most)d.")
            return Answer(Verdict.PERMANENT, words % {"size": size, "most": most})
        return self._announced(smtp, message) or self._offered(smtp, message)

    def _announced(self, smtp: smtplib.SMTP, message: Message) -> Answer | None:
        """Say from whom and to whom; nothing where the server now waits for the mail. Where it takes several commands at once (RFC 2920)
        they go in one packet: a server far away is waited for twice a mail instead of four times."""
        commands = _commands(smtp, message)
        is_at_once = smtp.has_extn("pipelining")
        for place, phase in enumerate(_PHASES):
            try:
                if not is_at_once:
                    smtp.send(commands[place])
                elif place == 0:
                    smtp.send("".join(commands))
                code, words = self._heard(smtp, phase)
            except (OSError, smtplib.SMTPException) as error:
                self._hang_up()
                return _down(error) if phase == "MAIL" else Answer(Verdict.TEMPORARY, in_words(error))
            if not _goes_on(code, phase):
                if is_at_once:
                    self._hear_out(smtp, _PHASES[place + 1 :])
                return self._refused(code, words, phase)
        return None

    def _hear_out(self, smtp: smtplib.SMTP, phases: Sequence[str]) -> None:
        """What the server says to the commands that followed a refused one. If it now waits for a mail it gets none: the line is cut
        before an end mark, so that not even an empty mail leaves."""
        try:
            for phase in phases:
                code, _words = self._heard(smtp, phase)
                if phase == "DATA" and (code < 400 or code > 599):
                    self._hang_up()
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _offered(self, smtp: smtplib.SMTP, message: Message) -> Answer:
        """Hand over the mail itself."""
        try:
            smtp.send(_stuffed(message.data))
            code, words = self._heard(smtp, "mail")
        except (OSError, smtplib.SMTPException) as error:
            self._hang_up()
            return Answer(Verdict.UNCERTAIN, in_words(error))
        if 200 <= code < 300:
            return Answer(Verdict.SENT)
        if 400 <= code < 600:
            return self._refused(code, words, "mail")
        self._hang_up()
        return Answer(Verdict.UNCERTAIN, _said(code, words))  # that is no answer

    def _heard(self, smtp: smtplib.SMTP, phase: str) -> tuple[int, bytes]:
        """The answer to MAIL, RCPT, DATA or the mail."""
        return smtp.getreply()

    def _refused(self, code: int, words: bytes, phase: str) -> Answer:
        said, status = _said(code, words), words.decode("utf-8", "replace").strip().split(" ")[0]
        if (
            phase == "MAIL" and code != 552 and status != "5.3.4"
        ):  # not the size: we are meant, and every other mail would hear the same
            self._hang_up()
            return Answer(Verdict.SERVER_DOWN, said, is_refusal=True)
        if code == 421 or not 400 <= code < 600:
            self._hang_up()
            return Answer(Verdict.TEMPORARY, said, is_slow_down=code == 421)
        self._reset()
        if code < 500:
            return Answer(Verdict.TEMPORARY, said, is_slow_down=status.startswith("4.7."))
        about_mailbox = status.startswith("5.1.") or not status.startswith("5.")
        if phase == "RCPT" and code in _BAD_MAILBOX and about_mailbox:
            return Answer(Verdict.BAD_ADDRESS, said)
        return Answer(Verdict.PERMANENT, said)

    def _reset(self) -> None:
        try:
            if self._smtp is not None:
                self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._hang_up()

    def _opened(self) -> smtplib.SMTP:
        if self._smtp is not None:
            return self._smtp
        server = self.server
        smtp: smtplib.SMTP
        if server.tls == "implicit":
            smtp = _PrivateLine(server.host, server.port, timeout=server.seconds, context=ssl.create_default_context())
        else:
            smtp = _Line(server.host, server.port, timeout=server.seconds)
        try:
            smtp.ehlo_or_helo_if_needed()
            if server.tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo_or_helo_if_needed()
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        self._smtp = smtp
        return smtp

    def _hang_up(self) -> None:
        """Without a word: what the server would answer could belong to something else, or never come."""
        if self._smtp is not None:
            smtp, self._smtp = self._smtp, None
            with suppress(OSError):
                smtp.close()

    def close(self) -> None:
        if self._smtp is None:
            return
        smtp, self._smtp = self._smtp, None
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()


_PHASES = ("MAIL", "RCPT", "DATA")


def _commands(smtp: smtplib.SMTP, message: Message) -> tuple[str, str, str]:
    size = f" SIZE={len(message.data)}" if smtp.has_extn("size") else ""
    sender, recipient = smtplib.quoteaddr(message.sender), smtplib.quoteaddr(message.recipient)
    return f"MAIL FROM:{sender}{size}\r\n", f"RCPT TO:{recipient}\r\n", "DATA\r\n"


def _goes_on(code: int, phase: str) -> bool:
    return code == 354 if phase == "DATA" else 200 <= code < 300


def _most_bytes(smtp: smtplib.SMTP) -> int:
    """The largest mail that the server says it takes (RFC 1870); 0 where it says nothing of it."""
    said = smtp.esmtp_features.get("size", "")
    return int(said) if said.isdecimal() and len(said) < 20 else 0


# --- What the server says -------------------------------------------------------------------------------------------------------


class _Ear(io.RawIOBase):
    """The bytes of one answer: no longer than `seconds` for all of it, however slowly they drip, and no more than LONGEST_ANSWER."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self.sock, self.seconds = sock, seconds
        self.until, self.left = 0.0, 0

    def listen(self) -> None:
        """The next answer begins."""
        self.until, self.left = time.monotonic() + self.seconds, LONGEST_ANSWER

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        usual = self.sock.gettimeout()
        self.sock.settimeout(left if usual is None else min(left, usual))
        try:
            number = self.sock.recv_into(buffer)
        finally:
            self.sock.settimeout(usual)
        self.left -= number
        if self.left < 0:
            raise OSError("the answer has no end")
        return number


class _Patience:
    """Answers of smtplib's lines through an ear of ours."""

    sock: Any
    file: Any
    timeout: float

    def getreply(self) -> tuple[int, bytes]:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("Server not connected")
        if self.file is None:  # a new line, or one that has just become a private one: nothing heard before counts
            self.file = io.BufferedReader(_Ear(self.sock, self.timeout))
        self.file.raw.listen()
        found: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        return found


class _Line(_Patience, smtplib.SMTP):
    """In clear, or by STARTTLS."""


class _PrivateLine(_Patience, smtplib.SMTP_SSL):
    """By TLS from the first byte."""


def _down(error: Exception) -> Answer:
    """Nothing was offered."""
    is_refusal = isinstance(error, (smtplib.SMTPResponseException, smtplib.SMTPNotSupportedError, ssl.SSLError))
    return Answer(Verdict.SERVER_DOWN, in_words(error), is_refusal=is_refusal)


def _said(code: int, words: bytes | str) -> str:
    """`550 5.1.1 no such user`, on one line, without what no page and no database can show."""
    return _shown(f"{code} {words.decode('utf-8', 'replace') if isinstance(words, bytes) else words}")


def _shown(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:300]


def _stuffed(data: bytes) -> bytes:
    """With lines that begin with a dot doubled, and the end mark."""
    lines = data.replace(b"\r\n.", b"\r\n..")
    if lines.startswith(b"."):
        lines = b"." + lines
    return lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return _("the certificate of the mail server is not trusted: %(why)s") % {"why": _shown(error.verify_message)}
    return _shown(str(error) or type(error).__name__)
