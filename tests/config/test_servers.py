"""Servers that the environment names are used when they fit, and refused in one clear line otherwise."""

import socketserver
import threading
from collections.abc import Iterator

import pytest

from config import embedded, servers
from tests.config.conftest import Instance, end

REAL_POSTGRES = f"postgres://ripen@/ripen?host={embedded.socket_folder(embedded.home())}"
REAL_REDIS = embedded.redis_url(embedded.home())


class AncientRedis(socketserver.StreamRequestHandler):
    """Speaks the protocol of a Redis 6 as far as a client that asks for its version goes."""

    def handle(self) -> None:
        for line in self.rfile:
            if line.upper().startswith(b"INFO"):
                words = b"# Server\r\nredis_version:6.2.14\r\n"
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(words), words))
            elif line.upper().startswith((b"HELLO", b"CLIENT")):
                self.wfile.write(b"-ERR unknown command\r\n")


@pytest.fixture
def ancient_redis() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), AncientRedis) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0?protocol=2"
        server.shutdown()
        thread.join()


def test_servers_of_today_are_taken() -> None:
    servers.check_postgres(REAL_POSTGRES)
    servers.check_redis(REAL_REDIS)


def test_an_old_postgres_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "OLDEST_POSTGRES", 19)
    with pytest.raises(servers.ServerRefused) as refused:
        servers.check_postgres(REAL_POSTGRES)
    assert str(refused.value) == "DATABASE_URL names PostgreSQL 18; Ripen needs 19 or later."


def test_an_old_redis_is_refused(ancient_redis: str) -> None:
    with pytest.raises(servers.ServerRefused) as refused:
        servers.check_redis(ancient_redis)
    assert str(refused.value) == "REDIS_URL names Redis 6.2.14; Ripen needs 7 or later, or Valkey."


@pytest.mark.parametrize(
    ("name", "url", "expected"),
    [
        ("DATABASE_URL", "postgres://u:hidden@127.0.0.1:1/x", "ripen: DATABASE_URL: connection failed"),
        (
            "DATABASE_URL",
            "mysql://u:hidden@127.0.0.1/x",
            "ripen: DATABASE_URL starts with 'mysql'; Ripen needs postgres",
        ),
        ("REDIS_URL", "redis://:hidden@127.0.0.1:1/0", "ripen: REDIS_URL: Error 111 connecting to 127.0.0.1:1"),
        ("REDIS_URL", "nonsense", "ripen: REDIS_URL: Redis URL must specify one of the following schemes"),
    ],
)
def test_a_command_says_in_one_line_what_is_wrong(instance: Instance, name: str, url: str, expected: str) -> None:
    outcome = instance.manage("showmigrations", **{name: url})
    assert (outcome.returncode, outcome.stdout, len(outcome.stderr.splitlines())) == (1, "", 1)
    assert outcome.stderr.startswith(expected)
    assert "hidden" not in outcome.stderr


def test_with_both_servers_named_nothing_is_started(instance: Instance) -> None:
    outcome = instance.manage("showmigrations", "--plan", DATABASE_URL=REAL_POSTGRES, REDIS_URL=REAL_REDIS)
    assert outcome.returncode == 0, outcome.stderr
    assert not embedded.services_folder(instance.home).exists()


def test_with_one_server_named_the_other_is_started(instance: Instance) -> None:
    code = "import sys; from config import servers\nwith servers.in_use(): print('up', flush=True); sys.stdin.read()"
    user = instance.start("-c", code, DATABASE_URL=REAL_POSTGRES)
    assert user.stdout
    assert user.stdout.readline() == "up\n"
    assert {name: len(pids) for name, pids in instance.servers().items()} == {
        "postgres": 0,
        "valkey-server": 1,
        "keeper": 1,
    }
    end(user)
    assert instance.is_quiet()
