"""A live program is edited while people are inside: a step goes, those who stand at it move, the others finish, and the numbers say so."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from leads.access import MARKETER
from nurture.models import Enrolment
from nurture.turn import turn
from tests.browser.conftest import SignIn
from tests.nurture.makers import make_people, make_program, put_in, segment_of, wait, walk, work_publications

pytestmark = pytest.mark.browser


def standing() -> list[tuple[int, str, str]]:
    """(version, state, step) of everybody, in order."""
    rows = Enrolment.objects.order_by("version__number", "step", "pk")
    return list(rows.values_list("version__number", "state", "step"))


@pytest.mark.django_db(transaction=True)
def test_a_step_is_removed_under_three_people_and_two_finish_on_the_old_version(page: Page, sign_in: SignIn) -> None:
    now = timezone.now()
    program = make_program(wait(20, "days", "a"), wait(9, "days", "b"), name="Nurture", now=now - timedelta(days=60))
    segment = segment_of(program)
    for number, at in ((2, now - timedelta(days=25)), (3, now - timedelta(days=5))):  # two are past the first wait
        put_in(segment, make_people(number), now=at)
        turn(at, full=True)
    walk(now)
    assert standing() == [(1, "active", "a")] * 3 + [(1, "active", "b")] * 2

    # 1. The marketer takes the first wait out of a draft; nobody inside notices.
    sign_in(MARKETER)
    page.goto(f"/programs/{program.slug}/")
    expect(page.locator("#counts-a a").first).to_contain_text("3 here")
    expect(page.locator("#counts-b a").first).to_contain_text("2 here")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.locator("#node-a .flow-main").click()
    page.locator("#program-panel").get_by_role("button", name="Delete").click()
    expect(page.locator("#node-a")).to_have_count(0)
    assert standing() == [(1, "active", "a")] * 3 + [(1, "active", "b")] * 2

    # 2. The sheet shows where the five stand; the three go on at the step that stays, the two finish as they are.
    page.get_by_role("link", name="Publish …").click()
    expect(page.get_by_role("heading", name="5 people inside")).to_be_visible()
    stops = page.locator(".publish-stop")
    expect(stops).to_have_count(2)
    gone, stays = stops.nth(0), stops.nth(1)
    expect(gone).to_contain_text("step removed")
    expect(gone.locator("a").first).to_have_text("3")
    expect(stays.locator("a").first).to_have_text("2")
    gone.locator("select").select_option("to:b")
    page.get_by_label("Why").fill("The first wait is too long")
    page.get_by_role("button", name="Publish").click()

    # 3. A worker carries it out; nobody inside moves until then. The page follows by itself.
    expect(page.get_by_role("heading", name="Version 2 is being published")).to_be_visible()
    expect(page.locator("#publication-state")).to_contain_text("0 of 3 people are where the sheet sends them")
    walk(now + timedelta(days=30))
    assert standing() == [(1, "active", "a")] * 3 + [(1, "active", "b")] * 2
    work_publications(now)
    done = page.locator("#publication-state")
    expect(page.get_by_role("heading", name="Version 2 is live.")).to_be_visible()
    expect(done).to_contain_text("3 went over to another step · 2 finish on the version they are in")
    assert standing() == [(1, "active", "b")] * 2 + [(2, "active", "b")] * 3

    # 4. It was the wrong step: taken back, with the reason, everybody stands as before and the draft is there again.
    done.get_by_role("link", name="Take back …").click()
    page.get_by_label("Why is it taken back?").fill("Legal wants the wait")
    page.get_by_role("button", name="Take back").click()
    expect(page.get_by_role("heading", name="Version 2 is taken back")).to_be_visible()
    work_publications(now)
    expect(page.locator("#publication-state")).to_be_empty()
    assert standing() == [(1, "active", "a")] * 3 + [(1, "active", "b")] * 2
    page.goto(f"/programs/{program.slug}/publications/")
    expect(page.get_by_text("The first wait is too long")).to_be_visible()
    expect(page.get_by_text("Legal wants the wait")).to_be_visible()

    # 5. They agree after all. Right after: three on the new version, two on the old one, and each number opens exactly these people.
    page.goto(f"/programs/{program.slug}/publish/")
    page.locator(".publish-stop").nth(0).locator("select").select_option("to:b")
    page.get_by_role("button", name="Publish").click()
    work_publications(now)
    expect(page.get_by_role("heading", name="Version 2 is live.")).to_be_visible()
    assert standing() == [(1, "active", "b")] * 2 + [(2, "active", "b")] * 3
    expect(page.locator("#counts-b a").first).to_contain_text("3 here")
    finishing = page.get_by_role("link", name="2 people are finishing on version 1")
    expect(finishing).to_be_visible()
    page.locator("#counts-b a").first.click()
    expect(page.locator("table tbody tr")).to_have_count(3)
    page.go_back()
    finishing.click()
    expect(page.locator("table tbody tr")).to_have_count(2)

    # 6. Everybody ends where they were to: once, each on their version. Now the publication stays, and the page says why.
    turn(now + timedelta(days=30))
    assert standing() == [(1, "finished", "")] * 2 + [(2, "finished", "")] * 3
    page.goto(f"/programs/{program.slug}/")
    expect(page.locator("#publication-state")).to_contain_text("somebody did the step “Wait 9 days”")
    expect(page.get_by_role("link", name="Take back …")).to_have_count(0)
