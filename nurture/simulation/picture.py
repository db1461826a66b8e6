"""A result as people look at it: totals, a calendar of days, and what is doubtful, in words."""

from __future__ import annotations

import calendar
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.workspace import zone
from nurture import tree
from nurture.kinds import KINDS, Names
from nurture.mailing.sending import why_words
from nurture.models import ProgramVersion

SHADES = 4
PILE_UP = 0.25  # of all mails within one hour, where there are enough to matter
MANY_MAILS = 100


@dataclass(frozen=True)
class Day:
    """One cell of the calendar; empty outside the time that was simulated."""

    on: date
    is_inside: bool
    numbers: Mapping[str, int]
    shade: int  # of the mails: 0 none … 4 the busiest days


@dataclass(frozen=True)
class Month:
    title: str
    weeks: list[list[Day]]


@dataclass(frozen=True)
class Total:
    label: str
    number: int


@dataclass(frozen=True)
class Hour:
    """One of those in which most mails leave; `share` in per cent of the busiest one."""

    words: str
    mails: int
    share: int


@dataclass(frozen=True)
class Picture:
    totals: list[Total]
    hours: list[Hour]
    months: list[Month]
    weekdays: list[str]
    doubts: list[str]
    reasons: list[tuple[str, int]]
    is_empty: bool


def picture_of(version: ProgramVersion, result: Mapping[str, Any], names: Names) -> Picture:
    """No statement beyond the names that steps mention, and the workspace."""
    totals = result["totals"]
    shown = [
        Total(_("people"), totals["people"]),
        Total(_("mails"), totals["mails"]),
        Total(_("opened"), totals["opens"]),
        Total(_("clicked"), totals["clicks"]),
        Total(_("answered"), totals["answers"]),
        Total(_("handed to sales"), totals["hand_offs"]),
        Total(_("reached the goal"), totals["goals"]),
        Total(_("still inside at the end"), totals["inside"]),
    ]
    return Picture(
        totals=shown,
        hours=_hours(result["hours"]) if totals["mails"] >= MANY_MAILS else [],
        months=list(_months(result)),
        weekdays=[date_format(date(2024, 1, day), "D") for day in range(1, 8)],
        doubts=list(_doubts(version, result, names)),
        reasons=[(why_words(why), number) for why, number in result["not_sent"].items()],
        is_empty=not totals["people"],
    )


def _hours(busiest: Sequence[tuple[str, int]]) -> list[Hour]:
    return [Hour(_moment(at), n, round(100 * n / busiest[0][1])) for at, n in busiest]


def _moment(at: str) -> str:
    return date_format(datetime.fromisoformat(at).astimezone(zone()), "DATETIME_FORMAT")


def _months(result: Mapping[str, Any]) -> Iterator[Month]:
    home = zone()
    first = datetime.fromisoformat(result["began_at"]).astimezone(home).date()
    last = datetime.fromisoformat(result["ends_at"]).astimezone(home).date()
    most = max((day.get("mails", 0) for day in result["days"].values()), default=0)
    year, month = first.year, first.month
    while (year, month) <= (last.year, last.month):
        weeks = [
            [_day(on, first <= on <= last and on.month == month, result["days"].get(on.isoformat(), {}), most) for on in week]
            for week in calendar.Calendar().monthdatescalendar(year, month) if week[0] <= last and week[-1] >= first
        ]  # fmt: skip
        yield Month(date_format(date(year, month, 1), "F Y"), weeks)
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)


def _day(on: date, is_inside: bool, numbers: Mapping[str, int], most: int) -> Day:
    mails = numbers.get("mails", 0) if is_inside else 0
    return Day(on, is_inside, numbers if is_inside else {}, -(-mails * SHADES // most) if most else 0)


# --- What is doubtful ------------------------------------------------------------------------------------------------------


def _doubts(version: ProgramVersion, result: Mapping[str, Any], names: Names) -> Iterator[str]:
    totals, steps = result["totals"], result["steps"]
    listed = list(tree.check(version.tree).walk())
    words = {step.id: KINDS[step.kind].words(step.values, names) for step in listed}
    handing = {step.id for step in listed if step.kind == "hand_to_sales"}
    for step_id, step_words in words.items():
        outcomes = steps.get(step_id, {})
        if totals["people"] and not outcomes:
            yield _("Nobody comes to this step: %(step)s") % {"step": step_words}
        elif outcomes and not set(outcomes) - {"here", "parked"}:
            n = sum(outcomes.values())
            text = ngettext(
                "A dead end: %(n)s person comes to a step, and nobody gets past it in this time: %(step)s",
                "A dead end: %(n)s people come to a step, and nobody gets past it in this time: %(step)s",
                n,
            )
            yield text % {"n": intcomma(n), "step": step_words}
        elif step_id in handing and not outcomes.get("done"):
            yield _("Nobody of those who come to this step is handed over: %(step)s") % {"step": step_words}
    yield from _limits(result)
    if n := totals["never_mailed"]:
        yield ngettext("%(n)s person never gets a mail.", "%(n)s people never get a mail.", n) % {"n": intcomma(n)}
    if n := totals["parked"]:
        yield ngettext("%(n)s person is stopped by a failing step.", "%(n)s people are stopped by a failing step.", n) % {"n": intcomma(n)}  # fmt: skip
    if n := result["waiting_to_enter"]:
        yield ngettext("%(n)s person has still to enter at the end.", "%(n)s people have still to enter at the end.", n) % {"n": intcomma(n)}  # fmt: skip


def _limits(result: Mapping[str, Any]) -> Iterator[str]:
    """Limits that were hit, and hours in which mails pile up."""
    for why, n in sorted(result["delays"].items(), key=lambda delay: -delay[1]):
        text = ngettext("%(n)s time a mail waits: %(why)s", "%(n)s times a mail waits: %(why)s", n)
        yield text % {"n": intcomma(n), "why": why_words(why)}
    mails = result["totals"]["mails"]
    for at, n in result["hours"][:1]:
        if mails >= MANY_MAILS and n >= mails * PILE_UP:
            hour = _moment(at)
            share = round(100 * n / mails)
            yield _("A pile-up: %(n)s mails, %(share)d %% of all, leave in the hour from %(hour)s.") % {
                "n": intcomma(n),
                "share": share,
                "hour": hour,
            }
