"""A task never runs twice at once, and leaves word of its last run."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from celery import shared_task
from django.core.cache import cache
from django.db import connection

from config.celery import app
from config.queries import one_at_a_time

pytestmark = pytest.mark.django_db


@shared_task(name="tests.answer")
def answer(fail: bool = False) -> int:
    if fail:
        raise ArithmeticError
    return 42


@pytest.fixture
def as_in_a_worker() -> Iterator[None]:
    answer.push_request(called_directly=False, is_eager=False)  # type: ignore[call-arg]  # takes any, says celery
    cache.delete("beat:tests.answer")
    yield
    answer.pop_request()


@pytest.fixture
def another_worker() -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    with psycopg.connect(
        host=connection.settings_dict["HOST"],
        port=connection.settings_dict["PORT"],
        user=connection.settings_dict["USER"],
        dbname=connection.settings_dict["NAME"],
        autocommit=True,
    ) as other:
        yield other


def test_a_run_leaves_word(as_in_a_worker: None) -> None:
    before = time.time()
    assert answer() == 42
    word = cache.get("beat:tests.answer")
    assert (word["failed"], word["seconds"] < 60, before <= word["at"] <= time.time()) == (False, True, True)


def test_a_failure_leaves_word_and_is_raised(as_in_a_worker: None) -> None:
    with pytest.raises(ArithmeticError):
        answer(fail=True)
    assert cache.get("beat:tests.answer")["failed"] is True
    assert answer() == 42  # and the name is free again


def test_while_one_runs_another_returns_at_once(
    as_in_a_worker: None, another_worker: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    another_worker.execute("SELECT pg_advisory_lock(hashtextextended('task:tests.answer', 0))")
    assert answer() is None
    assert cache.get("beat:tests.answer") is None
    another_worker.close()  # as if it had been killed
    deadline = time.monotonic() + 120
    while answer() is None:
        assert time.monotonic() < deadline


def test_called_as_a_function_it_takes_no_lock(another_worker: "psycopg.Connection[tuple[object, ...]]") -> None:
    another_worker.execute("SELECT pg_advisory_lock(hashtextextended('task:tests.answer', 0))")
    assert answer() == 42


def test_a_name_is_held_until_the_end() -> None:
    with one_at_a_time("x") as mine:
        assert mine
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            assert cursor.fetchone() == (1,)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
        assert cursor.fetchone() == (0,)


def test_every_beat_names_a_known_task_and_expires_after_its_period() -> None:
    app.loader.import_default_modules()
    known = set(app.tasks)
    for name, entry in app.conf.beat_schedule.items():
        assert entry["task"] in known, name
        assert entry["options"]["expires"] == entry["schedule"], name
        assert entry["options"]["queue"] in {"engine", "imports"}, name
