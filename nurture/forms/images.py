"""Forms of pictures: several files at once, and what is said about one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from nurture.models import Image


class ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class ImagesForm(forms.Form):
    """An upload. What is inside each file is looked at when it is stored, so that one bad file does not stop the others."""

    uploads = forms.FileField(
        label=gettext_lazy("Images"),
        widget=ManyFilesInput(attrs={"class": "form-control", "accept": "image/png,image/jpeg,image/gif,image/webp"}),
        help_text=gettext_lazy("PNG, JPEG, GIF or WebP, 5 MB each. Large ones are made smaller."),
    )


class ImageForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Image
        fields = ("name", "alt")

    def clean_alt(self) -> str:
        words: Any = self.cleaned_data["alt"]
        return " ".join(str(words).split())
