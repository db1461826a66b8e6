"""Scores: the sum of the ledger, always; rows only where something changed; nothing to do twice."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from leads import actions as facts
from scoring import actions, queries
from scoring.ledger import account
from scoring.models import LedgerRow, Rule, Score, ScoreModel, ScoreVersion
from scoring.queries import running
from segments.actions import save_segment
from segments.turn import turn
from tests.makers import NOW, make_activity, make_company, make_contact
from tests.scoring.conftest import VP, beat, make_draft, make_model, total

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def rows(model: ScoreModel) -> list[tuple[str, Decimal, str]]:
    names = dict(Rule.objects.filter(version__model=model).values_list("key", "name"))
    found = LedgerRow.objects.filter(model=model).order_by("counts_from", "-points")
    return [(names[row.rule_key], row.points, row.cause) for row in found]


def test_everybody_is_scored_after_a_publication() -> None:
    vp = make_contact(title="VP Finance", company={"employees": 200})
    nobody = make_contact(title="Clerk")
    make_activity(vp, url="https://x.test/pricing", at=NOW - timedelta(days=1))
    model = make_model()
    score = Score.objects.get(contact=vp, model=model)
    assert (score.total, score.fit, score.behaviour, score.negative, score.grade) == (80, 60, 20, 0, "A2")
    assert Score.objects.get(contact=nobody, model=model).total == 0
    assert sorted(rows(model)) == [
        ("Is a VP", 40, "version_published"),
        ("Large company", 20, "version_published"),
        ("Looked at pricing", 20, "version_published"),
    ]
    assert queries.broken_sums() == []


def test_a_change_writes_only_its_difference(model: ScoreModel) -> None:
    contact = make_contact(title="Clerk")
    facts.change_contact(contact, changes={"title": "VP Sales"}, actor=None, now=LATER)
    beat(LATER)
    assert rows(model) == [("Is a VP", 40, "rule_met")]
    facts.change_contact(contact, changes={"title": "VP student"}, actor=None, now=LATER + timedelta(hours=1))
    beat(LATER + timedelta(hours=1))
    assert rows(model) == [("Is a VP", 40, "rule_met"), ("Student", -30, "rule_met")]
    facts.change_contact(contact, changes={"title": "Clerk"}, actor=None, now=LATER + timedelta(hours=2))
    beat(LATER + timedelta(hours=2))
    assert rows(model)[2:] == [("Student", 30, "rule_no_longer_met"), ("Is a VP", -40, "rule_no_longer_met")]
    assert total(contact, model) == 0
    assert queries.broken_sums() == []


def test_a_second_full_run_finds_nothing_to_do(model: ScoreModel) -> None:
    contact = make_contact(title="VP", company={"employees": 500})
    make_activity(contact, url="/pricing")
    beat()
    before = LedgerRow.objects.count()
    report = beat(full=True)
    assert {key: n for key, n in report.refreshed.items() if key.startswith("score:")} == {
        "score:default": 0,
        "score:product": 0,
    }
    assert LedgerRow.objects.count() == before == 3


def test_a_new_contact_gets_a_row_although_no_rule_holds(model: ScoreModel) -> None:
    contact = make_contact(title="Clerk")
    facts.set_field_for([contact.pk], field="contact.city", value="Ulm", now=LATER)
    beat(LATER)
    assert total(contact, model) == 0


def test_time_alone_takes_points_away(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    make_activity(contact, url="/pricing", at=NOW)
    beat(NOW)
    assert total(contact, model) == 60
    beat(NOW + timedelta(days=29))
    assert total(contact, model) == 60
    beat(NOW + timedelta(days=31))
    assert total(contact, model) == 40
    assert rows(model)[-1] == ("Looked at pricing", -20, "rule_no_longer_met")


def test_what_changes_twice_in_one_moment_is_two_revisions_and_one_line(model: ScoreModel) -> None:
    contact = make_contact(title="Clerk")
    facts.set_field_for([contact.pk], field="contact.title", value="VP", now=LATER)
    beat(LATER)
    facts.set_field_for([contact.pk], field="contact.title", value="Clerk", now=LATER)
    beat(LATER)
    assert rows(model) == [("Is a VP", 40, "rule_met"), ("Is a VP", -40, "rule_no_longer_met")]
    assert sorted(LedgerRow.objects.values_list("revision", "counts_from")) == [(0, LATER), (1, LATER)]
    assert account(contact.pk, model=model, at=LATER).rows == []
    assert queries.broken_sums() == []


def test_a_clock_going_back_leaves_no_sum_out_of_order(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    beat(LATER, full=True)
    facts.set_field_for([contact.pk], field="contact.title", value="Clerk", now=NOW)
    beat(NOW)
    first, *_rest = LedgerRow.objects.filter(contact=contact).order_by("counts_from", "revision")
    assert first.points >= 0
    assert total(contact, model) == 0


def test_publishing_writes_rows_only_where_a_contribution_differs(model: ScoreModel) -> None:
    make_contact(title="VP")
    beat(LATER, full=True)
    draft = actions.draft_of(model, now=LATER)
    rule = draft.rules.get(name="Is a VP")
    actions.save_rule(
        draft, key=rule.key, group="fit", name="Is a VP", conditions=VP, points=Decimal("42.5"), now=LATER
    )
    actions.delete_rule(draft, key=draft.rules.get(name="Large company").key, now=LATER)
    actions.publish(draft, reason="Tune", now=LATER + timedelta(hours=1))
    beat(LATER + timedelta(hours=1))
    assert rows(model) == [("Is a VP", 40, "rule_met"), ("Is a VP", Decimal("2.5"), "points_changed")]


def test_a_removed_rule_takes_its_points_back() -> None:
    contact = make_contact(title="VP", company={"employees": 500})
    model = make_model()
    draft = actions.draft_of(model, now=LATER)
    actions.delete_rule(draft, key=draft.rules.get(name="Large company").key, now=LATER)
    actions.publish(draft, reason="Tune", now=LATER)
    beat(LATER)
    assert rows(model)[-1] == ("Large company", -20, "rule_removed")
    assert total(contact, model) == 40


def test_head_counts_follow(model: ScoreModel) -> None:
    first, second = make_contact(title="VP"), make_contact(title="VP")
    beat(LATER, full=True)

    def met() -> int:
        return Rule.objects.get(version__model=model, version__state="live", name="Is a VP").met_count

    assert met() == 2
    facts.set_field_for([first.pk], field="contact.title", value="Clerk", now=LATER)
    beat(LATER)
    assert met() == 1
    draft = actions.draft_of(model, now=LATER)
    actions.publish(draft, reason="Same again", now=LATER)
    beat(LATER)
    assert met() == 1
    assert total(second, model) == 40


def test_two_models_stand_side_by_side(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    other = make_model("Other", [("fit", "VP", 7, VP)], now=LATER)
    beat(LATER, full=True)
    assert (total(contact, model), total(contact, other)) == (40, 7)


def test_lines_alone_change_grades() -> None:
    contact = make_contact(title="VP")
    model = make_model()
    assert Score.objects.get(contact=contact, model=model).grade == "A4"
    draft = actions.draft_of(model, now=LATER)
    actions.change_lines(
        draft,
        threshold=Decimal(75),
        fit_lines=[Decimal(90), Decimal(40), Decimal(10)],
        behaviour_lines=[Decimal(3), Decimal(0), Decimal(-1)],
        now=LATER,
    )
    actions.publish(draft, reason="Stricter", now=LATER)
    beat(LATER)
    assert Score.objects.get(contact=contact, model=model).grade == "B2"
    assert LedgerRow.objects.filter(model=model).count() == 1


def test_a_deleted_contact_takes_its_ledger_along(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    beat(LATER, full=True)
    facts.delete_contact(contact, actor=None, now=LATER)
    assert LedgerRow.objects.count() == 0
    beat(LATER, full=True)
    assert queries.broken_sums() == []


def test_a_rule_on_a_segment_follows_the_segment() -> None:
    save_segment(None, name="Vips", slug="vips", mode="dynamic", conditions=VP, actor=None, now=NOW)
    contact = make_contact(title="Clerk")
    model = make_model(rules=[("fit", "In vips", 10, {"in_segment": "vips"})])
    facts.set_field_for([contact.pk], field="contact.title", value="VP", now=LATER)
    beat(LATER)
    assert total(contact, model) == 10


def test_a_loop_is_refused_naming_it(model: ScoreModel) -> None:
    ripe = {"field": "score.product.total", "op": "at_least", "value": 50}
    save_segment(None, name="Ripe", slug="ripe", mode="dynamic", conditions=ripe, actor=None, now=NOW)
    draft = actions.draft_of(model, now=NOW)
    with pytest.raises(actions.Refused) as refused:
        actions.save_rule(
            draft, group="fit", name="Loop", conditions={"in_segment": "ripe"}, points=Decimal(5), now=NOW
        )
    assert "score:product → segment:ripe" in str(refused.value)


def test_a_broken_rule_leaves_scores_as_they_were(model: ScoreModel) -> None:
    contact = make_contact(title="VP")
    beat(LATER, full=True)
    Rule.objects.filter(version__model=model, version__state="live", name="Is a VP").update(
        conditions={"field": "gone"}
    )
    report = turn(LATER, full=True)
    assert set(report.problems) == {"score:product"}
    assert ScoreModel.objects.get(pk=model.pk).problem != ""
    assert total(contact, model) == 40


def test_an_unpublished_model_scores_nobody() -> None:
    make_contact(title="VP")
    draft = make_draft()
    beat()
    assert Score.objects.filter(model=draft.model).count() == 0
    assert draft.state == ScoreVersion.State.DRAFT


def test_a_batch_costs_the_same_whatever_its_size(model: ScoreModel) -> None:
    statements = []
    for count in (2, 1, 3):
        contacts = [make_contact(title="VP", company=make_company(employees=500)) for _number in range(count)]
        facts.set_field_for([one.pk for one in contacts], field="contact.city", value=f"City {count}", now=LATER)
        with CaptureQueriesContext(connection) as captured:
            beat(LATER)
        statements.append(len(captured))
    assert statements[1] == statements[2]


def test_chunks_grow_and_shrink_with_the_time_they_take() -> None:
    assert running.next_step(16, running.CHUNK_SECONDS) == 16
    assert running.next_step(16, 0.0) == 32
    assert running.next_step(16, running.CHUNK_SECONDS * 4) == 4
    assert running.next_step(1, 60.0) == 1
    assert running.next_step(running.MOST_CHUNK_PAGES, 0.0) == running.MOST_CHUNK_PAGES
