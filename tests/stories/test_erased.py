"""Somebody whom every room knows asks, on their preference page, to be erased; then nothing in the database names them, and no file revives them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.urls import reverse
from psycopg import sql

from leads import actions as facts
from leads import consent, data_requests
from leads.access import ADMIN
from leads.models import Asset, Contact, DataRequest, ImportJob, ImportReject, Suppression
from leads.queries_consent import why_blocked
from leads.suppression import suppress
from nurture.mailing import sending
from nurture.models import MailClick, MailHit, MailResponse, Sending, Task
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
    Task.objects.create(contact=person, title=f"Call {NAME}", due_at=None, created_at=NOW)
    consent.ask_consent(
        ADDRESS, purposes=["newsletter"], source="form:x", now=NOW, contact=person, proof={"note": NAME}
    )
    facts.audit(make_user(ADMIN), "changed", person, {"first_name": [NAME, ""]}, NOW)
    suppress(ADDRESS, reason=Suppression.Reason.BOUNCED, source=f"smtp: 550 <{ADDRESS}>", now=NOW)
    job = ImportJob.objects.create(kind="contacts", file_name="a.csv", stored_as="a.csv", format="csv")
    ImportReject.objects.create(job=job, line=2, reason="No country", raw={"email": ADDRESS, "first_name": NAME})
    return person


def test_who_asks_to_be_erased_is_named_nowhere_and_never_mailed_again(client: Client, model: ScoreModel) -> None:
    person = everywhere()
    page = reverse("nurture:preferences", args=[consent.preference_token(ADDRESS, person.pk)])
    assert "Ask to be erased" in client.get(page).content.decode()
    assert not DataRequest.objects.exists()  # looking changes nothing
    for _twice in range(2):
        assert client.post(page, {"verb": "erase"}).status_code == 200
    assert "You asked to be erased" in client.get(page).content.decode()
    request = DataRequest.objects.get()
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
