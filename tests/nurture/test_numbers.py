"""Numbers on the canvas: counted when asked for; those of very many visits are kept, for the page at any age, for news half a minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from django.core.cache import cache

from nurture import numbers
from nurture.models import Program
from nurture.turn import take_in
from tests.makers import NOW
from tests.nurture.makers import make_people, make_walk, put_in, segment_of, step, wait, walk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def here(program: Program, *, now: datetime, is_news: bool) -> tuple[int, int, int]:
    """Passed the first step, walk in all versions, came by the segment."""
    version = program.versions.get()
    steps = numbers.of_steps(version.pk, now=now, is_news=is_news)
    walks = numbers.of_versions(program.pk, now=now, is_news=is_news)
    return steps["t"].passed, sum(walks[version.pk].values()), sum(numbers.of_entries(program.pk, now=now).values())


def come(program: Program, people: int) -> None:
    put_in(segment_of(program), make_people(people))
    take_in(NOW, full=True)
    walk()


@pytest.mark.parametrize("many", [0, 200_000])
def test_very_many_are_kept_for_a_while(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numbers, "MANY", many)
    program, _people = make_walk(step("add_tag", "t", tag="x"), wait(3))
    walk()
    assert here(program, now=NOW, is_news=False) == (1, 1, 1)
    come(program, 2)
    soon, later = NOW + timedelta(seconds=30), NOW + timedelta(seconds=31)
    kept = (3, 3, 3) if many else (1, 1, 1)
    assert here(program, now=soon, is_news=True) == kept
    assert here(program, now=later, is_news=False)[:2] == kept[:2]  # the page does not wait
    assert here(program, now=later, is_news=True) == (3, 3, 3)
    assert here(program, now=later, is_news=False) == (3, 3, 3)
