"""The queue with very many hand-offs and twenty people at once: `python bench/queue_pages.py [--leads 100000] [--people 20]`.

In-process, in a database of its own (a test database of the instance that RIPEN_HOME or DATABASE_URL names), removed at the end.
A yardstick beside it in the same run: the first page of open hand-offs by one hand-written statement. Goal: 100 ms at p95.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
THINKING_SECONDS = (1.0, 3.0)  # between two requests of one person, as the page asks by itself


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--leads", type=int, default=100_000)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15, help="requests of each page and person")
    options = parser.parse_args()

    from config import servers

    with servers.in_use():
        import django

        django.setup()
        from django.db import connection

        old = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True)
        try:
            fill(options.leads)
            print(json.dumps(measure(people=options.people, rounds=options.rounds), indent=1))
        finally:
            connection.creation.destroy_test_db(old, verbosity=0)


CARD = {
    "who": {
        "name": "Vera Ripe",
        "title": "VP Finance",
        "email": "v@example.test",
        "company": {"id": 1, "name": "Acme"},
    },
    "reasons": [
        {"rule": "", "name": f"Reason {n}", "sentence": "page view at least 3 times", "points": 15} for n in range(6)
    ],
    "against": [],
    "why_now": {"words": "“Pricing” lifted it from 60 to 80 points.", "at": "2026-03-02T12:00:00+00:00"},
    "read": [],
    "colleagues": [],
    "deals": [],
    "opener": "Hello Vera, what made you look at us?",
}


def fill(leads: int) -> None:
    """Half of the hand-offs open, half answered; one owner in twenty. Three statements."""
    from django.contrib.auth.models import Group, User
    from django.db import connection
    from django.utils import timezone

    from leads.access import SALES
    from leads.models import Owner
    from scoring.models import ScoreModel

    version = ScoreModel.objects.get(slug="default").versions.get(state="live")
    group = Group.objects.get_or_create(name=SALES)[0]
    for number in range(20):
        user = User.objects.create_user(f"sales-{number}")
        user.groups.add(group)
        Owner.objects.create(name=f"Sales {number}", user=user)
    first = Owner.objects.order_by("pk").values_list("pk", flat=True)[0]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_contact (external_id, email, first_name, last_name, title, department, seniority, phone, country, region,"
            " city, postal_code, timezone, language, source) SELECT 'q' || n, 'q' || n || '@example.test', 'Vera', 'Ripe ' || n,"
            " 'VP', '', '', '', '', '', '', '', '', '', 'referral' FROM generate_series(1, %s) n",
            [leads],
        )
        cursor.execute(
            """
            INSERT INTO scoring_handoff (contact_id, model_id, version_id, state, handed_over_at, due_at, cause, owner_id, total, grade,
                card, rule_keys, reasons_key, answered_at, answer_note, program, misleading)
            SELECT c.id, %s, %s, CASE c.id %% 4 WHEN 0 THEN 'accepted' WHEN 1 THEN 'rejected' ELSE 'open' END,
                %s::timestamptz - c.id * interval '10 seconds', %s::timestamptz + (random() * 96 - 24) * interval '1 hour', 'threshold',
                CASE WHEN c.id %% 5 = 0 THEN NULL ELSE %s + c.id %% 20 END, 75 + c.id %% 60,
                substr('ABCD', 1 + (c.id %% 4)::int, 1) || 1 + c.id %% 4, %s, '{}', '',
                CASE WHEN c.id %% 4 < 2 THEN %s::timestamptz - c.id * interval '9 seconds' END, '', '', '{}'
            FROM leads_contact c
            """,
            [version.model_id, version.pk, timezone.now(), timezone.now(), first, json.dumps(CARD), timezone.now()],
        )
        cursor.execute("ANALYZE")


def measure(*, people: int, rounds: int) -> dict[str, Any]:
    """Median and p95 in ms and the statements of each request, all people at once."""
    from django.contrib.auth.models import User
    from django.db import connection

    from scoring.models import HandOff

    users = list(User.objects.filter(username__startswith="sales-").order_by("pk"))[:people]
    lead = HandOff.objects.open().order_by("due_at", "grade", "id").values_list("pk", flat=True)[0]
    pages = {
        "queue, mine": "/scoring/queue/?tab=mine",
        "queue, all": "/scoring/queue/?tab=all",
        "queue, late": "/scoring/queue/?tab=late",
        "queue, answered": "/scoring/queue/?tab=answered",
        "poll": "/scoring/queue/counts/?tab=all&stamp=x",
        "list": "/scoring/queue/rows/?tab=all",
        "card": f"/scoring/queue/{lead}/?tab=all",
        "bell": "/scoring/notices/bell/",
    }
    raw = []
    for _round in range(50):
        started = time.perf_counter()
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM scoring_handoff WHERE state = 'open' ORDER BY due_at, grade, id LIMIT 31")
            cursor.fetchall()
        raw.append((time.perf_counter() - started) * 1000)
    report: dict[str, Any] = {
        "hand_offs": HandOff.objects.count(),
        "people": people,
        "yardstick_ms": round(statistics.median(raw), 2),
    }
    for name, url in pages.items():
        times = at_once([lambda user=user, url=url: visits(user, url, rounds) for user in users])  # type: ignore[misc]
        p95 = statistics.quantiles(times, n=20)[-1]
        report[name] = {
            "median_ms": round(statistics.median(times), 1),
            "p95_ms": round(p95, 1),
            "statements": statements(users[0], url),
        }
    return report


def visits(user: Any, url: str, rounds: int) -> list[float]:
    from django.db import connection
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    client.get(url)
    times = []
    for _round in range(rounds):
        time.sleep(random.uniform(*THINKING_SECONDS))
        started = time.perf_counter()
        assert client.get(url).status_code == 200
        times.append((time.perf_counter() - started) * 1000)
    connection.close()
    return times


def at_once(work: list[Callable[[], list[float]]]) -> list[float]:
    found: list[float] = []
    threads = [threading.Thread(target=lambda one=one: found.extend(one())) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def statements(user: Any, url: str) -> int:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    client.get(url)
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    return len(captured)


if __name__ == "__main__":
    main()
