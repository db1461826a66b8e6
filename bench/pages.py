"""How long every page that people use takes on the server: `python -m bench.pages [--clients 8] [--rounds 10] [--pause 0.25] [--only queue]`.

Starts the product's own web server (gunicorn as config/web.py sets it) for the instance that RIPEN_HOME or DATABASE_URL names and asks
it for each page from so many clients at once, each with a pause after every page as people make one; `--pause 0` asks without any.
Statements and milliseconds in the database are counted in-process, with nobody else at work. A yardstick in the same run: the newest
fifty contacts by one statement. Changes nothing in the instance but three users of its own, removed at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.contrib.auth.models import User

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
PART = {"HX-Request": "true"}
GOAL_MS, GOAL_STATEMENTS = 100, 15


@dataclass(frozen=True)
class Asked:
    """A page as somebody asks for it: whose right, where, and as which part."""

    url: str
    role: str = "Marketer"
    target: str = ""  # the element of a part that HTMX asks for
    is_part: bool = False

    @property
    def headers(self) -> dict[str, str]:
        part = PART if self.is_part or self.target else {}
        return {**part, **({"HX-Target": self.target} if self.target else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=10, help="requests of each page and client")
    parser.add_argument(
        "--pause", type=float, default=0.25, help="seconds between two requests of a client, on average"
    )
    parser.add_argument("--only", default="", help="pages whose name holds this text")
    parser.add_argument("--in-process", action="store_true", help="statements and database time only, no web server")
    options = parser.parse_args()

    from config import servers

    with servers.in_use():
        import django

        django.setup()
        report = measure(options)
    print(json.dumps(report, indent=1))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """For each page median and p95 in ms, statements, ms in the database; what misses the goals is named at the end."""
    from django.db import connection

    from leads.models import Contact
    from leads.queries import estimated_rows

    with people() as users:
        asked = {name: page for name, page in pages().items() if options.only in name}
        newest = ms_of(lambda: list(Contact.objects.order_by("-created_at", "-id")[:50]), rounds=20)
        report: dict[str, Any] = {
            "contacts": estimated_rows("leads_contact"),
            "clients": options.clients,
            "pause_seconds": options.pause,
            "load": os.getloadavg()[0],
            "yardstick_ms": round(statistics.median(newest), 2),
            "pages": {},
        }
        for name, page in asked.items():
            report["pages"][name] = counted(users[page.role], page)
            print(name, report["pages"][name], file=sys.stderr, flush=True)
        connection.close()
        if not options.in_process:
            cookies = {role: signed_in(user) for role, user in users.items()}
            with web_server() as port:
                for name, page in asked.items():
                    times = at_once(port, page, cookies[page.role], options)
                    report["pages"][name] |= {
                        "median_ms": round(statistics.median(times), 1),
                        "p95_ms": round(statistics.quantiles(times, n=20)[-1], 1),
                    }
        report["load_after"] = os.getloadavg()[0]
        report["missed"] = missed(report["pages"])
    return report


def missed(found: dict[str, dict[str, Any]]) -> list[str]:
    return [
        name
        for name, page in found.items()
        if page["statements"] > GOAL_STATEMENTS or page.get("p95_ms", 0) > GOAL_MS or page["database_ms"] > GOAL_MS
    ]


# --- what is asked for ------------------------------------------------------------------------------------------------------


def pages() -> dict[str, Asked]:
    """Name and address of every page that people use; those of rows that the instance has."""
    return {**pages_of_facts(), **pages_of_segments(), **pages_of_scores(), **pages_of_programs()}


def pages_of_facts() -> dict[str, Asked]:
    from django.urls import reverse

    from leads import lists
    from leads.models import Company, Contact, Deal, Signal

    contacts, companies = reverse("leads:contact-list"), reverse("leads:company-list")
    busiest = Signal.objects.order_by("-n").values_list("contact_id", flat=True)[:1]
    contact = next(iter(busiest), None) or Contact.objects.values_list("pk", flat=True).first()
    second = lists.page(Contact.objects.all(), lists.NEWEST).next
    found = {
        "home, sales": Asked(reverse("home"), "Sales"),
        "home, marketer": Asked(reverse("home")),
        "home, admin": Asked(reverse("home"), "Admin"),
        "search": Asked(reverse("search") + "?q=last+4711", is_part=True),
        "contacts": Asked(contacts),
        "contacts, second page": Asked(f"{contacts}?after={second}"),
        "contacts by name": Asked(f"{contacts}?order=name"),
        "contacts, search": Asked(f"{contacts}?q=last+4711"),
        "contacts, stage": Asked(f"{contacts}?stage=customer"),
        "contacts, grade": Asked(f"{contacts}?grade=A1"),
        "contacts, two filters": Asked(f"{contacts}?stage=mql&source=webinar"),
        "contact filters": Asked(reverse("leads:contact-filters"), is_part=True),
        "companies": Asked(companies),
        "companies, search": Asked(f"{companies}?q=company+47"),
        "deals": Asked(reverse("leads:deal-list")),
        "imports": Asked(reverse("leads:import-list")),
        "settings": Asked(reverse("leads:settings"), "Admin"),
        "tags": Asked(reverse("leads:tag-list"), "Admin"),
        "fields": Asked(reverse("leads:field-list"), "Admin"),
        "stages": Asked(reverse("leads:stage-list"), "Admin"),
        "owners": Asked(reverse("leads:owner-list"), "Admin"),
        "audit": Asked(reverse("leads:audit-list"), "Admin"),
    }
    if contact:
        found |= {
            "contact": Asked(reverse("leads:contact-detail", args=[contact])),
            "contact, later panels": Asked(reverse("leads:contact-panels", args=[contact]), is_part=True),
            "contact, timeline": Asked(reverse("leads:contact-timeline", args=[contact]), is_part=True),
            "contact, facts form": Asked(reverse("leads:contact-facts", args=[contact]) + "?edit=yes", is_part=True),
        }
    if company := Company.objects.filter(contacts=contact).values_list("pk", flat=True).first():
        found["company"] = Asked(reverse("leads:company-detail", args=[company]))
    if deal := Deal.objects.values_list("pk", flat=True).first():
        found["deal"] = Asked(reverse("leads:deal-detail", args=[deal]))
    return found


def pages_of_segments() -> dict[str, Asked]:
    from django.urls import reverse

    from segments.models import Membership, Persona, Segment

    largest = Segment.objects.in_use().order_by("-member_count").first()
    ids = ",".join(str(pk) for pk in Segment.objects.in_use().values_list("pk", flat=True))
    found = {
        "segments": Asked(reverse("segments:segment-list")),
        "segments, found": Asked(reverse("segments:segment-list") + "?q=a&sort=largest", target="segment-list"),
        "segments, sizes": Asked(f"{reverse('segments:segment-sizes')}?ids={ids}", is_part=True),
        "segment, new": Asked(reverse("segments:segment-new")),
        "personas": Asked(reverse("segments:persona-list")),
    }
    if largest:
        detail = reverse("segments:segment-detail", args=[largest.slug])
        members = reverse("segments:segment-members", args=[largest.slug])
        member = Membership.objects.filter(segment=largest, until=None).values_list("contact_id", flat=True).first()
        found |= {
            "segment": Asked(detail),
            "segment, a year": Asked(f"{detail}?days=365"),
            "segment, members": Asked(members, is_part=True),
            "segment, members found": Asked(f"{members}?q=4711", is_part=True),
            "segment, joined": Asked(f"{members}?which=joined", is_part=True),
            "segment, left": Asked(f"{members}?which=left", is_part=True),
            "segment, left in a week": Asked(f"{members}?which=left&from=2026-09-01&to=2026-09-07", is_part=True),
            "segment, by hand": Asked(f"{members}?which=by_hand", is_part=True),
            "segment, edit": Asked(reverse("segments:segment-edit", args=[largest.slug])),
            "segment, versions": Asked(reverse("segments:segment-versions", args=[largest.slug])),
            "segment, why": Asked(f"{reverse('segments:segment-why', args=[largest.slug])}?contact={member}"),
            "contact, why": Asked(
                f"{reverse('segments:contact-why', args=[member])}?segment={largest.slug}", is_part=True
            ),
        }
    if persona := Persona.objects.first():
        found["persona"] = Asked(reverse("segments:persona-detail", args=[persona.slug]))
    return found


def pages_of_scores() -> dict[str, Asked]:
    from django.urls import reverse

    from scoring.models import HandOff, LedgerRow, ScoreModel

    model = ScoreModel.objects.get(is_default=True)
    queue, report = reverse("scoring:queue"), reverse("scoring:report")
    scored = LedgerRow.objects.values_list("contact_id", flat=True).first()
    hand_off = HandOff.objects.open().order_by("due_at").values_list("pk", flat=True).first()
    found = {
        # the parts first: they work out the figures that the pages then show (leads/figures.py)
        "reports, tables": Asked(report, target="report-tables"),
        "reports of 24 months, tables": Asked(f"{report}?months=24", target="report-tables"),
        "life-cycle, tables": Asked(reverse("scoring:lifecycle"), target="lifecycle-tables"),
        "score model, figures": Asked(reverse("scoring:model-detail", args=[model.slug]), target="model-figures"),
        "scoring": Asked(reverse("scoring:model-list")),
        "score model": Asked(reverse("scoring:model-detail", args=[model.slug])),
        "score versions": Asked(reverse("scoring:version-list", args=[model.slug])),
        "queue, mine": Asked(f"{queue}?tab=mine", "Sales"),
        "queue, all": Asked(f"{queue}?tab=all", "Sales"),
        "queue, late": Asked(f"{queue}?tab=late", "Sales"),
        "queue, answered": Asked(f"{queue}?tab=answered", "Sales"),
        "queue, poll": Asked(reverse("scoring:queue-counts") + "?tab=all&stamp=x", "Sales", is_part=True),
        "queue, list": Asked(reverse("scoring:queue-rows") + "?tab=all", "Sales", is_part=True),
        "bell": Asked(reverse("scoring:notice-bell"), "Sales", is_part=True),
        "notices": Asked(reverse("scoring:notice-list"), "Sales"),
        "reports": Asked(report),
        "reports, 24 months": Asked(f"{report}?months=24"),
        "report, people": Asked(reverse("scoring:report-people") + "?months=12&step=won"),
        "report, people of a month": Asked(reverse("scoring:report-people") + "?months=12&step=mqls&month=2026-05"),
        "hand-offs": Asked(reverse("scoring:hand-off-list")),
        "life-cycle": Asked(reverse("scoring:lifecycle")),
        "life-cycle, figures": Asked(reverse("scoring:lifecycle-figures"), is_part=True),
        "graduation": Asked(reverse("scoring:graduation-list")),
        "routing": Asked(reverse("scoring:routing")),
        "desks": Asked(reverse("scoring:desk-list")),
    }
    if hand_off:
        card = reverse("scoring:hand-off-detail", args=[hand_off])
        found["card"] = Asked(card, "Sales", target="hand-off-card")
        found["card, page"] = Asked(card, "Sales")
    if scored:
        score = reverse("scoring:contact-score", args=[scored, model.slug])
        found |= {
            "contact, score": Asked(score),
            "contact, score in May": Asked(f"{score}?at=2026-05-01T12:00"),
            "contact, score under today's rules": Asked(
                reverse("scoring:score-today", args=[scored, model.slug]), is_part=True
            ),
            "contact, what is not known": Asked(
                reverse("scoring:score-unknown", args=[scored, model.slug]), is_part=True
            ),
        }
    return found


def pages_of_programs() -> dict[str, Asked]:
    from django.urls import reverse

    from nurture.models import Program, Sending, Template

    found = {
        "programs, counts": Asked(reverse("nurture:program-list") + "?archived=0", target="program-table"),
        "programs": Asked(reverse("nurture:program-list")),
        "outbox": Asked(reverse("nurture:sending-list")),
        "tasks": Asked(reverse("nurture:task-list")),
        "templates": Asked(reverse("nurture:template-list")),
        "health": Asked(reverse("nurture:health"), "Admin"),
    }
    if program := Program.objects.order_by("pk").first():
        found |= {
            "program": Asked(reverse("nurture:program-detail", args=[program.slug])),
            "program, counts": Asked(reverse("nurture:program-counts", args=[program.slug]), is_part=True),
            "program, people": Asked(reverse("nurture:program-people", args=[program.slug])),
        }
    if sending := Sending.objects.order_by("-pk").values_list("pk", flat=True).first():
        found["mail"] = Asked(reverse("nurture:sending-detail", args=[sending]))
    if template := Template.objects.values_list("slug", flat=True).first():
        found["template"] = Asked(reverse("nurture:template-edit", args=[template]))
    return found


# --- who asks ---------------------------------------------------------------------------------------------------------------


@contextmanager
def people() -> Iterator[dict[str, User]]:
    """One user of each role; the one of sales is the owner with the most open leads, where there are any."""
    from django.contrib.auth.models import Group, User
    from django.db.models import Count, Q

    from leads.access import ROLES
    from leads.models import Owner

    made = {}
    for role in ROLES:
        made[role] = User.objects.create(username=f"bench-{role.lower()}-{os.getpid()}", is_superuser=role == "Admin")
        made[role].groups.add(Group.objects.get_or_create(name=role)[0])
    busy = (
        Owner.objects.exclude(user=None)
        .annotate(n=Count("hand_offs", filter=Q(hand_offs__state="open")))
        .order_by("-n")
        .select_related("user")
        .first()
    )
    try:
        yield {**made, **({"Sales": busy.user} if busy and busy.user else {})}
    finally:
        for user in made.values():
            user.delete()


def signed_in(user: User) -> str:
    """A cookie of the user's own session."""
    from importlib import import_module

    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session.create()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


@contextmanager
def web_server() -> Iterator[int]:
    """The product's web server on a free port; stopped at the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", "--config", "python:config.web", "--log-level", "warning"]
    log = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PORT": str(port)}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("The web server does not start.")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


# --- how it is measured ------------------------------------------------------------------------------------------------------


def counted(user: User, page: Asked) -> dict[str, Any]:
    """Statements and milliseconds in the database of one request, after one that warms it up; the median of three."""
    from django.db import connection
    from django.test import Client

    client = Client(SERVER_NAME="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    client.get(page.url, headers=page.headers)
    spent: list[list[float]] = []

    def timed(execute: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(*arguments)
        finally:
            spent[-1].append((time.perf_counter() - began) * 1000)

    whole = []
    with connection.execute_wrapper(timed):
        for _ in range(3):
            spent.append([])
            began = time.perf_counter()
            response = client.get(page.url, headers=page.headers)
            b"".join(response.streaming_content) if response.streaming else response.content  # type: ignore[attr-defined]
            whole.append((time.perf_counter() - began) * 1000)
            if response.status_code != 200:
                raise SystemExit(f"{page.url} answered {response.status_code}")
    client.logout()
    return {
        "statements": len(spent[-1]),
        "database_ms": round(statistics.median(sum(times) for times in spent), 1),
        "alone_ms": round(statistics.median(whole), 1),
    }


def at_once(port: int, page: Asked, cookie: str, options: argparse.Namespace) -> list[float]:
    """Milliseconds of every request of every client."""
    found: list[float] = []
    threads = [
        threading.Thread(target=lambda: found.extend(visits(port, page, cookie, options)))
        for _ in range(options.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(found) < options.clients * options.rounds:
        raise SystemExit(f"{page.url} failed.")
    return found


def visits(port: int, page: Asked, cookie: str, options: argparse.Namespace) -> list[float]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Cookie": cookie, "Host": "localhost", **page.headers}
    times = []
    for number in range(-2, options.rounds):  # two to warm up: templates are compiled, connections are open
        time.sleep(random.uniform(0.5, 1.5) * options.pause)
        began = time.perf_counter()
        connection.request("GET", page.url, headers=headers)
        response = connection.getresponse()
        response.read()
        if number >= 0:
            times.append((time.perf_counter() - began) * 1000)
        if response.status != 200:
            raise SystemExit(f"{page.url} answered {response.status}")
    connection.close()
    return times


def ms_of(work: Callable[[], object], *, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return times


if __name__ == "__main__":
    main()
