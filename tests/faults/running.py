"""Starts workers of their own against the test database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def start(job: str, log: Path | None = None, /, *, now: datetime, **options: object) -> subprocess.Popen[str]:
    """A worker process (tests/faults/worker.py) that shares the test's database and Redis, the first of a group of its own.

    What it says goes to the log if one is given, as long-lived workers fill a pipe.
    """
    entry = connection.settings_dict
    url = f"postgres://{quote(entry['USER'] or '')}@/{quote(entry['NAME'])}?host={quote(str(entry['HOST']), safe='')}"
    if entry["PASSWORD"] or entry["PORT"]:
        secret = f":{quote(entry['PASSWORD'])}" if entry["PASSWORD"] else ""
        url = f"postgres://{quote(entry['USER'])}{secret}@/{quote(entry['NAME'])}?host={quote(str(entry['HOST']), safe='')}"
        url += f"&port={entry['PORT']}" if entry["PORT"] else ""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "LOG_LEVEL": "ERROR",
    }
    arguments = [f"--{name}={value}" for name, value in options.items() if value is not None]
    with ExitStack() as opened:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.faults.worker", job, f"--now={now.isoformat()}", *arguments],
            cwd=ROOT,
            env=environment,
            stderr=opened.enter_context(log.open("w")) if log else subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def kill_all(worker: subprocess.Popen[str]) -> None:
    """SIGKILL for the worker and whatever it started."""
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.communicate()


def run(job: str, *, now: datetime, **options: object) -> int:
    """The worker's exit code, −9 when it was killed; what it said otherwise is an error."""
    process = start(job, now=now, **options)
    _out, said = process.communicate(timeout=300)
    assert process.returncode in (0, -9), said
    return process.returncode
