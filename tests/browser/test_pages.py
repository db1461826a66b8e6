"""Every page that a person of a role can reach by links opens, fits a phone, and draws no complaint from the browser."""

from urllib.parse import urlsplit

from django.core.management import call_command
from django.urls import Resolver404, resolve
from playwright.sync_api import BrowserContext, Page

from leads.access import ADMIN, MARKETER, SALES
from tests.browser.conftest import SignIn

# Enough people that every list has rows; twenty times as many only take longer.
CONTACTS, ACTIVITIES = 150, 2_000
# One page of each kind: a second contact is the same template.
MOST_OF_A_KIND = 2
NOT_PAGES = ("/admin/", "/logout/", "/export", ".csv", ".json", ".yaml", "/static/", "/body/", "/body")


def kind(path: str) -> str:
    """The name of its address: the same for every contact."""
    try:
        return resolve(path).view_name
    except Resolver404:
        return path


def links(page: Page) -> list[str]:
    found = page.eval_on_selector_all(
        "main a[href], nav a[href], aside a[href]",
        "all => all.map(one => new URL(one.getAttribute('href'), location).href)",
    )
    base = urlsplit(page.url)
    here = [urlsplit(href) for href in found]
    return [to.path for to in here if to.netloc == base.netloc and not any(word in to.path for word in NOT_PAGES)]


def test_every_linked_page_opens(page: Page, context: BrowserContext, complaints: list[str], sign_in: SignIn) -> None:
    call_command("seed_demo", contacts=CONTACTS, activities=ACTIVITIES)
    faults, sizes = list[str](), dict[str, int]()
    for role in (SALES, MARKETER, ADMIN):
        context.clear_cookies()
        sign_in(role)
        complaints.clear()
        found, sizes[role] = visit_all(page, complaints)
        faults += [f"{role} {words}" for words in found]
    assert faults == []
    assert sizes[SALES] >= 12
    assert sizes[SALES] < sizes[MARKETER] < sizes[ADMIN]


def visit_all(page: Page, complaints: list[str]) -> tuple[list[str], int]:
    """Follow the links from Home; returns what is wrong, and how many kinds of pages there were."""
    faults = list[str]()
    waiting, seen, kinds = ["/"], {"/"}, dict[str, int]()
    while waiting:
        path = waiting.pop(0)
        response = page.goto(path)
        if response is None or response.status != 200:
            faults.append(f"{path}: {response and response.status}")
            complaints.clear()
            continue
        if page.locator("h1").count() != 1:
            faults.append(f"{path}: {page.locator('h1').count()} h1")
        page.set_viewport_size({"width": 375, "height": 800})
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > 375:
            faults.append(f"{path}: {wide} px wide on a phone")
        page.set_viewport_size({"width": 1280, "height": 900})
        for word in complaints:
            faults.append(f"{path}: {word}")
        complaints.clear()
        for link in links(page):
            if link not in seen and kinds.get(kind(link), 0) < MOST_OF_A_KIND:
                seen.add(link)
                kinds[kind(link)] = kinds.get(kind(link), 0) + 1
                waiting.append(link)
    return faults, len(kinds)
