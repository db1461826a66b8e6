"""`manage.py seed_demo`: a believable company in an empty instance, reproducible by seed, of any size."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from leads.access import MARKETER, SALES
from nurture.demo import seeding


class Command(BaseCommand):
    help = "Fill an empty instance with the demo company: contacts, companies, deals, activities, rules, programs, a queue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--contacts", type=int, default=3000, metavar="N")
        parser.add_argument(
            "--activities", type=int, default=None, metavar="M", help="about M in all; default 20 a contact"
        )
        parser.add_argument("--seed", type=int, default=7, metavar="S")
        parser.add_argument(
            "--until",
            type=datetime.fromisoformat,
            default=None,
            metavar="ISO",
            help="end of the history; default: this hour",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        contacts, activities = options["contacts"], options["activities"]
        if contacts < 1 or (activities is not None and activities < 0):
            raise CommandError("--contacts takes a number from 1, --activities one from 0.")
        if not seeding.is_empty():
            raise CommandError("This instance is not empty. Name another folder with RIPEN_HOME, or another database.")
        until = options["until"] or timezone.now().replace(minute=0, second=0, microsecond=0)
        until = until if until.tzinfo else until.replace(tzinfo=timezone.get_default_timezone())
        began = time.monotonic()
        counts = seeding.seed(
            contacts=contacts,
            activities=contacts * 20 if activities is None else activities,
            seed=options["seed"],
            until=until,
            sales=User.objects.filter(groups__name=SALES, is_active=True).order_by("pk").first(),
            marketer=User.objects.filter(groups__name=MARKETER, is_active=True).order_by("pk").first(),
            start_programs=not settings.EMAIL_URL,
            tell=lambda line: self.stderr.write(line),
        )
        if settings.EMAIL_URL:
            self.stderr.write(
                "EMAIL_URL is set: the demo's programs stay drafts, so that no mail leaves to invented people."
            )
        counts["seconds"] = round(time.monotonic() - began, 1)
        self.stdout.write(json.dumps(counts))
