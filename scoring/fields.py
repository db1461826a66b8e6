"""The fields “score.<model>.total” and its like in the rule language, one family read from the score models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.models import Mark
from scoring import queries
from scoring.grades import GRADES, grade
from scoring.models import DEFAULT_BEHAVIOUR_LINES, DEFAULT_FIT_LINES, ScoreModel, ScoreVersion
from scoring.queries import Lines
from segments.conditions.facts import Facts
from segments.conditions.fields import Catalogue, Family, Field, Scope, register_family
from segments.conditions.fragment import Sql
from segments.conditions.periods import Moment

GROUP = gettext_lazy("Score")
PREFIX = "score."
PARTS = {
    "total": gettext_lazy("points"),
    "fit": gettext_lazy("fit points"),
    "behaviour": gettext_lazy("behaviour points"),
    "negative": gettext_lazy("negative points"),
    "bant": gettext_lazy("BANT points"),
}
FACETS = frozenset({int(Mark.Facet.DEFINITION)})


def register() -> None:
    register_family(Family(PREFIX, load=load, stamp=queries.publications_stamp))


def load(_catalogue: Catalogue) -> Mapping[str, Field]:
    """key -> field of every model in use. Two statements."""
    history: dict[int, list[tuple[datetime, Lines]]] = defaultdict(list)
    versions = ScoreVersion.objects.filter(published_at__isnull=False, model__archived_at=None).order_by("published_at")
    for version in versions:
        assert version.published_at is not None
        history[version.model_id].append(
            (version.published_at, Lines(tuple(version.fit_lines), tuple(version.behaviour_lines)))
        )
    found: dict[str, Field] = {}
    for model in ScoreModel.objects.in_use():
        for part, label in PARTS.items():
            found[f"{PREFIX}{model.slug}.{part}"] = _points(model, part, label)
        found[f"{PREFIX}{model.slug}.grade"] = _grade(model, history[model.pk])
    return found


def lines_at(history: Sequence[tuple[datetime, Lines]], at: datetime) -> Lines:
    """Those of the version live at that moment; before the first publication, the first."""
    lived = [lines for since, lines in history if since <= at] or [lines for _since, lines in history[:1]]
    if lived:
        return lived[-1]
    return Lines(
        tuple(Decimal(line) for line in DEFAULT_FIT_LINES), tuple(Decimal(line) for line in DEFAULT_BEHAVIOUR_LINES)
    )


def _points(model: ScoreModel, part: str, label: Any) -> Field:
    sums = (
        "COALESCE(sum(l.points), 0)"
        if part == "total"
        else f"COALESCE(sum(l.points) FILTER (WHERE l.\"group\" = '{part}'), 0)"
    )

    def value(facts: Facts, as_type: str, moment: Moment) -> Decimal:
        return _sums(facts, model.pk, moment.at)[part]

    return Field(
        key=f"{PREFIX}{model.slug}.{part}",
        type="number",
        label=_label(model, label),
        group=GROUP,
        sql=_as_of(model.pk, f"s.{part}", sums, "0"),
        value=value,
        help=_("Sum of the ledger rows that count by then."),
        facets=FACETS,
    )


def _grade(model: ScoreModel, history: Sequence[tuple[datetime, Lines]]) -> Field:
    def sql(as_type: str, scope: Scope) -> Sql:
        lines = lines_at(history, scope.moment.at)
        nobody = grade(Decimal(0), Decimal(0), lines.fit, lines.behaviour)
        stored = queries.grade_sql("s.fit * 100", "s.behaviour * 100", lines)
        cut = queries.grade_sql(
            "COALESCE(sum(l.points) FILTER (WHERE l.\"group\" = 'fit'), 0) * 100",
            "COALESCE(sum(l.points) FILTER (WHERE l.\"group\" = 'behaviour'), 0) * 100",
            lines,
        )
        return _as_of(model.pk, stored, cut, f"'{nobody}'")(as_type, scope)

    def value(facts: Facts, as_type: str, moment: Moment) -> str:
        lines = lines_at(history, moment.at)
        sums = _sums(facts, model.pk, moment.at)
        return grade(sums["fit"], sums["behaviour"], lines.fit, lines.behaviour)

    return Field(
        key=f"{PREFIX}{model.slug}.grade",
        type="choice",
        label=_label(model, _("grade")),
        group=GROUP,
        sql=sql,
        value=value,
        choices=lambda: [(one, one) for one in GRADES],
        is_closed=True,
        help=_("A to D for fit, 1 to 4 for behaviour."),
        facets=FACETS,
    )


def _label(model: ScoreModel, part: Any) -> str:
    return _("%(model)s: %(part)s") % {"model": model.name, "part": part}


def _as_of(model_id: int, stored: str, cut: str, nobody: str) -> Callable[[str, Scope], Sql]:
    """A value from the stored sums where they hold at the moment, else from the ledger rows that count by then.

    Two steps down primary keys for each contact, one for nearly all of them.
    """

    def sql(as_type: str, scope: Scope) -> Sql:
        at = scope.moment.at
        return Sql(
            f"COALESCE((SELECT CASE WHEN s.computed_at <= %s::timestamptz THEN {stored} ELSE (SELECT {cut} FROM scoring_ledgerrow l"
            " WHERE l.contact_id = contact.id AND l.model_id = %s AND l.counts_from <= %s::timestamptz) END"
            f" FROM scoring_score s WHERE s.contact_id = contact.id AND s.model_id = %s), {nobody})",
            (at, model_id, at, model_id),
        )

    return sql


def _sums(facts: Facts, model_id: int, at: datetime) -> dict[str, Decimal]:
    """The ledger rows of one contact that count by then, added up; read once per contact and moment."""
    place = ("score", model_id, at)
    if place not in facts.kept:
        sums = dict.fromkeys(PARTS, Decimal(0))
        for row in queries.ledger_of([facts.id], model_id=model_id, at=at)[facts.id]:
            sums["total"] += row.points
            if row.group in sums:  # points given and the cap of the total are no group of their own
                sums[row.group] += row.points
        facts.kept[place] = sums
    found: dict[str, Decimal] = facts.kept[place]
    return found
