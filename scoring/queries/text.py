"""A statement put together from pieces, and lists of constants in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from segments.conditions import Sql


class Text:
    """A statement in pieces with its parameters in order."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: list[object] = []

    def add(self, text: str, *params: object) -> None:
        self.parts.append(text)
        self.params += params

    def put(self, piece: Sql, before: str = "", after: str = "") -> None:
        self.add(f"{before}{piece.text}{after}", *piece.params)

    @property
    def sql(self) -> Sql:
        return Sql("\n".join(self.parts), tuple(self.params))


def values_sql(rows: Sequence[Sequence[object]], types: Sequence[str]) -> Sql:
    """VALUES with typed columns; no row at all where there is none."""
    if not rows:
        return Sql("SELECT " + ", ".join(f"NULL::{one}" for one in types) + " WHERE false", ())
    row = "(" + ", ".join(f"%s::{one}" for one in types) + ")"
    return Sql("VALUES " + ", ".join([row] * len(rows)), tuple(value for values in rows for value in values))


def array_sql(values: Iterable[object], item_type: str) -> str:
    """A constant array of our own numbers, keys and moments, written in: looked up by place it costs less than a join."""
    items = ",".join(f'"{one.isoformat()}"' if isinstance(one, datetime) else str(one) for one in values)
    return f"'{{{items}}}'::{item_type}[]"
