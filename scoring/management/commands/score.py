"""`manage.py score CONTACT`: a contact's score in one model at a moment, with the ledger rows that it is the sum of."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from leads.workspace import zone
from scoring.ledger import account
from scoring.models import ScoreModel
from segments.definition_kinds import contacts_named


class Command(BaseCommand):
    help = "Print a contact's score with its ledger rows as one JSON object. The contact is named by external id or e-mail."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("contact", help="external id, else e-mail address")
        parser.add_argument("--at", help="moment (ISO 8601); rows that count from later are left out; default: now")
        parser.add_argument("--model", help="slug of the score model; default: the default one")

    def handle(self, *args: Any, **options: Any) -> None:
        ids, unknown = contacts_named([options["contact"]])
        if unknown:
            raise CommandError(f"There is no contact “{options['contact']}”.")
        model = (
            ScoreModel.objects.filter(slug=options["model"]).first()
            if options["model"]
            else ScoreModel.objects.filter(is_default=True).first()
        )
        if model is None:
            raise CommandError(f"There is no score model “{options['model'] or 'default'}”.")
        found = account(ids[0], model=model, at=_moment(options["at"]))
        self.stdout.write(json.dumps(found.as_json(), ensure_ascii=False))


def _moment(text: str | None) -> datetime:
    """Exit code 2 for text that is no moment; one without a zone is read in the workspace's."""
    if text is None:
        return timezone.now()
    try:
        moment = parse_datetime(text) or datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--at {text}: write a moment such as 2026-03-02T12:00:00Z.", returncode=2) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=zone())
