"""Who is in a program, who waits for a place, at which step, and how splits went."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models import Contact
from nurture.models.programs import Program, ProgramVersion, Publication, Trigger


class TriggerMatch(models.Model):
    """For triggers on something that has no history of its own (a tag, a line of a score): who meets it, and since when.

    `since` is null for whoever met it already when the trigger began, `until` for whoever meets it now.
    """

    trigger = models.ForeignKey(Trigger, models.CASCADE, related_name="matches", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    since = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trigger", "contact"], name="nurture_triggermatch_once")]

    def __str__(self) -> str:
        return f"{self.trigger_id}: {self.contact_id}"


class EntryQueue(models.Model):
    """People who matched before a program started and are let in so many a day; the row goes with the last of them."""

    program = models.OneToOneField(Program, models.CASCADE, related_name="entry_queue")
    per_day = models.PositiveIntegerField(_("a day"))
    day = models.DateField(null=True, help_text="The day, on the workspace's clock, whose entries `let_in` counts.")
    let_in = models.PositiveIntegerField(default=0)
    is_held = models.BooleanField(default=False, help_text="Somebody stopped it; it goes on when somebody says so.")
    began_at = models.DateTimeField()
    set_aside_by = models.ForeignKey(
        Publication,
        models.SET_NULL,
        null=True,
        related_name="+",
        help_text="A publication that takes everybody in at once; the queue is there again when that is taken back.",
    )

    def __str__(self) -> str:
        return f"{self.program_id}: {self.per_day}"


class EntryPlace(models.Model):
    """One person's place in the queue of a program: who came to the trigger first goes in first."""

    program = models.ForeignKey(Program, models.CASCADE, related_name="entry_places", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    why = models.CharField(max_length=200, help_text="The enrolment's `entered_why`.")
    since = models.DateTimeField(help_text="When they came to the trigger, or when the queue began where nobody knows.")
    given_by = models.ForeignKey(Publication, models.SET_NULL, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["program", "contact"], name="nurture_entryplace_once")]
        indexes = [models.Index(fields=["program", "since", "contact"], name="nurture_entryplace_order")]

    def __str__(self) -> str:
        return f"{self.program_id}: {self.contact_id}"


class Enrolment(models.Model):
    """One contact's walk through one version. Active: exactly one next step and its due time. Ended: neither."""

    class State(models.TextChoices):
        ACTIVE = "active", _("active")
        FINISHED = "finished", _("finished")
        LEFT = "left", _("left")
        PARKED = "parked", _("parked")
        HELD_OUT = "held_out", _("held out for comparison")

    program = models.ForeignKey(Program, models.CASCADE, related_name="enrolments", db_index=False)
    version = models.ForeignKey(ProgramVersion, models.PROTECT, related_name="enrolments", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="enrolments")
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    round = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        help_text="1 = the first walk of this person; more where the program lets people in again.",
    )
    step = models.CharField(
        max_length=40, blank=True, default="", help_text="Id of the next step in the version's tree."
    )
    visit = models.PositiveIntegerField(default=1, help_text="Counts steps done; with step it makes the outbox key.")
    next_step_at = models.DateTimeField(null=True)
    arrived_at = models.DateTimeField(null=True, help_text="When they came to the step; null: when they entered.")
    left_at_step = models.CharField(
        max_length=40, blank=True, default="", db_default="", help_text="Where they stood when they left."
    )
    entered_at = models.DateTimeField()
    entered_why = models.CharField(
        max_length=200, help_text="segment:<slug>, <kind of trigger>#<its id>, program:<slug>, recycled, by_hand."
    )
    ended_at = models.DateTimeField(null=True)
    ended_why = models.CharField(max_length=300, blank=True, default="")
    goal_at = models.DateTimeField(null=True, help_text="When the goal was seen to be met, inside or afterwards.")
    problem = models.TextField(blank=True, default="", help_text="Why it is parked.")

    class Meta:
        constraints = [
            # one walk at a time per person and program, whatever the number of triggers; two takings-in at once count the same round
            models.UniqueConstraint(
                fields=["program", "contact"],
                condition=models.Q(state__in=["active", "parked"]),
                name="nurture_enrolment_one_at_a_time",
            ),
            models.UniqueConstraint(fields=["program", "contact", "round"], name="nurture_enrolment_once"),
            models.CheckConstraint(
                condition=(models.Q(state="active", next_step_at__isnull=False) & ~models.Q(step=""))
                | (models.Q(state="parked") & ~models.Q(step=""))
                | models.Q(
                    state__in=["finished", "left", "held_out"], next_step_at__isnull=True, ended_at__isnull=False
                ),
                name="nurture_enrolment_next_or_end",
            ),
        ]
        indexes = [
            # reader: queries.claim_due, one program at a time, so that a paused one costs the others nothing
            models.Index(
                fields=["program", "next_step_at"], condition=models.Q(state="active"), name="nurture_enrolment_due"
            ),
            # counts and people on the steps; a parked person stands at the step that failed
            models.Index(
                fields=["version", "step", "id"],
                condition=models.Q(state__in=["active", "parked"]),
                name="nurture_enrolment_here",
            ),
            models.Index(  # counts on the canvas, and the people behind them
                fields=["version", "left_at_step", "id"],
                condition=models.Q(state="left"),
                name="nurture_enrolment_left",
            ),
            models.Index(  # reader: queries_publishing.affecting
                fields=["version", "goal_at"],
                condition=models.Q(goal_at__isnull=False),
                name="nurture_enrolment_goal",
            ),
            models.Index(fields=["program", "-id"], name="nurture_enrolment_newest"),  # the list of people
            models.Index(  # few, asked for by Home, the health page and the list of programs
                fields=["version", "id"], condition=models.Q(state="parked"), name="nurture_enrolment_parked"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.program_id}:{self.contact_id}"

    @property
    def is_inside(self) -> bool:
        return self.state in (self.State.ACTIVE, self.State.PARKED)


class StepVisit(models.Model):
    """One step done for one enrolment: the trace behind the counts and the contact's timeline."""

    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="visits", db_index=False)
    # The enrolment's version again, so that counts need no join; its own constraint would check every row a second time.
    version = models.ForeignKey(ProgramVersion, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    step = models.CharField(max_length=40)
    visit = models.PositiveIntegerField()
    done_at = models.DateTimeField()
    outcome = models.CharField(max_length=40, help_text="done, yes, no, skipped, failed …")
    detail = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["enrolment", "visit"], name="nurture_visit_once")]
        indexes = [models.Index(fields=["version", "step", "outcome", "id"], name="nurture_visit_counts")]

    def __str__(self) -> str:
        return f"{self.step}: {self.outcome}"


class SplitTrial(models.Model):
    """One comparison of the ways of a split step; see nurture/splits.py. Without a winner people are split."""

    program = models.ForeignKey(Program, models.CASCADE, related_name="split_trials", db_index=False)
    step = models.CharField(max_length=40)
    fingerprint = models.CharField(max_length=32, help_text="Of weights and ways: what is compared.")
    began_at = models.DateTimeField()
    next_look_at = models.DateTimeField(help_text="When the rule looks for a winner. Reader: splits.decide.")
    looked_at = models.PositiveIntegerField(default=0, help_text="People on the smallest way at the last look.")
    winner = models.CharField(max_length=1, blank=True, default="")
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", help_text="Null: the rule did."
    )

    class Meta:
        constraints = [models.UniqueConstraint(fields=["program", "step", "fingerprint"], name="nurture_trial_once")]
        indexes = [
            models.Index(fields=["next_look_at"], condition=models.Q(winner=""), name="nurture_trial_due"),
        ]

    def __str__(self) -> str:
        return f"{self.program_id}:{self.step}"


class SplitPass(models.Model):
    """Somebody who went a way of a split whose winner is looked for, watched until their days are over."""

    trial = models.ForeignKey(SplitTrial, models.CASCADE, related_name="passes", db_index=False)
    enrolment = models.ForeignKey(Enrolment, models.CASCADE, related_name="+")
    way = models.CharField(max_length=1)
    at = models.DateTimeField()
    until = models.DateTimeField()
    reached_at = models.DateTimeField(null=True, help_text="When it was seen to have worked, within the days.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trial", "enrolment"], name="nurture_splitpass_once")]
        indexes = [
            # readers: queries_splits.watched_of (is anybody watched at all?)
            models.Index(fields=["until"], condition=models.Q(reached_at__isnull=True), name="nurture_splitpass_open"),
        ]

    def __str__(self) -> str:
        return f"{self.enrolment_id}: {self.way}"
