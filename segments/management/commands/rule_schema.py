"""manage.py rule_schema [--instance]: the JSON Schema of the rule language."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation

from segments.conditions.fields import Catalogue
from segments.conditions.schema import schema


class Command(BaseCommand):
    help = "Print the JSON Schema of the rule language; docs/conditions.schema.json is that of every instance."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--instance", action="store_true", help="With the custom fields and score models of this instance."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):
            found = schema(Catalogue() if options["instance"] else None)
        self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
