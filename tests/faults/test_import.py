"""A worker killed in the middle of an import: the next one goes on, nothing is lost and nothing doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from leads.importing import jobs, mapping
from leads.models import Activity, Contact, ImportJob, ImportReject, Mark, Signal
from tests.database import wait_until_alone
from tests.makers import make_contact, make_user

WORKER = """
import os, signal
import django
django.setup()
from django.conf import settings
from django.utils import timezone
from leads.importing import jobs, run
settings.MEDIA_ROOT = {media!r}
run.CHUNK_ROWS = 200
take, chunks = run._taken, []
def take_two(*arguments, **values):
    chunks.append(take(*arguments, **values))
    if len(chunks) == 3:
        os.kill(os.getpid(), signal.SIGKILL)  # its rows are written, but not committed
    return chunks[-1]
run._taken = take_two
jobs.run_due(timezone.now)
"""


def killed_in_the_middle(job: ImportJob, media: Path) -> int:
    """Rows that were stored when the worker was killed."""
    entry = connection.settings_dict
    url = (
        f"postgres://{entry['USER']}:{entry['PASSWORD']}@:{entry['PORT'] or 5432}/{entry['NAME']}?host={entry['HOST']}"
    )
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", WORKER.format(media=str(media))]
    assert subprocess.run(command, check=False, env=environment, timeout=300).returncode == -signal.SIGKILL
    wait_until_alone()
    job.refresh_from_db()
    return int(job.rows_done)


def started(content: str, kind: str) -> ImportJob:
    job = jobs.receive(
        SimpleUploadedFile("file.csv", content.encode()), kind=kind, user=make_user(), now=timezone.now()
    )
    jobs.check(job, mapping=mapping.from_document(job.mapping), types={}, now=timezone.now())
    assert jobs.run_due(timezone.now) == 1
    job.refresh_from_db()
    jobs.start(job, user=make_user(), now=timezone.now())
    return job


@pytest.mark.django_db(transaction=True)
def test_a_killed_import_is_finished_by_the_next_worker(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    lines = [f"c{number},{'bad' if number % 100 == 0 else f'p{number}@x.test'},{number}" for number in range(20_000)]
    job = started("external_id,email,size\n" + "\n".join(lines), "contacts")
    done = killed_in_the_middle(job, tmp_path)
    assert job.state == "running"
    assert done == 400
    assert job.created + job.rejected == done
    assert (Contact.objects.count(), ImportReject.objects.count()) == (job.created, job.rejected)
    assert job.lease_until is not None
    lease_holds = job.lease_until - timedelta(seconds=1)
    assert jobs.run_due(lambda: lease_holds) == 0
    assert jobs.run_due(lambda: timezone.now() + timedelta(minutes=2)) == 1
    job.refresh_from_db()
    assert (job.state, job.rows_done, job.created, job.updated, job.rejected) == ("done", 20_000, 19_800, 0, 200)
    assert (Contact.objects.count(), ImportReject.objects.count(), Mark.objects.count()) == (19_800, 200, 19_800 * 5)


@pytest.mark.django_db(transaction=True)
def test_killed_activities_are_not_doubled(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    contact = make_contact(external_id="c1")
    lines = [
        f"c1,page_view,2026-01-{number % 28 + 1:02d}T10:{number % 60:02d}:00Z,/{number}" for number in range(6_000)
    ]
    job = started("contact,kind,occurred_at,url\n" + "\n".join(lines), "activities")
    done = killed_in_the_middle(job, tmp_path)
    assert done == 400
    assert Activity.objects.count() == Signal.objects.get(contact=contact).n == done
    assert jobs.run_due(lambda: timezone.now() + timedelta(minutes=2)) == 1
    job.refresh_from_db()
    assert (job.state, job.created) == ("done", 6_000)
    assert Activity.objects.count() == Signal.objects.get(contact=contact).n == 6_000
