"""A mail leaves by SMTP, a gateway follows its links, the reader opens it and presses one: the reader alone goes on, at once, with points."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from html import unescape
from urllib.parse import urlsplit

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from leads.access import MARKETER
from leads.models import Signal
from nurture.models import Enrolment, MailResponse, Sending
from nurture.tasks import judge_hits, send_due, turn_once
from nurture.tracking import judging
from tests.makers import make_contact, make_user
from tests.nurture.makers import mail, make_template, make_walk, put_in, segment_of, set_workspace, step
from tests.nurture.sink import sink

pytestmark = pytest.mark.django_db

FIREFOX = {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
BODY = """<p>Hello {{ contact.first_name }}</p><p><a href="https://ripen.test/pricing?plan=pro">Prices</a>
<a href="https://ripen.test/demo">Demo</a> <a href="https://ripen.test/docs">Docs</a></p>"""


@pytest.fixture(autouse=True)
def _no_floods() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def by_us(message: EmailMessage) -> list[str]:
    """What a mail program finds in the mail that leads by us: the three links, the one that nobody sees, the pixel."""
    part = message.get_body(("html",))
    assert part is not None
    found = re.findall(r'(?:href|src)="([^"]*/e/[^"]*)"', part.get_content())
    return [urlsplit(unescape(one)).path for one in found]


def test_a_click_takes_its_reader_on_and_a_scanner_nobody(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "SOON", timedelta())  # nobody waits ten seconds here
    monkeypatch.setattr(judging, "SETTLES", timedelta())
    set_workspace(name="Plant", sender_email="ada@plant.test", postal_address="Lane 1")
    until = {"did": "email_click", "where": [{"field": "url", "op": "contains", "value": "/pricing"}]}
    now = timezone.now()
    program, _nobody = make_walk(
        mail(make_template("Prices", BODY, slug="prices"), "m"),
        step("wait_until", "w", conditions=until, days=7, met=[], late=[]),
        people=0,
        now=now,
    )
    ada, bob = make_contact("ada@x.test", first_name="Ada"), make_contact("bob@x.test", first_name="Bob")
    put_in(segment_of(program), [ada, bob], now=now)
    with sink() as smtp:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{smtp.port}"
        turn_once()
        turn_once()
        assert send_due() == 2
    mails = {str(message["To"].addresses[0].addr_spec): by_us(message) for message in smtp.messages}

    gateway = Client(headers=FIREFOX)  # it calls itself a browser, and follows everything
    assert [gateway.get(path, REMOTE_ADDR="10.0.0.1").status_code for path in mails["bob@x.test"]] == [
        302,
        302,
        302,
        404,
        200,
    ]
    reader, (prices, *_others, pixel) = Client(headers=FIREFOX), mails["ada@x.test"]
    assert reader.get(pixel, REMOTE_ADDR="10.0.0.2").status_code == 200
    assert reader.get(prices, REMOTE_ADDR="10.0.0.2")["Location"] == "https://ripen.test/pricing?plan=pro"
    assert judge_hits() == 7
    turn_once()
    turn_once()

    assert dict(Enrolment.objects.values_list("contact__first_name", "state")) == {"Ada": "finished", "Bob": "active"}
    numbers = MailResponse.objects.values_list("sending__address", "opens", "clicks", "machine_opens", "machine_clicks")
    assert sorted(numbers) == [("ada@x.test", 1, 1, 0, 0), ("bob@x.test", 0, 0, 1, 4)]
    did = Signal.objects.filter(kind__slug__in=["email_open", "email_click"]).values_list("contact", "kind__slug", "n")
    assert sorted(did) == [(ada.pk, "email_click", 1), (ada.pk, "email_open", 1)]
    client = Client()
    client.force_login(make_user(MARKETER))
    page = client.get(reverse("nurture:result-list"), {"program": program.slug})
    (row,) = page.context["rows"]
    assert {key: row.people[key] for key in ("sent", "opened", "clicked", "machines")} == {
        "sent": 2, "opened": 1, "clicked": 1, "machines": 1,
    }  # fmt: skip
    timeline = client.get(reverse("leads:contact-timeline", args=[ada.pk])).content.decode()
    assert "E-mail clicked: Prices" in timeline
    assert Sending.objects.filter(is_tracked=True).count() == 2
