"""Who may be written to, for what, and on what proof; whom nobody writes to; what people asked about their data."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from leads.models.people import Contact


class Purpose(models.Model):
    """What a company writes to people for, and on what legal ground. “marketing” speaks for all of them together."""

    class Basis(models.TextChoices):
        CONSENT = "consent", _("consent: only who said yes")
        INTEREST = "interest", _("legitimate interest: until somebody says no")
        CONTRACT = "contract", _("part of a contract: cannot be switched off")

    ALL = "marketing"

    slug = models.SlugField(
        _("key"), primary_key=True, max_length=50, help_text=_("Lower-case letters, digits and hyphens; never changes.")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("As people read it on their preference page."))
    description = models.CharField(_("what somebody gets"), max_length=300, blank=True, default="")
    basis = models.CharField(_("legal basis"), max_length=8, choices=Basis, default=Basis.CONSENT)
    quiet_countries = ArrayField(
        models.CharField(max_length=2),
        verbose_name=_("quiet countries"),
        default=list,
        db_default=[],
        blank=True,
        help_text=_("With legitimate interest: who lives there gets mail for it only after a yes."),
    )
    position = models.PositiveSmallIntegerField(_("position"), default=100)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_all(self) -> bool:
        return self.slug == self.ALL


class ConsentWording(models.Model):
    """What people agree to, word by word. Append-only: a row of the ledger names the version that was shown."""

    purpose = models.ForeignKey(Purpose, models.CASCADE, related_name="wordings", db_index=False)
    number = models.PositiveIntegerField()
    text = models.TextField(_("wording"))
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["purpose", "number"], name="leads_wording_number")]

    def __str__(self) -> str:
        return f"{self.purpose_id}-{self.number}"


class ConsentEvent(models.Model):
    """The consent ledger, by address and purpose; the last row that counts is the state. Survives the contact: the hash stays."""

    class State(models.TextChoices):
        GIVEN = "given", _("given")
        WITHDRAWN = "withdrawn", _("withdrawn")
        ASKED = "asked", _("asked")

    address_hash = models.CharField(
        max_length=64, help_text="Keyed hash of the normalised address (leads/addresses.py)."
    )
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, blank=True, related_name="consent_events")
    purpose = models.SlugField(default="marketing", db_index=False, help_text="marketing = every purpose together.")
    state = models.CharField(max_length=9, choices=State)
    counts = models.BooleanField(
        default=True,
        db_default=True,
        help_text="False: kept as a fact, but it changes nothing (an import's “given” after a withdrawal, “asked” after “given”).",
    )
    occurred_at = models.DateTimeField()
    source = models.CharField(
        max_length=100, help_text="Where it came from: unsubscribe_link, one_click, import, by_hand, form:<slug>."
    )
    wording = models.CharField(
        max_length=100, blank=True, default="", help_text="Version of the wording that was shown."
    )
    proof = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["address_hash", "purpose", "-occurred_at", "-id"], name="leads_consent_state"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose}: {self.get_state_display()}"


class ConsentRequest(models.Model):
    """Somebody was asked to confirm (double opt-in). The link in the mail names this row; it works once and until `expires_at`."""

    address = models.CharField(max_length=320)
    address_hash = models.CharField(max_length=64)
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, blank=True, related_name="consent_requests")
    purposes = ArrayField(models.SlugField(max_length=50))
    source = models.CharField(max_length=100)
    language = models.CharField(max_length=35, blank=True, default="")
    proof = models.JSONField(default=dict, blank=True)
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    wants_mail = models.BooleanField(
        default=True, help_text="A mail with the link is to be written. Reader: nurture.mailing.confirmations."
    )

    class Meta:
        indexes = [
            models.Index(fields=["asked_at"], condition=models.Q(wants_mail=True), name="leads_consent_request_mail"),
            models.Index(fields=["address_hash", "-asked_at"], name="leads_consent_request_of"),
        ]

    def __str__(self) -> str:
        return f"{self.address_hash[:8]}: {', '.join(self.purposes)}"


class MailPreference(models.Model):
    """How somebody wants to be written to, by address: how often, in which language, not before when."""

    class Pace(models.TextChoices):
        ANY = "any", _("as it comes")
        WEEKLY = "weekly", _("at most once a week")
        MONTHLY = "monthly", _("at most once a month")

    class Tracking(models.TextChoices):
        YES = "yes", _("yes")
        NO = "no", _("no")

    DAYS = {Pace.WEEKLY.value: 7, Pace.MONTHLY.value: 30}

    address_hash = models.CharField(max_length=64, primary_key=True)
    pace = models.CharField(max_length=7, choices=Pace, default=Pace.ANY)
    language = models.CharField(max_length=35, blank=True, default="")
    paused_until = models.DateTimeField(null=True)
    tracking = models.CharField(
        max_length=3,
        choices=Tracking,
        blank=True,
        default="",
        db_default="",
        help_text="Whether opens and clicks may be noted; empty: they never said.",
    )
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.address_hash[:8]}: {self.get_pace_display()}"


class Suppression(models.Model):
    """An address that gets no marketing mail, whatever it agreed to: hard bounce, complaint, by hand."""

    class Reason(models.TextChoices):
        BOUNCED = "bounced", _("hard bounce")
        COMPLAINED = "complained", _("complaint")
        BY_HAND = "by_hand", _("by hand")

    address_hash = models.CharField(max_length=64, primary_key=True)
    address = models.CharField(
        max_length=320,
        blank=True,
        default="",
        db_default="",
        help_text="For people to read; empty once the person was erased.",
    )
    reason = models.CharField(max_length=12, choices=Reason)
    source = models.CharField(max_length=200)
    since = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["-since", "address_hash"], name="leads_suppression_newest")]  # the list's page

    def __str__(self) -> str:
        return f"{self.get_reason_display()}: {self.source}"


class SuppressionPattern(models.Model):
    """Addresses that get no marketing mail by their form: everybody at a domain, or a role (info@, postmaster@) at any."""

    class Kind(models.TextChoices):
        DOMAIN = "domain", _("domain")
        ROLE = "role", _("role address")

    kind = models.CharField(max_length=6, choices=Kind)
    value = models.CharField(max_length=253)
    source = models.CharField(max_length=200)
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value"], name="leads_suppression_pattern")]

    def __str__(self) -> str:
        return f"@{self.value}" if self.kind == self.Kind.DOMAIN else f"{self.value}@"


class DataRequest(models.Model):
    """Somebody wants to see, or to have erased, what is kept about them; and what was done: who, when, why, what. Outlives the contact.

    `rows` says how many rows of which chapter went into the file or away; nothing in this row tells who it was once they are erased.
    """

    class Kind(models.TextChoices):
        EXPORT = "export", _("a copy of everything")
        ERASE = "erase", _("erase everything")

    class State(models.TextChoices):
        OPEN = "open", _("open")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused")

    DAYS = 30  # GDPR, article 12 (3): without undue delay, within a month

    kind = models.CharField(_("what they ask for"), max_length=6, choices=Kind)
    state = models.CharField(max_length=7, choices=State, default=State.OPEN)
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="data_requests")
    address_hash = models.CharField(
        max_length=64, blank=True, default="", help_text="Empty: the contact has no address."
    )
    source = models.CharField(max_length=100, help_text="preference_page or by_hand.")
    reason = models.CharField(_("how they asked, and why"), max_length=1000, blank=True, default="")
    proof = models.JSONField(default=dict, blank=True)
    asked_at = models.DateTimeField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    done_at = models.DateTimeField(null=True)
    done_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    answer = models.CharField(_("note"), max_length=1000, blank=True, default="")
    rows = models.JSONField(default=dict)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["contact", "kind"], condition=models.Q(state="open"), name="leads_data_request_one_of_contact"
            ),
            models.UniqueConstraint(
                fields=["address_hash", "kind"],
                condition=models.Q(state="open") & ~models.Q(address_hash=""),
                name="leads_data_request_one_of_address",
            ),
        ]
        indexes = [models.Index(fields=["-asked_at", "-id"], name="leads_data_request_newest")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def due_at(self) -> datetime:
        return self.asked_at + timedelta(days=self.DAYS)
