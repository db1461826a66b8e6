"""All five providers' webhooks under attack: forged, replayed, out of order, wrong in each field, huge, of mail that is not ours."""

from __future__ import annotations

import base64
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from leads.consent import state_of
from leads.models import Activity, ConsentEvent, Suppression
from nurture.models import ProviderEvent, Sending
from nurture.providers import taking
from nurture.views import providers as views
from tests.makers import make_contact
from tests.nurture.test_amazon import Amazon, aws, note, sent, signing_key
from tests.nurture.test_provider_events import LATER, LINK, PASSWORD, _secrets, basic, mailgun, post

pytestmark = pytest.mark.django_db
__all__ = ["_secrets", "aws", "sent", "signing_key"]

SLUGS = ["mailgun", "postmark", "sendgrid", "brevo", "ses"]
_number = itertools.count()


@dataclass
class Voice:
    """How one provider says something: the event itself, and the request that proves it or, `forged`, does not."""

    slug: str
    event: Callable[[str, str, str], dict[str, Any]]  # kind (complained, delivered, clicked), token, address
    prove: Callable[[dict[str, Any]], tuple[Any, dict[str, str]]]
    forge: Callable[[Any, dict[str, str]], tuple[Any, dict[str, str]]]

    def say(self, event: dict[str, Any], *, is_forged: bool = False) -> HttpResponse:
        document, headers = self.prove(event)
        if is_forged:
            document, headers = self.forge(document, headers)
        return post(self.slug, document, headers)


@pytest.fixture(params=SLUGS)
def voice(request: pytest.FixtureRequest, settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Voice:
    monkeypatch.setattr(views, "MOST_FORGED", 100_000)
    if request.param in ("postmark", "brevo"):
        settings.EMAIL_EVENTS_SECRET = PASSWORD
    if request.param == "ses":
        return amazon(request.getfixturevalue("aws"))
    made: dict[str, Callable[[], Voice]] = {
        "mailgun": of_mailgun,
        "postmark": of_postmark,
        "sendgrid": lambda: of_sendgrid(settings),
        "brevo": of_brevo,
    }
    return made[request.param]()


def of_mailgun() -> Voice:
    def event(kind: str, token: str, address: str) -> dict[str, Any]:
        about = {"recipient": address, "ip": "192.0.2.7", "url": LINK, "tags": ["t"], "severity": "permanent"}
        return {
            "event": kind,
            "timestamp": LATER.timestamp(),
            "id": f"m-{next(_number)}",
            "user-variables": {"sending": token},
            "delivery-status": {"code": 550, "message": "5.1.1 no"},
            "client-info": {"user-agent": "Mozilla/5.0", "bot": ""},
            "message": {"headers": {"message-id": "m@mg.test"}},
            **about,
        }

    def prove(said: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        return {**mailgun(None, "x"), "event-data": said}, {}

    def forge(document: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
        return {**document, "signature": {**document["signature"], "signature": "0" * 64}}, headers

    return Voice("mailgun", event, prove, forge)


def _with_password(said: Any) -> tuple[Any, dict[str, str]]:
    return said, basic()


def _with_another(document: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
    return document, basic("events:guess")


def of_postmark() -> Voice:
    kinds = {"complained": "SpamComplaint", "delivered": "Delivery", "clicked": "Click"}

    def event(kind: str, token: str, address: str) -> dict[str, Any]:
        at = LATER.isoformat()
        return {
            "RecordType": kinds[kind],
            "ID": next(_number),
            "Type": kinds[kind],
            "Email": address,
            "Recipient": address,
            "BouncedAt": at,
            "DeliveredAt": at,
            "ReceivedAt": at,
            "Metadata": {"sending": token},
            "Description": "words",
            "Tag": "t",
            "MessageID": "p-1",
            "Geo": {"IP": "192.0.2.7"},
            "OriginalLink": LINK,
            "UserAgent": "Mozilla/5.0",
        }

    return Voice("postmark", event, _with_password, _with_another)


def of_brevo() -> Voice:
    kinds = {"complained": "spam", "delivered": "delivered", "clicked": "click"}

    def event(kind: str, token: str, address: str) -> dict[str, Any]:
        return {
            "event": kinds[kind],
            "ts_epoch": int(LATER.timestamp() * 1000) + next(_number),
            "email": address,
            "X-Mailin-custom": json.dumps({"sending": token}),
            "id": 7,
            "message-id": "<b-1@brevo>",
            "tag": "t",
            "reason": "words",
            "user_agent": "Mozilla/5.0",
            "link": LINK,
        }

    return Voice("brevo", event, _with_password, _with_another)


def of_sendgrid(settings: SimpleNamespace) -> Voice:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    settings.EMAIL_EVENTS_KEY = base64.b64encode(public).decode()
    kinds = {"complained": "spamreport", "delivered": "delivered", "clicked": "click"}

    def event(kind: str, token: str, address: str) -> dict[str, Any]:
        return {
            "event": kinds[kind],
            "timestamp": int(LATER.timestamp()),
            "sg_event_id": f"e-{next(_number)}",
            "sg_message_id": "s-1",
            "email": address,
            "sending": token,
            "reason": "words",
            "useragent": "Mozilla/5.0",
            "ip": "192.0.2.7",
            "url": LINK,
            "category": ["t"],
        }

    def prove(said: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        body, stamp = json.dumps([said]), "1600000000"
        signature = base64.b64encode(private.sign((stamp + body).encode(), ec.ECDSA(hashes.SHA256()))).decode()
        name = "X-Twilio-Email-Event-Webhook-"
        return body, {f"{name}Signature": signature, f"{name}Timestamp": stamp}

    def forge(document: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
        return document.replace("words", "other words"), headers

    return Voice("sendgrid", event, prove, forge)


def amazon(service: Amazon) -> Voice:
    kinds = {"complained": "Complaint", "delivered": "Delivery", "clicked": "Click"}

    def event(kind: str, token: str, address: str) -> dict[str, Any]:
        part = {
            "complainedRecipients": [{"emailAddress": address}],
            "recipients": [address],
            "timestamp": LATER.isoformat(),
            "ipAddress": "192.0.2.7",
            "userAgent": "Mozilla/5.0",
            "link": LINK,
            "smtpResponse": "250 ok",
            "feedbackId": "f",
        }
        told = json.loads(note(None)["Message"])
        told["mail"] |= {
            "destination": [address],
            "headers": [{"name": "X-Metadata", "value": json.dumps({"sending": token})}],
        }
        return {"eventType": kinds[kind], "mail": told["mail"], kinds[kind].lower(): part}

    def prove(said: dict[str, Any]) -> tuple[Any, dict[str, str]]:
        document = service.signed(note(None, MessageId=f"sns-{next(_number)}", Message=json.dumps(said)))
        return document, {
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": document["MessageId"],
        }

    def forge(document: Any, headers: dict[str, str]) -> tuple[Any, dict[str, str]]:
        return {**document, "Message": document["Message"].replace("250 ok", "250 no")}, headers

    return Voice("ses", event, prove, forge)


def nothing_happened(row: Sending) -> None:
    row.refresh_from_db()
    assert (row.state, Suppression.objects.exists(), ConsentEvent.objects.exists()) == ("sent", False, False)


def test_forged_ones_leave_nothing(voice: Voice, sent: Sending) -> None:
    event = voice.event("complained", str(sent.token), sent.address)
    response = voice.say(event, is_forged=True)
    assert (response.status_code, response.content) == (403, b"Refused.\n")
    bare = post(voice.slug, event)
    assert bare.status_code in (401, 403)
    assert bare.content in (b"Sign in.\n", b"Refused.\n")
    assert not ProviderEvent.objects.exists()
    assert voice.say(event).status_code == 200  # the same, proven
    assert ProviderEvent.objects.count() == 1


def test_a_replay_is_taken_once(voice: Voice, sent: Sending) -> None:
    document, headers = voice.prove(voice.event("complained", str(sent.token), sent.address))
    for _each in range(3):
        assert post(voice.slug, document, headers).status_code == 200
    assert taking.take_due(LATER) == 1
    assert Activity.objects.filter(kind__slug="email_complaint").count() == 1


@pytest.mark.parametrize("order", [("delivered", "complained"), ("complained", "delivered")])
def test_either_order_ends_the_same(voice: Voice, sent: Sending, order: tuple[str, ...]) -> None:
    for kind in order:
        assert voice.say(voice.event(kind, str(sent.token), sent.address)).status_code == 200
    assert taking.take_due(LATER) == 2
    sent.refresh_from_db()
    assert (sent.state, state_of(sent.address, "marketing")) == ("sent", "withdrawn")
    assert not Activity.objects.filter(kind__slug="email_sent").exists()  # that was told when it left


def test_mail_that_is_not_ours_says_nothing_of_our_people(voice: Voice, sent: Sending) -> None:
    """Another instance with the same account at the provider, or no token at all: the address alone proves nothing."""
    make_contact("bo@x.test")
    for token in (str(uuid.uuid4()), "", "not a token", f"{sent.token}' OR true --", str(sent.pk)):
        for address in (sent.address, "bo@x.test"):
            assert voice.say(voice.event("complained", token, address)).status_code == 200
    assert taking.take_due(LATER) == 10
    assert set(ProviderEvent.objects.values_list("outcome", flat=True)) == {"unknown"}
    nothing_happened(sent)


def test_only_post_is_answered(settings: SimpleNamespace) -> None:
    settings.EMAIL_EVENTS_SECRET, client = PASSWORD, Client()
    for slug, method in itertools.product(SLUGS, ["get", "head", "put", "patch", "delete", "options"]):
        response = getattr(client, method)(reverse("nurture:provider-events", args=[slug]))
        assert (response.status_code, response["Allow"]) == (405, "POST")


def test_ten_megabytes_are_not_even_read(voice: Voice, sent: Sending) -> None:
    document, headers = voice.prove(voice.event("complained", str(sent.token), sent.address))
    text = document if isinstance(document, str) else json.dumps(document)
    response = post(voice.slug, text + " " * 10_000_000, headers)
    assert (response.status_code, response.content) == (413, b"Too large.\n")
    assert not ProviderEvent.objects.exists()


ODD: list[Any] = [
    None, [], {}, [[{}]], {"a": {"b": []}}, True, -1, 0, 10**30, 1e308, "", "\0\ud800\u202e", "x" * 70_000,
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-02-30T00:00:00Z", "javascript:alert(1)//\0",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def put(document: Any, path: tuple[Any, ...], odd: Any) -> Any:
    found = json.loads(json.dumps(document))
    place = found
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = odd
    return found


def test_wrong_in_each_field(voice: Voice, sent: Sending) -> None:
    """Proven, and nonsense: it is kept as what it can be read as, or refused whole; never an error, and never what stops the others."""
    odd_ones, proper = itertools.cycle(ODD), voice.event("clicked", str(sent.token), sent.address)
    for path in places(proper):
        for odd in itertools.islice(odd_ones, 2):  # in turn: each value stands in several places
            response = voice.say(put({**proper, **voice.event("clicked", str(sent.token), sent.address)}, path, odd))
            assert (response.status_code, response.content) in ((200, b""), (400, b"Unreadable.\n")), (path, odd)
    while taking.take_due(LATER):
        pass
    assert not ProviderEvent.objects.filter(outcome__in=("waits", "failed")).exists()
    assert all(LATER - timedelta(days=366) <= at <= LATER for at in ProviderEvent.objects.values_list("at", flat=True))
    sent.refresh_from_db()
    assert sent.state == "sent"


@pytest.mark.parametrize("voice", ["mailgun"], indirect=True)
def test_letters_and_dates_that_no_database_gives_back(voice: Voice, sent: Sending) -> None:
    year_one = -62_135_596_800
    event = {**voice.event("clicked", str(sent.token), sent.address), "url": "https://x.test/a\0b\ud800?c"}
    assert voice.say({**event, "timestamp": year_one}).status_code == 200
    row = ProviderEvent.objects.get()
    assert (row.url, row.at) == ("https://x.test/ab?c", LATER - timedelta(days=366))
