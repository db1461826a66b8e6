"""Statements of the builder: several rules about fields counted in one pass over the contacts."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from segments.conditions import Catalogue, Moment, Tree, predicate
from segments.conditions.fragment import join, sql


def count_together(trees: Sequence[Tree], at: Moment, catalogue: Catalogue) -> list[int]:
    """The exact number of contacts for each rule. One statement, one pass over all contacts, whatever the number of rules."""
    columns = [sql("count(*) FILTER (WHERE {})", predicate(tree, at, catalogue=catalogue)) for tree in trees]
    statement = sql("SELECT {} FROM leads_contact contact", join(", ", columns))
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return [int(number) for number in cursor.fetchone()]
