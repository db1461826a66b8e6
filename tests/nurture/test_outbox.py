"""The outbox as a list: pages by key, reasons that open exactly as many mails as they say, and addresses that make no sense."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads.access import MARKETER
from nurture.mailing import outbox
from nurture.models import Sending
from tests.makers import NOW, make_user
from tests.nurture.makers import make_template

pytestmark = pytest.mark.django_db


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def mails(*why: str, state: str = "not_sent", minutes: int = 0) -> None:
    template = make_template()
    at = NOW - timedelta(minutes=minutes)
    first = Sending.objects.count()
    Sending.objects.bulk_create(
        Sending(
            key=f"x:{n}", template=template, address="a@x.test", queued_at=at, due_at=at, state=state, why_not=words
        )
        for n, words in enumerate(why, first)
    )


def test_a_reason_opens_as_many_mails_as_it_says(marketer: Client) -> None:
    mails(
        *["withdrawn"] * 60,
        "no_consent",
        "550 5.1.1 <b@x.test> no",
        "550 5.1.1 <a@x.test> no",
        "550 5.7.1 no",
        "550 no",
        "",
    )
    mails("withdrawn", state="queued")
    page = marketer.get(reverse("nurture:sending-list"), {"state": "not_sent"})
    told = [(reason.words, reason.number) for reason in page.context["reasons"]]
    assert told == [
        ("Consent was withdrawn.", 60),
        ("550 5.1.1, as in: <a@x.test> no", 2),
        ("550 5.7.1, as in: no", 1),
        ("550, as in: no", 1),
        ("The purpose needs consent, and none was given.", 1),
    ]
    for reason in page.context["reasons"]:
        seen, address = list[int](), reason.address
        while address:
            answer = marketer.get(reverse("nurture:sending-list") + address)
            seen += [row.pk for row in answer.context["rows"]]
            address = answer.context["next_page"] if answer.context["next"] else ""
        assert len(set(seen)) == len(seen) == reason.number
    chosen = marketer.get(reverse("nurture:sending-list") + page.context["reasons"][0].address)
    assert [reason.is_chosen for reason in chosen.context["reasons"]] == [True, *[False] * 4]
    assert chosen.context["any_reason"] == "?state=not_sent"


def test_pages_follow_each_other_where_all_were_queued_at_once(marketer: Client) -> None:
    """A broadcast queues thousands at one moment."""
    mails(*["window"] * 70, state="queued")
    mails(*["window"] * 40, state="queued", minutes=1)
    seen, after = list[int](), ""
    while True:
        answer = marketer.get(reverse("nurture:sending-list"), {"state": "queued", "after": after})
        seen += [row.pk for row in answer.context["rows"]]
        if not (after := answer.context["next"]):
            break
    assert seen == list(Sending.objects.order_by("-queued_at", "-pk").values_list("pk", flat=True))


NONSENSE = [
    {"after": "x_1"},
    {"after": "2026-03-02T09:00:00_1"},
    {"after": "2026-13-02T09:00:00+00:00_1"},
    {"after": f"2026-03-02T09:00:00+00:00_{10**30}"},
    {"after": "2026-03-02T09:00:00+00:00_\u0663\u00b2"},
    {"after": "_"},
    {"state": "nonsense"},
    {"state": "not_sent\0"},
    {"why": "\0"},
    {"why": "x" * 5_000},
    {"program": "\0", "broadcast": "'; --"},
]


def test_an_address_that_makes_no_sense_is_a_page(marketer: Client) -> None:
    mails("withdrawn")
    for asked in NONSENSE:
        assert marketer.get(reverse("nurture:sending-list"), asked).status_code == 200, asked


def test_a_carrier_that_is_set_wrongly_is_told(marketer: Client, settings: SimpleNamespace) -> None:
    settings.EMAIL_URL = "smtp://ada:secret@mail.test?tls=maybe"
    text = marketer.get(reverse("nurture:sending-list")).content.decode()
    assert "tls=maybe is unknown" in text
    assert "No mail server is set" not in text
    assert "secret" not in text


@pytest.mark.parametrize("rows", [1, 3])
def test_a_state_costs_the_same_whatever_the_rows(marketer: Client, rows: int) -> None:
    url = reverse("nurture:sending-list")
    marketer.get(url)
    mails(*[f"reason {n}" for n in range(rows)])
    with CaptureQueriesContext(connection) as captured:
        marketer.get(url, {"state": "not_sent"})
    assert len(captured) == 8  # three of them the session, its user and their rights


def test_reasons_are_the_most_frequent_ones() -> None:
    for n in range(outbox.MOST_REASONS + 3):
        mails(*[f"reason {n}"] * (n + 1))
    numbers = [reason.number for reason in outbox.reasons(outbox.Choice(state="not_sent"))]
    assert numbers == list(range(outbox.MOST_REASONS + 3, 3, -1))
    assert outbox.reasons(outbox.Choice()) == []
