"""Rules that move people to a later stage, and the rates that the company compares itself with."""

from __future__ import annotations

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Contact
from scoring.models.score_models import ScoreModel


class GraduationRuleQuerySet(models.QuerySet["GraduationRule"]):
    def in_use(self) -> GraduationRuleQuerySet:
        return self.filter(is_active=True)

    def waiting(self, now: datetime) -> GraduationRuleQuerySet:
        """Stale or due; one that failed waits for its due time."""
        return self.in_use().filter(models.Q(stale_since__isnull=False, problem="") | models.Q(due_at__lte=now))


class GraduationRule(models.Model):
    """Who moves forward in the life-cycle by itself: from some stages to a later one, by a condition, by points, or by both."""

    slug = models.SlugField(_("slug"), unique=True, max_length=90)
    name = models.CharField(_("name"), max_length=200)
    to_stage = models.SlugField(_("moves to"), db_index=False)
    from_stages = ArrayField(models.SlugField(), verbose_name=_("out of"))
    conditions = models.JSONField(_("who"), null=True, blank=True, help_text="Null: the points alone decide.")
    points_of = models.ForeignKey(
        ScoreModel,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="graduation_rules",
        verbose_name=_("score model"),
        help_text="Whose points are asked for; null asks for none.",
    )
    points = models.DecimalField(_("points at least"), max_digits=12, decimal_places=2, null=True, blank=True)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    is_active = models.BooleanField(_("in use"), default=True)
    spares = models.BooleanField(
        default=False,
        db_default=False,
        help_text="When it was saved, those who met it already were left where they are (GraduationSpared).",
    )
    version = models.PositiveIntegerField(
        default=1, help_text="Counts edits; two editors at once are told apart by it."
    )
    stale_since = models.DateTimeField(null=True, blank=True, help_text="Everybody must be looked at. Reader: turn.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When mere time can next move somebody. Reader: turn."
    )
    refreshed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="", help_text="Why the last look failed; empty when it did not.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = GraduationRuleQuerySet.as_manager()

    class Meta:
        ordering = ["position", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def cause(self) -> str:
        """What its moves say in the history."""
        return f"rule:{self.slug}"


class GraduationSpared(models.Model):
    """Somebody who met a rule when it was saved and was not to move for it: the rule waits until they do something new."""

    rule = models.ForeignKey(GraduationRule, models.CASCADE, related_name="spared", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "contact"], name="scoring_spared_once")]

    def __str__(self) -> str:
        return f"{self.rule_id}: {self.contact_id}"


class Benchmark(models.Model):
    """The share of one step of the funnel that the company holds itself to, in percent of the step before."""

    class Step(models.TextChoices):
        MQLS = "mqls", _("inquiry to MQL")
        ACCEPTED = "accepted", _("MQL to accepted")
        WON = "won", _("accepted to won")

    step = models.CharField(primary_key=True, max_length=8, choices=Step)
    percent = models.DecimalField(_("percent"), max_digits=5, decimal_places=2)

    def __str__(self) -> str:
        return f"{self.step}: {self.percent} %"
