"""The environment is read strictly: nonsense is named, never guessed at."""

import stat
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("", False)])
def test_yes_and_no(monkeypatch: pytest.MonkeyPatch, text: str, expected: bool) -> None:
    monkeypatch.setenv("FLAG", text)
    assert env.boolean("FLAG", default=not expected) is expected


def test_absent_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLAG", raising=False)
    assert (env.boolean("FLAG", default=True), env.number("FLAG", default=7), env.listing("FLAG", default="a, b,")) == (
        True,
        7,
        ["a", "b"],
    )


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        (
            lambda: env.boolean("FLAG", default=True),
            "maybe",
            "FLAG='maybe': use one of 1, 0, true, false, yes, no, on, off.",
        ),
        (lambda: env.number("FLAG", default=1), "-3", "FLAG='-3': use a whole number above zero."),
        (lambda: env.number("FLAG", default=1), "0", "FLAG='0': use a whole number above zero."),
    ],
)
def test_nonsense_is_refused(monkeypatch: pytest.MonkeyPatch, read: object, text: str, words: str) -> None:
    monkeypatch.setenv("FLAG", text)
    with pytest.raises(ImproperlyConfigured) as refused:
        read()  # type: ignore[operator]
    assert str(refused.value) == words


def test_a_database_address_is_taken_apart() -> None:
    assert env.database_from_url("postgresql://us%40er:p%2Fw@db.example:6432/na%20me?sslmode=require") == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "na me",
        "USER": "us@er",
        "PASSWORD": "p/w",
        "HOST": "db.example",
        "PORT": 6432,
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_database_behind_a_socket() -> None:
    entry = env.database_from_url("postgres://me@/name?host=/run/postgresql")
    assert (entry["HOST"], entry["PORT"], entry["OPTIONS"]) == ("/run/postgresql", "", {})


def test_the_secret_key_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    home = tmp_path / "instance"
    made = env.secret_key(home)
    assert (env.secret_key(home), len(made) >= 64) == (made, True)
    assert stat.S_IMODE((home / "secret-key").stat().st_mode) == 0o600
    monkeypatch.setenv("SECRET_KEY", "given")
    assert env.secret_key(home) == "given"
