"""What every test stands on; the services come from tests/instance.py."""

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import connection
from hypothesis import settings
from pytest_django.plugin import DjangoDbBlocker

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
def _leave_nothing(request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Empties the cache, and after tests that commit the tables that Django's own flush passes over (partitioned ones)."""
    yield
    cache.clear()
    mark = request.node.get_closest_marker("django_db")
    if mark and mark.kwargs.get("transaction"):
        tables = ", ".join(model._meta.db_table for model in apps.get_models() if not model._meta.managed)
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {tables}")
