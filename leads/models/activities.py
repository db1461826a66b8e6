"""What people did: activities by month, their signals, and marks of whom to look at again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models.people import Contact


class ActivityKind(models.Model):
    """What sort of activity it is: the kinds of the rule language, and any slug a company sends."""

    id = models.SmallAutoField(primary_key=True)
    slug = models.SlugField(unique=True, max_length=63)
    label = models.CharField(max_length=100)
    is_custom = models.BooleanField(default=True, db_default=True)

    def __str__(self) -> str:
        return self.label


class Asset(models.Model):
    """What an activity was about, stored once: page, e-mail, form, campaign.

    Conditions on url, subject and source meet this small table first.
    """

    id = models.AutoField(primary_key=True)
    url = models.TextField(blank=True, default="")
    subject = models.TextField(blank=True, default="")
    source = models.CharField(max_length=200, blank=True, default="")
    digest = models.UUIDField(
        unique=True, editable=False, help_text="md5 of url, subject and source joined by U+001F, made by queries.py."
    )

    def __str__(self) -> str:
        return self.subject or self.url


class Activity(models.Model):
    """Something a contact did or received. Partitioned by month of occurred_at (migration 0002); written only by queries.py.

    The table has no foreign-key constraints: checking three keys a row halves the loading speed (474 k rows/s without,
    2026-11); contacts are deleted through actions.delete_contact, and `manage.py health` counts orphans.
    """

    id = models.BigAutoField(primary_key=True)
    contact = models.ForeignKey(
        Contact, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="activities"
    )
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now())
    kind = models.ForeignKey(ActivityKind, models.DO_NOTHING, db_constraint=False, db_index=False)
    asset = models.ForeignKey(Asset, models.DO_NOTHING, db_constraint=False, db_index=False, null=True)
    properties = models.JSONField(null=True)

    class Meta:
        managed = False  # partitioned: migration 0002 makes the table, queries.ensure_partitions its months
        db_table = "leads_activity"
        verbose_name_plural = _("activities")

    def __str__(self) -> str:
        return f"{self.kind_id} {self.occurred_at:%Y-%m-%d %H:%M}"


class ActivityKey(models.Model):
    """The external id of a loaded activity, so that a second load changes nothing.

    A table of its own, since a partitioned one cannot hold this unique key.
    """

    external_id = models.CharField(primary_key=True, max_length=200)
    activity_id = models.BigIntegerField()
    contact = models.ForeignKey(Contact, models.CASCADE)
    occurred_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.external_id


class Signal(models.Model):
    """What a contact did, summed: kept by the statement that stores activities.

    Answers “did / never did / last did” without the raw rows. Counts every stored activity, those dated in the future too.
    """

    pk = models.CompositePrimaryKey("contact_id", "kind_id")
    contact = models.ForeignKey(Contact, models.CASCADE, db_index=False, related_name="signals")
    kind = models.ForeignKey(ActivityKind, models.CASCADE, db_index=False)
    n = models.IntegerField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.contact_id} {self.kind_id}: {self.n}"


class Mark(models.Model):
    """“Look at this contact again.” Append-only, without a unique key: with one, a mark is lost while an intake is still open.

    Reader: segments.turn, which claims rows by DELETE … SKIP LOCKED. `facet` says what changed; a new contact leaves one
    mark of every facet but DEFINITION, since every rule has to look at it.
    """

    class Facet(models.IntegerChoices):
        CONTACT = 1, _("contact fields, tags, stage, owner")
        COMPANY = 2, _("company fields")
        ACTIVITY = 3, _("activities")
        DEAL = 4, _("deals")
        CONSENT = 5, _("consent")
        DEFINITION = 6, _("a segment, persona or score, changed in a full run")

    contact_id = models.BigIntegerField()
    facet = models.PositiveSmallIntegerField(choices=Facet)
    since = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.contact_id} {self.get_facet_display()}"
