"""What stands around the steps as a document: faults with their path, words, problems, rights, and the form in the side panel."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.access import ADMIN, MARKETER, SALES
from nurture import actions, around, tree
from nurture.kinds import Names
from nurture.models import MailBudget, Program
from nurture.publication import publishing
from segments.renaming import rename_segment
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import make_program, segment_of, set_workspace, step, wait

pytestmark = pytest.mark.django_db
HOT = {"field": "contact.tags", "op": "includes_any", "value": ["hot"]}
EVERYTHING: dict[str, Any] = {
    "goal": {"conditions": HOT, "then": "w", "days": 30},
    "exit": {"when": "no_member", "conditions": {"in_segment": "gone"}},
    "again": {"days": 14},
    "starts_on": "2026-12-01",
    "ends_on": "2026-12-24",
    "keep_out": ["customers"],
    "hold_out": 10,
}


def around_of(program: Program, document: dict[str, Any]) -> Any:
    draft = program.versions.get(state="draft")
    return actions.set_around(draft, edit_number=draft.edit_number, document=document, now=NOW)


@pytest.mark.parametrize(
    ("document", "paths"),
    [
        ([], [""]),
        ({"goals": {}}, ["goals"]),
        ({"goal": {}}, ["goal"]),
        ({"goal": {"conditions": {"field": "nothing", "op": "is"}}}, ["goal.conditions.field"]),
        ({"goal": {"conditions": HOT, "then": 3, "days": 0}}, ["goal.then", "goal.days"]),
        ({"exit": {}}, ["exit"]),
        ({"exit": {"when": "tired"}}, ["exit.when"]),
        ({"again": {"days": -1}}, ["again.days"]),
        ({"again": True}, ["again"]),
        ({"starts_on": "1.12.2026", "ends_on": 5}, ["starts_on", "ends_on"]),
        ({"starts_on": "2026-12-02", "ends_on": "2026-12-01"}, ["ends_on"]),
        ({"keep_out": []}, ["keep_out"]),
        ({"keep_out": ["a", "a"]}, ["keep_out"]),
        ({"hold_out": 51}, ["hold_out"]),
        ({"hold_out": True}, ["hold_out"]),
    ],
)
def test_faults_name_their_place(document: Any, paths: list[str]) -> None:
    with pytest.raises(around.BadAround) as refused:
        around.check(document)
    assert [problem.path for problem in refused.value.problems] == paths


def test_everything_in_words() -> None:
    make_segment(slug="gone", name="Gone")
    make_segment(slug="customers", name="Customers")
    steps = tree.check({"steps": [wait(3, step_id="w")]})
    assert {fact.key: fact.words for fact in around.in_words(EVERYTHING, steps, Names())} == {
        "again": "again when they enter anew, 14 days after the end at the earliest",
        "mail": "at any hour",
        "cap": "no limit of mails",
        "exit": "when they no longer belong to the segment, or when this holds: is in segment “Gone”",
        "goal": "tags include any of “hot”, within 30 days: a success; go on at “Wait 3 days”",
        "keep_out": "members of “Customers”",
        "dates": "from 1 Dec 2026 to 24 Dec 2026",
        "hold_out": "10 % of those who enter, for comparison",
    }
    assert [fact.words for fact in around.in_words({}, steps, Names())] == [
        "once per person",
        "at any hour",
        "no limit of mails",
        "finishes once entered",
    ]


@pytest.mark.parametrize(
    ("days", "start", "end", "words"),
    [
        ([1, 2, 3, 4, 5], "09:00", "17:00", "Monday to Friday, 09:00 to 17:00, by the reader's clock"),
        ([2, 6], None, None, "Tuesday, Saturday, by the reader's clock"),
        ([], "22:00", "02:00", "22:00 until 02:00 of the next day, by the reader's clock"),
        ([], "08:30", None, "from 08:30, by the reader's clock"),
        ([], None, "18:00", "until 18:00, by the reader's clock"),
    ],
)
def test_when_mail_may_go_in_words(days: list[int], start: str | None, end: str | None, words: str) -> None:
    hours = {"mail_start": start and time.fromisoformat(start), "mail_end": end and time.fromisoformat(end)}
    set_workspace(mail_days=days, **hours)
    actions.set_budget(mails=3, days=7, actor=None, now=NOW)
    steps = tree.check({"steps": [wait(3)]})
    facts = {fact.key: fact.words for fact in around.in_words({}, steps, Names())}
    assert (facts["mail"], facts["cap"]) == (words, "3 mails in 7 days, over all programs")


def test_what_cannot_work_keeps_it_from_starting() -> None:
    program = make_program(step("end", "e"), live=False)
    draft = around_of(
        program,
        {**EVERYTHING, "ends_on": "2025-01-01", "starts_on": "2024-12-31", "goal": {"conditions": HOT, "then": "gone"}},
    )
    with pytest.raises(actions.CannotStart) as refused:
        publishing.publish(draft, edit_number=draft.edit_number, intake="all", since=None, actor=None, now=NOW)
    assert [problem.message for problem in refused.value.problems] == [
        "The goal pulls people forward to a step that does not exist any more.",
        f"The exit cannot work: segment “gone” does not exist; what fits: {segment_of(program).slug}",
        "The segment “customers”, whose members are kept out, does not exist.",
        "Its last day, 1 Jan 2025, is past: nobody would enter.",
    ]
    draft = around_of(program, {"hold_out": 10})
    with pytest.raises(actions.CannotStart, match="nothing to compare"):
        publishing.publish(draft, edit_number=draft.edit_number, intake="all", since=None, actor=None, now=NOW)


def test_a_loop_through_an_exit_is_refused() -> None:
    program = make_program(step("end", "e"), live=False)
    make_segment(slug="inside", conditions={"in_program": program.slug})
    with pytest.raises(actions.NurtureRefused, match=r"depend on this program itself"):
        around_of(program, {"exit": {"conditions": {"in_segment": "inside"}}})


def test_a_renamed_segment_takes_goal_exit_and_keep_out_along() -> None:
    segment = make_segment(slug="old")
    program = make_program(step("end", "e"), live=False)
    rule = {"in_segment": "old"}
    around_of(program, {"goal": {"conditions": rule}, "exit": {"conditions": rule}, "keep_out": ["old"]})
    rename_segment(segment, slug="fresh", actor=None, now=NOW)
    fresh = {"in_segment": "fresh"}
    assert program.versions.get().around == {
        "goal": {"conditions": fresh},
        "exit": {"conditions": fresh},
        "keep_out": ["fresh"],
    }


# --- Pages -------------------------------------------------------------------------------------------------------------------


def signed_in(role: str) -> Client:
    client = Client()
    client.force_login(make_user(role), backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_the_form_stores_what_it_shows_and_two_editors_never_overwrite_each_other() -> None:
    make_segment(slug="customers", name="Customers")
    program = make_program(wait(3, step_id="w"), live=False)
    url = reverse("nurture:around-edit", args=[program.slug])
    client = signed_in(MARKETER)
    typed = {
        "edit_number": 1,
        "again": "after",
        "again_days": 14,
        "leave": "no_member",
        "exit_conditions": "",
        "keep_out": ["customers"],
        "goal_conditions": '{"field": "contact.tags", "op": "includes_any", "value": ["hot"]}',
        "goal_then": "w",
        "goal_days": 30,
        "hold_out": 10,
        "starts_on": "2026-12-01",
        "ends_on": "2026-12-24",
    }
    answer = client.post(url, typed, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    stored = program.versions.get().around
    assert stored == {**EVERYTHING, "exit": {"when": "no_member"}}
    assert around.check(stored) == stored
    assert 'id="program-facts" hx-swap-oob="true"' in answer.text
    shown = client.get(url).context["form"]
    assert type(shown).initial_of(stored) == shown.initial
    late = client.post(url, {**typed, "hold_out": 20}, headers={"HX-Request": "true"})
    assert "Somebody else changed this meanwhile" in late.text
    assert program.versions.get().around == stored
    wrong = client.post(
        url, {**typed, "edit_number": 2, "again_days": "", "goal_conditions": "", "ends_on": "2026-11-01"}
    )
    assert wrong.status_code == 422
    assert set(wrong.context["form"].errors) == {"again_days", "hold_out", "ends_on"}


@pytest.mark.parametrize(("role", "status"), [(MARKETER, 302), (SALES, 403), (ADMIN, 302)])
def test_who_may_change_what_stands_around(role: str, status: int) -> None:
    program = make_program(step("end", "e"), live=False)
    typed = {"edit_number": 1, "again": "always", "leave": "finish", "goal_then": "end"}
    client = signed_in(role)
    assert client.post(reverse("nurture:around-edit", args=[program.slug]), typed).status_code == status
    assert (program.versions.get().around == {"again": {"days": 0}}) is (status == 302)
    assert client.get(reverse("nurture:around-edit", args=[program.slug])).status_code == 200
    assert client.get(reverse("nurture:program-result", args=[program.slug])).status_code == 200


@pytest.mark.parametrize(("role", "status"), [(MARKETER, 302), (SALES, 403)])
def test_who_sets_the_budget(role: str, status: int) -> None:
    client = signed_in(role)
    url = reverse("nurture:budget-edit")
    assert client.get(url).status_code == (200 if status == 302 else 403)
    assert client.post(url, {"mails": 2, "days": 7}).status_code == status
    assert list(MailBudget.objects.values_list("mails", "days")) == ([(2, 7)] if status == 302 else [])
    if status == 302:
        client.post(url, {"mails": "", "days": 7})
        assert not MailBudget.objects.exists()


def test_uses_of_a_segment_name_the_program() -> None:
    from segments import graph

    make_segment(slug="customers", name="Customers")
    program = make_program(step("end", "e"), live=False)
    around_of(program, {"keep_out": ["customers"]})
    trigger = segment_of(program)
    found = {definition.key: definition.reads for definition in graph.definitions()}[f"program:{program.slug}"]
    assert found == {"segment:customers", f"segment:{trigger.slug}"}
