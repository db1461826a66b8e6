"""Somebody does something: submits a form, visits a page, any kind of activity, with conditions on it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries_triggers
from nurture.kinds import Names, StepForm
from nurture.triggers.base import Asked, TriggerKind, Values, missing
from segments import conditions
from segments.builder import ConditionsField
from segments.conditions import Sql
from segments.conditions.tree import DidLeaf
from segments.rules import reads_of

LATE_HOURS = 24
MOST_HOURS = 24 * 365
_MOVING = frozenset({"in_last", "not_in_last", "in_next", "more_than_ago", "this", "last", "next", "anniversary_in"})


def _leaf(values: Values, *, strictly: bool = False) -> DidLeaf:
    """The one activity that the trigger asks for. Raises BadConditions, ValueError where it is something else."""
    tree = conditions.check(values["activity"], allow_unknown_slugs=not strictly)
    leaf = next((leaf for _path, leaf in conditions.leaves(tree)), None)
    if not isinstance(leaf, DidLeaf) or not _is_plain(values["activity"]):
        raise ValueError(_("expected one activity, such as {“did”: “form_submit”, “where”: […]}"))
    if leaf.when or leaf.count or leaf.is_first or leaf.latest or leaf.total:
        raise ValueError(_("each activity counts: leave out count, period, first, latest and total"))
    if any(row.op in _MOVING for row in leaf.where):
        raise ValueError(_("a condition that moves with time cannot start anything"))
    return leaf


def _is_plain(document: Any) -> bool:
    """The activity itself, alone or as the only row of “all”: nothing negated."""
    if not isinstance(document, dict):
        return False
    rows = document.get("all", document.get("any"))
    return "did" in document if rows is None else len(rows) == 1 and _is_plain(rows[0])


def _words(values: Values, names: Names) -> str:
    if not (document := values.get("activity")):
        return _("does something")
    try:
        words = conditions.sentence(conditions.check(document, allow_unknown_slugs=True))
    except conditions.BadConditions:
        return _("does something (the conditions no longer fit)")
    return words[0].lower() + words[1:]


def _problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    yield from missing(values, "activity", _("The trigger does not say what somebody does."))
    if values.get("activity"):
        try:
            _leaf(values, strictly=True)
        except conditions.BadConditions as error:
            for problem in error.problems:
                yield _("The trigger cannot work: %(problem)s") % {"problem": problem.message}, True


def _malformed(values: Values) -> Iterator[tuple[str, str]]:
    if "activity" in values:
        try:
            _leaf(values)
        except conditions.BadConditions as error:
            for problem in error.problems:
                yield f"activity.{problem.path}".rstrip("."), problem.message
        except ValueError as error:
            yield "activity", str(error)
    hours = values.get("late_hours", LATE_HOURS)
    if type(hours) is not int or not 1 <= hours <= MOST_HOURS:
        yield "late_hours", _("expected a whole number from 1 to %(most)d") % {"most": MOST_HOURS}


def _arrivals(values: Values, asked: Asked, since: datetime | None) -> Sql | None:
    chosen = conditions.chosen_activities(_leaf(values), asked.moment, for_all=True, catalogue=asked.catalogue)
    if chosen is None:
        return None
    hours = values.get("late_hours", LATE_HOURS)
    return queries_triggers.activities(chosen.kinds, chosen.condition, late_hours=hours)


class ActivityTriggerForm(StepForm):
    activity = ConditionsField(
        label=gettext_lazy("People enter when"),
        required=False,
        help_text=gettext_lazy("One activity, with conditions on it: a form by its name, a page by its address."),
    )
    late_hours = forms.IntegerField(
        label=gettext_lazy("Counts when it becomes known within hours"),
        min_value=1,
        max_value=MOST_HOURS,
        required=False,
        initial=LATE_HOURS,
        help_text=gettext_lazy(
            "Activities imported later, or of a visitor's anonymous past, count for scores but start nothing."
        ),
    )

    def clean_activity(self) -> Any:
        document = self.cleaned_data.get("activity")
        if document:
            try:
                _leaf({"activity": document})
            except ValueError as error:
                raise ValidationError(str(error)[:1].upper() + str(error)[1:] + ".") from error
        return document


ACTIVITY = TriggerKind(
    key="activity",
    label=gettext_lazy("Does something"),
    help=gettext_lazy("A form, a page view, a download … with conditions on it."),
    icon="forms",
    form=ActivityTriggerForm,
    words=_words,
    keys=frozenset({"activity", "late_hours"}),
    reads=lambda values: reads_of(values.get("activity")),
    malformed=_malformed,
    problems=_problems,
    arrivals=_arrivals,
    is_dated_ahead=True,
)
