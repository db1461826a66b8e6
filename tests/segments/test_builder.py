"""The builder on the server: documents as rows, changes of a leaf, counts, near misses, the form field."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.urls import reverse

from leads.access import MARKETER, SALES
from leads.models import CustomField
from segments.builder import ConditionsField, ConditionsWidget
from segments.builder import people as shown_people
from segments.builder import preview as previews
from segments.builder.catalogue import NOT_IN_WHEN, Catalogue
from segments.builder.changes import NoSuchChange, changed, first_leaf
from segments.builder.lines import lines_of
from segments.builder.rows import DidRow, FieldRow, Group, JsonRow, MemberRow, Row, Rows
from segments.conditions import AMOUNTS, check, explain, moment, operators_for
from segments.conditions.check import HOW
from segments.conditions.operators import PROPERTY_TYPES
from tests.makers import NOW, make_activity, make_contact, make_deal, make_segment, make_user

pytestmark = pytest.mark.django_db

SOURCE = {"field": "contact.source", "op": "is", "value": "paid_search"}
WON = {"has": "deal", "where": [{"field": "status", "op": "is", "value": "won"}]}
PRICING = {"field": "url", "op": "contains", "value": "/pricing"}
SIZE = {"field": "company.employees"}
MADE = {"field": "contact.created_at"}
TWICE = {"did": "call", "count": {"op": "at_least", "value": 2}}
URL = {"field": "url", "op": "contains"}
LAST_30 = {"op": "in_last", "value": 30, "unit": "days"}

# Every form of leaf in the rule language that a row shows.
LEAVES: list[dict[str, Any]] = [
    {"field": "contact.title", "op": "contains", "value": "vp"},
    {"field": "contact.title", "op": "matches", "value": "^vp"},
    {"field": "contact.title", "op": "is_unknown"},
    {"field": "company.employees", "op": "between", "value": [5, 20]},
    {"field": "company.employees", "op": "is", "value": 7.5},
    {"field": "contact.tags", "op": "includes_any", "value": ["partner"]},
    {"field": "contact.country", "op": "in", "value": ["DE", "Austria"]},
    {"field": "contact.country", "op": "is", "value": "de"},
    {"field": "contact.created_at", "op": "in_last", "value": 2, "unit": "weeks"},
    {"field": "contact.created_at", "op": "after", "value": "2026-01-05"},
    {"field": "contact.created_at", "op": "after", "value": "2026-01-05T10:30"},
    {"field": "contact.created_at", "op": "after", "value": "2026-01-05T10:00:00Z"},
    {"field": "contact.created_at", "op": "between", "value": ["2026-01-05", "2026-02-01"]},
    {"field": "contact.created_at", "op": "on", "value": "2026-01-05"},
    {"field": "contact.created_at", "op": "this", "value": "quarter"},
    {"field": "contact.created_at", "op": "anniversary_in", "value": 0},
    {"field": "contact.stage", "op": "is", "value": "mql"},
    {"field": "contact.stage", "op": "is_known"},
    {"did": "page_view"},
    {"did": ["page_view"]},
    {"did": "any", "when": {"op": "last", "value": "month"}},
    {"did": "page_view", "where": [PRICING], "count": {"op": "at_least", "value": 3}, "when": LAST_30},
    {"did": ["email_open", "email_click"], "count": {"op": "exactly", "value": 0}},
    {"did": "page_view", "count": {"op": "between", "value": [2, 5]}},
    {"did": "page_view", "count": {"op": "at_least", "value": 1}},
    {"did": "form_submit", "first": True, "when": {"op": "in_last", "value": 7, "unit": "days"}},
    {"did": "page_view", "latest": [PRICING]},
    {"did": "purchase", "total": {"of": "properties.amount", "as": "sum", "op": "at_least", "value": 1000}},
    {"did": "purchase", "total": {"of": "properties.amount", "as": "average", "op": "between", "value": [1, 2.5]}},
    {"did": "purchase", "where": [{"field": "properties.plan", "op": "is", "value": "pro"}]},
    {"did": "purchase", "where": [{"field": "properties.amount", "op": "is", "value": 5}]},
    {"did": "purchase", "where": [{"field": "properties.amount", "op": "not_between", "value": [1, 5]}]},
    {"did": "purchase", "where": [{"field": "properties.renews", "op": "is_true"}]},
    {"did": "purchase", "where": [{"field": "properties.due", "op": "between", "value": ["2026-01-01", "2026-02-01"]}]},
    {"sequence": [{"did": "webinar_attended"}, {"did": "page_view", "where": [PRICING]}], "gap": {"value": 7, "unit": "days"}},
    {"sequence": [{"did": ["download", "reply"]}, {"did": "any"}], "when": LAST_30},
    {"has": "deal", "where": [{"field": "status", "op": "is", "value": "lost"}], "count": {"op": "at_least", "value": 1}},
    {"has": "deal", "where": [{"field": "amount", "op": "more_than", "value": 1000}, {"field": "closed_on", **LAST_30}]},
    {"has": "deal", "count": {"op": "exactly", "value": 0}},
    {"in_segment": "dach"},
    {"in_persona": "cfo"},
]  # fmt: skip


SAMPLES: dict[str, dict[str, Any]] = {
    "none": {}, "text": {"value": "Übung “x”"}, "texts": {"value": ["a", "b c"]}, "pattern": {"value": "^a"}, "number": {"value": 5},
    "numbers": {"value": [-1, 2.5]}, "day": {"value": "2026-01-05"}, "time": {"value": "2026-01-05"},
    "times": {"value": ["2026-01-05", "2026-02-01"]}, "amount": {"value": 3, "unit": "weeks"}, "period": {"value": "quarter"},
    "days": {"value": 10},
}  # fmt: skip


def every_operator_of_every_type() -> list[dict[str, Any]]:
    """One leaf for each operator of each type and flavour of field, of each period, count, total and detail."""
    language = Catalogue().language
    of_type = {(field.type, field.flavour): field for field in language.fields() if field.type != "property"}

    def compared(type: str) -> list[dict[str, Any]]:
        return [{"op": one.key, **SAMPLES[one.shape]} for one in operators_for(type).values()]

    found: list[dict[str, Any]] = [
        {"field": field.key, **each} for (type, _), field in of_type.items() for each in compared(type)
    ]
    found += [{"did": "call", "when": each} for each in compared("moment") if each["op"] not in NOT_IN_WHEN]
    amounts = [{"op": key, "value": [1, 5] if key == "between" else 3} for key in AMOUNTS]
    found += [{"did": "call", "count": each} for each in amounts] + [{"has": "deal", "count": each} for each in amounts]
    totals = [{"of": "properties.x", "as": how, **each} for how in HOW for each in amounts]
    found += [{"did": "call", "total": each} for each in totals]
    for subject, head in (("activity", {"did": "call"}), ("deal", {"has": "deal"})):
        named = {field.type: field.name for field in language.fields(subject) if field.type != "property"}
        details = [(name, type) for type, name in named.items()]
        details += [("properties.x", reading) for reading in PROPERTY_TYPES if subject == "activity"]
        rows = [{"field": name, **each} for name, type in details for each in compared(type)]
        found += [{**head, "where": rows[start : start + 8]} for start in range(0, len(rows), 8)]
    found += [
        {subject.key: "x", **({"state": subject.states[0]} if subject.states else {})}
        for subject in language.subjects()
    ]
    return found


def rows() -> Rows:
    return Rows(Catalogue())


def shown(leaf: Any) -> Row:
    node = rows().node(leaf)
    assert isinstance(node, Row), getattr(node, "reason", node)
    return node


@pytest.mark.parametrize("leaf", LEAVES, ids=json.dumps)
def test_every_form_of_leaf_has_a_row(leaf: dict[str, Any]) -> None:
    assert rows().node(leaf).kind == "leaf"
    assert rows().node({"not": leaf}).is_negated


@pytest.mark.parametrize(
    "leaf",
    [
        {"field": "contact.nothing", "op": "is", "value": "x"},
        {"field": "contact.title", "op": "at_least", "value": 3},
        {"field": "contact.title", "op": "contains", "value": 3},
        {"field": "company.employees", "op": "is", "value": "7"},
        {"field": "company.employees", "op": "is", "value": True},
        {"field": "contact.title", "op": "contains", "value": "x", "note": "mine"},
        {"did": "page_view", "count": {"op": "at_least", "value": 1}, "first": True},
        {"did": 5},
        {"did": "page_view", "where": {"field": "url"}},
        {"did": "page_view", "where": [{"field": "colour", "op": "is", "value": "red"}]},
        {"has": "cars"},
        {"sequence": "download"},
        {"not": {"not": SOURCE}},
        {"later": "unknown"},
        "text",
        7,
        None,
        [],
    ],
    ids=repr,
)
def test_what_no_row_shows_is_kept_as_it_is(leaf: Any) -> None:
    node = rows().node(leaf)
    assert isinstance(node, JsonRow)
    assert node.text == (leaf if isinstance(leaf, str) else json.dumps(leaf, indent=2))
    assert node.reason


def test_a_group_says_its_word_and_its_negation() -> None:
    inner = rows().node({"not": {"any": [SOURCE, {"all": []}]}})
    assert isinstance(inner, Group)
    assert (inner.join, inner.is_negated, [child.kind for child in inner.children]) == ("any", True, ["leaf", "group"])
    assert [mode.value for mode in inner.modes if mode.is_chosen] == ["none"]


def test_a_rule_that_is_one_leaf_stands_in_a_group_that_is_not_written() -> None:
    root = rows().root(SOURCE)
    assert (root.is_implicit, root.is_root, len(root.children)) == (True, True, 1)


def test_everybody_is_shown_only_when_picked_by_name() -> None:
    assert not rows().root(None).is_everybody
    assert not rows().root({"all": []}).is_everybody
    assert rows().root({"all": []}, is_everybody=True).is_everybody


def test_every_operator_of_every_type_has_an_input() -> None:
    """A new operator in the table must not fall out of the builder. That rows give the document back is tried in a browser."""
    leaves = every_operator_of_every_type()
    assert len(leaves) > 150
    assert [leaf for leaf in leaves if rows().node(leaf).kind != "leaf"] == []
    for spec in Catalogue().language.fields():
        for operator in operators_for(spec.type).values() if spec.type != "property" else ():
            assert rows().node({"field": spec.key, "op": operator.key}).kind == "leaf", (spec.key, operator.key)


def test_the_picker_has_custom_fields_activities_deals_and_memberships() -> None:
    CustomField.objects.create(of="contact", key="plan", label="Plan", type="choice", choices=["free", "pro"])
    options = {option.value for group in Catalogue().picker() for option in group.options}
    assert {
        "contact.source",
        "contact.custom.plan",
        "company.employees",
        "did:page_view",
        "did:any",
        "has:deal",
        "has:deal:won",
        "sequence",
        "in_segment",
        "in_persona",
        "json",
    } <= options


def test_everything_in_the_picker_begins_a_row() -> None:
    catalogue = Catalogue()
    for group in catalogue.picker():
        for option in group.options:
            node = Rows(catalogue).node(first_leaf(option.value, catalogue))
            assert node.kind == ("json" if option.value == "json" else "leaf"), option.value


CHANGES: list[tuple[dict[str, Any], str, str, dict[str, Any]]] = [
    (SOURCE, "op", "in", {**SOURCE, "op": "in", "value": ["paid_search"]}),
    (SOURCE, "op", "is_known", {"field": "contact.source", "op": "is_known"}),
    ({**SIZE, "op": "between", "value": [5, 20]}, "op", "at_least", {**SIZE, "op": "at_least", "value": 5}),
    ({**SIZE, "op": "is", "value": 5}, "op", "between", {**SIZE, "op": "between", "value": [5, None]}),
    ({**MADE, "op": "on", "value": "2026-01-05"}, "op", "in_last", {**MADE, **LAST_30}),
    ({**MADE, "op": "after", "value": "2026-01-05"}, "time", "time", {**MADE, "op": "after", "value": "2026-01-05T00:00"}),
    ({**MADE, "op": "after", "value": "2026-01-05T08:15"}, "time", "day", {**MADE, "op": "after", "value": "2026-01-05"}),
    ({"not": SOURCE}, "field", "has:deal:won", WON),
    (SOURCE, "field", "company.employees", {**SIZE, "op": "at_least"}),
    ({"did": "call"}, "often", "never", {"did": "call", "count": {"op": "exactly", "value": 0}}),
    ({"did": "call"}, "often", "at_least", {"did": "call", "count": {"op": "at_least"}}),
    (TWICE, "often", "between", {"did": "call", "count": {"op": "between", "value": [2, None]}}),
    (TWICE, "often", "", {"did": "call"}),
    ({"did": "call"}, "often", "first", {"did": "call", "first": True, "when": LAST_30}),
    ({"did": "call", "first": True}, "often", "latest", {"did": "call", "latest": [URL]}),
    ({"did": "call"}, "when.op", "in_last", {"did": "call", "when": LAST_30}),
    ({"did": "call", "when": LAST_30}, "when.op", "", {"did": "call"}),
    ({"did": "call", "when": LAST_30}, "when.op", "this", {"did": "call", "when": {"op": "this", "value": "month"}}),
    ({"did": "call"}, "where.add", "", {"did": "call", "where": [URL]}),
    ({"did": "call", "where": [PRICING]}, "where[0].remove", "", {"did": "call"}),
    (
        {"did": "call", "where": [PRICING]}, "where[0].field", "source",
        {"did": "call", "where": [{"field": "source", "op": "is"}]},
    ),
    (
        {"did": "call", "where": [{"field": "properties.x", "op": "is", "value": "1"}]}, "where[0].as", "number",
        {"did": "call", "where": [{"field": "properties.x", "op": "at_least"}]},
    ),
    (WON, "where[0].op", "in", {"has": "deal", "where": [{"field": "status", "op": "in", "value": ["won"]}]}),
    ({"sequence": [{"did": "any"}]}, "sequence.add", "", {"sequence": [{"did": "any"}, {"did": "any"}]}),
    ({"sequence": [{"did": "a"}, {"did": "b"}]}, "sequence[0].remove", "", {"sequence": [{"did": "b"}]}),
    ({"sequence": [{"did": "a"}]}, "sequence[0].where.add", "", {"sequence": [{"did": "a", "where": [URL]}]}),
    ({"sequence": [{"did": "a"}], "gap": {"value": 7, "unit": "days"}}, "gap.remove", "", {"sequence": [{"did": "a"}]}),
]  # fmt: skip


@pytest.mark.parametrize(("leaf", "change", "to", "result"), CHANGES, ids=repr)
def test_a_change_keeps_what_still_fits(leaf: dict[str, Any], change: str, to: str, result: dict[str, Any]) -> None:
    before = json.dumps(leaf)
    assert changed(leaf, change, to, Catalogue()) == result
    assert json.dumps(leaf) == before
    assert shown(result)


def test_a_change_inside_a_negation_keeps_it() -> None:
    assert changed({"not": SOURCE}, "op", "is_known", Catalogue()) == {
        "not": {"field": "contact.source", "op": "is_known"}
    }


@pytest.mark.parametrize(
    ("change", "to"), [("where[7].op", "is"), ("nonsense", ""), ("op", "explodes"), ("where.remove", ""), ("x.add", "")]
)
def test_a_change_that_no_control_makes_is_refused(change: str, to: str) -> None:
    with pytest.raises(NoSuchChange):
        changed(SOURCE, change, to, Catalogue())


# --- previews


@pytest.fixture
def population() -> None:
    """Four from paid search, two of them with a won deal; one of the others has a won deal as well."""
    cache.clear()
    paid = [make_contact(source="paid_search", first_name=f"Paid {number}") for number in range(4)]
    other = make_contact(source="referral")
    make_contact(source="referral")
    make_deal(paid[0], status="won")
    make_deal(paid[1], status="won")
    make_deal(paid[2], status="lost")
    make_deal(other, status="won")


def ask(document: Any, *paths: str, how: str = "count") -> previews.Preview:
    return previews.preview(json.dumps(document), paths, how=how, now=NOW)


def test_counts_of_the_whole_and_of_each_part(population: None) -> None:
    found = ask(
        {"all": [SOURCE, WON, {"not": {"any": [SOURCE]}}]}, "", "all[0]", "all[1]", "all[2]", "all[2].not.any[0]"
    )
    assert (found.state, found.number) == ("counted", 0)
    assert [(part.index, part.state, part.number) for part in found.parts] == [
        (0, "counted", 0), (1, "counted", 4), (2, "counted", 3), (3, "counted", 2), (4, "counted", 4),
    ]  # fmt: skip


def test_and_or_change_the_number_and_the_sentence(population: None) -> None:
    both, either = ask({"all": [SOURCE, WON]}), ask({"any": [SOURCE, WON]})
    assert (both.number, either.number) == (2, 5)
    assert both.sentence != either.sentence
    assert both.at == NOW


def test_an_unfinished_row_waits_and_the_others_are_counted(population: None) -> None:
    waiting = {"field": "contact.title", "op": "contains"}
    rule = {"all": [SOURCE, {"any": [waiting, {"not": WON}]}, {"any": [waiting]}]}
    found = ask(rule, "", "all[0]", "all[1].any[0]", "all[1]", "all[2]", "all[2].any[0]")
    assert (found.state, found.number) == ("unfinished", 2)  # from paid search, no deal won
    assert [(part.state, part.number, part.at) for part in found.parts] == [
        ("unfinished", 2, ""), ("counted", 4, ""), ("unfinished", None, "value"), ("unfinished", 3, ""), ("unfinished", None, ""),
        ("unfinished", None, "value"),
    ]  # fmt: skip


def test_a_rule_of_one_unfinished_row_has_no_number(population: None) -> None:
    found = ask({"all": [{"field": "contact.title", "op": "contains"}]}, "", "all[0]")
    assert (found.state, found.number, len(found.messages)) == ("unfinished", None, 1)


@pytest.mark.parametrize(
    ("leaf", "at"),
    [
        ({"field": "company.employees", "op": "between", "value": [3, None]}, "value[1]"),
        ({"did": []}, "did"),
        ({"did": "call", "where": [{"field": "url", "op": "is"}]}, "where[0].value"),
        ({"did": "call", "where": [{"field": "properties.", "op": "is", "value": "x"}]}, "where[0].field"),
        ({"did": "call", "count": {"op": "at_least"}}, "count.value"),
        ({"did": "call", "total": {"of": "properties.", "as": "sum", "op": "at_least", "value": 1}}, "total.of"),
        ({"did": "call", "when": {"op": "on"}}, "when.value"),
        ({"sequence": [{"did": "call"}, {"did": []}]}, "sequence[1].did"),
        ({"in_segment": ""}, "in_segment"),
        ("", "value"),
    ],
    ids=repr,
)
def test_what_is_missing_is_said_at_its_control(leaf: Any, at: str) -> None:
    (part,) = ask({"all": [leaf]}, "all[0]").parts
    assert (part.state, part.at) == ("unfinished", at)
    assert part.message


def test_a_problem_stands_at_its_row_and_control() -> None:
    found = ask(
        {"all": [{"not": {"any": [SOURCE, {"did": "call", "where": [{"field": "url", "op": "is", "value": 3}]}]}}]},
        "",
        "all[0]",
        "all[0].not.any[0]",
        "all[0].not.any[1]",
    )
    assert found.state == "problem"
    assert [(part.index, part.state, part.at) for part in found.parts if part.state == "problem"] == [
        (3, "problem", "where[0].value")
    ]


def test_a_problem_of_the_whole_rule_is_said_below_it() -> None:
    found = ask({"any": [SOURCE] * 201}, "")
    assert found.state == "problem"
    assert "200" in found.messages[0].text


@pytest.mark.parametrize(
    "text",
    [
        "{", "NaN", '{"all": [NaN]}', "[" * 100_000, '{"all": [], "all": []}', "1" * 5_000, " " * 1_000_000, '"' + "x" * 1_000_000 + '"',
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_text_that_is_no_json_is_told(text: str) -> None:
    found = previews.preview(text, [""], how="count", now=NOW)
    assert (found.state, len(found.messages)) == ("problem", 1)


def test_problems_of_a_text_written_by_hand_stand_at_their_lines() -> None:
    text = """
    {"all": [
        {"field": "contact.title", "op": "contains", "value": "vp"},
        {"not": {"any": [
            {"did": "call", "where": [{"field": "url", "op": "is",
                                       "value": 3}]},
            {"field": "contact.titel", "op": "is", "value": "a \\" b"}
        ]}},
        {"in_segment": "gone", "since": [[1, 2],
            3]}
    ]}"""
    found = previews.preview(text, [], how="count", now=NOW)
    assert found.state == "problem"
    assert [(message.path, message.line) for message in found.messages] == [
        ("all[1].not.any[0].where[0].value", 6), ("all[1].not.any[1].field", 7), ("all[2].since", 9), ("all[2].in_segment", 9),
    ]  # fmt: skip
    broken = previews.preview('{"all": [\n\n}', [], how="count", now=NOW)
    assert [message.line for message in broken.messages] == [3]


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_every_place_of_a_text_has_its_line(indent: int | None) -> None:
    document = {"all": [*LEAVES, {"not": {"any": [{"not": leaf} for leaf in LEAVES[:5]]}}]}
    text = json.dumps(document, indent=indent)

    def paths(value: Any, path: str) -> list[tuple[str, Any]]:
        found = [(path, value)]
        if isinstance(value, dict):
            for key, inside in value.items():
                found += paths(inside, f"{path}.{key}" if path else key)
        elif isinstance(value, list):
            for place, inside in enumerate(value):
                found += paths(inside, f"{path}[{place}]")
        return found

    listed = text.splitlines()
    for path, line in lines_of(text, [path for path, _value in paths(document, "")]).items():
        last = path.rpartition(".")[2]
        assert last.endswith("]") or not path or f'"{last}":' in listed[line - 1], (path, line)
    assert lines_of(text, ["nowhere", "all[0].value.more"]) == {
        "nowhere": 1,
        "all[0].value.more": lines_of(text, ["all[0].value"])["all[0].value"],
    }


def test_a_deep_text_is_read_without_recursion() -> None:
    depth = 5_000
    assert lines_of("[\n" * depth + "]" * depth, ["[0][0]"]) == {"[0][0]": 3}


def test_rows_about_fields_are_counted_in_one_statement(population: None, django_assert_num_queries: Any) -> None:
    """The workspace; the whole rule and one pass for all rows, each with four for its time limit."""
    cities = [{"field": "contact.city", "op": "is", "value": f"{number}"} for number in range(8)]
    leaves = [SOURCE, *cities]
    paths = ["", *(f"all[{place}]" for place in range(len(leaves)))]
    moment(NOW)  # makes the workspace
    with django_assert_num_queries(11) as asked:
        found = ask({"all": leaves}, *paths)
    assert sum("FILTER" in one["sql"] for one in asked.captured_queries) == 1
    assert [part.number for part in found.parts] == [0, 4, *([0] * 8)]
    with django_assert_num_queries(6):  # the whole again, the rows are kept
        assert ask({"any": leaves}, "", *(path.replace("all", "any") for path in paths[1:])).number == 4


def test_a_path_that_is_not_there_is_left_out(population: None) -> None:
    assert [part.index for part in ask({"all": [SOURCE]}, "any[3]", "all[0].not", "all[0]").parts] == [2]


def test_a_count_that_takes_too_long_says_so_and_an_estimate_is_offered(
    population: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*args: Any, **kwargs: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        return 0

    monkeypatch.setattr(previews, "count", slow)
    monkeypatch.setattr(previews, "count_together", slow)
    monkeypatch.setattr(previews, "ONE_COUNT", 0.02)
    found = ask({"all": [SOURCE]}, "", "all[0]")
    assert (found.state, found.number, [part.state for part in found.parts]) == ("slow", None, ["slow", "slow"])
    estimated = ask({"all": [SOURCE]}, "", how="estimate")
    assert estimated.state == "estimated"
    assert estimated.estimate == previews.Estimate(4, 4, 4, 6)  # a sample of everybody is exact


def test_an_estimate_gives_the_range_it_may_lie_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(60):
        make_contact(source="paid_search" if number % 3 else "referral")
    monkeypatch.setattr(previews, "SAMPLE_SIZE", 30)
    estimate = ask(SOURCE, how="estimate").estimate
    assert estimate is not None
    assert estimate.low <= estimate.number <= estimate.high <= 60
    assert 0 < estimate.size < 60


def test_an_unchanged_row_is_counted_once_in_a_while(population: None) -> None:
    assert ask({"all": [SOURCE, WON]}, "all[0]").parts[0].number == 4
    make_contact(source="paid_search")
    found = ask({"any": [SOURCE, WON]}, "", "all[0]", "any[0]")
    assert (found.number, [part.number for part in found.parts]) == (6, [6, 4])  # the whole is always fresh


def test_rows_that_do_not_fit_the_first_answer_come_with_the_next(
    population: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(previews, "FIRST_ANSWER", 0.0)
    found = ask({"all": [SOURCE, WON]}, "", "all[0]", "all[1]")
    assert (found.state, found.number, found.waits) == ("counted", 2, True)
    assert [(part.state, part.number) for part in found.parts] == [("counted", 2), ("waiting", None), ("waiting", None)]
    rest = ask({"all": [SOURCE, WON]}, "all[0]", "all[1]", how="rest")
    assert (rest.state, rest.waits) == ("rest", False)
    assert [(part.state, part.number) for part in rest.parts] == [("counted", 4), ("counted", 3)]


def test_a_row_that_takes_long_is_not_tried_again_at_once(population: None, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def slow(*args: Any, **kwargs: Any) -> int:
        tried.append(args)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        return 0

    monkeypatch.setattr(previews, "count", slow)
    monkeypatch.setattr(previews, "ONE_COUNT", 0.02)
    for _time in range(2):
        assert [part.state for part in ask({"all": [WON]}, "all[0]").parts] == ["slow"]
    assert len(tried) == 3  # the whole twice, the row once


def test_people_who_match_have_a_tick_for_each_row(population: None) -> None:
    found = shown_people.people(json.dumps({"all": [SOURCE, WON]}), which="matches", now=NOW)
    assert [person.contact.first_name for person in found.people] == ["Paid 1", "Paid 0"]
    assert [[tick.holds for tick in person.ticks] for person in found.people] == [[True, True], [True, True]]
    assert len(found.columns) == 2


def test_a_row_turned_round_is_ticked_where_it_holds(population: None) -> None:
    """A cross beside somebody who matches would say that the rule is wrong."""
    inner = {"not": {"not": WON}}
    rule = {"all": [{"not": SOURCE}, {"not": {"all": [{"not": WON}, inner]}}]}
    found = shown_people.people(json.dumps(rule), which="matches", now=NOW)
    assert found.columns[0] == "Not (Source is “paid_search”)"
    assert found.columns[2] == f"Not ({found.columns[1][0].lower()}{found.columns[1][1:]})"
    assert found.people
    for person in found.people:
        turned, not_won, won = person.ticks
        assert (turned.holds, turned.leaf.holds, turned.missing) == (True, False, "")
        assert not_won.holds == (not won.holds)


def test_near_misses_fail_exactly_one_row(population: None) -> None:
    found = shown_people.people(json.dumps({"all": [SOURCE, WON]}), which="near", now=NOW)
    assert sorted(tuple(tick.holds for tick in person.ticks) for person in found.people) == [
        (False, True),
        (True, False),
        (True, False),
    ]


def test_near_misses_are_found_in_groups_within_groups(population: None) -> None:
    """NOT of an OR is an AND: whoever fails one part of it only is a near miss, marked at that row."""
    lost = {"has": "deal", "where": [{"field": "status", "op": "is", "value": "lost"}]}
    rule = {
        "any": [{"field": "contact.city", "op": "is", "value": "x"}, {"not": {"any": [{"not": SOURCE}, WON, lost]}}]
    }
    found = shown_people.people(json.dumps(rule), which="near", now=NOW)
    paths = {"any[1].not.any[0].not": 1, "any[1].not.any[1]": 2, "any[1].not.any[2]": 1}
    assert Counter(person.missed for person in found.people) == paths
    assert not any(explain(check(rule), person.contact.pk, moment(NOW)).holds for person in found.people)


@pytest.mark.parametrize("which", ["matches", "near"])
def test_people_are_looked_for_among_the_newest_then_among_everybody(
    population: None, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    document = json.dumps({"all": [SOURCE, {"not": WON}]})
    found = shown_people.people(document, which=which, now=NOW)
    monkeypatch.setattr(shown_people, "NEWEST", 1)  # a referral without a deal: a near miss, no match
    again = shown_people.people(document, which=which, now=NOW)
    ids = [[person.contact.pk for person in one.people] for one in (found, again)]
    assert set(ids[1]) <= set(ids[0])
    assert len(ids[1]) == len(ids[0]) == (2 if which == "matches" else 3)


@pytest.mark.parametrize("document", [SOURCE, {"any": [SOURCE, WON]}])
def test_near_misses_need_two_rows_joined_by_and(document: Any) -> None:
    found = shown_people.people(json.dumps(document), which="near", now=NOW)
    assert (found.people, bool(found.message)) == ((), True)


# --- the form field


def test_the_field_gives_the_checked_document() -> None:
    assert ConditionsField().clean(json.dumps({"all": [SOURCE]})) == {"all": [SOURCE]}
    assert ConditionsField(required=False).clean("  ") is None


@pytest.mark.parametrize("text", ["", "null", '{"all": []}', '{"any": [{"not": {"all": []}}]}'])
def test_a_required_rule_needs_a_condition(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ConditionsField().clean(text)
    assert refused.value.messages == ["Add at least one condition."]


def test_everybody_may_be_picked_where_it_is_offered() -> None:
    assert ConditionsField(offers_everybody=True).clean('{"all": []}') == {"all": []}


def test_every_problem_is_told_with_its_path() -> None:
    bad = {
        "all": [
            {"field": "contact.x", "op": "is", "value": "y"},
            {"field": "company.employees", "op": "is", "value": "7"},
        ]
    }
    with pytest.raises(ValidationError) as refused:
        ConditionsField().clean(json.dumps(bad))
    assert [message.partition(":")[0] for message in refused.value.messages] == ["all[0].field", "all[1].value"]


def test_the_widget_shows_the_sentence_the_rows_and_the_json() -> None:
    markup = ConditionsWidget().render("rule", {"all": [SOURCE]}, {"id": "id_rule"})
    assert 'id="id_rule-builder"' in markup
    assert 'name="rule"' in markup
    assert 'data-key="op"' in markup
    assert "builder-plain" in markup


def test_a_stored_rule_is_written_as_people_read_it() -> None:
    """The database keeps keys by their length: op, field, value."""
    stored = {
        "all": [{"op": "in", "unit": "x", "field": "f", "value": [1]}, {"state": "active", "in_program": "welcome"}]
    }
    text = ConditionsWidget().format_value(
        {
            "any": [
                {
                    "when": {"unit": "days", "op": "in_last", "value": 3},
                    "count": {"value": 2, "op": "at_least"},
                    "did": "call",
                },
                stored,
            ]
        }
    )
    assert json.loads(text)["any"][1] == stored
    assert re.sub(r"\s+", "", text) == (
        '{"any":[{"did":"call","count":{"op":"at_least","value":2},"when":{"op":"in_last","value":3,"unit":"days"}},'
        '{"all":[{"field":"f","op":"in","value":[1],"unit":"x"},{"in_program":"welcome","state":"active"}]}]}'
    )


def test_without_javascript_a_name_that_is_gone_is_told_too() -> None:
    bad = json.dumps(
        {"all": [{"field": "contact.stage", "op": "is", "value": "mqll"}, {"in_segment": "gone"}]}, indent=1
    )
    shown = ConditionsWidget().render("rule", bad, {"id": "id_rule"})
    assert "all[0].value</code> “mqll” is none of “Stage”" in shown
    assert "all[1].in_segment</code> Segment “gone” does not exist" in shown
    stored = ConditionsWidget().render("rule", json.loads(bad), {"id": "id_rule"})
    assert "does not exist" not in stored
    assert "and is in segment “gone”" in stored


def test_without_javascript_problems_stand_at_their_lines_and_the_text_stays() -> None:
    text = '{"all": [\n {"field": "contact.titel", "op": "is", "value": "x"}\n]}'
    markup = ConditionsWidget().render("rule", text, {"id": "id_rule"})
    assert "Line 2: <code>all[0].field</code>" in markup
    assert "data-unsaved" in markup
    assert "data-unsaved" not in ConditionsWidget().render("rule", {"all": [SOURCE]}, {"id": "id_rule"})
    for lost in ('{"all": [], "all": []}', '"' + "x" * 1_000_000 + '"'):
        with pytest.raises(ValidationError):
            ConditionsField().clean(lost)
        assert lost[-20:].replace('"', "&quot;") in ConditionsWidget().render("rule", lost, {"id": "id_rule"})


def test_text_that_is_no_document_stays_as_it_was_typed() -> None:
    markup = ConditionsWidget().render("rule", '{"all": [', {"id": "id_rule"})
    assert 'data-tab="json"' in markup
    assert "{&quot;all&quot;: [" in markup


def test_what_people_type_is_escaped() -> None:
    nasty = "</textarea><script>alert(1)</script>"
    markup = ConditionsWidget().render("rule", {"all": [{**SOURCE, "value": nasty}, {"later": nasty}]})
    assert "<script>alert" not in markup


# --- endpoints


def test_only_those_who_edit_rules_may_ask(client: Client) -> None:
    client.force_login(make_user(SALES))
    for name in ("conditions-node", "conditions-preview", "conditions-people"):
        assert client.post(reverse(f"segments:{name}")).status_code == 403
    assert client.get(reverse("segments:conditions-values")).status_code == 403


@pytest.fixture
def marketer(client: Client) -> Client:
    client.force_login(make_user(MARKETER))
    return client


def test_a_new_row_in_a_group_is_drawn(marketer: Client) -> None:
    answer = marketer.post(
        reverse("segments:conditions-node"), {"change": "field", "to": "contact.source", "node": "{}", "group": "any"}
    )
    assert answer.status_code == 200
    assert 'data-join="any"' in answer.text
    assert 'value="contact.source"' in answer.text


@pytest.mark.parametrize(
    "asked",
    [
        {"node": "{"},
        {"node": "{}", "change": "field", "to": "contact.nothing"},
        {"node": '"x"', "change": "where.add"},
        {"node": "[" * 50_000, "root": "1"},
        {"node": '{"did": "x", "total": 5}', "change": "total.op", "to": "between"},
        {"node": '{"did": "x", "where": 5}', "change": "where.add"},
        {"node": "x" * 2_000_000},
    ],
    ids=lambda asked: str(asked)[:60],
)
def test_a_request_that_no_page_makes_is_refused(marketer: Client, asked: dict[str, str]) -> None:
    assert marketer.post(reverse("segments:conditions-node"), asked).status_code == 422


def test_the_preview_says_number_time_and_sentence(marketer: Client, population: None) -> None:
    answer = marketer.post(
        reverse("segments:conditions-preview"), {"text": json.dumps({"all": [SOURCE]}), "path": ["", "all[0]"]}
    )
    assert 'data-number-of-people="4"' in answer.text
    assert answer.text.count('data-state="counted"') == 3
    assert "paid_search" in answer.text


def test_suggestions_come_from_choices_and_from_the_data(marketer: Client, population: None) -> None:
    def suggested(field: str, text: str) -> str:
        return marketer.get(reverse("segments:conditions-values"), {"field": field, "q": text}).text

    make_segment({"all": [SOURCE]}, name="Paid people")
    assert 'data-value="DE"' in suggested("contact.country", "germ")
    assert 'data-value="paid_search"' in suggested("contact.source", "PAID")
    assert 'data-value="page_view"' in suggested("did", "page")
    assert "Paid people" in suggested("in_segment", "paid")
    assert suggested("contact.nothing", "x").strip() == ""


def test_the_number_of_statements_does_not_grow_with_the_choices(
    marketer: Client, django_assert_max_num_queries: Any
) -> None:
    make_activity(make_contact(), at=NOW - timedelta(days=1))
    for number in range(5):
        CustomField.objects.create(of="contact", key=f"field_{number}", label=f"Field {number}", type="text")
        make_segment({"all": [SOURCE]}, name=f"Segment {number}")
    document = {"all": [{"field": f"contact.custom.field_{number}", "op": "is", "value": "x"} for number in range(5)]}
    with django_assert_max_num_queries(12):
        marketer.post(reverse("segments:conditions-node"), {"node": json.dumps(document), "root": "1"})


def test_rows_know_their_labels() -> None:
    field_row, did_row, member_row = shown(SOURCE), shown({"did": ["page_view"]}), shown({"in_segment": "gone"})
    assert isinstance(field_row, FieldRow)
    assert isinstance(did_row, DidRow)
    assert isinstance(member_row, MemberRow)
    assert field_row.label == "Source"
    assert (did_row.kinds[0].label, did_row.is_single) == ("Page view", False)
    assert member_row.slug == "gone"


def test_all_examples_are_rules() -> None:
    for leaf in LEAVES:
        check(leaf, allow_unknown_slugs=True)
