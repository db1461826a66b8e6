"""Somebody whom every room knows asks, on their preference page, to be erased; then nothing in the database names them, and no file revives them."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import CASCADE, ForeignKey, Model
from django.test import Client
from django.urls import reverse
from psycopg import sql

from leads import actions as facts
from leads import consent, data_requests, merging, person_file, queries
from leads.access import ADMIN
from leads.addresses import address_hash
from leads.models import Asset, Contact, DataRequest, ImportJob, ImportReject, Suppression
from leads.queries_consent import why_blocked
from leads.suppression import suppress
from nurture.mailing import sending
from nurture.models import MailClick, MailHit, MailResponse, ProviderEvent, Sending, Task
from scoring.actions.bant import NewFact, record_bant
from scoring.models import HandOff, ScoreModel
from tests.makers import NOW, make_activity, make_contact, make_deal, make_user
from tests.nurture.makers import mail, make_template, make_walk, set_workspace, wait, walk
from tests.scoring.conftest import beat, model
from tests.scoring.test_hand_offs import make_ripe, visit

__all__ = ["model"]

pytestmark = pytest.mark.django_db

NAME, ADDRESS = "Zephyrine", "zephyrine@example.test"
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _no_floods() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def naming(needle: str) -> list[str]:
    """Tables with a row in which the text stands anywhere."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        )
        for (table,) in sorted(cursor.fetchall()):
            query = sql.SQL("SELECT EXISTS (SELECT FROM {} row WHERE row::text ILIKE %s)").format(sql.Identifier(table))
            cursor.execute(query, [f"%{needle}%"])
            if cursor.fetchone() == (True,):
                found.append(table)
    return found


def everywhere() -> Contact:
    """Somebody whom every room knows, with mails that left, bounced, wait, and were looked at by a colleague."""
    set_workspace(name="Plant", sender_email="ada@plant.test")
    person = make_ripe(first_name=NAME, email=ADDRESS)
    visit(person)
    beat(NOW)
    assert HandOff.objects.filter(contact=person).exists()
    record_bant([NewFact(person.pk, "budget", "yes", note=f"{NAME} said so")], source="call", now=NOW)
    make_deal(person)
    make_activity(person, "form_submit", properties={"name": NAME})
    make_activity(person, "email_click", url=f"https://plant.test/?who={NAME}", subject=f"Hello {NAME}")
    for reader in (person, make_contact()):
        make_activity(reader, "page_view", url="https://plant.test/prices")
    letter = make_template("Hello {{ contact.first_name }}")
    make_walk(mail(letter, "first"), wait(), mail(letter, "second"), people=0)
    for number, state in enumerate(("sent", "bounced", "queued")):
        Sending.objects.create(
            key=f"k{number}", contact=person, template=letter, address=ADDRESS, queued_at=NOW, due_at=NOW, state=state,
            subject=f"Hello {NAME}", html=f"<p>{NAME}</p>", text=NAME, headers=[["To", ADDRESS]], why_not=f"550 <{ADDRESS}>",
        )  # fmt: skip
    Sending.objects.create(
        key="test", contact=person, template=letter, address="colleague@plant.test", is_test=True, state="sent",
        queued_at=NOW, due_at=NOW, subject=f"[Test] Hello {NAME}",
    )  # fmt: skip
    read, link = Sending.objects.get(key="k0"), f"https://plant.test/?who={NAME}"
    MailResponse.objects.create(sending=read, clicks=1, clicked_first_at=NOW, clicked_last_at=NOW)
    MailClick.objects.create(sending=read, place=1, url=link, clicks=1, first_at=NOW, last_at=NOW)
    MailHit.objects.create(sending=read, place=1, at=NOW, url=link, source="x", verdict="person")
    ProviderEvent.objects.create(
        token=read.token, provider="x", key="e1", kind="bounced", at=NOW, received_at=NOW, words=f"550 <{ADDRESS}>"
    )
    before, _is_new = data_requests.ask(
        "export", contact=person, source="by_hand", reason=f"{NAME} wrote", actor=None, now=NOW
    )
    data_requests.refuse(before, note=f"{NAME} could not say who she is", actor=make_user(ADMIN), now=NOW)
    Task.objects.create(contact=person, title=f"Call {NAME}", due_at=None, created_at=NOW)
    consent.ask_consent(
        ADDRESS, purposes=["newsletter"], source="form:x", now=NOW, contact=person, proof={"note": NAME}
    )
    facts.audit(make_user(ADMIN), "changed", person, {"first_name": [NAME, ""]}, NOW)
    suppress(ADDRESS, reason=Suppression.Reason.BOUNCED, source=f"smtp: 550 <{ADDRESS}>", now=NOW)
    job = ImportJob.objects.create(
        kind="contacts", file_name="a.csv", stored_as="imports/a.csv", format="csv", state="done",
        columns=[{"name": "Name", "examples": [NAME], "values": {NAME: 1}, "filled": 1, "dates": []}],
        preview={"counts": {}, "sample": [{"first_name": NAME}]},
    )  # fmt: skip
    ImportReject.objects.create(job=job, line=2, reason="No country", raw={"email": ADDRESS, "first_name": NAME})
    return person


def test_who_asks_to_be_erased_is_named_nowhere_and_never_mailed_again(client: Client, model: ScoreModel) -> None:
    person = everywhere()
    page = reverse("nurture:preferences", args=[consent.preference_token(ADDRESS, person.pk)])
    assert "Ask to be erased" in client.get(page).content.decode()
    assert not DataRequest.objects.filter(state="open").exists()  # looking changes nothing
    for _twice in range(2):
        assert client.post(page, {"verb": "erase"}).status_code == 200
    assert "You asked to be erased" in client.get(page).content.decode()
    request = DataRequest.objects.get(state="open")
    assert (request.kind, request.source, request.contact) == ("erase", "preference_page", person)
    assert len(naming(NAME)) > 8

    rows = data_requests.erase(request, note="Asked from their mailbox.", actor=make_user(ADMIN), now=NOW + DAY)

    assert {
        "person",
        "activities",
        "points",
        "bant",
        "leads",
        "mails",
        "links",
        "hits",
        "tasks",
        "consent",
        "audit",
    } <= rows.keys()
    assert naming(NAME) == []
    assert naming(ADDRESS) == []
    assert dict(Sending.objects.values_list("key", "state")) == {
        "k0": "sent",
        "k1": "bounced",
        "k2": "not_sent",
        "test": "sent",
    }
    assert Sending.objects.get(key="test").address == "colleague@plant.test"
    assert list(Asset.objects.exclude(url="").values_list("url", flat=True)) == ["https://plant.test/prices"]
    assert MailResponse.objects.get().clicks == 1  # the company's count
    assert (MailClick.objects.get().url, MailHit.objects.count()) == ("", 0)
    assert Suppression.objects.get().address == ""  # the hash stays on the list
    token = Sending.objects.get(key="k0").token
    assert client.post(reverse("nurture:unsubscribe", args=[token])).status_code == 200  # old links do no harm
    assert client.get(reverse("nurture:unsubscribe", args=[token]) + "preferences/").status_code == 404
    assert "only be taken off every list" in client.get(page).content.decode()

    Suppression.objects.all().delete()
    Contact.objects.create(email=ADDRESS, first_name="Back")  # by a file
    assert why_blocked([ADDRESS], "newsletter") == {ADDRESS: "withdrawn"}
    beat(NOW + 2 * DAY, full=True)
    walk(NOW + 2 * DAY)
    assert sending.send_due(NOW + 2 * DAY).sent == 0


def upload(name: str, text: str, **values: Any) -> ImportJob:
    folder = Path(settings.MEDIA_ROOT) / "imports"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return ImportJob.objects.create(
        kind="contacts", file_name=name, stored_as=f"imports/{name}", format="csv", columns=[], **values
    )


def uploads() -> set[str]:
    return {path.name for path in (Path(settings.MEDIA_ROOT) / "imports").glob("*")}


def asked(person: Contact) -> DataRequest:
    found, _is_new = data_requests.ask("erase", contact=person, source="by_hand", actor=None, now=NOW)
    return found


def erase(request: DataRequest) -> dict[str, int]:
    return data_requests.erase(request, note="Them.", actor=make_user(ADMIN), now=NOW + DAY)


def test_who_was_deleted_before_is_named_nowhere_either(client: Client, model: ScoreModel) -> None:
    """Nothing but the hash of the preference link tells who asks."""
    person = everywhere()
    page = reverse("nurture:preferences", args=[consent.preference_token(ADDRESS, person.pk)])
    facts.delete_contact(person, actor=make_user(ADMIN), now=NOW)
    assert {"nurture_sending", "leads_auditentry", "leads_asset", "leads_importreject"} <= set(naming(NAME))
    client.post(page, {"verb": "export"})
    client.post(page, {"verb": "erase"})
    copy, request = DataRequest.objects.filter(state="open").order_by("kind").reverse()
    file, rows = person_file.write_file(person_file.person_of(copy), now=NOW)
    with file, zipfile.ZipFile(file) as archive:
        assert NAME in archive.read("person.json").decode()
    assert (rows["mails"], rows["rejected_rows"]) == (3, 1)
    erase(request)
    assert (naming(NAME), naming(ADDRESS)) == ([], [])
    assert Sending.objects.count() == 4  # that they left is counted
    assert consent.state_of(ADDRESS, "product-news") == "withdrawn"


def test_who_had_other_addresses_and_was_two_is_named_nowhere(model: ScoreModel) -> None:
    """Renamed in between, and merged with somebody whose lines of the audit stand under a number that nobody has."""
    person = everywhere()
    actor = make_user(ADMIN)
    twin = make_contact("zephyrine@twin.test", first_name=NAME)
    facts.change_contact(twin, changes={"title": "CFO"}, actor=actor, now=NOW)
    merging.merge_contacts(person, gone=twin, take={}, actor=actor, now=NOW)
    facts.change_contact(person, changes={"email": "zeph@new.test"}, actor=actor, now=NOW)
    colleague = make_contact("colleague@example.test")
    suppress("colleague@example.test", reason="by_hand", source="test", now=NOW)
    Sending.objects.filter(key="k0").update(address="colleague@example.test")  # was theirs, is a colleague's today
    request = asked(person)
    assert set(person_file.person_of(request).addresses) == {ADDRESS, "zephyrine@twin.test", "zeph@new.test"}
    erase(request)
    for needle in (NAME, ADDRESS, "zephyrine@twin.test", "zeph@new.test"):
        assert naming(needle) == []
    assert Suppression.objects.get(pk=address_hash("colleague@example.test")).address == "colleague@example.test"
    assert consent.state_of("colleague@example.test", "marketing") == ""
    assert Contact.objects.filter(pk=colleague.pk).exists()
    for address in (ADDRESS, "zephyrine@twin.test", "zeph@new.test"):
        assert consent.state_of(address, "one-to-one") == "withdrawn"


def test_files_on_the_disk_name_nobody(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    person = make_contact(ADDRESS, first_name=NAME, last_name="Zimt", external_id="z-1")
    waiting = upload("waiting.csv", f"email\n{ADDRESS.upper()}\n", state="checked")
    upload("another.csv", "email\nbob@example.test\n", state="mapping")
    running = upload("running.csv", f"email\n{'x' * 2_000_000}\n{ADDRESS}\n", state="running")
    ended = upload("ended.csv", f"email\n{ADDRESS}\n", state="refused", message="No")
    for name, age in (("left.csv", 7_200), ("arriving.csv", 0)):  # of a process that died; of an upload under way
        path = tmp_path / "imports" / name
        path.write_text(NAME)
        os.utime(path, (time.time() - age,) * 2)
    for raw in (["z-1", "?"], {"a": "zephyrine", "b": "ZIMT"}, ["Zimt", "Bob"], ["z-10"]):
        ImportReject.objects.create(job=ended, line=ImportReject.objects.count(), reason="No address", raw=raw)
    request = asked(person)
    with pytest.raises(facts.Refused, match=r"running\.csv"):
        erase(request)
    assert Contact.objects.filter(pk=person.pk).exists()
    ImportJob.objects.filter(pk=running.pk).update(state="done")
    erase(request)
    assert uploads() == {"another.csv", "arriving.csv"}
    waiting.refresh_from_db()
    assert (waiting.state, waiting.message) == ("cancelled", "It named somebody who was erased.")
    assert [row.raw for row in ImportReject.objects.order_by("line")] == [["Zimt", "Bob"], ["z-10"]]


def test_what_breaks_off_in_the_middle_is_done_from_the_beginning(
    monkeypatch: pytest.MonkeyPatch, model: ScoreModel
) -> None:
    person = everywhere()
    request = asked(person)
    before = naming(NAME)

    def fail(*_all: object) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as broken:
        broken.setattr(queries, "delete_activities_of", fail)  # after every chapter forgot
        with pytest.raises(OSError, match="gone"):
            erase(request)
    request.refresh_from_db()
    assert (request.state, naming(NAME)) == ("open", before)
    assert why_blocked([ADDRESS], "product-news")[ADDRESS] == "bounced"
    erase(request)
    assert naming(NAME) == []


# Tables with words that are about no contact. Whoever adds a table finds here, or in a chapter of leads/person_file.py, where it belongs.
OF_COLLEAGUES = {"auth_group", "auth_permission", "auth_user", "axes_accessattempt", "axes_accessfailurelog"} | {
    "axes_accesslog", "django_admin_log", "django_content_type", "django_migrations", "django_session", "leads_owner",
}  # fmt: skip
OF_THE_COMPANY = {"leads_workspace", "leads_company", "leads_deal", "leads_customfield", "leads_purpose"} | {
    "leads_consentwording", "leads_stage", "leads_activitykind", "leads_suppressionpattern", "scoring_holiday",
}  # fmt: skip
DEFINITIONS = {"segments_segment", "segments_persona", "scoring_scoremodel", "scoring_rule"} | {
    "scoring_routingrule", "scoring_graduationrule", "scoring_answerreason", "nurture_program",
    "nurture_publication", "nurture_simulation", "nurture_trigger", "nurture_broadcast",
    "nurture_template", "nurture_stationery", "nurture_image", "nurture_trackingrule",
    "nurture_trackingdefaults",
}  # fmt: skip
OF_NOBODY = {"leads_activity", "nurture_domainpace", "nurture_domainrest"} | {
    "nurture_mailboxletter", "nurture_mailboxstate",
}  # fmt: skip  # the parent of the months, names of domains, how the mailbox was read


def tables_with_words() -> set[str]:
    """Those with a column of text or JSON that is written freely."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT table_name FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
            WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND NOT starts_with(table_name, 'leads_activity_')
                AND (data_type IN ('text', 'json', 'jsonb') OR character_maximum_length >= 100 OR udt_name = '_text')
            """
        )
        return {name for (name,) in cursor.fetchall()}


def tables_that_go_with_a_contact() -> set[str]:
    """By a chain of foreign keys that deleting the contact follows."""
    gone: set[type[Model]] = {Contact}
    while (
        more := {
            model
            for model in apps.get_models()
            for field in model._meta.get_fields()
            if isinstance(field, ForeignKey) and field.remote_field.on_delete is CASCADE and field.related_model in gone
        }
        - gone
    ):
        gone |= more
    return {model._meta.db_table for model in gone}


def test_every_table_with_words_names_nobody_or_is_searched(model: ScoreModel) -> None:
    everywhere()
    searched = set(naming(NAME)) | set(naming(ADDRESS)) | tables_that_go_with_a_contact()
    searched |= {table for table in tables_with_words() if table.endswith("version")}  # histories of definitions
    assert tables_with_words() - searched == OF_COLLEAGUES | OF_THE_COMPANY | DEFINITIONS | OF_NOBODY
