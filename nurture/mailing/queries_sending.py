"""Statements over sendings: queued, reserved with all that their words need, claimed, sent, given up. Asked for every slice, so prepared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import connection

from leads import queries_consent
from leads.models import Company, ConsentRequest, Contact, Owner
from leads.queries_prepared import Columns, prepared_cursor, rows_with_ids
from nurture.models import Sending, Template

if TYPE_CHECKING:
    from nurture.kinds.base import Walker

# Why a mail may not leave at all: an operational one (part of a contract, a question to confirm) asks the suppression list alone.
MAY_NOT = (
    "CASE WHEN {of}.is_operational AND coalesce({row}, '') <> '' THEN"
    " (SELECT reason FROM leads_suppression WHERE address_hash = h.hash AND reason IN ('bounced', 'complained'))"
    " ELSE " + queries_consent.blocked("{row}", "h.hash", "{of}.purpose") + " END"
)


def queue_mails(walkers: Sequence[Walker], *, template_id: int, step: str, now: datetime) -> set[int]:
    """A sending for each person; the contacts whose mail is in the queue. One statement.

    Somebody who may not be mailed gets a row too, with the reason. The unique key makes a second row for the same visit impossible.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH template AS (
                SELECT t.id, t.purpose, coalesce(p.basis = 'contract', false) AS is_operational
                FROM nurture_template t LEFT JOIN leads_purpose p ON p.slug = t.purpose WHERE t.id = %(template)s
            ), walker AS MATERIALIZED (
                SELECT w.*, c.email, t.purpose, t.is_operational, {MAY_NOT.format(row="c.email", of="t")} AS blocked
                FROM unnest(%(enrolments)s::bigint[], %(contacts)s::bigint[], %(visits)s::int[])
                    w (enrolment_id, contact_id, visit)
                JOIN leads_contact c ON c.id = w.contact_id
                CROSS JOIN template t
                CROSS JOIN LATERAL (SELECT leads_address_hash(c.email) AS hash OFFSET 0) h
            )
            INSERT INTO nurture_sending
                (key, token, contact_id, enrolment_id, template_id, purpose, step, address, is_operational, is_test, state, carrier,
                 queued_at, due_at, tries, message_id, subject, html, text, headers, why_not)
            SELECT concat_ws(':', enrolment_id, %(step)s::text, visit), gen_random_uuid(), contact_id, enrolment_id,
                %(template)s, purpose, %(step)s, coalesce(email, ''), is_operational, false,
                CASE WHEN blocked IS NULL THEN 'queued' ELSE 'not_sent' END, '',
                %(now)s, %(now)s, 0, '', '', '', '', '[]', coalesce(blocked, '')
            FROM walker
            RETURNING contact_id, state
            """,
            {
                "enrolments": [walker.enrolment_id for walker in walkers],
                "contacts": [walker.contact_id for walker in walkers],
                "visits": [walker.visit for walker in walkers],
                "template": template_id,
                "step": step,
                "now": now,
            },
        )
        return {contact_id for contact_id, state in cursor.fetchall() if state == "queued"}


_SENDING = Columns(Sending, without=frozenset({"html", "text", "headers"}))
_CONTACT = Columns(Contact)
_DUE = """
    SELECT id FROM nurture_sending
    WHERE state = 'queued' AND due_at <= %(now)s AND (lease_until IS NULL OR lease_until <= %(now)s) {lane}
    ORDER BY due_at, id LIMIT {limit} FOR NO KEY UPDATE SKIP LOCKED
"""
_RESERVE = f"""
    WITH first AS MATERIALIZED (
        {_DUE.format(lane="AND (is_operational OR is_test)", limit="%(limit)s")}
    ), other AS MATERIALIZED (
        {_DUE.format(lane="AND NOT (is_operational OR is_test)", limit="%(limit)s - (SELECT count(*) FROM first)")}
    ), mine AS (
        UPDATE nurture_sending SET lease_until = %(lease)s WHERE id = ANY(ARRAY(
            SELECT id FROM first UNION SELECT id FROM other
        )) RETURNING *
    )
    SELECT {_SENDING.of("mine")}, {_CONTACT.of("person")} FROM mine LEFT JOIN leads_contact person ON person.id = mine.contact_id
    ORDER BY mine.is_operational OR mine.is_test DESC, mine.due_at, mine.id
"""


def reserve_sendings(*, now: datetime, lease_until: datetime, limit: int) -> list[Sending]:
    """Due sendings that this worker prepares, operational mail and tests before all marketing; they stay queued, and come back by
    themselves after the lease.

    With contact, company, owner, template and consent request; without the mail itself. Two statements, up to five. Rows of other
    workers are passed over.
    """
    with prepared_cursor() as cursor:
        cursor.execute(_RESERVE, {"lease": lease_until, "now": now, "limit": limit})
        rows = cursor.fetchall()
    width = len(_SENDING.names)
    found = [(_SENDING.row(row[:width]), _CONTACT.row(row[width:]) if row[width] is not None else None) for row in rows]
    people = [contact for _sending, contact in found if contact is not None]
    templates = rows_with_ids(Template, {sending.template_id for sending, _contact in found})
    companies = rows_with_ids(Company, {contact.company_id for contact in people} - {None})
    owners = rows_with_ids(Owner, {contact.owner_id for contact in people} - {None})
    asked = rows_with_ids(ConsentRequest, {sending.consent_request_id for sending, _contact in found} - {None})
    for contact in people:
        contact.company = companies.get(contact.company_id)
        contact.owner = owners.get(contact.owner_id)
    for sending, person in found:
        sending.contact = person
        sending.template = templates[sending.template_id]
        sending.consent_request = asked.get(sending.consent_request_id)
    return [sending for sending, _contact in found]


@dataclass(frozen=True, slots=True)
class Written:
    """A mail ready to leave, as it is stored. `opens_at`: the send window of its reader opens only then."""

    id: int
    message_id: str
    subject: str
    html: str
    text: str
    headers: list[tuple[str, str]]
    opens_at: datetime | None = None
    is_tracked: bool = False
    language: str = ""


def decided(*, written: str, mine: str) -> str:
    """What becomes of mails, as `final` (id, state, why_not, waits_for, waits_until): everything that may hold one back or refuse it.

    `written` selects the mails (id, opens_at …), `mine` says which sendings `s` of them count. Those who wait for the same place come
    back in the order of their programs' priority, a millisecond apart.
    """
    return f"""
    WITH written AS MATERIALIZED (
        {written}
    ), verdict AS MATERIALIZED (
        SELECT s.id, s.address, s.due_at, s.queued_at, w.opens_at,
            p.state IS NOT DISTINCT FROM 'paused' OR b.state IS NOT DISTINCT FROM 'paused' AS is_held, coalesce(b.is_budgeted, true) AS is_budgeted,
            lower(split_part(s.address, '@', -1) COLLATE "pg_c_utf8") AS domain,
            NOT (s.is_test OR s.is_operational) AS is_limited, coalesce(p.priority, 5) AS priority, wish.pace, wish.paused_until,
            CASE
                WHEN s.is_test THEN NULL
                WHEN s.contact_id IS NULL AND s.consent_request_id IS NULL THEN 'contact_gone'
                WHEN p.state = 'stopped' THEN 'program_stopped'
                WHEN b.state = 'cancelled' THEN 'broadcast_cancelled'
                ELSE {MAY_NOT.format(row="s.address", of="s")}
            END AS blocked
        FROM written w JOIN nurture_sending s ON s.id = w.id
        LEFT JOIN nurture_enrolment e ON e.id = s.enrolment_id
        LEFT JOIN nurture_program p ON p.id = e.program_id
        LEFT JOIN nurture_broadcast b ON b.id = s.broadcast_id
        CROSS JOIN LATERAL (SELECT leads_address_hash(s.address) AS hash OFFSET 0) h
        LEFT JOIN leads_mailpreference wish ON wish.address_hash = h.hash
        WHERE {mine}
        FOR NO KEY UPDATE OF s
    ), ready AS (
        SELECT *, row_number() OVER (PARTITION BY address ORDER BY priority, due_at, id) AS place FROM verdict
        WHERE blocked IS NULL AND NOT is_held AND is_limited
            AND coalesce(paused_until <= %(now)s, true) AND coalesce(opens_at <= %(now)s, true)
    ), budget AS (
        SELECT r.id, max(CASE WHEN r.place > cap.most THEN %(now)s + cap.span ELSE (
            SELECT o.claimed_at + cap.span FROM nurture_sending o
            WHERE o.address = r.address AND o.claimed_at > %(now)s - cap.span AND NOT o.is_operational
            ORDER BY o.claimed_at DESC OFFSET cap.most - r.place LIMIT 1
        ) END) AS free_at
        FROM ready r CROSS JOIN LATERAL (VALUES
            (CASE WHEN r.pace IN ('weekly', 'monthly') THEN 1 END, make_interval(days => CASE r.pace WHEN 'weekly' THEN 7 ELSE 30 END)),
            (CASE WHEN r.is_budgeted THEN (SELECT mails FROM nurture_mailbudget LIMIT 1)::int END,
                make_interval(days => (SELECT days FROM nurture_mailbudget LIMIT 1)))
        ) cap (most, span)
        WHERE cap.most IS NOT NULL GROUP BY r.id
    ), turn AS MATERIALIZED (
        SELECT v.id, v.domain, v.blocked, v.is_held, v.queued_at,
            CASE WHEN v.blocked IS NOT NULL OR v.is_held THEN NULL
                WHEN v.is_limited AND v.paused_until > %(now)s THEN 'paused' WHEN v.is_limited AND v.opens_at > %(now)s THEN 'window'
                WHEN v.is_limited AND b.free_at > %(now)s THEN 'frequency' WHEN rest.until > %(now)s THEN 'domain_rests' END AS waits_for,
            CASE WHEN v.is_limited AND v.paused_until > %(now)s THEN v.paused_until WHEN v.is_limited AND v.opens_at > %(now)s THEN v.opens_at
                WHEN b.free_at > %(now)s THEN b.free_at + v.priority * interval '1 millisecond' ELSE rest.until END AS waits_until
        FROM verdict v LEFT JOIN budget b USING (id) LEFT JOIN nurture_domainrest rest ON rest.domain = v.domain
    ), pace AS MATERIALIZED (
        SELECT id, domain, per_minute, CASE WHEN minute_began_at > %(now)s - interval '1 minute' THEN minute_began_at ELSE %(now)s END AS began,
            CASE WHEN minute_began_at > %(now)s - interval '1 minute' THEN used ELSE 0 END AS used
        FROM nurture_domainpace WHERE domain IN (SELECT domain FROM turn) ORDER BY id FOR NO KEY UPDATE
    ), queue AS (
        SELECT t.id, p.id AS pace_id, p.began, p.used + row_number() OVER (PARTITION BY p.id ORDER BY t.id) <= p.per_minute AS fits
        FROM turn t JOIN pace p USING (domain) WHERE t.blocked IS NULL AND NOT t.is_held AND t.waits_for IS NULL
    ), counted AS (
        UPDATE nurture_domainpace d SET minute_began_at = n.began, used = n.used + n.fitting
        FROM (
            SELECT p.id, p.began, p.used, count(*) FILTER (WHERE q.fits) AS fitting
            FROM pace p JOIN queue q ON q.pace_id = p.id GROUP BY p.id, p.began, p.used
        ) n WHERE d.id = n.id
    ), decided AS (
        SELECT t.id, coalesce(t.blocked, CASE WHEN t.waits_for IN ('paused', 'frequency')
                AND t.waits_until > t.queued_at + make_interval(days => %(wait_days)s) THEN t.waits_for END) AS why_not,
            t.is_held, coalesce(t.waits_for, CASE WHEN NOT q.fits THEN 'domain_pace' END) AS waits_for,
            CASE WHEN t.waits_for IS NULL THEN q.began + interval '1 minute' ELSE t.waits_until END AS waits_until
        FROM turn t LEFT JOIN queue q USING (id)
    ), final AS (
        SELECT *, CASE WHEN why_not IS NOT NULL THEN 'not_sent' WHEN is_held THEN 'held' WHEN waits_for IS NOT NULL THEN 'queued'
            ELSE 'sending' END AS state
        FROM decided
    )
    """


_WRITTEN = """
    SELECT * FROM json_to_recordset(%(mails)s::json)
        row (id bigint, message_id text, subject text, html text, text text, headers json, opens_at timestamptz, is_tracked boolean,
            language text)
"""
_CLAIM = f"""
    {decided(written=_WRITTEN, mine="s.state = 'queued' AND s.lease_until = %(reserved)s")}
    UPDATE nurture_sending s SET
        state = f.state,
        why_not = CASE f.state WHEN 'not_sent' THEN f.why_not WHEN 'queued' THEN f.waits_for ELSE '' END,
        due_at = CASE f.state WHEN 'queued' THEN f.waits_until ELSE s.due_at END,
        lease_until = CASE f.state WHEN 'sending' THEN %(lease)s::timestamptz END,
        claimed_at = CASE f.state WHEN 'sending' THEN %(now)s::timestamptz END,
        tries = s.tries + CASE f.state WHEN 'sending' THEN 1 ELSE 0 END,
        carrier = %(carrier)s, message_id = w.message_id, subject = w.subject, html = w.html, text = w.text,
        headers = w.headers::jsonb, is_tracked = w.is_tracked, language = w.language
    FROM final f JOIN written w USING (id) WHERE s.id = f.id
    RETURNING s.id, s.state
"""


def claim_sendings(
    written: Sequence[Written],
    *,
    now: datetime,
    reserved_until: datetime,
    lease_until: datetime,
    carrier: str,
    wait_days: int,
) -> dict[int, str]:
    """Claim prepared mails: those that may leave become “being sent”. sending -> its state now.

    One statement, which looks again at suppression, consent for the purpose, program, pause, send window, frequency budget and the
    pace of the recipient's domain. A mail of somebody who said no becomes “not sent”, one of a paused program is held, one whose turn has not come
    waits with its reason, at most `wait_days` where the reader wished so. Only rows that this worker reserved and nobody else took
    change, so two workers never claim the same mail; the caller holds the locks of the addresses (leads.queries_consent). The mails go
    over as one JSON text: arrays of long texts cost psycopg 1.3 ms a mail for quoting, which this does in 0.05 (2026-11-22).
    """
    mails = [
        {name: getattr(mail, name) for name in Written.__slots__}
        | {"opens_at": mail.opens_at and mail.opens_at.isoformat()}
        for mail in written
    ]
    with prepared_cursor() as cursor:
        cursor.execute(
            _CLAIM,
            {
                "mails": json.dumps(mails, ensure_ascii=False),
                "now": now,
                "reserved": reserved_until,
                "lease": lease_until,
                "carrier": carrier,
                "wait_days": wait_days,
            },
        )
        return dict(cursor.fetchall())


def set_sent(sending_ids: Sequence[int], *, sent_at: datetime) -> list[tuple[int, int, str, str]]:
    """Record that these mails left: (sending, contact, subject, template slug) of those that were being sent and are no tests.

    One statement; a row that meanwhile counts as uncertain is recorded too, since the server's answer is certain.
    """
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_sending s SET state = 'sent', sent_at = %s, lease_until = NULL, why_not = ''
            FROM nurture_template t
            WHERE s.id = ANY(%s::bigint[]) AND s.state IN ('sending', 'uncertain') AND t.id = s.template_id
            RETURNING s.id, s.contact_id, s.subject, t.slug, s.is_test
            """,
            [sent_at, list(sending_ids)],
        )
        return [
            (sending_id, contact_id, subject, slug)
            for sending_id, contact_id, subject, slug, is_test in cursor.fetchall()
            if contact_id is not None and not is_test
        ]


def give_up_leases(*, now: datetime) -> int:
    """Mails whose worker died while sending become uncertain: they may have left. One statement over the partial index."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            UPDATE nurture_sending SET state = 'uncertain', lease_until = NULL, why_not = 'worker_died'
            WHERE id = ANY(ARRAY(
                SELECT id FROM nurture_sending WHERE state = 'sending' AND lease_until <= %s FOR NO KEY UPDATE SKIP LOCKED
            ))
            """,
            [now],
        )
        return int(cursor.rowcount)
