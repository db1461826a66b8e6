"""Every point with its cause, the score that is their sum, and when it changes by time alone."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Contact
from scoring.models.score_models import Rule, ScoreModel, ScoreVersion


class LedgerGroup(models.TextChoices):
    """Groups of ledger rows that are no groups of rules."""

    GIVEN = "given", _("given by hand or by a program")
    TOTAL = "total", _("cap of the total")


class LedgerRow(models.Model):
    """One change of one contribution to one contact's score at one moment. Append-only; a score is the sum of its rows, always.

    `points` is the difference that the row adds. A row that corrects an earlier moment (an old activity came late) is another
    `revision` of it; the key makes a repetition impossible. Model and version have no foreign-key constraint: they are never
    deleted, and two checks a row cost a third of the writing speed. `rule_key` names a rule, points given, or a cap (CAP_KEYS).
    """

    pk = models.CompositePrimaryKey("contact_id", "model_id", "rule_key", "counts_from", "revision")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="ledger_rows", db_index=False)
    model = models.ForeignKey(ScoreModel, models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    version = models.ForeignKey(ScoreVersion, models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False)
    rule_key = models.UUIDField()
    group = models.CharField(max_length=9, choices=[*Rule.Group.choices, *LedgerGroup.choices])
    points = models.DecimalField(max_digits=12, decimal_places=2)
    counts_from = models.DateTimeField()
    revision = models.SmallIntegerField(default=0, db_default=0)
    is_timed = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Worked out from known moments and compared moment by moment; else seen in a look and compared by sum.",
    )
    recorded_at = models.DateTimeField(db_default=Now())
    cause = models.CharField(
        max_length=100,
        help_text="rule_met, rule_no_longer_met, points_changed, rule_removed, version_published (the rule itself was edited), "
        "activity, decayed, lapsed, given, given_lapsed, capped, corrected.",
    )
    activity_id = models.BigIntegerField(
        null=True, help_text="The latest activity of that moment, when one gave the points."
    )

    def __str__(self) -> str:
        return f"{self.points:+} ({self.cause})"


class PointsGiven(models.Model):
    """Points that a person or a program gave somebody in one model, until a moment or for good. Never deleted: taken back by `ends_at`."""

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="points_given", db_index=False)
    model = models.ForeignKey(ScoreModel, models.CASCADE, related_name="+", db_index=False)
    points = models.DecimalField(_("points"), max_digits=12, decimal_places=2)
    cause = models.CharField(max_length=200, help_text="by_hand or program:<slug>.")
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="")
    given_at = models.DateTimeField()
    given_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    ends_at = models.DateTimeField(_("until"), null=True)
    taken_back_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["contact", "model"], name="scoring_given")]

    def __str__(self) -> str:
        return f"{self.points:+} ({self.cause})"


class ScoreDueQuerySet(models.QuerySet["ScoreDue"]):
    def ready(self, now: datetime) -> ScoreDueQuerySet:
        """Of models that can be worked; one that failed looks at everybody later anyway."""
        return self.filter(due_at__lte=now, model__archived_at=None, model__problem="")


class ScoreDue(models.Model):
    """When known moments (decay, expiry, an activity dated ahead) next change a contact's score. Reader: nodes.ScoreNode.

    A table of its own: an index on a score's column would make each write of a score dearer (LIMITS).
    """

    pk = models.CompositePrimaryKey("contact_id", "model_id")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+", db_index=False)
    model = models.ForeignKey(ScoreModel, models.CASCADE, related_name="+", db_index=False)
    due_at = models.DateTimeField()

    objects = ScoreDueQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["model", "due_at"], name="scoring_due")]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.model_id} {self.due_at}"


class Score(models.Model):
    """A contact's present sums in one model. No index but the key: any index naming a score makes writes 2.3–3 times dearer (LIMITS)."""

    pk = models.CompositePrimaryKey("contact_id", "model_id")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="scores", db_index=False)
    model = models.ForeignKey(ScoreModel, models.DO_NOTHING, related_name="scores", db_index=False, db_constraint=False)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    fit = models.DecimalField(max_digits=12, decimal_places=2)
    behaviour = models.DecimalField(max_digits=12, decimal_places=2)
    negative = models.DecimalField(max_digits=12, decimal_places=2)
    bant = models.DecimalField(max_digits=12, decimal_places=2, default=Decimal(0), db_default=Decimal(0))
    grade = models.CharField(max_length=2)
    computed_at = models.DateTimeField(
        help_text="When the newest ledger row counts from, or the lines changed: at any later moment the sums hold as stored."
    )

    def __str__(self) -> str:
        return f"{self.total} {self.grade}"
