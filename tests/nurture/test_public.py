"""Public links: a GET changes nothing, one POST is enough, nothing can be learnt by trying."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.actions import change_contact, delete_contact, withdraw_consent
from leads.addresses import address_hash, keyed_hash, masked
from leads.consent import ask_consent, preference_token
from leads.merging import merge_contacts
from leads.models import (
    Activity,
    ConsentEvent,
    ConsentRequest,
    Contact,
    DataRequest,
    MailPreference,
    Mark,
    Purpose,
    Suppression,
)
from leads.queries_consent import why_blocked
from leads.suppression import suppress
from nurture import access
from nurture.mailing import confirmations, sending
from nurture.models import Sending
from tests.makers import NOW, clear_marks, make_contact, make_user
from tests.nurture.makers import mail, make_walk, walk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_floods() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sent() -> Sending:
    make_walk(mail(step_id="m"), people=1)
    walk()
    sending.send_due(NOW)
    return Sending.objects.get()


def link(token: object) -> str:
    return reverse("nurture:unsubscribe", args=[token])


def test_a_get_changes_nothing(sent: Sending) -> None:
    client = Client(enforce_csrf_checks=True)
    for answer in (client.get(link(sent.token)), client.head(link(sent.token))):
        assert answer.status_code == 200
    assert sent.address not in client.get(link(sent.token)).content.decode()
    assert not ConsentEvent.objects.exists()
    assert not Suppression.objects.exists()


def test_one_press_is_enough(sent: Sending) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(link(sent.token)).status_code == 200
    assert client.post(link(sent.token)).status_code == 200
    event = ConsentEvent.objects.get()
    assert (event.state, event.source, event.address_hash) == (
        "withdrawn",
        "unsubscribe_link",
        address_hash(sent.address),
    )
    assert why_blocked([sent.address], "newsletter") == {sent.address: "withdrawn"}
    assert Activity.objects.filter(kind__slug="email_unsubscribe").count() == 1


def test_one_click_of_rfc_8058(sent: Sending) -> None:
    answer = Client(enforce_csrf_checks=True).post(link(sent.token), {"List-Unsubscribe": "One-Click"})
    assert (answer.status_code, answer.content) == (200, b"unsubscribed\n")
    assert ConsentEvent.objects.get().source == "one_click"


def test_an_unknown_token_looks_the_same(sent: Sending) -> None:
    client, unknown = Client(), uuid.uuid4()
    assert client.get(link(unknown)).content == client.get(link(sent.token)).content
    assert client.post(link(unknown)).content == client.post(link(sent.token)).content
    assert ConsentEvent.objects.count() == 1


def test_it_outlives_the_contact(sent: Sending) -> None:
    assert sent.contact is not None
    delete_contact(sent.contact, actor=None, now=NOW)
    Client().post(link(sent.token))
    again = make_contact(sent.address)
    make_walk(mail(step_id="m"), people=0)
    assert why_blocked([str(again.email)], "marketing") == {again.email: "withdrawn"}


def test_guessing_ends_and_a_true_word_is_always_heard(sent: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail provider speaks for thousands of readers from one address."""
    monkeypatch.setattr(access, "PUBLIC_TRIES", 2)
    monkeypatch.setattr(access, "MOST_PUBLIC", 2)
    guesses = [Client().post(link(uuid.uuid4())).status_code for _each in range(4)]
    assert guesses == [200] * 2 + [429] * 2
    looks = [Client().get(link(sent.token)).status_code for _each in range(4)]
    assert looks == [200] * 2 + [429] * 2
    assert Client().get(link(sent.token), REMOTE_ADDR="10.0.0.9").status_code == 200
    monkeypatch.setattr(access, "MOST_OF_ONE_LINK", 2)
    answers = [Client().post(link(sent.token), {"List-Unsubscribe": "One-Click"}).status_code for _each in range(4)]
    assert answers == [200] * 4
    assert ConsentEvent.objects.count() == 1


def test_codes_of_links_are_in_no_answer_of_a_refusal(sent: Sending) -> None:
    for path in (link(sent.token), preferences(sent)):
        for method in ("put", "delete", "options", "patch"):
            answer = getattr(Client(), method)(path)
            assert (answer.status_code, answer.content) == (405, b"")
    assert not ConsentEvent.objects.exists()


def test_other_methods_are_refused(sent: Sending) -> None:
    assert Client().put(link(sent.token)).status_code == 405
    assert Client().get("/programs/u/not-a-token/").status_code == 404


# --- One purpose, or everything -------------------------------------------------------------------------------------------


def test_unsubscribing_leaves_the_purpose_of_the_mail_or_everything(sent: Sending) -> None:
    Sending.objects.update(purpose="product-news")
    client = Client(enforce_csrf_checks=True)
    client.post(link(sent.token), {"List-Unsubscribe": "One-Click"})
    assert why(sent, "product-news", "one-to-one") == {"product-news": "withdrawn"}
    assert "off every list" in client.post(link(sent.token), {"everything": "yes"}).content.decode()
    assert why(sent, "product-news", "one-to-one") == {"product-news": "withdrawn", "one-to-one": "withdrawn"}


def why(sending: Sending, *purposes: str) -> dict[str, str]:
    found = {purpose: why_blocked([sending.address], purpose).get(sending.address, "") for purpose in purposes}
    return {purpose: code for purpose, code in found.items() if code}


# --- Preferences ----------------------------------------------------------------------------------------------------------


def preferences(sending: Sending) -> str:
    return reverse("nurture:preferences", args=[preference_token(sending.address, sending.contact_id)])


def test_from_a_mail_to_the_preference_page(sent: Sending) -> None:
    answer = Client().get(f"{link(sent.token)}preferences/")
    assert (answer.status_code, answer["Location"]) == (302, preferences(sent))
    assert preferences(sent) in sent.html
    assert Client().get(f"{link(uuid.uuid4())}preferences/").status_code == 404


def test_looking_at_preferences_changes_nothing(sent: Sending) -> None:
    client = Client(enforce_csrf_checks=True)
    for answer in (
        client.get(preferences(sent)),
        client.head(preferences(sent)),
        client.get(preferences(sent), {"verb": "none"}),
    ):
        assert answer.status_code == 200
        assert answer["Referrer-Policy"] == "no-referrer"
        assert "no-store" in answer["Cache-Control"]
    page = client.get(preferences(sent)).content.decode()
    assert sent.address not in page
    assert masked(sent.address) in page
    assert not ConsentEvent.objects.exists()
    assert not MailPreference.objects.exists()
    assert not client.cookies


def test_what_how_often_and_in_which_language(sent: Sending) -> None:
    Purpose.objects.create(slug="invoices", name="Invoices", basis="contract")
    client = Client(enforce_csrf_checks=True)
    shown = ["newsletter", "product-news", "events", "one-to-one", "invoices", "marketing", "no-such"]
    values = {
        "verb": "save",
        "shown": shown,
        "purpose": ["newsletter", "one-to-one"],
        "pace": "weekly",
        "language": "de",
    }
    page = client.post(preferences(sent), values, REMOTE_ADDR="10.0.0.7")
    assert page.status_code == 200
    said = set(ConsentEvent.objects.values_list("purpose", "state", "source"))
    assert said == {("newsletter", "given", "preference_page"), ("product-news", "withdrawn", "preference_page")}
    assert ConsentEvent.objects.first().proof == {"ip_hash": keyed_hash("10.0.0.7")}  # type: ignore[union-attr]
    row = MailPreference.objects.get()
    assert (row.pk, row.pace, row.language) == (address_hash(sent.address), "weekly", "de")
    client.post(preferences(sent), values)
    assert ConsentEvent.objects.count() == 2
    client.post(preferences(sent), {"verb": "save", "pace": "never", "language": "tlh"})
    row.refresh_from_db()
    assert (row.pace, row.language, ConsentEvent.objects.count()) == ("weekly", "de", 2)


def test_pause_and_its_end(sent: Sending) -> None:
    client = Client(enforce_csrf_checks=True)
    client.post(preferences(sent), {"verb": "pause"})
    until = MailPreference.objects.get().paused_until
    assert until is not None
    assert "Paused until" in client.get(preferences(sent)).content.decode()
    client.post(preferences(sent), {"verb": "resume"})
    assert MailPreference.objects.get().paused_until is None
    assert not ConsentEvent.objects.exists()


@pytest.mark.parametrize("values", [{"verb": "none"}, {"List-Unsubscribe": "One-Click"}])
def test_all_off_by_one_press(sent: Sending, values: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    for _twice in range(2):
        assert client.post(preferences(sent), values).status_code == 200
    assert why(sent, "newsletter", "one-to-one", "marketing") == dict.fromkeys(
        ("newsletter", "one-to-one", "marketing"), "withdrawn"
    )
    assert ConsentEvent.objects.count() == 1
    assert Activity.objects.filter(kind__slug="email_unsubscribe").count() == 1


def test_a_preference_link_outlives_the_contact(sent: Sending) -> None:
    page = preferences(sent)
    assert sent.contact is not None
    delete_contact(sent.contact, actor=None, now=NOW)
    client = Client()
    assert "not with us any more" in client.get(page).content.decode()
    client.post(page, {"verb": "save", "shown": ["newsletter"], "purpose": ["newsletter"]})
    assert not ConsentEvent.objects.exists()
    again = make_contact(sent.address)
    clear_marks()
    client.post(page, {"verb": "none"})
    assert why(sent, "one-to-one") == {"one-to-one": "withdrawn"}
    assert [mark.contact_id for mark in Mark.objects.all()] == [again.pk]


def test_forged_links_and_floods(sent: Sending, monkeypatch: pytest.MonkeyPatch) -> None:
    page = preferences(sent)
    token = page.rstrip("/").rpartition("/")[2]
    other = f"{'0' * 64}-{sent.contact_id}.{token.partition('.')[2]}"
    for forged in (token[:-1], other, "x", "1-1.x"):
        for method in (Client().get, Client().post):
            answer = method(reverse("nurture:preferences", args=[forged]), {"verb": "none"})
            assert answer.status_code == 404
    assert not ConsentEvent.objects.exists()
    monkeypatch.setattr(access, "MOST_OF_ONE_LINK", 2)
    answers = [Client().get(page, REMOTE_ADDR="10.0.0.3").status_code for _each in range(3)]
    assert answers == [200] * 2 + [429]  # one link; others are not touched
    guesses = [Client().get(f"{page}x/", REMOTE_ADDR="10.0.0.3").status_code for _each in range(2)]
    assert guesses == [404] * 2


def moved(sent: Sending, way: str) -> Contact:
    """The reader under another address than the mail went to: theirs was changed, or they were merged with somebody."""
    assert sent.contact is not None
    if way == "changed":
        change_contact(sent.contact, changes={"email": "new@example.test"}, actor=None, now=NOW)
        return sent.contact
    kept = make_contact("new@example.test")
    merge_contacts(kept, gone=sent.contact, take={}, actor=None, now=NOW)
    return kept


@pytest.mark.parametrize("way", ["changed", "merged"])
@pytest.mark.parametrize("by", ["button", "one_click", "everything", "preferences"])
def test_who_leaves_by_an_old_mail_leaves_under_their_new_address(sent: Sending, way: str, by: str) -> None:
    Sending.objects.update(purpose="one-to-one")
    page = preferences(sent)
    person = moved(sent, way)
    client, told = Client(enforce_csrf_checks=True), {"one_click": {"List-Unsubscribe": "One-Click"}}
    values = told.get(by, {"everything": "yes", "verb": "none"} if by in ("everything", "preferences") else {})
    assert client.post(page if by == "preferences" else link(sent.token), values).status_code == 200
    for address in (sent.address, "new@example.test"):
        assert why_blocked([address], "one-to-one") == {address: "withdrawn"}
    left = Activity.objects.filter(kind__slug="email_unsubscribe")
    assert [row.contact_id for row in left] == [person.pk]


@pytest.mark.parametrize("way", ["changed", "merged"])
def test_an_old_link_gives_nothing_back_and_tells_nothing(sent: Sending, way: str) -> None:
    page = preferences(sent)
    person = moved(sent, way)
    client = Client()
    shown = client.get(page).content.decode()
    assert "not with us any more" in shown
    assert "new@" not in shown
    client.post(page, {"verb": "save", "shown": ["newsletter"], "purpose": ["newsletter"], "pace": "monthly"})
    assert not ConsentEvent.objects.exists()
    client.post(page, {"verb": "export"})
    asked = DataRequest.objects.get()
    assert (asked.contact, asked.proof["former_address"]) == (person, address_hash(sent.address))


def test_a_link_of_somebody_who_was_merged_under_their_own_address_goes_on(sent: Sending) -> None:
    page = preferences(sent)
    assert sent.contact is not None
    kept = make_contact("other@example.test")
    merge_contacts(kept, gone=sent.contact, take={"email": "gone"}, actor=None, now=NOW)
    assert masked(sent.address) in Client().get(page).content.decode()


def test_the_proof_names_the_reader_behind_our_proxy_and_a_colleague_who_is_signed_in(
    sent: Sending, settings: Any, client: Client
) -> None:
    settings.BEHIND_PROXY = True
    client.force_login(make_user(username="carl"))
    headers = {"X-Forwarded-For": "10.1.1.1, 203.0.113.9"}
    client.post(link(sent.token), headers=headers)
    proof = ConsentEvent.objects.get().proof
    assert (proof["ip_hash"], proof["signed_in"]) == (keyed_hash("203.0.113.9"), "carl")


def test_a_mail_that_waits_follows_its_reader() -> None:
    """Written for the old address, it asks what was said under the new one, and goes there."""
    make_walk(mail(step_id="m"), people=2)
    walk()
    stays, leaves = Contact.objects.order_by("pk")
    for person, address in ((stays, "stays@example.test"), (leaves, "leaves@example.test")):
        change_contact(person, changes={"email": address}, actor=None, now=NOW)
    withdraw_consent("leaves@example.test", source="one_click", now=NOW)
    assert sending.send_due(NOW).sent == 1
    assert set(Sending.objects.values_list("address", "state", "why_not")) == {
        ("stays@example.test", "sent", ""),
        ("leaves@example.test", "not_sent", "withdrawn"),
    }


# --- Double opt-in --------------------------------------------------------------------------------------------------------


def test_from_the_form_to_the_mail_to_the_button() -> None:
    now = timezone.now()
    ask_consent("New@example.test", purposes=["newsletter", "events"], source="form:footer", now=now)
    assert confirmations.queue_asked(now) == 1
    assert confirmations.queue_asked(now) == 0
    assert sending.send_due(now).sent == 1
    mail_sent = Sending.objects.get()
    assert (mail_sent.subject, mail_sent.is_operational) == ("Please confirm: Newsletter, Events", True)
    assert dict(mail_sent.headers)["Auto-Submitted"] == "auto-generated"
    path = urlsplit(re.search(r'href="([^"]*/u/confirm/[^"]*)"', mail_sent.html)[1]).path  # type: ignore[index]
    client = Client(enforce_csrf_checks=True)
    page = client.get(path)
    assert "N…@example.test" in page.content.decode()
    assert "Newsletter" in page.content.decode()
    assert not ConsentEvent.objects.filter(state="given").exists()
    asked = ConsentRequest.objects.get()
    assert client.post(path, REMOTE_ADDR="10.0.0.9").status_code == 200
    given = ConsentEvent.objects.filter(state="given")
    assert set(given.values_list("purpose", "address_hash")) == {
        (slug, asked.address_hash) for slug in ("newsletter", "events")
    }
    assert given[0].proof["ip_hash"] == keyed_hash("10.0.0.9")
    assert client.post(path).status_code == 404
    assert given.count() == 2


def test_a_question_to_a_suppressed_address_is_not_asked() -> None:
    for address, reason in (
        ("a@example.test", "bounced"),
        ("b@example.test", "complained"),
        ("c@example.test", "by_hand"),
    ):
        suppress(address, reason=reason, source="test", now=NOW)
        ask_consent(address, purposes=["newsletter"], source="form", now=NOW)
    confirmations.queue_asked(NOW)
    assert sending.send_due(NOW).sent == 0
    assert dict(Sending.objects.values_list("address", "why_not")) == {
        "a@example.test": "bounced",
        "b@example.test": "complained",
    }
