"""manage.py refresh: one turn of the engine by hand."""

from __future__ import annotations

import json
from datetime import datetime
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from leads.workspace import zone
from nurture.mailing import confirmations, sending
from nurture.turn import turn


def moment(text: str | None, *, home: ZoneInfo) -> datetime:
    """The moment of --at, read in the zone when it names none; now without it."""
    if not text:
        return timezone.now()
    try:
        found = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--at {text}: expected a moment such as 2026-03-31T09:00:00Z.", returncode=2) from error
    return found if found.tzinfo else found.replace(tzinfo=home)


def zone_of(name: str | None) -> ZoneInfo:
    if not name:
        return zone()
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise CommandError(f"--zone {name}: there is no such time zone.", returncode=2) from error


class Command(BaseCommand):
    help = "One turn of the engine: segments, personas, scores, hand-offs, enrolments, due steps, sendings. Prints one JSON object."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--full", action="store_true", help="look at everybody, not only at what changed")
        parser.add_argument("--at", help="the moment to work for, default now")
        parser.add_argument("--zone", help="the zone in which --at is read when it names none")

    def handle(self, *args: Any, **options: Any) -> None:
        now = moment(options["at"], home=zone_of(options["zone"]))
        started = perf_counter()
        report = turn(now, full=options["full"], budget_seconds=None)
        began = perf_counter()
        confirmations.queue_asked(now)
        mails = sending.send_due(now, seconds=3600.0)
        report.seconds["sendings"] = perf_counter() - began
        found = {"at": now.isoformat(), **report.as_json()}
        found["sendings"] = {key: value for key, value in vars(mails).items() if key != "by_seconds"}
        found["seconds"]["total"] = round(perf_counter() - started, 4)
        self.stdout.write(json.dumps(found, default=str))
        if report.definitions.busy:
            self.stderr.write("A worker's turn is at work: the definitions were left to it.")
