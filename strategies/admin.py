"""The plan is edited here, with history; fitted models are facts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from strategies.models import FittedModel, PlanRow


@admin.register(PlanRow)
class PlanRowAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # simple_history ships no types
    list_display = ["strategy", "variant", "strat_weight", "is_enabled", "position"]
    list_editable = ["strat_weight", "is_enabled", "position"]
    list_filter = ["strategy", "is_enabled"]
    search_fields = ["strategy", "variant"]
    readonly_fields = ["variant"]
    history_list_display = ["params", "strat_weight", "is_enabled"]


@admin.register(FittedModel)
class FittedModelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable when it runs
    list_display = [
        "symbol",
        "strategy",
        "variant",
        "version",
        "status",
        "strat_weight",
        "fit_to",
        "n_bars",
        "created_at",
    ]
    list_filter = ["status", "symbol", "strategy"]
    list_select_related = ["symbol"]
    search_fields = ["symbol__name", "strategy", "variant", "sha256"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
