"""Reads the environment: one function for each shape of value, each refusing nonsense in words."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}


def boolean(name: str, *, default: bool) -> bool:
    """Raises ImproperlyConfigured naming the words that fit."""
    text = os.environ.get(name)
    if text is None:
        return default
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={text!r}: use one of 1, 0, true, false, yes, no, on, off.")


def number(name: str, *, default: int) -> int:
    """Raises ImproperlyConfigured for anything but a whole number above zero."""
    text = os.environ.get(name) or str(default)
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ImproperlyConfigured(f"{name}={text!r}: use a whole number above zero.")


def listing(name: str, *, default: str) -> list[str]:
    """Comma-separated words without blanks."""
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def database_from_url(url: str) -> dict[str, Any]:
    """postgres://user:password@host:port/name?sslmode=require -> a Django DATABASES entry."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(
            f"DATABASE_URL starts with {parts.scheme!r}; Ripen needs postgres://… (PostgreSQL 17 or later)."
        )
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", None) or parts.hostname or "",
        "PORT": parts.port or "",
        "OPTIONS": options,
    }


def secret_key(home: Path) -> str:
    """SECRET_KEY from the environment, else one made once and kept in the instance's own folder, readable to its owner only."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    file = home / "secret-key"
    if not file.exists():
        home.mkdir(parents=True, exist_ok=True)
        write_once(file, secrets.token_urlsafe(64))
    return file.read_text()


def write_once(file: Path, text: str) -> None:
    """The file appears complete, readable to its owner only; the first of several writers wins."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as handle:
            handle.write(text)
        with contextlib.suppress(FileExistsError):
            file.hardlink_to(draft)
    finally:
        draft.unlink()
