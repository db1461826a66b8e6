"""What scores add to the pages of contacts: a panel with the reasons, events of the timeline, columns and filters of the list."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from leads.models import Contact
from leads.panels import (
    Column,
    ListFilter,
    Panel,
    TimelineEvent,
    TimelineSource,
    register_column,
    register_filter,
    register_panel,
    register_timeline,
)
from scoring import bant, queries
from scoring.grades import GRADES, WORST
from scoring.ledger import LATE, cap_and_given_names
from scoring.models import HandOff, LedgerRow, Rule, Score, ScoreModel, ScoreVersion
from scoring.occurrences import rule_in_words
from scoring.words import CAUSES, shown
from segments.conditions import Catalogue

HISTORY = 30

STYLES = "scoring/scoring.css"


def register() -> None:
    register_panel(
        Panel("score", gettext_lazy("Score"), "scoring/_score_panel.html", _panel, order=20, stylesheet=STYLES)
    )
    register_timeline(TimelineSource("scores", gettext_lazy("Scores"), _ledger_events, order=50))
    register_timeline(TimelineSource("hand_offs", gettext_lazy("Hand-offs"), _hand_off_events, order=60))
    register_column(
        Column(
            "score",
            gettext_lazy("Score"),
            _totals,
            text=shown,
            in_header=True,
            is_default=True,
            order=20,
            of_contact=lambda contact: _default(contact, "total"),
        )
    )
    register_column(
        Column(
            "grade",
            gettext_lazy("Grade"),
            _grades,
            template="scoring/_grade_badge.html",
            in_header=True,
            is_default=True,
            order=21,
            stylesheet=STYLES,
            of_contact=lambda contact: _default(contact, "grade"),
        )
    )
    register_filter(ListFilter("grade", gettext_lazy("Grade"), _grade_choices, _with_grade, order=40))


# --- panel --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reason:
    """A rule that counts for a contact, in words."""

    name: str
    sentence: str
    group: str
    points: Decimal
    since: datetime


@dataclass(frozen=True)
class ModelScore:
    """A contact's score in one model, with its reasons and the newest of its ledger."""

    model: ScoreModel
    version: ScoreVersion
    score: Score | None
    reasons: list[Reason]
    history: list[LedgerRow]
    open_hand_off: HandOff | None

    @property
    def total(self) -> Decimal:
        return self.score.total if self.score else Decimal(0)

    @property
    def grade(self) -> str:
        return self.score.grade if self.score else WORST

    @property
    def is_ripe(self) -> bool:
        return self.total >= self.version.threshold


def _panel(contact: Contact, user: User, now: datetime) -> dict[str, Any]:
    """Every model's score, the default first. Five statements whatever the number of models, six with points given by hand."""
    versions = list(
        ScoreVersion.objects.filter(state=ScoreVersion.State.LIVE, model__archived_at=None)
        .select_related("model")
        .order_by("-model__is_default", "model__name")
    )
    names = rule_names([version.model_id for version in versions])
    rows = list(
        LedgerRow.objects.filter(contact=contact, model__in=[v.model_id for v in versions]).order_by(
            "-counts_from", "-points"
        )
    )
    for version in versions:
        names |= bant.named(version.model)
    others = cap_and_given_names(contact.pk, rows)
    scores = {score.model_id: score for score in _scores(contact)}
    open_ones = {one.model_id: one for one in HandOff.objects.open().filter(contact=contact)}
    return {
        "models": [
            ModelScore(
                version.model,
                version,
                scores.get(version.model_id),
                _reasons([row for row in rows if row.model_id == version.model_id], names, others),
                _told([row for row in rows if row.model_id == version.model_id and row.points], names, others)[
                    :HISTORY
                ],
                open_ones.get(version.model_id),
            )
            for version in versions
        ]
    }


def _scores(contact: Contact) -> list[Score]:
    """With their models. Asked once while a page is drawn, for the header and the panel: kept on the contact."""
    if not hasattr(contact, "_ripen_scores"):
        rows = Score.objects.filter(contact=contact).select_related("model")
        contact._ripen_scores = list(rows)  # type: ignore[attr-defined]
    return cast("list[Score]", contact._ripen_scores)  # type: ignore[attr-defined]


def _default(contact: Contact, column: str) -> Any:
    return next((getattr(score, column) for score in _scores(contact) if score.model.is_default), None)


def rule_names(model_ids: Sequence[int]) -> dict[UUID, Rule]:
    """Key -> rule as its newest published version says it. One statement."""
    rules = Rule.objects.filter(version__model__in=list(model_ids)).exclude(version__state=ScoreVersion.State.DRAFT)
    return {rule.key: rule for rule in rules.order_by("version__number")}


def _bant_names(rows: Iterable[LedgerRow]) -> dict[UUID, Rule]:
    """The facets of BANT among the ledger's rows. One statement where there are any."""
    models = {row.model_id for row in rows if row.group == Rule.Group.BANT}
    found: dict[UUID, Rule] = {}
    for model in ScoreModel.objects.filter(pk__in=models) if models else ():
        found |= bant.named(model)
    return found


def _reasons(rows: Sequence[LedgerRow], names: dict[UUID, Rule], others: dict[UUID, str]) -> list[Reason]:
    sums: dict[UUID, Decimal] = defaultdict(Decimal)
    since: dict[UUID, datetime] = {}
    for row in reversed(rows):
        if sums[row.rule_key] == 0:
            since[row.rule_key] = row.counts_from
        sums[row.rule_key] += row.points
    groups = {row.rule_key: row.group for row in rows}
    catalogue = Catalogue()
    found = [
        Reason(names[key].name, rule_in_words(names[key], catalogue), names[key].group, points, since[key])
        if key in names
        else Reason(others[key], "", groups[key], points, since[key])
        for key, points in sums.items()
        if points and (key in names or key in others)
    ]
    return sorted(found, key=lambda reason: (-reason.points, reason.name))


def _told(rows: Sequence[LedgerRow], names: dict[UUID, Rule], others: dict[UUID, str]) -> list[LedgerRow]:
    for row in rows:
        rule = names.get(row.rule_key)
        row.rule_name = rule.name if rule else others.get(row.rule_key, _("a rule"))  # type: ignore[attr-defined]
        row.is_late = row.recorded_at - row.counts_from > LATE  # type: ignore[attr-defined]
        row.cause_words = CAUSES.get(row.cause, row.cause)  # type: ignore[attr-defined]
    return list(rows)


# --- timeline -------------------------------------------------------------------------------------------------------------


def _ledger_events(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """One event per model and moment: what changed then, added up. Two statements, a third where BANT counts."""
    rows = LedgerRow.objects.filter(contact_id=contact_id).exclude(points=0)
    if before is not None:
        rows = rows.filter(counts_from__lt=before)
    moments = rows.order_by("-counts_from").values("counts_from").distinct()[:limit]
    chosen = list(rows.filter(counts_from__in=moments).order_by("-counts_from", "-points").select_related("model"))
    if not chosen:
        return []
    names = rule_names(sorted({row.model_id for row in chosen})) | _bant_names(chosen)
    grouped: dict[tuple[datetime, int], list[LedgerRow]] = defaultdict(list)
    for row in chosen:
        grouped[row.counts_from, row.model_id].append(row)
    return [_ledger_event(at, changes, names) for (at, _model), changes in grouped.items()]


def _ledger_event(at: datetime, rows: Sequence[LedgerRow], names: dict[UUID, Rule]) -> TimelineEvent:
    points = sum((row.points for row in rows), Decimal(0))
    others = {key: _("Cap") for key in queries.CAP_KEYS.values()}
    found = [
        (
            names[row.rule_key].name if row.rule_key in names else others.get(row.rule_key, CAUSES.get(row.cause, "")),
            row,
        )
        for row in rows
    ]
    parts = [f"{name} {shown(row.points, sign=True)}" for name, row in found if name]
    return TimelineEvent(
        at=at,
        icon="trending-up" if points > 0 else "trending-down" if points < 0 else "arrows-up-down",
        title=ngettext("%(points)s point in “%(model)s”", "%(points)s points in “%(model)s”", int(abs(points)))
        % {"points": shown(points, sign=True), "model": rows[0].model.name},
        detail=" · ".join(parts),
        url=reverse("scoring:model-detail", args=[rows[0].model.slug]),
    )


def _hand_off_events(contact_id: int, before: datetime | None, limit: int) -> Sequence[TimelineEvent]:
    """Handed over, and what sales said. One statement over the hand-offs of one contact, of which there are few."""
    events: list[TimelineEvent] = []
    for row in HandOff.objects.filter(contact_id=contact_id).select_related("model", "answered_by", "answer_reason"):
        url = reverse("scoring:hand-off-detail", args=[row.pk])
        events.append(
            TimelineEvent(
                at=row.handed_over_at,
                icon="transfer-out",
                title=_("Handed to sales with %(total)s points, grade %(grade)s")
                % {"total": shown(row.total), "grade": row.grade},
                detail=row.card.get("why_now", {}).get("words", ""),
                url=url,
            )
        )
        if row.answered_at is not None:
            events.append(
                TimelineEvent(
                    at=row.answered_at,
                    icon=_ANSWER_ICONS[HandOff.State(row.state)],
                    title=_answer_title(row),
                    detail=_answer_detail(row),
                    url=url,
                )
            )
    events = [event for event in events if before is None or event.at < before]
    events.sort(key=lambda event: event.at, reverse=True)
    return events[:limit]


_ANSWER_ICONS = {
    HandOff.State.ACCEPTED: "circle-check",
    HandOff.State.REJECTED: "circle-x",
    HandOff.State.RECYCLED: "recycle",
}


def _answer_title(row: HandOff) -> str:
    name = (row.answered_by.get_full_name() or row.answered_by.get_username()) if row.answered_by else _("Somebody")
    titles = {
        HandOff.State.ACCEPTED: _("%(name)s accepted the lead"),
        HandOff.State.REJECTED: _("%(name)s rejected the lead"),
        HandOff.State.RECYCLED: _("%(name)s recycled the lead"),
    }
    return titles[HandOff.State(row.state)] % {"name": name}


def _answer_detail(row: HandOff) -> str:
    return " · ".join(part for part in (str(row.answer_reason) if row.answer_reason else "", row.answer_note) if part)


# --- the contact list -------------------------------------------------------------------------------------------------------


def _default_scores(contact_ids: Sequence[int]) -> QuerySet[Score]:
    return Score.objects.filter(contact_id__in=list(contact_ids), model__is_default=True)


def _totals(contact_ids: Sequence[int]) -> dict[int, Any]:
    return dict(_default_scores(contact_ids).values_list("contact_id", "total"))


def _grades(contact_ids: Sequence[int]) -> dict[int, Any]:
    return dict(_default_scores(contact_ids).values_list("contact_id", "grade"))


def _grade_choices() -> list[tuple[str, str]]:
    return [(grade, grade) for grade in GRADES]


def _with_grade(contacts: QuerySet[Contact], grade: str) -> QuerySet[Contact]:
    """By the number of the default model, one statement: the planner then knows that a contact has one score and begins with those
    of the grade, where they are few, or with the newest contacts."""
    model = ScoreModel.objects.filter(is_default=True).values_list("pk", flat=True).first()
    return contacts.filter(Exists(Score.objects.filter(contact=OuterRef("pk"), model=model, grade=grade)))
