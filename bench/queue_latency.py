"""From an activity to the open queue of a salesperson, in a running product: `python bench/queue_latency.py [--tries 20]`.

Starts the product as `make run` does, in a folder and on a port of its own (or takes a running one with --home and --url), and
removes both at the end. Each try makes a contact, waits for quiet, records one activity as the intake does, and asks as the page
does (the tabs every two seconds, the list when they say so) until the lead stands in the list. Goal: 5 s at p95.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
POLL_SECONDS = 2.0  # as templates/scoring/_queue_tabs.html
GIVE_UP_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--port", type=int, default=8177)
    options = parser.parse_args()
    home = tempfile.mkdtemp(prefix="ripen-latency-")
    url = f"http://127.0.0.1:{options.port}"
    os.environ |= {"RIPEN_HOME": home, "PORT": str(options.port), "PUBLIC_URL": url, "DEMO": "no"}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    product = subprocess.Popen([sys.executable, "-m", "config.supervisor"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until_up(url)
        from config import servers

        with servers.in_use():
            import django

            django.setup()
            print(json.dumps(measure(url, tries=options.tries), indent=1))
    finally:
        product.send_signal(signal.SIGTERM)
        product.wait(timeout=60)
        shutil.rmtree(home, ignore_errors=True)


def wait_until_up(url: str) -> None:
    for _second in range(180):
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise SystemExit("The product did not come up.")


def measure(url: str, *, tries: int) -> dict[str, Any]:
    """Seconds from the activity's commit to the list that shows the lead."""
    from django.utils import timezone

    from leads.actions import NewActivity, record_activities
    from leads.models import Contact, Mark
    from scoring.models import HandOff

    publish_model()
    cookie = session()
    seconds, in_database = [], []
    for number in range(tries):
        contact = Contact.objects.create(
            email=f"latency-{number}@example.test",
            first_name="Vera",
            last_name=f"Try {number}",
            title="VP",
            created_at=timezone.now(),
        )
        while Mark.objects.exists():
            time.sleep(0.1)
        page = Board(url, cookie)
        time.sleep(random.uniform(0, POLL_SECONDS))  # the page polls at its own moments
        started = time.monotonic()
        now = timezone.now()
        record_activities(
            [NewActivity(contact_id=contact.pk, kind="page_view", occurred_at=now, url="/pricing")], now=now
        )
        due = started + random.uniform(0, POLL_SECONDS)
        while contact.last_name not in page.text:
            time.sleep(max(due - time.monotonic(), 0))
            due += POLL_SECONDS
            page.poll()
            if time.monotonic() - started > GIVE_UP_SECONDS:
                raise SystemExit("The lead did not come.")
        seconds.append(time.monotonic() - started)
        lead = HandOff.objects.get(contact=contact)
        in_database.append((lead.handed_over_at - now).total_seconds())
    return {
        "tries": tries,
        "median_s": round(statistics.median(seconds), 2),
        "p95_s": round(statistics.quantiles(seconds, n=20)[-1], 2),
        "worst_s": round(max(seconds), 2),
        "turn_took_it_up_after_s": round(statistics.median(in_database), 2),
        "goal_p95_s": 5.0,
        "holds": statistics.quantiles(seconds, n=20)[-1] <= 5.0,
    }


def publish_model() -> None:
    """A VP (60) who looks at pricing (20) stands over the line of 75."""
    from decimal import Decimal

    from django.utils import timezone

    from scoring import actions
    from scoring.models import ScoreVersion

    now = timezone.now() - timedelta(seconds=1)
    draft = actions.draft_of(actions.create_model("Latency", now=now), now=now)
    vp = {"field": "contact.title", "op": "is", "value": "VP"}
    pricing = {"did": "page_view", "where": [{"field": "url", "op": "contains", "value": "/pricing"}]}
    actions.save_rule(draft, group="fit", name="Is a VP", conditions=vp, points=Decimal(60), now=now)
    actions.save_rule(draft, group="behaviour", name="Pricing", conditions=pricing, points=Decimal(20), now=now)
    actions.publish(draft, reason="Benchmark", now=now)
    while not ScoreVersion.objects.filter(pk=draft.pk, worked_at__isnull=False).exists():
        time.sleep(0.2)


def session() -> str:
    """The cookie of a signed-in salesperson."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.backends.db import SessionStore

    from leads.access import SALES

    user = User.objects.create_user("latency")
    user.groups.add(Group.objects.get_or_create(name=SALES)[0])
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.save()
    return f"{settings.SESSION_COOKIE_NAME}={store.session_key}"


class Board:
    """What the open page does by itself."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url, self._cookie, self._stamp, self.text = url, cookie, "", ""

    def poll(self) -> None:
        """The tabs; the list when they say that it changed."""
        told = self._get(f"/scoring/queue/counts/?tab=all&stamp={self._stamp}")
        self._stamp = told[0].partition("stamp=")[2].partition("&")[0]
        if "queue-changed" in told[1]:
            self.text = self._get("/scoring/queue/rows/?tab=all")[0]

    def _get(self, path: str) -> tuple[str, str]:
        request = urllib.request.Request(f"{self._url}{path}", headers={"Cookie": self._cookie, "HX-Request": "true"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode(), answer.headers.get("HX-Trigger-After-Swap", "")


if __name__ == "__main__":
    main()
