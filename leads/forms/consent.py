"""Forms about consent: purposes, when mail leaves, the suppression list, what a colleague notes for somebody."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import countries
from leads.models import Purpose, Suppression, Workspace
from leads.suppression_file import LARGEST_FILE
from leads.workspace import WEEKDAYS


class PurposeForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    wording = forms.CharField(
        label=gettext_lazy("Wording"),
        required=False,
        max_length=5000,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=gettext_lazy(
            "What people agree to, word by word. A change makes a new version; the ledger names the one that was shown."
        ),
    )

    quiet_countries = forms.MultipleChoiceField(
        label=gettext_lazy("Quiet countries"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Counts with legitimate interest: who lives there gets mail for it only after a yes. Where nobody knows the country, the"
            " company's or the ending of the address counts."
        ),
    )

    class Meta:
        model = Purpose
        fields = ("slug", "name", "description", "basis", "quiet_countries", "position")
        widgets = {"basis": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["position"].min_value = 0  # type: ignore[attr-defined]
        self.fields["quiet_countries"].choices = countries.choices()  # type: ignore[attr-defined]
        if self.instance._state.adding:
            self.initial["quiet_countries"] = list(countries.QUIET)
        if self.instance.pk and not self.instance._state.adding:
            del self.fields["slug"]
            last = self.instance.wordings.order_by("-number").first()
            self.initial["wording"] = last.text if last else ""


class MailWindowForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """When marketing mail leaves."""

    mail_days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Marketing mail leaves on"),
        coerce=int,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        choices=list(WEEKDAYS.items()),
        help_text=gettext_lazy("None ticked: every day. By the clock of the reader, where it is known."),
    )

    class Meta:
        model = Workspace
        fields = ("mail_days", "mail_start", "mail_end")
        widgets = {
            "mail_start": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
            "mail_end": forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        }
        help_texts = {"mail_end": gettext_lazy("Before “from”: over midnight, into the next day.")}

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if (start := cleaned.get("mail_start")) and start == cleaned.get("mail_end"):
            self.add_error("mail_end", _("These hours end as they begin. Leave both empty for every hour."))
        return cleaned


class SuppressForm(forms.Form):
    """One address, a whole domain, or a role."""

    what = forms.CharField(
        label=gettext_lazy("Address, @domain or role@"),
        max_length=400,
        help_text=gettext_lazy(
            "ada@example.com, @example.com for everybody there, or info@ for that mailbox anywhere."
        ),
    )
    note = forms.CharField(label=gettext_lazy("Why"), max_length=200, required=False)


class SuppressionFileForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt"}),
        help_text=gettext_lazy("A column “address” or “email”, and “reason” if you like; or our own export."),
    )

    def clean_file(self) -> UploadedFile[bytes]:
        file: UploadedFile[bytes] = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(
                _("The file is too large: %(most)d MB at most.") % {"most": LARGEST_FILE // 1_000_000}
            )
        return file


class SuppressionFilterForm(forms.Form):
    q = forms.CharField(required=False, max_length=320)
    reason = forms.ChoiceField(
        required=False, choices=[("", gettext_lazy("every reason")), *Suppression.Reason.choices]
    )


class NoteForm(forms.Form):
    """What a colleague writes down for somebody: they said so by phone, on paper, at the fair."""

    purpose = forms.ModelChoiceField(Purpose.objects.none(), label=gettext_lazy("Purpose"))
    verb = forms.ChoiceField(choices=[("give", ""), ("withdraw", ""), ("ask", "")])
    note = forms.CharField(label=gettext_lazy("How they said it"), max_length=1000, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["purpose"].queryset = Purpose.objects.filter(archived_at=None)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("verb") == "give" and not cleaned.get("note", "").strip():
            self.add_error("note", _("Say how and when they agreed: without it the consent is worth nothing."))
        return cleaned
