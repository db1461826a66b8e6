"""Mails that name a field in a placeholder: with them a custom field cannot go or change its type, although no rule reads it."""

from __future__ import annotations

import re

from django.urls import reverse
from django.utils.translation import gettext as _

from leads.purposes import key_of_purpose
from nurture.models import Stationery, Template
from segments.graph import Definition

# contact.title, company.custom.plan, contact.custom["plan"]
_NAMED = re.compile(
    r"""\b(contact|company)\.(custom(?:\.([a-z][a-z0-9_]*)|\[\s*["']([a-z][a-z0-9_]*)["']\s*\])|[a-z_]+)"""
)


def template_uses() -> dict[str, list[Definition]]:
    """Field -> the templates in use, snippets and layouts that name it. Two statements that read their texts."""
    found: dict[str, list[Definition]] = {}
    for template in Template.objects.filter(archived_at=None).order_by("name"):
        words = [template.subject, template.preheader, template.body, template.text]
        words += [
            str(row[part] or "") for row in template.translations for part in ("subject", "preheader", "body", "text")
        ]
        reads = fields_named(" ".join(words))
        url = reverse("nurture:template-edit", args=[template.slug])
        use = Definition(f"template:{template.slug}", template.name, _("e-mail"), url, reads)
        for key in (*reads, key_of_purpose(template.purpose)):
            found.setdefault(key, []).append(use)
    for row in Stationery.objects.order_by("name", "pk"):
        reads = fields_named(row.body)
        url = reverse("nurture:stationery-edit", args=[row.slug])
        use = Definition(f"stationery:{row.slug}", row.name, row.get_kind_display(), url, reads)
        for key in reads:
            found.setdefault(key, []).append(use)
    return found


def fields_named(text: str) -> frozenset[str]:
    """Keys as rules know them: `contact.title`, `company.custom.plan`."""
    found = set()
    for match in _NAMED.finditer(text):
        custom = match[3] or match[4]
        found.add(f"{match[1]}.custom.{custom}" if custom else f"{match[1]}.{match[2]}")
    return frozenset(found)
