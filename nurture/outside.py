"""One request to an address that somebody else chose: never to the inside of our network, never longer than a moment, never much to read.

The name is resolved once and every address of it is looked at; the connection goes to an address that was looked at, so that a name
which answers differently the second time gains nothing. Redirects are answers like others and are not followed. A watchdog shuts the
socket at the deadline, whatever the other side does: time-outs of a socket begin anew with each byte that drips in.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

SECONDS = 10.0  # for all of it: connection, request, answer
CONNECT_SECONDS = 4.0
MOST_READ = 64_000  # bytes of an answer; the rest is not fetched
KEPT = 2_000  # characters of it that are stored
PORTS = {"http": 80, "https": 443}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Services of cloud machines that answer under addresses which are public by the book.
_METADATA = frozenset({ipaddress.ip_address("168.63.129.16")})


class Refused(Exception):
    """The address may not be called; the message says why, for people."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Without a status nothing did, and `words` say why; `retry_after`: seconds the other side asked for."""

    status: int | None
    words: str
    retry_after: int | None = None
    is_unreachable: bool = False


def split(url: str) -> SplitResult:
    """The parts of an address that a webhook may have. Raises Refused."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise Refused(_("“%(url)s” is no address.") % {"url": url}) from error
    if parts.scheme not in PORTS or not parts.hostname or any(char.isspace() for char in url.strip()):
        raise Refused(_("An address begins with https:// (or http://) and names a host."))
    if parts.username is not None or parts.password is not None:
        raise Refused(_("No user name or password in the address: it would be shown. The signature says who calls."))
    if port == 0:
        raise Refused(_("“%(url)s” is no address.") % {"url": url})
    return parts


def port_of(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


def origin_of(url: str) -> str:
    """Scheme, host and port: one receiver."""
    parts = split(url)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port_of(parts)}"


# --- Inside or outside ----------------------------------------------------------------------------------------------------------


def is_inner(address: _Address) -> bool:
    """Whether the address is not one of the public internet, in whatever dress it comes."""
    if isinstance(address, ipaddress.IPv6Address):
        inner: _Address | None = address.ipv4_mapped or address.sixtofour
        if address.teredo:
            inner = address.teredo[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_inner(inner)
    return not address.is_global or address.is_multicast or address.is_reserved or address in _METADATA


def is_allowed(host: str, port: int, address: _Address | None) -> bool:
    """Whether the environment lets this inner receiver in: by name, by name and port, or by a network that holds its address."""
    for entry in settings.WEBHOOK_INNER_HOSTS:
        if entry in (host.lower(), f"{host.lower()}:{port}"):
            return True
        with suppress(ValueError):
            if address is not None and address in ipaddress.ip_network(entry):
                return True
    return False


def literal(host: str) -> _Address | None:
    """The address that a host name spells; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def refusal(url: str) -> str:
    """Why the address cannot be called, as far as it can be told without asking for its name; empty when nothing is wrong."""
    try:
        parts = split(url)
    except Refused as error:
        return str(error)
    host = parts.hostname or ""
    address = literal(host)
    is_inside = is_inner(address) if address else host.lower() == "localhost" or host.lower().endswith(".localhost")
    if is_inside and not is_allowed(host, port_of(parts), address):
        return _inner_words(host)
    return ""


def _inner_words(host: str) -> str:
    return _("“%(host)s” lies inside our own network; an admin may allow it (WEBHOOK_INNER_HOSTS).") % {"host": host}


def resolve(host: str, port: int) -> str:
    """The address to connect to. Raises Refused when any address of the name is an inner one, OSError when there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        if is_inner(address) and not is_allowed(host, port, address):
            raise Refused(_inner_words(host))
    return str(addresses[0])


# --- The request ------------------------------------------------------------------------------------------------------------------


def post(url: str, data: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS) -> Answer:
    """Send it once. Raises Refused; everything else that goes wrong is an answer without a status."""
    return _asked("POST", url, data, headers, seconds)


def get(url: str, *, seconds: float = SECONDS, kept: int = KEPT) -> Answer:
    """Ask for it once, with the first `kept` characters of what comes. Raises Refused, as post does."""
    return _asked("GET", url, None, {}, seconds, kept)


def _asked(
    method: str, url: str, data: bytes | None, headers: Mapping[str, str], seconds: float, kept: int = KEPT
) -> Answer:
    parts = split(url)
    host, port = parts.hostname or "", port_of(parts)
    until = time.monotonic() + seconds
    try:
        address = resolve(host, port)
    except (OSError, UnicodeError) as error:
        return Answer(None, _("The name “%(host)s” was not found: %(why)s") % {"host": host, "why": error}, None, True)
    connection = _connection(parts, host, address, port)
    watchdog = _Watchdog(connection, until - time.monotonic())
    try:
        return _exchange(connection, watchdog, parts, (method, data), headers, kept)
    except (OSError, HTTPError, HTTPException, ValueError, AttributeError) as error:
        if watchdog.has_bitten or isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
            return Answer(None, _("No whole answer within %(n)d seconds.") % {"n": round(seconds)}, None, True)
        words = " ".join(str(error).split())[:200] or type(error).__name__
        return Answer(None, _("The connection failed: %(why)s") % {"why": words}, None, True)
    finally:
        watchdog.cancel()
        connection.close()


def _connection(parts: SplitResult, host: str, address: str, port: int) -> HTTPConnection:
    if parts.scheme == "http":
        return HTTPConnection(address, port, timeout=CONNECT_SECONDS)
    return HTTPSConnection(
        address,
        port,
        timeout=CONNECT_SECONDS,
        server_hostname=host,
        assert_hostname=host,
        ssl_context=ssl.create_default_context(),
    )


class _Watchdog:
    """Shuts the connection's socket at the deadline, so that whoever waits for it goes on."""

    def __init__(self, connection: HTTPConnection, seconds: float) -> None:
        self.connection = connection
        self.sock: socket.socket | None = (
            None  # once connected; http.client lets go of it where the answer ends the connection
        )
        self.has_bitten = False
        self.timer = threading.Timer(max(0.0, seconds), self._bite)
        self.timer.daemon = True
        self.timer.start()

    def _bite(self) -> None:
        self.has_bitten = True
        sock = self.sock or self.connection.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(
                    sock, socket.SHUT_RDWR
                )  # not the TLS object's own: it would talk to the other side

    def connected(self) -> None:
        """Raises TimeoutError when the deadline came meanwhile."""
        self.sock = self.connection.sock
        if self.sock is not None:
            self.sock.settimeout(SECONDS)
        self.look()

    def look(self) -> None:
        if self.has_bitten:
            raise TimeoutError

    def cancel(self) -> None:
        self.timer.cancel()


def _exchange(
    connection: HTTPConnection,
    watchdog: _Watchdog,
    parts: SplitResult,
    what: tuple[str, bytes | None],
    headers: Mapping[str, str],
    kept: int,
) -> Answer:
    """Status and headers decide; a text that breaks off behind them does not unsay what the receiver decided."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.connect()
    watchdog.connected()
    sent = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity", "Connection": "close"}
    method, data = what
    connection.request(method, target, body=data, headers=sent, preload_content=False, decode_content=False)
    response = connection.getresponse()
    watchdog.look()  # headers that were cut off look like whole ones
    wished = response.headers.get("Retry-After", "")
    retry_after = int(wished) if wished.isdecimal() and len(wished) < 7 else None
    if 300 <= response.status < 400:
        words = _("It redirects to %(where)s; redirects are not followed, so enter the final address.")
        return Answer(response.status, words % {"where": (response.headers.get("Location") or "?")[:300]})
    read = b""
    with suppress(OSError, HTTPError, HTTPException, ValueError, AttributeError):
        while len(read) < MOST_READ and (part := response.read1(16_000)):
            read += part
    words = read[:MOST_READ].decode("utf-8", "replace").replace("\0", "�")[:kept]
    return Answer(response.status, words, retry_after)
