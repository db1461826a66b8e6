"""The page of one contact's score: any past moment, the chart, today's rules, points by hand."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import MARKETER, SALES
from leads.actions import move_stage
from leads.models import AuditEntry, Contact
from scoring import actions, history
from scoring.ledger import account
from scoring.models import PointsGiven, ScoreModel, ScoreVersion
from scoring.occurrences import Counting
from segments.actions import add_to_segment
from tests.makers import make_activity, make_contact, make_segment, make_user
from tests.scoring.conftest import VP, beat, make_draft, total

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
VISIT: dict[str, Any] = {"did": "page_view"}


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def scored(now: datetime) -> tuple[ScoreModel, Contact]:
    """10 points for each visit for 5 days, 20 for a VP; two visits, 8 and 2 days ago."""
    contact = make_contact(title="VP", created_at=now - 30 * DAY)
    for days in (8, 2):
        make_activity(contact, at=now - days * DAY)
    draft = make_draft(rules=(("fit", "Is a VP", 20, VP),), now=now - 10 * DAY)
    actions.save_rule(
        draft,
        group="behaviour",
        name="Visits",
        conditions=VISIT,
        points=Decimal(10),
        counting=Counting(expires_after_days=5),
        now=now - 10 * DAY,
    )
    actions.publish(draft, reason="Go", now=now - 10 * DAY)
    beat(now - 10 * DAY)
    beat(now)
    return draft.model, contact


def page_of(model: ScoreModel, contact: Contact) -> str:
    return reverse("scoring:contact-score", args=[contact.pk, model.slug])


def test_any_past_moment(client: Client, scored: tuple[ScoreModel, Contact], now: datetime) -> None:
    model, contact = scored
    client.force_login(make_user(SALES))
    page = client.get(page_of(model, contact))
    assert page.context["account"].total == 30
    assert [stop["total"] for stop in page.context["chart"]["stops"]] == [20, 30, 20, 30, 30]
    assert "they did it" in page.content.decode()
    for days, expected in ((9, 20), (6, 30), (3, 20), (1, 30)):
        past = client.get(page_of(model, contact), {"at": (now - days * DAY).isoformat()})
        assert past.context["account"].total == expected
        assert sum(reason.points for reason in past.context["reasons"]) == expected
    for spoilt in ("", "x", "2026-99-99", "9999-01-01T00:00"):
        assert client.get(page_of(model, contact), {"at": spoilt}).context["account"].total == 30


@pytest.mark.parametrize("visits", [1, 3])
@pytest.mark.parametrize(
    ("part", "expected"), [("", 12), ("?at=2026-01-01T12:00", 13), ("unknown/", 13), ("today/", 19)]
)
def test_statements_do_not_grow(
    client: Client,
    scored: tuple[ScoreModel, Contact],
    now: datetime,
    visits: int,
    part: str,
    expected: int,
    django_assert_num_queries: Any,
) -> None:
    """Savepoints of the test's own transaction count too."""
    model, contact = scored
    for number in range(visits):
        make_activity(contact, at=now - number * DAY)
    beat(now)
    client.force_login(make_user(SALES))
    headers = HTMX if part.endswith("/") else {}
    client.get(page_of(model, contact) + part, headers=headers)
    with django_assert_num_queries(expected):
        assert client.get(page_of(model, contact) + part, headers=headers).status_code == 200


HTMX = {"HX-Request": "true"}


@pytest.mark.parametrize("visits", [1, 3])
@pytest.mark.parametrize(("address", "expected"), [("", 14), ("panels/", 11), ("timeline/", 14)])
def test_no_part_of_the_contacts_page_asks_more_than_fifteen_statements(
    client: Client,
    scored: tuple[ScoreModel, Contact],
    now: datetime,
    visits: int,
    address: str,
    expected: int,
    django_assert_num_queries: Any,
) -> None:
    _model, contact = scored
    for number in range(visits):
        make_activity(contact, at=now - number * DAY)
        segment = make_segment()
        add_to_segment(segment, contact_ids=[contact.pk], cause="by_hand", actor=None, now=now)
        move_stage(contact, to=("mql", "accepted", "customer")[number], actor=None, cause="import", reason="", now=now)
    beat(now)
    client.force_login(make_user(SALES))
    part = f"{reverse('leads:contact-detail', args=[contact.pk])}{address}"
    headers = HTMX if address else {}
    client.get(part, headers=headers)
    with django_assert_num_queries(expected):
        assert client.get(part, headers=headers).status_code == 200


def test_the_page_and_its_later_parts_are_the_whole_page(client: Client, scored: tuple[ScoreModel, Contact]) -> None:
    _model, contact = scored
    client.force_login(make_user(SALES))
    address = reverse("leads:contact-detail", args=[contact.pk])
    later = reverse("leads:contact-panels", args=[contact.pk])
    first, rest, whole = (
        set(re.findall(r'id="panel-([a-z]+)"', client.get(url, headers=headers).content.decode()))
        for url, headers in ((address, {}), (later, HTMX), (f"{address}?panels=all", {}))
    )
    assert (first & rest, first | rest) == (set(), whole)
    assert {"score", "persona"} <= first
    assert {"bant", "segments", "lifecycle", "programs"} <= rest
    assert client.get(later).headers["Location"] == f"{address}?panels=all"  # without JavaScript


def test_history_under_todays_rules(scored: tuple[ScoreModel, Contact], now: datetime, client: Client) -> None:
    model, contact = scored
    draft = actions.draft_of(model, now=now)
    rule = draft.rules.get(name="Visits")
    actions.save_rule(
        draft,
        key=rule.key,
        group=rule.group,
        name=rule.name,
        conditions=VISIT,
        points=Decimal(50),
        counting=Counting(expires_after_days=5),
        now=now,
    )
    actions.change_lines(
        draft,
        threshold=Decimal(60),
        fit_lines=draft.fit_lines,
        behaviour_lines=draft.behaviour_lines,
        caps={"total": {"most": 65}},
        now=now,
    )
    actions.publish(draft, reason="More", now=now)
    beat(now)
    assert total(contact, model) == 65
    assert account(contact.pk, model=model, at=now - DAY).total == 30
    live = ScoreVersion.objects.get(model=model, state="live")
    stops = history.under(live, contact, now=now).stops
    assert [stop.total for stop in stops] == [20, 65, 20, 65]
    assert [stop.at for stop in stops[1:]] == [now - 8 * DAY, now - 3 * DAY, now - 2 * DAY]
    client.force_login(make_user(SALES))
    address = reverse("scoring:score-today", args=[contact.pk, model.slug])
    assert "score-today-data" in client.get(address, headers={"HX-Request": "true"}).content.decode()
    whole = client.get(address, follow=True).content.decode()  # without JavaScript
    assert ("score-today-data" in whole, "score-history-data" in whole) == (True, True)
    assert account(contact.pk, model=model, at=now - DAY).total == 30  # worked out, not stored


def test_points_by_hand(client: Client, scored: tuple[ScoreModel, Contact], now: datetime) -> None:
    model, contact = scored
    url = reverse("scoring:points-adjust", args=[contact.pk, model.slug])
    client.force_login(make_user(SALES))
    assert client.post(url, {"points": "5", "reason": "Met at the fair"}).status_code == 403
    client.force_login(make_user(MARKETER))
    assert client.post(url, {"points": "5", "reason": ""}).status_code == 422
    assert client.post(url, {"points": "1e12", "reason": "x"}).status_code == 422
    assert client.post(url, {"points": "0", "reason": "x"}).status_code == 422
    assert client.post(url, {"points": "5", "reason": "x", "until": "2001-01-01"}).status_code == 422
    assert PointsGiven.objects.count() == 0
    until = (now + 3 * DAY).date().isoformat()
    assert client.post(url, {"points": "5.5", "reason": "Met at the fair", "until": until}).status_code == 302
    given = PointsGiven.objects.get()
    assert AuditEntry.objects.filter(verb="adjusted the score of").count() == 1
    later = timezone.now()
    beat(later)
    assert total(contact, model) == Decimal("35.5")
    page = client.get(page_of(model, contact)).content.decode()
    assert "By hand: Met at the fair" in page
    assert "By hand: Met at the fair" in client.get(reverse("leads:contact-detail", args=[contact.pk])).content.decode()
    assert given.ends_at is not None
    beat(given.ends_at)
    assert account(contact.pk, model=model, at=given.ends_at).groups.get("given") is None


def test_points_taken_back(client: Client, scored: tuple[ScoreModel, Contact], now: datetime) -> None:
    model, contact = scored
    actions.give_points([contact.pk], model=model, points=Decimal(7), cause="by_hand", now=now - DAY, reason="Hm")
    beat(now)
    assert total(contact, model) == 37
    given = PointsGiven.objects.get()
    url = reverse("scoring:points-take-back", args=[given.pk])
    client.force_login(make_user(SALES))
    assert client.post(url).status_code == 403
    client.force_login(make_user(MARKETER))
    client.post(url)
    beat(timezone.now())
    assert total(contact, model) == 30
    assert account(contact.pk, model=model, at=now - DAY / 2).total == 37
    page = client.post(url, follow=True)
    assert "These points count no more" in page.content.decode()


def test_points_for_somebody_who_is_gone_are_left_out(scored: tuple[ScoreModel, Contact], now: datetime) -> None:
    model, contact = scored
    gone = contact.pk + 1000
    given = actions.give_points([gone, contact.pk], model=model, points=Decimal(1), cause="program:x", now=now)
    assert given == 1
    for points in ("NaN", "1e12", "0", "0.001"):
        with pytest.raises(actions.Refused):
            actions.give_points([contact.pk], model=model, points=Decimal(points), cause="program:x", now=now)
