"""One contact's account in one model: what stood at a moment, row by row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from scoring import queries
from scoring.cards import number
from scoring.fields import lines_at
from scoring.grades import grade
from scoring.models import Rule, ScoreModel, ScoreVersion
from scoring.queries import LedgerEntry, Lines


@dataclass(frozen=True)
class Account:
    """The rows that count at a moment, their sums, and the grade by the lines that were live then. total = sum of rows."""

    model: ScoreModel
    at: datetime
    rows: list[LedgerEntry]
    names: Mapping[UUID, str]
    lines: Lines

    @property
    def total(self) -> Decimal:
        return sum((row.points for row in self.rows), Decimal(0))

    @property
    def groups(self) -> dict[str, Decimal]:
        sums = dict.fromkeys(Rule.Group.values, Decimal(0))
        for row in self.rows:
            sums[row.group] += row.points
        return sums

    @property
    def grade(self) -> str:
        groups = self.groups
        return grade(groups["fit"], groups["behaviour"], self.lines.fit, self.lines.behaviour)

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model.slug,
            "at": _iso(self.at),
            "total": number(self.total),
            "grade": self.grade,
            "groups": {group: number(points) for group, points in self.groups.items()},
            "rows": [
                {
                    "points": number(row.points),
                    "rule": self.names.get(row.rule_key, str(row.rule_key)),
                    "cause": row.cause,
                    "counts_from": _iso(row.counts_from),
                }
                for row in self.rows
            ],
        }


def account(contact_id: int, *, model: ScoreModel, at: datetime) -> Account:
    """Three statements. A rule is called what it was called in the version live at that moment, else as its newest version says."""
    published = ScoreVersion.objects.filter(model=model, published_at__isnull=False).order_by("published_at", "number")
    history = [
        (version.published_at, Lines(tuple(version.fit_lines), tuple(version.behaviour_lines)))
        for version in published
        if version.published_at is not None
    ]
    names: dict[UUID, str] = {}
    rules = (
        Rule.objects.filter(version__in=published)
        .select_related("version")
        .order_by("version__published_at", "version__number")
    )
    for rule in rules:
        if rule.key not in names or (rule.version.published_at is not None and rule.version.published_at <= at):
            names[rule.key] = rule.name
    return Account(
        model=model,
        at=at,
        rows=queries.ledger_of([contact_id], model_id=model.pk, at=at)[contact_id],
        names=names,
        lines=lines_at(history, at),
    )


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
