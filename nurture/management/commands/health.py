"""manage.py health: what must always hold, what waits, and when the beats last ran."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from nurture import health


class Command(BaseCommand):
    help = "Check the invariants and tell what waits; exit 1 when an invariant is broken. Prints one JSON object."

    def handle(self, *args: Any, **options: Any) -> None:
        found = health.examine(timezone.now())
        self.stdout.write(json.dumps(found.as_json()))
        if not found.ok:
            self.stderr.write(
                "Broken: " + ", ".join(name for name, holds in found.invariants.items() if holds is False)
            )
            raise SystemExit(1)
