"""Forms about opens and clicks: the workspace's defaults, and what a template or program does differently."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import countries
from nurture.models import TrackingDefaults, TrackingRule
from nurture.tracking.documents import LONGEST, problem_of
from nurture.tracking.plans import UTM_KEYS

_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
MOST_DOMAINS = 50


class _UtmForm(forms.Form):
    """The five values that may be added to links."""

    def __init__(self, *args: Any, inherited: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key in UTM_KEYS:
            self.fields[key] = forms.CharField(label=key, max_length=LONGEST, required=False)
            if inherited and inherited.get(key):
                self.fields[key].widget.attrs["placeholder"] = inherited[key]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for key in UTM_KEYS:
            if problem := problem_of(cleaned.get(key, "")):
                self.add_error(key, problem)
        return cleaned

    def utm(self) -> dict[str, str]:
        return {key: value for key in UTM_KEYS if (value := self.cleaned_data[key])}


class TrackingForm(_UtmForm):
    """The workspace's defaults."""

    is_on = forms.BooleanField(
        label=gettext_lazy("Note opens and clicks"),
        required=False,
        help_text=gettext_lazy(
            "Off: no link leads by us and no mail holds a pixel. Mails that left before stay as they are."
        ),
    )
    tracks_text = forms.BooleanField(
        label=gettext_lazy("Links of the text part, too"),
        required=False,
        help_text=gettext_lazy("Readers of plain text then see short addresses of ours."),
    )
    quiet_countries = forms.MultipleChoiceField(
        label=gettext_lazy("Quiet countries"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy(
            "Who lives there is noted only after a yes on their preference page. Where nobody knows the country, the company's or the"
            " ending of the address counts."
        ),
    )
    utm_domains = forms.CharField(
        label=gettext_lazy("Only on links to these domains"),
        required=False,
        max_length=5_000,
        help_text=gettext_lazy("example.com, shop.example.net; with all below them. Empty: on every link."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["quiet_countries"].choices = countries.choices()  # type: ignore[attr-defined]
        self.order_fields(["is_on", "tracks_text", "quiet_countries", *UTM_KEYS, "utm_domains"])

    @staticmethod
    def initial_of(row: TrackingDefaults) -> dict[str, Any]:
        return {
            "is_on": row.is_on,
            "tracks_text": row.tracks_text,
            "quiet_countries": row.quiet_countries,
            "utm_domains": ", ".join(row.utm_domains),
            **row.utm,
        }

    def clean_utm_domains(self) -> list[str]:
        found = [one.lower().strip(".") for one in re.split(r"[\s,;]+", self.cleaned_data["utm_domains"]) if one]
        for one in found:
            if not _DOMAIN.fullmatch(one):
                raise ValidationError(_("“%(domain)s” is no domain.") % {"domain": one[:100]})
        if len(found) > MOST_DOMAINS:
            raise ValidationError(_("At most %(most)d domains.") % {"most": MOST_DOMAINS})
        return list(dict.fromkeys(found))

    def values(self) -> dict[str, Any]:
        named = ("is_on", "tracks_text", "quiet_countries", "utm_domains")
        return {name: self.cleaned_data[name] for name in named} | {"utm": self.utm()}


class TrackingRuleForm(_UtmForm):
    """What one template or program does differently."""

    is_off = forms.BooleanField(label=gettext_lazy("Note no opens and clicks of these mails"), required=False)

    @staticmethod
    def initial_of(row: TrackingRule) -> dict[str, Any]:
        return {"is_off": row.is_off, **row.utm}

    def values(self) -> dict[str, Any]:
        return {"is_off": self.cleaned_data["is_off"], "utm": self.utm()}
