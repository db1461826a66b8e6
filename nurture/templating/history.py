"""How a template was: its words at each save, who saved them and why, and what differs between two of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy

from nurture.models import Template, TemplateVersion
from nurture.templating import languages

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

MOST = 300  # versions kept of one template; older ones go
CONTEXT = 2  # lines around a change

PARTS: dict[str, StrOrPromise] = {
    "name": gettext_lazy("Name"),
    "subject": gettext_lazy("Subject"),
    "preheader": gettext_lazy("Preheader"),
    "format": gettext_lazy("Format"),
    "layout": gettext_lazy("Layout"),
    "body": gettext_lazy("Body"),
    "text": gettext_lazy("Text part"),
    "language": gettext_lazy("Language"),
    "sender_name": gettext_lazy("Sender name"),
    "reply_to": gettext_lazy("Answers go to"),
    "purpose": gettext_lazy("Purpose"),
    "blocks": gettext_lazy("Blocks shown to some"),
    "translations": gettext_lazy("Translations"),
}


def words_of(template: Template) -> dict[str, Any]:
    """Everything that a version keeps. One statement where it has a layout that is not loaded."""
    found = {part: getattr(template, part) for part in PARTS if part not in ("layout", "text")}
    found["layout"] = template.layout.slug if template.layout else ""
    return found | {"text": template.text if template.has_own_text else None}


def keep_before(template: Template) -> None:
    """What is about to be changed, where no save has kept it: rows from before there was a history. One statement."""
    if template.version > 0 and not template.versions.filter(number=template.version).exists():
        TemplateVersion.objects.create(
            template=template, number=template.version, saved_at=template.updated_at, words=words_of(template)
        )


def keep(template: Template, *, actor: User | None, now: datetime, reason: str = "") -> None:
    """The version that was just saved. Two statements."""
    TemplateVersion.objects.create(
        template=template,
        number=template.version,
        saved_at=now,
        saved_by=actor,
        reason=reason.strip()[:300],
        words=words_of(template),
    )
    template.versions.filter(number__lte=template.version - MOST).delete()


@dataclass(frozen=True)
class Meanwhile:
    """What others saved since a page was opened."""

    versions: list[TemplateVersion]
    changes: list[Change]


def since(template: Template, number: int) -> Meanwhile:
    """Two statements."""
    opened = template.versions.filter(number=number).first()
    newer = template.versions.filter(number__gt=number).select_related("saved_by").order_by("number")
    return Meanwhile(list(newer), changes(opened.words, words_of(template)) if opened else [])


# --- Differences -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """One part that differs; `lines` are (sign, words): + came, - went, blank stayed, … is left out."""

    part: str
    label: StrOrPromise
    lines: list[tuple[str, str]]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What differs between two versions, in the order of the editor; translations language by language."""
    found: list[Change] = []
    for part, label in PARTS.items():
        if part == "translations":
            found += _translations(before.get(part) or [], after.get(part) or [])
        elif before.get(part) != after.get(part):
            found.append(Change(part, label, list(_lines(_plain(before.get(part)), _plain(after.get(part))))))
    return found


def _translations(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Change]:
    old, new = ({row["language"]: row for row in rows} for rows in (before, after))
    for language in sorted(old.keys() | new.keys()):
        for part in ("subject", "preheader", "body", "text"):
            texts = [_plain(rows.get(language, {}).get(part)) for rows in (old, new)]
            if texts[0] != texts[1]:
                label = f"{languages.name_of(language)}: {PARTS[part]}"
                yield Change(f"{language}:{part}", label, list(_lines(*texts)))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True)


def _lines(before: str, after: str) -> Iterator[tuple[str, str]]:
    rows = difflib.unified_diff(before.splitlines(), after.splitlines(), n=CONTEXT, lineterm="")
    for number, row in enumerate(rows):
        if number < 2:  # the names of files
            continue
        if row.startswith("@@"):
            if number > 2:
                yield "…", ""
        else:
            yield row[0], row[1:]
