"""Simulations: the same traces as the real run under one clock and one seed, no live row touched, every kind of step, the page."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test import Client
from django.urls import reverse

from leads.access import MARKETER, SALES
from leads.actions import NewActivity, record_activities
from leads.consent import withdraw_consent
from leads.models import Contact, Mark
from nurture import sending, turn
from nurture.kinds import KINDS
from nurture.models import Enrolment, MailBudget, Program, ProgramVersion, Sending, Simulation, StepVisit
from nurture.simulation import jobs, queries, reading, run, tables
from nurture.simulation.assumptions import Assumptions, rates
from tests.makers import NOW, make_contact, make_owner, make_user
from tests.nurture import random_programs
from tests.nurture.makers import (
    mail,
    make_people,
    make_program,
    make_template,
    publish,
    put_in,
    segment_of,
    set_workspace,
    step,
    wait,
)
from tests.scoring.conftest import make_model

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "")
ASSUMED = Assumptions(days=33, open_rate=60, click_rate=50, answer_rate=50, seed=7)
OPENED = {"did": "email_open"}
ANSWERED = {"did": "form_submit"}


def nurturing(*, people: int = 16) -> Program:
    """A draft with mails, answers that decide, windows, the readers' own clocks, a budget and a goal; and people of four zones."""
    set_workspace(timezone="Europe/Berlin", mail_days=[1, 2, 3, 4, 5], mail_start=time(9), mail_end=time(17))
    MailBudget.objects.create(pk=1, mails=2, days=7)
    letter = make_template(slug="letter")
    program = make_program(
        mail(letter, "hello"),
        step(
            "wait_until", "opened", conditions=OPENED, days=5,
            met=[mail(letter, "more"), step("add_tag", "keen", tag="keen")], late=[mail(letter, "again")],
        ),
        step("wait", "tuesday", until={"days": [2], "at": "09:00", "clock": "contact"}),
        step("branch", "keen-or-not", conditions={"field": "contact.tags", "op": "includes_any", "value": ["keen"]},
             yes=[mail(letter, "offer"), mail(letter, "offer-2")], no=[]),
        wait(20, "days", "rest"),
        mail(letter, "last"),
        name="Nurturing",
        live=False,
    )  # fmt: skip
    draft = program.versions.get()
    around = {"goal": {"conditions": ANSWERED}, "exit": {"when": "no_member"}}
    ProgramVersion.objects.filter(pk=draft.pk).update(around=around)
    found = [make_contact(timezone=ZONES[number % 4]) for number in range(people)]
    put_in(segment_of(program), found)
    withdraw_consent(str(found[5].email), source="test", now=NOW, contact=found[5])
    turn.turn(NOW)
    return program


def version_of(program: Program) -> ProgramVersion:
    return program.versions.select_related("program").get()


def traces(since: datetime) -> dict[str, list[Any]]:
    """Every row of what was walked and mailed, by names that mean the same in both runs."""
    visits = StepVisit.objects.filter(done_at__gte=since).order_by("enrolment__contact_id", "visit")
    walks = Enrolment.objects.order_by("contact_id")
    mails = Sending.objects.order_by("contact_id", "queued_at", "step")
    return {
        "visits": list(visits.values_list("enrolment__contact_id", "visit", "step", "outcome", "done_at")),
        "walks": list(walks.values_list("contact_id", "state", "step", "next_step_at", "ended_at", "ended_why", "goal_at")),
        "mails": list(mails.values_list("contact_id", "step", "state", "why_not", "queued_at", "due_at", "sent_at")),
        "facts": list(Contact.objects.order_by("id").values_list("id", "stage", "tags")),
    }  # fmt: skip


def simulated(program: Program, assumptions: Assumptions) -> tuple[dict[str, list[Any]], list[datetime]]:
    """The traces of a simulation, and the moments of its beats."""
    version = version_of(program)
    people = run.people_of(version, NOW)
    beats = []
    with tables.own_session():
        world = run.make_world(version, people, assumptions, now=NOW)
        for at in run.moments(world):
            run.beat(world, at)
            beats.append(at)
        return traces(NOW), beats


def real(
    program: Program, assumptions: Assumptions, beats: list[datetime], monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[Any]]:
    """The product itself under the same clock; its readers answer as the seed says."""
    monkeypatch.setattr(sending._Clock, "at", lambda clock: clock.now)
    monkeypatch.setattr(
        sending, "SLICE", 1
    )  # of two mails in one slice the second counts the first as sent before it is
    publish(program, intake="all", now=NOW)
    answers: list[tuple[int, str, datetime]] = []
    drawn = set[int]()
    for at in beats:
        due, answers = [one for one in answers if one[2] <= at], [one for one in answers if one[2] > at]
        record_activities([NewActivity(contact, kind, when) for contact, kind, when in due], now=at)
        for _each in range(run.MOST_BEATS_AT_ONCE):
            turn.turn(at)
            sending.send_due(at)
            sent = set(Sending.objects.filter(state="sent").values_list("pk", flat=True)) - drawn
            answers += queries.drawn(sorted(sent), assumptions)
            drawn |= sent
            if not sent and not Mark.objects.exists():
                break
    return traces(NOW)


@pytest.mark.django_db(transaction=True)
def test_the_simulation_and_the_real_run_leave_the_same_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    program = nurturing()
    before = (Enrolment.objects.count(), Sending.objects.count(), Mark.objects.count())
    foreseen, beats = simulated(program, ASSUMED)
    assert (Enrolment.objects.count(), Sending.objects.count(), Mark.objects.count()) == before
    happened = real(program, ASSUMED, beats, monkeypatch)
    for what, rows in happened.items():
        assert foreseen[what] == rows, what
    steps = {(visit[2], visit[3]) for visit in foreseen["visits"]}
    assert {("opened", "met"), ("opened", "late"), ("keen-or-not", "yes"), ("keen-or-not", "no")} <= steps
    assert "goal" in {walk[5] for walk in foreseen["walks"]}
    assert {"sent", "not_sent"} <= {row[2] for row in foreseen["mails"]}


@pytest.mark.django_db(transaction=True)
def test_every_kind_of_step_walks_without_touching_a_live_row() -> None:
    """Whatever would write a live row, or lock one, fails in that session, and the person would be parked."""
    make_owner("Olga", user=make_user(MARKETER))
    make_template(slug="letter")
    people = make_people(6, stage="inquiry")
    make_model(
        rules=[("fit", "Hot", 1, {"field": "contact.tags", "op": "includes_any", "value": [random_programs.HOT]})]
    )
    met = make_program(wait(1), name="Other", intake="new")
    Program.objects.filter(pk=met.pk).update(slug="other")
    fixed = segment_of(met)
    steps = [
        node | ({"segment": fixed.slug} if "segment" in node else {}) for node in random_programs.every_kind().steps
    ]
    steps[:0] = [
        step("split", "split", weights={"a": 1, "b": 1}, a=[], b=[]),
        step("notify", "notify", text="Look", whom="owner"),
        step("webhook", "webhook", url="https://receiver.example/ripen"),
    ]
    assert {node["kind"] for node in steps} == set(KINDS)
    program = make_program(*steps, live=False)
    put_in(segment_of(program), people)
    turn.turn(NOW)
    before = fingerprints()
    found = run.simulate(version_of(program).pk, Assumptions(days=7), now=NOW)
    assert fingerprints() == before
    assert (found["totals"]["people"], found["totals"]["parked"]) == (6, 0)
    assert found["totals"]["hand_offs"] == 6
    assert {step for step, _outcome in walked(found)} == {"start", *(node["id"] for node in steps)}
    with tables.own_session():
        tables.take_over([], reading.Reading(frozenset(), None, scores=True))
        for statement in ("UPDATE leads_owner SET name = name", "SELECT FROM public.leads_contact FOR NO KEY UPDATE"):
            with pytest.raises(DatabaseError, match="read-only"), connection.cursor() as cursor:
                cursor.execute(statement)


def walked(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(step, outcome) for step, outcomes in found["steps"].items() for outcome in outcomes}


def fingerprints() -> dict[str, tuple[int, str]]:
    """Of each live table how many rows it has, and which row versions."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
        )
        names = sorted(name for (name,) in cursor.fetchall())
        found = {}
        for name in names:
            cursor.execute(
                f"SELECT count(*), coalesce(md5(string_agg(row::text, '|' ORDER BY row::text)), '') FROM public.{name} row"
            )
            found[name] = cursor.fetchone()
        return found


@pytest.mark.django_db(transaction=True)
def test_people_enter_day_by_day_and_two_parts_say_what_one_says(monkeypatch: pytest.MonkeyPatch) -> None:
    program = nurturing(people=9)
    assumptions = Assumptions(days=6, per_day=2, open_rate=0)
    whole = run.simulate(version_of(program).pk, assumptions, now=NOW)
    monkeypatch.setattr(run, "IN_PARTS_FROM", 1)
    parted = run.simulate(version_of(program).pk, assumptions, now=NOW)
    assert [day["entered"] for day in whole["days"].values() if "entered" in day] == [2, 2, 2, 2, 1]
    assert sum(day.get("entered", 0) for day in parted["days"].values()) == 9
    assert parted["totals"]["mails"] == whole["totals"]["mails"]
    assert parted["not_sent"] == whole["not_sent"] == {"withdrawn": 1}


@pytest.mark.django_db(transaction=True)
def test_a_simulation_is_asked_for_worked_out_and_shown(client: Client) -> None:
    program = nurturing(people=12)
    client.force_login(make_user(MARKETER))
    page = reverse("nurture:simulation-detail", args=[program.slug])
    assert "Not simulated yet" in client.get(page).content.decode()
    asked = {
        "days": 40,
        "entry": "all",
        "open_rate": 60,
        "click_rate": 50,
        "answer_rate": 50,
        "answer_kind": "form_submit",
        "seed": 7,
    }
    assert client.post(page, asked | {"entry": "some"}).status_code == 422
    assert client.post(page, asked | {"seed": 8}).status_code == 302
    assert client.post(page, asked).status_code == 302
    outdated, wanted = Simulation.objects.order_by("id")
    assert (outdated.state, wanted.state) == ("stopped", "queued")
    state = reverse("nurture:simulation-state", args=[program.slug])
    assert "Waits for a worker." in client.get(state).content.decode()
    Simulation.objects.filter(pk=wanted.pk).update(state="running", lease_until=NOW)  # its worker died
    assert jobs.run_due(lambda: NOW + timedelta(minutes=1)) == 1
    wanted.refresh_from_db()
    assert (wanted.state, wanted.share_done, wanted.problem) == ("done", 1.0, "")
    shown = client.get(state).content.decode()
    assert "simulation-calendar" in shown
    assert "Consent was withdrawn." in shown
    canvas = client.get(reverse("nurture:program-detail", args=[program.slug]) + "?layer=simulated").content.decode()
    assert "here at the end" in canvas
    assert "Numbers of the simulation" in canvas
    assert jobs.run_due(lambda: NOW) == 0


@pytest.mark.django_db
def test_a_simulation_that_nobody_wants_any_more_or_that_kills_its_workers_ends() -> None:
    version = version_of(make_program(wait(1), live=False))
    first = jobs.ask(version, Assumptions(), user=None, now=NOW)
    assert jobs.stop(first, now=NOW)
    assert not jobs.stop(first, now=NOW)
    deadly = jobs.ask(version, Assumptions(), user=None, now=NOW)
    Simulation.objects.filter(pk=deadly.pk).update(state="running", tries=jobs.TRIES, lease_until=NOW)
    assert jobs.run_due(lambda: NOW) == 0
    deadly.refresh_from_db()
    assert (deadly.state, deadly.problem) == ("failed", "The workers that tried it died.")
    for number in range(jobs.KEPT + 3):
        jobs.ask(version, Assumptions(seed=number), user=None, now=NOW)
    assert Simulation.objects.filter(version=version).count() == jobs.KEPT


@pytest.mark.django_db
def test_whoever_may_only_see_may_not_ask(client: Client) -> None:
    program = make_program(wait(1), live=False)
    page = reverse("nurture:simulation-detail", args=[program.slug])
    client.force_login(make_user(SALES))
    assert client.get(page).status_code == 200
    assert client.post(page, {"days": 30}).status_code == 403
    assert client.post(reverse("nurture:simulation-stop", args=[program.slug])).status_code == 403


def test_rates_of_the_past() -> None:
    counts = {"email_sent": 200, "email_open": 50, "email_click": 10, "demo_booked": 1}
    assert rates(counts, "demo_booked") == {"open_rate": 25.0, "click_rate": 20.0, "answer_rate": 10.0}
    assert rates({"email_sent": 200}, "demo_booked") == {}
    assert [Assumptions(per_day=5).part(place, 2).per_day for place in (0, 1)] == [3, 2]
