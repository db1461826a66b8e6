"""Wait for a day that stands in a field of the contact, some days before or after: two ways, on that day and no such day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.models import CustomField
from leads.workspace import zone
from nurture import queries_around
from nurture.kinds import clock
from nurture.kinds.base import Group, Kind, Names, Walker, differs, is_text

if TYPE_CHECKING:
    from nurture.queries_around import Waiting

MOST_DAYS = 3_650
DATES = frozenset({CustomField.Type.DATE, CustomField.Type.MOMENT})
COLUMNS = ("created_at",)


def day_labels(names: Names) -> dict[str, str]:
    """Fields that hold a day."""
    own = {"created_at": _("known since")}
    return own | {f"custom.{key}": row.label for key, row in names.custom_fields.items() if row.type in DATES}


def _words(values: Mapping[str, Any], names: Names) -> str:
    if not (key := values.get("field")):
        return _("Wait for a day")
    label, days = day_labels(names).get(key, key), values.get("days", 0)
    label = _("the next anniversary of “%(field)s”") % {"field": label} if values.get("yearly") else f"“{label}”"
    if days < 0:
        text = ngettext("%(n)d day before %(field)s", "%(n)d days before %(field)s", -days)
    elif days > 0:
        text = ngettext("%(n)d day after %(field)s", "%(n)d days after %(field)s", days)
    else:
        text = _("the day of %(field)s")
    words = _("Wait until %(day)s") % {"day": text % {"n": abs(days), "field": label}}
    return f"{words}, {values.get('at', '09:00')}{clock.whose(values)}"


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not (key := values.get("field")):
        yield _("The wait names no field."), True
    elif key not in day_labels(names):
        yield _("“%(field)s” is no field that holds a day.") % {"field": names.field_label(key)}, True


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from is_text(values, "field", 80)
    days = values.get("days", 0)
    if type(days) is not int or abs(days) > MOST_DAYS:
        yield "days", _("expected a whole number of days, below zero for days before")
    if not isinstance(values.get("yearly", False), bool):
        yield "yearly", _("expected true or false")
    yield from clock.malformed(values.get("at", "09:00"), values.get("clock", "workspace"))


def moment_of(
    text: str, values: Mapping[str, Any], *, since: datetime, home: ZoneInfo, own: ZoneInfo
) -> datetime | None:
    """When the day of the field comes, with days, time and clock of the step; None without a day, or when it was before `since`.

    A moment counts as its day on the workspace's clock. Of an anniversary the first that is not before `since` counts; 29 February
    falls on the 28th in common years. A local time that the clocks skip falls as much later as they jump; of two the first counts.
    """
    hours = own if values.get("clock") == "contact" else home
    at, shift = time.fromisoformat(values.get("at", "09:00")), timedelta(days=values.get("days", 0))
    try:
        day = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).astimezone(home).date()
        if not values.get("yearly"):
            found = datetime.combine(day + shift, at, hours).astimezone(UTC)
            return found if found >= since else None
        first = since.astimezone(hours).year - 11  # a shift is ten years at most
        years = (
            datetime.combine(_in_year(day, year) + shift, at, hours).astimezone(UTC)
            for year in range(first, first + 24)
        )
        return next(moment for moment in years if moment >= since)
    except (ValueError, OverflowError, StopIteration):
        return None


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def _moments(values: Mapping[str, Any], arrived: Mapping[int, datetime]) -> dict[int, datetime | None]:
    """Contact -> the moment it waits for, or None. One statement, and one for the workspace."""
    key = values["field"]
    custom = key.removeprefix("custom.") if key.startswith("custom.") else None
    column = key if key in COLUMNS else COLUMNS[0]
    home = zone()
    return {
        contact_id: moment_of(
            text, values, since=arrived[contact_id], home=home, own=clock.zone_named(name, otherwise=home)
        )
        for contact_id, text, name in queries_around.days_of(list(arrived), column=column, custom=custom)
    }


def _due_at(values: Mapping[str, Any], contact_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    found = _moments(values, dict.fromkeys(contact_ids, now))
    return {contact_id: moment or now for contact_id, moment in found.items()}


def _wake(values: Mapping[str, Any], waiting: Sequence[Waiting], now: datetime) -> dict[int, datetime]:
    found = _moments(values, {row.contact_id: row.arrived_at for row in waiting})
    return {row.id: max(found.get(row.contact_id) or now, now) for row in waiting}


def _run(group: Group) -> dict[str, list[Walker]]:
    """By the day that stands in the field now: it may have moved since, then they wait for it. Three statements, four with such people."""
    arrived = {
        row.contact_id: row.arrived_at for row in queries_around.waiting([w.enrolment_id for w in group.walkers])
    }
    found = _moments(group.step.values, arrived)
    outcomes: dict[str, list[Walker]] = {"day": [], "none": []}
    again: dict[int, datetime] = {}
    for walker in group.walkers:
        moment = found.get(walker.contact_id)
        if moment is not None and moment > group.now:
            again[walker.enrolment_id] = moment
        else:
            outcomes["none" if moment is None else "day"].append(walker)
    if again:
        queries_around.set_due(again)
    return outcomes


class WaitForDateForm(clock.ClockForm):
    field_order = ("field", "days", "yearly")

    field = forms.ChoiceField(label=gettext_lazy("The day in the field"), required=False)
    days = forms.IntegerField(
        label=gettext_lazy("Days after it"),
        min_value=-MOST_DAYS,
        max_value=MOST_DAYS,
        required=False,
        initial=0,
        help_text=gettext_lazy("Below zero: days before it."),
    )
    yearly = forms.BooleanField(label=gettext_lazy("Each year: the next anniversary"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["field"].choices = [("", _("Choose a field")), *day_labels(self.names).items()]  # type: ignore[attr-defined]

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        found: dict[str, Any] = {"days": data["days"] or 0, "clock": data["clock"] or "workspace"}
        found["at"] = (data["at"] or time(9)).strftime("%H:%M")
        found |= {"yearly": True} if data["yearly"] else {}
        return found | ({"field": data["field"]} if data["field"] else {})


WAIT_FOR_DATE = Kind(
    key="wait_for_date",
    label=gettext_lazy("Wait for a day"),
    help=gettext_lazy("A date of the contact, days before or after it, or its anniversary."),
    icon="calendar-time",
    colour="secondary",
    form=WaitForDateForm,
    words=_words,
    run=_run,
    keys=frozenset({"field", "days", "yearly", "at", "clock"}),
    malformed=_malformed,
    problems=_problems,
    due_at=_due_at,
    due_for_all=differs,
    wake=_wake,
    ways={"day": gettext_lazy("On the day"), "none": gettext_lazy("No such day, or past")},
    outcomes={"day": gettext_lazy("on the day"), "none": gettext_lazy("no such day, or past")},
)
