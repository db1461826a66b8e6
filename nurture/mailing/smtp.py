"""One connection to a mail server. Every delivery gives an answer; none raises."""

from __future__ import annotations

import smtplib
import ssl
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from nurture.mailing.message import Message

SECONDS = 30.0  # for each answer of the server
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
        if was_open and answer.verdict is Verdict.SERVER_DOWN:  # closed while idle: nothing was offered yet
            answer = self._deliver(message)
        return answer

    def _deliver(self, message: Message) -> Answer:
        try:
            smtp = self._opened()
            code, words = smtp.mail(message.sender)
            if code != 250:
                return self._refused(code, words)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Answer(Verdict.SERVER_DOWN, in_words(error))
        try:
            code, words = smtp.rcpt(message.recipient)
            if code not in (250, 251):
                return self._refused(code, words, is_recipient=True, is_ours=False)
            code, words = smtp.docmd("DATA")
            if code != 354:
                return self._refused(code, words, is_ours=False)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Answer(Verdict.TEMPORARY, in_words(error))
        try:
            smtp.send(_stuffed(message.data))
            code, words = self._reply_to_the_mail(smtp)
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Answer(Verdict.UNCERTAIN, in_words(error))
        if code == 250:
            return Answer(Verdict.SENT)
        return self._refused(code, words, is_ours=False)

    def _reply_to_the_mail(self, smtp: smtplib.SMTP) -> tuple[int, bytes]:
        return smtp.getreply()

    def _refused(self, code: int, words: bytes, *, is_recipient: bool = False, is_ours: bool = True) -> Answer:
        """`is_ours`: it was said about us, before the reader was named."""
        said = f"{code} {words.decode('utf-8', 'replace')}"[:300]
        said = " ".join(said.split())
        status = words.decode("utf-8", "replace").strip().split(" ")[0]
        if code == 421 or code < 0:
            self.close()
            return Answer(Verdict.TEMPORARY, said, is_slow_down=code == 421 and not is_ours)
        self._reset()
        if code < 500:
            return Answer(Verdict.TEMPORARY, said, is_slow_down=status.startswith("4.7.") and not is_ours)
        about_mailbox = status.startswith("5.1.") or not status.startswith("5.")
        if is_recipient and code in _BAD_MAILBOX and about_mailbox:
            return Answer(Verdict.BAD_ADDRESS, said)
        return Answer(Verdict.PERMANENT, said)

    def _reset(self) -> None:
        try:
            if self._smtp is not None:
                self._smtp.rset()
        except (OSError, smtplib.SMTPException):
            self.close()

    def _opened(self) -> smtplib.SMTP:
        if self._smtp is not None:
            return self._smtp
        server = self.server
        smtp: smtplib.SMTP
        if server.tls == "implicit":
            context = ssl.create_default_context()
            smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=server.seconds, context=context)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=server.seconds)
        try:
            smtp.ehlo()
            if server.tls == "starttls":
                smtp.starttls(context=ssl.create_default_context())
                smtp.ehlo()
            if server.user:
                smtp.login(server.user, server.password)
        except BaseException:
            smtp.close()
            raise
        self._smtp = smtp
        return smtp

    def close(self) -> None:
        if self._smtp is None:
            return
        smtp, self._smtp = self._smtp, None
        try:
            smtp.quit()
        except (OSError, smtplib.SMTPException):
            smtp.close()


def _stuffed(data: bytes) -> bytes:
    """With lines that begin with a dot doubled, and the end mark."""
    lines = data.replace(b"\r\n.", b"\r\n..")
    if lines.startswith(b"."):
        lines = b"." + lines
    return lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def in_words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        return " ".join(f"{error.smtp_code} {words}".split())[:300]
    return " ".join((str(error) or type(error).__name__).split())[:300]
