"""Steps per second of programs: the engine beside raw SQL on the same tables, one worker and two, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.steps --people 100000

Fills an empty instance with plain SQL. Three steps are measured: a wait that is over (nothing but moving on), a branch on a
field, and a mail (a row in the outbox). The raw form is one statement a batch of 1,000. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any

import django

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
BATCH = 1_000

CONTACTS = """
INSERT INTO leads_contact (external_id, email, first_name, last_name, title, department, seniority, phone, country, region, city,
                           postal_code, timezone, language, source, stage, stage_since, tags, custom)
SELECT 'c' || n, 'c' || n || '@bench.test', 'First', 'Last ' || n, CASE WHEN n %% 3 = 0 THEN 'VP' ELSE 'Clerk' END,
       '', '', '', '', '', '', '', '', '', '', 'inquiry', %(now)s, '{}', '{}'
FROM generate_series(1, %(people)s) n
"""
ENROL = """
INSERT INTO nurture_enrolment (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem)
SELECT %(program)s, %(version)s, id, 'active', %(step)s, 1, %(now)s, %(now)s, 'bench', '', '' FROM leads_contact ORDER BY id
"""
RAW = {
    "wait": """
        WITH due AS (
            SELECT id, visit FROM nurture_enrolment WHERE program_id = %(program)s AND state = 'active' AND next_step_at <= %(now)s
            ORDER BY next_step_at LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED
        ), visited AS (
            INSERT INTO nurture_stepvisit (enrolment_id, version_id, step, visit, done_at, outcome)
            SELECT id, %(version)s, 'wait', visit, %(now)s, 'done' FROM due
        )
        UPDATE nurture_enrolment e SET visit = e.visit + 1, step = 'rest', next_step_at = %(later)s FROM due WHERE e.id = due.id
    """,
    "mail": """
        WITH due AS (
            SELECT id, visit, contact_id FROM nurture_enrolment
            WHERE program_id = %(program)s AND state = 'active' AND next_step_at <= %(now)s
            ORDER BY next_step_at LIMIT %(batch)s FOR NO KEY UPDATE SKIP LOCKED
        ), visited AS (
            INSERT INTO nurture_stepvisit (enrolment_id, version_id, step, visit, done_at, outcome)
            SELECT id, %(version)s, 'mail', visit, %(now)s, 'done' FROM due
        ), sent AS (
            INSERT INTO nurture_sending (key, token, contact_id, enrolment_id, template_id, step, address, is_operational, is_test, state,
                carrier, queued_at, due_at, tries, message_id, subject, html, text, headers, why_not)
            SELECT due.id || ':mail:' || visit, gen_random_uuid(), c.id, due.id, %(template)s, 'mail', c.email, false, false, 'queued',
                '', %(now)s, %(now)s, 0, '', '', '', '', '[]', ''
            FROM due JOIN leads_contact c ON c.id = due.contact_id
        )
        UPDATE nurture_enrolment e SET visit = e.visit + 1, step = 'rest', next_step_at = %(later)s FROM due WHERE e.id = due.id
    """,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if arguments.worker:
        work(arguments.worker)
        return
    from config import servers

    with servers.in_use():
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        print(json.dumps(measure(arguments.people), indent=2))


def measure(people: int) -> dict[str, Any]:
    from django.db import connection

    from leads.models import Contact
    from nurture import actions, engine, publishing
    from nurture.models import Template

    if Contact.objects.exists():
        sys.exit("This instance holds data; give the benchmark a RIPEN_HOME of its own.")
    template = Template.objects.create(slug="bench", name="Bench", subject="S", body="<p>b</p>", format="html")
    rest = {"id": "rest", "kind": "wait", "for": {"value": 52, "unit": "weeks"}}
    documents: dict[str, list[dict[str, Any]]] = {
        "wait": [{"id": "wait", "kind": "wait", "for": {"value": 1, "unit": "days"}}, rest],
        "branch": [{"id": "branch", "kind": "branch", "conditions": {"field": "contact.title", "op": "contains", "value": "vp"}, "yes": [], "no": []}, rest],
        "mail": [{"id": "mail", "kind": "send_email", "template": "bench"}, rest],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(CONTACTS, {"people": people, "now": NOW})
        cursor.execute("VACUUM ANALYZE leads_contact")
    from segments.models import Segment

    segment = Segment.objects.create(slug="bench", name="Bench", mode="fixed")
    found: dict[str, Any] = {"people": people}
    for kind, steps in documents.items():
        program = actions.create_program(
            name=kind, slug=kind, trigger_segment=segment, document={"steps": steps}, actor=None, now=NOW
        )
        draft = program.versions.get()
        version = publishing.publish(draft, edit_number=1, intake="new", since=None, actor=None, now=NOW)
        values = {"program": program.pk, "version": version.pk, "step": kind, "now": NOW, "template": template.pk,
                  "later": NOW + timedelta(days=364), "batch": BATCH}  # fmt: skip

        def refill(values: dict[str, Any] = values) -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "TRUNCATE nurture_stepvisit, nurture_sending, nurture_enrolment RESTART IDENTITY CASCADE"
                )
                cursor.execute(ENROL, values)
                cursor.execute("VACUUM ANALYZE nurture_enrolment")

        refill()
        engine.run_due(NOW, seconds=0.05)  # the plan of the version is read once in a worker's life
        refill()
        product = people / timed(lambda: engine.run_due(NOW, seconds=600.0))
        found[kind] = {"product_per_second": round(product)}
        if kind in RAW:
            refill()
            raw = people / timed(lambda kind=kind, values=values: by_hand(RAW[kind], values))  # type: ignore[misc]
            found[kind] |= {"raw_per_second": round(raw), "ratio": round(product / raw, 2)}
        refill()
        two = people / two_workers(program.pk)
        found[kind]["two_workers_per_second"] = round(two)
    found["nothing_due_ms"] = round(min(timed(lambda: engine.run_due(NOW)) for _each in range(20)) * 1000, 2)
    return found


def timed(work: Callable[[], Any]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


def by_hand(statement: str, values: dict[str, Any]) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        while True:
            cursor.execute(statement, values)
            if cursor.rowcount == 0:
                return


def work(program_id: int) -> None:
    """A worker of its own process: ready, then at the word as fast as it can."""
    django.setup()
    from django.db import connection

    from nurture.engine import run_due

    connection.ensure_connection()
    run_due(NOW, programs=[])
    print("ready", flush=True)
    sys.stdin.readline()
    print(run_due(NOW, seconds=600.0, programs=[program_id]).steps, flush=True)


def two_workers(program_id: int) -> float:
    """Seconds that two processes take together from the word on."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.steps", "--worker", str(program_id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _each in range(2)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    began = perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    seconds = perf_counter() - began
    for worker in workers:
        worker.communicate()
    return seconds


if __name__ == "__main__":
    main()
