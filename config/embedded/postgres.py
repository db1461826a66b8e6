"""PostgreSQL: a cluster made once, started with settings that fit the machine, ready when a query is answered."""

import shlex
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .accounts import Account
from .machine import machine_memory_mb, shared_memory_is_roomy
from .places import DATABASE, PORT, USER, EmbeddedError, services_folder, socket_folder
from .processes import end, limit_log, process_of, run, tail
from .wheels import postgres_binary

if TYPE_CHECKING:
    import psutil

READY_WITHIN_SECONDS = 180.0  # crash recovery replays up to max_wal_size
STOP_WITHIN_SECONDS = 60.0


def data_folder(home: Path) -> Path:
    return services_folder(home) / "postgres"


def _postgres_log(home: Path) -> Path:
    return services_folder(home) / "postgres.log"


def postgres_process(home: Path) -> "psutil.Process | None":
    return process_of(data_folder(home) / "postmaster.pid", "postgres", data_folder(home))


def postgres_answers(home: Path, *, create: bool = False) -> bool:
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


def start_postgres(home: Path, account: Account | None, *, durable: bool) -> None:
    if postgres_answers(home, create=True):
        return
    data = data_folder(home)
    _initialise(data, account)
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    refusals = 0
    while not postgres_answers(home, create=True):
        if time.monotonic() > deadline:
            raise EmbeddedError(
                f"PostgreSQL did not answer within {READY_WITHIN_SECONDS:.0f} seconds.{tail(_postgres_log(home))}"
            )
        if postgres_process(home) is not None:
            time.sleep(0.1)  # it recovers, or still shuts down
            continue
        # PostgreSQL takes any living process with this number for itself; we know that it is not.
        (data / "postmaster.pid").unlink(missing_ok=True)
        limit_log(_postgres_log(home))
        started = run(_postgres_command(home, durable=durable), account, timeout=READY_WITHIN_SECONDS + 10)
        if started.returncode != 0 and postgres_process(home) is None:
            # Killed servers leave children for a moment, and these hold the shared memory.
            refusals += 1
            if refusals == 5:
                raise EmbeddedError(f"PostgreSQL does not start.{tail(_postgres_log(home))}")
            time.sleep(1)


def stop_postgres(home: Path, account: Account | None) -> None:
    """Does nothing when it does not run. The caller holds the starting lock and knows that nobody uses it."""
    process = postgres_process(home)
    if process is None:
        return
    stop = [str(postgres_binary("pg_ctl")), "stop", "--silent", "--wait", f"--pgdata={data_folder(home)}"]
    seconds = f"--timeout={STOP_WITHIN_SECONDS:.0f}"
    if run([*stop, "--mode=fast", seconds], account, timeout=STOP_WITHIN_SECONDS + 10).returncode != 0:
        run([*stop, "--mode=immediate", seconds], account, timeout=STOP_WITHIN_SECONDS + 10)
    end(process, seconds=10)


def _initialise(data: Path, account: Account | None) -> None:
    """A new cluster appears under its name only when it is complete."""
    version = data / "PG_VERSION"
    if version.exists():
        have = version.read_text().strip()
        need = (
            run([str(postgres_binary("postgres")), "--version"], account, timeout=30).stdout.split()[-1].split(".")[0]
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
    made = run(
        [
            str(postgres_binary("initdb")),
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
        **postgres_settings(machine_memory_mb(), shutil.disk_usage(home).free // 2**20),
    }
    if not shared_memory_is_roomy():
        settings["dynamic_shared_memory_type"] = "mmap"
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "128MB"}
        settings["autovacuum"] = (
            "off"  # when it looks is chance, and with its statistics change plans and the order of rows
        )
    options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
    return [
        str(postgres_binary("pg_ctl")),
        "start",
        "--silent",
        "--wait",
        f"--timeout={READY_WITHIN_SECONDS:.0f}",
        f"--pgdata={data_folder(home)}",
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
        "autovacuum_naptime": "10s",  # the list of marks is read by every beat and must not be full of those that were worked
        "random_page_cost": "1.1",
        "max_parallel_workers_per_gather": "2",
        "wal_compression": "off",
    }
