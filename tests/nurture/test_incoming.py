"""Mail that comes back: leaving by mail, bounces, complaints; forged, repeated and broken ones change nothing."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from leads.consent import state_of
from leads.models import Activity, ConsentEvent, Suppression
from nurture.mailing import sending
from nurture.mailing.incoming import Outcome, take
from nurture.models import Sending
from tests.makers import NOW
from tests.nurture.makers import mail, make_walk, set_workspace, walk
from tests.nurture.sink import Sink, sink

pytestmark = pytest.mark.django_db

US = "back@plant.test"


@pytest.fixture
def smtp() -> Iterator[Sink]:
    with sink() as found:
        yield found


@pytest.fixture
def sent() -> Sending:
    set_workspace(sender_email="ada@plant.test")
    make_walk(mail(step_id="m"), people=1)
    walk()
    assert sending.send_due(NOW).sent == 1
    return Sending.objects.get()


def wish(subject: str) -> bytes:
    found = EmailMessage()
    found["From"], found["To"], found["Subject"] = "reader@x.test", US, subject
    found.set_content("")
    return found.as_bytes()


def bounce(
    row: Sending, *, action: str = "failed", status: str = "5.1.1", head_only: bool = False, token: object = ""
) -> bytes:
    """As Postfix reports it; `head_only`: with the head of our mail instead of the mail."""
    head = f"From: ada@plant.test\r\nSubject: Hi\r\nMessage-ID: <{token or row.token}@plant.test>\r\n"
    kind = "text/rfc822-headers" if head_only else "message/rfc822"
    return (
        f"From: MAILER-DAEMON@mx.test\r\nTo: {US}\r\nSubject: Undelivered Mail Returned to Sender\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nI'm sorry.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.test\r\n\r\n"
        f"Final-Recipient: rfc822; {row.address}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; 550 {status} <x>: no such\r\n    mailbox\r\n\r\n"
        f"--b\r\nContent-Type: {kind}\r\n\r\n{head}\r\n--b--\r\n"
    ).encode()


def complaint(row: Sending) -> bytes:
    return (
        "From: fbl@mx.test\r\nSubject: complaint\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type="feedback-report"; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nVersion: 1\r\n\r\n"
        f"--b\r\nContent-Type: message/rfc822\r\n\r\nMessage-ID: <{row.token}@plant.test>\r\n\r\nHi\r\n--b--\r\n"
    ).encode()


def test_the_header_leads_to_the_mailbox_and_back(smtp: Sink, settings: SimpleNamespace) -> None:
    """What our own header says, sent by a mail program, takes the reader off the list."""
    settings.INBOUND_ADDRESS = US
    set_workspace(sender_email="ada@plant.test")
    make_walk(mail(step_id="m"), people=1)
    walk()
    assert sending.send_due(NOW, server=smtp.server).sent == 1
    row = Sending.objects.get()
    link, letter = str(smtp.messages[0]["List-Unsubscribe"]).split(", ")
    assert link.startswith("<http")
    address, _question, subject = letter.removeprefix("<mailto:").removesuffix(">").partition("?subject=")
    assert (address, smtp.messages[0]["From"].addresses[0].addr_spec) == (US, "ada@plant.test")
    assert smtp.senders == [US]  # servers report bounces there
    assert take(wish(subject.replace("%20", " ")), now=NOW) is Outcome.UNSUBSCRIBED
    assert take(wish(f"Re: Unsubscribe   {row.token}"), now=NOW) is Outcome.UNSUBSCRIBED  # twice is as good
    assert ConsentEvent.objects.get().source == "mailbox"
    assert state_of(row.address, "marketing") == "withdrawn"


@pytest.mark.parametrize("head_only", [False, True])
def test_a_bounce_suppresses_the_address_once(sent: Sending, head_only: bool) -> None:
    for _twice in range(2):
        assert take(bounce(sent, head_only=head_only), now=NOW) is Outcome.BOUNCED
    sent.refresh_from_db()
    assert (sent.state, sent.why_not) == ("bounced", "5.1.1 smtp; 550 5.1.1 <x>: no such mailbox")
    assert Suppression.objects.get().reason == "bounced"
    assert Activity.objects.filter(kind__slug="email_bounce").count() == 1


@pytest.mark.parametrize(
    ("action", "status", "outcome", "state"),
    [
        ("failed", "5.2.1", Outcome.BOUNCED, "bounced"),
        ("failed", "5.7.1", Outcome.BOUNCED, "bounced"),
        ("delayed", "4.4.1", Outcome.WAITS, "sent"),
        ("failed", "4.4.7", Outcome.WAITS, "sent"),
        ("delivered", "2.0.0", Outcome.UNKNOWN, "sent"),
        ("failed", "nonsense", Outcome.UNKNOWN, "sent"),
    ],
)
def test_what_a_report_means(sent: Sending, action: str, status: str, outcome: Outcome, state: str) -> None:
    assert take(bounce(sent, action=action, status=status), now=NOW) is outcome
    sent.refresh_from_db()
    assert sent.state == state
    assert Suppression.objects.exists() == (status == "5.2.1")


def test_a_complaint_counts_for_good(sent: Sending) -> None:
    for _twice in range(2):
        assert take(complaint(sent), now=NOW) is Outcome.COMPLAINED
    assert Suppression.objects.get().reason == "complained"
    assert Activity.objects.filter(kind__slug="email_complaint").count() == 1


def test_what_names_no_mail_of_ours_changes_nothing(sent: Sending) -> None:
    forged = bounce(sent, token=uuid.uuid4())
    broken = bounce(sent)[:300]
    for data in (
        forged,
        broken,
        b"",
        b"\xff\x00" * 500,
        wish("unsubscribe"),
        wish("Out of office"),
        wish(f"unsubscribe {uuid.uuid4()}"),
    ):
        assert take(data, now=NOW) is Outcome.UNKNOWN
    assert not ConsentEvent.objects.exists()
    assert not Suppression.objects.exists()
    sent.refresh_from_db()
    assert sent.state == "sent"


def test_the_command_reads_a_mail_or_a_maildir(
    sent: Sending, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"nothing")))
    call_command("take_mail")
    assert capsys.readouterr().out == "unknown\n"
    with pytest.raises(CommandError):
        call_command("take_mail", maildir=tmp_path)
    for folder in ("new", "cur"):
        (tmp_path / folder).mkdir()
    (tmp_path / "new" / "1.a").write_bytes(bounce(sent))
    (tmp_path / "new" / "2.b").write_bytes(b"garbage")
    call_command("take_mail", maildir=tmp_path)
    assert capsys.readouterr().out == "bounced: 1, unknown: 1\n"
    assert sorted(path.name for path in (tmp_path / "cur").iterdir()) == ["1.a:2,S", "2.b:2,S"]
    call_command("take_mail", maildir=tmp_path)
    assert capsys.readouterr().out == "nothing new\n"
