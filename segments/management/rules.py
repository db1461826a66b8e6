"""What match and explain share: the rule's file, the moment, the printed object."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from segments import conditions
from segments.conditions import BadConditions, Moment, Tree
from segments.conditions.periods import instant
from segments.conditions.reading import NotJson, read_document

REFUSED, BAD_USAGE = 1, 2
# A rule over millions of contacts takes seconds; a statement that runs longer than this is stopped and said so.
SECONDS = 300.0
# A day more on either side still has a date in every zone.
FIRST_YEAR, LAST_YEAR = 2, 9998


def add_rule(parser: CommandParser) -> None:
    parser.add_argument("file", metavar="CONDITIONS.json", help="The rule's document; - reads standard input.")


def add_moment(parser: CommandParser) -> None:
    parser.add_argument("--at", metavar="ISO", help="The moment for which the rule is worked out; now if not given.")
    parser.add_argument(
        "--zone", metavar="ZONE", help="Time zone, such as Europe/Berlin; the workspace's if not given."
    )


def read_rule(name: str) -> Tree:
    """The checked rule. CommandError with what is wrong: 2 when there is no such file, 1 when it holds no rule."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", returncode=BAD_USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(_("%(name)s is not UTF-8 text") % {"name": name}, returncode=REFUSED) from error
    try:
        return conditions.check(read_document(text, exact=True))
    except NotJson as error:
        raise CommandError(f"{name}: {error}", returncode=REFUSED) from error
    except BadConditions as error:
        raise refused(error) from error


def refused(error: BadConditions) -> CommandError:
    return CommandError("\n".join(str(problem) for problem in error.problems), returncode=REFUSED)


def read_moment(at: str | None, zone: str | None) -> Moment:
    """The moment asked for, now and the workspace's zone by default. CommandError (2) for one that is none."""
    found = conditions.moment(timezone.now())
    if zone is not None:
        try:
            found = Moment(found.at, ZoneInfo(zone), found.week_start)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise CommandError(_("“%(zone)s” is no time zone") % {"zone": zone}, returncode=BAD_USAGE) from error
    if at is not None:
        try:
            given = datetime.fromisoformat(at)
        except ValueError as error:
            raise CommandError(_("“%(at)s” is no ISO moment") % {"at": at}, returncode=BAD_USAGE) from error
        if not FIRST_YEAR <= given.year <= LAST_YEAR:
            raise CommandError(
                _("“%(at)s” lies outside of the years %(first)s to %(last)s")
                % {"at": at, "first": FIRST_YEAR, "last": LAST_YEAR},
                returncode=BAD_USAGE,
            )
        found = Moment(instant(given, found.zone), found.zone, found.week_start)
    return found


def iso(moment: Moment) -> str:
    return moment.at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def as_json(value: dict[str, Any]) -> str:
    """One line of JSON; decimals as numbers."""

    def number(found: Any) -> int | float:
        if isinstance(found, Decimal):
            return int(found) if found == found.to_integral_value() else float(found)
        raise TypeError(type(found).__name__)

    return json.dumps(value, ensure_ascii=False, default=number)
