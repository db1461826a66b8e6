"""The only way from an address to a score model, a version or a lead: 404 in one place."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from scoring.models import HandOff, ScoreModel, ScoreVersion


def model_or_404(slug: str) -> ScoreModel:
    return get_object_or_404(ScoreModel, slug=slug)


def editable_model_or_404(slug: str) -> ScoreModel:
    """An archived model is read, not edited."""
    return get_object_or_404(ScoreModel.objects.in_use(), slug=slug)


def live_version(model: ScoreModel) -> ScoreVersion | None:
    return model.versions.filter(state=ScoreVersion.State.LIVE).prefetch_related("rules").first()


def live_versions() -> QuerySet[ScoreVersion]:
    """Of every model in use, the default first, with their rules. Two statements."""
    live = ScoreVersion.objects.filter(state=ScoreVersion.State.LIVE, model__archived_at=None)
    return live.select_related("model").prefetch_related("rules").order_by("-model__is_default", "model__name")


def draft_version(model: ScoreModel) -> ScoreVersion | None:
    return model.versions.filter(state=ScoreVersion.State.DRAFT).prefetch_related("rules").first()


def live_and_draft(model: ScoreModel) -> tuple[ScoreVersion | None, ScoreVersion | None]:
    """Both with their rules. Two statements."""
    states = (ScoreVersion.State.LIVE, ScoreVersion.State.DRAFT)
    found = {row.state: row for row in model.versions.filter(state__in=states).prefetch_related("rules")}
    return found.get(states[0]), found.get(states[1])


def draft_or_404(model: ScoreModel) -> ScoreVersion:
    draft = draft_version(model)
    if draft is None:
        raise Http404
    draft.model = model
    return draft


def hand_off_or_404(pk: int, **values: Any) -> HandOff:
    rows = HandOff.objects.select_related("contact__company", "model", "owner__user", "answered_by", "answer_reason")
    return get_object_or_404(rows, pk=pk, **values)
