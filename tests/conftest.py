"""What every test stands on; the services come from tests/instance.py, the rows of the migrations from tests/database.py."""

import os
from collections.abc import Iterator

import hypothesis.core
import pytest
from django.conf import settings as project
from django.core.cache import cache
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings
from pytest_django.plugin import DjangoDbBlocker

from tests import database

# Each run tries the same examples, unless RIPEN_SEED gives a number for others. A busy machine is no failure.
SEED = os.environ.get("RIPEN_SEED")
settings.register_profile(
    "ripen",
    deadline=None,
    print_blob=True,
    derandomize=SEED is None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ripen")
if SEED is not None:
    hypothesis.core.global_force_seed = int(SEED)  # type: ignore[assignment]  # as --hypothesis-seed does

# The dearest first, each file in one worker: whoever is free takes the next one, and the short ones fill up at the end.
DEAREST = (
    "tests/browser/test_pages.py",
    "tests/config/test_supervisor.py",
    "tests/faults/",
    "tests/browser/",
    "tests/stories/",
    "tests/config/test_embedded.py",
    "tests/scoring/test_writers.py",
)

IMPATIENT = {
    "segments.builder.preview": ("ONE_COUNT", "FIRST_ANSWER", "ALL_COUNTS"),
    "segments.builder.people": ("SECONDS",),
    "segments.conditions.suggestions": ("SECONDS",),
    "scoring.trial": ("SECONDS",),
    "scoring.views.contact_score": ("SECONDS",),
    "nurture.simulation.ahead": ("SECONDS", "READING_SECONDS"),
    "nurture.health": ("PAGE_SECONDS",),
}


def pytest_configure() -> None:
    # The product's own way to keep passwords takes half a second for each sign-in; what is tested is who may sign in.
    project.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    # Each test's client begins with the product's middleware, which looks through all static files: 50 ms. Asked for later, they are found.
    project.WHITENOISE_AUTOREFRESH = True
    # pytest-django offers no other way to say how a test that committed is cleared up.
    TransactionTestCase._fixture_teardown = lambda case: database.give_back()  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """File by file: what a file prepares for its tests is prepared once."""
    order = {
        name: number for number, name in enumerate(dict.fromkeys(item.nodeid.partition("::")[0] for item in items))
    }

    def place(item: pytest.Item) -> tuple[int, int]:
        file = item.nodeid.partition("::")[0]
        return next((rank for rank, dear in enumerate(DEAREST) if file.startswith(dear)), len(DEAREST)), order[file]

    items.sort(key=place)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock():
        database.remember()


@pytest.fixture(scope="session", autouse=True)
def _unhurried() -> Iterator[None]:
    """What the product gives up after a few seconds, so that nobody waits, it may take a minute for on a busy machine."""
    with pytest.MonkeyPatch.context() as patch:
        for module, names in IMPATIENT.items():
            for name in names:
                patch.setattr(f"{module}.{name}", 60.0)
        yield


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    yield
    cache.clear()
