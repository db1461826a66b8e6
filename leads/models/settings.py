"""What holds for the whole company: the workspace, owners, stages, fields of its own, and who changed what."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _


class Workspace(models.Model):
    """The one company that runs this instance (row 1); everything the rule language calls “workspace” is read from here."""

    class WeekStart(models.IntegerChoices):
        MONDAY = 1, _("Monday")
        SATURDAY = 6, _("Saturday")
        SUNDAY = 7, _("Sunday")

    name = models.CharField(_("company name"), max_length=200, default="Ripen")
    postal_address = models.TextField(
        _("postal address"), blank=True, help_text=_("Stands at the foot of every marketing mail.")
    )
    timezone = models.CharField(_("time zone"), max_length=64, default="UTC")
    week_start = models.PositiveSmallIntegerField(_("week starts on"), choices=WeekStart, default=WeekStart.MONDAY)
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    business_days = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name=_("business days"),
        default=list,
        help_text=_("1 = Monday … 7 = Sunday."),
    )
    business_start = models.TimeField(_("business hours from"), default="09:00")
    business_end = models.TimeField(_("business hours until"), default="17:00")
    sender_name = models.CharField(_("sender name"), max_length=200, blank=True)
    sender_email = models.EmailField(_("sender e-mail"), blank=True)
    reply_to = models.EmailField(_("reply to"), blank=True)
    mail_days = ArrayField(
        models.PositiveSmallIntegerField(),
        verbose_name=_("mail leaves on"),
        default=list,
        blank=True,
        db_default=[],
        help_text=_("1 = Monday … 7 = Sunday; empty = every day."),
    )
    mail_start = models.TimeField(_("mail leaves from"), null=True, blank=True)
    mail_end = models.TimeField(_("mail leaves until"), null=True, blank=True)
    jump_factor = models.PositiveSmallIntegerField(
        _("ask again when a segment grows or shrinks by more than this factor"),
        default=3,
        db_default=3,
        validators=[MinValueValidator(2), MaxValueValidator(1000)],
        help_text=_(
            "Saving a rule then asks to type the new size: an “any” in place of an “all” looks just like that."
        ),
    )

    class Meta:
        verbose_name = _("workspace")

    def __str__(self) -> str:
        return self.name


class Owner(models.Model):
    """Somebody in sales who owns contacts and deals; linked to a user once they sign in, often only a name from a CRM file."""

    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True)
    team = models.CharField(_("team"), max_length=200, blank=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="owner")

    class Meta:
        constraints = [models.UniqueConstraint(Lower("name"), name="leads_owner_name")]

    def __str__(self) -> str:
        return self.name


class Stage(models.Model):
    """A step of the life-cycle, or a detour from it; the legal moves stand in lifecycle.py."""

    slug = models.SlugField(primary_key=True)
    label = models.CharField(_("label"), max_length=100)
    position = models.PositiveSmallIntegerField(_("position"))
    is_detour = models.BooleanField(_("detour"), default=False)

    class Meta:
        ordering = ["position"]

    def __str__(self) -> str:
        return self.label


class CustomField(models.Model):
    """A field that the company added to contacts, companies or deals; values live in the row's `custom` under `key`."""

    class Of(models.TextChoices):
        CONTACT = "contact", _("contact")
        COMPANY = "company", _("company")
        DEAL = "deal", _("deal")

    class Type(models.TextChoices):
        TEXT = "text", _("text")
        LONG_TEXT = "long_text", _("long text")
        NUMBER = "number", _("number")
        YES_NO = "yes_no", _("yes/no")
        CHOICE = "choice", _("choice")
        CHOICES = "choices", _("several choices")
        DATE = "date", _("date")
        MOMENT = "moment", _("moment")
        EMAIL = "email", _("e-mail")
        URL = "url", _("URL")
        PHONE = "phone", _("phone")
        COUNTRY = "country", _("country")
        MONEY = "money", _("money")

    of = models.CharField(_("belongs to"), max_length=10, choices=Of)
    key = models.CharField(
        _("key"), max_length=63, help_text=_("Lower-case letters, digits and underscores; never changes.")
    )
    label = models.CharField(_("label"), max_length=200)
    type = models.CharField(_("type"), max_length=10, choices=Type)
    choices = ArrayField(models.CharField(max_length=200), verbose_name=_("choices"), default=list, blank=True)
    help = models.CharField(_("help"), max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["of", "label"]
        constraints = [models.UniqueConstraint(fields=["of", "key"], name="leads_customfield_key")]

    def __str__(self) -> str:
        return self.label


class AuditEntry(models.Model):
    """Who did what to which object: exports, publications, answers, settings, imports. Append-only."""

    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    verb = models.CharField(max_length=60)
    object_kind = models.CharField(max_length=60)
    object_id = models.CharField(max_length=100)
    object_label = models.CharField(max_length=300, blank=True, default="")
    detail = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["object_kind", "object_id", "-at"], name="leads_audit_of_object")]
        verbose_name_plural = _("audit entries")

    def __str__(self) -> str:
        return f"{self.verb} {self.object_kind} {self.object_label}"
