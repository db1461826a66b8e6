"""Graduation rules: who moves forward, never back, not again without something new; in the graph; at the right moment."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from leads import actions as facts
from leads.actions import Refused
from leads.lifecycle import DETOURS, POSITION, is_legal_for_rules
from leads.models import Contact, StageMove
from scoring import graduation
from scoring.actions.graduation import checked, preview, save_graduation
from scoring.models import GraduationRule, GraduationSpared, HandOff, ScoreModel
from scoring.queries.graduation import stays
from segments import graph
from segments.actions import save_segment
from segments.conditions import BadConditions, check
from segments.models import Segment
from tests.makers import NOW, make_activity, make_contact
from tests.scoring.conftest import PRICING, STUDENT, VP, beat, make_model

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def make_rule(name: str = "Is a VP", to: str = "mql", **values: Any) -> GraduationRule:
    if "from_stages" not in values:
        values["from_stages"] = graduation.usual_from(to)
    values.setdefault("now", NOW)
    if "points" not in values:
        values.setdefault("conditions", VP)
    return save_graduation(None, name=name, to_stage=to, **values)


def stage_of(contact: Contact) -> str:
    return Contact.objects.get(pk=contact.pk).stage


def test_a_rule_moves_those_who_meet_it_and_says_why() -> None:
    vera, clerk = make_contact(title="VP"), make_contact(title="Clerk")
    make_rule("Runs a department")
    beat(NOW)
    assert (stage_of(vera), stage_of(clerk)) == ("mql", "inquiry")
    move = StageMove.objects.get()
    assert (move.contact, move.from_stage, move.to_stage, move.moved_at, move.cause, move.reason, move.actor) == (
        vera, "inquiry", "mql", NOW, "rule:runs-a-department", "Runs a department", None,
    )  # fmt: skip
    facts.set_field_for([clerk.pk], field="contact.title", value="VP Sales", now=NOW + MINUTE)
    beat(NOW + MINUTE)
    assert stage_of(clerk) == "mql"
    assert beat(NOW + MINUTE, full=True).changes == 0


def test_downloads_and_sign_ups_alone_make_no_mql() -> None:
    contact = make_contact()
    for kind in ("download", "newsletter_subscribed", "form_submit", "webinar_registered"):
        make_activity(contact, kind)
    make_rule("By points", points_of=make_model("Downloads", is_worked=False), points=Decimal(40))
    beat(NOW)
    assert stage_of(contact) == "inquiry"
    make_rule("Downloads are enough here", conditions={"did": "download"}, now=NOW)
    beat(NOW)
    assert stage_of(contact) == "mql"


def test_points_are_asked_for_after_the_scores_of_the_same_turn() -> None:
    model = make_model("Line of its own", threshold=900)  # read rules are kept for a process: no other test names it
    contact = make_contact(title="Clerk")
    make_rule("By points", points_of=model, points=Decimal(40))
    beat(NOW)
    assert stage_of(contact) == "inquiry"
    facts.set_field_for([contact.pk], field="contact.title", value="VP", now=NOW + MINUTE)
    beat(NOW + MINUTE)
    assert stage_of(contact) == "mql"
    order = [node.key for node in graph.nodes()]
    assert order.index("score:line-of-its-own") < order.index("stages")


def test_the_furthest_rule_that_holds_decides() -> None:
    contact = make_contact(title="VP")
    make_rule("Step", to="mql")
    make_rule("Leap", to="accepted")
    beat(NOW)
    assert stage_of(contact) == "accepted"
    assert [move.to_stage for move in StageMove.objects.all()] == ["accepted"]


def test_a_rule_never_moves_back_and_respects_where_people_come_from() -> None:
    customer = make_contact(title="VP", stage="customer")
    recycled = make_contact(title="VP", stage="recycled")
    out = make_contact(title="VP", stage="disqualified")
    visitor = make_contact(title="VP", stage="visitor")
    make_rule(from_stages=["inquiry"])
    beat(NOW)
    assert [stage_of(one) for one in (customer, recycled, out, visitor)] == [
        "customer", "recycled", "disqualified", "visitor",
    ]  # fmt: skip


@pytest.mark.parametrize("to", ["inquiry", "recycled"])
def test_whoever_was_moved_back_stays_until_they_do_something(to: str) -> None:
    contact = make_contact(title="VP")
    make_rule(from_stages=["inquiry", "recycled"])
    beat(NOW)
    facts.move_stage(contact, to=to, actor=None, cause="by_hand", reason="Not yet", now=NOW + DAY, by_hand=True)
    beat(NOW + DAY)
    beat(NOW + DAY, full=True)
    assert stage_of(contact) == to
    make_activity(contact, "email_sent", at=NOW + 2 * DAY)
    make_activity(contact, "download", at=NOW - DAY)
    beat(NOW + 2 * DAY)
    assert stage_of(contact) == to
    make_activity(contact, "page_view", at=NOW + 3 * DAY)
    beat(NOW + 3 * DAY)
    assert stage_of(contact) == "mql"


def test_an_activity_dated_ahead_counts_when_its_day_comes() -> None:
    contact = make_contact(title="VP")
    make_rule()
    beat(NOW)
    facts.move_stage(contact, to="inquiry", actor=None, cause="by_hand", reason="No", now=NOW + MINUTE, by_hand=True)
    make_activity(contact, "webinar_attended", at=NOW + 5 * DAY)
    beat(NOW + DAY)
    assert stage_of(contact) == "inquiry"
    beat(NOW + 5 * DAY)
    assert stage_of(contact) == "mql"


def test_time_alone_moves_when_a_rule_says_so() -> None:
    contact = make_contact(created_at=NOW)
    make_rule(
        "Old enough",
        to="inquiry",
        conditions={"field": "contact.created_at", "op": "more_than_ago", "value": 3, "unit": "days"},
    )
    facts.move_stage(contact, to="subscriber", actor=None, cause="import", reason="", now=NOW, by_hand=True)
    make_activity(contact, at=NOW + MINUTE)
    beat(NOW + MINUTE)
    assert stage_of(contact) == "subscriber"
    beat(NOW + 3 * DAY + 2 * MINUTE)
    assert stage_of(contact) == "inquiry"


def test_whom_a_rule_makes_an_mql_stands_in_the_queue() -> None:
    ScoreModel.objects.filter(is_default=True).update(is_default=False)
    model = make_model(threshold=900)
    ScoreModel.objects.filter(pk=model.pk).update(is_default=True)
    contact = make_contact(title="VP")
    facts.set_field_for([contact.pk], field="contact.city", value="Ulm", now=NOW)
    make_rule("Runs a department")
    beat(NOW)
    lead = HandOff.objects.get()
    assert (lead.contact, lead.cause, lead.model, stage_of(contact)) == (
        contact,
        "rule:runs-a-department",
        model,
        "mql",
    )
    beat(NOW, full=True)
    assert HandOff.objects.count() == 1


@pytest.mark.parametrize(
    ("to", "values"),
    [
        ("recycled", {"from_stages": ["inquiry"]}),
        ("visitor", {"from_stages": ["recycled"]}),
        ("nowhere", {"from_stages": ["inquiry"]}),
        ("mql", {"from_stages": []}),
        ("mql", {"from_stages": ["customer"]}),
        ("mql", {"from_stages": ["disqualified"]}),
        ("mql", {"from_stages": ["mql"]}),
        ("mql", {"conditions": None}),
        ("mql", {"conditions": {"all": []}}),
        ("mql", {"points": Decimal(5)}),
        ("mql", {"conditions": {"field": "contact.stage", "op": "is", "value": "inquiry"}}),
        ("mql", {"name": " "}),
    ],
)
def test_what_makes_no_sense_is_refused(to: str, values: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        make_rule(**{"to": to, "name": "Rule", "from_stages": ["inquiry"], "conditions": VP, **values})
    assert not GraduationRule.objects.exists()


def test_a_document_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadConditions):
        make_rule(conditions={"field": "contact.shoe_size", "op": "is", "value": 44})


def test_a_loop_is_refused_naming_it_and_a_rule_is_a_user_of_what_it_reads() -> None:
    save_segment(None, name="Inquiries", slug="inquiries", mode=Segment.Mode.DYNAMIC, now=NOW, actor=None,
        conditions={"field": "contact.stage", "op": "is", "value": "inquiry"})  # fmt: skip
    with pytest.raises(Refused, match=r"in a circle: graduation:new rule → segment:inquiries"):
        make_rule(conditions={"in_segment": "inquiries"})
    save_segment(None, name="Bosses", slug="bosses", mode=Segment.Mode.DYNAMIC, now=NOW, actor=None, conditions=VP)
    make_rule("Boss", conditions={"in_segment": "bosses"})
    assert [str(one) for one in graph.used_by("segment:bosses")] == ["Boss"]
    assert graph.loop_through("segment:bosses", {"contact.stage"}) == [
        "segment:bosses", "contact.stage", "segment:bosses",
    ]  # fmt: skip


def test_the_preview_counts_by_stage_and_writes_nothing() -> None:
    one, _clerk = make_contact(title="VP"), make_contact(title="Clerk")
    two = make_contact(title="VP", stage="subscriber")
    values: dict[str, Any] = {"to_stage": "mql", "from_stages": ["inquiry", "subscriber"]}
    tree = checked(conditions=VP, points_of=None, points=None, **values)
    counts, some = preview(tree, now=NOW, **values)
    assert (counts, sorted(some)) == ({"inquiry": 1, "subscriber": 1}, [one.pk, two.pk])
    assert not StageMove.objects.exists()


def test_time_in_stage_is_told_by_those_who_left_it() -> None:
    for days in (2, 4, 9):
        contact = make_contact(created_at=NOW - timedelta(days=20))
        facts.move_stage(contact, to="mql", actor=None, cause="import", reason="", now=NOW - 10 * DAY, by_hand=True)
        facts.move_stage(
            contact, to="accepted", actor=None, cause="import", reason="", now=NOW + (days - 10) * DAY, by_hand=True
        )
    told = {one.stage: one for one in stays(since=NOW - 11 * DAY, until=NOW)}
    assert (told["mql"].left, told["mql"].median, told["mql"].here) == (3, 4 * DAY, 0)
    assert (told["inquiry"].left, told["inquiry"].median, told["accepted"].here) == (3, 10 * DAY, 3)
    assert (told["customer"].left, told["customer"].median) == (0, None)


# --- who meets it already ---------------------------------------------------------------------------------------------------


def test_who_meets_a_rule_when_it_is_saved_may_be_spared_until_they_do_something() -> None:
    spared, later = make_contact(title="VP", created_at=NOW), make_contact(title="Clerk", created_at=NOW)
    rule = make_rule("New only", to="mql", from_stages=["inquiry"], conditions=VP, moves_present=False)
    assert list(GraduationSpared.objects.values_list("rule", "contact")) == [(rule.pk, spared.pk)]
    beat(NOW, full=True)
    assert stage_of(spared) == "inquiry"
    facts.set_field_for([later.pk], field="contact.title", value="VP", now=NOW + HOUR)
    facts.set_field_for([spared.pk], field="contact.city", value="Bonn", now=NOW + HOUR)
    beat(NOW + HOUR)
    assert (stage_of(later), stage_of(spared)) == ("mql", "inquiry")
    make_activity(spared, "email_sent", at=NOW + 2 * HOUR)  # what they only received is nothing that they did
    beat(NOW + 2 * HOUR)
    assert stage_of(spared) == "inquiry"
    make_activity(spared, at=NOW + 3 * HOUR)
    beat(NOW + 3 * HOUR)
    assert stage_of(spared) == "mql"
    assert beat(NOW + 3 * HOUR, full=True).changes == 0


def test_a_visit_dated_ahead_frees_who_was_spared_when_it_comes() -> None:
    spared = make_contact(title="VP", created_at=NOW)
    make_rule("New only", to="mql", from_stages=["inquiry"], conditions=VP, moves_present=False)
    make_activity(spared, at=NOW + 5 * HOUR)
    beat(NOW + HOUR)
    assert stage_of(spared) == "inquiry"
    beat(NOW + 6 * HOUR)
    assert stage_of(spared) == "mql"


def test_saving_again_for_everybody_forgets_who_was_spared() -> None:
    spared = make_contact(title="VP", created_at=NOW)
    rule = make_rule("New only", to="mql", from_stages=["inquiry"], conditions=VP, moves_present=False)
    beat(NOW, full=True)
    said: dict[str, Any] = {"name": "All", "to_stage": "mql", "from_stages": ["inquiry"], "conditions": VP}
    saved = save_graduation(rule, **said, now=NOW + HOUR)
    assert (saved.spares, GraduationSpared.objects.count()) == (False, 0)
    beat(NOW + HOUR)
    assert stage_of(spared) == "mql"


# --- any sequence of changes ----------------------------------------------------------------------------------------------

TITLES = ["VP", "Student", "VP, student", "Clerk"]
STEPS = ["title", "visit", "hand", "wait", "rule", "full"]


# Few examples, since each takes a dozen turns; each undoes what it did.
@settings(max_examples=6, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(sequence=st.lists(st.sampled_from(STEPS), min_size=3, max_size=9), seed=st.integers(0, 2**32))
def test_rules_move_forward_only_and_a_full_look_finds_nothing_left(sequence: list[str], seed: int) -> None:
    with transaction.atomic():
        _run(sequence, random.Random(seed))
        transaction.set_rollback(True)


def _run(sequence: list[str], chance: random.Random) -> None:
    now = NOW
    people = [make_contact(title=chance.choice(TITLES), created_at=NOW) for _number in range(4)]
    make_rule("First", to="mql", from_stages=["inquiry", "subscriber", "recycled"])
    for step in sequence:
        now += timedelta(hours=1) if step != "wait" else timedelta(days=chance.randint(1, 40))
        contact = chance.choice(people)
        match step:
            case "title":
                facts.set_field_for([contact.pk], field="contact.title", value=chance.choice(TITLES), now=now)
            case "visit":
                make_activity(contact, url="/pricing", at=now - timedelta(days=chance.choice([0, 20])))
            case "hand":
                to = chance.choice(list(POSITION))
                facts.move_stage(contact, to=to, actor=None, cause="by_hand", reason="Test", now=now, by_hand=True)
            case "rule":
                target = chance.choice(["inquiry", "mql", "accepted"])
                make_rule(
                    step, to=target, conditions=chance.choice([VP, STUDENT, PRICING]),
                    from_stages=graduation.may_leave(target), now=now,
                )  # fmt: skip
        beat(now, full=step == "full")
        assert beat(now, full=True).changes == 0
        for person in people:
            _check_history(person)


def _check_history(contact: Contact) -> None:
    """The moves join up, the last one is where the contact stands, and no rule moved against the line."""
    moves = list(StageMove.objects.filter(contact=contact).order_by("moved_at", "pk"))
    for before, after in itertools.pairwise(moves):
        assert before.to_stage == after.from_stage
    assert stage_of(contact) == (moves[-1].to_stage if moves else "inquiry")
    for move in moves:
        if move.cause.startswith("rule:"):
            assert is_legal_for_rules(move.from_stage, move.to_stage)
            assert move.from_stage in DETOURS or POSITION[move.from_stage] < POSITION[move.to_stage]


def test_what_a_rule_asks_for_is_one_document() -> None:
    model = make_model()
    both = graduation.document_of(VP, model, Decimal("40"))
    assert both == {"all": [VP, {"field": "score.product.total", "op": "at_least", "value": 40}]}
    assert graduation.document_of(VP, None, None) == VP
    check(both)
