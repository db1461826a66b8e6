"""Score models in versions, and their rules."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Owner

# Facet of marks, beside Mark.Facet: points were given to the contact or taken back. Reader: nodes.ScoreNode.
POINTS_GIVEN = 100
DEFAULT_FIT_LINES = (30, 20, 10)
DEFAULT_BEHAVIOUR_LINES = (40, 20, 10)
DEFAULT_BANT_WEIGHTS = (25, 25, 25, 25)


def default_fit_lines() -> list[Decimal]:
    return [Decimal(line) for line in DEFAULT_FIT_LINES]


def default_behaviour_lines() -> list[Decimal]:
    return [Decimal(line) for line in DEFAULT_BEHAVIOUR_LINES]


def default_bant_weights() -> list[Decimal]:
    return [Decimal(weight) for weight in DEFAULT_BANT_WEIGHTS]


class ScoreModelQuerySet(models.QuerySet["ScoreModel"]):
    def in_use(self) -> ScoreModelQuerySet:
        return self.filter(archived_at=None)

    def published(self) -> ScoreModelQuerySet:
        """Those whose points are kept: not archived, with a live version."""
        return self.in_use().filter(versions__state=ScoreVersion.State.LIVE)

    def waiting(self, now: datetime) -> ScoreModelQuerySet:
        """Stale or due; one that failed waits for its due time."""
        return self.published().filter(models.Q(stale_since__isnull=False, problem="") | models.Q(due_at__lte=now))

    def queue_due(self, now: datetime) -> ScoreModelQuerySet:
        """A share of a backlog is due, or time may have changed the hand-off condition."""
        return self.published().filter(models.Q(backlog_next_at__lte=now) | models.Q(hand_off_due_at__lte=now))


class ScoreModel(models.Model):
    """One way to score, of one product line say; exactly one is the default. What it says stands in its live version."""

    class Routing(models.TextChoices):
        UNASSIGNED = "unassigned", _("leave unassigned")
        IN_TURN = "in_turn", _("to the people in sales in turn, the fewest open leads first")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    is_default = models.BooleanField(_("default"), default=False)
    routing = models.CharField(_("a lead without an owner"), max_length=10, choices=Routing, default=Routing.UNASSIGNED)
    answer_within_hours = models.PositiveSmallIntegerField(
        _("business hours to answer"), default=8, help_text=_("Business hours stand in Settings.")
    )
    escalate_after_hours = models.PositiveSmallIntegerField(
        _("business hours late until it is escalated"), null=True, blank=True
    )
    escalate_to = models.ForeignKey(
        Owner, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("escalate to")
    )
    hand_off_looked_at = models.DateTimeField(
        null=True, blank=True, help_text="Up to when time's effect on the hand-off condition was looked at."
    )
    hand_off_due_at = models.DateTimeField(
        null=True, blank=True, help_text="When time alone can next change the hand-off condition. Reader: queue_nodes."
    )
    backlog_next_at = models.DateTimeField(
        null=True, blank=True, help_text="When the next of “the best so many a day” enter. Reader: queue_nodes."
    )
    stale_since = models.DateTimeField(null=True, blank=True, help_text="Everybody must be scored again. Reader: turn.")
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When the mere passing of time can next change a score. Reader: turn."
    )
    refreshed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="", help_text="Why the last run failed; empty when it did not.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ScoreModelQuerySet.as_manager()

    class Meta:
        ordering = ["-is_default", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="scoring_one_default"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ScoreVersion(models.Model):
    """The rules, lines and threshold of a model at one time: at most one draft, one live once published, the rest past."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        LIVE = "live", _("live")
        PAST = "past", _("past")

    class Backlog(models.TextChoices):
        """What happens to people who stand over the line only because of the publication."""

        ALL = "all", _("hand all of them over")
        NONE = "none", _("hand nobody over until they do something new")
        BEST = "best", _("hand over the best of them, so many a working day")

    model = models.ForeignKey(ScoreModel, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=5, choices=State, default=State.DRAFT)
    threshold = models.DecimalField(_("hand-off threshold"), max_digits=12, decimal_places=2, default=Decimal(75))
    fit_lines = ArrayField(
        models.DecimalField(max_digits=12, decimal_places=2),
        verbose_name=_("fit lines"),
        default=default_fit_lines,
        help_text=_("Least fit points of A, B and C."),
    )
    behaviour_lines = ArrayField(
        models.DecimalField(max_digits=12, decimal_places=2),
        verbose_name=_("behaviour lines"),
        default=default_behaviour_lines,
        help_text=_("Least behaviour points of 1, 2 and 3."),
    )
    backlog = models.CharField(max_length=4, choices=Backlog, default=Backlog.ALL)
    includes_bant = models.BooleanField(_("BANT counts in the score"), default=False, db_default=False)
    bant_weights = ArrayField(
        models.DecimalField(max_digits=6, decimal_places=2),
        verbose_name=_("BANT weights"),
        default=default_bant_weights,
        db_default=default_bant_weights(),
        help_text=_("Points of budget, authority, need and timeframe, each when it is met."),
    )
    bant_line = models.DecimalField(
        _("BANT passes from"), max_digits=6, decimal_places=2, default=Decimal(75), db_default=Decimal(75)
    )
    backlog_per_day = models.PositiveIntegerField(null=True, help_text="With “best”: how many a working day.")
    hands_over = models.BooleanField(
        _("hands over to sales"), default=True, help_text="Off: scores only, no threshold."
    )
    lower_line = models.DecimalField(
        _("lower line"),
        max_digits=12,
        decimal_places=2,
        null=True,
        help_text="Who fell below it and rises over the threshold again has crossed anew, for the same rules too.",
    )
    hand_off_conditions = models.JSONField(
        _("hand-off condition"), null=True, help_text="Must hold besides the threshold; null asks nothing more."
    )
    caps = models.JSONField(
        _("caps"),
        default=dict,
        db_default=models.Value({}, models.JSONField()),
        help_text='Group or “total” -> {"least": points, "most": points}; an end that is absent has no cap.',
    )
    edit_number = models.PositiveIntegerField(
        default=1, help_text="Counts edits of the draft; two editors or publishers at once are told apart by it."
    )
    edited_at = models.DateTimeField(db_default=Now())
    restored_from = models.PositiveIntegerField(null=True, help_text="Number of the past version it was copied from.")
    published_at = models.DateTimeField(null=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=500, blank=True, default="")
    worked_at = models.DateTimeField(
        null=True, help_text="When everybody had been scored by it; before, nobody is handed over."
    )

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="scoring_version_number"),
            models.UniqueConstraint(fields=["model"], condition=models.Q(state="draft"), name="scoring_one_draft"),
            models.UniqueConstraint(fields=["model"], condition=models.Q(state="live"), name="scoring_one_live"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.number}"


class Rule(models.Model):
    """Conditions and the points they are worth. `key` is the rule's identity through all versions: the ledger names it.

    Once: the points count while the conditions hold. Per occurrence (occurrences.py): each activity that the conditions choose
    gives them, and the rule's contribution is a step function of time.
    """

    class Group(models.TextChoices):
        FIT = "fit", _("fit")
        BEHAVIOUR = "behaviour", _("behaviour")
        NEGATIVE = "negative", _("negative")
        BANT = "bant", _("BANT")  # never stored: made from the version's weights (bant.rules_of)

    version = models.ForeignKey(ScoreVersion, models.CASCADE, related_name="rules")
    key = models.UUIDField(default=uuid.uuid4)
    group = models.CharField(_("group"), max_length=9, choices=Group)
    name = models.CharField(_("name"), max_length=200)
    conditions = models.JSONField(_("conditions"))
    points = models.DecimalField(_("points"), max_digits=12, decimal_places=2)
    per_occurrence = models.BooleanField(_("for each activity"), default=False, db_default=False)
    first_n = models.PositiveIntegerField(
        _("only the first"), null=True, help_text="Later activities of a contact give nothing."
    )
    cap = models.DecimalField(
        _("at most"),
        max_digits=12,
        decimal_places=2,
        null=True,
        help_text="Most points of the rule at any moment, either way; above zero.",
    )
    expires_after_days = models.PositiveIntegerField(
        _("lapse after"), null=True, help_text="Days of 24 hours after the activity."
    )
    halves_after_days = models.PositiveIntegerField(
        _("halve every"), null=True, help_text="Days of 24 hours; after each the points of an activity halve."
    )
    halvings = models.PositiveSmallIntegerField(
        _("and vanish after"), null=True, help_text="Periods; null: once under half a hundredth."
    )
    position = models.PositiveSmallIntegerField(default=0)
    met_count = models.BigIntegerField(
        default=0, help_text="Contacts that meet it, kept by the statement that writes the ledger (live version only)."
    )

    class Meta:
        ordering = ["group", "position", "id"]
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="scoring_rule_key")]

    def __str__(self) -> str:
        return self.name
