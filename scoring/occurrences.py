"""Rules that give points for each activity: what fits, the steps that one activity goes through, the words.

The points of one activity are a step function of time: all of them at its moment, fewer (or none) at known moments afterwards.
A rule's contribution is the sum over its activities, held between −cap and +cap. Points halve in hundredths, each step worked
out from the full points and rounded half away from zero: 5, 2.5, 1.25, 0.63, 0.31 …; under half a hundredth nothing is left.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from leads.actions import Refused
from scoring.models import Rule
from scoring.words import shown
from segments.conditions import BadConditions, Catalogue, check, sentence
from segments.conditions.operators import TIME
from segments.conditions.tree import All, AnyOf, DidLeaf, Tree
from segments.conditions.words import clause

MICROSECOND = timedelta(microseconds=1)
MOST_DAYS = 3_650
MOST_FIRST = 10_000
MOST_HALVINGS = 60
# Operators of moments that choose the same activities whenever one asks.
FIXED_PERIODS = frozenset({"on", "not_on", "before", "after", "between", "is_known", "is_unknown"})
FIELDS = ("first_n", "cap", "expires_after_days", "halves_after_days", "halvings")


@dataclass(frozen=True)
class Counting:
    """How a rule per occurrence counts; what is None does not limit. See the fields of Rule."""

    first_n: int | None = None
    cap: Decimal | None = None
    expires_after_days: int | None = None
    halves_after_days: int | None = None
    halvings: int | None = None


def counting_of(rule: Rule) -> Counting | None:
    """None for a rule that counts once."""
    return Counting(**{name: getattr(rule, name) for name in FIELDS}) if rule.per_occurrence else None


def set_counting(rule: Rule, counting: Counting | None) -> None:
    rule.per_occurrence = counting is not None
    for name in FIELDS:
        setattr(rule, name, getattr(counting, name) if counting else None)


def says(rule: Rule) -> tuple[Any, ...]:
    """What decides a rule's contribution; two rules that say the same contribute the same."""
    return (rule.group, rule.conditions, rule.points, rule.per_occurrence, *(getattr(rule, name) for name in FIELDS))


# --- what fits ----------------------------------------------------------------------------------------------------------------


def leaf_of(tree: Tree) -> DidLeaf:
    """The one leaf about activities that a rule per occurrence consists of. Refused, saying what fits."""
    while isinstance(tree, All | AnyOf) and len(tree.children) == 1:
        tree = tree.children[0]
    if not isinstance(tree, DidLeaf):
        raise Refused(
            _(
                "Points for each activity need a condition of one row about what somebody did, such as “viewed a page”. "
                "Put further conditions into a rule that counts once."
            )
        )
    if tree.is_first or tree.latest or tree.total is not None or not _is_any(tree):
        raise Refused(
            _("Points for each activity count the activities themselves: take “how often”, “first” and “latest” away.")
        )
    if tree.when is not None and tree.when.op not in FIXED_PERIODS:
        raise Refused(
            _(
                "Points for each activity do not take a period that moves with the calendar: let the points lapse after so many days."
            )
        )
    for row in tree.where:
        if row.type in TIME and row.op not in FIXED_PERIODS:
            raise Refused(
                _("Points for each activity do not take a condition that moves with time: “%(field)s”.")
                % {"field": row.spec.label}
            )
    return tree


def _is_any(leaf: DidLeaf) -> bool:
    return leaf.count is None or (leaf.count.op, leaf.count.wanted) in (("at_least", 1), ("more_than", 0))


def check_counting(counting: Counting, points: Decimal) -> Counting:
    """The same with its cap in hundredths. Refused for what makes no sense."""
    if counting.expires_after_days is not None and counting.halves_after_days is not None:
        raise Refused(_("Points either lapse after some days or halve again and again: choose one."))
    if counting.halvings is not None and counting.halves_after_days is None:
        raise Refused(_("Say after how many days the points halve."))
    for name, value, most in (
        (_("the number of first activities"), counting.first_n, MOST_FIRST),
        (_("the days until points lapse"), counting.expires_after_days, MOST_DAYS),
        (_("the days until points halve"), counting.halves_after_days, MOST_DAYS),
        (_("the number of halvings"), counting.halvings, MOST_HALVINGS),
    ):
        if value is not None and not (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most):
            raise Refused(
                _("%(name)s is a whole number from 1 to %(most)s.")
                % {"name": name[:1].upper() + name[1:], "most": f"{most:,}"}
            )
    if counting.cap is None:
        return counting
    if not counting.cap.is_finite() or not 0 < counting.cap <= 1_000_000:
        raise Refused(_("The most points of a rule is a number above zero and up to 1,000,000."))
    cap = counting.cap.quantize(Decimal("0.01"))
    if cap < abs(points):
        raise Refused(
            _("One activity alone gives %(points)s points, more than the %(cap)s that the rule may give.")
            % {"points": shown(abs(points)), "cap": shown(cap)}
        )
    return Counting(counting.first_n, cap, counting.expires_after_days, counting.halves_after_days, counting.halvings)


# --- steps --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """`after` the activity its points change by so many hundredths. cause: activity, decayed, lapsed."""

    after: timedelta
    change: int
    cause: str


def steps(points: Decimal, counting: Counting) -> list[Step]:
    """What the points of one activity go through, the activity itself first."""
    full = int(points * 100)
    found = [Step(timedelta(0), full, "activity")]
    if counting.expires_after_days is not None:
        found.append(Step(timedelta(days=counting.expires_after_days), -full, "lapsed"))
    if counting.halves_after_days is not None:
        period, before, times = timedelta(days=counting.halves_after_days), full, 0
        while before:
            times += 1
            is_over = counting.halvings is not None and times > counting.halvings
            now = 0 if is_over else _halved(full, times)
            if now != before:
                found.append(Step(period * times, now - before, "decayed" if now else "lapsed"))
            before = now
    return found


def _halved(full: int, times: int) -> int:
    """full / 2^times in whole hundredths, half away from zero; nothing under half a hundredth."""
    twice = abs(full) * 2
    if twice < 1 << times:
        return 0
    size = (twice + (1 << times)) >> (times + 1)
    return size if full > 0 else -size


@dataclass(frozen=True)
class Earned:
    """What activities of one contact give under a rule per occurrence, at any moment: searched, not walked, so many cost little.

    `times`: when they happened, oldest first, as microseconds since 1970; only those that count.
    """

    times: Sequence[int]
    changes: tuple[tuple[int, int], ...]  # so long after an activity its points change by so many hundredths
    cap: int | None

    def level(self, at: int) -> int:
        """Hundredths at a moment."""
        raw = sum(change * bisect_right(self.times, at - after) for after, change in self.changes)
        return raw if self.cap is None else max(-self.cap, min(self.cap, raw))

    @property
    def most_moments(self) -> int:
        return len(self.times) * len(self.changes)

    def moments(self) -> Iterator[int]:
        """When the level may change, in no order, some more than once."""
        return (time + after for after, _change in self.changes for time in self.times)


def earned(times: Sequence[int], points: Decimal, counting: Counting) -> Earned:
    """See Earned. `times` oldest first, those beyond the first n left out here."""
    changes = tuple((step.after // MICROSECOND, step.change) for step in steps(points, counting))
    cap = None if counting.cap is None else int(counting.cap * 100)
    return Earned(times if counting.first_n is None else times[: counting.first_n], changes, cap)


def most_of(rule: Rule) -> Decimal | None:
    """What the rule gives at most; None when there is no limit."""
    if not rule.per_occurrence:
        return rule.points
    limits = [] if rule.cap is None else [rule.cap]
    if rule.first_n is not None:
        limits.append(abs(rule.points) * rule.first_n)
    return min(limits) * (1 if rule.points > 0 else -1) if limits else None


# --- words --------------------------------------------------------------------------------------------------------------------


def in_words(rule: Rule, counting: Counting) -> str:
    """“+5 each time the contact viewed a page where URL contains “/pricing”, at most 20, halving every 14 days”."""
    return _("%(points)s each time the contact %(did)s") % {
        "points": shown(rule.points, sign=True),
        "did": did_words(rule),
    } + ("".join(f", {part}" for part in limits_in_words(rule.points, counting)))


def rule_in_words(rule: Rule, catalogue: Catalogue | None = None) -> str:
    """What a rule asks and, where it gives points for each activity, how it counts; empty for one that can no longer be read.

    Lists pass one catalogue, so that names are read once for all rules.
    """
    counting = counting_of(rule)
    try:
        if counting is not None:
            leaf_of(check(rule.conditions, allow_unknown_slugs=True))
            return in_words(rule, counting)
        return sentence(check(rule.conditions, allow_unknown_slugs=True, catalogue=catalogue))
    except (BadConditions, Refused):
        return ""


def did_words(rule: Rule) -> str:
    """What must be done; empty for a rule that can no longer be read."""
    try:
        return clause(replace(leaf_of(check(rule.conditions, allow_unknown_slugs=True)), count=None))
    except (BadConditions, Refused):
        return ""


def limits_in_words(points: Decimal, counting: Counting) -> list[str]:
    """The limits, each as part of a sentence."""
    found = []
    if counting.first_n is not None:
        found.append(
            ngettext("only the first time", "only the first %(number)s times", counting.first_n)
            % {"number": counting.first_n}
        )
    if counting.cap is not None:
        most = shown(counting.cap)
        found.append(_("at most %(cap)s") % {"cap": most} if points > 0 else _("at most −%(cap)s") % {"cap": most})
    if counting.expires_after_days is not None:
        found.append(
            ngettext("lapsing after %(days)s day", "lapsing after %(days)s days", counting.expires_after_days)
            % {"days": counting.expires_after_days}
        )
    if counting.halves_after_days is not None:
        found.append(
            ngettext("halving every day", "halving every %(days)s days", counting.halves_after_days)
            % {"days": counting.halves_after_days}
        )
    if counting.halvings is not None:
        found.append(
            ngettext(
                "gone after %(number)s halving",
                "gone after %(number)s halvings",
                counting.halvings,
            )
            % {"number": counting.halvings}
        )
    return found


def steps_in_words(rule: Rule, counting: Counting) -> list[tuple[str, Decimal]]:
    """(“at once”, “after 14 days”, points that are left of one activity) for people to read."""
    found, left = [], 0
    for step in steps(rule.points, counting):
        left += step.change
        days = step.after.days
        when = ngettext("after %(days)s day", "after %(days)s days", days) % {"days": days} if days else _("at once")
        found.append((str(when), Decimal(left) / 100))
    return found
