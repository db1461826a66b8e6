"""A piece of SQL with its bound values. Text is written by us alone; whatever a person wrote is a value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, LiteralString

Row = tuple[Any, ...]


@dataclass(frozen=True)
class Sql:
    """SQL text with `%s` marks and the values for them, in order."""

    text: str
    params: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.text


TRUE = Sql("TRUE")
FALSE = Sql("FALSE")
NOTHING = Sql("")


@lru_cache(maxsize=1024)
def _pieces(template: str) -> tuple[str, ...]:
    """A template is written in the code, so there are some dozens; a turn puts a hundred statements together from them."""
    return tuple(template.split("{}"))


def sql(template: LiteralString, *parts: Sql) -> Sql:
    """The template with each `{}` replaced by the next part."""
    pieces = _pieces(template)
    if len(pieces) != len(parts) + 1:
        raise ValueError(f"{len(parts)} parts for {template!r}")
    text = pieces[0]
    params: list[Any] = []
    for part, piece in zip(parts, pieces[1:], strict=True):
        text += part.text + piece
        params.extend(part.params)
    return Sql(text, tuple(params))


def bind(value: object, cast: LiteralString) -> Sql:
    """A bound value of the given PostgreSQL type."""
    return Sql("%s::" + cast, (value,))


def join(separator: LiteralString, parts: Iterable[Sql]) -> Sql:
    """The parts with the separator between them."""
    listed = list(parts)
    return Sql(separator.join(part.text for part in listed), tuple(value for part in listed for value in part.params))


def both(*parts: Sql) -> Sql:
    """All parts hold; no part holds always."""
    known = [part for part in parts if part != TRUE]
    if not known:
        return TRUE
    if FALSE in known:
        return FALSE
    return known[0] if len(known) == 1 else sql("({})", join(" AND ", known))


def either(*parts: Sql) -> Sql:
    """At least one part holds; no part holds never."""
    known = [part for part in parts if part != FALSE]
    if not known:
        return FALSE
    if TRUE in known:
        return TRUE
    return known[0] if len(known) == 1 else sql("({})", join(" OR ", known))
