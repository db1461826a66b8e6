"""Doors for the workers: ask what is due, call one function. Beat's table is config/celery.py."""

from __future__ import annotations

import logging

from celery import shared_task
from django.utils import timezone

from nurture import health, splits, webhooks
from nurture.broadcasts import job as broadcasts_job
from nurture.mailbox import reading
from nurture.mailing import confirmations, notices, sending
from nurture.providers import taking
from nurture.publication import publishing_job
from nurture.simulation import jobs
from nurture.tracking import judging
from nurture.turn import turn

log = logging.getLogger(__name__)


@shared_task(name="nurture.turn")
def turn_once() -> int:
    """Each second: one beat of the engine; safe to run twice, late or never. Steps done."""
    report = turn(timezone.now())
    if report.did_something:
        log.info(
            "turn",
            extra={
                "contacts": report.definitions.contacts,
                "changes": report.definitions.changes,
                "entered": report.enrolled,
                "steps": report.steps.steps,
                "parked": report.steps.parked,
                "seconds": round(sum(report.seconds.values()), 3),
            },
        )
    return report.steps.steps


@shared_task(name="nurture.send_due")
def send_due() -> int:
    """Each two seconds: let due mail out; safe to run twice, late or never. Mails sent."""
    now = timezone.now()
    confirmations.queue_asked(now)
    report = sending.send_due(now)
    if report.sent or report.not_sent or report.bounced or report.uncertain or report.again or report.later:
        log.info("sendings", extra={key: value for key, value in vars(report).items() if value})
    elif report.problem:
        log.warning("mail waits", extra={"why": report.problem})
    return report.sent


@shared_task(name="nurture.send_notices")
def send_notices() -> int:
    """Each five seconds: mail to our own people about leads; safe to run twice, late or never. Mails sent."""
    sent = notices.send_due(timezone.now())
    if sent:
        log.info("notices", extra={"mails": sent})
    return sent


@shared_task(name="nurture.decide_splits")
def decide_splits() -> int:
    """Each minute: look for winners of splits; safe to run twice, late or never. Winners found."""
    won = splits.decide(timezone.now())
    if won:
        log.info("splits", extra={"winners": won})
    return won


@shared_task(name="nurture.send_webhooks")
def send_webhooks() -> int:
    """Each two seconds: call webhooks that are due; safe to run twice, late or never. Calls taken."""
    report = webhooks.send_due(timezone.now())
    if any(vars(report).values()):
        log.info("webhooks", extra={key: value for key, value in vars(report).items() if value})
    return report.sent


@shared_task(name="nurture.run_simulations")
def run_simulations() -> int:
    """Each two seconds: simulations that wait, those of dead workers too; safe to run twice, late or never. Simulations finished."""
    finished = jobs.run_due(timezone.now)
    if finished:
        log.info("simulations", extra={"finished": finished})
    return finished


@shared_task(name="nurture.take_events")
def take_events() -> int:
    """Each two seconds: what mail providers said by webhook; safe to run twice, late or never. Events taken."""
    taken = taking.take_due(timezone.now())
    if taken:
        log.info("events of mail providers", extra={"taken": taken})
    return taken


@shared_task(name="nurture.read_mailbox")
def read_mailbox() -> int:
    """Each minute: bounces and wishes to leave in the mailbox of INBOUND_URL; safe to run twice, late or never. Mails read."""
    report = reading.read(timezone.now())
    if report.taken or report.parked or report.again:
        log.info("mailbox", extra={key: value for key, value in vars(report).items() if value})
    return report.taken


@shared_task(name="nurture.judge_hits")
def judge_hits() -> int:
    """Each two seconds: opens and clicks that have settled; safe to run twice, late or never. Hits judged."""
    judged = judging.judge_due(timezone.now())
    if judged:
        log.info("opens and clicks", extra={"hits": judged})
    return judged


@shared_task(name="nurture.check_health")
def check_health() -> str:
    """Each minute: the next of what must always hold, each once a day; safe to run twice, late or never. What was checked."""
    name = health.check_next(timezone.now())
    if name:
        log.info("checked", extra={"invariant": name})
    return name


@shared_task(name="nurture.run_publications")
def run_publications() -> int:
    """Each second: publications that were decided or are taken back, those of dead workers too; safe to run twice, late or never.
    Transactions done."""
    did = publishing_job.run_due(timezone.now)
    if did:
        log.info("publications", extra={"transactions": did})
    return did


@shared_task(name="nurture.run_broadcasts")
def run_broadcasts() -> int:
    """Each second: audiences to count, broadcasts that are due; safe to run twice, late or never. Transactions done."""
    did = broadcasts_job.run_due(timezone.now)
    if did:
        log.info("broadcasts", extra={"transactions": did})
    return did
