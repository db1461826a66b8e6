"""manage.py explain CONDITIONS.json|- CONTACT [--at ISO] [--zone ZONE]: why a rule holds for somebody, or why not."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from leads.models import Contact
from leads.text import normal_address
from segments import conditions
from segments.conditions import BadConditions
from segments.management.rules import REFUSED, add_moment, add_rule, as_json, read_moment, read_rule, refused


class Command(BaseCommand):
    help = "Print whether a rule holds for one contact, with the leaves that decided it and the actual values."

    def add_arguments(self, parser: CommandParser) -> None:
        add_rule(parser)
        parser.add_argument("contact", metavar="CONTACT", help="External id or e-mail.")
        add_moment(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        moment = read_moment(options["at"], options["zone"])
        tree = read_rule(options["file"])
        try:
            verdict = conditions.explain(tree, contact_id(options["contact"]), moment)
        except BadConditions as error:
            raise refused(error) from error
        because = [{"leaf": found.document, "actual": found.actual, "holds": found.holds} for found in verdict.because]
        with timezone.override(moment.zone):
            words = conditions.sentence(tree)
        self.stdout.write(as_json({"holds": verdict.holds, "sentence": words, "because": because}))


def contact_id(name: str) -> int:
    """Id of the contact with this external id, else with this e-mail. CommandError (1) when there is none."""
    for found in (Contact.objects.filter(external_id=name), Contact.objects.filter(email=normal_address(name))):
        number = found.values_list("pk", flat=True).first()
        if number is not None:
            return number
    raise CommandError(_("there is no contact “%(name)s”") % {"name": name}, returncode=REFUSED)
