"""Points as people read them, in templates."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.formats import number_format

from scoring.pages import cause_in_words
from scoring.words import shown

register = template.Library()


@register.filter
def points(value: Any) -> str:
    """15, −7.5"""
    return shown(value)


@register.filter
def signed(value: Any) -> str:
    """+15, −7.5"""
    return shown(value, sign=True)


@register.filter
def share_of(part: Any, whole: Any) -> str:
    """Percent of a whole, “–” of nothing."""
    return f"{round(100 * part / whole)} %" if whole else "–"


@register.filter
def cause_words(cause: str) -> str:
    return cause_in_words(cause)


@register.filter
def in_days(span: Any) -> str:
    """Days with one decimal; whole ones from ten on."""
    days = round(span.total_seconds() / 86_400, 1)
    return number_format(round(days) if days >= 10 or days == int(days) else days, use_l10n=True)
