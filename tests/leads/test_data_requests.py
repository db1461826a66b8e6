"""Requests about one's own data: asked, listed, answered by a file or a no; who may, and once. What erasing takes: tests/stories."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads import actions, consent, data_requests, merging, person_file
from leads.access import ADMIN, MARKETER, ROLES, SALES
from leads.actions import Refused
from leads.addresses import address_hash
from leads.models import AuditEntry, Contact, DataRequest
from tests.makers import NOW, make_activity, make_contact, make_deal, make_user

pytestmark = pytest.mark.django_db

ADA = "ada@example.test"
# Tables whose rows only repeat, sum up or schedule what a chapter tells.
REPEATED = {
    "leads_activitykey", "leads_mark", "leads_signal", "nurture_triggermatch", "scoring_graduationspared", "scoring_scoredue",
}  # fmt: skip
REFUSED_TO_OTHERS = {MARKETER: 403, SALES: 403, ADMIN: 200}


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(make_user(ADMIN, username="root"))
    return client


def ask(contact: Contact, kind: str = "export", *, now: datetime = NOW) -> DataRequest:
    row, is_new = data_requests.ask(kind, contact=contact, source="by_hand", reason="By letter", actor=None, now=now)
    assert is_new
    return row


def body_of(answer: Any) -> bytes:
    """All of a streamed answer, which closes its file."""
    return b"".join(answer.streaming_content)


def test_no_table_that_names_a_contact_is_left_out_or_told_twice() -> None:
    naming = {"leads_contact", "leads_mark"}
    for model in apps.get_models():
        for field in model._meta.get_fields():
            if isinstance(field, models.ForeignKey) and field.related_model is Contact:
                naming.add(model._meta.db_table)
    told = Counter(table for chapter in person_file.chapters() for table in chapter.tables)
    assert naming - told.keys() == REPEATED
    assert [table for table, times in told.items() if times > 1] == []


def test_the_file_holds_what_is_kept_to_read_and_for_machines(admin: Client) -> None:
    ada = make_contact(ADA, first_name="Ada", last_name="<b>Löwe</b>")
    make_deal(ada, product="Engines")
    for number in range(3):
        make_activity(ada, "page_view", url=f"https://plant.test/{number}", properties={"n": number})
    consent.withdraw_consent(ADA, source="unsubscribe_link", now=NOW, contact=ada)
    somebody_else = make_contact("bob@example.test", first_name="Bob")
    make_activity(somebody_else, subject="of Bob")
    row = ask(ada)
    answer = admin.post(reverse("leads:request-file", args=[row.pk]))
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    body = body_of(answer)
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.namelist() == ["person.json", "person.html", "person.css"]
        document = json.loads(archive.read("person.json"))
        page = archive.read("person.html").decode()
    kept = document["chapters"]
    assert list(kept) == ["person", "deals", "activities", "consent", "data_requests"]
    assert (kept["person"][0]["email"], kept["person"][0]["last_name"]) == (ADA, "<b>Löwe</b>")
    assert [one["url"] for one in kept["activities"]] == [f"https://plant.test/{n}" for n in range(3)]
    assert kept["activities"][2]["properties"] == {"n": 2}
    assert (kept["consent"][0]["state"], kept["deals"][0]["product"]) == ("withdrawn", "Engines")
    assert "&lt;b&gt;Löwe&lt;/b&gt;" in page
    assert "Activities (3)" in page
    assert "Department" not in page  # what is unknown takes no line there
    assert "Bob" not in page + json.dumps(document)
    row.refresh_from_db()
    assert (row.state, row.rows["activities"], str(row.done_by)) == ("done", 3, "root")
    assert AuditEntry.objects.get(verb="exported").detail["rows"] == row.rows
    again = admin.post(reverse("leads:request-file", args=[row.pk]))  # lost on the way: once more, on record too
    assert (again.status_code, len(body_of(again)) > 1_000) == (200, True)
    assert AuditEntry.objects.filter(verb="exported").count() == 2


def test_a_colleague_writes_it_down_and_asking_twice_is_one_request(admin: Client) -> None:
    ada = make_contact(ADA)
    address = reverse("leads:contact-request", args=[ada.pk])
    assert admin.post(address, {"kind": "erase", "reason": ""}).status_code == 422
    answer = admin.post(address, {"kind": "erase", "reason": "By letter of 1 March"})
    row = DataRequest.objects.get()
    assert answer["Location"] == reverse("leads:request-detail", args=[row.pk])
    assert (row.contact, row.source, row.address_hash) == (ada, "by_hand", address_hash(ADA))
    admin.post(address, {"kind": "erase", "reason": "And again"})
    assert DataRequest.objects.get().reason == "By letter of 1 March"
    admin.post(address, {"kind": "export", "reason": "A copy first"})
    assert DataRequest.objects.count() == 2


def test_erasing_wants_a_tick_and_a_reason_and_happens_once(admin: Client) -> None:
    row = ask(make_contact(ADA), "erase")
    address = reverse("leads:request-detail", args=[row.pk])
    assert "Person" in admin.get(address).content.decode()
    assert admin.post(address, {"verb": "erase", "note": "It was them."}).status_code == 422
    assert admin.post(address, {"verb": "erase", "is_sure": "on", "note": " "}).status_code == 422
    assert (
        admin.post(address, {"verb": "erase", "is_sure": "on", "note": f"By mail of {ADA.upper()}"}).status_code == 422
    )
    assert Contact.objects.count() == 1
    answer = admin.post(address, {"verb": "erase", "is_sure": "on", "note": "Asked from their own mailbox."})
    assert answer.status_code == 302
    assert not Contact.objects.exists()
    row.refresh_from_db()
    assert (row.state, row.contact, row.reason, row.rows["person"]) == ("done", None, "", 1)
    assert "What went" in admin.get(address).content.decode()
    with pytest.raises(Refused):
        data_requests.erase(row, note="Again", actor=make_user(ADMIN), now=NOW)
    with pytest.raises(Refused):
        data_requests.export(row, actor=make_user(ADMIN), now=NOW)


def test_a_no_has_its_reason(admin: Client) -> None:
    row = ask(make_contact(ADA))
    address = reverse("leads:request-detail", args=[row.pk])
    assert admin.post(address, {"verb": "refuse", "note": ""}).status_code == 422
    assert admin.post(address, {"verb": "refuse", "note": "They could not say who they are."}).status_code == 302
    row.refresh_from_db()
    assert (row.state, row.answer) == ("refused", "They could not say who they are.")
    answer = admin.post(reverse("leads:request-file", args=[row.pk]))
    assert answer.status_code == 302  # a message instead of a file


@pytest.mark.parametrize("number", [1, 3])
def test_the_list_shows_who_waits_how_long(admin: Client, django_assert_num_queries: object, number: int) -> None:
    for n in range(number):
        ask(make_contact(f"ada{n}@example.test"), now=timezone.now() - timedelta(days=30 + n, hours=1))
        data_requests.refuse(
            ask(make_contact(f"bob{n}@example.test"), "erase"), note="No.", actor=make_user(ADMIN), now=NOW
        )
    admin.get(reverse("leads:request-list"))
    with django_assert_num_queries(6):  # type: ignore[operator]  # session, user, roles, bell; open ones, answered ones
        page = admin.get(reverse("leads:request-list")).content.decode()
    assert page.count("ti-file-download") == number
    assert page.count("refused ·") == number
    assert page.count("bg-red-lt") == number  # asked more than thirty days ago


@pytest.mark.parametrize("name", ["request-list", "request-detail", "contact-request"])
def test_pages_are_for_admins(client: Client, name: str) -> None:
    row = ask(make_contact(ADA))
    arguments: dict[str, list[Any]] = {
        "request-list": [],
        "request-detail": [row.pk],
        "contact-request": [row.contact_id],
    }
    answers = {}
    for role in ROLES:
        client.force_login(make_user(role))
        answers[role] = client.get(reverse(f"leads:{name}", args=arguments[name])).status_code
    assert answers == REFUSED_TO_OTHERS


def test_the_file_is_for_admins(client: Client) -> None:
    row = ask(make_contact(ADA))
    answers = {}
    for role in ROLES:
        client.force_login(make_user(role))
        answer = client.post(reverse("leads:request-file", args=[row.pk]))
        answers[role] = answer.status_code
        if answer.streaming:
            body_of(answer)
    assert answers == REFUSED_TO_OTHERS


def test_a_merge_takes_the_request_along() -> None:
    kept, gone = make_contact(ADA), make_contact("old@example.test")
    row, other = ask(gone), ask(kept, "erase")
    both = ask(gone, "erase")
    merging.merge_contacts(kept, gone=gone, take={}, actor=None, now=NOW)
    for one in (row, other, both):
        one.refresh_from_db()
    assert (row.contact, other.contact, both.contact) == (kept, kept, None)
    assert person_file.person_of(row).addresses == (ADA, "old@example.test")
    assert both.state == "open"
    data_requests.erase(other, note="Them.", actor=make_user(ADMIN), now=NOW)
    assert consent.state_of("old@example.test", "marketing") == consent.state_of(ADA, "marketing") == "withdrawn"


def test_who_was_deleted_and_came_back_is_found_by_the_address() -> None:
    gone = make_contact(ADA)
    row = ask(gone, "erase")
    actions.delete_contact(gone, actor=None, now=NOW)
    row.refresh_from_db()
    assert row.contact is None
    back = make_contact("ADA@example.test")
    assert person_file.person_of(row).contact == back
    data_requests.erase(row, note="Them.", actor=make_user(ADMIN), now=NOW)
    assert not Contact.objects.exists()
