"""A mail server that says at each point what a test wants it to, letter by letter: nonsense, a megabyte, a byte now and then, or nothing."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from nurture.mailing.smtp import Server
from tests.nurture.sink import PATIENCE_SECONDS

Says = bytes | Callable[["Session"], None]
_USUAL = {
    "greeting": b"220 odd ESMTP\r\n",
    "MAIL": b"250 2.1.0 OK\r\n",
    "RCPT": b"250 2.1.5 OK\r\n",
    "DATA": b"354 go on\r\n",
    "mail": b"250 2.0.0 taken\r\n",
    "RSET": b"250 OK\r\n",
    "QUIT": b"221 bye\r\n",
}


@dataclass
class OddServer:
    """`answers`: what it says after a command (`mail`: after the mail itself), in place of the usual. `features`: of EHLO."""

    port: int = 0
    features: tuple[str, ...] = ()
    answers: dict[str, Says] = field(default_factory=dict)
    heard: list[bytes] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, seconds=PATIENCE_SECONDS, connections=1)

    @property
    def commands(self) -> list[bytes]:
        """First words, in order."""
        return [line[:4].upper().strip() for line in self.heard]


class Ends(Exception):
    """The server closes the line."""


class Session(socketserver.StreamRequestHandler):
    odd: OddServer

    def handle(self) -> None:
        with suppress(OSError, Ends):
            self._say("greeting")
            while line := self.rfile.readline():
                self.odd.heard.append(line)
                self._answer(line[:4].upper().decode())

    def _answer(self, command: str) -> None:
        if command == "EHLO":
            lines = ["odd.test", *self.odd.features]
            usual = "".join(f"250-{line}\r\n" for line in lines[:-1]) + f"250 {lines[-1]}\r\n"
            self._say("EHLO", usual.encode())
        elif command == "DATA":
            self._say("DATA")
            if "DATA" not in self.odd.answers or self.odd.answers["DATA"] == _USUAL["DATA"]:
                self._take()
        else:
            self._say(command)
            if command == "QUIT":
                raise Ends

    def _take(self) -> None:
        data = b""
        while not data.endswith(b"\r\n.\r\n"):
            line = self.rfile.readline()
            if not line:
                raise Ends
            data += line
        self.odd.mails.append(data)
        self._say("mail")

    def _say(self, point: str, usual: bytes = b"502 unknown\r\n") -> None:
        said = self.odd.answers.get(point, _USUAL.get(point, usual))
        if callable(said):
            said(self)
        else:
            self.wfile.write(said)


def closes(session: Session) -> None:
    raise Ends


def drips(session: Session) -> None:
    """A byte now and then, for ever: no time-out of a socket ever ends it."""
    while not session.odd.over.wait(0.02):
        session.wfile.write(b"2")


def drips_lines(session: Session) -> None:
    """An answer that goes on and on."""
    while not session.odd.over.wait(0.02):
        session.wfile.write(b"250-more\r\n")


def pours(session: Session) -> None:
    """As quickly as it is read."""
    while not session.odd.over.is_set():
        session.wfile.write(b"250-more\r\n" * 1_000)


A_MEGABYTE = b"250 " + b"y" * 1_000_000 + b"\r\n"


@contextmanager
def odd_server() -> Iterator[OddServer]:
    """On a free port of this machine."""
    found = OddServer()
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), type("Bound", (Session,), {"odd": found})) as server:
        server.daemon_threads = True
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.over.set()
            server.shutdown()
            thread.join()
