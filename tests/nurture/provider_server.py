"""A local server that speaks the interfaces of five mail providers: checks the key, keeps what it takes, and misbehaves when told to."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

KEY = "the-key"
DROP: tuple[int, dict[str, Any]] = (0, {})  # takes the mail and closes without a word
HANG: tuple[int, dict[str, Any]] = (-1, {})  # takes the mail and never answers


@dataclass
class Call:
    """One call as it came: fields of a form, or a document."""

    path: str
    headers: dict[str, str]
    values: dict[str, Any]


@dataclass
class ProviderServer:
    """`answers` maps a recipient to status and document instead of the usual answer; “*” means every call."""

    port: int = 0
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, scheme: str, **options: str) -> str:
        """What EMAIL_URL says to mean this server."""
        path = {"mailgun": "/v3", "sendgrid": "/v3", "brevo": "/v3", "postmark": "", "ses": ""}[scheme]
        host = {"mailgun": "mg.plant.test", "ses": "eu-central-1"}.get(scheme, "")
        query = "".join(f"&{name}={value}" for name, value in {"connections": "1", **options}.items())
        return f"{scheme}://{KEY}:secret@{host}?api=http://127.0.0.1:{self.port}{path}{query}"

    def answer(self, call: Call) -> tuple[int, dict[str, Any]]:
        usual, is_known, recipient = _read(call)
        if not is_known:
            return 401, {"message": "Forbidden", "Message": "No such token", "ErrorCode": 10}
        self.calls.append(call)
        return self.answers.get("*") or self.answers.get(recipient, usual)


def _read(call: Call) -> tuple[tuple[int, dict[str, Any]], bool, str]:
    """The usual answer of the provider that is meant, whether the key is the right one, and the recipient."""
    values, headers = call.values, call.headers
    if call.path == "/email":  # Postmark
        answer = {"To": values["To"], "MessageID": "p-1", "ErrorCode": 0, "Message": "OK"}
        return (200, answer), headers.get("x-postmark-server-token") == KEY, _bare(values["To"])
    if call.path == "/v3/mg.plant.test/messages":  # Mailgun
        wanted = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
        answer = {"id": "<m-1@mg>", "message": "Queued. Thank you."}
        return (200, answer), headers.get("authorization") == wanted, _bare(values["to"])
    if call.path == "/v3/mail/send":  # SendGrid
        to = values["personalizations"][0]["to"][0]["email"]
        return (202, {}), headers.get("authorization") == f"Bearer {KEY}", to
    if call.path == "/v3/smtp/email":  # Brevo
        return (201, {"messageId": "<b-1@brevo>"}), headers.get("api-key") == KEY, values["to"][0]["email"]
    assert call.path == "/v2/email/outbound-emails"  # Amazon SES
    signed = headers.get("authorization", "").startswith(f"AWS4-HMAC-SHA256 Credential={KEY}/")
    return (200, {"MessageId": "s-1"}), signed, values["Destination"]["ToAddresses"][0]


def raw_mail(call: Call) -> EmailMessage:
    """Amazon gets whole mails."""
    found = message_from_bytes(base64.b64decode(call.values["Content"]["Raw"]["Data"]), policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


def _bare(address: str) -> str:
    return address.rpartition("<")[2].rstrip(">")


def _form(data: bytes, content_type: str) -> dict[str, str]:
    if content_type.startswith("multipart/form-data"):
        found = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + data)
        parts = found.get_payload()
        assert isinstance(parts, list)
        return {
            str(part.get_param("name", header="Content-Disposition")): part.get_payload(decode=True).decode()  # type: ignore[union-attr]
            for part in parts
        }
    return dict(parse_qsl(data.decode()))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: ProviderServer

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers["Content-Type"] or ""
        values = json.loads(data) if "json" in kind or data.startswith(b"{") else _form(data, kind)
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, document = self.provider.answer(Call(self.path, headers, values))
        if status == HANG[0]:
            self.provider.release.wait()
        if status in (HANG[0], DROP[0]):
            self.close_connection = True
            return
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        if isinstance(code := document.get("__type"), str):
            self.send_header("X-Amzn-ErrorType", code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing into the output of the tests."""


@contextmanager
def provider_server() -> Iterator[ProviderServer]:
    """A server on a free port of this machine."""
    found = ProviderServer()
    handler = type("Handler", (_Handler,), {"provider": found})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            found.release.set()
            server.shutdown()
            thread.join()
