"""A day in a field of the contact comes, some days before or after it, at an hour: once, or each year."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.workspace import zone
from nurture import queries_triggers
from nurture.kinds import Names, clock
from nurture.kinds.clock import zone_named
from nurture.kinds.wait_for_date import COLUMNS, WAIT_FOR_DATE, WaitForDateForm, day_labels
from nurture.triggers.base import TriggerKind, Values
from segments.conditions import Sql

QUARTER = timedelta(minutes=15)  # the clocks of all zones meet on quarters of an hour


def _words(values: Values, names: Names) -> str:
    key, days = values.get("field"), values.get("days", 0)
    label = day_labels(names).get(key, key) if key else "…"
    field = _("the anniversary of “%(field)s”") % {"field": label} if values.get("yearly") else f"“{label}”"
    if days < 0:
        text = ngettext("comes to %(n)d day before %(field)s", "comes to %(n)d days before %(field)s", -days)
    elif days > 0:
        text = ngettext("comes to %(n)d day after %(field)s", "comes to %(n)d days after %(field)s", days)
    else:
        text = _("comes to the day of %(field)s")
    return f"{text % {'n': abs(days), 'field': field}}, {values.get('at', '09:00')}{clock.whose(values)}"


def _problems(values: Values, names: Names) -> Iterator[tuple[str, bool]]:
    if not (key := values.get("field")):
        yield _("The trigger names no field."), True
    elif key not in day_labels(names):
        yield _("“%(field)s” is no field that holds a day.") % {"field": names.field_label(key)}, True


def _moments(values: Values, after: datetime, until: datetime) -> Sql:
    """People whose moment lies in (after, until]. One statement for the time zones that contacts have, one for the workspace."""
    home = zone()
    key = values["field"]
    custom = key.removeprefix("custom.") if key.startswith("custom.") else None
    by_zone = values.get("clock") == "contact"
    names = queries_triggers.zones_in_use() if by_zone else [""]
    clocks = {name: zone_named(name, otherwise=home) for name in names}
    days: list[tuple[str, str, datetime]] = []
    for own, written in _by_clock(clocks).items():
        for day, moment in days_due(values, own, after, until):
            days += [
                (name, text, moment) for name in written for text in day_texts(day, yearly=bool(values.get("yearly")))
            ]
    column = None if custom else (key if key in COLUMNS else COLUMNS[0])
    return queries_triggers.days_of_contacts(
        column,
        custom,
        days,
        home=str(home),
        by_zone=by_zone,
        yearly=bool(values.get("yearly")),
    )


def _by_clock(clocks: dict[str, ZoneInfo]) -> dict[ZoneInfo, list[str]]:
    """The clock -> the names under which contacts have it."""
    found: dict[ZoneInfo, list[str]] = {}
    for name, own in clocks.items():
        found.setdefault(own, []).append(name)
    return found


def days_due(values: Values, own: ZoneInfo, after: datetime, until: datetime) -> Iterator[tuple[date, datetime]]:
    """(day in the field, its moment) for every day whose moment lies in (after, until] on that clock.

    A local time that the clocks skip falls as much later as they jump; of two the first counts.
    """
    at, shift = time.fromisoformat(values.get("at", "09:00")), timedelta(days=values.get("days", 0))
    day = after.astimezone(own).date() - timedelta(days=1)
    while day <= until.astimezone(own).date():
        moment = datetime.combine(day, at, own).astimezone(UTC)
        if after < moment <= until:
            yield day - shift, moment
        day += timedelta(days=1)


def day_texts(day: date, *, yearly: bool) -> list[str]:
    """What stands in the field of those who come to it on that day. 29 February falls on the 28th in common years."""
    if not yearly:
        return [day.isoformat()]
    is_common = day.month == 2 and day.day == 28 and (day + timedelta(days=1)).month == 3
    return [day.isoformat()[5:], *(["02-29"] if is_common else [])]


def next_look(now: datetime) -> datetime:
    """The next quarter of an hour."""
    start = now.replace(minute=now.minute - now.minute % 15, second=0, microsecond=0)
    return start + QUARTER


def look_at(moment: datetime) -> datetime:
    """The look that finds whoever comes at that moment."""
    return next_look(moment - timedelta(microseconds=1))


class DayTriggerForm(WaitForDateForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["field"].label = _("People enter on the day in the field")
        self.fields["yearly"].label = _("Each year: its anniversary")


DAY = TriggerKind(
    key="day",
    label=gettext_lazy("Comes to a day"),
    help=gettext_lazy("A date of the contact, days before or after it, or its anniversary."),
    icon="calendar-event",
    form=DayTriggerForm,
    words=_words,
    keys=WAIT_FOR_DATE.keys,
    reads=lambda values: frozenset({f"contact.{values['field']}"} if values.get("field") else ()),
    malformed=WAIT_FOR_DATE.malformed,
    problems=_problems,
    moments=_moments,
)
