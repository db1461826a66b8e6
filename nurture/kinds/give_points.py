"""Give people points in a score model, or take some: a row of the ledger with the program as its cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from nurture.kinds.base import Group, Kind, Names, StepForm, Walker, is_text
from scoring.actions import give_points
from scoring.actions.giving import MOST_GIVEN
from scoring.words import shown

MOST_DAYS = 3_650


def _words(values: Mapping[str, Any], names: Names) -> str:
    if not _is_number(values.get("points")):
        return _("Give points")
    words = _("Give %(points)s points") % {"points": shown(values["points"], sign=True)}
    if (slug := values.get("model")) and len(names.score_models) > 1:
        model = names.score_models.get(slug)
        words = _("%(words)s in “%(model)s”") % {"words": words, "model": model.name if model else slug}
    if days := values.get("days"):
        words += " " + ngettext("for %(days)s day", "for %(days)s days", days) % {"days": days}
    return words


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not values.get("points"):
        yield _("The step does not say how many points."), True
    slug = values.get("model")
    if slug and slug not in names.score_models:
        yield _("The score model “%(slug)s” does not exist any more.") % {"slug": slug}, True
    elif not names.score_models:
        yield _("There is no score model yet to give points in."), True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "model", 100)
    points, days = values.get("points"), values.get("days")
    if points is not None and not (_is_number(points) and abs(points) <= MOST_GIVEN):
        yield "points", _("expected a number of at most %(most)s, either way") % {"most": f"{MOST_GIVEN:,}"}
    if days is not None and not (type(days) is int and 1 <= days <= MOST_DAYS):
        yield "days", _("expected a whole number of days from 1 to %(most)s") % {"most": f"{MOST_DAYS:,}"}


def _run(group: Group) -> dict[str, list[Walker]]:
    models = group.names.score_models
    slug = group.step.values.get("model")
    model = models.get(slug) if slug else next((row for row in models.values() if row.is_default), None)
    if model is None:
        raise LookupError(_("There is no score model to give points in."))
    days = group.step.values.get("days")
    give_points(
        group.contact_ids,
        model=model,
        points=Decimal(str(group.step.values["points"])),
        cause=group.cause,
        expires_at=group.now + timedelta(days=days) if days else None,
        now=group.now,
    )
    return group.done()


class GivePointsForm(StepForm):
    points = forms.DecimalField(
        label=gettext_lazy("Points"),
        required=False,
        max_digits=7,
        decimal_places=2,
        min_value=-MOST_GIVEN,
        max_value=MOST_GIVEN,
        help_text=gettext_lazy("Below zero takes points away."),
    )
    model = forms.ChoiceField(label=gettext_lazy("Score model"), required=False)
    days = forms.IntegerField(
        label=gettext_lazy("For so many days"),
        required=False,
        min_value=1,
        max_value=MOST_DAYS,
        help_text=gettext_lazy("Empty: for good."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", _("the default model"))]
        choices += [(slug, row.name) for slug, row in self.names.score_models.items()]
        self.fields["model"].choices = choices  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        """Points as a JSON number."""
        found = super().values()
        if "points" in found:
            points = found["points"]
            found["points"] = int(points) if points == points.to_integral_value() else float(points)
        return found


GIVE_POINTS = Kind(
    key="give_points",
    label=gettext_lazy("Give points"),
    help=gettext_lazy("A visible row in the score, for good or for some days."),
    icon="circle-plus-minus",
    colour="green",
    form=GivePointsForm,
    words=_words,
    run=_run,
    keys=frozenset({"points", "model", "days"}),
    malformed=_malformed,
    problems=_problems,
)
