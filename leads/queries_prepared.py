"""Statements that keep their text and are executed again and again: planned once a connection, bound by the server."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Collection, Sequence
from functools import cache, lru_cache
from typing import Any, Generic, TypeVar, cast

import psycopg
from django.db import connection, models
from django.db.backends.utils import CursorWrapper

Row = TypeVar("Row", bound=models.Model)
_MARK = re.compile(r"%(?:\((\w+)\))?(s|%)")


class _PreparedCursor(psycopg.RawCursor[Any]):
    """Keeps the plan of what it executes with the connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> _PreparedCursor:
        before = self.connection.prepare_threshold
        self.connection.prepare_threshold = 0
        text, names = _numbered(query)
        values = [params[name] for name in names] if names else params
        try:
            return super().execute(text, values, prepare=True, **options)
        finally:
            self.connection.prepare_threshold = before


@lru_cache(maxsize=256)
def _numbered(text: str) -> tuple[str, tuple[str, ...]]:
    """`$1` for the first `%s` or `%(name)s`, and the names in their order: psycopg takes such a text as it is, where it would read 20,000
    letters for `%s` in every turn."""
    numbers, names = itertools.count(1), dict[str, int]()

    def number(mark: re.Match[str]) -> str:
        if mark[2] == "%":
            return "%"
        return f"${names.setdefault(mark[1], len(names) + 1) if mark[1] else next(numbers)}"

    return _MARK.sub(number, text), tuple(names)


def prepared_cursor() -> CursorWrapper:
    """Like connection.cursor(); while statements are recorded it is that one, which tells them with their values."""
    if connection.queries_logged:
        return connection.cursor()
    connection.ensure_connection()
    return connection.make_cursor(cast("CursorWrapper", _PreparedCursor(connection.connection)))


class Columns(Generic[Row]):
    """The columns of a model and how their values become a row of it.

    Django takes ten times longer to put such a statement together than PostgreSQL to answer it, which counts where each turn asks it.
    """

    def __init__(self, model: type[Row], *, without: frozenset[str] = frozenset()) -> None:
        fields = [field for field in model._meta.concrete_fields if field.attname not in without]
        self.model = model
        self.names = [field.attname for field in fields]
        self._columns = [field.column for field in fields]
        self._documents = [place for place, field in enumerate(fields) if isinstance(field, models.JSONField)]

    def of(self, table: str) -> str:
        """For SELECT, by the name that the statement gives the table."""
        return ", ".join(f'{table}."{column}"' for column in self._columns)

    def row(self, values: Sequence[Any]) -> Row:
        fields = list(values)
        for place in self._documents:
            if isinstance(fields[place], str):  # Django reads documents as text
                fields[place] = json.loads(fields[place])
        return self.model.from_db(connection.alias, self.names, fields)


def rows_of(
    model: type[Row], rest: str, params: Sequence[Any] | None = None, *, more: str = ""
) -> list[tuple[Row, tuple[Any, ...]]]:
    """Rows of a model with the values of `more`, by `SELECT columns, more FROM table row {rest}`. One statement."""
    columns = _columns(model)
    with prepared_cursor() as cursor:
        cursor.execute(
            f"SELECT {columns.of('row')}{', ' if more else ''}{more} FROM {model._meta.db_table} AS row {rest}", params
        )
        width = len(columns.names)
        return [(columns.row(values[:width]), values[width:]) for values in cursor.fetchall()]


def rows_with_ids(model: type[Row], ids: Collection[Any]) -> dict[Any, Row]:
    """Id -> row. One statement, none without ids."""
    if not ids:
        return {}
    found = rows_of(model, "WHERE id = ANY(%s::bigint[])", [sorted(ids)])
    return {row.pk: row for row, _more in found}


@cache
def _columns(model: type[Row]) -> Columns[Row]:
    return Columns(model)
