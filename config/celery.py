"""The Celery app and the whole beat table: every period with its reason. Workers ask what is due; nothing else is scheduled."""

import logging.config
import os
import time
from typing import Any

from celery import Celery, Task
from celery.signals import setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")


class Door(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A task that never runs twice at once, whoever sends its messages, and leaves word of its last run in the cache.

    The word stands under `beat:<task name>`: {"at": seconds since 1970 at its end, "seconds": …, "failed": …}.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.request.called_directly or self.request.is_eager:
            return super().__call__(*args, **kwargs)
        from config.queries import one_at_a_time

        with one_at_a_time(f"task:{self.name}") as mine:
            if not mine:
                return None
            began, failed = time.monotonic(), True
            try:
                result = super().__call__(*args, **kwargs)
                failed = False
                return result
            finally:
                self._leave_word(seconds=time.monotonic() - began, failed=failed)

    def _leave_word(self, *, seconds: float, failed: bool) -> None:
        from django.core.cache import cache

        word = {"at": time.time(), "seconds": round(seconds, 3), "failed": failed}
        cache.set(f"beat:{self.name}", word, timeout=7 * 24 * 3600)


app = Celery("ripen", task_cls=Door)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _every(task: str, seconds: float, queue: str = "engine") -> dict[str, Any]:
    """A beat entry whose message expires after its own period, so that a stopped worker leaves no backlog."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds, "queue": queue}}


app.conf.beat_schedule = {
    # A marketer watches the progress bar: the import starts at once to the eye. A long one must not hold the engine up.
    "imports": _every("leads.run_due_imports", 2.0, queue="imports"),
    # A marketer watches it too, for half a minute and more: beside the imports, where long work lies.
    "simulations": _every("nurture.run_simulations", 2.0, queue="imports"),
    # An activity must reach the MQL queue within 5 s at p95: one turn of the engine every second, idle turns are a few ms.
    "turn": _every("nurture.turn", 1.0),
    # Nobody inside a program walks while it is published, and whoever published it watches; three small statements while none is.
    "publications": _every("nurture.run_publications", 1.0),
    # A marketer watches the audience being counted, and mails follow their rate second by second; one small statement while none is due.
    "broadcasts": _every("nurture.run_broadcasts", 1.0),
    # Mail leaves soon after its step; the outbox is asked through one partial index.
    "sendings": _every("nurture.send_due", 2.0),
    # Business hours are counted in minutes: ten seconds late is not late. Both ask one partial index.
    "escalations": _every("scoring.escalate_late", 10.0),
    "notices": _every("nurture.send_notices", 5.0),
    # Another system hears of it soon; one statement over two partial indexes while nothing is due.
    "webhooks": _every("nurture.send_webhooks", 2.0),
    # Opens and clicks: sales hears of a click within seconds after it has settled; one partial index while nothing is due.
    "hits": _every("nurture.judge_hits", 2.0),
    # Visits are kept for so many days: an hour more is none. Two looks at an index while nothing is old.
    "visitors": _every("leads.forget_visitors", 3600.0, queue="imports"),
    # Who complained or left at the provider gets no further mail: as soon as opens; one partial index while nothing waits.
    "provider-events": _every("nurture.take_events", 2.0),
    # A bounce is hours old when it arrives. A server that hangs must not hold the engine up: beside the imports.
    "mailbox": _every("nurture.read_mailbox", 60.0, queue="imports"),
    # A comparison takes days: a minute is soon. One partial index while none is due.
    "splits": _every("nurture.decide_splits", 60.0),
    # What must always hold, one check a minute and each once a day, so that the page of health need not sum over everybody.
    "health": _every("nurture.check_health", 60.0, queue="imports"),
}


@setup_logging.connect
def _log_in_lines(**_: Any) -> None:
    """Celery's own hook, instead of its formats: workers and beat log like the rest."""
    from django.conf import settings

    logging.config.dictConfig(settings.LOGGING)
