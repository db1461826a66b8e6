"""Statements of the composition itself: locks between workers."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, connection


@contextmanager
def one_at_a_time(name: str) -> Iterator[bool]:
    """True while this connection alone holds the name, over all processes; False at once when another does.

    A session advisory lock: two short statements, freed by PostgreSQL when the process dies.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [name])
        mine: bool = cursor.fetchone()[0]
    try:
        yield mine
    finally:
        if mine:
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [name])
            except Error:
                connection.close()  # the lock goes with the connection
