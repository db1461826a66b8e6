"""A worker killed in the middle of a simulation: its tables go with its sessions, and the next worker works it out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from nurture.models import Enrolment, Sending, Simulation
from nurture.simulation import jobs, run
from nurture.simulation.assumptions import Assumptions
from tests.database import wait_until_alone
from tests.faults.running import run as run_worker
from tests.makers import NOW
from tests.nurture.makers import mail, make_people, make_program, put_in, segment_of, wait

pytestmark = pytest.mark.django_db(transaction=True)


def tables_left() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'")
        return [name for (name,) in cursor.fetchall()]


def told(result: dict[str, Any] | None) -> dict[str, Any]:
    """A result without what only says how long it took."""
    return {what: numbers for what, numbers in (result or {}).items() if what != "seconds"}


def test_a_killed_simulation_is_worked_out_by_the_next_worker() -> None:
    program = make_program(mail(), wait(), mail(), wait(), live=False)
    put_in(segment_of(program), make_people(5))
    version = program.versions.get()
    asked = jobs.ask(version, Assumptions(days=5), user=None, now=NOW)
    assert run_worker("simulate", now=NOW, kill="nurture.simulation.run:beat:after:2") == -9
    wait_until_alone()
    assert tables_left() == []
    asked.refresh_from_db()
    assert (asked.state, asked.tries) == ("running", 1)
    assert jobs.run_due(lambda: NOW + jobs.LEASE - timedelta(seconds=1)) == 0  # it might be alive
    assert jobs.run_due(lambda: NOW + jobs.LEASE) == 1
    asked.refresh_from_db()
    assert (asked.state, asked.tries) == ("done", 2)
    alone = run.simulate(version.pk, Assumptions(days=5), now=NOW + jobs.LEASE)
    assert told(asked.result)["totals"] == alone["totals"]
    assert (Enrolment.objects.count(), Sending.objects.count(), Simulation.objects.count()) == (0, 0, 1)
