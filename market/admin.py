"""Symbols are edited here, with history; what happened is only read."""

from __future__ import annotations

from datetime import datetime

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from market.models import (
    Bar,
    BookSnapshot,
    FundingRate,
    Kline,
    KlineHole,
    QuarantinedRow,
    RecentTrade,
    Sentiment,
    Symbol,
    from_ms,
)


@admin.register(Symbol)
class SymbolAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # simple_history ships no types
    list_display = ["name", "binance_symbol", "is_traded", "ordering"]
    list_editable = ["is_traded", "ordering"]
    search_fields = ["name", "binance_symbol"]
    history_list_display = ["binance_symbol", "is_traded", "ordering"]


class FactAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Rows that no person writes."""

    show_full_result_count = False  # counting a million rows costs more than the page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Bar)
class BarAdmin(FactAdmin):
    list_display = ["symbol", "interval", "open_at", "open", "high", "low", "close", "tick_volume", "spread"]
    list_filter = ["interval", "symbol"]
    search_fields = ["symbol"]


@admin.register(Kline)
class KlineAdmin(FactAdmin):
    list_display = ["symbol", "interval", "open_at", "open", "high", "low", "close", "volume", "taker_buy_base_volume"]
    list_filter = ["interval", "symbol"]
    search_fields = ["symbol"]


@admin.register(RecentTrade)
class RecentTradeAdmin(FactAdmin):
    list_display = ["symbol", "trade_id", "traded_at", "price", "quantity", "is_buyer_maker"]
    list_filter = ["symbol"]
    search_fields = ["symbol"]


@admin.register(FundingRate)
class FundingRateAdmin(FactAdmin):
    list_display = ["symbol", "at", "rate", "mark_price", "received_at"]
    list_filter = ["symbol"]
    search_fields = ["symbol"]


@admin.register(BookSnapshot)
class BookSnapshotAdmin(FactAdmin):
    list_display = ["symbol", "at", "bid", "ask", "bid_quantity", "ask_quantity", "imbalance", "received_at"]
    list_filter = ["symbol"]
    search_fields = ["symbol"]


@admin.register(Sentiment)
class SentimentAdmin(FactAdmin):
    list_display = ["at", "value", "label", "received_at"]
    list_filter = ["label"]


@admin.register(KlineHole)
class KlineHoleAdmin(FactAdmin):
    """Holes may be deleted: then the exchange is asked for their klines again."""

    list_display = ["symbol", "interval", "first_at", "last_at", "asked_at"]
    list_filter = ["interval", "symbol"]
    search_fields = ["symbol"]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    @admin.display(ordering="first_ms")
    def first_at(self, hole: KlineHole) -> datetime:
        return from_ms(hole.first_ms)

    @admin.display(ordering="last_ms")
    def last_at(self, hole: KlineHole) -> datetime:
        return from_ms(hole.last_ms)


@admin.register(QuarantinedRow)
class QuarantinedRowAdmin(FactAdmin):
    list_display = ["at", "source", "symbol", "interval", "open_ms", "open_text", "reason"]
    list_filter = ["reason", "symbol", "source"]
    search_fields = ["symbol", "reason"]
