"""Shorthand of these tests: whom a document holds for, by SQL and by verdict, which must be the same."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from leads.models import Contact
from segments.conditions import BadConditions, Judge, Moment, check, match_ids, read_facts
from tests.makers import NOW


def at(text: str | datetime = NOW, zone: str = "UTC", week_start: int = 1) -> Moment:
    found = datetime.fromisoformat(text) if isinstance(text, str) else text
    return Moment(found.astimezone(UTC), ZoneInfo(zone), week_start)


def who(document: dict[str, Any], moment: Moment | None = None, *, stored: bool = False) -> set[str]:
    """First names of the contacts for whom the rule holds."""
    moment = moment or at()
    tree = check(document)
    found = set(match_ids(tree, moment, stored=stored))
    judge = Judge(moment, stored=stored)
    facts = read_facts(Contact.objects.values_list("pk", flat=True))
    assert found == {number for number, known in facts.items() if judge.holds(tree, known)}
    return set(Contact.objects.filter(pk__in=found).values_list("first_name", flat=True))


def refused(document: Any, **more: Any) -> dict[str, str]:
    """What is wrong with a document: path -> message."""
    try:
        check(document, **more)
    except BadConditions as error:
        return {problem.path: problem.message for problem in error.problems}
    return {}


def field(name: str, op: str, value: Any = None, unit: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"field": name, "op": op}
    if value is not None:
        found["value"] = value
    if unit is not None:
        found["unit"] = unit
    return found
