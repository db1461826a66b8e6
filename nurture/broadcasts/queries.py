"""Statements of broadcasts: the audience page by page, whose turn it is, mails for a page, and what waits in the outbox."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from nurture.mailing.queries_sending import MAY_NOT
from nurture.models import Sending

SLOTS = 1_000  # shares are counted in thousandths
# Prime to SLOTS and about its golden section: any run of neighbours is spread evenly, so small audiences get their shares, too.
_STRIDE = 617

# Of the mails that left to an address: as many as the workspace's budget, or the reader's own pace, allows within its span.
_FREQUENCY = """
    EXISTS (
        SELECT FROM (VALUES
            (CASE WHEN wish.pace IN ('weekly', 'monthly') THEN 1 END, make_interval(days => CASE wish.pace WHEN 'weekly' THEN 7 ELSE 30 END)),
            (CASE WHEN %(budgeted)s THEN (SELECT mails FROM nurture_mailbudget LIMIT 1)::int END,
                make_interval(days => (SELECT days FROM nurture_mailbudget LIMIT 1)))
        ) cap (most, span)
        WHERE cap.most IS NOT NULL AND (
            SELECT count(*) FROM (
                SELECT FROM nurture_sending o
                WHERE o.address = p.email AND o.claimed_at > %(moment)s - cap.span AND NOT o.is_operational LIMIT cap.most
            ) left_before
        ) >= cap.most
    )
"""


@dataclass(frozen=True, slots=True)
class Page:
    """What one page of an audience brought: the last contact looked at (None: there was nobody left), and how many by what became of
    them: a reason, or “in:<variant>” (“in:” alone: they wait for the winner)."""

    last: int | None
    found: Counter[str]


def take_page(
    broadcast_id: int,
    *,
    into: Sequence[int],
    out_of: Sequence[int],
    purpose: str,
    budgeted: bool,
    moment: datetime,
    after: int,
    before: int,
    shares: Sequence[tuple[str, int]],
    limit: int,
) -> Page:
    """Rows for the next members of the segments, by contact, each let in or left out for the first reason that holds. One statement.

    `shares`: variant -> the slot of a thousand up to which people get it; past the last they wait for the winner. Who gets which is
    decided by the place (after `before` others) in an order of chance that is always the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH page AS MATERIALIZED (
                SELECT DISTINCT m.contact_id FROM unnest(%(into)s::bigint[]) s (segment_id) CROSS JOIN LATERAL (
                    SELECT contact_id FROM segments_membership
                    WHERE segment_id = s.segment_id AND until IS NULL AND contact_id > %(after)s ORDER BY contact_id LIMIT %(limit)s
                ) m ORDER BY m.contact_id LIMIT %(limit)s
            ), how AS (
                SELECT %(purpose)s::text AS purpose,
                    EXISTS (SELECT FROM leads_purpose WHERE slug = %(purpose)s AND basis = 'contract') AS is_operational
            ), person AS MATERIALIZED (
                SELECT c.id, c.email, h.hash, how.purpose, how.is_operational, EXISTS (
                    SELECT FROM segments_membership k WHERE k.segment_id = ANY(%(out_of)s::bigint[]) AND k.contact_id = c.id AND k.until IS NULL
                ) AS is_kept_out
                FROM page JOIN leads_contact c ON c.id = page.contact_id CROSS JOIN how
                CROSS JOIN LATERAL (SELECT leads_address_hash(c.email) AS hash OFFSET 0) h
            ), judged AS MATERIALIZED (
                SELECT p.id, CASE WHEN p.is_kept_out THEN 'kept_out' ELSE coalesce(
                    {MAY_NOT.format(row="p.email", of="p").replace("h.hash", "p.hash")},
                    CASE WHEN p.is_operational THEN NULL WHEN wish.paused_until > %(moment)s THEN 'paused'
                        WHEN {_FREQUENCY} THEN 'frequency' END
                ) END AS why
                FROM person p LEFT JOIN leads_mailpreference wish ON wish.address_hash = p.hash
            ), placed AS (
                SELECT id, why, (%(before)s - 1 + row_number() OVER (
                    PARTITION BY why IS NULL ORDER BY hashtextextended(id::text, %(broadcast)s), id
                )) * {_STRIDE} %% {SLOTS} AS slot FROM judged
            ), made AS (
                INSERT INTO nurture_broadcastrecipient (broadcast_id, contact_id, state, why, variant)
                SELECT %(broadcast)s, id, CASE WHEN why IS NOT NULL THEN 'out' WHEN way.key IS NULL THEN 'rest' ELSE 'waiting' END,
                    coalesce(why, ''), CASE WHEN why IS NULL THEN coalesce(way.key, '') ELSE '' END
                FROM placed LEFT JOIN LATERAL (
                    SELECT key FROM unnest(%(keys)s::text[], %(until)s::int[]) share (key, until) WHERE slot < until ORDER BY until LIMIT 1
                ) way ON true
                RETURNING why, variant
            )
            SELECT coalesce(nullif(why, ''), 'in:' || variant), count(*), (SELECT max(contact_id) FROM page) FROM made GROUP BY 1
            UNION ALL SELECT NULL, 0, max(contact_id) FROM page
            """,
            {
                "broadcast": broadcast_id,
                "into": list(into),
                "out_of": list(out_of),
                "purpose": purpose,
                "budgeted": budgeted,
                "moment": moment,
                "after": after,
                "before": before,
                "limit": limit,
                "keys": [key for key, _until in shares],
                "until": [until for _key, until in shares],
            },
        )
        rows = cursor.fetchall()
    last = next(last for what, _number, last in rows if what is None)
    return Page(last, Counter({what: number for what, number, _last in rows if what is not None}))


# As leads_address_hash folds addresses, without the hash: 4 to 5 s for a million in place of 9 to 13 (on busy cores, 2026-11-23).
_FOLDED = 'lower(c.email COLLATE "pg_c_utf8")'


def leave_out_doubles(broadcast_id: int) -> Counter[str]:
    """One address gets one mail: of several contacts at it the first stays in. “in:<variant>” -> how many left it. One statement over
    the audience."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH placed AS MATERIALIZED (
                SELECT r.id, r.variant, row_number() OVER (PARTITION BY {_FOLDED} ORDER BY c.id) AS place
                FROM nurture_broadcastrecipient r JOIN leads_contact c ON c.id = r.contact_id
                WHERE r.broadcast_id = %s AND r.state IN ('waiting', 'rest')
            ), dropped AS (
                UPDATE nurture_broadcastrecipient r SET state = 'out', why = 'same_address', variant = ''
                FROM placed p WHERE p.id = r.id AND p.place > 1 RETURNING p.variant
            )
            SELECT 'in:' || variant, count(*) FROM dropped GROUP BY 1
            """,
            [broadcast_id],
        )
        return Counter(dict(cursor.fetchall()))


def analyze() -> None:
    """After many rows: the planner must know of them (one pass over a sample)."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE nurture_broadcastrecipient")


def forget_page(broadcast_id: int, *, limit: int) -> int:
    """Delete rows of an audience that nobody was mailed of. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM nurture_broadcastrecipient WHERE id = ANY(ARRAY(
                SELECT id FROM nurture_broadcastrecipient WHERE broadcast_id = %s LIMIT %s
            ))
            """,
            [broadcast_id, limit],
        )
        return int(cursor.rowcount)


# --- On its way --------------------------------------------------------------------------------------------------------------------


def take_due(broadcast_id: int, state: str, *, now: datetime, limit: int) -> list[tuple[int, str]]:
    """(recipient, time zone of the contact) of those whose turn may have come, who were never looked at first. One statement over an index, in
    its order: by the id alone it would sort all who wait, page after page."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.id, c.timezone FROM (
                (SELECT id, contact_id, due_at FROM nurture_broadcastrecipient
                WHERE broadcast_id = %(broadcast)s AND state = %(state)s AND state IN ('waiting', 'rest') AND due_at IS NULL
                ORDER BY due_at NULLS FIRST, id LIMIT %(limit)s)
                UNION ALL
                (SELECT id, contact_id, due_at FROM nurture_broadcastrecipient
                WHERE broadcast_id = %(broadcast)s AND state = %(state)s AND state IN ('waiting', 'rest') AND due_at <= %(now)s
                ORDER BY due_at NULLS FIRST, id LIMIT %(limit)s)
                LIMIT %(limit)s
            ) r JOIN leads_contact c ON c.id = r.contact_id ORDER BY r.due_at NULLS FIRST, r.id
            """,
            {"broadcast": broadcast_id, "state": state, "now": now, "limit": limit},
        )
        return [(recipient, zone) for recipient, zone in cursor.fetchall()]


def next_due(broadcast_id: int, states: Sequence[str], *, now: datetime) -> datetime | None:
    """From when on the first of those who wait in these states may be mailed; None when nobody waits. One probe of an index a state."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT min(coalesce(r.due_at, %s)) FROM unnest(%s::text[]) s (state) CROSS JOIN LATERAL (
                SELECT due_at FROM nurture_broadcastrecipient
                WHERE broadcast_id = %s AND state = s.state AND state IN ('waiting', 'rest') ORDER BY due_at NULLS FIRST LIMIT 1
            ) r
            """,
            [now, list(states), broadcast_id],
        )
        at: datetime | None = cursor.fetchone()[0]
        return at


def put_off(recipient_ids: Sequence[int], until: Sequence[datetime]) -> int:
    """They come due then. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_broadcastrecipient r SET due_at = later.due_at
            FROM unnest(%s::bigint[], %s::timestamptz[]) later (id, due_at) WHERE r.id = later.id
            """,
            [list(recipient_ids), list(until)],
        )
        return int(cursor.rowcount)


def queue_mails(broadcast_id: int, recipient_ids: Sequence[int], *, winner: str, purpose: str, now: datetime) -> int:
    """A sending for each of them; how many. One statement; the caller holds the broadcast.

    The key makes a second mail of the same broadcast to the same person impossible. Whether it may leave is asked when it is claimed.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH mine AS (
                UPDATE nurture_broadcastrecipient SET state = 'queued', variant = coalesce(nullif(variant, ''), %(winner)s), due_at = NULL
                WHERE id = ANY(%(ids)s::bigint[]) AND broadcast_id = %(broadcast)s AND state IN ('waiting', 'rest')
                RETURNING contact_id, variant
            )
            INSERT INTO nurture_sending
                (key, token, contact_id, broadcast_id, template_id, purpose, step, address, is_operational, is_test, state, carrier,
                 queued_at, due_at, tries, message_id, subject, html, text, headers, why_not)
            SELECT concat_ws(':', 'broadcast', %(broadcast)s::text, mine.contact_id), gen_random_uuid(), mine.contact_id, %(broadcast)s,
                v.template_id, %(purpose)s, '', coalesce(c.email, ''),
                EXISTS (SELECT FROM leads_purpose WHERE slug = %(purpose)s AND basis = 'contract'), false,
                CASE WHEN coalesce(c.email, '') = '' THEN 'not_sent' ELSE 'queued' END, '',
                %(now)s, %(now)s, 0, '', '', '', '', '[]', CASE WHEN coalesce(c.email, '') = '' THEN 'no_address' ELSE '' END
            FROM mine JOIN leads_contact c ON c.id = mine.contact_id
            JOIN nurture_broadcastvariant v ON v.broadcast_id = %(broadcast)s AND v.key = mine.variant
            """,
            {
                "broadcast": broadcast_id,
                "ids": list(recipient_ids),
                "winner": winner,
                "purpose": purpose,
                "now": now,
            },
        )
        return int(cursor.rowcount)


def waiting_mails(broadcast_id: int, *, now: datetime, most: int) -> int:
    """How many of its mails could leave and have not yet, counted up to `most`. One statement over an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM (
                SELECT FROM nurture_sending WHERE broadcast_id = %s AND state IN ('queued', 'sending') AND due_at <= %s LIMIT %s
            ) counted
            """,
            [broadcast_id, now, most],
        )
        return int(cursor.fetchone()[0])


def hold_mails(broadcast_id: int) -> int:
    """One statement over those that wait in the outbox."""
    return _change(broadcast_id, "state = 'held', lease_until = NULL", ("queued",), {})


def release_mails(broadcast_id: int, *, now: datetime) -> int:
    """One statement."""
    return _change(broadcast_id, "state = 'queued', due_at = greatest(due_at, %(now)s)", ("held",), {"now": now})


def take_back_mails(broadcast_id: int) -> int:
    """What no worker has claimed does not leave any more. One statement."""
    values = "state = 'not_sent', why_not = 'broadcast_cancelled', lease_until = NULL"
    return _change(broadcast_id, values, ("queued", "held"), {})


def _change(broadcast_id: int, values: str, states: Sequence[str], given: Mapping[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE nurture_sending SET {values} WHERE broadcast_id = %(broadcast)s AND state = ANY(%(states)s)",
            {"broadcast": broadcast_id, "states": list(states), **given},
        )
        return int(cursor.rowcount)


# --- What came of it ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mails:
    """Of one broadcast: people of the frozen audience, mails made for them so far, and those of the mails that are not simply sent."""

    people: int
    queued: int
    by_state: dict[str, int]

    @property
    def sent(self) -> int:
        """Mails are never deleted: what is in no other state has left."""
        return self.queued - sum(self.by_state.values())


def mails_of(broadcast_id: int) -> Mails:
    """One statement, so that all numbers are of one moment; over an index, past the mails that were sent: those are nearly all of them."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT coalesce((b.counts ->> 'in')::int, 0), coalesce((b.counts ->> 'queued')::int, 0), s.state, s.number
            FROM nurture_broadcast b LEFT JOIN LATERAL (
                SELECT state, count(*) AS number FROM nurture_sending
                WHERE broadcast_id = %(broadcast)s AND state = ANY(%(states)s) GROUP BY 1
            ) s ON true
            WHERE b.id = %(broadcast)s
            """,
            {"broadcast": broadcast_id, "states": [state for state in Sending.State if state != Sending.State.SENT]},
        )
        rows = cursor.fetchall()
    return Mails(rows[0][0], rows[0][1], {state: number for _people, _queued, state, number in rows if state})


def why_not_sent(broadcast_id: int) -> list[tuple[str, int]]:
    """Reasons of mails that did not leave or wait, the commonest first. One statement over an index and their rows."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT why_not, count(*) AS n FROM nurture_sending
            WHERE broadcast_id = %s AND state IN ('not_sent', 'queued') AND why_not <> '' GROUP BY 1 ORDER BY n DESC, 1 LIMIT 20
            """,
            [broadcast_id],
        )
        return [(why, number) for why, number in cursor.fetchall()]


def readers_of(broadcast_id: int, template_id: int) -> list[int]:
    """Contacts whom this mail of a broadcast reached. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT contact_id FROM nurture_sending
            WHERE broadcast_id = %s AND template_id = %s AND state = 'sent' AND contact_id IS NOT NULL ORDER BY contact_id
            """,
            [broadcast_id, template_id],
        )
        return [contact_id for (contact_id,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class Figures:
    """Mails of one broadcast that left, and people who opened, clicked, or left by it."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0


NOTHING = Figures()


def figures_of(broadcast_ids: Sequence[int]) -> dict[int, Figures]:
    """One statement over the mails of these broadcasts."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.broadcast_id, count(*) FILTER (WHERE s.state = 'sent'), count(*) FILTER (WHERE r.opens + r.clicks > 0),
                count(*) FILTER (WHERE r.clicks > 0), count(r.unsubscribed_at)
            FROM nurture_sending s LEFT JOIN nurture_mailresponse r ON r.sending_id = s.id
            WHERE s.broadcast_id = ANY(%s) GROUP BY 1
            """,
            [list(broadcast_ids)],
        )
        return {broadcast_id: Figures(*numbers) for broadcast_id, *numbers in cursor.fetchall()}
