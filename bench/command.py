"""The command that the yardsticks on the population of bench.segments share."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

import django


def command(run: Callable[[int, int, int], dict[str, Any]], doc: str | None) -> None:
    """Read the sizes, hold the servers, print one JSON object."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--activities", type=int, default=2_000_000)
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from config import servers

    with servers.in_use():
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        found = {
            **run(options.contacts, options.activities, options.times),
            "load": [round(one, 1) for one in os.getloadavg()],
        }
        print(json.dumps(found, indent=1, default=str))
