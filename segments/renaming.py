"""Another slug for a segment: every stored rule that names it follows in the same transaction, in all rooms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import transaction
from django.utils.translation import gettext as _

from leads.actions import audit
from leads.queries_vocabulary import own_definitions
from segments.actions import RESERVED_SLUGS, SegmentRefused
from segments.models import Persona, Segment, SegmentVersion

LONGEST_SLUG = 100


@dataclass(frozen=True)
class Rename:
    """From one slug to another. `document` gives a rule as it reads afterwards; the same object when it does not name the segment."""

    old: str
    new: str

    def document(self, document: Any) -> Any:
        if isinstance(document, list):
            parts = [self.document(part) for part in document]
            return parts if any(one is not two for one, two in zip(parts, document, strict=True)) else document
        if not isinstance(document, dict):
            return document
        if document.get("in_segment") == self.old:
            return document | {"in_segment": self.new}
        fresh = {
            key: self.document(value) if key in ("all", "any", "not") else value for key, value in document.items()
        }
        return fresh if any(fresh[key] is not document[key] for key in document) else document


@dataclass(frozen=True)
class Renamed:
    """The new slug, and how many stored rules followed."""

    slug: str
    documents: int


Rewrite = Callable[[Rename], int]

_rewriters: list[Rewrite] = []


def register_rewriter(rewrite: Rewrite) -> None:
    """Let a room write its stored rules anew when a segment gets another slug; it returns how many changed."""
    _rewriters.append(rewrite)


def rename_segment(segment: Segment, *, slug: str, actor: User | None, now: datetime) -> Renamed:
    """SegmentRefused when the slug is none, taken, or a word of our addresses. Nobody joins or leaves by it.

    A few statements per kind of definition; the rows whose rules change are locked.
    """
    _refuse_slug(slug)
    with transaction.atomic():
        own_definitions()
        stored = Segment.objects.select_for_update().get(pk=segment.pk)
        if stored.slug == slug:
            return Renamed(slug, 0)
        if Segment.objects.filter(slug=slug).exists():
            raise SegmentRefused(_("There is a segment with the slug “%(slug)s” already.") % {"slug": slug})
        rename = Rename(stored.slug, slug)
        Segment.objects.filter(pk=stored.pk).update(slug=slug, updated_at=now)
        count = sum(rewrite(rename) for rewrite in (_rewrite_own, *_rewriters))
        stored.slug = slug
        audit(actor, "renamed", stored, {"from": rename.old, "to": slug, "rules": count}, now=now)
    return Renamed(slug, count)


def _refuse_slug(slug: str) -> None:
    try:
        validate_slug(slug)
    except ValidationError as error:
        raise SegmentRefused(_("A slug is made of letters, digits, hyphens and underscores.")) from error
    if len(slug) > LONGEST_SLUG or slug in RESERVED_SLUGS:
        raise SegmentRefused(
            _("“%(slug)s” cannot be a slug: too long, or a word of our own addresses.") % {"slug": slug}
        )


def _rewrite_own(rename: Rename) -> int:
    """Segments and personas with their rules, and the versions of segments, which can be restored."""
    rewrite_rows(SegmentVersion.objects.all(), rename)
    return rewrite_rows(Segment.objects.all(), rename) + rewrite_rows(Persona.objects.all(), rename)


def rewrite_rows(rows: Any, rename: Rename) -> int:
    """Write the column `conditions` of a query's rows anew where it names the segment; how many. Two statements."""
    changed = []
    for row in rows.filter(conditions__icontains=rename.old).select_for_update(no_key=True, of=("self",)):
        fresh = rename.document(row.conditions)
        if fresh is not row.conditions:
            row.conditions = fresh
            changed.append(row)
    if changed:
        rows.model.objects.bulk_update(changed, ["conditions"])
    return len(changed)
