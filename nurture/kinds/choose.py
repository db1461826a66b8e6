"""Several ways, by conditions: the first that holds for a person decides; everybody else goes the last way."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker
from nurture.kinds.branch import condition_faults, condition_problems
from segments import conditions
from segments.builder import ConditionsField

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as Words
else:
    Words = str

LETTERS = tuple(string.ascii_lowercase[:5])
AT_FIRST = LETTERS[:2]
ELSE = "else"
LONGEST_NAME = 30  # stands on the canvas, above the way
EVERYBODY_ELSE = gettext_lazy("Everybody else")


def rules_of(values: Mapping[str, Any]) -> list[Any]:
    """The conditions of the ways, in their order; none for a step of another kind."""
    when = values.get("when")
    return [when[letter] for letter in sorted(when)] if isinstance(when, dict) else []


def _letters(values: Mapping[str, Any]) -> list[str]:
    """The ways that have a condition or a name; two where nothing is said yet."""
    said = [part for key in ("when", "names") if isinstance(part := values.get(key), dict)]
    return sorted(set(LETTERS) & {letter for part in said for letter in part}) or list(AT_FIRST)


def _label(values: Mapping[str, Any], letter: str) -> str:
    names = values.get("names")
    name = names.get(letter) if isinstance(names, dict) else ""
    return f"{letter.upper()} · {name}" if name else letter.upper()


def _ways(values: Mapping[str, Any]) -> Mapping[str, Words]:
    found: dict[str, Any] = {letter: _label(values, letter) for letter in _letters(values)}
    return found | {ELSE: EVERYBODY_ELSE}


def _words(values: Mapping[str, Any], names: Names) -> str:
    when = values.get("when") or {}
    said = [f"{_label(values, letter)}: {_sentence(when.get(letter))}" for letter in _letters(values)]
    return _("The first that holds: %(ways)s; everybody else") % {"ways": "; ".join(said)}


def _sentence(document: Any) -> str:
    if not document:
        return "…"
    try:
        return conditions.sentence(conditions.check(document))
    except conditions.BadConditions:
        return _("… (the conditions no longer fit)")


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in ("when", "names"):
        part = values.get(key)
        if part is not None and (not isinstance(part, dict) or set(part) - set(LETTERS)):
            yield key, _("expected one to five ways, such as {“a”: …, “b”: …}")
            return
    for letter, document in sorted((values.get("when") or {}).items()):
        for path, message in condition_faults({"conditions": document}):
            yield f"when.{letter}{path.removeprefix('conditions')}", message
    for letter, name in sorted((values.get("names") or {}).items()):
        if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME:
            yield f"names.{letter}", _("expected a text of at most %(longest)d characters") % {"longest": LONGEST_NAME}


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    when = values.get("when") or {}
    for letter in _letters(values):
        missing = _("The way %(way)s has no condition.") % {"way": letter.upper()}
        yield from condition_problems({"conditions": when.get(letter)}, missing)


def _run(group: Group) -> dict[str, list[Walker]]:
    """One statement for each way, over those whom no way before took."""
    moment, open_ones = conditions.moment(group.now), list(group.walkers)
    outcomes: dict[str, list[Walker]] = {}
    for letter, document in sorted(group.step.values["when"].items()):
        rule = conditions.check(document)
        contact_ids = [walker.contact_id for walker in open_ones]
        met = set(conditions.match_ids(rule, moment, contacts=contact_ids, stored=True)) if contact_ids else set()
        outcomes[letter] = [walker for walker in open_ones if walker.contact_id in met]
        open_ones = [walker for walker in open_ones if walker.contact_id not in met]
    return outcomes | {ELSE: open_ones}


class ChooseForm(StepForm):
    """A name and conditions for each way; one more than there are is offered. A way with neither is none."""

    name_a, name_b, name_c, name_d, name_e = (
        forms.CharField(
            label=gettext_lazy("Name of %(way)s") % {"way": letter.upper()}, max_length=LONGEST_NAME, required=False
        )
        for letter in LETTERS
    )
    when_a, when_b, when_c, when_d, when_e = (
        ConditionsField(label=gettext_lazy("Go the way %(way)s when") % {"way": letter.upper()}, required=False)
        for letter in LETTERS
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = self.data if self.is_bound else self.initial
        named = [
            place for place, letter in enumerate(LETTERS) if f"when_{letter}" in known or f"name_{letter}" in known
        ]
        shown = max(named, default=0) + (1 if self.is_bound else 2)
        for letter in LETTERS[max(shown, len(AT_FIRST)) :]:
            del self.fields[f"name_{letter}"], self.fields[f"when_{letter}"]
        self.order_fields([f"{what}_{letter}" for letter in LETTERS for what in ("name", "when")])

    @classmethod
    def initial_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        parts = {"when": values.get("when") or {}, "name": values.get("names") or {}}
        return {f"{what}_{letter}": value for what, part in parts.items() for letter, value in part.items()}

    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, what in (("when", "when"), ("names", "name")):
            part = {letter: value for letter in LETTERS if (value := self.cleaned_data.get(f"{what}_{letter}"))}
            found |= {key: part} if part else {}
        return found


CHOOSE = Kind(
    key="choose",
    label=gettext_lazy("Several ways"),
    help=gettext_lazy("The first of some conditions that holds decides; everybody else goes the last way."),
    icon="binary-tree",
    colour="purple",
    form=ChooseForm,
    words=_words,
    run=_run,
    keys=frozenset({"when", "names"}),
    malformed=_malformed,
    problems=_problems,
    ways={**{letter: letter.upper() for letter in LETTERS}, ELSE: EVERYBODY_ELSE},  # type: ignore[misc]
    ways_of=_ways,
)
