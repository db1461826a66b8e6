"""Which variant of a broadcast goes to the rest: by opens, clicks or a condition, once each reached enough people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from nurture.broadcasts import queries
from nurture.lift import Lift, compare
from nurture.models import Broadcast
from nurture.queries_around import Arm
from nurture.tracking.queries import Scope, people_by_template
from segments import conditions

LOOK_EVERY = timedelta(minutes=10)


def looks_at(broadcast: Broadcast) -> datetime | None:
    """When the rule first looks; None while the test is on its way, or there is none."""
    if broadcast.tested_at is None or broadcast.winner_hours is None:
        return None
    return broadcast.tested_at + timedelta(hours=broadcast.winner_hours)


def arms(broadcast: Broadcast, now: datetime) -> dict[str, Arm]:
    """Variant -> people who count, and for how many of them it worked. One statement; for a condition two for each variant.

    Opens and clicks: of those whose opens and clicks are noted. A condition: of all whom the mail reached.
    """
    variants = list(broadcast.variants.all())
    if broadcast.winner_by == Broadcast.WinnerBy.CONDITION:
        rule, moment = conditions.check(broadcast.winner_conditions), conditions.moment(now)
        found = {}
        for variant in variants:
            readers = queries.readers_of(broadcast.pk, variant.template_id)
            met = conditions.match_ids(rule, moment, contacts=readers, stored=True) if readers else []
            found[variant.key] = Arm(len(readers), len(met))
        return found
    return by_response(broadcast, people_by_template(Scope(broadcast_id=broadcast.pk)))


def by_response(broadcast: Broadcast, people: Mapping[int, Mapping[str, int]]) -> dict[str, Arm]:
    """Variant -> people whose opens and clicks are noted, and how many opened or clicked. `people`: template -> number -> people."""
    which = "clicked" if broadcast.winner_by == Broadcast.WinnerBy.CLICKS else "opened"
    numbers = {variant.key: people.get(variant.template_id, {}) for variant in broadcast.variants.all()}
    return {
        key: Arm(tracked, min(tracked, row.get(which, 0)))
        for key, row in numbers.items()
        for tracked in [row.get("tracked", 0)]
    }


def best_of(found: Mapping[str, Arm], *, at_least: int) -> str:
    """The variant with the largest share; empty while one of them reached too few. Of equals the first by letter."""
    if not found or any(arm.people < max(1, at_least) for arm in found.values()):
        return ""
    return min(found, key=lambda key: (-found[key].reached / found[key].people, key))


def lead(found: Mapping[str, Arm]) -> tuple[str, Lift] | None:
    """The best variant, and how it stands beside the second best; None while fewer than two have reached anybody who counts."""
    ranked = sorted(
        (key for key in found if found[key].people), key=lambda key: (-found[key].reached / found[key].people, key)
    )
    if len(ranked) < 2:
        return None
    lift = compare(found[ranked[0]], found[ranked[1]])
    return (ranked[0], lift) if lift is not None else None
