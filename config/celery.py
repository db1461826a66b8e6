"""The Celery app and the whole beat table: every period with its reason. Workers ask what is due; nothing else is scheduled."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("ripen")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _every(task: str, seconds: float) -> dict[str, object]:
    """A beat entry whose message expires after its own period, so that a stopped worker leaves no backlog."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


app.conf.beat_schedule = {
    # A marketer watches the progress bar: the import starts at once to the eye.
    "imports": _every("leads.run_due_imports", 2.0),
    # An activity must reach the MQL queue within 5 s at p95: one turn of the engine every second, idle turns are a few ms.
    "turn": _every("nurture.turn", 1.0),
    # Mail leaves soon after its step; the outbox is asked through one partial index.
    "sendings": _every("nurture.send_due", 2.0),
}
