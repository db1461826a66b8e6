"""A database server of a test's own, filled as the migrations left the test's database, which may be restarted at any moment."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from config import embedded
from config.embedded.accounts import account_of
from config.embedded.places import DATABASE, PORT, USER
from config.embedded.postgres import data_folder
from config.embedded.processes import run
from config.embedded.wheels import postgres_binary

SECONDS = 180.0


@dataclass(frozen=True)
class Server:
    home: Path

    def restart(self) -> None:
        """All its processes end at once, as by a kill; it recovers from what was committed, and answers again."""
        restart = [str(postgres_binary("pg_ctl")), "restart", "--mode=immediate", "--wait", "--silent"]
        done = run(
            [
                *restart,
                f"--timeout={SECONDS:.0f}",
                f"--pgdata={data_folder(self.home)}",
                f"--log={self.home / 'services' / 'postgres.log'}",
            ],
            account_of(self.home),
            timeout=SECONDS + 10,
        )
        assert done.returncode == 0, done.stdout
        connection.close()


@contextmanager
def own_server() -> Iterator[Server]:
    """The test's connection leads there meanwhile, and that of the workers which it starts."""
    home = Path(tempfile.mkdtemp(prefix="ripen-test-"))
    home.chmod(0o711)
    try:
        with embedded.Use(home, redis=False, durable=False):
            _fill(home)
            entry = connection.settings_dict
            before = {key: entry[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")}
            connection.close()
            entry.update(NAME=DATABASE, USER=USER, PASSWORD="", HOST=str(embedded.socket_folder(home)), PORT=str(PORT))
            try:
                yield Server(home)
            finally:
                connection.close()
                entry.update(before)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _fill(home: Path) -> None:
    """A commit that was confirmed outlives a restart here, as it does in a server that is not set up for quick tests."""
    entry = connection.settings_dict
    source = {"HOST": entry["HOST"], "PORT": entry["PORT"], "USER": entry["USER"], "PASSWORD": entry["PASSWORD"]}
    target = {"HOST": str(embedded.socket_folder(home)), "PORT": str(PORT), "USER": USER}
    dump = _ask("pg_dump", "--no-owner", "--no-privileges", f"--dbname={entry['NAME']}", at=source)
    dump += f"ALTER DATABASE {DATABASE} SET synchronous_commit = on;\n"
    _ask("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--dbname={DATABASE}", at=target, said=dump)


def _ask(program: str, *arguments: str, at: Mapping[str, object], said: str | None = None) -> str:
    """What a client program of PostgreSQL prints."""
    address = {f"PG{name}": str(value) for name, value in at.items() if value}
    done = subprocess.run(
        [str(postgres_binary(program)), *arguments],
        env={**os.environ, **address},
        input=said,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
