"""The document of steps: every fault has its path, routes lead where the drawing says, edits never touch the original."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from leads.models import CustomField
from nurture import tree
from nurture.kinds import KINDS, Names
from nurture.models import Program
from tests.makers import make_owner, make_segment
from tests.nurture import random_programs
from tests.nurture.makers import make_program, make_template, step, wait

pytestmark = pytest.mark.django_db

BRANCHED: tree.Document = {
    "steps": [
        {"id": "a", "kind": "wait", "for": {"value": 1, "unit": "days"}},
        {
            "id": "b",
            "kind": "branch",
            "conditions": {"field": "contact.title", "op": "contains", "value": "vp"},
            "yes": [{"id": "c", "kind": "hand_to_sales"}, {"id": "d", "kind": "end"}],
            "no": [{"id": "e", "kind": "add_tag", "tag": "cold"}],
        },
        {"id": "f", "kind": "end", "label": "done"},
    ]
}


def test_check_gives_the_document_back() -> None:
    assert tree.to_document(tree.check(BRANCHED)) == BRANCHED


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], ""),
        ({"steps": {}}, "steps"),
        ({"steps": [], "more": 1}, ""),
        ({"steps": ["x"]}, "steps[0]"),
        ({"steps": [{"id": "a", "kind": "nothing"}]}, "steps[0].kind"),
        ({"steps": [{"id": "a", "kind": ["wait"]}]}, "steps[0].kind"),
        ({"steps": [{"id": "start", "kind": "end"}]}, "steps[0].id"),
        ({"steps": [{"id": "A B", "kind": "end"}]}, "steps[0].id"),
        ({"steps": [{"id": "a", "kind": "end"}, {"id": "a", "kind": "end"}]}, "steps[1].id"),
        ({"steps": [{"id": "a", "kind": "end", "tag": "x"}]}, "steps[0].tag"),
        ({"steps": [{"id": "a", "kind": "wait", "for": "4 hrs"}]}, "steps[0].for"),
        ({"steps": [{"id": "a", "kind": "wait", "for": {"value": 0, "unit": "days"}}]}, "steps[0].for.value"),
        ({"steps": [{"id": "a", "kind": "wait", "for": {"value": True, "unit": "days"}}]}, "steps[0].for.value"),
        ({"steps": [{"id": "a", "kind": "wait", "for": {"value": 1, "unit": "moons"}}]}, "steps[0].for.unit"),
        (
            {"steps": [{"id": "a", "kind": "wait", "for": {"value": 99, "unit": "weeks"} | {"value": 9999}}]},
            "steps[0].for.value",
        ),
        ({"steps": [{"id": "a", "kind": "wait", "until": {"days": [8], "at": "09:00"}}]}, "steps[0].until.days"),
        ({"steps": [{"id": "a", "kind": "wait", "until": {"days": [1], "at": "25:00"}}]}, "steps[0].until.at"),
        ({"steps": [{"id": "a", "kind": "wait", "until": {"days": [1], "at": 9}}]}, "steps[0].until.at"),
        ({"steps": [{"id": "a", "kind": "branch", "yes": [{"id": "b", "kind": "x"}]}]}, "steps[0].yes[0].kind"),
        ({"steps": [{"id": "a", "kind": "branch", "conditions": {"field": "x"}}]}, "steps[0].conditions"),
        ({"steps": [{"id": "a", "kind": "create_task", "title": 4}]}, "steps[0].title"),
        ({"steps": [{"id": "a", "kind": "create_task", "days": 0}]}, "steps[0].days"),
    ],
)
def test_faults_name_their_place(document: Any, path: str) -> None:
    with pytest.raises(tree.BadTree) as caught:
        tree.check(document)
    assert [problem.path for problem in caught.value.problems][0].startswith(path)


def test_depth_and_number_are_bounded() -> None:
    deep: tree.Document = {"id": "s0", "kind": "branch", "yes": [], "no": []}
    for level in range(1, 9):
        deep = {"id": f"s{level}", "kind": "branch", "yes": [deep], "no": []}
    with pytest.raises(tree.BadTree, match="deep"):
        tree.check({"steps": [deep]})
    with pytest.raises(tree.BadTree, match="at most 200"):
        tree.check({"steps": [{"id": f"s{n}", "kind": "end"} for n in range(201)]})


def test_routes_lead_on_below_a_branch() -> None:
    assert tree.routes(tree.check(BRANCHED)) == {
        "start": {"done": "a"},
        "a": {"done": "b"},
        "b": {"yes": "c", "no": "e"},
        "c": {"done": "d"},
        "d": {"done": None},
        "e": {"done": "f"},
        "f": {"done": None},
    }


def test_an_empty_way_goes_on_below() -> None:
    document = {"steps": [{"id": "b", "kind": "branch", "yes": [], "no": []}, {"id": "f", "kind": "end"}]}
    assert tree.routes(tree.check(document))["b"] == {"yes": "f", "no": "f"}


def test_edits_leave_the_original_alone() -> None:
    original = copy.deepcopy(BRANCHED)
    added, step_id = tree.insert(BRANCHED, tree.Place.read("b.no"), "end", {"label": "x"})
    assert tree.routes(tree.check(added))["b"]["no"] == step_id
    after, second = tree.insert(added, tree.Place.read("a"), "end", {})
    assert tree.routes(tree.check(after))["a"] == {"done": second}
    first, third = tree.insert(after, tree.Place.read("start"), "branch", {})
    assert tree.routes(tree.check(first))["start"] == {"done": third}
    assert [node["id"] for node in tree.remove(BRANCHED, "b")["steps"]] == ["a", "f"]
    assert [node["id"] for node in tree.move(BRANCHED, "b", -1)["steps"]] == ["b", "a", "f"]
    assert tree.move(BRANCHED, "a", -1) == BRANCHED
    changed = tree.replace(BRANCHED, "b", {"conditions": {"field": "contact.title", "op": "is_known"}})
    assert changed["steps"][1]["yes"] == BRANCHED["steps"][1]["yes"]
    assert original == BRANCHED


@pytest.mark.parametrize("place", ["gone", "b.maybe", "a.yes"])
def test_a_place_that_is_gone(place: str) -> None:
    with pytest.raises(tree.NoSuchStep):
        tree.insert(BRANCHED, tree.Place.read(place), "end", {})


def test_problems_block_or_warn() -> None:
    document = {
        "steps": [
            step("send_email", "m"),
            step("wait", "w"),
            step("branch", "b", yes=[], no=[]),
            step("change_stage", "s", to="nowhere"),
            step("set_field", "f", field="email", value="x"),
            step("remove_from_segment", "g", segment="gone"),
            step("end", "e"),
            wait(1, "days", "dead"),
        ]
    }
    problems = tree.problems(tree.check(document), Names())
    assert {(problem.step, problem.blocks) for problem in problems} == {
        ("m", True),
        ("w", True),
        ("b", True),
        ("b", False),
        ("s", True),
        ("f", True),
        ("g", True),
        ("dead", False),
    }


def test_an_empty_program_cannot_start() -> None:
    assert [problem.blocks for problem in tree.problems(tree.check(tree.empty()), Names())] == [True]


def test_the_outline_reads_from_top_to_bottom() -> None:
    lines = [(line.depth, line.words) for line in tree.outline(tree.check(BRANCHED), Names())]
    assert [depth for depth, _words in lines] == [0, 0, 1, 2, 2, 1, 2, 0]
    assert lines[0] == (0, "Wait 1 day")
    assert lines[2] == (1, "Yes")
    assert lines[-1] == (0, "End: done")


def test_every_kind_is_complete() -> None:
    names = Names()
    for key, kind in KINDS.items():
        assert kind.key == key
        assert kind.words({}, names)
        assert str(kind.label)
        assert str(kind.help)
        form = kind.form(initial=kind.form.initial_of({}), names=names)
        assert form.as_p()


def test_every_kind_is_read_back_in_words() -> None:
    """Short of a value too: a step that was just put in says what it is for."""
    CustomField.objects.create(of="contact", key="renewal", label="Renewal", type="date")
    make_template(slug="letter", name="Letter")
    make_segment(slug="met", name="Met at the fair")
    other = make_program(wait(30), name="The other one")
    Program.objects.filter(pk=other.pk).update(slug="other")
    make_owner("Olga")
    steps = [
        *random_programs.every_kind().steps,
        step("split", "split", weights={"a": 3, "b": 1}, a=[], b=[]),
        step("notify", "notify", text="Look", whom="owner"),
        step("webhook", "webhook", url="https://receiver.example/ripen?key=secret"),
    ]
    names = Names()
    said = {}
    for one in tree.check({"steps": steps}).walk():
        kind = KINDS[one.kind]
        said[one.kind] = (kind.words(one.values, names), kind.words({}, names))
    assert said == {
        "wait": ("Wait 1 day", "Wait"),
        "wait_until": ("Wait until: Not (Job title is known), at most 1 day", "Wait until …"),
        "wait_for_date": ("Wait until the day of “Renewal”, 09:00", "Wait for a day"),
        "branch": ("If job title is known", "If …"),
        "choose": (
            "The first that holds: A: Job title is known; B: Not (Job title is known); everybody else",
            "The first that holds: A: …; B: …; everybody else",
        ),
        "split": ("Split by chance: A · 75 % / B · 25 %", "Split by chance: A · 50 % / B · 50 %"),
        "send_email": ("Send “Letter”", "Send an e-mail"),
        "hand_to_sales": ("Hand to sales", "Hand to sales"),
        "give_points": ("Give +2 points", "Give points"),
        "change_stage": ("Move to stage Subscriber", "Change the stage"),
        "add_tag": ("Add the tag “hot”", "Add a tag"),
        "remove_tag": ("Remove the tag “hot”", "Remove a tag"),
        "set_field": ("Set “source” to “x”", "Set a field"),
        "change_owner": ("Give to Olga", "Change the owner"),
        "add_to_segment": ("Add to the segment “Met at the fair”", "Add to a segment"),
        "remove_from_segment": ("Remove from the segment “Met at the fair”", "Remove from a segment"),
        "create_task": ("Task for the owner: Call", "Create a task"),
        "notify": ("Tell the owner: Look", "Tell the owner"),
        "webhook": ("Call the webhook https://receiver.example/ripen", "Call a webhook"),
        "start_program": ("Start the program “The other one”", "Start another program"),
        "leave_program": ("Leave the program “The other one”", "Leave another program"),
        "end": ("End", "End"),
    }
    assert set(said) == set(KINDS)
