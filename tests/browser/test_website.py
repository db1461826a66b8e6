"""The script on a website of the company: silent before a yes, joined by a click in a mail, forgotten after a no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Browser, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from leads.models import Activity, ConsentRequest, Visitor, VisitorPage, Website
from nurture.models import Sending
from nurture.tracking.proofs import sealed
from tests.browser.conftest import PATIENCE_MS
from tests.makers import make_contact
from tests.nurture.makers import make_template

pytestmark = pytest.mark.django_db(transaction=True)

SITE = "http://www.plant.test"
OURS = "http://marketing.plant.test"  # Chromium lets no website of the internet ask this machine: its requests are led to it below
PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MARKUP = """<!doctype html><html lang="de"><title>Plant %(path)s</title><script src="%(ours)s/w/ripen.js"></script>
<form data-ripen="newsletter" data-ripen-name="Footer" action="/thanks"><input type="email" name="email"><button>Subscribe</button></form>
<script>document.addEventListener("ripen:asked", () => document.body.append("asked"))</script></html>"""


@pytest.fixture
def website(browser: Browser, live_server: LiveServer, settings: Any) -> Iterator[Page]:
    """A page of another website, which holds the script."""
    settings.PUBLIC_URL = OURS
    cache.clear()
    Website.objects.create(pk=1, is_on=True, sites=["plant.test"], joins_clicks=True, joins_forms=True)

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(SITE)
        route.fulfill(content_type="text/html", body=MARKUP % {"path": path, "ours": OURS})

    def lead(route: Route) -> None:
        route.fulfill(response=route.fetch(url=route.request.url.replace(OURS, live_server.url)))

    context = browser.new_context(user_agent=PERSON)
    context.set_default_timeout(PATIENCE_MS)
    context.route(f"{SITE}/**", answer)
    context.route(f"{OURS}/**", lead)
    yield context.new_page()
    context.close()


def noted(page: Page, what: str) -> None:
    """Do it in the browser, and wait until the server has answered the visit."""
    with page.expect_response("**/w/visit") as answer:
        page.evaluate(what)
    assert answer.value.status in (200, 204)


def paths() -> list[str]:
    return [url.removeprefix(SITE) for url in VisitorPage.objects.order_by("id").values_list("url", flat=True)]


def test_silent_before_a_yes_and_joined_by_a_click(website: Page) -> None:
    ada = make_contact("ada@example.test")
    mail = Sending.objects.create(
        template=make_template("Hello"), contact=ada, address="ada@example.test", is_tracked=True,
        state=Sending.State.SENT, queued_at=timezone.now(), due_at=timezone.now(),
    )  # fmt: skip
    website.goto(f"{SITE}/pricing?email=somebody")
    assert website.evaluate("Object.keys(localStorage)") == []
    assert not Visitor.objects.exists()
    noted(website, 'ripen("consent", true)')
    noted(website, 'history.pushState({}, "", "/demo#top")')
    assert paths() == ["/pricing", "/demo"]
    with website.expect_response("**/w/visit"):
        website.goto(f"{SITE}/offer?a=1&ripen={sealed(mail.pk, now=timezone.now())}#here")
    assert website.url == f"{SITE}/offer?a=1#here"
    rows = Activity.objects.filter(contact=ada).order_by("occurred_at", "id").select_related("asset")
    assert [row.asset.url.removeprefix(SITE) for row in rows if row.asset] == ["/pricing", "/demo", "/offer"]
    website.evaluate('ripen("consent", false)')
    assert website.evaluate("Object.keys(localStorage)") == []
    website.evaluate('history.pushState({}, "", "/secret")')
    website.goto(f"{SITE}/secret")
    assert (paths(), Activity.objects.filter(contact=ada).count()) == ([], 3)
    assert website.context.cookies() == []


def test_a_form_of_the_website_asks_to_confirm(website: Page) -> None:
    website.goto(f"{SITE}/")
    website.evaluate('document.querySelector("form").addEventListener("submit", (event) => event.preventDefault())')
    website.locator("input").fill("new@example.test")
    website.get_by_role("button", name="Subscribe").click()
    expect(website.get_by_text("asked")).to_be_visible()
    asked = ConsentRequest.objects.get()
    assert (asked.address, asked.purposes, asked.source, asked.language) == (
        "new@example.test",
        ["newsletter"],
        "website:Footer",
        "de",
    )
    assert "visitor" not in asked.proof
