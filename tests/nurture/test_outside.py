"""Requests to addresses that a marketer typed: never inside, never long, never much."""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import Any

import pytest
from pytest_django import Settings

from nurture import outside
from tests.nurture.receiver import answering, dripping, dripping_text, dying, endless, hanging, receiver

MINUTE = 60.0  # nobody waits that long; a machine under load may take a few seconds


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00:ec2::254",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_inner_addresses_in_every_dress(address: str) -> None:
    assert outside.is_inner(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert outside.refusal(f"https://{host}/x")


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"])
def test_public_addresses_may_be_called(address: str) -> None:
    assert not outside.is_inner(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "example.com/hook",
        "https://",
        "https://user:word@example.com",
        "https://example.com:99999",
        "https://example.com:0",
        "https://exa mple.com",
        "https://[::1",
        "http://localhost/x",
        "http://api.localhost",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    assert outside.refusal(url)


def test_a_name_that_leads_inside_is_refused_whatever_else_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def answers(*addresses: str) -> None:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)

    answers("1.1.1.1")
    assert outside.resolve("hooks.example.com", 443) == "1.1.1.1"
    answers("1.1.1.1", "10.0.0.1")
    with pytest.raises(outside.Refused, match="inside our own network"):
        outside.post("https://hooks.example.com/x", b"{}", {})


def test_the_connection_goes_to_the_address_that_was_looked_at(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """A name that leads outside first and inside a moment later gains nothing: it is asked once."""
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.0/8"]
    asked = []
    real = socket.getaddrinfo

    def answer(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host == "hooks.test" else host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    with receiver(answering(200, "fine")) as found:
        assert outside.post(f"http://hooks.test:{found.port}/x", b"{}", {}, seconds=MINUTE).status == 200
        assert found.heard[0].headers["Host"] == f"hooks.test:{found.port}"
    assert asked.count("hooks.test") == 1


def test_inner_receivers_are_let_in_by_name_port_or_network(settings: Settings) -> None:
    loopback = ipaddress.ip_address("127.0.0.1")
    for entries, is_allowed in (
        ([], False),
        (["127.0.0.1"], True),
        (["127.0.0.1:99"], True),
        (["127.0.0.1:98"], False),
        (["127.0.0.0/8"], True),
        (["10.0.0.0/8", "other.test"], False),
    ):
        settings.WEBHOOK_INNER_HOSTS = entries
        assert outside.is_allowed("127.0.0.1", 99, loopback) == is_allowed


@pytest.fixture
def inner(settings: Settings) -> None:
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]


@pytest.mark.usefixtures("inner")
def test_an_answer_with_its_words_and_wishes() -> None:
    with receiver(answering(503, "later\0", Retry_After="120")) as found:
        answer = outside.post(found.url, b'{"a": 1}', {"Idempotency-Key": "k"}, seconds=MINUTE)
    assert answer == outside.Answer(503, "later�", 120)
    assert (found.heard[0].path, found.heard[0].body) == ("/hook?kind=lead", b'{"a": 1}')
    assert found.heard[0].headers["Idempotency-Key"] == "k"


@pytest.mark.usefixtures("inner")
@pytest.mark.parametrize("behave", [hanging, dripping])
def test_whoever_takes_long_is_left(behave: Any) -> None:
    with receiver(behave) as found:
        started = time.monotonic()
        answer = outside.post(found.url, b"{}", {}, seconds=0.5)
    assert (answer.status, answer.is_unreachable) == (None, True)
    assert "No whole answer" in answer.words
    assert time.monotonic() - started < MINUTE


@pytest.mark.usefixtures("inner")
def test_a_text_that_never_ends_does_not_unsay_the_status() -> None:
    with receiver(dripping_text) as found:
        for seconds in (0.5, 5.0, MINUTE):  # a machine under load may need longer for the headers
            answer = outside.post(found.url, b"{}", {}, seconds=seconds)
            if answer.status is not None:
                break
    assert (answer.status, set(answer.words) <= {"x"}) == (200, True)


@pytest.mark.usefixtures("inner")
def test_a_large_answer_is_cut() -> None:
    with receiver(endless) as found:
        answer = outside.post(found.url, b"{}", {}, seconds=MINUTE)
    assert (answer.status, answer.words) == (200, "y" * outside.KEPT)


@pytest.mark.usefixtures("inner")
def test_a_redirect_is_not_followed() -> None:
    with receiver(answering(302, Location="http://169.254.169.254/latest/meta-data/")) as found:
        answer = outside.post(found.url, b"{}", {}, seconds=MINUTE)
    assert answer.status == 302
    assert "169.254.169.254" in answer.words
    assert len(found.heard) == 1


@pytest.mark.usefixtures("inner")
def test_a_receiver_that_dies_or_is_gone_or_speaks_no_tls() -> None:
    with receiver(dying) as found:
        died = outside.post(found.url, b"{}", {}, seconds=MINUTE)
        plain = outside.post(found.url.replace("http:", "https:"), b"{}", {}, seconds=MINUTE)
    gone = outside.post(found.url, b"{}", {}, seconds=MINUTE)
    assert [(answer.status, answer.is_unreachable) for answer in (died, plain, gone)] == [(None, True)] * 3
