"""A worker of its own process for fault tests: walks or sends, and kills itself with SIGKILL at a marked point.

python -m tests.faults.worker walk|send|both|take_in|call --now ISO [--kill MODULE:FUNCTION:before|after:N] [--port N] [--batch N] [--rounds N]
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import django


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("job", choices=["walk", "send", "both", "take_in", "call"])
    parser.add_argument("--now", required=True)
    parser.add_argument("--kill")
    parser.add_argument("--port", type=int)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    django.setup()
    from django.conf import settings

    from nurture import engine, sending, turn, webhooks
    from nurture.smtp import Server

    settings.LOGGING_CONFIG = None
    if arguments.kill:
        kill_at(arguments.kill)
    turn.PAGE = 10
    now = datetime.fromisoformat(arguments.now)
    server = Server("127.0.0.1", arguments.port, seconds=60.0) if arguments.port else None
    for round_number in range(arguments.rounds):
        at = now + timedelta(seconds=round_number)
        if arguments.job == "take_in":
            turn.take_in(at)
        if arguments.job in ("walk", "both"):
            engine.run_due(at, batch=arguments.batch)
        if arguments.job in ("send", "both"):
            sending.send_due(at, server=server)
        if arguments.job == "call":
            webhooks.send_due(at, seconds=120.0)
        if arguments.rounds > 1:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
