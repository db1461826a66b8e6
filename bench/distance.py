"""Mails per second to a mail server far away: commands one by one and at once (RFC 2920), in one run, over one connection.

    .venv/bin/python -m bench.distance --mails 50 --delay 20

The server stands in a process of its own and answers each packet so many milliseconds after it came, as over a distance. No database
is asked: it is the conversation alone, through the product's own connection. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import socketserver
import time
from time import perf_counter
from typing import Any

import django


class Far(socketserver.StreamRequestHandler):
    """Reads what is there, waits as long as it took to come and the answer takes to go, answers all of it."""

    seconds = 0.0
    features = ""

    def handle(self) -> None:
        self.wfile.write(b"220 far ESMTP\r\n")
        heard, is_mail = b"", False
        while data := self.request.recv(65_536):
            heard += data
            said = b""
            while (line := self._next(heard, is_mail)) is not None:
                heard = heard[len(line) :]
                answer, is_mail = self._answer(line, is_mail)
                said += answer
            if said:
                time.sleep(self.seconds)
                self.wfile.write(said)

    def _next(self, heard: bytes, is_mail: bool) -> bytes | None:
        end = b"\r\n.\r\n" if is_mail else b"\r\n"
        place = heard.find(end)
        return None if place < 0 else heard[: place + len(end)]

    def _answer(self, line: bytes, is_mail: bool) -> tuple[bytes, bool]:
        if is_mail:
            return b"250 taken\r\n", False
        if line[:4].upper() == b"EHLO":
            return f"250-far\r\n250{self.features}\r\n".encode(), False
        if line[:4].upper() == b"DATA":
            return b"354 go on\r\n", True
        return b"250 OK\r\n", False


def far(pipe: Any, seconds: float, features: str) -> None:
    handler = type("Bound", (Far,), {"seconds": seconds, "features": features})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        pipe.send(server.server_address[1])
        server.serve_forever()


def measure(mails: int, seconds: float, features: str) -> float:
    """Mails a second."""
    from nurture.mailing.message import Message
    from nurture.mailing.smtp import Connection, Server, Verdict

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=far, args=(theirs, seconds, features), daemon=True)
    process.start()
    try:
        connection = Connection(Server("127.0.0.1", ours.recv()))
        message = Message("<m@x.test>", "a@x.test", "b@x.test", [], b"Subject: x\r\n\r\n" + b"words\r\n" * 1_700)
        assert connection.deliver(message).verdict is Verdict.SENT  # the line is open
        began = perf_counter()
        for _each in range(mails):
            assert connection.deliver(message).verdict is Verdict.SENT
        return mails / (perf_counter() - began)
    finally:
        process.terminate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=50)
    parser.add_argument("--delay", type=float, default=20.0, help="milliseconds")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    one_by_one = measure(arguments.mails, arguments.delay / 1000, " HELP")
    at_once = measure(arguments.mails, arguments.delay / 1000, " PIPELINING")
    print(
        json.dumps(
            {
                "mails": arguments.mails,
                "delay_ms": arguments.delay,
                "one_by_one_per_second": round(one_by_one, 1),
                "at_once_per_second": round(at_once, 1),
                "ratio": round(at_once / one_by_one, 2),
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
