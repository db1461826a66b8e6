"""Seconds that the simulation of a 90-day program takes over so many people, and what it costs a person and a step.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.simulation --people 100000

Fills an empty instance with plain SQL. The program mails, waits, asks whether the mail was opened, branches, tags, waits for a
weekday on the reader's own clock and hands over at the end; mail leaves only on working days from 9 to 17. Prints one JSON object:
seconds, and their ratio to a yardstick of the same run: bare SQL in as many sessions that moves as many people over as many steps, with
one row for each visit and each mail.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import UTC, datetime, time
from time import perf_counter
from typing import Any

import django

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
OPENED = {"did": "email_open", "when": {"op": "in_last", "value": 14, "unit": "days"}}
STEPS: list[dict[str, Any]] = [
    {"id": "hello", "kind": "send_email", "template": "bench"},
    {"id": "rest", "kind": "wait", "for": {"value": 5, "unit": "days"}},
    {"id": "asked", "kind": "wait_until", "conditions": OPENED, "days": 7,
     "met": [{"id": "keen", "kind": "add_tag", "tag": "keen"}, {"id": "more", "kind": "send_email", "template": "bench"}],
     "late": [{"id": "again", "kind": "send_email", "template": "bench"}]},
    {"id": "tuesday", "kind": "wait", "until": {"days": [2], "at": "09:00", "clock": "contact"}},
    {"id": "who", "kind": "branch", "conditions": {"field": "contact.title", "op": "contains", "value": "vp"},
     "yes": [{"id": "offer", "kind": "send_email", "template": "bench"}], "no": []},
    {"id": "month", "kind": "wait", "for": {"value": 30, "unit": "days"}},
    {"id": "last", "kind": "send_email", "template": "bench"},
    {"id": "end", "kind": "end", "label": "nurtured"},
]  # fmt: skip
CONTACTS = """
INSERT INTO leads_contact (external_id, email, first_name, last_name, title, department, seniority, phone, country, region, city,
                           postal_code, timezone, language, source, stage, stage_since, tags, custom)
SELECT 'c' || n, 'c' || n || '@bench' || n %% 500 || '.test', 'First', 'Last ' || n, CASE WHEN n %% 3 = 0 THEN 'VP' ELSE 'Clerk' END,
       '', '', '', '', '', '', '', (ARRAY['Europe/Berlin', 'America/New_York', 'Asia/Kolkata', ''])[1 + n %% 4], '', '', 'inquiry', %(now)s, '{}', '{}'
FROM generate_series(1, %(people)s) n
"""
MEMBERS = """
INSERT INTO segments_membership (segment_id, contact_id, since, why, left_why)
SELECT %(segment)s, id, %(now)s, 'bench', '' FROM leads_contact
"""
ACTIVITIES = """
WITH new AS (
    INSERT INTO leads_activity (contact_id, kind_id, occurred_at, recorded_at)
    SELECT c.id, k.id, %(now)s::timestamptz - make_interval(hours => n * 40 + (c.id %% 40)::int), %(now)s
    FROM leads_contact c CROSS JOIN generate_series(1, %(each)s) n JOIN leads_activitykind k ON k.slug = 'page_view'
    RETURNING contact_id, kind_id, occurred_at
)
INSERT INTO leads_signal (contact_id, kind_id, n, first_at, last_at)
SELECT contact_id, kind_id, count(*), min(occurred_at), max(occurred_at) FROM new GROUP BY 1, 2
"""


YARDSTICK = """
CREATE TEMPORARY TABLE walk (id bigint PRIMARY KEY, step int, due_at timestamptz);
CREATE INDEX ON walk (due_at);
CREATE TEMPORARY TABLE visit (walk_id bigint, step int, done_at timestamptz, PRIMARY KEY (walk_id, step));
CREATE TEMPORARY TABLE mail (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, walk_id bigint, state text, sent_at timestamptz);
INSERT INTO walk SELECT n, 0, now() FROM generate_series(1, {people}) n;
"""
STEP = """
WITH moved AS (
    UPDATE walk SET step = step + 1, due_at = due_at + interval '9 days' WHERE due_at <= now() + {step} * interval '9 days' RETURNING id, step, due_at
)
INSERT INTO visit SELECT id, step, due_at FROM moved
"""
MAIL = """
INSERT INTO mail (walk_id, state) SELECT id, 'queued' FROM walk;
UPDATE mail SET state = 'sent', sent_at = now() WHERE state = 'queued'
"""


def yardstick(people: int, steps: int, mails: int, sessions: int) -> float:
    """Seconds of bare SQL for as many steps and mails."""
    from concurrent.futures import ThreadPoolExecutor

    from django.db import connection

    def walk(place: int) -> None:
        own = people // sessions
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET temp_buffers = '512MB'")
                cursor.execute(YARDSTICK.format(people=own))
                for step in range(round(steps / people)):
                    cursor.execute(STEP.format(step=step))
                for _mail in range(round(mails / people)):
                    cursor.execute(MAIL)
        finally:
            connection.close()

    began = perf_counter()
    with ThreadPoolExecutor(sessions) as threads:
        list(threads.map(walk, range(sessions)))
    return perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--activities", type=int, default=10, help="page views a person")
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import servers

    with servers.in_use():
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        print(json.dumps(measure(arguments.people, arguments.activities), indent=2))


def measure(people: int, activities: int) -> dict[str, Any]:
    from django.db import connection

    from leads.models import Contact, Workspace
    from nurture import actions
    from nurture.models import Enrolment, Template
    from nurture.simulation.assumptions import Assumptions
    from nurture.simulation.run import IN_PARTS_FROM, PARTS, simulate
    from segments.models import Segment

    if not Contact.objects.exists():
        Template.objects.create(slug="bench", name="Bench", subject="S", body="<p>b</p>", format="html")
        segment = Segment.objects.create(slug="bench", name="Bench", mode="fixed")
        Workspace.objects.update_or_create(
            pk=1,
            defaults={
                "business_days": [1, 2, 3, 4, 5],
                "mail_days": [1, 2, 3, 4, 5],
                "mail_start": time(9),
                "mail_end": time(17),
            },
        )
        with connection.cursor() as cursor:
            cursor.execute(CONTACTS, {"people": people, "now": NOW})
            cursor.execute(MEMBERS, {"segment": segment.pk, "now": NOW})
            cursor.execute(ACTIVITIES, {"each": activities, "now": NOW})
            cursor.execute("VACUUM ANALYZE leads_contact, segments_membership, leads_activity, leads_signal")
        actions.create_program(
            name="Bench", slug="bench", trigger_segment=segment, document={"steps": STEPS}, actor=None, now=NOW
        )
    elif Contact.objects.count() != people or Enrolment.objects.exists():
        sys.exit("This instance holds other data; give the benchmark a RIPEN_HOME of its own.")
    from nurture.models import ProgramVersion

    began = perf_counter()
    found = simulate(ProgramVersion.objects.get(program__slug="bench").pk, Assumptions(days=90), now=NOW)
    seconds = perf_counter() - began
    visits = sum(
        number
        for outcomes in found["steps"].values()
        for key, number in outcomes.items()
        if key not in ("here", "parked")
    )
    assert not Enrolment.objects.exists()
    bare = yardstick(people, visits, found["totals"]["mails"], PARTS if people >= IN_PARTS_FROM else 1)
    return {
        "people": people,
        "seconds": round(seconds, 1),
        "yardstick_seconds": round(bare, 1),
        "ratio": round(seconds / bare, 1),
        "beats": found["beats"],
        "steps": visits,
        "steps_per_second": round(visits / seconds),
        "totals": found["totals"],
    }


if __name__ == "__main__":
    main()
