"""The Django admin of segments and personas, for admins: to be looked at; they change through their own pages, which leave marks."""

from __future__ import annotations

from django.contrib import admin

from leads.admin import ReadOnlyAdmin
from segments import models


@admin.register(models.Segment)
class SegmentAdmin(ReadOnlyAdmin):
    list_display = (
        "slug",
        "name",
        "mode",
        "member_count",
        "stale_since",
        "due_at",
        "refreshed_at",
        "problem",
        "archived_at",
    )
    search_fields = ("slug", "name")
    list_filter = ("mode",)


@admin.register(models.SegmentVersion)
class SegmentVersionAdmin(ReadOnlyAdmin):
    list_display = ("segment_id", "number", "saved_at", "saved_by_id", "reason", "joining", "leaving")
    ordering = ("-id",)


@admin.register(models.SegmentOverride)
class SegmentOverrideAdmin(ReadOnlyAdmin):
    list_display = ("segment_id", "contact_id", "verdict", "cause", "since", "reason")
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("segment_id", "contact_id", "since", "until", "why", "left_why")
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.Persona)
class PersonaAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "status", "position", "contact_count", "stale_since", "due_at", "problem")
    search_fields = ("slug", "name")
    list_filter = ("status",)


@admin.register(models.PersonaAssignment)
class PersonaAssignmentAdmin(ReadOnlyAdmin):
    list_display = ("persona_id", "contact_id", "since", "until", "why")
    ordering = ("-id",)
    list_per_page = 50
