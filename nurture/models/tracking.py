"""Opens and clicks: what is noted of whom, and what was judged."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.countries import QUIET
from nurture.models.programs import Program
from nurture.models.sendings import Sending
from nurture.models.templates import Template


def quiet_countries() -> list[str]:
    """Where noting who reads a mail needs a yes before (ePrivacy rules): the European Economic Area, Britain and Switzerland."""
    return list(QUIET)


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
