"""What we do next: programs in versions, enrolments, templates, broadcasts, and sendings (outbox and history in one table)."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.addresses import domain_of
from leads.countries import QUIET
from leads.models import ConsentRequest, Contact
from segments.models import Segment


def quiet_countries() -> list[str]:
    """Where noting who reads a mail needs a yes before (ePrivacy rules): the European Economic Area, Britain and Switzerland."""
    return list(QUIET)


class Stationery(models.Model):
    """What mails have in common: a snippet that words name, or a layout that frames them; see nurture/templating/stationery.py."""

    class Kind(models.TextChoices):
        SNIPPET = "snippet", _("snippet")
        LAYOUT = "layout", _("layout")

    kind = models.CharField(max_length=7, choices=Kind)
    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    format = models.CharField(
        _("format"), max_length=4, blank=True, default="", help_text="Of a layout: that of the templates it frames."
    )
    body = models.TextField(_("body"))
    is_default = models.BooleanField(_("new templates begin with it"), default=False)
    version = models.PositiveIntegerField(
        default=1, help_text="Counts saves; two editors at once are told apart by it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["format"], condition=models.Q(is_default=True), name="nurture_stationery_default"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="layout") | models.Q(is_default=False, format=""),
                name="nurture_stationery_snippets_are_plain",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Template(models.Model):
    """An e-mail as it is written: subject, preheader and MJML or HTML body with Liquid placeholders."""

    class Format(models.TextChoices):
        MJML = "mjml", _("MJML")
        HTML = "html", _("HTML")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    subject = models.CharField(_("subject"), max_length=500)
    preheader = models.CharField(_("preheader"), max_length=300, blank=True, default="")
    format = models.CharField(_("format"), max_length=4, choices=Format, default=Format.MJML)
    body = models.TextField(_("body"))
    layout = models.ForeignKey(
        Stationery,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="templates",
        verbose_name=_("layout"),
        help_text=_("The frame around the body: head, foot, colours."),
    )
    has_own_text = models.BooleanField(
        _("write the text part by hand"),
        default=False,
        db_default=False,
        help_text=_("Else it is made from the body, which is right for most mails."),
    )
    text = models.TextField(
        _("text part"), blank=True, default="", db_default="", help_text=_("Only where it is written by hand.")
    )
    purpose = models.SlugField(
        _("purpose"),
        max_length=50,
        default="marketing",
        db_default="marketing",
        db_index=False,
        help_text=_("Who may get it: those whose consent covers this purpose."),
    )
    sender_name = models.CharField(
        _("sender name"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("Whose name stands in front of the address; empty: the workspace's. Placeholders work."),
    )
    reply_to = models.CharField(
        _("answers go to"),
        max_length=320,
        blank=True,
        default="",
        db_default="",
        help_text=_("An address, or {{ owner.email }}; empty, or where nobody is there: the workspace's."),
    )
    language = models.CharField(
        _("language"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "What it is written in: for screen readers, the direction of writing, and the words of the links at its foot."
        ),
    )
    translations = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="The same mail in other languages: language, subject, preheader, body, text; see nurture/templating/translations.py.",
    )
    blocks = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="Blocks shown by condition: key and conditions of each; see nurture/templating/blocks.py.",
    )
    findings = models.JSONField(
        null=True,
        blank=True,
        help_text="What its last reading found (nurture/templating/proofreading.py); null: not read since it changed.",
    )
    version = models.PositiveIntegerField(
        default=1, help_text="Counts saves; two editors at once are told apart by it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Image(models.Model):
    """A picture that mails show. Its file stands below MEDIA_ROOT under the hash of its content; nurture/templating/images.py."""

    class Kind(models.TextChoices):
        PNG = "png", _("PNG")
        JPEG = "jpg", _("JPEG")
        GIF = "gif", _("GIF")

    token = models.CharField(
        _("token"), max_length=22, unique=True, editable=False, help_text="Its public address is made of it."
    )
    sha256 = models.CharField(max_length=64, unique=True, editable=False, help_text="Of the bytes that are served.")
    name = models.CharField(_("name"), max_length=200)
    alt = models.CharField(
        _("alternative text"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("What it shows, for readers who see no pictures: templates begin with these words."),
    )
    kind = models.CharField(_("kind"), max_length=3, choices=Kind)
    width = models.PositiveIntegerField(_("width"), help_text="pixels")
    height = models.PositiveIntegerField(_("height"), help_text="pixels")
    bytes = models.PositiveIntegerField(_("weight"))
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    uploaded_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-uploaded_at", "-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """As templates name it; mails get it in full."""
        return f"/i/{self.token}.{self.kind}"


class TemplateVersion(models.Model):
    """How a template was after one save; see nurture/templating/history.py."""

    template = models.ForeignKey(Template, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="The template's version.")
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True, default="")
    words = models.JSONField(help_text="The parts named in nurture/templating/history.py, as they were.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="nurture_templateversion_number")]

    def __str__(self) -> str:
        return f"{self.template_id}: {self.number}"


class StationeryVersion(models.Model):
    """How a snippet or layout was after one save; see nurture/templating/history.py."""

    stationery = models.ForeignKey(Stationery, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="The version of the snippet or layout.")
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True, default="")
    words = models.JSONField(help_text="Its name and body, as they were.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stationery", "number"], name="nurture_stationeryversion_number")
        ]

    def __str__(self) -> str:
        return f"{self.stationery_id}: {self.number}"


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


class MailBudget(models.Model):
    """The one budget over all programs (row 1): so many marketing mails to a person within so many days. Without the row there is none."""

    mails = models.PositiveSmallIntegerField(_("mails"))
    days = models.PositiveSmallIntegerField(_("days"))

    def __str__(self) -> str:
        return f"{self.mails}/{self.days}"


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


class Sending(models.Model):
    """One mail to one address: outbox and history. The unique key makes a second mail for the same step visit a constraint error."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        HELD = "held", _("held while the program is paused")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        NOT_SENT = "not_sent", _("not sent")
        BOUNCED = "bounced", _("bounced")
        UNCERTAIN = "uncertain", _("uncertain")

    class Carrier(models.TextChoices):
        SMTP = "smtp", _("by SMTP")
        API = "api", _("by the mail provider")
        OUTBOX = "outbox", _("kept in the local outbox")

    key = models.CharField(
        max_length=120, unique=True, help_text="enrolment:step:visit, broadcast:<id>:<contact>, or test:<uuid>."
    )
    token = models.UUIDField(default=uuid.uuid4, unique=True, help_text="Names the sending in public links.")
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="sendings")
    enrolment = models.ForeignKey(Enrolment, models.SET_NULL, null=True, blank=True, related_name="sendings")
    template = models.ForeignKey(Template, models.PROTECT, related_name="sendings")
    broadcast = models.ForeignKey(
        Broadcast, models.PROTECT, null=True, blank=True, related_name="sendings", db_index=False
    )
    consent_request = models.OneToOneField(
        ConsentRequest, models.SET_NULL, null=True, blank=True, related_name="sending", help_text="It asks to confirm."
    )
    purpose = models.SlugField(
        max_length=50,
        default="marketing",
        db_default="marketing",
        db_index=False,
        help_text="The template's when it was queued.",
    )
    step = models.CharField(max_length=40, blank=True, default="")
    address = models.CharField(max_length=320)
    is_operational = models.BooleanField(
        default=False, help_text="Not marketing: goes out although the address unsubscribed."
    )
    is_test = models.BooleanField(
        default=False, help_text="Asked by a colleague for their own eyes; no activity of the contact."
    )
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    carrier = models.CharField(max_length=6, choices=Carrier, blank=True, default="")
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(
        null=True,
        help_text="Queued: a worker prepares it until then. Being sent: past that the outcome is uncertain.",
    )
    tries = models.PositiveSmallIntegerField(default=0)
    claimed_at = models.DateTimeField(
        null=True, help_text="When it was let go; null again when it came back. Counts for the frequency budget."
    )
    sent_at = models.DateTimeField(null=True)
    message_id = models.CharField(max_length=300, blank=True, default="")
    subject = models.CharField(max_length=1000, blank=True, default="")
    html = models.TextField(blank=True, default="", help_text="The mail as the reader saw it.")
    text = models.TextField(blank=True, default="")
    headers = models.JSONField(default=list, blank=True, help_text="Name and value of each header as sent, in order.")
    why_not = models.CharField(
        max_length=300, blank=True, default="", help_text="Why it was not sent, why it waits, or the server's words."
    )
    language = models.CharField(
        max_length=35,
        blank=True,
        default="",
        db_default="",
        help_text="That it was written in; of a test: that it shall be written in. Empty: the template's own.",
    )
    is_tracked = models.BooleanField(
        default=False, db_default=False, help_text="Its links lead by us and it holds a pixel; `html` has neither."
    )

    class Meta:
        indexes = [
            models.Index(
                fields=["due_at", "id"], condition=models.Q(state="queued"), name="nurture_sending_due"
            ),  # reader: sending.claim
            models.Index(  # reader: the same, for what goes first
                fields=["due_at", "id"],
                condition=models.Q(state="queued") & (models.Q(is_operational=True) | models.Q(is_test=True)),
                name="nurture_sending_first",
            ),
            models.Index(
                fields=["lease_until"], condition=models.Q(state="sending"), name="nurture_sending_leases"
            ),  # reader: sending.give_up_leases
            models.Index(fields=["-queued_at", "-id"], name="nurture_sending_newest"),  # the outbox page
            models.Index(fields=["state", "-queued_at", "-id"], name="nurture_sending_by_state"),  # its tabs
            models.Index(  # its reasons: few mails have one, and those that leave are not slowed down
                fields=["state", "why_not", "-queued_at", "-id"],
                condition=~models.Q(why_not=""),
                name="nurture_sending_reasons",
            ),
            models.Index(  # progress and results of a broadcast
                fields=["broadcast", "state", "id"],
                condition=models.Q(broadcast__isnull=False),
                name="nurture_sending_broadcast",
            ),
            models.Index(  # the frequency budget: queries.claim_sendings
                fields=["address", "-claimed_at"],
                condition=models.Q(claimed_at__isnull=False, is_operational=False),
                name="nurture_sending_budget",
            ),
        ]

    def __str__(self) -> str:
        return self.subject or self.key


class TrackingDefaults(models.Model):
    """Opens and clicks in the whole workspace (row 1): whether, of whom, and what is added to links. Without the row: as the fields say."""

    is_on = models.BooleanField(
        _("note opens and clicks"), default=True, help_text=_("Off: no link leads by us and no mail holds a pixel.")
    )
    tracks_text = models.BooleanField(
        _("in the text part, too"), default=False, help_text=_("Its links become short ones that lead by us.")
    )
    quiet_countries = ArrayField(
        models.CharField(max_length=2),
        verbose_name=_("quiet countries"),
        default=quiet_countries,
        blank=True,
        help_text=_("People there are noted only after they said yes on their preference page."),
    )
    utm = models.JSONField(default=dict, blank=True, help_text="utm_source … -> value with words in braces.")
    utm_domains = ArrayField(
        models.CharField(max_length=253),
        verbose_name=_("only on links to"),
        default=list,
        blank=True,
        help_text=_("Domains, with all below them; empty: every link."),
    )

    def __str__(self) -> str:
        return "tracking"


class TrackingRule(models.Model):
    """What one template or one program does differently: never noted, other values added to its links."""

    template = models.OneToOneField(Template, models.CASCADE, null=True, blank=True, related_name="tracking_rule")
    program = models.OneToOneField(Program, models.CASCADE, null=True, blank=True, related_name="tracking_rule")
    is_off = models.BooleanField(_("note no opens and clicks"), default=False)
    utm = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(template__isnull=False) ^ models.Q(program__isnull=False),
                name="nurture_trackingrule_of_one",
            )
        ]

    def __str__(self) -> str:
        return f"{self.template or self.program}"


class MailHit(models.Model):
    """One request for a mail's pixel or link, kept for a month: judged once, a few seconds later, when its neighbours are known."""

    sending = models.ForeignKey(Sending, models.CASCADE, related_name="hits", db_index=False)
    place = models.PositiveIntegerField(help_text="0 the pixel, 1 … the links in order, 65535 the link nobody sees.")
    at = models.DateTimeField()
    url = models.TextField(blank=True, default="", help_text="Where the link leads, without what was added to it.")
    source = models.CharField(max_length=32, help_text="Keyed hash of network address and agent.")
    agent = models.CharField(max_length=200, blank=True, default="")
    suspicion = models.CharField(
        max_length=12, blank=True, default="", help_text="What the request said of itself; see tracking/scanners.py."
    )
    verdict = models.CharField(max_length=12, blank=True, default="", help_text="person, or why it was a machine.")

    class Meta:
        indexes = [
            models.Index(  # reader: tracking.queries.take_hits
                fields=["at", "id"], condition=models.Q(verdict=""), name="nurture_mailhit_due"
            ),
            models.Index(fields=["sending", "at"], name="nurture_mailhit_neighbours"),
            models.Index(fields=["at"], name="nurture_mailhit_age"),  # reader: tracking.queries.forget_hits
        ]

    def __str__(self) -> str:
        return f"{self.sending_id}: {self.place}"


class MailResponse(models.Model):
    """What became of one mail after it left: opened, clicked, left by; machines apart. Made at the first sign."""

    sending = models.OneToOneField(Sending, models.CASCADE, primary_key=True, related_name="response")
    opens = models.PositiveIntegerField(default=0)
    opened_first_at = models.DateTimeField(null=True)
    opened_last_at = models.DateTimeField(null=True)
    clicks = models.PositiveIntegerField(default=0)
    clicked_first_at = models.DateTimeField(null=True)
    clicked_last_at = models.DateTimeField(null=True)
    unsubscribed_at = models.DateTimeField(null=True, help_text="By the link or header of this mail.")
    machine_opens = models.PositiveIntegerField(default=0)
    machine_clicks = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.sending_id}: {self.opens}, {self.clicks}"


class MailClick(models.Model):
    """How often one link of one mail was pressed: by the person, by machines."""

    sending = models.ForeignKey(Sending, models.CASCADE, related_name="clicked_links", db_index=False)
    place = models.PositiveIntegerField()
    url = models.TextField()
    clicks = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(null=True)
    last_at = models.DateTimeField(null=True)
    machine_clicks = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["sending", "place"], name="nurture_mailclick_once")]

    def __str__(self) -> str:
        return f"{self.sending_id}: {self.url}"


class WebhookCall(models.Model):
    """One call of a webhook: outbox and history. The unique key makes a second call for the same step visit a constraint error."""

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("sent")
        FAILED = "failed", _("given up")

    key = models.CharField(max_length=120, unique=True, help_text="enrolment:step:visit.")
    token = models.UUIDField(unique=True, help_text="The Idempotency-Key of every try.")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="webhook_calls")
    enrolment = models.ForeignKey(Enrolment, models.SET_NULL, null=True, blank=True, related_name="+")
    step = models.CharField(max_length=40)
    url = models.CharField(max_length=500)
    origin = models.CharField(max_length=300, help_text="Scheme, host and port: one receiver.")
    body = models.TextField(help_text="The bytes of every try.")
    state = models.CharField(max_length=7, choices=State, default=State.QUEUED)
    queued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, help_text="Being sent: past that the worker is dead.")
    tries = models.PositiveSmallIntegerField(default=0)
    answered_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer; null when none came.")
    answer = models.TextField(blank=True, default="", help_text="How the last answer began.")
    problem = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(  # reader: queries_webhooks.claim
                fields=["due_at", "id"], condition=models.Q(state="queued"), name="nurture_webhook_due"
            ),
            models.Index(  # reader: queries_webhooks.claim
                fields=["lease_until", "id"], condition=models.Q(state="sending"), name="nurture_webhook_leases"
            ),
            models.Index(  # reader: queries_webhooks.let_rest
                fields=["origin", "due_at"], condition=models.Q(state="queued"), name="nurture_webhook_origin"
            ),
            models.Index(fields=["-queued_at", "-id"], name="nurture_webhook_newest"),  # the page
            models.Index(fields=["state", "-queued_at", "-id"], name="nurture_webhook_by_state"),  # its tabs
        ]

    def __str__(self) -> str:
        return self.key


class DomainPace(models.Model):
    """How many mails a minute one recipient domain gets. The claiming statement counts them here."""

    domain = models.CharField(_("domain"), max_length=253, unique=True)
    per_minute = models.PositiveIntegerField(_("mails a minute"), validators=[MinValueValidator(1)])
    minute_began_at = models.DateTimeField(null=True, editable=False)
    used = models.PositiveIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["domain"]

    def __str__(self) -> str:
        return f"{self.domain}: {self.per_minute}"

    def clean(self) -> None:
        """The domain as addresses hold it, so that the claiming statement finds it."""
        self.domain = domain_of(self.domain)


class DomainRest(models.Model):
    """A recipient domain whose server asked for less of our mail. The claiming statement lets none go there before `until`."""

    domain = models.CharField(max_length=253, primary_key=True)
    until = models.DateTimeField()
    times = models.PositiveSmallIntegerField(default=0, help_text="Rests one after the other; each is longer.")

    def __str__(self) -> str:
        return f"{self.domain}: {self.until}"


class ProviderEvent(models.Model):
    """What a mail provider says of one mail, by webhook: kept first, taken by a worker soon after. The key makes a replay nothing."""

    class Outcome(models.TextChoices):
        WAITS = "", _("waits")
        TAKEN = "taken", _("taken")
        IGNORED = "ignored", _("of no matter")
        UNKNOWN = "unknown", _("of no mail of ours")
        FAILED = "failed", _("could not be taken")

    provider = models.CharField(max_length=20)
    key = models.CharField(
        max_length=64, help_text="Hash of the provider's own id of the event, or of the whole event."
    )
    kind = models.CharField(max_length=20)
    token = models.UUIDField(null=True, help_text="The sending's, where the event names one.")
    at = models.DateTimeField()
    received_at = models.DateTimeField()
    words = models.CharField(max_length=300, blank=True, default="", help_text="What the reader's server said.")
    is_about_mailbox = models.BooleanField(default=False, help_text="There is no such mailbox, not only this time.")
    url = models.TextField(blank=True, default="", help_text="Of a click.")
    agent = models.CharField(max_length=200, blank=True, default="")
    source = models.CharField(
        max_length=32, blank=True, default="", help_text="Keyed hash of network address and agent."
    )
    suspicion = models.CharField(max_length=12, blank=True, default="", help_text="See tracking/scanners.py.")
    outcome = models.CharField(max_length=7, choices=Outcome, blank=True, default=Outcome.WAITS)
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "key"], name="nurture_providerevent_once")]
        indexes = [
            models.Index(  # reader: providers.taking.take_due
                fields=["id"], condition=models.Q(outcome__in=["", "failed"]), name="nurture_providerevent_due"
            ),
            models.Index(fields=["received_at"], name="nurture_providerevent_age"),  # forgotten; counts of the page
            models.Index(fields=["token"], name="nurture_providerevent_token"),  # the page of a mail
        ]

    def __str__(self) -> str:
        return f"{self.provider}: {self.kind}"


class MailboxLetter(models.Model):
    """One mail that was read from the mailbox for bounces. The key is a hash of its bytes: read again, it does nothing."""

    class State(models.TextChoices):
        TAKEN = "taken", _("taken")
        PARKED = "parked", _("put aside")

    key = models.CharField(max_length=64, unique=True)
    message_id = models.CharField(max_length=300, blank=True, default="")
    state = models.CharField(max_length=6, choices=State)
    outcome = models.CharField(max_length=12, blank=True, default="", help_text="See incoming.Outcome.")
    problem = models.CharField(max_length=300, blank=True, default="")
    size_bytes = models.PositiveBigIntegerField()
    taken_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["taken_at"], name="nurture_mailboxletter_age"),
            models.Index(  # few; the page of delivery
                fields=["-taken_at"], condition=models.Q(state="parked"), name="nurture_mailboxletter_parked"
            ),
        ]

    def __str__(self) -> str:
        return self.message_id or self.key[:12]


class MailboxState(models.Model):
    """How reading the mailbox goes; one row."""

    tried_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True, help_text="When it was last read without trouble.")
    failures = models.PositiveIntegerField(default=0, help_text="One after the other, since the last success.")
    problem = models.CharField(max_length=300, blank=True, default="")
    waiting = models.PositiveIntegerField(default=0, help_text="Mails in it that were not read yet.")

    def __str__(self) -> str:
        return str(self.read_at or "")


class Task(models.Model):
    """Something a person should do, asked by a program."""

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="tasks")
    enrolment = models.ForeignKey(Enrolment, models.SET_NULL, null=True, blank=True, related_name="+")
    title = models.CharField(_("title"), max_length=300)
    assigned_to = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    due_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at", "id"], condition=models.Q(done_at__isnull=True), name="nurture_task_open")
        ]

    def __str__(self) -> str:
        return self.title


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
