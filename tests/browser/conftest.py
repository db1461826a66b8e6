"""A real Chromium against the running product. `page` is nobody's yet; `sign_in(role)` signs it in, `signed_in(role)` also hands it over.

A script error, a refusal of the Content-Security-Policy or a resource that does not load fails the test, unless it clears `complaints`.
Whatever is awaited may take as long as a busy machine needs; nothing is awaited by the clock.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from tests.makers import make_user

PASSWORD = "seven-ripe-apricots"
PATIENCE_MS = 60_000
# A person sees a page before they touch it. Until the scripts have bound it, it is invisible, so that Playwright waits as well.
UNSEEN_UNTIL_BOUND = """
(() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("body { visibility: hidden }");
  document.adoptedStyleSheets = [sheet];
  document.addEventListener("DOMContentLoaded", () => { document.adoptedStyleSheets = []; });
})();
"""
NAMES = ("chromium", "chromium-browser", "google-chrome")
REFUSED_US = "Blocked script execution"  # that one, in the sandboxed frame of a mail's preview, where no script may run
SignIn = Callable[[str], None]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, where Django would refuse the ORM; a test never uses both at one moment.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    path = next((which for name in NAMES if (which := shutil.which(name))), None)
    shared = connections["default"]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        # Under a running loop Django keeps connections apart: both must be the one that fixtures and other tests use.
        connections["default"] = shared
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser complained of so far; whatever is left at the end fails the test."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def context(browser: Browser, live_server: LiveServer) -> Iterator[BrowserContext]:
    found = browser.new_context(base_url=live_server.url, viewport={"width": 1280, "height": 900}, locale="en-GB")
    found.set_default_timeout(PATIENCE_MS)
    found.add_init_script(UNSEEN_UNTIL_BOUND)
    yield found
    found.close()


@pytest.fixture
def page(context: BrowserContext, complaints: list[str]) -> Page:
    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(REFUSED_US):
            complaints.append(message.text)

    found = context.new_page()
    found.on("console", note)
    found.on("pageerror", lambda error: complaints.append(str(error)))
    return found


@pytest.fixture
def sign_in(page: Page) -> SignIn:
    """Sign the page in as somebody new with a role."""

    def as_role(role: str) -> None:
        user = make_user(role, password=PASSWORD)
        page.goto("/login/")
        page.get_by_label("User name").fill(user.username)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/login/" not in url)

    return as_role


@pytest.fixture
def signed_in(page: Page, sign_in: SignIn) -> Callable[[str], Page]:
    def as_role(role: str) -> Page:
        sign_in(role)
        return page

    return as_role
