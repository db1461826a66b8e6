"""Rules per occurrence: what fits, the steps of one activity, the words, the form, the files, the sheet, late and due moments."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from leads.access import MARKETER, SALES
from scoring import actions, queries
from scoring.ledger import account
from scoring.models import LedgerRow, Rule, Score, ScoreDue, ScoreModel, ScoreVersion
from scoring.nodes import node_of
from scoring.occurrences import Counting, check_counting, earned, rule_in_words, steps
from scoring.queries.moments import difference_by_moments
from scoring.trial import draft_plan, try_on
from segments.definitions import export_to, import_from
from segments.nodes import Clock
from segments.rules import catalogue_stamp
from tests.makers import NOW, make_activity, make_contact, make_user
from tests.scoring.conftest import VP, beat, make_draft, total

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
VISIT: dict[str, Any] = {
    "did": "page_view",
    "where": [{"field": "url", "op": "contains", "value": "/pricing"}],
}


def make_rule_draft(points: str, counting: Counting, *, group: str = "behaviour", **caps: Any) -> ScoreVersion:
    draft = make_draft(rules=())
    actions.save_rule(
        draft, group=group, name="Visits", conditions=VISIT, points=Decimal(points), counting=counting, now=NOW
    )
    ScoreVersion.objects.filter(pk=draft.pk).update(caps=caps)
    draft.refresh_from_db()
    return draft


def make_rule_model(points: str, counting: Counting, **more: Any) -> ScoreModel:
    draft = make_rule_draft(points, counting, **more)
    actions.publish(draft, reason="Go", now=NOW)
    beat(NOW)
    return ScoreModel.objects.get(pk=draft.model_id)


# --- one activity -----------------------------------------------------------------------------------------------------------


def test_points_halve_in_hundredths_until_under_half_a_hundredth() -> None:
    found = steps(Decimal(5), Counting(halves_after_days=14))
    left, levels = 0, []
    for step in found:
        left += step.change
        levels.append((step.after.days, left))
    assert levels == [
        (0, 500), (14, 250), (28, 125), (42, 63), (56, 31), (70, 16), (84, 8), (98, 4), (112, 2), (126, 1), (140, 0)
    ]  # fmt: skip
    assert found[-1].cause == "lapsed"


@pytest.mark.parametrize("points", ["5", "-5", "0.01", "-7.25", "10000"])
@pytest.mark.parametrize("halvings", [None, 1, 3])
def test_whatever_was_given_is_taken_away_in_the_end(points: str, halvings: int | None) -> None:
    found = steps(Decimal(points), Counting(halves_after_days=2, halvings=halvings))
    assert sum(step.change for step in found) == 0
    if halvings is not None:
        assert found[-1].after <= (halvings + 1) * 2 * DAY


def test_a_cap_holds_both_ways() -> None:
    days = 24 * 3600 * 1_000_000
    visits = [number * days for number in range(5)]
    counting = Counting(cap=Decimal(12), expires_after_days=10)
    up, down = (earned(visits, Decimal(points), counting) for points in (5, -5))
    asked = [-1, 0, 1, 2, 4, 10, 11, 12, 13, 14, 30]
    assert [up.level(day * days) for day in asked] == [0, 500, 1000, 1200, 1200, 1200, 1200, 1000, 500, 0, 0]
    assert [down.level(day * days) for day in asked] == [-up.level(day * days) for day in asked]
    assert sorted(set(up.moments())) == [day * days for day in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)]
    first = earned(visits, Decimal(5), Counting(first_n=2))
    assert [first.level(day * days) for day in (0, 1, 4)] == [500, 1000, 1000]


# --- what fits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        (VP, "one row about what somebody did"),
        ({"all": [VISIT, VP]}, "one row about what somebody did"),
        ({"not": VISIT}, "one row about what somebody did"),
        ({**VISIT, "count": {"op": "at_least", "value": 3}}, "how often"),
        ({"did": "page_view", "first": True}, "first"),
        ({**VISIT, "when": {"op": "in_last", "value": 30, "unit": "days"}}, "lapse after so many days"),
    ],
)
def test_conditions_that_do_not_fit_are_refused(conditions: dict[str, Any], words: str) -> None:
    draft = make_draft(rules=())
    with pytest.raises(actions.Refused, match=words):
        actions.save_rule(
            draft, group="behaviour", name="X", conditions=conditions, points=Decimal(5), counting=Counting(), now=NOW
        )
    assert draft.rules.count() == 0
    wrapped = {"all": [VISIT]}
    actions.save_rule(
        draft, group="behaviour", name="X", conditions=wrapped, points=Decimal(5), counting=Counting(), now=NOW
    )
    assert draft.rules.count() == 1


@pytest.mark.parametrize(
    ("counting", "words"),
    [
        (Counting(expires_after_days=3, halves_after_days=3), "choose one"),
        (Counting(halvings=3), "how many days"),
        (Counting(first_n=0), "from 1 to"),
        (Counting(expires_after_days=4000), "from 1 to 3,650"),
        (Counting(cap=Decimal("1e12")), "up to 1,000,000"),
        (Counting(cap=Decimal("NaN")), "up to 1,000,000"),
        (Counting(cap=Decimal(-3)), "above zero"),
        (Counting(cap=Decimal(3)), "One activity alone"),
    ],
)
def test_limits_that_make_no_sense_are_refused(counting: Counting, words: str) -> None:
    with pytest.raises(actions.Refused, match=words):
        check_counting(counting, Decimal(5))


def test_a_billion_points_are_refused() -> None:
    draft = make_draft(rules=())
    with pytest.raises(actions.Refused, match="10,000"):
        actions.save_rule(
            draft, group="behaviour", name="X", conditions=VISIT, points=Decimal("1e12"), counting=Counting(), now=NOW
        )


def test_the_rule_in_words() -> None:
    draft = make_rule_draft("5", Counting(cap=Decimal(20), halves_after_days=14, first_n=6))
    rule = draft.rules.get()
    assert rule_in_words(rule) == (
        "+5 each time the contact viewed a page where URL contains “/pricing”, only the first 6 times, at most 20,"
        " halving every 14 days"
    )


# --- the ledger -------------------------------------------------------------------------------------------------------------


def test_rows_count_from_the_activities_and_late_ones_are_marked() -> None:
    contact = make_contact()
    make_activity(contact, url="/pricing", at=NOW)
    model = make_rule_model("5", Counting(cap=Decimal(10)))
    make_activity(contact, url="/pricing", at=NOW + DAY)
    make_activity(contact, url="/pricing", at=NOW + DAY)  # one moment: one row
    beat(NOW + DAY)
    assert [(row.points, row.counts_from, row.is_late) for row in account(contact.pk, model=model, at=NOW + DAY).rows] == [
        (5, NOW, False), (5, NOW + DAY, False)
    ]  # fmt: skip
    make_activity(contact, url="/pricing", at=NOW - 9 * DAY)
    beat(NOW + 2 * DAY)
    rows = account(contact.pk, model=model, at=NOW + 2 * DAY).rows
    assert [(row.points, row.counts_from, row.is_late) for row in rows] == [(5, NOW - 9 * DAY, True), (5, NOW, False)]
    assert sorted(LedgerRow.objects.values_list("counts_from", "revision", "points", "cause")) == [
        (NOW - 9 * DAY, 0, 5, "activity"),
        (NOW, 0, 5, "activity"),
        (NOW + DAY, 0, 5, "activity"),
        (NOW + DAY, 1, -5, "corrected"),
    ]
    assert account(contact.pk, model=model, at=NOW - 5 * DAY).total == 5
    assert total(contact, model) == 10
    assert LedgerRow.objects.exclude(activity_id=None).count() == 3


def test_activities_of_any_kind_count_beside_those_of_one() -> None:
    contact = make_contact()
    make_activity(contact, url="/pricing", at=NOW)
    make_activity(contact, kind="email_click", url="", at=NOW - DAY)
    draft = make_rule_draft("5", Counting())
    for name, points, counting in (("All", "1", Counting()), ("The first", "2", Counting(first_n=1))):
        actions.save_rule(
            draft, group="fit", name=name, conditions={"did": "any"}, points=Decimal(points), counting=counting, now=NOW
        )
    actions.publish(draft, reason="Go", now=NOW)
    beat(NOW)
    rows = account(contact.pk, model=draft.model, at=NOW).rows
    assert sorted((row.points, row.counts_from) for row in rows) == [(1, NOW - DAY), (1, NOW), (2, NOW - DAY), (5, NOW)]


def test_everybody_is_worked_out_in_one_sorted_pass_over_the_activities() -> None:
    draft = make_rule_draft("5", Counting(cap=Decimal(20)), behaviour={"most": 30})
    blog = {"did": "page_view", "where": [{"field": "url", "op": "contains", "value": "/blog"}]}
    actions.save_rule(
        draft, group="behaviour", name="Blog", conditions=blog, points=Decimal(1), counting=Counting(), now=NOW
    )
    actions.publish(draft, reason="Go", now=NOW)
    plan = node_of(ScoreVersion.objects.get(pk=draft.pk), catalogue_stamp(), Clock()).plan(NOW, None)
    difference = difference_by_moments(plan, None, NOW)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {difference.text}", list(difference.params))
        lines = [line for (line,) in cursor.fetchall()]
    assert sum(" on leads_activity_other " in line for line in lines) == 1  # each partition once, whatever the rules
    stream = lines[next(place for place, line in enumerate(lines) if "CTE part" in line) :]
    stream = stream[: next(place for place, line in enumerate(stream[1:], start=1) if line.startswith("  CTE"))]
    assert not any("HashAggregate" in line for line in stream)
    assert sum("WindowAgg" in line for line in stream) == 1


def test_only_those_whose_moment_has_come_are_looked_at() -> None:
    contacts = [make_contact() for _number in range(3)]
    for days, contact in enumerate(contacts):
        make_activity(contact, url="/pricing", at=NOW + days * DAY - 10 * DAY)
    model = make_rule_model("8", Counting(expires_after_days=10))
    assert [total(contact, model) for contact in contacts] == [0, 8, 8]
    assert dict(ScoreDue.objects.values_list("contact_id", "due_at")) == {
        contacts[1].pk: NOW + DAY,
        contacts[2].pk: NOW + 2 * DAY,
    }
    assert queries.due_contacts(model.pk, NOW + DAY, 10) == [contacts[1].pk]
    report = beat(NOW + DAY)
    assert report.refreshed == {f"score:{model.slug}": 1}
    assert [total(contact, model) for contact in contacts] == [0, 0, 8]
    assert beat(NOW + DAY).refreshed == {}
    assert ScoreDue.objects.count() == 1


def test_an_activity_dated_ahead_counts_when_its_moment_comes() -> None:
    contact = make_contact()
    model = make_rule_model("8", Counting())
    make_activity(contact, url="/pricing", at=NOW + 3 * DAY)
    beat(NOW)
    assert total(contact, model) == 0
    beat(NOW + 3 * DAY)
    assert total(contact, model) == 8


def test_a_clock_going_back_leaves_the_sum_right() -> None:
    contact = make_contact()
    model = make_rule_model("8", Counting(expires_after_days=5))
    make_activity(contact, url="/pricing", at=NOW + DAY)
    beat(NOW + DAY)
    beat(NOW, full=True)
    assert (total(contact, model), queries.broken_sums()) == (0, [])
    beat(NOW + 2 * DAY, full=True)
    assert (total(contact, model), queries.broken_sums()) == (8, [])
    assert Score.objects.get(contact=contact, model=model).behaviour == 8


def test_publishing_other_points_counts_from_the_publication() -> None:
    contact = make_contact()
    make_activity(contact, url="/pricing", at=NOW - DAY)
    model = make_rule_model("5", Counting())
    draft = actions.draft_of(model, now=NOW)
    rule = draft.rules.get()
    actions.save_rule(
        draft,
        key=rule.key,
        group=rule.group,
        name=rule.name,
        conditions=VISIT,
        points=Decimal(9),
        counting=Counting(),
        now=NOW,
    )
    actions.publish(draft, reason="More", now=NOW + DAY)
    beat(NOW + DAY)
    make_activity(
        contact, url="/pricing", at=NOW - 2 * DAY
    )  # late: under the version live then, the new one from then on
    beat(NOW + 2 * DAY)
    found = {
        row.counts_from: (row.points, row.cause) for row in account(contact.pk, model=model, at=NOW + 2 * DAY).rows
    }
    assert found == {
        NOW - 2 * DAY: (5, "activity"),
        NOW - DAY: (5, "activity"),
        NOW + DAY: (8, "points_changed"),
    }
    assert {row.version_id for row in LedgerRow.objects.filter(counts_from__lt=NOW)} == {
        model.versions.get(number=1).pk
    }


def test_an_old_activity_counts_where_it_lies_although_no_rule_looks_for_it_any_more() -> None:
    contact = make_contact()
    model = make_rule_model("5", Counting())
    draft = actions.draft_of(model, now=NOW)
    actions.delete_rule(draft, key=draft.rules.get().key, now=NOW)
    actions.publish(draft, reason="Gone", now=NOW + DAY)
    beat(NOW + DAY)
    make_activity(contact, url="/pricing", at=NOW - DAY)
    beat(NOW + 2 * DAY)
    assert [
        (row.points, row.counts_from, row.cause) for row in account(contact.pk, model=model, at=NOW + 2 * DAY).rows
    ] == [
        (5, NOW - DAY, "activity"),
        (-5, NOW + DAY, "rule_removed"),
    ]


def test_once_and_for_each_activity_may_take_turns() -> None:
    contact = make_contact()
    for days in (1, 2):
        make_activity(contact, url="/pricing", at=NOW - days * DAY)
    model = make_rule_model("5", Counting())
    totals = [total(contact, model)]
    for number, counting in enumerate((None, Counting(first_n=1), None), start=1):
        now = NOW + number * DAY
        draft = actions.draft_of(model, now=now)
        rule = draft.rules.get()
        same: dict[str, Any] = {"group": rule.group, "name": rule.name, "conditions": VISIT, "points": Decimal(5)}
        actions.save_rule(draft, key=rule.key, counting=counting, now=now, **same)
        actions.publish(draft, reason="Turn", now=now)
        beat(now)
        totals.append(total(contact, model))
        assert queries.broken_sums() == []
    assert totals == [10, 5, 5, 5]
    assert account(contact.pk, model=model, at=NOW).total == 10


# --- caps and the sheet -----------------------------------------------------------------------------------------------------


def test_what_a_cap_takes_is_a_row_of_its_own() -> None:
    contact = make_contact()
    for days in range(3):
        make_activity(contact, url="/pricing", at=NOW - days * DAY)
    model = make_rule_model("10", Counting(), behaviour={"most": 25}, total={"most": 20})
    found = account(contact.pk, model=model, at=NOW)
    assert [(row.name, row.points, row.cause) for row in found.rows] == [
        ("Visits", 10, "activity"),
        ("Visits", 10, "activity"),
        ("Visits", 10, "activity"),
        ("Cap: Behaviour", -5, "capped"),
        ("Cap: Total", -5, "capped"),
    ]
    assert found.groups == {"fit": 0, "behaviour": 25, "negative": 0, "bant": 0, "total": -5}
    assert total(contact, model) == found.total == 20


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        ({"behaviour": {"least": 5}}, "nothing must lie between"),
        ({"fit": {"least": 0, "most": -1}}, "nothing must lie between|lies above"),
        ({"mood": {"most": 5}}, "no group “mood”"),
        ({"fit": {"most": "lots"}}, "a number of points"),
        ({"fit": {"most": 10**12}}, "at most"),
    ],
)
def test_caps_that_make_no_sense_are_refused(caps: dict[str, Any], words: str) -> None:
    draft = make_draft(rules=())
    lines: dict[str, Any] = {"fit_lines": draft.fit_lines, "behaviour_lines": draft.behaviour_lines}
    with pytest.raises(actions.Refused, match=words):
        actions.change_lines(draft, threshold=Decimal(50), caps=caps, now=NOW, **lines)
    actions.change_lines(draft, threshold=Decimal(50), caps={"fit": {"most": 30}}, now=NOW, **lines)
    assert ScoreVersion.objects.get(pk=draft.pk).caps == {"fit": {"most": 30}}


def test_the_sheet_and_the_test_contact_say_what_publishing_does() -> None:
    people = [make_contact(title="VP" if number == 2 else "") for number in range(3)]
    for number, contact in enumerate(people):
        for days in range(number * 3):
            make_activity(contact, url="/pricing", at=NOW - days * 7 * DAY)
    draft = make_rule_draft("10", Counting(halves_after_days=7, cap=Decimal(18)), behaviour={"most": 16})
    actions.save_rule(draft, group="fit", name="VP", conditions=VP, points=Decimal(20), now=NOW)
    actions.give_points([people[0].pk], model=draft.model, points=Decimal(3), cause="by_hand", expires_at=None, now=NOW)
    draft.refresh_from_db()
    told = queries.compare(draft_plan(draft, NOW, None), old_line=None, new_line=Decimal(30), now=NOW)
    tried = [try_on(contact, draft, now=NOW) for contact in people]
    actions.publish(draft, reason="Go", now=NOW)
    beat(NOW)
    model = draft.model
    assert [one.total.held for one in tried] == [total(contact, model) for contact in people] == [3, 16, 36]
    assert [one.parts[1].is_capped for one in tried] == [False, True, True]
    assert told.moves["over_after"] == 1
    assert told.grades_after == queries.spread(model.pk)[0]
    assert told.met == {rule.key: rule.met_count for rule in Rule.objects.filter(version=draft)}


def test_unknown_is_not_nothing() -> None:
    contact, other = make_contact(title=""), make_contact(title="Clerk")
    draft = make_draft(rules=(("fit", "VP", 20, VP),))
    rule = draft.rules.get()
    assert try_on(contact, draft, now=NOW).unknown == {rule.key}
    assert try_on(other, draft, now=NOW).unknown == set()


# --- pages and files --------------------------------------------------------------------------------------------------------


def posted(**more: Any) -> dict[str, Any]:
    return {
        "edit_number": 1,
        "name": "Visits",
        "group": "behaviour",
        "points": "5",
        "conditions": '{"did": "page_view"}',
        "counts": "each",
        "fades": "halve",
        "halves_after_days": "14",
        "cap": "20",
        **more,
    }


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def test_the_form_saves_a_rule_per_occurrence(marketer: Client) -> None:
    draft = make_draft(rules=())
    url = reverse("scoring:rule-new", args=[draft.model.slug])
    assert marketer.post(url, posted(halves_after_days="")).status_code == 422
    assert marketer.post(url, posted(cap="2")).status_code == 422
    assert marketer.post(url, posted(conditions='{"did": "page_view", "first": true}')).status_code == 422
    edit_number = ScoreVersion.objects.get(pk=draft.pk).edit_number
    assert marketer.post(url, posted(edit_number=edit_number, expires_after_days="3")).status_code == 302
    rule = draft.rules.get()
    assert (rule.per_occurrence, rule.cap, rule.halves_after_days, rule.expires_after_days) == (True, 20, 14, None)
    page = marketer.get(reverse("scoring:rule-edit", args=[draft.model.slug, rule.key])).content.decode()
    assert 'value="each"' in page
    assert "+5 each time" in marketer.get(reverse("scoring:model-draft", args=[draft.model.slug])).content.decode()


def test_the_preview_follows_what_is_typed_and_saves_nothing(marketer: Client) -> None:
    contact = make_contact()
    make_activity(contact, at=timezone.now() - DAY)
    draft = make_draft(rules=())
    url = reverse("scoring:rule-preview", args=[draft.model.slug])
    marketer.post(reverse("scoring:model-test", args=[draft.model.slug]), {"contact": contact.pk})
    page = marketer.post(url, posted(points="7")).content.decode()
    assert "+7 each time the contact viewed a page" in page
    assert "after 14 days" in page
    assert ">+7</span>" in page
    assert "Not complete yet" in marketer.post(url, posted(points="")).content.decode()
    assert draft.rules.count() == 0
    marketer.force_login(make_user(SALES))
    assert marketer.post(url, posted()).status_code == 403


def test_definitions_go_out_and_come_in_unchanged(tmp_path: Any) -> None:
    model = make_rule_model("5", Counting(first_n=3, cap=Decimal("12.5"), halves_after_days=7), total={"most": 40})
    export_to(tmp_path, with_people=False)
    file = tmp_path / "score-models" / f"{model.slug}.yaml"
    text = file.read_text()
    report = import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())
    assert (report["unchanged"], report["updated"], report["refused"]) == (report["read"], 0, 0)
    file.write_text(text.replace("cap: 12.5", "cap: 15").replace("most: 40", "most: 30"))
    assert import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())["updated"] == 1
    live = model.versions.get(state="live")
    assert (live.caps, live.rules.get().cap, live.number) == ({"total": {"most": 30}}, 15, 2)
    file.write_text(text.replace("halves_after_days: 7", "halves_after_days: 7\n    expires_after_days: 3"))
    assert import_from(tmp_path, dry_run=False, actor=None, now=timezone.now())["refused"] == 1
