"""BANT on the card of the queue, filled in by keyboard alone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import Page, expect

from leads.access import SALES
from scoring.models import BantFact
from tests.makers import make_contact
from tests.scoring.conftest import VP, beat, make_model


def test_bant_is_filled_in_by_keyboard(signed_in: Callable[..., Page]) -> None:
    now = timezone.now()
    make_model(rules=(("fit", "Is a VP", 80, VP),), now=now - timedelta(days=1))
    contact = make_contact(first_name="Anna", last_name="Ripe", title="VP")
    beat(now, full=True)
    page = signed_in(SALES)
    page.goto("/scoring/queue/?tab=all")
    panel = page.locator("#bant-panel")
    expect(panel).to_contain_text("Ask: who signs?")
    page.keyboard.press("b")
    page.keyboard.press("1")
    expect(panel).to_contain_text("Budget: There is a budget")
    expect(page.locator("#bant-budget-yes")).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    expect(panel).to_contain_text("Authority: Influences")
    expect(panel).to_contain_text("stays in nurture as an influencer")
    found = BantFact.objects.order_by("pk").values_list("contact", "facet", "answer", "source")
    assert list(found) == [(contact.pk, "budget", "yes", "call"), (contact.pk, "authority", "influences", "call")]
