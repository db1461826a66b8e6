"""The outbox and history of mails in one table; what carriers and the mailbox tell of them."""

from __future__ import annotations

import uuid

from django.core.validators import MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from leads.addresses import domain_of
from leads.models import ConsentRequest, Contact
from nurture.models.broadcasts import Broadcast
from nurture.models.enrolments import Enrolment
from nurture.models.templates import Template


class MailBudget(models.Model):
    """The one budget over all programs (row 1): so many marketing mails to a person within so many days. Without the row there is none."""

    mails = models.PositiveSmallIntegerField(_("mails"))
    days = models.PositiveSmallIntegerField(_("days"))

    def __str__(self) -> str:
        return f"{self.mails}/{self.days}"


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
