"""Two ways, by conditions: people for whom they hold at that moment go one way, everybody else the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, within
from segments import conditions
from segments.builder import ConditionsField


def _words(values: Mapping[str, Any], names: Names) -> str:
    if document := values.get("conditions"):
        try:
            return _("If %(sentence)s") % {"sentence": within(conditions.sentence(conditions.check(document)))}
        except conditions.BadConditions:
            return _("If … (the conditions no longer fit)")
    return _("If …")


def condition_faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (document := values.get("conditions")) is None:
        return
    try:
        conditions.check(document, allow_unknown_slugs=True)
    except conditions.BadConditions as error:
        for problem in error.problems:
            yield f"conditions.{problem.path}".rstrip("."), problem.message


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    yield from condition_problems(values, _("The branch has no condition."))


def condition_problems(values: Mapping[str, Any], missing: str) -> Iterator[tuple[str, bool]]:
    """What keeps the conditions of a step from working; `missing` is said where there are none."""
    document = values.get("conditions")
    if not document:
        yield missing, True
        return
    try:
        conditions.check(document)
    except conditions.BadConditions as error:
        for problem in error.problems:
            yield _("The condition cannot work: %(problem)s") % {"problem": problem.message}, True


def _run(group: Group) -> dict[str, list[Walker]]:
    tree = conditions.check(group.step.values["conditions"])
    moment = conditions.moment(group.now)
    met = set(conditions.match_ids(tree, moment, contacts=group.contact_ids, stored=True))
    return group.split(met, inside="yes", outside="no")


class BranchForm(StepForm):
    conditions = ConditionsField(label=gettext_lazy("Go the “yes” way when"), required=False)

    def values(self) -> dict[str, Any]:
        document = self.cleaned_data.get("conditions")
        return {"conditions": document} if document else {}


BRANCH = Kind(
    key="branch",
    label=gettext_lazy("Branch"),
    help=gettext_lazy("Two ways: yes when the conditions hold, no for everybody else."),
    icon="arrows-split-2",
    colour="purple",
    form=BranchForm,
    words=_words,
    run=_run,
    keys=frozenset({"conditions"}),
    malformed=condition_faults,
    problems=_problems,
    ways={"yes": gettext_lazy("Yes"), "no": gettext_lazy("No")},
    outcomes={"yes": gettext_lazy("yes"), "no": gettext_lazy("no")},
)
