"""The Django admin of the facts, for admins: everything can be looked at; only settings can be changed, and those with an audit.

Facts change through leads.actions alone, since every change must leave a mark: here they are read-only.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest

from leads import models
from leads.access import can


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Lists and pages without any button that writes."""

    show_full_result_count = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return can(request.user, "configure")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return can(request.user, "configure")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(models.Contact)
class ContactAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "email", "external_id", "stage", "created_at")
    list_select_related = ("company", "owner")
    search_fields = ("=email", "=external_id")
    ordering = ("-created_at", "-id")
    list_per_page = 50


@admin.register(models.Company)
class CompanyAdmin(ReadOnlyAdmin):
    list_display = ("name", "domain", "industry", "country")
    search_fields = ("=external_id", "=domain")
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.Deal)
class DealAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "status", "amount", "product", "opened_on", "closed_on")
    list_filter = ("status",)
    search_fields = ("=external_id",)
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.StageMove)
class StageMoveAdmin(ReadOnlyAdmin):
    list_display = ("moved_at", "contact_id", "from_stage", "to_stage", "cause", "reason")
    ordering = ("-id",)
    list_per_page = 50


@admin.register(models.ConsentEvent)
class ConsentEventAdmin(ReadOnlyAdmin):
    list_display = ("occurred_at", "purpose", "state", "source", "wording")
    list_filter = ("state",)
    search_fields = ("=address_hash",)
    ordering = ("-id",)


@admin.register(models.Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    list_display = ("address_hash", "reason", "source", "since")
    list_filter = ("reason",)
    search_fields = ("=address_hash",)


@admin.register(models.ImportJob)
class ImportJobAdmin(ReadOnlyAdmin):
    list_display = ("file_name", "kind", "state", "created", "updated", "unchanged", "rejected", "requested_at")
    list_filter = ("kind", "state")
    ordering = ("-id",)


@admin.register(models.AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "verb", "object_kind", "object_label")
    list_filter = ("verb",)
    list_select_related = ("actor",)
    ordering = ("-id",)


@admin.register(models.Workspace, models.Owner, models.Stage, models.CustomField, models.ActivityKind, models.Asset)
class SettingAdmin(ReadOnlyAdmin):
    """Changed under Settings, where each change is audited."""


class RoleUserAdmin(UserAdmin):  # type: ignore[type-arg]
    """Users as Django knows them, for whoever may configure; permissions of single models are not used, roles are."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return can(request.user, "configure")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return can(request.user, "configure")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return can(request.user, "configure")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return can(request.user, "configure")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what somebody did keeps their name; they are made inactive instead

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        """Only a superuser makes superusers."""
        fields = ("last_login", "date_joined", "user_permissions")
        return fields if request.user.is_superuser else (*fields, "is_superuser")


admin.site.unregister(User)
admin.site.unregister(Group)
admin.site.register(User, RoleUserAdmin)
admin.site.register(Group, ReadOnlyAdmin)
admin.site.site_header = "Ripen"
admin.site.site_title = "Ripen"
admin.site.index_title = "Ripen"
