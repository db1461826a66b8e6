"""`make run`: prepares the instance, starts web, workers and beat, restarts what dies, and leaves nothing behind."""

import contextlib
import ctypes
import fcntl
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from config import embedded, servers
from config.env import boolean, listing, number

BASE_DIR = Path(__file__).resolve().parent.parent
READY_WITHIN_SECONDS = 90.0
STOP_WITHIN_SECONDS = 12.0
LONGEST_PAUSE_SECONDS = 30.0
STEADY_AFTER_SECONDS = 60.0
LOOK_EVERY_SECONDS = 0.2
ASK_SERVERS_EVERY_SECONDS = 2.0


class Stop(BaseException):
    """Somebody asked us to end while we waited for something that may take long."""


class CannotRunError(Exception):
    """The instance cannot be started; the message is for people."""


@dataclass
class Child:
    """A process that is kept alive."""

    name: str
    command: list[str]
    before_restart: Callable[[], None] = lambda: None
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    failures: int = 0
    start_at: float = field(default_factory=time.monotonic)

    def pause_seconds(self) -> float:
        """Before the next start: none after a steady life, then 1, 2, 4 … seconds."""
        return min(LONGEST_PAUSE_SECONDS, 2.0 ** (self.failures - 1)) if self.failures else 0.0


class Supervisor:
    """One run, from the first check to the last child's end."""

    def __init__(self) -> None:
        self.home = embedded.home()
        self.host = os.environ.get("HOST", "127.0.0.1")
        self.port = number("PORT", default=8000)
        self.url = os.environ.setdefault("PUBLIC_URL", f"http://localhost:{self.port}")
        os.environ["RIPEN_HOME"] = str(self.home)
        self.stopping = False
        self._may_raise = False
        self._use: embedded.Use | None = None
        self.children = [
            Child("web", _python("gunicorn", "--config", "python:config.web")),
            # Two at once: a turn of the engine and the sendings. Imports may take minutes and have a worker of their own.
            Child("engine", _worker("engine", "--pool=prefork", "--concurrency=2")),
            Child("imports", _worker("imports", "--pool=prefork", "--concurrency=1")),
            Child(
                "beat",
                _python("celery", "--quiet", "--app=config", "beat", "--pidfile=", f"--schedule={self._schedule}"),
                before_restart=self._forget_schedule,
            ),
        ]

    @property
    def _schedule(self) -> Path:
        return self.home / "beat-schedule"

    def run(self) -> int:
        for number_ in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number_, self._on_signal)
        if "MAKELEVEL" in os.environ:
            _end_with_parent()  # a killed make takes us along
        try:
            with self._only_one(), contextlib.ExitStack() as held:
                with self._interruptible():  # crash recovery may take minutes
                    self._use = held.enter_context(servers.in_use())
                try:
                    sign_ins = self._prepare()
                    self._keep_alive(sign_ins)
                except Stop:
                    pass
                finally:
                    self._end_children()
        except Stop:
            pass
        _say("Ripen has stopped.")
        return 0

    # --- Signals

    def _on_signal(self, number_: int, frame: FrameType | None) -> None:
        """INT, TERM and HUP mean the same: end in order. Only long waits are interrupted, never the start of a child."""
        self.stopping = True
        if self._may_raise:
            self._may_raise = False
            raise Stop

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        if self.stopping:
            raise Stop
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    # --- Before the children

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """Refuses a second run of this instance, and a port that is taken, each in words."""
        self.home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.home / "supervisor.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            word = json.loads(os.read(descriptor, 1000) or b"{}")
            os.close(descriptor)
            raise CannotRunError(
                f"Ripen already runs from {self.home}, at {word.get('url', 'an unknown address')} "
                f"(process {word.get('pid', '?')}). RIPEN_HOME names another folder for a second instance."
            ) from None
        try:
            _refuse_taken_port(self.host, self.port)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, json.dumps({"pid": os.getpid(), "url": self.url}).encode())
            yield
        finally:
            os.close(descriptor)

    def _prepare(self) -> list[str]:
        """Migrate, and fill an empty instance with the demo; in a process that gives its memory back."""
        reading, writing = os.pipe()
        child = self._start(_python("config.supervisor", "prepare", str(writing)), pass_fds=(writing,))
        os.close(writing)
        try:
            with self._interruptible():
                code = child.wait()
        finally:
            _end_group(child, seconds=STOP_WITHIN_SECONDS)
        with os.fdopen(reading) as word:
            sign_ins: list[str] = json.loads(word.read() or "[]")
        if code != 0:
            raise CannotRunError("The instance could not be prepared; the reason stands above.")
        return sign_ins

    # --- The children

    def _keep_alive(self, sign_ins: list[str]) -> None:
        began = time.monotonic()
        announced = late = False
        ask_servers_at = began + ASK_SERVERS_EVERY_SECONDS
        while not self.stopping:
            now = time.monotonic()
            for child in self.children:
                self._look_after(child, now)
            if not announced and self._is_healthy():
                announced = True
                self._announce(sign_ins)
            elif not announced and not late and now - began > READY_WITHIN_SECONDS:
                late = True
                _say(f"{self.url}/healthz does not answer yet; the lines above say why.")
            if now >= ask_servers_at and self._use:
                with self._interruptible():
                    self._restart_servers(self._use)
                ask_servers_at = time.monotonic() + ASK_SERVERS_EVERY_SECONDS
                self.stopping |= _terminal_is_gone()
            with self._interruptible():
                time.sleep(LOOK_EVERY_SECONDS)

    def _restart_servers(self, use: embedded.Use) -> None:
        try:
            use.ensure()
        except embedded.EmbeddedError as error:
            _say(f"{error}\nripen: tried again in a moment.")

    def _look_after(self, child: Child, now: float) -> None:
        if child.process is not None:
            code = child.process.poll()
            if code is None:
                return
            _end_group(child.process, seconds=0)  # what a killed parent left
            child.failures = 1 if now - child.started_at > STEADY_AFTER_SECONDS else child.failures + 1
            child.process = None
            child.start_at = now + child.pause_seconds()
            child.before_restart()
            _say(f"{child.name} ended with {code}; started again in {child.pause_seconds():.0f} s.")
        if now >= child.start_at and not self.stopping:
            child.process = self._start(child.command)
            child.started_at = now

    def _start(self, command: list[str], *, pass_fds: tuple[int, ...] = ()) -> "subprocess.Popen[bytes]":
        """In a session of its own, so that a Ctrl-C reaches us alone; holding the lock on the servers as long as it lives."""
        if self._use and self._use.holds:
            pass_fds = (*pass_fds, self._use.descriptor)
        return subprocess.Popen(
            command,
            cwd=BASE_DIR,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore:::celery.platforms"},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # we have no threads
            pass_fds=pass_fds,
        )

    def _end_children(self) -> None:
        """Beat first, so that nothing new is asked for; then the others together."""
        self._may_raise = False
        beat = [child for child in self.children if child.name == "beat"]
        others = [child for child in self.children if child.name != "beat"]
        for group in (beat, others):
            running = [child.process for child in group if child.process is not None]
            for process in running:
                if process.poll() is None:
                    process.terminate()
            deadline = time.monotonic() + STOP_WITHIN_SECONDS
            for process in running:
                _end_group(process, seconds=max(0.0, deadline - time.monotonic()))

    def _forget_schedule(self) -> None:
        """A schedule file that beat cannot read would end it again; it holds nothing but the times of the last messages."""
        for file in self.home.glob("beat-schedule*"):
            with contextlib.suppress(OSError):
                file.unlink()

    # --- Telling

    def _is_healthy(self) -> bool:
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", "localhost"} else self.host  # noqa: S104 — compared, not bound
        known_as = listing("ALLOWED_HOSTS", default="localhost")[0].lstrip(".*") or "localhost"
        connection = http.client.HTTPConnection(host, self.port, timeout=5)
        try:
            connection.request("GET", "/healthz", headers={"Host": known_as})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _announce(self, sign_ins: list[str]) -> None:
        _say(
            "\n".join(
                ["", f"  Ripen is ready: {self.url}", *(f"    {line}" for line in sign_ins), "  Ctrl-C stops it.", ""]
            )
        )


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _worker(queue: str, *options: str) -> list[str]:
    """Without the talk between workers, which one machine does not need, and without Celery's paragraph on running as root."""
    return _python(
        *("celery", "--quiet", "--app=config", "worker", f"--queues={queue}", f"--hostname={queue}@%h"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", *options),
    )


def _end_with_parent() -> None:
    """Linux: the kernel sends TERM when the parent is killed. Elsewhere a killed supervisor leaves its children."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        _libc.prctl(set_parent_death_signal, signal.SIGTERM)


_libc: Any = ctypes.CDLL(None)


def _end_group(process: "subprocess.Popen[bytes]", *, seconds: float) -> None:
    """Wait for a child that was asked to end, then kill it with everything it started."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        if process.poll() is None and seconds:
            process.terminate()
        process.wait(seconds)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _refuse_taken_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise CannotRunError(
            f"Port {port} on {host} cannot be used: {error.strerror}. PORT={port + 1} make run takes another."
        ) from error


def _terminal_is_gone() -> bool:
    """A window that is closed sends HUP to the first process in it only, which may be a make that waits for us."""
    if not _began_in_terminal:
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


_began_in_terminal = os.isatty(1)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads any more
        print(text if text.startswith("\n") else f"ripen: {text}", flush=True)


def prepare(tell: int) -> None:
    """In a process of its own: the schema, the demo of an empty instance, the sign-ins to print."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from config import demo
    from leads.models import Contact

    call_command("migrate", interactive=False, verbosity=0)
    home = embedded.home()
    sign_ins = []
    if boolean("DEMO", default=True):
        demo.ensure_sign_ins(home)
        if not Contact.objects.exists():
            _say("an empty instance: filling it with the demo company …")
            call_command("seed_demo")
        sign_ins = demo.lines(home)
    with os.fdopen(tell, "w") as word:
        word.write(json.dumps(sign_ins))


def main() -> int:
    if sys.argv[1:2] == ["prepare"]:
        prepare(int(sys.argv[2]))
        return 0
    try:
        return Supervisor().run()
    except (CannotRunError, embedded.EmbeddedError, servers.ServerRefused, ImproperlyConfigured) as error:
        print(f"ripen: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
