"""Wait for a time, or until a weekday and hour on the workspace's or the contact's own clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.workspace import WEEKDAYS, zone
from nurture import queries
from nurture.kinds import clock
from nurture.kinds.base import Group, Kind, Names, Walker

UNITS = {
    "minutes": timedelta(minutes=1),
    "hours": timedelta(hours=1),
    "days": timedelta(days=1),  # 24 hours, as in the rule language
    "weeks": timedelta(weeks=1),
}
LONGEST = timedelta(days=5 * 365)


def next_at(now: datetime, *, days: Sequence[int], at: time, zone: ZoneInfo) -> datetime:
    """The first moment, not before `now`, at which the zone's clock shows that weekday and time.

    A time that the clocks skip in spring is read by the offset before the change, so it falls as much later as they jump;
    of a time that comes twice in autumn the first one counts.
    """
    local = now.astimezone(zone)
    for ahead in range(15):
        day = local.date() + timedelta(days=ahead)
        if day.isoweekday() in days:
            moment = datetime.combine(day, at, zone).astimezone(UTC)
            if moment >= now:
                return moment
    raise AssertionError("a weekday comes within two weeks")


def _duration(values: Mapping[str, Any]) -> timedelta | None:
    wait = values.get("for")
    return wait["value"] * UNITS[wait["unit"]] if wait else None


def _due_for_all(values: Mapping[str, Any], now: datetime) -> datetime | None:
    if (duration := _duration(values)) is not None:
        return now + duration
    until = values["until"]
    if until.get("clock", "workspace") != "workspace":
        return None
    return next_at(now, days=until["days"], at=time.fromisoformat(until["at"]), zone=zone())


def _due_at(values: Mapping[str, Any], contact_ids: Sequence[int], now: datetime) -> dict[int, datetime]:
    if (end := _due_for_all(values, now)) is not None:
        return dict.fromkeys(contact_ids, end)
    until = values["until"]
    at, days, home = time.fromisoformat(until["at"]), until["days"], zone()
    ends: dict[str, datetime] = {}
    due: dict[int, datetime] = {}
    for contact_id, name in queries.zones_of(contact_ids):
        if name not in ends:
            ends[name] = next_at(now, days=days, at=at, zone=clock.zone_named(name, otherwise=home))
        due[contact_id] = ends[name]
    return due


def _words(values: Mapping[str, Any], names: Names) -> str:
    if wait := values.get("for"):
        n = wait["value"]
        amount = {
            "minutes": ngettext("%(n)d minute", "%(n)d minutes", n),
            "hours": ngettext("%(n)d hour", "%(n)d hours", n),
            "days": ngettext("%(n)d day", "%(n)d days", n),
            "weeks": ngettext("%(n)d week", "%(n)d weeks", n),
        }[wait["unit"]] % {"n": n}
        return _("Wait %(amount)s") % {"amount": amount}
    if until := values.get("until"):
        hour = time_format(time.fromisoformat(until["at"]), "H:i")
        if len(until["days"]) == 7:
            text = _("Wait until %(clock)s") % {"clock": hour}
        elif until["days"] == [1, 2, 3, 4, 5]:
            text = _("Wait until a working day, %(clock)s") % {"clock": hour}
        else:
            days = _(" or ").join(str(WEEKDAYS[day]) for day in until["days"])
            text = _("Wait until %(days)s, %(clock)s") % {"days": days, "clock": hour}
        return text + clock.whose(until)
    return _("Wait")


def _malformed(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "for" in values and "until" in values:
        yield "until", _("a wait has either “for” or “until”")
    if "for" in values:
        wait = values["for"]
        if not isinstance(wait, dict) or set(wait) != {"value", "unit"}:
            yield "for", _('expected {"value": 3, "unit": "days"}')
        elif wait["unit"] not in UNITS:
            yield "for.unit", _("choose one of: %(units)s") % {"units": ", ".join(UNITS)}
        elif not isinstance(wait["value"], int) or isinstance(wait["value"], bool) or wait["value"] < 1:
            yield "for.value", _("expected a whole number above zero")
        elif wait["value"] > LONGEST / UNITS[wait["unit"]]:
            yield "for.value", _("a wait lasts five years at most")
    if "until" in values:
        yield from _malformed_until(values["until"])


def _malformed_until(until: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(until, dict) or not {"days", "at"} <= set(until) <= {"days", "at", "clock"}:
        yield "until", _('expected {"days": [2], "at": "09:00", "clock": "workspace"}')
        return
    days = until["days"]
    if not isinstance(days, list) or not days or any(type(day) is not int or day not in WEEKDAYS for day in days):
        yield "until.days", _("expected weekdays from 1 (Monday) to 7 (Sunday)")
    elif sorted(set(days)) != days:
        yield "until.days", _("expected each weekday once, in order")
    for key, words in clock.malformed(until["at"], until.get("clock", "workspace")):
        yield f"until.{key}", words


def _problems(values: Mapping[str, Any], names: Names) -> Iterator[tuple[str, bool]]:
    if not values.get("for") and not values.get("until"):
        yield _("The wait has no end: say for how long, or until when."), True


def _run(group: Group) -> dict[str, list[Walker]]:
    return group.done()


class WaitForm(clock.ClockForm):
    field_order = ("mode", "value", "unit", "days")

    mode = forms.ChoiceField(
        label=gettext_lazy("Wait"),
        choices=[("for", gettext_lazy("for a time")), ("until", gettext_lazy("until a weekday and time"))],
        widget=forms.RadioSelect,
        initial="for",
    )
    value = forms.IntegerField(label=gettext_lazy("How long"), min_value=1, max_value=2_628_000, required=False)
    unit = forms.ChoiceField(
        label=gettext_lazy("Unit"),
        choices=[
            ("minutes", gettext_lazy("minutes")),
            ("hours", gettext_lazy("hours")),
            ("days", gettext_lazy("days")),
            ("weeks", gettext_lazy("weeks")),
        ],
        initial="days",
        required=False,
    )
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("On"),
        choices=list(WEEKDAYS.items()),
        coerce=int,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        initial=[2],
    )

    @classmethod
    def initial_of(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        if until := values.get("until"):
            return {"mode": "until", "days": until["days"], "at": until["at"], "clock": until.get("clock", "workspace")}
        return {"mode": "for", **(values.get("for") or {"value": 3, "unit": "days"})}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("mode") == "until":
            if not cleaned.get("days"):
                self.add_error("days", _("Choose at least one weekday."))
            if cleaned.get("at") is None and "at" not in self.errors:
                self.add_error("at", _("Say at what time."))
        elif cleaned.get("value") is None and "value" not in self.errors:
            self.add_error("value", _("Say how long."))
        elif cleaned.get("value") and cleaned["value"] * UNITS[cleaned.get("unit") or "days"] > LONGEST:
            self.add_error("value", _("A wait lasts five years at most."))
        return cleaned

    def values(self) -> dict[str, Any]:
        data = self.cleaned_data
        if data["mode"] == "until":
            at = data["at"].strftime("%H:%M")
            return {"until": {"days": sorted(data["days"]), "at": at, "clock": data["clock"] or "workspace"}}
        return {"for": {"value": data["value"], "unit": data["unit"] or "days"}}


WAIT = Kind(
    key="wait",
    label=gettext_lazy("Wait"),
    help=gettext_lazy("For a time, or until a weekday and hour."),
    icon="clock-pause",
    colour="secondary",
    form=WaitForm,
    words=_words,
    run=_run,
    keys=frozenset({"for", "until"}),
    malformed=_malformed,
    problems=_problems,
    due_at=_due_at,
    due_for_all=_due_for_all,
    passes=True,
)
