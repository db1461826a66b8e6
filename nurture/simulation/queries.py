"""Statements of simulations: making their tables, drawing what people answer, counting what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.db import connection
from psycopg import sql

from leads.models import Mark
from leads.queries import ACTIVITY_COLUMNS, STORE_ACTIVITIES
from nurture.mailing.queries_sending import decided
from nurture.simulation.assumptions import Assumptions
from nurture.simulation.reading import Kinds
from nurture.splits import LOOK_EVERY
from segments.conditions import Sql

# Answers are taken in by the quarter of the day: a beat costs 15 ms, and no program asks to the minute when a mail was opened (2026-11-22).
ANSWERS_EVERY_HOURS = 3
MEAN_HOURS_TO_OPEN = 9.0


# --- Tables of its own -------------------------------------------------------------------------------------------------


def prepare_session() -> None:
    """Memory for temporary tables, which other sessions never see. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('temp_buffers', '512MB', false), set_config('work_mem', '64MB', false), set_config('jit', 'off', false)"
        )


def make_people(contact_ids: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE simulation_people (contact_id bigint PRIMARY KEY)")
        cursor.execute("INSERT INTO simulation_people SELECT DISTINCT unnest(%s::bigint[])", [list(contact_ids)])
        cursor.execute("ANALYZE simulation_people")


def copy_whole(table: str) -> None:
    _make(table)
    _copy(table, sql.SQL("true"))


def copy_of_people(table: str, column: str, *, kinds: Kinds = None) -> None:
    """The rows of those who take part; of activities those of the kinds that are read."""
    those = sql.SQL("{} IN (SELECT contact_id FROM simulation_people)").format(sql.Identifier(column))
    if kinds is not None:
        of_kinds = sql.SQL("{} AND kind_id IN (SELECT id FROM leads_activitykind WHERE slug = ANY({}))")
        those = of_kinds.format(those, sql.Literal(sorted(kinds)))
    _make(table)
    _copy(table, those)


def make_empty(table: str) -> None:
    _make(table)
    _index(table)
    _go_on_counting(table)


def _make(table: str) -> None:
    """Like the live one with its checks and keys, without its foreign keys and triggers; large ones without the indexes of pages."""
    name = sql.Identifier(table)
    parts = "INCLUDING ALL EXCLUDING INDEXES" if table in INDEXES else "INCLUDING ALL"
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} (LIKE public.{} {})").format(name, name, sql.SQL(parts)))


# Of the tables with most rows only what steps and rules look for; all their indexes would double the time (2026-11-22).
INDEXES = {
    "leads_contact": ["CREATE UNIQUE INDEX ON {} (id)"],
    "leads_activity": ["CREATE INDEX ON {} (contact_id, occurred_at) INCLUDE (kind_id)"],
    "leads_stagemove": ["CREATE INDEX ON {} (contact_id, moved_at)"],
    "nurture_enrolment": [
        "CREATE UNIQUE INDEX ON {} (id)",
        "CREATE UNIQUE INDEX ON {} (program_id, contact_id) WHERE state IN ('active', 'parked')",
        "CREATE UNIQUE INDEX ON {} (contact_id, program_id, round)",
        "CREATE INDEX ON {} (program_id, next_step_at) WHERE state = 'active'",
    ],
    "nurture_splitpass": [
        "CREATE UNIQUE INDEX ON {} (trial_id, enrolment_id)",
        "CREATE INDEX ON {} (enrolment_id)",
        "CREATE INDEX ON {} (trial_id, until)",
        "CREATE INDEX ON {} (until) WHERE reached_at IS NULL",
    ],
    "nurture_stepvisit": ["CREATE UNIQUE INDEX ON {} (enrolment_id, visit)"],
    "nurture_sending": [
        "CREATE UNIQUE INDEX ON {} (id)",
        "CREATE INDEX ON {} (enrolment_id)",
        "CREATE INDEX ON {} (due_at, id) WHERE state = 'queued'",
        "CREATE INDEX ON {} (address, claimed_at DESC) WHERE claimed_at IS NOT NULL AND NOT is_operational",
    ],
}


def _copy(table: str, those: sql.Composable) -> None:
    name = sql.Identifier("pg_temp", table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            [f"pg_temp.{table}"],
        )
        columns = sql.SQL(", ").join(map(sql.Identifier, cursor.fetchone()[0]))
        cursor.execute(
            sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {} WHERE {}").format(
                name, columns, columns, sql.Identifier("public", table), those
            )
        )
    _index(table)
    _go_on_counting(table)


def _index(table: str) -> None:
    with connection.cursor() as cursor:
        for text in INDEXES.get(table, ()):
            cursor.execute(sql.SQL(text).format(sql.Identifier("pg_temp", table)))


def _go_on_counting(table: str) -> None:
    """New rows get ids past all live ones, as the live sequence counts them: the highest id of a partitioned table is a scan. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT setval(
                pg_get_serial_sequence(%(own)s, attname),
                coalesce(pg_sequence_last_value(pg_get_serial_sequence(%(live)s, attname)::regclass), 0) + 1, false
            ) FROM pg_attribute WHERE attrelid = %(own)s::regclass AND attidentity <> ''
            """,
            {"own": f"pg_temp.{table}", "live": f"public.{table}"},
        )


def make_answers() -> None:
    """What people will do about the mails, drawn when these leave. `is_own`: of the program that is simulated."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMPORARY TABLE simulation_answer (contact_id bigint, kind text, due_at timestamptz, is_own boolean, is_stored boolean)"
        )
        cursor.execute("CREATE INDEX ON simulation_answer (due_at) WHERE NOT is_stored")


def analyze(tables: Iterable[str]) -> None:
    """An empty table must not be among them: one that was never analyzed is taken for a few pages, an empty one for ever for none."""
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("pg_temp", table)))


def sizes(tables: Sequence[str]) -> dict[str, int]:
    """Table -> bytes. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, pg_relation_size('pg_temp.' || name) FROM unnest(%s::text[]) name", [list(tables)])
        return dict(cursor.fetchall())


def mark_everybody(facets: Sequence[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, facet FROM simulation_people CROSS JOIN unnest(%s::smallint[]) facet",
            [list(facets)],
        )


def read_only() -> None:
    """From now on the session writes nothing but temporary tables; PostgreSQL refuses the rest, locks of live rows included."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")


def bound_statements(seconds: float) -> None:
    """None of the session's statements takes longer from now on: the database itself breaks it off. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(max(1, round(seconds * 1000)))])


def share_paces(parts: int) -> None:
    """Each part of the people has its part of what a domain takes a minute. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE nurture_domainpace SET per_minute = greatest(1, per_minute / %s)", [parts])


# --- Who takes part ----------------------------------------------------------------------------------------------------


def walkers_of(program_id: int) -> list[int]:
    """Contacts who walk the program now. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contact_id FROM nurture_enrolment WHERE program_id = %s AND state IN ('active', 'parked')",
            [program_id],
        )
        return [contact_id for (contact_id,) in cursor.fetchall()]


@dataclass(frozen=True)
class QueuePlace:
    """Where somebody stands in the queue in front of a program, and what the queue lets in."""

    program_id: int
    ahead: int
    per_day: int
    let_in: int
    day: date | None
    is_held: bool


def queue_places(contact_id: int) -> list[QueuePlace]:
    """The person's places in live queues. One statement over those who stand before them, along an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.program_id, (
                SELECT count(*) FROM public.nurture_entryplace o
                WHERE o.program_id = p.program_id AND (o.since, o.contact_id) < (p.since, p.contact_id)
            ), q.per_day, q.let_in, q.day, q.is_held
            FROM public.nurture_entryplace p JOIN public.nurture_entryqueue q ON q.program_id = p.program_id
            WHERE p.contact_id = %s ORDER BY p.program_id
            """,
            [contact_id],
        )
        return [QueuePlace(*row) for row in cursor.fetchall()]


def first_moment(people: Sql) -> datetime | None:
    """The earliest moment of a SELECT of (contact_id, moment). One statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min(found.moment) FROM ({people.text}) found (contact_id, moment)", people.params)
        moment: datetime | None = cursor.fetchone()[0]
        return moment


# --- What people answer --------------------------------------------------------------------------------------------------

# Chance without dice: the same person at the same visit of the same step gives the same answer under one seed, whatever the order.
_DRAWN = """
    SELECT s.contact_id, said.kind, said.due_at FROM nurture_sending s
    JOIN nurture_enrolment e ON e.id = s.enrolment_id
    CROSS JOIN LATERAL (
        SELECT md5(concat_ws(':', %(seed)s::text, s.contact_id, e.program_id, s.step, substring(s.key from '[0-9]+$'), e.round)) AS dice OFFSET 0
    ) hash
    CROSS JOIN LATERAL (
        SELECT ('x' || substr(dice, 1, 7))::bit(28)::int / 268435456.0::float8 AS opens,
               ('x' || substr(dice, 9, 7))::bit(28)::int / 268435456.0::float8 AS clicks,
               ('x' || substr(dice, 17, 7))::bit(28)::int / 268435456.0::float8 AS answers,
               ('x' || substr(dice, 25, 7))::bit(28)::int / 268435456.0::float8 AS late OFFSET 0
    ) chance
    CROSS JOIN LATERAL (
        SELECT to_timestamp(%(grid)s * ceil(extract(epoch FROM s.sent_at)::float8 / %(grid)s - ln(1 - late) * %(mean)s / %(grid)s)) AS opened_at
        OFFSET 0
    ) moment
    CROSS JOIN LATERAL (VALUES
        ('email_open', opens < %(open)s, opened_at),
        ('email_click', opens < %(open)s AND clicks < %(click)s, opened_at),
        (%(kind)s, opens < %(open)s AND clicks < %(click)s AND answers < %(answer)s, opened_at + make_interval(secs => %(grid)s))
    ) said (kind, is_said, due_at)
    WHERE is_said AND s.id = ANY(%(sendings)s)
"""


def _chances(sending_ids: Sequence[int], assumptions: Assumptions) -> dict[str, Any]:
    return {
        "sendings": list(sending_ids),
        "seed": assumptions.seed,
        "open": assumptions.open_rate / 100,
        "click": assumptions.click_rate / 100,
        "answer": assumptions.answer_rate / 100,
        "kind": assumptions.answer_kind,
        "grid": ANSWERS_EVERY_HOURS * 3600.0,
        "mean": MEAN_HOURS_TO_OPEN * 3600.0,
    }


def drawn(sending_ids: Sequence[int], assumptions: Assumptions) -> list[tuple[int, str, datetime]]:
    """(contact, kind of activity, when) of what the readers of these mails will do. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(f"{_DRAWN} ORDER BY said.due_at, s.contact_id, said.kind", _chances(sending_ids, assumptions))
        return list(cursor.fetchall())


def draw(sending_ids: Sequence[int], assumptions: Assumptions, *, program_id: int, kinds: Kinds) -> None:
    """The same, kept for when it is due; what no rule reads is only counted. One statement."""
    own = "EXISTS (SELECT FROM nurture_enrolment w WHERE w.id = s.enrolment_id AND w.program_id = %(program)s)"
    is_unread = "false" if kinds is None else "NOT said.kind = ANY(%(kinds)s::text[])"
    text = _DRAWN.replace(
        "SELECT s.contact_id, said.kind, said.due_at",
        f"SELECT s.contact_id, said.kind, said.due_at, {own}, {is_unread}",
        1,
    )
    values = _chances(sending_ids, assumptions) | {"program": program_id, "kinds": sorted(kinds or ())}
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO simulation_answer {text}", values)


def store_answers(*, now: datetime) -> int:
    """Those that are due become activities with signals and marks, by the statement that stores all activities. Two statements."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE simulation_answer SET is_stored = true WHERE NOT is_stored AND due_at <= %s RETURNING contact_id, kind, due_at",
            [now],
        )
        rows = cursor.fetchall()
        if not rows:
            return 0
        source = """
            SELECT contact_id, k.id AS kind_id, due_at AS occurred_at, NULL::integer AS asset_id, NULL::jsonb AS properties
            FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) row (contact_id, kind, due_at) JOIN leads_activitykind k ON k.slug = row.kind
        """
        cursor.execute(
            STORE_ACTIVITIES.format(columns=ACTIVITY_COLUMNS, source=source, facet=int(Mark.Facet.ACTIVITY)),
            [now, *([row[place] for row in rows] for place in range(3))],
        )
        return len(rows)


def store_mails_sent(sending_ids: Sequence[int], *, now: datetime) -> None:
    """Mails that left are activities too."""
    source = """
        SELECT s.contact_id, k.id AS kind_id, s.sent_at AS occurred_at, NULL::integer AS asset_id, NULL::jsonb AS properties
        FROM nurture_sending s JOIN leads_activitykind k ON k.slug = 'email_sent' WHERE s.id = ANY(%s) AND s.contact_id IS NOT NULL
    """
    with connection.cursor() as cursor:
        cursor.execute(
            STORE_ACTIVITIES.format(columns=ACTIVITY_COLUMNS, source=source, facet=int(Mark.Facet.ACTIVITY)),
            [now, list(sending_ids)],
        )


# --- Mail that leaves for nowhere --------------------------------------------------------------------------------------


def due_mails(*, now: datetime, limit: int) -> list[tuple[int, int, str | None]]:
    """(sending, which of its address it is, zone of its reader; None: no window holds it) of due mails, longest due first. One statement.

    Nobody else takes them, so nothing is reserved.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.id, row_number() OVER (PARTITION BY s.address ORDER BY s.due_at, s.id),
                CASE WHEN NOT s.is_operational THEN coalesce(c.timezone, '') END
            FROM (
                SELECT id, address, due_at, contact_id, is_operational FROM nurture_sending
                WHERE state = 'queued' AND due_at <= %s AND (lease_until IS NULL OR lease_until <= %s) ORDER BY due_at, id LIMIT %s
            ) s LEFT JOIN leads_contact c ON c.id = s.contact_id
            """,
            [now, now, limit],
        )
        return list(cursor.fetchall())


_LEAVING = """
    SELECT mail.id, place.opens_at FROM unnest(%(ids)s::bigint[], %(places)s::int[]) mail (id, place)
    LEFT JOIN unnest(%(opens)s::timestamptz[]) WITH ORDINALITY place (opens_at, number) ON place.number = mail.place + 1
"""
_LEAVE = f"""
    {decided(written=_LEAVING, mine="true")}
    UPDATE nurture_sending s SET
        state = CASE f.state WHEN 'sending' THEN 'sent' ELSE f.state END,
        why_not = CASE f.state WHEN 'not_sent' THEN f.why_not WHEN 'queued' THEN f.waits_for ELSE '' END,
        due_at = CASE f.state WHEN 'queued' THEN f.waits_until ELSE s.due_at END,
        claimed_at = CASE f.state WHEN 'sending' THEN %(now)s::timestamptz END,
        sent_at = CASE f.state WHEN 'sending' THEN %(now)s::timestamptz END,
        lease_until = NULL
    FROM final f WHERE s.id = f.id
    RETURNING s.id, s.state, s.why_not
"""


def leave(
    mails: Sequence[tuple[int, int | None]], opens: Sequence[datetime | None], *, now: datetime, wait_days: int
) -> list[tuple[int, str, str]]:
    """Let these mails go as far as the product would: (sending, its state now, why it waits or never leaves). One statement.

    A mail is its id and which of `opens` is the moment at which the window of its reader opens. All that holds one back is decided by
    the text of nurture.mailing.queries_sending; it leaves in the row version in which it is claimed. Bound on the client, so that the planner
    knows how many there are: it plans ten mails and ten thousand differently.
    """
    ids, places = [key for key, _place in mails], [place for _key, place in mails]
    values: dict[str, Any] = {"ids": ids, "places": places, "opens": list(opens), "now": now, "wait_days": wait_days}
    with connection.cursor() as cursor:
        cursor.execute(_LEAVE, values)
        return list(cursor.fetchall())


# --- The clock -----------------------------------------------------------------------------------------------------------


def next_moment() -> datetime | None:
    """When something is due next: a step, a mail, an answer, a trigger, a look at a split in which somebody's days are over since the
    last one. One statement over partial indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT least(
                (SELECT min(next_at) FROM nurture_program p CROSS JOIN LATERAL (
                    SELECT e.next_step_at AS next_at FROM nurture_enrolment e WHERE e.program_id = p.id AND e.state = 'active'
                    ORDER BY e.next_step_at LIMIT 1
                ) first WHERE p.state = 'live'),
                (SELECT due_at FROM nurture_sending WHERE state = 'queued' ORDER BY due_at LIMIT 1),
                (SELECT due_at FROM simulation_answer WHERE NOT is_stored ORDER BY due_at LIMIT 1),
                (SELECT min(t.due_at) FROM nurture_trigger t JOIN nurture_programversion v ON v.id = t.version_id AND v.state = 'live'
                 JOIN nurture_program p ON p.id = v.program_id AND p.state = 'live'),
                (SELECT min(greatest(t.next_look_at, ripe.at)) FROM nurture_splittrial t CROSS JOIN LATERAL (
                    SELECT min(s.until) AS at FROM nurture_splitpass s WHERE s.trial_id = t.id AND s.until > t.next_look_at - make_interval(secs => %s)
                ) ripe WHERE t.winner = '' AND ripe.at IS NOT NULL)
            )
            """,
            [LOOK_EVERY.total_seconds()],
        )
        moment: datetime | None = cursor.fetchone()[0]
        return moment


def marks_wait() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM leads_mark)")
        return bool(cursor.fetchone()[0])


# --- What came of it -----------------------------------------------------------------------------------------------------

_BY_DAY = {
    "entered": """
        SELECT entered_at AS at, count(*) AS n FROM nurture_enrolment
        WHERE program_id = %(program)s AND entered_at >= %(since)s AND state <> 'held_out' GROUP BY 1
    """,
    "mails": """
        SELECT s.sent_at, count(*) FROM nurture_sending s JOIN nurture_enrolment e ON e.id = s.enrolment_id
        WHERE e.program_id = %(program)s AND s.sent_at >= %(since)s AND s.state = 'sent' GROUP BY 1
    """,
    "opens": "SELECT due_at, count(*) FROM simulation_answer WHERE is_own AND kind = 'email_open' AND due_at <= %(until)s GROUP BY 1",
    "clicks": "SELECT due_at, count(*) FROM simulation_answer WHERE is_own AND kind = 'email_click' AND due_at <= %(until)s GROUP BY 1",
    "answers": """
        SELECT due_at, count(*) FROM simulation_answer
        WHERE is_own AND kind NOT IN ('email_open', 'email_click') AND due_at <= %(until)s GROUP BY 1
    """,
    "hand_offs": """
        SELECT v.done_at, count(*) FROM nurture_stepvisit v JOIN nurture_enrolment e ON e.id = v.enrolment_id
        WHERE e.program_id = %(program)s AND v.step = ANY(%(handing)s) AND v.outcome = 'done' GROUP BY 1
    """,
    "ends": """
        SELECT ended_at, count(*) FROM nurture_enrolment
        WHERE program_id = %(program)s AND ended_at >= %(since)s AND state IN ('finished', 'left') GROUP BY 1
    """,
}


def by_day(
    program_id: int, *, since: datetime, until: datetime, zone: str, handing: Sequence[str]
) -> list[tuple[str, str, int]]:
    """(what, day in the zone as ISO, number). One statement over the simulation's tables."""
    parts = " UNION ALL ".join(f"SELECT '{what}' AS what, part.* FROM ({text}) part" for what, text in _BY_DAY.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT what, (at AT TIME ZONE %(zone)s)::date::text AS day, sum(n)::bigint FROM ({parts}) found GROUP BY 1, 2 ORDER BY 1, 2",
            {"program": program_id, "since": since, "until": until, "zone": zone, "handing": list(handing)},
        )
        return list(cursor.fetchall())


def by_hour(program_id: int, *, since: datetime) -> list[tuple[datetime, int]]:
    """Hours in which mails leave, and how many. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT date_trunc('hour', s.sent_at), count(*) FROM nurture_sending s JOIN nurture_enrolment e ON e.id = s.enrolment_id
            WHERE e.program_id = %s AND s.sent_at >= %s AND s.state = 'sent' GROUP BY 1 ORDER BY 1
            """,
            [program_id, since],
        )
        return list(cursor.fetchall())


def step_numbers(version_id: int) -> list[tuple[str, str, int]]:
    """(step, outcome, people); the outcome is “here” for those who stand there at the end and “parked” for those who failed. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT step, outcome, count(*) FROM nurture_stepvisit WHERE version_id = %(version)s GROUP BY 1, 2
            UNION ALL
            SELECT step, CASE state WHEN 'active' THEN 'here' ELSE 'parked' END, count(*) FROM nurture_enrolment
            WHERE version_id = %(version)s AND state IN ('active', 'parked') GROUP BY 1, state
            """,
            {"version": version_id},
        )
        return list(cursor.fetchall())


def not_sent(program_id: int, *, since: datetime) -> list[tuple[str, int]]:
    """(why a mail never left, mails). One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.why_not, count(*) FROM nurture_sending s JOIN nurture_enrolment e ON e.id = s.enrolment_id
            WHERE e.program_id = %s AND s.queued_at >= %s AND s.state = 'not_sent' GROUP BY 1 ORDER BY 2 DESC, 1
            """,
            [program_id, since],
        )
        return list(cursor.fetchall())


def totals(program_id: int, *, since: datetime) -> dict[str, int]:
    """People who took part, reached the goal, got no mail although steps would have sent one, still wait for one. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH walk AS (
                SELECT e.id, e.goal_at >= %(since)s AS has_goal, e.state,
                    EXISTS (SELECT FROM nurture_sending s WHERE s.enrolment_id = e.id AND s.state = 'sent') AS is_mailed,
                    EXISTS (SELECT FROM nurture_sending s WHERE s.enrolment_id = e.id AND s.state = 'not_sent') AS was_refused
                FROM nurture_enrolment e
                WHERE e.program_id = %(program)s AND (e.entered_at >= %(since)s OR coalesce(e.ended_at, 'infinity') >= %(since)s)
            )
            SELECT count(*), count(*) FILTER (WHERE has_goal), count(*) FILTER (WHERE was_refused AND NOT is_mailed),
                count(*) FILTER (WHERE state = 'active'), count(*) FILTER (WHERE state = 'held_out'), count(*) FILTER (WHERE state = 'parked'),
                count(*) FILTER (WHERE NOT is_mailed AND state <> 'held_out')
            FROM walk
            """,
            {"program": program_id, "since": since},
        )
        names = ("people", "goals", "never_mailed", "inside", "held_out", "parked", "without_mail")
        return dict(zip(names, cursor.fetchone(), strict=True))


def past_shares(kinds: Sequence[str]) -> dict[str, int]:
    """Kind -> activities of it, of up to 20,000 people who were mailed. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mailed AS MATERIALIZED (
                SELECT contact_id FROM leads_signal WHERE kind_id = (SELECT id FROM leads_activitykind WHERE slug = 'email_sent') LIMIT 20000
            )
            SELECT k.slug, sum(s.n)::bigint FROM mailed JOIN leads_signal s USING (contact_id) JOIN leads_activitykind k ON k.id = s.kind_id
            WHERE k.slug = ANY(%s) GROUP BY 1
            """,
            [list(kinds)],
        )
        return dict(cursor.fetchall())
