"""Valkey: one server for the instance, on a socket, with nothing durable in it."""

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .accounts import Account
from .machine import machine_memory_mb
from .places import EmbeddedError, services_folder, valkey_socket
from .processes import end, limit_log, process_of, run, tail
from .wheels import valkey_binary

if TYPE_CHECKING:
    import psutil

READY_WITHIN_SECONDS = 30.0


def valkey_folder(home: Path) -> Path:
    return services_folder(home) / "valkey"


def valkey_process(home: Path) -> "psutil.Process | None":
    return process_of(valkey_folder(home) / "valkey.pid", "valkey", valkey_folder(home))


def _valkey_says(home: Path, command: bytes) -> bytes:
    """The first bytes of the answer, empty when there is none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(valkey_socket(home)))
            client.sendall(command + b"\r\n")
            return client.recv(64)
    except OSError:
        return b""


def valkey_answers(home: Path) -> bool:
    return _valkey_says(home, b"PING").startswith(b"+PONG")


def start_valkey(home: Path, account: Account | None) -> None:
    """A second server on the same folder would start as well and take the socket over: the first is looked for by PING and pid file."""
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    launched = False
    log = services_folder(home) / "valkey.log"
    while not valkey_answers(home):
        if not launched and valkey_process(home) is None:
            limit_log(log)
            valkey_socket(home).unlink(missing_ok=True)
            run(_valkey_command(home, log), account, timeout=30)
            launched = True
            deadline = time.monotonic() + READY_WITHIN_SECONDS
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Valkey does not answer.{tail(log)}")
        time.sleep(0.02)


def stop_valkey(home: Path) -> None:
    """Does nothing when it does not run. The caller holds the starting lock and knows that nobody uses it."""
    process = valkey_process(home)
    if process is not None or valkey_answers(home):
        _valkey_says(home, b"SHUTDOWN NOSAVE")
        end(process, seconds=10)


def _valkey_command(home: Path, log: Path) -> list[str]:
    """Nothing in it needs to outlive it: queues only ask what is due, and the cache can be built again."""
    memory_mb = max(64, min(512, machine_memory_mb() // 32))
    return [
        str(valkey_binary()),
        *("--port", "0"),
        *("--unixsocket", str(valkey_socket(home))),
        *("--unixsocketperm", "700"),
        *("--dir", str(valkey_folder(home))),
        *("--pidfile", str(valkey_folder(home) / "valkey.pid")),
        *("--logfile", str(log)),
        *("--daemonize", "yes"),
        *("--save", ""),
        *("--maxmemory", f"{memory_mb}mb"),
        *("--maxmemory-policy", "volatile-lru"),  # cached values expire and may go, messages never
    ]
