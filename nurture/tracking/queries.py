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
    language: str  # that the reader wishes


_HOME = Columns(TrackingDefaults)
_RULES = f"""
    SELECT s.id, coalesce(p.slug, b.slug, ''), coalesce(ofp.is_off, false) OR coalesce(oft.is_off, false), ofp.utm, oft.utm,
        coalesce(w.tracking, ''), coalesce(w.language, ''), {_HOME.of("home")}
    FROM nurture_sending s
    LEFT JOIN nurture_enrolment e ON e.id = s.enrolment_id
    LEFT JOIN nurture_program p ON p.id = e.program_id
    LEFT JOIN nurture_broadcast b ON b.id = s.broadcast_id
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
        for number, program, is_off, of_program, of_template, wish, language, *row in cursor.fetchall():
            home = home or (_HOME.row(row) if row[0] is not None else TrackingDefaults(pk=1))
            found[number] = Rule(home, program, is_off, _document(of_program), _document(of_template), wish, language)
    return found


def _document(value: Any) -> dict[str, str] | None:
    found: dict[str, str] | None = json.loads(value) if isinstance(value, str) else value
    return found


# --- Hits -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Noted:
    """A request that was kept. `told`: the websites that may hear whose it was, none unless the settings say so."""

    told: tuple[str, ...] = ()


def note_hit(
    sending_id: int, place: int, *, url: str, source: str, agent: str, suspicion: str, at: datetime
) -> Noted | None:
    """Keep one request; None where there is no such mail that left with marks in it, or its reader said no since. One statement."""
    with prepared_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO nurture_mailhit (sending_id, place, at, url, source, agent, suspicion, verdict)
            SELECT id, %s, %s, %s, %s, %s, %s, '' FROM nurture_sending s
            WHERE id = %s AND is_tracked AND state IN ('sending', 'sent', 'uncertain', 'bounced') AND html <> '' AND NOT EXISTS (
                SELECT FROM leads_mailpreference WHERE address_hash = leads_address_hash(s.address) AND tracking = 'no'
            )
            RETURNING (SELECT sites FROM leads_website WHERE id = 1 AND is_on AND joins_clicks)
            """,
            [place, at, url, source, agent, suspicion, sending_id],
        )
        row = cursor.fetchone()
        return Noted(tuple(row[0] or ())) if row else None


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


# --- Figures ----------------------------------------------------------------------------------------------------------------------

_WHO = "coalesce(s.contact_id, -s.id)"  # whoever was deleted counts once a mail
# Of one person over all mails that are looked at.
_SIGNS = """
    bool_or(s.state = 'sent') AS delivered,
    bool_or(s.state = 'sent' AND s.is_tracked) AS tracked,
    bool_or(coalesce(r.opens + r.clicks > 0, false)) AS opened,
    bool_or(coalesce(r.clicks > 0, false)) AS clicked,
    bool_or(r.unsubscribed_at IS NOT NULL) AS unsubscribed,
    bool_or(coalesce(r.machine_opens + r.machine_clicks > 0, false)) AS by_machine
"""
WHICH = {  # number -> what holds for the people behind it
    "sent": "true",
    "delivered": "delivered",
    "tracked": "tracked",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "machines": "by_machine AND NOT opened",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which mails are looked at: of a template, of a program or broadcast, of both, or all."""

    template_id: int | None = None
    program_id: int | None = None
    broadcast_id: int | None = None

    @property
    def where(self) -> str:
        """Tests were for colleagues; a mail that never left has no result."""
        found = "FROM nurture_sending s LEFT JOIN nurture_mailresponse r ON r.sending_id = s.id"
        found += " JOIN nurture_enrolment e ON e.id = s.enrolment_id" if self.program_id is not None else ""
        found += " WHERE NOT s.is_test AND s.state IN ('sent', 'bounced')"
        found += " AND s.template_id = %(template)s" if self.template_id is not None else ""
        found += " AND s.broadcast_id = %(broadcast)s" if self.broadcast_id is not None else ""
        return found + (" AND e.program_id = %(program)s" if self.program_id is not None else "")

    @property
    def values(self) -> dict[str, Any]:
        return {"template": self.template_id, "program": self.program_id, "broadcast": self.broadcast_id}


def people_by_template(scope: Scope) -> dict[int, dict[str, int]]:
    """Template -> number -> people. One statement over the mails of the scope."""
    counts = ", ".join(f"count(*) FILTER (WHERE {holds})" for holds in WHICH.values())
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH one AS (SELECT s.template_id, {_WHO} AS who, {_SIGNS} {scope.where} GROUP BY 1, 2)
            SELECT template_id, {counts} FROM one GROUP BY 1
            """,
            scope.values,
        )
        return {row[0]: dict(zip(WHICH, row[1:], strict=True)) for row in cursor.fetchall()}


def last_mails(scope: Scope, which: str, *, before: int | None, limit: int) -> list[int]:
    """Of each person behind a number their newest mail, newest first. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH one AS (SELECT {_WHO} AS who, max(s.id) AS last, {_SIGNS} {scope.where} GROUP BY 1)
            SELECT last FROM one WHERE {WHICH[which]} AND (%(before)s::bigint IS NULL OR last < %(before)s)
            ORDER BY last DESC LIMIT %(limit)s
            """,
            {**scope.values, "before": before, "limit": limit},
        )
        return [last for (last,) in cursor.fetchall()]


def last_mails_of_broadcast(scope: Scope, which: str, *, before: int | None, limit: int) -> list[int]:
    """The same for a broadcast, of which nearly everybody has one mail: goes along its mails, newest first, and asks of each person's as
    many as it takes to fill a page, instead of looking at them all. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT mail.id FROM unnest(ARRAY['sent', 'bounced']) left_as (state) CROSS JOIN LATERAL (
                SELECT m.id FROM nurture_sending m CROSS JOIN LATERAL (
                    SELECT max(s.id) AS last, {_SIGNS} {scope.where} AND (s.id = m.id OR s.contact_id = m.contact_id)
                ) one
                WHERE m.broadcast_id = %(broadcast)s AND m.state = left_as.state AND (%(before)s::bigint IS NULL OR m.id < %(before)s)
                    AND (%(template)s::bigint IS NULL OR m.template_id = %(template)s) AND one.last = m.id AND {WHICH[which]}
                ORDER BY m.id DESC LIMIT %(limit)s
            ) mail ORDER BY mail.id DESC LIMIT %(limit)s
            """,
            {**scope.values, "before": before, "limit": limit},
        )
        return [last for (last,) in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """One address in the mails of a scope."""

    url: str
    people: int
    clicks: int
    machine_clicks: int


def links_pressed(scope: Scope, *, limit: int) -> list[LinkFigures]:
    """Addresses by the people who pressed them; those of erased people share the empty one. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT c.url, count(DISTINCT {_WHO}) FILTER (WHERE c.clicks > 0) AS people, sum(c.clicks), sum(c.machine_clicks)
            {scope.where.replace("FROM nurture_sending s", "FROM nurture_mailclick c JOIN nurture_sending s ON s.id = c.sending_id")}
            GROUP BY c.url ORDER BY people DESC, 3 DESC, c.url LIMIT %(limit)s
            """,
            {**scope.values, "limit": limit},
        )
        return [LinkFigures(*row) for row in cursor.fetchall()]
