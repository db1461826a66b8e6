"""Forms over facts: they read and shape; leads.actions says whether a value fits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from django import forms
from django.db.models import CharField
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import actions, countries, zones
from leads.models import Company, Contact, CustomField, Owner, Stage
from leads.text import clean, fold
from leads.widgets import LongSelect

PLAIN_CONTACT_FIELDS = (
    "first_name", "last_name", "email", "title", "department", "seniority", "phone", "city", "region", "postal_code",
    "language", "source", "external_id",
)  # fmt: skip
PLAIN_COMPANY_FIELDS = ("name", "domain", "industry", "region", "city")
NUMBER_COMPANY_FIELDS = ("employees", "revenue", "founded")


class CustomFieldsForm(forms.Form):
    """The common part: one form field for each custom field, and the changes that came in, keyed as actions takes them."""

    def add_custom_fields(self, definitions: list[CustomField], stored: dict[str, Any]) -> None:
        self.custom = {f"custom_{one.key}": one for one in definitions}
        for name, one in self.custom.items():
            self.fields[name] = custom_form_field(one, stored.get(one.key))

    def custom_changes(self) -> dict[str, Any]:
        """`custom.<key>` for every custom field that the person changed; None clears."""
        return {
            f"custom.{one.key}": _answer(one, self.cleaned_data[name])
            for name, one in self.custom.items()
            if name in self.changed_data
        }


def custom_form_field(one: CustomField, stored: Any) -> forms.Field:
    kinds = CustomField.Type
    common: dict[str, Any] = {"label": one.label, "help_text": one.help, "required": False, "initial": stored}
    if one.type == kinds.LONG_TEXT:
        return forms.CharField(widget=forms.Textarea(attrs={"rows": 3}), **common)
    if one.type == kinds.YES_NO:
        common["initial"] = {True: "yes", False: "no"}.get(stored, "") if isinstance(stored, bool) else ""
        return forms.ChoiceField(choices=[("", _("unknown")), ("yes", _("yes")), ("no", _("no"))], **common)
    if one.type == kinds.CHOICE and one.choices:
        return forms.ChoiceField(choices=_choices(one.choices, [stored]), **common)
    if one.type == kinds.CHOICES and one.choices:
        chosen = stored if isinstance(stored, list) else []
        choices = _choices(one.choices, chosen)[1:]
        return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **common)
    if one.type == kinds.CHOICES:
        common["initial"] = "; ".join(stored) if isinstance(stored, list) else stored
        return forms.CharField(**(common | {"help_text": one.help or _("Several are separated by ;")}))
    if one.type == kinds.COUNTRY:
        return forms.ChoiceField(choices=country_choices(stored or ""), **common)
    if one.type == kinds.DATE:
        return forms.CharField(widget=forms.DateInput(attrs={"type": "date"}), **common)
    if one.type == kinds.MOMENT:
        if isinstance(stored, str):
            common["initial"] = _local_moment(stored)
        return forms.CharField(widget=forms.DateTimeInput(attrs={"type": "datetime-local", "step": 1}), **common)
    if one.type in (kinds.NUMBER, kinds.MONEY):
        return forms.CharField(widget=forms.TextInput(attrs={"inputmode": "decimal"}), **common)
    return forms.CharField(**common)


def _local_moment(stored: str) -> str:
    """A stored moment as `datetime-local` shows it, in the workspace's zone; as stored when it is none."""
    try:
        return timezone.localtime(datetime.fromisoformat(stored)).strftime("%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return stored


def _choices(names: list[str], stored: list[Any]) -> list[tuple[str, str]]:
    extra = [str(value) for value in stored if value not in (None, "") and value not in names]
    return [("", _("unknown")), *((name, name) for name in [*names, *extra])]


def country_choices(stored: str) -> list[tuple[str, str]]:
    """Every country, and the value as written should it be none."""
    known = countries.choices()
    if stored and all(code != stored for code, _name in known):
        known = [(stored, stored), *known]
    return [("", _("unknown")), *known]


def _answer(one: CustomField, value: Any) -> Any:
    if value in ("", [], None):
        return None
    return value


class ContactForm(CustomFieldsForm):
    """The facts about a contact, for a new one and a known one. Stage has a form of its own, since each move has a reason."""

    def __init__(
        self, data: Any = None, *, contact: Contact | None = None, definitions: list[CustomField], **kwargs: Any
    ) -> None:
        super().__init__(data, **kwargs)
        for name in PLAIN_CONTACT_FIELDS:
            column = cast("CharField[str, str]", Contact._meta.get_field(name))
            self.fields[name] = forms.CharField(
                label=capfirst(column.verbose_name),
                required=False,
                max_length=column.max_length,
                initial=getattr(contact, name, "") or "",
            )
        self.fields["email"].widget.input_type = "email"
        self.fields["phone"].widget.input_type = "tel"
        self.fields["country"] = forms.ChoiceField(
            label=_("Country"), required=False, choices=country_choices(contact.country if contact else ""),
            initial=contact.country if contact else "", widget=LongSelect,
        )  # fmt: skip
        self.fields["timezone"] = forms.ChoiceField(
            label=_("Time zone"), required=False, choices=_zone_choices(contact.timezone if contact else ""),
            initial=contact.timezone if contact else "", widget=LongSelect,
        )  # fmt: skip
        self.fields["owner"] = forms.ModelChoiceField(
            Owner.objects.order_by(Lower("name")), label=_("Owner"), required=False, empty_label=_("Nobody"),
            initial=contact.owner_id if contact else None, widget=LongSelect,
        )  # fmt: skip
        self.fields["company"] = forms.CharField(
            label=_("Company"),
            required=False,
            max_length=520,
            initial=contact.company.name if contact and contact.company else "",
            help_text=_("Write a part of the name and choose."),
            widget=forms.TextInput(attrs=_company_box()),
        )
        self.fields["tags"] = forms.CharField(
            label=_("Tags"), required=False, max_length=5000, initial="; ".join(contact.tags) if contact else "",
            help_text=_("Several are separated by ;"),
        )  # fmt: skip
        self.contact = contact
        self.add_custom_fields(definitions, contact.custom if contact else {})

    def clean_company(self) -> Company | None:
        text = clean(self.cleaned_data["company"])
        if not text:
            return None
        if self.contact and self.contact.company and text == self.contact.company.name:
            return self.contact.company
        name, _hash, number = text.rpartition(" #")
        if name and number.isascii() and number.isdigit():
            company = Company.objects.filter(pk=int(number), name=name).first()
            if company:
                return company
        found = list(Company.objects.alias(folded=Lower("name")).filter(folded=fold(text))[:3])
        if not found:
            raise forms.ValidationError(
                _("There is no company of that name. Choose one of the list or import it first.")
            )
        if len(found) > 1:
            raise forms.ValidationError(
                _("Several companies have that name; write %(choices)s.")
                % {"choices": " / ".join(f"“{one.name} #{one.pk}”" for one in found)}
            )
        return found[0]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if not cleaned.get("email") and not cleaned.get("external_id") and not self.errors:
            self.add_error("email", _("A contact needs an e-mail address or an external id."))
        return cleaned

    def changes(self) -> dict[str, Any]:
        """What the person changed, as actions.change_contact takes it."""
        plain = [*PLAIN_CONTACT_FIELDS, "country", "timezone", "owner", "tags"]
        found = {name: self.cleaned_data[name] or None for name in plain if name in self.changed_data}
        if "company" in self.changed_data:
            found["company"] = self.cleaned_data["company"]
        return found | self.custom_changes()

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Fields by what they tell, in the order of the page."""
        return [
            (_("Person"), [self[name] for name in ("first_name", "last_name", "email", "phone", "language")]),
            (_("Work"), [self[name] for name in ("company", "title", "department", "seniority")]),
            (_("Place"), [self[name] for name in ("country", "region", "city", "postal_code", "timezone")]),
            (_("Marketing"), [self[name] for name in ("owner", "source", "tags", "external_id")]),
            (_("Fields of your own"), [self[name] for name in self.custom]),
        ]


def _company_box() -> dict[str, str]:
    """A text box whose datalist follows what is typed."""
    return {
        "list": "company-options",
        "autocomplete": "off",
        "hx-get": reverse("leads:company-options"),
        "hx-trigger": "input changed delay:250ms",
        "hx-target": "#company-options",
        "hx-swap": "outerHTML",
        "hx-sync": "this:replace",
        "hx-params": "company",
    }


def _zone_choices(stored: str) -> list[tuple[str, str]]:
    return [("", _("unknown")), *zones.choices(stored)]


class StageForm(forms.Form):
    """A move by hand: anywhere, with a reason."""

    to = forms.ChoiceField(label=gettext_lazy("Stage"))
    reason = forms.CharField(label=gettext_lazy("Why"), max_length=500)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["to"].choices = [(stage.slug, stage.label) for stage in Stage.objects.all()]  # type: ignore[attr-defined]


class CompanyForm(forms.Form):
    """The facts about a company."""

    def __init__(self, data: Any = None, *, company: Company, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        for name in (*PLAIN_COMPANY_FIELDS, *NUMBER_COMPANY_FIELDS):
            column = cast("CharField[str, str]", Company._meta.get_field(name))
            stored = getattr(company, name)
            initial = "" if stored is None else f"{stored.normalize():f}" if name == "revenue" else stored
            self.fields[name] = forms.CharField(
                label=capfirst(column.verbose_name), required=name == "name", initial=initial
            )
        for name in NUMBER_COMPANY_FIELDS:
            self.fields[name].widget.attrs["inputmode"] = "decimal"
        self.fields["country"] = forms.ChoiceField(
            label=_("Country"),
            required=False,
            choices=country_choices(company.country),
            initial=company.country,
            widget=LongSelect,
        )
        self.fields["tags"] = forms.CharField(
            label=_("Tags"), required=False, initial="; ".join(company.tags), help_text=_("Several are separated by ;")
        )

    def changes(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] or None for name in self.changed_data}


def submit(form: forms.Form, change: Callable[[], Any]) -> bool:
    """Whether the form was valid and the change went through; what actions refused stands in the form."""
    if not form.is_valid():
        return False
    try:
        change()
    except actions.Refused as error:
        form.add_error(None, str(error))
        return False
    return True
