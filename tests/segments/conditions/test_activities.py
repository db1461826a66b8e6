"""Activities and deals: same row, counts with zero, first, latest, totals, sequences; nothing after `at` exists."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from leads.models import Contact, StageMove
from segments.conditions import AMOUNTS, operators_for
from segments.conditions.check import HOW
from tests.makers import NOW, make_activity, make_contact, make_deal
from tests.segments.conditions.asking import at, field, who
from tests.segments.conditions.reached import NO_WHEN

pytestmark = pytest.mark.django_db
PRICING = field("url", "contains", "/pricing")


def ago(**period: float) -> datetime:
    return NOW - timedelta(**period)


def count(op: str, value: Any) -> dict[str, Any]:
    return {"op": op, "value": value}


def in_last(value: int, unit: str = "days") -> dict[str, Any]:
    return {"op": "in_last", "value": value, "unit": unit}


@pytest.fixture
def ann() -> Contact:
    return make_contact(first_name="ann")


@pytest.fixture
def bob() -> Contact:
    return make_contact(first_name="bob")


def test_where_holds_on_one_row(ann: Contact, bob: Contact) -> None:
    make_activity(ann, url="https://x.test/pricing", source="ads")
    make_activity(bob, url="https://x.test/pricing", source="mail")
    make_activity(bob, url="https://x.test/blog", source="ads")
    rows = [PRICING, field("source", "is", "ads")]
    assert who({"did": "page_view", "where": rows}) == {"ann"}
    assert who({"all": [{"did": "page_view", "where": [row]} for row in rows]}) == {"ann", "bob"}


COUNTS: list[tuple[dict[str, Any] | None, set[str]]] = [
    (None, {"one", "three"}),
    (count("exactly", 0), {"none"}),
    (count("exactly", 1), {"one"}),
    (count("at_least", 0), {"none", "one", "three"}),
    (count("at_least", 2), {"three"}),
    (count("at_most", 0), {"none"}),
    (count("at_most", 1), {"none", "one"}),
    (count("more_than", 0), {"one", "three"}),
    (count("more_than", 1), {"three"}),
    (count("less_than", 1), {"none"}),
    (count("less_than", 0), set()),
    (count("less_than", 10**12), {"none", "one", "three"}),
    (count("between", [0, 1]), {"none", "one"}),
    (count("between", [1, 3]), {"one", "three"}),
    (count("between", [0, 0]), {"none"}),
]


@pytest.mark.parametrize(("amount", "names"), COUNTS)
@pytest.mark.parametrize("form", ["signals", "rows", "period"])
def test_counts_and_zero(amount: dict[str, Any] | None, names: set[str], form: str) -> None:
    for name, number in (("none", 0), ("one", 1), ("three", 3)):
        contact = make_contact(first_name=name)
        for place in range(number):
            make_activity(contact, "download", url="https://x.test/a", at=ago(hours=place))
        make_activity(contact, "download", url="https://x.test/a", at=NOW + timedelta(seconds=1))  # does not exist yet
    document: dict[str, Any] = {"did": "download"} | ({"count": amount} if amount else {})
    more: dict[str, dict[str, Any]] = {
        "rows": {"where": [field("url", "contains", "/a")]},
        "period": {"when": in_last(3)},
    }
    document |= more.get(form, {})
    everybody = {"none", "one", "three"}
    assert who(document) == names
    assert who({"not": document}) == everybody - names
    assert (
        who({"did": ["never_seen", "download"], **{key: value for key, value in document.items() if key != "did"}})
        == names
    )


@pytest.mark.parametrize(
    ("amount", "holds"),
    [(None, False), (count("exactly", 0), True), (count("at_most", 5), True), (count("at_least", 1), False)],
)
def test_a_kind_never_seen_counts_zero(ann: Contact, amount: Any, holds: bool) -> None:
    assert who({"did": "never_seen"} | ({"count": amount} if amount else {})) == ({"ann"} if holds else set())
    assert who({"did": "never_seen", "first": True}) == set()
    assert who({"did": "never_seen", "latest": [PRICING]}) == set()
    assert who({"sequence": [{"did": "never_seen"}, {"did": "any"}]}) == set()


def test_any_kind_and_lists_of_kinds(ann: Contact, bob: Contact) -> None:
    make_activity(ann, "download")
    make_activity(ann, "email_open")
    make_activity(bob, "email_open")
    assert who({"did": "any", "count": count("at_least", 2)}) == {"ann"}
    assert who({"did": ["download", "email_open"], "count": count("exactly", 1)}) == {"bob"}
    assert who({"did": "Email_Open"}) == {"ann", "bob"}


WHENS: list[tuple[dict[str, Any], float, bool]] = [
    (in_last(7), 7, False),
    (in_last(7), 6.99, True),
    ({"op": "not_in_last", "value": 7, "unit": "days"}, 7, True),
    ({"op": "not_in_last", "value": 7, "unit": "days"}, 6.99, False),
    ({"op": "more_than_ago", "value": 7, "unit": "days"}, 7, False),
    ({"op": "more_than_ago", "value": 7, "unit": "days"}, 7.01, True),
    ({"op": "on", "value": "2026-02-28"}, 2, True),
    ({"op": "not_on", "value": "2026-02-28"}, 2, False),
    ({"op": "before", "value": "2026-03-01"}, 2, True),
    ({"op": "after", "value": "2026-02-28"}, 2, False),
    ({"op": "between", "value": ["2026-02-28", "2026-02-28"]}, 2, True),
    ({"op": "this", "value": "month"}, 2, False),
    ({"op": "last", "value": "month"}, 2, True),
    ({"op": "next", "value": "month"}, -30, False),
    ({"op": "in_next", "value": 7, "unit": "days"}, -1, False),
]


@pytest.mark.parametrize(("when", "days", "holds"), WHENS)
def test_periods_of_activities(ann: Contact, when: dict[str, Any], days: float, holds: bool) -> None:
    make_activity(ann, at=ago(days=days))
    assert who({"did": "page_view", "when": when}) == ({"ann"} if holds else set())
    assert who({"did": "page_view", "when": when, "count": count("exactly", 0)}) == (set() if holds else {"ann"})


def test_a_past_moment_sees_the_past_only(ann: Contact) -> None:
    """Answers from sums per kind agree with the rows, though the sums know later activities."""
    for days in (30, 20, 1):
        make_activity(ann, at=ago(days=days))
    then = at(ago(days=15))
    assert who({"did": "page_view", "count": count("exactly", 2)}, then) == {"ann"}
    assert who({"did": "page_view", "when": in_last(10)}, then) == {"ann"}
    assert who({"did": "page_view", "when": in_last(4)}, then) == set()
    assert who({"did": "page_view"}, at(ago(days=31))) == set()
    assert who({"did": "page_view", "count": count("exactly", 0)}, at(ago(days=31))) == {"ann"}
    assert who(field("contact.last_activity_at", "on", "2026-02-10"), then) == {"ann"}
    assert who(field("contact.last_activity_at", "on", "2026-03-01")) == {"ann"}


def test_first_is_the_earliest_of_the_rows_that_where_chooses(ann: Contact, bob: Contact) -> None:
    make_activity(ann, url="https://x.test/pricing", at=ago(days=3))
    make_activity(bob, url="https://x.test/pricing", at=ago(days=30))
    make_activity(bob, url="https://x.test/pricing", at=ago(days=3))
    make_activity(ann, url="https://x.test/blog", at=ago(days=30))
    document = {"did": "page_view", "where": [PRICING], "first": True, "when": in_last(7)}
    assert who(document) == {"ann"}
    assert who({"did": "page_view", "first": True, "when": in_last(7)}) == set()
    assert who({"did": "page_view", "first": True}) == {"ann", "bob"}


def test_latest_tests_the_most_recent_any_of_those_that_share_the_instant(ann: Contact, bob: Contact) -> None:
    make_activity(ann, url="https://x.test/blog", at=ago(days=3))
    make_activity(ann, url="https://x.test/pricing", at=ago(days=3))
    make_activity(bob, url="https://x.test/pricing", at=ago(days=3))
    make_activity(bob, url="https://x.test/blog", at=ago(days=2))
    assert who({"did": "page_view", "latest": [PRICING]}) == {"ann"}
    assert who({"did": "page_view", "latest": [PRICING], "when": {"op": "not_on", "value": "2026-02-28"}}) == {
        "ann",
        "bob",
    }
    assert who({"did": "page_view", "latest": [PRICING]}, at(ago(days=2.5))) == {"ann", "bob"}
    assert who({"did": "page_view", "latest": [PRICING, field("url", "contains", "blog")]}) == set()


TOTALS: list[tuple[str, str, Any, bool]] = [
    ("sum", "exactly", 0.3, True),
    ("sum", "at_least", 0.31, False),
    ("average", "exactly", 0.15, True),
    ("average", "less_than", 0.15, False),
    ("smallest", "at_most", 0.1, True),
    ("largest", "between", [0.2, 0.2], True),
    ("largest", "more_than", 0.2, False),
]


@pytest.mark.parametrize(("how", "op", "value", "holds"), TOTALS)
def test_totals_are_exact_and_leave_out_what_is_no_number(
    ann: Contact, how: str, op: str, value: Any, holds: bool
) -> None:
    for amount in (0.1, "0.2", "a lot", None, True, [5]):
        make_activity(ann, "purchase", properties={"amount": amount})
    make_activity(ann, "purchase")
    assert who({"did": "purchase", "total": {"of": "properties.amount", "as": how, "op": op, "value": value}}) == (
        {"ann"} if holds else set()
    )


@pytest.mark.parametrize("how", ["sum", "average", "smallest", "largest"])
def test_a_total_over_nothing_does_not_hold(ann: Contact, how: str) -> None:
    make_activity(ann, "purchase", properties={"amount": "a lot"})
    for op, value in (("exactly", 0), ("at_most", 5), ("less_than", 5)):
        document = {"did": "purchase", "total": {"of": "properties.amount", "as": how, "op": op, "value": value}}
        assert who(document) == set()
        assert who({"not": document}) == {"ann"}


@pytest.mark.parametrize(
    ("gap", "minutes", "holds"),
    [
        ({"value": 1, "unit": "hours"}, [0, 60], True),
        ({"value": 1, "unit": "hours"}, [0, 61], False),
        ({"value": 1, "unit": "hours"}, [0, 0], False),  # strictly later
        ({"value": 1, "unit": "hours"}, [-600, 0, 30], True),
        (None, [0, 90000], True),
        (None, [90000, 0], True),  # another order of storing changes nothing
        ({"value": 1, "unit": "months"}, [0, 31 * 24 * 60], False),
        ({"value": 1, "unit": "months"}, [0, 28 * 24 * 60], True),
    ],
)
def test_sequences(ann: Contact, gap: Any, minutes: list[int], holds: bool) -> None:
    begin = datetime.fromisoformat("2025-02-01T12:00:00+00:00")
    for each in minutes:
        kind = "webinar_attended" if each != max(minutes) or max(minutes) == min(minutes) else "page_view"
        make_activity(ann, kind, at=begin + timedelta(minutes=each))
    if max(minutes) == min(minutes):
        make_activity(ann, "page_view", at=begin)
    document = {"sequence": [{"did": "webinar_attended"}, {"did": "page_view"}]} | ({"gap": gap} if gap else {})
    assert who(document) == ({"ann"} if holds else set())


def test_a_later_start_may_be_near_enough_and_the_period_holds_for_each_step(ann: Contact, bob: Contact) -> None:
    for days in (20, 3):
        make_activity(ann, "webinar_attended", at=ago(days=days))
    make_activity(ann, "page_view", url="https://x.test/pricing", at=ago(days=2))
    make_activity(bob, "webinar_attended", at=ago(days=9))
    make_activity(bob, "page_view", url="https://x.test/pricing", at=ago(days=2))
    steps = [{"did": "webinar_attended"}, {"did": "page_view", "where": [PRICING]}]
    assert who({"sequence": steps}) == {"ann", "bob"}
    assert who({"sequence": steps, "gap": {"value": 2, "unit": "days"}}) == {"ann"}
    assert who({"sequence": steps, "when": in_last(7)}) == {"ann"}
    assert who({"not": {"sequence": steps, "when": in_last(7)}}) == {"bob"}
    assert who({"sequence": [{"did": "any"}] * 3}) == {"ann"}


def test_a_month_may_end_later_for_the_earlier_step(ann: Contact) -> None:
    """One month after 30 January 10:00 is 28 February 10:00, after 31 January 9:00 it is 28 February 9:00."""
    for day, kind in (
        ("01-30T10:00", "webinar_attended"),
        ("01-31T09:00", "webinar_attended"),
        ("02-28T09:30", "page_view"),
    ):
        make_activity(ann, kind, at=datetime.fromisoformat(f"2026-{day}:00+00:00"))
    steps = [{"did": "webinar_attended"}, {"did": "page_view"}]
    assert who({"sequence": steps, "gap": {"value": 1, "unit": "months"}}) == {"ann"}
    assert who({"sequence": steps, "gap": {"value": 28, "unit": "days"}}) == set()


def test_deals_that_list_the_contact(ann: Contact, bob: Contact) -> None:
    make_deal(ann, bob, status="won", amount=Decimal("1200.50"))
    make_deal(ann, status="lost", loss_reason="Price")
    make_contact(first_name="eve")
    won = field("status", "is", "won")
    assert who({"has": "deal"}) == {"ann", "bob"}
    assert who({"has": "deal", "where": [won]}) == {"ann", "bob"}
    assert who({"has": "deal", "where": [won, field("loss_reason", "is_known")]}) == set()
    assert who({"has": "deal", "where": [field("amount", "at_least", 1200.5)]}) == {"ann", "bob"}
    assert who({"has": "deal", "count": count("at_least", 2)}) == {"ann"}
    assert who({"has": "deal", "count": count("at_most", 1)}) == {"bob", "eve"}
    assert who({"has": "deal", "where": [field("status", "is", "lost")], "count": count("exactly", 0)}) == {
        "bob",
        "eve",
    }


def test_a_deal_as_it_was(ann: Contact) -> None:
    make_deal(ann, status="lost", opened_on=date(2026, 2, 1), closed_on=date(2026, 2, 20), loss_reason="Price")
    before, between, after = (
        at("2026-01-31T12:00:00+00:00"),
        at("2026-02-10T12:00:00+00:00"),
        at("2026-02-20T12:00:00+00:00"),
    )
    assert who({"has": "deal"}, before) == set()
    for status, moment in (("open", between), ("lost", after)):
        assert who({"has": "deal", "where": [field("status", "is", status)]}, moment) == {"ann"}
    for name in ("closed_on", "loss_reason"):
        assert who({"has": "deal", "where": [field(name, "is_unknown")]}, between) == {"ann"}
        assert who({"has": "deal", "where": [field(name, "is_known")]}, after) == {"ann"}
    # the day of the zone counts
    assert who({"has": "deal"}, at("2026-01-31T23:30:00+00:00", "Europe/Berlin")) == {"ann"}


def test_the_stage_as_it_was(ann: Contact) -> None:
    for days, before, after in ((20, "inquiry", "mql"), (10, "mql", "customer")):
        StageMove.objects.create(
            contact=ann, moved_at=ago(days=days), from_stage=before, to_stage=after, cause="by_hand"
        )
    Contact.objects.filter(pk=ann.pk).update(stage="customer", stage_since=ago(days=10))
    for hours, stage in ((720, "inquiry"), (480, "mql"), (241, "mql"), (240, "customer"), (0, "customer")):
        assert who(field("contact.stage", "is", stage), at(ago(hours=hours))) == {"ann"}, hours


def test_no_way_to_count_add_up_or_bound_in_time_is_left_out() -> None:
    assert {amount["op"] for amount, _names in COUNTS if amount} == set(AMOUNTS)
    assert ({op for _how, op, _value, _holds in TOTALS}, {how for how, *_rest in TOTALS}) == (set(AMOUNTS), set(HOW))
    assert {when["op"] for when, _days, _holds in WHENS} == set(operators_for("moment")) - set(NO_WHEN)
