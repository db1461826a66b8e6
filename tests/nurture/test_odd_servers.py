"""What an odd mail server says is never taken for more than it is: no mail twice, none lost, what may have left is uncertain."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.cache import cache

from leads.models import Suppression
from nurture.mailing import sending
from nurture.mailing.message import Message
from nurture.mailing.smtp import Connection, Verdict
from nurture.models import Sending
from tests.makers import NOW
from tests.nurture.makers import mail, make_walk, set_workspace, walk
from tests.nurture.odd_server import (
    A_MEGABYTE,
    OddServer,
    Says,
    Session,
    closes,
    drips,
    drips_lines,
    odd_server,
    pours,
)
from tests.nurture.sink import PATIENCE_SECONDS


@pytest.fixture(autouse=True)
def _clean_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(params=[(), ("PIPELINING",)], ids=["one by one", "at once"])
def odd(request: pytest.FixtureRequest) -> Iterator[OddServer]:
    with odd_server() as found:
        found.features = request.param
        yield found


def queue(people: int = 1) -> None:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    make_walk(mail(step_id="m"), people=people)
    walk()


LATER, UNSURE, BACK, OUT = Verdict.TEMPORARY, Verdict.UNCERTAIN, Verdict.PERMANENT, Verdict.SENT
US = Verdict.SERVER_DOWN  # it is about us, not about this mail: no try is counted
GONE, ENDLESS = "Connection unexpectedly closed", "Connection unexpectedly closed: the answer has no end"
MAIL = Message("<m@x.test>", "a@x.test", "b@x.test", [], b"Subject: x\r\n\r\n.dot\r\n")


@pytest.mark.parametrize(
    ("point", "said", "verdict", "words"),
    [
        ("MAIL", b"421 4.3.2 not now\r\n", US, "421 4.3.2 not now"),
        ("MAIL", b"530 5.7.0 sign in first\r\n", US, "530 5.7.0 sign in first"),
        ("MAIL", b"550 5.4.5 daily limit\r\n", US, "550 5.4.5 daily limit"),
        ("MAIL", b"451 4.1.8 who are you\r\n", US, "451 4.1.8 who are you"),
        ("MAIL", b"552 5.3.4 too large\r\n", BACK, "552 5.3.4 too large"),
        ("MAIL", b"what?\r\n", US, "-1 ?"),
        ("MAIL", A_MEGABYTE, US, "500 Line too long."),
        ("MAIL", closes, US, GONE),
        ("RCPT", b"251 2.1.5 will forward\r\n", OUT, ""),
        ("RCPT", b"252 cannot look, will try\r\n", OUT, ""),
        ("RCPT", b"250-2.1.5 well\r\n250-2.1.5 let me see\r\n250 2.1.5 yes\r\n", OUT, ""),
        ("RCPT", b"550-5.1.1 \xff\x00 no\r\n550 5.1.1 such\tuser\r\n", Verdict.BAD_ADDRESS, "550 5.1.1 \ufffd no 5.1.1 such user"),
        ("RCPT", b"\xff\xfe\x00\r\n", LATER, "-1"),
        ("RCPT", b"354 go on\r\n", LATER, "354 go on"),
        ("RCPT", A_MEGABYTE, LATER, "500 Line too long."),
        ("RCPT", pours, LATER, ENDLESS),
        ("RCPT", closes, LATER, GONE),
        ("DATA", b"250 OK\r\n", LATER, "250 OK"),
        ("DATA", b"421 4.3.2 bye\r\n", LATER, "421 4.3.2 bye"),
        ("DATA", b"554 5.5.1 no valid recipients\r\n", BACK, "554 5.5.1 no valid recipients"),
        ("DATA", closes, LATER, GONE),
        ("mail", b"250-2.0.0 taken\r\n250 2.0.0 as 4711\r\n", OUT, ""),
        ("mail", b"251 taken\r\n", OUT, ""),
        ("mail", b"421 4.3.2 bye\r\n", LATER, "421 4.3.2 bye"),
        ("mail", b"452 4.3.1 \x00disk full\r\n", LATER, "452 4.3.1 disk full"),
        ("mail", b"554 5.7.1 \xe9\x00 spam\r\n", BACK, "554 5.7.1 \ufffd spam"),
        ("mail", b"taken, I think\r\n", UNSURE, "-1 n, I think"),
        ("mail", b"354 more, please\r\n", UNSURE, "354 more, please"),
        ("mail", b"999 \x00\r\n", UNSURE, "999"),
        ("mail", A_MEGABYTE, UNSURE, "500 Line too long."),
        ("mail", pours, UNSURE, ENDLESS),
        ("mail", closes, UNSURE, GONE),
    ],
)  # fmt: skip
def test_each_answer_at_each_point(odd: OddServer, point: str, said: Says, verdict: Verdict, words: str) -> None:
    """What may have left is only what followed a 354; the next mail goes over the same line or a new one, as if nothing had been."""
    odd.answers[point] = said
    with closing(Connection(odd.server)) as line:
        answer = line.deliver(MAIL)
        assert (answer.verdict, answer.words) == (verdict, words)
        taken = len(odd.mails)
        assert taken == (point == "mail" or verdict is OUT)
        odd.answers.clear()
        assert line.deliver(MAIL).verdict is OUT
    assert odd.mails[taken:] == [MAIL.data.replace(b".dot", b"..dot") + b".\r\n"]


@pytest.mark.parametrize("behave", [drips, drips_lines])
@pytest.mark.parametrize(("point", "verdict"), [("MAIL", US), ("RCPT", LATER), ("DATA", LATER), ("mail", UNSURE)])
def test_an_answer_that_drips_for_ever_is_not_waited_for(
    odd: OddServer, monkeypatch: pytest.MonkeyPatch, behave: Says, point: str, verdict: Verdict
) -> None:
    odd.answers[point] = behave
    heard = Connection._heard

    def impatient(self: Connection, smtp: smtplib.SMTP, phase: str) -> tuple[int, bytes]:
        """Short of patience where no answer will end, and only there: a busy machine is no silence."""
        assert smtp.file is not None
        smtp.file.raw.seconds = 0.1 if phase == point and odd.answers else PATIENCE_SECONDS
        return heard(self, smtp, phase)

    monkeypatch.setattr(Connection, "_heard", impatient)
    with closing(Connection(odd.server)) as line:
        assert line.deliver(MAIL).verdict is verdict
        odd.answers.clear()
        assert line.deliver(MAIL).verdict is OUT


@pytest.mark.parametrize("point", ["greeting", "EHLO"])
@pytest.mark.parametrize("said", [drips, pours, closes, A_MEGABYTE, b"\xff\x00\r\n", b"554 5.7.1 \x00 go away\r\n"])
def test_a_server_that_never_comes_to_the_point(odd: OddServer, point: str, said: Says) -> None:
    odd.answers[point] = said
    answer = Connection(replace(odd.server, seconds=0.2)).deliver(
        MAIL
    )  # whatever it takes too long for: nothing was offered
    assert answer.verdict is US
    assert answer.words.isprintable()
    assert answer.words != ""
    assert odd.mails == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("point", "said", "state", "tries", "why"),
    [
        ("MAIL", b"530 5.7.0 sign in\x00 first\r\n", "queued", 0, ""),
        ("RCPT", b"450 4.2.0 \x00 later\r\n", "queued", 1, "450 4.2.0 later"),
        ("mail", b"554 5.7.1 \xe9\x00 spam\r\n", "bounced", 1, "554 5.7.1 \ufffd spam"),
        ("mail", b"\x00\xff\r\n", "uncertain", 1, "-1"),
    ],
)
def test_what_is_kept_of_odd_answers(odd: OddServer, point: str, said: Says, state: str, tries: int, why: str) -> None:
    """No letter of a server stops the others: each mail has its state, and what waits leaves once the server comes to its senses."""
    queue(2)
    odd.answers[point] = said
    report = sending.send_due(NOW, server=odd.server)
    assert set(Sending.objects.values_list("state", "tries", "why_not")) == {(state, tries, why)}
    assert report.problem == ("" if tries else "No mail leaves: 530 5.7.0 sign in first")
    taken = len(odd.mails)
    odd.answers.clear()
    cache.clear()
    waiting = 2 if state == "queued" else 0
    assert sending.send_due(NOW + timedelta(minutes=5), server=odd.server).sent == waiting
    assert len(odd.mails) == taken + waiting


def test_who_knows_no_ehlo_is_greeted_plainly(odd: OddServer) -> None:
    odd.answers |= {"EHLO": b"502 5.5.1 what?\r\n", "HELO": b"250 odd\r\n"}
    with closing(Connection(odd.server)) as line:
        assert line.deliver(MAIL).verdict is OUT
    assert odd.commands == [b"EHLO", b"HELO", b"MAIL", b"RCPT", b"DATA", b"QUIT"]


@pytest.mark.django_db
def test_so_many_mails_on_a_line_and_no_more(odd: OddServer) -> None:
    """A server that has enough of a line says so after some mails: the next goes over a new one, and no try is used up."""
    queue(7)
    said = 0

    def counts(session: Session) -> None:
        nonlocal said
        said += 1
        session.wfile.write(b"421 4.4.5 enough\r\n" if said % 4 == 0 else b"250 OK\r\n")

    odd.answers["MAIL"] = counts
    report = sending.send_due(NOW, server=odd.server)
    assert (report.sent, report.problem) == (7, "")
    assert set(Sending.objects.values_list("tries", flat=True)) == {1}
    assert len(odd.mails) == 7


# --- Several commands at once (RFC 2920), and the size of a mail (RFC 1870) -----------------------------------------------------------


@pytest.mark.django_db
def test_commands_go_together_where_the_server_says_so(odd: OddServer, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(2)
    sent: list[bytes] = []
    send = smtplib.SMTP.send

    def noted(self: smtplib.SMTP, data: str | bytes) -> None:
        sent.append(data if isinstance(data, bytes) else data.encode())
        send(self, data)

    monkeypatch.setattr(smtplib.SMTP, "send", noted)
    assert sending.send_due(NOW, server=odd.server).sent == 2
    packets = [[line[:4] for line in data.split(b"\r\n")[:3]] for data in sent[1:-1] if data[:4] != b"Date"]
    together = [part for part in packets if part == [b"MAIL", b"RCPT", b"DATA"]]
    assert len(together) == (2 if "PIPELINING" in odd.features else 0)
    assert odd.commands == [b"EHLO", *[b"MAIL", b"RCPT", b"DATA"] * 2, b"QUIT"]


@pytest.mark.django_db
@pytest.mark.parametrize("refused", [b"550 5.1.1 no such user\r\n", b"450 4.2.0 later\r\n"])
def test_a_mail_that_nobody_takes_is_not_offered_though_the_server_waits_for_it(odd: OddServer, refused: bytes) -> None:
    """Some say 354 although every recipient was refused: they get no mail, not even an empty one, and the next goes over a new line."""
    queue(2)
    first = Sending.objects.earliest("pk").address

    def chooses(session: Session) -> None:
        session.wfile.write(refused if first.encode() in odd.heard[-1] else b"250 OK\r\n")

    odd.answers["RCPT"] = chooses
    report = sending.send_due(NOW, server=odd.server)
    assert (report.sent, report.bounced + report.again, report.uncertain) == (1, 1, 0)
    assert len(odd.mails) == 1
    assert first.encode() not in odd.mails[0]
    assert odd.commands.count(b"EHLO") == (2 if "PIPELINING" in odd.features else 1)


@pytest.mark.django_db
def test_a_mail_that_is_too_large_is_not_offered(odd: OddServer) -> None:
    queue()
    odd.features = (*odd.features, "SIZE 300")
    assert sending.send_due(NOW, server=odd.server).bounced == 1
    assert Sending.objects.get().why_not.endswith("bytes; the mail server takes at most 300.")
    assert not Suppression.objects.exists()
    assert odd.commands == [b"EHLO", b"QUIT"]


@pytest.mark.parametrize("feature", ["SIZE 10000000", "SIZE 0", "SIZE", "SIZE lots"])
def test_the_size_is_told_where_the_server_asks_for_it(odd: OddServer, feature: str) -> None:
    odd.features = (*odd.features, feature)
    with closing(Connection(odd.server)) as line:
        assert line.deliver(MAIL).verdict is OUT
    told = next(line for line in odd.heard if line.startswith(b"MAIL"))
    assert told == b"MAIL FROM:<a@x.test> SIZE=%d\r\n" % len(MAIL.data)


def test_words_of_a_server_are_for_people(odd: OddServer) -> None:
    """One line, so long, and nothing in it that a page or the database could not hold."""
    odd.answers["mail"] = b"550-5.7.1 a\r\n550-5.7.1 b\x1b[31m\r\n550 5.7.1 c" + b"d" * 900 + b"\r\n"
    with closing(Connection(odd.server)) as line:
        answer = line.deliver(MAIL)
    assert answer.verdict is BACK
    assert answer.words.startswith("550 5.7.1 a 5.7.1 b [31m 5.7.1 c")
    assert (len(answer.words), answer.words.isprintable()) == (300, True)
