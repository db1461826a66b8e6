"""Example values from the data, for typing ahead: the most frequent among the newest rows, never a scan of everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, LiteralString

from django.db import OperationalError, connection
from psycopg.errors import QueryCanceled

from leads.text import fold
from segments.conditions.fragment import Sql, bind, sql
from segments.conditions.sql import time_limit

NEWEST = 20_000  # rows looked at; read by the primary key in 10–30 ms
SAMPLED_PAGES = 250  # some 30,000 activities
MOST = 20
SECONDS = 0.5  # nobody waits longer for a suggestion; without one the value can still be typed

Examples = Callable[[str], list[str]]

_TABLES: dict[str, LiteralString] = {
    "contact": "leads_contact",
    "company": "leads_company",
    "deal": "leads_deal",
    "asset": "leads_asset",
}


def of_column(table: str, name: LiteralString) -> Examples:
    """Values of a text column that contain what was typed."""
    return lambda typed: _frequent(sql("SELECT newest.{} AS value", Sql(name)), table, typed)


def of_tags(table: str) -> Examples:
    return lambda typed: _frequent(Sql("SELECT unnest(newest.tags) AS value"), table, typed)


def of_key(table: str, key: str, type: str) -> Examples | None:
    """Values of a custom field; None where examples would not help."""
    if type in ("number", "money", "yes_no", "date", "moment"):
        return None
    if type == "choices":
        items: Sql = sql(
            "SELECT jsonb_array_elements_text(CASE WHEN jsonb_typeof(newest.custom -> {}) = 'array' THEN newest.custom -> {}"
            " ELSE '[]'::jsonb END) AS value",
            bind(key, "text"), bind(key, "text"),
        )  # fmt: skip
    else:
        items = sql("SELECT newest.custom ->> {} AS value", bind(key, "text"))
    return lambda typed: _frequent(items, table, typed)


def of_property(key: str) -> Examples:
    """Texts, numbers and entries of lists that activities carry under the key. One statement over 20,000 activities that have some."""
    stored = sql("(newest.properties -> {})", bind(key, "text"))
    items = sql(
        "SELECT jsonb_array_elements_text(CASE jsonb_typeof({}) WHEN 'array' THEN {} WHEN 'string' THEN jsonb_build_array({})"
        " WHEN 'number' THEN jsonb_build_array({}) ELSE '[]'::jsonb END) AS value",
        stored, stored, stored, stored,
    )  # fmt: skip
    newest = sql("SELECT properties FROM leads_activity WHERE properties IS NOT NULL LIMIT {}", bind(NEWEST, "integer"))
    return lambda typed: _most_frequent(items, newest, typed)


def property_keys() -> list[str]:
    """Keys that properties of activities carry, the most frequent first. One statement over SAMPLED_PAGES of the table.

    Of a small table that is all of it, of a large one the same pages each time, from everywhere: 5 ms instead of the 200–400 that the
    first 20,000 activities with properties took (20 M activities, one in a hundred with some, 2026-11-22).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT key FROM leads_activity TABLESAMPLE SYSTEM (LEAST(100, 100.0 * %s / (SELECT GREATEST(sum(pg_relation_size(inhrelid)), 1)"
            " / current_setting('block_size')::float8 FROM pg_inherits WHERE inhparent = 'leads_activity'::regclass))) REPEATABLE (0),"
            " LATERAL jsonb_object_keys(CASE WHEN jsonb_typeof(properties) = 'object' THEN properties ELSE jsonb_build_object() END) AS key"
            " WHERE properties IS NOT NULL GROUP BY key ORDER BY count(*) DESC, key LIMIT 100",
            [SAMPLED_PAGES],
        )
        return [key for (key,) in cursor.fetchall()]


def _frequent(items: Sql, table: str, typed: str) -> list[str]:
    newest = sql("SELECT * FROM {} ORDER BY id DESC LIMIT {}", Sql(_TABLES[table]), bind(NEWEST, "integer"))
    return _most_frequent(items, newest, typed)


def _most_frequent(items: Sql, newest: Sql, typed: str) -> list[str]:
    rows = _fetch(
        sql(
            "SELECT value FROM ({} FROM ({}) AS newest) AS items"
            " WHERE value <> '' AND position({} IN lower(value COLLATE \"pg_c_utf8\")) > 0"
            " GROUP BY value ORDER BY count(*) DESC, value LIMIT {}",
            items, newest, bind(fold(typed), "text"), bind(MOST, "integer"),
        )
    )  # fmt: skip
    return [row[0] for row in rows]


def _fetch(statement: Sql) -> list[tuple[Any, ...]]:
    """The rows, or none when finding them takes too long."""
    try:
        with time_limit(SECONDS), connection.cursor() as cursor:
            cursor.execute(statement.text, list(statement.params))
            return list(cursor.fetchall())
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            return []
        raise
