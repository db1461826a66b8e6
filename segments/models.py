"""Who belongs together: segments with their dated memberships, and personas."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Contact


class SegmentQuerySet(models.QuerySet["Segment"]):
    def in_use(self) -> SegmentQuerySet:
        """Not archived: kept up to date by the turn, open to be chosen."""
        return self.filter(archived_at=None)

    def waiting(self, now: datetime) -> SegmentQuerySet:
        """To be looked at in full: made or edited, or due. After a failure only the due time counts."""
        return self.in_use().filter(Q(stale_since__isnull=False, problem="") | Q(due_at__lte=now))


class Segment(models.Model):
    """A named set of contacts. members = (matches ∪ added) − removed; a fixed segment has only what was added by hand or by a program."""

    class Mode(models.TextChoices):
        DYNAMIC = "dynamic", _("dynamic")
        FIXED = "fixed", _("fixed")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    notes = models.TextField(_("notes"), blank=True, default="")
    folder = models.CharField(_("folder"), max_length=100, blank=True, default="")
    labels = ArrayField(
        models.CharField(max_length=50), verbose_name=_("labels"), default=list, blank=True, db_default=[]
    )
    mode = models.CharField(_("mode"), max_length=7, choices=Mode, default=Mode.DYNAMIC)
    conditions = models.JSONField(_("conditions"), null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("owner")
    )
    version = models.PositiveIntegerField(
        default=1, help_text="Counts saves; two editors at once are told apart by it."
    )
    member_count = models.BigIntegerField(
        default=0, help_text="Open memberships; kept by the statement that writes them."
    )
    stale_since = models.DateTimeField(
        null=True, blank=True, help_text="Everybody must be looked at again (made or edited). Reader: turn."
    )
    due_at = models.DateTimeField(
        null=True, blank=True, help_text="When the mere passing of time can next change members. Reader: turn."
    )
    refreshed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(
        blank=True, default="", help_text="Why the last evaluation failed; empty when it did not."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = SegmentQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """Its name in the graph of definitions."""
        return f"segment:{self.slug}"


class SegmentVersion(models.Model):
    """What a segment's rule was after each save: who, when, why."""

    segment = models.ForeignKey(Segment, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    conditions = models.JSONField(null=True)
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    saved_at = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True, default="")
    joining = models.BigIntegerField(
        null=True, help_text="How many were told to join when it was saved; null when nobody was asked."
    )
    leaving = models.BigIntegerField(null=True, help_text="How many were told to leave.")

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["segment", "number"], name="segments_version_number")]

    def __str__(self) -> str:
        return f"{self.segment_id}/{self.number}"


class SegmentOverride(models.Model):
    """A contact put in or taken out by hand; wins over the rule and stays until taken back."""

    class Verdict(models.TextChoices):
        ADDED = "added", _("added")
        REMOVED = "removed", _("removed")

    segment = models.ForeignKey(Segment, models.CASCADE, related_name="overrides", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="segment_overrides")
    verdict = models.CharField(max_length=7, choices=Verdict)
    cause = models.CharField(max_length=100, help_text="by_hand, import, program:<slug>.")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    since = models.DateTimeField()
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["segment", "contact"], name="segments_override_once")]

    def __str__(self) -> str:
        return f"{self.segment_id}: {self.contact_id} {self.verdict}"


class Membership(models.Model):
    """One stay of a contact in a segment: [since, until). The open one has no end."""

    segment = models.ForeignKey(Segment, models.CASCADE, related_name="memberships", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="memberships")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    why = models.CharField(max_length=100, help_text="rule:<version>, by_hand, program:<slug>, import.")
    left_why = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["segment", "contact"], condition=Q(until__isnull=True), name="segments_membership_open"
            ),
        ]
        indexes = [
            models.Index(fields=["segment", "-since", "-id"], name="segments_joined"),  # members, joined list, trigger
            models.Index(
                fields=["segment", "-until", "-id"], condition=Q(until__isnull=False), name="segments_left"
            ),  # left list
        ]

    def __str__(self) -> str:
        return f"{self.segment_id}: {self.contact_id} {self.since:%Y-%m-%d}"


class MembershipTally(models.Model):
    """How many joined and left a segment in one quarter of an hour: the trend without a pass over the intervals.

    Kept by triggers on Membership in the same transaction (migration 0004), so that whoever writes intervals, a merge or a deletion
    too, cannot forget it. Quarters of an hour, since days begin at one in every zone: exact whatever zone the workspace takes.
    """

    pk = models.CompositePrimaryKey("segment_id", "slot")
    segment = models.ForeignKey(Segment, models.CASCADE, related_name="tallies", db_index=False)
    slot = models.DateTimeField()
    joined = models.IntegerField()
    gone = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.segment_id} {self.slot:%Y-%m-%d %H:%M}: +{self.joined} −{self.gone}"


class PersonaQuerySet(models.QuerySet["Persona"]):
    def waiting(self, now: datetime) -> PersonaQuerySet:
        """To be looked at in full: edited, or due. After a failure only the due time counts."""
        return self.filter(Q(stale_since__isnull=False, problem="") | Q(due_at__lte=now))


class Persona(models.Model):
    """A kind of buyer, in words that sales and marketing agreed on, and the rule that recognises them. The first match by position wins."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("draft")
        ON_TEST = "on_test", _("on test")
        AGREED = "agreed", _("agreed")
        RETIRED = "retired", _("retired")

    class Role(models.TextChoices):
        DECIDES = "decides", _("decides")
        INFLUENCES = "influences", _("influences")
        USES = "uses", _("uses")
        PAYS = "pays", _("pays")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    job = models.CharField(_("job"), max_length=300, blank=True, default="")
    role = models.CharField(_("role in the purchase"), max_length=10, choices=Role, blank=True, default="")
    day = models.TextField(_("a day at work"), blank=True, default="")
    background = models.TextField(_("background"), blank=True, default="")
    goals = models.TextField(_("goals"), blank=True, default="")
    motivations = ArrayField(
        models.CharField(max_length=40),
        verbose_name=_("motivations"),
        default=list,
        blank=True,
        help_text=_("Basic desires behind the goals."),
    )
    end_goals = models.TextField(_("end goals behind them"), blank=True, default="")
    obstacles_external = models.TextField(_("external obstacles"), blank=True, default="")
    obstacles_internal = models.TextField(_("internal obstacles"), blank=True, default="")
    obstacles_philosophical = models.TextField(_("philosophical obstacles"), blank=True, default="")
    objections = models.TextField(_("objections"), blank=True, default="")
    status = models.CharField(_("status"), max_length=7, choices=Status, default=Status.DRAFT)
    position = models.PositiveSmallIntegerField(_("position"), default=0)
    conditions = models.JSONField(_("assignment rule"), null=True, blank=True)
    version = models.PositiveIntegerField(default=1)
    contact_count = models.BigIntegerField(default=0)
    stale_since = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    problem = models.TextField(blank=True, default="")
    reviewed_on = models.DateField(_("last reviewed on"), null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PersonaQuerySet.as_manager()

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def key(self) -> str:
        """Its name in the graph of definitions."""
        return f"persona:{self.slug}"


class PersonaAssignment(models.Model):
    """One stretch of time in which a contact counted as a persona; at most one is open."""

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="persona_assignments")
    persona = models.ForeignKey(Persona, models.CASCADE, related_name="assignments")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    why = models.CharField(max_length=100, help_text="rule:<version of the persona>.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["contact"], condition=Q(until__isnull=True), name="segments_persona_open"),
        ]

    def __str__(self) -> str:
        return f"{self.persona_id}: {self.contact_id} {self.since:%Y-%m-%d}"
