"""`make run`: one supervised instance that is hurt in every way, and gone when it is asked to go."""

import http.client
import os
import pty
import random
import re
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator

import psutil
import pytest
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

from config import embedded
from tests.config.conftest import BASE_DIR, Instance, end, eventually


def free_port() -> int:
    """Below the ports that the kernel gives away (from 32,768 on), so that nobody is given it before the server listens."""
    for port in random.SystemRandom().sample(range(12_000, 32_000), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no port is free")


class Run:
    """A supervisor under test, its output in a file, since a pipe that nobody reads would hold its children up."""

    def __init__(self, instance: Instance, port: int) -> None:
        self.instance, self.port = instance, port
        self.log = instance.home / "run.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.supervisor"],
                cwd=BASE_DIR,
                env=instance.environment(PORT=str(port), DEMO="0"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def status(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return "Ripen is ready" in self.log.read_text()

    def children(self) -> dict[str, int]:
        """Names and process numbers of the supervisor's own children."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                line = " ".join(child.cmdline())
            except psutil.Error:  # a zombie has no command line any more
                continue
            match = re.search(r"gunicorn|queues=engine|queues=imports| beat ", line)
            if match:
                found[match[0].strip().removeprefix("queues=")] = child.pid
        return found

    def is_whole(self) -> bool:
        return set(self.children()) == {"gunicorn", "engine", "imports", "beat"} and self.status() == 200


def everything_of(instance: Instance) -> list[str]:
    """Command lines of all processes that run for an instance, whoever started them."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RIPEN_HOME") == str(instance.home) or str(instance.home) in process.cmdline():
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def turned_since(instance: Instance, moment: float) -> bool:
    """Whether the engine has taken a turn that ended well after a moment (seconds since 1970)."""
    try:
        word = RedisCache(embedded.redis_url(instance.home), {"KEY_PREFIX": "ripen"}).get("beat:nurture.turn")
    except RedisError:
        return False
    return bool(word and word["at"] > moment and not word["failed"])


@pytest.fixture
def run(instance: Instance) -> Iterator[Run]:
    started = Run(instance, free_port())
    try:
        assert eventually(started.is_ready, seconds=180), started.log.read_text()
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
        started.process.wait(180)


def test_it_serves_mends_itself_and_goes(run: Run) -> None:
    assert eventually(run.is_whole, seconds=180)
    before = run.children()

    # A second run on the same folder says where the first one is.
    second = run.instance.start("-m", "config.supervisor", PORT=str(free_port()))
    words, _ = second.communicate(timeout=180)
    assert (second.returncode, f"already runs from {run.instance.home}" in words, f":{run.port}" in words) == (
        1,
        True,
        True,
    )

    assert eventually(lambda: turned_since(run.instance, 0.0), seconds=180)

    # Whoever is killed is started again, with nothing of it left beside.
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: run.is_whole() and not set(run.children().values()) & set(before.values()), seconds=180)

    # So are the servers.
    servers = run.instance.servers()
    os.kill(servers["postgres"][0], signal.SIGKILL)
    os.kill(servers["valkey-server"][0], signal.SIGKILL)
    killed = time.time()
    assert eventually(
        lambda: (
            run.is_whole()
            and all(pids and pids != servers[name] for name, pids in run.instance.servers().items() if name != "keeper")
        ),
        seconds=180,
    )
    assert eventually(lambda: turned_since(run.instance, killed), seconds=180)

    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(180) == 0
    assert everything_of(run.instance) == []
    assert run.log.read_text().endswith("ripen: Ripen has stopped.\n")


def test_a_killed_supervisor_leaves_nothing(run: Run) -> None:
    run.process.kill()
    run.process.wait()
    assert eventually(lambda: everything_of(run.instance) == [], seconds=180)


def test_ctrl_c_in_a_terminal_stops_everything_in_order(instance: Instance) -> None:
    port = free_port()
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(BASE_DIR)
        environment = instance.environment(PORT=str(port), DEMO="0")
        os.execve(sys.executable, [sys.executable, "-m", "config.supervisor"], environment)
    seen = b""
    while b"Ripen is ready" not in seen:
        seen += os.read(terminal, 10_000)
    interrupt = termios.tcgetattr(terminal)[6][termios.VINTR]
    os.write(terminal, interrupt)
    try:
        while chunk := os.read(terminal, 10_000):
            seen += chunk
    except OSError:
        pass  # Linux says so when the last process has closed the terminal
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert seen.replace(b"\r", b"").endswith(b"ripen: Ripen has stopped.\n")
    assert b"Traceback" not in seen
    assert everything_of(instance) == []


def test_a_broken_schedule_file_is_replaced(instance: Instance) -> None:
    files = [instance.home / f"beat-schedule{suffix}" for suffix in ("", ".db", ".dat", ".dir")]
    for file in files:
        file.write_bytes(b"no schedule at all" * 100)
    run = Run(instance, free_port())
    assert eventually(run.is_ready, seconds=180)
    beat = run.children()["beat"]
    assert not eventually(lambda: run.children().get("beat") != beat, seconds=3)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(180) == 0
    kept = [file for file in files if file.exists()]
    assert kept
    assert [file for file in kept if b"no schedule at all" in file.read_bytes()] == []


def test_a_taken_port_is_said(instance: Instance) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = instance.start("-m", "config.supervisor", PORT=str(port))
        words, _ = process.communicate(timeout=180)
    assert (process.returncode, words) == (
        1,
        f"ripen: Port {port} on 127.0.0.1 cannot be used: Address already in use. PORT={port + 1} make run takes another.\n",
    )
    assert not (instance.home / "services").exists()


def test_nonsense_for_a_port_is_said(instance: Instance) -> None:
    process = instance.start("-m", "config.supervisor", PORT="http")
    assert process.communicate(timeout=180)[0] == "ripen: PORT='http': use a whole number above zero.\n"
    assert end(process) == 1


def test_a_database_that_is_not_there_is_said(instance: Instance) -> None:
    process = instance.start(
        "-m", "config.supervisor", PORT=str(free_port()), DATABASE_URL="postgres://x@127.0.0.1:1/x"
    )
    words, _ = process.communicate(timeout=180)
    assert process.returncode == 1
    assert words.startswith("ripen: DATABASE_URL: connection failed")
    assert len(words.splitlines()) == 1
