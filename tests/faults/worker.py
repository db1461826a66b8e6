"""A worker of its own process for fault tests: walks or sends, and kills itself with SIGKILL at a marked point.

python -m tests.faults.worker walk|send|both|all|take_in|turn|call|simulate|publish|broadcast --now ISO [--kill MODULE:FUNCTION:before|after:N] [--port N]
    [--batch N] [--rounds N]
python -m tests.faults.worker serve --now ISO --schedule FILE    the product's own Celery worker and beat
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import django

SLICE = 16  # mails between two commits: fewer than usual, so that few people make several slices


def kill_at(point: str) -> None:
    """Replace the function by one that dies before or after its nth call."""
    path, name, when, number = point.split(":")
    owner: Any = importlib.import_module(path.partition("/")[0])
    if "/" in path:  # a class inside the module
        owner = getattr(owner, path.partition("/")[2])
    real: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == int(number) and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls == int(number) and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def end_with_the_tests() -> None:
    """No worker outlives the tests that started it, also where these are killed: its whole group goes with them."""
    started_by = os.getppid()

    def watch() -> None:
        while os.getppid() == started_by:
            time.sleep(0.5)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def serve(now: datetime, schedule: str) -> None:
    """Celery's worker of two processes as the product starts it, with the beat inside; its clock begins at `now` and every task comes each second."""
    from django.utils import timezone

    from config.celery import app

    began = time.monotonic()
    timezone.now = lambda: now + timedelta(seconds=time.monotonic() - began)
    for entry in app.conf.beat_schedule.values():  # at most one message of each in the queue, as in the product
        entry["schedule"] = entry["options"]["expires"] = 1.0
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--pool=prefork", "--concurrency=2"]
    app.worker_main(["worker", "--queues=engine", "--beat", f"--schedule={schedule}", *options])


def main() -> None:
    parser = argparse.ArgumentParser()
    jobs_known = ["walk", "send", "both", "all", "take_in", "turn", "call", "simulate", "publish", "broadcast", "serve"]
    parser.add_argument("job", choices=jobs_known)
    parser.add_argument("--now", required=True)
    parser.add_argument("--kill")
    parser.add_argument("--port", type=int)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--schedule")
    arguments = parser.parse_args()
    end_with_the_tests()
    django.setup()
    from django.conf import settings

    from nurture import engine, turn, webhooks
    from nurture.broadcasts import job as broadcasts_job
    from nurture.mailing import notices, sending
    from nurture.mailing.smtp import Server
    from nurture.publication import publishing_job
    from nurture.simulation import jobs

    settings.LOGGING_CONFIG = None
    if arguments.kill:
        kill_at(arguments.kill)
    turn.PAGE, sending.SLICE = 10, SLICE
    now = datetime.fromisoformat(arguments.now)
    if arguments.job == "serve":
        serve(now, arguments.schedule)
    server = None
    if arguments.port:
        server = Server("127.0.0.1", arguments.port, seconds=60.0, connections=arguments.connections)
    for round_number in range(arguments.rounds):
        at = now + timedelta(seconds=round_number)
        if arguments.job == "take_in":
            turn.take_in(at)
        if arguments.job == "turn":
            turn.turn(at)
        if arguments.job in ("walk", "both", "all"):
            engine.run_due(at, batch=arguments.batch)
        if arguments.job in ("send", "both", "all"):
            sending.send_due(at, server=server)
        if arguments.job in ("call", "all"):
            webhooks.send_due(at, seconds=120.0)
        if arguments.job == "all":
            notices.send_due(at, server=server)
        if arguments.job == "simulate":
            jobs.run_due(lambda: now)
        if arguments.job == "publish":
            publishing_job.PAGE = publishing_job.LARGEST = 2
            publishing_job.run_due(lambda: now, seconds=120.0)
        if arguments.job == "broadcast":
            broadcasts_job.PAGE = broadcasts_job.LARGEST = 4
            broadcasts_job.run_due(lambda: now, seconds=120.0)
        if arguments.rounds > 1:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
