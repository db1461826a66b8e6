"""Several ways, by chance: everybody goes the way that a hash of program, step and contact says; the best may win."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from nurture import splits
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker
from nurture.kinds.branch import condition_faults, condition_problems
from segments import conditions
from segments.builder import ConditionsField

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Words
else:
    Words = str

LETTERS = tuple(string.ascii_lowercase[:6])
EVENLY = {"a": 1, "b": 1}
MOST_WEIGHT = 1_000
MOST_DAYS = 90
LEAST_SAMPLE, MOST_SAMPLE = 20, 1_000_000
_WINNER_KEYS = frozenset({"conditions", "days", "at_least"})


def weights_of(values: Mapping[str, Any]) -> dict[str, int]:
    """Way -> its weight; two even ways where nothing (or nothing that fits) is said."""
    weights = values.get("weights")
    return dict(weights) if isinstance(weights, dict) and not list(_weight_faults(values)) else EVENLY


def _ways(values: Mapping[str, Any]) -> Mapping[str, Words]:
    weights = weights_of(values)
    whole = sum(weights.values())
    return {way: f"{way.upper()} · {_percent(weights[way], whole)} %" for way in sorted(weights)}  # type: ignore[misc]


def _percent(weight: int, whole: int) -> str:
    return f"{100 * weight / whole:.1f}".removesuffix(".0")


def _words(values: Mapping[str, Any], names: Names) -> str:
    words = _("Split by chance: %(ways)s") % {"ways": " / ".join(str(way) for way in _ways(values).values())}
    winner = values.get("winner")
    if not winner:
        return words
    if rule := winner.get("conditions"):
        try:
            goal = conditions.sentence(conditions.check(rule))
        except conditions.BadConditions:
            goal = _("… (the conditions no longer fit)")
    else:
        goal = _("the program's goal")
    days = winner.get("days", splits.DAYS)
    return words + ngettext(
        "; the best after %(days)d day wins: %(goal)s", "; the best after %(days)d days wins: %(goal)s", days
    ) % {"days": days, "goal": goal}


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _weight_faults(values)
    if (winner := values.get("winner")) is None:
        return
    if not isinstance(winner, dict) or set(winner) - _WINNER_KEYS:
        yield "winner", _("expected {days, at_least} and, if not the program's goal decides, {conditions}")
        return
    for key, least, most in (("days", 1, MOST_DAYS), ("at_least", LEAST_SAMPLE, MOST_SAMPLE)):
        value = winner.get(key)
        if value is not None and (type(value) is not int or not least <= value <= most):
            yield (
                f"winner.{key}",
                _("expected a whole number from %(least)d to %(most)d") % {"least": least, "most": most},
            )
    for path, message in condition_faults(winner):
        yield f"winner.{path}", message


def _weight_faults(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    weights = values.get("weights")
    if weights is None:
        return
    if not isinstance(weights, dict) or len(weights) < 2 or set(weights) - set(LETTERS):
        yield "weights", _("expected two to six ways, such as {“a”: 50, “b”: 50}")
        return
    for way, weight in weights.items():
        if type(weight) is not int or not 1 <= weight <= MOST_WEIGHT:
            yield f"weights.{way}", _("expected a whole number from 1 to %(most)d") % {"most": MOST_WEIGHT}


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if (values.get("winner") or {}).get("conditions"):
        yield from condition_problems(values["winner"], "")


def _run(group: Group) -> dict[str, list[Walker]]:
    """Everybody's way by the hash; once a way won, that one for all. Two statements, one more where a winner is looked for."""
    weights = weights_of(group.step.values)
    trial = splits.trial_of(group.program.pk, group.step, now=group.now)
    outcomes: dict[str, list[Walker]] = {way: [] for way in sorted(weights)}
    if trial.winner in outcomes:
        return outcomes | {trial.winner: list(group.walkers)}
    for walker in group.walkers:
        outcomes[splits.way_of(group.program.pk, group.step.id, walker.contact_id, weights)].append(walker)
    splits.begin(trial, group.step, group.around, outcomes, now=group.now)
    return outcomes


class SplitForm(StepForm):
    """A weight for each way, and who decides which one is the best."""

    weight_a, weight_b, weight_c, weight_d, weight_e, weight_f = (
        forms.IntegerField(
            label=gettext_lazy("Weight of %(way)s") % {"way": letter.upper()},
            min_value=1,
            max_value=MOST_WEIGHT,
            required=letter in EVENLY,
            initial=EVENLY.get(letter),
            widget=forms.NumberInput(attrs={"placeholder": gettext_lazy("no such way")}),
        )
        for letter in LETTERS
    )
    by = forms.ChoiceField(
        label=gettext_lazy("Who decides which way is the best"),
        choices=[
            ("hand", gettext_lazy("I do, on the page of this step")),
            ("goal", gettext_lazy("the program's goal")),
            ("own", gettext_lazy("the conditions below")),
        ],
        widget=forms.RadioSelect,
        initial="hand",
    )
    days = forms.IntegerField(
        label=gettext_lazy("Days after the split"), min_value=1, max_value=MOST_DAYS, required=False, initial=splits.DAYS,
        help_text=gettext_lazy("Whoever reaches it within these days counts; nobody is judged before they are over."),
    )  # fmt: skip
    at_least = forms.IntegerField(
        label=gettext_lazy("People on each way at least"),
        min_value=LEAST_SAMPLE,
        max_value=MOST_SAMPLE,
        required=False,
        initial=splits.AT_LEAST,
        help_text=gettext_lazy("Looked at when each way has so many, and at twice, four times … as many."),
    )
    conditions = ConditionsField(label=gettext_lazy("It worked for a person when"), required=False)

    @classmethod
    def initial_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        initial: dict[str, Any] = {f"weight_{way}": weight for way, weight in weights_of(values).items()}
        if (winner := values.get("winner")) is not None:
            initial["by"] = "own" if "conditions" in winner else "goal"
            initial |= {key: winner[key] for key in _WINNER_KEYS if key in winner}
        return initial

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("by") == "own" and not cleaned.get("conditions") and "conditions" not in self.errors:
            self.add_error("conditions", _("Say what makes a way work."))
        return cleaned

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        values: dict[str, Any] = {
            "weights": {way: data[f"weight_{way}"] for way in LETTERS if data.get(f"weight_{way}")}
        }
        if data["by"] == "hand":
            return values
        winner = {"days": data["days"] or splits.DAYS, "at_least": data["at_least"] or splits.AT_LEAST}
        if data["by"] == "own":
            winner["conditions"] = data["conditions"]
        return values | {"winner": winner}


SPLIT = Kind(
    key="split",
    label=gettext_lazy("Split (A/B test)"),
    help=gettext_lazy("Two to six ways by chance, everybody always the same; the best one may win."),
    icon="arrows-split",
    colour="purple",
    form=SplitForm,
    words=_words,
    run=_run,
    keys=frozenset({"weights", "winner"}),
    malformed=_malformed,
    problems=_problems,
    ways={letter: letter.upper() for letter in LETTERS},  # type: ignore[misc]
    ways_of=_ways,
)
