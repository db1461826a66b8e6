"""What providers say by webhook: proven, kept once, taken in any order; forged, replayed and broken ones change nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache as cache_of_functions
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.cache import cache
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from leads.access import ADMIN, MARKETER
from leads.consent import state_of
from leads.models import Activity, ConsentEvent, Suppression
from leads.person_file import Person, chapters
from nurture import queries
from nurture.mailing import sending
from nurture.models import DomainRest, MailboxLetter, MailboxState, MailClick, MailHit, ProviderEvent, Sending
from nurture.providers import taking
from nurture.tracking import judging
from nurture.views import providers as views
from tests.makers import NOW, make_user
from tests.nurture.makers import mail, make_template, make_walk, set_workspace, walk

pytestmark = pytest.mark.django_db

KEY = "signing-key"
PASSWORD = "events:secret"
LINK = "https://plant.test/offer"
LATER = NOW + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _secrets(settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.EMAIL_EVENTS_KEY, settings.EMAIL_EVENTS_SECRET = KEY, ""
    monkeypatch.setattr(views, "timezone", SimpleNamespace(now=lambda: LATER))
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sent() -> Sending:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    template = make_template("Hello", f'<p><a href="{LINK}">x</a></p>')
    make_walk(mail(template, step_id="m"), people=1)
    walk()
    assert sending.send_due(NOW).sent == 1
    return Sending.objects.get()


def basic(words: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(words.encode()).decode()}


@cache_of_functions
def _client() -> Client:
    """One for all: each new one looks through all static files first."""
    return Client(enforce_csrf_checks=True)


def post(provider: str, document: Any, headers: Mapping[str, str] | None = None) -> HttpResponse:
    url = reverse("nurture:provider-events", args=[provider])
    body = document if isinstance(document, (bytes, str)) else json.dumps(document)
    return _client().post(url, body, content_type="application/json", headers=dict(headers or {}))  # type: ignore[return-value]


_number = itertools.count()


def mailgun(row: Sending | None, kind: str, at: datetime = LATER, key: str = KEY, **values: Any) -> dict[str, Any]:
    """As Mailgun posts it, signed."""
    token = f"{next(_number):050d}"
    timestamp = str(int(LATER.timestamp()))
    signature = hmac.new(key.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest()
    data = {"event": kind, "timestamp": at.timestamp(), "recipient": "a@x.test", "id": token[-8:], **values}
    if row is not None:
        data["user-variables"] = {"sending": str(row.token)}
    return {"signature": {"timestamp": timestamp, "token": token, "signature": signature}, "event-data": data}


def say(row: Sending | None, kind: str, **values: Any) -> None:
    assert post("mailgun", mailgun(row, kind, **values)).status_code == 200
    assert taking.take_due(LATER) == 1


FAILED = {
    "severity": "permanent",
    "reason": "bounce",
    "delivery-status": {"code": 550, "message": "5.1.1 no such user"},
}


# --- Believed or not ----------------------------------------------------------------------------------------------------------


def test_forged_ones_get_no_for_an_answer_and_leave_nothing(sent: Sending) -> None:
    right = mailgun(sent, "complained")
    wrong = {**right, "signature": {**right["signature"], "signature": "0" * 64}}
    for document in (
        wrong,
        mailgun(sent, "complained", key="another"),
        {"event-data": right["event-data"]},
        {},
        b"\xff\x00",
        "[" * 100_000,
    ):
        response = post("mailgun", document)
        assert (response.status_code, response.content) == (403, b"Refused.\n")
    assert not ProviderEvent.objects.exists()


def test_without_a_secret_nothing_is_believed(settings: SimpleNamespace, sent: Sending) -> None:
    settings.EMAIL_EVENTS_KEY = ""
    for provider in ("mailgun", "sendgrid", "postmark", "brevo", "ses", "nobody"):
        assert post(provider, mailgun(sent, "complained")).status_code == 404
    settings.EMAIL_EVENTS_SECRET = PASSWORD
    assert post("mailgun", mailgun(sent, "complained"), basic()).status_code == 404  # its reader checks signatures only
    assert not ProviderEvent.objects.exists()


def test_a_password_is_asked_for_and_checked(settings: SimpleNamespace, sent: Sending) -> None:
    settings.EMAIL_EVENTS_SECRET = PASSWORD
    document = {"RecordType": "Delivery", "Metadata": {"sending": str(sent.token)}, "DeliveredAt": LATER.isoformat()}
    asked = post("postmark", document)
    assert (asked.status_code, asked["WWW-Authenticate"]) == (401, 'Basic realm="events"')
    assert post("postmark", document, basic("events:wrong")).status_code == 403
    assert not ProviderEvent.objects.exists()
    assert post("postmark", document, basic()).status_code == 200
    assert ProviderEvent.objects.get().kind == "delivered"


def test_only_post_and_only_so_much(sent: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    url = reverse("nurture:provider-events", args=["mailgun"])
    assert Client().get(url).status_code == 405
    monkeypatch.setattr(views, "LARGEST", 100)
    assert post("mailgun", mailgun(sent, "delivered")).status_code == 413
    monkeypatch.setattr(views, "LARGEST", 10_000)
    monkeypatch.setattr(views, "MOST_FORGED", 2)
    assert [post("mailgun", {}).status_code for _each in range(4)] == [403, 403, 429, 429]
    assert post("mailgun", mailgun(sent, "delivered")).status_code == 200  # whoever proves themselves comes in
    monkeypatch.setattr(views, "MOST_A_MINUTE", 1)
    assert post("mailgun", mailgun(sent, "delivered")).status_code == 429


def test_what_is_proven_and_makes_no_sense_is_unreadable(sent: Sending) -> None:
    document = mailgun(sent, "delivered")
    document["event-data"] = {"nothing": "of use"}
    assert post("mailgun", document).status_code == 400
    assert not ProviderEvent.objects.exists()


# --- Once, and in any order --------------------------------------------------------------------------------------------------


def test_a_replay_does_nothing(sent: Sending) -> None:
    document = mailgun(sent, "complained")
    for _each in range(3):
        assert post("mailgun", document).status_code == 200
    assert taking.take_due(LATER) == 1
    assert taking.take_due(LATER) == 0
    assert Activity.objects.filter(kind__slug="email_complaint").count() == 1
    assert ConsentEvent.objects.filter(source="complaint").count() == 1


def test_a_replay_of_what_is_forgotten_is_too_old(sent: Sending) -> None:
    old = LATER - taking.OLDEST - timedelta(minutes=1)
    say(sent, "complained", at=old)
    assert ProviderEvent.objects.get().outcome == "ignored"
    assert not Suppression.objects.exists()


def test_unknown_mail_is_counted_and_nothing_else(sent: Sending) -> None:
    say(None, "complained")
    say(Sending(token=uuid.uuid4()), "complained")
    assert list(ProviderEvent.objects.values_list("outcome", flat=True)) == ["unknown"] * 2
    assert not Suppression.objects.exists()


@pytest.mark.parametrize("order", list(itertools.permutations(["accepted", "delivered", "failed", "complained"]))[::5])
def test_any_order_ends_the_same(sent: Sending, order: tuple[str, ...]) -> None:
    for kind in order:
        say(sent, kind, **(FAILED if kind == "failed" else {}))
    sent.refresh_from_db()
    assert sent.state == "bounced"
    assert Suppression.objects.count() == 1
    assert state_of(sent.address, "marketing") == "withdrawn"
    assert Activity.objects.filter(kind__slug__in=["email_bounce", "email_complaint"]).count() in (1, 2)
    assert Activity.objects.filter(kind__slug="email_sent").count() == 1


def test_one_that_throws_is_put_aside_and_the_others_go_on(sent: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_values: Any) -> bool:
        raise RuntimeError("odd")

    monkeypatch.setitem(taking._VERBS, "complained", fail)
    for kind in ("complained", "unsubscribed"):
        assert post("mailgun", mailgun(sent, kind)).status_code == 200
    assert taking.take_due(LATER) == 2
    found = {row.kind: (row.outcome, row.problem) for row in ProviderEvent.objects.all()}
    assert found == {"complained": ("failed", "RuntimeError: odd"), "unsubscribed": ("taken", "")}
    assert state_of(sent.address, "marketing") == "withdrawn"


def test_old_events_are_forgotten(sent: Sending) -> None:
    say(sent, "delivered")
    ProviderEvent.objects.update(received_at=LATER - taking.KEPT - timedelta(days=1))
    say(sent, "delivered")
    assert ProviderEvent.objects.count() == 1


# --- What they mean -----------------------------------------------------------------------------------------------------------


def test_delivered_settles_what_was_uncertain_or_would_be_tried_again(sent: Sending) -> None:
    Activity.objects.all().delete()
    for state, tries in (("uncertain", 1), ("queued", 2), ("sending", 1)):
        Sending.objects.update(state=state, tries=tries, why_not="worker_died")
        say(sent, "delivered")
        sent.refresh_from_db()
        assert (sent.state, sent.why_not) == ("sent", "")
    Sending.objects.update(state="queued", tries=0)  # nobody offered it: another mail's event in our words
    say(sent, "delivered")
    sent.refresh_from_db()
    assert sent.state == "queued"


def test_put_off_is_noted_only(sent: Sending) -> None:
    say(sent, "failed", severity="temporary", reason="generic")
    sent.refresh_from_db()
    assert (sent.state, ProviderEvent.objects.get().kind) == ("sent", "deferred")
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    ("values", "is_suppressed"),
    [
        (FAILED, True),
        ({**FAILED, "delivery-status": {"message": "5.7.1 blocked by policy"}}, False),
        ({**FAILED, "reason": "generic"}, False),
    ],
)
def test_a_bounce_suppresses_only_where_it_is_about_the_mailbox(
    sent: Sending, values: dict[str, Any], is_suppressed: bool
) -> None:
    say(sent, "failed", **values)
    sent.refresh_from_db()
    assert (sent.state, Suppression.objects.exists()) == ("bounced", is_suppressed)


def test_leaving_at_the_provider_leaves_the_purpose(sent: Sending) -> None:
    say(sent, "unsubscribed")
    say(sent, "unsubscribed")
    event = ConsentEvent.objects.get()
    assert (event.state, event.source) == ("withdrawn", "mailgun")
    assert Activity.objects.filter(kind__slug="email_unsubscribe").count() == 1


# --- Opens and clicks -----------------------------------------------------------------------------------------------------------


def track(row: Sending, settings: SimpleNamespace, by: str) -> None:
    settings.EMAIL_URL = f"mailgun://key@mg.test?tracking={by}"
    Sending.objects.filter(pk=row.pk).update(is_tracked=True)


PERSON = {"client-info": {"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0"}, "ip": "192.0.2.7"}
BOT = {"client-info": {"user-agent": "", "bot": "apple"}, "ip": "192.0.2.9"}


def test_opens_and_clicks_are_judged_like_ours(sent: Sending, settings: SimpleNamespace) -> None:
    track(sent, settings, "provider")
    say(sent, "opened", **PERSON)
    say(sent, "opened", **BOT)
    say(sent, "clicked", url=f"{LINK}?utm_source=x", **PERSON)
    say(sent, "clicked", url="https://elsewhere.test/", **PERSON)
    assert judging.judge_due(LATER + timedelta(minutes=1)) == 3
    kinds = Activity.objects.filter(kind__slug__in=["email_open", "email_click"]).values_list("kind__slug", flat=True)
    assert sorted(kinds) == ["email_click", "email_open"]
    assert MailClick.objects.get().url == LINK
    assert sorted(MailHit.objects.values_list("place", "verdict")) == [(0, "person"), (0, "proxy"), (1, "person")]
    assert ProviderEvent.objects.filter(outcome="ignored").count() == 1


def test_what_we_note_ourselves_is_not_noted_twice(sent: Sending, settings: SimpleNamespace) -> None:
    track(sent, settings, "ours")
    say(sent, "opened", **PERSON)
    track(sent, settings, "provider")
    Sending.objects.update(is_tracked=False)  # off for this reader, whatever the provider does
    say(sent, "opened", **PERSON)
    assert not MailHit.objects.exists()
    assert list(ProviderEvent.objects.values_list("outcome", flat=True)) == ["ignored"] * 2


# --- The other providers' words ---------------------------------------------------------------------------------------------------


def test_sendgrid_signs_batches(sent: Sending, settings: SimpleNamespace) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    settings.EMAIL_EVENTS_KEY = base64.b64encode(public).decode()
    about = {"sending": str(sent.token), "email": sent.address, "timestamp": int(LATER.timestamp())}
    body = json.dumps(
        [
            {**about, "event": "delivered", "sg_event_id": "1"},
            {**about, "event": "bounce", "type": "blocked", "reason": "550 5.7.1 no", "sg_event_id": "2"},
            {**about, "event": "group_resubscribe", "sg_event_id": "3"},
        ]
    )
    stamp = "1600000000"
    signature = base64.b64encode(private.sign((stamp + body).encode(), ec.ECDSA(hashes.SHA256()))).decode()
    headers = {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
    }
    assert post("sendgrid", body.replace("blocked", "bounce"), headers).status_code == 403
    assert post("sendgrid", body, headers).status_code == 200
    assert taking.take_due(LATER) == 2
    sent.refresh_from_db()
    assert (sent.state, sent.why_not, Suppression.objects.exists()) == ("bounced", "550 5.7.1 no", False)


@pytest.mark.parametrize(
    ("provider", "event", "is_suppressed"),
    [
        ("postmark", {"RecordType": "Bounce", "Type": "HardBounce", "ID": 7, "BouncedAt": "2026-03-02T09:01:00Z"}, True),
        ("postmark", {"RecordType": "Bounce", "Type": "SoftBounce", "ID": 8, "BouncedAt": "2026-03-02T09:01:00Z"}, False),
        ("brevo", {"event": "hard_bounce", "ts_epoch": int(LATER.timestamp() * 1000)}, True),
        ("brevo", {"event": "soft_bounce", "ts_epoch": int(LATER.timestamp() * 1000)}, False),
    ],
)  # fmt: skip
def test_hard_and_soft_bounces_are_told_apart(
    sent: Sending, settings: SimpleNamespace, provider: str, event: dict[str, Any], is_suppressed: bool
) -> None:
    settings.EMAIL_EVENTS_SECRET, headers = PASSWORD, basic()
    if provider == "postmark":
        document = {**event, "Email": sent.address, "Metadata": {"sending": str(sent.token)}}
    else:
        document = {**event, "email": sent.address, "X-Mailin-custom": json.dumps({"sending": str(sent.token)})}
    for _twice in range(2):
        assert post(provider, document, headers).status_code == 200
    assert taking.take_due(LATER) == 1
    sent.refresh_from_db()
    assert (sent.state, Suppression.objects.exists()) == ("bounced", is_suppressed)


# --- Pages ------------------------------------------------------------------------------------------------------------------------


def test_the_page_of_delivery_tells_the_state_and_no_secret(
    sent: Sending, settings: SimpleNamespace, client: Client
) -> None:
    settings.EMAIL_URL = "mailgun://topsecret@mg.test"
    settings.INBOUND_URL = "imaps://bounces:topsecret@imap.test"
    settings.EMAIL_EVENTS_SECRET = "events:topsecret"
    say_with_password = post("mailgun", mailgun(sent, "complained"), basic("events:topsecret"))
    assert say_with_password.status_code == 200
    MailboxLetter.objects.create(key="k", state="parked", problem="ValueError: odd", size_bytes=1, taken_at=LATER)
    client.force_login(make_user(ADMIN))
    page = client.get(reverse("nurture:delivery"))
    assert page.status_code == 200
    text = page.content.decode()
    for words in ("Mailgun, mg.test", "provider-events/mailgun/", "imap.test", "ValueError: odd", "Complaint"):
        assert words in text
    assert "topsecret" not in text
    settings.EMAIL_URL = "mailgun://topsecret@mg.test?nonsense=1"
    broken = client.get(reverse("nurture:delivery")).content.decode()
    assert "knows no “nonsense”" in broken
    assert "topsecret" not in broken
    client.force_login(make_user(MARKETER))
    assert client.get(reverse("nurture:delivery")).status_code == 403


@pytest.mark.parametrize("rows", [1, 3])
def test_the_page_costs_the_same_however_many_events(
    sent: Sending, client: Client, rows: int, django_assert_num_queries: Any
) -> None:
    client.force_login(make_user(ADMIN))
    client.get(reverse("nurture:delivery"))
    for _each in range(rows):
        assert post("mailgun", mailgun(sent, "delivered")).status_code == 200
        DomainRest.objects.create(domain=f"d{_each}.test", until=LATER + timedelta(hours=1))
        MailboxLetter.objects.create(key=str(_each), state="parked", size_bytes=1, taken_at=LATER)
    with django_assert_num_queries(8):
        client.get(reverse("nurture:delivery"))


def test_the_page_of_a_mail_tells_what_the_provider_said(sent: Sending, client: Client) -> None:
    say(sent, "failed", **FAILED)
    client.force_login(make_user(ADMIN))
    text = client.get(reverse("nurture:sending-detail", args=[sent.pk])).content.decode()
    assert "5.1.1 no such user" in text
    assert "Came back" in text


def test_health_tells_of_what_waits_and_what_was_put_aside(sent: Sending) -> None:
    assert post("mailgun", mailgun(sent, "delivered")).status_code == 200
    MailboxLetter.objects.create(key="k", state="parked", size_bytes=1, taken_at=LATER)
    MailboxState.objects.create(pk=1, failures=3)
    depths = queries.queue_depths(LATER)
    names = ("provider_events", "provider_events_failed", "mailbox_parked", "mailbox_failures_in_a_row")
    assert [depths[name]["count"] for name in names] == [1, 0, 1, 3]


def test_who_is_erased_is_forgotten_here_too(sent: Sending) -> None:
    say(sent, "delivered")
    assert sent.contact is not None
    person = Person(sent.contact, (), ())
    chapter = next(one for one in chapters() if one.key == "provider_events")
    assert [row["kind"] for row in chapter.rows(person)] == ["delivered"]
    assert chapter.forget is not None
    chapter.forget(person, LATER)
    assert not ProviderEvent.objects.exists()
