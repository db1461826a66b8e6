"""The shell and the contact pages in a real browser: theme, search, filters, edit, stage, bulk, phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import BrowserContext, Page, expect

from leads.access import MARKETER, SALES
from leads.models import Contact, StageMove
from tests.makers import NOW, make_activity, make_company, make_contact, make_owner

SignedIn = Callable[[str], Page]


def test_light_and_dark_without_a_reload_and_kept(signed_in: SignedIn) -> None:
    page = signed_in(SALES)
    root = page.locator("html")
    before = root.get_attribute("data-bs-theme")
    after = "light" if before == "dark" else "dark"
    page.evaluate("window.sameDocument = true")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(root).to_have_attribute("data-bs-theme", after)
    assert page.evaluate("window.sameDocument") is True
    page.goto("/contacts/")
    expect(root).to_have_attribute("data-bs-theme", after)


def test_a_system_in_the_dark_gets_a_dark_first_page(context: BrowserContext, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto("/login/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_search_by_keyboard_alone(signed_in: SignedIn) -> None:
    contact = make_contact(first_name="Anna", last_name="Müller", company=make_company("Acme"))
    page = signed_in(SALES)
    page.keyboard.press("/")
    expect(page.locator("#global-search")).to_be_focused()
    page.keyboard.type("müll")
    expect(page.locator("#global-search-results")).to_contain_text("Anna Müller")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/contacts/{contact.pk}/")


def test_filters_open_narrow_and_come_off(signed_in: SignedIn) -> None:
    make_contact(first_name="Anna", stage="mql")
    make_contact(first_name="Bob", stage="customer")
    page = signed_in(SALES)
    page.goto("/contacts/")
    page.get_by_role("button", name="Filters").click()
    page.locator("#filter-stage").select_option("mql")
    expect(page.locator("#contact-list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("stage=mql"))
    page.locator("#contact-words").fill("bob")
    expect(page.locator("#contact-list")).to_contain_text("Nobody fits")
    expect(page.locator("#contact-words")).to_be_focused()
    page.locator("#contact-words").fill("")
    expect(page.locator("#contact-list tbody tr")).to_have_count(1)
    page.get_by_title("Take this filter off").click()
    expect(page.locator("#contact-list tbody tr")).to_have_count(2)


def test_chosen_columns(signed_in: SignedIn) -> None:
    make_contact(city="Busan")
    page = signed_in(SALES)
    page.goto("/contacts/")
    page.get_by_role("button", name="Columns").click()
    page.get_by_label("City", exact=True).check()
    page.get_by_role("button", name="Show these").click()
    expect(page.locator("#contact-list thead")).to_contain_text("City")
    expect(page.locator("#contact-list tbody")).to_contain_text("Busan")


def test_tag_the_chosen(signed_in: SignedIn) -> None:
    contact, other = make_contact(first_name="Anna"), make_contact(first_name="Bob")
    page = signed_in(MARKETER)
    page.goto("/contacts/")
    bar = page.locator("[data-choose-bar]")
    expect(bar).to_be_hidden()
    page.get_by_label(f"Choose {contact}").check()
    expect(bar).to_contain_text("1 chosen")
    bar.get_by_label("Add a tag").last.fill("vip")
    bar.get_by_role("button", name="Do it").click()
    expect(page.locator("#messages")).to_contain_text("Add a tag: 1 person changed.")
    contact.refresh_from_db()
    other.refresh_from_db()
    assert (contact.tags, other.tags) == (["vip"], [])


def test_give_the_chosen_an_owner(signed_in: SignedIn) -> None:
    owner, contact = make_owner("Ana Sousa"), make_contact()
    page = signed_in(SALES)
    page.goto("/contacts/")
    page.get_by_label(f"Choose {contact}").check()
    bar = page.locator("[data-choose-bar]")
    bar.get_by_label("What to do").select_option("set_owner")
    bar.get_by_label("Set the owner").select_option("Ana Sousa")
    bar.get_by_role("button", name="Do it").click()
    expect(page.locator("#contact-list tbody")).to_contain_text("Ana Sousa")
    contact.refresh_from_db()
    assert contact.owner == owner


def test_facts_are_edited_in_place(signed_in: SignedIn, complaints: list[str]) -> None:
    company = make_company("Nordwind Logistics")
    contact = make_contact(first_name="Anna", email="anna@x.test")
    page = signed_in(SALES)
    page.goto(f"/contacts/{contact.pk}/")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("E-mail").fill("no address")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#contact-facts")).to_contain_text("is no e-mail address")
    complaints.clear()  # Chromium notes the 422
    page.get_by_label("E-mail").fill("anna@y.test")
    page.get_by_label("Company").press_sequentially("nordw")
    expect(page.locator("#company-options option")).to_have_attribute("value", company.name)
    page.get_by_label("Company").fill(company.name)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#messages")).to_contain_text("Saved.")
    expect(page.locator("#contact-facts")).to_contain_text("anna@y.test")
    contact.refresh_from_db()
    assert (contact.email, contact.company) == ("anna@y.test", company)


def test_a_stage_is_moved_with_a_reason(signed_in: SignedIn) -> None:
    contact = make_contact()
    page = signed_in(SALES)
    page.goto(f"/contacts/{contact.pk}/")
    page.get_by_role("button", name="Move stage").click()
    page.locator("#stage_to").select_option("accepted")
    page.locator("#stage_reason").fill("Met at the fair")
    page.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator("#contact-timeline")).to_contain_text("Inquiry → Accepted")
    expect(page.locator("#contact-timeline")).to_contain_text("Met at the fair")
    assert Contact.objects.get().stage == "accepted"
    assert StageMove.objects.count() == 1


def test_the_timeline_narrows_and_goes_back(signed_in: SignedIn) -> None:
    contact = make_contact()
    for number in range(60):
        make_activity(contact, at=NOW - timedelta(minutes=number), url=f"https://x.test/{number}")
    make_activity(contact, "call", subject="First call", at=NOW.replace(year=2025))
    page = signed_in(SALES)
    page.goto(f"/contacts/{contact.pk}/")
    timeline = page.locator("#contact-timeline")
    expect(timeline).not_to_contain_text("First call")
    timeline.get_by_role("link", name="Show what happened before").click()
    expect(timeline).to_contain_text("First call")
    timeline.get_by_role("link", name="Stages", exact=True).click()
    expect(timeline).to_contain_text("Nothing of this sort happened yet.")


def test_a_session_that_ended_leads_to_the_sign_in(signed_in: SignedIn, context: BrowserContext) -> None:
    page = signed_in(SALES)
    page.goto("/contacts/")
    theme = [cookie for cookie in context.cookies() if cookie.get("name") != "sessionid"]
    context.clear_cookies()
    context.add_cookies(theme)  # type: ignore[arg-type]
    page.locator("#contact-words").fill("anna")
    page.wait_for_url(re.compile("/login/"))


def test_navigation_on_a_phone(signed_in: SignedIn) -> None:
    page = signed_in(SALES)
    page.set_viewport_size({"width": 375, "height": 700})
    page.goto("/")
    link = page.get_by_role("link", name="Companies", exact=True)
    expect(link).not_to_be_in_viewport()
    page.get_by_role("button", name="Navigation").click()
    link.click()
    page.wait_for_url("**/companies/")


def test_the_skip_link_is_first_and_works(signed_in: SignedIn) -> None:
    page = signed_in(SALES)
    page.goto("/companies/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
