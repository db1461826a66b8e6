"""Statements over many facts at once: partitions, activities with their signals and marks, and what an import stages."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from leads import queries_prepared
from leads.models import Mark, Workspace

# Every rule has to look at a new contact; DEFINITION is the engine's own.
FACETS_OF_A_NEW_CONTACT = (
    Mark.Facet.CONTACT,
    Mark.Facet.COMPANY,
    Mark.Facet.ACTIVITY,
    Mark.Facet.DEAL,
    Mark.Facet.CONSENT,
)
# Months this far from today get a partition of their own; rarer moments share leads_activity_other, so that a file with
# dates from 1900 to 2100 does not make 2,400 tables.
MONTHS_BACK = 120
MONTHS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """One activity on its way into the table; `asset` is (url, subject, source)."""

    contact_id: int
    kind_id: int
    occurred_at: datetime
    asset: tuple[str, str, str] = ("", "", "")
    properties: str | None = None  # JSON text


# --- Marks ---------------------------------------------------------------------------------------------------------------


def mark(contact_ids: Iterable[int], *facets: int) -> int:
    """Marks left. One statement; locks nothing that others write."""
    ids = list(contact_ids)
    if not ids or not facets:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_mark (contact_id, facet)
            SELECT contact_id, facet FROM unnest(%s::bigint[]) contact_id CROSS JOIN unnest(%s::smallint[]) facet
            """,
            [ids, [int(facet) for facet in facets]],
        )
        return int(cursor.rowcount)


def mark_people_of(company_ids: Iterable[int]) -> int:
    """A mark for everybody who works for one of these companies. One statement over the index on company_id."""
    ids = list(company_ids)
    if not ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_mark (contact_id, facet) SELECT id, %s FROM leads_contact WHERE company_id = ANY(%s)",
            [int(Mark.Facet.COMPANY), ids],
        )
        return int(cursor.rowcount)


# --- Contacts, many at once ------------------------------------------------------------------------------------------------


def set_column(contact_ids: Sequence[int], *, column: str, value: Any, now: datetime) -> list[int]:
    """Ids of the contacts whose column differed. One statement, locks in key order; `column` is a word of our own."""
    return _changed(
        f"""
        WITH due AS (
            SELECT id FROM leads_contact WHERE id = ANY(%(ids)s) AND {column} IS DISTINCT FROM %(value)s
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE leads_contact contact SET {column} = %(value)s, updated_at = %(now)s FROM due
        WHERE contact.id = due.id RETURNING contact.id
        """,
        {"ids": list(contact_ids), "value": value, "now": now},
    )


def set_custom(contact_ids: Sequence[int], *, key: str, value: Any, now: datetime) -> list[int]:
    """Ids of the contacts whose custom value differed; None takes the key away. One statement, locks in key order."""
    fresh = "custom - %(key)s" if value is None else "custom || jsonb_build_object(%(key)s::text, %(value)s::jsonb)"
    return _changed(
        f"""
        WITH due AS (
            SELECT id FROM leads_contact WHERE id = ANY(%(ids)s) AND custom IS DISTINCT FROM {fresh}
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE leads_contact contact SET custom = {fresh}, updated_at = %(now)s FROM due
        WHERE contact.id = due.id RETURNING contact.id
        """,
        {"ids": list(contact_ids), "key": key, "value": json_text(value), "now": now},
    )


def add_tag(contact_ids: Sequence[int], *, tag: str, now: datetime) -> list[int]:
    """Ids of the contacts that did not have the tag. One statement, locks in key order."""
    return _changed(
        """
        WITH due AS (
            SELECT id FROM leads_contact
            WHERE id = ANY(%(ids)s) AND NOT EXISTS (SELECT FROM unnest(tags) tag WHERE lower(tag) = lower(%(tag)s))
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE leads_contact contact SET tags = contact.tags || %(tag)s::text, updated_at = %(now)s FROM due
        WHERE contact.id = due.id RETURNING contact.id
        """,
        {"ids": list(contact_ids), "tag": tag, "now": now},
    )


def remove_tag(contact_ids: Sequence[int], *, tag: str, now: datetime) -> list[int]:
    """Ids of the contacts that had the tag. One statement, locks in key order."""
    return _changed(
        """
        WITH due AS (
            SELECT id FROM leads_contact
            WHERE id = ANY(%(ids)s) AND EXISTS (SELECT FROM unnest(tags) tag WHERE lower(tag) = lower(%(tag)s))
            ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE leads_contact contact
        SET tags = ARRAY(SELECT tag FROM unnest(contact.tags) WITH ORDINALITY part (tag, place)
                         WHERE lower(tag) <> lower(%(tag)s) ORDER BY place),
            updated_at = %(now)s
        FROM due WHERE contact.id = due.id RETURNING contact.id
        """,
        {"ids": list(contact_ids), "tag": tag, "now": now},
    )


def move_stages(
    contact_ids: Sequence[int], *, allowed: Sequence[str], to: str, cause: str, reason: str, now: datetime
) -> list[int]:
    """Ids of the contacts that stood in an allowed stage and moved; their history is written too. One statement, locks in key order.

    A clock that went back makes no move earlier than the one before it: the last of the history is where they stand.
    """
    return _changed(
        """
        WITH due AS (
            SELECT id, stage, greatest(%(now)s, (SELECT max(moved_at) FROM leads_stagemove m WHERE m.contact_id = c.id)) AS at
            FROM leads_contact c WHERE id = ANY(%(ids)s) AND stage = ANY(%(allowed)s)
            ORDER BY id FOR NO KEY UPDATE
        ), history AS (
            INSERT INTO leads_stagemove (contact_id, moved_at, from_stage, to_stage, cause, reason)
            SELECT id, at, stage, %(to)s, %(cause)s, %(reason)s FROM due
        )
        UPDATE leads_contact contact SET stage = %(to)s, stage_since = due.at, updated_at = %(now)s FROM due
        WHERE contact.id = due.id RETURNING contact.id
        """,
        {
            "ids": list(contact_ids),
            "allowed": list(allowed),
            "to": to,
            "cause": cause,
            "reason": reason,
            "now": now,
        },
    )


def contacts_at(address: str) -> list[int]:
    """Ids of the contacts with this normal address: none or one. One statement over the unique index."""
    return _changed("SELECT id FROM leads_contact WHERE lower(email) = %(address)s", {"address": address})


def forget_assets_of(contact_id: int) -> int:
    """Take the words out of assets that only this contact's activities name: a personal subject or link. How many.

    One statement with one pass over all activities, two seconds for twenty million: somebody is erased, which is rare. The row stays,
    under a digest that nothing has, since an activity on its way may name it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH theirs AS MATERIALIZED (
                SELECT DISTINCT asset_id FROM leads_activity WHERE contact_id = %(contact)s AND asset_id IS NOT NULL
            ), shared AS MATERIALIZED (
                SELECT DISTINCT a.asset_id FROM leads_activity a JOIN theirs USING (asset_id) WHERE a.contact_id <> %(contact)s
            )
            UPDATE leads_asset SET url = '', subject = '', source = '', digest = gen_random_uuid()
            WHERE id IN (SELECT asset_id FROM theirs EXCEPT SELECT asset_id FROM shared)
            """,
            {"contact": contact_id},
        )
        return int(cursor.rowcount)


def lock_signals(contact_ids: Sequence[int]) -> None:
    """Signals of these contacts, until the transaction ends. One statement.

    An intake of activities takes them first too: who stores one for any of them waits, and afterwards finds the contact gone,
    instead of leaving an activity behind that belongs to nobody.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM leads_signal WHERE contact_id = ANY(%s) ORDER BY contact_id, kind_id FOR UPDATE",
            [sorted(contact_ids)],
        )


def forget_assets_of_nobody() -> int:
    """The same for assets that no activity names any more, as those of a contact that was deleted before. One statement, one such pass."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH used AS MATERIALIZED (SELECT DISTINCT asset_id FROM leads_activity WHERE asset_id IS NOT NULL)
            UPDATE leads_asset a SET url = '', subject = '', source = '', digest = gen_random_uuid()
            WHERE (url, subject, source) <> ('', '', '') AND NOT EXISTS (SELECT FROM used WHERE used.asset_id = a.id)
            """
        )
        return int(cursor.rowcount)


def delete_activities_of(contact_id: int) -> None:
    """The activities and pending marks of one contact: one index scan in each month."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM leads_activity WHERE contact_id = %s", [contact_id])
        cursor.execute("DELETE FROM leads_mark WHERE contact_id = %s", [contact_id])


def _changed(statement: str, parameters: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return [row[0] for row in cursor.fetchall()]


# --- Partitions ----------------------------------------------------------------------------------------------------------


def ensure_partitions(first: datetime, last: datetime, *, now: datetime | None = None) -> int:
    """Monthly partitions made, so that moments from first to last have theirs; returns how many are new.

    With `now`, only months from MONTHS_BACK before it to MONTHS_AHEAD after it. A new month takes its rows out of the
    default partition, which is locked meanwhile. Reads the catalogue once; makes nothing when all are there.
    """
    lowest, highest = _month(first), _month(last)
    if now is not None:
        lowest = max(lowest, _month(now) - MONTHS_BACK)
        highest = min(highest, _month(now) + MONTHS_AHEAD)
    return make_partitions(range(lowest, highest + 1))


def make_partitions(months: Iterable[int]) -> int:
    """New partitions for these months (year × 12 + month − 1)."""
    wanted = {_partition(month): month for month in months}
    if not wanted:
        return 0
    with queries_prepared.prepared_cursor() as cursor:
        missing = _missing(cursor, wanted)
    if not missing:
        return 0
    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('leads_activity partitions'))")
        missing = _missing(cursor, wanted)
        for name in sorted(missing):
            _make_partition(cursor, name, wanted[name])
    return len(missing)


def _missing(cursor: Any, names: Iterable[str]) -> list[str]:
    # Asked of the catalogue's rows: to_regclass answers from a cache that a wait for the lock does not renew.
    cursor.execute(
        "SELECT name FROM unnest(%s::text[]) name WHERE NOT EXISTS (SELECT FROM pg_class WHERE relname = name"
        " AND relnamespace = current_schema()::regnamespace)",
        [list(names)],
    )
    return [name for (name,) in cursor.fetchall()]


def _make_partition(cursor: Any, name: str, month: int) -> None:
    start, end = _first_of(month), _first_of(month + 1)
    cursor.execute(f"CREATE TABLE {name} (LIKE leads_activity INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    cursor.execute("LOCK TABLE leads_activity_other IN ACCESS EXCLUSIVE MODE")
    cursor.execute(
        f"""
        WITH moved AS (DELETE FROM leads_activity_other WHERE occurred_at >= %s AND occurred_at < %s RETURNING *)
        INSERT INTO {name} SELECT * FROM moved
        """,
        [start, end],
    )
    cursor.execute(
        f"ALTER TABLE leads_activity ATTACH PARTITION {name} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
    )


def _month(moment: datetime) -> int:
    moment = moment.astimezone(UTC)
    return moment.year * 12 + moment.month - 1


def _first_of(month: int) -> datetime:
    return datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)


def _partition(month: int) -> str:
    return f"leads_activity_{month // 12:04d}_{month % 12 + 1:02d}"


# --- Activities ------------------------------------------------------------------------------------------------------------


def kind_ids(slugs: Collection[str]) -> dict[str, int]:
    """Id of each kind, made where it was never seen. One statement, two with new slugs."""
    with queries_prepared.prepared_cursor() as cursor:
        cursor.execute("SELECT slug, id FROM leads_activitykind WHERE slug = ANY(%s)", [list(slugs)])
        known: dict[str, int] = dict(cursor.fetchall())
        fresh = sorted(set(slugs) - known.keys())
        if fresh:
            cursor.execute(
                """
                INSERT INTO leads_activitykind (slug, label, is_custom)
                SELECT slug, label, true FROM unnest(%s::text[], %s::text[]) new (slug, label) ORDER BY slug
                ON CONFLICT (slug) DO UPDATE SET slug = excluded.slug
                RETURNING slug, id
                """,
                [fresh, [slug.replace("_", " ").replace("-", " ").capitalize() for slug in fresh]],
            )
            known.update(cursor.fetchall())
    return known


def asset_ids(assets: Collection[tuple[str, str, str]]) -> dict[tuple[str, str, str], int | None]:
    """Id of each (url, subject, source), made where it is new; None for one that says nothing. One statement, two with new ones."""
    ids: dict[tuple[str, str, str], int | None] = dict.fromkeys(assets)
    digests = {asset_digest(asset): asset for asset in ids if any(asset)}
    if not digests:
        return ids
    with queries_prepared.prepared_cursor() as cursor:
        cursor.execute("SELECT digest, id FROM leads_asset WHERE digest = ANY(%s)", [list(digests)])
        known: dict[uuid.UUID, int] = dict(cursor.fetchall())
        fresh = sorted(digests.keys() - known.keys())
        if fresh:
            cursor.execute(
                """
                INSERT INTO leads_asset (digest, url, subject, source)
                SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::text[])
                ON CONFLICT (digest) DO UPDATE SET digest = excluded.digest
                RETURNING digest, id
                """,
                [fresh, *([digests[digest][column] for digest in fresh] for column in range(3))],
            )
            known.update(cursor.fetchall())
    for digest, number in known.items():
        ids[digests[digest]] = number
    return ids


def asset_digest(asset: tuple[str, str, str]) -> uuid.UUID:
    return uuid.UUID(bytes=hashlib.md5("\x1f".join(asset).encode(), usedforsecurity=False).digest())


FEW = 200  # activities: up to here planning weighs more than a plan for their number
ACTIVITY_COLUMNS = "contact_id, kind_id, occurred_at, asset_id, properties"
STORE_ACTIVITIES = """
WITH new AS (
    INSERT INTO leads_activity ({columns}, recorded_at)
    SELECT {columns}, %s FROM ({source}) source
    RETURNING contact_id, kind_id, occurred_at
), summed AS (
    INSERT INTO leads_signal AS signal (contact_id, kind_id, n, first_at, last_at)
    SELECT contact_id, kind_id, count(*), min(occurred_at), max(occurred_at) FROM new
    GROUP BY contact_id, kind_id ORDER BY contact_id, kind_id
    ON CONFLICT (contact_id, kind_id) DO UPDATE SET
        n = signal.n + excluded.n,
        first_at = least(signal.first_at, excluded.first_at),
        last_at = greatest(signal.last_at, excluded.last_at)
), marked AS (
    INSERT INTO leads_mark (contact_id, facet) SELECT DISTINCT contact_id, {facet} FROM new
)
SELECT count(*) FROM new
"""


def store_activities(rows: Sequence[ActivityRow], *, now: datetime) -> int:
    """Activities stored, with their signals and marks: three to five statements whatever the number of rows, best by 1,000 and more.

    Locks the signals of these contacts in key order until the transaction ends.
    """
    if not rows:
        return 0
    make_partitions(months_worth_a_partition((row.occurred_at for row in rows), now=now))
    assets = asset_ids({row.asset for row in rows})
    source = """
        SELECT * FROM unnest(%s::bigint[], %s::smallint[], %s::timestamptz[], %s::integer[], %s::text[]::jsonb[])
        AS row (contact_id, kind_id, occurred_at, asset_id, properties)
    """
    statement = STORE_ACTIVITIES.format(columns=ACTIVITY_COLUMNS, source=source, facet=int(Mark.Facet.ACTIVITY))
    with queries_prepared.prepared_cursor() if len(rows) <= FEW else connection.cursor() as cursor:
        cursor.execute(
            statement,
            [
                now,
                [row.contact_id for row in rows],
                [row.kind_id for row in rows],
                [row.occurred_at for row in rows],
                [assets[row.asset] for row in rows],
                [row.properties for row in rows],
            ],
        )
        (count,) = cursor.fetchone()
    return int(count)


def months_worth_a_partition(moments: Iterable[datetime], *, now: datetime) -> set[int]:
    """Months of these moments that are near enough to now to have a partition of their own."""
    lowest, highest = _month(now) - MONTHS_BACK, _month(now) + MONTHS_AHEAD
    return {month for month in {_month(moment) for moment in moments} if lowest <= month <= highest}


def json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# --- The workspace -----------------------------------------------------------------------------------------------------------


def workspace_row() -> Workspace | None:
    """The one row, None before it is made. One statement, written out since every page and every turn begins with it."""
    return next((row for row, _ in queries_prepared.rows_of(Workspace, "WHERE id = 1")), None)


# --- Pages -----------------------------------------------------------------------------------------------------------------


def estimated_rows(table: str) -> int:
    """Rows of a table as the planner last counted them; 0 before the first ANALYZE. One statement over the catalogue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass", [table])
        (rows,) = cursor.fetchone()
    return int(rows)


def frequent_values() -> dict[str, list[str]]:
    """What a filter can suggest for source, country and tags: the values of the newest contacts and the planner's most common ones.

    One statement; it reads 5,000 contacts by the index of the list's order, never everybody. The statistics add to those only
    when there are more: they are as old as the last ANALYZE and may name what nobody has any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH newest AS MATERIALIZED (
                SELECT source, country, tags FROM leads_contact ORDER BY created_at DESC, id DESC LIMIT 5000
            ), common AS (
                SELECT attname, most_common_vals, most_common_elems FROM pg_stats
                WHERE schemaname = current_schema AND tablename = 'leads_contact' AND attname IN ('source', 'country', 'tags')
                  AND (SELECT count(*) FROM newest) = 5000
            ), known (field, value) AS (
                SELECT 'source', source FROM newest
                UNION SELECT 'country', country FROM newest
                UNION SELECT 'tags', unnest(tags) FROM newest
                UNION SELECT attname::text, unnest(most_common_vals::text::text[]) FROM common WHERE attname <> 'tags'
                UNION SELECT 'tags', unnest(most_common_elems::text::text[]) FROM common WHERE attname = 'tags'
            )
            SELECT field, array_agg(value ORDER BY lower(value), value) FROM known WHERE value <> '' GROUP BY field
            """
        )
        found: dict[str, list[str]] = dict(cursor.fetchall())
    return {field: found.get(field, []) for field in ("source", "country", "tags")}


TIMELINE_OF_FACTS = {
    "activities": """
        SELECT activity.occurred_at AS at, 'activities' AS category, kind.slug AS what, kind.label AS title,
               coalesce(asset.subject, '') AS first, coalesce(asset.url, '') AS second, coalesce(asset.source, '') AS third,
               activity.properties AS detail
        FROM leads_activity activity
        JOIN leads_activitykind kind ON kind.id = activity.kind_id
        LEFT JOIN leads_asset asset ON asset.id = activity.asset_id
        WHERE activity.contact_id = %(contact)s AND activity.occurred_at < %(before)s AND NOT EXISTS (
            SELECT FROM unnest(%(kinds)s::text[], %(sources)s::text[]) elsewhere (kind, source)
            WHERE elsewhere.kind = kind.slug AND starts_with(asset.source, elsewhere.source)
        )
        ORDER BY activity.occurred_at DESC LIMIT %(limit)s
    """,
    "stages": """
        SELECT move.moved_at, 'stages', move.cause, move.reason, move.from_stage, move.to_stage,
               coalesce(nullif(trim(actor.first_name || ' ' || actor.last_name), ''), actor.username, ''), NULL::jsonb
        FROM leads_stagemove move LEFT JOIN auth_user actor ON actor.id = move.actor_id
        WHERE move.contact_id = %(contact)s AND move.moved_at < %(before)s
        ORDER BY move.moved_at DESC LIMIT %(limit)s
    """,
    "deals": """
        SELECT at, 'deals', what, deal.product, deal.external_id, deal.loss_reason, deal.amount::text, to_jsonb(deal.id)
        FROM leads_dealcontact listed
        JOIN leads_deal deal ON deal.id = listed.deal_id
        CROSS JOIN LATERAL (VALUES
            ('opened', deal.opened_on::timestamp AT TIME ZONE %(zone)s),
            (deal.status, CASE WHEN deal.status <> 'open' THEN deal.closed_on::timestamp AT TIME ZONE %(zone)s END)
        ) event (what, at)
        WHERE listed.contact_id = %(contact)s AND event.at < %(before)s
        ORDER BY at DESC LIMIT %(limit)s
    """,
    "consent": """
        SELECT occurred_at, 'consent', state, purpose, source, wording, '', NULL::jsonb
        FROM leads_consentevent
        WHERE contact_id = %(contact)s AND occurred_at < %(before)s
        ORDER BY occurred_at DESC LIMIT %(limit)s
    """,
    "record": """
        SELECT created_at, 'record', 'created', source, '', '', '', NULL::jsonb
        FROM leads_contact WHERE id = %(contact)s AND created_at < %(before)s
        UNION ALL
        SELECT merge.at, 'record', 'merged', merge.gone_name, coalesce(merge.external_id, ''), coalesce(merge.email, ''),
               coalesce(nullif(trim(actor.first_name || ' ' || actor.last_name), ''), actor.username, ''), NULL::jsonb
        FROM leads_contactmerge merge LEFT JOIN auth_user actor ON actor.id = merge.actor_id
        WHERE merge.kept_id = %(contact)s AND merge.at < %(before)s
    """,
}


@dataclass(frozen=True, slots=True)
class FactEvent:
    """One row of the facts' timeline; what the texts mean depends on the category."""

    at: datetime
    category: str
    what: str
    title: str
    first: str
    second: str
    third: str
    detail: Any


def timeline_of_facts(
    contact_id: int,
    *,
    before: datetime | None,
    limit: int,
    zone: str,
    categories: Collection[str],
    elsewhere: Sequence[tuple[str, str]] = (),
) -> list[FactEvent]:
    """The newest facts of these categories strictly before the moment, newest first. One statement, each category by its index.

    Left out are activities that are told `elsewhere`: (kind, beginning of their source).
    """
    parts = " UNION ALL ".join(f"({sql})" for key, sql in TIMELINE_OF_FACTS.items() if key in categories)
    if not parts:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT * FROM ({parts}) event (at, category, what, title, first, second, third, detail)
            ORDER BY at DESC LIMIT %(limit)s
            """,
            {
                "contact": contact_id,
                "before": before or "infinity",
                "limit": limit,
                "zone": zone,
                "kinds": [kind for kind, _source in elsewhere],
                "sources": [source for _kind, source in elsewhere],
            },
        )
        rows = cursor.fetchall()
    return [FactEvent(*_with_detail(row)) for row in rows]


def _with_detail(row: tuple[Any, ...]) -> list[Any]:
    """The row with its last value read as JSON: Django's connections give jsonb as text."""
    return [*row[:-1], json.loads(row[-1]) if isinstance(row[-1], str) else row[-1]]


def last_active(contact_ids: Sequence[int], *, limit: int) -> tuple[list[int], datetime | None]:
    """Those of the contacts who were active last, and since when they have `limit` activities together (None: never active).

    One statement: the sums of these contacts, then at most `limit` steps down the index of the activities for each of the last.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT array_agg(DISTINCT contact_id), min(occurred_at) FROM (
                SELECT r.contact_id, a.occurred_at FROM (
                    SELECT contact_id FROM leads_signal WHERE contact_id = ANY (%s::bigint[])
                    GROUP BY contact_id ORDER BY max(last_at) DESC LIMIT %s
                ) r CROSS JOIN LATERAL (
                    SELECT occurred_at FROM leads_activity a WHERE a.contact_id = r.contact_id
                    ORDER BY a.occurred_at DESC LIMIT %s
                ) a ORDER BY a.occurred_at DESC LIMIT %s
            ) newest
            """,
            [list(contact_ids), limit, limit, limit],
        )
        contacts, since = cursor.fetchone()
        return list(contacts or ()), since
