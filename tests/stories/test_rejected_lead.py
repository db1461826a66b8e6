"""Marketing edits a rule and publishes it; sales rejects a lead with a reason; it stays away until something new; marketing sees why."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from leads.access import MARKETER, SALES
from leads.actions import NewActivity, record_activities
from leads.models import Contact
from nurture.tasks import turn_once
from scoring.models import HandOff, Rule, ScoreModel
from tests.browser.conftest import SignIn
from tests.makers import make_contact
from tests.scoring.conftest import PRICING, VP, make_model
from tests.stories.test_main_job import wait_for_answers

pytestmark = pytest.mark.browser


def does(contact: Contact, kind: str, *, url: str = "") -> None:
    """An activity arrives, and the workers have a second."""
    now = timezone.now()
    record_activities([NewActivity(contact_id=contact.pk, kind=kind, occurred_at=now, url=url, subject=url)], now=now)
    turn_once()


@pytest.mark.django_db(transaction=True)
def test_a_rejected_lead_comes_back_for_something_new_only(page: Page, sign_in: SignIn) -> None:
    rules = [
        ("fit", "Is a VP", 40, VP),
        ("behaviour", "Pricing", 20, PRICING),
        ("behaviour", "Demo", 5, {"did": "demo_booked"}),
    ]
    make_model(rules=rules, now=timezone.now() - timedelta(days=1))  # type: ignore[arg-type]
    vera = make_contact(first_name="Vera", last_name="Ripe", title="VP Finance")
    early = make_contact(first_name="Emil", last_name="Early", title="VP Sales")
    does(early, "page_view", url="https://x.test/pricing")
    assert HandOff.objects.count() == 0

    # 1. A marketer makes a title worth more, sees who would cross, and publishes.
    sign_in(MARKETER)
    page.goto(f"/scoring/product/draft/rules/{Rule.objects.filter(version__state='live', name='Is a VP').get().key}/")
    page.locator("input[name=points]").fill("60")
    page.get_by_role("button", name="Save in the draft").click()
    page.get_by_role("link", name="See what publishing does").click()
    entering = page.locator("#publish-difference .card-sm", has_text="would enter the MQL queue")
    expect(entering.locator(".ripen-number")).to_have_text("1")
    page.get_by_label("Why").fill("Titles decide")
    page.get_by_role("button", name="Publish").click()
    turn_once()
    assert HandOff.objects.get().contact == early

    # 2. Sales has the queue open; an activity arrives, and the card is there without reloading.
    page.context.clear_cookies()
    sign_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    expect(page.locator(".queue-row")).to_have_count(1)
    does(vera, "page_view", url="https://x.test/pricing")
    expect(page.locator(".queue-row")).to_have_count(2)
    page.locator(".queue-row", has_text="Vera Ripe").locator("a").click()
    card = page.locator("#hand-off-card")
    expect(card).to_contain_text("“Pricing” lifted it from 60 to 80 points.")

    # 3. She rejects it with a reason and says which one misled her.
    page.keyboard.press("r")
    sheet = page.locator("details[data-answer=reject]")
    sheet.get_by_label(re.compile("No need now")).check()
    sheet.get_by_text("Was a reason on the card misleading?").click()
    sheet.get_by_label("Is a VP").check()
    sheet.get_by_role("button", name="Reject").click()
    expect(page.locator("#queue-board .alert")).to_contain_text("is rejected")
    wait_for_answers(1)

    # 4. The same again is nothing new; a demo is.
    does(vera, "page_view", url="https://x.test/pricing")
    assert HandOff.objects.open().filter(contact=vera).count() == 0
    does(vera, "demo_booked")
    assert HandOff.objects.open().filter(contact=vera).count() == 1

    # 5. Marketing sees the answer beside the rule.
    page.context.clear_cookies()
    sign_in(MARKETER)
    page.goto("/scoring/reports/")
    row = page.locator("tr", has=page.locator("td", has_text="Is a VP"))
    cells = row.locator("td")
    expect(cells.nth(4)).to_have_text("1")  # rejected
    expect(cells.nth(5)).to_have_text("1")  # misleading
    cells.nth(5).locator("a").click()
    expect(page.get_by_text("Vera Ripe")).to_be_visible()
    assert ScoreModel.objects.filter(slug="product").exists()
