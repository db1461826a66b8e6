"""Wait until conditions hold for the person, or too long: two ways, in time and too late."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from nurture import queries_around
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, differs
from nurture.kinds.branch import condition_faults, condition_problems
from segments import conditions
from segments.builder import ConditionsField

if TYPE_CHECKING:
    from nurture.queries_around import Waiting

MOST_DAYS = 3_650


def _words(values: Mapping[str, Any], names: Names) -> str:
    if not (document := values.get("conditions")):
        return _("Wait until …")
    try:
        sentence = conditions.sentence(conditions.check(document))
    except conditions.BadConditions:
        sentence = _("… (the conditions no longer fit)")
    words = _("Wait until: %(sentence)s") % {"sentence": sentence}
    if days := values.get("days"):
        words += ngettext(", at most %(n)d day", ", at most %(n)d days", days) % {"n": days}
    return words


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    yield from condition_problems(values, _("The wait has no condition."))
    if not values.get("days"):
        yield _("The wait has no end: say after how many days it is too late."), True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from condition_faults(values)
    days = values.get("days")
    if days is not None and (type(days) is not int or not 1 <= days <= MOST_DAYS):
        yield "days", _("expected a whole number from 1 to %(most)d") % {"most": MOST_DAYS}


def _met(values: Mapping[str, Any], contact_ids: Sequence[int], now: datetime) -> set[int]:
    tree = conditions.check(values["conditions"])
    return set(conditions.match_ids(tree, conditions.moment(now), contacts=sorted(contact_ids), stored=True))


def _due_at(values: Mapping[str, Any], contact_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    """At once for those who meet the conditions already, the others at the end. One statement."""
    met, end = _met(values, contact_ids, now), now + timedelta(days=values["days"])
    return {contact_id: now if contact_id in met else end for contact_id in contact_ids}


def _wake(values: Mapping[str, Any], waiting: Sequence[Waiting], now: datetime) -> dict[int, datetime]:
    met = _met(values, [row.contact_id for row in waiting], now)
    span = timedelta(days=values["days"])
    return {row.id: now if row.contact_id in met else row.arrived_at + span for row in waiting}


def _run(group: Group) -> dict[str, list[Walker]]:
    """Who meets the conditions goes on; who does not and was woken too early waits again. Two statements, three with such people."""
    met = _met(group.step.values, group.contact_ids, group.now)
    span = timedelta(days=group.step.values["days"])
    arrived = {row.id: row.arrived_at for row in queries_around.waiting([w.enrolment_id for w in group.walkers])}
    outcomes: dict[str, list[Walker]] = {"met": [], "late": []}
    again: dict[int, datetime] = {}
    for walker in group.walkers:
        end = arrived[walker.enrolment_id] + span
        if walker.contact_id in met:
            outcomes["met"].append(walker)
        elif end <= group.now:
            outcomes["late"].append(walker)
        else:
            again[walker.enrolment_id] = end
    if again:
        queries_around.set_due(again)
    return outcomes


class WaitUntilForm(StepForm):
    conditions = ConditionsField(
        label=gettext_lazy("Wait until"),
        required=False,
        help_text=gettext_lazy(
            "Something they did, a field, a score … Looked at when the contact changes, and at the end."
        ),
    )
    days = forms.IntegerField(
        label=gettext_lazy("Too late after days"), min_value=1, max_value=MOST_DAYS, required=False, initial=7
    )


WAIT_UNTIL = Kind(
    key="wait_until",
    label=gettext_lazy("Wait until something happens"),
    help=gettext_lazy("Goes on as soon as conditions hold; another way for those who are too late."),
    icon="hourglass",
    colour="secondary",
    form=WaitUntilForm,
    words=_words,
    run=_run,
    keys=frozenset({"conditions", "days"}),
    malformed=_malformed,
    problems=_problems,
    due_at=_due_at,
    due_for_all=differs,
    wake=_wake,
    ways={"met": gettext_lazy("In time"), "late": gettext_lazy("Too late")},
    outcomes={"met": gettext_lazy("in time"), "late": gettext_lazy("too late")},
)
