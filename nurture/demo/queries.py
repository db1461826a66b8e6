"""Puts the demo's facts into an empty database by COPY: thousands of rows a statement, never one by one."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from leads.models import ActivityKind, Asset, Mark, Owner
from leads.queries import ensure_partitions
from nurture.demo import words
from nurture.demo.facts import ActivityFact, CompanyFact, ContactFact, DealFact, StageFact


class Loader:
    """Writes facts with ids of its own choosing (1 + number), so that nothing has to be read back."""

    def __init__(self) -> None:
        self.kinds: dict[str, int] = dict(ActivityKind.objects.values_list("slug", "id"))
        self.assets: dict[tuple[str, str, str], int] = {}
        self.owners = {
            name: Owner.objects.get_or_create(name=name, defaults={"team": team})[0].pk
            for name, team in words.SALES_PEOPLE
        }

    def companies(self, facts: Iterable[CompanyFact]) -> None:
        """One COPY."""
        self._copy(
            "leads_company",
            "id external_id name domain industry employees revenue founded country region city tags custom created_at updated_at",
            (
                (f.number + 1, f.external_id, f.name, f.domain, f.industry, f.employees, f.revenue, f.founded, f.country,
                 f.region, f.city, f.tags, "{}", f.created_at, f.created_at)
                for f in facts
            ),
        )  # fmt: skip

    def contacts(self, facts: Iterable[ContactFact]) -> None:
        """One COPY; everybody comes in as an inquiry."""
        self._copy(
            "leads_contact",
            "id external_id email first_name last_name title department seniority phone country region city postal_code "
            "timezone language source owner_id company_id stage stage_since tags custom created_at updated_at",
            (
                (f.number + 1, f.external_id, f.email, f.first_name, f.last_name, f.title, f.department, f.seniority, f.phone,
                 f.country, f.region, f.city, "", f.timezone, f.language, f.source, self.owners[f.owner] if f.owner else None,
                 f.company_number + 1, "inquiry", f.created_at, f.tags, json.dumps(f.custom), f.created_at, f.created_at)
                for f in facts
            ),
        )  # fmt: skip

    def deals(self, facts: Sequence[DealFact], *, at: datetime) -> None:
        """Two COPYs: the deals as they stood at the moment, and their contacts."""
        today = at.date()
        rows = []
        for f in facts:
            status = f.status_at(today)
            closed_on = f.closed_on if status != "open" else None
            loss_reason = f.loss_reason if status == "lost" else ""
            rows.append(
                (f.number + 1, f.external_id, f.company_number + 1, self.owners[f.owner], status, f.amount, f.margin, f.product,
                 f.opened_on, closed_on, loss_reason, "{}", f.opened_on, at)
            )  # fmt: skip
        self._copy(
            "leads_deal",
            "id external_id company_id owner_id status amount margin product opened_on closed_on loss_reason custom created_at updated_at",
            rows,
        )
        self._copy(
            "leads_dealcontact",
            "deal_id contact_id",
            ((f.number + 1, contact + 1) for f in facts for contact in f.contact_numbers),
        )

    def close_deals(self, facts: Sequence[DealFact], *, at: datetime) -> None:
        """Deals that were open and are decided by now; one statement each, there are few."""
        with connection.cursor() as cursor:
            cursor.executemany(
                "UPDATE leads_deal SET status = %s, closed_on = %s, loss_reason = %s, updated_at = %s WHERE id = %s",
                [(f.outcome, f.closed_on, f.loss_reason, at, f.number + 1) for f in facts],
            )

    def activities(self, facts: Sequence[ActivityFact]) -> int:
        """One COPY of the activities and one statement that adds them up as signals."""
        if not facts:
            return 0
        ensure_partitions(min(f.occurred_at for f in facts), max(f.occurred_at for f in facts))
        for key in {(f.url, f.subject, f.source) for f in facts}:
            self._asset(*key)  # now: the connection can do nothing else while it copies
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE TEMPORARY TABLE IF NOT EXISTS demo_activity "
                "(contact_id bigint, occurred_at timestamptz, kind_id smallint, asset_id int, properties jsonb)"
            )
            cursor.execute("TRUNCATE demo_activity")
        self._copy(
            "demo_activity",
            "contact_id occurred_at kind_id asset_id properties",
            (
                (f.contact_number + 1, f.occurred_at, self.kinds[f.kind], self._asset(f.url, f.subject, f.source),
                 json.dumps(f.properties) if f.properties else None)
                for f in facts
            ),
        )  # fmt: skip
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO leads_activity (contact_id, occurred_at, recorded_at, kind_id, asset_id, properties) "
                "SELECT contact_id, occurred_at, occurred_at, kind_id, asset_id, properties FROM demo_activity"
            )
            cursor.execute(
                "INSERT INTO leads_signal AS s (contact_id, kind_id, n, first_at, last_at) "
                "SELECT contact_id, kind_id, count(*), min(occurred_at), max(occurred_at) FROM demo_activity GROUP BY 1, 2 "
                "ORDER BY 1, 2 ON CONFLICT (contact_id, kind_id) DO UPDATE SET n = s.n + excluded.n, "
                "first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)"
            )
        return len(facts)

    def move_stages(self, moves: Sequence[StageFact]) -> None:
        """History rows and the contacts' present stage; one statement a move, in order, since each starts where the last ended."""
        with connection.cursor() as cursor:
            cursor.executemany(
                "WITH moved AS (UPDATE leads_contact SET stage = %(to)s, stage_since = %(at)s FROM leads_contact AS before "
                "WHERE leads_contact.id = %(id)s AND before.id = leads_contact.id AND before.stage <> %(to)s "
                "AND (%(only)s::text[] IS NULL OR before.stage = ANY(%(only)s)) RETURNING leads_contact.id, before.stage) "
                "INSERT INTO leads_stagemove (contact_id, moved_at, from_stage, to_stage, cause, reason) "
                "SELECT id, %(at)s, stage, %(to)s, 'by_hand', '' FROM moved",
                [{"id": m.contact_number + 1, "to": m.to_stage, "at": m.moved_at, "only": m.only_from} for m in moves],
            )

    def move_newcomers(self, moves: Sequence[StageFact]) -> None:
        """The same for people who just came in: where each move starts is known, so all go in by one COPY and one UPDATE."""
        stages: dict[int, tuple[str, datetime]] = {}
        rows = []
        for move in moves:
            before, _ = stages.get(move.contact_number, ("inquiry", move.moved_at))
            if before == move.to_stage or (move.only_from is not None and before not in move.only_from):
                continue
            rows.append((move.contact_number + 1, move.moved_at, before, move.to_stage, "by_hand", ""))
            stages[move.contact_number] = (move.to_stage, move.moved_at)
        self._copy("leads_stagemove", "contact_id moved_at from_stage to_stage cause reason", rows)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE leads_contact SET stage = now.stage, stage_since = now.since "
                "FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS now (id, stage, since) "
                "WHERE leads_contact.id = now.id",
                [
                    [number + 1 for number in stages],
                    [stage for stage, _ in stages.values()],
                    [since for _, since in stages.values()],
                ],
            )

    def mark(self, contact_numbers: Iterable[int], facet: Mark.Facet, *, now: datetime) -> None:
        """One COPY into the list of marks."""
        self._copy(
            "leads_mark", "contact_id facet since", ((number + 1, int(facet), now) for number in contact_numbers)
        )

    def finish(self) -> None:
        """Sequences go on behind the given ids; the planner learns the sizes (LIMITS: without it 0.04 s become 26 s)."""
        with connection.cursor() as cursor:
            for table in ("leads_company", "leads_contact", "leads_deal"):
                cursor.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(1, (SELECT max(id) FROM {table})))"
                )
            cursor.execute(
                "ANALYZE leads_company, leads_contact, leads_deal, leads_dealcontact, leads_activity, leads_signal, leads_asset"
            )

    def _asset(self, url: str, subject: str, source: str) -> int | None:
        if not (url or subject or source):
            return None
        key = (url, subject, source)
        known = self.assets.get(key)
        if known is None:
            digest = uuid.UUID(hashlib.md5("\x1f".join(key).encode(), usedforsecurity=False).hexdigest())
            asset, _ = Asset.objects.get_or_create(
                digest=digest, defaults={"url": url, "subject": subject, "source": source}
            )
            known = self.assets[key] = asset.pk
        return known

    @staticmethod
    def _copy(table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY {table} ({', '.join(columns.split())}) FROM STDIN") as copy,
        ):
            for row in rows:
                copy.write_row(row)
