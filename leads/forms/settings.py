"""Forms of the company's settings."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.db.models.functions import Lower
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import zones
from leads.access import ADMIN, ROLES
from leads.models import CustomField, Owner, Stage, Workspace
from leads.text import clean, fold
from leads.widgets import LongSelect
from leads.workspace import WEEKDAYS


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Everything the rule language and the mails call “workspace”."""

    timezone = forms.ChoiceField(label=gettext_lazy("Time zone"), widget=LongSelect)
    business_days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Business days"),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        choices=list(WEEKDAYS.items()),
    )

    class Meta:
        model = Workspace
        fields = [
            "name", "postal_address", "timezone", "week_start", "currency", "business_days", "business_start",
            "business_end", "sender_name", "sender_email", "reply_to", "jump_factor",
        ]  # fmt: skip
        widgets = {
            "postal_address": forms.Textarea(attrs={"rows": 3}),
            "business_start": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "business_end": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["timezone"].choices = zones.choices(self.instance.timezone)  # type: ignore[attr-defined]

    def clean_currency(self) -> str:
        currency = str(self.cleaned_data["currency"]).strip().upper()
        if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
            raise forms.ValidationError(_("A currency has three letters, like EUR or USD."))
        return currency

    def clean_timezone(self) -> str:
        name = str(self.cleaned_data["timezone"])
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
            raise forms.ValidationError(_("This server knows no time zone of that name.")) from error
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        refuse_hours(self, "business_start", "business_end")
        return cleaned


def refuse_hours(form: forms.BaseForm, start: str, end: str) -> None:
    """An error at the end of hours that do not end after they start."""
    first, last = form.cleaned_data.get(start), form.cleaned_data.get(end)
    if first and last and first >= last:
        form.add_error(end, _("The hours must end after they start."))


class NewFieldForm(forms.Form):
    """A custom field to be made; leads.actions.make_custom_field says whether key, type and choices fit."""

    of = forms.ChoiceField(label=gettext_lazy("Belongs to"), choices=CustomField.Of.choices)
    label = forms.CharField(label=gettext_lazy("Label"), max_length=200)
    key = forms.CharField(
        label=gettext_lazy("Key"),
        max_length=63,
        help_text=gettext_lazy(
            "Lower-case letters, digits and underscores; stands in rules, files and templates and never changes."
        ),
    )
    type = forms.ChoiceField(label=gettext_lazy("Type"), choices=CustomField.Type.choices)
    choices = forms.CharField(
        label=gettext_lazy("Choices"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("One a line; for “choice” and “several choices”."),
    )
    help = forms.CharField(label=gettext_lazy("Help"), required=False, max_length=500)

    def options(self) -> list[str]:
        return [line for line in str(self.cleaned_data["choices"]).splitlines() if line.strip()]


class FieldForm(forms.ModelForm):  # type: ignore[type-arg]
    """What may change of a custom field: its words, its choices, and its type while no rule uses it (leads.vocabulary)."""

    choices = forms.CharField(
        label=gettext_lazy("Choices"), required=False, widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy("One a line; for “choice” and “several choices”."),
    )  # fmt: skip

    class Meta:
        model = CustomField
        fields = ["label", "type", "choices", "help"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["choices"] = "\n".join(self.instance.choices)

    def clean_choices(self) -> list[str]:
        lines = [clean(line) for line in str(self.cleaned_data["choices"]).splitlines()]
        names = list({fold(line): line for line in lines if line}.values())
        if any(len(name) > 200 for name in names):
            raise forms.ValidationError(_("An option has at most 200 characters."))
        return names


class StageLabelForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Stage
        fields = ["label"]


class OwnerForm(forms.ModelForm):  # type: ignore[type-arg]
    """Somebody in sales; linked to a user, they see their own leads first."""

    class Meta:
        model = Owner
        fields = ["name", "email", "team", "user"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        users = User.objects.filter(is_active=True).order_by("username")
        self.fields["user"].queryset = users  # type: ignore[attr-defined]
        self.fields["user"].label = _("Signs in as")
        self.fields["user"].required = False

    def clean_name(self) -> str:
        name = clean(str(self.cleaned_data["name"]))
        same = Owner.objects.alias(folded=Lower("name")).filter(folded=fold(name)).exclude(pk=self.instance.pk)
        if same.exists():
            raise forms.ValidationError(_("There is an owner of that name already."))
        return name


NAMES_OF_A_USER = ("username", "first_name", "last_name", "email")


class UserForm(forms.ModelForm):  # type: ignore[type-arg]
    """A user with roles. A new one gets a first password here; later it is changed by themselves or anew by an admin."""

    roles = forms.MultipleChoiceField(
        label=gettext_lazy("Roles"),
        choices=[(role, gettext_lazy(role)) for role in ROLES],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    password = forms.CharField(
        label=gettext_lazy("New password"),
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=False),
    )

    class Meta:
        model = User
        fields = ["username", "first_name", "last_name", "email", "is_active"]

    def __init__(self, *args: Any, editor: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editor = editor
        if self.instance.pk:
            self.initial["roles"] = list(self.instance.groups.values_list("name", flat=True))
            self.fields["password"].help_text = _("Leave empty to keep the present one.")
        else:
            self.fields["password"].required = True
            self.fields["password"].label = _("First password")
        self.fields["is_active"].help_text = _("Somebody who left keeps their name in the history and cannot sign in.")

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if password := cleaned.get("password"):
            try:
                validate_password(password, User(**{name: cleaned.get(name, "") for name in NAMES_OF_A_USER}))
            except forms.ValidationError as error:
                self.add_error("password", error)
        keeps_admin = cleaned.get("is_active") and (self.instance.is_superuser or ADMIN in cleaned.get("roles", []))
        if self.instance.pk == self.editor.pk and not keeps_admin:
            self.add_error(None, _("You cannot take your own admin role or access away; another admin can."))
        return cleaned
