"""The database server restarted, and Redis emptied, under the product's own workers: they go on by themselves, each effect once.

FAULT_PEOPLE=5000 and FAULT_KILLS=100 for the long run (a restart for ten kills elsewhere).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from django.core.cache import cache
from pytest_django import Settings

from nurture.mailing import notices
from nurture.models import Enrolment, Sending, StepVisit, WebhookCall
from scoring.models import Notice
from tests.faults import everything
from tests.faults.own_server import own_server
from tests.faults.running import kill_all, start
from tests.makers import NOW
from tests.nurture.receiver import answering, receiver
from tests.nurture.sink import sink

pytestmark = pytest.mark.django_db(transaction=True)

RESTARTS = max(2, int(os.environ.get("FAULT_KILLS", "2")) // 10)
WAVE = max(6, int(os.environ.get("FAULT_PEOPLE", "12")) // (RESTARTS + 1))
PATIENCE_SECONDS = 300.0  # with no word of what was waited for: a fault


def test_workers_outlive_the_restarts(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each wave of people comes while the same workers run; the server goes down amid their steps and amid their mails."""
    settings.WEBHOOK_INNER_HOSTS = ["127.0.0.1"]
    monkeypatch.setenv("WEBHOOK_INNER_HOSTS", "127.0.0.1")
    log = tmp_path / "worker.log"
    with sink() as smtp, receiver(answering(200, "ok")) as http, own_server() as server:
        monkeypatch.setenv("EMAIL_URL", f"smtp://127.0.0.1:{smtp.port}")
        program = everything.build(WAVE, url=http.url)
        workers = start("serve", log, now=NOW, schedule=tmp_path / "beat")
        try:
            for number in range(RESTARTS):
                work = (StepVisit.objects.count, lambda: len(smtp.received))[number % 2]
                before = work()
                if number:
                    everything.send_in(program, WAVE)
                eventually(workers, log, partial(is_more, work, before))
                server.restart()
                cache.clear()
            everything.send_in(program, WAVE)
            eventually(workers, log, lambda: all_is_out(WAVE * (RESTARTS + 1)))
        finally:
            kill_all(workers)
        over = NOW + timedelta(hours=1)
        everything.finish(over)
        everything.finish_outside(over, smtp)
        everything.assert_once(program)
        assert everything.assert_mailed_once(smtp) <= 2 * (
            RESTARTS + 1
        )  # those on their way at each break and at the end
        assert everything.assert_told_once(smtp) <= RESTARTS * notices.AT_ONCE
        everything.assert_called_once(http)


def all_is_out(people: int) -> bool:
    """Nobody is on the way, and nothing waits that no worker had begun when the server went down."""
    return (
        Enrolment.objects.filter(state="active", step="w").count() == people
        and not Sending.objects.filter(state="queued").exists()
        and not WebhookCall.objects.filter(state="queued").exists()
        and not Notice.objects.filter(mail=Notice.Mail.WAITING).exists()
    )


def is_more(work: Callable[[], int], before: int) -> bool:
    return work() > before


def eventually(workers: subprocess.Popen[str], log: Path, holds: Callable[[], bool]) -> None:
    """Until it holds; the workers that were started first do it, or the test fails."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert workers.poll() is None, log.read_text()[-20_000:]
        assert time.monotonic() < until, log.read_text()[-20_000:]
        time.sleep(0.02)
