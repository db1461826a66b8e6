"""Admins look at what programs did; changing it is the pages' work. A domain's pace is theirs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from nurture.models import DomainPace, Enrolment, Image, Program, Sending, Task, Template


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """To be looked at: rows are written by the engine and by actions, which keep their promises."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Program)
class ProgramAdmin(ReadOnly):
    list_display = ("name", "slug", "state", "started_at")
    list_filter = ("state",)
    search_fields = ("name", "slug")


@admin.register(Template)
class TemplateAdmin(ReadOnly):
    list_display = ("name", "slug", "subject", "version")
    search_fields = ("name", "slug", "subject")


@admin.register(Image)
class ImageAdmin(ReadOnly):
    list_display = ("name", "kind", "width", "height", "bytes", "uploaded_at")
    search_fields = ("name", "alt")


@admin.register(Enrolment)
class EnrolmentAdmin(ReadOnly):
    list_display = ("program", "contact", "state", "step", "next_step_at")
    list_filter = ("state", "program")
    list_select_related = ("program", "contact")
    show_full_result_count = False


@admin.register(Sending)
class SendingAdmin(ReadOnly):
    list_display = ("address", "subject", "state", "queued_at", "sent_at", "why_not")
    list_filter = ("state",)
    search_fields = ("address",)
    show_full_result_count = False
    exclude = ("token",)


@admin.register(Task)
class TaskAdmin(ReadOnly):
    list_display = ("title", "contact", "assigned_to", "due_at", "done_at")
    list_select_related = ("contact", "assigned_to")
    show_full_result_count = False


@admin.register(DomainPace)
class DomainPaceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    list_display = ("domain", "per_minute")
    search_fields = ("domain",)
