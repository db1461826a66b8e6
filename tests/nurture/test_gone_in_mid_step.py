"""A contact is deleted, erased or merged by somebody while a worker is doing a step for them: both get done, and the others walk on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.db import connection

from leads import data_requests, merging
from leads.actions import delete_contact
from leads.models import Contact, DataRequest
from nurture import queries
from nurture.kinds import KINDS
from nurture.models import Enrolment, Sending
from tests.database import wait_until_quiet
from tests.faults import everything
from tests.makers import NOW, make_contact, make_user
from tests.nurture.makers import mail, make_walk, step, trace, wait, walk

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 120.0  # seconds; only a broken lock makes a test wait that long


class Rival:
    """Somebody else with a connection of their own; what goes wrong with them is the test's failure."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.failures: list[BaseException] = []
        self.pid = 0
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                self.pid = cursor.fetchone()[0]
            self._work()
        except BaseException as error:
            self.failures.append(error)
        finally:
            connection.close()

    def wait_until_stuck(self) -> None:
        """Until they wait for a lock, or are done."""
        ends = time.monotonic() + PATIENCE
        while self._thread.is_alive():
            assert time.monotonic() < ends, "neither waits nor ends"
            with connection.cursor() as cursor:
                cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid])
                if cursor.fetchone()[0]:
                    return
            time.sleep(0.005)

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
        if self.failures:
            raise self.failures[0]


@contextmanager
def met_in_mid_step(monkeypatch: pytest.MonkeyPatch, steps: dict[str, Callable[[], object]]) -> Iterator[None]:
    """While these steps are done for people, but their transaction is not over, the others begin their work."""
    rivals: list[Rival] = []
    real = queries.advance

    def advance(version_id: int, step_id: str, moves: queries.Moves, **rest: Any) -> None:
        real(version_id, step_id, moves, **rest)
        if step_id in steps:
            rivals.append(Rival(steps.pop(step_id)))
            rivals[-1].wait_until_stuck()

    monkeypatch.setattr(queries, "advance", advance)
    yield
    for rival in rivals:
        rival.join()
    assert not steps, "nobody came to these steps"


def test_deleted_in_mid_step_whatever_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """One person goes at each kind of step; the one who stays did every step once."""
    program = everything.build(len(KINDS) + 3)
    people = list(Contact.objects.order_by("pk"))
    ids = [
        "start",
        *(node["id"] for node in program.versions.get().tree["steps"] if node["kind"] not in ("wait", "end")),
    ]
    going = dict(zip(ids, people, strict=False))
    leaving: dict[str, Callable[[], object]] = {
        key: partial(delete_contact, person, actor=None, now=NOW) for key, person in going.items()
    }
    with met_in_mid_step(monkeypatch, leaving):
        everything.finish()
    wait_until_quiet()
    everything.finish()
    assert set(Contact.objects.all()) == set(people) - set(going.values())
    assert not Enrolment.objects.exclude(contact__in=Contact.objects.all()).exists()
    Sending.objects.filter(contact=None).delete()
    everything.assert_once(program)


def erased(person: Contact) -> None:
    request, _is_new = data_requests.ask(
        DataRequest.Kind.ERASE, contact=person, source="by_hand", reason="By letter", actor=None, now=NOW
    )
    data_requests.erase(request, note="It was them", actor=make_user(), now=NOW)


def merged(person: Contact) -> None:
    merging.merge_contacts(make_contact("stays@ripen.test"), gone=person, take={}, actor=None, now=NOW)


@pytest.mark.parametrize(("how", "walks_left"), [(erased, 1), (merged, 2)])
def test_erased_or_merged_in_mid_step(
    how: Callable[[Contact], None], walks_left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    _program, (goes, stays) = make_walk(
        mail(step_id="m"), step("add_tag", "t", tag="x"), wait(1, step_id="w"), people=2
    )
    with met_in_mid_step(monkeypatch, {"m": lambda: how(goes)}):
        walk()
    walk()
    assert not Contact.objects.filter(pk=goes.pk).exists()
    assert trace(stays) == [("m", "done"), ("t", "done")]
    assert set(Enrolment.objects.values_list("state", "step")) == {("active", "w")}
    assert Enrolment.objects.count() == walks_left
    addresses = {stays.email} | ({"stays@ripen.test"} if how is merged else set())
    assert set(Sending.objects.filter(state="queued").values_list("address", flat=True)) == addresses
    assert {name for name in queries.INVARIANTS if not queries.holds(name)} == set()
