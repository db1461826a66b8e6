"""Snippets and layouts as YAML documents."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from nurture.actions import NurtureRefused
from nurture.models import Stationery, Template
from nurture.templating import stationery_edits
from segments.definition_kinds import slug_of
from segments.definitions import BadDefinition, DefinitionKind, demand_choice, demand_keys


def _export(with_people: bool) -> Iterable[tuple[str, dict[str, Any]]]:
    for row in Stationery.objects.order_by("slug"):
        document: dict[str, Any] = {"slug": row.slug, "name": row.name, "of": row.kind}
        document |= {"format": row.format, "is_default": row.is_default} if row.kind == Stationery.Kind.LAYOUT else {}
        yield row.slug, document | {"body": row.body}


def _prepare(document: dict[str, Any], now: datetime) -> None:
    """A new one is stored as it is, since templates of the same import are tried with it."""
    demand_keys(
        document,
        required={"slug": str, "name": str, "of": str, "body": str},
        optional={"format": str, "is_default": bool},
    )
    demand_choice(document, "of", Stationery.Kind.values)
    is_layout = document["of"] == Stationery.Kind.LAYOUT
    if is_layout != bool(document.get("format")):
        raise BadDefinition("format", "must be named for a layout, and for nothing else.")
    if is_layout:
        demand_choice(document, "format", Template.Format.values)
    slug = slug_of(document)
    row, _is_new = Stationery.objects.get_or_create(
        slug=slug,
        defaults={
            "kind": document["of"],
            "name": document["name"],
            "format": document.get("format") or "",
            "body": document["body"],
            "version": 0,
            "created_at": now,
        },
    )
    if (row.kind, row.format) != (document["of"], document.get("format") or ""):
        raise BadDefinition("of", "stays what it was when it was made.")


def _apply(document: dict[str, Any], actor: User | None, now: datetime) -> list[str]:
    row = Stationery.objects.get(slug=document["slug"])
    wanted = {"name": document["name"], "body": document["body"], "is_default": bool(document.get("is_default"))}
    if row.version == 0 or any(getattr(row, key) != value for key, value in wanted.items()):
        stationery_edits.save(row, kind=row.kind, slug=row.slug, format=row.format, **wanted, actor=actor, now=now)
    return []


KIND = DefinitionKind("stationery", "stationery", 55, _export, _prepare, _apply, (NurtureRefused,))
