"""Pytest plugin: each run gets services of its own in a temporary RIPEN_HOME, chosen before Django reads its settings.

pyproject.toml loads it with `-p tests.instance`, so it holds for every run, be it of one file; a running instance is never touched.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from config import embedded, servers

_HOME = Path(tempfile.mkdtemp(prefix="ripen-test-"))
_HOME.chmod(0o711)
os.environ["RIPEN_HOME"] = str(_HOME)
for _name in ("EMAIL_URL", "PUBLIC_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "BEHIND_PROXY"):
    os.environ.pop(_name, None)  # tests say themselves what they need of these

_services = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    try:
        _services.enter_context(servers.in_use(durable=False))
    except (embedded.EmbeddedError, servers.ServerRefused) as error:
        pytest.exit(f"ripen: {error}", returncode=3)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    _services.close()
    shutil.rmtree(_HOME, ignore_errors=True)
