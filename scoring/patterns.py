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
    includes_bant: bool = False


def _rule(group: str, name: StrOrPromise, points: int, conditions: dict[str, Any]) -> PatternRule:
    return PatternRule(group, name, Decimal(points), conditions)


def _each(
    name: StrOrPromise, points: int, kinds: str | list[str], *, url: str = "", group: str = "behaviour", **limits: Any
) -> PatternRule:
    """Points for each activity, with limits named like the fields of Counting."""
    leaf: dict[str, Any] = {"did": kinds}
    if url:
        leaf["where"] = [_field("url", "contains", url)]
    if "cap" in limits:
        limits["cap"] = Decimal(limits["cap"])
    return PatternRule(group, name, Decimal(points), leaf, Counting(**limits))


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
_PRICING = _each(_("Looks at pricing"), 8, "page_view", url="/pricing", cap=24, halves_after_days=14)
_DEMO = _each(_("Booked a demo"), 30, "demo_booked", cap=30, expires_after_days=60)
_FORM = _each(_("Filled in a form"), 10, "form_submit", cap=20, expires_after_days=60)
_DOWNLOAD = _each(_("Downloaded something"), 5, "download", cap=15, halves_after_days=30, halvings=3)
_WEBINAR = _each(_("Attended a webinar"), 15, "webinar_attended", first_n=2, halves_after_days=45)
_KEEN = _rule("behaviour", _("Five page views or more in two weeks"), 10, _did("page_view", 14, at_least=5))
_CLICKS = _each(_("Clicked in an e-mail"), 3, "email_click", cap=9, expires_after_days=30)
_REPLY = _each(_("Replied or talked to us"), 15, ["reply", "call", "meeting"], cap=30, expires_after_days=60)
_CAREERS = _each(
    _("Looks for a job: careers page"),
    -10,
    "page_view",
    url="/careers",
    group="negative",
    cap=20,
    expires_after_days=90,
)
_STUDENT = _rule("negative", _("Student or intern"), -30, _any_title("student", "intern"))
_SILENT = _rule(
    "negative",
    _("Nothing done for half a year"),
    -15,
    {"did": "any", "count": {"op": "exactly", "value": 0}, "when": {"op": "in_last", "value": 180, "unit": "days"}},
)
_LEFT = _rule("negative", _("Unsubscribed or complained"), -25, {"did": ["email_unsubscribe", "email_complaint"]})

# Curiosity alone never makes a lead: behaviour stays under the line, so that somebody who fits nowhere is not handed over.
_CAPS = {"behaviour": {"least": 0, "most": 60}, "negative": {"least": -60}, "total": {"least": -40, "most": 120}}

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
            caps=_CAPS,
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
            caps=_CAPS,
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
            caps=_CAPS,
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
                _each(_("Bought something"), 20, "purchase", cap=40, expires_after_days=180),
                _SILENT,
                _LEFT,
            ),
            Decimal(60),
            caps={"behaviour": {"least": 0, "most": 80}, "total": {"least": -40, "most": 120}},
        ),
        Pattern(
            "bant-only",
            _("BANT only"),
            _("Nothing but what sales asks: budget, authority, need and timeframe, 25 points each, 75 pass."),
            (),
            includes_bant=True,
        ),
    )
}
