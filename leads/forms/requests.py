"""Forms about data requests."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from leads.models import DataRequest


class AskForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """A colleague writes down what somebody asked for."""

    class Meta:
        model = DataRequest
        fields = ("kind", "reason")
        widgets = {"kind": forms.RadioSelect, "reason": forms.Textarea(attrs={"rows": 3})}
        help_texts = {"reason": gettext_lazy("By letter, by phone, when; and how you know that it was them.")}

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["kind"].choices = DataRequest.Kind.choices  # type: ignore[attr-defined]  # without the empty one
        self.fields["reason"].required = True


class AnswerForm(forms.Form):
    """What the admin notes beside the answer. Erasing wants a tick beside it."""

    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("Stays in the record: how you know that it was them, or why not."),
    )
    is_sure = forms.BooleanField(label=gettext_lazy("Erase for good; this cannot be undone."), required=False)
    verb = forms.ChoiceField(choices=[("erase", ""), ("refuse", "")], widget=forms.HiddenInput)

    def clean(self) -> dict[str, object]:
        values = super().clean() or {}
        if values.get("verb") == "erase" and not values.get("is_sure"):
            self.add_error("is_sure", gettext_lazy("Tick this to erase."))
        return values
