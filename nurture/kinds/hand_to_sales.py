"""Hand people to sales: an entry in the MQL queue with its reasons, whatever their points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from nurture import queries
from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from scoring.actions import hand_over


def _words(values: Mapping[str, Any], names: Names) -> str:
    if (slug := values.get("model")) and len(names.score_models) > 1:
        model = names.score_models.get(slug)
        return _("Hand to sales by “%(model)s”") % {"model": model.name if model else slug}
    return _("Hand to sales")


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    slug = values.get("model")
    if slug and slug not in names.score_models:
        yield _("The score model “%(slug)s” does not exist any more.") % {"slug": slug}, True
    elif not names.score_models:
        yield _("There is no score model yet: the queue needs one for the reasons on its cards."), True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "model", 100)


def _run(group: Group) -> dict[str, list[Walker]]:
    models = group.names.score_models
    slug = group.step.values.get("model")
    model = models.get(slug) if slug else next((row for row in models.values() if row.is_default), None)
    if model is None:
        raise LookupError(_("There is no score model to hand over by."))
    waiting = queries.open_hand_offs(group.contact_ids, model_id=model.pk)
    hand_over(group.contact_ids, model=model, cause=group.cause, now=group.now, force=True)
    handed = queries.open_hand_offs(group.contact_ids, model_id=model.pk) - waiting
    outcomes: dict[str, list[Walker]] = {"done": [], "already_there": [], "not_handed": []}
    for walker in group.walkers:
        outcome = (
            "done" if walker.contact_id in handed else "already_there" if walker.contact_id in waiting else "not_handed"
        )
        outcomes[outcome].append(walker)
    return outcomes


class HandToSalesForm(StepForm):
    model = forms.ChoiceField(label=gettext_lazy("Score model whose reasons stand on the card"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("the default model"))]
        choices += [(slug, row.name) for slug, row in self.names.score_models.items()]
        self.fields["model"].choices = choices  # type: ignore[attr-defined]


HAND_TO_SALES = Kind(
    key="hand_to_sales",
    label=gettext_lazy("Hand to sales"),
    help=gettext_lazy("An entry in the MQL queue, with the reasons."),
    icon="heart-handshake",
    colour="green",
    form=HandToSalesForm,
    words=_words,
    run=_run,
    keys=frozenset({"model"}),
    malformed=_malformed,
    problems=_problems,
    outcomes={
        "already_there": gettext_lazy("already in the queue"),
        "not_handed": gettext_lazy("not handed over: with sales already, or answered for the same reasons"),
    },
)
