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
    state = actual(leaf, facts, moment)
    return state is not None and leaf.state in (None, state)


def actual(leaf: MemberLeaf, facts: Facts, moment: Moment) -> str | None:
    """The person's state in the program as of that moment; None when they were never in it by then."""
    enrolments = facts.kept.get(_KEPT)
    if enrolments is None:
        rows = Enrolment.objects.filter(contact_id=facts.id).values_list(
            "program__slug", "state", "entered_at", "ended_at"
        )
        enrolments = facts.kept[_KEPT] = {slug: tuple(row) for slug, *row in rows}
    if leaf.slug not in enrolments:
        return None
    return _state(*enrolments[leaf.slug], at=moment.at)


def _state(state: str, entered_at: datetime, ended_at: datetime | None, *, at: datetime) -> str | None:
    if entered_at > at:
        return None
    if ended_at is None or ended_at > at:
        return "active"
    return "finished" if state == Enrolment.State.FINISHED else "left"
