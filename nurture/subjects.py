"""The condition {"in_program": slug, "state": …}: who walks a program, finished it or left it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.utils.translation import gettext_lazy

from leads.models import Mark
from nurture import queries
from nurture.models import Enrolment, Program
from segments.conditions import Facts, Moment, Scope, Sql, Subject, register_subject
from segments.conditions.tree import MemberLeaf

STATES = ("active", "finished", "left")
_KEPT = "nurture.enrolments"


def register() -> None:
    register_subject(
        Subject(
            key="in_program",
            label=gettext_lazy("Program"),
            words=gettext_lazy("is in the program {name}"),
            node="program",
            choices=choices,
            sql=sql,
            holds=holds,
            actual=actual,
            states=STATES,
            facets=frozenset({int(Mark.Facet.DEFINITION)}),
        )
    )


def choices() -> Iterable[tuple[str, str]]:
    """Every program in use. One statement."""
    return Program.objects.filter(archived_at=None).order_by("name").values_list("slug", "name")


def sql(leaf: MemberLeaf, scope: Scope) -> Sql:
    return queries.in_program(leaf.slug, leaf.state, at=scope.moment.at)


def holds(leaf: MemberLeaf, facts: Facts, moment: Moment) -> bool:
    states = _states(leaf, facts, moment)
    return leaf.state in states if leaf.state is not None else bool(states)


def actual(leaf: MemberLeaf, facts: Facts, moment: Moment) -> str | None:
    """The person's state in the program as of that moment, of their latest walk; None when they were never in it by then."""
    states = _states(leaf, facts, moment)
    return states[-1] if states else None


def _states(leaf: MemberLeaf, facts: Facts, moment: Moment) -> list[str]:
    """One for each walk that had begun by then, in order. Whoever is held out for comparison never was in the program."""
    walks = facts.kept.get(_KEPT)
    if walks is None:
        rows = Enrolment.objects.filter(contact_id=facts.id).exclude(state=Enrolment.State.HELD_OUT).order_by("round")
        walks = facts.kept[_KEPT] = {}
        for slug, *row in rows.values_list("program__slug", "state", "entered_at", "ended_at"):
            walks.setdefault(slug, []).append(tuple(row))
    states = (_state(*walk, at=moment.at) for walk in walks.get(leaf.slug, ()))
    return [state for state in states if state is not None]


def _state(state: str, entered_at: datetime, ended_at: datetime | None, *, at: datetime) -> str | None:
    if entered_at > at:
        return None
    if ended_at is None or ended_at > at:
        return "active"
    return "finished" if state == Enrolment.State.FINISHED else "left"
