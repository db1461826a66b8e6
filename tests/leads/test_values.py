"""What each type of field takes, and the reason when it does not."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leads import values
from leads.models import CustomField
from leads.values import BadValue, Reading

BERLIN = Reading(zone=ZoneInfo("Europe/Berlin"))
AMERICAN = Reading(dates="%m/%d/%Y")


@pytest.mark.parametrize(
    ("convert", "value", "stored"),
    [
        (values.text(10), "  Käse\u0301  ", "Käsé"),
        (values.text(10), 5, "5"),
        (values.text(10), True, "true"),
        (values.email, " ADA@Example.TEST ", "ada@example.test"),
        (values.email, "jürgen@müller.example", "jürgen@müller.example"),
        (values.url, "example.test/a?b=c", "example.test/a?b=c"),
        (values.url, "https://x.test:80/#f", "https://x.test:80/#f"),
        (values.country, "germany", "DE"),
        (values.country, "Philipines", "Philipines"),
        (values.slug, "Trade Fair", "trade_fair"),
        (values.number(Reading()), "1,234.50", 1234.5),
        (values.number(Reading()), "12", 12),
        (values.number(Reading()), 0.1, 0.1),
        (values.number(Reading(decimal_comma=True)), "1.234,5", 1234.5),
        (values.decimal(Reading()), "0.4", Decimal("0.4")),
        (values.decimal(Reading()), 1200, Decimal(1200)),
        (values.whole(Reading(), lowest=0, highest=100), "12.0", 12),
        (values.yes_no, "Yes", True),
        (values.yes_no, False, False),
        (values.choice(["Pro", "Free"]), "PRO", "Pro"),
        (values.choice([]), "anything", "anything"),
        (values.tags, "a; B |a|b", ["a", "B"]),
        (values.tags, '["x", "y;z"]', ["x", "y;z"]),
        (values.tags, ["x", "X", " "], ["x"]),
        (values.day(Reading()), "2024-02-29", date(2024, 2, 29)),
        (values.day(Reading()), "2018-02-26 19:58:54", date(2018, 2, 26)),
        (values.day(BERLIN), "2018-02-26T23:30:00Z", date(2018, 2, 27)),
        (values.day(AMERICAN), "3/1/2017", date(2017, 3, 1)),
        (values.day(AMERICAN), "2017-03-01", date(2017, 3, 1)),
        (values.moment(BERLIN), "2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        (values.moment(BERLIN), "2026-01-05T10:00:00.123456Z", datetime(2026, 1, 5, 10, 0, 0, 123456, tzinfo=UTC)),
        (values.moment(BERLIN), "2026-01-05 10:00", datetime(2026, 1, 5, 9, tzinfo=UTC)),
        (values.moment(Reading()), "2026-01-05T10:00:00+0530", datetime(2026, 1, 5, 4, 30, tzinfo=UTC)),
        (values.stage, "MQL", "mql"),
        (values.status, "Won", "won"),
        (values.json_object, '{"a": 1}', {"a": 1}),
        (
            values.json_object,
            {" k ": " e\u0301 ", "l": ["  x", {"y": "\u00a0z\u00a0"}], "n": 1},
            {"k": "é", "l": ["x", {"y": "z"}], "n": 1},
        ),
    ],
)
def test_what_fits_is_stored_in_its_normal_form(convert: values.Convert, value: Any, stored: Any) -> None:
    found = convert(value)
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("convert", "value", "reason"),
    [
        (values.text(3), "four", "4 characters; 3 are allowed"),
        (values.text(3), ["x"], "text is expected"),
        (values.text(30), "a\x00b", "NUL"),
        (values.email, "no address", "no e-mail address"),
        (values.email, "a@b", "no e-mail address"),
        (values.email, "a@b@c.test", "no e-mail address"),
        (values.email, f"{'x' * 320}@x.test", "no e-mail address"),
        (values.url, "not a page", "no web address"),
        (values.slug, "Ünicode!", "no kind"),
        (values.number(Reading()), "1,2", "no number"),
        (values.number(Reading()), "٣", "no number"),
        (values.number(Reading()), True, "no number"),
        (values.number(Reading()), "1e999", "no number"),
        (values.number(Reading()), "9" * 5_000, "no number"),
        (values.number(Reading()), float("nan"), "no number"),
        (values.number(Reading()), "1e400", "too large"),
        (values.decimal(Reading()), "1e18", "too large"),
        (values.whole(Reading(), lowest=0, highest=100), "1.5", "no whole number"),
        (values.whole(Reading(), lowest=0, highest=100), "-1", "from 0 to 100"),
        (values.yes_no, "maybe", "neither yes nor no"),
        (values.choice(["Pro"]), "gold", "none of the choices: Pro"),
        (values.tags, 7, "a list is expected"),
        (values.tags, ";".join(str(n) for n in range(501)), "more than 500"),
        (values.day(Reading()), "2026-02-30", "no date"),
        (values.day(Reading()), "20260230", "no date"),
        (values.day(Reading()), "1899-12-31", "outside of 1900–2100"),
        (values.day(Reading()), 7, "a date is expected"),
        (values.moment(Reading()), "2101-01-01T00:00:00Z", "outside of 1900–2100"),
        (values.moment(Reading()), "2026-01-01T25:00", "no date"),
        (values.stage, "guru", "the stages are visitor"),
        (values.status, "pending", "open, won or lost"),
        (values.json_object, "[1]", "no JSON object"),
    ],
)
def test_what_does_not_fit_is_told_in_words(convert: values.Convert, value: Any, reason: str) -> None:
    if value == "1e999":
        reason = "too large"
    with pytest.raises(BadValue, match=reason):
        convert(value)


@given(st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text()) | st.none())
def test_nothing_but_a_bad_value_is_ever_raised(value: Any) -> None:
    for convert in (
        values.email,
        values.url,
        values.country,
        values.slug,
        values.yes_no,
        values.tags,
        values.stage,
        values.status,
        values.json_object,
        *(values.for_custom(type, ["a"], Reading(dates="%d.%m.%Y")) for type in CustomField.Type.values),
    ):
        try:
            first = convert(value)
        except BadValue:
            continue
        assert convert(first) == first  # the normal form is its own normal form
