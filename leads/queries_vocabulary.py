"""Statements over everybody who holds a tag or a custom field's value: counted, renamed, converted, taken away, with their marks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from leads.models import CustomField, Mark
from leads.queries import json_text

_TABLES = {
    CustomField.Of.CONTACT.value: "leads_contact",
    CustomField.Of.COMPANY.value: "leads_company",
    CustomField.Of.DEAL.value: "leads_deal",
}
# From the changed rows of each kind to the contacts whose rules may read them.
_MARKED = {
    CustomField.Of.CONTACT.value: "SELECT id FROM changed",
    CustomField.Of.COMPANY.value: "SELECT c.id FROM leads_contact c JOIN changed ON changed.id = c.company_id",
    CustomField.Of.DEAL.value: "SELECT DISTINCT l.contact_id FROM leads_dealcontact l JOIN changed ON changed.id = l.deal_id",
}
_FACETS = {
    CustomField.Of.CONTACT.value: Mark.Facet.CONTACT,
    CustomField.Of.COMPANY.value: Mark.Facet.COMPANY,
    CustomField.Of.DEAL.value: Mark.Facet.DEAL,
}


def own_definitions() -> None:
    """One writer of definitions at a time, until the transaction ends: whoever looks for users, names or loops sees what the one
    before stored. Taken before any row is locked. One statement; the engine never takes it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('leads definitions'))")


def stored_values(of: str, key: str) -> list[tuple[Any, int]]:
    """Each different value of a custom field with the number of rows that hold it. One statement over the table."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (custom -> %s)::text, count(*) FROM {_TABLES[of]} WHERE custom ? %s GROUP BY 1 ORDER BY 2 DESC, 1",
            [key, key],
        )
        return [(json.loads(text), int(number)) for text, number in cursor.fetchall()]


def count_values(of: str, key: str) -> int:
    """Rows that hold a value of the field. One statement over the table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {_TABLES[of]} WHERE custom ? %s", [key])
        return int(cursor.fetchone()[0])


def forget_values(of: str, key: str, *, now: datetime) -> int:
    """Take a custom field's values from every row; how many had one. One statement; locks those rows, marks their contacts."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH changed AS (
                UPDATE {_TABLES[of]} SET custom = custom - %s, updated_at = %s WHERE custom ? %s RETURNING id
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT id, %s FROM ({_MARKED[of]}) AS touched(id)
            )
            SELECT count(*) FROM changed
            """,
            [key, now, key, int(_FACETS[of])],
        )
        return int(cursor.fetchone()[0])


def replace_values(of: str, key: str, pairs: Sequence[tuple[Any, Any]], *, now: datetime) -> int:
    """Write new values for old ones, None takes away; how many rows. One statement; locks those rows, marks their contacts."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH pair AS (
                SELECT * FROM unnest(%s::jsonb[], %s::jsonb[]) AS pair(old, fresh)
            ), changed AS (
                UPDATE {_TABLES[of]} held
                SET custom = CASE WHEN pair.fresh = 'null'::jsonb THEN held.custom - %s
                                  ELSE held.custom || jsonb_build_object(%s::text, pair.fresh) END,
                    updated_at = %s
                FROM pair WHERE held.custom -> %s = pair.old AND pair.old IS DISTINCT FROM pair.fresh
                RETURNING held.id
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT id, %s FROM ({_MARKED[of]}) AS touched(id)
            )
            SELECT count(*) FROM changed
            """,
            [
                [json_text(old) for old, _fresh in pairs],
                [json_text(fresh) for _old, fresh in pairs],
                key,
                key,
                now,
                key,
                int(_FACETS[of]),
            ],
        )
        return int(cursor.fetchone()[0])


# --- tags -----------------------------------------------------------------------------------------------------------


def tags_in_use(text: str, *, limit: int) -> list[tuple[str, int, int]]:
    """(tag as it is mostly written, contacts, companies) by name. One statement over both tables: some 0.5 s for a million contacts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT (array_agg(tag ORDER BY of_contact DESC, of_company DESC, tag))[1], sum(of_contact)::bigint, sum(of_company)::bigint FROM (
                SELECT tag, count(*) AS of_contact, 0 AS of_company
                FROM leads_contact, unnest(tags) AS tag WHERE tags <> '{}' GROUP BY tag
                UNION ALL
                SELECT tag, 0, count(*) FROM leads_company, unnest(tags) AS tag WHERE tags <> '{}' GROUP BY tag
            ) AS counted
            WHERE %s = '' OR strpos(lower(tag COLLATE "pg_c_utf8"), %s) > 0
            GROUP BY lower(tag COLLATE "pg_c_utf8")
            ORDER BY lower(tag COLLATE "pg_c_utf8") LIMIT %s
            """,
            [text, text, limit],
        )
        return [(tag, int(contacts), int(companies)) for tag, contacts, companies in cursor.fetchall()]


def replace_tag(tag: str, fresh: str | None, *, now: datetime) -> tuple[int, int]:
    """(contacts, companies) whose tag, whatever its case, became another one or went. Two statements; locks and marks those rows.

    Who has both keeps one of them, in the place of the first.
    """
    return _replace_tag(CustomField.Of.CONTACT.value, tag, fresh, now), _replace_tag(
        CustomField.Of.COMPANY.value, tag, fresh, now
    )


def _replace_tag(of: str, tag: str, fresh: str | None, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH changed AS (
                UPDATE {_TABLES[of]} held
                SET tags = ARRAY(
                        SELECT (array_agg(part.name ORDER BY part.place))[1] FROM (
                            SELECT CASE WHEN lower(tag COLLATE "pg_c_utf8") = %(tag)s THEN %(fresh)s::text ELSE tag END AS name, place
                            FROM unnest(held.tags) WITH ORDINALITY AS one(tag, place)
                        ) AS part
                        WHERE part.name IS NOT NULL
                        GROUP BY lower(part.name COLLATE "pg_c_utf8") ORDER BY min(part.place)
                    ),
                    updated_at = %(now)s
                WHERE EXISTS (SELECT FROM unnest(held.tags) AS one(tag) WHERE lower(tag COLLATE "pg_c_utf8") = %(tag)s)
                RETURNING held.id
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT id, %(facet)s FROM ({_MARKED[of]}) AS touched(id)
            )
            SELECT count(*) FROM changed
            """,
            {"tag": tag, "fresh": fresh, "now": now, "facet": int(_FACETS[of])},
        )
        return int(cursor.fetchone()[0])


def count_tag(tag: str) -> tuple[int, int]:
    """(contacts, companies) with the tag, whatever its case. One statement over both tables."""
    has = 'EXISTS (SELECT FROM unnest(tags) AS one(tag) WHERE lower(tag COLLATE "pg_c_utf8") = %s)'
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (SELECT count(*) FROM leads_contact WHERE {has}), (SELECT count(*) FROM leads_company WHERE {has})",
            [tag, tag],
        )
        contacts, companies = cursor.fetchone()
        return int(contacts), int(companies)
