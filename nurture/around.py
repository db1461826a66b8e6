"""What stands around the steps of a version, as one document: goal, exits, re-entry, dates, segments kept out, hold-out share.

    {"goal": {"conditions": {…}, "then": "end" or the id of a step, "days": 90},
     "exit": {"when": "no_member" and/or "conditions": {…}},
     "again": {"days": 30},                      absent: once per person; 0 days: each time
     "starts_on": "2026-12-01", "ends_on": "2026-12-24",
     "keep_out": ["customers"],
     "hold_out": 10}                             per cent

Every key may be absent; {} means: once per person, finishes once entered. What holds people to it stands in nurture/guards.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.models import Workspace
from leads.workspace import WEEKDAYS, zone
from nurture import tree
from nurture.kinds import KINDS, Names, Problem
from nurture.kinds.base import within
from segments import conditions
from segments.rules import reads_of

Document = dict[str, Any]

KEYS = frozenset({"goal", "exit", "again", "starts_on", "ends_on", "keep_out", "hold_out"})
END = "end"
NO_MEMBER = "no_member"
GOAL_DAYS = (
    90  # reached within so many days after the entry, unless the goal says otherwise: both groups of a comparison alike
)
MOST_DAYS = 3_650
MOST_HELD_OUT = 50  # per cent


class BadAround(Exception):
    """The document says something that cannot be; `problems` says where and why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))


# --- Checking ----------------------------------------------------------------------------------------------------------


def check(document: Any) -> Document:
    """The document as it is; raises BadAround with every fault in its shape."""
    if not isinstance(document, dict):
        raise BadAround([Problem("", _("expected an object such as {“hold_out”: 10}"))])
    faults = [
        Problem(str(key), _("is not known here; choose of: %(keys)s") % {"keys": ", ".join(sorted(KEYS))})
        for key in sorted(set(document) - KEYS, key=str)
    ]
    for key, faults_of in _CHECKS.items():
        if key in document:
            faults += [Problem(path, message) for path, message in faults_of(document[key])]
    if not faults and document.get("starts_on", "") > document.get("ends_on", "9999"):
        faults.append(Problem("ends_on", _("lies before the start")))
    if faults:
        raise BadAround(faults)
    return document


def _goal_faults(goal: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(goal, dict) or not {"conditions"} <= set(goal) <= {"conditions", "then", "days"}:
        yield "goal", _('expected {"conditions": …, "then": "end", "days": 90}')
        return
    yield from _condition_faults(goal["conditions"], "goal.conditions")
    if not isinstance(goal.get("then", END), str):
        yield "goal.then", _("expected “end” or the id of a step")
    yield from _days_faults(goal.get("days", GOAL_DAYS), "goal.days", least=1)


def _exit_faults(exit: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(exit, dict) or not exit or set(exit) - {"when", "conditions"}:
        yield "exit", _('expected {"when": "no_member"} or {"conditions": …}, or both')
        return
    if exit.get("when", NO_MEMBER) != NO_MEMBER:
        yield "exit.when", _("choose one of: no_member")
    if "conditions" in exit:
        yield from _condition_faults(exit["conditions"], "exit.conditions")


def _again_faults(again: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(again, dict) or set(again) != {"days"}:
        yield "again", _('expected {"days": 30}; 0 days: each time')
        return
    yield from _days_faults(again["days"], "again.days", least=0)


def _days_faults(days: Any, path: str, *, least: int) -> Iterator[tuple[str, str]]:
    if type(days) is not int or not least <= days <= MOST_DAYS:
        yield path, _("expected a whole number from %(least)d to %(most)d") % {"least": least, "most": MOST_DAYS}


def _date_faults(value: Any, path: str) -> Iterator[tuple[str, str]]:
    try:
        if len(value) != 10:
            raise ValueError
        date.fromisoformat(value)
    except (TypeError, ValueError):
        yield path, _("expected a date such as 2026-12-01")


def _keep_out_faults(slugs: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(slugs, list) or not slugs or not all(isinstance(slug, str) for slug in slugs):
        yield "keep_out", _("expected a list of segments")
    elif len(set(slugs)) != len(slugs):
        yield "keep_out", _("names a segment twice")


def _hold_out_faults(share: Any) -> Iterator[tuple[str, str]]:
    if type(share) is not int or not 1 <= share <= MOST_HELD_OUT:
        yield "hold_out", _("expected a whole number from 1 to %(most)d, in per cent") % {"most": MOST_HELD_OUT}


def _condition_faults(document: Any, path: str) -> Iterator[tuple[str, str]]:
    try:
        conditions.check(document, allow_unknown_slugs=True)
    except conditions.BadConditions as error:
        for problem in error.problems:
            yield f"{path}.{problem.path}".rstrip("."), problem.message


_CHECKS = {
    "goal": _goal_faults,
    "exit": _exit_faults,
    "again": _again_faults,
    "starts_on": lambda value: _date_faults(value, "starts_on"),
    "ends_on": lambda value: _date_faults(value, "ends_on"),
    "keep_out": _keep_out_faults,
    "hold_out": _hold_out_faults,
}


# --- What it refers to ----------------------------------------------------------------------------------------------------------


def problems(document: Mapping[str, Any], steps: tree.Tree, names: Names, now: datetime | None) -> Iterator[Problem]:
    """What keeps the version from starting; with a moment, also dates that are past."""
    goal = document.get("goal") or {}
    then = goal.get("then", END)
    if then != END and then not in {step.id for step in steps.walk()}:
        yield _problem(_("The goal pulls people forward to a step that does not exist any more."))
    for key, name in (("goal", _("goal")), ("exit", _("exit"))):
        if rule := (document.get(key) or {}).get("conditions"):
            try:
                conditions.check(rule)
            except conditions.BadConditions as error:
                words = {"name": name, "problem": error.problems[0].message}
                yield _problem(_("The %(name)s cannot work: %(problem)s") % words)
    for slug in document.get("keep_out", ()):
        if slug not in names.segments:
            yield _problem(_("The segment “%(slug)s”, whose members are kept out, does not exist.") % {"slug": slug})
    if "hold_out" in document and not goal:
        yield _problem(_("People are held out for comparison, but without a goal there is nothing to compare."))
    ends_on = document.get("ends_on")
    if now and ends_on and date.fromisoformat(ends_on) < now.astimezone(zone()).date():
        yield _problem(_("Its last day, %(day)s, is past: nobody would enter.") % {"day": _day(ends_on)})


def _problem(message: str) -> Problem:
    return Problem("around", message, "around")


def reads(document: Mapping[str, Any]) -> frozenset[str]:
    """Keys of the definitions and fields that decide who stays."""
    rules = [(document.get(key) or {}).get("conditions") for key in ("goal", "exit")]
    found = {read for rule in rules if rule for read in reads_of(rule)}
    return frozenset(found | {f"segment:{slug}" for slug in document.get("keep_out", ())})


def bounds(document: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    """From when on and until when people are taken in, on the workspace's clock. One statement, none without dates."""
    start, end = document.get("starts_on"), document.get("ends_on")
    if not start and not end:
        return None, None
    home = zone()
    return (
        datetime.combine(date.fromisoformat(start), time(), home) if start else None,
        datetime.combine(date.fromisoformat(end) + timedelta(days=1), time(), home) if end else None,
    )


# --- In words ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Fact:
    """One line of the strip above the canvas."""

    key: str
    label: str
    words: str


def in_words(document: Mapping[str, Any], steps: tree.Tree, names: Names) -> list[Fact]:
    """Everything around the steps read back, with what holds where nothing is said."""
    facts = [
        Fact("again", _("How often"), _again_words(document)),
        Fact("mail", _("Mail may go"), _mail_words(names.home)),
        Fact("cap", _("At most"), _cap_words(names.home)),
        Fact("exit", _("Leaves"), _exit_words(document)),
    ]
    if goal := document.get("goal"):
        facts.append(Fact("goal", _("Goal"), _goal_words(goal, steps, names)))
    if slugs := document.get("keep_out"):
        listed = _(" or ").join(f"“{names.segment(slug)}”" for slug in slugs)
        facts.append(Fact("keep_out", _("Kept out"), _("members of %(segments)s") % {"segments": listed}))
    if dates := _date_words(document):
        facts.append(Fact("dates", _("Takes people in"), dates))
    if share := document.get("hold_out"):
        words = _("%(share)d %% of those who enter, for comparison") % {"share": share}
        facts.append(Fact("hold_out", _("Held out"), words))
    return facts


def _again_words(document: Mapping[str, Any]) -> str:
    if "again" not in document:
        return _("once per person")
    days = document["again"]["days"]
    if not days:
        return _("each time they enter anew")
    words = ngettext(
        "again when they enter anew, %(n)d day after the end at the earliest",
        "again when they enter anew, %(n)d days after the end at the earliest",
        days,
    )
    return words % {"n": days}


def _mail_words(home: Workspace) -> str:
    """The days and hours that hold for all marketing mail (nurture/mailing/window.py)."""
    days = ", ".join(str(WEEKDAYS[day]) for day in sorted(set(home.mail_days)))
    if set(home.mail_days) == {1, 2, 3, 4, 5}:
        days = _("Monday to Friday")
    start, end = (time_format(at, "H:i") if at else "" for at in (home.mail_start, home.mail_end))
    if start and end and end <= start:
        hours = _("%(start)s until %(end)s of the next day")
    elif start and end:
        hours = _("%(start)s to %(end)s")
    elif start or end:
        hours = _("from %(start)s") if start else _("until %(end)s")
    else:
        hours = ""
    said = ", ".join(part for part in (days, hours % {"start": start, "end": end}) if part)
    return _("%(when)s, by the reader's clock") % {"when": said} if said else _("at any hour")


def _cap_words(home: Workspace) -> str:
    """The one budget over all programs."""
    number, days = home.budget_mails, home.budget_days  # type: ignore[attr-defined]
    if number is None:
        return _("no limit of mails")
    mails = ngettext("%(n)d mail", "%(n)d mails", number) % {"n": number}
    words = ngettext("%(mails)s in %(n)d day, over all programs", "%(mails)s in %(n)d days, over all programs", days)
    return words % {"mails": mails, "n": days}


def _exit_words(document: Mapping[str, Any]) -> str:
    exit = document.get("exit") or {}
    parts = []
    if exit.get("when") == NO_MEMBER:
        parts.append(_("when they no longer belong to the segment"))
    if rule := exit.get("conditions"):
        parts.append(_("when this holds: %(sentence)s") % {"sentence": sentence(rule)})
    return _(", or ").join(parts) if parts else _("finishes once entered")


def _goal_words(goal: Mapping[str, Any], steps: tree.Tree, names: Names) -> str:
    then, days = goal.get("then", END), goal.get("days", GOAL_DAYS)
    words = {"sentence": sentence(goal["conditions"]), "days": days, "step": ""}
    if then == END:
        return _("%(sentence)s, within %(days)d days: a success, and the end") % words
    try:
        words["step"] = KINDS[steps.step(then).kind].words(steps.step(then).values, names)
    except tree.NoSuchStep:
        words["step"] = "…"
    return _("%(sentence)s, within %(days)d days: a success; go on at “%(step)s”") % words


def _date_words(document: Mapping[str, Any]) -> str:
    start, end = document.get("starts_on"), document.get("ends_on")
    if start and end:
        return _("from %(start)s to %(end)s") % {"start": _day(start), "end": _day(end)}
    if start:
        return _("from %(start)s on") % {"start": _day(start)}
    return _("until %(end)s") % {"end": _day(end)} if end else ""


def _day(text: str) -> str:
    return date_format(date.fromisoformat(text), "SHORT_DATE_FORMAT")


def sentence(rule: Any) -> str:
    """A rule in words, for the middle of a sentence; also when it no longer fits the fields."""
    try:
        words = conditions.sentence(conditions.check(rule, allow_unknown_slugs=True))
    except conditions.BadConditions:
        return _("… (the conditions no longer fit)")
    return within(words)


def ended_words(why: str, names: Names) -> str:
    """Why a guard let somebody go, in words; empty for other reasons."""
    code, _colon, slug = why.partition(":")
    if code == "keep_out":
        return _("Belongs to “%(segment)s”, whose members are kept out.") % {"segment": names.segment(slug)}
    return {
        "goal": _("Reached the goal."),
        "goal_before": _("Had reached the goal before."),
        "no_member": _("No longer belongs to the segment."),
        "exit": _("The conditions for leaving hold."),
        "held_out": _("Held out for comparison."),
    }.get(code, "")
