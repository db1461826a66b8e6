"""Doing a transaction again that lost a race: serialization failures, deadlocks, a contact deleted under a membership."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import DatabaseError, connection

# serialization_failure, deadlock_detected, foreign_key_violation (the next try leaves the deleted contact out)
RACES = frozenset({"40001", "40P01", "23503"})
TRIES = 5

logger = logging.getLogger(__name__)
T = TypeVar("T")


def is_race(error: BaseException) -> bool:
    return getattr(error.__cause__, "sqlstate", None) in RACES


def retrying(work: Callable[[], T]) -> T:
    """What the work returns; a lost race is tried up to five times.

    Inside somebody else's transaction it cannot be tried again and is raised.
    """
    for number in range(1, TRIES + 1):
        try:
            return work()
        except DatabaseError as error:
            if not is_race(error) or connection.in_atomic_block or number == TRIES:
                raise
            logger.info("Lost a race (%s), trying again.", error.__cause__)
            time.sleep(random.uniform(0.01, 0.05) * number)  # noqa: S311 – spreads rivals, guards nothing
    raise AssertionError("unreachable")
