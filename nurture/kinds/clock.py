"""At what time and on whose clock: what the kinds that wait for a day or a weekday share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import StepForm


class ClockForm(StepForm):
    at = forms.TimeField(
        label=gettext_lazy("At"),
        required=False,
        initial=time(9),
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    clock = forms.ChoiceField(
        label=gettext_lazy("Whose clock"),
        choices=[
            ("workspace", gettext_lazy("ours (the workspace's zone)")),
            ("contact", gettext_lazy("the contact's own zone, ours where it is unknown")),
        ],
        required=False,
        initial="workspace",
    )


def malformed(at: object, clock: object) -> Iterator[tuple[str, str]]:
    """(key, what would fit) for a time of day or a clock that is none."""
    try:
        if not isinstance(at, str) or time.fromisoformat(at).tzinfo is not None:
            raise ValueError
    except ValueError:
        yield "at", _("expected a time such as 09:00")
    if clock not in ("workspace", "contact"):
        yield "clock", _("choose one of: workspace, contact")


def whose(values: Mapping[str, Any]) -> str:
    """The end of a sentence: nothing for the workspace's own clock."""
    return _(" on the contact's clock") if values.get("clock") == "contact" else ""


def zone_named(name: str, *, otherwise: ZoneInfo) -> ZoneInfo:
    """A contact's zone; the workspace's when it has none, or one that does not exist."""
    if not name:
        return otherwise
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return otherwise
