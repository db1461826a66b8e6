"""What broadcasts that are not over read: segments and the condition of a winner, which cannot go and take new slugs along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import JSONObject
from django.urls import reverse
from django.utils.translation import gettext as _

from nurture.models import Broadcast, BroadcastVariant, Template
from nurture.templating import blocks
from segments.graph import Definition
from segments.models import Segment
from segments.renaming import Rename
from segments.rules import reads_of

NOT_OVER = (*Broadcast.OPEN, *Broadcast.UNDER_WAY)


def definitions() -> Iterator[Definition]:
    """Templates in use that ask by a block, and broadcasts. One statement for both: each page of a segment asks it."""
    first = BroadcastVariant.objects.filter(template=OuterRef("pk"), key="a", broadcast__state__in=NOT_OVER)
    segments = Segment.objects.filter(
        Q(broadcasts=OuterRef("broadcast")) | Q(broadcasts_kept_out=OuterRef("broadcast"))
    )
    told = JSONObject(
        slug="broadcast__slug",
        name="broadcast__name",
        state="broadcast__state",
        rule="broadcast__winner_conditions",
        segments=ArraySubquery(segments.order_by("slug").values("slug").distinct()),
    )
    templates = (
        Template.objects.filter(Q(archived_at=None) & ~Q(blocks=[]) | Exists(first))
        .annotate(broadcasts_of=ArraySubquery(first.order_by("broadcast_id").values(told=told)))
        .order_by("name")
        .defer("body", "text", "translations")
    )
    for template in templates:
        if template.blocks and template.archived_at is None:
            yield blocks.definition(template)
        for one in template.broadcasts_of:
            yield _definition(one)


def _definition(one: dict[str, Any]) -> Definition:
    """Once it was sent the audience is frozen: only the winner is still looked for by a rule."""
    reads = set(reads_of(one["rule"])) if one["rule"] else set()
    if one["state"] in Broadcast.OPEN:
        reads |= {f"segment:{slug}" for slug in one["segments"]}
    url = reverse("nurture:broadcast-detail", args=[one["slug"]])
    return Definition(f"broadcast:{one['slug']}", one["name"], _("broadcast"), url, frozenset(reads))


def rewrite(rename: Rename) -> int:
    """Conditions of winners that name the segment, under its new slug. One statement, and one for each that changes."""
    count = 0
    rows = Broadcast.objects.filter(winner_conditions__icontains=rename.old)
    for row in rows.select_for_update(no_key=True).order_by("pk"):
        after = rename.document(row.winner_conditions)
        if after != row.winner_conditions:
            Broadcast.objects.filter(pk=row.pk).update(winner_conditions=after)
            count += 1
    return count
