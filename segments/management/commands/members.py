"""`manage.py members SEGMENT`: who is in a segment, as stored now."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from segments.models import Segment
from segments.queries import member_names


class Command(BaseCommand):
    help = "Print the members of a segment, as stored now, as one JSON object."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("segment", help="slug of the segment")

    def handle(self, *args: Any, **options: Any) -> None:
        segment = Segment.objects.filter(slug=options["segment"]).first()
        if segment is None:
            raise CommandError(f"There is no segment “{options['segment']}”.")
        names = member_names(segment.pk)
        self.stdout.write(json.dumps({"count": len(names), "contacts": names}, ensure_ascii=False))
