"""What comes next for a contact: equal to what then happens, over programs, windows, the budget, queues, days and the change of clocks."""

from __future__ import annotations

import html
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db.models import Min
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import SALES
from leads.models import Contact, CustomField
from nurture import actions, turn
from nurture.mailing import sending
from nurture.models import Enrolment, MailBudget, Program, Sending, StepVisit
from nurture.publication import publishing
from nurture.simulation import ahead, run
from tests.makers import clear_marks, make_contact, make_segment, make_user
from tests.nurture.makers import (
    mail,
    make_program,
    make_template,
    publish,
    put_in,
    segment_of,
    set_workspace,
    step,
    wait,
)

NOW = datetime(2026, 3, 20, 13, 0, tzinfo=UTC)  # a Friday; clocks change in Berlin on 29 March, in New York they have
BERLIN = ZoneInfo("Europe/Berlin")
LONG_AGO = NOW - timedelta(days=400)
DAYS = 20
HTMX = {"HX-Request": "true"}
LEFT = {"field": "contact.tags", "op": "includes_any", "value": ["left"]}
KEEN = {"field": "contact.tags", "op": "includes_any", "value": ["keen"]}
OPENED = {"did": "email_open"}
RENEWS = {"field": "contact.custom.renewal", "op": "in_next", "value": 10, "unit": "days"}
A_MONTH_OLD = {"field": "contact.created_at", "op": "more_than_ago", "value": 30, "unit": "days"}


def make_world() -> list[Contact]:
    """Five programs that get in each other's way, and people of three clocks in different places of them."""
    set_workspace(timezone="Europe/Berlin", mail_days=[1, 2, 3, 4, 5], mail_start=time(9), mail_end=time(17))
    MailBudget.objects.create(pk=1, mails=2, days=7)
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    letter = make_template(slug="letter", name="Letter")
    people = [
        make_contact(
            "berlin@example.test",
            timezone="Europe/Berlin",
            custom={"renewal": "2026-04-07"},
            tags=["keen"],
            created_at=LONG_AGO,
        ),
        make_contact(
            "york@example.test", timezone="America/New_York", custom={"renewal": "2026-03-25"}, created_at=LONG_AGO
        ),
        make_contact("nowhere@example.test", created_at=NOW - timedelta(days=21, hours=2, minutes=17)),
    ]
    walked = make_program(
        mail(letter, "hello"),
        step("wait_until", "opened", conditions=OPENED, days=5, met=[mail(letter, "more")], late=[mail(letter, "again")]),
        step("wait", "tuesday", until={"days": [2], "at": "02:30", "clock": "contact"}),
        step("branch", "keen", conditions=KEEN, yes=[mail(letter, "offer"), mail(letter, "offer-2")],
             no=[step("add_tag", "tag", tag="keen")]),
        step("wait", "sunday", until={"days": [7], "at": "02:30", "clock": "contact"}),
        step("branch", "keen-now", conditions=KEEN, yes=[step("change_stage", "rise", to="mql")], no=[]),
        name="Walked", now=NOW,
    )  # fmt: skip
    second = make_program(wait(2, "days"), mail(letter), wait(3, "days"), mail(letter), name="Second", now=NOW)
    Program.objects.filter(pk=second.pk).update(priority=1)
    for program, some in ((walked, people), (second, people[1:])):
        put_in(segment_of(program), some, now=NOW)
    for name, rule in (("Renewing", RENEWS), ("Old", A_MONTH_OLD)):
        make_program(wait(1, "days"), mail(letter), segment=make_segment(conditions=rule), name=name, now=NOW)
    made_by_day()
    queued(people)
    clear_marks()
    turn.turn(NOW, full=True)
    sending.send_due(NOW)
    return people


def made_by_day() -> Program:
    """Enters by the clock: the day of renewal, on the contact's own."""
    program = actions.create_program(
        name="Day", trigger_segment=None, document={"steps": [wait(90, "minutes"), step("add_tag", "tag", tag="renewed")]},
        triggers=[{"id": "t1", "kind": "day", "field": "custom.renewal", "at": "09:00", "clock": "contact"}],
        actor=None, now=NOW,
    )  # fmt: skip
    publish(program, intake="new", now=NOW)
    return program


def queued(people: list[Contact]) -> Program:
    """Two a day are let in, and the three stand at the places six to eight."""
    segment = make_segment()
    put_in(segment, [make_contact() for _each in range(5)], now=NOW - timedelta(days=2))
    put_in(segment, people, now=NOW - timedelta(days=1))
    program = make_program(wait(1, "days"), name="Queued", segment=segment, live=False, now=NOW)
    draft = program.versions.get()
    publishing.publish(draft, edit_number=draft.edit_number, intake="all", since=None, per_day=2, actor=None, now=NOW)
    return program


def traces(contact: Contact, since: datetime) -> dict[str, list[Any]]:
    """What was done with the person after that moment, by names that mean the same on every table."""
    visits = StepVisit.objects.filter(enrolment__contact=contact, done_at__gt=since)
    walks = Enrolment.objects.filter(contact=contact)
    mails = Sending.objects.filter(contact=contact)
    return {
        "visits": sorted(visits.values_list("enrolment__program__name", "visit", "step", "outcome", "done_at")),
        "walks": sorted(walks.values_list("program__name", "state", "step", "entered_at", "ended_why")),
        "mails": sorted(mails.values_list("enrolment__program__name", "step", "state", "why_not", "queued_at", "sent_at"), key=repr),
        "facts": list(Contact.objects.filter(pk=contact.pk).values_list("stage", "tags")),
    }  # fmt: skip


def foreseen(contact: Contact, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """The same of the forward calendar, read in the session in which it was worked out."""
    found: list[dict[str, list[Any]]] = []
    collect = ahead._Walk.collect

    def read(walk: ahead._Walk, told: ahead.Found) -> None:
        found.append(traces(contact, NOW))
        collect(walk, told)

    with monkeypatch.context() as patch:
        patch.setattr(ahead._Walk, "collect", read)
        told = ahead.look_ahead(contact.pk, now=NOW, days=DAYS)
    assert not told.is_cut
    return found[0]


def dues(after: datetime) -> Iterator[datetime]:
    """When the engine would find something due, and what only a clock that ticks by the second would meet."""
    walks = Enrolment.objects.filter(state="active").aggregate(due=Min("next_step_at"))["due"]
    mails = Sending.objects.filter(state="queued").aggregate(due=Min("due_at"))["due"]
    day = after.astimezone(BERLIN).date() + timedelta(days=1)
    yield datetime.combine(day, time.min, BERLIN).astimezone(UTC)
    for due in (walks, mails):
        if due is not None:
            yield run.to_the_minute(max(due, after + timedelta(minutes=1)))
    for known in ("2026-04-07T07:00:00+00:00", "2026-03-25T13:00:00+00:00", "2026-03-29T10:44:00+00:00"):
        if (moment := datetime.fromisoformat(known)) > after:
            yield moment


def let_it_happen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product itself, beat by beat, with nobody answering."""
    monkeypatch.setattr(sending._Clock, "at", lambda clock: clock.now)
    monkeypatch.setattr(sending, "SLICE", 1)
    at, until = NOW, NOW + timedelta(days=DAYS)
    while (at := min(dues(at))) <= until:
        while turn.turn(at).did_something or sending.send_due(at).sent:
            pass


@pytest.mark.django_db(transaction=True)
def test_the_calendar_says_what_then_happens(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    people = make_world()
    before = [traces(contact, NOW - timedelta(days=1)) for contact in people]
    told = [foreseen(contact, monkeypatch) for contact in people]
    assert [traces(contact, NOW - timedelta(days=1)) for contact in people] == before  # nobody was touched
    look_at_the_page(client, people[1], monkeypatch)
    let_it_happen(monkeypatch)
    for contact, expected in zip(people, told, strict=True):
        assert traces(contact, NOW) == expected, contact
    walked = {visit[0] for one in told for visit in one["visits"]}
    assert walked == {"Walked", "Second", "Renewing", "Old", "Day", "Queued"}
    assert {mail[3] for one in told for mail in one["mails"]} == {"", "frequency"}  # one was given up for the budget


def look_at_the_page(client: Client, contact: Contact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Words, forks, the short form, an end when the time is up, and somebody whom nothing awaits."""
    monkeypatch.setattr(timezone, "now", lambda: NOW)
    page = reverse("nurture:contact-ahead", args=[contact.pk])
    assert client.get(page).status_code == 302  # to the sign-in
    client.force_login(make_user(SALES))
    shown = client.get(page, {"weeks": "4"}).content.decode()
    for words in (
        "Enters “Queued”",
        "by today's facts",
        "Add the tag “renewed”",
        "Mail “Letter”",
        "Friday, ",
        "their time",
    ):
        assert words in html.unescape(shown), words
    short = client.get(page, {"part": "panel"}).content.decode()
    assert short.count("<li") == 6
    assert "<html" not in short
    panels = client.get(reverse("leads:contact-panels", args=[contact.pk]), headers=HTMX)
    assert f"{page}?part=panel" in panels.content.decode()
    with monkeypatch.context() as patch:
        patch.setattr(ahead, "SECONDS", 0.0)
        assert "longer than a page may wait" in client.get(page).content.decode()
    stranger = make_contact(created_at=NOW)
    empty = client.get(reverse("nurture:contact-ahead", args=[stranger.pk]), {"weeks": "2"})
    assert "Nothing within 2 weeks" in empty.content.decode()
    assert client.get(reverse("nurture:contact-ahead", args=[0])).status_code == 404
