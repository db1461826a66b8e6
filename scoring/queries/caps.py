"""Caps of groups and of the total: what they take or add at each moment, worked out over all rows of their group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5

from scoring.queries.rules import GROUPS
from scoring.queries.text import Text, array_sql

CAPPED = (*GROUPS, "total")
CAP_KEYS: dict[str, UUID] = {group: uuid5(NAMESPACE_URL, f"ripen:cap:{group}") for group in CAPPED}


@dataclass(frozen=True)
class CapEra:
    """The limits of a group, or of “total”, in hundredths, from a publication on (None: from the beginning) until the next era's."""

    group: str
    since: datetime | None
    least: int | None
    most: int | None


@dataclass(frozen=True)
class Tier:
    """Caps that are worked out side by side. `cap_of`: number of a rule or cap -> number of the cap it falls under."""

    name: str
    rows: str  # FROM … WHERE … of the rows (contact_id, number, at, flow, cap_held, times), sorted by contact
    more: Sequence[str]  # SELECT of further rows (contact_id, number, at, flow), few beside the others
    cap_of: Mapping[int, int]
    eras: Mapping[int, Sequence[CapEra]]  # number of a cap -> its eras, oldest first
    highest: int  # number there is


def add_tier(text: Text, tier: Tier) -> None:
    """WITH part <name> (contact_id, number, at, delta, held, times): where the caps of the tier change something, or the ledger says so.

    delta: what the cap takes or adds from that moment on; held: what the ledger's rows of the cap say. The many rows are summed
    by moment before the few come in, so that the order in which they come saves sorting them again.
    """
    # One cap alone needs no number to be told from others; with one era the level before follows from the sum itself.
    is_alone = len(tier.eras) == 1
    mine, number = ("contact_id", "") if is_alone else ("contact_id, number", f", {_cap_of(tier)} AS number")
    told = f"contact_id, {min(tier.eras)}::smallint AS number" if is_alone else mine
    is_one = all(len(eras) == 1 for eras in tier.eras.values())
    before = (
        _held("raw - flow", tier.eras) if is_one else f"lag(level, 1, 0::float8) OVER (PARTITION BY {mine} ORDER BY at)"
    )
    few = "".join(
        f" UNION ALL SELECT contact_id{number}, at, flow, NULL::float8 AS held, NULL::bigint AS times"
        f" FROM ({rows}) AS few(contact_id, number, at, flow) WHERE {_is_among(tier)}"
        for rows in tier.more
    )
    text.add(
        f"""
        {tier.name} AS (
            SELECT {told}, at, level - before AS delta, COALESCE(held, 0) AS held, times FROM (
                SELECT {mine}, at, held, times, level, {before} AS before FROM (
                    SELECT {mine}, at, held, times, flow, raw, {_held("raw", tier.eras)} AS level FROM (
                        SELECT {mine}, at, held, times, flow, sum(flow) OVER (PARTITION BY {mine} ORDER BY at) AS raw
                        FROM (
                            SELECT {mine}, at, COALESCE(sum(flow ORDER BY at), 0) AS flow, sum(held) AS held, max(times) AS times
                            FROM (
                                SELECT contact_id{number}, at, sum(flow ORDER BY at) AS flow, sum(cap_held) AS held,
                                       max(times) FILTER (WHERE cap_held IS NOT NULL) AS times
                                {tier.rows} AND {_is_among(tier)} GROUP BY {"1, 2" if is_alone else "1, 2, 3"}
                                {few}
                            ) every GROUP BY {mine}, at
                        ) moment
                    ) summed
                ) levelled OFFSET 0
            ) each WHERE level <> before OR held <> 0
        ),
        """
    )


def _cap_of(tier: Tier) -> str:
    """The number of the cap that a row's rule falls under."""
    cases = " ".join(
        f"WHEN number = ANY ({array_sql([n for n, found in sorted(tier.cap_of.items()) if found == cap], 'smallint')}) THEN {cap}::smallint"
        for cap in sorted(tier.eras)
    )
    return f"CASE {cases} END"


def _is_among(tier: Tier) -> str:
    """Said by those that are not: the planner takes every listed number for rare, and a short list of others for most."""
    others = sorted(set(range(1, tier.highest + 1)) - set(tier.cap_of))
    return f"number <> ALL ({array_sql(others, 'smallint')})" if others else "TRUE"


def _held(raw: str, caps: Mapping[int, Sequence[CapEra]]) -> str:
    """What the caps add to so many points: nothing between their ends."""
    if len(caps) == 1:
        return _by_time(raw, next(iter(caps.values())))
    cases = " ".join(f"WHEN {number} THEN {_by_time(raw, eras)}" for number, eras in sorted(caps.items()))
    return f"CASE number {cases} END"


def _by_time(raw: str, eras: Sequence[CapEra]) -> str:
    newest = " ".join(
        f"WHEN at >= '{era.since.isoformat()}'::timestamptz THEN {_ends(raw, era)}"
        for era in reversed(eras)
        if era.since is not None
    )
    first = next((_ends(raw, era) for era in eras if era.since is None), "0::float8")
    return f"CASE {newest} ELSE {first} END" if newest else first


def _ends(raw: str, era: CapEra) -> str:
    found = raw if era.least is None else f"GREATEST({raw}, {era.least}::float8)"
    found = found if era.most is None else f"LEAST({found}, {era.most}::float8)"
    return f"{found} - ({raw})"
