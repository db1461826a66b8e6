"""Looks at the past by moments alone say what the facts say; too much and too slow are told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.models import Contact
from scoring import actions, history
from scoring.looks import ANY, Look, asks_facts, chooses, read_tracks
from scoring.models import ScoreVersion
from scoring.occurrences import Counting
from segments.conditions import Catalogue, Judge, check, leaves, moment, read_facts
from tests.makers import NOW, make_activity, make_contact, make_user
from tests.scoring.conftest import make_draft

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
VIEWED: dict[str, Any] = {"did": "page_view"}
PRICING = {"field": "url", "op": "contains", "value": "/pricing"}
BY_MOMENTS: list[dict[str, Any]] = [
    VIEWED,
    {"did": ["page_view", "download"], "count": {"op": "between", "value": [2, 3]}},
    {"did": "any", "count": {"op": "exactly", "value": 0}, "when": {"op": "in_last", "value": 3, "unit": "days"}},
    {**VIEWED, "count": {"op": "at_most", "value": 2}, "when": {"op": "not_in_last", "value": 36, "unit": "hours"}},
    {**VIEWED, "where": [PRICING], "when": {"op": "more_than_ago", "value": 2, "unit": "days"}},
    {**VIEWED, "when": {"op": "this", "value": "week"}, "count": {"op": "more_than", "value": 1}},
    {**VIEWED, "when": {"op": "last", "value": "month"}},
    {**VIEWED, "when": {"op": "not_on", "value": (NOW - 4 * DAY).date().isoformat()}},
    {**VIEWED, "when": {"op": "before", "value": (NOW - 5 * DAY).isoformat()}},
    {**VIEWED, "first": True, "when": {"op": "in_last", "value": 4, "unit": "days"}},
    {**VIEWED, "first": True, "when": {"op": "not_in_last", "value": 4, "unit": "days"}},
    {"did": "any", "latest": [PRICING]},
    {"did": "any", "latest": [PRICING], "when": {"op": "not_in_last", "value": 2, "unit": "days"}},
    {"did": "never_seen"},
    {"field": "contact.last_activity_at", "op": "more_than_ago", "value": 2, "unit": "days"},
    {"field": "contact.last_activity_at", "op": "is_unknown"},
]
BY_FACTS: list[dict[str, Any]] = [
    {"did": "page_view", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 5}},
    {"sequence": [{"did": "download"}, {"did": "page_view"}], "gap": {"value": 2, "unit": "days"}},
    {**VIEWED, "where": [{"field": "occurred_at", "op": "in_last", "value": 3, "unit": "days"}]},
]


@pytest.fixture
def busy() -> int:
    """Somebody who did something on most days of three weeks, at the edges of days too, once thrice in one moment, once ahead."""
    contact = make_contact(created_at=NOW - 30 * DAY)
    kinds = ("page_view", "download", "page_view", "webinar_attended")
    for place in range(20):
        url = "https://x.test/pricing" if place % 3 else "https://x.test/blog"
        make_activity(contact, kinds[place % 4], at=NOW - place * DAY, url=url, properties={"amount": place})
    for url in ("https://x.test/a", "https://x.test/pricing", "https://x.test/b"):
        make_activity(contact, at=NOW - timedelta(hours=30), url=url)
    make_activity(contact, at=NOW + 2 * DAY)
    return contact.pk


@pytest.mark.parametrize("document", [*BY_MOMENTS, *BY_FACTS])
def test_a_look_says_what_the_facts_say(busy: int, document: dict[str, Any]) -> None:
    tree, catalogue, now = check(document), Catalogue(), moment(NOW)
    choices = [choice for _path, leaf in leaves(tree) for choice in chooses(leaf)]
    assert asks_facts(tree) == (document in BY_FACTS) == (not choices)
    tracks = read_tracks(choices, busy, now, catalogue)
    whole = read_facts([busy])[busy]
    bare = read_facts([busy])[busy]
    for hours in range(-60, 600, 6):
        at = replace(now, at=NOW - timedelta(hours=hours))
        expected = Judge(at, stored=True).holds(tree, whole)
        assert Look(at, stored=True, catalogue=catalogue, tracks=tracks).holds(tree, bare) == expected, hours
    assert ("activities" in vars(bare)) == asks_facts(tree)  # read only where moments are not enough


def test_all_choices_are_read_in_two_statements(busy: int, django_assert_num_queries: Any) -> None:
    catalogue, now = Catalogue(), moment(NOW)
    choices = [choice for document in BY_MOMENTS for _path, leaf in leaves(check(document)) for choice in chooses(leaf)]
    with django_assert_num_queries(2):  # kinds of activity, and one pass over the contact's
        tracks = read_tracks(choices, busy, now, catalogue)
    assert len(tracks.of(ANY)) == 24


@pytest.fixture
def live(busy: int) -> ScoreVersion:
    """10 points for each view, 5 while there was one in three days; 1 for the sum of amounts, as read from the facts."""
    recent = {**VIEWED, "when": {"op": "in_last", "value": 3, "unit": "days"}}
    rules = (("behaviour", "Recent", 5, recent), ("behaviour", "Amounts", 1, BY_FACTS[0]))
    draft = make_draft(rules=rules, now=NOW)
    actions.save_rule(
        draft, group="behaviour", name="Views", conditions=VIEWED, points=Decimal(10), counting=Counting(), now=NOW
    )
    actions.publish(draft, reason="Go", now=NOW)
    return ScoreVersion.objects.get(pk=draft.pk)


def clock(looks: int) -> Iterator[bool]:
    """Over after so many questions."""
    return (number > looks for number in count())


def test_what_was_worked_out_in_time_is_shown(live: ScoreVersion, busy: int) -> None:
    contact = Contact.objects.get(pk=busy)
    whole = history.under(live, contact, now=NOW)
    assert (whole.since, whole.is_thinned, whole.stops[-1].total) == (None, False, 136)
    over = clock(20)
    cut = history.under(live, contact, now=NOW, is_over=lambda: next(over))
    assert cut.since is not None
    assert cut.since == NOW - (NOW - contact.created_at) * 20 / history.LOOKS
    assert cut.stops[0].at == cut.since
    assert cut.stops[1:] == [stop for stop in whole.stops if stop.at > cut.since]
    with pytest.raises(history.TooSlow):
        history.under(live, contact, now=NOW, is_over=lambda: True)


def test_too_many_moments_are_thinned_and_too_many_activities_refused(
    live: ScoreVersion, busy: int, monkeypatch: pytest.MonkeyPatch, client: Client
) -> None:
    contact = Contact.objects.get(pk=busy)
    whole = history.under(live, contact, now=NOW)
    monkeypatch.setattr(history, "MOST_MOMENTS", 5)
    thinned = history.under(live, contact, now=NOW)
    assert (thinned.is_thinned, thinned.stops[-1]) == (True, replace(whole.stops[-1], at=thinned.stops[-1].at))
    client.force_login(make_user())
    address = reverse("scoring:score-today", args=[busy, live.model.slug])
    page = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "asked at a thousand moments" in page
    monkeypatch.setattr(history, "MOST_READ", 10)
    page = client.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "rule “Amounts” reads every activity, and of 24 activities" in page
