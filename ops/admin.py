"""The admin of the site's own records: all of them facts."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from ops.models import Alert, AlertDelivery, AuditEntry, Heartbeat, Lease, Run


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]  # of many models
    """Rows that nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Run)
class RunAdmin(ReadOnly):
    list_display = ("job", "slot", "status", "attempts", "queued_at", "started_at", "finished_at", "error")
    list_filter = ("job", "status")
    search_fields = ("slot", "error")


@admin.register(Alert)
class AlertAdmin(ReadOnly):
    list_display = ("last_at", "level", "title", "count", "acknowledged_by", "resolved_at")
    list_filter = ("level",)
    search_fields = ("title", "key")


@admin.register(AlertDelivery)
class AlertDeliveryAdmin(ReadOnly):
    list_display = ("created_at", "label", "kind", "level", "title", "status", "attempts", "error", "tried_at")
    list_filter = ("status", "kind", "label")
    list_select_related = ("alert",)
    search_fields = ("title",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    list_display = ("at", "actor", "source", "action", "subject", "reason")
    list_filter = ("source", "action")
    search_fields = ("actor", "subject", "reason")


@admin.register(Heartbeat, Lease)
class SignsOfLifeAdmin(ReadOnly):
    """Who lives, and who holds what."""
