"""When somebody's turn comes: the moment or local hour of a broadcast, and the hours in which mail leaves at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from leads.models import Contact, Workspace
from leads.workspace import zone as zone_of_workspace
from nurture.mailing import window
from nurture.models import Broadcast

EARLIEST = timedelta(hours=14)  # the zone that is furthest ahead of UTC


def begins_at(broadcast: Broadcast, now: datetime) -> datetime:
    """When the first mail may leave, by what is written in it; never in the past."""
    if broadcast.timing == Broadcast.Timing.AT and broadcast.starts_at is not None:
        return max(now, broadcast.starts_at)
    if broadcast.timing == Broadcast.Timing.LOCAL and broadcast.local_on and broadcast.local_time:
        first = datetime.combine(broadcast.local_on, broadcast.local_time, UTC) - EARLIEST
        return max(now, first)
    return now


def later_than(
    broadcast: Broadcast, home: Workspace, zone_name: str, *, base: datetime, now: datetime, is_operational: bool
) -> datetime | None:
    """Until when a mail to somebody in that zone waits; None when its turn has come.

    `base`: when the broadcast began, or the winner was found for those who waited for it.
    """
    reader = Contact(timezone=zone_name)
    zone = window.their_zone(reader) or zone_of_workspace(home)
    at = max(now, local_moment(broadcast, zone, base))
    opens = None if is_operational else window.opens_at(home, reader, at)
    at = opens or at
    return at if at > now else None


def local_moment(broadcast: Broadcast, zone: ZoneInfo, base: datetime) -> datetime:
    """The hour on the reader's clock; where it is over at `base`, at once or at that hour of the next day, as the broadcast says."""
    if broadcast.timing != Broadcast.Timing.LOCAL or broadcast.local_on is None or broadcast.local_time is None:
        return base
    wanted = datetime.combine(broadcast.local_on, broadcast.local_time, zone)
    if wanted >= base:
        return wanted.astimezone(UTC)
    if broadcast.late == Broadcast.Late.AT_ONCE:
        return base
    again = datetime.combine(base.astimezone(zone).date(), broadcast.local_time, zone)
    if again < base:
        again += timedelta(days=1)  # on the clock of the zone: the same hour, also over a change of the clocks
    return again.astimezone(UTC)
