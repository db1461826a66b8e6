"""The Django admin of scoring, for admins: to be looked at; only the reasons that sales may give are edited here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone

from leads.access import can
from leads.actions import audit
from leads.admin import ReadOnlyAdmin
from scoring import models


@admin.register(models.ScoreModel)
class ScoreModelAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "is_default", "stale_since", "due_at", "refreshed_at", "problem", "archived_at")
    search_fields = ("slug", "name")


@admin.register(models.ScoreVersion)
class ScoreVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "model_id",
        "number",
        "state",
        "threshold",
        "published_at",
        "published_by_id",
        "worked_at",
        "reason",
    )
    list_filter = ("state",)
    ordering = ("-id",)


@admin.register(models.Rule)
class RuleAdmin(ReadOnlyAdmin):
    list_display = ("version_id", "group", "name", "points", "met_count")
    list_filter = ("group",)
    ordering = ("-id",)


@admin.register(models.HandOff)
class HandOffAdmin(ReadOnlyAdmin):
    list_display = (
        "contact_id",
        "model_id",
        "state",
        "grade",
        "total",
        "handed_over_at",
        "due_at",
        "cause",
        "answered_at",
    )
    list_filter = ("state",)
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.AnswerReason)
class AnswerReasonAdmin(ReadOnlyAdmin):
    """Added and edited; one that was ever given is taken out of the offer, not deleted."""

    list_display = ("label", "answer", "moves_to", "position", "is_active")
    list_filter = ("answer", "is_active")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return can(request.user, "configure")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return can(request.user, "configure")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What a given reason means stays: answers of the past point at it."""
        return () if obj is None else ("slug", "answer")

    def save_model(self, request: HttpRequest, obj: models.AnswerReason, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        assert isinstance(request.user, User)
        audit(request.user, "changed" if change else "made", obj, {"fields": form.changed_data}, timezone.now())
