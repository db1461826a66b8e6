"""The engine on real PostgreSQL: who enters, who waits, which way, exactly once, whatever fails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import DjangoAssertNumQueries

from leads import actions as facts
from leads.models import Contact, StageMove
from nurture import actions, consequences, engine, queries, turn
from nurture.kinds import tags
from nurture.models import Enrolment, Program, Sending, StepVisit, Task
from nurture.triggers.document import of_segment
from segments.models import Membership, Segment
from segments.renaming import Rename
from segments.turn import turn as segments_turn
from tests.makers import NOW, make_contact, make_owner, make_segment, make_user
from tests.nurture.makers import (
    mail,
    make_people,
    make_program,
    make_template,
    make_walk,
    only_enrolment,
    publish,
    put_in,
    segment_of,
    set_workspace,
    step,
    trace,
    wait,
    walk,
)

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def test_a_walk_from_entry_to_end() -> None:
    template = make_template()
    branch = step(
        "branch",
        "b",
        conditions={"field": "contact.title", "op": "contains", "value": "vp"},
        yes=[step("add_tag", "t", tag="hot"), step("end", "e", label="handed over")],
        no=[step("create_task", "c", title="Call", days=2)],
    )
    program, (chief, clerk) = make_walk(mail(template, "m"), wait(3, "days", "w"), branch, people=2)
    Contact.objects.filter(pk=chief.pk).update(title="VP Sales")
    report = walk()
    assert report.by_kind == {"start": 2, "send_email": 2}
    assert only_enrolment(chief).step == "w"
    assert only_enrolment(chief).next_step_at == NOW + 3 * DAY
    assert walk(NOW + 3 * DAY - timedelta(seconds=1)).steps == 0
    walk(NOW + 3 * DAY)
    assert trace(chief) == [("m", "done"), ("w", "done"), ("b", "yes"), ("t", "done"), ("e", "done")]
    assert trace(clerk) == [("m", "done"), ("w", "done"), ("b", "no"), ("c", "done")]
    ended = only_enrolment(chief)
    assert (ended.state, ended.step, ended.next_step_at, ended.ended_why) == ("finished", "", None, "handed over")
    assert Contact.objects.get(pk=chief.pk).tags == ["hot"]
    task = Task.objects.get()
    assert (task.contact, task.title, task.due_at) == (clerk, "Call", NOW + 5 * DAY)
    assert [sending.key for sending in Sending.objects.order_by("contact_id")] == [
        f"{only_enrolment(person).pk}:m:2" for person in (chief, clerk)
    ]
    assert walk(NOW + 30 * DAY).steps == 0
    counts = queries.step_counts(program.versions.get().pk)
    assert (counts["start"].passed, counts["m"].passed, counts["b"].outcomes) == (2, 2, {"yes": 1, "no": 1})


def test_statements_do_not_grow_with_people() -> None:
    numbers = []
    for people in (1, 3, 40):
        make_walk(step("add_tag", "t", tag="hot"), wait(1, "days"), people=people)
        walk()  # the entry and the tag
        Enrolment.objects.filter(state="active").update(next_step_at=NOW)
        with CaptureQueriesContext(connection) as captured:
            assert walk().by_kind == {"wait": people}
        numbers.append(len(captured))
    assert numbers == [numbers[0]] * 3
    assert numbers[0] <= 18  # savepoints and the definitions that might ask about the program included


def test_nothing_due_is_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    make_walk(wait(1, "days"), people=2)
    walk()
    with django_assert_num_queries(1):
        assert walk().steps == 0


def test_a_batch_is_one_transaction_and_leaves_nothing_half_done(monkeypatch: pytest.MonkeyPatch) -> None:
    _program, people = make_walk(step("add_tag", "t", tag="hot"), wait(1), people=3)
    real = queries.advance

    def dies(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(queries, "advance", dies)
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        walk()
    monkeypatch.undo()
    assert StepVisit.objects.count() == 0
    walk()
    assert [trace(person) for person in people] == [[("t", "done")]] * 3


def test_a_poison_person_is_parked_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    program, people = make_walk(step("add_tag", "t", tag="hot"), wait(1), people=5)
    real = facts.add_tag

    def fails(contact_ids: Any, **kwargs: Any) -> int:
        if people[2].pk in contact_ids:
            raise ValueError("This contact cannot have the tag")
        return real(contact_ids, **kwargs)

    monkeypatch.setattr(tags, "add_tag", fails)
    report = walk()
    assert report.parked == 1
    parked = only_enrolment(people[2])
    assert (parked.state, parked.step, parked.problem) == ("parked", "t", "This contact cannot have the tag")
    assert [person.pk for person in people if Contact.objects.get(pk=person.pk).tags] == [
        person.pk for person in people if person != people[2]
    ]
    assert walk(NOW + DAY).parked == 0
    monkeypatch.undo()
    assert actions.retry_parked(program, actor=None, now=NOW + 2 * DAY) == 1
    walk(NOW + 2 * DAY)
    assert trace(people[2]) == [("t", "done")]


def test_a_step_whose_template_is_gone_parks_with_words() -> None:
    template = make_template()
    _program, (person,) = make_walk(mail(template, "m"))
    template.archived_at = NOW
    template.save()
    assert walk().parked == 1
    assert only_enrolment(person).problem == f"The template “{template.slug}” does not exist any more."


def test_two_workers_pass_over_each_others_people() -> None:
    program, people = make_walk(wait(1), people=4)
    claimed = queries.claim_due(program.pk, now=NOW, limit=3)
    assert (claimed.number, claimed.passed) == (3, {})
    assert len({row.contact_id for row in claimed.due}) == 3


def test_steps_at_which_nothing_is_done_pass_in_the_claiming_statement() -> None:
    program, people = make_walk(wait(1, step_id="w"), mail(step_id="m"), step("end", "e", label="over"), people=3)
    version = program.versions.get()
    way = queries.Passing(version.pk, "start", "w", NOW + DAY)
    claimed = queries.claim_due(program.pk, now=NOW, limit=2, passing=[way])
    assert (claimed.due, claimed.passed) == ([], {(version.pk, "start"): 2})
    rest = queries.claim_due(program.pk, now=NOW, limit=10, passing=[queries.Passing(version.pk, "w", "m", NOW)])
    assert ([row.step for row in rest.due], rest.passed) == (["start"], {})
    walk()
    walk(NOW + DAY)
    assert [trace(person) for person in people] == [[("w", "done"), ("m", "done"), ("e", "done")]] * 3
    assert set(Enrolment.objects.values_list("state", "step", "next_step_at", "ended_at", "ended_why", "visit")) == {
        ("finished", "", None, NOW + DAY, "over", 5)
    }


def test_a_renamed_segment_reaches_a_worker_that_knows_the_steps() -> None:
    segment = make_segment()
    branch = step("branch", "b", conditions={"in_segment": segment.slug}, yes=[step("add_tag", "t", tag="in")], no=[])
    program, (person,) = make_walk(wait(1), branch)
    put_in(segment, [person])
    walk()
    version = program.versions.get()
    assert consequences.rewrite(Rename(segment.slug, "fresh")) == 1
    Segment.objects.filter(pk=segment.pk).update(slug="fresh")
    walk(NOW + DAY)
    version.refresh_from_db()
    assert version.tree["steps"][1]["conditions"] == {"in_segment": "fresh"}
    assert trace(person)[1:] == [("b", "yes"), ("t", "done")]


def test_nobody_enters_twice() -> None:
    program, (person,) = make_walk(step("end", "e"))
    walk()
    assert turn.take_in(NOW, full=True) == 0
    assert queries.enrol_members([person.pk], now=NOW) == 0
    assert Enrolment.objects.filter(program=program).count() == 1


@pytest.mark.parametrize(("intake", "since", "expected"), [("new", None, 1), ("all", None, 3), ("since", NOW - DAY, 2)])
def test_who_is_taken_in(intake: str, since: datetime | None, expected: int) -> None:
    segment = make_segment()
    old, recent, new = make_people(3)
    put_in(segment, [old], now=NOW - 10 * DAY)
    put_in(segment, [recent], now=NOW - timedelta(hours=1))
    program = make_program(wait(1), segment=segment, live=False)
    publish(program, intake=intake, since=since)
    put_in(segment, [new], now=NOW + timedelta(minutes=1))
    turn.turn(NOW + timedelta(minutes=2))
    assert Enrolment.objects.filter(program=program).count() == expected
    assert Enrolment.objects.filter(program=program, contact=new).count() == 1


def test_a_new_member_enters_in_the_same_beat_that_sees_the_change() -> None:
    segment = make_segment({"field": "contact.title", "op": "contains", "value": "vp"})
    segments_turn(NOW)
    program = make_program(step("add_tag", "t", tag="hot"), segment=segment, intake="new")
    person = make_contact(title="VP")
    from leads.queries import mark

    mark([person.pk], 1)
    report = turn.turn(NOW + timedelta(seconds=5))
    assert report.enrolled == 1
    assert Membership.objects.filter(contact=person, until=None).count() == 1
    assert trace(person) == [("t", "done")]
    assert Enrolment.objects.get(program=program).entered_why == f"segment:{segment.slug}"


def test_several_pages_of_members(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "PAGE", 2)
    program, people = make_walk(wait(1), people=5)
    assert Enrolment.objects.filter(program=program).count() == 5


def test_people_stay_on_their_version() -> None:
    program, (first,) = make_walk(wait(2, "days", "w"), step("add_tag", "t", tag="old"))
    walk()
    draft = actions.start_draft(program, actor=None, now=NOW)
    draft = actions.edit_draft(
        draft,
        edit_number=draft.edit_number,
        change=lambda _old: {"steps": [step("add_tag", "n", tag="new")]},
        now=NOW,
    )
    publish(program, intake="new", now=NOW + timedelta(hours=1))
    (second,) = make_people(1)
    put_in(segment_of(program), [second], now=NOW + timedelta(hours=2))
    turn.turn(NOW + timedelta(hours=3))
    walk(NOW + 3 * DAY)
    assert Contact.objects.get(pk=first.pk).tags == ["old"]
    assert Contact.objects.get(pk=second.pk).tags == ["new"]
    assert [version.state for version in program.versions.order_by("number")] == ["past", "live"]


def test_paused_moves_nobody_and_holds_mail() -> None:
    program, (person,) = make_walk(mail(step_id="m"), wait(1, "days", "w"))
    walk()
    actions.pause(program, actor=None, now=NOW + timedelta(hours=12))
    assert Sending.objects.get().state == "held"
    assert walk(NOW + 5 * DAY).steps == 0
    put_in(segment_of(program), make_people(1), now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert Enrolment.objects.count() == 1
    actions.resume(program, waits="shift", actor=None, now=NOW + timedelta(hours=36))
    assert only_enrolment(person).next_step_at == NOW + 2 * DAY
    assert Sending.objects.get().state == "queued"
    turn.turn(NOW + timedelta(hours=37))
    assert Enrolment.objects.count() == 2


def test_stopped_lets_everybody_go_and_takes_mail_back() -> None:
    program, (person,) = make_walk(mail(step_id="m"), wait(1))
    walk()
    assert actions.stop(program, actor=None, now=NOW + DAY) == 1
    enrolment = only_enrolment(person)
    assert (enrolment.state, enrolment.ended_why, enrolment.next_step_at) == ("left", "program_stopped", None)
    sending = Sending.objects.get()
    assert (sending.state, sending.why_not) == ("not_sent", "program_stopped")
    assert walk(NOW + 9 * DAY).steps == 0


def test_who_said_no_is_not_mailed_but_walks_on() -> None:
    from leads.actions import withdraw_consent

    _program, people = make_walk(mail(step_id="m"), wait(1, "days", "w"), people=2)
    withdraw_consent(str(people[0].email), source="test", now=NOW)
    walk()
    assert [trace(person) for person in people] == [[("m", "not_mailed")], [("m", "done")]]
    states = dict(Sending.objects.values_list("contact_id", "state"))
    assert states == {people[0].pk: "not_sent", people[1].pk: "queued"}
    assert Sending.objects.get(contact=people[0]).why_not == "withdrawn"


def test_change_stage_moves_forward_only() -> None:
    _program, people = make_walk(step("change_stage", "s", to="mql"), people=2)
    Contact.objects.filter(pk=people[0].pk).update(stage="customer")
    walk()
    assert [Contact.objects.get(pk=person.pk).stage for person in people] == ["customer", "mql"]
    assert StageMove.objects.get().cause.startswith("program:")


def test_field_and_segment_steps() -> None:
    fixed = make_segment()
    _program, (person,) = make_walk(
        step("set_field", field="country", value="Germany"),
        step("add_to_segment", segment=fixed.slug),
        wait(1),
        step("remove_from_segment", segment=fixed.slug),
        step("set_field", field="country", value=""),
        country="FR",
    )
    walk()
    assert Contact.objects.get(pk=person.pk).country == "DE"
    assert Membership.objects.filter(segment=fixed, contact=person, until=None).count() == 1
    walk(NOW + DAY)
    assert Contact.objects.get(pk=person.pk).country == ""
    assert Membership.objects.filter(segment=fixed, contact=person, until=None).count() == 0


def test_a_task_goes_to_the_owner() -> None:
    user = make_user("Sales")
    _program, _people = make_walk(step("create_task", title="Call"), owner=make_owner(user=user))
    walk()
    assert Task.objects.get().assigned_to == user


def test_wait_until_a_weekday_on_each_clock() -> None:
    set_workspace(timezone="Europe/Berlin")
    until = {"days": [2], "at": "09:00", "clock": "contact"}
    program, (here, tokyo, nowhere) = make_walk(step("wait", "w", until=until), people=3)
    Contact.objects.filter(pk=tokyo.pk).update(timezone="Asia/Tokyo")
    Contact.objects.filter(pk=nowhere.pk).update(timezone="Mars/Olympus")
    walk()  # Monday noon UTC
    berlin = datetime(2026, 3, 3, 8, tzinfo=UTC)
    assert only_enrolment(here).next_step_at == berlin
    assert only_enrolment(nowhere).next_step_at == berlin
    assert only_enrolment(tokyo).next_step_at == datetime(2026, 3, 3, 0, tzinfo=UTC)
    assert Program.objects.get() == program


def test_a_rule_may_ask_who_is_in_a_program() -> None:
    program = make_program(wait(1), name="Welcome")
    asks = make_segment({"in_program": program.slug, "state": "active"})
    done = make_segment({"in_program": program.slug, "state": "finished"})
    (person,) = make_people(1)
    put_in(segment_of(program), [person])
    turn.turn(NOW)
    turn.turn(NOW)
    assert Membership.objects.filter(segment=asks, contact=person, until=None).exists()
    turn.turn(NOW + DAY)
    turn.turn(NOW + DAY)
    assert not Membership.objects.filter(segment=asks, contact=person, until=None).exists()
    assert Membership.objects.filter(segment=done, contact=person, until=None).exists()


def test_a_trigger_that_asks_about_its_own_program_is_refused() -> None:
    program = make_program(wait(1), live=False)
    loops = make_segment({"in_program": program.slug})
    draft = program.versions.get()
    triggers = of_segment(loops.slug)
    with pytest.raises(actions.NurtureRefused, match="depends on this program"):
        actions.set_triggers(draft, edit_number=draft.edit_number, triggers=triggers, now=NOW)


def test_the_database_refuses_two_next_steps_and_none() -> None:
    from django.db import IntegrityError

    _program, (person,) = make_walk(wait(1))
    for values in ({"next_step_at": None}, {"step": ""}, {"state": "finished"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Enrolment.objects.filter(contact=person).update(**values)


def test_plans_of_the_claim() -> None:
    """The claim reads the partial index of due people, never the whole table."""
    make_walk(wait(1), people=3)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT id FROM nurture_enrolment WHERE program_id = 1 AND state = 'active' AND next_step_at <= now()"
            " ORDER BY next_step_at LIMIT 10 FOR NO KEY UPDATE SKIP LOCKED"
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "nurture_enrolment_due" in plan
    assert engine.BATCH == 1_000
