"""Imports that people start in the browser: received, mapped, checked, run by a worker, resumed by the next one when it dies."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from leads import actions, queries_intake
from leads.importing import mapping as mappings
from leads.importing import people
from leads.importing.fields import CUSTOM_OF, FIELDS, REQUIRED
from leads.importing.mapping import BadMapping, Mapping
from leads.importing.reading import FileRefused, Source, open_source
from leads.importing.rows import BadRow
from leads.importing.run import Chunk, Prepared, Tally, make_new_fields, prepare, run
from leads.importing.survey import survey
from leads.intake import Circumstances
from leads.models import ImportJob, ImportReject
from leads.queries_intake import shadow

logger = logging.getLogger(__name__)

State = ImportJob.State

LEASE = timedelta(seconds=30)  # a chunk takes 0.3–0.5 s; the pathological one (one key on every row) some 10 s
AFTER_FAILURE = timedelta(minutes=1)
ABANDONED_AFTER = timedelta(days=7)
SURVEY_ROWS = 20_000
SHOWN_REJECTS = 50
SHOWN_SAMPLE = 5
MOST_NEW_FIELDS_GUESSED = 40  # a file of 300 unknown columns should not become 300 fields by one click

DUE = (State.CHECKING, State.QUEUED, State.RUNNING)
OPEN = (State.MAPPING, State.CHECKING, State.CHECKED, State.QUEUED, State.RUNNING)


class JobLost(Exception):
    """The job was cancelled, or another worker took it over."""


# --- Receiving -------------------------------------------------------------------------------------------------------------


def receive(upload: UploadedFile[bytes], *, kind: str, user: User, now: datetime) -> ImportJob:
    """A job that waits for its columns. An empty `kind` is found out from the columns. Raises FileRefused; nothing is kept then."""
    most = settings.IMPORT_MOST_BYTES
    if (upload.size or 0) > most:
        raise FileRefused(_("The file has more than %(most)d MB.") % {"most": most // 1_000_000})
    forget_abandoned(now)
    people.forget(now)
    name = Path(upload.name or "").name[:300]
    stored_as = f"imports/{secrets.token_hex(16)}{Path(name).suffix.lower()[:10]}"
    path = Path(settings.MEDIA_ROOT) / stored_as
    path.parent.mkdir(parents=True, exist_ok=True)
    job = ImportJob(file_name=name, stored_as=stored_as, kind=kind, requested_by=user, requested_at=now)
    try:
        with path.open("wb") as file:
            for block in upload.chunks():
                file.write(block)
        _look(job, open_source(path, name=name))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    job.save()
    return job


def look_again(job: ImportJob, *, kind: str, encoding: str, delimiter: str) -> None:
    """Read the file another way, or as another kind; the guesses are made anew. Raises FileRefused and leaves the job as it is."""
    source = open_source(path_of(job), name=job.file_name, encoding=encoding, delimiter=delimiter)
    job.kind = kind
    _look(job, source)
    job.state = State.MAPPING
    job.save()


def _look(job: ImportJob, source: Source) -> None:
    columns, seen, is_all = survey(source, limit=SURVEY_ROWS)
    names = [column.name for column in columns]
    job.kind = job.kind or likely_kind(names)
    job.format, job.encoding, job.delimiter = source.format, source.encoding, source.delimiter
    job.rows_total = seen if is_all else None
    job.columns = [column.to_document() for column in columns]
    job.message = "\n".join(source.notes)
    job.preview, job.rows_done, job.new_fields = None, 0, {}
    job.mapping = guess_mapping(job).to_document()


def likely_kind(names: Sequence[str]) -> str:
    """The kind whose fields fit most columns and whose required fields are there."""

    def fit(kind: str) -> tuple[bool, int]:
        guessed = mappings.guess(kind, names, mappings.custom_keys(kind))
        filled = set(guessed.values()) | set(mappings.guess_constants(kind, names, guessed))
        if kind == ImportJob.Kind.DEALS and "contacts" in filled:
            filled.add("external_id")
        return all(filled & set(options) for options in REQUIRED[kind]), len(guessed)

    return max(FIELDS, key=fit)


def guess_mapping(job: ImportJob) -> Mapping:
    """What a marketer would probably choose: shown, never applied unseen."""
    names = [column["name"] for column in job.columns]
    by_name = {column["name"]: column for column in job.columns}
    customs = mappings.custom_keys(job.kind)
    guessed = mappings.guess(job.kind, names, customs)
    columns: dict[str, str | list[str]] = dict(guessed)
    constants = mappings.guess_constants(job.kind, names, guessed)
    targets = set(guessed.values())
    if job.kind == ImportJob.Kind.DEALS and "external_id" not in targets and "contacts" in targets:
        column = next(name for name, target in guessed.items() if target == "contacts")
        columns[column] = ["contacts", "external_id"]
    columns.update(_new_columns(job, [name for name in names if name not in guessed], customs))
    return Mapping(
        columns=columns,
        values=_guessed_values(guessed, by_name),
        dates=_guessed_dates(guessed, by_name),
        ignore=tuple(name for name in names if name not in columns),
        constants=constants,
    )


def _new_columns(job: ImportJob, names: Sequence[str], customs: Sequence[str]) -> dict[str, str]:
    """Columns that could become fields of their own: those that hold something, unless they are very many."""
    filled = [
        column["name"]
        for column in job.columns
        if column["name"] in names and column["filled"] and column["name"] not in mappings.REJECT_COLUMNS
    ]
    if len(filled) > MOST_NEW_FIELDS_GUESSED:
        return {}
    prefix = mappings.custom_prefix(job.kind)
    taken = list(customs)
    found = {}
    for name in filled:
        key = name.removeprefix(prefix)
        if job.kind in CUSTOM_OF:
            key = mappings.field_key(key, taken)
            taken.append(key)
        found[name] = f"{prefix}{key}"
    return found


def _guessed_values(guessed: dict[str, str], by_name: dict[str, dict[str, Any]]) -> dict[str, dict[str, str | None]]:
    found: dict[str, dict[str, str | None]] = {}
    for name, target in guessed.items():
        counts = dict(by_name[name]["values"] or [])
        swaps: dict[str, str | None] = {}
        if target == "status":
            swaps.update(mappings.guess_status(counts))
        elif target in ("product", "industry", "source", "seniority", "department"):
            swaps.update(mappings.guess_twins(counts))
        if swaps:
            found[target] = swaps
    return found


def _guessed_dates(guessed: dict[str, str], by_name: dict[str, dict[str, Any]]) -> str | None:
    """The format that fits every date column; None for ISO, which is always understood."""
    fitting: list[list[str]] = [
        by_name[name]["dates"]
        for name, target in guessed.items()
        if target in ("created_at", "opened_on", "closed_on", "occurred_at") and by_name[name]["filled"]
    ]
    foreign = [forms for forms in fitting if forms and forms[0] not in ("ISO", "%Y-%m-%d") and "T" not in forms[0]]
    common = [form for form in foreign[0] if all(form in forms for forms in foreign)] if foreign else []
    return common[0] if common else None


def path_of(job: ImportJob) -> Path:
    return Path(settings.MEDIA_ROOT) / job.stored_as


def source_of(job: ImportJob) -> Source:
    """Raises FileRefused when the file is gone."""
    path = path_of(job)
    if not job.stored_as or not path.is_file():
        raise FileRefused(_("The file is no longer there; upload it again."))
    return open_source(path, name=job.file_name, encoding=job.encoding, delimiter=job.delimiter)


# --- Steps of a person -----------------------------------------------------------------------------------------------------


def check(job: ImportJob, *, mapping: Mapping, types: dict[str, str], now: datetime) -> None:
    """Put the job to the dry run. `types` of new fields by key, empty = inferred. Raises BadMapping when columns do not fit."""
    names = [column["name"] for column in job.columns]
    mappings.resolve(job.kind, names, mapping, mappings.custom_keys(job.kind), create_fields=True)
    _step(
        job,
        (State.MAPPING, State.CHECKING, State.CHECKED),
        state=State.CHECKING,
        mapping=mapping.to_document(),
        new_fields=types,
        preview=None,
        rows_done=0,
        lease_until=None,
        requested_at=now,
        message="",
    )


def change_columns(job: ImportJob) -> None:
    """Back from the preview to the columns."""
    _step(job, (State.CHECKED, State.CHECKING), state=State.MAPPING, lease_until=None)


def start(job: ImportJob, *, user: User, now: datetime) -> None:
    with transaction.atomic():
        _step(
            job,
            (State.CHECKED,),
            state=State.QUEUED,
            requested_by=user,
            requested_at=now,
            rows_done=0,
            lease_until=None,
        )
        actions.audit(
            user, "started import", job, {"kind": job.kind, "preview": (job.preview or {}).get("counts")}, now
        )


def cancel(job: ImportJob, *, user: User, now: datetime) -> None:
    """What a running import has stored stays; it stops at the next chunk."""
    with transaction.atomic():
        stored = {} if job.state == State.RUNNING else {"rows_done": 0}
        _step(job, OPEN, state=State.CANCELLED, finished_at=now, lease_until=None, **stored)
        actions.audit(user, "cancelled import", job, {"rows_done": job.rows_done}, now)
    path_of(job).unlink(missing_ok=True)
    forget_examples(job)


def forget_examples(job: ImportJob) -> None:
    """Of an import that has ended: the people whose values helped to map its columns. Names of columns and counts stay. At most one statement."""
    columns = [{**column, "examples": [], "values": None} for column in job.columns]
    if columns != job.columns or job.preview:
        ImportJob.objects.filter(pk=job.pk).update(columns=columns, preview=None)


def _step(job: ImportJob, before: Sequence[str], **changes: Any) -> None:
    """Raises JobLost when the job is in none of these states any more."""
    if ImportJob.objects.filter(pk=job.pk, state__in=before).update(**changes) != 1:
        raise JobLost(_("The import has moved on meanwhile."))
    job.refresh_from_db()


def forget_abandoned(now: datetime) -> int:
    """Uploads that nobody went on with; their files go. Asked at each new upload."""
    old = ImportJob.objects.filter(state__in=(State.MAPPING, State.CHECKED), requested_at__lt=now - ABANDONED_AFTER)
    jobs = list(old)
    for job in jobs:
        path_of(job).unlink(missing_ok=True)
        forget_examples(job)
    ImportJob.objects.filter(pk__in=[job.pk for job in jobs]).update(state=State.CANCELLED, finished_at=now)
    return len(jobs)


# --- Workers -----------------------------------------------------------------------------------------------------------------


@dataclass
class Lease:
    """A worker's hold on a job: every write asks whether it still holds, so that two workers never store the same rows."""

    job: ImportJob
    until: datetime
    clock: Callable[[], datetime]

    def renew(self, **changes: Any) -> datetime:
        """Write to the job with a later end of the lease, which the caller keeps once it is committed. Raises JobLost."""
        until = self.clock() + LEASE
        mine = ImportJob.objects.filter(pk=self.job.pk, state=self.job.state, lease_until=self.until)
        if mine.update(lease_until=until, **changes) != 1:
            raise JobLost
        return until

    def keep(self, **changes: Any) -> None:
        """The same outside of a transaction."""
        self.until = self.renew(**changes)

    def end(self, **changes: Any) -> None:
        mine = ImportJob.objects.filter(pk=self.job.pk, state=self.job.state, lease_until=self.until)
        if mine.update(lease_until=None, **changes) != 1:
            raise JobLost


def claim_job(clock: Callable[[], datetime]) -> Lease | None:
    """The oldest job that is due and that no living worker holds."""
    now = clock()
    with transaction.atomic():
        job = (
            ImportJob.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), state__in=DUE)
            .order_by("requested_at")
            .select_for_update(skip_locked=True, no_key=True)
            .first()
        )
        if job is None:
            return None
        job.lease_until = now + LEASE
        if job.state == State.QUEUED:
            job.state = State.RUNNING
            job.started_at = now
            job.created = job.updated = job.unchanged = job.rejected = 0
            job.keeps_people = job.kind == ImportJob.Kind.CONTACTS and people.are_wanted()
            ImportReject.objects.filter(job=job).delete()
            job.people.all().delete()
        job.save()
    return Lease(job, job.lease_until, clock)


def run_due(clock: Callable[[], datetime]) -> int:
    """Works until nothing is due; how many jobs were finished."""
    count = 0
    while lease := claim_job(clock):
        with suppress(JobLost):
            work(lease)
            count += 1
    return count


def work(lease: Lease) -> None:
    """One job to its end. What goes wrong is stored in the row, with a later time to try again, before it is raised."""
    job = lease.job
    try:
        if job.state == State.CHECKING:
            _check(lease)
        else:
            _import(lease)
    except JobLost:
        raise
    except (FileRefused, BadMapping) as error:
        lease.end(state=State.REFUSED, message=str(error), finished_at=lease.clock())
        path_of(job).unlink(missing_ok=True)
        forget_examples(job)
        logger.info("import refused", extra={"job": job.pk, "reason": str(error)})
    except Exception as error:
        ImportJob.objects.filter(pk=job.pk, lease_until=lease.until).update(
            message=_("It failed and will be tried again: %(error)s")
            % {"error": str(error).splitlines()[0][:500] or "?"},
            lease_until=lease.clock() + AFTER_FAILURE,
        )
        raise


def _check(lease: Lease) -> None:
    """The dry run over the whole file: exact counts, the first rejected rows, types of new fields."""
    job = lease.job
    prepared = prepare(
        job.kind, source_of(job), mappings.from_document(job.mapping), create_fields=True, types=dict(job.new_fields)
    )
    lease.keep(rows_total=prepared.rows_total or job.rows_total, rows_done=0)
    done = Tally()
    rejects: list[dict[str, Any]] = []

    def tell(chunk: Chunk) -> None:
        done.add(chunk.tally)
        rejects.extend(
            {"line": reject.line, "reason": reject.reason, "raw": shortened(reject.raw)}
            for reject in chunk.rejects[: SHOWN_REJECTS - len(rejects)]
        )
        lease.keep(rows_done=done.read)

    with shadow() as shade:
        run(prepared, Circumstances(now=lease.clock(), shadow=shade), tell=tell)
    labels = {new.key: new.label for new in prepared.targets.new.values()}
    new_fields = [{"key": key, "label": labels[key], "type": type} for key, type in prepared.new_types.items()]
    lease.end(
        state=State.CHECKED,
        rows_total=done.read,
        new_fields=prepared.new_types,
        preview={
            "counts": done.to_document(),
            "rejects": rejects,
            "new_fields": new_fields,
            "sample": sample_of(prepared, {reject["line"] for reject in rejects}),
        },
    )


def sample_of(prepared: Prepared, rejected: set[int]) -> list[dict[str, str]]:
    """The first rows as they will be stored, by field, in words; without those of the rejected lines."""
    plan = prepared.plan()
    found: list[dict[str, str]] = []
    for raw in islice(prepared.source.rows(), 200):
        if raw.problem or raw.line in rejected or len(found) == SHOWN_SAMPLE:
            continue
        with suppress(BadRow):
            values = plan.convert(raw).values
            bag = mappings.custom_prefix(prepared.kind).rstrip(".")
            flat = {key: value for key, value in values.items() if key != bag}
            flat.update(values.get(bag) or {})
            found.append({key: _in_words(value) for key, value in flat.items()})
    return found


def _in_words(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(str(part) for part in value)[:80]
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="minutes")
    return "" if value is None else str(value)[:80]


def _import(lease: Lease) -> None:
    """From the row that the last chunk stored. Each chunk also moves the job and stores its rejects, in the same transaction."""
    job = lease.job
    prepared = prepare(
        job.kind, source_of(job), mappings.from_document(job.mapping), create_fields=True, types=dict(job.new_fields)
    )
    make_new_fields(prepared, actor=job.requested_by, now=lease.clock())
    done = Tally(job.rows_done, job.created, job.updated, job.unchanged, job.rejected)
    until = lease.until

    def record(chunk: Chunk) -> None:
        ImportReject.objects.bulk_create(
            [
                ImportReject(job=job, line=reject.line, reason=reject.reason[:1000], raw=reject.raw)
                for reject in chunk.rejects
            ],
            batch_size=2_000,
        )
        if job.keeps_people:
            queries_intake.keep_people(job.pk, made=chunk.people_made, changed=chunk.people_changed)
        after = Tally(done.read, done.created, done.updated, done.unchanged, done.rejected)
        after.add(chunk.tally)
        nonlocal until
        until = lease.renew(
            rows_done=after.read,
            created=after.created,
            updated=after.updated,
            unchanged=after.unchanged,
            rejected=after.rejected,
        )

    def tell(chunk: Chunk) -> None:
        done.add(chunk.tally)
        lease.until = until

    circumstances = Circumstances(now=lease.clock(), cause=f"import:{job.pk}", actor_id=job.requested_by_id)
    run(prepared, circumstances, skip=job.rows_done, record=record, tell=tell)
    now = lease.clock()
    with transaction.atomic():
        lease.end(state=State.DONE, rows_total=done.read, finished_at=now, message="")
        if job.keeps_people:
            queries_intake.mark_people(job.pk)
        actions.audit(job.requested_by, "imported", job, {"kind": job.kind, **done.to_document()}, now)
    path_of(job).unlink(missing_ok=True)
    forget_examples(job)


def shortened(raw: Any) -> Any:
    """A rejected row for a page: at most 60 cells of 80 characters."""
    if isinstance(raw, list):
        return [str(cell)[:80] for cell in raw[:60]]
    if isinstance(raw, dict):
        return {key[:80]: str(value)[:80] for key, value in list(raw.items())[:60]}
    return str(raw)[:500]
