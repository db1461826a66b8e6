"""Cutting, copying and taking back on the canvas of a draft, its layers, and where people left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.access import SALES
from nurture import actions, canvas, tree, turn
from nurture.kinds import Names
from nurture.models import Enrolment, Program
from nurture.queries import step_counts
from segments.models import Segment
from segments.renaming import rename_segment
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import make_people, make_program, make_walk, put_in, segment_of, step, wait, walk

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def branch(step_id: str, *below: tree.Document) -> tree.Document:
    return step("branch", step_id, conditions={"field": "contact.title", "op": "is_known"}, yes=list(below), no=[])


def shape(nodes: list[tree.Document]) -> list[Any]:
    """Kinds in their order, a branch with its ways."""
    return [
        (node["kind"], shape(node["yes"]), shape(node["no"])) if node["kind"] == "branch" else node["kind"]
        for node in nodes
    ]


@pytest.fixture
def program(db: None) -> Program:
    return make_program(wait(1, step_id="w"), branch("b", step("end", "e")), live=False)


def post(client: Client, program: Program, name: str, *arguments: str, **data: Any) -> str:
    draft = program.versions.get(state="draft")
    data = {"edit_number": draft.edit_number, "version": draft.number, **data}
    url = reverse(f"nurture:{name}", args=[program.slug, *arguments])
    return client.post(url, data, HTTP_HX_REQUEST="true").content.decode()


def steps_of(program: Program) -> list[tree.Document]:
    steps: list[tree.Document] = program.versions.get(state="draft").tree["steps"]
    return steps


def test_a_branch_is_moved_with_its_ways_and_ids_and_taken_back(client: Client, program: Program) -> None:
    client.force_login(make_user())
    before = steps_of(program)
    assert "is-cut" in post(client, program, "step-take", "b", how="cut")
    palette = client.get(reverse("nurture:step-new", args=[program.slug]), {"at": "start"}).content.decode()
    assert "Move here what is cut" in palette
    post(client, program, "step-new", at="start", paste="1")
    assert [node["id"] for node in steps_of(program)] == ["b", "w"]
    assert steps_of(program)[0]["yes"][0]["id"] == "e"
    assert "Nothing is cut or copied" in post(client, program, "step-new", at="start", paste="1")
    assert "taken back" in post(client, program, "program-undo")
    assert steps_of(program) == before
    assert "There is no edit to take back." in post(client, program, "program-undo")


def test_a_copy_has_ids_of_its_own_and_may_go_into_another_program(client: Client, program: Program) -> None:
    client.force_login(make_user())
    other = make_program(live=False)
    post(client, program, "step-take", "b", how="copy")
    post(client, program, "step-new", at="b.no", paste="1")
    post(client, other, "step-new", at="start", paste="1")
    inner: list[Any] = [("branch", ["end"], [])]
    assert shape(steps_of(program)) == ["wait", ("branch", ["end"], inner)]
    assert shape(steps_of(other)) == inner
    ids = [step.id for step in tree.check({"steps": steps_of(program)}).walk()]
    assert len(ids) == len(set(ids)) == 5


def test_what_is_cut_does_not_go_into_itself(client: Client, program: Program) -> None:
    client.force_login(make_user())
    before = steps_of(program)
    post(client, program, "step-take", "b", how="cut")
    assert "That step is gone" in post(client, program, "step-new", at="b.yes", paste="1")
    assert "That step is gone" in post(client, program, "step-new", at="e", paste="1")
    post(client, program, "step-new", at="b", paste="1")
    assert steps_of(program) == before


def test_the_second_of_two_editors_takes_nothing_back(client: Client, program: Program) -> None:
    client.force_login(make_user())
    post(client, program, "step-new", at="start", kind="end")
    assert "Somebody else changed this meanwhile" in post(client, program, "program-undo", edit_number=1)
    assert len(steps_of(program)) == 3
    client.force_login(make_user(SALES))
    for name, arguments in (("program-undo", []), ("step-take", ["b"])):
        assert client.post(reverse(f"nurture:{name}", args=[program.slug, *arguments])).status_code == 403


def become(node: tree.Document) -> Callable[[tree.Document], tree.Document]:
    return lambda _old: {"steps": [node]}


def test_taking_back_knows_new_slugs_and_keeps_so_many_edits(program: Program) -> None:
    segment = make_segment()
    draft = program.versions.get()
    for number in range(actions.MOST_PAST_EDITS + 2):
        node = step("add_to_segment", f"s{number}", segment=segment.slug)
        draft = actions.edit_draft(draft, edit_number=draft.edit_number, change=become(node), now=NOW)
    rename_segment(Segment.objects.get(pk=segment.pk), slug="fresh", actor=None, now=NOW)
    draft.refresh_from_db()
    assert len(draft.past_edits) == actions.MOST_PAST_EDITS
    draft = actions.undo_edit(draft, edit_number=draft.edit_number, now=NOW)
    assert [(node["id"], node["segment"]) for node in draft.tree["steps"]] == [("s30", "fresh")]


def test_layers_say_how_long_people_stand_and_how_many_reach_the_goal() -> None:
    program, people = make_walk(wait(2, step_id="w"), step("add_tag", "t", tag="x"), people=2)
    walk(NOW)
    walk(NOW + 2 * DAY)
    Enrolment.objects.filter(contact=people[0]).update(goal_at=NOW + 3 * DAY)
    version = program.versions.get()
    assert [node.layer for node in canvas.draw(version, Names(), "time", counts={}).nodes] == ["2 days", "at once"]
    assert [node.layer for node in canvas.draw(version, Names(), "goal", counts={}).nodes] == ["", ""]  # it has none
    version.around = {"goal": {"conditions": {"field": "contact.tags", "op": "includes_any", "value": ["hot"]}}}
    goal = [node.layer for node in canvas.draw(version, Names(), "goal", counts={}).nodes]
    assert goal == ["50.0 % reach the goal afterwards (1)"] * 2
    assert [node.layer for node in canvas.draw(version, Names(), "nothing", counts={}).nodes] == ["", ""]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(5, "at once"), (90, "1.5 minutes"), (3_600, "1 hour"), (86_400 * 10, "10 days"), (86_399, "24 hours")],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert canvas.span_words(seconds) == words


def test_who_left_is_counted_where_they_stood(client: Client) -> None:
    program = make_program(wait(2, step_id="w"), intake="new")
    people = make_people(3)
    put_in(segment_of(program), people)
    turn.turn(NOW)
    actions.release_person(Enrolment.objects.get(contact=people[0]), actor=None, now=NOW)
    version = program.versions.get()
    assert (step_counts(version.pk)["w"].here, step_counts(version.pk)["w"].left) == (2, 1)
    client.force_login(make_user())
    url = reverse("nurture:program-people", args=[program.slug])
    listed = client.get(url, {"version": "1", "step": "w", "which": "left"})
    assert listed.context["total"] == 1
    actions.stop(program, actor=None, now=NOW)
    assert step_counts(version.pk)["w"].left == 3
    page = client.get(reverse("nurture:program-detail", args=[program.slug]), {"layer": "time"})
    assert "ti-hourglass" in page.content.decode()
