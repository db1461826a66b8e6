"""Where an instance and its servers live, and how Django, redis-py and kombu name them; nothing here starts anything."""

import hashlib
import os
from pathlib import Path
from typing import Any

BASE_DIR = Path(__file__).resolve().parents[2]
DATABASE = USER = "ripen"
PORT = 5432  # names the socket file only: nothing listens on a network
LONGEST_SOCKET_FOLDER = 85  # 107 bytes less "/.s.PGSQL.5432.lock"


class EmbeddedError(Exception):
    """The embedded services cannot be used; the message is for people."""


def home() -> Path:
    return Path(os.environ.get("RIPEN_HOME") or BASE_DIR / "var").expanduser().resolve()


def services_folder(home: Path) -> Path:
    return home / "services"


def socket_folder(home: Path) -> Path:
    """Inside the instance unless that path is longer than a Unix socket's name may be."""
    inside = services_folder(home) / "run"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_FOLDER:
        return inside
    return Path("/tmp") / f"ripen-{hashlib.sha256(os.fsencode(home)).hexdigest()[:16]}"  # noqa: S108 — checked in accounts.py


def valkey_socket(home: Path) -> Path:
    return socket_folder(home) / "valkey.sock"


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
    return f"unix://{valkey_socket(home)}?db=0"


def broker_url(redis_url: str) -> str:
    """The same server in kombu's spelling."""
    if redis_url.startswith("unix://"):
        address, _, query = redis_url.removeprefix("unix://").partition("?")
        number = dict(pair.partition("=")[::2] for pair in query.split("&") if pair).get("db", "0")
        return f"redis+socket://{address}?virtual_host={number}"
    return redis_url
