"""What programs ask of others: webhooks to call, tasks for people."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Contact
from nurture.models.enrolments import Enrolment


class WebhookCall(models.Model):
    """One call of a webhook: outbox and history. The unique key makes a second call for the same step visit a constraint error."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("given up")

    key = models.CharField(max_length=120, unique=True, help_text="enrolment:step:visit.")
    token = models.UUIDField(unique=True, help_text="The Idempotency-Key of every try.")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="webhook_calls")
    enrolment = models.ForeignKey(Enrolment, models.SET_NULL, null=True, blank=True, related_name="+")
    step = models.CharField(max_length=40)
    url = models.CharField(max_length=500)
    origin = models.CharField(max_length=300, help_text="Scheme, host and port: one receiver.")
    body = models.TextField(help_text="The bytes of every try.")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, help_text="Being sent: past that the worker is dead.")
    tries = models.PositiveSmallIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer; null when none came.")
    answer = models.TextField(blank=True, default="", help_text="How the last answer began.")
    problem = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(  # reader: queries_webhooks.claim
                fields=["due_at", "id"], condition=models.Q(state="queued"), name="nurture_webhook_due"
            ),
            models.Index(  # reader: queries_webhooks.claim
                fields=["lease_until", "id"], condition=models.Q(state="sending"), name="nurture_webhook_leases"
            ),
            models.Index(  # reader: queries_webhooks.let_rest
                fields=["origin", "due_at"], condition=models.Q(state="queued"), name="nurture_webhook_origin"
            ),
            models.Index(fields=["-queued_at", "-id"], name="nurture_webhook_newest"),  # the page
            models.Index(fields=["state", "-queued_at", "-id"], name="nurture_webhook_by_state"),  # its tabs
        ]

    def __str__(self) -> str:
        return self.key


class Task(models.Model):
    """Something a person should do, asked by a program."""

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="tasks")
    enrolment = models.ForeignKey(Enrolment, models.SET_NULL, null=True, blank=True, related_name="+")
    title = models.CharField(_("title"), max_length=300)
    assigned_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], condition=models.Q(done_at__isnull=True), name="nurture_task_open")
        ]

    def __str__(self) -> str:
        return self.title
