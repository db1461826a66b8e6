"""Stored segments and personas as far as a rule that names them needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from segments.conditions.check import BadConditions, Problem, check
from segments.conditions.fields import Catalogue
from segments.conditions.tree import Tree
from segments.models import Persona, Segment, SegmentOverride

# Personas that take people; a draft or a retired one takes nobody (segments/nodes.py).
ASSIGNING = (Persona.Status.ON_TEST, Persona.Status.AGREED)


@dataclass(frozen=True)
class Stored:
    """A segment or persona with its rule; None holds for nobody (a fixed segment)."""

    id: int
    key: str  # segment:<slug>, persona:<slug>
    slug: str
    name: str
    conditions: Any
    has_overrides: bool = False


def segment(slug: str) -> Stored:
    """A segment in use. Raises BadConditions when there is none, saying whether it is archived. Two statements."""
    row = Segment.objects.filter(slug=slug, archived_at=None).values_list("id", "name", "mode", "conditions").first()
    if row is None:
        is_archived = Segment.objects.filter(slug=slug).exists()
        words = _("segment “%(slug)s” is in the archive") if is_archived else _("segment “%(slug)s” does not exist")
        raise BadConditions([Problem("", words % {"slug": slug})])
    number, name, mode, conditions = row
    has_overrides = SegmentOverride.objects.filter(segment_id=number).exists()
    return Stored(
        number, f"segment:{slug}", slug, name, None if mode == Segment.Mode.FIXED else conditions, has_overrides
    )


def personas_until(slug: str) -> list[Stored]:
    """The persona and those before it whose rule wins over its own; nothing when it takes nobody. One statement, two for an unknown one.

    Raises BadConditions when there is no such persona.
    """
    rows = Persona.objects.filter(status__in=ASSIGNING, conditions__isnull=False).order_by("position", "pk")
    found = []
    for number, each, name, conditions in rows.values_list("id", "slug", "name", "conditions"):
        found.append(Stored(number, f"persona:{each}", each, name, conditions))
        if each == slug:
            return found
    if not Persona.objects.filter(slug=slug).exists():
        raise BadConditions([Problem("", _("persona “%(slug)s” does not exist") % {"slug": slug})])
    return []


def tree_of(stored: Stored, catalogue: Catalogue) -> Tree:
    """Its rule. Raises BadConditions, naming the segment or persona, when the rule no longer reads."""
    try:
        return check(stored.conditions, allow_unknown_slugs=True, catalogue=catalogue)
    except BadConditions as error:
        raise BadConditions(
            [Problem(problem.path, f"{stored.key}: {problem.message}") for problem in error.problems]
        ) from error


def loop(keys: list[str]) -> BadConditions:
    """The refusal that names a loop."""
    return BadConditions([Problem("", _("the rules form a loop: %(loop)s") % {"loop": " → ".join(keys)})])
