"""Statements over many memberships: the difference between a rule and what is stored, staged and written in chunks; counts; trends."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from leads import queries_prepared
from leads.models import Mark
from leads.queries_prepared import prepared_cursor
from segments.conditions import Sql
from segments.models import Persona, Segment

# One stage at a time: the turn holds the advisory lock. Unlogged and not temporary, since PostgreSQL fills a temporary
# table without parallel workers (LIMITS, trap 6).
STAGE = "segments_stage"
# 128 pages hold 20,000–29,000 staged rows: within the 10,000–50,000 that keep the longest lock near 0.1 s (LIMITS).
CHUNK_PAGES = 128

NOBODY = Sql("SELECT NULL::bigint WHERE false", ())


@dataclass(frozen=True)
class Changed:
    """How many joined and left in one statement, and who they are when a batch asked."""

    joined: int
    left: int
    contacts: tuple[int, ...] = ()


def try_turn_lock(key: int) -> bool:
    """Whether this session now holds the engine's lock; it falls with the connection, so a killed turn blocks nobody. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        return bool(cursor.fetchone()[0])


def holds_turn_lock(key: int) -> bool:
    """Whether it is this session that holds the lock. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
            " AND classid = 0 AND objid = %s AND objsubid = 1)",
            [key],
        )
        return bool(cursor.fetchone()[0])


def release_turn_lock(key: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_unlock(%s)", [key])


def bound_statements(seconds: float) -> None:
    """No statement of this transaction runs longer, and a prepared one is not planned again for its values. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true), set_config('plan_cache_mode', 'force_generic_plan', true)",
            [str(int(seconds * 1000))],
        )


# --- marks -----------------------------------------------------------------------------------------------------------


def custom_fields_stamp() -> object:
    """Changes whenever the custom fields may have. One statement over a small table."""
    with prepared_cursor() as cursor:
        cursor.execute("SELECT count(*), max(id), md5(string_agg(id || type, ',' ORDER BY id)) FROM leads_customfield")
        return tuple(cursor.fetchone())


def marks_wait() -> bool:
    """One statement that reads one row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM leads_mark)")
        return bool(cursor.fetchone()[0])


def marks_up_to(limit: int, *, besides: int | None = None) -> int:
    """The number of marks, counted no further than the limit; without those of one facet. One statement."""
    others = "" if besides is None else "WHERE facet <> %s "
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM leads_mark {others}LIMIT %s) AS counted",
            [limit] if besides is None else [besides, limit],
        )
        return int(cursor.fetchone()[0])


@dataclass(frozen=True)
class Claimed:
    """Marks taken off the list: contact -> facets. `is_full`: as many as were asked for, so that more may wait."""

    facets: Mapping[int, frozenset[int]]
    is_full: bool


def claim_marks(limit: int) -> Claimed:
    """Take marks off the list, oldest first. One statement; the rows are gone when the transaction commits.

    Evaluation must happen in a later statement of the same transaction: its snapshot then sees what the marks told about.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH claimed AS (DELETE FROM leads_mark WHERE id = ANY (ARRAY(SELECT id FROM leads_mark ORDER BY id LIMIT %s"
            " FOR UPDATE SKIP LOCKED)) RETURNING contact_id, facet)"
            " SELECT contact_id, array_agg(DISTINCT facet), count(*) FROM claimed GROUP BY contact_id ORDER BY contact_id",
            [limit],
        )
        rows = cursor.fetchall()
        facets = {contact_id: frozenset(facets) for contact_id, facets, _ in rows}
        return Claimed(facets, is_full=sum(marks for _, _, marks in rows) == limit)


def put_back(contact_ids: Sequence[int], facet: int) -> None:
    """Mark contacts again. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_mark (contact_id, facet) SELECT unnest(%s::bigint[]), %s", [list(contact_ids), facet]
        )


def fold_marks(facet: int, *, only: bool = False) -> int:
    """Replace every visible mark (`only`: every one of this facet) by one per contact with the facet; how many contacts.

    One statement over all marks.
    """
    those, params = (" WHERE facet = %s", [facet]) if only else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH gone AS (DELETE FROM leads_mark{those} RETURNING contact_id)"
            " INSERT INTO leads_mark (contact_id, facet) SELECT DISTINCT contact_id, %s::smallint FROM gone",
            [*params, facet],
        )
        return int(cursor.rowcount)


# --- time --------------------------------------------------------------------------------------------------------------------


def next_activity(now: datetime) -> datetime | None:
    """When the first activity dated after `now` will exist. One statement; it reads the months from this one on by the BRIN index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(occurred_at) FROM leads_activity WHERE occurred_at > %s", [now])
        found: datetime | None = cursor.fetchone()[0]
        return found


# What happens at a moment of its own, which may lie after the turn's: facet -> table and its moment.
_DATED = {
    Mark.Facet.ACTIVITY.value: ("leads_activity", "occurred_at"),
    Mark.Facet.CONTACT.value: ("leads_stagemove", "moved_at"),
    Mark.Facet.CONSENT.value: ("leads_consentevent", "occurred_at"),
}


def first_ahead(now: datetime, touched: Mapping[int, Collection[int]]) -> dict[int, datetime]:
    """facet -> when the first fact after `now` of its contacts will exist: an activity dated ahead, a stage moved or a consent given
    since the turn began. One statement by the indexes on the contact; none where no mark tells of such facts."""
    asked = [facet for facet in _DATED if touched.get(facet)]
    if not asked:
        return {}
    firsts = [
        f"(SELECT min({moment}) FROM {table} WHERE {moment} > %s::timestamptz AND contact_id = ANY (%s::bigint[]))"
        for table, moment in (_DATED[facet] for facet in asked)
    ]
    with prepared_cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(firsts)}", [value for facet in asked for value in (now, sorted(touched[facet]))]
        )
        return {facet: first for facet, first in zip(asked, cursor.fetchone(), strict=True) if first is not None}


def some_contacts(parts: Sequence[Sql], *, limit: int) -> list[int]:
    """Contacts that any of the queries returns, each once, in order, at most `limit`. One statement, none without queries."""
    if not parts:
        return []
    union = " UNION ".join(f"SELECT id FROM ({part.text}) AS part{place}(id)" for place, part in enumerate(parts))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM ({union}) AS found ORDER BY id LIMIT %s",
            [*(value for part in parts for value in part.params), limit],
        )
        return [int(contact_id) for (contact_id,) in cursor.fetchall()]


# --- members: wanted = (matches ∪ added) − removed, against the open memberships -----------------------------------------


def _difference(segment_id: int, matching: Sql, contacts: Sequence[int] | None, *, has_overrides: bool) -> Sql:
    """Rows (contact_id, matches) of those whose membership is not what it should be."""
    only, only_params = ("", ()) if contacts is None else (" AND contact_id = ANY (%s::bigint[])", (list(contacts),))
    members = f"SELECT contact_id FROM segments_membership WHERE segment_id = %s AND until IS NULL{only}"
    if not has_overrides:
        return Sql(
            "SELECT COALESCE(w.contact_id, m.contact_id) AS contact_id, w.contact_id IS NOT NULL AS matches"
            f" FROM ({matching.text}) AS w(contact_id) FULL JOIN ({members}) m ON m.contact_id = w.contact_id"
            " WHERE w.contact_id IS NULL OR m.contact_id IS NULL",
            (*matching.params, segment_id, *only_params),
        )
    return Sql(
        f"WITH override AS (SELECT contact_id, verdict FROM segments_segmentoverride WHERE segment_id = %s{only}),"
        " wanted AS (SELECT COALESCE(x.contact_id, o.contact_id) AS contact_id, x.contact_id IS NOT NULL AS matches"
        f"  FROM ({matching.text}) AS x(contact_id) FULL JOIN override o ON o.contact_id = x.contact_id"
        "  WHERE o.verdict IS DISTINCT FROM 'removed')"
        " SELECT COALESCE(w.contact_id, m.contact_id) AS contact_id, COALESCE(w.matches, false) AS matches"
        f" FROM wanted w FULL JOIN ({members}) m ON m.contact_id = w.contact_id"
        " WHERE w.contact_id IS NULL OR m.contact_id IS NULL",
        (segment_id, *only_params, *matching.params, segment_id, *only_params),
    )


def _stage(rows: Sql) -> int:
    """Fill the stage with the query's rows; the number of its pages. Two to four statements, no row locked.

    In a transaction of its own: the caller's time-out (bound_statements) applies to the evaluation.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {STAGE}")
        cursor.execute(f"CREATE UNLOGGED TABLE {STAGE} AS {rows.text}", list(rows.params))
        if cursor.rowcount == 0:
            return 0
        cursor.execute(f"SELECT pg_relation_size('{STAGE}') / current_setting('block_size')::int")
        pages = int(cursor.fetchone()[0])
        if pages > 1:
            cursor.execute(
                f"ANALYZE {STAGE}"
            )  # without it the writing joins by nested loops over all rows (LIMITS, trap 5)
        return pages


def drop_stage() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {STAGE}")


def staged_pages(pages: int) -> list[Sql]:
    """The stage's rows in chunks; each is a range of pages, so that the whole is read once."""
    return [
        Sql(f"SELECT * FROM {STAGE} WHERE ctid >= '({first},0)'::tid AND ctid < '({first + CHUNK_PAGES},0)'::tid", ())
        for first in range(0, pages, CHUNK_PAGES)
    ]


def stage_members(segment_id: int, matching: Sql, *, has_overrides: bool = True) -> int:
    """Evaluate a segment over everybody and stage who must join or leave; the number of pages, 0 = nothing to do.

    Two to four statements; memberships and facts are read once, nothing is locked. An override made meanwhile is respected by
    write_members.
    """
    return _stage(_difference(segment_id, matching, None, has_overrides=has_overrides))


def difference_among(segment_id: int, matching: Sql, contacts: Sequence[int], *, has_overrides: bool = True) -> Sql:
    """Rows (contact_id, matches) of those among the contacts whose membership is not what it should be.

    Without overrides the statement is planned in half the time. Should one be made meanwhile, write_members respects it.
    """
    return _difference(segment_id, matching, contacts, has_overrides=has_overrides)


def read_difference(rows: Sql) -> list[tuple[int, bool]]:
    """One statement, nothing locked."""
    with connection.cursor() as cursor:
        cursor.execute(rows.text, list(rows.params))
        return [(int(contact_id), bool(matches)) for contact_id, matches in cursor.fetchall()]


def differences_among(
    parts: Sequence[tuple[int, Sql]], contacts: Sequence[int], *, has_overrides: bool
) -> list[list[tuple[int, bool]]]:
    """For pairs (segment, matching) the rows (contact_id, matches) of those among few contacts whose membership must change.

    One statement for all of them, planned once a connection: for few contacts planning costs four times the work (20 segments, one
    contact: 7 ms of 9, 2026-11-22).
    """
    selects = [f"SELECT {place}, id, 0 FROM ({rule.text}) AS part{place}(id)" for place, (_, rule) in enumerate(parts)]
    params: list[Any] = [value for _, rule in parts for value in rule.params]
    selects.append(
        "SELECT -1, contact_id, segment_id FROM segments_membership WHERE contact_id = ANY (%s::bigint[]) AND until IS NULL"
    )
    params.append(list(contacts))
    if has_overrides:
        selects.append(
            "SELECT CASE verdict WHEN 'added' THEN -2 ELSE -3 END, contact_id, segment_id FROM segments_segmentoverride"
            " WHERE contact_id = ANY (%s::bigint[])"
        )
        params.append(list(contacts))
    found: list[set[int]] = [set() for _ in parts]
    by_hand: dict[int, dict[int, set[int]]] = {-1: {}, -2: {}, -3: {}}
    with prepared_cursor() as cursor:
        cursor.execute(" UNION ALL ".join(selects), params)
        for place, contact_id, segment_id in cursor.fetchall():
            (found[place] if place >= 0 else by_hand[place].setdefault(segment_id, set())).add(contact_id)
    differences = []
    for (segment_id, _), matches in zip(parts, found, strict=True):
        members, added, removed = (by_hand[place].get(segment_id, set()) for place in (-1, -2, -3))
        wanted = (matches | added) - removed
        differences.append([(contact_id, contact_id in matches) for contact_id in sorted(wanted ^ members)])
    return differences


def segments_in_use() -> list[tuple[Segment, bool]]:
    """Segments that the turn keeps up to date, and whether somebody was put into or taken out of it by hand. One statement."""
    by_hand = "EXISTS (SELECT FROM segments_segmentoverride o WHERE o.segment_id = row.id)"
    found = queries_prepared.rows_of(Segment, "WHERE archived_at IS NULL ORDER BY slug", more=by_hand)
    return [(segment, has_overrides) for segment, (has_overrides,) in found]


def personas() -> list[Persona]:
    """All of them, in order. One statement."""
    return [persona for persona, _ in queries_prepared.rows_of(Persona, "ORDER BY position, id")]


def rows_of(difference: Sequence[tuple[int, bool]]) -> Sql:
    """The pairs as rows (contact_id, matches) for write_members."""
    return Sql(
        "SELECT * FROM unnest(%s::bigint[], %s::boolean[]) AS pairs(contact_id, matches)",
        ([contact for contact, _ in difference], [matches for _, matches in difference]),
    )


def lock_segment(segment_id: int) -> int | None:
    """Own a segment's memberships and count until the transaction ends; its version, None when it is gone or archived.

    Everybody who writes memberships takes this row first, so counts cannot drift. FOR NO KEY UPDATE: foreign keys still pass.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version FROM segments_segment WHERE id = %s AND archived_at IS NULL FOR NO KEY UPDATE", [segment_id]
        )
        row = cursor.fetchone()
        return None if row is None else int(row[0])


def write_members(
    segment_id: int, rows: Sql, *, why: str, now: datetime, mark: bool, tell: bool, facet: int = Mark.Facet.DEFINITION
) -> Changed:
    """Open and close memberships for rows (contact_id, matches), move the count, mark who changed. One statement.

    The caller holds the segment's row (lock_segment). Overrides are read again here, since somebody may have added or removed
    people by hand after the rows were worked out; a contact that was deleted meanwhile is left out.
    `tell` returns the contacts that changed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH staged AS MATERIALIZED (
                SELECT r.contact_id, o.cause,
                       (r.matches OR o.verdict IS NOT DISTINCT FROM 'added') AND o.verdict IS DISTINCT FROM 'removed' AS wanted
                FROM ({rows.text}) r
                LEFT JOIN segments_segmentoverride o ON o.segment_id = %s AND o.contact_id = r.contact_id
            ), joined AS (
                INSERT INTO segments_membership (segment_id, contact_id, since, until, why, left_why)
                SELECT %s, contact_id, %s, NULL, COALESCE(cause, %s), ''
                FROM staged
                WHERE wanted AND EXISTS (SELECT FROM leads_contact c WHERE c.id = staged.contact_id)
                ON CONFLICT (segment_id, contact_id) WHERE until IS NULL DO NOTHING
                RETURNING contact_id
            ), gone AS (
                UPDATE segments_membership m SET until = GREATEST(%s, m.since), left_why = COALESCE(staged.cause, %s)
                FROM staged
                WHERE NOT staged.wanted AND m.segment_id = %s AND m.contact_id = staged.contact_id AND m.until IS NULL
                RETURNING m.contact_id
            ), changed AS (
                SELECT contact_id FROM joined UNION ALL SELECT contact_id FROM gone
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, %s FROM changed WHERE %s
            )
            UPDATE segments_segment
            SET member_count = member_count + (SELECT count(*) FROM joined) - (SELECT count(*) FROM gone)
            WHERE id = %s
            RETURNING (SELECT count(*) FROM joined), (SELECT count(*) FROM gone),
                      CASE WHEN %s THEN (SELECT array_agg(contact_id ORDER BY contact_id) FROM changed) END
            """,
            [
                *rows.params,
                segment_id,
                segment_id,
                now,
                why,
                now,
                why,
                segment_id,
                int(facet),
                mark,
                segment_id,
                tell,
            ],
        )
        joined, left, contacts = cursor.fetchone()
        return Changed(int(joined), int(left), tuple(contacts or ()))


def analyze_members() -> None:
    """Fresh statistics after many memberships were written (LIMITS, trap 5). One statement."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE segments_membership")


# --- personas: the first rule that matches, in order ----------------------------------------------------------------------


_NO_PLACE = "SELECT NULL::bigint AS contact_id, 0 AS place WHERE false"


def _persona_difference(rules: Sequence[tuple[int, Sql]], contacts: Sequence[int] | None) -> Sql:
    """Rows (contact_id, persona_id or null) of those whose open assignment is not the first matching rule's."""
    only, only_params = ("", ()) if contacts is None else (" AND contact_id = ANY (%s::bigint[])", (list(contacts),))
    matched = " UNION ALL ".join(
        f"SELECT contact_id, {place} AS place FROM ({sql.text}) AS m{place}(contact_id)"
        for place, (_, sql) in enumerate(rules, start=1)
    )
    return Sql(
        "SELECT COALESCE(w.contact_id, a.contact_id) AS contact_id, w.persona_id FROM"
        f" (SELECT contact_id, (%s::bigint[])[min(place)] AS persona_id FROM ({matched or _NO_PLACE}) u GROUP BY contact_id) w"
        f" FULL JOIN (SELECT contact_id, persona_id FROM segments_personaassignment WHERE until IS NULL{only}) a"
        " ON a.contact_id = w.contact_id WHERE a.persona_id IS DISTINCT FROM w.persona_id",
        ([persona_id for persona_id, _ in rules], *(value for _, sql in rules for value in sql.params), *only_params),
    )


def stage_personas(rules: Sequence[tuple[int, Sql]]) -> int:
    """Evaluate all persona rules over everybody and stage whose persona changes; the number of pages."""
    return _stage(_persona_difference(rules, None))


def persona_difference(rules: Sequence[tuple[int, Sql]], contacts: Sequence[int]) -> list[tuple[int, int | None]]:
    """(contact, persona that it should have) where another one is stored. One statement, nothing locked."""
    rows = _persona_difference(rules, contacts)
    with connection.cursor() as cursor:
        cursor.execute(rows.text, list(rows.params))
        return [(int(contact_id), persona_id) for contact_id, persona_id in cursor.fetchall()]


def persona_rows(difference: Sequence[tuple[int, int | None]]) -> Sql:
    return Sql(
        "SELECT * FROM unnest(%s::bigint[], %s::bigint[]) AS pairs(contact_id, persona_id)",
        ([contact for contact, _ in difference], [persona for _, persona in difference]),
    )


def lock_personas() -> dict[int, int]:
    """Own all assignments and counts until the transaction ends; persona -> version. One statement, all personas (a handful) in order."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, version FROM segments_persona ORDER BY id FOR NO KEY UPDATE")
        return dict(cursor.fetchall())


def write_personas(rows: Sql, *, now: datetime, mark: bool, tell: bool, facet: int = Mark.Facet.DEFINITION) -> Changed:
    """Close and open assignments for rows (contact_id, persona_id), move the counts, mark who changed. Two statements.

    The caller holds the personas' rows. Two statements, since the closed interval must be out of the unique index of open ones
    before the next one enters.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH staged AS MATERIALIZED (
                SELECT r.contact_id, r.persona_id FROM ({rows.text}) r
            ), gone AS (
                UPDATE segments_personaassignment a SET until = GREATEST(%s, a.since)
                FROM staged
                WHERE a.contact_id = staged.contact_id AND a.until IS NULL AND a.persona_id IS DISTINCT FROM staged.persona_id
                RETURNING a.contact_id, a.persona_id
            ), counted AS (
                UPDATE segments_persona p SET contact_count = contact_count - n
                FROM (SELECT persona_id, count(*) AS n FROM gone GROUP BY persona_id) g WHERE p.id = g.persona_id
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, %s FROM gone WHERE %s
            )
            SELECT count(*), CASE WHEN %s THEN array_agg(contact_id) END FROM gone
            """,
            [*rows.params, now, int(facet), mark, tell],
        )
        left, left_contacts = cursor.fetchone()
        cursor.execute(
            f"""
            WITH joined AS (
                INSERT INTO segments_personaassignment (contact_id, persona_id, since, until, why)
                SELECT r.contact_id, p.id, %s, NULL, 'rule:' || p.version
                FROM ({rows.text}) r
                JOIN segments_persona p ON p.id = r.persona_id
                WHERE EXISTS (SELECT FROM leads_contact c WHERE c.id = r.contact_id)
                ON CONFLICT (contact_id) WHERE until IS NULL DO NOTHING
                RETURNING contact_id, persona_id
            ), counted AS (
                UPDATE segments_persona p SET contact_count = contact_count + n
                FROM (SELECT persona_id, count(*) AS n FROM joined GROUP BY persona_id) j WHERE p.id = j.persona_id
            ), marked AS (
                INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, %s FROM joined WHERE %s
            )
            SELECT count(*), CASE WHEN %s THEN array_agg(contact_id) END FROM joined
            """,
            [now, *rows.params, int(facet), mark, tell],
        )
        joined, joined_contacts = cursor.fetchone()
        return Changed(int(joined), int(left), tuple(sorted({*(left_contacts or ()), *(joined_contacts or ())})))


# --- pages ------------------------------------------------------------------------------------------------------------------


def difference_of(segment_id: int, matching: Sql) -> Sql:
    """Rows (contact_id, matches) of everybody whose membership is not what it should be under a rule."""
    return _difference(segment_id, matching, None, has_overrides=True)


def wrong_counts() -> list[tuple[str, int, int]]:
    """(key, stored, counted) of every segment and persona whose stored count is not the number of open intervals.

    For the health page. One statement over all open intervals.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT 'segment:' || slug, member_count, count(m.contact_id) FROM segments_segment s
            LEFT JOIN segments_membership m ON m.segment_id = s.id AND m.until IS NULL
            GROUP BY s.id HAVING member_count <> count(m.contact_id)
            UNION ALL
            SELECT 'persona:' || slug, contact_count, count(a.contact_id) FROM segments_persona p
            LEFT JOIN segments_personaassignment a ON a.persona_id = p.id AND a.until IS NULL
            GROUP BY p.id HAVING contact_count <> count(a.contact_id)
            ORDER BY 1
            """
        )
        return [(key, int(stored), int(counted)) for key, stored, counted in cursor.fetchall()]


def member_names(segment_id: int) -> list[str]:
    """External ids, else e-mails, of the open memberships, sorted by code point. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            'SELECT COALESCE(c.external_id, c.email) COLLATE "C" FROM segments_membership m'
            " JOIN leads_contact c ON c.id = m.contact_id WHERE m.segment_id = %s AND m.until IS NULL ORDER BY 1",
            [segment_id],
        )
        return [name for (name,) in cursor.fetchall()]


def count_rows(rows: Sql) -> int:
    """One statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({rows.text}) counted", list(rows.params))
        return int(cursor.fetchone()[0])


# --- by hand ----------------------------------------------------------------------------------------------------------------


def store_overrides(
    segment_id: int,
    contact_ids: Sequence[int],
    *,
    verdict: str,
    cause: str,
    actor_id: int | None,
    now: datetime,
    reason: str,
) -> int:
    """Remember who is put in or taken out by hand; how many overrides are new or turned round. One statement.

    Whoever has the same verdict already keeps its first cause. Unknown contacts are left out. The caller holds the segment's row.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_segmentoverride AS o (segment_id, contact_id, verdict, cause, actor_id, since, reason)"
            " SELECT %s, c.id, %s, %s, %s, %s, %s FROM leads_contact c WHERE c.id = ANY (%s::bigint[])"
            " ON CONFLICT (segment_id, contact_id) DO UPDATE SET verdict = excluded.verdict, cause = excluded.cause,"
            "  actor_id = excluded.actor_id, since = excluded.since, reason = excluded.reason"
            " WHERE o.verdict <> excluded.verdict",
            [segment_id, verdict, cause, actor_id, now, reason, list(contact_ids)],
        )
        return int(cursor.rowcount)


def forget_overrides(segment_id: int, contact_ids: Sequence[int]) -> int:
    """Take additions and removals by hand back; how many. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM segments_segmentoverride WHERE segment_id = %s AND contact_id = ANY (%s::bigint[])",
            [segment_id, list(contact_ids)],
        )
        return int(cursor.rowcount)


def copy_members_as_added(from_id: int, to_id: int, *, cause: str, actor_id: int | None, now: datetime) -> None:
    """Put every member of one segment into another by hand. One statement over the members."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO segments_segmentoverride (segment_id, contact_id, verdict, cause, actor_id, since, reason)"
            " SELECT %s, contact_id, 'added', %s, %s, %s, '' FROM segments_membership"
            " WHERE segment_id = %s AND until IS NULL ON CONFLICT (segment_id, contact_id) DO NOTHING",
            [to_id, cause, actor_id, now, from_id],
        )
