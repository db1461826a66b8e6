"""What must hold is seen when it is broken, and only that makes the instance unwell."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from leads.access import ADMIN
from nurture import health, queries
from nurture.models import Sending
from tests.makers import NOW, make_contact, make_user
from tests.nurture.makers import mail, make_template, make_walk, wait, walk

pytestmark = pytest.mark.django_db

BREAKS = {
    "ledger_sums": "UPDATE scoring_score SET total = total + 1",
    "steps_exist": "UPDATE nurture_enrolment SET step = 'gone'",
    "no_drafts_walked": "UPDATE nurture_programversion SET state = 'draft'",
    "member_counts": "UPDATE segments_segment SET member_count = member_count + 1",
    "no_orphans": "INSERT INTO leads_activity (contact_id, kind_id, occurred_at) VALUES (0, 1, now())",
    "stage_history": "INSERT INTO leads_stagemove (contact_id, moved_at, from_stage, to_stage, cause, reason)"
    " SELECT id, now(), 'inquiry', 'mql', 'x', '' FROM leads_contact",
    "sendings_say_why": "UPDATE nurture_sending SET state = 'uncertain'",
}


def build() -> None:
    make_walk(mail(step_id="m"), wait(1, "days", "w"), people=2)
    walk()


def test_a_sound_instance_is_ok() -> None:
    build()
    out = StringIO()
    call_command("health", stdout=out)
    found = json.loads(out.getvalue())
    assert found["ok"] is True
    assert set(found["invariants"]) == set(queries.INVARIANTS)
    assert set(found["invariants"].values()) == {True}
    assert found["queues"]["sendings_queued"]["count"] == 2
    assert all(beat["late"] for beat in found["beats"].values())


@pytest.mark.parametrize("invariant", [name for name in BREAKS if name != "ledger_sums"])
def test_what_is_broken_is_told(invariant: str) -> None:
    build()
    with connection.cursor() as cursor:
        cursor.execute(BREAKS[invariant])
    out = StringIO()
    with pytest.raises(SystemExit) as caught:
        call_command("health", stdout=out, stderr=StringIO())
    assert caught.value.code == 1
    found = json.loads(out.getvalue())
    assert [name for name, holds in found["invariants"].items() if not holds] == [invariant]


def test_every_invariant_has_words() -> None:
    assert set(health.WORDS) == set(queries.INVARIANTS)


def test_the_beats_of_the_table_are_known() -> None:
    from config.celery import app

    assert {entry["task"]: entry["schedule"] for entry in app.conf.beat_schedule.values()} == health.BEATS


def test_a_late_or_failed_beat_is_told_and_breaks_nothing() -> None:
    cache.set("beat:nurture.turn", {"at": (NOW - timedelta(minutes=5)).timestamp(), "seconds": 0.1, "failed": True})
    found = health.examine(NOW)
    assert found.beats["nurture.turn"]["late"] is True
    assert found.beats["nurture.turn"]["failed"] is True
    assert found.ok


def test_the_page_gives_up_on_a_long_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(queries.INVARIANTS, "ledger_sums", "SELECT pg_sleep(5)")
    assert queries.holds("ledger_sums", seconds=0.2) is None


def test_depths_tell_the_oldest() -> None:
    person = make_contact()
    Sending.objects.create(
        key="x",
        contact=person,
        template=make_template(),
        address="a@x.test",
        queued_at=NOW,
        due_at=NOW - timedelta(hours=1),
    )
    depths = queries.queue_depths(NOW)
    assert depths["sendings_queued"] == {"count": 1, "oldest_seconds": 3600.0}


def test_each_check_is_made_once_a_day_the_oldest_first() -> None:
    names = list(queries.INVARIANTS)
    assert [health.check_next(NOW + timedelta(seconds=place)) for place in range(len(names))] == names
    assert health.check_next(NOW + timedelta(minutes=1)) == ""
    tomorrow = NOW + timedelta(days=1, seconds=1)
    assert [health.check_next(tomorrow), health.check_next(tomorrow), health.check_next(tomorrow)] == [*names[:2], ""]


def test_the_page_tells_what_a_worker_found_where_it_cannot_wait_itself(client: Client) -> None:
    long, broken = "ledger_sums", "no_orphans"
    for name, holds, took in ((long, True, 590.5), (broken, False, 400.0)):
        cache.set(f"health:{name}", {"at": NOW.timestamp(), "holds": holds, "took": took})
    client.force_login(make_user(ADMIN))
    page = client.get(reverse("nurture:health")).content.decode()
    assert reverse("nurture:health-checks") in page
    shown, seen = "", list[str]()
    place: int | None = 0
    while place is not None:
        found, onward = health.checks(place)
        seen += [check.name for check in found]
        part = client.get(reverse("nurture:health-checks"), {"from": place}, headers={"HX-Request": "true"})
        shown += part.content.decode()
        assert (f"?from={onward}" in shown) is (onward is not None)
        place = onward
    assert seen == list(queries.INVARIANTS)
    assert "in 590.5 s" in shown
    assert shown.count("broken") == 1
    assert "<html" in client.get(reverse("nurture:health-checks")).content.decode()


def test_no_part_of_the_page_asks_more_than_fifteen_statements(client: Client) -> None:
    build()
    client.force_login(make_user(ADMIN))
    for url in (reverse("nurture:health"), reverse("nurture:health-checks")):
        client.get(url)
        with CaptureQueriesContext(connection) as asked:
            assert client.get(url, headers={"HX-Request": "true"}).status_code == 200
        statements = [one["sql"] for one in asked if "SAVEPOINT" not in one["sql"]]
        assert len(statements) <= 15, statements


def test_estimates_of_what_is_over_are_said_to_be_such() -> None:
    build()
    depths = queries.queue_depths(NOW, exact=False)
    assert {name for name, depth in depths.items() if depth.get("is_estimate")} == {
        "sendings_sent", "sendings_not_sent", "sendings_bounced",
    }  # fmt: skip
    exact = queries.queue_depths(NOW)
    assert exact.keys() == depths.keys()
    assert exact["sendings_sent"] == {"count": 0}
