"""Statements that keep their text and are executed again and again: planned once a connection, bound by the server."""

from __future__ import annotations

import itertools
import json
import re
from functools import cache, lru_cache
from typing import Any, TypeVar, cast

import psycopg
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

Row = TypeVar("Row", bound=models.Model)
_MARK = re.compile(r"%(s|%)")


class _PreparedCursor(psycopg.RawCursor[Any]):
    """Keeps the plan of what it executes with the connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> _PreparedCursor:
        before = self.connection.prepare_threshold
        self.connection.prepare_threshold = 0
        try:
            return super().execute(_numbered(query), params, prepare=True, **options)
        finally:
            self.connection.prepare_threshold = before


@lru_cache(maxsize=256)
def _numbered(text: str) -> str:
    """`$1` for the first `%s`: psycopg takes such a text as it is, where it would read 20,000 letters for `%s` in every turn."""
    numbers = itertools.count(1)
    return _MARK.sub(lambda mark: "%" if mark[1] == "%" else f"${next(numbers)}", text)


def prepared_cursor() -> CursorWrapper:
    """Like connection.cursor(); while statements are recorded it is that one, which tells them with their values."""
    if connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    return connection.make_cursor(cast("CursorWrapper", _PreparedCursor(connection.connection)))


def rows_of(model: type[Row], rest: str, *, more: str = "") -> list[tuple[Row, tuple[Any, ...]]]:
    """Rows of a model with the values of `more`, by `SELECT columns, more FROM table row {rest}`. One statement.

    Django takes ten times longer to put such a statement together than PostgreSQL to answer it, which counts where each turn asks it.
    """
    columns, names, documents = _columns(model)
    with prepared_cursor() as cursor:
        cursor.execute(f"SELECT {columns}{', ' if more else ''}{more} FROM {model._meta.db_table} AS row {rest}")
        found = []
        for values in cursor.fetchall():
            fields = list(values[: len(names)])
            for place in documents:
                if isinstance(fields[place], str):
                    fields[place] = json.loads(fields[place])
            found.append((model.from_db(connection.alias, names, fields), values[len(names) :]))
        return found


@cache
def _columns(model: type[models.Model]) -> tuple[str, list[str], tuple[int, ...]]:
    """(columns for SELECT, attribute names, places of JSON documents, which Django reads as text)."""
    fields = model._meta.concrete_fields
    return (
        ", ".join(f'row."{field.column}"' for field in fields),
        [field.attname for field in fields],
        tuple(place for place, field in enumerate(fields) if isinstance(field, models.JSONField)),
    )
