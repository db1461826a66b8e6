"""One contact's account in one model: what stood at a moment, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from scoring import bant, queries
from scoring.caps import LABELS
from scoring.cards import number
from scoring.fields import lines_at
from scoring.grades import grade
from scoring.models import BantFact, LedgerGroup, LedgerRow, PointsGiven, Rule, ScoreModel, ScoreVersion
from scoring.queries import LedgerEntry, Lines
from scoring.words import CAUSES

Facet = BantFact.Facet
# A row that was recorded so much later than it counts from is marked: an old activity came late, or the model is younger than it.
LATE = timedelta(hours=1)


@dataclass(frozen=True)
class Line:
    """What one rule (or cap, or points given) changed at one moment, corrections included. `is_late`: recorded later than it counts from."""

    rule_key: UUID
    group: str
    points: Decimal
    counts_from: datetime
    cause: str
    recorded_at: datetime
    name: str

    @property
    def is_late(self) -> bool:
        return self.recorded_at - self.counts_from > LATE

    @property
    def cause_words(self) -> str:
        return str(CAUSES.get(self.cause, self.cause))


@dataclass(frozen=True)
class Reason:
    """A rule, a cap or points given that count at a moment."""

    name: str
    group: str
    points: Decimal
    since: datetime


@dataclass(frozen=True)
class Account:
    """The rows that count at a moment, their sums, and the grade by the lines that were live then. total = sum of rows."""

    model: ScoreModel
    at: datetime
    rows: list[Line]
    lines: Lines

    @property
    def total(self) -> Decimal:
        return sum((row.points for row in self.rows), Decimal(0))

    @property
    def groups(self) -> dict[str, Decimal]:
        """Points of each group of rules after its cap; points given and the cap of the total where they are something."""
        sums = dict.fromkeys((*Rule.Group.values, *LedgerGroup.values), Decimal(0))
        for row in self.rows:
            sums[row.group] += row.points
        return {group: points for group, points in sums.items() if points or group in Rule.Group.values}

    @property
    def reasons(self) -> list[Reason]:
        """What counts at the moment, the most points first; each since it last began to count."""
        sums: dict[UUID, Decimal] = defaultdict(Decimal)
        since: dict[UUID, Line] = {}
        for row in self.rows:
            if sums[row.rule_key] == 0:
                since[row.rule_key] = row
            sums[row.rule_key] += row.points
        found = [
            Reason(since[key].name, since[key].group, points, since[key].counts_from)
            for key, points in sums.items()
            if points
        ]
        return sorted(found, key=lambda reason: (-reason.points, reason.name))

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
                    "rule": row.name,
                    "cause": row.cause,
                    "counts_from": _iso(row.counts_from),
                    "recorded_at": _iso(row.recorded_at),
                    "recorded_later": row.is_late,
                }
                for row in self.rows
            ],
        }


def account(contact_id: int, *, model: ScoreModel, at: datetime) -> Account:
    """See accounts."""
    return accounts(contact_id, model=model, moments=[at])[0]


def accounts(contact_id: int, *, model: ScoreModel, moments: Sequence[datetime]) -> list[Account]:
    """One for each moment. Three statements, four where points were given.

    A rule is called what it was called in the version live at that moment.
    """
    published = ScoreVersion.objects.filter(model=model, published_at__isnull=False).order_by("published_at", "number")
    history = [
        (version.published_at, Lines(tuple(version.fit_lines), tuple(version.behaviour_lines)))
        for version in published
        if version.published_at is not None
    ]
    rules = (
        Rule.objects.filter(version__in=published)
        .order_by("version__published_at", "version__number")
        .values_list("key", "name", "version__published_at")
    )
    called = [(key, name, since) for key, name, since in rules if since is not None]
    rows = queries.ledger_of([contact_id], model_id=model.pk, at=max(moments))[contact_id]
    others = other_names(contact_id, rows, model.slug)
    found = []
    for at in moments:
        names = _names_at(at, called) | others
        by_then = [row for row in rows if row.counts_from <= at]
        found.append(Account(model=model, at=at, rows=folded(by_then, names), lines=lines_at(history, at)))
    return found


def _names_at(at: datetime, called: Iterable[tuple[UUID, str, datetime]]) -> dict[UUID, str]:
    """Rule -> its name at a moment; the first one of a rule that came later. `called`: rule, name, since when, oldest first."""
    names: dict[UUID, str] = {}
    for key, name, since in called:
        if key not in names or since <= at:
            names[key] = name
    return names


def folded(rows: Sequence[LedgerEntry], names: Mapping[UUID, str]) -> list[Line]:
    """One line per rule and moment: a correction and what it corrects are added up, and left out when nothing remains."""
    sums: dict[tuple[datetime, UUID], list[LedgerEntry]] = defaultdict(list)
    for row in rows:
        sums[row.counts_from, row.rule_key].append(row)
    lines = []
    for (moment, key), together in sums.items():
        points = sum((row.points for row in together), Decimal(0))
        last = max(together, key=lambda row: row.recorded_at)
        if points:
            lines.append(
                Line(key, last.group, points, moment, last.cause, last.recorded_at, names.get(key) or _("a rule"))
            )
    return sorted(lines, key=lambda line: (line.counts_from, -line.points, line.name))


def other_names(contact_id: int, rows: Iterable[LedgerEntry], slug: str) -> dict[UUID, str]:
    """What is no rule of a version by name: BANT, caps, points given."""
    names = {bant.rule_key(slug, facet): str(bant.LABELS[Facet(facet)]) for facet in bant.FACETS}
    return names | cap_and_given_names(contact_id, rows)


def cap_and_given_names(contact_id: int, rows: Iterable[LedgerEntry | LedgerRow]) -> dict[UUID, str]:
    """Caps, and the points given to a contact. One statement where there are such."""
    names = {key: str(_("Cap: %(group)s") % {"group": LABELS[group]}) for group, key in queries.CAP_KEYS.items()}
    if any(row.group == LedgerGroup.GIVEN for row in rows):
        for given in PointsGiven.objects.filter(contact=contact_id):
            names[given.key] = given_in_words(given)
    return names


def given_in_words(given: PointsGiven) -> str:
    """“By hand: met at the fair”, “Program welcome”."""
    kind, _colon, program = given.cause.partition(":")
    by = _("Program “%(program)s”") % {"program": program} if kind == "program" and program else _("By hand")
    return f"{by}: {given.reason}" if given.reason else str(by)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
