"""Programs in versions, their triggers, how a version is published, and simulations of one."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from segments.models import Segment


class Program(models.Model):
    """A program walks people through a tree of steps. What it does stands in its versions; people inside are pinned to theirs."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        LIVE = "live", _("live")
        PAUSED = "paused", _("paused")
        STOPPED = "stopped", _("stopped")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    notes = models.TextField(_("notes"), blank=True, default="")
    state = models.CharField(max_length=7, choices=State, default=State.DRAFT)
    stale_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="All members of its segment must be looked at (started, resumed). Reader: turn.",
    )
    priority = models.PositiveSmallIntegerField(
        _("priority"), default=5, db_default=5, help_text=_("1 = first … 9 = last, where the budget of mails is short.")
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    publishing_since = models.DateTimeField(
        null=True,
        blank=True,
        help_text="A publication is carried out or taken back: nobody inside walks meanwhile. Readers: engine, guards, wakes.",
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def triggers_ever(self) -> list[dict[str, Any]]:
        """Triggers of every version, the newest first: enrolments name them. One statement."""
        found = self.versions.order_by("-number").values_list("triggers", flat=True)
        return [one for triggers in found for one in triggers]


class ProgramVersion(models.Model):
    """Triggers and steps at one time; immutable once published. `tree` is described in nurture/tree.py."""

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        LIVE = "live", _("live")
        PAST = "past", _("past")

    class Intake(models.TextChoices):
        NEW = "new", _("only people who enter from now on")
        ALL = "all", _("everybody who is a member now, too")
        SINCE = "since", _("members who entered since a date, too")

    program = models.ForeignKey(Program, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=5, choices=State, default=State.DRAFT)
    triggers = models.JSONField(
        default=list, db_default=[], blank=True, help_text="Who enters; see nurture/triggers/document.py."
    )
    trigger_segment = models.ForeignKey(
        Segment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="triggered_versions",
        verbose_name=_("segment entered"),
        help_text="The first segment of `triggers`, kept by actions: while a version names it, it cannot be deleted.",
    )
    tree = models.JSONField(help_text="Steps with ids; see nurture/tree.py.")
    around = models.JSONField(
        default=dict, db_default={}, blank=True, help_text="Goal, exits, re-entry, hold-out …; see nurture/around.py."
    )
    enters_from = models.DateTimeField(null=True, help_text="Nobody is taken in before; of `around`, at publication.")
    enters_until = models.DateTimeField(null=True, help_text="Nobody is taken in from then on.")
    listens = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Some step waits for something about the contact; of `tree`, at publication.",
    )
    edit_number = models.PositiveIntegerField(
        default=1, help_text="Counts edits of the draft; two editors at once are told apart by it."
    )
    past_edits = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="Of a draft: how steps, trigger and surroundings were before each of the last edits; the newest last.",
    )
    published_at = models.DateTimeField(null=True)
    published_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    intake = models.CharField(max_length=5, choices=Intake, default=Intake.NEW)
    entered_since = models.DateTimeField(
        null=True,
        help_text="People who entered the segment before that moment are not taken in; null takes all members.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["program", "number"], name="nurture_version_number"),
            models.UniqueConstraint(fields=["program"], condition=models.Q(state="draft"), name="nurture_one_draft"),
            models.UniqueConstraint(fields=["program"], condition=models.Q(state="live"), name="nurture_one_live"),
        ]

    def __str__(self) -> str:
        return f"{self.program} {self.number}"


class Publication(models.Model):
    """One decision of a publish sheet: carried out by a worker in short transactions, and taken back as long as nobody was affected.

    While it is under way the program's `publishing_since` holds everybody inside where they are. See nurture/publication/publishing.py.
    """

    class State(models.TextChoices):
        ASKED = "asked", _("asked for")
        MOVING = "moving", _("people go over")
        DONE = "done", _("done")
        TAKING_BACK = "taking_back", _("being taken back")
        TAKEN_BACK = "taken_back", _("taken back")

    UNDER_WAY = (State.ASKED, State.MOVING, State.TAKING_BACK)

    program = models.ForeignKey(Program, models.CASCADE, related_name="publications")
    version = models.ForeignKey(ProgramVersion, models.SET_NULL, null=True, related_name="publications")
    number = models.PositiveIntegerField(help_text="The version's; it stays when a draft is thrown away.")
    past = models.ForeignKey(
        ProgramVersion, models.SET_NULL, null=True, related_name="+", help_text="The version that was live before."
    )
    state = models.CharField(max_length=11, choices=State, default=State.ASKED)
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(_("reason"), max_length=500, blank=True, default="")
    intake = models.CharField(max_length=5, choices=ProgramVersion.Intake)
    since = models.DateTimeField(null=True)
    per_day = models.PositiveIntegerField(null=True)
    sheet = models.JSONField(
        default=list, help_text="Per step where people stood: version, number, step, words, people, choice."
    )
    before = models.JSONField(
        default=dict, help_text="What taking it back writes again; see nurture/publication/publishing_job.py."
    )
    people_total = models.PositiveIntegerField(default=0, help_text="Who go over or leave, as the sheet counted them.")
    people_done = models.PositiveIntegerField(default=0)
    moved = models.JSONField(default=dict, help_text="Choice -> people, as it came out.")
    queued = models.PositiveIntegerField(null=True, help_text="Places in the queue of entries; null: not yet given.")
    row = models.PositiveIntegerField(default=0, help_text="The row of `sheet` that is worked on.")
    after = models.BigIntegerField(default=0, help_text="The last enrolment of that row that was moved.")
    switched_at = models.DateTimeField(null=True, help_text="When the version went live.")
    finished_at = models.DateTimeField(null=True, help_text="When the last person had gone over.")
    effect_at = models.DateTimeField(null=True, help_text="When it first affected somebody: it stays from then on.")
    effect = models.CharField(max_length=20, blank=True, default="", help_text="A key of effects.WORDS.")
    effect_step = models.CharField(max_length=40, blank=True, default="")
    is_cleared = models.BooleanField(default=False, help_text="What was kept for taking it back is gone.")
    taken_back_at = models.DateTimeField(null=True)
    taken_back_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    taken_back_reason = models.CharField(max_length=500, blank=True, default="")
    problem = models.TextField(blank=True, default="", help_text="Why the last try broke off.")
    next_try_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["program"],
                condition=models.Q(state__in=["asked", "moving", "taking_back"]),
                name="nurture_publication_one_at_a_time",
            )
        ]
        indexes = [
            models.Index(  # reader: publishing_job.run_due, each second
                fields=["id"],
                condition=models.Q(state__in=["asked", "moving", "taking_back"])
                | models.Q(state="done", is_cleared=False),
                name="nurture_publication_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.program_id}: {self.number}"

    @property
    def is_under_way(self) -> bool:
        return self.state in self.UNDER_WAY

    @property
    def percent_done(self) -> int:
        return min(100, int(100 * self.people_done / self.people_total)) if self.people_total else 0


class PublicationMove(models.Model):
    """How somebody stood before a publication moved them; kept while it can be taken back."""

    publication = models.ForeignKey(Publication, models.CASCADE, related_name="moves", db_index=False)
    enrolment = models.ForeignKey("Enrolment", models.CASCADE, related_name="+")
    version_id = models.BigIntegerField()
    state = models.CharField(max_length=8)
    step = models.CharField(max_length=40)
    next_step_at = models.DateTimeField(null=True)
    arrived_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")
    is_released = models.BooleanField(default=False)
    mails = models.JSONField(
        null=True, help_text="Of whoever was released: id, state, why_not, lease_until of mails that waited."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["publication", "enrolment"], name="nurture_publicationmove_once")
        ]

    def __str__(self) -> str:
        return f"{self.publication_id}: {self.enrolment_id}"


class Trigger(models.Model):
    """One way into a program's live version, and from when on it counts; made from the version's `triggers` at publication.

    An edit that leaves a trigger as it is keeps its row: who was passed over before stays outside.
    """

    version = models.ForeignKey(ProgramVersion, models.CASCADE, related_name="trigger_rows", db_index=False)
    key = models.CharField(max_length=40, help_text="Its id in the version's `triggers`.")
    kind = models.CharField(max_length=20)
    values = models.JSONField(default=dict)
    segment = models.ForeignKey(
        Segment,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Of a segment's trigger, for the turn's statement.",
    )
    since = models.DateTimeField(null=True, help_text="What happened before lets nobody in; null: everything counts.")
    due_at = models.DateTimeField(
        null=True, help_text="When time alone can let somebody in (a date, an activity dated ahead). Reader: entering."
    )
    looked_until = models.DateTimeField(null=True, help_text="Up to when time was looked at; moves with the entries.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["version", "key"], name="nurture_trigger_key")]
        indexes = [  # reader: entering.take_due
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="nurture_trigger_due")
        ]

    def __str__(self) -> str:
        return f"{self.version_id}: {self.kind}"


class Simulation(models.Model):
    """What a version would do over so many days, by assumptions; worked out by a worker on tables of its own (nurture/simulation)."""

    class State(models.TextChoices):
        QUEUED = "queued", _("waits")
        RUNNING = "running", _("is worked out")
        DONE = "done", _("done")
        FAILED = "failed", _("broke off")
        STOPPED = "stopped", _("stopped")

    version = models.ForeignKey(ProgramVersion, models.CASCADE, related_name="simulations")
    edit_number = models.PositiveIntegerField(
        help_text="Of the draft when it was asked; a later one is another program."
    )
    assumptions = models.JSONField(help_text="See nurture/simulation/assumptions.py.")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    share_done = models.FloatField(default=0.0)
    lease_until = models.DateTimeField(
        null=True, help_text="A worker is at it until then; past that another one begins anew."
    )
    tries = models.PositiveSmallIntegerField(default=0)
    requested_at = models.DateTimeField()
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)
    result = models.JSONField(null=True, help_text="See nurture/simulation/results.py.")
    problem = models.TextField(blank=True, default="")

    class Meta:
        indexes = [
            models.Index(  # reader: simulation.jobs.run_due
                fields=["id"], condition=models.Q(state__in=["queued", "running"]), name="nurture_simulation_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version}: {self.state}"

    @property
    def is_under_way(self) -> bool:
        return self.state in (self.State.QUEUED, self.State.RUNNING)

    @property
    def percent_done(self) -> int:
        return int(100 * self.share_done)
