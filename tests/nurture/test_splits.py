"""Splits: everybody always the same way, the numbers of a comparison, and when a way has won."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from leads.access import SALES
from leads.actions import NewActivity, record_activities
from leads.models import Contact
from nurture import actions, splits, tree, turn
from nurture.kinds import KINDS, Names
from nurture.models import Enrolment, Program, ProgramVersion, SplitPass, SplitTrial, StepVisit
from nurture.queries_around import Arm
from segments import graph
from segments.models import Segment
from segments.renaming import rename_segment
from tests.makers import NOW, make_segment, make_user
from tests.nurture.makers import make_people, make_program, publish, put_in, segment_of, step, trace, wait

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
CLICKED = {"did": "email_click"}


def split(**values: Any) -> tree.Document:
    ways = {way: [step("add_tag", f"tag-{way}", tag=way)] for way in values.get("weights", {"a": 1, "b": 1})}
    return step("split", "s", **values, **ways)


def compared(at_least: int = 20, **values: Any) -> tree.Document:
    return split(winner={"days": 7, "at_least": at_least, "conditions": CLICKED}, **values)


def way(contact: Contact) -> str:
    return StepVisit.objects.get(enrolment__contact=contact, step="s").outcome


def click(contact: Contact, *, at: Any) -> None:
    record_activities([NewActivity(contact.pk, "email_click", at)], now=at)


def enter(program: Program, number: int, *, now: Any = NOW) -> list[Contact]:
    people = make_people(number)
    put_in(segment_of(program), people, now=now)
    turn.turn(now)
    return people


def test_a_hash_spreads_people_by_the_weights_and_never_changes_its_mind() -> None:
    weights = {"a": 50, "b": 30, "c": 20}
    found = Counter(splits.way_of(1, "s", contact_id, weights) for contact_id in range(10_000))
    assert {way: round(number / 10_000, 1) for way, number in found.items()} == {"a": 0.5, "b": 0.3, "c": 0.2}
    assert [splits.way_of(1, "s", n, weights) for n in range(8)] == [
        splits.way_of(1, "s", n, weights) for n in range(8)
    ]
    other = [splits.way_of(1, "t", n, weights) for n in range(200)]
    assert other != [splits.way_of(1, "s", n, weights) for n in range(200)]


def test_everybody_goes_their_way_and_on_below() -> None:
    program = make_program(split(weights={"a": 1, "b": 1, "c": 1}), step("add_tag", "after", tag="after"), intake="new")
    people = enter(program, 30)
    weights = {"a": 1, "b": 1, "c": 1}
    for person in people:
        letter = splits.way_of(program.pk, "s", person.pk, weights)
        assert trace(person) == [("s", letter), (f"tag-{letter}", "done"), ("after", "done")]
    assert SplitPass.objects.count() == 0  # nothing is looked for


def test_counts_only_what_happened_within_the_days_and_only_once_they_are_over() -> None:
    program = make_program(compared(), wait(60), intake="new")
    early, late, before, never = make_people(4)
    click(before, at=NOW - DAY)
    put_in(segment_of(program), [early, late, before, never])
    turn.turn(NOW)
    click(early, at=NOW + DAY)
    turn.turn(NOW + DAY)
    trial = SplitTrial.objects.get()
    version = program.versions.get()
    parted = tree.check(version.tree).step("s")
    assert sum(arm.people for arm in splits.ripe_arms(trial, parted, NOW + DAY).values()) == 0
    click(late, at=NOW + 8 * DAY)
    turn.turn(NOW + 8 * DAY)
    arms = splits.ripe_arms(trial, parted, NOW + 8 * DAY)
    assert (sum(arm.people for arm in arms.values()), sum(arm.reached for arm in arms.values())) == (3, 1)
    assert arms[way(early)].reached == 1
    assert not SplitPass.objects.filter(enrolment__contact=before).exists()
    listed = [
        set(splits.people(version, "s", which, way(early), now=NOW + 8 * DAY).values_list("contact", flat=True))
        for which in ("ripe", "worked")
    ]
    assert early.pk in listed[0]
    assert listed[1] == {early.pk}


def test_the_best_way_wins_and_new_people_take_it() -> None:
    program = make_program(compared(), intake="new")
    people = enter(program, 120)
    lucky = [person for person in people if way(person) == "b"]
    record_activities([NewActivity(person.pk, "email_click", NOW + DAY) for person in lucky], now=NOW + DAY)
    turn.turn(NOW + DAY)
    assert splits.decide(NOW + 6 * DAY) == 0  # nobody's days are over
    assert splits.decide(NOW + 7 * DAY) == 1
    trial = SplitTrial.objects.get()
    assert (trial.winner, trial.decided_by, trial.decided_at) == ("b", None, NOW + 7 * DAY)
    assert {way(person) for person in enter(program, 10, now=NOW + 8 * DAY)} == {"b"}
    assert SplitPass.objects.count() == 120
    assert splits.decide(NOW + 9 * DAY) == 0


def test_the_rule_looks_at_the_wanted_number_and_its_doublings_only() -> None:
    looks = [
        splits.looks_now(sample, at_least=20, looked_at=looked)
        for sample, looked in ((19, 0), (20, 0), (39, 20), (40, 20), (79, 45), (80, 45))
    ]
    assert looks == [False, True, False, True, False, True]


@pytest.mark.parametrize(
    ("arms", "best"),
    [
        ({"a": Arm(100, 10), "b": Arm(100, 40)}, "b"),
        ({"a": Arm(100, 30), "b": Arm(100, 40)}, None),
        ({"a": Arm(100, 10), "b": Arm(100, 40), "c": Arm(100, 38)}, None),
        ({"a": Arm(100, 0), "b": Arm(0, 0)}, None),
    ],
)
def test_a_way_wins_when_it_surely_beats_every_other(arms: dict[str, Arm], best: str | None) -> None:
    assert splits.best_of(arms) == best


def test_changed_ways_are_a_new_comparison_and_other_edits_are_not() -> None:
    program = make_program(compared(), intake="new")
    enter(program, 4)
    version = program.versions.get()
    boss = make_user()
    assert splits.choose(version, "s", way="a", actor=boss, now=NOW)
    assert not splits.choose(version, "s", way="b", actor=boss, now=NOW)  # decided meanwhile
    draft = actions.start_draft(program, actor=None, now=NOW)
    values = {**tree.check(draft.tree).step("s").values, "winner": {"days": 3, "at_least": 50}}
    edit(draft, lambda document: tree.replace(document, "s", values))
    goal = {"goal": {"conditions": CLICKED}}
    draft.refresh_from_db()
    actions.set_around(draft, edit_number=draft.edit_number, document=goal, now=NOW)
    publish(program, intake="new")
    assert {way(person) for person in enter(program, 6, now=NOW + DAY)} == {"a"}
    draft = actions.start_draft(program, actor=None, now=NOW)
    edit(draft, lambda document: tree.replace(document, "tag-a", {"tag": "other"}))
    publish(program, intake="new")
    people = enter(program, 40, now=NOW + 2 * DAY)
    assert {way(person) for person in people} == {"a", "b"}
    assert SplitTrial.objects.count() == 2


def edit(draft: ProgramVersion, change: Any) -> ProgramVersion:
    return actions.edit_draft(draft, edit_number=draft.edit_number, change=change, now=NOW)


def test_a_way_that_holds_steps_is_not_dropped() -> None:
    document = {"steps": [split(weights={"a": 1, "b": 1, "c": 1})]}
    with pytest.raises(tree.BadTree, match="“C” still holds steps"):
        tree.replace(document, "s", {"weights": {"a": 1, "b": 1}})
    emptied = tree.remove(document, "tag-c")
    changed = tree.replace(emptied, "s", {"weights": {"a": 1, "b": 3}})
    assert set(changed["steps"][0]) == {"id", "kind", "weights", "a", "b"}
    assert KINDS["split"].words(tree.check(changed).step("s").values, Names()) == "Split by chance: A · 25 % / B · 75 %"


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"weights": {"a": 1}}, "steps[0].weights"),
        ({"weights": {"a": 1, "x": 1}}, "steps[0].weights"),
        ({"weights": {"a": 1, "b": 0}}, "steps[0].weights.b"),
        ({"winner": "best"}, "steps[0].winner"),
        ({"winner": {"days": 0}}, "steps[0].winner.days"),
        ({"winner": {"at_least": True}}, "steps[0].winner.at_least"),
        ({"winner": {"conditions": {"field": "nothing"}}}, "steps[0].winner.conditions"),
        ({"c": []}, "steps[0].c"),
    ],
)
def test_faults_name_their_place(values: dict[str, Any], path: str) -> None:
    with pytest.raises(tree.BadTree) as caught:
        tree.check({"steps": [step("split", "s", **values)]})
    assert caught.value.problems[0].path.startswith(path)


def test_a_winner_by_the_programs_goal_needs_one() -> None:
    program = make_program(split(winner={"days": 7}), live=False)
    problems = actions.problems_of(program.versions.get(), Names())
    assert [problem.message for problem in problems if problem.blocks] == [
        "The split looks for its winner by the program's goal, and there is none."
    ]


def test_the_form_gives_back_what_the_tree_stores() -> None:
    form = KINDS["split"].form
    values = {"weights": {"a": 2, "b": 1, "d": 1}, "winner": {"days": 5, "at_least": 40}}
    initial = form.initial_of(values)
    filled = form({key: value for key, value in initial.items() if value is not None}, names=Names())
    assert filled.is_valid(), filled.errors
    assert filled.values() == values
    lacking = form({"weight_a": 1, "weight_b": 1, "by": "own"}, names=Names())
    assert list(lacking.errors) == ["conditions"]


def test_the_page_shows_the_comparison_and_only_publishers_decide(client: Client) -> None:
    program = make_program(compared(), intake="new")
    enter(program, 3)
    url = reverse("nurture:step-winner", args=[program.slug, "s"])
    client.force_login(make_user(SALES))
    page = client.get(reverse("nurture:step-detail", args=[program.slug, "s"]))
    assert "No winner yet" in page.content.decode()
    assert "Everybody takes way A" not in page.content.decode()
    assert client.post(url, {"version": 1, "way": "a"}).status_code == 403
    client.force_login(make_user())
    assert client.post(url, {"version": 1, "way": "x"}).status_code == 404
    shown = client.post(url, {"version": 1, "way": "a"}, HTTP_HX_REQUEST="true").content.decode()
    assert "Way A has won." in shown
    assert "ti-trophy" in shown[shown.index("program-canvas") :]
    client.post(url, {"version": 1, "way": ""})
    assert SplitTrial.objects.get().winner == ""
    people = client.get(
        reverse("nurture:program-people", args=[program.slug]),
        {"version": "1", "step": "s", "which": "watched", "outcome": "a"},
    )
    assert people.context["total"] == SplitPass.objects.filter(way="a").count()
    assert Enrolment.objects.count() == 3


def test_a_renamed_segment_takes_the_rule_along_and_the_comparison_goes_on() -> None:
    segment = make_segment()
    inside = step("add_to_segment", "in", segment=make_segment().slug)
    winner = {"days": 7, "conditions": {"in_segment": segment.slug}}
    program = make_program(step("split", "s", winner=winner, a=[inside], b=[]), intake="new")
    enter(program, 2)
    before = SplitTrial.objects.get().fingerprint
    for slug in (segment.slug, inside["segment"]):
        assert f"steps:{program.slug}" in {user.key for user in graph.used_by(f"segment:{slug}")}
    for old, new in ((inside["segment"], "moved"), (segment.slug, "fresh")):
        rename_segment(Segment.objects.get(slug=old), slug=new, actor=None, now=NOW)
    document = program.versions.get().tree["steps"][0]
    assert (document["winner"]["conditions"], document["a"][0]["segment"]) == ({"in_segment": "fresh"}, "moved")
    assert SplitTrial.objects.get().fingerprint != before
    enter(program, 1, now=NOW + DAY)
    assert SplitTrial.objects.count() == 1
