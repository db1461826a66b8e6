"""Points as people read them, in templates."""

from __future__ import annotations

from typing import Any

from django import template

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
