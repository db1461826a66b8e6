"""How a template, snippet or layout was: its words at each save, who saved them and why, and what differs between two of them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy

from nurture.models import Stationery, StationeryVersion, Template, TemplateVersion
from nurture.templating import languages, translations

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

Written = Template | Stationery

MOST = 300  # versions kept of one thing; older ones go
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


def words_of(row: Written) -> dict[str, Any]:
    """Everything that a version keeps. One statement where a template has a layout that is not loaded."""
    if isinstance(row, Stationery):
        return {"name": row.name, "body": row.body}
    found = {part: getattr(row, part) for part in PARTS if part not in ("layout", "text")}
    found["layout"] = row.layout.slug if row.layout else ""
    return found | {"text": row.text if row.has_own_text else None}


def keep_before(row: Written) -> None:
    """What is about to be changed, where no save has kept it: rows from before there was a history. One statement."""
    if row.version > 0 and not row.versions.filter(number=row.version).exists():
        row.versions.create(number=row.version, saved_at=row.updated_at, words=words_of(row))


def keep(row: Written, *, actor: User | None, now: datetime, reason: str = "") -> None:
    """The version that was just saved. Two statements."""
    row.versions.create(
        number=row.version, saved_at=now, saved_by=actor, reason=reason.strip()[:300], words=words_of(row)
    )
    row.versions.filter(number__lte=row.version - MOST).delete()


@dataclass(frozen=True)
class Meanwhile:
    """What others saved since a page was opened."""

    versions: list[TemplateVersion] | list[StationeryVersion]
    changes: list[Change]


def since(row: Written, number: int) -> Meanwhile:
    """Two statements."""
    opened = row.versions.filter(number=number).first()
    newer = row.versions.filter(number__gt=number).select_related("saved_by").order_by("number")
    return Meanwhile(list(newer), changes(opened.words, words_of(row)) if opened else [])  # type: ignore[arg-type]  # of one kind


def own_words_since(template: Template, print_: str) -> list[Change]:
    """What changed in its own words since they had that print (translations.print_of); empty where that version is not kept any more.

    Reads versions, the newest first, until one fits: one statement.
    """
    now = _own(words_of(template))
    for version in template.versions.order_by("-number").iterator(chunk_size=10):
        if translations.print_of(version.words) == print_:
            return changes(_own(version.words), now)
    return []


def _own(words: Mapping[str, Any]) -> dict[str, Any]:
    return {part: words.get(part) for part in ("subject", "preheader", "body", "text")}


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
