"""The canvas by keyboard alone: walk the cards, open one, move, cut, put in, delete, take back; the focus is never lost."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from leads.access import MARKETER
from tests.nurture.makers import make_program, step, wait


def test_a_program_is_rearranged_by_keyboard(signed_in: Callable[..., Page]) -> None:
    steps = [wait(3, step_id="w"), step("add_tag", "t", tag="seen"), step("create_task", "k", title="Call")]
    program = make_program(*steps, name="Keys", live=False)
    page = signed_in(MARKETER)
    page.goto(f"/programs/{program.slug}/")
    keys, panel = page.keyboard, page.locator("#program-panel")
    titles = page.locator(".flow-card:not(.flow-start) .flow-title")
    wait_, tag, call = "Wait 3 days", "Add the tag “seen”", "Task for the owner: Call"

    page.locator("#node-w .flow-main").focus()
    keys.press("ArrowDown")
    expect(page.locator("#node-t .flow-main")).to_be_focused()
    keys.press("Enter")
    expect(panel).to_be_focused()
    keys.press("Alt+ArrowDown")
    expect(titles).to_have_text([wait_, call, tag])
    expect(panel.get_by_role("button", name="Down")).to_be_focused()
    keys.press("Escape")
    expect(page.locator("#node-t .flow-main")).to_be_focused()
    keys.press("Control+x")
    expect(panel.get_by_text("Cut: press a +")).to_be_visible()
    page.locator(".flow-add").first.focus()
    keys.press("Enter")
    expect(panel.get_by_role("button", name="Move here what is cut")).to_be_focused()
    keys.press("Enter")
    expect(titles).to_have_text([tag, wait_, call])
    expect(panel).to_be_focused()
    keys.press("Delete")
    expect(titles).to_have_text([wait_, call])
    expect(panel).to_be_focused()
    keys.press("Control+z")
    expect(titles).to_have_text([tag, wait_, call])
