"""Saving, versions, two editors, loops, use, copies, the archive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads.models import AuditEntry, Mark
from segments import graph, turn
from segments.actions import (
    EVERYBODY,
    InUse,
    Loop,
    NeedsConditions,
    SavedMeanwhile,
    SegmentRefused,
    add_to_segment,
    archive_segment,
    delete_segment,
    duplicate_segment,
    leave_to_rule,
    remove_from_segment,
    restore_version,
    save_segment,
    unarchive_segment,
)
from segments.conditions import BadConditions
from segments.models import Membership, Segment, SegmentOverride, SegmentVersion
from tests.makers import NOW, make_contact, make_segment, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("only_segments")]

CFO = {"field": "contact.title", "op": "contains", "value": "cfo"}
GERMAN = {"field": "contact.country", "op": "is", "value": "DE"}
LATER = NOW + timedelta(hours=1)


def test_a_new_segment_is_version_one_and_waits_for_the_turn() -> None:
    user = make_user()
    segment = save_segment(
        None, name="Finance Chiefs", conditions=CFO, actor=user, now=NOW, reason="asked by Ada", joining=3, leaving=0
    )
    assert (segment.slug, segment.version, segment.stale_since, segment.mode) == ("finance-chiefs", 1, NOW, "dynamic")
    version = SegmentVersion.objects.get()
    assert (version.number, version.conditions, version.saved_by, version.saved_at, version.reason, version.joining, version.leaving) == (
        1, CFO, user, NOW, "asked by Ada", 3, 0,
    )  # fmt: skip
    assert AuditEntry.objects.get().verb == "created"


def test_slugs_are_free_and_no_words_of_our_addresses() -> None:
    names = ["New", "New", "Überall", "§"]
    assert [make_segment(CFO, name=name).slug for name in names] == ["new-2", "new-3", "uberall", "segment"]


def test_only_a_changed_rule_makes_it_stale() -> None:
    segment = make_segment(CFO)
    Segment.objects.update(stale_since=None)
    renamed = save_segment(segment, name="Other", conditions=CFO, actor=None, now=LATER)
    assert (renamed.name, renamed.version, renamed.stale_since) == ("Other", 2, None)
    same = save_segment(renamed, name="Other", conditions=CFO, actor=None, now=LATER)
    assert same.version == 2
    assert save_segment(renamed, name="Other", conditions=GERMAN, actor=None, now=LATER).stale_since == LATER


def test_the_second_of_two_editors_is_told() -> None:
    segment = make_segment(CFO)
    save_segment(segment, name="First", conditions=CFO, actor=None, now=LATER, version=1)
    with pytest.raises(SavedMeanwhile) as told:
        save_segment(segment, name="Second", conditions=GERMAN, actor=None, now=LATER, version=1)
    assert (told.value.theirs.name, told.value.theirs.version) == ("First", 2)
    assert Segment.objects.get().name == "First"


@pytest.mark.parametrize("empty", [None, {"all": []}, {"any": []}, {"all": [{"not": {"any": [{"all": []}]}}]}])
def test_everybody_must_be_chosen_by_name(empty: dict[str, Any] | None) -> None:
    with pytest.raises(NeedsConditions):
        save_segment(None, name="All", conditions=empty, actor=None, now=NOW)
    assert save_segment(None, name="All", conditions=empty, actor=None, now=NOW, everybody=True).conditions == EVERYBODY


def test_a_broken_rule_and_a_missing_segment_are_refused() -> None:
    for conditions, path in (
        ({"all": [{"field": "contact.title", "op": "at_least", "value": 3}]}, "all[0].op"),
        ({"in_segment": "nowhere"}, "in_segment"),
    ):
        with pytest.raises(BadConditions) as refused:
            save_segment(None, name="x", conditions=conditions, actor=None, now=NOW)
        assert [problem.path for problem in refused.value.problems] == [path]
    assert not Segment.objects.exists()


def test_a_loop_is_refused_naming_it() -> None:
    a = make_segment(CFO, name="A")
    b = make_segment({"in_segment": "a"}, name="B")
    c = make_segment({"all": [GERMAN, {"not": {"in_segment": "b"}}]}, name="C")
    with pytest.raises(Loop) as refused:
        save_segment(a, name="A", conditions={"any": [CFO, {"in_segment": c.slug}]}, actor=None, now=NOW)
    assert refused.value.keys == ["segment:a", "segment:c", "segment:b", "segment:a"]
    assert str(refused.value) == "This rule would go in a circle: A → C → B → A."
    with pytest.raises(Loop):
        save_segment(b, name="B", conditions={"in_segment": "b"}, actor=None, now=NOW)


@pytest.mark.parametrize("act", [archive_segment, delete_segment])
def test_a_segment_in_use_cannot_go(act: object) -> None:
    assert callable(act)
    inner = make_segment(CFO, name="Inner")
    outer = make_segment({"in_segment": "inner"}, name="Outer")
    with pytest.raises(InUse) as refused:
        act(inner, actor=None, now=NOW)
    assert str(refused.value) == "“Inner” is used by: segment “Outer”. Change these first."
    act(outer, actor=None, now=NOW)
    act(inner, actor=None, now=NOW)
    assert not Segment.objects.in_use().exists()


def test_an_archived_segment_is_left_alone_until_it_is_used_again() -> None:
    contact = make_contact(title="CFO")
    segment = make_segment(CFO)
    archive_segment(segment, actor=None, now=NOW)
    assert turn.turn(NOW, full=True).refreshed == {}
    with pytest.raises(SegmentRefused):
        add_to_segment(segment, contact_ids=[contact.pk], cause="by_hand", actor=None, now=NOW)
    unarchive_segment(segment, actor=None, now=LATER)
    assert turn.turn(LATER).refreshed == {segment.key: 1}


def test_an_earlier_version_is_saved_again_as_a_new_one() -> None:
    user = make_user()
    segment = make_segment(CFO)
    segment = save_segment(segment, name=segment.name, conditions=GERMAN, actor=user, now=LATER)
    restored = restore_version(segment, number=1, actor=user, now=LATER)
    assert (restored.version, restored.conditions) == (3, CFO)
    assert [version.reason for version in restored.versions.all()] == ["Version 1 restored", "", ""]


def test_a_copy_has_the_rule_or_the_people() -> None:
    contact = make_contact(title="CFO")
    segment = make_segment(CFO, name="Chiefs", folder="Finance")
    turn.turn(NOW)
    copy = duplicate_segment(segment, name="Copy", as_fixed=False, actor=None, now=LATER)
    frozen = duplicate_segment(segment, name="Frozen", as_fixed=True, actor=None, now=LATER)
    turn.turn(LATER)
    assert (copy.conditions, copy.folder, frozen.mode, frozen.conditions) == (CFO, "Finance", "fixed", None)
    for made in (copy, frozen):
        assert list(Membership.objects.filter(segment=made, until=None).values_list("contact_id", flat=True)) == [
            contact.pk
        ]


def test_by_hand_leaves_marks_and_keeps_the_first_cause() -> None:
    contact = make_contact()
    segment = make_segment()
    user = make_user()
    assert (
        add_to_segment(segment, contact_ids=[contact.pk, 999_999_999], cause="program:welcome", actor=None, now=NOW)
        == 1
    )
    assert add_to_segment(segment, contact_ids=[contact.pk], cause="by_hand", actor=user, now=LATER) == 0
    override = SegmentOverride.objects.get()
    assert (override.cause, override.since) == ("program:welcome", NOW)
    assert list(Mark.objects.values_list("contact_id", "facet")) == [(contact.pk, Mark.Facet.DEFINITION)]
    assert remove_from_segment(segment, contact_ids=[contact.pk], cause="by_hand", actor=user, now=LATER) == 1
    stay = Membership.objects.get()
    assert (stay.why, stay.until, stay.left_why) == ("program:welcome", LATER, "by_hand")
    assert leave_to_rule(segment, contact_ids=[contact.pk], now=LATER) == 0


@pytest.mark.parametrize("people", [1, 3])
def test_putting_people_in_costs_the_same_for_one_and_three(people: int) -> None:
    contacts = [make_contact().pk for _ in range(people)]
    segment = make_segment()
    with CaptureQueriesContext(connection) as captured:
        add_to_segment(segment, contact_ids=contacts, cause="by_hand", actor=None, now=NOW)
    assert len(captured) == 5  # savepoint, lock, overrides, members with count and marks, release


def test_definitions_say_what_they_read() -> None:
    make_segment(CFO, name="A")
    make_segment({"in_segment": "a"}, name="B")
    assert {definition.key: definition.reads for definition in graph.definitions()} == {
        "segment:a": frozenset({"contact.title"}),
        "segment:b": frozenset({"segment:a"}),
    }
