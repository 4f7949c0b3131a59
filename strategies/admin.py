"""The plan and the registry's settings are edited here, with history; fitted models are facts."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from strategies.models import Activation, FittedModel, LivePrediction, PlanRow, RegistrySettings


@admin.register(PlanRow)
class PlanRowAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # simple_history ships no types
    list_display = ["strategy", "variant", "strat_weight", "is_enabled", "position"]
    list_editable = ["strat_weight", "is_enabled", "position"]
    list_filter = ["strategy", "is_enabled"]
    search_fields = ["strategy", "variant"]
    readonly_fields = ["variant"]
    history_list_display = ["params", "strat_weight", "is_enabled"]


@admin.register(RegistrySettings)
class RegistrySettingsAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ["__str__", "refit_every_days", "refit_as", "unseen_bars", "min_sharpe_gain"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not RegistrySettings.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Facts(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Rows that nobody edits: they say what happened."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(FittedModel)
class FittedModelAdmin(Facts):
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


@admin.register(Activation)
class ActivationAdmin(Facts):
    list_display = ["model", "kind", "at", "actor", "reason"]
    list_filter = ["kind"]
    list_select_related = ["model__symbol"]
    search_fields = ["model__symbol__name", "model__strategy", "model__variant", "actor"]


@admin.register(LivePrediction)
class LivePredictionAdmin(Facts):
    list_display = ["model", "bar_at", "position", "was_traded", "error"]
    list_filter = ["was_traded"]
    list_select_related = ["model__symbol"]
    search_fields = ["model__symbol__name", "model__strategy", "model__variant"]
