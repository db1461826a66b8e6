"""Simulations: the same traces as the real run under one clock and one seed, no live row touched, every kind of step, the page."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, time, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction
from django.test import Client
from django.urls import reverse

from leads.access import MARKETER, SALES
from leads.actions import NewActivity, record_activities
from leads.consent import withdraw_consent
from leads.models import Contact, CustomField, Mark
from nurture import splits, turn
from nurture.kinds import KINDS
from nurture.mailing import sending
from nurture.models import (
    Enrolment,
    MailBudget,
    Program,
    ProgramVersion,
    Sending,
    Simulation,
    SplitTrial,
    StepVisit,
    Task,
    Template,
    WebhookCall,
)
from nurture.simulation import jobs, queries, reading, run, tables
from nurture.simulation.assumptions import Assumptions, rates
from scoring.models import HandOff, LedgerRow
from segments.models import Membership
from tests.makers import NOW, make_contact, make_owner, make_segment, make_user
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


def neighbour() -> Program:
    """A live program beside it, of the first priority: whoever became keen, or clicked, gets two mails of the same budget; it holds some
    out, lets go who answers in a segment of its own, and keeps out who is in another."""
    letter = Template.objects.get(slug="letter")
    clickers = make_segment({"did": "email_click", "count": {"op": "at_least", "value": 2}}, name="Clickers")
    program = make_program(
        mail(letter, "n-1"), wait(2, "days", "n-wait"), mail(letter, "n-2"), name="Neighbour", live=False
    )
    goal = {"conditions": {"did": "email_click", "count": {"op": "at_least", "value": 4}}}
    around = {
        "goal": goal,
        "hold_out": 30,
        "exit": {"conditions": ANSWERED},
        "keep_out": [clickers.slug],
        "again": {"days": 3},
    }
    triggers = [
        {"id": "t1", "kind": "tag", "tag": "keen"},
        {"id": "t2", "kind": "activity", "activity": {"did": "email_click"}},
    ]
    ProgramVersion.objects.filter(program=program).update(around=around, triggers=triggers)
    Program.objects.filter(pk=program.pk).update(priority=1)
    publish(program, intake="new")
    turn.turn(NOW, full=True)
    return program


@pytest.fixture
def numbers_from_one() -> None:
    """Who is held out, who answers and who goes which way hangs on the numbers of people and programs: the same in every run."""
    with connection.cursor() as cursor:
        for table in (Contact._meta.db_table, Program._meta.db_table):
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN id RESTART WITH 1")


def version_of(program: Program) -> ProgramVersion:
    return program.versions.select_related("program").get()


def traces(since: datetime) -> dict[str, list[Any]]:
    """Every row of what was walked and mailed and left behind, by names that mean the same in both runs."""
    of = ("enrolment__program__slug", "enrolment__contact_id", "enrolment__round")
    visits = StepVisit.objects.filter(done_at__gte=since).order_by(*of, "visit")
    walks = Enrolment.objects.order_by("program__slug", "contact_id", "round")
    mails = Sending.objects.order_by("contact_id", "queued_at", "enrolment__program__slug", "step")
    members = Membership.objects.order_by("segment__slug", "contact_id", "since")
    tasks = Task.objects.order_by("contact_id", "title")
    calls = WebhookCall.objects.order_by("contact_id", "step")
    leads = HandOff.objects.order_by("contact_id", "model__slug")
    points = LedgerRow.objects.order_by("contact_id", "counts_from", "points", "revision")
    trials = SplitTrial.objects.order_by("program__slug", "step")
    return {
        "visits": list(visits.values_list(*of, "visit", "step", "outcome", "done_at")),
        "walks": list(
            walks.values_list(
                "program__slug", "contact_id", "round", "state", "step", "next_step_at", "entered_at", "entered_why", "ended_at", "ended_why", "goal_at"
            )
        ),
        "mails": list(mails.values_list("contact_id", "step", "state", "why_not", "queued_at", "due_at", "sent_at")),
        "facts": list(Contact.objects.order_by("id").values_list("id", "stage", "tags", "source", "owner__name")),
        "members": list(members.values_list("segment__slug", "contact_id", "since", "until")),
        "tasks": list(tasks.values_list("contact_id", "title", "created_at")),
        "calls": list(calls.values_list("contact_id", "step", "queued_at")),
        "leads": list(leads.values_list("contact_id", "model__slug", "state", "handed_over_at")),
        "points": list(points.values_list("contact_id", "counts_from", "points", "recorded_at")),
        "trials": list(trials.values_list("program__slug", "step", "winner", "decided_at")),
    }  # fmt: skip


def simulated(program: Program, assumptions: Assumptions) -> tuple[dict[str, list[Any]], list[datetime]]:
    """The traces of a simulation, and the moments of its beats."""
    version = version_of(program)
    people = run.people_of(version, assumptions, NOW)
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
            splits.decide(at)
            sending.send_due(at)
            sent = set(Sending.objects.filter(state="sent").values_list("pk", flat=True)) - drawn
            answers += queries.drawn(sorted(sent), assumptions)
            drawn |= sent
            if not sent and not Mark.objects.exists():
                break
    return traces(NOW)


def assert_agree(foreseen: dict[str, list[Any]], happened: dict[str, list[Any]]) -> None:
    for what, rows in happened.items():
        assert foreseen[what] == rows, what


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("numbers_from_one")
def test_the_simulation_and_the_real_run_leave_the_same_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mails, windows, the readers' clocks, one budget over two programs, a goal, exits, re-entry, hold-out, segments that follow."""
    program = nurturing(people=12)
    neighbour()
    before = (Enrolment.objects.count(), Sending.objects.count(), Mark.objects.count())
    foreseen, beats = simulated(program, ASSUMED)
    assert (Enrolment.objects.count(), Sending.objects.count(), Mark.objects.count()) == before
    assert_agree(foreseen, real(program, ASSUMED, beats, monkeypatch))
    steps = {(visit[4], visit[5]) for visit in foreseen["visits"]}
    assert {
        ("opened", "met"),
        ("opened", "late"),
        ("keen-or-not", "yes"),
        ("keen-or-not", "no"),
        ("n-2", "done"),
    } <= steps
    ends = {(walk[0], walk[9]) for walk in foreseen["walks"]}
    assert {("nurturing", "goal"), ("neighbour", "held_out"), ("neighbour", "exit")} <= ends
    assert {"sent", "not_sent"} <= {row[2] for row in foreseen["mails"]}
    assert "clickers" in {row[0] for row in foreseen["members"]}


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("numbers_from_one")
def test_a_split_finds_the_same_winner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the people come to the split when its winner is known already, and go that way, all of them."""
    program = make_program(
        step("branch", "early", conditions={"field": "contact.source", "op": "is", "value": "fair"},
             yes=[], no=[wait(5, "days", "later")]),
        step("split", "split", weights={"a": 1, "b": 1},
             winner={"days": 2, "at_least": 20, "conditions": {"field": "contact.tags", "op": "includes_any", "value": ["won"]}},
             a=[step("add_tag", "a-tag", tag="lost")], b=[step("add_tag", "b-tag", tag="won")]),
        wait(1, "days", "after"),
        name="Split",
        live=False,
    )  # fmt: skip
    put_in(segment_of(program), [*make_people(60, source="fair"), *make_people(20, source="web")])
    turn.turn(NOW)
    foreseen, beats = simulated(program, Assumptions(days=10))
    assert_agree(foreseen, real(program, Assumptions(days=10), beats, monkeypatch))
    assert [trial[2] for trial in foreseen["trials"]] == ["b"]
    late = [visit[5] for visit in foreseen["visits"] if visit[4] == "split" and visit[6] > NOW + timedelta(days=4)]
    assert late == ["b"] * 20


@pytest.mark.django_db(transaction=True)
def test_every_kind_of_step_walks_without_touching_a_live_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever would write a live row, or lock one, fails in that session, and the person would be parked. The real run does the same."""
    make_owner("Olga", user=make_user(MARKETER))
    make_template(slug="letter")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    people = make_people(6, stage="inquiry", custom={"renewal": "2026-03-05"})
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
    assumptions = Assumptions(days=7)
    foreseen, beats = simulated(program, assumptions)
    assert_agree(foreseen, real(program, assumptions, beats, monkeypatch))
    assert all(foreseen[what] for what in ("visits", "mails", "members", "tasks", "calls", "leads", "points", "trials"))


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


@pytest.mark.django_db(transaction=True)
def test_two_at_once_beside_a_session_that_holds_every_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that lets nothing pass but reading is held on every table: whatever waited for a row or wrote one would never end."""
    one, other = nurturing(people=8), make_program(wait(1, "days", "w"), live=False)
    put_in(segment_of(other), make_people(3))
    alone = {
        program.pk: numbers_of(run.simulate(version_of(program).pk, Assumptions(days=6), now=NOW))
        for program in (one, other)
    }
    meet = Barrier(2)
    real_go_live = run._go_live

    def meeting(world: run.World) -> None:
        real_go_live(world)
        meet.wait(timeout=120)

    monkeypatch.setattr(run, "_go_live", meeting)
    with ThreadPoolExecutor(2) as threads, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT format('LOCK TABLE %I IN EXCLUSIVE MODE', relname) FROM pg_class"
                           " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace")  # fmt: skip
            for (statement,) in cursor.fetchall():
                cursor.execute(statement)
        started = {program.pk: threads.submit(simulated_apart, version_of(program).pk) for program in (one, other)}
        together = {key: numbers_of(part.result(timeout=240)) for key, part in started.items()}
    assert together == alone


def simulated_apart(version_id: int) -> dict[str, Any]:
    try:
        return run.simulate(version_id, Assumptions(days=6), now=NOW)
    finally:
        connections.close_all()


def numbers_of(result: dict[str, Any]) -> dict[str, Any]:
    return {what: numbers for what, numbers in result.items() if what != "seconds"}


@pytest.mark.django_db(transaction=True)
def test_an_edit_meanwhile_changes_nothing_and_the_result_names_what_it_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    program = make_program(wait(1, "days", "w"), mail(make_template(), "m"), live=False)
    put_in(segment_of(program), make_people(4))
    version = version_of(program)
    asked = jobs.ask(version, Assumptions(days=3), user=None, now=NOW)
    ProgramVersion.objects.filter(pk=version.pk).update(edit_number=7)  # edited before a worker took it up
    real_people_of = run.people_of

    def edited(found: ProgramVersion, assumptions: Assumptions, now: datetime) -> list[int]:
        ProgramVersion.objects.filter(pk=version.pk).update(tree={"steps": []}, edit_number=8)
        return real_people_of(found, assumptions, now)

    monkeypatch.setattr(run, "people_of", edited)
    monkeypatch.setattr(run, "IN_PARTS_FROM", 1)
    assert jobs.run_due(lambda: NOW) == 1
    asked.refresh_from_db()
    assert (asked.state, asked.edit_number) == ("done", 7)
    assert asked.result is not None
    assert asked.result["steps"]["m"] == {"done": 4}


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


@pytest.mark.django_db(transaction=True)
def test_whose_day_comes_in_the_time_enters_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    soon, later, never = (make_contact(custom={"renewal": on}) for on in ("2026-03-05", "2026-03-20", "2027-03-05"))
    program = make_program(wait(1, "days", "w"), live=False)
    comes = {"id": "t1", "kind": "day", "field": "custom.renewal", "days": 0, "at": "09:00"}
    ProgramVersion.objects.filter(program=program).update(triggers=[comes])
    foreseen, beats = simulated(program, Assumptions(days=30))
    assert [walk[1] for walk in foreseen["walks"]] == [soon.pk, later.pk]
    assert len(beats) < 40  # one a day where nothing comes, not one each quarter of an hour
    assert never.pk not in run.people_of(version_of(program), Assumptions(days=30), NOW)
    assert run.people_of(version_of(program), Assumptions(days=30, per_day=0), NOW) == []
    happened = real(program, Assumptions(days=30), beats, monkeypatch)
    assert (foreseen["visits"], foreseen["walks"]) == (happened["visits"], happened["walks"])


@pytest.mark.parametrize("per_day", [None, 0])
@pytest.mark.django_db(transaction=True)
def test_a_day_with_very_many_moments_goes_on_by_the_hour(per_day: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """People inside a live version who are due at a minute of their own each."""
    monkeypatch.setattr(run, "BEATS_A_DAY", 3)
    program = make_program(wait(1, "days", "w"))
    put_in(segment_of(program), make_people(9))
    turn.turn(NOW)
    for number, walk in enumerate(Enrolment.objects.order_by("pk")):
        Enrolment.objects.filter(pk=walk.pk).update(next_step_at=NOW + timedelta(minutes=10 * number + 5))
    found, beats = simulated(program, Assumptions(days=1, per_day=per_day))
    minutes = [(at - NOW) // timedelta(minutes=1) for at in beats]
    assert minutes == [0, 5, 15, 60, 120, 24 * 60]
    assert {walk[3] for walk in found["walks"]} == {"finished"}


def test_rates_of_the_past() -> None:
    counts = {"email_sent": 200, "email_open": 50, "email_click": 10, "demo_booked": 1}
    assert rates(counts, "demo_booked") == {"open_rate": 25.0, "click_rate": 20.0, "answer_rate": 10.0}
    assert rates({"email_sent": 200}, "demo_booked") == {}
    assert [Assumptions(per_day=5).part(place, 2).per_day for place in (0, 1)] == [3, 2]
