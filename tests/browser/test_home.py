"""Signing in, and what each role finds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from leads.access import ADMIN, MARKETER, SALES


@pytest.mark.parametrize(
    ("role", "sees", "misses"),
    [(MARKETER, "Segments", "Settings"), (SALES, "MQL queue", "Imports"), (ADMIN, "Settings", None)],
)
def test_each_role_finds_its_rooms(signed_in: Callable[..., Page], role: str, sees: str, misses: str | None) -> None:
    page = signed_in(role)

    navigation = page.get_by_role("navigation").first
    expect(navigation.get_by_role("link", name=sees, exact=True)).to_be_visible()
    if misses:
        expect(navigation.get_by_role("link", name=misses, exact=True)).to_have_count(0)
