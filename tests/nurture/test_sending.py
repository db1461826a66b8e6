"""Mails really go by SMTP, once; who said no gets none, also while the mail is in the queue; every other end has its reason."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads import panels
from leads.actions import withdraw_consent
from leads.addresses import address_hash
from leads.models import Activity, ConsentEvent, Contact, Signal, Suppression
from leads.suppression import suppress
from leads.workspace import workspace
from nurture import actions
from nurture.mailing import queries_sending, sending
from nurture.mailing.message import Message
from nurture.mailing.smtp import Answer, Connection, Server
from nurture.models import Sending, TrackingDefaults
from nurture.turn import take_in
from tests.makers import NOW, make_activity, make_contact, make_user
from tests.nurture.makers import (
    mail,
    make_people,
    make_template,
    make_walk,
    put_in,
    segment_of,
    set_workspace,
    wait,
    walk,
)
from tests.nurture.sink import PATIENCE_SECONDS, Sink, sink

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(
        name="Plant Metrics", postal_address="Hauptstr. 1\nBerlin", sender_email="ada@plant.test", sender_name="Ada"
    )
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def smtp() -> Iterator[Sink]:
    with sink() as found:
        yield found


def queue(*people: Contact, body: str = "<p>Hi</p>", subject: str = "Hello {{ contact.first_name }}") -> None:
    program, _nobody = make_walk(mail(make_template(subject, body), "m"), wait(), people=0)
    put_in(segment_of(program), people)
    take_in(NOW, full=True)
    walk()


def test_a_mail_leaves_by_smtp(smtp: Sink) -> None:
    TrackingDefaults.objects.create(pk=1, is_on=False)  # with links that lead by us it leaves otherwise than it is kept
    person = make_contact("müller@exämple.test".replace("ü", "u"), first_name="Jörg", last_name="Müller, Dr.")
    queue(person, subject="Grüße {{ contact.first_name }}", body="<p>Hallo {{ contact.first_name }} &amp; 안녕</p>")
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.not_sent, report.uncertain) == (1, 0, 0)
    (message,) = smtp.messages
    assert smtp.recipients == ["muller@xn--exmple-cua.test"]
    assert message["Subject"] == "Grüße Jörg"
    assert message["From"] == "Ada <ada@plant.test>"
    assert message["To"].addresses[0].display_name == "Jörg Müller, Dr."
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    row = Sending.objects.get()
    assert str(row.token) in message["List-Unsubscribe"]
    assert message["Message-ID"] == row.message_id == f"<{row.token}@plant.test>"
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Hallo Jörg &amp; 안녕" in html
    assert "Hauptstr. 1" in html
    assert str(row.token) in html
    assert "Hallo Jörg & 안녕" in text
    assert (row.state, row.carrier, row.subject, row.tries) == ("sent", "smtp", "Grüße Jörg", 1)
    assert row.html.strip() == html.strip().replace("\r\n", "\n")
    assert Activity.objects.filter(contact=person, kind__slug="email_sent").count() == 1
    assert sending.send_due(NOW + timedelta(days=1), server=smtp.server).sent == 0
    assert len(smtp.received) == 1


def test_many_mails_over_several_connections(smtp: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each slice over the line that is free; never more lines than EMAIL_URL says."""
    monkeypatch.setattr(sending, "SLICE", 5)
    people = make_people(23)
    queue(*people)
    used = set[int]()
    deliver = Connection.deliver

    def told(self: Connection, message: Message) -> Answer:
        used.add(id(self))
        return deliver(self, message)

    monkeypatch.setattr(Connection, "deliver", told)
    assert sending.send_due(NOW, server=replace(smtp.server, connections=3)).sent == 23
    assert sorted(smtp.recipients) == sorted(str(person.email) for person in people)
    assert 1 <= len(used) <= 3


def test_many_mails_on_one_connection(smtp: Sink) -> None:
    people = make_people(45)
    queue(*people)
    assert sending.send_due(NOW, server=smtp.server).sent == 45
    assert sorted(smtp.recipients) == sorted(str(person.email) for person in people)
    assert Signal.objects.filter(kind__slug="email_sent").count() == 45


def test_who_unsubscribes_while_the_mail_is_in_the_queue_gets_none(smtp: Sink) -> None:
    people = make_people(3)
    queue(*people)
    withdraw_consent(str(people[0].email), source="test", now=NOW)
    suppress(str(people[1].email), reason="complained", source="test", now=NOW)
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.not_sent) == (1, 2)
    assert smtp.recipients == [people[2].email]
    reasons = dict(Sending.objects.filter(state="not_sent").values_list("contact_id", "why_not"))
    assert reasons == {people[0].pk: "withdrawn", people[1].pk: "complained"}


def test_a_withdrawal_between_preparing_and_claiming_counts(smtp: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    (person,) = make_people(1)
    queue(person)
    real = sending._claim

    def late(*args: object, **kwargs: object) -> object:
        withdraw_consent(str(person.email), source="test", now=NOW)
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(sending, "_claim", late)
    assert sending.send_due(NOW, server=smtp.server).sent == 0
    assert smtp.received == []
    assert Sending.objects.get().state == "not_sent"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["given"], "sent"),
        (["withdrawn"], "not_sent"),
        (["given", "withdrawn"], "not_sent"),
        (["withdrawn", "given"], "sent"),
        (["asked"], "not_sent"),
        (["given", "asked"], "sent"),
        (["withdrawn", "asked"], "not_sent"),
    ],
)
def test_the_last_word_of_the_ledger_counts(smtp: Sink, states: list[str], expected: str) -> None:
    person = make_contact("ada@example.test")
    for place, state in enumerate(states):
        ConsentEvent.objects.create(
            address_hash=address_hash(str(person.email)),
            state=state,
            occurred_at=NOW - timedelta(days=9 - place),
            source="test",
        )
    queue(person)
    sending.send_due(NOW, server=smtp.server)
    assert Sending.objects.get().state == expected


@pytest.mark.parametrize(
    "address", ["ada@example.test", "groß@example.test", "İstanbul@example.test", "o'neil\\x@example.test", "ÄÖ@x.test"]
)
def test_the_database_hashes_addresses_as_python_does(address: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT leads_address_hash(%s)", [address])
        assert cursor.fetchone()[0] == address_hash(address)


def test_a_contact_without_address_has_its_reason() -> None:
    person = make_contact()
    Contact.objects.filter(pk=person.pk).update(email=None)
    queue(person)
    assert (Sending.objects.get().state, Sending.objects.get().why_not) == ("not_sent", "no_address")


def test_a_broken_placeholder_is_a_reason_and_stops_nobody(smtp: Sink) -> None:
    bad, good = make_people(2)
    Contact.objects.filter(pk=bad.pk).update(title="0")
    queue(bad, good, body="{% if contact.title == '0' %}{{ 1 | divided_by: 0 }}{% endif %}ok")
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.not_sent) == (1, 1)
    assert "placeholder" in Sending.objects.get(contact=bad).why_not


@pytest.mark.parametrize("address", ["no at", "a b@x.test", "ünï@x.test", '"a\r\nBcc: b"@x.test', "a@", "@x.test"])
def test_an_address_that_mail_cannot_reach(smtp: Sink, address: str) -> None:
    person = make_contact()
    Contact.objects.filter(pk=person.pk).update(email=address.lower())
    queue(person)
    assert sending.send_due(NOW, server=smtp.server).sent == 0
    assert smtp.received == []
    assert Sending.objects.get().state == "not_sent"


def test_names_and_subjects_inject_no_header(smtp: Sink) -> None:
    person = make_contact(first_name='A\r\nBcc: evil@x.test\r\n\r\n<b>"', last_name="B,;<c@x.test>")
    queue(person, subject="Hi {{ contact.first_name }}\nX-Evil: 1")
    assert sending.send_due(NOW, server=smtp.server).sent == 1
    (message,) = smtp.messages
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert smtp.recipients == [person.email]
    assert message["To"].addresses[0].addr_spec == person.email


def test_temporary_refusals_come_again_with_growing_pauses(smtp: Sink) -> None:
    (person,) = make_people(1)
    queue(person)
    smtp.rcpt[str(person.email)] = "450 4.2.1 busy"
    at = NOW
    for minutes in sending.BACK_OFF:
        assert sending.send_due(at, server=smtp.server).again == 1
        row = Sending.objects.get()
        assert row.state == "queued"
        pause = timedelta(minutes=minutes)
        assert (
            pause <= row.due_at - at < pause + timedelta(seconds=60)
        )  # counted from the answer, however busy the machine
        assert sending.send_due(at + pause / 2, server=smtp.server).again == 0
        at = row.due_at
    assert sending.send_due(at, server=smtp.server).not_sent == 1
    assert Sending.objects.get().why_not.startswith("Given up after 8 tries")


def test_a_mail_that_goes_through_at_the_second_try(smtp: Sink) -> None:
    (person,) = make_people(1)
    queue(person)
    smtp.data[str(person.email)] = "451 4.3.0 later"
    sending.send_due(NOW, server=smtp.server)
    smtp.data.clear()
    assert sending.send_due(NOW + timedelta(minutes=2), server=smtp.server).sent == 1
    assert len(smtp.received) == 1


@pytest.mark.parametrize(
    ("answer", "is_suppressed"),
    [("550 5.1.1 no such user", True), ("550 unknown", True), ("550 5.7.1 policy", False), ("552 5.2.2 full", False)],
)
def test_permanent_refusals_bounce(smtp: Sink, answer: str, is_suppressed: bool) -> None:
    bad, good = make_people(2)
    queue(bad, good)
    smtp.rcpt[str(bad.email)] = answer
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.bounced) == (1, 1)
    assert Sending.objects.get(contact=bad).why_not == answer
    assert Suppression.objects.filter(address_hash=address_hash(str(bad.email))).exists() == is_suppressed
    assert Activity.objects.filter(contact=bad, kind__slug="email_bounce").count() == 1


def test_taken_but_never_answered_is_uncertain_and_not_repeated(smtp: Sink) -> None:
    first, second, third = make_people(3)
    queue(first, second, third)
    smtp.data[str(second.email)] = "drop"
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.uncertain) == (2, 1)
    assert sending.send_due(NOW + timedelta(days=2), server=smtp.server).sent == 0
    assert len(smtp.received) == 3
    row = Sending.objects.get(contact=second)
    assert row.state == "uncertain"
    actions.mark_as_sent(row, actor=None, now=NOW)
    assert Sending.objects.get(contact=second).state == "sent"
    with pytest.raises(actions.NurtureRefused):
        actions.resend(row, actor=None, now=NOW)


def test_resending_keeps_the_message_id(smtp: Sink) -> None:
    (person,) = make_people(1)
    queue(person)
    smtp.data[str(person.email)] = "drop"
    sending.send_due(NOW, server=smtp.server)
    smtp.data.clear()
    actions.resend(Sending.objects.get(), actor=make_user(), now=NOW + timedelta(hours=1))
    assert sending.send_due(NOW + timedelta(hours=1), server=smtp.server).sent == 1
    assert len({message["Message-ID"] for message in smtp.messages}) == 1


@pytest.mark.parametrize(
    ("where", "what", "state", "came_in"),
    [
        ("rcpt", "421 4.3.2 shutting down", "queued", 0),
        ("data", "421 4.3.2 shutting down", "queued", 0),
        ("data", "cut", "uncertain", 0),
        ("data", "drop", "uncertain", 1),
        ("data", "554 5.6.0 not this mail", "bounced", 0),
    ],
)
def test_a_server_that_fails_in_every_way(smtp: Sink, where: str, what: str, state: str, came_in: int) -> None:
    """The one mail has its answer, the others leave once; what may have left is listed and not repeated."""
    people = make_people(3)
    hit = people[1]
    queue(*people)
    failing = getattr(smtp, where)
    failing[str(hit.email)] = what
    sending.send_due(NOW, server=smtp.server)
    row = Sending.objects.get(contact=hit)
    assert (row.state, row.why_not != "", row.claimed_at is None) == (state, True, state == "queued")
    assert smtp.recipients.count(str(hit.email)) == came_in
    failing.clear()
    sending.send_due(NOW + timedelta(minutes=5), server=smtp.server)
    assert set(Sending.objects.exclude(contact=hit).values_list("state", flat=True)) == {"sent"}
    leaves = came_in or state == "queued"
    assert sorted(smtp.recipients) == sorted(str(person.email) for person in people if person != hit or leaves)


@pytest.mark.parametrize(
    ("where", "phase", "state", "came_in"),
    [
        ("rcpt", "RCPT", "queued", 0),
        ("begin", "DATA", "queued", 0),
        ("data", "mail", "uncertain", 1),
    ],
)
def test_a_server_that_hangs(
    smtp: Sink, monkeypatch: pytest.MonkeyPatch, where: str, phase: str, state: str, came_in: int
) -> None:
    """It never answers, at each stage: only once the whole mail was offered may it have left. The others leave meanwhile."""
    people = make_people(3)
    queue(*people)
    hit = str(people[1].email)
    getattr(smtp, where)[hit] = "hang"
    heard = Connection._heard

    def impatient(self: Connection, line: smtplib.SMTP, asked: str) -> tuple[int, bytes]:
        """Short of patience where no answer will come, and only there: a busy machine is no silence."""
        assert line.sock is not None
        line.sock.settimeout(0.3 if (recipients[-1], asked) == (hit, phase) else PATIENCE_SECONDS)
        return heard(self, line, asked)

    recipients: list[str] = []
    deliver = Connection.deliver

    def told(self: Connection, message: Message) -> Answer:
        recipients.append(message.recipient)
        return deliver(self, message)

    monkeypatch.setattr(Connection, "deliver", told)
    monkeypatch.setattr(Connection, "_heard", impatient)
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.again, report.uncertain) == (2, state == "queued", state == "uncertain")
    row = Sending.objects.get(contact=people[1])
    assert (row.state, row.why_not, smtp.recipients.count(hit)) == (
        state,
        "Connection unexpectedly closed: timed out",
        came_in,
    )
    smtp.rcpt.clear()
    smtp.begin.clear()
    smtp.data.clear()
    assert sending.send_due(NOW + timedelta(minutes=5), server=smtp.server).sent == (state == "queued")
    assert sorted(smtp.recipients) == sorted(str(person.email) for person in people)


def test_what_the_url_says_of_the_server() -> None:
    assert Server.from_url("smtp://ada:p%40ss@mail.test?tls=starttls&connections=5") == Server(
        "mail.test", 587, "ada", "p@ss", "starttls", connections=5
    )
    assert Server.from_url("smtps://mail.test") == Server("mail.test", 465, tls="implicit", connections=2)
    for connections in ("0", "11", "many"):
        with pytest.raises(ImproperlyConfigured, match="choose 1 to 10"):
            Server.from_url(f"smtp://mail.test?connections={connections}")


def test_a_server_that_greets_nobody_loses_and_counts_nothing(smtp: Sink) -> None:
    queue(*make_people(2))
    smtp.greeting = "hang"
    mute = Server(smtp.server.host, smtp.port, seconds=0.3)
    assert "does not answer" in sending.send_due(NOW, server=mute).problem
    assert set(Sending.objects.values_list("state", "tries", "claimed_at")) == {("queued", 0, None)}
    smtp.greeting = ""
    cache.clear()
    assert sending.send_due(NOW + timedelta(minutes=3), server=smtp.server).sent == 2


def test_a_server_that_takes_a_mail_and_hangs_up(smtp: Sink) -> None:
    """Taken is taken; the next mail finds the line closed, goes over a new one, and uses up no try."""
    people = make_people(3)
    queue(*people)
    smtp.data = {str(person.email): "hang up" for person in people}
    report = sending.send_due(NOW, server=smtp.server)
    assert (report.sent, report.again, report.uncertain, report.problem) == (3, 0, 0, "")
    assert sorted(smtp.recipients) == sorted(str(person.email) for person in people)
    assert set(Sending.objects.values_list("state", "tries")) == {("sent", 1)}


def test_what_arrives_is_what_was_written_byte_by_byte(smtp: Sink) -> None:
    """Ready for DKIM: nothing on the way has to encode or fold anything, in any language."""
    words = ["안녕하세요, 반갑습니다", "مرحبا بكم في شركتنا", "Grüße — schön", "こんにちは", "Hello"]
    people = [make_contact(f"reader{n}@x.test", first_name=word, last_name=".") for n, word in enumerate(words)]
    body = "<p dir='auto'>{{ contact.first_name }}</p>\n.\n..\n<p>" + "long " * 400 + "</p>"
    queue(*people, body=body, subject="{{ contact.first_name }} {{ contact.first_name }}")
    assert sending.send_due(NOW, server=smtp.server).sent == 5
    home = workspace()
    rows = {row.address: row for row in Sending.objects.select_related("contact", "template")}
    for (to, data), message in zip(smtp.received, smtp.messages, strict=True):
        row = rows.pop(to[0])
        written, _stored = sending.write(row, home, at=message["Date"].datetime)
        assert data == written.data
        assert max(map(len, data.split(b"\r\n"))) <= 998  # RFC 5322
        assert data.isascii()
        assert (message["Subject"], message.defects) == (row.subject, [])
    assert not rows
    assert {row.subject for row in Sending.objects.all()} == {f"{word} {word}" for word in words}


def test_the_longest_address_there_can_be(smtp: Sink) -> None:
    domain = ".".join(["d" * 63, "d" * 63, "d" * 63, "d" * 58, "test"])
    address = f"{'a' * 64}@{domain}"
    assert len(address) == 320
    queue(make_contact(address, first_name="Ada", last_name="L" * 150))
    assert sending.send_due(NOW, server=smtp.server).sent == 1
    assert smtp.recipients == [address]
    assert [one.addr_spec for one in smtp.messages[0]["To"].addresses] == [address]


@pytest.mark.parametrize("greeting", ["421 4.3.2 too busy", "554 5.7.1 go away"])
def test_a_server_that_turns_us_away_uses_up_no_try(smtp: Sink, greeting: str) -> None:
    queue(*make_people(2))
    smtp.greeting = greeting
    assert sending.send_due(NOW, server=smtp.server).problem == f"No mail leaves: {greeting}"
    assert set(Sending.objects.values_list("state", "tries", "claimed_at")) == {("queued", 0, None)}
    smtp.greeting = ""
    cache.clear()
    assert sending.send_due(NOW + timedelta(minutes=3), server=smtp.server).sent == 2


def test_no_server_loses_and_counts_nothing() -> None:
    people = make_people(3)
    queue(*people)
    with socket.socket() as silent:  # its port is taken, and nobody listens
        silent.bind(("127.0.0.1", 0))
        nobody = Server("127.0.0.1", silent.getsockname()[1])
        report = sending.send_due(NOW, server=nobody)
        assert "does not answer" in report.problem
        assert list(Sending.objects.values_list("state", "tries").distinct()) == [("queued", 0)]
        assert sending.send_due(NOW, server=nobody).problem == report.problem  # at rest
    cache.clear()
    with sink() as found:
        assert sending.send_due(NOW + timedelta(minutes=3), server=found.server).sent == 3


def test_without_a_sender_address_mail_waits(smtp: Sink) -> None:
    queue(*make_people(1))
    set_workspace(sender_email="")
    assert "sender" in sending.send_due(NOW, server=smtp.server).problem
    assert Sending.objects.get().state == "queued"


def test_without_a_server_mail_stays_in_the_outbox() -> None:
    person, gone = make_people(2)
    queue(person, gone)
    withdraw_consent(str(gone.email), source="test", now=NOW)
    report = sending.send_due(NOW)
    assert (report.sent, report.not_sent) == (1, 1)
    row = Sending.objects.get(contact=person)
    assert (row.state, row.carrier) == ("sent", "outbox")
    assert "Hi" in row.html
    assert ["To", f"{person.full_name} <{person.email}>"] in row.headers
    assert Activity.objects.filter(contact=person, kind__slug="email_sent").count() == 1


def test_a_worker_that_died_leaves_an_uncertain_mail() -> None:
    (person,) = make_people(1)
    queue(person)
    Sending.objects.update(state="sending", lease_until=NOW + timedelta(minutes=5))
    assert sending.send_due(NOW).uncertain == 0
    assert sending.send_due(NOW + timedelta(minutes=6)).uncertain == 1
    assert (Sending.objects.get().state, Sending.objects.get().why_not) == ("uncertain", "worker_died")


def test_a_reservation_ends_by_itself(smtp: Sink) -> None:
    (person,) = make_people(1)
    queue(person)
    assert len(queries_sending.reserve_sendings(now=NOW, lease_until=NOW + sending.RESERVED, limit=9)) == 1
    assert sending.send_due(NOW, server=smtp.server).sent == 0
    assert sending.send_due(NOW + sending.RESERVED, server=smtp.server).sent == 1


def test_a_paused_program_holds_prepared_mail(smtp: Sink) -> None:
    from nurture.models import Program

    queue(*make_people(1))
    Program.objects.update(state="paused")  # as between two statements of a pause
    sending.send_due(NOW, server=smtp.server)
    assert Sending.objects.get().state == "held"


def test_a_deleted_contact_gets_none(smtp: Sink) -> None:
    from leads.actions import delete_contact

    (person,) = make_people(1)
    queue(person)
    delete_contact(person, actor=None, now=NOW)
    assert sending.send_due(NOW, server=smtp.server).sent == 0
    assert smtp.received == []


def test_a_test_mail_goes_to_the_colleague_only(smtp: Sink) -> None:
    person, user = make_contact(first_name="Zoe"), make_user()
    withdraw_consent(user.email, source="test", now=NOW)
    actions.send_test(make_template(), to=user.email, contact=person, actor=user, now=NOW)
    assert sending.send_due(NOW, server=smtp.server).sent == 1
    (message,) = smtp.messages
    assert message["Subject"] == "[Test] Hello Zoe"
    assert message["List-Unsubscribe"] is None
    assert smtp.recipients == [user.email]
    assert not Activity.objects.filter(contact=person).exists()


def test_statements_per_slice_do_not_grow_with_mails() -> None:
    numbers = []
    for people in (1, 3, 15):
        queue(*make_people(people))
        with CaptureQueriesContext(connection) as captured:
            assert sending.send_due(NOW).sent == people
        numbers.append(len(captured))
    assert numbers[1] == numbers[2]


def test_nothing_due_costs_two_statements() -> None:
    with CaptureQueriesContext(connection) as captured:
        sending.send_due(NOW)
    assert len(captured) == 2


def test_the_timeline_tells_a_mail_once() -> None:
    ada = make_contact("ada@example.test", created_at=NOW - timedelta(days=9))
    make_activity(ada, "email_sent", subject="By another system", source="newsletter", at=NOW - timedelta(days=1))
    queue(ada, subject="Hello")
    sending.send_due(NOW)
    page = panels.timeline(ada.pk, before=None, limit=50)
    told = [str(event.title) for event in page.events if event.category in ("mails", "activities")]
    assert told == ["Mail “Hello” sent", "E-mail sent: By another system"]
