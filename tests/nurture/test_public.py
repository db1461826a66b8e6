"""Unsubscribing: a GET changes nothing, one POST is enough, nothing can be learnt by trying."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from leads.models import Activity, ConsentEvent, Suppression
from leads.text import address_hash
from nurture import sending
from nurture.models import Sending
from tests.makers import NOW, make_contact
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
    assert Suppression.objects.get().reason == "unsubscribed"
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
    from leads.actions import delete_contact

    assert sent.contact is not None
    delete_contact(sent.contact, actor=None, now=NOW)
    Client().post(link(sent.token))
    again = make_contact(sent.address)
    make_walk(mail(step_id="m"), people=0)
    assert Suppression.objects.filter(address_hash=address_hash(str(again.email))).exists()


def test_floods_are_stopped(sent: Sending) -> None:
    answers = [Client().get(link(sent.token)).status_code for _each in range(32)]
    assert answers == [200] * 30 + [429] * 2
    assert Client().get(link(sent.token), REMOTE_ADDR="10.0.0.9").status_code == 200


def test_other_methods_are_refused(sent: Sending) -> None:
    assert Client().put(link(sent.token)).status_code == 405
    assert Client().get("/programs/u/not-a-token/").status_code == 404
