"""Instances of their own for tests that start, kill and stop servers; each runs in other processes, as it would for people."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

BASE_DIR = Path(__file__).resolve().parents[2]


class Instance:
    """A folder with its own servers, and what runs in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.started: list[subprocess.Popen[str]] = []

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "REDIS_URL", "MAKELEVEL"}
        }
        return {**kept, "RIPEN_HOME": str(self.home), **more}

    def manage(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            check=False,
            capture_output=True,
            text=True,
            cwd=BASE_DIR,
            env=self.environment(**environment),
            timeout=300,
        )

    def start(self, *command: str, **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE,
            text=True,
            cwd=BASE_DIR,
            env=self.environment(**environment),
        )
        self.started.append(process)
        return process

    def user(self) -> "subprocess.Popen[str]":
        """A process that uses the servers until its standard input ends; it has printed a line when they are up."""
        code = (
            "import sys; from config import embedded\n"
            "with embedded.Use(embedded.home(), durable=False):\n"
            "    print('up', flush=True); sys.stdin.read()\n"
        )
        process = self.start("-c", code)
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        return process

    def servers(self) -> dict[str, list[int]]:
        """Process numbers of the first processes of this instance's servers, by name."""
        found: dict[str, list[int]] = {"postgres": [], "valkey-server": [], "keeper": []}
        for process in psutil.process_iter(["name", "cmdline"]):
            line = " ".join(process.info["cmdline"] or [])
            if str(self.home) not in line or process.info["name"] == "initdb":
                continue
            if process.info["name"] in found:
                found[process.info["name"]].append(process.pid)
            elif "embedded.keeper" in line:
                found["keeper"].append(process.pid)
        return found

    def is_quiet(self) -> bool:
        """Nothing of it runs."""
        return self.servers() == {"postgres": [], "valkey-server": [], "keeper": []}


def end(process: "subprocess.Popen[str]") -> int:
    """Let a user go and wait until it is gone."""
    with process:
        if process.stdin:
            process.stdin.close()
        return process.wait(180)


def eventually(condition: Callable[[], bool], *, seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@pytest.fixture
def instance() -> Iterator[Instance]:
    home = Path(tempfile.mkdtemp(prefix="ripen-instance-"))
    home.chmod(0o711)
    made = Instance(home)
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
            end(process)
    assert eventually(made.is_quiet), f"left running: {made.servers()}"
    shutil.rmtree(home)
