"""Leads that sales has or had, with the card as it was, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Deal, Owner

if TYPE_CHECKING:
    from django.contrib.auth.models import User
from scoring.models.score_models import ScoreModel, ScoreVersion


class AnswerReason(models.Model):
    """A reason that sales may choose when it rejects or recycles a lead."""

    class Answer(models.TextChoices):
        REJECTED = "rejected", _("rejected")
        RECYCLED = "recycled", _("recycled")

    class Then(models.TextChoices):
        RECYCLED = "recycled", _("back to nurture (recycled)")
        DISQUALIFIED = "disqualified", _("out of the line for good (disqualified)")

    slug = models.SlugField(primary_key=True, max_length=60)
    label = models.CharField(_("label"), max_length=200)
    answer = models.CharField(_("for"), max_length=8, choices=Answer)
    moves_to = models.CharField(_("then the contact goes"), max_length=12, choices=Then, default=Then.RECYCLED)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("offered"), default=True)

    class Meta:
        ordering = ["answer", "position", "label"]

    def __str__(self) -> str:
        return str(_(self.label))


class HandOffQuerySet(models.QuerySet["HandOff"]):
    def open(self) -> HandOffQuerySet:
        return self.filter(state=HandOff.State.OPEN)

    def answered(self) -> HandOffQuerySet:
        return self.filter(answered_at__isnull=False)

    def late(self, now: datetime) -> HandOffQuerySet:
        return self.open().filter(due_at__lt=now)

    def unassigned(self) -> HandOffQuerySet:
        return self.open().filter(owner=None)

    def recycled(self) -> HandOffQuerySet:
        return self.filter(state=HandOff.State.RECYCLED)

    def to_escalate(self, now: datetime) -> HandOffQuerySet:
        return self.open().filter(escalate_at__lte=now, escalated_at=None)

    def returning(self, now: datetime) -> HandOffQuerySet:
        """Recycled until a moment that has come."""
        return self.filter(returns_at__lte=now, returned_at=None)

    def mine(self, user: User) -> HandOffQuerySet:
        """By a subquery, not a join: the index by owner then gives them in order."""
        return self.open().filter(owner=models.Subquery(Owner.objects.filter(user=user).values("pk")[:1]))


class HandOff(models.Model):
    """A lead handed to sales, with the card as it was at that moment. One open hand-off per contact and model."""

    class State(models.TextChoices):
        OPEN = "open", _("open")
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")
        RECYCLED = "recycled", _("recycled")

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="hand_offs")
    model = models.ForeignKey(ScoreModel, models.CASCADE, related_name="hand_offs")
    version = models.ForeignKey(ScoreVersion, models.CASCADE, related_name="+", help_text="Live at that moment.")
    state = models.CharField(max_length=8, choices=State, default=State.OPEN)
    handed_over_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="When sales should have answered (business hours).")
    cause = models.CharField(max_length=100, help_text="threshold, backlog, program:<slug>, returned, by_hand.")
    escalate_at = models.DateTimeField(
        null=True, help_text="When it is escalated unless answered. Reader: escalate_late."
    )
    escalated_at = models.DateTimeField(null=True)
    routing_rule = models.ForeignKey("RoutingRule", models.SET_NULL, null=True, related_name="hand_offs")
    owner = models.ForeignKey(Owner, models.SET_NULL, null=True, blank=True, related_name="hand_offs")
    total = models.DecimalField(max_digits=12, decimal_places=2)
    grade = models.CharField(max_length=2)
    card = models.JSONField(
        help_text="Frozen: who, reasons in words with points, why now, what was read, company, persona."
    )
    rule_keys = ArrayField(
        models.UUIDField(),
        default=list,
        help_text="The rules met that gave points, sorted: the reasons it was handed over for.",
    )
    reasons_key = models.CharField(max_length=64, help_text="SHA-256 of rule_keys: one name for one set of reasons.")
    answered_at = models.DateTimeField(null=True)
    answered_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    answer_reason = models.ForeignKey(AnswerReason, models.PROTECT, null=True, related_name="+")
    answer_note = models.TextField(blank=True, default="")
    returns_at = models.DateTimeField(
        null=True, help_text="Recycled until then: handed over again, for the same reasons too, if still over the line."
    )
    returned_at = models.DateTimeField(null=True, help_text="When that moment was worked.")
    program = models.CharField(
        max_length=100, blank=True, default="", help_text="Recycled into this program; nurture's turn reads it."
    )
    program_entered_at = models.DateTimeField(null=True, help_text="When nurture took the wish up.")
    misleading = ArrayField(
        models.UUIDField(), default=list, db_default=[], help_text="Rules that sales marked as misleading on the card."
    )
    before_answer = models.JSONField(null=True, help_text="Owner and stage before the answer: what an undo restores.")
    deal = models.ForeignKey(Deal, models.SET_NULL, null=True, blank=True, related_name="+")

    objects = HandOffQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "model"], condition=models.Q(state="open"), name="scoring_one_open_hand_off"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at", "grade", "id"], condition=models.Q(state="open"), name="scoring_queue"),
            models.Index(  # tab “mine”
                fields=["owner", "due_at", "grade", "id"],
                condition=models.Q(state="open"),
                name="scoring_queue_of_owner",
            ),
            models.Index(  # tab “answered”
                fields=["-answered_at", "-id"], condition=models.Q(answered_at__isnull=False), name="scoring_answered"
            ),
            models.Index(  # reader: nodes.ReturnsNode
                fields=["returns_at"],
                condition=models.Q(returns_at__isnull=False, returned_at__isnull=True),
                name="scoring_returns",
            ),
            models.Index(  # tab “unassigned”
                fields=["due_at", "grade", "id"],
                condition=models.Q(state="open", owner__isnull=True),
                name="scoring_queue_of_nobody",
            ),
            models.Index(  # tab “recycled”
                fields=["-answered_at", "-id"], condition=models.Q(state="recycled"), name="scoring_recycled"
            ),
            models.Index(  # reader: nurture.queries.enrol_recycled
                fields=["contact"],
                condition=~models.Q(program="") & models.Q(program_entered_at__isnull=True),
                name="scoring_program_wishes",
            ),
            models.Index(  # reader: actions.escalate_late
                fields=["escalate_at"],
                condition=models.Q(state="open", escalate_at__isnull=False, escalated_at__isnull=True),
                name="scoring_escalations",
            ),
            models.Index(  # rounds of routing rules; reader: queries.last_turns
                fields=["routing_rule", "owner", "-id"],
                condition=models.Q(routing_rule__isnull=False),
                name="scoring_rounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.model_id} {self.state}"


class HandOffEvent(models.Model):
    """One line of a hand-off's history: who gave it to whom, escalated, answered or took an answer back, and why. Append-only."""

    class Kind(models.TextChoices):
        HANDED_OVER = "handed_over", _("handed over")
        ASSIGNED = "assigned", _("assigned")
        ESCALATED = "escalated", _("escalated")
        ANSWERED = "answered", _("answered")
        UNDONE = "undone", _("answer taken back")
        DEAL_OPENED = "deal_opened", _("deal opened")
        MERGED = "merged", _("contact merged")

    hand_off = models.ForeignKey(HandOff, models.CASCADE, related_name="events", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=11, choices=Kind)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    owner = models.ForeignKey(
        Owner, models.SET_NULL, null=True, related_name="+", help_text="Whose lead it is after this line."
    )
    note = models.CharField(max_length=2000, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["hand_off", "at", "id"], name="scoring_hand_off_history")]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
