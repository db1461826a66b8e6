"""A receiver of webhooks that is real: an HTTP server in a thread which answers as a test wants it to."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Behave = Callable[["Handler"], None]


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """`behave` answers one request; `over` is set when the test ends, so that nothing hangs for longer."""

    behave: Behave
    port: int = 0
    heard: list[Heard] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?kind=lead"

    @property
    def keys(self) -> list[str]:
        return [one.headers["Idempotency-Key"] for one in self.heard]


class Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def handle(self) -> None:
        with suppress(OSError):  # no handshake: the other side did not like our certificate
            super().handle()

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.receiver.heard.append(Heard(self.path, dict(self.headers.items()), self.rfile.read(length)))
        try:
            self.receiver.behave(self)
        except OSError:
            self.close_connection = True  # the other side had enough

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


def answering(status: int, text: str = "", **headers: str) -> Behave:
    def behave(handler: Handler) -> None:
        data = text.encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return behave


def hanging(handler: Handler) -> None:
    handler.receiver.over.wait()


def dripping(handler: Handler) -> None:
    """A byte now and then, for ever: no time-out of a socket ever ends it."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while not handler.receiver.over.wait(0.02):
        handler.wfile.write(b"x")


def dripping_text(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not handler.receiver.over.wait(0.02):
        handler.wfile.write(b"x")


def endless(handler: Handler) -> None:
    """10 MB, or as much as the other side reads."""
    handler.send_response(200)
    handler.send_header("Content-Length", str(10_000_000))
    handler.end_headers()
    for _each in range(1_000):
        handler.wfile.write(b"y" * 10_000)


def dying(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 20")
    handler.close_connection = True


@contextmanager
def receiver(behave: Behave, *, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    found = Receiver(behave)
    handler = type("Bound", (Handler,), {"receiver": found})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = False
    if tls is not None:  # the handshake belongs to the thread that answers: one that fails stops nobody else
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield found
    finally:
        found.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
