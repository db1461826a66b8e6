"""What the claiming statement asks besides suppression: consent for the purpose, pause, send window, frequency, the domain's pace."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from leads.actions import withdraw_consent
from leads.addresses import address_hash
from leads.consent import give_consent, set_wish
from leads.models import Contact, Purpose, Workspace
from nurture import actions
from nurture.mailing import sending, window
from nurture.models import DomainPace, Sending
from nurture.turn import take_in
from tests.makers import NOW, make_contact
from tests.nurture.makers import mail, make_people, make_program, make_template, put_in, segment_of, set_workspace, walk

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _workspace() -> Iterator[None]:
    set_workspace(sender_email="ada@plant.test", postal_address="Hauptstr. 1")
    cache.clear()
    yield
    cache.clear()


def queue(*people: Contact, mails: int = 1, purpose: str = "marketing", now: datetime = NOW) -> None:
    for _each in range(mails):
        program = make_program(mail(make_template(purpose=purpose)), now=now)
        put_in(segment_of(program), people, now=now)
    take_in(now, full=True)
    walk(now)


def states() -> list[tuple[str, str]]:
    return list(Sending.objects.order_by("id").values_list("state", "why_not"))


def wish(person: Contact, **values: Any) -> None:
    set_wish(address_hash(str(person.email)), now=NOW, **values)


def budget(mails: int) -> None:
    actions.set_budget(mails=mails, days=7, actor=None, now=NOW)


# --- Purpose --------------------------------------------------------------------------------------------------------------


def test_mail_for_a_purpose_needs_its_consent() -> None:
    asked, silent, general = make_people(3)
    give_consent(str(asked.email), purposes=["newsletter"], source="form", now=NOW, by_person=True)
    give_consent(str(general.email), purposes=["marketing"], source="form", now=NOW, by_person=True)
    queue(asked, silent, general, purpose="newsletter")
    assert sending.send_due(NOW).sent == 2
    assert dict(Sending.objects.values_list("contact_id", "why_not")) == {
        asked.pk: "",
        silent.pk: "no_consent",
        general.pk: "",
    }
    assert set(Sending.objects.values_list("purpose", flat=True)) == {"newsletter"}


def test_leaving_one_purpose_keeps_the_others_also_while_the_mail_is_queued() -> None:
    (person,) = make_people(1)
    give_consent(str(person.email), purposes=["newsletter", "events"], source="form", now=NOW, by_person=True)
    queue(person, purpose="newsletter")
    queue(person, purpose="events")
    withdraw_consent(str(person.email), purpose="newsletter", source="one_click", now=NOW)
    assert sending.send_due(NOW).sent == 1
    assert dict(Sending.objects.values_list("purpose", "why_not")) == {"newsletter": "withdrawn", "events": ""}


def test_mail_of_a_contract_leaves_whatever_was_refused_and_however_much_it_is() -> None:
    Purpose.objects.create(slug="invoices", name="Invoices", basis="contract")
    Workspace.objects.update(mail_days=[7])
    budget(1)
    (person,) = make_people(1)
    withdraw_consent(str(person.email), source="one_click", now=NOW)
    wish(person, paused_until=NOW + timedelta(days=30), pace="monthly")
    queue(person, mails=2, purpose="invoices")
    assert sending.send_due(NOW).sent == 2
    row = Sending.objects.first()
    assert row is not None
    names = [name for name, _value in row.headers]
    assert row.is_operational
    assert "List-Unsubscribe" not in names
    assert "List-Id" not in names
    assert "Auto-Submitted" in names


# --- Pause ----------------------------------------------------------------------------------------------------------------


def test_a_short_pause_makes_mail_wait_and_a_long_one_ends_it() -> None:
    short, long = make_people(2)
    wish(short, paused_until=NOW + timedelta(days=3))
    wish(long, paused_until=NOW + timedelta(days=30))
    queue(short, long)
    report = sending.send_due(NOW)
    assert (report.sent, report.later, report.not_sent) == (0, 1, 1)
    assert dict(Sending.objects.values_list("contact_id", "state")) == {short.pk: "queued", long.pk: "not_sent"}
    assert {why for _state, why in states()} == {"paused"}
    assert Sending.objects.get(contact=short).due_at == NOW + timedelta(days=3)
    assert sending.send_due(NOW + timedelta(days=3)).sent == 1
    assert Sending.objects.get(contact=short).why_not == ""
    queue(long, now=NOW + timedelta(days=30))
    assert sending.send_due(NOW + timedelta(days=30)).sent == 1


# --- Frequency ------------------------------------------------------------------------------------------------------------


def test_one_budget_over_all_programs() -> None:
    one, other = make_people(2)
    queue(one, mails=3)
    queue(other)
    budget(2)
    report = sending.send_due(NOW)
    assert (report.sent, report.later) == (3, 1)
    late = Sending.objects.get(state="queued")
    assert (late.contact, late.why_not) == (one, "frequency")
    assert timedelta(days=7) <= late.due_at - NOW < timedelta(days=7, minutes=5)
    assert sending.send_due(late.due_at).sent == 1


def test_the_oldest_mail_frees_its_place() -> None:
    (person,) = make_people(1)
    queue(person)
    sending.send_due(NOW)
    queue(person, mails=2, now=NOW + timedelta(days=3))
    budget(2)
    sending.send_due(NOW + timedelta(days=3))
    late = Sending.objects.get(state="queued")
    first = Sending.objects.earliest("id").claimed_at
    assert first is not None
    assert late.due_at == first + timedelta(days=7, milliseconds=5)


def test_a_reader_who_wants_one_a_week_and_one_who_wants_one_a_month() -> None:
    weekly, monthly = make_people(2)
    wish(weekly, pace="weekly")
    wish(monthly, pace="monthly")
    queue(weekly, monthly, mails=2)
    report = sending.send_due(NOW)
    assert (report.sent, report.later, report.not_sent) == (2, 1, 1)
    assert Sending.objects.get(contact=weekly, state="queued").why_not == "frequency"
    assert Sending.objects.get(contact=monthly, state="not_sent").why_not == "frequency"


def test_a_mail_that_came_back_uses_up_nothing() -> None:
    (person,) = make_people(1)
    queue(person)
    sending.send_due(NOW)
    Sending.objects.update(claimed_at=None)
    queue(person, now=NOW + timedelta(hours=1))
    budget(1)
    assert sending.send_due(NOW + timedelta(hours=1)).sent == 1


def test_no_limit_is_no_limit() -> None:
    (person,) = make_people(1)
    queue(person, mails=4)
    assert sending.send_due(NOW).sent == 4


# --- A domain's pace ------------------------------------------------------------------------------------------------------


def test_a_domain_gets_so_many_a_minute() -> None:
    DomainPace.objects.create(domain="slow.test", per_minute=2)
    slow = [make_contact(f"n{number}@Slow.test") for number in range(5)]
    queue(*slow, *make_people(2))
    sent = []
    at = NOW
    for _minute in range(3):
        report = sending.send_due(at)
        sent.append((report.sent, report.later))
        at += timedelta(minutes=1, seconds=30)
    assert sent == [(4, 3), (2, 1), (1, 0)]
    assert set(states()) == {("sent", "")}


def test_an_admin_sets_the_pace_of_a_domain(admin_client: Client) -> None:
    response = admin_client.post("/admin/nurture/domainpace/add/", {"domain": " Slow.TEST", "per_minute": "2"})
    assert (response.status_code, DomainPace.objects.get().domain) == (302, "slow.test")


# --- Window ---------------------------------------------------------------------------------------------------------------

OFFICE = {"mail_days": [1, 2, 3, 4, 5], "mail_start": time(9), "mail_end": time(17)}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "at", "opens"),
    [
        ("", "2026-03-02T09:00", None),
        ("", "2026-03-02T08:59", "2026-03-02T09:00"),
        ("", "2026-03-02T17:00", "2026-03-03T09:00"),
        ("", "2026-03-06T18:00", "2026-03-09T09:00"),
        ("America/New_York", "2026-03-02T12:00", "2026-03-02T14:00"),
        ("America/New_York", "2026-03-06T23:00", "2026-03-09T13:00"),  # daylight saving began between
        ("Asia/Seoul", "2026-03-02T07:59", None),
        ("Asia/Seoul", "2026-03-02T08:00", "2026-03-03T00:00"),
        ("Mars/Olympus", "2026-03-02T08:00", "2026-03-02T09:00"),
    ],
)
def test_the_window_goes_by_the_readers_clock(zone: str, at: str, opens: str | None) -> None:
    home, contact = Workspace(timezone="UTC", **OFFICE), Contact(timezone=zone)
    assert window.opens_at(home, contact, moment(at)) == (moment(opens) if opens else None)


@pytest.mark.parametrize(
    ("days", "hours", "zone", "at", "opens"),
    [
        # over midnight: Friday's night is Friday's, also on Saturday
        ([5], ("22:00", "02:00"), "", "2026-03-06T21:59", "2026-03-06T22:00"),
        ([5], ("22:00", "02:00"), "", "2026-03-07T01:59", None),
        ([5], ("22:00", "02:00"), "", "2026-03-07T02:00", "2026-03-13T22:00"),
        ([5], ("22:00", "02:00"), "", "2026-03-06T01:00", "2026-03-06T22:00"),
        ([5], ("22:00", "02:00"), "Asia/Kolkata", "2026-03-06T16:30", None),
        ([5], ("22:00", "02:00"), "Asia/Kolkata", "2026-03-06T20:30", "2026-03-13T16:30"),
        ([], ("18:00", "00:00"), "", "2026-03-02T23:59", None),
        ([], ("18:00", "00:00"), "", "2026-03-02T00:00", "2026-03-02T18:00"),
        ([], (None, "06:00"), "", "2026-03-02T05:59", None),
        ([], (None, "06:00"), "", "2026-03-02T06:00", "2026-03-03T00:00"),
        ([7], ("21:00", None), "", "2026-03-01T23:59", None),
        ([7], ("21:00", None), "", "2026-03-02T00:00", "2026-03-08T21:00"),
        ([1, 3], (None, None), "Pacific/Kiritimati", "2026-03-01T10:00", None),  # it is Monday there
        ([1, 3], (None, None), "Pacific/Kiritimati", "2026-03-02T10:00", "2026-03-03T10:00"),
        # 02:00 to 03:00 does not exist in Berlin on 29 March: what begins or ends there falls an hour later on the clock
        ([], ("02:30", "05:00"), "Europe/Berlin", "2026-03-29T00:59", "2026-03-29T01:30"),
        ([], ("02:30", "05:00"), "Europe/Berlin", "2026-03-29T01:30", None),
        ([], ("22:00", "02:30"), "Europe/Berlin", "2026-03-29T01:29", None),
        ([], ("22:00", "02:30"), "Europe/Berlin", "2026-03-29T01:30", "2026-03-29T20:00"),
        # 02:00 to 03:00 comes twice there on 25 October: the first counts
        ([], ("02:30", "05:00"), "Europe/Berlin", "2026-10-25T00:29", "2026-10-25T00:30"),
        ([], ("02:30", "05:00"), "Europe/Berlin", "2026-10-25T01:15", None),
        ([], ("22:00", "02:30"), "Europe/Berlin", "2026-10-25T00:29", None),
        ([], ("22:00", "02:30"), "Europe/Berlin", "2026-10-25T01:15", "2026-10-25T21:00"),
        ([], ("22:00", "02:30"), "Europe/Berlin", "2026-10-24T20:00", None),
    ],
)
def test_windows_over_midnight_and_over_changes_of_the_clock(
    days: list[int], hours: tuple[str | None, str | None], zone: str, at: str, opens: str | None
) -> None:
    start, end = (time.fromisoformat(text) if text else None for text in hours)
    home = Workspace(timezone="UTC", mail_days=days, mail_start=start, mail_end=end)
    found = window.opens_at(home, Contact(timezone=zone), moment(at))
    assert found == (moment(opens) if opens else None)


def test_without_a_window_it_is_always_open() -> None:
    assert window.opens_at(Workspace(), None, NOW) is None


def test_mail_waits_for_the_window() -> None:
    Workspace.objects.update(**OFFICE)
    here, there = make_contact(timezone="Europe/Berlin"), make_contact(timezone="America/Los_Angeles")
    queue(here, there)
    report = sending.send_due(NOW)
    assert (report.sent, report.later) == (1, 1)
    late = Sending.objects.get(contact=there)
    assert (late.why_not, late.due_at) == ("window", moment("2026-03-02T17:00"))
    assert sending.send_due(late.due_at).sent == 1
