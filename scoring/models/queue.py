"""Who gets a lead, when they work, and what they are told."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Owner
from scoring.models.hand_offs import HandOff
from scoring.models.score_models import ScoreModel


class RoutingRule(models.Model):
    """To whom a lead goes that the contact's own owner does not take: the first rule that holds and has somebody free."""

    class Target(models.TextChoices):
        OWNER = "owner", _("one person")
        TEAM = "team", _("a team, in turn")
        NOBODY = "nobody", _("nobody: it waits unassigned")

    name = models.CharField(_("name"), max_length=200)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    model = models.ForeignKey(
        ScoreModel,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="routing_rules",
        verbose_name=_("score model"),
        help_text=_("Empty: leads of every model."),
    )
    conditions = models.JSONField(_("who"), null=True, blank=True, help_text="Null: everybody.")
    target = models.CharField(_("goes to"), max_length=6, choices=Target, default=Target.TEAM)
    is_active = models.BooleanField(_("in use"), default=True)

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name


class RoutingSeat(models.Model):
    """Somebody to whom a routing rule may give leads; the order decides between two who never had one."""

    rule = models.ForeignKey(RoutingRule, models.CASCADE, related_name="seats")
    owner = models.ForeignKey(Owner, models.CASCADE, related_name="+")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["rule", "owner"], name="scoring_seat_once")]

    def __str__(self) -> str:
        return str(self.owner)


class Desk(models.Model):
    """How an owner works: hours of their own, how many open leads at most, away until when. Without a row: as the workspace does."""

    owner = models.OneToOneField(Owner, models.CASCADE, primary_key=True, related_name="desk")
    capacity = models.PositiveIntegerField(
        _("open leads at most"), null=True, blank=True, help_text=_("Empty: as many as come.")
    )
    away_until = models.DateField(
        _("away until"), null=True, blank=True, help_text=_("Gets no new leads before that day.")
    )
    left_at = models.DateTimeField(null=True, blank=True, help_text="Left the company: gets no leads any more.")
    timezone = models.CharField(
        _("time zone"), max_length=64, blank=True, default="", help_text=_("Empty: the workspace's.")
    )
    days = ArrayField(
        models.PositiveSmallIntegerField(), default=list, blank=True, help_text="1 = Monday … 7 = Sunday."
    )
    start = models.TimeField(_("from"), null=True, blank=True)
    end = models.TimeField(_("until"), null=True, blank=True)

    def __str__(self) -> str:
        return str(self.owner)


class Holiday(models.Model):
    """A day on which nobody works, or one owner does not."""

    owner = models.ForeignKey(Owner, models.CASCADE, null=True, blank=True, related_name="holidays")
    on = models.DateField(_("day"))
    name = models.CharField(_("name"), max_length=200, blank=True, default="")

    class Meta:
        ordering = ["on", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "on"], name="scoring_holiday_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"{self.on} {self.name}".strip()


class Notice(models.Model):
    """Something told to one user, in the bell and, if they wish, by mail. The key makes telling it twice a constraint error."""

    class Kind(models.TextChoices):
        LEAD = "lead", _("new lead")
        ASSIGNED = "assigned", _("lead assigned to you")
        LATE = "late", _("lead escalated")
        PROGRAM = "program", _("a program tells you")

    class Mail(models.TextChoices):
        NONE = "none", _("not by mail")
        WAITING = "waiting", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        KEPT = "kept", _("kept: no mail server")
        FAILED = "failed", _("failed")

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="notices")
    key = models.CharField(max_length=80)
    kind = models.CharField(max_length=8, choices=Kind)
    hand_off = models.ForeignKey(HandOff, models.CASCADE, null=True, related_name="notices")
    contact = models.ForeignKey(
        Contact, models.CASCADE, null=True, related_name="+", help_text="Whom it is about, where there is no lead."
    )
    words = models.CharField(max_length=1000, blank=True, default="", db_default="", help_text="Told by a program.")
    at = models.DateTimeField()
    read_at = models.DateTimeField(null=True)
    mail = models.CharField(max_length=7, choices=Mail, default=Mail.NONE)
    mail_due_at = models.DateTimeField(null=True)
    mailed_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "key"], name="scoring_notice_once"),
            models.CheckConstraint(
                condition=models.Q(hand_off__isnull=False, contact__isnull=True)
                | models.Q(hand_off__isnull=True, contact__isnull=False),
                name="scoring_notice_about_one",
            ),
        ]
        indexes = [
            models.Index(  # the bell
                fields=["user", "-at", "-id"], condition=models.Q(read_at__isnull=True), name="scoring_notice_unread"
            ),
            models.Index(fields=["user", "-at", "-id"], name="scoring_notice_newest"),
            models.Index(  # reader: nurture.mailing.notices.send_due
                fields=["mail_due_at", "id"], condition=models.Q(mail="waiting"), name="scoring_notice_mail"
            ),
        ]

    def __str__(self) -> str:
        return self.key


class NoticeWish(models.Model):
    """How a user wants to hear of leads by mail. Without a row: a digest at eight."""

    class By(models.TextChoices):
        OFF = "off", _("not by mail")
        AT_ONCE = "at_once", _("a mail at once")
        DIGEST = "digest", _("one mail a day")

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    by_mail = models.CharField(_("by mail"), max_length=7, choices=By, default=By.DIGEST)
    digest_hour = models.PositiveSmallIntegerField(_("at which hour"), default=8)

    def __str__(self) -> str:
        return f"{self.user_id}: {self.by_mail}"
