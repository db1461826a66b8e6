"""The builder in a real browser: by mouse, by keyboard alone, what it writes, what it says, what it never loses."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from playwright.sync_api import Locator, Page, expect

from leads.access import MARKETER
from segments.models import Persona
from tests.browser.conftest import PASSWORD
from tests.makers import make_contact, make_deal
from tests.segments.test_builder import LEAVES, SOURCE, WON, every_operator_of_every_type

pytestmark = pytest.mark.browser
SignedIn = Callable[[str], Page]
PRICING = {"field": "url", "op": "contains", "value": "/pricing"}


@pytest.fixture
def population(live_server: Any) -> None:
    """Four from paid search, two of them and one other with a won deal."""
    cache.clear()
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


def add(page: Page, words: str, *, within: Locator | None = None) -> None:
    """A row by mouse: the button, a few letters, the first option."""
    (within or builder(page)).locator("[data-do=add]").last.click()
    page.get_by_role("combobox", name="Search fields").fill(words)
    before = builder(page).locator("[data-node]").count()
    page.keyboard.press("Enter")
    expect(builder(page).locator("[data-node]")).not_to_have_count(before)


def choose(box: Locator, text: str, option: str) -> None:
    box.fill(text)
    box.page.get_by_role("option", name=option).click()


def write(page: Page, rule: Any) -> None:
    """The rule by hand, then shown as rows."""
    builder(page).get_by_role("tab", name="JSON").click()
    builder(page).get_by_label("The rule as JSON").fill(json.dumps(rule))
    builder(page).get_by_role("tab", name="Rows").click()
    expect(builder(page).locator("[data-canvas]")).to_be_visible()


def test_built_by_mouse_and_saved(page: Page) -> None:
    add(page, "source")
    choose(page.get_by_role("combobox", name="Value of “Source”"), "paid", "paid_search")
    expect(number(page)).to_have_text("4")
    add(page, "deal won")
    expect(number(page)).to_have_text("2")
    expect(builder(page).locator(".builder-row .builder-verdict")).to_have_text(["4 people", "3 people"])
    expect(builder(page).locator(".builder-reads")).to_contain_text("paid_search")
    assert document(page) == {"all": [SOURCE, WON]}

    add(page, "page view")
    page.get_by_role("button", name="detail", exact=True).last.click()
    expect(page.get_by_label("Value of “URL”")).to_be_focused()
    expect(builder(page).locator("[data-summary]")).to_contain_text("The rest of the rule holds for 2 people")
    page.keyboard.type("/pricing")
    page.get_by_label("How often").last.select_option("at_least")
    page.get_by_label("How many times").fill("3")
    page.get_by_label("When", exact=True).select_option("in_last")
    page.get_by_label("Number").fill("14")
    choose(page.get_by_role("combobox", name="Kinds of activity"), "down", "Download")
    expect(number(page)).to_have_text("0")
    when, count = {"op": "in_last", "value": 14, "unit": "days"}, {"op": "at_least", "value": 3}
    did = {"did": ["page_view", "download"], "where": [PRICING], "count": count, "when": when}
    assert document(page) == {"all": [SOURCE, WON, did]}
    page.get_by_role("button", name="Remove Page view").click()
    page.get_by_role("button", name="Remove this detail").last.click()
    expect(page.get_by_label("Value of “URL”")).to_have_count(0)
    assert document(page)["all"][2] == {"did": "download", "count": count, "when": when}

    page.get_by_label("Name").fill("Ada, who pays for search")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada, who pays for search")
    saved: Any = Persona.objects.get().conditions
    assert saved["all"][:2] == [SOURCE, WON]


def test_and_becomes_or_by_a_click_and_people_have_ticks(page: Page) -> None:
    write(page, {"all": [SOURCE, WON]})
    expect(number(page)).to_have_text("2")
    builder(page).get_by_text("Who are they?").click()
    expect(builder(page).locator("tbody tr")).to_have_count(2)
    builder(page).get_by_role("tab", name="Near misses").click()
    expect(builder(page).locator("tbody tr")).to_have_count(3)
    expect(builder(page).locator("tbody .is-missed")).to_have_count(3)
    builder(page).get_by_role("button", name="AND – click").click()
    expect(builder(page).get_by_role("button", name="OR – click")).to_be_focused()
    expect(number(page)).to_have_text("5")
    assert document(page) == {"any": [SOURCE, WON]}
    builder(page).get_by_label("How many of these must hold").select_option("none")
    expect(number(page)).to_have_text("0")
    assert document(page) == {"not": {"any": [SOURCE, WON]}}
    builder(page).get_by_role("button", name="Undo").first.click()
    expect(number(page)).to_have_text("5")
    builder(page).get_by_role("button", name="Redo").click()
    expect(number(page)).to_have_text("0")
    builder(page).get_by_role("button", name="Delete").first.click()
    expect(builder(page).get_by_role("status").filter(has_text="Deleted.")).to_have_count(1)
    builder(page).locator("[data-done]").get_by_role("button", name="Undo").click()
    expect(builder(page).locator(".builder-row")).to_have_count(2)
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
    germany, lost = {"field": "contact.country", "op": "is", "value": "DE"}, {"not": WON}
    expect(number(page)).to_have_text("3")
    assert document(page) == {"all": [SOURCE, {"any": [germany, lost]}]}

    keys.press("Alt+Shift+J")  # the group of the row
    expect(number(page)).to_have_text("2")
    assert document(page) == {"all": [SOURCE, {"all": [germany, lost]}]}
    for key, rule in (
        ("ArrowUp", [SOURCE, {"all": [lost, germany]}]),
        ("ArrowUp", [SOURCE, lost, {"all": [germany]}]),  # out of the group at its end
        ("ArrowUp", [lost, SOURCE, {"all": [germany]}]),
        ("ArrowDown", [SOURCE, lost, {"all": [germany]}]),
        ("ArrowDown", [SOURCE, {"all": [lost, germany]}]),  # into the group beside it
        ("ArrowLeft", [SOURCE, {"all": [germany]}, lost]),
    ):
        keys.press(f"Alt+Shift+{key}")
        assert document(page) == {"all": rule}
        expect(page.get_by_label("How often")).to_be_focused()
    keys.press("Alt+Shift+D")
    expect(builder(page).locator(".builder-row")).to_have_count(4)
    keys.press("Alt+Shift+Delete")
    expect(builder(page).locator(".builder-row")).to_have_count(3)
    keys.press("Alt+Shift+ArrowRight")
    expect(builder(page).locator(".builder-group")).to_have_count(3)
    assert document(page) == {"all": [SOURCE, {"all": [germany]}, {"any": [lost]}]}
    keys.press("Alt+Shift+U")
    assert document(page) == {"all": [SOURCE, {"all": [germany]}, lost]}
    keys.press("Alt+Shift+Z")
    expect(builder(page).locator(".builder-group")).to_have_count(3)
    keys.press("Alt+Shift+Y")
    expect(builder(page).locator(".builder-group")).to_have_count(2)
    keys.press("Tab")
    menu = builder(page).get_by_role("button", name="More: move").first
    menu.focus()
    keys.press("Enter")
    expect(page.get_by_role("menuitem", name="Move down")).to_be_focused()
    keys.press("Enter")
    assert document(page) == {"all": [{"all": [SOURCE, germany]}, lost]}
    expect(builder(page).locator("[data-status]")).to_have_text("Moved: place 1 of 2, level 2.")


def test_a_row_is_dragged_by_its_grip(page: Page) -> None:
    germany = {"field": "contact.country", "op": "is", "value": "DE"}
    write(page, {"all": [SOURCE, {"any": [WON, germany]}]})
    page.set_viewport_size({"width": 1280, "height": 2400})
    expect(number(page)).to_have_text("4")  # what arrives with the counts moves the rows
    grip, goal = builder(page).locator("[data-grip]").first, builder(page).locator(".builder-row").last
    start, end = grip.bounding_box(), goal.bounding_box()
    assert start
    assert end

    def drag() -> None:
        page.mouse.move(start["x"] + 8, start["y"] + 8)
        page.mouse.down()
        page.mouse.move(end["x"] + 80, end["y"] + end["height"] - 20, steps=4)
        page.mouse.move(end["x"] + 80, end["y"] + end["height"] - 6, steps=2)

    drag()
    expect(page.locator(".builder-drop")).to_be_visible()
    page.keyboard.press("Escape")
    page.mouse.up()
    assert document(page) == {"all": [SOURCE, {"any": [WON, germany]}]}
    drag()
    page.mouse.up()
    assert document(page) == {"all": [{"any": [WON, germany, SOURCE]}]}
    expect(number(page)).to_have_text("5")


def test_a_row_that_cannot_work_says_why_and_typing_goes_on(page: Page) -> None:
    write(page, {"all": [SOURCE, {"field": "contact.title", "op": "matches", "value": "vp"}]})
    row = builder(page).locator(".builder-row").nth(1)
    box = row.get_by_label("Value of “Job title”")
    box.fill("(")
    expect(row.locator(".builder-problem")).to_be_visible()
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(builder(page).locator(".builder-row").first.locator("[data-verdict]")).to_have_text("4 people")
    box.clear()
    box.press_sequentially("a long title typed slowly", delay=30)
    expect(box).to_have_value("a long title typed slowly")
    expect(box).to_be_focused()
    expect(number(page)).to_have_text("0")
    assert document(page)["all"][1]["value"] == "a long title typed slowly"


def test_every_document_is_rows_and_the_same_document_again(page: Page, complaints: list[str]) -> None:
    """The markup is the document: any change writes the whole rule, so the rest must come back as it was."""
    negated = {"not": {"any": [{"not": leaf} for leaf in LEAVES[:3]]}}
    rule = {"all": [*LEAVES, *every_operator_of_every_type(), negated, {"not": {"not": SOURCE}}, {"all": []}]}
    page.route("**/conditions/preview/", lambda route: route.abort())  # nobody waits for 219 counts here
    write(page, rule)
    expect(builder(page).locator(".builder-row")).to_have_count(len(rule["all"]) + 1)
    expect(builder(page).locator(".builder-json")).to_have_count(1)  # a negation of a negation
    page.evaluate("document.querySelector('conditions-builder').changed()")
    assert document(page) == rule
    page.unroute("**/conditions/preview/")

    builder(page).get_by_role("tab", name="JSON").click()
    text = builder(page).get_by_label("The rule as JSON")
    text.fill(
        '{"any": [\n{"field": "contact.source", "op": "is", "value": "paid_search"},\n{"field": "contact.titel"}]}'
    )
    line = builder(page).get_by_role("button", name="Line 3").first
    expect(line).to_be_visible()
    expect(builder(page).locator(".builder-bad-line")).to_have_count(1)
    line.click()
    chosen = "(box => box.value.slice(box.selectionStart, box.selectionEnd))(document.activeElement)"
    assert page.evaluate(chosen) == '{"field": "contact.titel"}]}'
    for lost, said in (('{"any": [', "no JSON"), ("x" * 600_000, "600,000 characters are too many")):
        text.fill(lost)
        expect(builder(page).locator("[data-summary]")).to_contain_text(said)
        builder(page).get_by_role("tab", name="Rows").click()
        expect(text).to_have_value(lost)
        expect(text).to_be_visible()
    text.fill(json.dumps({"any": [SOURCE, WON]}))
    expect(number(page)).to_have_text("5")
    complaints.clear()  # Chromium reports the refusal itself


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
    plain.locator("textarea[data-document]").fill('{"all": [\n{"field": "contact.titel"}]}')
    plain.get_by_role("button", name="Save").click()
    expect(plain.locator(".builder-plain")).to_contain_text("Line 2: all[0].field")
    plain.locator("textarea[data-document]").fill(json.dumps({"all": [WON]}))
    plain.get_by_role("button", name="Save").click()
    context.close()
    persona.refresh_from_db()
    assert persona.conditions == {"all": [WON]}


def test_two_builders_on_one_page_meet_on_the_clipboard_alone(page: Page) -> None:
    page.evaluate(
        """() => {
            const first = document.querySelector("conditions-builder");
            const second = document.createElement("div");
            second.innerHTML = first.outerHTML.replaceAll("id_conditions", "id_other").replaceAll('name="conditions"', 'name="other"');
            first.after(second.firstElementChild);
        }"""
    )
    first, second = builder(page).first, builder(page).nth(1)
    add(page, "deal won", within=second)
    expect(second.locator(".builder-row")).to_have_count(1)
    expect(first.locator(".builder-row")).to_have_count(0)
    second.locator("[data-grip]").focus()
    page.keyboard.press("Control+c")
    expect(second.locator("[data-status]")).to_have_text("Copied. Paste it into any builder.")
    first.get_by_label("How many of these must hold").focus()
    for rows in (1, 2):
        page.keyboard.press("Control+v")
        expect(first.locator(".builder-row")).to_have_count(rows)
    texts = [one.locator("textarea[data-document]").input_value() for one in (first, second)]
    assert [json.loads(text) for text in texts] == [{"all": [WON, WON]}, {"all": [WON]}]


def test_a_deep_rule_fits_a_phone_and_says_where_it_ends(page: Page) -> None:
    deep: Any = {"all": [SOURCE, {"field": "contact.country", "op": "in", "value": ["DE", "AT", "CH", "LI"]}]}
    for join in ("any", "all", "any", "all", "any", "all"):
        deep = {join: [SOURCE, deep]}
    write(page, deep)
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    builder(page).locator(".builder-row [data-do=menu]").last.click()
    page.get_by_role("menuitem", name="Put into a group").click()
    expect(builder(page).get_by_role("alert").first).to_contain_text("8 levels deep")
    assert document(page) == deep


def test_signing_out_elsewhere_loses_nothing(page: Page, complaints: list[str]) -> None:
    write(page, {"all": [SOURCE]})
    user = User.objects.get()
    page.context.clear_cookies()
    page.get_by_label("Value of “Source”").fill("referral")
    expect(builder(page).locator("[data-summary]")).to_contain_text("did not answer")
    written = {"all": [{**SOURCE, "value": "referral"}]}
    assert document(page) == written
    page.goto("/segments/personas/new/")
    page.get_by_label("User name").fill(user.username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Bring it back").click()
    expect(number(page)).to_have_text("1")
    assert document(page) == written
    complaints.clear()  # Chromium reports the refusal itself
