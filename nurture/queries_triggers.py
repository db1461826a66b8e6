"""Statements of triggers: who came in by which and since when, who meets what has no history, and the queue in front of a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import LiteralString

from django.db import connection

from nurture.models import Trigger
from nurture.queries import MAY_ENTER, PAST
from segments.conditions import Sql, bind
from segments.conditions.fragment import join, sql

# --- Where people came from: SELECT of (contact_id, moment) ---------------------------------------------------------------------


def members_since(slug: str) -> Sql:
    """Present members of a segment."""
    return sql(
        """SELECT m.contact_id, m.since FROM segments_membership m
        WHERE m.segment_id = (SELECT id FROM segments_segment WHERE slug = {}) AND m.until IS NULL""",
        bind(slug, "text"),
    )


def stages_reached(stages: Sequence[str]) -> Sql:
    """Moves into the stages, and contacts that were made in one of them."""
    listed = bind(list(stages), "text[]")
    return sql(
        """SELECT s.contact_id, s.moved_at FROM leads_stagemove s WHERE s.to_stage = ANY ({})
        UNION ALL SELECT c.id, c.stage_since FROM leads_contact c WHERE c.stage = ANY ({})""",
        listed,
        listed,
    )


def stages_now(stages: Sequence[str]) -> Sql:
    """Contacts that are in one of the stages."""
    return sql("SELECT c.id, c.stage_since FROM leads_contact c WHERE c.stage = ANY ({})", bind(list(stages), "text[]"))


def activities(kinds: Sequence[int] | None, condition: Sql | None, *, late_hours: int) -> Sql:
    """Activities that were told in time: what comes in long after it happened scores, but starts nothing."""
    of_kinds = Sql("TRUE") if kinds is None else sql("activity.kind_id = ANY ({})", bind(list(kinds), "smallint[]"))
    return sql(
        """SELECT activity.contact_id, activity.occurred_at FROM leads_activity activity WHERE {} AND {}
        AND activity.recorded_at <= activity.occurred_at + make_interval(hours => {})""",
        of_kinds,
        condition or Sql("TRUE"),
        bind(late_hours, "int"),
    )


_WALKS: dict[str, LiteralString] = {
    "entered": "e.entered_at FROM nurture_enrolment e WHERE e.state <> 'held_out' AND ",
    "finished": "e.ended_at FROM nurture_enrolment e WHERE e.state = 'finished' AND ",
    "left": "e.ended_at FROM nurture_enrolment e WHERE e.state = 'left' AND e.visit > 1 AND ",
    "goal": "e.goal_at FROM nurture_enrolment e WHERE e.goal_at IS NOT NULL AND e.state <> 'held_out' AND ",
}


def walks_through(slug: str, when: str) -> Sql:
    """Those who entered, finished or left another program, or reached its goal. Whoever was turned away at its entry never was inside."""
    template: LiteralString = (
        "SELECT e.contact_id, " + _WALKS[when] + "e.program_id = (SELECT id FROM nurture_program WHERE slug = {})"
    )
    return sql(template, bind(slug, "text"))


def imported(file: str, source: str, outcomes: Sequence[str]) -> Sql:
    """People whom finished imports made or changed, of files whose name holds the text, with that source; empty texts ask for none."""
    people = sql(
        """SELECT p.contact_id, j.finished_at FROM leads_importperson p JOIN leads_importjob j ON j.id = p.job_id
        WHERE j.state = 'done' AND position(lower({}) IN lower(j.file_name)) > 0 AND p.is_new = ANY ({})""",
        bind(file, "text"),
        bind([outcome == "created" for outcome in outcomes], "boolean[]"),
    )
    if not source:
        return people
    return sql(
        "{} AND EXISTS (SELECT FROM leads_contact c WHERE c.id = p.contact_id AND lower(c.source) = lower({}))",
        people,
        bind(source, "text"),
    )


def zones_in_use() -> list[str]:
    """Time zones as they stand in contacts, and none. One statement: a probe of the partial index for each zone, whatever the people."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE found (zone) AS (
                (SELECT timezone FROM leads_contact WHERE timezone <> '' ORDER BY timezone LIMIT 1)
                UNION ALL
                SELECT (
                    SELECT timezone FROM leads_contact WHERE timezone <> '' AND timezone > found.zone ORDER BY timezone LIMIT 1
                ) FROM found WHERE found.zone IS NOT NULL
            )
            SELECT zone FROM found WHERE zone IS NOT NULL
            """
        )
        return ["", *(str(name) for (name,) in cursor.fetchall())]


def first_known_at() -> datetime | None:
    """When the first of the contacts became known. One statement over one index entry."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(created_at) FROM leads_contact")
        first: datetime | None = cursor.fetchone()[0]
        return first


@dataclass(frozen=True, slots=True)
class DayDue:
    """A day that has come on the clock of those in one time zone (as it stands in the contact), and since when."""

    zone: str
    day: date
    moment: datetime


def known_since(spans: Sequence[tuple[str, datetime, datetime, datetime]], *, by_zone: bool) -> Sql:
    """Contacts who became known in one of the spans (time zone, from, until before, moment): a range of an index for each."""
    zones, starts, ends, moments = zip(*spans, strict=True)
    return sql(
        """SELECT c.id, w.moment FROM unnest({}, {}, {}, {}) w (zone, start, until, moment)
        JOIN leads_contact c ON c.created_at >= w.start AND c.created_at < w.until AND {}""",
        bind(list(zones), "text[]"),
        bind(list(starts), "timestamptz[]"),
        bind(list(ends), "timestamptz[]"),
        bind(list(moments), "timestamptz[]"),
        Sql("w.zone = c.timezone" if by_zone else "TRUE"),
    )


def days_of_contacts(
    custom: str, days: Sequence[tuple[str, str, datetime]], *, home: str, by_zone: bool, yearly: bool
) -> Sql:
    """Contacts whose day is one of `days`: (time zone as it stands in the contact, day, moment). A moment counts as its day at home."""
    text = sql("(c.custom ->> {})", bind(custom, "text"))
    of_moment = sql("to_char(({})::timestamptz AT TIME ZONE {}, 'YYYY-MM-DD')", text, bind(home, "text"))
    day = sql("CASE WHEN length({}) = 10 THEN {} WHEN {} ~ '^[0-9]{4}-.*T' THEN {} END", text, text, text, of_moment)
    return sql(
        """SELECT c.id, w.moment FROM leads_contact c
        JOIN unnest({}, {}, {}) w (zone, day, moment) ON w.day = {} AND {}""",
        bind([zone for zone, _day, _moment in days], "text[]"),
        bind([day for _zone, day, _moment in days], "text[]"),
        bind([moment for _zone, _day, moment in days], "timestamptz[]"),
        sql("right({}, 5)", day) if yearly else day,
        Sql("w.zone = c.timezone" if by_zone else "TRUE"),
    )


# --- Who enters ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Arrivals:
    """People of one trigger: a SELECT of (contact_id, moment), with how the enrolment names the trigger."""

    trigger_id: int
    why: str
    people: Sql
    since: datetime | None  # of those before nobody enters


def _arrived(arrivals: Sequence[Arrivals], *, contacts: Sequence[int] | None, now: datetime) -> Sql:
    """SELECT of (trigger_id, why, contact_id, since), a row for each person and trigger. The conditions on people and time go down into each part."""
    parts = []
    for one in arrivals:
        only = Sql("TRUE") if contacts is None else sql("p.contact_id = ANY ({})", bind(list(contacts), "bigint[]"))
        begun = Sql("TRUE") if one.since is None else sql("p.since >= {}", bind(one.since, "timestamptz"))
        parts.append(
            sql(
                """SELECT {}, {}, p.contact_id, max(p.since) FROM ({}) p (contact_id, since)
                WHERE {} AND {} AND (p.since IS NULL OR p.since <= {}) GROUP BY p.contact_id""",
                bind(one.trigger_id, "bigint"),
                bind(one.why, "text"),
                one.people,
                only,
                begun,
                bind(now, "timestamptz"),
            )
        )
    return join(" UNION ALL ", parts)


def _may_enter(at: Sql, again: str = "(v.around #>> '{again,days}')") -> Sql:
    return sql(MAY_ENTER.format(again=again, now="{}"), at)


def enrol_arrivals(arrivals: Sequence[Arrivals], *, contacts: Sequence[int] | None, now: datetime) -> int:
    """Take in whoever came in by one of these triggers and may enter; each person once a program, by the trigger they came to first.

    One statement whatever the number of programs and triggers; nobody twice, by the unique keys of walks.
    """
    if not arrivals:
        return 0
    at = bind(now, "timestamptz")
    statement = sql(
        """
        INSERT INTO nurture_enrolment
            (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem, round)
        SELECT DISTINCT ON (v.program_id, m.contact_id) v.program_id, v.id, m.contact_id, 'active', 'start', 1, {}, {}, m.why, '', '',
            coalesce(past.round, 0) + 1
        FROM ({}) m (trigger_id, why, contact_id, since)
        JOIN nurture_trigger t ON t.id = m.trigger_id
        JOIN nurture_programversion v ON v.id = t.version_id AND v.state = 'live'
        JOIN nurture_program p ON p.id = v.program_id AND p.state = 'live' {}
        WHERE (v.enters_from IS NULL OR v.enters_from <= {}) AND (v.enters_until IS NULL OR v.enters_until > {}) AND {}
        ORDER BY v.program_id, m.contact_id, m.since, t.id
        ON CONFLICT DO NOTHING
        """,
        at,
        at,
        _arrived(arrivals, contacts=contacts, now=now),
        Sql(PAST.format(program="v.program_id")),
        at,
        at,
        _may_enter(at),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return int(cursor.rowcount)


def live_triggers(*, due: datetime | None = None, program_id: int | None = None) -> list[Trigger]:
    """Triggers of live programs but segments, which queries.enrol_members knows; with `due` those that time alone made due. One statement."""
    only = "row.due_at <= %s" if due else "row.kind <> 'segment'"
    if program_id is not None:
        only += " AND p.id = %s"
    return list(
        Trigger.objects.raw(
            f"""
            SELECT row.* FROM nurture_trigger row
            JOIN nurture_programversion v ON v.id = row.version_id AND v.state = 'live'
            JOIN nurture_program p ON p.id = v.program_id AND p.state = 'live'
            WHERE {only} ORDER BY row.id
            """,
            [value for value in (due, program_id) if value is not None],
        )
    )


def arrived(arrivals: Sequence[Arrivals], *, now: datetime) -> list[int]:
    """Everybody who came in by one of these triggers. One statement, none without triggers."""
    if not arrivals:
        return []
    statement = sql(
        "SELECT DISTINCT m.contact_id FROM ({}) m (trigger_id, why, contact_id, since)",
        _arrived(arrivals, contacts=None, now=now),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return [contact_id for (contact_id,) in cursor.fetchall()]


def first_activity_ahead(contact_ids: Sequence[int], *, now: datetime) -> datetime | None:
    """When the first activity of these contacts that is dated ahead will exist. One statement over the index on the contact."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(occurred_at) FROM leads_activity WHERE occurred_at > %s AND contact_id = ANY (%s)",
            [now, list(contact_ids)],
        )
        first: datetime | None = cursor.fetchone()[0]
        return first


def next_activity_ahead(now: datetime) -> datetime | None:
    """When the next activity that is dated ahead will exist. One statement over the partitions of this month and later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(occurred_at) FROM leads_activity WHERE occurred_at > %s", [now])
        first: datetime | None = cursor.fetchone()[0]
        return first


def pass_over(looked: Mapping[int, datetime], *, until: datetime, due_at: datetime) -> int:
    """These triggers (id -> up to when time was looked at) let nobody in until then; how many nobody else looked at meanwhile. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_trigger t SET looked_until = %s, due_at = %s
            FROM unnest(%s::bigint[], %s::timestamptz[]) seen (id, looked_until)
            WHERE t.id = seen.id AND t.looked_until = seen.looked_until
            """,
            [until, due_at, list(looked), list(looked.values())],
        )
        return int(cursor.rowcount)


def be_due(trigger_ids: Sequence[int], *, at: datetime) -> None:
    """Look at these triggers at that moment, or sooner where they are due sooner. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_trigger SET due_at = least(due_at, %s) WHERE id = ANY (%s) AND (due_at IS NULL OR due_at > %s)",
            [at, list(trigger_ids), at],
        )


# --- Who meets what has no history -----------------------------------------------------------------------------------------------


def keep_matches(trigger_id: int, *, contacts: Sequence[int], met: Sequence[int], now: datetime) -> None:
    """Of these contacts those met the trigger's condition: who meets it anew does since now, who no longer meets it did until now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (
                UPDATE nurture_triggermatch SET until = %(now)s
                WHERE trigger_id = %(trigger)s AND contact_id = ANY (%(contacts)s) AND until IS NULL AND NOT contact_id = ANY (%(met)s)
            )
            INSERT INTO nurture_triggermatch (trigger_id, contact_id, since)
            SELECT %(trigger)s, id, %(now)s FROM unnest(%(met)s::bigint[]) id ORDER BY id
            ON CONFLICT (trigger_id, contact_id) DO UPDATE SET since = excluded.since, until = NULL
                WHERE nurture_triggermatch.until IS NOT NULL
            """,
            {"trigger": trigger_id, "contacts": list(contacts), "met": list(met), "now": now},
        )


def fill_matches(trigger_id: int, *, people: Sql, since: datetime | None) -> int:
    """Note everybody who meets the condition as a trigger begins; null: they met it before. One statement."""
    statement = sql(
        """INSERT INTO nurture_triggermatch (trigger_id, contact_id, since)
        SELECT {}, found.id, {} FROM ({}) found (id) ON CONFLICT DO NOTHING""",
        bind(trigger_id, "bigint"),
        bind(since, "timestamptz"),
        people,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return int(cursor.rowcount)


def changed_matches(trigger_id: int, *, people: Sql) -> list[int]:
    """Contacts that meet the condition and were not known to, and the other way round. One statement."""
    known = sql(
        "SELECT contact_id FROM nurture_triggermatch WHERE trigger_id = {} AND until IS NULL",
        bind(trigger_id, "bigint"),
    )
    statement = sql("(({}) EXCEPT ({})) UNION ALL (({}) EXCEPT ({}))", people, known, known, people)
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return [contact_id for (contact_id,) in cursor.fetchall()]


def matched(trigger_id: int, *, on_leaving: bool) -> Sql:
    """Who meets the condition now and since when; on leaving, who no longer meets it and until when they did."""
    if on_leaving:
        return sql(
            "SELECT t.contact_id, t.until FROM nurture_triggermatch t WHERE t.trigger_id = {} AND t.until IS NOT NULL",
            bind(trigger_id, "bigint"),
        )
    return sql(
        "SELECT t.contact_id, t.since FROM nurture_triggermatch t WHERE t.trigger_id = {} AND t.until IS NULL",
        bind(trigger_id, "bigint"),
    )


def at_no_moment(people: Sql) -> Sql:
    """People of whom nobody knows since when."""
    return sql("SELECT found.id, NULL::timestamptz FROM ({}) found (id)", people)


# --- By hand ---------------------------------------------------------------------------------------------------------------------

_BY_HAND: LiteralString = """
    FROM (SELECT id AS contact_id, {}::timestamptz AS since FROM leads_contact WHERE id = ANY ({})) m
    JOIN nurture_programversion v ON v.state = 'live' AND {} {} WHERE {}
"""


def _by_hand(version: Sql, contact_ids: Sequence[int], now: datetime) -> Sql:
    at = bind(now, "timestamptz")
    past = Sql(PAST.format(program="v.program_id"))
    return sql(_BY_HAND, at, bind(list(contact_ids), "bigint[]"), version, past, _may_enter(at))


def may_enter_by_hand(version_id: int, contact_ids: Sequence[int], *, now: datetime) -> set[int]:
    """Those of these contacts who were never in the program, or are let in again by now. One statement."""
    asked = _by_hand(sql("v.id = {}", bind(version_id, "bigint")), contact_ids, now)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT m.contact_id {asked.text}", list(asked.params))
        return {contact_id for (contact_id,) in cursor.fetchall()}


def enrol_by_hand(program_id: int, contact_ids: Sequence[int], *, now: datetime) -> int:
    """Take these contacts in who may enter; how many. One statement; the caller holds the program's row."""
    at = bind(now, "timestamptz")
    statement = sql(
        """
        INSERT INTO nurture_enrolment
            (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem, round)
        SELECT v.program_id, v.id, m.contact_id, 'active', 'start', 1, {}, {}, 'by_hand', '', '', coalesce(past.round, 0) + 1 {}
        ORDER BY m.contact_id ON CONFLICT DO NOTHING
        """,
        at,
        at,
        _by_hand(sql("v.program_id = {}", bind(program_id, "bigint")), contact_ids, now),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return int(cursor.rowcount)


# --- At publication --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Present:
    """Those who match: all of them, and those who may enter."""

    people: int = 0
    fresh: int = 0


def count_present(program_id: int, arrivals: Sequence[Arrivals], *, again_days: int | None, now: datetime) -> Present:
    """People who match some trigger, each once. One statement over everybody who does."""
    if not arrivals:
        return Present()
    statement = sql(
        """
        SELECT count(*), count(*) FILTER (WHERE fresh) FROM (
            SELECT {} AS fresh
            FROM (SELECT contact_id, max(since) AS since FROM ({}) a (trigger_id, why, contact_id, since) GROUP BY contact_id) m {}
        ) member
        """,
        _may_enter(bind(now, "timestamptz"), "NULL" if again_days is None else str(int(again_days))),
        _arrived(arrivals, contacts=None, now=now),
        Sql(PAST.format(program=str(int(program_id)))),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return Present(*cursor.fetchone())


def fill_queue(
    program_id: int,
    arrivals: Sequence[Arrivals],
    *,
    again_days: int | None,
    now: datetime,
    given_by: int | None = None,
) -> int:
    """Give everybody who matches and may enter a place in the queue; how many. One statement."""
    if not arrivals:
        return 0
    statement = sql(
        """
        INSERT INTO nurture_entryplace (program_id, contact_id, why, since, given_by_id)
        SELECT DISTINCT ON (m.contact_id) {}, m.contact_id, m.why, coalesce(m.since, {}), {}
        FROM ({}) m (trigger_id, why, contact_id, since) {} WHERE {}
        ORDER BY m.contact_id, m.since, m.trigger_id
        ON CONFLICT DO NOTHING
        """,
        bind(program_id, "bigint"),
        bind(now, "timestamptz"),
        bind(given_by, "bigint"),
        _arrived(arrivals, contacts=None, now=now),
        Sql(PAST.format(program=str(int(program_id)))),
        _may_enter(bind(now, "timestamptz"), "NULL" if again_days is None else str(int(again_days))),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        return int(cursor.rowcount)


# --- The queue -------------------------------------------------------------------------------------------------------------------


def queues_with_room(today: date, *, now: datetime) -> list[int]:
    """Queues of live programs that take people in now, from which somebody may enter today. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT q.id FROM nurture_entryqueue q
            JOIN nurture_program p ON p.id = q.program_id AND p.state = 'live' AND p.publishing_since IS NULL
            JOIN nurture_programversion v ON v.program_id = p.id AND v.state = 'live'
                AND (v.enters_from IS NULL OR v.enters_from <= %s) AND (v.enters_until IS NULL OR v.enters_until > %s)
            WHERE NOT q.is_held AND q.set_aside_by_id IS NULL AND (q.day IS NULL OR q.day < %s OR q.let_in < q.per_day) ORDER BY p.priority, q.id
            """,
            [now, now, today],
        )
        return [queue_id for (queue_id,) in cursor.fetchall()]


def let_in(program_id: int, *, limit: int, now: datetime) -> tuple[int, int]:
    """Take the first `limit` of the queue in: (taken off it, entered). Who entered by themselves meanwhile only loses the place. One statement."""
    at = bind(now, "timestamptz")
    statement = sql(
        """
        WITH m AS MATERIALIZED (
            SELECT id, contact_id, why, since FROM nurture_entryplace WHERE program_id = {} ORDER BY since, contact_id LIMIT {}
            FOR UPDATE
        ), gone AS (
            DELETE FROM nurture_entryplace q USING m WHERE q.id = m.id
        ), entered AS (
            INSERT INTO nurture_enrolment
                (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem, round)
            SELECT v.program_id, v.id, m.contact_id, 'active', 'start', 1, {}, {}, m.why, '', '', coalesce(past.round, 0) + 1
            FROM m JOIN nurture_programversion v ON v.program_id = {} AND v.state = 'live'
            {} WHERE {} ORDER BY m.since, m.contact_id
            ON CONFLICT DO NOTHING RETURNING 1
        )
        SELECT (SELECT count(*) FROM m), (SELECT count(*) FROM entered)
        """,
        bind(program_id, "bigint"),
        bind(limit, "int"),
        at,
        at,
        bind(program_id, "bigint"),
        Sql(PAST.format(program="v.program_id")),
        _may_enter(at),
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.text, list(statement.params))
        taken, entered = cursor.fetchone()
        return int(taken), int(entered)


def entry_counts(program_id: int) -> dict[str, int]:
    """What let people in -> how many, held-out ones too. One statement over the program's walks."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entered_why, count(*) FROM nurture_enrolment WHERE program_id = %s GROUP BY 1 ORDER BY 2 DESC, 1",
            [program_id],
        )
        return dict(cursor.fetchall())
