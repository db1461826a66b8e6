"""One turn: what it looks at, what it writes, what survives failures, rivals and kills."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext

from leads.actions import NewActivity, add_tag, change_contact, move_stages, record_activities, withdraw_consent
from leads.models import Contact, Mark
from segments import nodes, queries, turn
from segments.actions import add_to_segment, leave_to_rule, remove_from_segment, save_segment
from segments.conditions import Sql
from segments.models import Membership, Persona, PersonaAssignment, Segment
from tests.database import wait_until_alone
from tests.makers import NOW, clear_marks, make_contact, make_segment

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
GERMAN = {"field": "contact.country", "op": "is", "value": "DE"}
RECENT_VIEW = {"did": "page_view", "when": {"op": "in_last", "value": 7, "unit": "days"}}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]


def members(segment: Segment) -> set[int]:
    stored = set(Membership.objects.filter(segment=segment, until=None).values_list("contact_id", flat=True))
    segment.refresh_from_db()
    assert segment.member_count == len(stored)
    return stored


def later(**period: float) -> datetime:
    return NOW + timedelta(**period)


@pytest.fixture
def followed(only_segments: None) -> list[tuple[str, list[int]]]:
    """What two followers were called with; the only ones of the test."""
    calls: list[tuple[str, list[int]]] = []

    def follower(name: str) -> turn.Follow:
        def follow(contacts: Sequence[int], now: datetime) -> int:
            calls.append((name, list(contacts)))
            return len(contacts)

        return follow

    turn.register_follower("second", 200, follower("second"))
    turn.register_follower("first", 100, follower("first"))
    return calls


def test_a_new_segment_is_filled_and_a_second_turn_has_nothing_to_do() -> None:
    cfo = make_contact(title="CFO")
    make_contact(title="Intern")
    segment = make_segment(CFO)

    report = turn.turn(NOW)

    assert report.refreshed[segment.key] == 1
    assert members(segment) == {cfo.pk}
    stay = Membership.objects.get(segment=segment)
    assert (stay.since, stay.until, stay.why, stay.left_why) == (NOW, None, "rule:1", "")
    assert (segment.stale_since, segment.refreshed_at, segment.problem) == (None, NOW, "")
    assert turn.turn(NOW) == turn.TurnReport()


def test_nothing_to_do_costs_few_small_statements() -> None:
    make_segment(CFO)
    turn.turn(NOW)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        turn.turn(NOW)
    assert len(captured) <= 6


def test_only_what_reads_the_change_is_looked_at() -> None:
    contact = make_contact(title="Clerk")
    by_title, by_view = make_segment(CFO), make_segment({"did": "page_view"})
    turn.turn(NOW)
    clear_marks()

    change_contact(contact, changes={"title": "CFO"}, actor=None, now=later(minutes=1))
    report = turn.turn(later(minutes=1))

    assert report.changed == {by_title.key: 1}
    assert report.refreshed == {}
    assert (members(by_title), members(by_view)) == ({contact.pk}, set())

    record_activities([NewActivity(contact.pk, "page_view", later(minutes=2))], now=later(minutes=2))
    with CaptureQueriesContext(connection) as captured:
        assert turn.turn(later(minutes=2)).changed == {by_view.key: 1}
    assert "%cfo%" not in " ".join(query["sql"] for query in captured)
    assert not Mark.objects.exists()


def test_a_contact_that_leaves_closes_its_interval() -> None:
    contact = make_contact(title="CFO")
    segment = make_segment(CFO)
    turn.turn(NOW)

    change_contact(contact, changes={"title": "Clerk"}, actor=None, now=later(hours=1))
    turn.turn(later(hours=1))

    stay = Membership.objects.get(segment=segment)
    assert (stay.since, stay.until, stay.left_why) == (NOW, later(hours=1), "rule:1")
    assert members(segment) == set()


def test_segments_that_read_each_other_are_worked_in_order() -> None:
    contact = make_contact(title="CFO", country="DE")
    inner = make_segment(CFO, name="zz inner")
    outer = make_segment({"all": [{"in_segment": inner.slug}, GERMAN]}, name="aa outer")
    negative = make_segment({"not": {"in_segment": outer.slug}}, name="a negative")
    turn.turn(NOW)
    assert (members(inner), members(outer), members(negative)) == ({contact.pk}, {contact.pk}, set())

    change_contact(contact, changes={"title": "Clerk"}, actor=None, now=later(minutes=1))
    report = turn.turn(later(minutes=1))

    assert report.changed == {inner.key: 1, outer.key: 1, negative.key: 1}
    assert (members(inner), members(outer), members(negative)) == (set(), set(), {contact.pk})
    assert turn.turn(later(minutes=1), full=True).changes == 0


def test_an_edited_segment_reaches_those_that_read_it() -> None:
    make_contact(title="CFO", country="FR")
    german = make_contact(title="Clerk", country="DE")
    inner = make_segment(CFO)
    outer = make_segment({"in_segment": inner.slug})
    turn.turn(NOW)

    save_segment(inner, name=inner.name, conditions=GERMAN, actor=None, now=later(minutes=1))
    turn.turn(later(minutes=1))

    assert (members(inner), members(outer)) == ({german.pk}, {german.pk})
    assert Membership.objects.get(segment=inner, until=None).why == "rule:2"


def test_decisions_by_hand_win_over_the_rule_and_stick() -> None:
    cfo, clerk = make_contact(title="CFO"), make_contact(title="Clerk")
    segment = make_segment(CFO)
    turn.turn(NOW)

    assert remove_from_segment(segment, contact_ids=[cfo.pk], cause="by_hand", actor=None, now=later(minutes=1)) == 1
    assert add_to_segment(segment, contact_ids=[clerk.pk], cause="by_hand", actor=None, now=later(minutes=1)) == 1
    assert members(segment) == {clerk.pk}
    for full in (False, True):
        assert turn.turn(later(minutes=2), full=full).changes == 0
    assert members(segment) == {clerk.pk}

    assert leave_to_rule(segment, contact_ids=[cfo.pk, clerk.pk], now=later(minutes=3)) == 2
    assert members(segment) == {cfo.pk}


def test_a_fixed_segment_holds_who_was_added() -> None:
    contact, other = make_contact(), make_contact()
    segment = make_segment()
    for _ in range(2):
        add_to_segment(segment, contact_ids=[contact.pk, other.pk], cause="program:x", actor=None, now=NOW)
    assert Membership.objects.filter(segment=segment, why="program:x").count() == 2
    turn.turn(NOW, full=True)
    assert members(segment) == {contact.pk, other.pk}

    remove_from_segment(segment, contact_ids=[other.pk], cause="by_hand", actor=None, now=later(minutes=1))
    turn.turn(later(minutes=2), full=True)
    assert members(segment) == {contact.pk}


def test_time_alone_moves_people_and_only_they_are_looked_at() -> None:
    old, fresh = make_contact(), make_contact()
    segment = make_segment(RECENT_VIEW)
    record_activities(
        [NewActivity(old.pk, "page_view", later(days=-6)), NewActivity(fresh.pk, "page_view", later(hours=-1))], now=NOW
    )
    turn.turn(NOW)
    assert members(segment) == {old.pk, fresh.pk}

    assert turn.turn(later(days=2)).refreshed == {segment.key: 1}
    assert members(segment) == {fresh.pk}
    assert turn.turn(later(days=8)).refreshed == {segment.key: 1}
    assert members(segment) == set()
    assert turn.turn(later(days=8), full=True).changes == 0


def test_an_activity_dated_ahead_counts_from_its_moment() -> None:
    contact = make_contact()
    segment = make_segment({"did": "webinar_attended"})
    turn.turn(NOW)
    record_activities([NewActivity(contact.pk, "webinar_attended", later(hours=5))], now=NOW)
    turn.turn(NOW)
    assert (members(segment), segment.due_at) == (set(), later(hours=5))

    turn.turn(later(hours=4))
    assert members(segment) == set()
    turn.turn(later(hours=5))
    assert (members(segment), segment.due_at) == ({contact.pk}, None)


@pytest.mark.parametrize(
    "rule",
    [
        {"field": "contact.stage", "op": "is", "value": "mql"},
        {"field": "consent.marketing", "op": "is", "value": "withdrawn"},
        {"did": "page_view"},
        {"in_segment": "by-hand"},
    ],
    ids=str,
)
def test_what_happens_while_a_turn_is_at_work_is_not_forgotten(rule: dict[str, object]) -> None:
    """Its mark is taken by the turn, though the fact is later than the moment of the turn."""
    contact = make_contact(email="ann@x.test")
    by_hand = make_segment(name="By hand", slug="by-hand")
    segment = make_segment(rule)
    turn.turn(NOW)
    meanwhile = later(seconds=2)
    move_stages([contact.pk], to="mql", cause="rule:x", reason="", now=meanwhile)
    withdraw_consent("ann@x.test", source="form", now=meanwhile, contact=contact)
    record_activities([NewActivity(contact.pk, "page_view", meanwhile)], now=meanwhile)
    add_to_segment(by_hand, contact_ids=[contact.pk], cause="by_hand", actor=None, now=meanwhile)

    turn.turn(later(seconds=1))
    turn.turn(later(seconds=3))
    assert members(segment) == {contact.pk}


def test_an_activity_dated_ahead_that_arrives_in_a_turn_does_not_count_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    early, ahead = make_contact(), make_contact()
    segment = make_segment({"did": "page_view"})
    turn.turn(NOW)
    monkeypatch.setattr(turn, "BATCH", 1)
    record_activities([NewActivity(early.pk, "page_view", NOW)], now=NOW)
    original, arriving = turn._batch, [NewActivity(ahead.pk, "page_view", later(hours=20))]

    def and_then_one_arrives(nodes: Sequence[turn.Node], now: datetime, **options: Any) -> turn.TurnReport:
        done = original(nodes, now, **options)
        if arriving:
            record_activities([arriving.pop()], now=NOW)
        return done

    monkeypatch.setattr(turn, "_batch", and_then_one_arrives)
    turn.turn(later(minutes=1))
    monkeypatch.undo()
    turn.turn(later(minutes=2))
    assert members(segment) == {early.pk}
    turn.turn(later(hours=20))
    assert members(segment) == {early.pk, ahead.pk}


def test_one_segment_that_fails_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = make_contact(title="CFO")
    broken, sound = make_segment(CFO, name="a broken"), make_segment(CFO, name="b sound")
    Segment.objects.filter(pk=broken.pk).update(conditions={"field": "contact.custom.gone", "op": "is", "value": "x"})

    report = turn.turn(NOW)

    assert list(report.problems) == [broken.key]
    broken.refresh_from_db()
    assert "gone" in broken.problem
    assert broken.due_at == NOW + nodes.AFTER_A_FAILURE
    assert (members(broken), members(sound)) == (set(), {contact.pk})
    assert turn.turn(later(seconds=1)) == turn.TurnReport()  # not tried again each second

    Segment.objects.filter(pk=broken.pk).update(conditions=CFO)
    turn.turn(later(minutes=11))
    assert (members(broken), broken.problem) == ({contact.pk}, "")


def test_a_failure_among_changed_contacts_costs_nobody_else_their_change(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = make_contact(title="Clerk")
    bad, good = make_segment(CFO, name="a bad"), make_segment(CFO, name="b good")
    turn.turn(NOW)
    original = nodes.SegmentNode._matching

    def fails_for_bad(node: nodes.SegmentNode, now: datetime, contacts: Sequence[int] | None = None) -> Sql:
        return Sql("SELECT 1 / 0", ()) if node.key == bad.key else original(node, now, contacts)

    monkeypatch.setattr(nodes.SegmentNode, "_matching", fails_for_bad)
    change_contact(contact, changes={"title": "CFO"}, actor=None, now=later(minutes=1))
    report = turn.turn(later(minutes=1))
    monkeypatch.undo()

    assert (list(report.problems), report.changed) == ([bad.key], {good.key: 1})
    bad.refresh_from_db()
    assert "division by zero" in bad.problem
    turn.turn(later(minutes=12))
    assert members(bad) == members(good) == {contact.pk}


def test_an_evaluation_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    make_contact(title="CFO")
    segment = make_segment(CFO)
    original = nodes.compiled

    def slow(*arguments: object) -> Sql:
        rule = original(*arguments)  # type: ignore[arg-type]
        return Sql(f"SELECT id FROM ({rule.text}) AS r(id), pg_sleep(1)", rule.params)

    monkeypatch.setattr(nodes, "compiled", slow)
    monkeypatch.setattr(nodes, "FULL_SECONDS", 0.05)
    turn.turn(NOW)
    segment.refresh_from_db()
    assert segment.problem == "The rule took too long to evaluate and was stopped."


def test_personas_go_to_the_first_rule_that_matches() -> None:
    both, german = make_contact(title="CFO", country="DE"), make_contact(title="Clerk", country="DE")
    first = _persona("first", CFO, position=1)
    second = _persona("second", GERMAN, position=2)
    _persona("a draft", GERMAN, position=0, status=Persona.Status.DRAFT)
    turn.turn(NOW)
    assert assigned() == {both.pk: "first", german.pk: "second"}

    change_contact(both, changes={"title": "Clerk"}, actor=None, now=later(minutes=1))
    report = turn.turn(later(minutes=1))
    assert report.changed == {"personas": 1}
    assert assigned() == {both.pk: "second", german.pk: "second"}
    assert list(
        PersonaAssignment.objects.filter(contact=both).order_by("since").values_list("persona__slug", "until", "why")
    ) == [("first", later(minutes=1), "rule:1"), ("second", None, "rule:1")]

    Persona.objects.filter(pk=second.pk).update(position=0)
    Persona.objects.update(stale_since=later(minutes=2))
    change_contact(both, changes={"title": "CFO"}, actor=None, now=later(minutes=2))
    turn.turn(later(minutes=2))
    assert assigned() == {both.pk: "second", german.pk: "second"}
    assert turn.turn(later(minutes=3), full=True).changes == 0
    assert first.slug not in assigned().values()


def test_a_segment_follows_the_persona_it_reads() -> None:
    contact = make_contact(title="CFO")
    _persona("cfo", CFO)
    segment = make_segment({"in_persona": "cfo"})
    by_field = make_segment({"field": "contact.persona", "op": "is", "value": "cfo"})
    turn.turn(NOW)
    assert members(segment) == members(by_field) == {contact.pk}
    change_contact(contact, changes={"title": "Clerk"}, actor=None, now=later(minutes=1))
    turn.turn(later(minutes=1))
    assert members(segment) == members(by_field) == set()


def test_a_persona_that_cannot_be_evaluated_is_named_and_nobody_changes() -> None:
    contact = make_contact(title="CFO")
    _persona("cfo", CFO)
    turn.turn(NOW)
    bad = _persona("bad", {"field": "contact.custom.gone", "op": "is", "value": "x"}, position=0)
    assert list(turn.turn(later(minutes=1)).problems) == ["personas"]
    bad.refresh_from_db()
    assert "gone" in bad.problem
    assert assigned() == {contact.pk: "cfo"}
    assert turn.turn(later(minutes=2)) == turn.TurnReport()


def test_followers_get_every_marked_contact_in_their_order(followed: list[tuple[str, list[int]]]) -> None:
    contact = make_contact(title="CFO")
    make_segment(CFO)
    turn.turn(NOW)
    assert followed == [("first", [contact.pk]), ("second", [contact.pk])]  # the segment was entered in a full look


def test_a_contact_that_breaks_a_follower_is_told_and_the_others_go_on(
    followed: list[tuple[str, list[int]]], caplog: pytest.LogCaptureFixture
) -> None:
    contacts = [make_contact() for _ in range(5)]
    poison = contacts[3].pk

    def breaks(ids: Sequence[int], now: datetime) -> int:
        if poison in ids:
            raise ValueError("poison")
        return len(ids)

    turn.register_follower("breaks", 150, breaks)
    queries.put_back([contact.pk for contact in contacts], Mark.Facet.CONTACT)
    report = turn.turn(NOW)

    assert report.problems == {f"breaks: contact {poison}": "ValueError: poison"}
    assert report.followed == {"first": 5, "breaks": 4, "second": 5}
    assert not Mark.objects.exists()
    assert f"breaks failed for contact {poison}." in caplog.text


def test_many_marks_make_a_look_at_everybody(
    monkeypatch: pytest.MonkeyPatch, followed: list[tuple[str, list[int]]]
) -> None:
    contact, _other = make_contact(title="CFO"), make_contact()
    segment = make_segment(CFO)
    turn.turn(NOW)
    followed.clear()
    monkeypatch.setattr(turn, "FULL_FROM", 3)
    add_tag([contact.pk], tag="x", now=NOW)
    queries.put_back([contact.pk] * 4, Mark.Facet.CONTACT)

    report = turn.turn(later(minutes=1))

    assert (report.refreshed, report.changed) == ({segment.key: 0}, {})
    assert followed == [("first", [contact.pk]), ("second", [contact.pk])]


def test_what_all_readers_will_see_is_told_to_the_followers_alone(
    followed: list[tuple[str, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "FULL_FROM", 1)
    both = make_contact(title="CFO", country="DE")
    inner, german = make_segment(CFO), make_segment(GERMAN)
    outer = make_segment({"all": [{"in_segment": inner.slug}, {"in_segment": german.slug}]})
    clear_marks()

    report = turn.turn(NOW)

    assert (report.refreshed, report.changed) == ({inner.key: 1, german.key: 1, outer.key: 1}, {})
    assert followed == [("first", [both.pk]), ("second", [both.pk])]
    assert members(outer) == {both.pk}

    clerk = make_contact(title="Clerk", country="DE")
    queries.put_back([clerk.pk], Mark.Facet.CONTACT)
    turn.turn(NOW)
    save_segment(inner, name=inner.name, conditions=GERMAN, actor=None, now=later(minutes=1))
    report = turn.turn(later(minutes=1))
    assert (report.refreshed, report.changed) == (
        {inner.key: 1},
        {outer.key: 1},
    )  # it was not stale: its marks are its own
    assert members(outer) == {both.pk, clerk.pk}


def test_marks_for_the_followers_alone_are_no_reason_to_look_at_everybody(
    followed: list[tuple[str, list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_segment(CFO)
    turn.turn(NOW)
    monkeypatch.setattr(turn, "FULL_FROM", 3)
    monkeypatch.setattr(turn, "BATCH", 2)
    queries.put_back([101, 102, 103, 104, 105], turn.FOLLOW_ONLY)
    report = turn.turn(later(minutes=1))
    assert (report.refreshed, report.contacts, report.batches) == ({}, 5, 3)
    assert [contacts for name, contacts in followed if name == "first"] == [[101, 102], [103, 104], [105]]


def test_the_budget_leaves_the_rest_to_the_next_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "BATCH", 1)
    contacts = [make_contact(title="CFO") for _ in range(3)]
    segment = make_segment(CFO)
    turn.turn(NOW)
    for contact in contacts:
        change_contact(contact, changes={"title": "Clerk"}, actor=None, now=NOW)
    report = turn.turn(later(minutes=1), budget_seconds=0.0)
    assert (report.more, report.contacts) == (True, 1)
    assert turn.turn(later(minutes=1)).contacts == 2
    assert members(segment) == set()


def test_a_deleted_contact_takes_its_membership_out_of_the_count() -> None:
    contact, _stays = make_contact(title="CFO"), make_contact(title="CFO")
    segment = make_segment(CFO)
    _persona("cfo", CFO)
    turn.turn(NOW)
    contact.delete()
    segment.refresh_from_db()
    assert segment.member_count == 1
    assert Persona.objects.get().contact_count == 1
    assert queries.wrong_counts() == []


@pytest.mark.django_db(transaction=True)
def test_a_second_turn_returns_at_once() -> None:
    make_segment(CFO)
    reports: list[turn.TurnReport] = []

    def rival() -> None:
        try:
            reports.append(turn.turn(NOW))
        finally:
            connection.close()

    assert queries.try_turn_lock(turn.LOCK)
    try:
        thread = threading.Thread(target=rival)
        thread.start()
        thread.join()
    finally:
        queries.release_turn_lock(turn.LOCK)
    assert [report.busy for report in reports] == [True]
    assert not turn.turn(NOW).busy


@pytest.mark.django_db(transaction=True)
def test_a_turn_killed_between_two_chunks_is_finished_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    Contact.objects.bulk_create([Contact(external_id=f"c{n}", title="CFO") for n in range(1_000)])
    segment = make_segment(CFO)
    outer = make_segment({"in_segment": segment.slug})
    monkeypatch.setattr(queries, "CHUNK_PAGES", 1)
    original, calls = queries.write_members, [0]

    def dies_in_the_third(*arguments: object, **values: object) -> queries.Changed:
        calls[0] += 1
        written = original(*arguments, **values)  # type: ignore[arg-type]
        if calls[0] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return written

    connection.close()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(queries, "write_members", dies_in_the_third)
        try:
            turn.turn(NOW)
        finally:
            os._exit(1)  # not reached: it was killed
    _pid, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    wait_until_alone()
    half = Membership.objects.filter(segment=segment, until=None).count()
    assert 0 < half < 1_000
    assert queries.wrong_counts() == []

    turn.turn(later(minutes=1))
    assert len(members(segment)) == len(members(outer)) == 1_000
    assert Membership.objects.filter(segment=segment).count() == 1_000  # nobody joined twice
    assert turn.turn(later(minutes=1), full=True).changes == 0


@pytest.mark.django_db(transaction=True)
def test_a_turn_killed_in_a_batch_loses_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    contact = make_contact(title="Clerk")
    segment = make_segment(CFO)
    turn.turn(NOW)
    change_contact(contact, changes={"title": "CFO"}, actor=None, now=NOW)
    connection.close()
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(queries, "write_members", lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL))
        try:
            turn.turn(later(minutes=1))
        finally:
            os._exit(1)
    os.waitpid(child, 0)
    wait_until_alone()
    assert members(segment) == set()
    turn.turn(later(minutes=2))
    assert members(segment) == {contact.pk}


@pytest.mark.django_db(transaction=True)
def test_counts_do_not_drift_while_people_are_added_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    Contact.objects.bulk_create([Contact(external_id=f"c{n}", title="CFO" if n % 2 else "Clerk") for n in range(800)])
    ids = list(Contact.objects.values_list("pk", flat=True))
    segment = make_segment(CFO)
    monkeypatch.setattr(queries, "CHUNK_PAGES", 1)
    failures: list[BaseException] = []

    def by_hand(number: int) -> None:
        try:
            for start in range(number * 10, 800, 40):
                chosen = ids[start : start + 5]
                act = add_to_segment if start % 20 else remove_from_segment
                act(segment, contact_ids=chosen, cause="by_hand", actor=None, now=NOW)
        except DatabaseError as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=by_hand, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        turn.turn(NOW, full=True)
    for thread in threads:
        thread.join()
    turn.turn(NOW)

    assert failures == []
    assert queries.wrong_counts() == []
    overridden = {row.contact_id: row.verdict for row in segment.overrides.all()}
    titles = dict(Contact.objects.values_list("pk", "title"))
    assert members(segment) == {
        pk for pk in ids if overridden.get(pk, "added" if titles[pk] == "CFO" else "removed") == "added"
    }
    assert turn.turn(NOW, full=True).changes == 0


def _persona(
    slug: str, conditions: Mapping[str, object], *, position: int = 1, status: str = Persona.Status.AGREED
) -> Persona:
    return Persona.objects.create(
        slug=slug, name=slug, conditions=conditions, position=position, status=status, stale_since=NOW
    )


def assigned() -> dict[int, str]:
    stored = dict(PersonaAssignment.objects.filter(until=None).values_list("contact_id", "persona__slug"))
    assert queries.wrong_counts() == []
    return stored
