"""Drafts and publications: what is live changes only by a publication, and what the sheet says is what happens."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from leads.models import AuditEntry
from scoring import actions, queries
from scoring.actions.bant import NewFact, record_bant
from scoring.models import HandOff, Rule, Score, ScoreModel, ScoreVersion
from scoring.patterns import PATTERNS
from scoring.trial import draft_plan
from segments.conditions import BadConditions
from segments.definitions import export_to, import_from
from tests.makers import NOW, make_activity, make_company, make_contact, make_user
from tests.scoring.conftest import BIG, VP, beat, make_draft

pytestmark = pytest.mark.django_db

LATER = NOW + timedelta(hours=1)


def test_an_edit_makes_a_draft_and_leaves_what_is_live(model: ScoreModel) -> None:
    live = model.versions.get(state="live")
    draft = actions.draft_of(model, now=LATER)
    assert (draft.number, draft.state, draft.threshold) == (live.number + 1, "draft", live.threshold)
    assert list(draft.rules.values_list("key", "name", "points")) == list(
        live.rules.values_list("key", "name", "points")
    )
    assert actions.draft_of(model, now=LATER).pk == draft.pk
    actions.delete_rule(draft, key=draft.rules.get(name="Is a VP").key, now=LATER)
    assert (draft.rules.count(), live.rules.count()) == (3, 4)


@pytest.mark.parametrize("points", ["0", "10000.01", "-10000.01", "NaN", "Infinity", "1e12", "0.001"])
def test_points_that_make_no_sense_are_refused(points: str) -> None:
    draft = make_draft()
    with pytest.raises(actions.Refused):
        actions.save_rule(draft, group="fit", name="Odd", conditions=VP, points=Decimal(points), now=NOW)
    assert draft.rules.count() == 4


@pytest.mark.parametrize(
    "values",
    [{"group": "luck"}, {"name": "  "}, {"group": "negative", "points": Decimal(5)}],
)
def test_a_rule_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    draft = make_draft()
    sound: dict[str, Any] = {"group": "fit", "name": "Sound", "conditions": VP, "points": Decimal(5)}
    with pytest.raises(actions.Refused):
        actions.save_rule(draft, **(sound | values), now=NOW)
    actions.save_rule(draft, **sound, now=NOW)


def test_a_broken_document_is_refused_with_its_path() -> None:
    with pytest.raises(BadConditions) as refused:
        actions.save_rule(
            make_draft(), group="fit", name="Odd", conditions={"field": "contact.luck"}, points=Decimal(5), now=NOW
        )
    assert refused.value.problems[0].path == "field"


def test_a_rule_that_changes_its_group_becomes_another(model: ScoreModel) -> None:
    draft = actions.draft_of(model, now=LATER)
    rule = draft.rules.get(name="Is a VP")
    saved = actions.save_rule(
        draft, key=rule.key, group="behaviour", name=rule.name, conditions=VP, points=rule.points, now=LATER
    )
    assert (saved.pk, saved.key == rule.key) == (rule.pk, False)


@pytest.mark.parametrize("lines", [[3, 2], [3, 3, 1], [1, 2, 3], [9, 2, 1, 0]])
def test_lines_fall(lines: list[int]) -> None:
    draft = make_draft()
    with pytest.raises(actions.Refused):
        actions.change_lines(
            draft,
            threshold=Decimal(75),
            fit_lines=[Decimal(line) for line in lines],
            behaviour_lines=draft.behaviour_lines,
            now=NOW,
        )


@pytest.mark.parametrize("threshold", ["0", "-5", "NaN", "1e12"])
def test_a_model_has_a_threshold(threshold: str) -> None:
    draft = make_draft()
    with pytest.raises(actions.Refused):
        actions.change_lines(
            draft,
            threshold=Decimal(threshold),
            fit_lines=draft.fit_lines,
            behaviour_lines=draft.behaviour_lines,
            now=NOW,
        )


def test_two_editors_are_told_apart() -> None:
    draft = make_draft()
    seen = draft.edit_number
    actions.save_rule(draft, group="fit", name="Mine", conditions=VP, points=Decimal(5), edit_number=seen, now=NOW)
    with pytest.raises(actions.Outdated):
        actions.save_rule(draft, group="fit", name="Yours", conditions=VP, points=Decimal(5), edit_number=seen, now=NOW)


def test_publishing_asks_why(model: ScoreModel) -> None:
    draft = actions.draft_of(model, now=LATER)
    with pytest.raises(actions.Refused):
        actions.publish(draft, reason=" ", now=LATER)
    marketer = make_user()
    actions.publish(draft, reason="Sales asked", actor=marketer, now=LATER)
    past, live = model.versions.exclude(state="draft").order_by("number")
    assert (past.state, live.state, live.reason, live.published_by) == ("past", "live", "Sales asked", marketer)
    assert AuditEntry.objects.get(verb="published", actor=marketer).detail["reason"] == "Sales asked"
    with pytest.raises(actions.Outdated):
        actions.publish(draft, reason="Again", now=LATER)


def test_going_back_makes_a_draft_of_an_earlier_version(model: ScoreModel) -> None:
    first = model.versions.get(state="live")
    draft = actions.draft_of(model, now=LATER)
    actions.delete_rule(draft, key=draft.rules.get(name="Is a VP").key, now=LATER)
    actions.publish(draft, reason="Without VPs", now=LATER)
    actions.draft_of(model, now=LATER)
    again = actions.restore(ScoreVersion.objects.get(pk=first.pk), now=LATER)
    assert (again.state, again.restored_from) == ("draft", first.number)
    assert set(again.rules.values_list("key", "points")) == set(first.rules.values_list("key", "points"))
    assert model.versions.filter(state="draft").count() == 1


def test_a_draft_is_discarded(model: ScoreModel) -> None:
    actions.draft_of(model, now=LATER)
    actions.discard_draft(model, now=LATER)
    assert not model.versions.filter(state="draft").exists()
    with pytest.raises(actions.Refused):
        actions.discard_draft(make_draft("New").model, now=LATER)


def test_a_segment_that_is_gone_stops_the_publication(model: ScoreModel) -> None:
    draft = actions.draft_of(model, now=LATER)
    Rule.objects.filter(version=draft, name="Is a VP").update(conditions={"in_segment": "gone"})
    with pytest.raises(actions.Refused, match="Is a VP"):
        actions.publish(draft, reason="Go", now=LATER)
    assert model.versions.get(state="live").rules.count() == 4


@pytest.mark.parametrize("key", sorted(PATTERNS))
def test_every_pattern_makes_a_model_that_can_be_published(key: str) -> None:
    contact = make_contact(title="VP Engineering", company=make_company(employees=300, industry="Manufacturing"))
    record_bant([NewFact(contact.pk, "need", "urgent")], source="call", now=NOW)
    model = actions.create_model(f"From {key}", pattern=key, now=NOW)
    actions.publish(actions.draft_of(model, now=NOW), reason="Start", now=NOW)
    beat(NOW)
    assert Score.objects.get(model=model).total > 0


def test_the_sheet_says_what_will_happen(model: ScoreModel) -> None:
    """Each number before the publication equals what is counted after it."""
    big = make_company(employees=500)
    people = [
        make_contact(title=title, company=company, stage=stage)
        for title in ("VP", "Clerk", "VP student")
        for company in (big, None)
        for stage in ("inquiry", "customer")
    ]
    for contact in people[1:6]:
        make_activity(contact, url="/pricing", at=NOW)
    beat(NOW, full=True)
    before = {row.contact_id: row for row in Score.objects.filter(model=model)}
    draft = actions.draft_of(model, now=LATER)
    rule = draft.rules.get(name="Large company")
    actions.save_rule(
        draft, key=rule.key, group="fit", name=rule.name, conditions=BIG, points=Decimal("32.5"), now=LATER
    )
    actions.delete_rule(draft, key=draft.rules.get(name="Looked at pricing").key, now=LATER)
    actions.change_lines(
        draft,
        threshold=Decimal(70),
        fit_lines=[Decimal(60), Decimal(30), Decimal(10)],
        behaviour_lines=draft.behaviour_lines,
        now=LATER,
    )
    draft = ScoreVersion.objects.prefetch_related("rules").get(pk=draft.pk)
    plan = draft_plan(draft, LATER, None)
    told = queries.compare(plan, old_line=Decimal(75), new_line=Decimal(70), now=LATER)
    listed = {
        move: {
            row.contact_id
            for row in queries.moved_people(
                plan, move, old_line=Decimal(75), new_line=Decimal(70), now=LATER, limit=100
            )
        }
        for move in told.moves
    }
    waiting = HandOff.objects.filter(state="open").count()
    actions.publish(draft, reason="Tune", now=LATER)
    beat(LATER)
    after = {row.contact_id: row for row in Score.objects.filter(model=model)}
    pairs = [(before[pk], after[pk]) for pk in before]
    counted = {
        "rises": sum(new.total > old.total for old, new in pairs),
        "falls": sum(new.total < old.total for old, new in pairs),
        "same": sum(new.total == old.total for old, new in pairs),
        "regraded": sum(new.grade != old.grade for old, new in pairs),
        "crosses_up": sum(old.total < 75 and new.total >= 70 for old, new in pairs),
        "crosses_down": sum(old.total >= 75 and new.total < 70 for old, new in pairs),
        "over_before": sum(old.total >= 75 for old, _new in pairs),
        "over_after": sum(new.total >= 70 for _old, new in pairs),
        "handed_over": HandOff.objects.filter(state="open").count() - waiting,
    }
    assert told.moves == counted
    assert {move: len(people) for move, people in listed.items()} == counted
    assert told.contacts == len(people)
    grades, bands = queries.spread(model.pk)
    assert (told.grades_after, told.bands_after) == (grades, bands)
    met = {rule.key: rule.met_count for rule in ScoreVersion.objects.get(pk=draft.pk).rules.all()}
    assert {key: told.met.get(key, 0) for key in met} == met
    assert counted["handed_over"] > 0


def test_definitions_go_out_and_come_in_unchanged(model: ScoreModel, tmp_path: Any) -> None:
    export_to(tmp_path, with_people=False)
    file = tmp_path / "score-models" / "product.yaml"
    assert "name: Is a VP" in file.read_text()
    report = import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())
    assert (report["unchanged"], report["updated"], report["refused"]) == (report["read"], 0, 0)
    assert model.versions.count() == 1
    file.write_text(file.read_text().replace("points: 40", "points: 41"))
    report = import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())
    assert (report["updated"], report["refused"]) == (1, 0)
    live = model.versions.get(state="live")
    assert (live.number, live.rules.get(name="Is a VP").points) == (2, 41)
    ScoreModel.objects.filter(pk=model.pk).update(slug="moved")
    Rule.objects.filter(version__model=model).update(name="Another")
    assert import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())["created"] == 1
    export_to(tmp_path / "again", with_people=False)
    assert (tmp_path / "again" / "score-models" / "product.yaml").read_text() == file.read_text()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("points: 40", "points: a", "rules[0].points"),
        ("group: fit", "group: luck", "rules[0]"),
        ("contact.title", "contact.luck", "rules[0].conditions"),
        ("threshold: 75", "threshold: 0", ""),
        ("published: true", "published: maybe", "published"),
        ("slug: product", "slug: queue", "slug"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(model: ScoreModel, tmp_path: Any, old: str, new: str, says: str) -> None:
    export_to(tmp_path, with_people=False)
    file = tmp_path / "score-models" / "product.yaml"
    file.write_text(file.read_text().replace(old, new, 1))
    report = import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())
    assert (report["refused"], report["stored"]) == (1, False)
    problems = next(one["problems"] for one in report["files"] if one["outcome"] == "refused")
    assert problems[0]["path"].startswith(says)
    assert model.versions.count() == 1
