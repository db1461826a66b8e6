"""Imports of the browser: guessed, checked, run by a worker, resumed after its death, cancelled."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from leads import intake
from leads.importing import jobs, mapping, run
from leads.importing.reading import FileRefused
from leads.models import AuditEntry, Contact, CustomField, Deal, ImportJob, ImportReject
from tests.makers import NOW, make_contact, make_user

pytestmark = pytest.mark.django_db

LEADS = b"""mql_id,first_contact_date,landing_page_id,origin,mail
l1,2018-02-01,p1,social,a@x.test
l2,2017-10-20,p2,paid_search,
l3,2018-13-01,p1,social,
l2,2017-10-20,p2,organic,
"""


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


def ticking() -> Callable[[], datetime]:
    moments = iter(NOW + timedelta(seconds=second) for second in range(10_000))
    return lambda: next(moments)


def receive(content: bytes, name: str = "leads.csv", kind: str = "") -> ImportJob:
    return jobs.receive(SimpleUploadedFile(name, content), kind=kind, user=make_user(), now=NOW)


def checked(job: ImportJob, clock: Callable[[], datetime]) -> ImportJob:
    jobs.check(job, mapping=mapping.from_document(job.mapping), types={}, now=NOW)
    assert jobs.run_due(clock) == 1
    job.refresh_from_db()
    return job


def test_an_upload_is_looked_at_and_guessed() -> None:
    job = receive(LEADS)
    assert (job.kind, job.state, job.rows_total, job.file_name) == ("contacts", "mapping", 4, "leads.csv")
    assert job.mapping == {
        "columns": {
            "mql_id": "external_id",
            "origin": "source",
            "mail": "email",
            "first_contact_date": "created_at",
            "landing_page_id": "custom.landing_page_id",
        }
    }
    assert jobs.path_of(job).read_bytes() == LEADS
    assert [column["name"] for column in job.columns] == [
        "mql_id",
        "first_contact_date",
        "landing_page_id",
        "origin",
        "mail",
    ]


def test_a_refused_upload_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileRefused):
        receive(b"\x00\x01\x02 binary")
    with pytest.raises(FileRefused):
        receive(b"PK\x03\x04", name="leads.xlsx")
    assert ImportJob.objects.count() == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_upload_beyond_the_bound_is_refused(settings: Any) -> None:
    settings.IMPORT_MOST_BYTES = 10
    with pytest.raises(FileRefused, match="more than"):
        receive(LEADS)


def test_the_preview_is_exact_and_writes_nothing_and_the_import_does_the_same() -> None:
    make_contact("other@x.test", external_id="l1", source="social")
    clock = ticking()
    job = checked(receive(LEADS), clock)
    assert (job.state, job.rows_total) == ("checked", 4)
    assert job.preview is not None
    assert job.preview["counts"] == {"read": 4, "created": 1, "updated": 2, "unchanged": 0, "rejected": 1}
    assert job.preview["new_fields"] == [{"key": "landing_page_id", "label": "landing_page_id", "type": "text"}]
    assert [(reject["line"], reject["reason"].split(":")[0]) for reject in job.preview["rejects"]] == [
        (4, "first_contact_date")
    ]
    assert (Contact.objects.count(), CustomField.objects.count(), ImportReject.objects.count()) == (1, 0, 0)
    jobs.start(job, user=make_user(), now=NOW)
    assert jobs.run_due(clock) == 1
    job.refresh_from_db()
    assert (job.state, job.rows_done, job.created, job.updated, job.unchanged, job.rejected) == ("done", 4, 1, 2, 0, 1)
    assert sorted(Contact.objects.values_list("external_id", "source")) == [("l1", "social"), ("l2", "organic")]
    assert ImportReject.objects.get().raw == ["l3", "2018-13-01", "p1", "social", ""]
    assert not jobs.path_of(job).exists()
    assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == [
        "started import",
        "made",
        "imported",
    ]
    again = checked(receive(LEADS), clock)
    assert again.preview is not None
    assert again.preview["counts"]["created"] == 0


def test_won_deals_without_status_and_id_are_guessed() -> None:
    make_contact(external_id="l1")
    clock = ticking()
    job = receive(b"mql_id,seller_id,won_date,sr_id\nl1,s1,2018-02-26 19:58:54,rep\nl9,s2,2018-02-26 19:58:54,rep\n")
    assert (job.kind, job.mapping["constants"]) == ("deals", {"status": "won"})
    assert job.mapping["columns"]["mql_id"] == ["contacts", "external_id"]
    job = checked(job, clock)
    assert job.preview is not None
    assert job.preview["rejects"][0]["reason"] == "unknown contact “l9”"
    jobs.start(job, user=make_user(), now=NOW)
    jobs.run_due(clock)
    deal = Deal.objects.get()
    assert (deal.external_id, deal.status, str(deal.closed_on)) == ("l1", "won", "2018-02-26")


def test_values_and_dates_are_guessed_for_all_to_see() -> None:
    job = receive(
        b"opportunity_id,product,account,deal_stage,engage_date,close_date\n"
        b"o1,GTX Basic,,Won,10/20/2016,3/1/2017\no2,GTXPro,,Prospecting,,\no3,MG Pro,,Lost,10/25/2016,12/31/2017\n"
    )
    assert job.kind == "deals"
    assert job.mapping["dates"] == "%m/%d/%Y"
    assert job.mapping["values"] == {
        "status": {"Won": "won", "Prospecting": "open", "Lost": "lost"},
        "product": {"GTXPro": "GTX Pro"},
    }


def test_a_worker_that_dies_is_followed_by_the_next_and_nothing_is_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ticking()
    lines = "".join(f"c{number},Title {number % 7},{'x' if number % 50 else 'not a date'}\n" for number in range(1000))
    content = "external_id,title,created_at\n" + lines.replace(",x\n", ",2026-01-01\n")
    job = checked(receive(content.encode()), clock)
    jobs.start(job, user=make_user(), now=NOW)
    monkeypatch.setattr(run, "CHUNK_ROWS", 200)
    taken = 0

    def take_and_die(*args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        taken += 1
        if taken == 4:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    original = intake.take
    monkeypatch.setattr(intake, "take", take_and_die)
    with pytest.raises(KeyboardInterrupt):
        jobs.run_due(clock)
    job.refresh_from_db()
    assert (job.state, job.rows_done, Contact.objects.count()) == ("running", 600, 588)
    lease_until = job.lease_until
    assert lease_until is not None
    assert jobs.run_due(lambda: lease_until - timedelta(seconds=1)) == 0
    assert jobs.run_due(lambda: NOW + timedelta(hours=1)) == 1
    job.refresh_from_db()
    assert (job.state, job.rows_done, job.created, job.updated, job.rejected) == ("done", 1000, 980, 0, 20)
    assert (Contact.objects.count(), ImportReject.objects.count()) == (980, 20)


def test_a_worker_that_lost_its_job_stores_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ticking()
    job = checked(receive(b"external_id\n" + b"".join(b"c%d\n" % number for number in range(600))), clock)
    jobs.start(job, user=make_user(), now=NOW)
    monkeypatch.setattr(run, "CHUNK_ROWS", 200)
    lease = jobs.claim_job(clock)
    assert lease is not None
    assert jobs.claim_job(lambda: NOW) is None
    ImportJob.objects.filter(pk=job.pk).update(lease_until=NOW + timedelta(hours=5))  # somebody else's
    with pytest.raises(jobs.JobLost):
        jobs.work(lease)
    assert Contact.objects.count() == 0


def test_a_cancelled_import_stops_and_goes() -> None:
    clock = ticking()
    job = checked(receive(LEADS), clock)
    jobs.cancel(job, user=make_user(), now=NOW)
    assert (job.state, jobs.run_due(clock), jobs.path_of(job).exists()) == ("cancelled", 0, False)
    with pytest.raises(jobs.JobLost):
        jobs.start(job, user=make_user(), now=NOW)


def test_a_job_that_throws_waits_and_keeps_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ticking()
    job = checked(receive(LEADS), clock)
    jobs.start(job, user=make_user(), now=NOW)

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "run", broken)
        with pytest.raises(RuntimeError):
            jobs.run_due(clock)
    job.refresh_from_db()
    assert "disk full" in job.message
    assert job.state == "running"
    assert jobs.run_due(lambda: NOW + timedelta(seconds=1)) == 0
    assert jobs.run_due(lambda: NOW + timedelta(hours=1)) == 1


def test_a_file_that_is_gone_is_refused_and_the_worker_goes_on() -> None:
    clock = ticking()
    job = receive(LEADS)
    jobs.check(job, mapping=mapping.from_document(job.mapping), types={}, now=NOW)
    jobs.path_of(job).unlink()
    assert jobs.run_due(clock) == 1
    job.refresh_from_db()
    assert (job.state, job.message) == ("refused", "The file is no longer there; upload it again.")


def test_uploads_that_nobody_went_on_with_are_forgotten() -> None:
    job = receive(LEADS)
    assert jobs.forget_abandoned(NOW + timedelta(days=6)) == 0
    assert jobs.forget_abandoned(NOW + timedelta(days=8)) == 1
    job.refresh_from_db()
    assert (job.state, jobs.path_of(job).exists()) == ("cancelled", False)


def test_a_type_that_was_chosen_overrules_the_spelling() -> None:
    clock = ticking()
    job = receive(b"external_id,code\nc1,12\nc2,13\n")
    jobs.check(job, mapping=mapping.from_document(job.mapping), types={"code": "text"}, now=NOW)
    jobs.run_due(clock)
    job.refresh_from_db()
    assert job.new_fields == {"code": "text"}
    jobs.start(job, user=make_user(), now=NOW)
    jobs.run_due(clock)
    assert Contact.objects.get(external_id="c1").custom == {"code": "12"}
