"""Statements over many people at once: who enters, who is due, what their steps write, what must always hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db import connection

from leads.models import Mark
from nurture.models import Program
from segments.conditions import Sql

if TYPE_CHECKING:
    from nurture.kinds.base import Walker


@dataclass(frozen=True, slots=True)
class Due:
    """One enrolment that a worker has locked."""

    enrolment_id: int
    contact_id: int
    version_id: int
    step: str
    visit: int


# --- Enrolments ------------------------------------------------------------------------------------------------------------

# Who was in the program before enters again only where the version says so, and by an entry after the end of the last walk; ten times
# a day at most: a program whose own steps let people enter anew is no endless loop.
MAY_ENTER = """
    (past.round IS NULL OR {again}::int IS NOT NULL AND past.ended_at IS NOT NULL
        AND m.since > past.ended_at + make_interval(days => {again}::int)
        AND (past.tenth_at IS NULL OR past.tenth_at <= {now} - interval '1 day'))
"""
PAST = """
    LEFT JOIN LATERAL (
        SELECT e.round, e.ended_at, (
            SELECT t.entered_at FROM nurture_enrolment t
            WHERE t.program_id = e.program_id AND t.contact_id = e.contact_id AND t.round = e.round - 9
        ) AS tenth_at
        FROM nurture_enrolment e WHERE e.program_id = {program} AND e.contact_id = m.contact_id
        ORDER BY e.round DESC LIMIT 1
    ) past ON true
"""
_ENROL = f"""
    INSERT INTO nurture_enrolment
        (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem, round)
    SELECT v.program_id, v.id, m.contact_id, 'active', 'start', 1, %(now)s, %(now)s, 'segment:' || s.slug, '', '',
        coalesce(past.round, 0) + 1
    FROM nurture_programversion v
    JOIN nurture_program p ON p.id = v.program_id AND p.state = 'live'
    JOIN nurture_trigger t ON t.version_id = v.id
    JOIN segments_segment s ON s.id = t.segment_id
    JOIN segments_membership m ON m.segment_id = s.id AND (t.since IS NULL OR m.since >= t.since)
    {PAST.format(program="v.program_id")}
    WHERE v.state = 'live' AND (v.enters_from IS NULL OR v.enters_from <= %(now)s)
        AND (v.enters_until IS NULL OR v.enters_until > %(now)s)
        AND m.until IS NULL AND {{only}} AND {MAY_ENTER.format(again="(v.around #>> '{{again,days}}')", now="%(now)s")}
    ON CONFLICT DO NOTHING
"""


def enrol_members(contact_ids: Sequence[int], *, now: datetime) -> int:
    """Take those of these contacts in who are members of a live program's segment and may enter. One statement for all programs."""
    statement = _ENROL.format(only="m.contact_id = ANY(%(contacts)s)")
    with connection.cursor() as cursor:
        cursor.execute(statement, {"now": now, "contacts": list(contact_ids)})
        return int(cursor.rowcount)


def enrol_recycled(contact_ids: Sequence[int], *, now: datetime) -> int:
    """Take those of these contacts in whom sales recycled into a live program; whoever was in it before stays as they are.

    One statement: the wish is taken up in the row either way, so it is asked once.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH wish AS (
                UPDATE scoring_handoff SET program_entered_at = %(now)s
                WHERE contact_id = ANY(%(contacts)s) AND program <> '' AND program_entered_at IS NULL
                RETURNING contact_id, program
            )
            INSERT INTO nurture_enrolment
                (program_id, version_id, contact_id, state, step, visit, next_step_at, entered_at, entered_why, ended_why, problem)
            SELECT DISTINCT p.id, v.id, wish.contact_id, 'active', 'start', 1, %(now)s, %(now)s, 'recycled', '', ''
            FROM wish JOIN nurture_program p ON p.slug = wish.program AND p.state = 'live'
            JOIN nurture_programversion v ON v.program_id = p.id AND v.state = 'live'
            ON CONFLICT DO NOTHING
            """,
            {"now": now, "contacts": list(contact_ids)},
        )
        return int(cursor.rowcount)


def enrol_page(version_id: int, *, after: int, size: int, now: datetime) -> tuple[int, int | None]:
    """Take in the next `size` members of one live version's segments: (taken in, last contact looked at or None at the end).

    Two statements, by contact id over the index of open memberships; a page is its own transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT max(contact_id) FROM (
                SELECT contact_id FROM segments_membership
                WHERE segment_id IN (SELECT segment_id FROM nurture_trigger WHERE version_id = %s)
                    AND until IS NULL AND contact_id > %s
                ORDER BY contact_id LIMIT %s
            ) page
            """,
            [version_id, after, size],
        )
        (last,) = cursor.fetchone()
        if last is None:
            return 0, None
        only = "v.id = %(version)s AND m.contact_id > %(after)s AND m.contact_id <= %(last)s"
        cursor.execute(
            _ENROL.format(only=only),
            {"now": now, "version": version_id, "after": after, "last": last},
        )
        return int(cursor.rowcount), int(last)


def last_entry(segment_id: int) -> datetime | None:
    """When the newest of the present members entered. One statement over one index entry."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT max(since) FROM segments_membership WHERE segment_id = %s AND until IS NULL", [segment_id]
        )
        moment: datetime | None = cursor.fetchone()[0]
        return moment


def programs_with_due(now: datetime) -> list[int]:
    """Live programs in which somebody is due and may walk, those of the first priority first.

    One statement: one probe of the partial index for each live program.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT p.id FROM nurture_program p WHERE p.state = 'live' AND p.publishing_since IS NULL AND EXISTS (
                SELECT FROM nurture_enrolment e WHERE e.program_id = p.id AND e.state = 'active' AND e.next_step_at <= %s
            ) ORDER BY p.priority, p.id
            """,
            [now],
        )
        return [program_id for (program_id,) in cursor.fetchall()]


def live_program(program_id: int) -> Program | None:
    """The program while it is live and no publication holds it, with `walked`: the live version and those in which somebody is ->
    their edit numbers. One statement.

    It share-locks the program's row: pausing, stopping or publishing waits for the batch, and no batch comes after.
    """
    found = Program.objects.raw(
        """
        SELECT p.*, (
            SELECT coalesce(json_object_agg(v.id, v.edit_number), '{}') FROM nurture_programversion v
            WHERE v.program_id = p.id AND (v.state = 'live' OR v.state = 'past' AND EXISTS (
                SELECT FROM nurture_enrolment e WHERE e.version_id = v.id AND e.state IN ('active', 'parked')
            ))
        ) AS walked
        FROM nurture_program p WHERE p.id = %s AND p.state = 'live' AND p.publishing_since IS NULL FOR SHARE OF p
        """,
        [program_id],
    )
    return next(iter(found), None)


@dataclass(frozen=True, slots=True)
class Passing:
    """A step at which nothing is done and nothing decided, with where it leads: whoever is due there moves on in the claiming statement."""

    version_id: int
    step: str
    next_step: str | None
    next_at: datetime | None
    ended_why: str = ""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Those due at steps that do something, locked; and how many moved on at once, by version and step."""

    due: list[Due]
    passed: dict[tuple[int, str], int]

    @property
    def number(self) -> int:
        return len(self.due) + sum(self.passed.values())


def claim_due(program_id: int, *, now: datetime, limit: int, passing: Sequence[Passing] = ()) -> Claimed:
    """Lock due enrolments of one program, longest due first, and move on those at `passing` steps; the others come back.

    One statement; rows that another worker has are passed over. Moving on here instead of by `advance` spares reading and sending
    back a thousand rows: 0.85 of the raw statement instead of 0.45 (2026-11-22, bench/steps.py).
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS MATERIALIZED (
                SELECT id, contact_id, version_id, step, visit, round FROM nurture_enrolment
                WHERE program_id = %(program)s AND state = 'active' AND next_step_at <= %(now)s
                ORDER BY next_step_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            ), looked AS MATERIALIZED (  -- told apart here: “due but not moved” by a join of the two compares each with each in a batch of 10,000
                SELECT due.id, due.contact_id, due.version_id, due.step, due.visit, way.next_step, way.next_at, way.why,
                    way.step IS NOT NULL AS moves
                FROM due LEFT JOIN unnest(
                    %(versions)s::bigint[], %(steps)s::text[], %(next_steps)s::text[], %(next_at)s::timestamptz[], %(why)s::text[]
                ) way (version_id, step, next_step, next_at, why) ON way.version_id = due.version_id AND way.step = due.step
                    AND (due.step <> 'start' OR due.round = 1)  -- whoever comes anew is counted first
            ), moved AS (
                SELECT * FROM looked WHERE moves
            ), visited AS (
                INSERT INTO nurture_stepvisit (enrolment_id, version_id, step, visit, done_at, outcome)
                SELECT id, version_id, step, visit, %(now)s, 'done' FROM moved
            ), walked AS (
                UPDATE nurture_enrolment e SET
                    visit = e.visit + 1,
                    step = coalesce(moved.next_step, ''),
                    state = CASE WHEN moved.next_step IS NULL THEN 'finished' ELSE 'active' END,
                    next_step_at = moved.next_at,
                    arrived_at = %(now)s,
                    ended_at = CASE WHEN moved.next_step IS NULL THEN %(now)s END,
                    ended_why = moved.why
                FROM moved WHERE e.id = moved.id
            )
            SELECT id, contact_id, version_id, step, visit, 0 FROM looked WHERE NOT moves
            UNION ALL SELECT NULL, NULL, version_id, step, NULL, count(*) FROM moved GROUP BY version_id, step
            """,
            {
                "program": program_id,
                "now": now,
                "limit": limit,
                "versions": [way.version_id for way in passing],
                "steps": [way.step for way in passing],
                "next_steps": [way.next_step for way in passing],
                "next_at": [way.next_at for way in passing],
                "why": [way.ended_why for way in passing],
            },
        )
        rows = cursor.fetchall()
    return Claimed(
        [Due(*row[:5]) for row in rows if row[0] is not None],
        {(version_id, step): number for key, _contact, version_id, step, _visit, number in rows if key is None},
    )


@dataclass(frozen=True, slots=True)
class Onward:
    """One way on from a step: what it is called, the next step with its due time, or None and why the walk ends."""

    outcome: str
    next_step: str | None
    next_at: datetime | None
    ended_why: str = ""
    ended_as: str = "finished"


@dataclass(slots=True)
class Moves:
    """What becomes of each enrolment: an index into `ways`, which are few, so that a thousand people are three short arrays."""

    enrolment_ids: list[int]
    visits: list[int]
    places: list[int]
    ways: list[Onward]

    @classmethod
    def none(cls) -> Moves:
        return cls([], [], [], [])

    def add(self, walkers: Sequence[Walker], onward: Onward) -> None:
        self.enrolment_ids.extend([walker.enrolment_id for walker in walkers])
        self.visits.extend([walker.visit for walker in walkers])
        self.places.extend([len(self.ways)] * len(walkers))
        self.ways.append(onward)


def advance(version_id: int, step: str, moves: Moves, *, now: datetime) -> None:
    """Write the visits of one step and move everybody on, or finish them. One statement; the caller holds the enrolments."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH moved AS MATERIALIZED (
                SELECT row.id, row.visit, way.outcome, way.next_step, way.next_at, way.why, way.ended_as
                FROM unnest(%(ids)s::bigint[], %(visits)s::int[], %(places)s::int[]) row (id, visit, place)
                JOIN unnest(%(outcomes)s::text[], %(steps)s::text[], %(next_at)s::timestamptz[], %(why)s::text[], %(ended_as)s::text[])
                    WITH ORDINALITY way (outcome, next_step, next_at, why, ended_as, number) ON way.number = row.place + 1
            ), visited AS (
                INSERT INTO nurture_stepvisit (enrolment_id, version_id, step, visit, done_at, outcome)
                SELECT id, %(version)s, %(step)s, visit, %(now)s, outcome FROM moved
            )
            UPDATE nurture_enrolment e SET
                visit = moved.visit + 1,
                step = coalesce(moved.next_step, ''),
                state = CASE WHEN moved.next_step IS NULL THEN moved.ended_as ELSE 'active' END,
                next_step_at = moved.next_at,
                arrived_at = %(now)s,
                ended_at = CASE WHEN moved.next_step IS NULL THEN %(now)s END,
                ended_why = moved.why
            FROM moved WHERE e.id = moved.id
            """,
            {
                "ids": moves.enrolment_ids,
                "visits": moves.visits,
                "places": moves.places,
                "outcomes": [way.outcome for way in moves.ways],
                "steps": [way.next_step for way in moves.ways],
                "next_at": [way.next_at for way in moves.ways],
                "why": [way.ended_why for way in moves.ways],
                "ended_as": [way.ended_as for way in moves.ways],
                "version": version_id,
                "step": step,
                "now": now,
            },
        )


def park(enrolment_id: int, *, problem: str) -> None:
    """Take one enrolment off the road with the reason; it stays at the step that failed. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_enrolment SET state = 'parked', next_step_at = NULL, problem = %s WHERE id = %s",
            [problem, enrolment_id],
        )


def hold_walks(contact_ids: Sequence[int]) -> None:
    """Every walk of these contacts, until the transaction ends: waits for the batch that is at one of them, none claims one after. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM nurture_enrolment WHERE contact_id = ANY(%s) ORDER BY id FOR UPDATE", [sorted(contact_ids)]
        )


def over_steps(enrolment_ids: Sequence[int], *, most: int, since: datetime) -> set[int]:
    """Of these walks, those of people who came anew and did that many steps, of all programs, since the moment. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.id FROM nurture_enrolment e WHERE e.id = ANY(%s) AND e.round > 1 AND %s <= (
                SELECT count(*) FROM nurture_enrolment o JOIN nurture_stepvisit v ON v.enrolment_id = o.id
                WHERE o.contact_id = e.contact_id AND v.done_at > %s
            )
            """,
            [list(enrolment_ids), most, since],
        )
        return {enrolment_id for (enrolment_id,) in cursor.fetchall()}


def zones_of(contact_ids: Sequence[int]) -> list[tuple[int, str]]:
    """(contact, its time zone or an empty text). One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, timezone FROM leads_contact WHERE id = ANY(%s)", [list(contact_ids)])
        return [(int(contact_id), str(name)) for contact_id, name in cursor.fetchall()]


def open_hand_offs(contact_ids: Sequence[int], *, model_id: int) -> set[int]:
    """Contacts that already wait in the queue. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT contact_id FROM scoring_handoff WHERE state = 'open' AND model_id = %s AND contact_id = ANY(%s)",
            [model_id, list(contact_ids)],
        )
        return {contact_id for (contact_id,) in cursor.fetchall()}


def create_tasks(walkers: Sequence[Walker], *, title: str, due_at: datetime | None, now: datetime) -> int:
    """A task for each person, assigned to the user behind the contact's owner. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO nurture_task (contact_id, enrolment_id, title, assigned_to_id, due_at, created_at)
            SELECT c.id, w.enrolment_id, %s, o.user_id, %s, %s
            FROM unnest(%s::bigint[], %s::bigint[]) w (enrolment_id, contact_id)
            JOIN leads_contact c ON c.id = w.contact_id LEFT JOIN leads_owner o ON o.id = c.owner_id
            """,
            [
                title,
                due_at,
                now,
                [walker.enrolment_id for walker in walkers],
                [walker.contact_id for walker in walkers],
            ],
        )
        return int(cursor.rowcount)


def leave_all(program_id: int, *, why: str, now: datetime) -> int:
    """End everybody's walk through a program, and take its waiting mails back. Two statements; the caller holds the program's row."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_enrolment SET state = 'left', left_at_step = step, step = '', next_step_at = NULL, ended_at = %s, ended_why = %s
            WHERE program_id = %s AND state IN ('active', 'parked')
            """,
            [now, why, program_id],
        )
        left = int(cursor.rowcount)
        cursor.execute(
            """
            UPDATE nurture_sending s SET state = 'not_sent', why_not = %s, lease_until = NULL
            FROM nurture_enrolment e WHERE e.id = s.enrolment_id AND e.program_id = %s AND s.state IN ('queued', 'held')
            """,
            [why, program_id],
        )
        return left


def hold_mails(program_id: int) -> int:
    """Hold a paused program's waiting mails. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_sending s SET state = 'held', lease_until = NULL
            FROM nurture_enrolment e WHERE e.id = s.enrolment_id AND e.program_id = %s AND s.state = 'queued'
            """,
            [program_id],
        )
        return int(cursor.rowcount)


def release_mails(program_id: int, *, now: datetime) -> int:
    """Let them go again. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_sending s SET state = 'queued', due_at = greatest(s.due_at, %s)
            FROM nurture_enrolment e WHERE e.id = s.enrolment_id AND e.program_id = %s AND s.state = 'held'
            """,
            [now, program_id],
        )
        return int(cursor.rowcount)


# --- Counts on the canvas -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class StepCount:
    """Numbers on one node; each opens a list with exactly that many rows."""

    here: int = 0
    parked: int = 0
    passed: int = 0
    left: int = 0
    outcomes: dict[str, int] | None = None

    def outcome(self, name: str) -> int:
        return (self.outcomes or {}).get(name, 0)


def step_counts(version_id: int) -> dict[str, StepCount]:
    """Step -> its numbers. Two statements, over covering indexes of the version."""
    counts: dict[str, StepCount] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT step, state, count(*) FROM nurture_enrolment
            WHERE version_id = %(version)s AND state IN ('active', 'parked') GROUP BY step, state
            UNION ALL
            SELECT left_at_step, 'left', count(*) FROM nurture_enrolment
            WHERE version_id = %(version)s AND state = 'left' AND left_at_step <> '' GROUP BY 1
            """,
            {"version": version_id},
        )
        for step, state, number in cursor.fetchall():
            count = counts.setdefault(step, StepCount())
            if state == "active":
                count.here = number
            elif state == "parked":
                count.parked = number
            else:
                count.left = number
        cursor.execute(
            "SELECT step, outcome, count(*) FROM nurture_stepvisit WHERE version_id = %s GROUP BY step, outcome",
            [version_id],
        )
        for step, outcome, number in cursor.fetchall():
            count = counts.setdefault(step, StepCount())
            count.passed += number
            count.outcomes = {**(count.outcomes or {}), outcome: number}
    return counts


def people_counts(program_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """Program -> state -> people. One statement over the programs' enrolments."""
    counts: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT program_id, state, count(*) FROM nurture_enrolment WHERE program_id = ANY(%s) GROUP BY 1, 2",
            [list(program_ids)],
        )
        for program_id, state, number in cursor.fetchall():
            counts.setdefault(program_id, {})[state] = number
    return counts


def counts_by_version(program_id: int) -> dict[int, dict[str, int]]:
    """Version -> state -> people of the program. One statement over its enrolments."""
    counts: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT version_id, state, count(*) FROM nurture_enrolment WHERE program_id = %s GROUP BY 1, 2",
            [program_id],
        )
        for version_id, state, number in cursor.fetchall():
            counts.setdefault(version_id, {})[state] = number
    return counts


def version_counts(program_id: int) -> dict[int, int]:
    """Version -> people inside it now (walking or parked). One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT version_id, count(*) FROM nurture_enrolment
            WHERE version_id IN (SELECT id FROM nurture_programversion WHERE program_id = %s)
                AND state IN ('active', 'parked') GROUP BY version_id
            """,
            [program_id],
        )
        return dict(cursor.fetchall())


def mail_counts(program_ids: Iterable[int]) -> dict[int, dict[str, int]]:
    """Program -> state of its sendings -> mails. One statement over the programs' sendings."""
    counts: dict[int, dict[str, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT e.program_id, s.state, count(*) FROM nurture_enrolment e JOIN nurture_sending s ON s.enrolment_id = e.id
            WHERE e.program_id = ANY(%s) GROUP BY 1, 2
            """,
            [list(program_ids)],
        )
        for program_id, state, number in cursor.fetchall():
            counts.setdefault(program_id, {})[state] = number
    return counts


# --- Health ---------------------------------------------------------------------------------------------------------------------

# Each must find no row. Those of other rooms stand here too, since this room may see them all.
INVARIANTS: dict[str, str] = {
    # every score is the sum of its ledger rows
    "ledger_sums": """
        SELECT FROM (SELECT contact_id, model_id, sum(points) AS points FROM scoring_ledgerrow GROUP BY 1, 2) l
        FULL JOIN scoring_score s USING (contact_id, model_id)
        WHERE coalesce(l.points, 0) <> coalesce(s.total, 0) LIMIT 1
    """,
    # everybody inside a program has exactly one next step with a due time; everybody else none
    "one_next_step": """
        SELECT FROM nurture_enrolment e
        WHERE (e.state = 'active' AND (e.next_step_at IS NULL OR e.step = ''))
            OR (e.state IN ('finished', 'left', 'held_out') AND (e.next_step_at IS NOT NULL OR e.ended_at IS NULL)) LIMIT 1
    """,
    # the next step is a step of the version that the person walks
    "steps_exist": """
        SELECT FROM (SELECT DISTINCT version_id, step FROM nurture_enrolment WHERE state IN ('active', 'parked')) e
        JOIN nurture_programversion v ON v.id = e.version_id
        WHERE e.step <> 'start' AND NOT jsonb_path_exists(
            v.tree, '$.** ? (@.id == $step)', jsonb_build_object('step', e.step)
        ) LIMIT 1
    """,
    # nobody walks a version that was never published
    "no_drafts_walked": """
        SELECT FROM nurture_programversion v WHERE v.state = 'draft'
            AND EXISTS (SELECT FROM nurture_enrolment e WHERE e.version_id = v.id AND e.state IN ('active', 'parked')) LIMIT 1
    """,
    # stored counts of segments and personas are the number of open intervals
    "member_counts": """
        SELECT FROM segments_segment s
        LEFT JOIN (
            SELECT segment_id, count(*) AS n FROM segments_membership WHERE until IS NULL GROUP BY segment_id
        ) m ON m.segment_id = s.id
        WHERE s.member_count <> coalesce(m.n, 0) LIMIT 1
    """,
    "persona_counts": """
        SELECT FROM segments_persona p
        LEFT JOIN (
            SELECT persona_id, count(*) AS n FROM segments_personaassignment WHERE until IS NULL GROUP BY persona_id
        ) a ON a.persona_id = p.id
        WHERE p.contact_count <> coalesce(a.n, 0) LIMIT 1
    """,
    # activities have no foreign keys: none may name a contact that is gone
    "no_orphans": """
        SELECT FROM (SELECT DISTINCT contact_id FROM leads_activity) a
        WHERE NOT EXISTS (SELECT FROM leads_contact c WHERE c.id = a.contact_id) LIMIT 1
    """,
    # the last move of everybody's history is the stage that they have
    "stage_history": """
        SELECT FROM (
            SELECT DISTINCT ON (contact_id) contact_id, to_stage FROM leads_stagemove ORDER BY contact_id, moved_at DESC, id DESC
        ) last JOIN leads_contact c ON c.id = last.contact_id WHERE c.stage <> last.to_stage LIMIT 1
    """,
    # a call that was taken has its status, one that was given up has a reason
    "webhooks_say_why": """
        SELECT FROM nurture_webhookcall WHERE (state = 'sent' AND (status IS NULL OR answered_at IS NULL))
            OR (state = 'failed' AND problem = '') LIMIT 1
    """,
    # a mail that left has its moment, one that did not has a reason
    "sendings_say_why": """
        SELECT FROM nurture_sending WHERE (state = 'sent' AND sent_at IS NULL)
            OR (state IN ('not_sent', 'bounced', 'uncertain') AND why_not = '') LIMIT 1
    """,
}


def holds(invariant: str, *, seconds: float | None = None) -> bool | None:
    """Whether nothing breaks the invariant; None when it could not be told within `seconds`. One statement over the tables it names."""
    from django.db import OperationalError, transaction

    try:
        with transaction.atomic(), connection.cursor() as cursor:
            if seconds is not None:
                cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])
            cursor.execute(INVARIANTS[invariant])
            return bool(cursor.rowcount == 0)
    except OperationalError as error:
        if seconds is not None and getattr(error.__cause__, "sqlstate", None) == "57014":  # query_canceled
            return None
        raise


def queue_depths(now: datetime, *, exact: bool = True) -> dict[str, Any]:
    """How much waits, and since when. Eleven statements over indexes and small tables.

    What is over (mails sent, bounced …) is counted along an index; for a page (`exact` False) the planner's estimate tells it, said to be one.
    """
    with connection.cursor() as cursor:
        depths: dict[str, Any] = {}
        cursor.execute("SELECT count(*), min(since) FROM leads_mark")
        depths["marks"] = _depth(cursor.fetchone(), now)
        cursor.execute(
            """
            SELECT count(*), min(e.next_step_at) FROM nurture_enrolment e JOIN nurture_program p ON p.id = e.program_id
            WHERE e.state = 'active' AND e.next_step_at <= %s AND p.state = 'live'
            """,
            [now],
        )
        depths["due_enrolments"] = _depth(cursor.fetchone(), now)
        cursor.execute("SELECT count(*) FROM nurture_enrolment WHERE state = 'parked'")
        depths["parked_enrolments"] = {"count": cursor.fetchone()[0]}
        cursor.execute(
            "SELECT state, count(*), min(due_at) FROM nurture_sending"
            " WHERE state IN ('queued', 'held', 'sending', 'uncertain') GROUP BY state"
        )
        found = {state: (number, oldest) for state, number, oldest in cursor.fetchall()}
        for state in ("queued", "held", "sending", "uncertain"):
            depths[f"sendings_{state}"] = _depth(found.get(state, (0, None)), now)
        depths |= _mails_over(exact=exact)
        cursor.execute("SELECT count(*), min(due_at) FROM nurture_webhookcall WHERE state IN ('queued', 'sending')")
        depths["webhooks"] = _depth(cursor.fetchone(), now)
        cursor.execute("SELECT count(*) FROM nurture_webhookcall WHERE state = 'failed'")
        depths["webhooks_given_up"] = {"count": cursor.fetchone()[0]}
        cursor.execute(
            """
            SELECT count(*) FILTER (WHERE outcome = ''), min(received_at) FILTER (WHERE outcome = ''), count(*) FILTER (WHERE outcome = 'failed'),
                (SELECT count(*) FROM nurture_mailboxletter WHERE state = 'parked'), coalesce((SELECT failures FROM nurture_mailboxstate), 0)
            FROM nurture_providerevent WHERE outcome IN ('', 'failed')
            """
        )
        waiting, since, failed, parked, failures = cursor.fetchone()
        depths["provider_events"] = _depth((waiting, since), now)
        depths["provider_events_failed"] = {"count": failed}
        depths["mailbox_parked"] = {"count": parked}
        depths["mailbox_failures_in_a_row"] = {"count": failures}
        cursor.execute("SELECT count(*), min(requested_at) FROM leads_importjob WHERE state IN ('queued', 'running')")
        depths["imports"] = _depth(cursor.fetchone(), now)
        cursor.execute(
            "SELECT count(*), min(asked_at) FROM nurture_publication WHERE state IN ('asked', 'moving', 'taking_back')"
        )
        depths["publications"] = _depth(cursor.fetchone(), now)
        cursor.execute(
            """
            SELECT count(*), min(stale_since) FROM (
                SELECT stale_since FROM segments_segment WHERE stale_since IS NOT NULL AND archived_at IS NULL
                UNION ALL SELECT stale_since FROM segments_persona WHERE stale_since IS NOT NULL
                UNION ALL SELECT stale_since FROM scoring_scoremodel WHERE stale_since IS NOT NULL AND archived_at IS NULL
                UNION ALL SELECT stale_since FROM nurture_program WHERE stale_since IS NOT NULL
            ) stale
            """
        )
        depths["stale_definitions"] = _depth(cursor.fetchone(), now)
    return depths


def _mails_over(*, exact: bool) -> dict[str, dict[str, Any]]:
    """Mails whose story is over, by state. One statement."""
    states = ("sent", "not_sent", "bounced")
    with connection.cursor() as cursor:
        if exact:
            cursor.execute(
                "SELECT state, count(*) FROM nurture_sending WHERE state = ANY(%s) GROUP BY 1", [list(states)]
            )
            found = dict(cursor.fetchall())
            return {f"sendings_{state}": {"count": found.get(state, 0)} for state in states}
        parts = " UNION ALL ".join(f"SELECT FROM nurture_sending WHERE state = '{state}'" for state in states)
        cursor.execute(f"EXPLAIN (FORMAT JSON) {parts}")
        plans = cursor.fetchone()[0][0]["Plan"]["Plans"]
    return {
        f"sendings_{state}": {"count": plan["Plan Rows"], "is_estimate": True}
        for state, plan in zip(states, plans, strict=True)
    }


def _depth(row: tuple[int, datetime | None], now: datetime) -> dict[str, Any]:
    number, oldest = row
    seconds = max(0.0, (now - oldest).total_seconds()) if oldest else None
    return {"count": number, "oldest_seconds": round(seconds, 1) if seconds is not None else None}


def mark_everybody_inside(program_id: int) -> int:
    """Mark the people of a program, since rules may ask who is in it. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO leads_mark (contact_id, facet) SELECT contact_id, %s FROM nurture_enrolment WHERE program_id = %s",
            [Mark.Facet.DEFINITION.value, program_id],
        )
        return int(cursor.rowcount)


# --- The condition “in program” -------------------------------------------------------------------------------------------------


def in_program(slug: str, state: str | None, *, at: datetime) -> Sql:
    """EXISTS over `contact` for the rule language: in the program by that moment, in that state if one is given.

    A parked person counts as active: nobody let them go.
    """
    text = """EXISTS (
        SELECT FROM nurture_enrolment e JOIN nurture_program p ON p.id = e.program_id
        WHERE p.slug = %s AND e.contact_id = contact.id AND e.state <> 'held_out' AND e.entered_at <= %s"""
    params: list[Any] = [slug, at]
    if state == "active":
        text += " AND (e.ended_at IS NULL OR e.ended_at > %s)"
        params.append(at)
    elif state is not None:
        text += " AND e.state = %s AND e.ended_at <= %s"
        params += [state, at]
    return Sql(text + ")", tuple(params))
