"""Visits of the company's websites by people whom nobody knows yet."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.models.people import Contact


class Website(models.Model):
    """Whether and how visits to the company's own websites are noted (row 1)."""

    is_on = models.BooleanField(_("Note visits"), default=False)
    sites = ArrayField(models.CharField(max_length=253), verbose_name=_("websites"), default=list, blank=True)
    waits_for_consent = models.BooleanField(_("Wait until the visitor agreed"), default=True)
    joins_clicks = models.BooleanField(_("A click in a mail tells who visits"), default=False)
    joins_forms = models.BooleanField(_("A confirmed form tells who visits"), default=False)
    days_kept = models.PositiveSmallIntegerField(
        _("days that visits are kept"), default=90, validators=[MinValueValidator(1), MaxValueValidator(400)]
    )

    class Meta:
        verbose_name = _("website")

    def __str__(self) -> str:
        return ", ".join(self.sites)


class Visitor(models.Model):
    """A browser on a website of ours, by a number that it made up itself; whose it is, once somebody has shown it.

    Pages of an anonymous one wait in VisitorPage; those of a known one are activities of the contact, and so is, from then on, its past.
    """

    class By(models.TextChoices):
        CLICK = "click", _("a click in a mail")
        FORM = "form", _("a form, confirmed by mail")

    id = models.UUIDField(primary_key=True, editable=False)
    contact = models.ForeignKey(Contact, models.CASCADE, null=True, related_name="visitors")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    pages = models.PositiveIntegerField(default=0, help_text="Waiting for a name.")
    joined_at = models.DateTimeField(null=True)
    joined_by = models.CharField(max_length=5, choices=By, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["last_at"], name="leads_visitor_last")
        ]  # readers: retention, the settings' page

    def __str__(self) -> str:
        return str(self.pk)


class VisitorPage(models.Model):
    """A page that an anonymous visitor saw. Goes when it is joined to a contact, or with time."""

    visitor = models.ForeignKey(Visitor, models.CASCADE, related_name="+", db_index=False)
    occurred_at = models.DateTimeField()
    url = models.CharField(max_length=1000)
    title = models.CharField(max_length=300, blank=True, default="")
    properties = models.JSONField(default=dict)

    class Meta:
        indexes = [
            models.Index(fields=["visitor", "occurred_at"], name="leads_visitorpage_of"),
            models.Index(fields=["occurred_at"], name="leads_visitorpage_oldest"),  # reader: retention
        ]

    def __str__(self) -> str:
        return self.url
