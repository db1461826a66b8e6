"""One-off mails to segments, their variants and their frozen audience."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Contact
from nurture.models.templates import Template
from segments.models import Segment


class Broadcast(models.Model):
    """One mail to everybody in some segments, once: written, counted (its audience frozen), looked over, sent. See nurture/broadcasts/."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        COUNTING = "counting", _("being counted")
        COUNTED = "counted", _("ready for “send”")
        GOING = "going", _("on its way")
        PAUSED = "paused", _("paused")
        DONE = "done", _("done")
        CANCELLED = "cancelled", _("cancelled")
        DELETING = "deleting", _("being deleted")

    OPEN = (State.DRAFT, State.COUNTING, State.COUNTED)  # nobody has said “send”
    UNDER_WAY = (State.GOING, State.PAUSED)

    class Timing(models.TextChoices):
        NOW = "now", _("as soon as I say “send”")
        AT = "at", _("at a moment")
        LOCAL = "local", _("at an hour of each reader's own clock")

    class Late(models.TextChoices):
        AT_ONCE = "at_once", _("get it at once")
        NEXT_DAY = "next_day", _("get it at that hour of the next day")

    class WinnerBy(models.TextChoices):
        NONE = "", _("no winner: everybody gets one of them")
        OPENS = "opens", _("opens")
        CLICKS = "clicks", _("clicks")
        CONDITION = "condition", _("a condition that they meet afterwards")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    state = models.CharField(max_length=9, choices=State, default=State.DRAFT)
    into = models.ManyToManyField(Segment, related_name="broadcasts", verbose_name=_("members of"))
    out_of = models.ManyToManyField(
        Segment, related_name="broadcasts_kept_out", blank=True, verbose_name=_("but nobody of")
    )
    purpose = models.SlugField(max_length=50, default="marketing", db_index=False)
    timing = models.CharField(max_length=5, choices=Timing, default=Timing.NOW)
    starts_at = models.DateTimeField(null=True, blank=True)
    local_on = models.DateField(null=True, blank=True)
    local_time = models.TimeField(null=True, blank=True)
    late = models.CharField(max_length=8, choices=Late, default=Late.NEXT_DAY)
    per_hour = models.PositiveIntegerField(null=True, blank=True, help_text="Null: as fast as mail leaves.")
    is_budgeted = models.BooleanField(
        default=True, help_text="The workspace's frequency budget holds. The reader's own pace holds always."
    )
    test_percent = models.PositiveSmallIntegerField(null=True, help_text="Who decides about the winner; null: no test.")
    winner_by = models.CharField(max_length=9, choices=WinnerBy, blank=True, default="")
    winner_hours = models.PositiveSmallIntegerField(null=True)
    winner_at_least = models.PositiveIntegerField(null=True, help_text="People of each variant before any wins.")
    winner_conditions = models.JSONField(null=True)
    version = models.PositiveIntegerField(default=1, help_text="Counts saves and counts; a “send” names what it saw.")
    counts = models.JSONField(
        default=dict, help_text="Of the frozen audience: “in”, each reason to leave somebody out, and “ways”."
    )
    after = models.BigIntegerField(default=0, help_text="While it is counted: the last contact that was looked at.")
    counted_at = models.DateTimeField(null=True)
    templates_seen = models.JSONField(
        default=dict, help_text="Variant -> version of its template when “send” was said."
    )
    next_at = models.DateTimeField(null=True, help_text="When the worker looks again. Reader: broadcasts.job.")
    paced_until = models.DateTimeField(null=True, help_text="Up to when the rate has been used.")
    tested_at = models.DateTimeField(null=True, help_text="When the last mail of the test was queued.")
    winner = models.CharField(max_length=1, blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", help_text="Null: the rule did."
    )
    created_at = models.DateTimeField()
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    sent_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(null=True, help_text="When “send” was said.")
    ended_at = models.DateTimeField(null=True, help_text="When the last mail was queued, or it was cancelled.")
    problem = models.TextField(blank=True, default="", help_text="Why the last try broke off.")

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(  # reader: broadcasts.job.run_due, each second
                fields=["next_at"],
                condition=models.Q(state__in=["counting", "going", "deleting"]),
                name="nurture_broadcast_due",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        return self.state in self.OPEN

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDER_WAY


class BroadcastVariant(models.Model):
    """One wording of a broadcast; most have only “a”."""

    broadcast = models.ForeignKey(Broadcast, models.CASCADE, related_name="variants", db_index=False)
    key = models.CharField(max_length=1)
    template = models.ForeignKey(Template, models.PROTECT, related_name="variants")
    weight = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])

    class Meta:
        ordering = ["key"]
        constraints = [models.UniqueConstraint(fields=["broadcast", "key"], name="nurture_broadcastvariant_once")]

    def __str__(self) -> str:
        return f"{self.broadcast_id}: {self.key}"

    @property
    def letter(self) -> str:
        return self.key.upper()


class BroadcastRecipient(models.Model):
    """Somebody in the segments of a broadcast when it was counted: gets it, or stays out for a reason. What came of the mail is its sending."""

    class State(models.TextChoices):
        WAITING = "waiting", _("waits")
        REST = "rest", _("waits for the winner")
        QUEUED = "queued", _("in the outbox")
        OUT = "out", _("left out")

    broadcast = models.ForeignKey(Broadcast, models.CASCADE, related_name="recipients", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="broadcast_places")
    state = models.CharField(max_length=7, choices=State)
    why = models.CharField(max_length=20, blank=True, default="", help_text="A key of broadcasts.sheet.REASONS.")
    variant = models.CharField(max_length=1, blank=True, default="", help_text="Empty until the winner is known.")
    due_at = models.DateTimeField(null=True, help_text="Not before; null: not looked at yet.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["broadcast", "contact"], name="nurture_broadcastrecipient_once")]
        indexes = [
            models.Index(  # reader: broadcasts.queries.take_due
                "broadcast",
                "state",
                models.F("due_at").asc(nulls_first=True),
                "id",
                condition=models.Q(state__in=["waiting", "rest"]),
                name="nurture_recipient_due",
            ),
            models.Index(fields=["broadcast", "why", "id"], name="nurture_recipient_by_reason"),  # the lists of people
        ]

    def __str__(self) -> str:
        return f"{self.broadcast_id}: {self.contact_id}"
