"""What every test stands on; the services come from tests/instance.py."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from hypothesis import settings

# A busy machine is no failure; the examples stay as many.
settings.register_profile("ripen", deadline=None, print_blob=True)
settings.load_profile("ripen")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that commit empty all tables at their end; the rows that migrations put there come back before the next one."""
    for item in items:
        mark = item.get_closest_marker("django_db")
        commits = (mark and mark.kwargs.get("transaction")) or "live_server" in getattr(item, "fixturenames", ())
        if commits:
            item.add_marker(pytest.mark.django_db(transaction=True, serialized_rollback=True), append=False)


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    yield
    cache.clear()
