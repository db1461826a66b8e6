"""What the pages of scoring show, put together from stored rows: rules in words, grids, bars, a lead with its card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from scoring import bant, queries
from scoring.business_hours import Calendar, between
from scoring.grades import DIGITS, LETTERS
from scoring.models import HandOff, Rule, ScoreModel, ScoreVersion
from scoring.occurrences import counting_of, limits_in_words, most_of, rule_in_words, says
from scoring.words import shown
from segments.conditions import BadConditions, Catalogue, check

if TYPE_CHECKING:
    from scoring.trial import Trial

GROUPS = (
    (Rule.Group.FIT, gettext_lazy("Fit"), gettext_lazy("Who they are"), "target"),
    (Rule.Group.BEHAVIOUR, gettext_lazy("Behaviour"), gettext_lazy("What they do"), "activity"),
    (Rule.Group.NEGATIVE, gettext_lazy("Negative"), gettext_lazy("What speaks against them"), "mood-sad"),
)
BANT_GROUP = (Rule.Group.BANT, gettext_lazy("BANT"), gettext_lazy("What sales knows of them"), "checklist")
LINES = (
    "threshold",
    "fit_lines",
    "behaviour_lines",
    "hands_over",
    "lower_line",
    "hand_off_conditions",
    "bant_line",
    "caps",
)
NO_ANSWERS = {"handed_over": 0, "accepted": 0, "rejected": 0, "recycled": 0, "won": 0}


# --- rules ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RuleRow:
    """A rule on a page. `change`: how the draft differs from what is live; `holds`: whether it holds for the test contact."""

    rule: Rule
    sentence: str
    answers: Mapping[str, int]
    change: str = ""
    before: Rule | None = None
    holds: bool | None = None
    gives: Decimal | None = None
    is_unknown: bool = False
    problem: str = ""

    @property
    def limits(self) -> list[str]:
        """How a rule per occurrence counts; empty for one that counts once."""
        counting = counting_of(self.rule)
        return limits_in_words(self.rule.points, counting) if counting else []

    @property
    def accepted_share(self) -> int | None:
        """Percent of the answered leads."""
        answered = self.answers["accepted"] + self.answers["rejected"] + self.answers["recycled"]
        return round(100 * self.answers["accepted"] / answered) if answered else None


@dataclass(frozen=True)
class GroupRows:
    key: str
    label: Any
    help: Any
    icon: str
    rows: list[RuleRow]

    @property
    def most(self) -> Decimal | None:
        """Points of everybody who meets them all as often as counts; None where there is no limit."""
        points = [most_of(row.rule) for row in self.rows if row.change != "removed"]
        return None if None in points else sum((one for one in points if one is not None), Decimal(0))


def grouped(rows: Iterable[RuleRow]) -> list[GroupRows]:
    listed = list(rows)
    with_bant = any(row.rule.group == Rule.Group.BANT for row in listed)
    return [
        GroupRows(key, label, help, icon, [row for row in listed if row.rule.group == key])
        for key, label, help, icon in (*GROUPS, *([BANT_GROUP] if with_bant else []))
    ]


def live_rows(version: ScoreVersion, answers: Mapping[UUID, Mapping[str, int]]) -> list[RuleRow]:
    catalogue = Catalogue()
    return [
        RuleRow(
            rule,
            rule_in_words(rule, catalogue),
            answers.get(rule.key, NO_ANSWERS),
            problem=problem_of(rule.conditions, catalogue),
        )
        for rule in bant.all_rules(version)
    ]


def draft_rows(draft: ScoreVersion, live: ScoreVersion | None, test: Trial | None = None) -> list[RuleRow]:
    """Rules of a draft with how each differs from the live one and what it gives the test contact; removed ones at the end."""
    before = {rule.key: rule for rule in bant.all_rules(live)} if live else {}
    catalogue = Catalogue()
    rows = [
        RuleRow(
            rule,
            rule_in_words(rule, catalogue),
            NO_ANSWERS,
            change=_change(rule, before.get(rule.key), is_first=live is None),
            before=before.get(rule.key),
            holds=None if test is None else rule.key in test.held,
            gives=None if test is None else test.points.get(rule.key, Decimal(0)),
            is_unknown=test is not None and rule.key in test.unknown,
            problem=problem_of(rule.conditions, catalogue),
        )
        for rule in bant.all_rules(draft)
    ]
    kept = {row.rule.key for row in rows}
    return rows + [
        RuleRow(rule, rule_in_words(rule, catalogue), NO_ANSWERS, change="removed", before=rule)
        for key, rule in before.items()
        if key not in kept
    ]


def problem_of(conditions: Any, catalogue: Catalogue) -> str:
    """What a stored condition names that is gone (a segment in the archive, a deleted field), or an empty text."""
    try:
        check(conditions, catalogue=catalogue)
    except BadConditions as error:
        return str(error.problems[0].message)
    return ""


def unreadable(draft: ScoreVersion) -> list[tuple[str, str]]:
    """(name, problem) of the draft's rules, and of its hand-off condition, for which publishing would be refused."""
    catalogue = Catalogue()
    found = [(rule.name, problem_of(rule.conditions, catalogue)) for rule in draft.rules.all()]
    if draft.hand_off_conditions is not None:
        found.append((str(_("Hand-off condition")), problem_of(draft.hand_off_conditions, catalogue)))
    return [(name, problem) for name, problem in found if problem]


def _change(rule: Rule, before: Rule | None, *, is_first: bool) -> str:
    if is_first:
        return ""
    if before is None:
        return "added"
    return "" if says(before) == says(rule) and before.name == rule.name else "changed"


def has_changes(draft: ScoreVersion, live: ScoreVersion | None) -> bool:
    if live is None:
        return True
    lines_differ = any(getattr(draft, name) != getattr(live, name) for name in LINES)
    return lines_differ or any(row.change for row in draft_rows(draft, live))


# --- grade grid, distribution ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    grade: str
    count: int
    before: int | None = None

    @property
    def change(self) -> int:
        return self.count - (self.before or 0)

    @property
    def heat(self) -> int:
        """0 (D4) … 6 (A1): how good the grade is."""
        return (3 - LETTERS.index(self.grade[0])) + (3 - DIGITS.index(self.grade[1]))


def grid(counts: Mapping[str, int], before: Mapping[str, int] | None = None) -> list[tuple[str, list[Cell]]]:
    """Rows A to D, columns 1 to 4."""
    return [
        (
            letter,
            [
                Cell(
                    letter + digit,
                    counts.get(letter + digit, 0),
                    None if before is None else before.get(letter + digit, 0),
                )
                for digit in DIGITS
            ],
        )
        for letter in LETTERS
    ]


@dataclass(frozen=True)
class Bar:
    """One bar of the distribution, drawn in a box of 100 by 100 units."""

    band: int
    label: str
    count: int
    before: int | None
    x: float
    width: float
    height: float
    height_before: float
    is_over: bool

    @property
    def y(self) -> float:
        return 100 - self.height

    @property
    def y_before(self) -> float:
        return 100 - self.height_before

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


def bars(counts: Mapping[int, int], threshold: Decimal, before: Mapping[int, int] | None = None) -> list[Bar]:
    """Bands of ten points from the lowest to the highest that anybody is in, at least 0 to 100."""
    used = [band for band, n in counts.items() if n] + [band for band, n in (before or {}).items() if n]
    low, high = min([0, *used]), max([9, *used])
    tallest = max([1, *counts.values(), *(before or {}).values()])
    width = 100 / (high - low + 1)
    return [
        Bar(
            band=band,
            label=band_label(band),
            count=counts.get(band, 0),
            before=None if before is None else before.get(band, 0),
            x=round((band - low) * width + width * 0.08, 3),
            width=round(width * 0.84, 3),
            height=_height(counts.get(band, 0), tallest),
            height_before=_height((before or {}).get(band, 0), tallest),
            is_over=band * queries.BAND >= threshold,
        )
        for band in range(low, high + 1)
    ]


def _height(count: int, tallest: int) -> float:
    return round(max(100 * count / tallest, 1.0 if count else 0.0), 3)


def line_x(bars_shown: Sequence[Bar], threshold: Decimal) -> float | None:
    """Where the threshold cuts the bars, in their units; None beyond them."""
    low, high = bars_shown[0].band, bars_shown[-1].band
    place = (float(threshold) / queries.BAND - low) / (high - low + 1)
    return round(place * 100, 3) if 0 <= place <= 1 else None


def band_label(band: int) -> str:
    if band <= queries.LOWEST_BAND:
        return _("below %(points)s") % {"points": shown((band + 1) * queries.BAND)}
    if band >= queries.HIGHEST_BAND:
        return _("%(points)s and more") % {"points": shown(band * queries.BAND)}
    return _("%(low)s to below %(high)s") % {
        "low": shown(band * queries.BAND),
        "high": shown((band + 1) * queries.BAND),
    }


# --- ready for sales ----------------------------------------------------------------------------------------------------------

READY_STEP, READY_BAR, READY_TOP, READY_FLOOR = 60.0, 36.0, 12.0, 112.0


@dataclass(frozen=True)
class ReadyColumn:
    """One month (and threshold) of the chart, in its own units. Coordinates are text: no locale may put a comma into them."""

    row: queries.ReadyRow
    x: str
    middle: str
    y: str
    height: str
    label_y: str


@dataclass(frozen=True)
class ReadyChart:
    columns: list[ReadyColumn]
    line: str
    low: Decimal
    high: Decimal
    width: str
    bar: str
    grid: list[dict[str, str]]


def ready_chart(rows: Sequence[queries.ReadyRow]) -> ReadyChart:
    """Bars of the share that sales accepted, and the threshold as a line over them, between its lowest and highest."""
    tall = READY_FLOOR - READY_TOP
    low = min((row.threshold for row in rows), default=Decimal(0))
    high = max((row.threshold for row in rows), default=Decimal(0))
    columns, points = [], []
    for place, row in enumerate(rows):
        height = tall * row.share / 100
        middle = READY_STEP * place + READY_STEP / 2
        columns.append(
            ReadyColumn(
                row,
                x=f"{middle - READY_BAR / 2:.1f}",
                middle=f"{middle:.1f}",
                y=f"{READY_FLOOR - height:.1f}",
                height=f"{height:.1f}",
                label_y=f"{max(READY_FLOOR - height - 3, READY_TOP - 2):.1f}",
            )
        )
        level = 0.5 if high == low else float((row.threshold - low) / (high - low)) * 0.8 + 0.1
        points.append(f"{middle:.1f},{READY_FLOOR - tall * level:.1f}")
    if len(points) == 1:
        points = [f"0,{points[0].split(',')[1]}", f"{READY_STEP:.0f},{points[0].split(',')[1]}"]
    grid = [{"y": f"{READY_FLOOR - tall * share / 100:.1f}"} for share in (0, 25, 50, 75, 100)]
    width = max(READY_STEP * len(rows), READY_STEP * 6)
    return ReadyChart(columns, " ".join(points), low, high, f"{width:.0f}", f"{READY_BAR:.0f}", grid)


# --- leads ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lead:
    """A hand-off as the queue shows it: the frozen card, and how much business time is left."""

    hand_off: HandOff
    card: dict[str, Any]
    left: timedelta
    is_late: bool

    @property
    def left_words(self) -> str:
        if self.is_late and abs(self.left) < timedelta(minutes=1):
            return _("due")  # nights and weekends do not count: the clock stands where business ended
        words = in_hours(abs(self.left))
        return _("%(time)s late") % {"time": words} if self.is_late else _("%(time)s left") % {"time": words}

    @property
    def urgency(self) -> str:
        if self.is_late:
            return "late"
        return "soon" if self.left <= timedelta(hours=2) else "calm"

    @property
    def reasons(self) -> list[dict[str, Any]]:
        return list(self.card.get("reasons", []))

    @property
    def misled(self) -> list[str]:
        """Rules that sales marked as misleading, as the card names them."""
        return [str(key) for key in self.hand_off.misleading]

    @property
    def top_reasons(self) -> list[dict[str, Any]]:
        return self.reasons[:3]


def lead(hand_off: HandOff, calendar: Calendar, now: datetime) -> Lead:
    until = hand_off.answered_at or now
    left = between(until, hand_off.due_at, calendar)
    return Lead(hand_off, thawed(hand_off.card), left, until > hand_off.due_at)


def in_hours(time: timedelta) -> str:
    """Business hours and minutes: “3 h 20 min”; beyond three days whole hours."""
    minutes = int(time.total_seconds()) // 60
    hours, rest = divmod(minutes, 60)
    if hours >= 72:
        return ngettext("%(hours)s business hour", "%(hours)s business hours", hours) % {"hours": hours}
    if hours and rest:
        return _("%(hours)s h %(minutes)s min") % {"hours": hours, "minutes": rest}
    return _("%(hours)s h") % {"hours": hours} if hours else _("%(minutes)s min") % {"minutes": rest}


def thawed(value: Any) -> Any:
    """A frozen card with its moments and days as such."""
    if isinstance(value, list):
        return [thawed(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: thawed(one) for key, one in value.items()}
    for key in ("at", "since", "last_at"):
        if isinstance(found.get(key), str):
            found[key] = parse_datetime(found[key])
    for key in ("opened_on", "closed_on"):
        if isinstance(found.get(key), str):
            found[key] = parse_date(found[key])
    return found


CAUSE_WORDS = {
    "threshold": gettext_lazy("stands over the line"),
    "returned": gettext_lazy("came back on its day"),
    "by_hand": gettext_lazy("handed over by hand"),
    "backlog": gettext_lazy("stood over the line at a publication; its day has come"),
}


def cause_in_words(cause: str) -> str:
    kind, _colon, name = cause.partition(":")
    if kind == "program":
        return _("handed over by the program %(name)s") % {"name": name}
    return str(CAUSE_WORDS.get(cause, cause))


@dataclass(frozen=True)
class ModelRow:
    """A model in the list."""

    model: ScoreModel
    live: ScoreVersion | None
    draft: ScoreVersion | None
    rule_count: int
    open_leads: int
    over_line: int
