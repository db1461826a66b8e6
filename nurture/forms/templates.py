"""Forms of templates, their blocks, translations, snippets and layouts."""

from __future__ import annotations

from typing import Any

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Purpose
from nurture.forms.layout import Folded
from nurture.models import Stationery, Template
from nurture.templating import languages, translations
from nurture.templating.assembly import BadSource, refuse_size
from nurture.templating.rendering import BadTemplate, compiled
from segments.builder import ConditionsField


class BlockForm(forms.Form):
    """A block of a template, and who sees it."""

    key = forms.RegexField(
        r"^[a-z][a-z0-9_-]{0,39}$",
        label=gettext_lazy("Name"),
        help_text=gettext_lazy(
            "Small letters, digits, - and _: it stands in the template between {% block … %} and {% endblock %}."
        ),
        error_messages={"invalid": gettext_lazy("Small letters, digits, - and _, a letter first.")},
    )
    conditions = ConditionsField(label=gettext_lazy("Shown to people for whom"))


def _helper(*parts: str | Folded) -> FormHelper:
    helper = FormHelper()
    helper.form_tag, helper.disable_csrf = False, True
    helper.layout = Layout(*parts)
    return helper


def _text_part() -> Folded:
    return Folded(_("Text part"), "has_own_text", "text", unset=_("made from the body"))


class TranslationForm(forms.Form):
    """The words of a template in another language; refused when they cannot become a mail."""

    subject = forms.CharField(
        label=gettext_lazy("Subject"), max_length=500, widget=forms.TextInput(attrs={"dir": "auto"})
    )
    preheader = forms.CharField(
        label=gettext_lazy("Preheader"), max_length=300, required=False, widget=forms.TextInput(attrs={"dir": "auto"})
    )
    body = forms.CharField(
        label=gettext_lazy("Body"),
        widget=forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "font-monospace", "wrap": "off"}),
    )
    has_own_text = forms.BooleanField(label=gettext_lazy("Write the text part by hand"), required=False)
    text = forms.CharField(
        label=gettext_lazy("Text part"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 10, "dir": "auto", "class": "font-monospace"}),
    )

    def __init__(self, *args: Any, template: Template, language: str, **kwargs: Any) -> None:
        self.template, self.language = template, language
        row = translations.of(template, language)
        given: dict[str, Any] = dict(row) if row else dict(translations.begun(template, language))
        kwargs["initial"] = given | {"has_own_text": bool(row) and given["text"] is not None}
        super().__init__(*args, **kwargs)
        self.helper = _helper("subject", "preheader", "body", _text_part())

    def words(self) -> dict[str, Any]:
        """As writing.set_translation takes them."""
        cleaned = self.cleaned_data
        text = cleaned["text"] if cleaned["has_own_text"] else None
        return {"text": text} | {name: cleaned[name] for name in ("subject", "preheader", "body")}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            row = {"language": self.language, **self.words()}
            try:
                compiled(Template(**_but_words(self.template), translations=[row]), self.language)
            except BadTemplate as error:
                raise ValidationError(str(error), code="template") from error
        return cleaned


class StationeryForm(forms.Form):
    """A snippet or layout; kind, slug and format are said once."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=200)
    slug = forms.SlugField(
        label=gettext_lazy("Slug"),
        max_length=100,
        help_text=gettext_lazy(
            "Small letters, digits and -. With a language behind it (foot-ko) it stands in for “foot” in mails of that language."
        ),
    )
    format = forms.ChoiceField(
        label=gettext_lazy("Format"), choices=Template.Format.choices, widget=forms.RadioSelect, initial="mjml"
    )
    is_default = forms.BooleanField(label=gettext_lazy("New templates begin with it"), required=False)
    body = forms.CharField(
        label=gettext_lazy("Body"),
        widget=forms.Textarea(attrs={"rows": 22, "spellcheck": "false", "class": "font-monospace", "wrap": "off"}),
    )

    def __init__(self, *args: Any, kind: str, row: Stationery | None, **kwargs: Any) -> None:
        if row is not None:
            kwargs["initial"] = {name: getattr(row, name) for name in ("name", "body", "is_default")}
        super().__init__(*args, **kwargs)
        if row is not None:
            del self.fields["slug"], self.fields["format"]
        if kind == Stationery.Kind.SNIPPET:
            self.fields.pop("format", None)
            del self.fields["is_default"]

    def clean_slug(self) -> str:
        return self.cleaned_data["slug"].lower()  # type: ignore[no-any-return]


def _but_words(template: Template) -> dict[str, Any]:
    return {name: getattr(template, name) for name in ("format", "sender_name", "reply_to", "blocks", "layout")}


class TemplateForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A template; refused when it cannot become a mail."""

    purpose = forms.ChoiceField(label=gettext_lazy("Purpose"), required=False, initial=Purpose.ALL)

    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        required=False,
        choices=[("", gettext_lazy("not said")), *languages.choices()],
        help_text=gettext_lazy(
            "Says it to screen readers, turns the mail around where it is written from the right, and words the links at its foot."
        ),
    )

    class Meta:
        model = Template
        fields = (
            *(
                "name",
                "purpose",
                "language",
                "sender_name",
                "reply_to",
                "subject",
                "preheader",
                "format",
                "layout",
                "body",
            ),
            *("has_own_text", "text"),
        )
        widgets = {
            "text": forms.Textarea(attrs={"rows": 10, "dir": "auto", "class": "font-monospace"}),
            "subject": forms.TextInput(attrs={"dir": "auto"}),
            "preheader": forms.TextInput(attrs={"dir": "auto"}),
            "body": forms.Textarea(attrs={"rows": 24, "spellcheck": "false", "class": "font-monospace", "wrap": "off"}),
            "format": forms.RadioSelect,
        }
        help_texts = {
            "subject": gettext_lazy('Placeholders work here too: {{ contact.first_name | default: "there" }}'),
            "preheader": gettext_lazy("What mail programs show beside the subject."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["purpose"]
        layouts = Stationery.objects.filter(kind=Stationery.Kind.LAYOUT)
        self.fields["layout"].queryset = layouts  # type: ignore[attr-defined]
        self.fields["layout"].empty_label = _("none")  # type: ignore[attr-defined]
        rows = Purpose.objects.filter(archived_at=None)
        field.choices = [(row.slug, f"{row.name} ({row.get_basis_display()})") for row in rows]  # type: ignore[attr-defined]
        field.help_text = _("Only people whose consent covers it get the mail; unsubscribing leaves this purpose.")
        self.helper = self._parts(is_new=self.instance.slug == "")

    def _parts(self, *, is_new: bool) -> FormHelper:
        """What people come for first: the words. A new one wants its name before."""
        first, names = (("name",), ()) if is_new else ((), ("name",))
        about = _("Purpose and language") if is_new else _("Name, purpose and language")
        return _helper(
            *first,
            "subject",
            "preheader",
            "body",
            Folded(about, *names, "purpose", "language"),
            Folded(_("Sender and answers"), "sender_name", "reply_to", unset=_("the workspace's")),
            Folded(_("Format and layout"), "format", "layout"),
            _text_part(),
        )

    def clean_language(self) -> str:
        language: str = self.cleaned_data["language"]
        if translations.of(self.instance, language):
            raise ValidationError(_("There is a translation into this language: remove that first."), code="translated")
        return language

    def clean_purpose(self) -> str:
        return self.cleaned_data["purpose"] or Purpose.ALL

    def clean_body(self) -> str:
        """With the line ends that it was shown with: browsers send others."""
        body: str = self.cleaned_data["body"]
        try:
            refuse_size(body)
        except BadSource as error:
            raise ValidationError(str(error), code="template") from error
        return body.replace("\r\n", "\n")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        layout = cleaned.get("layout")
        if layout is not None and layout.format != cleaned.get("format"):
            self.add_error("layout", _("This layout is for %(format)s.") % {"format": layout.format.upper()})
        if not self.errors:
            try:
                compiled(Template(**cleaned, blocks=self.instance.blocks))
            except BadTemplate as error:
                raise ValidationError(str(error), code="template") from error
        return cleaned
