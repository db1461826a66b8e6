"""Points and causes as people read them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

CAUSES = {
    "rule_met": _("the rule is met"),
    "rule_no_longer_met": _("the rule is no longer met"),
    "points_changed": _("the rule gives other points now"),
    "rule_removed": _("the rule was removed"),
    "version_published": _("a new version of the rule was published"),
    "activity": _("they did it"),
    "decayed": _("the points halved"),
    "lapsed": _("the points lapsed"),
    "given": _("points were given"),
    "given_lapsed": _("points given ended"),
    "capped": _("the cap holds"),
    "corrected": _("what had counted then counts no more"),
}
# Causes of rows by which somebody earned points, not by an edit of the rules or by time.
EARNED = frozenset({"rule_met", "activity", "given"})


def shown(points: Any, *, sign: bool = False) -> str:
    """15, -7.5, with `sign` +15; no needless zeros, a real minus."""
    value = Decimal(str(points or 0))
    text = number_format(
        abs(value).normalize() if value != value.to_integral_value() else abs(int(value)),
        use_l10n=True,
        force_grouping=True,
    )
    if value < 0:
        return f"−{text}"
    return f"+{text}" if sign else text
