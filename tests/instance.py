"""Pytest plugin: each run gets services of its own in a temporary RIPEN_HOME, chosen before Django reads its settings.

pyproject.toml loads it with `-p tests.instance`, so it holds for every run, be it of one file; a running instance is never touched.
With `-n 2` each worker is such a run: what one of them kills, empties or fills is its own.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from config import embedded, servers

_OLD_AFTER_SECONDS = 3600


def _sweep() -> None:
    """Remove folders of runs that were killed: old, and used by nobody."""
    for folder in Path(tempfile.gettempdir()).glob("ripen-test-*"):
        try:
            if time.time() - folder.stat().st_mtime < _OLD_AFTER_SECONDS:
                continue
            with (folder / "users.lock").open("a") as users:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        shutil.rmtree(folder, ignore_errors=True)


_sweep()
_HOME = Path(tempfile.mkdtemp(prefix="ripen-test-"))
_HOME.chmod(0o711)
os.environ["RIPEN_HOME"] = str(_HOME)
for _name in (
    "REDIS_URL",
    "EMAIL_URL",
    "INBOUND_ADDRESS",
    "PUBLIC_URL",
    "DEBUG",
    "SECRET_KEY",
    "ALLOWED_HOSTS",
    "BEHIND_PROXY",
):
    os.environ.pop(_name, None)  # tests say themselves what they need of these, and they empty the cache

_services = ExitStack()


def _only_hands_out(config: pytest.Config) -> bool:
    """Whether other processes run the tests (pytest-xdist); they have services of their own."""
    return bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly or _only_hands_out(session.config):
        return
    try:
        _services.enter_context(servers.in_use(durable=False))
    except (embedded.EmbeddedError, servers.ServerRefused) as error:
        pytest.exit(f"ripen: {error}", returncode=3)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _services.close()
    shutil.rmtree(_HOME, ignore_errors=True)
