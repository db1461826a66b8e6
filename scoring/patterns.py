"""Rules to start from: ready score models for common businesses, in the rule language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext_lazy as _

from scoring.occurrences import Counting

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise
else:
    StrOrPromise = str


@dataclass(frozen=True)
class PatternRule:
    group: str
    name: StrOrPromise
    points: Decimal
    conditions: dict[str, Any]
    counting: Counting | None = None


@dataclass(frozen=True)
class Pattern:
    """What a new model starts with; the draft is the marketer's from then on."""

    key: str
    label: StrOrPromise
    help: StrOrPromise
    rules: tuple[PatternRule, ...]
    threshold: Decimal = Decimal(75)
    caps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def _rule(group: str, name: StrOrPromise, points: int, conditions: dict[str, Any]) -> PatternRule:
    return PatternRule(group, name, Decimal(points), conditions)


def _field(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def _any_title(*words: str) -> dict[str, Any]:
    return {"any": [_field("contact.title", "contains", word) for word in words]}


def _did(kinds: str | list[str], days: int, *, at_least: int = 1, url: str = "") -> dict[str, Any]:
    leaf: dict[str, Any] = {"did": kinds, "when": {"op": "in_last", "value": days, "unit": "days"}}
    if url:
        leaf["where"] = [_field("url", "contains", url)]
    if at_least > 1:
        leaf["count"] = {"op": "at_least", "value": at_least}
    return leaf


_DECIDER = {
    "any": [
        *_any_title("director", "head of", "vp ", "vice president", "chief", "founder")["any"],
        _field("contact.title", "in", ["CEO", "CFO", "CTO", "COO", "CMO", "CIO", "Owner", "Managing partner"]),
    ]
}
_DECIDES = _rule("fit", _("Decides: director, head, VP or C-level"), 20, _DECIDER)
_MANAGES = _rule("fit", _("Manages a team"), 10, _any_title("manager", "lead"))
_PRICING = _rule("behaviour", _("Looked at pricing in the last 30 days"), 15, _did("page_view", 30, url="/pricing"))
_DEMO = _rule("behaviour", _("Booked a demo in the last 60 days"), 30, _did("demo_booked", 60))
_FORM = _rule("behaviour", _("Filled in a form in the last 60 days"), 10, _did("form_submit", 60))
_DOWNLOAD = _rule("behaviour", _("Downloaded something in the last 90 days"), 5, _did("download", 90))
_WEBINAR = _rule("behaviour", _("Attended a webinar in the last 90 days"), 15, _did("webinar_attended", 90))
_KEEN = _rule("behaviour", _("Five page views or more in two weeks"), 10, _did("page_view", 14, at_least=5))
_CLICKS = _rule("behaviour", _("Clicked in an e-mail in the last 30 days"), 5, _did("email_click", 30))
_REPLY = _rule(
    "behaviour", _("Replied or talked to us in the last 60 days"), 15, _did(["reply", "call", "meeting"], 60)
)
_CAREERS = _rule("negative", _("Looks for a job: careers page"), -20, _did("page_view", 90, at_least=2, url="/careers"))
_STUDENT = _rule("negative", _("Student or intern"), -30, _any_title("student", "intern"))
_SILENT = _rule(
    "negative",
    _("Nothing done for half a year"),
    -15,
    {"did": "any", "count": {"op": "exactly", "value": 0}, "when": {"op": "in_last", "value": 180, "unit": "days"}},
)
_LEFT = _rule("negative", _("Unsubscribed or complained"), -25, {"did": ["email_unsubscribe", "email_complaint"]})

PATTERNS: dict[str, Pattern] = {
    pattern.key: pattern
    for pattern in (
        Pattern(
            "b2b-software",
            _("B2B software"),
            _("Deciders in companies of 20 to 1,000 people who look at pricing, demos and webinars."),
            (
                _DECIDES,
                _MANAGES,
                _rule(
                    "fit", _("Company of 20 to 1,000 people"), 20, _field("company.employees", "between", [20, 1000])
                ),
                _rule(
                    "fit",
                    _("Works in IT, operations or finance"),
                    10,
                    _field("contact.department", "in", ["IT", "Operations", "Finance", "Engineering"]),
                ),
                _PRICING,
                _DEMO,
                _WEBINAR,
                _KEEN,
                _DOWNLOAD,
                _CLICKS,
                _CAREERS,
                _STUDENT,
                _SILENT,
                _LEFT,
            ),
        ),
        Pattern(
            "services",
            _("Services and consulting"),
            _("Owners and directors who get in touch: forms, replies and calls weigh most."),
            (
                _DECIDES,
                _rule("fit", _("Company of 10 to 500 people"), 15, _field("company.employees", "between", [10, 500])),
                _rule("fit", _("Bought from us before"), 15, {"has": "deal", "where": [_field("status", "is", "won")]}),
                _FORM,
                _REPLY,
                _WEBINAR,
                _DOWNLOAD,
                _CLICKS,
                _STUDENT,
                _SILENT,
                _LEFT,
            ),
        ),
        Pattern(
            "manufacturing",
            _("Manufacturing"),
            _("Engineering, production and purchasing in larger plants; data sheets and samples count."),
            (
                _rule("fit", _("Industry: manufacturing"), 20, _field("company.industry", "contains", "manufactur")),
                _rule("fit", _("At least 100 people"), 15, _field("company.employees", "at_least", 100)),
                _rule(
                    "fit",
                    _("Engineering, production or purchasing"),
                    15,
                    _any_title("engineer", "production", "plant", "purchas", "procurement"),
                ),
                _DECIDES,
                _rule("behaviour", _("Three downloads or more in 90 days"), 15, _did("download", 90, at_least=3)),
                _FORM,
                _REPLY,
                _PRICING,
                _STUDENT,
                _SILENT,
                _LEFT,
            ),
        ),
        Pattern(
            "product-led",
            _("Product-led"),
            _("People who use the product come first; who they are comes second."),
            (
                _rule("fit", _("Company of at least 50 people"), 15, _field("company.employees", "at_least", 50)),
                _MANAGES,
                _DECIDES,
                _rule("behaviour", _("Ten activities or more in a week"), 25, _did("any", 7, at_least=10)),
                _PRICING,
                _DEMO,
                _rule("behaviour", _("Bought something in the last 180 days"), 20, _did("purchase", 180)),
                _SILENT,
                _LEFT,
            ),
            Decimal(60),
        ),
    )
}
