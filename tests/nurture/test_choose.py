"""Several ways by conditions: the first that holds decides, the rest goes the last way; drafts may be unfinished, forms give all back."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from nurture import actions, tree, turn
from nurture.definition_kinds import program_definitions
from nurture.kinds import KINDS, Names
from segments.renaming import rename_segment
from tests.makers import NOW, make_contact, make_segment, make_user
from tests.nurture.makers import make_program, put_in, segment_of, step, trace

pytestmark = pytest.mark.django_db


def title(value: str) -> dict[str, Any]:
    return {"field": "contact.title", "op": "is", "value": value}


LEADS = {"field": "contact.title", "op": "is_known"}


def choose(**values: Any) -> tree.Document:
    ways = {way: [step("add_tag", f"tag{way}", tag=way)] for way in ("a", "b", "else")}
    return step("choose", "s", **({"when": {"a": title("CFO"), "b": LEADS}} | ways | values))


def test_the_first_that_holds_decides_and_all_go_on_below() -> None:
    program = make_program(choose(), step("add_tag", "after", tag="after"), intake="new")
    cfo, cto, other = make_contact(title="CFO"), make_contact(title="CTO"), make_contact()
    put_in(segment_of(program), [cfo, cto, other])
    turn.turn(NOW)
    assert [trace(person)[0] for person in (cfo, cto, other)] == [("s", "a"), ("s", "b"), ("s", "else")]
    assert [trace(person)[1:] for person in (cfo, cto, other)] == [
        [("taga", "done"), ("after", "done")], [("tagb", "done"), ("after", "done")], [("tagelse", "done"), ("after", "done")],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"when": []}, "steps[0].when"),
        ({"when": {"x": LEADS}}, "steps[0].when"),
        ({"when": {"else": LEADS}}, "steps[0].when"),
        ({"when": {"a": {"field": "nothing"}}}, "steps[0].when.a"),
        ({"names": {"a": ""}}, "steps[0].names.a"),
        ({"names": {"a": "x" * 31}}, "steps[0].names.a"),
        ({"names": "a"}, "steps[0].names"),
        ({"c": []}, "steps[0].c"),
    ],
)
def test_faults_name_their_place(values: dict[str, Any], path: str) -> None:
    with pytest.raises(tree.BadTree) as caught:
        tree.check({"steps": [choose(**values)]})
    assert path in [problem.path[: len(path)] for problem in caught.value.problems]


def test_an_unfinished_way_keeps_it_from_starting() -> None:
    program = make_program(choose(when={"a": LEADS}, names={"b": "Others"}), live=False)
    problems = actions.problems_of(program.versions.get(), Names())
    assert [problem.message for problem in problems if problem.blocks] == ["The way B has no condition."]


def test_in_words() -> None:
    values = {"when": {"a": title("CFO"), "b": LEADS}, "names": {"a": "Money"}}
    kind = KINDS["choose"]
    assert (
        kind.words(values, Names())
        == "The first that holds: A · Money: Job title is “CFO”; B: Job title is known; everybody else"
    )
    assert [str(label) for label in kind.ways_for(values).values()] == ["A · Money", "B", "Everybody else"]
    assert list(kind.ways_for({})) == ["a", "b", "else"]


def test_the_form_gives_back_what_the_tree_stores_and_offers_one_way_more() -> None:
    form = KINDS["choose"].form
    values = {"when": {"a": title("CFO"), "b": LEADS, "c": title("CTO")}, "names": {"c": "Tech"}}
    offered = form(initial=form.initial_of(values), names=Names())
    assert [name for name in offered.fields if name.startswith("when")] == ["when_a", "when_b", "when_c", "when_d"]
    filled = form(form.initial_of(values), names=Names())
    assert filled.is_valid(), filled.errors
    assert filled.values() == values
    assert [name for name in form(names=Names()).fields if name.startswith("when")] == ["when_a", "when_b"]


def test_a_way_that_holds_steps_is_not_dropped() -> None:
    document = {"steps": [choose()]}
    with pytest.raises(tree.BadTree, match="“B” still holds steps"):
        tree.replace(document, "s", {"when": {"a": LEADS}})
    wider = tree.replace(document, "s", {"when": {"a": LEADS, "b": LEADS, "c": LEADS}})
    assert wider["steps"][0]["c"] == []
    assert wider["steps"][0]["b"] == document["steps"][0]["b"]


def test_rules_count_as_uses_and_follow_a_new_slug() -> None:
    segment = make_segment()
    program = make_program(choose(when={"a": {"in_segment": segment.slug}, "b": LEADS}), live=False)
    found = {one.key: one.reads for one in program_definitions()}
    assert f"segment:{segment.slug}" in found[f"steps:{program.slug}"]
    rename_segment(segment, slug="fresh", actor=None, now=NOW)
    (node,) = program.versions.get().tree["steps"]
    assert node["when"] == {"a": {"in_segment": "fresh"}, "b": LEADS}


def test_a_marketer_adds_ways_in_the_browser(client: Client) -> None:
    program = make_program(step("end", "e"), live=False)
    client.force_login(make_user())
    said = {"at": "start", "kind": "choose", "edit_number": program.versions.get().edit_number}
    client.post(reverse("nurture:step-new", args=[program.slug]), said)
    node = program.versions.get().tree["steps"][0]
    assert (node["kind"], set(node)) == ("choose", {"id", "kind", "a", "b", "else"})
    page = client.get(reverse("nurture:step-detail", args=[program.slug, node["id"]])).content.decode()
    assert page.count("Go the way") == 2
    assert "Everybody else" in page
