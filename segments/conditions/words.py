"""A rule as a plain sentence, translatable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from leads import countries
from segments.conditions.fields import Either
from segments.conditions.operators import AMOUNTS
from segments.conditions.tree import (
    All,
    Amount,
    AnyOf,
    DidLeaf,
    FieldLeaf,
    HasLeaf,
    Leaf,
    MemberLeaf,
    Not,
    SequenceLeaf,
    Step,
    Tree,
    When,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str

_ALL_SHOWN = 8  # entries of a list that a sentence spells out
_GROUPED_FROM = 10_000

KINDS: dict[str, StrOrPromise] = {
    "page_view": gettext_lazy("viewed a page"),
    "form_submit": gettext_lazy("submitted a form"),
    "newsletter_subscribed": gettext_lazy("subscribed to the newsletter"),
    "download": gettext_lazy("downloaded something"),
    "video_watched": gettext_lazy("watched a video"),
    "webinar_registered": gettext_lazy("registered for a webinar"),
    "webinar_attended": gettext_lazy("attended a webinar"),
    "demo_booked": gettext_lazy("booked a demo"),
    "meeting": gettext_lazy("had a meeting"),
    "call": gettext_lazy("had a call"),
    "reply": gettext_lazy("replied"),
    "purchase": gettext_lazy("purchased"),
    "email_sent": gettext_lazy("was sent an e-mail"),
    "email_delivered": gettext_lazy("received an e-mail"),
    "email_open": gettext_lazy("opened an e-mail"),
    "email_click": gettext_lazy("clicked in an e-mail"),
    "email_bounce": gettext_lazy("had an e-mail bounce"),
    "email_complaint": gettext_lazy("complained about an e-mail"),
    "email_unsubscribe": gettext_lazy("unsubscribed by e-mail"),
}
_PERIODS: dict[tuple[str, str], StrOrPromise] = {
    ("this", "week"): gettext_lazy("this week"),
    ("this", "month"): gettext_lazy("this month"),
    ("this", "quarter"): gettext_lazy("this quarter"),
    ("this", "year"): gettext_lazy("this year"),
    ("last", "week"): gettext_lazy("last week"),
    ("last", "month"): gettext_lazy("last month"),
    ("last", "quarter"): gettext_lazy("last quarter"),
    ("last", "year"): gettext_lazy("last year"),
    ("next", "week"): gettext_lazy("next week"),
    ("next", "month"): gettext_lazy("next month"),
    ("next", "quarter"): gettext_lazy("next quarter"),
    ("next", "year"): gettext_lazy("next year"),
}
_UNITS: dict[str, Any] = {
    "minutes": ngettext_lazy("%(number)s minute", "%(number)s minutes", "number"),
    "hours": ngettext_lazy("%(number)s hour", "%(number)s hours", "number"),
    "days": ngettext_lazy("%(number)s day", "%(number)s days", "number"),
    "weeks": ngettext_lazy("%(number)s week", "%(number)s weeks", "number"),
    "months": ngettext_lazy("%(number)s month", "%(number)s months", "number"),
    "quarters": ngettext_lazy("%(number)s quarter", "%(number)s quarters", "number"),
    "years": ngettext_lazy("%(number)s year", "%(number)s years", "number"),
}
_WHEN: dict[str, StrOrPromise] = {
    "on": gettext_lazy("on {value}"),
    "not_on": gettext_lazy("on another day than {value}"),
    "before": gettext_lazy("before {value}"),
    "after": gettext_lazy("after {value}"),
    "between": gettext_lazy("between {first} and {last}"),
    "in_last": gettext_lazy("in the last {value}"),
    "not_in_last": gettext_lazy("before the last {value}"),
    "in_next": gettext_lazy("in the next {value}"),
    "more_than_ago": gettext_lazy("more than {value} ago"),
    "this": "{value}",
    "last": "{value}",
    "next": "{value}",
}
_TOTALS: dict[str, StrOrPromise] = {
    "sum": gettext_lazy("the sum of {of} where the contact {did} is {amount}"),
    "average": gettext_lazy("the average of {of} where the contact {did} is {amount}"),
    "smallest": gettext_lazy("the smallest {of} where the contact {did} is {amount}"),
    "largest": gettext_lazy("the largest {of} where the contact {did} is {amount}"),
}


def sentence(tree: Tree) -> str:
    """The rule in words, without a full stop."""
    words = clause(tree)
    return words[:1].upper() + words[1:]


def clause(node: Tree) -> str:
    """The node as part of a sentence; brackets show what belongs together."""
    match node:
        case All(()):
            return _("everybody")
        case AnyOf(()):
            return _("nobody")
        case All(nodes):
            return _(" and ").join(_bracketed(child, among=len(nodes)) for child in nodes)
        case AnyOf(nodes):
            return _(" or ").join(_bracketed(child, among=len(nodes)) for child in nodes)
        case Not(child):
            return _("not ({inside})").format(inside=clause(child))
        case FieldLeaf():
            return _field(node)
        case DidLeaf():
            return _did(node)
        case HasLeaf():
            return _has(node)
        case SequenceLeaf():
            return _sequence(node)
        case MemberLeaf():
            words = str(node.spec.words).format(name=f"“{node.name}”")
            return words if node.state is None else _("{words} ({state})").format(words=words, state=node.state)


def _bracketed(node: Tree, *, among: int) -> str:
    words = clause(node)
    return f"({words})" if among > 1 and isinstance(node, All | AnyOf) and len(node.children) > 1 else words


def _field(leaf: FieldLeaf) -> str:
    return str(leaf.operator.words).format(label=leaf.spec.label, **_values(leaf))


def _values(part: FieldLeaf | When) -> dict[str, str]:
    """What the operator's words have room for."""
    wanted = part.wanted
    is_country = isinstance(part, FieldLeaf) and part.spec.flavour == "country"
    match part.operator.shape:
        case "none":
            return {}
        case "amount":
            return {"value": amount_of_time(wanted)}
        case "period":
            return {"value": str(_PERIODS[part.op, wanted])}
        case "days":
            return {"value": _days_from_now(wanted)}
        case "numbers" | "times":
            return {"first": value_in_words(wanted[0]), "last": value_in_words(wanted[1])}
        case "text" | "texts" if is_country and isinstance(part, FieldLeaf):
            listed = part.value if isinstance(part.value, tuple) else (part.value,)
            return {"value": listing([countries.name_of(countries.normal(text)) for text in listed])}
        case "texts" if isinstance(part, FieldLeaf):
            names = [value_in_words(part.name_of(text)) for text in part.value]
            return {"value": listing(names, is_all=part.op == "includes_all")}
        case "text" if isinstance(part, FieldLeaf):
            return {"value": value_in_words(part.name_of(part.value))}
        case "pattern":
            return {"value": value_in_words(part.value)}
    return {"value": value_in_words(wanted)}


def value_in_words(value: Any) -> str:
    """A value as people write it: text in quotes, numbers and dates in their own way."""
    match value:
        case str():
            return f"“{value}”"
        case bool():
            return _("yes") if value else _("no")
        case datetime():
            return date_format(timezone.localtime(value) if value.tzinfo else value, "DATETIME_FORMAT")
        case date():
            return date_format(value, "DATE_FORMAT")
        case Fraction():
            return _number(int(value) if value.denominator == 1 else round(float(value), 4))
        case Decimal():
            return _number(value.normalize() if value != value.to_integral_value() else int(value))
        case None:
            return _("unknown")
        case list() | tuple() | frozenset():
            return listing([value_in_words(each) for each in value]) if value else _("unknown")
    return _number(value)


def actual_in_words(leaf: Leaf, actual: Any) -> str:
    """What was found for a leaf, as the page says it: choices by name, steps of so many, the latest row in its parts."""
    match leaf, actual:
        case FieldLeaf(), tuple() if isinstance(actual, Either):
            return value_in_words(actual[0] if actual else None)
        case FieldLeaf(), "":
            return _("unknown")
        case FieldLeaf(), str():
            is_country = leaf.spec.flavour == "country"
            return countries.name_of(actual) if is_country else value_in_words(leaf.name_of(actual))
        case SequenceLeaf(), int():
            steps = {"number": actual, "all": len(leaf.steps)}
            return ngettext("%(number)s of %(all)s steps", "%(number)s of %(all)s steps", len(leaf.steps)) % steps
        case DidLeaf(latest=(_first, *_more)), dict():
            return _latest_row(actual)
        case DidLeaf(latest=(_first, *_more)), list():
            return "; ".join(dict.fromkeys(_latest_row(row) for row in actual))
    return value_in_words(actual)


def _latest_row(row: dict[str, Any]) -> str:
    tested = [value_in_words(value) for name, value in row.items() if name not in ("kind", "occurred_at")]
    return ", ".join([kinds_in_words((row["kind"],)), value_in_words(row["occurred_at"]), *tested])


def time_between(early: date, late: date) -> str:
    """Whole days from one on, else hours, else minutes, rounded up."""
    seconds = (late - early).total_seconds()
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= length or unit == "minutes" or not isinstance(early, datetime):
            return amount_of_time((max(math.ceil(seconds / length), 1), unit))
    raise AssertionError


def _number(value: Any) -> str:
    """Long ones in groups of digits; a year or a few thousand employees are read as they stand."""
    return number_format(value, use_l10n=True, force_grouping=abs(value) >= _GROUPED_FROM)


def listing(words: Sequence[str], *, is_all: bool = False) -> str:
    """“a, b or c”, with `is_all` “a, b and c”; a long list is cut."""
    shown = list(words)
    if len(shown) > _ALL_SHOWN:
        more = len(shown) - _ALL_SHOWN + 1
        shown = [*shown[: _ALL_SHOWN - 1], ngettext("%(count)s other", "%(count)s others", more) % {"count": more}]
    if len(shown) == 1:
        return shown[0]
    template = _("{words} and {last}") if is_all else _("{words} or {last}")
    return template.format(words=", ".join(shown[:-1]), last=shown[-1])


def amount_of_time(amount: tuple[int, str]) -> str:
    number, unit = amount
    return str(_UNITS[unit] % {"number": number})


def _days_from_now(number: int) -> str:
    if number == 0:
        return _("today")
    return ngettext("in %(number)s day", "in %(number)s days", number) % {"number": number}


def _amount(amount: Amount) -> str:
    words = str(AMOUNTS[amount.op][0])
    if amount.op == "between":
        return words.format(first=value_in_words(amount.wanted[0]), last=value_in_words(amount.wanted[1]))
    return words.format(value=value_in_words(amount.wanted))


def kinds_in_words(kinds: tuple[str, ...] | None) -> str:
    if kinds is None:
        return _("did anything")
    return listing([str(KINDS.get(kind) or _("did “{kind}”").format(kind=kind)) for kind in kinds])


def _where(rows: tuple[FieldLeaf, ...]) -> str:
    return _(" where {rows}").format(rows=_(" and ").join(_field(row) for row in rows)) if rows else ""


def _when(when: When | None) -> str:
    return "" if when is None else " " + str(_WHEN[when.op]).format(**_values(when))


def _rows(part: DidLeaf | Step) -> str:
    return kinds_in_words(part.kinds) + _where(part.where)


def is_never(amount: Amount | None) -> bool:
    return amount is not None and amount.op in ("exactly", "at_most") and amount.wanted == 0


def _did(leaf: DidLeaf) -> str:
    kinds, where, when = kinds_in_words(leaf.kinds), _where(leaf.where), _when(leaf.when)
    if leaf.is_first:
        return _("for the first time {did}").format(did=kinds + when + where)
    if leaf.latest:
        this = _(" and ").join(_field(row) for row in leaf.latest)
        return _("the last time the contact {did}: {this}").format(did=kinds + when + where, this=this)
    if leaf.total is not None:
        return str(_TOTALS[leaf.total.how]).format(
            of=leaf.total.spec.label, did=kinds + when + where, amount=_amount(leaf.total.amount)
        )
    if is_never(leaf.count):
        return _("never {did}").format(did=kinds + when + where)
    if leaf.count is None:
        return kinds + when + where
    return _("{did} {amount} times").format(did=kinds, amount=_amount(leaf.count)) + when + where


def _has(leaf: HasLeaf) -> str:
    where = _where(leaf.where)
    if is_never(leaf.count):
        return _("does not have a {words}").format(words=leaf.related.words) + where
    if leaf.count is None:
        return _("has a {words}").format(words=leaf.related.words) + where
    return _("the number of {rows} is {amount}").format(
        rows=str(leaf.related.label).lower() + where, amount=_amount(leaf.count)
    )


def _sequence(leaf: SequenceLeaf) -> str:
    words = _(", then ").join(_rows(step) for step in leaf.steps)
    if leaf.gap is not None and len(leaf.steps) > 1:
        words += _(", each within {time} of the one before").format(time=amount_of_time(leaf.gap))
    return words + _when(leaf.when)
