"""Simulations that people ask for in the browser: one at a time by a worker, begun anew when it dies, stopped when nobody wants them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils.translation import gettext as _

from nurture.models import ProgramVersion, Simulation
from nurture.simulation import run
from nurture.simulation.assumptions import Assumptions

log = logging.getLogger(__name__)

State = Simulation.State

LEASE = timedelta(minutes=2)  # renewed while the worker lives, however long one beat takes
RENEWED = timedelta(seconds=20)
WORTH_TELLING = 0.01
TRIES = 3
KEPT = 10  # results a version; older ones go


def ask(version: ProgramVersion, assumptions: Assumptions, *, user: User | None, now: datetime) -> Simulation:
    """A simulation that the next free worker takes up. One that is under way for the version is stopped: its question is out of date."""
    Simulation.objects.filter(version=version, state__in=[State.QUEUED, State.RUNNING]).update(
        state=State.STOPPED, finished_at=now, lease_until=None
    )
    old = Simulation.objects.filter(version=version).order_by("-id").values_list("pk", flat=True)[KEPT - 1 :]
    Simulation.objects.filter(pk__in=list(old)).delete()
    return Simulation.objects.create(
        version=version,
        edit_number=version.edit_number,
        assumptions=assumptions.as_json(),
        requested_by=user,
        requested_at=now,
    )


def stop(simulation: Simulation, *, now: datetime) -> bool:
    """Whether it was still under way; its worker notices within a beat."""
    return bool(
        Simulation.objects.filter(pk=simulation.pk, state__in=[State.QUEUED, State.RUNNING]).update(
            state=State.STOPPED, finished_at=now, lease_until=None
        )
    )


def run_due(clock: Callable[[], datetime]) -> int:
    """Work out what waits, one after the other; how many came to an end. One statement when nothing waits."""
    finished = 0
    while (simulation := _claim(clock())) is not None:
        _run(simulation, clock)
        finished += 1
    return finished


def _claim(now: datetime) -> Simulation | None:
    """The oldest that nobody works at becomes this worker's, by a conditional update."""
    free = Simulation.objects.filter(Q(state=State.QUEUED) | Q(state=State.RUNNING, lease_until__lte=now)).order_by(
        "id"
    )
    for simulation in free[:5]:
        mine = Simulation.objects.filter(pk=simulation.pk, state=simulation.state, lease_until=simulation.lease_until)
        if simulation.tries >= TRIES:
            mine.update(state=State.FAILED, problem=_("The workers that tried it died."), finished_at=now)
        elif mine.update(state=State.RUNNING, lease_until=now + LEASE, tries=simulation.tries + 1, share_done=0.0):
            simulation.tries += 1
            return simulation
    return None


def _run(simulation: Simulation, clock: Callable[[], datetime]) -> None:
    mine = Simulation.objects.filter(pk=simulation.pk, state=State.RUNNING, tries=simulation.tries)
    told: list[tuple[float, datetime]] = []

    def tell(share: float) -> None:
        at = clock()
        if told and share - told[-1][0] < WORTH_TELLING and at - told[-1][1] < RENEWED:
            return
        told.append((share, at))
        if not mine.update(share_done=share, lease_until=at + LEASE):
            raise run.Stopped

    try:
        found = run.simulate(simulation.version_id, Assumptions.read(simulation.assumptions), now=clock(), tell=tell)
    except run.Stopped:
        return
    except Exception as error:
        log.exception("simulation broke off", extra={"simulation": simulation.pk})
        mine.update(state=State.FAILED, problem=run.problem_words(error), finished_at=clock(), lease_until=None)
        return
    mine.update(
        state=State.DONE,
        result=found,
        edit_number=found["edit_number"],
        share_done=1.0,
        finished_at=clock(),
        lease_until=None,
    )
