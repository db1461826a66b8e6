"""Deals and the people who take part in them."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models.people import Company, Contact
from leads.models.settings import Owner


class Deal(models.Model):
    """An opportunity with a company and the contacts it lists. Key: external_id."""

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        WON = "won", _("won")
        LOST = "lost", _("lost")

    external_id = models.CharField(_("external id"), max_length=200, unique=True)
    company = models.ForeignKey(
        Company, models.SET_NULL, null=True, blank=True, related_name="deals", verbose_name=_("company")
    )
    contacts: models.ManyToManyField[Contact, DealContact] = models.ManyToManyField(
        Contact, through="DealContact", related_name="deals", verbose_name=_("contacts")
    )
    owner = models.ForeignKey(
        Owner, models.SET_NULL, null=True, blank=True, related_name="deals", verbose_name=_("owner")
    )
    status = models.CharField(_("status"), max_length=4, choices=Status)
    amount = models.DecimalField(_("amount"), max_digits=24, decimal_places=6, null=True, blank=True)
    margin = models.DecimalField(_("margin"), max_digits=24, decimal_places=6, null=True, blank=True)
    product = models.CharField(_("product"), max_length=300, blank=True, default="")
    opened_on = models.DateField(_("opened on"), null=True, blank=True)
    closed_on = models.DateField(_("closed on"), null=True, blank=True)
    loss_reason = models.CharField(_("loss reason"), max_length=500, blank=True, default="")
    custom = models.JSONField(default=dict, blank=True, db_default={})
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        indexes = [models.Index(fields=["status", "-closed_on"], name="leads_deal_by_status")]

    def __str__(self) -> str:
        return f"{self.product or _('Deal')} {self.external_id}"


class DealContact(models.Model):
    """One contact that a deal lists."""

    deal = models.ForeignKey(Deal, models.CASCADE, db_index=False)
    contact = models.ForeignKey(Contact, models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deal", "contact"], name="leads_dealcontact_once")]

    def __str__(self) -> str:
        return f"{self.deal_id} – {self.contact_id}"
