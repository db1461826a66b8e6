"""How facts are shown in templates: countries by name, stages by label, values of custom fields, amounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.contrib.humanize.templatetags.humanize import intcomma

from leads import lists
from leads.countries import name_of

register = template.Library()


@register.filter
def country_name(code: str) -> str:
    """The country's name; text that is no code as written."""
    return name_of(code)


@register.filter
def label_of(labels: dict[str, str], slug: str) -> str:
    """The label of a slug; the slug itself where there is none."""
    return labels.get(slug, slug)


@register.filter
def plain(value: Any) -> str:
    """A value of a custom field in words."""
    return lists.plain_text(value)


@register.filter
def amount(value: Any) -> str:
    """A sum with separators, without the zeros that the column's scale adds; nothing where there is no sum."""
    if not isinstance(value, Decimal):
        return ""
    tidy = value.normalize()
    return intcomma(f"{tidy:f}") if tidy == tidy.to_integral_value() else intcomma(f"{value:.2f}")
