"""manage.py match CONDITIONS.json|- [--at ISO] [--zone ZONE] [--count]: who a rule holds for."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import OperationalError
from django.utils.translation import gettext as _

from segments import conditions
from segments.conditions import BadConditions
from segments.management.rules import (
    REFUSED,
    SECONDS,
    add_moment,
    add_rule,
    as_json,
    iso,
    read_moment,
    read_rule,
    refused,
)


class Command(BaseCommand):
    help = "Print the contacts for whom a rule holds: external ids, else e-mails, sorted by code point."

    def add_arguments(self, parser: CommandParser) -> None:
        add_rule(parser)
        add_moment(parser)
        parser.add_argument("--count", action="store_true", help="Only the number.")

    def handle(self, *args: Any, **options: Any) -> None:
        moment = read_moment(options["at"], options["zone"])
        tree = read_rule(options["file"])
        found: dict[str, Any] = {"at": iso(moment)}
        try:
            with conditions.time_limit(SECONDS):
                if options["count"]:
                    found["count"] = conditions.count(tree, moment)
                else:
                    names = conditions.names_of_matching(tree, moment)
                    found |= {"count": len(names), "contacts": names}
        except BadConditions as error:
            raise refused(error) from error
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != "57014":
                raise
            raise CommandError(_("The rule took too long to evaluate and was stopped."), returncode=REFUSED) from error
        self.stdout.write(as_json(found))
