"""Doors for the workers: ask what is due, call one function. Beat's table is config/celery.py."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from leads import visitors
from leads.importing import jobs

log = logging.getLogger(__name__)


@shared_task(name="leads.run_due_imports")
def run_due_imports() -> int:
    """Each two seconds: imports to check or to run, those of dead workers too; safe to run twice, late or never. Jobs finished."""
    count = jobs.run_due(timezone.now)
    if count:
        log.info("imports", extra={"jobs": count})
    return count


@shared_task(name="leads.forget_visitors")
def forget_visitors() -> int:
    """Each hour: visitors and pages that were kept long enough; safe to run twice, late or never. Rows that went."""
    gone = visitors.forget(timezone.now())
    if gone:
        log.info("visitors forgotten", extra={"rows": gone})
    return gone
