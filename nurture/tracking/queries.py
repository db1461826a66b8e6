"""Statements over links and hits: rules of a slice of mails, a hit noted, hits taken for judgement with their neighbours, figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from leads.queries_prepared import Columns, prepared_cursor
from nurture.models import TrackingDefaults
from nurture.tracking.codes import TRAP


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said about one mail: by the workspace, its program, its template and its reader."""

    home: TrackingDefaults
    program: str
    is_off: bool
    of_program: dict[str, str] | None
    of_template: dict[str, str] | None
    wish: str


_HOME = Columns(TrackingDefaults)
_RULES = f"""
    SELECT s.id, coalesce(p.slug, ''), coalesce(ofp.is_off, false) OR coalesce(oft.is_off, false), ofp.utm, oft.utm,
        coalesce(w.tracking, ''), {_HOME.of("home")}
    FROM nurture_sending s
    LEFT JOIN nurture_enrolment e ON e.id = s.enrolment_id
    LEFT JOIN nurture_program p ON p.id = e.program_id
    LEFT JOIN nurture_trackingrule ofp ON ofp.program_id = p.id
    LEFT JOIN nurture_trackingrule oft ON oft.template_id = s.template_id
    CROSS JOIN LATERAL (SELECT leads_address_hash(s.address) AS hash OFFSET 0) h
    LEFT JOIN leads_mailpreference w ON w.address_hash = h.hash
    LEFT JOIN nurture_trackingdefaults home ON home.id = 1
    WHERE s.id = ANY(%s::bigint[])
"""


def rules_of(sending_ids: Sequence[int]) -> dict[int, Rule]:
    """Sending -> what is said about it. One statement."""
    found: dict[int, Rule] = {}
    home: TrackingDefaults | None = None
    with prepared_cursor() as cursor:
        cursor.execute(_RULES, [list(sending_ids)])
        for number, program, is_off, of_program, of_template, wish, *row in cursor.fetchall():
            home = home or (_HOME.row(row) if row[0] is not None else TrackingDefaults(pk=1))
            found[number] = Rule(home, program, is_off, _document(of_program), _document(of_template), wish)
    return found


def _document(value: Any) -> dict[str, str] | None:
    found: dict[str, str] | None = json.loads(value) if isinstance(value, str) else value
    return found


# --- Hits -----------------------------------------------------------------------------------------------------------------------


def note_hit(sending_id: int, place: int, *, url: str, source: str, agent: str, suspicion: str, at: datetime) -> bool:
    """Keep one request; whether there is such a mail that left with marks in it, and its reader did not say no since. One statement."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO nurture_mailhit (sending_id, place, at, url, source, agent, suspicion, verdict)
            SELECT id, %s, %s, %s, %s, %s, %s, '' FROM nurture_sending s
            WHERE id = %s AND is_tracked AND state IN ('sending', 'sent', 'uncertain', 'bounced') AND html <> '' AND NOT EXISTS (
                SELECT FROM leads_mailpreference WHERE address_hash = leads_address_hash(s.address) AND tracking = 'no'
            )
            """,
            [place, at, url, source, agent, suspicion, sending_id],
        )
        return bool(cursor.rowcount)


@dataclass(frozen=True, slots=True)
class Hit:
    """A judged hit. `verdict`: person, or why it was a machine."""

    id: int
    sending_id: int
    place: int
    at: datetime
    url: str
    verdict: str


def take_hits(
    *, until: datetime, soon: timedelta, beside: timedelta, burst: timedelta, burst_links: int, limit: int
) -> list[Hit]:
    """Judge the hits up to a moment, in their order. One statement; rows that another worker holds are passed over.

    What a hit said of itself counts first. Then: sooner after the mail left than a person reads; from the same source as a scanner
    beside it; one of so many links pressed at once.
    """
    values: dict[str, Any] = {"until": until, "limit": limit, "links": burst_links}
    values |= {"soon": soon, "beside": beside, "burst": burst}
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH mine AS MATERIALIZED (
                SELECT * FROM nurture_mailhit WHERE verdict = '' AND at <= %(until)s
                ORDER BY at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
            ), judged AS (
                SELECT h.id, CASE
                    WHEN h.suspicion <> '' THEN h.suspicion
                    WHEN h.at < coalesce(s.sent_at, s.claimed_at, h.at) + %(soon)s THEN 'soon'
                    WHEN EXISTS (
                        SELECT FROM nurture_mailhit o WHERE o.sending_id = h.sending_id AND o.source = h.source
                            AND o.at BETWEEN h.at - %(beside)s AND h.at + %(beside)s AND o.suspicion IN ('agent', 'head', 'trap')
                    ) THEN 'source'
                    WHEN h.place BETWEEN 1 AND {TRAP - 1} AND (
                        SELECT count(DISTINCT o.place) FROM nurture_mailhit o WHERE o.sending_id = h.sending_id
                            AND o.place BETWEEN 1 AND {TRAP - 1} AND o.at BETWEEN h.at - %(burst)s AND h.at + %(burst)s
                    ) >= %(links)s THEN 'burst'
                    ELSE 'person' END AS verdict
                FROM mine h JOIN nurture_sending s ON s.id = h.sending_id
            )
            UPDATE nurture_mailhit h SET verdict = j.verdict FROM judged j WHERE j.id = h.id
            RETURNING h.id, h.sending_id, h.place, h.at, h.url, h.verdict
            """,
            values,
        )
        return sorted((Hit(*row) for row in cursor.fetchall()), key=lambda hit: (hit.at, hit.id))


def forget_hits(*, before: datetime, limit: int) -> int:
    """Delete hits that are older and judged. One statement, over the index by age."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            DELETE FROM nurture_mailhit WHERE id = ANY(ARRAY(
                SELECT id FROM nurture_mailhit WHERE at < %s AND verdict <> '' ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED
            ))
            """,
            [before, limit],
        )
        return int(cursor.rowcount)
