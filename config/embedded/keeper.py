"""Stops the servers when nobody is left: called by the last user, or by a process that outlives killed ones."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from .accounts import account_of
from .locks import alone, keeper_file, open_lock, starting, still_named, users_file
from .places import EmbeddedError
from .postgres import data_folder, stop_postgres
from .valkey import stop_valkey, valkey_folder

ORPHANS_SECONDS = 10  # a large folder takes this long to go


def stop_servers(home: Path) -> None:
    """The caller holds both locks; does nothing for a server that does not run."""
    stop_valkey(home)
    stop_postgres(home, account_of(home))


def start_keeper(home: Path) -> None:
    """A process that outlives killed users; it holds its own lock for life and stands behind all others in the queue."""
    descriptor = open_lock(keeper_file(home))
    try:
        if not alone(descriptor):
            return
    finally:
        os.close(descriptor)
    started = subprocess.run(
        [sys.executable, "-m", "embedded.keeper", str(home)],
        check=False,
        cwd=Path(__file__).resolve().parents[1],  # imported without `config`, which would load Celery
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if started.returncode != 0:
        raise EmbeddedError(f"The keeper of {home} did not start.")


def stop_keeper(home: Path) -> None:
    """After the servers are stopped it has nothing to keep; the caller holds the starting lock, so no new one begins."""
    descriptor = open_lock(keeper_file(home))
    try:
        deadline = time.monotonic() + 5
        while not alone(descriptor) and time.monotonic() < deadline:
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(keeper_file(home).read_text()), signal.SIGTERM)
            time.sleep(0.01)
    finally:
        os.close(descriptor)


def keep(home: Path) -> None:
    """Wait until no user is left, then stop the servers. Returns in the parent as soon as the keeper stands."""
    os.chdir("/")
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        standing = os.read(ready, 1)
        os._exit(0 if standing else 1)
    os.close(ready)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    own = open_lock(keeper_file(home))
    users = open_lock(users_file(home))
    if not alone(own):
        os._exit(1)
    os.ftruncate(own, 0)
    os.write(own, str(os.getpid()).encode())
    os.write(tell, b"1")
    os.close(tell)
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)  # until the last user is gone
        fcntl.flock(users, fcntl.LOCK_UN)  # users take the starting lock first, so do we
        if not still_named(users, users_file(home)):
            _kill_orphans(home)
            return
        with starting(home):
            if alone(users):
                stop_servers(home)
                return


def _kill_orphans(home: Path) -> None:
    """The instance's folder was removed under running servers: end those that stand in the removed folder (Linux only).

    Whoever removes it may still be at it: the lock file can be gone before the folder of a server is.
    """
    removed = {f"{folder} (deleted)" for folder in (data_folder(home), valkey_folder(home))}
    deadline = time.monotonic() + ORPHANS_SECONDS
    while time.monotonic() < deadline:
        for link in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if str(link.readlink()) in removed:
                    os.kill(int(link.parent.name), signal.SIGTERM)
        time.sleep(0.2)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
