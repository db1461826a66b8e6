"""Runs, recognises and ends processes of the servers."""

import contextlib
import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .accounts import Account
from .places import EmbeddedError

if TYPE_CHECKING:
    import psutil

LOG_KEPT_BYTES = 10_000_000


def run(command: list[str], account: Account | None, *, timeout: float) -> subprocess.CompletedProcess[str]:
    """Run to the end in a session of its own, so that a Ctrl-C in the terminal does not reach what it starts."""
    identity: dict[str, Any] = (
        {"user": account.uid, "group": account.gid, "extra_groups": []} if account is not None else {}
    )
    try:
        return subprocess.run(
            command,
            check=False,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            umask=0o077,
            timeout=timeout,
            **identity,
        )
    except subprocess.TimeoutExpired as error:
        raise EmbeddedError(f"{command[0]} did not end within {timeout:.0f} seconds.") from error
    except PermissionError as error:
        raise EmbeddedError(
            f"{command[0]} cannot be run as {account.name if account else 'this user'}: {error}"
        ) from error


def process_of(pid_file: Path, name: str, folder: Path) -> "psutil.Process | None":
    """The server that a pid file names, unless the number is stale or belongs to another program by now."""
    import psutil

    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or name not in process.name():
            return None
        return process if process.cwd() == str(folder) else None
    except (OSError, ValueError, psutil.Error):
        return None


def end(process: "psutil.Process | None", *, seconds: float) -> None:
    """Wait for a server that was asked to stop; kill it when it does not. A zombie has ended: process 1 may be slow to reap."""
    import psutil

    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.01)


def tail(log: Path) -> str:
    """The last lines of a server's log, for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-8:]
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in lines)


def limit_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
        log.replace(log.with_suffix(".log.1"))
