"""Health is told to everybody, and nothing else with it."""

import pytest
from django.test import Client, override_settings

DEAD = "unix:///tmp/no-such-ripen.sock"


@pytest.mark.django_db
def test_health_without_signing_in(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content, response["Content-Type"]) == (200, b"ok\n", "text/plain")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": DEAD}})
def test_ill_without_redis(client: Client) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (503, b"unavailable\n")


@pytest.mark.django_db
def test_health_takes_one_statement(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        client.get("/healthz")


@pytest.mark.django_db
def test_health_is_only_read(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
