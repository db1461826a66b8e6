"""What a graduation rule says: its document, its words, which moves it may make."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from leads.lifecycle import DETOURS, POSITION, STAGES, is_legal_for_rules
from scoring.cards import number
from scoring.models import GraduationRule, ScoreModel
from segments.conditions import BadConditions, check, sentence

# Nobody graduates into “visitor”, where everybody starts, or into a detour, which is no step forward.
TARGETS = tuple(slug for slug, _label, position, is_detour in STAGES if not is_detour and position > 1)
LABELS = {slug: label for slug, label, _position, _is_detour in STAGES}


def document_of(conditions: Any, model: ScoreModel | None, points: Decimal | None) -> dict[str, Any]:
    """Conditions and points as one document; who asks for nothing asks for everybody."""
    parts = [] if conditions in (None, {}) else [conditions]
    if model is not None and points is not None:
        parts.append({"field": f"score.{model.slug}.total", "op": "at_least", "value": number(points)})
    return parts[0] if len(parts) == 1 else {"all": parts}


def document(rule: GraduationRule) -> dict[str, Any]:
    return document_of(rule.conditions, rule.points_of, rule.points)


def words(rule: GraduationRule) -> str:
    """The rule as a sentence."""
    try:
        return sentence(check(document(rule), allow_unknown_slugs=True))
    except BadConditions:
        return ""


def may_leave(to: str) -> list[str]:
    """Stages out of which a rule may move forward to this one: those before it, and the detours but “disqualified”."""
    return [
        slug for slug in POSITION if is_legal_for_rules(slug, to) and (slug in DETOURS or POSITION[slug] < POSITION[to])
    ]


def usual_from(to: str) -> list[str]:
    """Where a rule takes people from unless somebody says otherwise: the stages of the line before it, none of the detours."""
    return [slug for slug in may_leave(to) if slug not in DETOURS]


def at_or_beyond(to: str) -> list[str]:
    """The stage and those after it in the line: whoever came back from one of them was moved back."""
    return [slug for slug in POSITION if slug not in DETOURS and POSITION[slug] >= POSITION[to]]


def stage_words(slugs: Sequence[str]) -> str:
    """Stages in the order of the line: “Subscriber, Inquiry”."""
    return _(", ").join(str(LABELS[slug]) for slug in POSITION if slug in slugs)


def furthest_first(rules: Sequence[GraduationRule]) -> list[GraduationRule]:
    """In the order in which they are asked: whoever meets several goes as far as the furthest."""
    return sorted(rules, key=lambda rule: (-POSITION[rule.to_stage], rule.position, rule.pk or 0))
