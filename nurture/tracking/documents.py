"""What a template or program does differently about tracking, as a part of its file: `tracking: {is_off: true, utm: {utm_term: …}}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _

from nurture.models import Program, Template, TrackingRule
from nurture.tracking import actions
from nurture.tracking.plans import UTM_KEYS, WORDS
from segments.definitions import BadDefinition

LONGEST = 100  # characters of a value
_BRACES = re.compile(r"\{([^{}]*)\}")


def problem_of(value: str) -> str:
    """Why a value cannot be added to links, or an empty text."""
    if len(value) > LONGEST:
        return _("has at most %(most)d characters.") % {"most": LONGEST}
    for word in _BRACES.findall(value):
        if word not in WORDS:
            known = ", ".join(f"{{{one}}}" for one in WORDS)
            return _("There is no {%(word)s}; known are %(known)s.") % {"word": word, "known": known}
    return ""


def rules_by_owner(owner: str) -> dict[int, dict[str, Any]]:
    """Template or program (“template”, “program”) -> its rule as a file says it. One statement."""
    rows = TrackingRule.objects.filter(**{f"{owner}__isnull": False})
    return {getattr(row, f"{owner}_id"): _said(row) for row in rows}


def _said(row: TrackingRule) -> dict[str, Any]:
    utm = {key: row.utm[key] for key in UTM_KEYS if row.utm.get(key)}
    return ({"is_off": True} if row.is_off else {}) | ({"utm": utm} if utm else {})


def check(document: Mapping[str, Any] | None) -> None:
    """Raises BadDefinition naming the place."""
    document = document or {}
    _known("tracking", document, ("is_off", "utm"))
    if not isinstance(document.get("is_off", False), bool):
        raise BadDefinition("tracking.is_off", _("must be true or false."))
    utm = document.get("utm") or {}
    if not isinstance(utm, dict):
        raise BadDefinition("tracking.utm", _("must be a mapping."))
    _known("tracking.utm", utm, UTM_KEYS)
    for key, value in utm.items():
        if not isinstance(value, str) or (problem := problem_of(value)):
            raise BadDefinition(f"tracking.utm.{key}", _("must be text.") if not isinstance(value, str) else problem)


def _known(path: str, document: Mapping[str, Any], keys: Iterable[str]) -> None:
    for key in document:
        if key not in keys:
            words = _("is not a key here; known are %(keys)s.") % {"keys": ", ".join(keys)}
            raise BadDefinition(f"{path}.{key}", words)


def apply(owner: Template | Program, document: Mapping[str, Any] | None, *, actor: User | None, now: datetime) -> None:
    """A file that does not speak of tracking leaves it as it is: an older one must not switch it on again."""
    if document is None:
        return
    row, is_off = actions.rule_of(owner), bool(document.get("is_off"))
    utm = {key: value for key, value in (document.get("utm") or {}).items() if value}
    if (row.is_off, row.utm) != (is_off, utm):
        actions.set_rule(owner, is_off=is_off, utm=utm, actor=actor, now=now)
