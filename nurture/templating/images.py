"""Pictures that mails show: kept once by their content, served under a name that nobody guesses, gone only when no template names them."""

from __future__ import annotations

import os
import secrets
import tempfile
from datetime import datetime
from pathlib import Path
from typing import IO

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads.actions import audit
from nurture.actions import NurtureRefused
from nurture.models import Image, Stationery, Template
from nurture.templating import image_files

FOLDER = "images"  # below MEDIA_ROOT
TOKEN_BYTES = 16


def store(
    file: IO[bytes], *, size: int, name: str, actor: User | None, now: datetime
) -> tuple[Image, bool, tuple[str, ...]]:
    """The picture, whether it is new, and what was done to it. The same content is kept once. Raises image_files.BadImage."""
    found = image_files.prepared(file, size)
    label = " ".join(Path(name).stem.replace("_", " ").split())[:200] or _("Image")
    with transaction.atomic():
        image, is_new = Image.objects.get_or_create(
            sha256=found.sha256,
            defaults={
                "token": secrets.token_urlsafe(TOKEN_BYTES),
                "name": label,
                "kind": found.kind,
                "width": found.width,
                "height": found.height,
                "bytes": len(found.data),
                "uploaded_by": actor,
                "uploaded_at": now,
            },
        )
        path = path_of(image)
        if is_new or not path.exists():  # a file that was lost is healed by the same upload
            _write(path, found.data)
        if is_new:
            audit(actor, "uploaded", image, {"bytes": image.bytes, "kind": image.kind}, now)
    return image, is_new, found.remarks


def describe(image: Image, *, name: str, alt: str, actor: User | None, now: datetime) -> None:
    """Its name for colleagues, and the words that templates begin with where it is put in."""
    if (image.name, image.alt) == (name, alt):
        return
    with transaction.atomic():
        image.name, image.alt = name, alt
        image.save(update_fields=["name", "alt"])
        audit(actor, "described", image, {"alt": alt}, now)


def delete(image: Image, *, actor: User | None, now: datetime) -> None:
    """Raises NurtureRefused while a template in use names it."""
    with transaction.atomic():
        row = Image.objects.select_for_update().get(pk=image.pk)
        users = [template.name for template in templates_with(row) if template.archived_at is None]
        if users := users + [one.name for one in Stationery.objects.filter(body__contains=row.token).order_by("name")]:
            raise NurtureRefused(
                _("“%(image)s” stands in %(templates)s: take it out there first.")
                % {"image": row.name, "templates": ", ".join(f"“{name}”" for name in users)}
            )
        audit(actor, "deleted", row, {"name": row.name}, now)
        row.delete()
        # before the commit, while the row is locked: the same picture uploaded meanwhile waits, and writes its file after us
        path_of(image).unlink(missing_ok=True)


def templates_with(image: Image) -> list[Template]:
    """Templates that name it in any language, archived ones too. One statement that reads their texts."""
    named = Q(body__contains=image.token) | Q(translations__icontains=image.token)
    return list(Template.objects.filter(named).defer("body", "translations").order_by("name"))


def path_of(image: Image) -> Path:
    return Path(settings.MEDIA_ROOT) / FOLDER / f"{image.sha256}.{image.kind}"


def _write(path: Path, data: bytes) -> None:
    """The whole file or none, whenever the machine stops."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
