"""Lines to mail servers are private where they should be, with a company's own authority; no other certificate gets mail or a password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.cache import cache

from nurture.mailbox import reading
from nurture.mailbox.box import Address
from nurture.mailing import sending
from nurture.mailing.smtp import Server
from nurture.models import MailboxState, Sending
from tests.makers import NOW
from tests.nurture.authority import BEGIN, END, Authority
from tests.nurture.imap_server import PASSWORD, USER, imap_server
from tests.nurture.makers import mail, make_walk, set_workspace, walk
from tests.nurture.sink import Sink, sink

pytestmark = pytest.mark.django_db

HERE = "127.0.0.1"
OVER = BEGIN.replace(year=2021)


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@dataclass(frozen=True)
class Shown:
    """What a server shows, whether its authority is trusted, and the words of whoever does not believe it."""

    host: str = HERE
    until: datetime = END
    is_trusted: bool = True
    words: str = ""


WRONG = [
    Shown(host="mail.other.test", words="IP address mismatch, certificate is not valid for '127.0.0.1'."),
    Shown(until=OVER, words="certificate has expired"),
    Shown(is_trusted=False, words="unable to get local issuer certificate"),
]
TOLD = "the certificate of the mail server is not trusted: "


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """As an admin with an inner authority has it: its certificate in the file that SSL_CERT_FILE names."""
    found = Authority.in_folder(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(found.path))
    return found


def distrust(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another authority of the same name is the one that is trusted."""
    (authority.folder / "other").mkdir()
    other = Authority.in_folder(authority.folder / "other")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.path))


def queue() -> None:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    make_walk(mail(step_id="m"), people=2)
    walk()


def by(found: Sink, tls: str) -> Server:
    return replace(found.server, tls=tls, connections=1)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_mail_leaves_by_a_private_line(authority: Authority, tls: str) -> None:
    queue()
    with sink(tls=authority.server_side(HERE), is_private=tls == "implicit") as found:
        assert sending.send_due(NOW, server=by(found, tls)).sent == 2
        assert found.private == [True, True]


@pytest.mark.parametrize("shown", WRONG, ids=lambda shown: shown.words)
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_who_shows_another_certificate_gets_no_mail(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, shown: Shown, tls: str
) -> None:
    """It waits, no try is counted, and the outbox says why; with a right certificate it leaves."""
    queue()
    context = authority.server_side(shown.host, until=shown.until)
    with sink(tls=context, is_private=tls == "implicit") as found, monkeypatch.context() as here:
        if not shown.is_trusted:
            distrust(authority, here)
        report = sending.send_due(NOW, server=by(found, tls))
        assert report.problem.startswith(f"No mail leaves: {TOLD}{shown.words}")
        assert (found.senders, found.received) == ([], [])
    assert set(Sending.objects.values_list("state", "tries", "claimed_at")) == {("queued", 0, None)}
    cache.clear()
    with sink(tls=authority.server_side(HERE), is_private=tls == "implicit") as found:
        assert sending.send_due(NOW + timedelta(minutes=1), server=by(found, tls)).sent == 2


def test_no_private_line_no_mail(authority: Authority) -> None:
    """A server, or somebody between, that does not offer STARTTLS where EMAIL_URL asks for it; one that speaks no TLS at all."""
    queue()
    with sink() as found:
        report = sending.send_due(NOW, server=by(found, "starttls"))
        assert report.problem == "No mail leaves: STARTTLS extension not supported by server."
        cache.clear()
        report = sending.send_due(NOW, server=by(found, "implicit"))
        assert report.problem.startswith("No mail leaves: [SSL")
        assert found.senders == []
    assert set(Sending.objects.values_list("state", "tries")) == {("queued", 0)}


# --- The mailbox ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_the_mailbox_is_read_by_a_private_line(authority: Authority, tls: str) -> None:
    with imap_server(tls=authority.server_side(HERE), is_private=tls == "implicit") as found:
        found.put(b"Subject: hello\r\n\r\nnothing for us")
        address = Address(HERE, found.port, USER, PASSWORD, tls=tls)
        report = reading.read(NOW, address=address)
        assert (report.taken, report.problem) == (1, "")
        assert found.count() == {"INBOX": 0, "Ripen-done": 1, "Ripen-parked": 0}


@pytest.mark.parametrize("shown", WRONG, ids=lambda shown: shown.words)
@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_who_shows_another_certificate_gets_no_password(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, shown: Shown, tls: str
) -> None:
    context = authority.server_side(shown.host, until=shown.until)
    with imap_server(tls=context, is_private=tls == "implicit") as found, monkeypatch.context() as here:
        if not shown.is_trusted:
            distrust(authority, here)
        address = Address(HERE, found.port, USER, PASSWORD, tls=tls)
        assert reading.read(NOW, address=address).problem.startswith(f"{TOLD}{shown.words}")
        assert "LOGIN" not in found.heard
    assert MailboxState.objects.get().failures == 1
