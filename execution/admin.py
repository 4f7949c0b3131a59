"""The admin of portfolio, weights, limits and settings; what happened is read-only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from execution.models import (
    Account,
    BotTrade,
    ControlRow,
    Decision,
    Enrolment,
    EquityPoint,
    FillRecord,
    FundedProgramme,
    Intent,
    KillEvent,
    LimitRow,
    PortfolioWeight,
    QuietHoursRow,
    RebalanceSettings,
    SymbolOwner,
)
from execution.safety.risk.limits import LIMITS


class Facts(admin.ModelAdmin):  # type: ignore[type-arg]  # of many models
    """Rows that nobody edits: they say what happened."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PortfolioWeight)
class PortfolioWeightAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # simple_history ships no types
    list_display = ("symbol", "weight")
    list_select_related = ("symbol",)


@admin.register(RebalanceSettings)
class RebalanceSettingsAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ("__str__", "size_by", "sizing_capital", "max_position_pct", "weighting", "vol_target")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not RebalanceSettings.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(LimitRow)
class LimitRowAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ("name", "value", "unit", "allowed", "note")

    @admin.display
    def unit(self, row: LimitRow) -> str:
        return LIMITS[row.name].unit

    @admin.display
    def allowed(self, row: LimitRow) -> str:
        return f"{LIMITS[row.name].minimum} to {LIMITS[row.name].ceiling}"


@admin.register(QuietHoursRow)
class QuietHoursAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ("__str__", "symbol", "weekday", "begin", "end", "note")


@admin.register(FundedProgramme)
class FundedProgrammeAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ("title", "daily_loss", "max_loss", "max_loss_kind", "profit_target", "soft_line", "hard_line")
    search_fields = ("key", "title")


@admin.register(Enrolment)
class EnrolmentAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ("account", "programme", "initial_balance", "begin_at", "ended_at")
    list_select_related = ("account", "programme")


@admin.register(Decision)
class DecisionAdmin(Facts):
    list_display = ("market_at", "symbol", "verdict", "clipped_pct", "target_lots", "current_lots", "blocker")
    list_filter = ("symbol", "verdict")
    search_fields = ("symbol", "slot", "blocker")


@admin.register(Intent)
class IntentAdmin(Facts):
    list_display = (
        "created_at",
        "symbol",
        "family",
        "cause",
        "cause_id",
        "from_lots",
        "target_lots",
        "status",
        "reason",
    )
    list_filter = ("symbol", "status", "cause")
    search_fields = ("symbol", "cause_id", "magic")


@admin.register(BotTrade)
class BotTradeAdmin(Facts):
    list_display = ("symbol", "side", "lots", "price", "stop", "target", "status", "result", "closed_at")
    list_filter = ("status", "symbol")
    list_select_related = ("setup", "intent")


@admin.register(FillRecord)
class FillRecordAdmin(Facts):
    list_display = ("at", "symbol", "side", "entry", "volume", "price", "profit", "commission", "swap", "deal_id")
    list_filter = ("symbol", "entry")
    search_fields = ("symbol", "deal_id", "magic")


@admin.register(KillEvent)
class KillEventAdmin(Facts):
    list_display = ("latched_at", "actor", "cause", "n_closed", "flat_at", "rearmed_at")


@admin.register(Account, ControlRow, EquityPoint, SymbolOwner)
class OtherFactsAdmin(Facts):
    """Accounts, states and equity."""
