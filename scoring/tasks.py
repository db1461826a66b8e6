"""Doors for the workers. Beat's table is config/celery.py."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from scoring.actions import escalate_late

log = logging.getLogger(__name__)


@shared_task(name="scoring.escalate_late")
def escalate() -> int:
    """Each ten seconds: leads whose escalation is due; safe to run twice, late or never. How many were."""
    escalated = escalate_late(timezone.now())
    if escalated:
        log.info("escalated", extra={"leads": escalated})
    return escalated
