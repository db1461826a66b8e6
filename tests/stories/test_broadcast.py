"""A broadcast by clicks and keys: written, counted, looked over, sent, cancelled midway; each number is true before and after."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from leads.access import MARKETER
from leads.actions import withdraw_consent
from leads.models import Contact
from nurture.broadcasts import job
from nurture.models import Broadcast, Sending
from nurture.tasks import run_broadcasts, send_due
from tests.browser.conftest import SignIn
from tests.makers import NOW, make_contact, make_segment
from tests.nurture.makers import make_template, put_in, set_workspace
from tests.nurture.sink import sink as smtp_sink

pytestmark = pytest.mark.browser


def audience() -> None:
    """Nine customers: six may get it; one is a partner, too, one said no, one has no address."""
    customers = [make_contact(f"reader-{n}@readers.test", external_id=f"reader-{n}", country="US") for n in range(9)]
    put_in(make_segment(name="Old customers"), customers)
    put_in(make_segment(name="Partners of the house"), [customers[6]])
    withdraw_consent("reader-7@readers.test", source="test", now=NOW)
    Contact.objects.filter(pk=customers[8].pk).update(email=None)


def choose_segment(page: Page, label: str, words: str, name: str) -> None:
    """By keyboard alone."""
    search = page.get_by_label(label)
    search.fill(words)
    expect(page.get_by_role("option", name=re.compile(name))).to_have_attribute("aria-selected", "true")
    search.press("Enter")
    expect(page.get_by_role("button", name=f"Take out {name}")).to_be_visible()


def figures(page: Page) -> dict[str, str]:
    """What “How far it is” says, by its words."""
    rows = page.locator(".broadcast-figures > div")
    return dict(row.split("\n") for row in rows.all_inner_texts())


@pytest.mark.django_db(transaction=True)
def test_written_counted_sent_and_cancelled(
    page: Page, sign_in: SignIn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_workspace(name="Plant", postal_address="Hauptstr. 1", sender_email="ada@plant.test")
    audience()
    make_template("Spring is here", name="Spring", format="text", body="Come and see.")
    make_template("Have you seen spring?", name="Spring, asked", format="text", body="Come and see.")
    monkeypatch.setattr(job, "OUTBOX", 2)
    sign_in(MARKETER)

    # 1. Written, the segments by keyboard.
    page.goto("/programs/broadcasts/")
    page.get_by_role("link", name="New broadcast").first.click()
    page.get_by_label("Name").fill("Spring letter")
    page.get_by_label("Mail", exact=False).first.select_option(label="Spring")
    expect(page.get_by_label("Moment", exact=True)).to_be_hidden()
    choose_segment(page, "To members of", "cust", "Old customers")
    choose_segment(page, "But to nobody of", "house part", "Partners of the house")
    page.get_by_text("Compare several mails (A/B)").click()
    page.get_by_label("Variant B").select_option(label="Spring, asked")
    page.get_by_role("button", name="Save the draft").click()

    # 2. Counted by the worker, looked over.
    page.get_by_role("button", name="Count the audience").click()
    expect(page.get_by_text("The audience is being counted")).to_be_visible()
    run_broadcasts()
    send = page.get_by_role("button", name="Send to 6 people now")
    expect(send).to_be_visible()
    expect(page.get_by_role("heading", name="3 people stay out")).to_be_visible()
    reasons = page.locator(".broadcast-reasons .list-group-item")
    expect(reasons).to_have_text(
        [
            re.compile(r"1\s*in a segment that is kept out"),
            re.compile(r"1\s*no e-mail address"),
            re.compile(r"1\s*consent withdrawn"),
        ]
    )
    reasons.last.click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("reader-7@readers.test")
    page.go_back()

    # 3. Sent: two of six leave before the rest is cancelled.
    send.click()
    expect(page.get_by_text("6 people get it.")).to_be_visible()
    with smtp_sink() as sink:
        settings.EMAIL_URL = f"smtp://127.0.0.1:{sink.port}"
        run_broadcasts()
        send_due()
        expect(page.locator(".broadcast-figures")).to_contain_text("Sent\n2", use_inner_text=True)
        assert figures(page) == {"Audience": "6", "Sent": "2", "Still to come": "4"}
        page.get_by_text("Cancel it …").click()
        page.get_by_role("button", name="Cancel the broadcast").click()
        expect(page.get_by_text("4 people do not get it")).to_be_visible()
        assert figures(page) == {"Audience": "6", "Sent": "2", "Not sent": "4"}
        Broadcast.objects.update(next_at=None)
        run_broadcasts()
        send_due()
    assert len(sink.recipients) == 2
    assert set(sink.recipients) < {f"reader-{n}@readers.test" for n in range(6)}
    assert Sending.objects.filter(state=Sending.State.SENT).count() == Sending.objects.count() == 2
    sent = page.locator("tbody tr td:nth-child(2)")
    assert sum(int(number) for number in sent.all_inner_texts()) == 2
