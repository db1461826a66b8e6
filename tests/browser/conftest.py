"""A real Chromium against the running product: `signed_in` is a page of a marketer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module

import pytest
from django.apps import apps
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright
from pytest_django.live_server_helper import LiveServer

from leads.access import MARKETER
from tests.makers import make_user

PASSWORD = "ripe-apricots-in-july"
NAMES = ("chromium", "chromium-browser", "google-chrome")
SignIn = Callable[..., Page]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    # Playwright's loop runs in this thread, where Django would refuse the ORM; the tests use neither at the same moment.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def first_rows(transactional_db: None) -> None:
    """What every instance starts with; a test with real transactions before may have flushed it."""
    import_module("leads.migrations.0003_first_rows").fill(apps, None)


@pytest.fixture
def sign_in(first_rows: None, live_server: LiveServer, browser: Browser) -> Iterator[SignIn]:
    """Open a page as somebody with a role. A script error or a message of the Content-Security-Policy fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    def open_page(role: str = MARKETER, *, width: int = 1280, javascript: bool = True) -> Page:
        user = make_user(role, password=PASSWORD)
        context = browser.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, java_script_enabled=javascript
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", note)
        page.goto("/login/")
        page.fill("[name=username]", user.username)
        page.fill("[name=password]", PASSWORD)
        page.click("main button[type=submit], form button[type=submit]")
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def signed_in(sign_in: SignIn) -> Page:
    return sign_in()
