"""Verbs of snippets and layouts: saved unless a mail would break, deleted unless something uses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads.actions import audit
from nurture.actions import EditedMeanwhile, NurtureRefused
from nurture.models import Stationery, StationeryVersion, Template
from nurture.templating import history, stationery
from nurture.templating.rendering import BadTemplate
from nurture.templating.stationery import Cupboard
from nurture.templating.translations import tags

_PARTS = ("body", "text", *stationery.LINES)  # of a template, where snippets may be named


@dataclass(frozen=True)
class Users:
    """Who would notice: templates in use, and snippets and layouts that name it."""

    templates: list[Template]
    others: list[Stationery]

    def __bool__(self) -> bool:
        return bool(self.templates or self.others)

    def __str__(self) -> str:
        names = [row.name for row in self.templates] + [row.name for row in self.others]
        return ", ".join(f"“{name}”" for name in names)


def users(row: Stationery) -> Users:
    """Those that name it themselves, archived templates too. Two statements."""
    words = Q(translations__icontains=row.slug)
    for part in _PARTS:
        words |= Q(**{f"{part}__contains": row.slug})
    templates = Template.objects.filter(words | Q(layout=row.pk)).order_by("name", "pk")
    others = Stationery.objects.filter(body__contains=row.slug).exclude(pk=row.pk)
    is_named = row.kind == Stationery.Kind.SNIPPET
    return Users(
        [one for one in templates if one.layout_id == row.pk or (is_named and row.slug in _named_by(one))],
        [one for one in others if is_named and row.slug in stationery.named(one.body)],
    )


def _named_by(template: Template) -> list[str]:
    texts = [getattr(template, part) for part in _PARTS]
    texts += [row[part] or "" for row in template.translations for part in ("subject", "preheader", "body", "text")]
    return [slug for text in texts for slug in stationery.named(text)]


def save(
    row: Stationery | None,
    *,
    kind: str,
    slug: str,
    name: str,
    format: str,
    body: str,
    is_default: bool,
    actor: User | None,
    now: datetime,
    version: int | None = None,
    reason: str = "",
) -> Stationery:
    """A new one, or another body for one that is there, whose kind, slug and format stay. Raises NurtureRefused, EditedMeanwhile."""
    with transaction.atomic():
        list(Stationery.objects.select_for_update(no_key=True).order_by("pk"))  # loops and defaults concern all of them
        fresh = Stationery(created_at=now) if row is None else Stationery.objects.get(pk=row.pk)
        if row is not None and version is not None and fresh.version != version:
            raise EditedMeanwhile
        if row is None:
            fresh.kind, fresh.slug, fresh.format = kind, slug, format
            if Stationery.objects.filter(slug=slug).exists():
                raise NurtureRefused(_("There is a snippet or layout “%(slug)s” already.") % {"slug": slug})
        if row is not None:
            history.keep_before(fresh)
        fresh.name, fresh.body, fresh.is_default, fresh.updated_at = name, body, is_default, now
        fresh.version += 0 if row is None else 1
        affected = _checked(fresh)
        if is_default:
            Stationery.objects.filter(format=fresh.format, is_default=True).exclude(pk=fresh.pk).update(
                is_default=False
            )
        fresh.save()
        history.keep(fresh, actor=actor, now=now, reason=reason)
        Template.objects.filter(pk__in=affected).update(findings=None)  # read anew when somebody asks
        audit(actor, "created" if row is None else "changed", fresh, {"version": fresh.version}, now)
    return fresh


def restore(
    row: Stationery, *, version: StationeryVersion, opened: int, actor: User | None, now: datetime
) -> Stationery:
    """Name and body of a version again, as a new version; whether new templates begin with it stays. Raises NurtureRefused."""
    return save(
        row,
        kind=row.kind,
        slug=row.slug,
        format=row.format,
        name=version.words["name"],
        body=version.words["body"],
        is_default=row.is_default,
        version=opened,
        actor=actor,
        now=now,
        reason=_("back to version %(n)d") % {"n": version.number},
    )


def _checked(fresh: Stationery) -> list[int]:
    """The templates that read differently now. Raises NurtureRefused where one of them could not become a mail, or for a loop."""
    if fresh.kind == Stationery.Kind.LAYOUT and stationery.places(fresh.body) != 1:
        raise NurtureRefused(_("Say once where the body of a mail stands: {% content %}."))
    others = [*Stationery.objects.exclude(slug=fresh.slug), fresh]
    _refuse_loop(others, fresh.slug)
    cupboard = Cupboard(others)
    affected = [row for row in Template.objects.all() if _reads_otherwise(row, fresh, others)]
    for template in affected:
        for language in ("", *tags(template)) if template.archived_at is None else ():
            try:
                cupboard.compiled(template, language)
            except BadTemplate as error:
                words = _("“%(name)s” could not become a mail any more: %(why)s")
                raise NurtureRefused(words % {"name": template.name, "why": error}) from error
    return [template.pk for template in affected]


def _reads_otherwise(template: Template, fresh: Stationery, others: Sequence[Stationery]) -> bool:
    by_slug = {row.slug: row for row in others}
    layout = next((row for row in others if row.pk is not None and row.pk == template.layout_id), None)
    waiting = [*_named_by(template), *(stationery.named(layout.body) if layout else [])]
    seen = {layout.slug} if layout else set()
    while waiting:
        slug = waiting.pop()
        if slug not in seen:
            seen.add(slug)
            waiting += stationery.named(by_slug[slug].body) if slug in by_slug else []
    return any(fresh.slug == slug or fresh.slug.startswith(f"{slug}-") for slug in seen)


def _refuse_loop(rows: Sequence[Stationery], start: str) -> None:
    names = {row.slug: stationery.named(row.body) for row in rows}
    for slug in names[start]:
        if slug not in names:
            raise NurtureRefused(_("There is no snippet “%(slug)s”.") % {"slug": slug})
    paths: list[tuple[str, ...]] = [(start,)]
    while paths:
        path = paths.pop()
        for slug in names.get(path[-1], []):
            if slug in path:
                loop = " → ".join((*path[path.index(slug) :], slug))
                raise NurtureRefused(_("Snippets may not name each other in a circle: %(loop)s.") % {"loop": loop})
            paths.append((*path, slug))


def delete(row: Stationery, *, actor: User | None, now: datetime) -> None:
    """Refused while anything uses it."""
    with transaction.atomic():
        fresh = Stationery.objects.select_for_update().get(pk=row.pk)
        if found := users(fresh):
            raise NurtureRefused(_("It is used by %(users)s.") % {"users": found})
        audit(actor, "deleted", fresh, {"slug": fresh.slug}, now)
        fresh.delete()
