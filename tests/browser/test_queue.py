"""The queue by keyboard alone: move, reject with a reason, accept, recycle; at 375 px nothing runs off sideways."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from leads.access import SALES
from scoring.actions import accept_lead
from scoring.models import HandOff
from tests.makers import make_activity, make_company, make_contact, make_user
from tests.scoring.conftest import beat, make_model


@pytest.fixture
def leads() -> list[HandOff]:
    """Four leads, waiting in the order in which they are listed."""
    now = timezone.now()
    make_model(now=now - timedelta(days=1))
    for name in ("Anna", "Ben", "Clara", "David"):
        contact = make_contact(first_name=name, last_name="Ripe", title="VP", company=make_company(employees=500))
        make_activity(contact, url="/pricing", subject="Pricing", at=now - timedelta(hours=1))
    beat(now)
    return list(HandOff.objects.order_by("due_at", "grade", "id"))


def test_leads_are_answered_by_keyboard(leads: list[HandOff], signed_in: Callable[..., Page]) -> None:
    page = signed_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    name = page.locator("#hand-off-name")
    expect(name).to_have_text(leads[0].card["who"]["name"])
    page.keyboard.press("j")
    expect(name).to_have_text(leads[1].card["who"]["name"])
    page.keyboard.press("k")
    expect(name).to_have_text(leads[0].card["who"]["name"])
    page.keyboard.press("j")
    expect(name).to_have_text(leads[1].card["who"]["name"])

    page.keyboard.press("r")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(page.locator("#queue-board .alert")).to_contain_text("is rejected")
    expect(name).to_have_text(leads[2].card["who"]["name"])
    expect(page.locator(".queue-row")).to_have_count(3)

    page.keyboard.press("a")
    expect(page.locator("#queue-board .alert")).to_contain_text("is yours")
    expect(name).to_have_text(leads[3].card["who"]["name"])

    page.keyboard.press("c")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#queue-board .alert")).to_contain_text("goes back to nurture")
    states = dict(HandOff.objects.values_list("pk", "state"))
    assert [states[lead.pk] for lead in leads] == ["open", "rejected", "accepted", "recycled"]


def test_the_queue_fits_a_phone(leads: list[HandOff], signed_in: Callable[..., Page]) -> None:
    page = signed_in(SALES)
    page.set_viewport_size({"width": 375, "height": 800})
    page.goto("/scoring/queue/?tab=all")
    for _step in range(2):
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        if page.locator(".queue-row").count():
            page.locator(".queue-row a").first.click()
            page.wait_for_url("**/scoring/queue/*/**")
    page.get_by_role("button", name="Accept").click()
    page.wait_for_url("**/scoring/queue/?tab=all")
    expect(page.locator(".queue-row")).to_have_count(3)


def test_many_at_once_undo_and_help(leads: list[HandOff], signed_in: Callable[..., Page]) -> None:
    page = signed_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    name = page.locator("#hand-off-name")
    expect(name).to_have_text(leads[0].card["who"]["name"])
    page.keyboard.press("?")
    expect(page.locator("#queue-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#queue-help")).to_be_hidden()

    page.keyboard.press("a")
    expect(page.locator("#queue-board .alert")).to_contain_text("is yours")
    page.keyboard.press("u")
    expect(page.locator("#queue-board .alert")).to_contain_text("is open again")
    expect(page.locator(".queue-row")).to_have_count(4)

    page.keyboard.press("x")
    page.keyboard.press("j")
    expect(name).to_have_text(leads[1].card["who"]["name"])
    page.keyboard.press("x")
    expect(page.locator("#queue-bulk [data-chosen]")).to_have_text("2 ✓")
    page.get_by_label("Why rejected").select_option("no-need")
    page.locator("#queue-bulk button[value=reject]").click()
    expect(page.locator("#queue-board .alert")).to_contain_text("2 leads are rejected.")
    states = dict(HandOff.objects.values_list("pk", "state"))
    assert [states[lead.pk] for lead in leads] == ["rejected", "rejected", "open", "open"]


def test_what_somebody_else_answers_is_told_without_reloading(
    leads: list[HandOff], signed_in: Callable[..., Page]
) -> None:
    page = signed_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    expect(page.locator("#hand-off-name")).to_have_text(leads[0].card["who"]["name"])
    accept_lead(leads[0], actor=make_user(SALES, username="otto"), now=timezone.now())
    expect(page.locator(".queue-row")).to_have_count(3)
    card = page.locator("#hand-off-card")
    expect(card).to_have_attribute("data-state", "accepted")
    expect(card).to_contain_text("otto")
