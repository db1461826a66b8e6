"""The servers that a process works with: the embedded ones, held while it runs, or real ones, refused when too old."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from config import embedded
from config.env import database_from_url

OLDEST_POSTGRES = 17
OLDEST_REDIS = 7


class ServerRefused(Exception):
    """A server named by DATABASE_URL or REDIS_URL cannot be used; the message is for people."""


@contextmanager
def in_use(*, durable: bool = True) -> Iterator[embedded.Use]:
    """For the life of a command: servers that the environment names are checked, the others are embedded."""
    database_url, redis_url = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
    if database_url:
        check_postgres(database_url)
    if redis_url:
        check_redis(redis_url)
    with embedded.Use(embedded.home(), database=not database_url, redis=not redis_url, durable=durable) as use:
        yield use


def check_postgres(url: str) -> None:
    import psycopg

    entry = database_from_url(url)
    try:
        with psycopg.connect(
            host=entry["HOST"] or None,
            port=entry["PORT"] or None,
            dbname=entry["NAME"] or None,
            user=entry["USER"] or None,
            password=entry["PASSWORD"] or None,
            **{"connect_timeout": 15, **entry["OPTIONS"]},
        ) as connection:
            version = connection.info.server_version // 10_000
    except psycopg.Error as error:
        raise ServerRefused(f"DATABASE_URL: {' '.join(str(error).split())}") from error
    if version < OLDEST_POSTGRES:
        raise ServerRefused(f"DATABASE_URL names PostgreSQL {version}; Ripen needs {OLDEST_POSTGRES} or later.")


def check_redis(url: str) -> None:
    import redis

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=15) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise ServerRefused(f"REDIS_URL: {error}") from error
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        raise ServerRefused(f"REDIS_URL names Redis {version}; Ripen needs {OLDEST_REDIS} or later, or Valkey.")
