"""What sales knows of budget, authority, need and timeframe, and whom to look at again on a day."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models import Contact


class BantFactQuerySet(models.QuerySet["BantFact"]):
    def valid(self, at: datetime) -> BantFactQuerySet:
        """Known by then and not lapsed."""
        return self.filter(known_at__lte=at).filter(models.Q(lapses_at=None) | models.Q(lapses_at__gt=at))

    def lapsing(self, now: datetime) -> BantFactQuerySet:
        """Lapsed, and nobody was told yet."""
        return self.filter(lapses_at__lte=now, lapsed_at=None)


class BantFact(models.Model):
    """What is known of a contact's budget, authority, need or timeframe. Append-only: the newest that has not lapsed counts."""

    class Facet(models.TextChoices):
        BUDGET = "budget", _("budget")
        AUTHORITY = "authority", _("authority")
        NEED = "need", _("need")
        TIMEFRAME = "timeframe", _("timeframe")

    class Verdict(models.TextChoices):
        MET = "met", _("met")
        NOT_MET = "not_met", _("not met")
        UNKNOWN = "unknown", _("unknown")

    class Source(models.TextChoices):
        CALL = "call", _("call")
        FORM = "form", _("form")
        CRM = "crm", _("CRM")
        IMPORT = "import", _("import")
        RULE = "rule", _("rule")

    class Confidence(models.IntegerChoices):
        GUESSED = 1, _("guessed")
        HEARD = 2, _("heard")
        CONFIRMED = 3, _("confirmed")

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="bant_facts", db_index=False)
    facet = models.CharField(_("facet"), max_length=9, choices=Facet)
    answer = models.CharField(_("answer"), max_length=20, help_text="A key of bant.ANSWERS of the facet.")
    amount = models.DecimalField(_("amount"), max_digits=14, decimal_places=2, null=True, blank=True)
    due_on = models.DateField(_("by"), null=True, blank=True, help_text="Timeframe: when they want to have decided.")
    verdict = models.CharField(_("verdict"), max_length=7, choices=Verdict)
    source = models.CharField(_("source"), max_length=6, choices=Source, default=Source.CALL)
    confidence = models.PositiveSmallIntegerField(_("confidence"), choices=Confidence, default=Confidence.HEARD)
    note = models.CharField(_("note"), max_length=500, blank=True, default="")
    known_at = models.DateTimeField(_("known since"))
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    lapses_at = models.DateTimeField(_("lapses"), null=True, blank=True)
    lapsed_at = models.DateTimeField(null=True, editable=False, help_text="When its lapse was worked.")

    objects = BantFactQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["contact", "facet", "-known_at", "-id"], name="scoring_bantfact_newest"),
            models.Index(  # reader: nodes_bant.LapsesNode
                fields=["lapses_at"],
                condition=models.Q(lapses_at__isnull=False, lapsed_at__isnull=True),
                name="scoring_bantfact_lapses",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.facet}: {self.answer}"


class LookAgainQuerySet(models.QuerySet["LookAgain"]):
    def pending(self) -> LookAgainQuerySet:
        return self.filter(done_at=None)

    def ready(self, now: datetime) -> LookAgainQuerySet:
        """Their day has come, and nobody looked yet."""
        return self.pending().filter(due_at__lte=now)


class LookAgain(models.Model):
    """Somebody who is to be looked at again on a day, although no lead of theirs waits for it: BANT said “later”. At most one is pending."""

    class Outcome(models.TextChoices):
        HANDED_OVER = "handed_over", _("handed to sales")
        NOT_RIPE = "not_ripe", _("not over the line: stays in nurture")
        MOVED_ON = "moved_on", _("further in the life-cycle by then, or out of it")

    contact = models.ForeignKey(Contact, models.CASCADE, related_name="looks_again")
    due_at = models.DateTimeField(help_text="Reader: nodes_bant.LooksAgainNode.")
    why = models.CharField(max_length=300)
    set_at = models.DateTimeField()
    set_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    done_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=11, choices=Outcome, blank=True, default="")

    objects = LookAgainQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact"], condition=models.Q(done_at__isnull=True), name="scoring_one_look_again"
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=models.Q(done_at__isnull=True), name="scoring_looks_again")
        ]

    def __str__(self) -> str:
        return f"{self.contact_id} {self.due_at:%Y-%m-%d}"
