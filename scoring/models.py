"""How good, how keen, and why: score models in versions, the ledger, scores, and the hand-off queue."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Contact, Deal, Owner

if TYPE_CHECKING:
    from django.contrib.auth.models import User

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


# --- The queue: who gets a lead, when they work, what happened to it, what they are told --------------------------------


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


# --- BANT ------------------------------------------------------------------------------------------------------------------


class BantFactQuerySet(models.QuerySet["BantFact"]):
    def valid(self, at: datetime) -> BantFactQuerySet:
        """Known by then and not lapsed."""
        return self.filter(known_at__lte=at).filter(models.Q(lapses_at=None) | models.Q(lapses_at__gt=at))

    def lapsing(self, now: datetime) -> BantFactQuerySet:
        """Lapsed, and nobody was told yet."""
        return self.filter(lapses_at__lte=now, lapsed_at=None)


class BantFact(models.Model):
    """What is known of a contact's budget, authority, need or timeframe. Append-only: the newest that has not lapsed counts."""

    class Facet(models.TextChoices):
        BUDGET = "budget", _("budget")
        AUTHORITY = "authority", _("authority")
        NEED = "need", _("need")
        TIMEFRAME = "timeframe", _("timeframe")

    class Verdict(models.TextChoices):
        MET = "met", _("met")
        NOT_MET = "not_met", _("not met")
        UNKNOWN = "unknown", _("unknown")

    class Source(models.TextChoices):
        CALL = "call", _("call")
        FORM = "form", _("form")
        CRM = "crm", _("CRM")
        IMPORT = "import", _("import")
        RULE = "rule", _("rule")

    class Confidence(models.IntegerChoices):
        GUESSED = 1, _("guessed")
        HEARD = 2, _("heard")
        CONFIRMED = 3, _("confirmed")

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="bant_facts", db_index=False)
    facet = models.CharField(_("facet"), max_length=9, choices=Facet)
    answer = models.CharField(_("answer"), max_length=20, help_text="A key of bant.ANSWERS of the facet.")
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, null=True, blank=True)
    due_on = models.DateField(_("by"), null=True, blank=True, help_text="Timeframe: when they want to have decided.")
    verdict = models.CharField(_("verdict"), max_length=7, choices=Verdict)
    source = models.CharField(_("source"), max_length=6, choices=Source, default=Source.CALL)
    confidence = models.PositiveSmallIntegerField(_("confidence"), choices=Confidence, default=Confidence.HEARD)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")
    known_at = models.DateTimeField(_("known since"))
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    lapses_at = models.DateTimeField(_("lapses"), null=True, blank=True)
    lapsed_at = models.DateTimeField(null=True, editable=False, help_text="When its lapse was worked.")

    objects = BantFactQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["contact", "facet", "-known_at", "-id"], name="scoring_bantfact_newest"),
            models.Index(  # reader: nodes_bant.LapsesNode
                fields=["lapses_at"],
                condition=models.Q(lapses_at__isnull=False, lapsed_at__isnull=True),
                name="scoring_bantfact_lapses",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.facet}: {self.answer}"


class LookAgainQuerySet(models.QuerySet["LookAgain"]):
    def pending(self) -> LookAgainQuerySet:
        return self.filter(done_at=None)

    def ready(self, now: datetime) -> LookAgainQuerySet:
        """Their day has come, and nobody looked yet."""
        return self.pending().filter(due_at__lte=now)


class LookAgain(models.Model):
    """Somebody who is to be looked at again on a day, although no lead of theirs waits for it: BANT said “later”. At most one is pending."""

    class Outcome(models.TextChoices):
        HANDED_OVER = "handed_over", _("handed to sales")
        NOT_RIPE = "not_ripe", _("not over the line: stays in nurture")
        MOVED_ON = "moved_on", _("further in the life-cycle by then, or out of it")

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="looks_again")
    due_at = models.DateTimeField(help_text="Reader: nodes_bant.LooksAgainNode.")
    why = models.CharField(max_length=300)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    done_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=11, choices=Outcome, blank=True, default="")

    objects = LookAgainQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(done_at__isnull=True), name="scoring_one_look_again"
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(done_at__isnull=True), name="scoring_looks_again")
        ]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.due_at:%Y-%m-%d}"


# --- Graduation ------------------------------------------------------------------------------------------------------------


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
