"""The one table of operators: for which types, in which words, what SQL, which verdict in Python, which input in the builder.

A negative operator is no row of its own but the complement of its twin: false and unknown alike make it true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from django.utils.translation import gettext_lazy as _

from leads.text import fold
from segments.conditions import patterns
from segments.conditions.fields import Either, Scope
from segments.conditions.fragment import FALSE, Sql, bind, both, either, sql
from segments.conditions.periods import (
    Moment,
    Span,
    anniversaries,
    date_span,
    moment_span,
    needs_clock,
    start_of_day,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

# What an operator compares with, and so what the builder shows:
# none · text · texts (a list) · pattern · number · numbers (two) · day · time (a date or moment) · times (two) ·
# amount (whole number and unit) · period (week, month, quarter, year) · days (0–365)
Shape = Literal[
    "none", "text", "texts", "pattern", "number", "numbers", "day", "time", "times", "amount", "period", "days"
]
TIME = frozenset({"date", "moment", "iso"})  # iso: a property's text, a bare date or a moment
ALL_TYPES = frozenset({"text", "number", "yes_no", "choice", "choices", "any"}) | TIME


@dataclass(frozen=True)
class Operand:
    """What stands left of the operator: `read(type)` is its SQL expression; `is_lower` when its text is lower case already."""

    type: str
    read: Callable[[str], Sql]
    is_lower: bool = False

    @property
    def expression(self) -> Sql:
        return self.read(self.type)

    @property
    def folded(self) -> Sql:
        return self.expression if self.is_lower else sql('lower({} COLLATE "pg_c_utf8")', self.expression)


@dataclass(frozen=True)
class Operator:
    """One operator for some types. `sql` may be null for an unknown value, which counts as false; `holds` never sees an unknown one."""

    key: str
    types: frozenset[str]
    shape: Shape
    words: StrOrPromise
    sql: Callable[[Operand, Any, Scope], Sql]
    holds: Callable[[Any, Any, Moment], bool]
    negates: bool = False

    def verdict(self, actual: Any, wanted: Any, moment: Moment) -> bool:
        """Whether it holds for the actual value, unknown included."""
        values = actual if isinstance(actual, Either) else (actual,)
        return any(not is_unknown(value) and self.holds(value, wanted, moment) for value in values) != self.negates


def is_unknown(value: Any) -> bool:
    """Null, empty text, empty list."""
    return value is None or value == "" or (isinstance(value, list | tuple | frozenset) and not value)


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _known(operand: Operand, wanted: Any, scope: Scope) -> Sql:
    expression = operand.expression
    match operand.type:
        case "text" | "choice":
            return sql("{} <> ''", expression)
        case "choices":
            return sql("cardinality({}) > 0", expression)
        case "any":
            return sql("{} <> ALL (ARRAY['null', '\"\"', '[]']::jsonb[])", expression)
    return sql("{} IS NOT NULL", expression)


def in_span(expression: Sql, span: Span[Any], cast: Literal["date", "timestamptz"]) -> Sql:
    """The expression lies in the span. The ends are bound values, so that partitions and indexes see them."""
    if span.is_empty:
        return FALSE
    ends = []
    if span.low is not None:
        ends.append(sql("{} >= {}" if span.has_low else "{} > {}", expression, bind(span.low, cast)))
    if span.high is not None:
        ends.append(sql("{} <= {}" if span.has_high else "{} < {}", expression, bind(span.high, cast)))
    return both(*ends) if ends else sql("{} IS NOT NULL", expression)


def start_of(day: Sql, scope: Scope) -> Sql:
    """SQL for the first instant of a date in the zone: of two midnights the first, like periods.instant."""
    return from_wall_clock(sql("({})::timestamp", day), scope)


def from_wall_clock(wall: Sql, scope: Scope) -> Sql:
    """SQL for an instant from wall clock in the zone, by the rule of periods.instant (PostgreSQL alone takes the second of two)."""
    zone = bind(scope.moment.zone.key, "text")
    early = sql("(({} - interval '1 day') AT TIME ZONE {} + interval '1 day')", wall, zone)
    return sql(
        "CASE WHEN {} AT TIME ZONE {} = {} THEN {} ELSE {} AT TIME ZONE {} END", early, zone, wall, early, wall, zone
    )


def _time_sql(key: str) -> Callable[[Operand, Any, Scope], Sql]:
    def make(operand: Operand, wanted: Any, scope: Scope) -> Sql:
        moment = scope.moment
        if operand.type == "date":
            return in_span(operand.expression, date_span(key, wanted, moment), "date")
        if operand.type == "moment":
            return in_span(operand.expression, moment_span(key, wanted, moment), "timestamptz")
        as_moment = in_span(operand.read("moment"), moment_span(key, wanted, moment), "timestamptz")
        if needs_clock(wanted):
            as_date = in_span(start_of(operand.read("date"), scope), moment_span(key, wanted, moment), "timestamptz")
        else:
            as_date = in_span(operand.read("date"), date_span(key, wanted, moment), "date")
        # Each is null where the text is of the other form.
        return either(sql("{} IS TRUE", as_date), sql("{} IS TRUE", as_moment))

    return make


def _time_holds(key: str) -> Callable[[Any, Any, Moment], bool]:
    def holds(actual: date | datetime, wanted: Any, moment: Moment) -> bool:
        if isinstance(actual, datetime):
            return moment_span(key, wanted, moment).holds(actual)
        if needs_clock(wanted):
            begin = start_of_day(actual, moment.zone)
            return begin is not None and moment_span(key, wanted, moment).holds(begin)
        return date_span(key, wanted, moment).holds(actual)

    return holds


def _anniversary_sql(operand: Operand, wanted: int, scope: Scope) -> Sql:
    days = bind(anniversaries(wanted, scope.moment), "integer[]")

    def of(day: Sql) -> Sql:
        return sql("(date_part('month', {}) * 100 + date_part('day', {}))::integer = ANY ({})", day, day, days)

    local = sql("({} AT TIME ZONE {})", operand.read("moment"), bind(scope.moment.zone.key, "text"))
    if operand.type == "moment":
        return of(local)
    if operand.type == "date":
        return of(operand.expression)
    return either(sql("{} IS TRUE", of(operand.read("date"))), sql("{} IS TRUE", of(local)))


def _anniversary_holds(actual: date | datetime, wanted: int, moment: Moment) -> bool:
    day = actual.astimezone(moment.zone).date() if isinstance(actual, datetime) else actual
    return day.month * 100 + day.day in anniversaries(wanted, moment)


def _compare(sign: Literal["=", "<", "<=", ">", ">="]) -> Callable[[Operand, Any, Scope], Sql]:
    return lambda operand, wanted, scope: sql("{} " + sign + " {}", operand.expression, bind(wanted, "numeric"))


TEXT = frozenset({"text"})
WORDS = frozenset({"text", "choice"})
NUMBER = frozenset({"number"})
YES_NO = frozenset({"yes_no"})
SEVERAL = frozenset({"choices"})

_ROWS = (
    # text and choice: `wanted` is folded, and normalised by the field (a country's code)
    Operator(
        "is", WORDS, "text", _("{label} is {value}"),
        lambda x, w, s: sql("{} = {}", x.folded, bind(w, "text")),
        lambda a, w, m: fold(a) == w,
    ),
    Operator(
        "in", WORDS, "texts", _("{label} is one of {value}"),
        lambda x, w, s: sql("{} = ANY ({})", x.folded, bind(list(w), "text[]")),
        lambda a, w, m: fold(a) in w,
    ),
    Operator(
        "contains", TEXT, "text", _("{label} contains {value}"),
        lambda x, w, s: sql("{} LIKE {}", x.folded, bind(f"%{_like(w)}%", "text")),
        lambda a, w, m: w in fold(a),
    ),
    Operator(
        "starts_with", TEXT, "text", _("{label} starts with {value}"),
        lambda x, w, s: sql("{} LIKE {}", x.folded, bind(f"{_like(w)}%", "text")),
        lambda a, w, m: fold(a).startswith(w),
    ),
    Operator(
        "ends_with", TEXT, "text", _("{label} ends with {value}"),
        lambda x, w, s: sql("{} LIKE {}", x.folded, bind(f"%{_like(w)}", "text")),
        lambda a, w, m: fold(a).endswith(w),
    ),
    Operator(
        "matches", TEXT, "pattern", _("{label} matches {value}"),
        lambda x, w, s: sql("({} <> '' AND {} ~ {})", x.expression, x.folded, bind(patterns.for_postgres(w), "text")),
        lambda a, w, m: patterns.search(w, fold(a)),
    ),
    # number
    Operator("is", NUMBER, "number", _("{label} is {value}"), _compare("="), lambda a, w, m: a == w),
    Operator("less_than", NUMBER, "number", _("{label} is less than {value}"), _compare("<"), lambda a, w, m: a < w),
    Operator("at_most", NUMBER, "number", _("{label} is at most {value}"), _compare("<="), lambda a, w, m: a <= w),
    Operator("more_than", NUMBER, "number", _("{label} is more than {value}"), _compare(">"), lambda a, w, m: a > w),
    Operator("at_least", NUMBER, "number", _("{label} is at least {value}"), _compare(">="), lambda a, w, m: a >= w),
    Operator(
        "between", NUMBER, "numbers", _("{label} is between {first} and {last}"),
        lambda x, w, s: sql("{} BETWEEN {} AND {}", x.expression, bind(w[0], "numeric"), bind(w[1], "numeric")),
        lambda a, w, m: w[0] <= a <= w[1],
    ),
    # yes/no
    Operator("is_true", YES_NO, "none", _("{label} is yes"), lambda x, w, s: x.expression, lambda a, w, m: a is True),
    Operator("is_false", YES_NO, "none", _("{label} is no"), lambda x, w, s: sql("NOT {}", x.expression), lambda a, w, m: a is False),
    # several choices, tags: the expression is an array of folded texts, `wanted` a set of them
    Operator(
        "includes_any", SEVERAL, "texts", _("{label} include any of {value}"),
        lambda x, w, s: sql("{} && {}", x.expression, bind(list(w), "text[]")),
        lambda a, w, m: not w.isdisjoint(map(fold, a)),
    ),
    Operator(
        "includes_all", SEVERAL, "texts", _("{label} include all of {value}"),
        lambda x, w, s: sql("{} @> {}", x.expression, bind(list(w), "text[]")),
        lambda a, w, m: w <= set(map(fold, a)),
    ),
    # date, moment
    Operator("on", TIME, "day", _("{label} is on {value}"), _time_sql("on"), _time_holds("on")),
    Operator("before", TIME, "time", _("{label} is before {value}"), _time_sql("before"), _time_holds("before")),
    Operator("after", TIME, "time", _("{label} is after {value}"), _time_sql("after"), _time_holds("after")),
    Operator("between", TIME, "times", _("{label} is between {first} and {last}"), _time_sql("between"), _time_holds("between")),
    Operator("in_last", TIME, "amount", _("{label} is in the last {value}"), _time_sql("in_last"), _time_holds("in_last")),
    Operator("in_next", TIME, "amount", _("{label} is in the next {value}"), _time_sql("in_next"), _time_holds("in_next")),
    Operator(
        "more_than_ago", TIME, "amount", _("{label} is more than {value} ago"),
        _time_sql("more_than_ago"), _time_holds("more_than_ago"),
    ),
    Operator("this", TIME, "period", _("{label} is {value}"), _time_sql("this"), _time_holds("this")),
    Operator("last", TIME, "period", _("{label} is {value}"), _time_sql("last"), _time_holds("last")),
    Operator("next", TIME, "period", _("{label} is {value}"), _time_sql("next"), _time_holds("next")),
    Operator(
        "anniversary_in", TIME, "days", _("the anniversary of {label} is {value}"), _anniversary_sql, _anniversary_holds
    ),
    # every type
    Operator("is_known", ALL_TYPES, "none", _("{label} is known"), _known, lambda a, w, m: True),
)  # fmt: skip

# Negative operator, its twin, its words.
_NEGATIVE: tuple[tuple[str, str, StrOrPromise], ...] = (
    ("is_not", "is", _("{label} is not {value}")),
    ("not_in", "in", _("{label} is none of {value}")),
    ("does_not_contain", "contains", _("{label} does not contain {value}")),
    ("does_not_match", "matches", _("{label} does not match {value}")),
    ("not_between", "between", _("{label} is not between {first} and {last}")),
    ("includes_none", "includes_any", _("{label} include none of {value}")),
    ("not_on", "on", _("{label} is not on {value}")),
    ("not_in_last", "in_last", _("{label} is not in the last {value}")),
    ("is_unknown", "is_known", _("{label} is unknown")),
)

# The order in which people meet them.
_ORDER = (
    "is", "is_not", "contains", "does_not_contain", "starts_with", "ends_with", "in", "not_in", "matches", "does_not_match",
    "includes_any", "includes_all", "includes_none", "less_than", "at_most", "more_than", "at_least", "is_true", "is_false",
    "on", "not_on", "before", "after", "between", "not_between", "in_last", "not_in_last", "in_next", "more_than_ago",
    "this", "last", "next", "anniversary_in", "is_known", "is_unknown",
)  # fmt: skip


def _negative_types(key: str, twin: Operator) -> frozenset[str]:
    return NUMBER if key == "not_between" else twin.types


def _table() -> tuple[Operator, ...]:
    rows = list(_ROWS)
    for key, twin_key, words in _NEGATIVE:
        twins = [(twin, twin.types & _negative_types(key, twin)) for twin in _ROWS if twin.key == twin_key]
        rows += [
            Operator(key, types, twin.shape, words, twin.sql, twin.holds, negates=True)
            for twin, types in twins
            if types
        ]
    return tuple(sorted(rows, key=lambda row: _ORDER.index(row.key)))


OPERATORS: tuple[Operator, ...] = _table()
_BY_TYPE = {
    name: {row.key: row for row in OPERATORS if name in row.types}
    for name in ("iso", "any", *sorted(ALL_TYPES - {"iso", "any"}))
}
# How a property is read when the operator alone decides it; is, is_not, in, between and not_between look at the value.
PROPERTY_TYPES = ("text", "number", "yes_no", "choices", "iso", "any")


def operators_for(type: str) -> dict[str, Operator]:
    """Operators of a type in order; for a property those of every reading."""
    if type != "property":
        return _BY_TYPE[type]
    found: dict[str, Operator] = {}
    for reading in PROPERTY_TYPES:
        for key, row in _BY_TYPE[reading].items():
            if key not in ("is_known", "is_unknown") or reading == "any":
                found.setdefault(key, row)
    return dict(sorted(found.items(), key=lambda pair: _ORDER.index(pair[0])))


def property_readings(key: str) -> list[str]:
    """The types under which a property's operator may read it."""
    if key in ("is_known", "is_unknown"):
        return ["any"]
    return [reading for reading in PROPERTY_TYPES if key in _BY_TYPE[reading]]


# How a count or total is compared. `words` take {value}, or {first} and {last}.
AMOUNTS: dict[str, tuple[StrOrPromise, Literal["=", ">=", "<=", ">", "<"] | None]] = {
    "exactly": (_("exactly {value}"), "="),
    "at_least": (_("at least {value}"), ">="),
    "at_most": (_("at most {value}"), "<="),
    "more_than": (_("more than {value}"), ">"),
    "less_than": (_("less than {value}"), "<"),
    "between": (_("between {first} and {last}"), None),
}


def amount_sql(key: str, wanted: Any, number: Sql, times: Sql | None = None, *, is_whole: bool = False) -> Sql:
    """`number` compared; with `times` the bound value is multiplied by it (an average without its division).

    `is_whole`: the number is an integer, and is compared as one where the value is, so that statistics and indexes speak of it.
    """

    def bound(value: Decimal | int) -> Sql:
        if is_whole and -(2**31) < value < 2**31 and value == int(value):
            return bind(int(value), "integer")
        return sql("{} * {}", bind(value, "numeric"), times) if times else bind(value, "numeric")

    sign = AMOUNTS[key][1]
    if sign is None:
        return sql("{} BETWEEN {} AND {}", number, bound(wanted[0]), bound(wanted[1]))
    return sql("{} " + sign + " {}", number, bound(wanted))


def amount_holds(key: str, wanted: Any, number: Any) -> bool:
    match key:
        case "exactly":
            return bool(number == wanted)
        case "at_least":
            return bool(number >= wanted)
        case "at_most":
            return bool(number <= wanted)
        case "more_than":
            return bool(number > wanted)
        case "less_than":
            return bool(number < wanted)
    return bool(wanted[0] <= number <= wanted[1])
