"""What came of a simulation, as one document: totals, days, hours, steps, limits that were hit, ends that lead nowhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from leads.workspace import zone
from nurture import tree
from nurture.models import EntryPlace
from nurture.queries import StepCount
from nurture.simulation import queries

if TYPE_CHECKING:
    from nurture.simulation.run import World

SERIES = ("entered", "mails", "opens", "clicks", "answers", "hand_offs", "ends")
BUSIEST = 6


def collect(world: World) -> dict[str, Any]:
    """What one part of the people did. Five statements over the simulation's tables."""
    handing = [step.id for step in tree.check(world.version.tree).walk() if step.kind == "hand_to_sales"]
    program, since = world.program.pk, world.began_at
    days: dict[str, dict[str, int]] = {}
    for what, day, number in queries.by_day(
        program, since=since, until=world.ends_at, zone=str(zone()), handing=handing
    ):
        days.setdefault(day, {})[what] = number
    numbers: dict[str, dict[str, int]] = {}
    for step, outcome, number in queries.step_numbers(world.version.pk):
        numbers.setdefault(step, {})[outcome] = number
    return {
        "began_at": since.isoformat(),
        "ends_at": world.ends_at.isoformat(),
        "beats": world.beats,
        "totals": queries.totals(program, since=since),
        "days": days,
        "hours": {at.isoformat(): number for at, number in queries.by_hour(program, since=since)},
        "steps": numbers,
        "not_sent": dict(queries.not_sent(program, since=since)),
        "delays": dict(world.delays),
        "waiting_to_enter": EntryPlace.objects.filter(program=program).count(),
    }


def together(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The parts as one result: numbers add up."""
    found = parts[0]
    for part in parts[1:]:
        found = _sum(found, part)
    days = found["days"]
    found["totals"] |= {what: sum(day.get(what, 0) for day in days.values()) for what in SERIES}
    found["hours"] = sorted(found["hours"].items(), key=lambda hour: (-hour[1], hour[0]))[:BUSIEST]
    return found


def _sum(one: Any, other: Any) -> Any:
    if isinstance(one, dict):
        return {
            key: _sum(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in [*one, *(key for key in other if key not in one)]
        }
    return one + other if isinstance(one, int) else one


# --- Read again ----------------------------------------------------------------------------------------------------------


def step_counts(result: Mapping[str, Any]) -> dict[str, StepCount]:
    """Step -> its numbers, as the canvas shows them."""
    found = {}
    for step, outcomes in result.get("steps", {}).items():
        passed = {key: number for key, number in outcomes.items() if key not in ("here", "parked")}
        found[step] = StepCount(
            here=outcomes.get("here", 0), parked=outcomes.get("parked", 0), passed=sum(passed.values()), outcomes=passed
        )
    return found
