"""Operational mail goes first; a domain whose server asks for less of our mail is left alone, the others are not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache

from leads.models import Contact, Purpose
from nurture.mailing import queries_sending, sending
from nurture.mailing.message import BadAddress, Envelope, build
from nurture.models import DomainRest, Sending
from nurture.templating.rendering import Mail
from nurture.turn import take_in
from tests.makers import NOW, make_contact
from tests.nurture.makers import mail, make_people, make_program, make_template, put_in, segment_of, set_workspace, walk
from tests.nurture.sink import Sink, sink

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def smtp() -> Iterator[Sink]:
    with sink() as found:
        yield found


def queue(*people: Contact, purpose: str = "marketing", now: datetime = NOW) -> None:
    program = make_program(mail(make_template(purpose=purpose)), now=now)
    put_in(segment_of(program), people, now=now)
    take_in(now, full=True)
    walk(now)


def test_operational_mail_overtakes_marketing(smtp: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "SLICE", 3)
    Purpose.objects.create(slug="invoices", name="Invoices", basis="contract")
    crowd = make_people(7)
    queue(*crowd)
    late = make_contact("late@x.test")
    queue(late, purpose="invoices")
    rows = [row.address for row in queries_sending.reserve_sendings(now=NOW, lease_until=NOW, limit=3)]
    assert rows[0] == "late@x.test"
    assert sending.send_due(NOW + timedelta(minutes=5), server=smtp.server).sent == 8


def test_a_domain_that_says_421_is_left_alone_and_the_others_are_not(smtp: Sink) -> None:
    slow = [make_contact(f"n{number}@Slow.test") for number in range(4)]
    other = make_contact("zoe@quick.test")
    for person in slow:
        smtp.rcpt[str(person.email)] = "421 4.7.0 too much mail from you"
    queue(*slow, other)
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.again + report.later) == (1, 4)
    assert smtp.recipients == ["zoe@quick.test"]
    rest = DomainRest.objects.get()
    assert (rest.domain, rest.times) == ("slow.test", 1)
    assert NOW + timedelta(minutes=1) <= rest.until < NOW + timedelta(minutes=2)
    held = Sending.objects.filter(state="queued", why_not="domain_rests")
    assert set(held.values_list("tries", flat=True)) <= {0}  # nothing was offered: no try is counted
    assert report.later == held.count()
    queue(make_contact("new@slow.test"))  # while it rests, new mail waits in the claim
    report = sending.send_due(NOW + timedelta(seconds=30), server=smtp.server)
    assert (report.sent, report.later) == (0, 1)
    smtp.rcpt.clear()
    assert sending.send_due(NOW + timedelta(minutes=10), server=smtp.server).sent == 5


def test_rests_grow_and_are_forgiven(smtp: Sink) -> None:
    from nurture.mailing import domain_rests

    (person,) = make_people(1)
    queue(person)
    row = Sending.objects.get()
    at, lengths = NOW, []
    for _each in range(6):
        domain_rests.begin([row.pk], [], at=at)
        until = DomainRest.objects.get().until
        lengths.append((until - at) // timedelta(minutes=1))
        domain_rests.begin([row.pk], [], at=at)  # said twice at once: one rest
        assert DomainRest.objects.get().until == until
        at = until + timedelta(minutes=1)
    assert lengths == [1, 5, 15, 30, 60, 60]
    domain_rests.begin([row.pk], [], at=at + timedelta(hours=2))
    assert DomainRest.objects.get().times == 1


def test_what_is_said_about_us_or_one_mailbox_rests_no_domain(smtp: Sink) -> None:
    full, grey = make_contact("full@x.test"), make_contact("grey@x.test")
    smtp.rcpt = {"full@x.test": "452 4.2.2 mailbox full", "grey@x.test": "451 try later"}
    queue(full, grey, make_contact("fine@x.test"))
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.again) == (1, 2)
    assert not DomainRest.objects.exists()


LONGEST = "a" * 64 + "@" + ".".join(["b" * 61] * 4) + ".test"


@pytest.mark.parametrize("address", [LONGEST, "o'hara+news@x.test", "zoe@exämple.test", "x@xn--exmple-cua.test"])
def test_odd_addresses_arrive_whole(smtp: Sink, address: str) -> None:
    queue(make_contact(address))
    assert sending.send_due(NOW, server=smtp.server).sent == 1
    local, _at, domain = address.rpartition("@")
    assert smtp.recipients == [f"{local}@{domain.encode('idna').decode()}"]
    assert smtp.messages[0]["To"].addresses[0].addr_spec == smtp.recipients[0]


@pytest.mark.parametrize("address", ['"a b"@x.test', "a@x.test>\r\nRCPT TO:<b@x.test", "a@b@x.test\n", "é@x.test"])
def test_addresses_that_plain_smtp_cannot_carry_are_refused_before(address: str) -> None:
    envelope = Envelope(Sending().token, "Ada", "ada@plant.test", "Bo", address)
    with pytest.raises(BadAddress):
        build(Mail("S", "<p>x</p>", "x\n"), envelope, at=NOW)
