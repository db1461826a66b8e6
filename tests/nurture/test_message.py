"""The bytes of mails: read back by another parser in several languages, the same each time, with nothing injected."""

from __future__ import annotations

import uuid
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest

from nurture.mailing.message import BadAddress, Envelope, ascii_address, build
from nurture.mailing.smtp import _stuffed
from nurture.templating.rendering import Mail
from tests.makers import NOW

TOKEN = uuid.UUID(int=7)
LANGUAGES = {
    "de": "Grüße aus Köln — schön, daß Sie da sind",
    "ko": "안녕하세요, 반갑습니다",
    "ar": "مرحبا بكم في شركتنا",
    "ja": "こんにちは、はじめまして",
    "en": "Hello and welcome, dear reader of a rather long subject line that must be folded somewhere on its way",
}


def envelope(**values: str) -> Envelope:
    return Envelope(
        TOKEN,
        values.get("sender_name", "Ada"),
        values.get("sender", "ada@plant.test"),
        values.get("recipient_name", "Bo"),
        values.get("recipient", "bo@x.test"),
        values.get("reply_to", ""),
        values.get("unsubscribe_url", "https://plant.test/programs/u/x/"),
    )


def read(data: bytes) -> EmailMessage:
    found = message_from_bytes(data, policy=policy.default)
    assert isinstance(found, EmailMessage)
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_any_language_comes_back(language: str) -> None:
    words = LANGUAGES[language]
    html = f"<html><body><p>{words}</p>\n.\n..dots\n" + "x" * 2000 + "</body></html>"
    message = build(Mail(words, html, f"{words}\n.\n"), envelope(sender_name=words, recipient_name=words), at=NOW)
    found = read(message.data)
    assert found["Subject"] == words
    for name in ("From", "To"):  # not by the parsed addresses: Python 3.11 puts blanks between two encoded words there
        raw = next(value for key, value in found.raw_items() if key == name)
        assert str(make_header(decode_header(raw))).replace('"', "").startswith(f"{words} <")
    assert found.get_body(("html",)).get_content().replace("\r\n", "\n").rstrip() == html  # type: ignore[union-attr]
    assert found.get_body(("plain",)).get_content().replace("\r\n", "\n") == f"{words}\n.\n"  # type: ignore[union-attr]
    assert not found.defects
    assert max(len(line) for line in message.data.split(b"\r\n")) <= 998
    assert b"\n" not in message.data.replace(b"\r\n", b"")
    message.data.decode("ascii")


def test_the_same_mail_is_the_same_bytes() -> None:
    mail = Mail("S", "<p>é</p>", "é\n")
    assert build(mail, envelope(), at=NOW) == build(mail, envelope(), at=NOW)


@pytest.mark.parametrize(
    "evil", ["a\r\nBcc: x@x.test", "a\nX: 1", "a\x00b", 'q" <e@x.test>, "', "=?utf-8?q?x?=", "a\u2028b"]
)
def test_nothing_is_injected(evil: str) -> None:
    message = build(Mail(evil, "<p></p>", "x\n"), envelope(sender_name=evil, recipient_name=evil), at=NOW)
    found = read(message.data)
    assert set(found.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "MIME-Version", "Content-Type",
    }  # fmt: skip
    assert [address.addr_spec for address in found["To"].addresses] == ["bo@x.test"]
    assert [address.addr_spec for address in found["From"].addresses] == ["ada@plant.test"]


def test_addresses() -> None:
    assert ascii_address("a@bücher.test") == "a@xn--bcher-kva.test"
    for bad in (
        "",
        "a",
        "a@",
        "@b",
        "a b@c.test",
        "a@b c",
        "ä@b.test",
        "a\n@b.test",
        "<a>@b.test",
        '"a b"@c.test',
        '"a"@c.test',
        "a@b.test, c@d.test",
        "a@b.test\r\nRCPT TO:<c@d.test>",
        "a@" + "ü" * 300 + ".test",
    ):
        with pytest.raises(BadAddress):
            ascii_address(bad)


def test_dots_are_stuffed() -> None:
    assert _stuffed(b".a\r\n.b\r\nc") == b"..a\r\n..b\r\nc\r\n.\r\n"
    assert _stuffed(b"a\r\n") == b"a\r\n.\r\n"
