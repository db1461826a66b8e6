"""What higher rooms register, and the one timeline made of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from leads import panels
from leads.panels import TimelineEvent, TimelineSource
from tests.makers import NOW


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> dict[str, TimelineSource]:
    """An empty registry for the test."""
    registry: dict[str, TimelineSource] = {}
    monkeypatch.setattr(panels, "_timeline", registry)
    return registry


def source(key: str, minutes: Sequence[int]) -> TimelineSource:
    """Events so many minutes before NOW, as a source would read them."""
    moments = sorted((NOW - timedelta(minutes=minute) for minute in minutes), reverse=True)

    def fetch(contact_id: int, before: datetime | None, limit: int) -> list[TimelineEvent]:
        found = [TimelineEvent(at=at, icon="eye", title=key) for at in moments if before is None or at < before]
        return found[:limit]

    return TimelineSource(key, key.title(), fetch)


def told(page: panels.TimelinePage) -> list[tuple[str, int]]:
    return [(event.category, int((NOW - event.at).total_seconds() // 60)) for event in page.events]


def test_a_key_is_registered_once(sources: dict[str, TimelineSource]) -> None:
    panels.register_timeline(source("mails", [1]))
    with pytest.raises(ValueError, match="TimelineSource “mails” is registered already"):
        panels.register_timeline(source("mails", [2]))


def test_sources_merge_newest_first(sources: dict[str, TimelineSource]) -> None:
    panels.register_timeline(source("mails", [1, 5]))
    panels.register_timeline(source("stages", [3, 9]))
    page = panels.timeline(1, before=None, limit=10)
    assert told(page) == [("mails", 1), ("stages", 3), ("mails", 5), ("stages", 9)]
    assert page.before is None


def test_a_category_narrows(sources: dict[str, TimelineSource]) -> None:
    panels.register_timeline(source("mails", [1, 5]))
    panels.register_timeline(source("stages", [3]))
    assert told(panels.timeline(1, before=None, limit=10, category="stages")) == [("stages", 3)]


def test_a_source_of_several_categories(sources: dict[str, TimelineSource]) -> None:
    def fetch(contact_id: int, before: datetime | None, limit: int) -> list[TimelineEvent]:
        return [
            TimelineEvent(at=NOW, icon="eye", title="seen", category="activities"),
            TimelineEvent(at=NOW, icon="trophy", title="won", category="deals"),
        ]

    def narrow(contact_id: int, before: datetime | None, limit: int, category: str) -> list[TimelineEvent]:
        return [event for event in fetch(contact_id, before, limit) if event.category == category]

    both = (("activities", "Activities"), ("deals", "Deals"))
    panels.register_timeline(TimelineSource("facts", "Facts", fetch, categories=both, fetch_category=narrow))
    panels.register_timeline(source("mails", [1]))
    assert panels.categories() == [*both, ("mails", "Mails")]
    assert told(panels.timeline(1, before=None, limit=10, category="deals")) == [("deals", 0)]
    assert told(panels.timeline(1, before=None, limit=10, category="mails")) == [("mails", 1)]


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 7])
def test_paging_shows_every_event_once_whatever_shares_a_moment(sources: dict[str, TimelineSource], limit: int) -> None:
    panels.register_timeline(source("mails", [1, 2, 2, 2, 2, 8]))
    panels.register_timeline(source("stages", [2, 2, 3, 8, 8, 9]))
    seen: list[tuple[str, int]] = []
    before: datetime | None = None
    while True:
        page = panels.timeline(1, before=before, limit=limit)
        seen += told(page)
        if page.before is None:
            break
        before = page.before
    assert sorted(seen, key=lambda event: event[1]) == seen
    assert sorted(seen) == sorted(
        [("mails", minute) for minute in (1, 2, 2, 2, 2, 8)] + [("stages", minute) for minute in (2, 2, 3, 8, 8, 9)]
    )


def test_order_then_key_decides_the_place() -> None:
    registered = panels.panels()
    assert registered == sorted(registered, key=lambda panel: (panel.order, panel.key))


def test_what_the_rooms_register_has_words_and_templates() -> None:
    """Every registered template exists, so that no contact page breaks on a missing file."""
    from django.template.loader import get_template

    for template in [panel.template for panel in panels.panels()] + [column.template for column in panels.columns()]:
        if template:
            get_template(template)
    assert all(str(label) for _key, label in panels.categories())
    keys = [key for key, _label in panels.categories()]
    assert len(keys) == len(set(keys))
