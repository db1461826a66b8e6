"""Verbs of programs and templates: versions, refusals, and what stays as it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from leads.models import AuditEntry
from nurture import actions, tree
from nurture.models import Program, ProgramVersion, Template
from nurture.publication import publishing
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import mail, make_people, make_program, make_template, publish, put_in, segment_of, step, wait

pytestmark = pytest.mark.django_db


def test_slugs_keep_clear_of_our_own_addresses() -> None:
    assert [actions.free_slug(name, Program) for name in ("Outbox", "New", "日本", "Hello World")] == [
        "outbox-2",
        "new-2",
        "program",
        "hello-world",
    ]


def test_a_second_draft_is_the_first() -> None:
    program = make_program(wait(1))
    first = actions.start_draft(program, actor=None, now=NOW)
    assert actions.start_draft(program, actor=None, now=NOW) == first
    assert (first.number, first.tree) == (2, program.versions.get(number=1).tree)


def test_a_broken_edit_stores_nothing() -> None:
    program = make_program(wait(1, "days", "w"), live=False)
    draft = program.versions.get()
    with pytest.raises(tree.BadTree):
        actions.edit_draft(draft, edit_number=1, change=lambda _old: {"steps": [{"id": "x"}]}, now=NOW)
    draft.refresh_from_db()
    assert (draft.edit_number, draft.tree["steps"][0]["id"]) == (1, "w")


def test_a_published_version_is_never_edited() -> None:
    program = make_program(wait(1))
    live = program.versions.get()
    with pytest.raises(actions.EditedMeanwhile):
        actions.edit_draft(live, edit_number=live.edit_number, change=lambda old: old, now=NOW)


def test_discarding_the_only_draft_ends_the_program() -> None:
    program = make_program(wait(1), live=False)
    actions.discard_draft(program.versions.get(), actor=None, now=NOW)
    assert not Program.objects.filter(pk=program.pk).exists()
    running = make_program(wait(1))
    actions.discard_draft(actions.start_draft(running, actor=None, now=NOW), actor=None, now=NOW)
    assert Program.objects.get(pk=running.pk).state == "live"


def test_starting_is_refused_while_something_blocks() -> None:
    program = make_program(step("send_email", "m"), live=False)
    with pytest.raises(actions.CannotStart) as caught:
        publish(program)
    assert [problem.step for problem in caught.value.problems] == ["m"]
    program.refresh_from_db()
    assert program.state == "draft"


def test_publishing_the_same_trigger_keeps_who_enters() -> None:
    segment = make_segment()
    put_in(segment, make_people(1), now=NOW - timedelta(days=1))
    program = make_program(wait(1), segment=segment, intake="new")
    first = program.versions.get()
    assert first.entered_since == NOW - timedelta(days=1) + timedelta(microseconds=1)
    put_in(segment, make_people(1), now=NOW + timedelta(days=1))
    actions.start_draft(program, actor=None, now=NOW)
    second = publish(program, intake="new", now=NOW + timedelta(days=2))
    assert second.entered_since == first.entered_since


def test_a_since_without_a_date_is_refused() -> None:
    program = make_program(wait(1), live=False)
    with pytest.raises(actions.NurtureRefused):
        publish(program, intake="since", since=None)


def test_states_only_change_the_way_they_can() -> None:
    program = make_program(wait(1))
    with pytest.raises(actions.NurtureRefused):
        actions.resume(program, waits="at_once", actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused):
        actions.archive_program(program, actor=None, now=NOW)
    actions.stop(program, actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused):
        actions.stop(program, actor=None, now=NOW)
    actions.start_draft(program, actor=None, now=NOW)
    publish(program)
    assert Program.objects.get(pk=program.pk).state == "live"
    assert [version.state for version in program.versions.order_by("number")] == ["past", "live"]


def test_everything_that_reaches_people_is_in_the_audit() -> None:
    user = make_user()
    program = make_program(wait(1), live=False)
    draft = program.versions.get()
    publishing.publish(draft, edit_number=1, intake="all", since=None, actor=user, now=NOW)
    actions.pause(program, actor=user, now=NOW)
    actions.resume(program, waits="at_once", actor=user, now=NOW)
    actions.stop(program, actor=user, now=NOW)
    verbs = AuditEntry.objects.filter(actor=user).order_by("id").values_list("verb", flat=True)
    assert list(verbs) == ["published", "paused", "resumed", "stopped"]


def test_programs_using_a_template() -> None:
    template = make_template()
    make_program(mail(template), name="Uses it")
    make_program(wait(1))
    deep = step("branch", conditions={"field": "contact.title", "op": "is_known"}, yes=[mail(template)], no=[])
    make_program(deep, name="Also", live=False)
    assert [program.name for program in actions.programs_using_template(template)] == ["Also", "Uses it"]


def test_one_live_version_and_one_draft_at_most() -> None:
    from django.db import IntegrityError, transaction

    program = make_program(wait(1))
    for state in ("live", "live"):
        with pytest.raises(IntegrityError), transaction.atomic():
            ProgramVersion.objects.create(program=program, number=9, state=state, tree=tree.empty())


def test_a_template_saved_twice_from_one_editor() -> None:
    template = make_template()
    values: dict[str, Any] = {"name": "N", "subject": "S", "preheader": "", "format": "html", "body": "b"}
    actions.save_template(template, **values, version=1, actor=None, now=NOW)
    with pytest.raises(actions.EditedMeanwhile):
        actions.save_template(template, **values, version=1, actor=None, now=NOW)
    assert Template.objects.get().version == 2


def test_a_program_that_a_rule_asks_for_cannot_go() -> None:
    from segments.actions import delete_segment

    program, draft = make_program(wait(1), name="Ran"), make_program(wait(1), name="Never", live=False)
    actions.stop(program, actor=None, now=NOW)
    askers = [make_segment({"in_program": one.slug}, name=f"In {one.slug}") for one in (program, draft)]
    with pytest.raises(actions.NurtureRefused, match="“Ran” is used by: segment “In ran”"):
        actions.archive_program(program, actor=None, now=NOW)
    with pytest.raises(actions.NurtureRefused, match="“Never” is used by: segment “In never”"):
        actions.discard_draft(draft.versions.get(), actor=None, now=NOW)
    for asker in askers:
        delete_segment(asker, actor=None, now=NOW)
    actions.archive_program(program, actor=None, now=NOW)
    actions.discard_draft(draft.versions.get(), actor=None, now=NOW)
    assert list(Program.objects.filter(archived_at=None)) == []


def test_the_segment_of_a_live_program_cannot_go() -> None:
    from segments.actions import InUse, archive_segment

    program = make_program(wait(1))
    with pytest.raises(InUse):
        archive_segment(segment_of(program), actor=None, now=NOW)
