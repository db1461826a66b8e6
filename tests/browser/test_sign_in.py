"""The way in and out."""

import re

from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from leads.access import MARKETER

PASSWORD = "seven-ripe-pears"


def test_a_marketer_signs_in_sees_home_and_leaves(page: Page) -> None:
    user = User.objects.create_user("ada", password=PASSWORD)
    user.groups.add(Group.objects.get_or_create(name=MARKETER)[0])
    page.goto("/segments/")
    expect(page).to_have_url(re.compile(r"/login/\?next=/segments/"))
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/segments/$"))
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("button", name="ada").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile(r"/login/"))


def test_ten_wrong_tries_lock_the_account(page: Page, complaints: list[str]) -> None:
    User.objects.create_user("ada", password=PASSWORD)
    for _ in range(10):
        page.goto("/login/")
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("Password")).to_have_count(0)
    assert [word for word in complaints if "429" not in word] == []
    complaints.clear()  # Chromium reports the refusal itself


def test_the_theme_is_kept(page: Page, sign_in: object) -> None:
    sign_in(MARKETER)  # type: ignore[operator]
    page.goto("/")
    page.get_by_role("button", name="Switch between light and dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.goto("/contacts/")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
