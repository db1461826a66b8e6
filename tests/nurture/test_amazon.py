"""Messages of Amazon's notification service: signed with a certificate from its own host, for a topic of ours; everything else is refused.

The host is a real server of this machine with TLS: its name leads here, its certificate is signed by an authority of the test.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from django.core.cache import cache
from django.http import HttpResponse

from leads.models import ConsentEvent, Suppression
from nurture import outside
from nurture.models import ProviderEvent, Sending
from nurture.providers import amazon, taking
from nurture.views import providers as views
from tests.makers import NOW, make_contact
from tests.nurture.authority import BEGIN, Authority
from tests.nurture.makers import make_template
from tests.nurture.receiver import Handler, Receiver, answering, dripping, endless, receiver
from tests.nurture.test_provider_events import LATER, PASSWORD, _secrets, basic, post

pytestmark = pytest.mark.django_db
__all__ = ["_secrets"]

HOST = "sns.eu-central-1.amazonaws.com"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:mails"
CERTIFICATE = f"https://{HOST}/SimpleNotificationService-0123456789abcdef.pem"


class Amazon:
    """The notification service: signs, keeps its certificate at its host, and is asked to confirm subscriptions there."""

    def __init__(self, authority: Authority, key: rsa.RSAPrivateKey) -> None:
        self.authority, self.key = authority, key
        self.pem = authority.sign(key, "sns.amazonaws.com").public_bytes(serialization.Encoding.PEM).decode()
        self.status = 200
        self.host: Receiver | None = None

    @property
    def asked(self) -> list[str]:
        assert self.host is not None
        return [one.path for one in self.host.heard]

    def __call__(self, handler: Handler) -> None:
        answering(self.status, self.pem if handler.path.endswith(".pem") else "<ok/>")(handler)

    def signed(self, document: dict[str, Any], *, version: str = "2", names: tuple[str, ...] = ()) -> dict[str, Any]:
        """As it is posted: signed over the names that Amazon's documentation lists for its type."""
        usual = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
        if document["Type"] != "Notification":
            usual = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{document[name]}\n" for name in names or usual if name in document)
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self.key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return {
            **document,
            "SignatureVersion": version,
            "Signature": base64.b64encode(signature).decode(),
            "SigningCertURL": CERTIFICATE,
        }


@pytest.fixture
def sent() -> Sending:
    """A mail that has left."""
    person = make_contact("reader@x.test")
    return Sending.objects.create(
        key="x", contact=person, template=make_template(), address=str(person.email), state="sent", tries=1,
        queued_at=NOW, due_at=NOW, claimed_at=NOW, sent_at=NOW, subject="Hello", html="<p>x</p>",
    )  # fmt: skip


@pytest.fixture(scope="module")
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2048)


@pytest.fixture
def aws(
    tmp_path: Path, signing_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch, settings: SimpleNamespace
) -> Iterator[Amazon]:
    settings.EMAIL_EVENTS_TOPIC, settings.EMAIL_EVENTS_SECRET = [TOPIC], ""
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    authority = Authority.in_folder(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.setattr(views, "MOST_FORGED", 100_000)
    found = Amazon(authority, signing_key)
    with receiver(found, tls=authority.server_side(HOST)) as host:
        found.host = host
        lead_here(monkeypatch, host.port)
        yield found


def lead_here(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """The name of Amazon's host means this machine, and https this port."""
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1" if host == HOST else host, *rest, **more)
    )
    monkeypatch.setitem(outside.PORTS, "https", port)


def note(
    row: Sending | None, kind: str = "Complaint", about: dict[str, Any] | None = None, **values: Any
) -> dict[str, Any]:
    """What the service publishes of a mail, not signed yet."""
    told: dict[str, Any] = {"eventType": kind, "mail": {"messageId": "s-1", "destination": ["a@x.test"]}}
    if row is not None:
        headers = [{"name": "X-Metadata", "value": json.dumps({"sending": str(row.token)})}]
        told["mail"] |= {"destination": [row.address], "headers": headers}
    told[kind.lower()] = about or {"complainedRecipients": [{"emailAddress": "a@x.test"}]}
    return {
        "Type": "Notification",
        "MessageId": "sns-1",
        "Timestamp": "2026-03-02T09:01:00.000Z",
        "TopicArn": TOPIC,
        "Message": json.dumps(told),
        **values,
    }


def question(**values: Any) -> dict[str, Any]:
    return {
        "Type": "SubscriptionConfirmation",
        "MessageId": "sns-2",
        "Timestamp": "2026-03-02T09:01:00.000Z",
        "TopicArn": TOPIC,
        "Token": "t" * 64,
        "Message": "You have chosen to subscribe.\nTo confirm, visit …",
        "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={'t' * 64}",
        **values,
    }


def tell(document: dict[str, Any], **headers: str) -> HttpResponse:
    about = {"x-amz-sns-message-type": document.get("Type"), "x-amz-sns-message-id": document.get("MessageId")}
    return post("ses", document, {**{key: str(value) for key, value in about.items()}, **headers})


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [{}, {"Subject": "Amazon SES\nnotice"}])
def test_signed_ones_are_taken(aws: Amazon, sent: Sending, version: str, subject: dict[str, Any]) -> None:
    assert tell(aws.signed(note(sent, **subject), version=version)).status_code == 200
    assert taking.take_due(LATER) == 1
    assert Suppression.objects.get().reason == "complained"
    assert aws.asked == [urlsplit(CERTIFICATE).path]


@pytest.mark.parametrize(
    ("bounce", "is_suppressed"),
    [
        ({"bounceType": "Permanent", "bounceSubType": "General"}, True),
        ({"bounceType": "Transient", "bounceSubType": "MailboxFull"}, False),
    ],
)
def test_hard_and_soft_bounces_are_told_apart(
    aws: Amazon, sent: Sending, bounce: dict[str, Any], is_suppressed: bool
) -> None:
    about = {**bounce, "bouncedRecipients": [{"emailAddress": sent.address}]}
    document = aws.signed(note(sent, "Bounce", about))
    for _twice in range(2):
        assert tell(document).status_code == 200
    assert taking.take_due(LATER) == 1
    sent.refresh_from_db()
    assert (sent.state, Suppression.objects.exists()) == ("bounced", is_suppressed)


def test_the_certificate_is_asked_for_once_a_day(aws: Amazon, sent: Sending) -> None:
    for number in range(3):
        assert tell(aws.signed(note(sent, MessageId=f"sns-{number}"))).status_code == 200
    assert len(aws.asked) == 1
    assert ProviderEvent.objects.count() == 3


def changed(document: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**document, **values}


CHANGES: list[dict[str, Any]] = [
    {"Message": json.dumps({"eventType": "Complaint"})},
    {"MessageId": "sns-9"},
    {"Timestamp": "2026-03-02T09:02:00.000Z"},
    {"Subject": "added"},
    {"TopicArn": "arn:aws:sns:eu-central-1:999999999999:mails"},
    {"TopicArn": f"{TOPIC}\n"},
    {"TopicArn": None},
    {"SignatureVersion": "1"},
    {"SignatureVersion": "3"},
    {"SignatureVersion": 2.5},
    {"Signature": ""},
    {"Signature": "AAAA"},
    {"Signature": "no base64!"},
    {"Signature": ["AAAA"]},
    {"Message": {"eventType": "Complaint"}},
    {"Type": "SubscriptionConfirmation"},
    {"Type": ["Notification"]},
    {"Type": "RawMessage"},
    {"MessageId": "sns-1\nSubject\nx"},
    {"Timestamp": "\ud800"},
]


def test_what_is_not_what_was_signed_is_forged(aws: Amazon, sent: Sending) -> None:
    document = aws.signed(note(sent))
    for values in CHANGES:
        response = tell(changed(document, **values))
        assert (response.status_code, response.content) == (403, b"Refused.\n"), values
    assert not ProviderEvent.objects.exists()


STRANGE_PLACES: list[Any] = [
    CERTIFICATE.replace("https:", "http:"),
    "https://sns.eu-central-1.amazonaws.com.evil.test/a.pem",
    "https://evil.test/SimpleNotificationService-1.pem",
    "https://sns.s3.amazonaws.com/a.pem",
    "https://sns.s3-eu-west-1.amazonaws.com/a.pem",
    "https://evil.sns.eu-central-1.amazonaws.com/a.pem",
    f"https://evil.test@{HOST}/a.pem",
    f"https://{HOST}:8443/a.pem",
    f"https://{HOST}/a.pem?x=https://evil.test",
    f"https://{HOST}/../a.pem",
    f"https://{HOST}/a.txt",
    f"{CERTIFICATE}\n",
    "",
    None,
    7,
]


def test_no_certificate_is_taken_from_anybody_else(aws: Amazon, sent: Sending) -> None:
    document = aws.signed(note(sent))
    for url in STRANGE_PLACES:
        assert tell(changed(document, SigningCertURL=url)).status_code == 403, url
    assert aws.asked == []


def test_another_key_and_another_topic_are_nobody(aws: Amazon, sent: Sending) -> None:
    other = Amazon(aws.authority, rsa.generate_private_key(65_537, 2048))
    assert tell(other.signed(note(sent))).status_code == 403
    foreign = "arn:aws:sns:eu-central-1:999999999999:mails"
    assert tell(aws.signed(note(sent, TopicArn=foreign))).status_code == 403
    assert tell(aws.signed(question(TopicArn=foreign))).status_code == 403
    assert [path for path in aws.asked if "Confirm" in path] == []
    assert not ProviderEvent.objects.exists()


def test_a_password_does_not_stand_in_for_the_signature(aws: Amazon, sent: Sending, settings: SimpleNamespace) -> None:
    settings.EMAIL_EVENTS_SECRET, settings.EMAIL_EVENTS_TOPIC = PASSWORD, []
    document = aws.signed(note(sent))
    assert tell(document).status_code == 401
    assert tell(changed(document, MessageId="sns-9"), **basic()).status_code == 403
    assert tell(document, **basic("events:wrong")).status_code == 403
    assert not ProviderEvent.objects.exists()
    assert (
        tell(document, **basic()).status_code == 200
    )  # without a name of a topic the password says that it is meant for us
    assert ProviderEvent.objects.count() == 1


def test_the_question_is_answered_only_when_it_is_signed(aws: Amazon) -> None:
    asked = aws.signed(question(SubscribeURL="https://evil.test/?Action=ConfirmSubscription"))
    assert tell(changed(asked, Token="u" * 64)).status_code == 403
    assert [path for path in aws.asked if "Confirm" in path] == []
    assert tell(asked).status_code == 200
    target = urlsplit(aws.asked[-1])
    assert (target.path, parse_qs(target.query)) == (
        "/",
        {"Action": ["ConfirmSubscription"], "TopicArn": [TOPIC], "Token": ["t" * 64]},
    )
    assert not ProviderEvent.objects.exists()
    aws.status = 403  # Amazon does not want to: it asks again
    assert tell(aws.signed(question(MessageId="sns-3"))).status_code == 503
    assert tell(aws.signed(question(Type="UnsubscribeConfirmation", MessageId="sns-4"))).status_code == 200
    assert len(aws.asked) == 3


def test_where_the_certificate_cannot_be_had_amazon_is_asked_to_come_again(aws: Amazon, sent: Sending) -> None:
    document, pem = aws.signed(note(sent)), aws.pem
    aws.status = 404
    response = tell(document)
    assert (response.status_code, response.content) == (503, b"Cannot be checked now; try again later.\n")
    assert tell(document).status_code == 503
    assert len(aws.asked) == 1  # it is known for a minute that there is none
    for odd in ("no certificate", pem[:400], "x" * amazon.LARGEST + pem):
        cache.clear()
        aws.status, aws.pem = 200, odd
        assert tell(document).status_code == 503
    cache.clear()
    aws.pem = pem
    assert tell(document).status_code == 200
    assert ProviderEvent.objects.count() == 1


def test_a_certificate_that_is_over_proves_nothing(aws: Amazon, sent: Sending) -> None:
    over = aws.authority.sign(aws.key, "sns.amazonaws.com", until=BEGIN.replace(year=2021))
    aws.pem = over.public_bytes(serialization.Encoding.PEM).decode()
    assert tell(aws.signed(note(sent))).status_code == 503
    assert not ProviderEvent.objects.exists()


@pytest.mark.parametrize("behave", [dripping, endless])
def test_a_host_that_drips_or_never_ends_costs_little(
    aws: Amazon, sent: Sending, monkeypatch: pytest.MonkeyPatch, behave: Any
) -> None:
    monkeypatch.setattr(amazon, "SECONDS", 0.5)
    assert aws.host is not None
    aws.host.behave = behave
    assert tell(aws.signed(note(sent))).status_code == 503


def test_a_host_that_is_not_amazons_is_not_believed(
    aws: Amazon, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever leads the name elsewhere has no certificate for it."""
    with receiver(aws, tls=aws.authority.server_side("evil.test")) as other:
        lead_here(monkeypatch, other.port)
        assert tell(aws.signed(note(sent))).status_code == 503
        assert other.heard == []


def test_the_name_of_amazon_does_not_lead_inside(aws: Amazon, sent: Sending, settings: SimpleNamespace) -> None:
    settings.WEBHOOK_INNER_HOSTS = []
    assert tell(aws.signed(note(sent))).status_code == 503
    assert aws.asked == []


def test_certificates_that_nobody_has_are_not_asked_for_without_end(
    aws: Amazon, sent: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(amazon, "MOST_FETCHES", 3)
    aws.status = 404
    for number in range(6):
        url = f"https://{HOST}/SimpleNotificationService-{number}.pem"
        assert tell(changed(aws.signed(note(sent)), SigningCertURL=url)).status_code == 503
    assert len(aws.asked) == 3


def test_a_replay_counts_once_and_other_letters_are_no_other_message(aws: Amazon, sent: Sending) -> None:
    document = aws.signed(note(sent))
    headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-message-id": "sns-1"}
    for text in (json.dumps(document), json.dumps(document, indent=1), json.dumps(dict(reversed(document.items())))):
        assert post("ses", text, headers).status_code == 200
    assert taking.take_due(LATER) == 1
    assert ConsentEvent.objects.filter(source="complaint").count() == 1
