"""Statements of the intake: rows are staged by COPY, compared, and only differences are written, with their marks and history."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from leads.models import Mark
from leads.queries import ACTIVITY_COLUMNS, FACETS_OF_A_NEW_CONTACT, STORE_ACTIVITIES
from leads.queries_consent import Moved
from leads.text import fold


@dataclass(frozen=True)
class Column:
    """A column that intake writes; `blank` is what stands there when nothing is known."""

    name: str
    type: str
    blank: Any = None
    is_touched_on_update: bool = True


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "text", "") for name in names)


CONTACT = (
    Column("external_id", "text"),
    Column("email", "text"),
    *_texts("first_name", "last_name", "title", "department", "seniority", "phone", "country", "region", "city"),
    *_texts("postal_code", "timezone", "language", "source"),
    Column("owner_id", "bigint"),
    Column("company_id", "bigint"),
    Column("stage", "text", "inquiry"),
    Column("tags", "varchar(100)[]", []),
    Column("created_at", "timestamptz"),
)
COMPANY = (
    Column("external_id", "text"),
    *_texts("name", "domain", "industry"),
    Column("employees", "bigint"),
    Column("revenue", "numeric(24,6)"),
    Column("founded", "integer"),
    *_texts("country", "region", "city"),
    Column("tags", "varchar(100)[]", []),
)
DEAL = (
    Column("external_id", "text"),
    Column("company_id", "bigint"),
    Column("owner_id", "bigint"),
    Column("status", "text"),
    Column("amount", "numeric(24,6)"),
    Column("margin", "numeric(24,6)"),
    *_texts("product", "loss_reason"),
    Column("opened_on", "date"),
    Column("closed_on", "date"),
)
TABLES = {
    "leads_contact": CONTACT,
    "leads_company": COMPANY,
    "leads_deal": DEAL,
}


@dataclass(frozen=True)
class StagedRow:
    """One row for a table: the id of the row that it changes (None makes one), values by column, a patch of `custom` as JSON text."""

    id: int | None
    values: dict[str, Any]
    custom: str | None = None


# --- Staging ---------------------------------------------------------------------------------------------------------------


def stage(table: str, rows: Sequence[StagedRow]) -> list[Column]:
    """Fill the staging table of `table`; returns the columns that at least one row gives. One COPY, one ANALYZE above 500 rows."""
    columns = TABLES[table]
    given = set().union(*(row.values.keys() for row in rows))
    used = [column for column in columns if column.name in given]
    definition = ", ".join(f"{column.name} {column.type}" for column in columns)
    plan = [(column.name, 1 << place, column.blank) for place, column in enumerate(used)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TEMP TABLE IF NOT EXISTS stage_{table}"
            f" (id bigint, place integer, given bigint, custom jsonb, {definition}) ON COMMIT DELETE ROWS"
        )
        cursor.execute(f"DELETE FROM stage_{table}")
        names = "".join(f", {column.name}" for column in used)
        with cursor.copy(f"COPY stage_{table} (id, place, given, custom{names}) FROM STDIN") as copy:
            for place, row in enumerate(rows):
                mask = 0
                cells = [row.id, place, 0, row.custom]
                values = row.values
                for name, bit, blank in plan:
                    if name in values:
                        mask |= bit
                        value = values[name]
                        cells.append(blank if value is None else value)
                    else:
                        cells.append(blank)
                cells[2] = mask
                copy.write_row(cells)
        if len(rows) > 500:
            cursor.execute(f"ANALYZE stage_{table}")
    return used


def _differs(used: Sequence[Column], has_custom: bool) -> str:
    parts = [
        f"(s.given & {1 << place} <> 0 AND t.{column.name} IS DISTINCT FROM s.{column.name})"
        for place, column in enumerate(used)
        if column.is_touched_on_update
    ]
    if has_custom:
        parts.append(f"(s.custom IS NOT NULL AND t.custom <> {_CUSTOM})")
    return " OR ".join(parts) or "false"


_CUSTOM = "jsonb_strip_nulls(t.custom || s.custom)"


def _assignments(used: Sequence[Column], has_custom: bool) -> str:
    parts = [
        f"{column.name} = CASE WHEN s.given & {1 << place} <> 0 THEN s.{column.name} ELSE t.{column.name} END"
        for place, column in enumerate(used)
        if column.is_touched_on_update
    ]
    if has_custom:
        parts.append(f"custom = CASE WHEN s.custom IS NOT NULL THEN {_CUSTOM} ELSE t.custom END")
    return "".join(f"{part}, " for part in parts)


def _names(table: str) -> str:
    return ", ".join(column.name for column in TABLES[table] if column.name != "created_at")


def _fresh(table: str) -> str:
    """What a new row gets; columns that no row gave are null in the stage and blank in the table."""
    cells = []
    for column in TABLES[table]:
        if column.name == "created_at":
            continue
        blank = {"": "''", "inquiry": "'inquiry'"}.get(column.blank) if isinstance(column.blank, str) else None
        if column.blank == []:
            blank = "'{}'"
        cells.append(f"coalesce(s.{column.name}, {blank})" if blank else f"s.{column.name}")
    return ", ".join(cells)


# --- Contacts ------------------------------------------------------------------------------------------------------------

_STAGE_HISTORY = """, moved AS (
    INSERT INTO leads_stagemove (contact_id, moved_at, from_stage, to_stage, actor_id, cause, reason)
    SELECT done.id, %(now)s, old.stage, done.stage, %(actor)s, %(cause)s, ''
    FROM done JOIN old ON old.id = done.id WHERE done.stage <> old.stage
)"""


def _also_marked(column: str, facet: int) -> str:
    return f""", marked_{column} AS (
        INSERT INTO leads_mark (contact_id, facet)
        SELECT done.id, {int(facet)} FROM done JOIN old ON old.id = done.id
        WHERE done.{column} IS DISTINCT FROM old.{column}
    )"""


def upsert_contacts(
    rows: Sequence[StagedRow], *, cause: str, actor_id: int | None, now: datetime
) -> tuple[list[int], list[int], list[Moved]]:
    """Ids of the (created, updated) ones, and whose address changed; the rest was equal.

    Two statements over the staged rows, locks in key order, marks and stage history within.

    Raises IntegrityError when somebody else took a key meanwhile.
    """
    used = stage("leads_contact", rows)
    has_custom = any(row.custom is not None for row in rows)
    facets = ", ".join(f"({int(facet)})" for facet in FACETS_OF_A_NEW_CONTACT)
    parameters: dict[str, Any] = {"now": now, "cause": cause, "actor": actor_id}
    created: list[int] = []
    updated: list[int] = []
    moved: list[Moved] = []
    with connection.cursor() as cursor:
        if any(row.id is None for row in rows):
            cursor.execute(
                f"""
                WITH new AS (
                    INSERT INTO leads_contact ({_names("leads_contact")}, custom, created_at, updated_at, stage_since)
                    SELECT {_fresh("leads_contact")}, jsonb_strip_nulls(coalesce(s.custom, '{{}}')),
                           coalesce(s.created_at, %(now)s), %(now)s, coalesce(s.created_at, %(now)s)
                    FROM stage_leads_contact s WHERE s.id IS NULL
                    ORDER BY s.external_id, s.email -- two intakes of the same people wait instead of locking each other out
                    RETURNING id
                ), marked AS (
                    INSERT INTO leads_mark (contact_id, facet)
                    SELECT id, facet FROM new CROSS JOIN (VALUES {facets}) every (facet)
                )
                SELECT coalesce(array_agg(id), '{{}}') FROM new
                """,
                parameters,
            )
            (created,) = cursor.fetchone()
        if any(row.id is not None for row in rows):
            given = {column.name for column in used}
            since, besides = "t.stage_since", ""
            if "stage" in given:
                since = "CASE WHEN s.stage <> t.stage THEN %(now)s ELSE t.stage_since END"
                besides += _STAGE_HISTORY
            if "company_id" in given:
                besides += _also_marked("company_id", Mark.Facet.COMPANY)
            if "email" in given:
                besides += _also_marked("email", Mark.Facet.CONSENT)
            cursor.execute(
                f"""
                WITH old AS MATERIALIZED (
                    SELECT t.id, t.stage, t.company_id, t.email
                    FROM leads_contact t JOIN stage_leads_contact s ON s.id = t.id
                    WHERE {_differs(used, has_custom)}
                    ORDER BY t.id FOR NO KEY UPDATE OF t
                ), done AS (
                    UPDATE leads_contact t
                    SET {_assignments(used, has_custom)} updated_at = %(now)s,
                        stage_since = {since}
                    FROM stage_leads_contact s, old WHERE old.id = t.id AND s.id = t.id
                    RETURNING t.id, t.stage, t.company_id, t.email
                ), marked AS (
                    INSERT INTO leads_mark (contact_id, facet) SELECT id, {int(Mark.Facet.CONTACT)} FROM done
                )
                {besides}
                SELECT coalesce(array_agg(id), '{{}}'), (
                    SELECT json_agg(json_build_array(done.id, old.email, done.email)) FROM done JOIN old USING (id)
                    WHERE old.email <> done.email
                ) FROM done
                """,
                parameters,
            )
            updated, changed = cursor.fetchone()
            moved = [Moved(*one) for one in changed or []]
    return created, updated, moved


def keep_people(job_id: int, *, made: Sequence[int], changed: Sequence[int]) -> None:
    """Note whom a chunk of an import made and changed; who was made by an earlier chunk stays so. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_importperson (job_id, contact_id, is_new)
            SELECT %(job)s, id, true FROM unnest(%(made)s::bigint[]) id
            UNION ALL SELECT %(job)s, id, false FROM unnest(%(changed)s::bigint[]) id WHERE NOT id = ANY (%(made)s::bigint[])
            ON CONFLICT DO NOTHING
            """,
            {"job": job_id, "made": list(made), "changed": list(changed)},
        )


def mark_people(job_id: int) -> int:
    """The import has ended: whoever asks for its people looks at them now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, %s FROM leads_importperson WHERE job_id = %s",
            [int(Mark.Facet.DEFINITION), job_id],
        )
        return int(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class KnownContact:
    """Somebody who has one of the keys asked for; `merged_into` names them when the keys are those of a contact that they absorbed."""

    id: int
    external_id: str | None
    address: str | None
    merged_into: str | None


def contacts_by_key(external_ids: Sequence[str], addresses: Sequence[str]) -> list[KnownContact]:
    """Contacts with one of these keys, and those into whom a contact with one of them was merged. One statement over four indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, external_id, lower(email), NULL FROM leads_contact WHERE external_id = ANY(%(ids)s)
            UNION
            SELECT id, external_id, lower(email), NULL FROM leads_contact WHERE lower(email) = ANY(%(addresses)s)
            UNION ALL
            SELECT c.id, m.external_id, m.email,
                   coalesce(nullif(trim(c.first_name || ' ' || c.last_name), ''), c.email, c.external_id)
            FROM leads_contactmerge m JOIN leads_contact c ON c.id = m.kept_id
            WHERE m.external_id = ANY(%(ids)s) OR m.email = ANY(%(addresses)s)
            """,
            {"ids": list(external_ids), "addresses": list(addresses)},
        )
        return [KnownContact(*row) for row in cursor.fetchall()]


# --- Companies, owners -----------------------------------------------------------------------------------------------------


def upsert_companies(rows: Sequence[StagedRow], *, now: datetime) -> tuple[int, int]:
    """(created, updated); the rest was equal. Two statements; the people of changed companies are marked."""
    used = stage("leads_company", rows)
    has_custom = any(row.custom is not None for row in rows)
    created = updated = 0
    with connection.cursor() as cursor:
        if any(row.id is None for row in rows):
            cursor.execute(
                f"""
                INSERT INTO leads_company ({_names("leads_company")}, custom, created_at, updated_at)
                SELECT {_fresh("leads_company")}, jsonb_strip_nulls(coalesce(s.custom, '{{}}')), %(now)s, %(now)s
                FROM stage_leads_company s WHERE s.id IS NULL ORDER BY s.place
                """,
                {"now": now},
            )
            created = cursor.rowcount
        if any(row.id is not None for row in rows):
            cursor.execute(
                f"""
                WITH old AS MATERIALIZED (
                    SELECT t.id FROM leads_company t JOIN stage_leads_company s ON s.id = t.id
                    WHERE {_differs(used, has_custom)} ORDER BY t.id FOR NO KEY UPDATE OF t
                ), done AS (
                    UPDATE leads_company t SET {_assignments(used, has_custom)} updated_at = %(now)s
                    FROM stage_leads_company s, old WHERE old.id = t.id AND s.id = t.id
                    RETURNING t.id
                ), marked AS (
                    INSERT INTO leads_mark (contact_id, facet)
                    SELECT contact.id, {int(Mark.Facet.COMPANY)} FROM leads_contact contact
                    WHERE contact.company_id IN (SELECT id FROM done)
                )
                SELECT count(*) FROM done
                """,
                {"now": now},
            )
            (updated,) = cursor.fetchone()
    return created, updated


def companies_by_key(external_ids: Sequence[str], names: Sequence[str]) -> list[tuple[int, str | None, str]]:
    """(id, external id, folded name) of the companies with one of these keys. One statement over two indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, external_id, lower(name) FROM leads_company WHERE external_id = ANY(%s)
            UNION
            SELECT id, external_id, lower(name) FROM leads_company WHERE lower(name) = ANY(%s)
            """,
            [list(external_ids), list(names)],
        )
        return list(cursor.fetchall())


def hold_companies() -> None:
    """One intake of companies at a time, until the transaction ends: names carry no unique index, so two would both make one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('leads intake of companies'))")


def owner_ids(names: Iterable[str]) -> dict[str, int]:
    """Id of each owner by folded name, made where there is none. One statement, two with new ones."""
    by_fold = {fold(name): name for name in names}
    if not by_fold:
        return {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT lower(name), id FROM leads_owner WHERE lower(name) = ANY(%s)", [list(by_fold)])
        known: dict[str, int] = dict(cursor.fetchall())
        fresh = sorted(by_fold.keys() - known.keys())
        if fresh:
            cursor.execute(
                """
                INSERT INTO leads_owner (name, email, team) SELECT name, '', '' FROM unnest(%s::text[]) name
                ON CONFLICT (lower(name)) DO UPDATE SET name = leads_owner.name
                RETURNING lower(name), id
                """,
                [[by_fold[name] for name in fresh]],
            )
            known.update(cursor.fetchall())
    return known


# --- Deals ---------------------------------------------------------------------------------------------------------------


def deals_by_key(external_ids: Sequence[str]) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT external_id, id FROM leads_deal WHERE external_id = ANY(%s)", [list(external_ids)])
        return dict(cursor.fetchall())


def upsert_deals(
    rows: Sequence[StagedRow], links: Sequence[tuple[str, list[int]]], *, now: datetime
) -> tuple[int, int]:
    """(created, updated); the rest was equal. `links`: external id of a deal and the contacts it lists from now on.

    Five statements over the staged rows. Everybody on a changed deal is marked, those taken off it too.
    """
    used = stage("leads_deal", rows)
    has_custom = any(row.custom is not None for row in rows)
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO leads_deal ({_names("leads_deal")}, custom, created_at, updated_at)
            SELECT {_fresh("leads_deal")}, jsonb_strip_nulls(coalesce(s.custom, '{{}}')), %(now)s, %(now)s
            FROM stage_leads_deal s WHERE s.id IS NULL ORDER BY s.external_id
            RETURNING id
            """,
            {"now": now},
        )
        created = {row[0] for row in cursor.fetchall()}
        cursor.execute(
            f"""
            WITH old AS MATERIALIZED (
                SELECT t.id FROM leads_deal t JOIN stage_leads_deal s ON s.id = t.id
                WHERE {_differs(used, has_custom)} ORDER BY t.id FOR NO KEY UPDATE OF t
            )
            UPDATE leads_deal t SET {_assignments(used, has_custom)} updated_at = %(now)s
            FROM stage_leads_deal s, old WHERE old.id = t.id AND s.id = t.id
            RETURNING t.id
            """,
            {"now": now},
        )
        updated = {row[0] for row in cursor.fetchall()}
        taken_off: list[int] = []
        if links:
            relinked, taken_off = _relink(cursor, links)
            only_relinked = relinked - created - updated
            updated |= only_relinked
            if only_relinked:
                cursor.execute("UPDATE leads_deal SET updated_at = %s WHERE id = ANY(%s)", [now, sorted(only_relinked)])
        cursor.execute(
            f"""
            INSERT INTO leads_mark (contact_id, facet)
            SELECT contact_id, {int(Mark.Facet.DEAL)} FROM leads_dealcontact WHERE deal_id = ANY(%(deals)s)
            UNION
            SELECT contact_id, {int(Mark.Facet.DEAL)} FROM unnest(%(off)s::bigint[]) contact_id
            """,
            {"deals": sorted(created | updated), "off": taken_off},
        )
    return len(created), len(updated)


def _relink(cursor: Any, links: Sequence[tuple[str, list[int]]]) -> tuple[set[int], list[int]]:
    """Deals whose list of contacts changed, and the contacts taken off."""
    ids = deals_by_key([external_id for external_id, _contacts in links])
    pairs = [(ids[external_id], contact) for external_id, contacts in links for contact in contacts]
    parameters = {
        "listed": sorted(ids.values()),
        "deals": [deal for deal, _contact in pairs],
        "contacts": [contact for _deal, contact in pairs],
    }
    cursor.execute(
        """
        DELETE FROM leads_dealcontact link
        WHERE link.deal_id = ANY(%(listed)s) AND NOT EXISTS (
            SELECT FROM unnest(%(deals)s::bigint[], %(contacts)s::bigint[]) pair (deal_id, contact_id)
            WHERE pair.deal_id = link.deal_id AND pair.contact_id = link.contact_id
        )
        RETURNING deal_id, contact_id
        """,
        parameters,
    )
    gone = cursor.fetchall()
    cursor.execute(
        """
        INSERT INTO leads_dealcontact (deal_id, contact_id)
        SELECT * FROM unnest(%(deals)s::bigint[], %(contacts)s::bigint[])
        ON CONFLICT (deal_id, contact_id) DO NOTHING
        RETURNING deal_id
        """,
        parameters,
    )
    changed = {deal for deal, _contact in gone} | {deal for (deal,) in cursor.fetchall()}
    return changed, [contact for _deal, contact in gone]


# --- Activities ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StagedActivity:
    """One activity whose contact, kind and asset are resolved; `properties` is JSON text."""

    external_id: str | None
    contact_id: int
    kind_id: int
    occurred_at: datetime
    asset_id: int | None
    properties: str | None


def activities_by_key(external_ids: Sequence[str]) -> dict[str | None, dict[str, Any]]:
    """url, subject, source and properties of the activities with these external ids. One statement, each by (contact, moment)."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT key.external_id, asset.url, asset.subject, asset.source, a.properties::text
            FROM leads_activitykey key
            CROSS JOIN LATERAL (
                SELECT asset_id, properties FROM leads_activity a
                WHERE a.contact_id = key.contact_id AND a.occurred_at = key.occurred_at AND a.id = key.activity_id OFFSET 0
            ) a
            LEFT JOIN leads_asset asset ON asset.id = a.asset_id
            WHERE key.external_id = ANY(%s)
            """,
            [list(external_ids)],
        )
        return {
            external_id: {
                "url": url,
                "subject": subject,
                "source": source,
                "properties": json.loads(properties) if properties else None,
            }
            for external_id, url, subject, source, properties in cursor.fetchall()
        }


def take_activities(rows: Sequence[StagedActivity], *, now: datetime) -> tuple[int, int]:
    """(created, updated); the rest was known already. External ids must not repeat within `rows`.

    Known is: the same external id with the same content, or without one an equal row (contact, kind, moment, asset, properties),
    stored or earlier in `rows`. Some ten statements over the staged rows, each lookup by (contact, moment) in one month.
    """
    with connection.cursor() as cursor:
        _stage_activities(cursor, rows)
        if any(row.external_id is None for row in rows):
            cursor.execute(
                """
                DELETE FROM stage_activity s USING (
                    SELECT place, row_number() OVER (
                        PARTITION BY contact_id, occurred_at, kind_id, asset_id, properties ORDER BY place
                    ) AS number
                    FROM stage_activity WHERE external_id IS NULL
                ) twin
                WHERE twin.place = s.place AND (
                    twin.number > 1 OR EXISTS (
                        SELECT FROM leads_activity a
                        WHERE a.contact_id = s.contact_id AND a.occurred_at = s.occurred_at AND a.kind_id = s.kind_id
                          AND a.asset_id IS NOT DISTINCT FROM s.asset_id
                          AND a.properties IS NOT DISTINCT FROM s.properties
                        OFFSET 0
                    )
                )
                """
            )
        updated = _change_known(cursor, now) if any(row.external_id is not None for row in rows) else 0
        cursor.execute(
            STORE_ACTIVITIES.format(
                columns=f"id, {ACTIVITY_COLUMNS}", source="SELECT * FROM stage_activity", facet=int(Mark.Facet.ACTIVITY)
            ),
            [now],
        )
        (created,) = cursor.fetchone()
        cursor.execute(
            """
            INSERT INTO leads_activitykey (external_id, activity_id, contact_id, occurred_at)
            SELECT external_id, id, contact_id, occurred_at FROM stage_activity WHERE external_id IS NOT NULL
            """
        )
    return created, updated


def _stage_activities(cursor: Any, rows: Sequence[StagedActivity]) -> None:
    cursor.execute("SELECT pg_get_serial_sequence('leads_activity', 'id')")
    (sequence,) = cursor.fetchone()
    cursor.execute("DROP TABLE IF EXISTS pg_temp.stage_activity")
    cursor.execute(
        f"""
        CREATE TEMP TABLE stage_activity (
            id bigint DEFAULT nextval('{sequence}'), place integer, external_id text, contact_id bigint, kind_id smallint,
            occurred_at timestamptz, asset_id integer, properties jsonb
        ) ON COMMIT DROP
        """
    )
    with cursor.copy(
        "COPY stage_activity (place, external_id, contact_id, kind_id, occurred_at, asset_id, properties) FROM STDIN"
    ) as copy:
        for place, row in enumerate(rows):
            copy.write_row(
                (place, row.external_id, row.contact_id, row.kind_id, row.occurred_at, row.asset_id, row.properties)
            )
    if len(rows) > 500:
        cursor.execute("ANALYZE stage_activity")


def _change_known(cursor: Any, now: datetime) -> int:
    """Staged rows whose external id is known leave the stage; how many of them say something new, which is stored."""
    cursor.execute(
        """
        DELETE FROM stage_activity s USING leads_activitykey key WHERE key.external_id = s.external_id
        RETURNING s.external_id, s.contact_id, s.kind_id, s.occurred_at, s.asset_id, s.properties::text,
                  key.activity_id, key.contact_id, key.occurred_at
        """
    )
    known = cursor.fetchall()
    if not known:
        return 0
    cursor.execute(
        """
        CREATE TEMP TABLE stage_changed ON COMMIT DROP AS
        SELECT s.*, a.kind_id AS old_kind FROM unnest(
            %s::text[], %s::bigint[], %s::smallint[], %s::timestamptz[], %s::integer[], %s::text[]::jsonb[],
            %s::bigint[], %s::bigint[], %s::timestamptz[]
        ) s (external_id, contact_id, kind_id, occurred_at, asset_id, properties, id, old_contact, old_moment)
        CROSS JOIN LATERAL (
            SELECT a.kind_id, a.asset_id, a.properties FROM leads_activity a
            WHERE a.contact_id = s.old_contact AND a.occurred_at = s.old_moment AND a.id = s.id OFFSET 0
        ) a
        WHERE (s.contact_id, s.occurred_at, s.kind_id) <> (s.old_contact, s.old_moment, a.kind_id)
           OR s.asset_id IS DISTINCT FROM a.asset_id OR s.properties IS DISTINCT FROM a.properties
        """,
        [list(column) for column in zip(*known, strict=True)],
    )
    cursor.execute("SELECT count(*) FROM stage_changed")
    (changed,) = cursor.fetchone()
    if changed:
        # The lookup must go by (contact, moment) in one month, whatever the planner thinks of a fresh temporary table.
        cursor.execute("SET LOCAL enable_hashjoin = off")
        cursor.execute("SET LOCAL enable_mergejoin = off")
        cursor.execute(
            "DELETE FROM leads_activity a USING stage_changed s"
            " WHERE a.contact_id = s.old_contact AND a.occurred_at = s.old_moment AND a.id = s.id"
        )
        cursor.execute("SET LOCAL enable_hashjoin = on")
        cursor.execute("SET LOCAL enable_mergejoin = on")
        cursor.execute(
            """
            INSERT INTO leads_activity (id, contact_id, kind_id, occurred_at, asset_id, properties, recorded_at)
            SELECT id, contact_id, kind_id, occurred_at, asset_id, properties, %s FROM stage_changed
            """,
            [now],
        )
        cursor.execute(
            """
            UPDATE leads_activitykey key SET contact_id = s.contact_id, occurred_at = s.occurred_at
            FROM stage_changed s WHERE key.external_id = s.external_id
            """
        )
        _sum_again(cursor)
    cursor.execute("DROP TABLE stage_changed")
    return int(changed)


def _sum_again(cursor: Any) -> None:
    """Signals of the contacts and kinds that changed activities touched, before and after, from the rows themselves."""
    cursor.execute(
        """
        SELECT contact_id, kind_id FROM stage_changed UNION SELECT old_contact, old_kind FROM stage_changed
        ORDER BY contact_id, kind_id
        """
    )
    pairs = cursor.fetchall()
    parameters = {"contacts": [contact for contact, _kind in pairs], "kinds": [kind for _contact, kind in pairs]}
    cursor.execute(
        """
        DELETE FROM leads_signal signal USING unnest(%(contacts)s::bigint[], %(kinds)s::smallint[]) pair (contact_id, kind_id)
        WHERE signal.contact_id = pair.contact_id AND signal.kind_id = pair.kind_id
        """,
        parameters,
    )
    cursor.execute(
        f"""
        WITH summed AS (
            INSERT INTO leads_signal (contact_id, kind_id, n, first_at, last_at)
            SELECT pair.contact_id, pair.kind_id, sums.n, sums.first_at, sums.last_at
            FROM unnest(%(contacts)s::bigint[], %(kinds)s::smallint[]) pair (contact_id, kind_id)
            CROSS JOIN LATERAL (
                SELECT count(*) AS n, min(occurred_at) AS first_at, max(occurred_at) AS last_at FROM leads_activity a
                WHERE a.contact_id = pair.contact_id AND a.kind_id = pair.kind_id
            ) sums
            WHERE sums.n > 0
        )
        INSERT INTO leads_mark (contact_id, facet)
        SELECT DISTINCT contact_id, {int(Mark.Facet.ACTIVITY)} FROM unnest(%(contacts)s::bigint[]) contact_id
        """,
        parameters,
    )


# --- Dry run ---------------------------------------------------------------------------------------------------------------

# Highest ids of a dry run's own rows, by the column's width; real ids stay below.
_SHADOW_IDS = {"bigint": 1 << 62, "integer": 1 << 30, "smallint": 1 << 14}
_SHADOWED = (
    "leads_contact",
    "leads_company",
    "leads_deal",
    "leads_dealcontact",
    "leads_owner",
    "leads_activity",
    "leads_activitykey",
    "leads_activitykind",
    "leads_asset",
    "leads_signal",
    "leads_mark",
    "leads_stagemove",
)


class Shadow:
    """Temporary tables of the same names that stand before the real ones on this connection while a dry run lasts.

    The very statements of a real run then meet the shadow: its results are exact, and nothing real is written or locked.
    `pull_*` copies in the real rows that the next rows may meet; what the run changed before stays.
    """

    def __init__(self, schema: str) -> None:
        self._schema = schema

    def pull_contacts(self, external_ids: Sequence[str], addresses: Sequence[str]) -> None:
        self._pull("leads_contact", "external_id = ANY(%s) OR lower(email) = ANY(%s)", external_ids, addresses)

    def pull_companies(self, external_ids: Sequence[str], names: Sequence[str]) -> None:
        self._pull("leads_company", "external_id = ANY(%s) OR lower(name) = ANY(%s)", external_ids, names)

    def pull_deals(self, external_ids: Sequence[str]) -> None:
        self._pull("leads_deal", "external_id = ANY(%s)", external_ids)
        self._pull(
            "leads_dealcontact",
            f"deal_id IN (SELECT id FROM {self._schema}.leads_deal WHERE external_id = ANY(%s))"
            " AND NOT EXISTS (SELECT FROM shadow_deals met WHERE met.deal_id = leads_dealcontact.deal_id)",
            external_ids,
        )
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO shadow_deals SELECT id FROM leads_deal WHERE external_id = ANY(%s)", [list(external_ids)]
            )

    def pull_assets(self, digests: Sequence[Any]) -> None:
        self._pull("leads_asset", "digest = ANY(%s)", digests)

    def pull_activities(
        self, external_ids: Sequence[str], contacts: Sequence[int], moments: Sequence[datetime]
    ) -> None:
        """Real rows of these (contact, moment) pairs and external ids that the run has not met yet."""
        with connection.cursor() as cursor:
            cursor.execute(
                f"""
                WITH met AS (
                    SELECT a.* FROM (
                        SELECT DISTINCT * FROM unnest(%s::bigint[], %s::timestamptz[]) pair (contact_id, occurred_at)
                        UNION
                        SELECT contact_id, occurred_at FROM {self._schema}.leads_activitykey WHERE external_id = ANY(%s)
                    ) pair
                    CROSS JOIN LATERAL (
                        SELECT * FROM {self._schema}.leads_activity a
                        WHERE a.contact_id = pair.contact_id AND a.occurred_at = pair.occurred_at OFFSET 0
                    ) a
                ), fresh AS (
                    INSERT INTO shadow_activities SELECT id FROM met ON CONFLICT DO NOTHING RETURNING id
                ), stored AS (
                    INSERT INTO leads_activity SELECT met.* FROM met JOIN fresh ON fresh.id = met.id RETURNING asset_id
                )
                INSERT INTO leads_asset
                SELECT * FROM {self._schema}.leads_asset WHERE id IN (SELECT asset_id FROM stored) ON CONFLICT DO NOTHING
                """,
                [list(contacts), list(moments), list(external_ids)],
            )
        self._pull("leads_activitykey", "external_id = ANY(%s)", external_ids)

    def _pull(self, table: str, condition: str, *parameters: Sequence[Any]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} SELECT * FROM {self._schema}.{table} WHERE {condition} ON CONFLICT DO NOTHING",
                [list(values) for values in parameters],
            )


@contextmanager
def shadow() -> Iterator[Shadow]:
    """For a dry run on this connection; whatever ends it, the shadow is gone afterwards."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        (schema,) = cursor.fetchone()
        try:
            for table in _SHADOWED:
                cursor.execute(f"CREATE TEMP TABLE {table} (LIKE {schema}.{table} INCLUDING ALL)")
                cursor.execute(
                    "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
                    " WHERE attrelid = %s::regclass AND attname = 'id' AND attidentity <> ''",
                    [f"pg_temp.{table}"],
                )
                if found := cursor.fetchone():
                    cursor.execute(f"ALTER TABLE pg_temp.{table} ALTER COLUMN id RESTART WITH {_SHADOW_IDS[found[0]]}")
            cursor.execute("CREATE TEMP TABLE shadow_deals (deal_id bigint)")
            cursor.execute("CREATE TEMP TABLE shadow_activities (id bigint PRIMARY KEY)")
            for table in ("leads_owner", "leads_activitykind"):
                cursor.execute(f"INSERT INTO {table} SELECT * FROM {schema}.{table}")
            yield Shadow(schema)
        finally:
            if connection.is_usable():
                names = ", ".join(
                    f"pg_temp.{table}" for table in ("stage_activity", *_SHADOWED, "shadow_deals", "shadow_activities")
                )
                cursor.execute(f"DROP TABLE IF EXISTS {names}")
