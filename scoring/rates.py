"""From inquiry to customer as rates, each beside the company's own target and its own average of the twelve months before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.utils.translation import gettext_lazy as _

from scoring import queries
from scoring.models import Benchmark
from scoring.queries import FunnelRow

# step -> (people who took it, people of the step before), as fields of a FunnelRow
STEPS = {
    Benchmark.Step.MQLS: ("mqls", "inquiries"),
    Benchmark.Step.ACCEPTED: ("accepted", "mqls"),
    Benchmark.Step.WON: ("won", "accepted"),
}
TITLES = {
    Benchmark.Step.MQLS: _("Inquiry → MQL"),
    Benchmark.Step.ACCEPTED: _("MQL → accepted"),
    Benchmark.Step.WON: _("Accepted → won"),
}
MONTHS = 12


@dataclass(frozen=True)
class Rate:
    """Percent of the people of one step who took the next; None of nobody."""

    step: str
    part: int
    whole: int
    target: Decimal | None
    average: float | None

    @property
    def title(self) -> str:
        return str(TITLES[Benchmark.Step(self.step)])

    @property
    def percent(self) -> float | None:
        return 100 * self.part / self.whole if self.whole else None

    @property
    def benchmark(self) -> float | None:
        """What the rate is held against: the target, else the company's own average."""
        return float(self.target) if self.target is not None else self.average

    @property
    def verdict(self) -> str:
        """above, below or even (within a tenth of the benchmark); empty where there is nothing to compare."""
        if self.percent is None or not self.benchmark:
            return ""
        share = self.percent / self.benchmark
        return "above" if share > 1.1 else "below" if share < 0.9 else "even"


@dataclass(frozen=True)
class RateRow:
    """One month or one source."""

    name: str
    people: FunnelRow
    rates: Sequence[Rate]


@dataclass(frozen=True)
class Rates:
    """All people of the period, each month, each source; `average` by step over the twelve whole months before this one."""

    everybody: RateRow
    months: Sequence[RateRow]
    sources: Sequence[RateRow]


def first_of_month(months_back: int, now: datetime, zone: ZoneInfo) -> datetime:
    """The beginning of the month so many months before this one."""
    here = now.astimezone(zone)
    number = here.year * 12 + here.month - 1 - months_back
    return datetime(number // 12, number % 12 + 1, 1, tzinfo=zone)


def targets() -> dict[str, Decimal]:
    return dict(Benchmark.objects.values_list("step", "percent"))


Counted = tuple[FunnelRow, list[FunnelRow], list[FunnelRow]]


def counted(*, now: datetime, zone: ZoneInfo) -> Counted:
    """Who came in during these thirteen months: all, by month, by source. One statement, a pass over them."""
    return queries.funnel(zone=zone.key, since=first_of_month(MONTHS, now, zone), until=now)


def rates(people: Counted, *, now: datetime, zone: ZoneInfo) -> Rates:
    """The shares of those who were counted, beside the targets of today. One statement."""
    everybody, months, sources = people
    this_month = f"{now.astimezone(zone):%Y-%m}"
    wanted, average = targets(), _average(row for row in months if row.name != this_month)
    return Rates(
        _row(everybody, wanted, average),
        [_row(row, wanted, average) for row in months],
        [_row(row, wanted, average) for row in sources],
    )


def _row(people: FunnelRow, wanted: Mapping[str, Decimal], average: Mapping[str, float | None]) -> RateRow:
    found = [
        Rate(str(step), getattr(people, part), getattr(people, whole), wanted.get(step), average[step])
        for step, (part, whole) in STEPS.items()
    ]
    return RateRow(people.name, people, found)


def _average(rows: Iterable[FunnelRow]) -> dict[str, float | None]:
    """step -> percent over all the months together, so that a month with three people does not count like one with three hundred."""
    listed = list(rows)
    found: dict[str, float | None] = {}
    for step, (part, whole) in STEPS.items():
        people = sum(getattr(row, whole) for row in listed)
        found[str(step)] = 100 * sum(getattr(row, part) for row in listed) / people if people else None
    return found
