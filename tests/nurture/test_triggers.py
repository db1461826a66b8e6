"""What lets people into a program: each kind of trigger, each person once, nothing lost when a worker dies, and what the start asks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from leads import actions as facts
from leads import queries as fact_queries
from leads.importing import jobs, mapping
from leads.models import Contact, CustomField, ImportPerson, Mark
from nurture import actions, entering, queries_triggers, turn
from nurture.kinds import Names
from nurture.models import Enrolment, EntryPlace, EntryQueue, Program, ProgramVersion, Trigger, TriggerMatch
from nurture.publication import publishing
from nurture.queries_triggers import Present
from nurture.triggers import TRIGGERS, day, document
from scoring.actions import give_points
from tests.makers import NOW, clear_marks, make_activity, make_contact, make_segment, make_user
from tests.nurture.makers import make_people, publish, put_in, set_workspace, wait, work_publications
from tests.scoring.conftest import make_model

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
FORM = {"did": "form_submit", "where": [{"field": "subject", "op": "is", "value": "Demo"}]}


def make_triggered(
    *triggers: dict[str, Any],
    intake: str = "new",
    now: datetime = NOW,
    around: dict[str, Any] | None = None,
    **values: Any,
) -> Program:
    """A live program of one wait that these let people in, with ids t1, t2 …"""
    listed = [{"id": f"t{place}", **one} for place, one in enumerate(triggers, start=1)]
    program = actions.create_program(
        name=values.pop("name", "Welcome"), trigger_segment=None, triggers=listed, document={"steps": [wait(9, "days", "w")]},
        actor=None, now=now,
    )  # fmt: skip
    draft = program.versions.get()
    if around:
        draft = actions.set_around(draft, edit_number=draft.edit_number, document=around, now=now)
    publishing.publish(
        draft,
        edit_number=draft.edit_number,
        intake=intake,
        since=values.pop("since", None),
        actor=None,
        now=now,
        **values,
    )
    program.refresh_from_db()
    return program


def inside(program: Program) -> dict[int, str]:
    return dict(program.enrolments.order_by("contact_id").values_list("contact_id", "entered_why"))


def reaches(contact: Contact, stage: str, *, now: datetime) -> None:
    facts.move_stage(contact, to=stage, actor=None, cause="by_hand", reason="", now=now, by_hand=True)


def tags(contact: Contact, tag: str, *, now: datetime) -> None:
    facts.add_tag([contact.pk], tag=tag, now=now)


# --- Several triggers, each person once ------------------------------------------------------------------------------------------


def test_each_person_enters_once_by_the_trigger_they_came_to_first() -> None:
    segment = make_segment()
    program = make_triggered(
        {"kind": "segment", "segment": segment.slug},
        {"kind": "stage", "stages": ["mql"]},
        {"kind": "activity", "activity": FORM},
        {"kind": "tag", "tag": "Partner"},
    )
    member, riser, visitor, tagged, nobody = make_people(5)
    put_in(segment, [member], now=NOW + MINUTE)
    reaches(riser, "mql", now=NOW + MINUTE)
    make_activity(visitor, "form_submit", subject="Demo", at=NOW + MINUTE)
    make_activity(nobody, "form_submit", subject="Newsletter", at=NOW + MINUTE)
    tags(tagged, "partner", now=NOW + MINUTE)
    turn.turn(NOW + 2 * MINUTE)
    expected = {
        member.pk: f"segment:{segment.slug}", riser.pk: "stage#t2", visitor.pk: "activity#t3", tagged.pk: "tag#t4",
    }  # fmt: skip
    assert inside(program) == expected
    reaches(visitor, "mql", now=NOW + 3 * MINUTE)
    tags(member, "partner", now=NOW + 3 * MINUTE)
    turn.turn(NOW + 4 * MINUTE)
    assert inside(program) == expected
    assert turn.turn(NOW + 5 * MINUTE, full=True).enrolled == 0
    counts = queries_triggers.entry_counts(program.pk)
    assert counts == dict.fromkeys(expected.values(), 1)
    names, triggers = Names(), program.triggers_ever()
    assert document.entered_by("tag#t4", triggers, names) == "Gets the tag “Partner”"
    assert document.entered_by("stage#t9", triggers, names) == "Reaches a stage"


def test_who_comes_to_two_triggers_at_once_is_counted_by_the_earlier_one() -> None:
    program = make_triggered({"kind": "stage", "stages": ["mql"]}, {"kind": "activity", "activity": FORM})
    (person,) = make_people(1)
    make_activity(person, "form_submit", subject="Demo", at=NOW + MINUTE)
    reaches(person, "mql", now=NOW + 2 * MINUTE)
    turn.turn(NOW + 3 * MINUTE)
    assert inside(program) == {person.pk: "activity#t2"}


def test_a_worker_that_dies_loses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks go in the transaction of the entries: after a death in between both are as before."""
    program = make_triggered({"kind": "tag", "tag": "hot"}, {"kind": "stage", "stages": ["mql"]})
    tagged, riser = make_people(2)
    clear_marks()
    tags(tagged, "hot", now=NOW + MINUTE)
    reaches(riser, "mql", now=NOW + MINUTE)
    real = queries_triggers.enrol_arrivals

    def dies(*args: Any, **kwargs: Any) -> int:
        real(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(queries_triggers, "enrol_arrivals", dies)
    with pytest.raises(KeyboardInterrupt):
        turn.turn(NOW + 2 * MINUTE)
    assert (inside(program), TriggerMatch.objects.count(), Mark.objects.exists()) == ({}, 0, True)
    monkeypatch.undo()
    turn.turn(NOW + 3 * MINUTE)
    assert inside(program) == {tagged.pk: "tag#t1", riser.pk: "stage#t2"}


def test_entering_costs_the_same_for_one_and_for_many_programs(
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    for number in range(3):
        make_triggered({"kind": "stage", "stages": ["mql"]}, {"kind": "activity", "activity": FORM}, name=f"P{number}")
    (person,) = make_people(1)
    reaches(person, "mql", now=NOW + MINUTE)
    facts_of_kinds = fact_queries.kind_ids(["form_submit"])
    assert facts_of_kinds
    with django_assert_max_num_queries(12):  # for each activity its kind and the workspace, for all of them one entry
        assert entering.follow([person.pk], NOW + 2 * MINUTE) == 3


# --- The kinds -------------------------------------------------------------------------------------------------------------------


def test_who_is_in_the_stage_already_is_asked_about_at_the_start() -> None:
    before, once = make_people(2)
    reaches(before, "mql", now=NOW - DAY)
    reaches(once, "mql", now=NOW - 2 * DAY)
    reaches(once, "accepted", now=NOW - DAY)
    stage = {"kind": "stage", "stages": ["mql"]}
    only_new = make_triggered(stage, name="New")
    everybody = make_triggered(stage, intake="all", name="All")
    since = make_triggered(stage, intake="since", since=NOW - 3 * DAY, name="Since")
    turn.turn(NOW + MINUTE)
    assert [set(inside(program)) for program in (only_new, everybody, since)] == [
        set(),
        {before.pk},
        {before.pk, once.pk},
    ]


def test_a_late_activity_scores_but_starts_nothing_and_one_dated_ahead_starts_in_its_time() -> None:
    program = make_triggered(
        {"kind": "activity", "activity": {"did": "form_submit"}, "late_hours": 2}, now=NOW - 9 * DAY
    )
    late, ahead, prompt, further_ahead = make_people(4)
    kind = fact_queries.kind_ids(["form_submit"])["form_submit"]

    def told(contact: Contact, at: datetime) -> fact_queries.ActivityRow:
        return fact_queries.ActivityRow(contact.pk, kind, at, ("", "", ""), None)

    fact_queries.store_activities(
        [
            told(late, NOW - 3 * timedelta(hours=1)),
            told(prompt, NOW - timedelta(hours=1)),
            told(ahead, NOW + DAY),
            told(further_ahead, NOW + 2 * DAY),
        ],
        now=NOW,
    )
    turn.turn(NOW + MINUTE)
    assert set(inside(program)) == {prompt.pk}
    assert Trigger.objects.get().due_at == NOW + DAY
    turn.turn(NOW + DAY)
    assert set(inside(program)) == {prompt.pk, ahead.pk}
    assert Trigger.objects.get().due_at == NOW + 2 * DAY
    turn.turn(NOW + 2 * DAY + MINUTE)
    assert set(inside(program)) == {prompt.pk, ahead.pk, further_ahead.pk}
    assert Trigger.objects.get().due_at is None


def test_a_tag_counts_when_somebody_gets_it_not_when_they_have_it() -> None:
    (has,) = make_people(1, tags=["hot"])
    (gets,) = make_people(1)
    tag = {"kind": "tag", "tag": "hot"}
    program = make_triggered(tag, around={"again": {"days": 0}})
    everybody = make_triggered(tag, intake="all", name="Everybody")
    tags(has, "other", now=NOW + MINUTE)
    tags(gets, "hot", now=NOW + MINUTE)
    turn.turn(NOW + 2 * MINUTE)
    assert (set(inside(program)), set(inside(everybody))) == ({gets.pk}, {has.pk, gets.pk})
    facts.remove_tag([has.pk], tag="hot", now=NOW + 3 * MINUTE)
    turn.turn(NOW + 4 * MINUTE)
    tags(has, "hot", now=NOW + 5 * MINUTE)
    turn.turn(NOW + 6 * MINUTE)
    assert set(inside(program)) == {has.pk, gets.pk}
    walked = Enrolment.objects.get(program=program, contact=gets)
    actions.release_person(walked, actor=None, now=NOW + 7 * MINUTE)
    tags(gets, "more", now=NOW + 8 * MINUTE)
    turn.turn(NOW + 9 * MINUTE)
    assert program.enrolments.filter(contact=gets).count() == 1  # still tagged: nothing new
    facts.remove_tag([gets.pk], tag="hot", now=NOW + 10 * MINUTE)
    turn.turn(NOW + 11 * MINUTE)
    tags(gets, "hot", now=NOW + 12 * MINUTE)
    turn.turn(NOW + 13 * MINUTE)
    assert program.enrolments.filter(contact=gets).count() == 2


def test_a_score_that_rises_to_the_line_or_falls_below_it() -> None:
    model = make_model(rules=())
    rises = {"kind": "score", "model": model.slug, "line": 50}
    low, high = make_people(2)

    def give(contact: Contact, points: int, *, now: datetime) -> None:
        give_points([contact.pk], model=model, points=Decimal(points), cause="by_hand", now=now)
        turn.turn(now)

    give(high, 60, now=NOW - DAY)
    up, down = make_triggered(rises, name="Up"), make_triggered({**rises, "direction": "down"}, name="Down")
    give(low, 20, now=NOW + MINUTE)
    assert (inside(up), inside(down)) == ({}, {})
    give(low, 30, now=NOW + 2 * MINUTE)
    give(high, -20, now=NOW + 3 * MINUTE)
    assert (set(inside(up)), set(inside(down))) == ({low.pk}, {high.pk})


def test_a_grade_of_some() -> None:
    model = make_model(rules=())
    program = make_triggered({"kind": "grade", "model": model.slug, "grades": ["D4"]}, intake="all")
    (person,) = make_people(1)
    give_points([person.pk], model=model, points=Decimal(1), cause="by_hand", now=NOW)
    turn.turn(NOW + MINUTE)
    assert inside(program) == {person.pk: "grade#t1"}


def test_another_program_lets_people_in_when_they_finish_it() -> None:
    first = make_triggered({"kind": "stage", "stages": ["mql"]}, name="First")
    second = make_triggered({"kind": "program", "program": first.slug, "when": "finished"}, name="Second")
    left = make_triggered({"kind": "program", "program": first.slug, "when": "left"}, name="Third")
    finisher, leaver = make_people(2)
    for person in (finisher, leaver):
        reaches(person, "mql", now=NOW + MINUTE)
    turn.turn(NOW + 2 * MINUTE)
    clear_marks()
    actions.release_person(Enrolment.objects.get(program=first, contact=leaver), actor=None, now=NOW + 3 * MINUTE)
    turn.turn(NOW + 4 * MINUTE)
    assert set(inside(left)) == {leaver.pk}
    turn.turn(NOW + 20 * DAY)
    turn.turn(NOW + 20 * DAY + MINUTE)
    assert (set(inside(second)), set(inside(left))) == ({finisher.pk}, {leaver.pk})


def test_programs_that_would_start_each_other_are_refused() -> None:
    first = make_triggered({"kind": "stage", "stages": ["mql"]}, name="First")
    second = make_triggered({"kind": "program", "program": first.slug}, name="Second")
    draft = actions.start_draft(first, actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused, match="depends on this program itself"):
        actions.set_triggers(
            draft,
            edit_number=draft.edit_number,
            triggers=[{"id": "t1", "kind": "program", "program": second.slug}],
            now=NOW,
        )


def test_a_program_that_would_close_a_ring_stays_in_the_archive() -> None:
    first = make_triggered({"kind": "stage", "stages": ["mql"]}, name="First")
    second = make_triggered({"kind": "program", "program": first.slug}, name="Second")
    draft = actions.start_draft(second, actor=None, now=NOW)
    actions.stop(second, actor=None, now=NOW)
    actions.archive_program(second, actor=None, now=NOW)
    ring = [{"id": "t1", "kind": "program", "program": second.slug}]
    ahead = actions.start_draft(first, actor=None, now=NOW)
    ahead = actions.set_triggers(ahead, edit_number=ahead.edit_number, triggers=ring, now=NOW)
    with pytest.raises(actions.NurtureRefused, match="depends on this program itself"):
        actions.unarchive_program(second, actor=None, now=NOW)
    actions.set_triggers(ahead, edit_number=ahead.edit_number, triggers=[], now=NOW)
    actions.unarchive_program(second, actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused, match="in use already"):
        actions.unarchive_program(second, actor=None, now=NOW)
    assert Program.objects.get(pk=second.pk).archived_at is None
    assert ProgramVersion.objects.filter(pk=draft.pk, state="draft").exists()


def test_an_import_lets_its_people_in_once_it_has_finished(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    known = make_contact("known@x.test", external_id="k1")
    new = make_triggered({"kind": "import", "file": "fair"}, name="New")
    both = make_triggered({"kind": "import", "who": "both"}, name="Both")
    sourced = make_triggered({"kind": "import", "who": "both", "source": "trade fair"}, name="Sourced")
    elsewhere = make_triggered({"kind": "import", "file": "fair", "source": "web"}, name="Elsewhere")
    user = make_user()
    moments = iter(NOW + timedelta(seconds=second) for second in range(1, 1000))
    content = b"external_id,email,title,source\nk1,known@x.test,Boss,Web\nn1,fresh@x.test,Clerk,Trade fair\n"
    for name in ("Trade-Fair.csv", "other.csv"):
        job = jobs.receive(SimpleUploadedFile(name, content), kind="contacts", user=user, now=NOW)
        jobs.check(job, mapping=mapping.from_document(job.mapping), types={}, now=NOW)
        jobs.run_due(lambda: next(moments))
        job.refresh_from_db()
        jobs.start(job, user=user, now=NOW)
        jobs.run_due(lambda: next(moments))
        turn.turn(NOW + timedelta(hours=1))
    fresh = Contact.objects.get(external_id="n1")
    assert (set(inside(new)), set(inside(both))) == ({fresh.pk}, {fresh.pk, known.pk})
    assert (set(inside(sourced)), set(inside(elsewhere))) == ({fresh.pk}, set())
    assert set(ImportPerson.objects.values_list("contact_id", "is_new")) == {(fresh.pk, True), (known.pk, False)}


def test_an_import_keeps_nobody_where_no_program_asks(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    user = make_user()
    moments = iter(NOW + timedelta(seconds=second) for second in range(1000))
    job = jobs.receive(
        SimpleUploadedFile("a.csv", b"external_id,email\nn1,a@x.test\n"), kind="contacts", user=user, now=NOW
    )
    jobs.check(job, mapping=mapping.from_document(job.mapping), types={}, now=NOW)
    jobs.run_due(lambda: next(moments))
    job.refresh_from_db()
    jobs.start(job, user=user, now=NOW)
    jobs.run_due(lambda: next(moments))
    assert ImportPerson.objects.count() == 0


# --- Days ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "zone", "after", "until", "expected"),
    [
        # on the day, at the hour, on the clock of the zone; the window is open below and closed above
        ({"at": "09:00"}, "UTC", "2026-03-01T08:59", "2026-03-01T09:00", [("2026-03-01", "2026-03-01T09:00")]),
        ({"at": "09:00"}, "UTC", "2026-03-01T09:00", "2026-03-01T09:15", []),
        ({"at": "09:00"}, "Asia/Tokyo", "2026-02-28T23:59", "2026-03-01T00:00", [("2026-03-01", "2026-03-01T00:00")]),
        ({"at": "09:00", "days": -30}, "UTC", "2026-03-01T08:00", "2026-03-01T09:00", [("2026-03-31", "2026-03-01T09:00")]),
        ({"at": "09:00", "days": 2}, "UTC", "2026-03-01T08:00", "2026-03-01T09:00", [("2026-02-27", "2026-03-01T09:00")]),
        # a local time that the clocks skip falls as much later as they jump; of two the first counts
        ({"at": "02:30"}, "Europe/Berlin", "2026-03-29T00:00", "2026-03-29T06:00", [("2026-03-29", "2026-03-29T01:30")]),
        ({"at": "02:30"}, "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T06:00", [("2026-10-25", "2026-10-25T00:30")]),
    ],
)  # fmt: skip
def test_days_that_are_due(
    values: dict[str, Any], zone: str, after: str, until: str, expected: list[tuple[str, str]]
) -> None:
    bounds = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (after, until)]
    found = day.days_due(values, ZoneInfo(zone), *bounds)
    assert [(one.isoformat(), f"{moment:%Y-%m-%dT%H:%M}") for one, moment in found] == expected


def test_29_february_falls_on_the_28th_in_common_years() -> None:
    texts = {
        text: day.day_texts(date.fromisoformat(text), yearly=True)
        for text in ("2026-02-28", "2028-02-28", "2028-02-29")
    }
    assert texts == {"2026-02-28": ["02-28", "02-29"], "2028-02-28": ["02-28"], "2028-02-29": ["02-29"]}
    assert day.day_texts(date(2026, 2, 28), yearly=False) == ["2026-02-28"]


def test_a_day_comes_on_the_contacts_own_clock_once_and_is_not_lost_while_nobody_looked() -> None:
    set_workspace(timezone="UTC")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    start = datetime(2026, 2, 27, 12, tzinfo=UTC)
    program = make_triggered(
        {"kind": "day", "field": "custom.renewal", "yearly": True, "at": "09:00", "clock": "contact"}, now=start
    )
    tokyo = make_contact(timezone="Asia/Tokyo", custom={"renewal": "2019-02-28"})
    leap = make_contact(timezone="", custom={"renewal": "2020-02-29"})
    odd = make_contact(timezone="Nowhere/Else", custom={"renewal": "2026-03-03"})
    make_contact(timezone="UTC", custom={"renewal": "2026-04-01"})
    turn.turn(start)
    assert (inside(program), Trigger.objects.get().due_at) == ({}, start + 15 * MINUTE)
    turn.turn(datetime(2026, 2, 28, 0, 1, tzinfo=UTC))
    assert set(inside(program)) == {tokyo.pk}
    turn.turn(datetime(2026, 2, 28, 8, 59, tzinfo=UTC))
    assert set(inside(program)) == {tokyo.pk}
    turn.turn(datetime(2026, 3, 3, 10, tzinfo=UTC))  # three days without a beat
    assert set(inside(program)) == {tokyo.pk, leap.pk, odd.pk}
    assert turn.turn(datetime(2026, 3, 3, 10, 16, tzinfo=UTC)).enrolled == 0


@pytest.mark.parametrize(
    ("values", "comes"),
    [
        ({"days": 30}, {"a month"}),
        ({"yearly": True}, {"today", "a year", "four years"}),
        ({"yearly": True, "days": 1, "at": "00:15"}, {"yesterday", "29 February"}),  # whoever came on the 29th counts for the 28th
        ({"clock": "contact", "at": "17:00"}, {"today"}),  # noon in UTC: only in Karachi has the hour come
    ],
)  # fmt: skip
def test_the_day_on_which_somebody_became_known(values: dict[str, Any], comes: set[str]) -> None:
    set_workspace(timezone="Europe/Berlin")
    now = datetime(2027, 3, 1, 12, 59, tzinfo=UTC)
    known = {
        "today": datetime(2027, 2, 28, 23, 0, tzinfo=UTC),  # the first minute of the day in Berlin
        "yesterday": datetime(2027, 2, 28, 22, 59, 59, tzinfo=UTC),
        "tomorrow": datetime(2027, 3, 1, 23, 0, tzinfo=UTC),
        "a month": datetime(2027, 1, 30, 3, tzinfo=UTC),
        "a year": datetime(2026, 3, 1, 22, tzinfo=UTC),
        "four years": datetime(2023, 2, 28, 23, tzinfo=UTC),
        "29 February": datetime(2024, 2, 29, 12, tzinfo=UTC),
    }
    people = {name: make_contact(timezone="Asia/Karachi" if name == "today" else "") for name in known}
    for name, person in people.items():
        Contact.objects.filter(pk=person.pk).update(created_at=known[name])
    trigger = {"kind": "day", "field": "created_at", "at": "13:00", "clock": "workspace", **values}
    program = make_triggered(trigger, now=now - DAY + MINUTE)
    Trigger.objects.update(due_at=now - timedelta(hours=15), looked_until=now - timedelta(hours=15))
    assert entering.take_due(now) == len(comes)
    assert set(inside(program)) == {people[name].pk for name in comes}


def test_at_a_quarter_at_which_no_clock_shows_the_hour_nobody_is_looked_at(
    django_assert_num_queries: Callable[..., Any],
) -> None:
    """Three statements however many such triggers: what is due, the workspace, up to when time was looked at; the zones for contacts' clocks."""
    set_workspace(timezone="UTC")
    make_contact(timezone="Asia/Kolkata")
    for clock in ("workspace", "contact"):
        make_triggered(
            *({"kind": "day", "field": "created_at", "days": days, "clock": clock} for days in (1, 2, 3)), name=clock
        )
    Trigger.objects.update(due_at=NOW + 15 * MINUTE, looked_until=NOW)
    with django_assert_num_queries(11):  # the workspace six times, the zones three times
        assert entering.take_due(NOW + 15 * MINUTE) == 0
    assert set(Trigger.objects.values_list("looked_until", "due_at")) == {(NOW + 15 * MINUTE, NOW + 30 * MINUTE)}


def test_zones_in_use_and_days_of_becoming_known_are_read_from_an_index(settings: Any) -> None:
    make_contact(timezone="Asia/Tokyo")
    make_contact(timezone="Asia/Tokyo")
    make_contact(timezone="America/New_York")
    make_contact()
    assert queries_triggers.zones_in_use() == ["", "America/New_York", "Asia/Tokyo"]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        found = queries_triggers.known_since([("", NOW, NOW + DAY, NOW)], by_zone=False)
        cursor.execute(f"EXPLAIN {found.text}", list(found.params))
        assert "leads_contact_newest" in str(cursor.fetchall())


def test_days_that_came_during_a_long_pause_let_nobody_in() -> None:
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="moment")
    program = make_triggered({"kind": "day", "field": "custom.renewal", "at": "00:00"})
    today = NOW.date()
    long_ago, fresh = (
        make_contact(custom={"renewal": f"{(today + number * DAY).isoformat()}T12:00:00+00:00"}) for number in (2, 9)
    )
    actions.pause(program, actor=None, now=NOW + DAY)
    turn.turn(NOW + 9 * DAY)
    assert inside(program) == {}
    actions.resume(program, waits="at_once", actor=None, now=NOW + 9 * DAY)
    turn.turn(NOW + 9 * DAY + 15 * MINUTE)
    assert (set(inside(program)), long_ago.pk in inside(program)) == ({fresh.pk}, False)


# --- Publishing ------------------------------------------------------------------------------------------------------------------


def edited(program: Program, *triggers: dict[str, Any], now: datetime) -> ProgramVersion:
    draft = actions.start_draft(program, actor=None, now=now)
    return actions.set_triggers(draft, edit_number=draft.edit_number, triggers=list(triggers), now=now)


def test_an_edit_leaves_triggers_that_stay_as_they_were() -> None:
    (has,) = make_people(1, tags=["hot"])
    tag = {"id": "t1", "kind": "tag", "tag": "hot"}
    program = make_triggered({"kind": "tag", "tag": "hot"})
    row = Trigger.objects.get()
    edited(program, tag, {"id": "t2", "kind": "stage", "stages": ["mql"]}, now=NOW + DAY)
    publish(program, intake="new", now=NOW + DAY)
    kept, fresh = Trigger.objects.order_by("key")
    assert (kept.pk, kept.since, fresh.since) == (row.pk, NOW, NOW + DAY)
    turn.turn(NOW + DAY + MINUTE)
    assert inside(program) == {}
    edited(program, tag, now=NOW + 2 * DAY)
    publish(program, intake="all", now=NOW + 2 * DAY)
    turn.turn(NOW + 2 * DAY + MINUTE)
    assert set(inside(program)) == {has.pk}
    work_publications(NOW + 2 * DAY + MINUTE)  # somebody entered: what was kept for taking it back goes
    assert Trigger.objects.count() == 1


def test_while_paused_nobody_is_lost_and_a_stopped_program_takes_nobody_in() -> None:
    program = make_triggered({"kind": "tag", "tag": "hot"}, {"kind": "stage", "stages": ["mql"]})
    tagged, riser = make_people(2)
    actions.pause(program, actor=None, now=NOW + MINUTE)
    tags(tagged, "hot", now=NOW + 2 * MINUTE)
    reaches(riser, "mql", now=NOW + 2 * MINUTE)
    turn.turn(NOW + 3 * MINUTE)
    assert inside(program) == {}
    actions.resume(program, waits="at_once", actor=None, now=NOW + 4 * MINUTE)
    turn.turn(NOW + 5 * MINUTE)
    assert set(inside(program)) == {tagged.pk, riser.pk}
    actions.stop(program, actor=None, now=NOW + 6 * MINUTE)
    assert Trigger.objects.count() == 0
    (later,) = make_people(1)
    tags(later, "hot", now=NOW + 7 * MINUTE)
    turn.turn(NOW + 8 * MINUTE, full=True)
    assert later.pk not in inside(program)


def test_the_start_counts_those_who_match_and_lets_so_many_a_day_in_first_come_first() -> None:
    set_workspace(timezone="UTC")
    stage = {"kind": "stage", "stages": ["mql"]}
    people = make_people(5)
    for number, person in enumerate(people):
        reaches(person, "mql", now=NOW - (5 - number) * DAY)
    tagged = make_people(2, tags=["hot"])
    program = make_triggered(stage, {"kind": "tag", "tag": "hot"}, intake="all", per_day=3)
    assert (EntryQueue.objects.get().per_day, EntryPlace.objects.count()) == (3, 7)
    assert turn.turn(NOW).enrolled == 3
    assert list(inside(program)) == [person.pk for person in people[:3]]
    assert turn.turn(NOW + MINUTE).enrolled == 0
    (fresh,) = make_people(1)
    reaches(fresh, "mql", now=NOW + MINUTE)
    tags(people[3], "hot", now=NOW + MINUTE)
    assert turn.turn(NOW + 2 * MINUTE).enrolled == 2  # whoever comes by themselves does not queue
    assert inside(program)[people[3].pk] == "tag#t2"
    assert turn.turn(NOW + DAY).enrolled == 3  # the one who came meanwhile takes nobody's place
    assert set(inside(program)) == {one.pk for one in (*people, *tagged, fresh)}
    assert (EntryQueue.objects.count(), EntryPlace.objects.count()) == (0, 0)


def test_the_queue_can_be_held_and_let_go() -> None:
    set_workspace(timezone="UTC")
    people = make_people(4, tags=["hot"])
    program = make_triggered({"kind": "tag", "tag": "hot"}, intake="all", per_day=1)
    turn.turn(NOW)
    actions.hold_queue(program, is_held=True, actor=None, now=NOW)
    assert turn.turn(NOW + DAY).enrolled == 0
    actions.hold_queue(program, is_held=False, actor=None, now=NOW + DAY)
    assert turn.turn(NOW + DAY).enrolled == 1
    assert actions.drop_queue(program, actor=None, now=NOW + DAY) == 2
    assert turn.turn(NOW + 9 * DAY).enrolled == 0
    assert len(inside(program)) == 2 < len(people)


def test_the_sheet_counts_what_then_enters() -> None:
    stage = {"kind": "stage", "stages": ["mql"]}
    in_stage, both, has_tag = make_people(1), make_people(1, tags=["hot"]), make_people(1, tags=["hot"])
    reaches(in_stage[0], "mql", now=NOW - DAY)
    reaches(both[0], "mql", now=NOW - 3 * DAY)
    program = make_triggered(stage)
    draft = edited(program, {"id": "t1", **stage}, {"id": "t2", "kind": "tag", "tag": "hot"}, now=NOW)
    assert entering.count_present(draft, since=None, now=NOW) == Present(3, 3)
    assert entering.count_present(draft, since=NOW - 2 * DAY, now=NOW) == Present(1, 1)
    publish(program, intake="all")
    turn.turn(NOW + MINUTE)
    assert set(inside(program)) == {one.pk for one in (*in_stage, *both, *has_tag)}
    draft = actions.start_draft(program, actor=None, now=NOW + DAY)
    assert entering.count_present(draft, since=None, now=NOW + DAY) == Present(3, 0)


# --- The document ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("triggers", "path"),
    [
        ({}, ""),
        ([{"id": "t1", "kind": "moon"}], "[0].kind"),
        ([{"id": "new", "kind": "tag"}], "[0].id"),
        ([{"id": "t1", "kind": "tag"}, {"id": "t1", "kind": "tag"}], "[1].id"),
        ([{"id": "t1", "kind": "tag", "stage": "mql"}], "[0].stage"),
        ([{"id": "t1", "kind": "stage", "stages": "mql"}], "[0].stages"),
        ([{"id": "t1", "kind": "score", "line": "many"}], "[0].line"),
        ([{"id": "t1", "kind": "score", "direction": "sideways"}], "[0].direction"),
        ([{"id": "t1", "kind": "grade", "grades": ["E9"]}], "[0].grades"),
        ([{"id": "t1", "kind": "day", "at": "25:00"}], "[0].at"),
        ([{"id": "t1", "kind": "program", "when": "soon"}], "[0].when"),
        ([{"id": "t1", "kind": "import", "who": "all"}], "[0].who"),
        ([{"id": "t1", "kind": "activity", "activity": {"field": "contact.title", "op": "is_known"}}], "[0].activity"),
        ([{"id": "t1", "kind": "activity", "activity": {"not": {"did": "page_view"}}}], "[0].activity"),
        ([{"id": "t1", "kind": "activity", "activity": {"did": "page_view", "first": True}}], "[0].activity"),
        ([{"id": "t1", "kind": "activity", "activity": {"did": "page_view"}, "late_hours": 0}], "[0].late_hours"),
    ],
)  # fmt: skip
def test_what_is_malformed_is_named(triggers: Any, path: str) -> None:
    with pytest.raises(document.BadTriggers) as error:
        document.check(triggers)
    assert error.value.problems[0].path == path


def test_what_is_missing_blocks_the_start_and_is_said() -> None:
    names = Names()
    for kind in TRIGGERS.values():
        if kind.key != "import":  # every import is a trigger that says enough
            assert [blocks for _message, blocks in kind.problems({}, names)][:1] == [True], kind.key
            assert kind.words({}, names)
    twice = [{"id": f"t{n}", "kind": "import"} for n in (1, 2)]
    assert [(problem.message, problem.blocks) for problem in document.problems(twice, names)] == [
        ("Two triggers say the same.", False)
    ]


def test_triggers_in_words() -> None:
    make_segment(slug="dach", name="DACH")
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    listed: list[dict[str, Any]] = [
        {"id": "t1", "kind": "segment", "segment": "dach"},
        {"id": "t2", "kind": "activity", "activity": FORM},
        {"id": "t3", "kind": "import", "file": "fair"},
        {"id": "t4", "kind": "stage", "stages": ["mql", "customer"]},
        {"id": "t5", "kind": "day", "field": "custom.renewal", "days": -30, "yearly": True, "clock": "contact"},
        {"id": "t6", "kind": "score", "model": "gone", "line": 75, "direction": "down"},
        {"id": "t7", "kind": "grade", "model": "gone", "grades": ["A1", "A2"]},
        {"id": "t8", "kind": "tag", "tag": "partner"},
        {"id": "t9", "kind": "program", "program": "gone", "when": "goal"},
    ]
    assert document.in_words(document.check(listed), Names()) == [
        "enters “DACH”",
        document.in_words([listed[1]], Names())[0],
        "is new in an import of “fair”",
        "reaches the stage MQL or Customer",
        "comes to 30 days before the anniversary of “Renewal”, 09:00 on the contact's clock",
        "falls below 75 points in “gone” (total)",
        "gets the grade A1 or A2 in “gone”",
        "gets the tag “partner”",
        "reaches the goal of “gone”",
    ]
