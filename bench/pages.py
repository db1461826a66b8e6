"""How long the pages of the main path take on the server, and how many statements: `python bench/pages.py [--clients 8] [--rounds 20]`.

Runs in-process against the instance that RIPEN_HOME or DATABASE_URL names (`manage.py seed_demo --contacts 100000 --activities
2000000` makes one) and changes nothing in it but one user of its own, removed at the end. Each page is compared with the
yardstick of the same run: the newest fifty contacts by one prepared statement.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=20, help="requests of each page and client")
    options = parser.parse_args()

    from config import servers

    with servers.in_use():
        import django

        django.setup()
        print(json.dumps(measure(clients=options.clients, rounds=options.rounds), indent=1))


def measure(*, clients: int, rounds: int) -> dict[str, Any]:
    """Median and p95 in ms, statements, and the ratio to the yardstick's median, for each page."""
    from django.contrib.auth.models import Group, User

    from leads.access import ROLES
    from leads.models import Contact

    user = User.objects.create(username=f"bench-{os.getpid()}", is_superuser=True)
    user.groups.set([Group.objects.get_or_create(name=role)[0] for role in ROLES])
    try:
        newest = ms_of(lambda: list(Contact.objects.order_by("-created_at", "-id")[:50]), rounds=rounds)
        yardstick = statistics.median(newest)
        report: dict[str, Any] = {
            "contacts": Contact.objects.count(),
            "clients": clients,
            "yardstick_ms": round(yardstick, 2),
        }
        for name, url in pages().items():
            times = in_parallel(lambda url=url: visits(user, url, rounds), clients)  # type: ignore[misc]
            report[name] = {
                "median_ms": round(statistics.median(times), 1),
                "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
                "statements": statements(user, url),
                "ratio": round(statistics.median(times) / yardstick, 1),
            }
        return report
    finally:
        user.delete()


def pages() -> dict[str, str]:
    """Name and address of every page of the main path; those of rows that the instance has."""
    from django.urls import reverse

    from leads.models import Contact, Signal
    from nurture.models import Program
    from scoring.models import HandOff, ScoreModel
    from segments.models import Segment

    busiest = Signal.objects.order_by("-n").values_list("contact_id", flat=True).first()
    contact = busiest or Contact.objects.values_list("pk", flat=True).first()
    largest = Segment.objects.order_by("-member_count").first()
    program = Program.objects.order_by("pk").first()
    hand_off = HandOff.objects.open().first()
    found = {
        "home": reverse("home"),
        "contacts": reverse("leads:contact-list"),
        "contacts, search": reverse("leads:contact-list") + "?q=m%C3%BCller",
        "contacts, stage": reverse("leads:contact-list") + "?stage=customer",
        "companies": reverse("leads:company-list"),
        "segments": reverse("segments:segment-list"),
        "personas": reverse("segments:persona-list"),
        "scoring": reverse("scoring:model-list"),
        "score model": reverse("scoring:model-detail", args=[ScoreModel.objects.get(is_default=True).slug]),
        "queue": reverse("scoring:queue") + "?tab=all",
        "reports": reverse("scoring:report"),
        "programs": reverse("nurture:program-list"),
        "outbox": reverse("nurture:sending-list"),
    }
    if contact:
        found["contact"] = reverse("leads:contact-detail", args=[contact])
    if largest:
        found["segment"] = reverse("segments:segment-detail", args=[largest.slug])
    if program:
        found["program"] = reverse("nurture:program-detail", args=[program.slug])
    if hand_off:
        found["card"] = reverse("scoring:hand-off-detail", args=[hand_off.pk])
    return found


def visits(user: Any, url: str, rounds: int) -> list[float]:
    from django.db import connection
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    client.get(url)  # templates are compiled, plans are warm
    times = ms_of(lambda: answered(client, url), rounds=rounds)
    connection.close()
    return times


def answered(client: Any, url: str) -> None:
    response = client.get(url)
    if response.status_code != 200:
        raise SystemExit(f"{url} answered {response.status_code}")


def statements(user: Any, url: str) -> int:
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    with CaptureQueriesContext(connection) as captured:
        client.get(url)
    return len(captured)


def ms_of(work: Callable[[], object], *, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


def in_parallel(work: Callable[[], list[float]], clients: int) -> list[float]:
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.extend(work())) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


if __name__ == "__main__":
    main()
