"""Facts: contacts, companies, deals, activities, fields, stages, consent, imports; and the marks of what changed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Coalesce, Concat, Lower, Now
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
