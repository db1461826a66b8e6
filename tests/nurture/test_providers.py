"""Mail leaves by a provider's interface, as the same mail and with the same promises as by SMTP; servers of this machine speak for five."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured

from leads.models import Activity, Contact, Suppression
from nurture.mailing import carriers, sending
from nurture.models import Sending
from nurture.providers import accounts
from nurture.providers.accounts import PROVIDERS, Account
from tests.makers import NOW, make_contact
from tests.nurture.makers import mail, make_people, make_template, make_walk, put_in, segment_of, set_workspace, walk
from tests.nurture.provider_server import DROP, HANG, KEY, ProviderServer, provider_server, raw_mail

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(
        name="Plant Metrics", postal_address="Hauptstr. 1", sender_email="ada@plant.test", sender_name="Ada Ö, Dr."
    )
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with provider_server() as found:
        yield found


def queue(*people: Contact) -> None:
    from nurture.turn import take_in

    template = make_template("Grüße {{ contact.first_name }}", "<p>Hallo 안녕 {{ contact.first_name }}</p>")
    program, _nobody = make_walk(mail(template, "m"), people=0)
    put_in(segment_of(program), people)
    take_in(NOW, full=True)
    walk()


def header(document: dict[str, Any], name: str) -> Any:
    """A header as the provider was told it; names are the same in large and small letters."""
    if "Headers" in document:  # Postmark
        found = {one["Name"]: one["Value"] for one in document["Headers"]}
    else:
        found = document.get("headers") or {
            key.removeprefix("h:"): value for key, value in document.items() if key.startswith("h:")
        }
    return {key.lower(): value for key, value in found.items()}.get(name.lower())


@pytest.mark.parametrize("scheme", ["postmark", "mailgun", "sendgrid", "brevo"])
def test_the_same_mail_leaves_by_an_interface(provider: ProviderServer, settings: SimpleNamespace, scheme: str) -> None:
    settings.EMAIL_URL = provider.url(scheme)
    queue(make_contact("zoe@x.test", first_name="Zoë"))
    assert sending.send_due(NOW).sent == 1
    row = Sending.objects.get()
    assert (row.state, row.carrier, row.tries) == ("sent", "api", 1)
    (call,) = provider.calls
    said, text = call.values, json.dumps(call.values, ensure_ascii=False)
    assert header(said, "Message-ID") == row.message_id
    assert header(said, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert header(said, "Feedback-ID").endswith(":ripen:plant.test")
    assert header(said, "List-Id") == "<marketing.plant.test>"
    assert (said.get("Subject") or said.get("subject")) == "Grüße Zoë"
    for words in ("Hallo 안녕 Zoë", "zoe@x.test", str(row.token)):
        assert words in text
    sender = said["sender"]["name"] if scheme == "brevo" else text
    assert "Ada Ö, Dr." in str(make_header(decode_header(sender)))
    metadata = {
        "postmark": lambda: said["Metadata"]["sending"],
        "mailgun": lambda: said["v:sending"],
        "sendgrid": lambda: said["custom_args"]["sending"],
        "brevo": lambda: json.loads(said["headers"]["X-Mailin-custom"])["sending"],
    }[scheme]()
    assert metadata == str(row.token)
    assert Activity.objects.filter(kind__slug="email_sent").count() == 1


def test_amazon_gets_our_own_bytes(provider: ProviderServer, settings: SimpleNamespace) -> None:
    settings.EMAIL_URL = provider.url("ses", configuration_set="news")
    queue(make_contact("zoe@x.test", first_name="Zoë"))
    assert sending.send_due(NOW).sent == 1
    (call,) = provider.calls
    found, row = raw_mail(call), Sending.objects.get()
    assert (found["Subject"], found["Message-ID"]) == ("Grüße Zoë", row.message_id)
    assert json.loads(found["X-Metadata"]) == {"sending": str(row.token)}
    assert "안녕" in found.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert call.values["ConfigurationSetName"] == "news"


@pytest.mark.parametrize(
    ("scheme", "answer", "state", "waits"),
    [
        ("postmark", (422, {"ErrorCode": 406, "Message": "Found inactive addresses: a@x.test. Inactive recipients are …"}), "bounced", False),
        ("postmark", (422, {"ErrorCode": 300, "Message": "Invalid metadata content."}), "bounced", False),
        ("postmark", (422, {"ErrorCode": 401, "Message": "Sender signature not confirmed."}), "queued", True),
        ("postmark", (429, {"ErrorCode": 429, "Message": "Rate limit exceeded."}), "queued", True),
        ("postmark", (503, {"Message": "Down for maintenance."}), "queued", True),
        ("postmark", (500, {"Message": "Server error."}), "uncertain", False),
        ("postmark", (200, {"Odd": "answer"}), "uncertain", False),
        ("postmark", DROP, "uncertain", False),
        ("mailgun", (400, {"message": "to parameter is not a valid address."}), "bounced", False),
        ("mailgun", (402, {"message": "Payment required."}), "queued", True),
        ("mailgun", (504, {}), "uncertain", False),
        ("sendgrid", (413, {"errors": [{"message": "Payload too large."}]}), "bounced", False),
        ("sendgrid", (403, {"errors": [{"message": "The from address does not match a verified Sender Identity."}]}), "queued", True),
        ("brevo", (400, {"code": "invalid_parameter", "message": "email is not valid"}), "bounced", False),
        ("ses", (400, {"__type": "BadRequestException", "message": "Bad"}), "bounced", False),
        ("ses", (400, {"__type": "MessageRejected", "message": "Email address is not verified."}), "queued", True),
        ("ses", (400, {"__type": "SendingPausedException", "message": "Paused"}), "queued", True),
        ("ses", (429, {"__type": "TooManyRequestsException", "message": "Slow"}), "queued", True),
        ("ses", DROP, "uncertain", False),
    ],
)  # fmt: skip
def test_what_an_answer_means(
    provider: ProviderServer,
    settings: SimpleNamespace,
    scheme: str,
    answer: tuple[int, dict[str, Any]],
    state: str,
    waits: bool,
) -> None:
    """`waits`: it is about the account, so nothing is lost and no try counted."""
    settings.EMAIL_URL = provider.url(scheme)
    provider.answers["a@x.test"] = answer
    queue(make_contact("a@x.test"))
    report = sending.send_due(NOW)
    row = Sending.objects.get()
    assert (row.state, bool(report.problem)) == (state, waits)
    assert row.tries == (0 if waits else 1)
    assert Suppression.objects.exists() == (answer[1].get("ErrorCode") == 406)
    assert len(provider.calls) == 1  # never a second call by the library
    if waits:
        provider.answers.clear()
        cache.clear()
        assert sending.send_due(NOW + timedelta(minutes=1)).sent == 1


def test_silence_after_the_whole_mail_is_uncertain(
    provider: ProviderServer, settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "SECONDS", (60, 0.2))  # to connect, to answer
    settings.EMAIL_URL = provider.url("mailgun")
    provider.answers["a@x.test"] = HANG
    queue(make_contact("a@x.test"))
    assert sending.send_due(NOW).uncertain == 1
    assert Sending.objects.get().state == "uncertain"
    assert sending.send_due(NOW + timedelta(hours=1)).sent == 0
    assert len(provider.calls) == 1


def test_a_provider_in_trouble_makes_one_uncertain_and_leaves_the_others(
    provider: ProviderServer, settings: SimpleNamespace
) -> None:
    settings.EMAIL_URL = provider.url("postmark")
    provider.answers["*"] = (500, {"Message": "Server error."})
    queue(*make_people(5))
    report = sending.send_due(NOW)
    assert (report.uncertain, report.sent, len(provider.calls)) == (1, 0, 1)
    assert "500 Server error." in report.problem
    provider.answers.clear()
    cache.clear()
    assert sending.send_due(NOW + timedelta(minutes=1)).sent == 4


def test_an_unknown_key_and_a_closed_port_lose_nothing(
    provider: ProviderServer, settings: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    queue(make_contact("a@x.test"))
    for url in (
        provider.url("postmark").replace(KEY, "other-key"),
        "postmark://other-key@?api=http://127.0.0.1:9&connections=1",
        "ses://other-key:secret@eu-central-1?api=http://127.0.0.1:9&connections=1",
    ):
        settings.EMAIL_URL = url
        cache.clear()
        report = sending.send_due(NOW)
        assert (Sending.objects.get().state, Sending.objects.get().tries) == ("queued", 0)
        assert report.problem
        assert "other-key" not in report.problem
        assert "other-key" not in repr(carriers.configured())
    assert provider.calls == []


def test_colleagues_hear_by_the_same_way(provider: ProviderServer, settings: SimpleNamespace) -> None:
    from nurture.mailing.message import Envelope, build
    from nurture.templating.rendering import Mail

    settings.EMAIL_URL = provider.url("postmark")
    carrier = carriers.configured()
    assert isinstance(carrier, Account)
    row = make_contact("a@x.test")
    envelope = Envelope(Sending().token, "Ada", "ada@plant.test", "Bo", str(row.email))
    line = carriers.line_to(carrier)
    assert line.deliver(build(Mail("S", "<p>x</p>", "x\n"), envelope, at=NOW)).verdict.value == "sent"
    line.close()
    assert provider.calls[0].values["TrackOpens"] is False


@pytest.mark.parametrize("provider_slug", PROVIDERS)
def test_a_url_names_an_account_without_telling_its_key(provider_slug: str) -> None:
    example = PROVIDERS[provider_slug].example
    account = Account.from_url(example)
    assert account.provider.slug == provider_slug
    assert account.user not in repr(account)
    for bad in (f"{example}?nonsense=1", f"{example}?tracking=maybe", f"{example}?connections=99"):
        with pytest.raises(ImproperlyConfigured) as error:
            Account.from_url(bad)
        assert account.user not in str(error.value)


def test_who_cannot_be_told_whom_to_track_may_not_track() -> None:
    with pytest.raises(ImproperlyConfigured):
        Account.from_url("brevo://key@?tracking=provider")
    assert Account.from_url("postmark://key@?tracking=provider").is_tracking
    with pytest.raises(ImproperlyConfigured):
        Account.from_url("postmark://@")
    with pytest.raises(ImproperlyConfigured):
        Account.from_url("mailgun://key@")


def test_tracking_by_the_provider_is_asked_for_only_where_we_may_note(
    provider: ProviderServer, settings: SimpleNamespace
) -> None:
    settings.EMAIL_URL = provider.url("postmark", tracking="provider")
    queue(make_contact("a@x.test"), make_contact("b@x.de"))  # quiet: Germany
    assert sending.send_due(NOW).sent == 2
    asked = {call.values["To"].rpartition("<")[2].rstrip(">"): call.values for call in provider.calls}
    assert [asked[to]["TrackOpens"] for to in ("a@x.test", "b@x.de")] == [True, False]
    assert "/e/" not in json.dumps(asked["a@x.test"])  # no link leads by us


# --- So many mails a second -------------------------------------------------------------------------------------------------


def test_a_pace_is_kept_over_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carriers, "time", lambda: 7_200.0 + 1_000)
    pace = carriers.Pace.from_text("3/h")
    assert pace is not None
    assert [pace.seconds_to_wait() for _each in range(5)] == [0, 0, 0, 2_600, 2_600]
    monkeypatch.setattr(carriers, "time", lambda: 10_800.0)
    assert pace.seconds_to_wait() == 0


@pytest.mark.parametrize("text", ["fast", "0/s", "14", "14/d", "-1/s", "1.5/s"])
def test_a_pace_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ImproperlyConfigured):
        carriers.Pace.from_text(text)


def test_mail_over_the_pace_waits_without_a_try(
    provider: ProviderServer, settings: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EMAIL_URL, settings.EMAIL_RATE = provider.url("postmark"), "2/h"
    monkeypatch.setattr(carriers, "time", lambda: 7_200.0)
    queue(*make_people(5))
    report = sending.send_due(NOW)
    assert (report.sent, len(provider.calls)) == (2, 2)
    assert "3600" in report.problem
    assert list(Sending.objects.order_by("id").values_list("state", "tries")) == [("sent", 1)] * 2 + [("queued", 0)] * 3
    cache.delete(sending.SERVER_DOWN)
    monkeypatch.setattr(carriers, "time", lambda: 10_800.0)
    assert sending.send_due(NOW + timedelta(hours=1)).sent == 2
