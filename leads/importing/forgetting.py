"""What files of an import still tell of somebody who is erased: uploads that lie on the disk, examples of columns, rejected rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils.translation import gettext as _

from leads.actions import Refused
from leads.importing import jobs
from leads.models import Contact, ImportJob, ImportReject
from leads.text import fold

FOLDER = "imports"
ARRIVES_SECONDS = 3_600  # a file lies there before its import is noted
OVERLAP = 4_000  # bytes looked at twice, so that a name on the border of two blocks is found


def forget_uploads(addresses: Sequence[str], *, now: datetime) -> int:
    """Files that went. Those whose import has ended go in any case, and those that no import knows, unless they are just arriving; one that
    waits for a person and names one of the addresses is cancelled. Raises Refused where such a file is just being read.

    The files go before the caller's transaction ends: should it fail, the next try finds fewer of them and does the rest.
    """
    waiting = {job.stored_as: job for job in ImportJob.objects.select_for_update().filter(state__in=jobs.OPEN)}
    ended = set(ImportJob.objects.exclude(state__in=jobs.OPEN).values_list("stored_as", flat=True))
    folder, gone = Path(settings.MEDIA_ROOT) / FOLDER, 0
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        job = waiting.get(f"{FOLDER}/{path.name}")
        if (
            job is None
            and f"{FOLDER}/{path.name}" not in ended
            and time.time() - path.stat().st_mtime < ARRIVES_SECONDS
        ):
            continue
        if job is not None and not _names(path, addresses, job.encoding):
            continue
        if job is not None and job.state in jobs.DUE:
            raise Refused(
                _("The file “%(file)s” names them and is just being imported. Cancel the import or wait for its end.")
                % {"file": job.file_name}
            )
        path.unlink(missing_ok=True)
        gone += 1
        if job is not None:
            job.state, job.finished_at, job.message = job.State.CANCELLED, now, _("It named somebody who was erased.")
            job.save(update_fields=["state", "finished_at", "message"])
    for job in ImportJob.objects.exclude(state__in=jobs.OPEN):
        jobs.forget_examples(job)
    return gone


def _names(path: Path, addresses: Iterable[str], encoding: str) -> bool:
    wanted = [address.encode(encoding, "ignore") for address in addresses]
    before = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            text = (before + block).lower()
            if any(one and one in text for one in wanted):
                return True
            before = block[-OVERLAP:]
    return False


def rejected_rows(contact: Contact | None, addresses: Sequence[str]) -> list[ImportReject]:
    """Rows with one of the addresses, with the external id in a cell, or with both names. One statement over all rejected rows."""
    words = [*addresses, *([contact.external_id or "", contact.last_name] if contact else [])]
    holds = Q(pk__in=[])
    for word in words:
        if word:
            holds |= Q(text__icontains=word) | Q(reason__icontains=word)
    rows = ImportReject.objects.annotate(text=Cast("raw", TextField())).filter(holds).order_by("job_id", "line")
    return [row for row in rows if _is_about(row, contact, addresses)]


def _is_about(row: ImportReject, contact: Contact | None, addresses: Sequence[str]) -> bool:
    text = fold(f"{row.raw} {row.reason}")
    if any(address in text for address in addresses):
        return True
    cells = {fold(cell).strip() for cell in _cells(row.raw)}
    if contact is None:
        return False
    names = {fold(contact.first_name), fold(contact.last_name)}
    return bool(contact.external_id and fold(contact.external_id) in cells) or ("" not in names and names <= cells)


def _cells(raw: Any) -> list[str]:
    if isinstance(raw, dict):
        return [str(value) for value in raw.values()]
    return [str(value) for value in raw] if isinstance(raw, list) else [str(raw)]
