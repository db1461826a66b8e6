"""The form of the settings about websites."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Website

_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
MOST_SITES = 50


class WebsiteForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    sites = forms.CharField(
        label=gettext_lazy("Websites"),
        required=False,
        max_length=5_000,
        help_text=gettext_lazy("example.com, shop.example.net; with all below them. The script works nowhere else."),
    )

    class Meta:
        model = Website
        fields = ("is_on", "sites", "waits_for_consent", "joins_clicks", "joins_forms", "days_kept")
        help_texts = {
            "waits_for_consent": gettext_lazy(
                'Until your consent banner calls ripen("consent", true), nothing is sent and nothing is kept in the browser.'
            ),
            "joins_clicks": gettext_lazy(
                "Links of tracked mails to these websites then carry a sealed note, good for ten minutes and one browser. Whoever presses a"
                " forwarded mail first is taken for its reader: leave it off where mails are passed on."
            ),
            "joins_forms": gettext_lazy(
                "Only after the link in the mail that asks to confirm was pressed; anybody may write anybody's address into a form."
            ),
            "days_kept": gettext_lazy(
                "A visitor who stays away longer is forgotten; so are older pages of anonymous ones."
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["sites"] = ", ".join(self.instance.sites)

    def clean_sites(self) -> list[str]:
        found = [_host(one) for one in re.split(r"[\s,;]+", self.cleaned_data["sites"]) if one]
        if len(found) > MOST_SITES:
            raise ValidationError(_("At most %(most)d websites.") % {"most": MOST_SITES})
        return list(dict.fromkeys(found))

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("is_on") and not cleaned.get("sites") and "sites" not in self.errors:
            self.add_error("sites", _("Name the websites on which visits are noted."))
        return cleaned

    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in self.Meta.fields}


def _host(written: str) -> str:
    """From “https://Example.com/” or “example.com”; umlauts as browsers send them. Raises ValidationError."""
    try:
        host = (urlsplit(written if "//" in written else f"//{written}").hostname or "").strip(".")
        host = host.encode("idna").decode().lower()
    except ValueError:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValidationError(_("“%(site)s” is no website.") % {"site": written[:100]})
    return host
