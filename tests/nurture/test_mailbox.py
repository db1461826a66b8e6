"""The mailbox read by IMAP from a real server: each mail once, whatever breaks; odd ones are put aside."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError

from leads.consent import state_of
from leads.models import Activity, ConsentEvent, Suppression
from nurture.mailbox import box, reading
from nurture.mailbox.box import Address
from nurture.mailing import incoming, sending
from nurture.models import MailboxLetter, MailboxState, Sending
from tests.makers import NOW
from tests.nurture.imap_server import ImapServer, imap_server
from tests.nurture.makers import mail, make_walk, set_workspace, walk
from tests.nurture.test_incoming import bounce, complaint, wish

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def imap() -> Iterator[ImapServer]:
    with imap_server() as found:
        yield found


@pytest.fixture
def sent() -> Sending:
    set_workspace(sender_email="ada@plant.test")
    make_walk(mail(step_id="m"), people=1)
    walk()
    assert sending.send_due(NOW).sent == 1
    return Sending.objects.get()


def read(imap: ImapServer, *, minutes: int = 0) -> reading.Report:
    cache.clear()  # the rest after a failure is over
    return reading.read(NOW + timedelta(minutes=minutes), address=imap.address)


@pytest.mark.parametrize("capabilities", ["IMAP4rev1 UIDPLUS MOVE", "IMAP4rev1 UIDPLUS", "IMAP4rev1"])
def test_bounces_and_wishes_are_taken_and_moved_away(imap: ImapServer, sent: Sending, capabilities: str) -> None:
    imap.capabilities = capabilities
    imap.put(wish(f"unsubscribe {sent.token}"), b"Subject: hello\r\n\r\nnothing for us", bounce(sent), b"\xff\x00\r\n")
    report = read(imap)
    assert (report.taken, report.parked, report.waiting, report.problem) == (4, 0, 0, "")
    assert [mail for mail in imap.folders["INBOX"] if not mail.is_deleted] == []
    assert imap.count()["Ripen-done"] == 4
    assert sorted(MailboxLetter.objects.values_list("outcome", flat=True)) == [
        "bounced", "unknown", "unknown", "unsubscribed",
    ]  # fmt: skip
    assert state_of(sent.address, "marketing") == "withdrawn"
    assert Suppression.objects.get().reason == "bounced"
    assert read(imap).taken == 0
    assert MailboxState.objects.get().read_at == NOW


def test_complaints_arrive_by_mailbox(imap: ImapServer, sent: Sending) -> None:
    imap.put(complaint(sent))
    assert read(imap).taken == 1
    assert Suppression.objects.get().reason == "complained"
    assert ConsentEvent.objects.get().source == "complaint"


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "literal", "UID MOVE"])
def test_a_connection_that_breaks_loses_nothing_and_repeats_nothing(
    imap: ImapServer, sent: Sending, command: str
) -> None:
    imap.put(bounce(sent), wish(f"unsubscribe {sent.token}"), complaint(sent))
    imap.cut_after[command] = 0 if command in ("LOGIN", "SELECT", "UID SEARCH", "literal") else 1
    report = read(imap)
    assert report.problem
    state = MailboxState.objects.get()
    assert (state.failures, state.read_at) == (1, None)
    assert read(imap).problem == ""
    assert imap.count() == {"INBOX": 0, "Ripen-done": 3, "Ripen-parked": 0}
    assert MailboxLetter.objects.count() == 3
    told = Activity.objects.filter(kind__slug__in=["email_bounce", "email_complaint"]).values_list(
        "kind__slug", flat=True
    )
    assert sorted(told) == ["email_bounce", "email_complaint"]  # each once: a complaint is news after a bounce
    assert MailboxState.objects.get().failures == 0


def test_a_copy_without_the_move_is_seen_again_and_does_nothing(imap: ImapServer, sent: Sending) -> None:
    imap.capabilities = "IMAP4rev1"
    imap.put(bounce(sent))
    imap.cut_after["UID STORE"] = 0
    assert read(imap).problem
    report = read(imap)
    assert (report.taken, report.again, report.problem) == (0, 1, "")
    assert Activity.objects.filter(kind__slug="email_bounce").count() == 1


def test_other_uids_do_not_matter(imap: ImapServer, sent: Sending) -> None:
    imap.put(bounce(sent))
    data = imap.folders["INBOX"][0].data
    assert read(imap).taken == 1
    imap.number_anew()
    imap.put(data)  # a backup brings it back
    report = read(imap)
    assert (report.taken, report.again) == (0, 1)
    assert imap.count()["INBOX"] == 0


def test_an_odd_one_is_put_aside_and_the_others_go_on(
    imap: ImapServer, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = incoming.take

    def sometimes(data: bytes, **values: object) -> incoming.Outcome:
        if b"odd" in data:
            Suppression.objects.create(address_hash="x", reason="by_hand", since=NOW)  # undone with the rest
            raise ValueError("cannot be read")
        return take(data, now=NOW)

    monkeypatch.setattr(incoming, "take", sometimes)
    imap.put(b"Message-ID: <odd@x.test>\r\n\r\nodd", bounce(sent))
    report = read(imap)
    assert (report.taken, report.parked) == (1, 1)
    assert imap.count() == {"INBOX": 0, "Ripen-done": 1, "Ripen-parked": 1}
    parked = MailboxLetter.objects.get(state="parked")
    assert (parked.message_id, parked.problem) == ("<odd@x.test>", "ValueError: cannot be read")
    assert Suppression.objects.get().reason == "bounced"


def test_a_database_that_is_gone_is_nobodys_fault(
    imap: ImapServer, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(data: bytes, **values: object) -> incoming.Outcome:
        raise OperationalError("gone")

    imap.put(bounce(sent))
    with monkeypatch.context() as patched:
        patched.setattr(incoming, "take", gone)
        with pytest.raises(OperationalError):
            read(imap)
    assert imap.count()["INBOX"] == 1
    assert read(imap).taken == 1


def test_a_huge_mail_is_read_no_further_than_needed(
    imap: ImapServer, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "LARGEST", 20_000)
    imap.put(bounce(sent) + b"x" * 100_000)
    assert read(imap).taken == 1
    letter = MailboxLetter.objects.get()
    assert (letter.outcome, letter.size_bytes > 100_000) == ("bounced", True)


def test_so_many_at_once(imap: ImapServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 2)
    imap.put(*(f"Subject: {number}\r\n\r\n".encode() for number in range(5)))
    assert [(found.taken, found.waiting) for found in (read(imap), read(imap), read(imap))] == [(2, 3), (2, 1), (1, 0)]


def test_after_a_failure_it_rests_longer_each_time(imap: ImapServer, settings: SimpleNamespace) -> None:
    assert reading.read(NOW).problem == ""  # none is named: nothing is asked
    assert imap.heard == []
    wrong = Address("127.0.0.1", imap.port, "bounces@plant.test", "wrong", tls="none")
    for failures in (1, 2):
        cache.clear()
        assert "AUTHENTICATIONFAILED" in reading.read(NOW, address=wrong).problem
        assert MailboxState.objects.get().failures == failures
        heard = len(imap.heard)
        assert reading.read(NOW, address=wrong) == reading.Report()  # it rests
        assert len(imap.heard) == heard
    assert "wrong" not in MailboxState.objects.get().problem
    imap.refused["SELECT"] = "over quota"
    assert read(imap).problem == "over quota"


def test_a_server_that_drips_for_ever_is_not_waited_for(
    imap: ImapServer, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    imap.put(bounce(sent))
    imap.drips = "UID FETCH"
    with monkeypatch.context() as hasty:
        hasty.setattr(box, "MOST_SECONDS", 0.3)
        assert read(imap).problem != ""
    imap.drips = ""
    assert (read(imap).taken, imap.count()["INBOX"]) == (1, 0)


def test_no_password_goes_over_an_open_line(imap: ImapServer) -> None:
    cache.clear()
    address = Address("127.0.0.1", imap.port, "bounces@plant.test", "x", tls="starttls")
    assert reading.read(NOW, address=address).problem
    assert "LOGIN" not in imap.heard


def test_an_address_says_where_and_not_with_what() -> None:
    found = Address.from_url("imaps://bounces%40plant.test:s3cret@imap.test/Bounces?done=Done&parked=Odd")
    assert found == Address("imap.test", 993, "bounces@plant.test", "s3cret", "Bounces", "Done", "Odd")
    assert "s3cret" not in repr(found)
    assert Address.from_url("imap://a:b@imap.test").tls == "starttls"
    for bad in (
        "pop3://a:b@x.test",
        "imaps://x.test",
        "imap://a:b@x.test?tls=maybe",
        "imaps://a:b@x.test?nonsense=1",
        "imaps://a:b@x.test/IN%0D%0ABOX",
        "imaps://a:b@x.test/INBOX?done=INBOX",
    ):
        with pytest.raises(ImproperlyConfigured):
            Address.from_url(bad)
