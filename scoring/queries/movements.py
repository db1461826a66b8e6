"""What activities give under rules per occurrence: every activity times the steps that its points go through, in one search.

Rules are rows: one pass over the activities, joined to the list of steps by kind (LIMITS, “What decides everything”). The list
stands in the join as VALUES, since a fenced one would forbid parallel workers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from scoring.queries.text import Text, values_sql
from segments.conditions import Chosen, Sql

CAUSES = (
    "activity",
    "lapsed",
    "decayed",
    "corrected",
    "capped",
    "given",
    "given_lapsed",
    "version_published",
    "rule_removed",
    "points_changed",
    "rule_met",
    "rule_no_longer_met",
)
CODES = {cause: code for code, cause in enumerate(CAUSES, start=1)}  # as they travel in statements
ALWAYS, NEVER = "-infinity", "infinity"


@dataclass(frozen=True)
class Era:
    """How a rule per occurrence counted between two publications. None: from the beginning; until now.

    `steps`: (after the activity, change in hundredths, cause). `chosen`: the activities; None when there can be none.
    """

    key: UUID
    group: str
    chosen: Chosen | None
    steps: tuple[tuple[timedelta, int, str], ...]
    first_n: int | None = None
    cap: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    since_cause: str = "version_published"
    until_cause: str = "rule_removed"


@dataclass(frozen=True)
class Stretch:
    """A time in which the rule with this number counted in one way, or (era None) no activity counted. `cause` of what changes at `since`."""

    number: int
    since: datetime | None
    until: datetime | None
    era: Era | None
    cause: str


def stretches_of(numbers: Mapping[UUID, int], eras: Sequence[Era]) -> list[Stretch]:
    """All times of every key without a gap, in the order of the numbers and of time; the place in this list, from 1, names a stretch."""
    found: list[Stretch] = []
    for key, number in sorted(numbers.items(), key=lambda item: item[1]):
        since: datetime | None = None
        cause = "version_published"
        is_open = True
        for era in (era for era in eras if era.key == key):
            if era.since is not None and era.since != since:
                found.append(Stretch(number, since, era.since, None, cause))
            found.append(Stretch(number, era.since, era.until, era, era.since_cause))
            since, cause, is_open = era.until, era.until_cause, era.until is not None
        if is_open:
            found.append(Stretch(number, since, None, None, cause))
    return found


def movements_sql(stretches: Sequence[Stretch], contacts: Sequence[int] | None) -> Sql | None:
    """SELECT (contact_id, number, stretch, at, change, activity, rank) of all changes, before caps and without an end; None for none.

    What happened before a stretch began counts from its beginning; where one ends, a row of nothing starts the next.
    rank: 1 something happened, 2 it lapsed, 3 it decayed; null: an earlier activity counts from the beginning of the stretch.
    """
    places = [(place, one, one.era) for place, one in enumerate(stretches, start=1) if one.era is not None]
    free = [(place, one, era) for place, one, era in places if era.chosen is not None and era.first_n is None]
    firsts = [(place, one, era) for place, one, era in places if era.chosen is not None and era.first_n is not None]
    parts = []
    if free:
        parts.append(_of_all(free, contacts))
    parts += [_of_the_first(placed, contacts) for placed in firsts]
    if not parts:
        return None
    return Sql(" UNION ALL ".join(part.text for part in parts), tuple(value for part in parts for value in part.params))


STEP = ("number", "stretch", "since", "until", "after", "fixed", "change", "rank")
STEP_TYPES = ("smallint", "smallint", "timestamptz", "timestamptz", "interval", "timestamptz", "float8", "smallint")
Placed = tuple[int, Stretch, Era]


def _of_all(places: Sequence[Placed], contacts: Sequence[int] | None) -> Sql:
    """Every activity counts: one pass for all such stretches, joined by kind; what else a rule asks is asked of its kinds only."""
    sources: list[Chosen] = []
    rows: list[tuple[object, ...]] = []
    for place, stretch, era in places:
        assert era.chosen is not None
        if era.chosen not in sources:
            sources.append(era.chosen)
        source = sources.index(era.chosen) + 1
        for step in _steps(place, stretch, era):
            rows += [(kind, source, *step) for kind in era.chosen.kinds or (None,)]
    table = _kinds_of(values_sql(rows, ("smallint", "smallint", *STEP_TYPES)), rows)
    tests = [(number, one.condition) for number, one in enumerate(sources, start=1) if one.condition]
    text = Text()
    text.add(_columns(places, "activity.occurred_at", "activity.id") + " FROM leads_activity activity")
    text.put(table, "JOIN (", f") AS step(kind, source, {', '.join(STEP)}) ON step.kind = activity.kind_id")
    if tests:
        text.add("AND CASE step.source")
        for number, condition in tests:
            text.put(condition, f"WHEN {number} THEN (", ") IS TRUE")
        text.add("ELSE TRUE END")
    _add_where(text, places, "activity.occurred_at", contacts)
    return text.sql


def _kinds_of(table: Sql, rows: Sequence[Sequence[object]]) -> Sql:
    """The list of steps; where a rule counts activities of any kind, its steps once for each kind."""
    if all(row[0] is not None for row in rows):
        return table
    columns = f"source, {', '.join(STEP)}"
    return Sql(
        f"SELECT kind.id, {columns} FROM ({table.text}) AS listed(kind, {columns})"
        " JOIN leads_activitykind kind ON listed.kind IS NULL OR listed.kind = kind.id",
        table.params,
    )


def _of_the_first(placed: Placed, contacts: Sequence[int] | None) -> Sql:
    """Only the first few activities of a contact count: they are numbered before."""
    place, stretch, era = placed
    assert era.chosen is not None
    text = Text()
    text.add(_columns([placed], "first.at", "first.id"))
    text.add(
        "FROM (SELECT activity.contact_id, activity.occurred_at AS at, activity.id, row_number() OVER"
        " (PARTITION BY activity.contact_id ORDER BY activity.occurred_at, activity.id) AS place"
        " FROM leads_activity activity WHERE"
    )
    text.put(activities_sql(era.chosen))
    _add_contacts(text, "activity.contact_id", contacts)
    text.add(") AS first(contact_id, at, id, place) JOIN (")
    text.put(values_sql(_steps(place, stretch, era), STEP_TYPES))
    text.add(f") AS step({', '.join(STEP)}) ON first.place <= %s", era.first_n)
    _add_where(text, [placed], "first.at", None)
    return text.sql


def activities_sql(chosen: Chosen) -> Sql:
    """The activities as one condition on the alias `activity`."""
    text = Text()
    text.add("TRUE")
    if chosen.kinds is not None:
        text.add("AND activity.kind_id = ANY (%s::smallint[])", list(chosen.kinds))
    if chosen.condition is not None:
        text.put(chosen.condition, "AND (", ") IS TRUE")
    return text.sql


def _steps(place: int, stretch: Stretch, era: Era) -> list[tuple[object, ...]]:
    """Rows of STEP: one for each step, and one at the end of the stretch, where the next one begins."""
    bounds = (stretch.since or ALWAYS, stretch.until or NEVER)
    rows: list[tuple[object, ...]] = [
        (stretch.number, place, *bounds, _exactly(after), None, change, CODES[cause])
        for after, change, cause in era.steps
    ]
    if stretch.until is not None:
        rows.append((stretch.number, place + 1, ALWAYS, NEVER, None, stretch.until, 0, None))
    return rows


def _exactly(after: timedelta) -> str:
    """Days as seconds: a day of an interval is a day of the calendar, dearer to add and longer or shorter when clocks change."""
    return f"{int(after.total_seconds())} seconds"


def _columns(places: Sequence[Placed], at: str, activity: str) -> str:
    link = at.partition(".")[0]
    if not _has_bounds(places):
        return (
            f"SELECT {link}.contact_id, step.number, step.stretch, {at} + step.after AS at, step.change,"
            f" CASE WHEN step.rank = {CODES['activity']} THEN {activity} END AS activity, step.rank"
        )
    return (
        f"SELECT {link}.contact_id, step.number, step.stretch, {_moment(at)} AS at, step.change,"
        f" CASE WHEN step.rank = {CODES['activity']} AND {at} >= step.since THEN {activity} END AS activity,"
        f" CASE WHEN {at} + step.after >= step.since THEN step.rank END AS rank"
    )


def _has_bounds(places: Sequence[Placed]) -> bool:
    return any((stretch.since, stretch.until) != (None, None) for _place, stretch, _era in places)


def _moment(at: str) -> str:
    return f"COALESCE(step.fixed, GREATEST({at} + step.after, step.since))"


def _add_where(text: Text, places: Sequence[Placed], at: str, contacts: Sequence[int] | None) -> None:
    """What would change after the end of its stretch never does."""
    text.add(f"WHERE {_moment(at)} < step.until" if _has_bounds(places) else "WHERE TRUE")
    _add_contacts(text, "activity.contact_id", contacts)


def _add_contacts(text: Text, column: str, contacts: Sequence[int] | None) -> None:
    if contacts is not None:
        text.add(f"AND {column} = ANY (%s::bigint[])", list(contacts))


def chosen_moments(choices: Sequence[Chosen], contact_id: int) -> list[list[int]]:
    """When the activities of each choice happened, oldest first, for one contact. One statement, one pass over the contact's activities.

    Microseconds since 1970: two hundred thousand arrive in 0.2 s, as moments in 1.8 s (2026-11-22).
    """
    if not choices:
        return []
    text = Text()
    at = "(extract(epoch FROM activity.occurred_at) * 1000000)::bigint"
    for place, chosen in enumerate(choices):
        text.add(f"{',' if place else 'SELECT'} array_agg({at} ORDER BY activity.occurred_at) FILTER (WHERE")
        text.put(activities_sql(chosen), after=")")
    text.add("FROM leads_activity activity WHERE activity.contact_id = %s", contact_id)
    if all(chosen.kinds is not None for chosen in choices):
        text.add("AND activity.kind_id = ANY (%s::smallint[])", sorted({k for one in choices for k in one.kinds or ()}))
    with connection.cursor() as cursor:
        cursor.execute(text.sql.text, text.sql.params)
        return [found or [] for found in cursor.fetchone()]
