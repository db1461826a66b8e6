"""The workspace's settings where code needs them: the row, its zone, its week."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.translation import gettext_lazy

from leads import queries
from leads.models import Workspace

WEEKDAYS = {  # as date.isoweekday() counts
    1: gettext_lazy("Monday"),
    2: gettext_lazy("Tuesday"),
    3: gettext_lazy("Wednesday"),
    4: gettext_lazy("Thursday"),
    5: gettext_lazy("Friday"),
    6: gettext_lazy("Saturday"),
    7: gettext_lazy("Sunday"),
}


def workspace() -> Workspace:
    """The one row; made with defaults on a fresh instance. One statement."""
    row = queries.workspace_row()
    if row is None:
        row, _ = Workspace.objects.get_or_create(pk=1, defaults={"business_days": [1, 2, 3, 4, 5]})
    return row


def zone(row: Workspace | None = None) -> ZoneInfo:
    """The workspace's time zone; UTC should the stored name be unknown to this machine. One statement, none with the row at hand."""
    try:
        return ZoneInfo((row or workspace()).timezone)
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
