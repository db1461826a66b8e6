"""Starts PostgreSQL and Valkey from their wheels when DATABASE_URL / REDIS_URL are not set; stops them after their last user.

Every user of an instance holds a shared lock on one file in RIPEN_HOME; whoever can take it exclusively on leaving stops the
servers. A keeper, started beside them, does the same for users that were killed. The kernel frees the locks of the dead.
"""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from .accounts import account_of, prepare_folders
from .keeper import start_keeper, stop_keeper, stop_servers
from .locks import alone, open_lock, prepare_home, starting, undisturbed, users_file
from .places import EmbeddedError, broker_url, database_settings, home, redis_url, services_folder, socket_folder
from .postgres import postgres_answers, start_postgres
from .valkey import start_valkey, valkey_answers
from .wheels import add_psql_to_path

__all__ = [
    "EmbeddedError",
    "Use",
    "add_psql_to_path",
    "broker_url",
    "database_settings",
    "home",
    "redis_url",
    "services_folder",
    "socket_folder",
]


class Use:
    """One process's use of an instance's services, from `__enter__` until `__exit__`."""

    def __init__(self, home: Path, *, database: bool = True, redis: bool = True, durable: bool = True) -> None:
        """`durable=False` trades safety against power cuts for speed (tests)."""
        self.home = home
        self.database = database
        self.redis = redis
        self.durable = durable
        self._users: int | None = None

    @property
    def holds(self) -> bool:
        """Whether any embedded server is in use; False when the environment names real ones."""
        return self._users is not None

    @property
    def descriptor(self) -> int:
        """The lock's file descriptor: a child that inherits it keeps the servers up until it ends too."""
        if self._users is None:
            raise EmbeddedError("The embedded services are not in use.")
        return self._users

    def __enter__(self) -> Self:
        if self.database or self.redis:
            prepare_home(self.home)
            with starting(self.home):
                self._users = open_lock(users_file(self.home))
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._start()
                    start_keeper(self.home)
                except BaseException:
                    self._leave()
                    raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._users is None:
            return
        with undisturbed(), starting(self.home):
            self._leave()

    def ensure(self) -> None:
        """Start again what died meanwhile; cheap while both answer."""
        if self._users is None or self.answers():
            return
        with starting(self.home):
            self._start()

    def answers(self) -> bool:
        return (not self.database or postgres_answers(self.home)) and (not self.redis or valkey_answers(self.home))

    def _start(self) -> None:
        account = account_of(self.home)
        prepare_folders(self.home, account)
        if self.redis:
            start_valkey(self.home, account)
        if self.database:
            start_postgres(self.home, account, durable=self.durable)

    def _leave(self) -> None:
        """Give the lock back, stopping the servers when nobody else holds it; the caller holds the starting lock."""
        if self._users is None:
            return
        try:
            if alone(self._users):
                stop_servers(self.home)
                stop_keeper(self.home)
        finally:
            os.close(self._users)
            self._users = None
