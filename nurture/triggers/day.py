"""A day in a field of the contact comes, some days before or after it, at an hour: once, or each year."""

from __future__ import annotations

from calendar import monthrange
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
from nurture.queries_triggers import DayDue
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


def _moments(values: Values, after: datetime, until: datetime) -> Sql | None:
    """People whose moment lies in (after, until]. One statement for the time zones that contacts have, one for the workspace.

    Where no clock shows the hour in that time, nobody is looked at.
    """
    home, key, yearly = zone(), values["field"], bool(values.get("yearly"))
    by_zone = values.get("clock") == "contact"
    names = queries_triggers.zones_in_use() if by_zone else [""]
    clocks = {name: zone_named(name, otherwise=home) for name in names}
    due = [
        DayDue(name, day, moment)
        for own, written in _by_clock(clocks).items()
        for day, moment in days_due(values, own, after, until)
        for name in written
    ]
    if not due:
        return None
    if key in COLUMNS:
        return _known_since(due, home, until, by_zone=by_zone, yearly=yearly)
    days = [(one.zone, text, one.moment) for one in due for text in day_texts(one.day, yearly=yearly)]
    custom = key.removeprefix("custom.")
    return queries_triggers.days_of_contacts(custom, days, home=str(home), by_zone=by_zone, yearly=yearly)


def _known_since(due: list[DayDue], home: ZoneInfo, until: datetime, *, by_zone: bool, yearly: bool) -> Sql | None:
    """Those who became known on one of these days at home; yearly: of any year since there are contacts, which one more statement tells."""
    years: list[int] = []
    if yearly:
        first = queries_triggers.first_known_at()
        if first is None:
            return None
        years = list(range(first.astimezone(home).year, until.astimezone(home).year + 1))
    spans = []
    for one in due:
        texts = day_texts(one.day, yearly=yearly)
        for day in days_of(texts, years) if yearly else [one.day]:
            start = datetime.combine(day, time(), home)
            end = datetime.combine(day + timedelta(days=1), time(), home)
            spans.append((one.zone, start.astimezone(UTC), end.astimezone(UTC), one.moment))
    return queries_triggers.known_since(spans, by_zone=by_zone) if spans else None


def days_of(texts: list[str], years: list[int]) -> list[date]:
    """The days “MM-DD” of these years; 29 February only where there is one."""
    found = []
    for year in years:
        for text in texts:
            month, day = int(text[:2]), int(text[3:])
            if day <= monthrange(year, month)[1]:
                found.append(date(year, month, day))
    return found


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
