"""Companies and contacts, whom they were merged into, and how their stage moved."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Coalesce, Concat, Lower, Now
from django.utils.translation import gettext_lazy as _

from leads.models.settings import Owner


class Company(models.Model):
    """A company that contacts work for and deals are made with. Key: external_id, else the name."""

    external_id = models.CharField(_("external id"), max_length=200, null=True, blank=True, unique=True)
    name = models.CharField(_("name"), max_length=500)
    domain = models.CharField(_("domain"), max_length=253, blank=True, default="")
    industry = models.CharField(_("industry"), max_length=200, blank=True, default="")
    employees = models.BigIntegerField(_("employees"), null=True, blank=True)
    revenue = models.DecimalField(_("revenue"), max_digits=24, decimal_places=6, null=True, blank=True)
    founded = models.IntegerField(_("founded"), null=True, blank=True)
    country = models.CharField(_("country"), max_length=100, blank=True, default="")
    region = models.CharField(_("region"), max_length=200, blank=True, default="")
    city = models.CharField(_("city"), max_length=200, blank=True, default="")
    tags = ArrayField(models.CharField(max_length=100), verbose_name=_("tags"), default=list, blank=True, db_default=[])
    custom = models.JSONField(default=dict, blank=True, db_default={})
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = _("companies")
        indexes = [
            models.Index(Lower("name"), "id", name="leads_company_name"),  # import key, list order
            GinIndex(OpClass(Lower("name"), name="gin_trgm_ops"), name="leads_company_search"),
        ]

    def __str__(self) -> str:
        return self.name


class Contact(models.Model):
    """A known person. Keys: external_id and the normalised address (NFC, trimmed, lower case); at least one of them is there.

    Empty text and null both mean “unknown”. `last_activity_at` is not a column: it comes from Signal, since a column would
    turn every page view into an update of this row and its indexes.
    """

    external_id = models.CharField(_("external id"), max_length=200, null=True, blank=True, unique=True)
    email = models.CharField(_("e-mail"), max_length=320, null=True, blank=True)
    first_name = models.CharField(_("first name"), max_length=200, blank=True, default="")
    last_name = models.CharField(_("last name"), max_length=200, blank=True, default="")
    title = models.CharField(_("job title"), max_length=300, blank=True, default="")
    department = models.CharField(_("department"), max_length=200, blank=True, default="")
    seniority = models.CharField(_("seniority"), max_length=100, blank=True, default="")
    phone = models.CharField(_("phone"), max_length=60, blank=True, default="")
    country = models.CharField(
        _("country"),
        max_length=100,
        blank=True,
        default="",
        help_text=_("ISO 3166 code where it is one, else as written."),
    )
    region = models.CharField(_("region"), max_length=200, blank=True, default="")
    city = models.CharField(_("city"), max_length=200, blank=True, default="")
    postal_code = models.CharField(_("postal code"), max_length=30, blank=True, default="")
    timezone = models.CharField(_("time zone"), max_length=64, blank=True, default="")
    language = models.CharField(_("language"), max_length=35, blank=True, default="")
    source = models.CharField(_("source"), max_length=200, blank=True, default="")
    owner = models.ForeignKey(
        Owner, models.SET_NULL, null=True, blank=True, related_name="contacts", verbose_name=_("owner")
    )
    company = models.ForeignKey(
        Company, models.SET_NULL, null=True, blank=True, related_name="contacts", verbose_name=_("company")
    )
    stage = models.SlugField(_("stage"), default="inquiry", db_default="inquiry", db_index=False)
    stage_since = models.DateTimeField(db_default=Now(), editable=False)
    tags = ArrayField(models.CharField(max_length=100), verbose_name=_("tags"), default=list, blank=True, db_default=[])
    custom = models.JSONField(default=dict, blank=True, db_default={})
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("email"), name="leads_contact_email"),
            models.CheckConstraint(
                condition=models.Q(external_id__isnull=False) | models.Q(email__isnull=False),
                name="leads_contact_has_key",
            ),
        ]
        indexes = [
            # the contact list in its own order, by name, and filtered by stage
            models.Index(fields=["-created_at", "-id"], name="leads_contact_newest"),
            models.Index(Lower("last_name"), Lower("first_name"), "id", name="leads_contact_by_name"),
            models.Index(fields=["stage", "-created_at", "-id"], name="leads_contact_by_stage"),
            # which zones there are: nurture asks each quarter of an hour whose clock shows what a trigger waits for
            models.Index(fields=["timezone"], condition=~models.Q(timezone=""), name="leads_contact_zones"),
            GinIndex(
                OpClass(
                    Lower(
                        Concat(
                            "first_name",
                            models.Value(" "),
                            "last_name",
                            models.Value(" "),
                            Coalesce("email", models.Value("")),
                            models.Value(" "),
                            Coalesce("external_id", models.Value("")),
                        )
                    ),
                    name="gin_trgm_ops",
                ),
                name="leads_contact_search",
            ),
        ]

    def __str__(self) -> str:
        return self.full_name or self.email or self.external_id or str(self.pk)

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class StageMove(models.Model):
    """One move of a contact through the life-cycle: when, from, to, who or what, why.

    Contact.stage is `to_stage` of the last row; a contact without any row has been in its stage since it was made.
    """

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="stage_moves")
    moved_at = models.DateTimeField()
    from_stage = models.SlugField(db_index=False)
    to_stage = models.SlugField(db_index=False)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    cause = models.CharField(
        max_length=100, help_text="What moved it: by_hand, import, hand_off, answer, program:<slug>, rule:<slug>."
    )
    reason = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["contact", "moved_at"], name="leads_stagemove_history"),
            models.Index(  # who arrived since a moment, without the table: Home, funnel by month
                fields=["to_stage", "moved_at"], include=["contact"], name="leads_stagemove_arrivals"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.from_stage} → {self.to_stage}"


class ContactMerge(models.Model):
    """One contact that was merged into another one: what it was called, and the keys that are nobody's any more. Append-only.

    A file that still names such a key is told where the person went (intake.py) instead of bringing the double back.
    """

    kept = models.ForeignKey(Contact, models.CASCADE, related_name="merges")
    gone_id = models.BigIntegerField(unique=True, help_text="Id of the contact that went; its page leads here.")
    gone_name = models.CharField(max_length=500)
    external_id = models.CharField(max_length=200, null=True, help_text="The external id of the two that was not kept.")
    email = models.CharField(max_length=320, null=True, help_text="The normal address of the two that was not kept.")
    at = models.DateTimeField()
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    taken = models.JSONField(default=list, help_text="Fields whose value came from the contact that went.")

    class Meta:
        indexes = [  # reader: queries_intake.merged_keys
            models.Index(fields=["external_id"], name="leads_merge_external_id"),
            models.Index(fields=["email"], name="leads_merge_email"),
        ]

    def __str__(self) -> str:
        return f"{self.gone_name} → {self.kept_id}"
