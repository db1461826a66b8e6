"""The embedded servers start once, end with their last user, and survive whatever is killed."""

import os
import signal
from pathlib import Path

import psycopg
import pytest

from config import embedded
from config.embedded.postgres import postgres_settings
from tests.config.conftest import Instance, end, eventually


def ask(instance: Instance, query: str) -> object:
    with psycopg.connect(
        host=str(embedded.socket_folder(instance.home)), port=5432, user="ripen", dbname="ripen"
    ) as connection:
        row = connection.execute(query).fetchone()
        assert row
        return row[0]


def test_servers_run_while_used_and_end_with_the_last_user(instance: Instance) -> None:
    first = instance.user()
    running = instance.servers()
    assert {name: len(pids) for name, pids in running.items()} == {"postgres": 1, "valkey-server": 1, "keeper": 1}
    second = instance.user()
    assert end(first) == 0
    assert instance.servers() == running
    assert end(second) == 0
    assert instance.is_quiet()


def test_data_outlive_the_servers(instance: Instance) -> None:
    first = instance.user()
    with psycopg.connect(
        host=str(embedded.socket_folder(instance.home)), port=5432, user="ripen", dbname="ripen", autocommit=True
    ) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    end(first)
    second = instance.user()
    assert ask(instance, "SELECT answer FROM kept") == 42
    end(second)


def test_two_processes_may_start_at_once(instance: Instance) -> None:
    code = "from config import embedded\nwith embedded.Use(embedded.home(), durable=False) as use:\n    print(use.answers())"
    racers = [instance.start("-c", code) for _ in range(4)]
    assert [racer.communicate(timeout=300)[0] for racer in racers] == ["True\n"] * 4
    assert instance.is_quiet()


def test_text_is_folded_by_unicode_whatever_the_callers_locale(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "no_SUCH.locale")
    user = instance.user()
    assert ask(instance, "SELECT lower('MÜLLER ŁÓDŹ')") == "müller łódź"
    assert (
        ask(instance, "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'ripen'") == "bC.UTF-8"
    )
    end(user)


def test_nothing_listens_on_a_network(instance: Instance) -> None:
    user = instance.user()
    assert ask(instance, "SHOW listen_addresses") == ""
    assert embedded.socket_folder(instance.home).stat().st_mode & 0o777 == 0o700
    end(user)


def test_a_killed_user_leaves_nothing(instance: Instance) -> None:
    user = instance.user()
    user.kill()
    end(user)
    assert eventually(instance.is_quiet)


def test_a_killed_user_stops_nothing_under_another(instance: Instance) -> None:
    first, second = instance.user(), instance.user()
    running = instance.servers()
    first.kill()
    end(first)
    assert not eventually(lambda: instance.servers() != running, seconds=1)
    end(second)
    assert instance.is_quiet()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_command_and_its_servers(instance: Instance, number: signal.Signals) -> None:
    command = instance.start(
        "manage.py", "shell", "--no-imports", "-c", "print('up', flush=True); import time; time.sleep(60)"
    )
    assert command.stdout
    assert command.stdout.readline() == "up\n"
    command.send_signal(number)
    assert end(command) == 128 + number
    assert instance.is_quiet()


def test_when_the_keeper_was_killed_as_well_the_next_user_finds_the_servers_and_stops_them(instance: Instance) -> None:
    first = instance.user()
    running = instance.servers()
    os.kill(running["keeper"][0], signal.SIGKILL)
    first.kill()
    end(first)
    second = instance.user()
    found = instance.servers()
    assert (found["postgres"], found["valkey-server"]) == (running["postgres"], running["valkey-server"])
    end(second)
    assert instance.is_quiet()


def test_killed_servers_are_started_again_on_demand(instance: Instance) -> None:
    code = (
        "import sys; from config import embedded\n"
        "with embedded.Use(embedded.home()) as use:\n"
        "    print('up', flush=True); sys.stdin.readline(); use.ensure(); print(use.answers(), flush=True)\n"
    )
    user = instance.start("-c", code)
    assert user.stdout
    assert user.stdin
    assert user.stdout.readline() == "up\n"
    running = instance.servers()
    os.kill(running["postgres"][0], signal.SIGKILL)
    os.kill(running["valkey-server"][0], signal.SIGKILL)
    user.stdin.write("\n")
    user.stdin.flush()
    assert user.stdout.readline() == "True\n"
    end(user)
    assert instance.is_quiet()


def test_a_stale_pid_of_another_program_is_not_believed(instance: Instance) -> None:
    end(instance.user())
    data = embedded.services_folder(instance.home) / "postgres"
    # Our own number: alive, and certainly no PostgreSQL.
    (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1\n5432\n{data.parent / 'run'}\n\n0 0\nready\n")
    (data.parent / "valkey" / "valkey.pid").write_text(f"{os.getpid()}\n")
    user = instance.user()
    assert ask(instance, "SELECT 1") == 1
    end(user)
    assert instance.is_quiet()


def test_a_torn_initdb_is_made_anew(instance: Instance) -> None:
    torn = embedded.services_folder(instance.home) / "postgres.new" / "base"
    torn.mkdir(parents=True)
    embedded.services_folder(instance.home).chmod(0o700)
    if os.geteuid() == 0:
        os.chown(embedded.services_folder(instance.home), 65534, 65534)
    user = instance.user()
    assert ask(instance, "SELECT 1") == 1
    end(user)


def test_a_folder_that_is_removed_takes_its_servers_along(instance: Instance) -> None:
    import shutil

    user = instance.user()
    running = instance.servers()
    shutil.rmtree(instance.home)
    user.kill()
    end(user)
    assert eventually(
        lambda: instance.is_quiet() and not any(Path(f"/proc/{pid}").exists() for pid in running["keeper"])
    )
    instance.home.mkdir()


def test_a_long_path_has_its_sockets_elsewhere(instance: Instance) -> None:
    deep = Instance(instance.home / ("a" * 60) / ("b" * 60))
    sockets = embedded.socket_folder(deep.home)
    assert sockets.parent == Path("/tmp")
    user = deep.user()
    assert ask(deep, "SELECT 1") == 1
    end(user)
    assert deep.is_quiet()
    sockets.rmdir()


def test_a_command_that_needs_no_database_starts_none(instance: Instance) -> None:
    assert instance.manage("check").returncode == 0
    assert instance.manage("migrate", "--help").returncode == 0
    assert not embedded.services_folder(instance.home).exists()


def test_a_nested_command_leaves_the_servers_to_the_outer_one(instance: Instance) -> None:
    code = (
        "from django.core.management import call_command as call\n"
        "from django.db import connection\n"
        "call('migrate', verbosity=0); call('check')\n"
        "connection.cursor().execute('SELECT 1'); print('still up')"
    )
    outcome = instance.manage("shell", "--no-imports", "-c", code)
    assert (outcome.returncode, outcome.stdout.splitlines()[-1:]) == (0, ["still up"])
    assert instance.is_quiet()


def test_dbshell_finds_a_psql(instance: Instance) -> None:
    outcome = instance.manage("dbshell", "--", "-Atc", "SELECT 40 + 2", PATH="/usr/sbin")
    assert (outcome.returncode, outcome.stdout) == (0, "42\n")


@pytest.mark.parametrize(
    ("memory_mb", "disk_mb", "expected"),
    [
        (24_576, 100_000, {"shared_buffers": "4096MB", "work_mem": "64MB", "max_wal_size": "8192MB"}),
        (1_024, 100_000, {"shared_buffers": "170MB", "work_mem": "8MB", "max_wal_size": "512MB"}),
        (24_576, 8_000, {"shared_buffers": "4096MB", "work_mem": "64MB", "max_wal_size": "1000MB"}),
    ],
)
def test_settings_follow_the_machine(memory_mb: int, disk_mb: int, expected: dict[str, str]) -> None:
    settings = postgres_settings(memory_mb, disk_mb)
    assert {name: settings[name] for name in expected} == expected


def test_one_server_has_three_spellings() -> None:
    assert embedded.redis_url(Path("/x")) == "unix:///x/services/run/valkey.sock?db=0"
    assert embedded.broker_url("unix:///x/v.sock?db=3") == "redis+socket:///x/v.sock?virtual_host=3"
    assert embedded.broker_url("redis://other:6379/1") == "redis://other:6379/1"
