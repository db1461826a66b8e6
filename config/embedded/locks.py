"""Files that are locked while servers start or stop, and while they are used; the kernel frees the locks of the dead."""

import contextlib
import fcntl
import os
import pwd
import signal
from collections.abc import Iterator
from pathlib import Path

from .places import EmbeddedError


def users_file(home: Path) -> Path:
    return home / "users.lock"


def keeper_file(home: Path) -> Path:
    return home / "keeper.lock"


def prepare_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"The folder {home} cannot be made: {error.strerror}. RIPEN_HOME names another.") from error


def open_lock(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        owner = file.parent.stat().st_uid
        raise EmbeddedError(
            f"{file.parent} belongs to {user_name(owner)}; start Ripen as that user or set RIPEN_HOME to a folder of your own."
        ) from error


def user_name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user number {uid}"


@contextlib.contextmanager
def starting(home: Path) -> Iterator[None]:
    """Held while servers start or stop, so that two processes do neither at once."""
    file = home / "starting.lock"
    while True:
        descriptor = open_lock(file)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if still_named(descriptor, file):
                yield
                return
        finally:
            os.close(descriptor)
        prepare_home(home)  # the folder was removed while we waited


def still_named(descriptor: int, file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), file.stat())
    return False


def alone(descriptor: int) -> bool:
    """Whether nobody else holds the lock; if so it is held exclusively now, else it may be lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that would end the process wait until the servers are stopped."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
