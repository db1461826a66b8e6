"""Segments in a real browser: the guard stops an accidental OR, a near miss says what is missing, many are moved at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from leads.access import MARKETER
from leads.models import Contact
from segments import pages, turn
from segments.models import Segment
from tests.makers import NOW, make_contact, make_segment

pytestmark = pytest.mark.browser

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
GERMAN = {"field": "contact.country", "op": "is", "value": "DE"}


@pytest.fixture
def segment(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Segment:
    """Two of twelve meet both conditions; all of them meet one."""
    monkeypatch.setattr(pages, "JUMP_PEOPLE", 5)
    Contact.objects.bulk_create(
        [Contact(external_id=f"c{n}", title="CFO" if n < 2 else "Clerk", country="DE") for n in range(12)]
    )
    found = make_segment({"all": [CFO, GERMAN]}, name="German chiefs")
    turn.turn(NOW)
    return found


def test_the_guard_stops_an_accidental_or(
    segment: Segment, signed_in: Callable[[str], Page], complaints: list[str]
) -> None:
    page = signed_in(MARKETER)
    page.goto("/segments/german-chiefs/edit/")
    builder = page.locator("conditions-builder")
    builder.get_by_role("button", name="AND – click").click()
    expect(builder.locator("[data-summary]:not(.is-old) [data-number-of-people]")).to_have_text("12")
    page.get_by_role("button", name="See what it changes").click()
    expect(page.locator("#segment-guard")).to_contain_text("from 2 to 12 people")
    expect(page.locator("#review-joining")).to_have_text("+10")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#segment-guard")).to_contain_text("Not saved")
    complaints.clear()  # the browser notes the 422 of the refusal
    page.get_by_label("type the new size, 12").fill("12")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="German chiefs")).to_be_visible()
    expect(page.locator("body")).to_contain_text("is saved")
    page.goto("/segments/german-chiefs/versions/")
    expect(page.locator("#segment-versions li").first).to_contain_text("+10")


def test_a_near_miss_says_what_is_missing(segment: Segment, signed_in: Callable[[str], Page]) -> None:
    make_contact("grace@x.test", first_name="Grace", last_name="Hopper", title="CFO", country="US")
    page = signed_in(MARKETER)
    page.goto("/segments/german-chiefs/")
    why = page.locator("#segment-why")
    why.get_by_role("searchbox").fill("grace hop")
    why.get_by_role("button", name="Find").click()
    why.get_by_role("link", name="Grace Hopper").click()
    expect(why).to_contain_text("not in")
    expect(why.locator("[data-nearest]")).to_contain_text("one change and it would hold")
    expect(why.locator("[data-nearest] li")).to_have_text(["Country is Germany"])


def test_a_folder_is_opened_and_its_segments_moved(live_server: Any, signed_in: Callable[[str], Page]) -> None:
    Segment.objects.bulk_create(
        Segment(slug=f"s{n}", name=f"S{n}", folder=f"F{n % 2}", mode="fixed", created_at=NOW, updated_at=NOW)
        for n in range(62)
    )
    page = signed_in(MARKETER)
    page.goto("/segments/")
    page.locator("summary", has_text="F1").click()
    page.get_by_label("Choose all of this folder").check()
    expect(page.locator("[data-choose-count]")).to_have_text("31")
    page.locator("[data-choose-bar] input[name=folder]").fill("Attic")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("body")).to_contain_text("31 segments changed.")
    expect(page.locator("summary", has_text="Attic")).to_be_visible()
    expect(page.locator("summary", has_text="F1")).to_have_count(0)
