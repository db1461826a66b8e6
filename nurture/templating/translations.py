"""One template in several languages: which one a reader gets, and the template as it reads there.

Stored with the template, so that all of them change, export and come back together:
`[{"language": "ko", "subject": "…", "preheader": "…", "body": "…", "text": null or "…", "of": "…"}, …]`; sender, purpose and blocks are the
template's. `of` is the print of the own words that it translates; where none is kept, nobody knows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from copy import copy
from typing import Any

from django.utils.translation import gettext as _

from nurture.models import Template
from nurture.templating import languages

MOST = 60
_TAG = re.compile(r"[a-z]{2,3}(?:-[a-z0-9]{2,8}){0,3}")
_WORDS = ("subject", "preheader", "body", "text")

Translation = Mapping[str, Any]


def check(document: Any) -> list[dict[str, Any]]:
    """Translations as they are stored, by language. ValueError with words for people."""
    if not isinstance(document, list) or len(document) > MOST:
        raise ValueError(_("Translations are a list of %(most)d at most.") % {"most": MOST})
    found: dict[str, dict[str, Any]] = {}
    for row in document:
        if not isinstance(row, Mapping) or not {"language", "subject", "body"} <= set(row) <= {
            "language",
            "of",
            *_WORDS,
        }:
            raise ValueError(
                _("Each translation has a language, a subject and a body, and may have a preheader and a text.")
            )
        if any(not isinstance(value, str) for key, value in row.items() if key != "text" or value is not None):
            raise ValueError(_("The words of a translation are text."))
        language = row["language"]
        if not _TAG.fullmatch(language):
            raise ValueError(_("“%(tag)s” is no tag of a language, such as ko or pt-br.") % {"tag": language})
        if language in found:
            raise ValueError(_("There are two translations into “%(tag)s”.") % {"tag": language})
        found[language] = (
            {"language": language} | {key: row.get(key) or "" for key in _WORDS} | {"text": row.get("text")}
        )
        found[language] |= {"of": row["of"]} if "of" in row else {}
    return [found[language] for language in sorted(found)]


def tags(template: Template) -> list[str]:
    """The languages that it is written in, its own first where that is said."""
    return [*([template.language] if template.language else []), *(row["language"] for row in template.translations)]


def chosen(template: Template, *wishes: str) -> str:
    """The language that somebody gets; empty for the template's own."""
    if not template.translations:
        return ""
    found = languages.chosen(tags(template), *wishes)
    return "" if found == template.language else found


def of(template: Template, language: str) -> Translation | None:
    return next((row for row in template.translations if row["language"] == language), None)


def in_language(template: Template, language: str) -> Template:
    """The template as it reads there; itself where there is no such translation. Nobody may save it."""
    row = of(template, language) if language else None
    if row is None:
        return template
    found = copy(template)
    found.language, found.subject, found.preheader, found.body = language, row["subject"], row["preheader"], row["body"]
    found.has_own_text, found.text = row["text"] is not None, row["text"] or ""
    return found


def begun(template: Template, language: str) -> dict[str, str]:
    """What a new translation begins with: the own words, with the two links at the foot in the other language."""
    body = template.body
    for own, other in zip(languages.ways_out(template.language), languages.ways_out(language), strict=True):
        body = re.sub(rf">(\s*){re.escape(own)}(\s*)</a>", rf">\g<1>{other}\g<2></a>", body)
    return {"subject": template.subject, "preheader": template.preheader, "body": body}


# --- Older than what they translate ----------------------------------------------------------------------------------------


def print_of(words: Template | Mapping[str, Any]) -> str:
    """Sixteen letters that change whenever the own words of a template do, or of a version of it."""
    if isinstance(words, Template):
        texts = [words.subject, words.preheader, words.body, words.text if words.has_own_text else None]
    else:
        texts = [words.get(part) for part in _WORDS]
    plain = [" ".join(text.split()) if text else "" for text in texts]
    return hashlib.sha256(json.dumps(plain).encode()).hexdigest()[:16]


def dated(fresh: Sequence[Translation], stored: Collection[Translation], template: Template) -> list[dict[str, Any]]:
    """The translations with what they translate: as it was where their words stayed, the template's words of now where they are new."""
    known = {row["language"]: row for row in stored}
    now = print_of(template)
    made = []
    for row in fresh:
        before = known.get(row["language"])
        words = {key: value for key, value in row.items() if key != "of"}
        is_same = before is not None and all(before.get(key) == value for key, value in words.items())
        if before is not None and is_same:
            made.append(dict(before))
        else:
            made.append(words | {"of": now})
    return made


def is_older(template: Template, language: str) -> bool:
    """Whether the own words changed since somebody last looked at the translation."""
    row = of(template, language)
    return row is not None and "of" in row and row["of"] != print_of(template)


def older(template: Template) -> list[str]:
    """The languages whose words are older than what they translate."""
    now = print_of(template)
    return [row["language"] for row in template.translations if row.get("of", now) != now]
