"""A real SMTP server for tests: keeps what it receives, and misbehaves when told to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from asyncio import AbstractServer
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import AnyStr

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from nurture.mailing.smtp import Server

PATIENCE_SECONDS = 60.0  # a busy machine is no failure


@dataclass
class Sink:
    """`rcpt` and `data` map a recipient to what the server says after RCPT or DATA instead of 250.

    In place of an answer: `hang` (none, ever), `drop` (takes the mail, closes before it says so), `cut` (closes in mid-DATA),
    `hang up` (takes the mail, says so, closes). `begin` is the same for DATA itself, before the mail.
    """

    port: int = 0
    greeting: str = ""  # instead of 220: the server turns everybody away
    received: list[tuple[list[str], bytes]] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)  # of envelopes
    private: list[bool] = field(default_factory=list)  # whether each came by TLS
    rcpt: dict[str, str] = field(default_factory=dict)
    begin: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)

    @property
    def server(self) -> Server:
        return Server("127.0.0.1", self.port, seconds=PATIENCE_SECONDS)

    @property
    def messages(self) -> list[EmailMessage]:
        return [message_from_bytes(data, policy=policy.default) for _to, data in self.received]

    @property
    def recipients(self) -> list[str]:
        return [address for to, _data in self.received for address in to]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.rcpt.get(address, "250 OK")
        if answer == "hang":
            await _silence(server)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.senders.append(str(envelope.mail_from))
        assert server.transport is not None
        self.private.append(server.transport.get_extra_info("ssl_object") is not None)
        answer = self.data.get(envelope.rcpt_tos[0], "250 OK")
        if answer == "drop":  # taken, but the answer never comes back
            self.received.append((list(envelope.rcpt_tos), bytes(envelope.original_content or b"")))
            assert server.transport is not None
            server.transport.close()
            return "250 OK"
        if answer == "hang":  # taken, and the client waits
            self.received.append((list(envelope.rcpt_tos), bytes(envelope.original_content or b"")))
            await _silence(server)
        if answer == "hang up":
            assert server.transport is not None
            asyncio.get_running_loop().call_soon(server.transport.close)  # after the answer, which is written first
            answer = "250 OK"
        if answer.startswith("250"):
            self.received.append((list(envelope.rcpt_tos), bytes(envelope.original_content or b"")))
        return answer


async def _silence(server: SMTP) -> None:
    """Until the client has had enough and closes: then aiosmtpd ends whoever answers."""
    assert server.transport is not None
    try:
        await asyncio.Event().wait()
    finally:
        server.transport.close()


class Line(SMTP):
    """One connection, which may turn the client away or close in mid-DATA."""

    event_handler: Sink

    async def push(self, status: AnyStr) -> None:
        if isinstance(status, str) and status.startswith("220") and self.event_handler.greeting:
            if self.event_handler.greeting == "hang":
                await _silence(self)
            else:
                await super().push(self.event_handler.greeting)
        else:
            await super().push(status)

    async def smtp_DATA(self, arg: str) -> None:
        assert self.envelope is not None
        assert self.transport is not None
        if "hang" in (self.event_handler.begin.get(address) for address in self.envelope.rcpt_tos):
            await _silence(self)
        elif any(self.event_handler.data.get(address) == "cut" for address in self.envelope.rcpt_tos):
            await self.push("354 go on")
            await self._reader.readline()
            self.transport.close()
        else:
            await super().smtp_DATA(arg)


class _Patient(Controller):
    """Listens on a socket that is bound already, so that nobody else takes the port; gives itself more than a second to start."""

    def __init__(
        self, handler: Sink, listening: socket.socket, tls: ssl.SSLContext | None, *, is_private: bool
    ) -> None:
        host, port = listening.getsockname()
        super().__init__(handler, hostname=host, port=port, ready_timeout=PATIENCE_SECONDS)
        self.listening = listening
        self.tls, self.is_private = tls, is_private

    def factory(self) -> SMTP:
        return Line(self.handler, hostname=self.hostname, tls_context=None if self.is_private else self.tls)

    def _create_server(self) -> Awaitable[AbstractServer]:
        found: Awaitable[AbstractServer] = self.loop.create_server(
            self._factory_invoker, sock=self.listening, ssl=self.tls if self.is_private else None
        )
        return found

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port), PATIENCE_SECONDS) as client:
            if not self.is_private:  # who speaks TLS waits for us to begin
                client.recv(1024)


@contextmanager
def sink(*, tls: ssl.SSLContext | None = None, is_private: bool = False) -> Iterator[Sink]:
    """A server on a free port of this machine; by STARTTLS where it shows a certificate, or `is_private` from the first byte."""
    listening = socket.create_server(("127.0.0.1", 0))
    found = Sink(port=listening.getsockname()[1])
    controller = _Patient(found, listening, tls, is_private=is_private)
    controller.start()
    try:
        yield found
    finally:
        controller.stop()
