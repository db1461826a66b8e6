"""Caps of a version: the least and the most points of each group and of the total."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads.actions import Refused
from scoring.queries import CAPPED
from scoring.words import shown

ENDS = ("least", "most")
MOST = Decimal(2_000_000)  # as much as all rules of a model can give
LABELS = {
    "fit": gettext_lazy("Fit"),
    "behaviour": gettext_lazy("Behaviour"),
    "negative": gettext_lazy("Negative"),
    "bant": gettext_lazy("BANT"),
    "total": gettext_lazy("Total"),
}


def checked_caps(caps: Mapping[str, Any]) -> dict[str, dict[str, int | float]]:
    """As they are stored: whole hundredths, absent ends left out, groups in their order. Refused for what makes no sense."""
    unknown = set(caps) - set(CAPPED)
    if unknown:
        raise Refused(
            _("There is no group “%(group)s” to cap; there are: %(groups)s.")
            % {"group": sorted(map(str, unknown))[0], "groups": ", ".join(CAPPED)}
        )
    found: dict[str, dict[str, int | float]] = {}
    for group in CAPPED:
        ends = caps.get(group) or {}
        if not isinstance(ends, Mapping) or not set(ends) <= set(ENDS):
            raise Refused(_("A cap has two ends, “least” and “most”."))
        points = {end: _points(ends[end], group) for end in ENDS if ends.get(end) is not None}
        if not points:
            continue
        if len(points) == 2 and points["least"] > points["most"]:
            raise Refused(_("%(group)s: the least lies above the most.") % {"group": LABELS[group]})
        if points.get("least", Decimal(0)) > 0 or points.get("most", Decimal(0)) < 0:
            raise Refused(
                _("%(group)s: nothing must lie between the caps, so that somebody unknown gets no points.")
                % {"group": LABELS[group]}
            )
        found[group] = {end: _number(value) for end, value in points.items()}
    return found


def _points(value: Any, group: str) -> Decimal:
    try:
        points = Decimal(str(value))
    except InvalidOperation as error:
        raise Refused(_("%(group)s: a cap is a number of points.") % {"group": LABELS[group]}) from error
    if isinstance(value, bool) or not points.is_finite() or abs(points) > MOST:
        raise Refused(
            _("%(group)s: a cap is a number of points, at most %(most)s either way.")
            % {"group": LABELS[group], "most": f"{MOST:,}"}
        )
    return points.quantize(Decimal("0.01"))


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def in_words(caps: Mapping[str, Any]) -> list[tuple[Any, str]]:
    """(label, “from −20 to 60”) of each group that is capped."""
    found = []
    for group in CAPPED:
        ends = caps.get(group) or {}
        least, most = ends.get("least"), ends.get("most")
        if least is not None and most is not None:
            words = _("from %(least)s to %(most)s") % {"least": shown(least), "most": shown(most)}
        elif most is not None:
            words = _("at most %(most)s") % {"most": shown(most)}
        elif least is not None:
            words = _("at least %(least)s") % {"least": shown(least)}
        else:
            continue
        found.append((LABELS[group], words))
    return found
