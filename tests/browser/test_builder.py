"""The builder in a real browser: by mouse, by keyboard alone, what it writes, what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from leads.access import MARKETER
from segments.models import Persona
from tests.makers import make_contact, make_deal
from tests.segments.test_builder import LEAVES, SOURCE, WON

pytestmark = pytest.mark.browser
SignedIn = Callable[[str], Page]


@pytest.fixture
def population(live_server: Any) -> None:
    """Four from paid search, two of them and one other with a won deal."""
    paid = [make_contact(source="paid_search", country="DE" if number else "") for number in range(4)]
    other = make_contact(source="referral", country="DE")
    for contact in (paid[0], paid[1], other):
        make_deal(contact, status="won")
    make_deal(paid[2], status="lost")


@pytest.fixture
def page(signed_in: SignedIn, population: None) -> Page:
    found = signed_in(MARKETER)
    found.goto("/segments/personas/new/")
    return found


def builder(page: Page) -> Locator:
    return page.locator("conditions-builder")


def document(page: Page) -> Any:
    text = builder(page).locator("textarea[data-document]").input_value()
    return json.loads(text) if text else None


def number(page: Page) -> Locator:
    return builder(page).locator("[data-summary]:not(.is-old) [data-number-of-people]")


def add(page: Page, words: str, *, group: str = "", within: Locator | None = None) -> None:
    """A row by mouse: the button, a few letters, the first option."""
    (within or builder(page)).locator(f"[data-do=add{group}]").last.click()
    page.get_by_role("combobox", name="Search fields").fill(words)
    before = builder(page).locator("[data-node]").count()
    page.keyboard.press("Enter")
    expect(builder(page).locator("[data-node]")).not_to_have_count(before)


def choose(box: Locator, text: str, option: str) -> None:
    box.fill(text)
    box.page.get_by_role("option", name=option).click()


def with_rule(page: Page, rule: Any) -> Page:
    """The edit page of a persona that has the rule."""
    persona = Persona.objects.create(slug="cfo", name="CFO", conditions=rule)
    page.goto(f"/segments/personas/{persona.slug}/edit/")
    expect(builder(page).locator("[data-summary]")).not_to_contain_text("Counting …")
    return page


def test_source_is_paid_search_and_has_a_won_deal(page: Page) -> None:
    add(page, "source")
    choose(page.get_by_role("combobox", name="Value of “Source”"), "paid", "paid_search")
    expect(number(page)).to_have_text("4")
    add(page, "deal won")
    expect(number(page)).to_have_text("2")
    expect(builder(page).locator(".builder-row .builder-verdict")).to_have_text(["4 people", "3 people"])
    expect(builder(page).locator(".builder-reads")).to_contain_text("paid_search")
    assert document(page) == {"all": [SOURCE, WON]}

    page.get_by_label("Name").fill("Ada, who pays for search")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada, who pays for search")
    assert Persona.objects.get().conditions == {"all": [SOURCE, WON]}


def test_a_click_on_and_makes_it_or_and_changes_the_count(page: Page) -> None:
    with_rule(page, {"all": [SOURCE, WON]})
    expect(number(page)).to_have_text("2")
    builder(page).get_by_role("button", name="AND – click").click()
    expect(builder(page).get_by_role("button", name="OR – click")).to_be_focused()
    expect(number(page)).to_have_text("5")
    assert document(page) == {"any": [SOURCE, WON]}
    builder(page).get_by_label("How many of these must hold").select_option("none")
    expect(number(page)).to_have_text("0")
    assert document(page) == {"not": {"any": [SOURCE, WON]}}


def test_a_nested_rule_by_keyboard_alone(page: Page) -> None:
    keys = page.keyboard
    builder(page).get_by_role("button", name="Condition").focus()
    keys.press("Enter")
    keys.type("source")
    keys.press("Enter")
    expect(page.get_by_label("How “Source” is compared")).to_be_focused()
    keys.press("Tab")
    keys.type("paid_s")
    expect(page.get_by_role("option", name="paid_search")).to_be_visible()
    keys.press("ArrowDown")
    keys.press("Enter")
    keys.press("Alt+Shift+G")
    keys.type("country")
    keys.press("Enter")
    expect(page.get_by_label("How “Country” is compared")).to_be_focused()
    keys.press("Tab")
    keys.type("Germ")
    expect(page.get_by_role("option", name="Germany")).to_be_visible()
    keys.press("ArrowDown")
    keys.press("Enter")
    keys.press("Alt+Shift+N")
    keys.type("deal won")
    keys.press("Enter")
    expect(page.get_by_label("How often")).to_be_focused()
    keys.press("Alt+Shift+X")
    germany = {"field": "contact.country", "op": "is", "value": "DE"}
    expect(number(page)).to_have_text("3")
    assert document(page) == {"all": [SOURCE, {"any": [germany, {"not": WON}]}]}

    keys.press("Alt+Shift+J")  # the group of the row
    expect(number(page)).to_have_text("2")
    assert document(page) == {"all": [SOURCE, {"all": [germany, {"not": WON}]}]}
    keys.press("Alt+Shift+ArrowUp")
    assert document(page)["all"][1] == {"all": [{"not": WON}, germany]}
    expect(page.get_by_label("How often")).to_be_focused()
    keys.press("Alt+Shift+ArrowLeft")
    assert document(page) == {"all": [SOURCE, {"all": [germany]}, {"not": WON}]}
    keys.press("Alt+Shift+D")
    expect(builder(page).locator(".builder-row")).to_have_count(4)
    keys.press("Alt+Shift+Delete")
    expect(builder(page).locator(".builder-row")).to_have_count(3)
    keys.press("Alt+Shift+ArrowRight")
    expect(builder(page).locator(".builder-group")).to_have_count(3)
    assert document(page) == {"all": [SOURCE, {"all": [germany]}, {"any": [{"not": WON}]}]}
    for _ in range(2):
        page.wait_for_timeout(50)
        keys.press("Alt+Shift+Z")
    expect(builder(page).locator(".builder-group")).not_to_have_count(3)


def test_an_error_stands_at_its_row_and_says_what_fits(page: Page) -> None:
    with_rule(page, {"all": [SOURCE, {"field": "contact.title", "op": "matches", "value": "vp"}]})
    row = builder(page).locator(".builder-row").nth(1)
    row.get_by_label("Value of “Job title”").fill("(")
    expect(row.locator(".builder-problem")).to_be_visible()
    expect(row.get_by_label("Value of “Job title”")).to_have_attribute("aria-invalid", "true")
    expect(builder(page).locator(".builder-row").first.locator("[data-verdict]")).to_have_text("4 people")
    row.get_by_label("Value of “Job title”").fill("vp")
    expect(row.locator(".builder-problem")).to_have_count(0)
    expect(number(page)).to_have_text("0")


def test_typing_goes_on_while_people_are_counted(page: Page) -> None:
    with_rule(page, {"all": [{"field": "contact.source", "op": "contains", "value": ""}]} | {"all": [WON]})
    add(page, "job title")
    box = page.get_by_label("Value of “Job title”")
    box.press_sequentially("a long title typed slowly", delay=40)
    expect(box).to_have_value("a long title typed slowly")
    expect(box).to_be_focused()
    expect(number(page)).to_have_text("0")
    assert document(page)["all"][1] == {
        "field": "contact.title",
        "op": "contains",
        "value": "a long title typed slowly",
    }


def test_every_example_of_the_language_is_read_back_unchanged(page: Page) -> None:
    """The markup is the document: any change writes the whole rule, so the rest must come back as it was."""
    rule = {
        "all": [
            *LEAVES,
            {"not": {"any": [{"not": leaf} for leaf in LEAVES[:3]]}},
            {"not": {"not": SOURCE}},
            {"all": []},
        ]
    }
    with_rule(page, rule)
    page.evaluate("document.querySelector('conditions-builder').changed()")
    assert document(page) == rule
    tab = builder(page).get_by_role("tab", name="JSON")
    tab.click()
    builder(page).get_by_role("tab", name="Rows").click()
    expect(builder(page).locator("[data-canvas]")).to_be_visible()
    page.evaluate("document.querySelector('conditions-builder').changed()")
    assert document(page) == rule


def test_the_json_beside_the_rows_is_the_same_rule(page: Page, complaints: list[str]) -> None:
    builder(page).get_by_role("tab", name="JSON").click()
    text = builder(page).get_by_label("The rule as JSON")
    text.fill(json.dumps({"any": [SOURCE, WON]}))
    expect(number(page)).to_have_text("5")
    builder(page).get_by_role("tab", name="Rows").click()
    expect(builder(page).locator(".builder-row")).to_have_count(2)
    builder(page).get_by_role("tab", name="JSON").click()
    text.fill('{"any": [')
    expect(builder(page).locator("[data-summary]")).to_contain_text("no JSON")
    builder(page).get_by_role("tab", name="Rows").click()
    expect(builder(page).get_by_role("alert").first).to_contain_text("no JSON")
    expect(text).to_have_value('{"any": [')
    complaints.clear()  # Chromium reports the refusal itself


def test_details_periods_and_chips_by_mouse(page: Page) -> None:
    add(page, "page view")
    page.get_by_role("button", name="detail", exact=True).click()
    expect(page.get_by_label("Value of “URL”")).to_be_focused()
    page.keyboard.type("/pricing")
    page.get_by_label("How often").select_option("at_least")
    page.get_by_label("How many times").fill("3")
    page.get_by_label("When", exact=True).select_option("in_last")
    page.get_by_label("Number").fill("14")
    choose(page.get_by_role("combobox", name="Kinds of activity"), "down", "Download")
    where = [{"field": "url", "op": "contains", "value": "/pricing"}]
    expect(number(page)).to_have_text("0")
    assert document(page) == {
        "all": [
            {
                "did": ["page_view", "download"],
                "where": where,
                "count": {"op": "at_least", "value": 3},
                "when": {"op": "in_last", "value": 14, "unit": "days"},
            }
        ]
    }
    page.get_by_role("button", name="Remove Page view").click()
    page.get_by_role("button", name="Remove this detail").click()
    expect(page.get_by_label("Value of “URL”")).to_have_count(0)
    assert document(page)["all"][0]["did"] == "download"
    assert "where" not in document(page)["all"][0]


def test_people_with_a_tick_per_row_and_near_misses(page: Page) -> None:
    with_rule(page, {"all": [SOURCE, WON]})
    builder(page).get_by_text("Who are they?").click()
    expect(builder(page).locator("tbody tr")).to_have_count(2)
    builder(page).get_by_role("tab", name="Near misses").click()
    expect(builder(page).locator("tbody tr")).to_have_count(3)
    expect(builder(page).locator("tbody .is-missed")).to_have_count(3)


def test_without_javascript_the_rule_is_read_and_edited_as_json(
    page: Page, browser: Any, live_server: Any, population: None
) -> None:
    persona = Persona.objects.create(slug="cfo", name="CFO", conditions={"all": [SOURCE, WON]})
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto(f"/segments/personas/{persona.slug}/edit/")
    expect(plain.locator(".builder-plain")).to_contain_text("paid_search")
    expect(plain.locator("[data-canvas]")).to_be_hidden()
    plain.locator("textarea[data-document]").fill(json.dumps({"all": [WON]}))
    plain.get_by_role("button", name="Save").click()
    context.close()
    persona.refresh_from_db()
    assert persona.conditions == {"all": [WON]}


def test_two_builders_on_one_page_do_not_meet(page: Page) -> None:
    page.evaluate(
        """() => {
            const first = document.querySelector("conditions-builder");
            const second = document.createElement("div");
            second.innerHTML = first.outerHTML.replaceAll("id_conditions", "id_other").replaceAll('name="conditions"', 'name="other"');
            first.after(second.firstElementChild);
        }"""
    )
    second = builder(page).nth(1)
    second.locator("[data-do=add]").click()
    second.get_by_role("combobox", name="Search fields").fill("deal won")
    page.keyboard.press("Enter")
    expect(second.locator(".builder-row")).to_have_count(1)
    expect(builder(page).first.locator(".builder-row")).to_have_count(0)
    assert json.loads(second.locator("textarea[data-document]").input_value()) == {"all": [WON]}


@pytest.mark.parametrize("width", [375, 1280])
def test_a_deep_rule_does_not_push_the_page_sideways(page: Page, width: int) -> None:
    deep: Any = {"all": [SOURCE, {"field": "contact.country", "op": "in", "value": ["DE", "AT", "CH", "LI"]}]}
    for join in ("any", "all", "any", "all", "any"):
        deep = {join: [SOURCE, deep]}
    page.set_viewport_size({"width": width, "height": 800})
    with_rule(page, deep)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_signing_out_elsewhere_loses_nothing(page: Page, complaints: list[str]) -> None:
    with_rule(page, {"all": [SOURCE]})
    User.objects.all().delete()
    page.get_by_label("Value of “Source”").fill("referral")
    expect(builder(page).locator("[data-summary]")).to_contain_text("did not answer")
    assert document(page) == {"all": [{**SOURCE, "value": "referral"}]}
    complaints.clear()  # Chromium reports the refusal itself
