"""Steps per second of programs: the engine beside raw SQL on the same tables, one worker and two, in one run.

    RIPEN_HOME=/tmp/bench .venv/bin/python -m bench.steps --people 100000

Fills an empty instance with plain SQL. Three steps are measured: a wait that is over (nothing but moving on), a branch on a
field, and a mail (a row in the outbox), beside other live programs in which people wait. The raw form is one statement a batch of 1,000.
One worker and two are processes of their own that have done a step before, so that what each loads once in its life is not counted,
and with them the processor time of Python and of the database for a step: on a machine with other work only that tells whether two
workers stand in each other's way. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import django

if TYPE_CHECKING:
    import psutil

    from nurture.models import ProgramVersion
    from segments.models import Segment

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
WAITING = """
INSERT INTO nurture_enrolment (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem)
SELECT %(program)s, %(version)s, id, 'active', 'w0', 1, %(later)s, %(now)s, 'bench', '', '' FROM leads_contact WHERE id <= 100
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
    parser.add_argument("--programs", type=int, default=200, help="other live programs, with people who wait")
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
        print(json.dumps(measure(arguments.people, arguments.programs), indent=2))


def measure(people: int, programs: int) -> dict[str, Any]:
    from django.db import connection

    from leads.models import Contact
    from nurture import engine
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
    found: dict[str, Any] = {"people": people, "programs": programs}
    live_beside = [start_program(f"other-{number}", other_steps(), segment) for number in range(programs)]
    for kind, steps in documents.items():
        version = start_program(kind, steps, segment)
        program = version.program
        values = {"program": program.pk, "version": version.pk, "step": kind, "now": NOW, "template": template.pk,
                  "later": NOW + timedelta(days=364), "batch": BATCH}  # fmt: skip

        def refill(values: dict[str, Any] = values) -> None:
            with connection.cursor() as cursor:
                cursor.execute(
                    "TRUNCATE nurture_stepvisit, nurture_sending, nurture_enrolment RESTART IDENTITY CASCADE"
                )
                cursor.execute(ENROL, values)
                for other in live_beside:
                    cursor.execute(
                        WAITING,
                        {"program": other.program_id, "version": other.pk, "later": values["later"], "now": NOW},
                    )
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
        for number, name in ((1, "one_worker"), (2, "two_workers")):
            refill()
            found[kind][name] = workers(number, program.pk)
        found[kind]["two_over_one"] = round(
            found[kind]["two_workers"]["per_second"] / found[kind]["one_worker"]["per_second"], 2
        )
    found["nothing_due_ms"] = round(min(timed(lambda: engine.run_due(NOW)) for _each in range(20)) * 1000, 2)
    found["load"] = [round(one, 1) for one in os.getloadavg()]
    return found


def other_steps() -> list[dict[str, Any]]:
    """A program of usual size: eight mails with waits between them, and a branch after each."""
    rule = {"field": "contact.title", "op": "contains", "value": "vp"}
    found: list[dict[str, Any]] = []
    for number in range(8):
        found += [
            {"id": f"w{number}", "kind": "wait", "for": {"value": 3, "unit": "days"}},
            {"id": f"m{number}", "kind": "send_email", "template": "bench"},
            {"id": f"b{number}", "kind": "branch", "conditions": rule, "yes": [], "no": []},
        ]
    return found


def start_program(slug: str, steps: list[dict[str, Any]], segment: Segment) -> ProgramVersion:
    from nurture import actions
    from nurture.publication import publishing

    program = actions.create_program(
        name=slug, slug=slug, trigger_segment=segment, document={"steps": steps}, actor=None, now=NOW
    )
    return publishing.publish(program.versions.get(), edit_number=1, intake="new", since=None, actor=None, now=NOW)


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
    """A worker of its own process: does its first steps, says so, then at the word the rest as fast as it can."""
    django.setup()
    from django.db import connection

    from nurture.engine import Report, run_batch, run_due
    from nurture.kinds import Names

    run_batch(program_id, NOW, batch=1, names=Names(), report=Report())
    print(connection.connection.info.backend_pid, flush=True)
    sys.stdin.readline()
    began, python = perf_counter(), process_time()
    steps = run_due(NOW, seconds=600.0, programs=[program_id]).steps
    print(json.dumps([steps, perf_counter() - began, process_time() - python]), flush=True)
    sys.stdin.readline()


def workers(number: int, program_id: int) -> dict[str, float]:
    """Steps a second of so many processes together from the word on, and what a step costs in them and in the database."""
    import psutil

    crew = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.steps", "--worker", str(program_id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _each in range(number)
    ]
    backends = [psutil.Process(int(heard(worker))) for worker in crew]
    before = sum(spent(backend) for backend in backends)
    for worker in crew:
        say(worker)
    told = [json.loads(heard(worker)) for worker in crew]
    database = sum(spent(backend) for backend in backends) - before
    for worker in crew:
        say(worker)
        worker.communicate()
    steps = sum(one[0] for one in told)
    return {
        "per_second": round(steps / max(one[1] for one in told)),
        "python_us_a_step": round(1e6 * sum(one[2] for one in told) / steps, 1),
        "database_us_a_step": round(1e6 * database / steps, 1),
    }


def spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def heard(worker: subprocess.Popen[str]) -> str:
    assert worker.stdout is not None
    return worker.stdout.readline()


def say(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin is not None
    worker.stdin.write("go\n")
    worker.stdin.flush()


if __name__ == "__main__":
    main()
