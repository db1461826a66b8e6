"""Statements over consent, preferences and suppression, and the one answer to “may this address be mailed?” as SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from leads.queries_prepared import prepared_cursor

# Why an address gets no mail for a purpose, as a code, or null when it may: a suppression wins, then the last row of the ledger that
# counts, then the legal basis, which may want a yes where somebody lives (consent.country_of says the same). “asked” alone is a double
# opt-in that was never confirmed; after “given” it takes nothing back.
_BLOCKED = """
    CASE WHEN coalesce({address}, '') = '' THEN 'no_address' ELSE nullif(coalesce(
        (SELECT reason FROM leads_suppression WHERE address_hash = {hash}),
        (SELECT kind FROM leads_suppressionpattern WHERE CASE kind
            WHEN 'role' THEN lower({address} COLLATE "pg_c_utf8") LIKE replace(value, '_', '\\_') || '@%%'
            ELSE '.' || lower(split_part({address}, '@', -1) COLLATE "pg_c_utf8") LIKE '%%.' || replace(value, '_', '\\_')
        END ORDER BY kind LIMIT 1),
        (SELECT CASE state WHEN 'withdrawn' THEN 'withdrawn' WHEN 'asked' THEN 'not_confirmed' ELSE '' END
         FROM leads_consentevent WHERE address_hash = {hash} AND purpose IN ({purpose}, 'marketing') AND counts
         ORDER BY state = 'asked', occurred_at DESC, id DESC LIMIT 1),
        (SELECT CASE WHEN basis = 'consent' THEN 'no_consent'
            WHEN basis = 'interest' AND cardinality(quiet_countries) > 0 AND (
                SELECT upper(coalesce(nullif(c.country, ''), nullif(k.country, ''),
                    CASE ending WHEN 'UK' THEN 'GB' WHEN 'EU' THEN 'BE' ELSE ending END))
                FROM (SELECT upper(split_part({address}, '.', -1)) AS ending) top
                LEFT JOIN leads_contact c ON lower(c.email) = lower({address}) LEFT JOIN leads_company k ON k.id = c.company_id
            ) = ANY (quiet_countries) THEN 'quiet_country' END
         FROM leads_purpose WHERE slug = {purpose})
    ), '') END
"""


def blocked(address: str, hash: str, purpose: str) -> str:
    """The expression over three expressions: an address, its hash (`leads_address_hash(address)`, worked out once), a purpose."""
    return _BLOCKED.format(address=address, hash=hash, purpose=purpose)


def address_key() -> bytes:
    """The key of this instance's address hashes. One statement."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT leads_address_key()")
        return bytes(cursor.fetchone()[0])


def why_blocked(addresses: Sequence[str], purpose: str) -> dict[str, str]:
    """Those of the addresses that get no mail for the purpose, each with the code of its reason. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT address, why FROM (
                SELECT a.address, {blocked("a.address", "h.hash", "%(purpose)s")} AS why
                FROM unnest(%(addresses)s::text[]) a (address)
                CROSS JOIN LATERAL (SELECT leads_address_hash(a.address) AS hash OFFSET 0) h
            ) asked WHERE why IS NOT NULL
            """,
            {"addresses": list(addresses), "purpose": purpose},
        )
        return dict(cursor.fetchall())


def lock_addresses(hashes: Sequence[str]) -> None:
    """Wait until nobody else decides about these addresses, and keep them until the transaction ends. One statement.

    Whoever writes consent and whoever claims mail takes these locks first of all and in one order, so the two never pass each other:
    a claim sees every withdrawal that was committed before it, and a withdrawal that waits is committed after the claim.
    """
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_advisory_xact_lock(key) FROM (
                SELECT DISTINCT hashtextextended(hash, 7301) AS key FROM unnest(%s::text[]) wanted (hash) ORDER BY 1 OFFSET 0
            ) ordered
            """,
            [list(hashes)],
        )


def lock_addresses_in_clear(addresses: Iterable[str]) -> None:
    """The same for addresses as they are written. One statement."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            SELECT pg_advisory_xact_lock(key) FROM (
                SELECT DISTINCT hashtextextended(leads_address_hash(address), 7301) AS key
                FROM unnest(%s::text[]) wanted (address) ORDER BY 1 OFFSET 0
            ) ordered
            """,
            [list(addresses)],
        )


def contacts_with_hash(hash: str) -> list[int]:
    """Contacts at the address behind a hash. One statement over all contacts (2 s a million): for links that outlived their contact."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM leads_contact WHERE email IS NOT NULL AND leads_address_hash(email) = %s", [hash]
        )
        return [pk for (pk,) in cursor.fetchall()]


Word = tuple[str, datetime, int]  # what was said, when, and the row's number, which decides where two have one moment


def states_of(hash: str) -> dict[str, Word]:
    """purpose -> its own last row that counts. One statement over the ledger's index."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (purpose) purpose, state, occurred_at, id FROM leads_consentevent
            WHERE address_hash = %s AND counts ORDER BY purpose, state = 'asked', occurred_at DESC, id DESC
            """,
            [hash],
        )
        return {purpose: (state, at, number) for purpose, state, at, number in cursor.fetchall()}


# --- Many addresses at once ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listed:
    """An address for the suppression list."""

    digest: str
    address: str
    reason: str
    source: str
    since: datetime


def put_on_list(rows: Sequence[Listed], *, by_person: bool = False) -> set[str]:
    """Hashes of those that were not on the list, or for a lighter reason: whose complaint is new, and, where a colleague says so
    (`by_person`), who asked for it beside a bounce. One statement; the caller holds the locks of the addresses.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_suppression AS s (address_hash, address, reason, source, since)
            SELECT * FROM unnest(%(hashes)s::text[], %(addresses)s::text[], %(reasons)s::text[], %(sources)s::text[], %(since)s::timestamptz[])
            ON CONFLICT (address_hash) DO UPDATE SET reason = excluded.reason, source = excluded.source, since = excluded.since,
                address = coalesce(nullif(s.address, ''), excluded.address)
            WHERE excluded.reason = 'complained' AND s.reason <> 'complained'
                OR %(by_person)s AND excluded.reason = 'by_hand' AND s.reason = 'bounced'
            RETURNING address_hash
            """,
            {
                "hashes": [row.digest for row in rows],
                "addresses": [row.address for row in rows],
                "reasons": [row.reason for row in rows],
                "sources": [row.source for row in rows],
                "since": [row.since for row in rows],
                "by_person": by_person,
            },
        )
        return {digest for (digest,) in cursor.fetchall()}


def refuse_everything(hashes: Sequence[str], *, source: str, now: datetime) -> set[str]:
    """Hashes of those that had not withdrawn from everything, and have now. One statement; the caller holds the locks of the addresses."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO leads_consentevent (address_hash, contact_id, purpose, state, counts, occurred_at, source, wording, proof)
            SELECT wanted.hash, NULL, 'marketing', 'withdrawn', true, greatest(%(now)s, said.last_at), %(source)s, '', '{}'
            FROM unnest(%(hashes)s::text[]) wanted (hash) CROSS JOIN LATERAL (
                SELECT max(occurred_at) AS last_at,
                    max((occurred_at, id)) FILTER (WHERE purpose = 'marketing' AND state = 'withdrawn') AS withdrawn,
                    max((occurred_at, id)) FILTER (WHERE state = 'given') AS given
                FROM leads_consentevent WHERE address_hash = wanted.hash AND counts
            ) said WHERE said.withdrawn IS NULL OR said.given > said.withdrawn
            RETURNING address_hash
            """,
            {"hashes": list(hashes), "source": source, "now": now},
        )
        return {digest for (digest,) in cursor.fetchall()}


def close_questions(hashes: Sequence[str], *, purpose: str, at: datetime) -> None:
    """A no after a question is its answer: links of questions that were asked before confirm nothing any more. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE leads_consentrequest SET expires_at = %(at)s, wants_mail = false
            WHERE address_hash = ANY(%(hashes)s) AND asked_at <= %(at)s AND expires_at > %(at)s AND confirmed_at IS NULL
                AND (%(purpose)s = 'marketing' OR %(purpose)s = ANY(purposes))
            """,
            {"hashes": list(hashes), "purpose": purpose, "at": at},
        )


def contacts_at(addresses: Sequence[str]) -> list[int]:
    """Contacts with one of these normal addresses. One statement over the unique index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM leads_contact WHERE lower(email) = ANY(%s)", [[one for one in addresses if one]])
        return [pk for (pk,) in cursor.fetchall()]


def people_with_hashes(hashes: Sequence[str]) -> dict[str, list[int]]:
    """hash -> contacts at the address behind it. One statement over all contacts (2 s a million)."""
    found: dict[str, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT id, hash FROM (
                SELECT id, leads_address_hash(email) AS hash FROM leads_contact WHERE email IS NOT NULL OFFSET 0
            ) everybody WHERE hash = ANY(%s)
            """,
            [list(hashes)],
        )
        for pk, digest in cursor.fetchall():
            found.setdefault(digest, []).append(pk)
    return found


# --- What somebody said goes along when their address changes --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moved:
    """One person under another address than before."""

    contact_id: int | None
    gone: str
    kept: str


_MOVED = """
    WITH moved AS MATERIALIZED (
        SELECT m.contact_id, m.kept AS address, leads_address_hash(m.gone) AS gone, leads_address_hash(m.kept) AS kept
        FROM unnest(%(contacts)s::bigint[], %(gone)s::text[], %(kept)s::text[]) m (contact_id, gone, kept)
    )
"""


def carry_refusals(moved: Sequence[Moved], *, source: str, now: datetime) -> list[tuple[int, str]]:
    """What was refused under the old address is refused under the new one: (contact, purpose) of the rows that were added.

    A yes stays where it was said. One statement, a few steps down the ledger's index for each address.
    """
    return _carry(
        """
        INSERT INTO leads_consentevent (address_hash, contact_id, purpose, state, counts, occurred_at, source, wording, proof)
        SELECT m.kept, m.contact_id, theirs.purpose, 'withdrawn', true, greatest(%(now)s, ours.occurred_at), %(source)s, '',
            jsonb_build_object('former_address', m.gone, 'withdrawn_at', theirs.occurred_at)
        FROM moved m CROSS JOIN LATERAL (
            SELECT DISTINCT ON (purpose) purpose, state, occurred_at FROM leads_consentevent
            WHERE address_hash = m.gone AND counts ORDER BY purpose, state = 'asked', occurred_at DESC, id DESC
        ) theirs LEFT JOIN LATERAL (
            SELECT state, occurred_at, id FROM leads_consentevent
            WHERE address_hash = m.kept AND purpose IN (theirs.purpose, 'marketing') AND counts
            ORDER BY state = 'asked', occurred_at DESC, id DESC LIMIT 1
        ) ours ON true
        WHERE theirs.state = 'withdrawn' AND m.gone <> m.kept AND (ours.state IS DISTINCT FROM 'withdrawn' OR (
            theirs.purpose = 'marketing' AND EXISTS (
                SELECT FROM leads_consentevent since WHERE since.address_hash = m.kept AND since.counts AND since.state = 'given'
                    AND (since.occurred_at, since.id) > (ours.occurred_at, ours.id)
            )
        ))
        RETURNING contact_id, purpose
        """,
        moved,
        source=source,
        now=now,
    )


def carry_suppressions(moved: Sequence[Moved], *, source: str, now: datetime) -> list[tuple[int, str]]:
    """A complaint, and what a colleague put on the list by hand, is about the person; a bounce is about the mailbox. One statement."""
    return _carry(
        """
        INSERT INTO leads_suppression (address_hash, address, reason, source, since)
        SELECT m.kept, m.address, listed.reason, %(source)s, %(now)s FROM moved m JOIN leads_suppression listed ON listed.address_hash = m.gone
        WHERE listed.reason IN ('complained', 'by_hand') AND m.gone <> m.kept
        ON CONFLICT (address_hash) DO UPDATE SET reason = excluded.reason, source = excluded.source, since = excluded.since
            WHERE excluded.reason = 'complained' AND leads_suppression.reason <> 'complained'
        RETURNING 0::bigint, reason
        """,
        moved,
        source=source,
        now=now,
    )


def carry_wishes(moved: Sequence[Moved], *, now: datetime) -> list[tuple[int, str]]:
    """Pace, pause and tracking: the stricter of the two addresses; the language where the new one has none. One statement."""
    return _carry(
        """
        INSERT INTO leads_mailpreference AS w (address_hash, pace, language, paused_until, tracking, updated_at)
        SELECT m.kept, wish.pace, wish.language, wish.paused_until, wish.tracking, %(now)s
        FROM moved m JOIN leads_mailpreference wish ON wish.address_hash = m.gone WHERE m.gone <> m.kept
        ON CONFLICT (address_hash) DO UPDATE SET
            pace = CASE WHEN 'monthly' IN (w.pace, excluded.pace) THEN 'monthly' WHEN 'weekly' IN (w.pace, excluded.pace) THEN 'weekly' ELSE 'any' END,
            language = coalesce(nullif(w.language, ''), excluded.language),
            paused_until = greatest(w.paused_until, excluded.paused_until),
            tracking = CASE WHEN 'no' IN (w.tracking, excluded.tracking) THEN 'no' ELSE w.tracking END,
            updated_at = excluded.updated_at
        RETURNING 0::bigint, address_hash
        """,
        moved,
        source="",
        now=now,
    )


def _carry(statement: str, moved: Sequence[Moved], *, source: str, now: datetime) -> list[tuple[int, str]]:
    with connection.cursor() as cursor:
        cursor.execute(
            _MOVED + statement,
            {
                "contacts": [one.contact_id for one in moved],
                "gone": [one.gone for one in moved],
                "kept": [one.kept for one in moved],
                "source": source,
                "now": now,
            },
        )
        found: list[tuple[int, str]] = cursor.fetchall()
        return found
