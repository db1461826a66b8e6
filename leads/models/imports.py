"""Files that are taken in, who was in them, and rows that were refused."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models.people import Contact


class ImportJob(models.Model):
    """One file on its way in.

    Worked in chunks, each its own transaction that also moves `rows_done`: a killed worker loses nothing and doubles nothing.
    """

    class Kind(models.TextChoices):
        CONTACTS = "contacts", _("contacts")
        COMPANIES = "companies", _("companies")
        ACTIVITIES = "activities", _("activities")
        DEALS = "deals", _("deals")

    class State(models.TextChoices):
        MAPPING = "mapping", _("waiting for the columns")
        CHECKING = "checking", _("being checked")
        CHECKED = "checked", _("checked, waiting for the start")
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused")
        CANCELLED = "cancelled", _("cancelled")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.MAPPING)
    file_name = models.CharField(_("file"), max_length=300)
    stored_as = models.CharField(max_length=300, help_text="Path below MEDIA_ROOT.")
    format = models.CharField(max_length=5, help_text="csv or jsonl.")
    encoding = models.CharField(max_length=40, default="utf-8")
    delimiter = models.CharField(max_length=1, default=",")
    columns = models.JSONField(default=list, help_text="What the file holds, by column: name, examples, spelling.")
    mapping = models.JSONField(default=dict, help_text="The mapping document of docs/imports.md.")
    new_fields = models.JSONField(default=dict, help_text="Custom fields to make: key -> type.")
    preview = models.JSONField(null=True, help_text="What the dry run found: counts and the first rejected rows.")
    rows_total = models.BigIntegerField(null=True)
    rows_done = models.BigIntegerField(default=0)
    created = models.BigIntegerField(default=0)
    updated = models.BigIntegerField(default=0)
    unchanged = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    message = models.TextField(blank=True, default="", help_text="Why the file was refused, or what went wrong last.")
    keeps_people = models.BooleanField(
        default=False, db_default=False, help_text="Something asked, when it started, whom it makes and changes."
    )
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(
        null=True, help_text="A worker owns the job until then and renews it; past that the next worker goes on."
    )

    class Meta:
        indexes = [
            # reader: importing.claim_job
            models.Index(
                fields=["requested_at"],
                condition=models.Q(state__in=["checking", "queued", "running"]),
                name="leads_importjob_due",
            ),
        ]

    def __str__(self) -> str:
        return self.file_name


class ImportPerson(models.Model):
    """Somebody whom an import of contacts made or changed. Kept while something asks for it (importing/people.py), for a month."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="people", db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    is_new = models.BooleanField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "contact"], name="leads_importperson_once")]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.contact_id}"


class ImportReject(models.Model):
    """A row that was not taken, as it stood in the file, with the reason."""

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="rejects", db_index=False)
    line = models.BigIntegerField()
    reason = models.CharField(max_length=1000)
    raw = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "line"], name="leads_importreject_line")]

    def __str__(self) -> str:
        return f"{self.line}: {self.reason}"
