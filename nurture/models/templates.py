"""What mails are made of: templates in versions, snippets and layouts, images."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Stationery(models.Model):
    """What mails have in common: a snippet that words name, or a layout that frames them; see nurture/templating/stationery.py."""

    class Kind(models.TextChoices):
        SNIPPET = "snippet", _("snippet")
        LAYOUT = "layout", _("layout")

    kind = models.CharField(max_length=7, choices=Kind)
    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    format = models.CharField(
        _("format"), max_length=4, blank=True, default="", help_text="Of a layout: that of the templates it frames."
    )
    body = models.TextField(_("body"))
    is_default = models.BooleanField(_("new templates begin with it"), default=False)
    version = models.PositiveIntegerField(
        default=1, help_text="Counts saves; two editors at once are told apart by it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["format"], condition=models.Q(is_default=True), name="nurture_stationery_default"
            ),
            models.CheckConstraint(
                condition=models.Q(kind="layout") | models.Q(is_default=False, format=""),
                name="nurture_stationery_snippets_are_plain",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Template(models.Model):
    """An e-mail as it is written: subject, preheader and MJML or HTML body with Liquid placeholders."""

    class Format(models.TextChoices):
        MJML = "mjml", _("MJML")
        HTML = "html", _("HTML")

    slug = models.SlugField(_("slug"), unique=True, max_length=100)
    name = models.CharField(_("name"), max_length=200)
    subject = models.CharField(_("subject"), max_length=500)
    preheader = models.CharField(_("preheader"), max_length=300, blank=True, default="")
    format = models.CharField(_("format"), max_length=4, choices=Format, default=Format.MJML)
    body = models.TextField(_("body"))
    layout = models.ForeignKey(
        Stationery,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="templates",
        verbose_name=_("layout"),
        help_text=_("The frame around the body: head, foot, colours."),
    )
    has_own_text = models.BooleanField(
        _("write the text part by hand"),
        default=False,
        db_default=False,
        help_text=_("Else it is made from the body, which is right for most mails."),
    )
    text = models.TextField(
        _("text part"), blank=True, default="", db_default="", help_text=_("Only where it is written by hand.")
    )
    purpose = models.SlugField(
        _("purpose"),
        max_length=50,
        default="marketing",
        db_default="marketing",
        db_index=False,
        help_text=_("Who may get it: those whose consent covers this purpose."),
    )
    sender_name = models.CharField(
        _("sender name"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("Whose name stands in front of the address; empty: the workspace's. Placeholders work."),
    )
    reply_to = models.CharField(
        _("answers go to"),
        max_length=320,
        blank=True,
        default="",
        db_default="",
        help_text=_("An address, or {{ owner.email }}; empty, or where nobody is there: the workspace's."),
    )
    language = models.CharField(
        _("language"),
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text=_(
            "What it is written in: for screen readers, the direction of writing, and the words of the links at its foot."
        ),
    )
    translations = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="The same mail in other languages: language, subject, preheader, body, text; see nurture/templating/translations.py.",
    )
    blocks = models.JSONField(
        default=list,
        db_default=[],
        blank=True,
        help_text="Blocks shown by condition: key and conditions of each; see nurture/templating/blocks.py.",
    )
    findings = models.JSONField(
        null=True,
        blank=True,
        help_text="What its last reading found (nurture/templating/proofreading.py); null: not read since it changed.",
    )
    version = models.PositiveIntegerField(
        default=1, help_text="Counts saves; two editors at once are told apart by it."
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Image(models.Model):
    """A picture that mails show. Its file stands below MEDIA_ROOT under the hash of its content; nurture/templating/images.py."""

    class Kind(models.TextChoices):
        PNG = "png", _("PNG")
        JPEG = "jpg", _("JPEG")
        GIF = "gif", _("GIF")

    token = models.CharField(
        _("token"), max_length=22, unique=True, editable=False, help_text="Its public address is made of it."
    )
    sha256 = models.CharField(max_length=64, unique=True, editable=False, help_text="Of the bytes that are served.")
    name = models.CharField(_("name"), max_length=200)
    alt = models.CharField(
        _("alternative text"),
        max_length=300,
        blank=True,
        default="",
        help_text=_("What it shows, for readers who see no pictures: templates begin with these words."),
    )
    kind = models.CharField(_("kind"), max_length=3, choices=Kind)
    width = models.PositiveIntegerField(_("width"), help_text="pixels")
    height = models.PositiveIntegerField(_("height"), help_text="pixels")
    bytes = models.PositiveIntegerField(_("weight"))
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    uploaded_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-uploaded_at", "-id"]

    def __str__(self) -> str:
        return self.name

    @property
    def address(self) -> str:
        """As templates name it; mails get it in full."""
        return f"/i/{self.token}.{self.kind}"


class TemplateVersion(models.Model):
    """How a template was after one save; see nurture/templating/history.py."""

    template = models.ForeignKey(Template, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="The template's version.")
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True, default="")
    words = models.JSONField(help_text="The parts named in nurture/templating/history.py, as they were.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="nurture_templateversion_number")]

    def __str__(self) -> str:
        return f"{self.template_id}: {self.number}"


class StationeryVersion(models.Model):
    """How a snippet or layout was after one save; see nurture/templating/history.py."""

    stationery = models.ForeignKey(Stationery, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField(help_text="The version of the snippet or layout.")
    saved_at = models.DateTimeField()
    saved_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.CharField(max_length=300, blank=True, default="")
    words = models.JSONField(help_text="Its name and body, as they were.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stationery", "number"], name="nurture_stationeryversion_number")
        ]

    def __str__(self) -> str:
        return f"{self.stationery_id}: {self.number}"
