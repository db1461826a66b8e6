"""The import pages: who may, every step of the way, and what bad files lead to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from leads.access import MARKETER, SALES
from leads.forms.imports import ColumnsForm
from leads.importing import jobs, mapping
from leads.models import Contact, CustomField, Deal, ImportJob, ImportReject
from tests.makers import make_contact, make_user

pytestmark = pytest.mark.django_db

LEADS = "mql_id,first_contact_date,landing_page_id,origin\nl1,2018-02-01,p1,social\nl2,2018-13-01,p2,paid_search\nl3,2017-10-20,p1,=1+1\n"


@pytest.fixture(autouse=True)
def _files(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def upload(client: Client, content: str | bytes = LEADS, name: str = "leads.csv", kind: str = "") -> ImportJob:
    data = content.encode() if isinstance(content, str) else content
    response = client.post("/imports/new/", {"file": SimpleUploadedFile(name, data), "kind": kind})
    job = ImportJob.objects.latest("id")
    assert (response.status_code, response["Location"]) == (302, f"/imports/{job.pk}/columns/")
    return job


def sent(job: ImportJob, **changes: str) -> dict[str, str]:
    """What the browser sends when nothing but `changes` is touched on the page of columns."""
    form = ColumnsForm(job, mapping.from_document(job.mapping), dict(job.new_fields))
    data = {"dates": form.dates, "decimal": form.decimal}
    for column in form.columns:
        data[column.target_name] = column.chosen
        data[column.type_name] = column.type
        data.update({value.name: value.replacement for value in column.values})
    for extra in form.extras:
        data[f"extra-target-{extra.place}"] = extra.target
        data[f"extra-constant-{extra.place}"] = extra.constant
        data[f"extra-column-{extra.place}"] = extra.column
    return {**data, **changes}


def go_on(client: Client, job: ImportJob, **changes: str) -> ImportJob:
    assert client.post(f"/imports/{job.pk}/columns/", sent(job, **changes)).status_code == 302
    jobs.run_due(timezone.now)
    job.refresh_from_db()
    return job


@pytest.mark.parametrize("path", ["", "new/", "1/", "1/columns/", "1/rejects.csv", "1/mapping.json"])
def test_only_who_may_import_sees_the_pages(client: Client, path: str) -> None:
    assert client.get(f"/imports/{path}").status_code == 302
    client.force_login(make_user(SALES))
    assert client.get(f"/imports/{path}").status_code == 403
    client.force_login(make_user(MARKETER))
    assert client.get(f"/imports/{path}").status_code == (200 if path in ("", "new/") else 404)


@pytest.mark.parametrize("path", ["start/", "cancel/", "change/", "reading/"])
def test_steps_are_posts_by_people_who_may(client: Client, marketer: Client, path: str) -> None:
    job = upload(marketer)
    assert marketer.get(f"/imports/{job.pk}/{path}").status_code == 405
    client.force_login(make_user(SALES))
    assert client.post(f"/imports/{job.pk}/{path}").status_code == 403


def test_the_whole_way(marketer: Client) -> None:
    assert "No import yet" in marketer.get("/imports/").content.decode()
    job = upload(marketer)
    page = marketer.get(f"/imports/{job.pk}/columns/").content.decode()
    assert "landing_page_id" in page
    assert marketer.get(f"/imports/{job.pk}/")["Location"] == f"/imports/{job.pk}/columns/"
    assert marketer.post(f"/imports/{job.pk}/columns/", sent(job)).status_code == 302
    running = marketer.get(f"/imports/{job.pk}/", headers={"HX-Request": "true"}).content.decode()
    assert 'hx-trigger="every 1s"' in running
    assert "<html" not in running
    jobs.run_due(timezone.now)
    preview = marketer.get(f"/imports/{job.pk}/").content.decode()
    assert "Import 2 rows" in preview
    assert "is no date" in preview
    assert Contact.objects.count() == 0
    marketer.post(f"/imports/{job.pk}/start/")
    jobs.run_due(timezone.now)
    report = marketer.get(f"/imports/{job.pk}/").content.decode()
    assert "Done: 2 rows are in." in report
    assert "hx-trigger" not in report.split('id="import-state"')[1].split(">")[0]
    assert sorted(Contact.objects.values_list("external_id", "source")) == [("l1", "social"), ("l3", "=1+1")]
    rejects = b"".join(marketer.get(f"/imports/{job.pk}/rejects.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert rejects.splitlines()[0] == "mql_id,first_contact_date,landing_page_id,origin,ripen_line,ripen_reason"
    assert rejects.splitlines()[1].startswith("l2,2018-13-01,p2,paid_search,3,first_contact_date: ")
    assert json.loads(marketer.get(f"/imports/{job.pk}/mapping.json").content)["columns"]["origin"] == "source"
    assert "leads.csv" in marketer.get("/imports/").content.decode()


def test_a_page_says_everything_that_the_next_page_needs(marketer: Client) -> None:
    """What the form shows and sends back is the mapping that it was made from."""
    for content in (
        LEADS,
        "mql_id,won_date,lead_type\nl1,2018-02-26 10:00:00,online\n",
        "opportunity_id,product,account,deal_stage,engage_date\no1,GTX Basic,A,Won,10/20/2016\no2,GTXPro,A,Lost,\no3,MG Pro,,New,\n",
    ):
        job = upload(marketer, content)
        read, types = ColumnsForm.read(job, sent(job))
        assert (read.to_document(), types) == (job.mapping, {})


def test_choices_on_the_page_are_followed(marketer: Client) -> None:
    job = upload(marketer, "id,Plan Name,seats,junk\nc1,pro,5,x\nc2,free,7,y\n")
    job = go_on(
        marketer,
        job,
        **{
            "target-0": "external_id",
            "target-1": "new",
            "type-1": "text",
            "target-2": "new",
            "type-2": "text",
            "target-3": "",
            "extra-target-0": "source",
            "extra-constant-0": "fair",
            "extra-target-1": "title",
            "extra-column-1": "Plan Name",
        },
    )
    marketer.post(f"/imports/{job.pk}/start/")
    jobs.run_due(timezone.now)
    contact = Contact.objects.get(external_id="c1")
    assert (contact.custom, contact.source, contact.title) == ({"plan_name": "pro", "seats": "5"}, "fair", "pro")
    assert dict(CustomField.objects.values_list("key", "label")) == {"plan_name": "Plan Name", "seats": "seats"}


def test_values_are_replaced_as_the_page_says(marketer: Client) -> None:
    job = upload(
        marketer, "opportunity_id,deal_stage,product\n" + "o1,Won,GTXPro\no2,Stuck,MG\no3,Won,MG\no4,Stuck,MG\n"
    )
    assert job.kind == "deals"
    stuck = next(
        value.name
        for column in ColumnsForm(job, mapping.from_document(job.mapping), {}).columns
        for value in column.values
        if value.text == "Stuck"
    )
    job = go_on(marketer, job, **{stuck: "lost"})
    assert job.preview is not None
    assert job.preview["counts"]["rejected"] == 0
    marketer.post(f"/imports/{job.pk}/start/")
    jobs.run_due(timezone.now)
    assert Deal.objects.filter(status="lost").count() == 2


def test_columns_that_do_not_fit_come_back_with_the_reason(marketer: Client) -> None:
    job = upload(marketer)
    response = marketer.post(f"/imports/{job.pk}/columns/", sent(job, **{"target-0": "", "target-3": "title"}))
    assert response.status_code == 422
    assert "No column fills external_id / email" in response.content.decode()
    response = marketer.post(f"/imports/{job.pk}/columns/", sent(job, **{"target-3": "external_id"}))
    assert "Two columns" in response.content.decode()
    job.refresh_from_db()
    assert job.state == "mapping"


def test_a_file_can_be_read_another_way(marketer: Client) -> None:
    job = upload(marketer, "id,name\n1,Привет\n".encode("cp1251"), kind="companies")
    assert "Windows-1252" in marketer.get(f"/imports/{job.pk}/columns/").content.decode()
    marketer.post(f"/imports/{job.pk}/reading/", {"kind": "companies", "encoding": "cp1251", "delimiter": ","})
    job.refresh_from_db()
    assert job.columns[1]["examples"] == ["Привет"]
    marketer.post(f"/imports/{job.pk}/reading/", {"kind": "contacts", "encoding": "utf-8", "delimiter": ","})
    job.refresh_from_db()
    assert (job.kind, job.encoding) == ("companies", "cp1251")  # it cannot be read that way: as it was


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.csv", b"", "empty"),
        ("a.xlsx", b"PK\x03\x04", "neither .csv nor .jsonl"),
        ("a.csv", b"a\x00b\n", "NUL"),
        ("a.csv", b"ada@x.test,Ada\n", "no header"),
    ],
)
def test_refused_files_are_told_on_the_page(marketer: Client, name: str, content: bytes, reason: str) -> None:
    response = marketer.post("/imports/new/", {"file": SimpleUploadedFile(name, content), "kind": ""})
    assert response.status_code == 422
    assert reason in response.content.decode()
    assert ImportJob.objects.count() == 0


def test_three_hundred_columns_have_a_page(marketer: Client) -> None:
    header = ",".join(["external_id", *(f"col{number}" for number in range(299))])
    job = upload(marketer, header + "\n" + ",".join(["c1", *["v"] * 299]) + "\n")
    assert list(job.mapping["columns"]) == ["external_id"]
    assert marketer.get(f"/imports/{job.pk}/columns/").status_code == 200
    job = go_on(marketer, job)
    assert job.preview is not None
    assert job.preview["counts"]["created"] == 1


def test_cancelling_and_coming_too_late(marketer: Client) -> None:
    job = go_on(marketer, upload(marketer))
    marketer.post(f"/imports/{job.pk}/cancel/")
    assert "nothing was stored" in marketer.get(f"/imports/{job.pk}/").content.decode()
    response = marketer.post(f"/imports/{job.pk}/start/", follow=True)
    assert "has moved on meanwhile" in response.content.decode()
    assert marketer.get(f"/imports/{job.pk}/columns/").status_code == 302


def test_back_from_the_preview_to_the_columns(marketer: Client) -> None:
    job = go_on(marketer, upload(marketer))
    assert marketer.post(f"/imports/{job.pk}/change/")["Location"] == f"/imports/{job.pk}/columns/"
    job.refresh_from_db()
    assert job.state == "mapping"
    assert go_on(marketer, job).state == "checked"


def test_text_of_the_file_is_never_markup(marketer: Client) -> None:
    job = upload(marketer, 'external_id,"<script>alert(1)</script>",email\nc1,<b>x</b>,<img src=x>\n')
    assert "<script>alert" not in marketer.get(f"/imports/{job.pk}/columns/").content.decode()
    job = go_on(marketer, job)
    page = marketer.get(f"/imports/{job.pk}/").content.decode()
    assert "<img src=x>" not in page
    assert "<b>x</b>" not in page


@pytest.mark.parametrize("count", [1, 3])
def test_the_list_costs_the_same_whatever_its_length(
    marketer: Client, count: int, django_assert_max_num_queries: Any
) -> None:
    for _number in range(count):
        upload(marketer)
    marketer.get("/imports/")
    with django_assert_max_num_queries(8):
        marketer.get("/imports/")


def test_json_lines_through_the_browser(marketer: Client) -> None:
    make_contact(external_id="c1")
    row = {"contact": "c1", "kind": "call", "occurred_at": "2026-01-01T10:00:00Z", "properties": {"n": 1}}
    job = upload(marketer, json.dumps(row) + "\nbroken\n", name="a.jsonl")
    assert job.kind == "activities"
    job = go_on(marketer, job)
    marketer.post(f"/imports/{job.pk}/start/")
    jobs.run_due(timezone.now)
    assert ImportReject.objects.get(job=job).line == 2
    rejects = b"".join(marketer.get(f"/imports/{job.pk}/rejects.csv").streaming_content).decode()  # type: ignore[attr-defined]
    assert rejects.splitlines()[1].startswith("broken,2,")
