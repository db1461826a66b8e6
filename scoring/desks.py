"""How owners work: whose business hours count, who is there to take leads, and what happens to the leads of somebody who leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Q

from leads.models import Owner
from leads.workspace import workspace
from scoring.business_hours import Calendar, calendar_of
from scoring.models import Desk, Holiday


@dataclass(frozen=True)
class Calendars:
    """Business hours of everybody asked for; the workspace's for nobody and for whoever has none of their own."""

    default: Calendar
    own: Mapping[int, Calendar] = field(default_factory=dict)

    def of(self, owner_id: int | None) -> Calendar:
        return self.default if owner_id is None else self.own.get(owner_id, self.default)


def calendars(owner_ids: Iterable[int | None] = ()) -> Calendars:
    """Two statements for nobody in particular, three whatever the number of owners."""
    ids = {owner_id for owner_id in owner_ids if owner_id is not None}
    days_off: dict[int | None, set[date]] = defaultdict(set)
    for owner_id, day in Holiday.objects.filter(Q(owner=None) | Q(owner__in=ids)).values_list("owner_id", "on"):
        days_off[owner_id].add(day)
    default = calendar_of(workspace(), days_off[None])
    desks = Desk.objects.in_bulk(list(ids)) if ids else {}
    own = {
        owner_id: _own(default, desks.get(owner_id), days_off[owner_id])
        for owner_id in ids
        if owner_id in desks or days_off[owner_id]
    }
    return Calendars(default, own)


def _own(default: Calendar, desk: Desk | None, days_off: set[date]) -> Calendar:
    """What the desk names itself replaces the workspace's; holidays of both count."""
    found = replace(default, holidays=default.holidays | days_off)
    if desk is None:
        return found
    days = frozenset(day for day in desk.days if 1 <= day <= 7)
    return replace(
        found,
        zone=_zone(desk.timezone, default.zone),
        days=days or default.days,
        start=desk.start or default.start,
        end=desk.end or default.end,
    )


def _zone(name: str, default: ZoneInfo) -> ZoneInfo:
    if not name:
        return default
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return default


@dataclass(frozen=True)
class Presence:
    """Whether an owner takes new leads. `why_not` is empty when they do, else left, away, signed_off."""

    why_not: str = ""
    capacity: int | None = None
    until: date | None = None

    @property
    def is_there(self) -> bool:
        return not self.why_not


def presences(owner_ids: Iterable[int], *, now: datetime, calendars: Calendars) -> dict[int, Presence]:
    """One statement, whatever the number of owners. “Today” is the owner's own."""
    found: dict[int, Presence] = {}
    for owner in Owner.objects.select_related("desk", "user").filter(pk__in=set(owner_ids)):
        desk = getattr(owner, "desk", None)
        today = now.astimezone(calendars.of(owner.pk).zone).date()
        capacity = desk.capacity if desk else None
        if desk is not None and desk.left_at is not None:
            found[owner.pk] = Presence("left", capacity)
        elif desk is not None and desk.away_until is not None and desk.away_until > today:
            found[owner.pk] = Presence("away", capacity, desk.away_until)
        elif owner.user is not None and not owner.user.is_active:
            found[owner.pk] = Presence("signed_off", capacity)
        else:
            found[owner.pk] = Presence("", capacity)
    return found


def owner_for(user: User) -> Owner:
    """The owner that a person is. Somebody who signs in for the first time takes over the name that a CRM file brought."""
    owner = Owner.objects.filter(user=user).first()
    if owner is not None:
        return owner
    name = user.get_full_name() or user.get_username()
    if Owner.objects.filter(name__iexact=name, user=None).update(user=user):
        return Owner.objects.get(user=user)
    try:
        with transaction.atomic():
            return Owner.objects.create(name=name, email=user.email, user=user)
    except IntegrityError:
        return Owner.objects.get_or_create(
            user=user, defaults={"name": f"{name} ({user.get_username()})", "email": user.email}
        )[0]
