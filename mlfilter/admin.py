"""The bot's settings and symbols are edited here, with history; setups, outcomes and backtests are facts."""

from __future__ import annotations

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from simple_history.admin import SimpleHistoryAdmin

from mlfilter.models import BotSettings, BotSymbol, Outcome, Setup, SetupBacktest
from mlfilter.models.settings import outside_choices
from strategies.admin import Facts


class BotSettingsForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable when it runs
    """Outside columns are ticked, not typed."""

    outside_columns = forms.MultipleChoiceField(
        choices=outside_choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=BotSettings._meta.get_field("outside_columns").help_text,
    )

    class Meta:
        model = BotSettings
        fields = "__all__"  # noqa: DJ007  # the admin says who may edit what


@admin.register(BotSettings)
class BotSettingsAdmin(SimpleHistoryAdmin):  # type: ignore[misc]  # simple_history ships no types
    form = BotSettingsForm
    list_display = ["__str__", "recognizer", "confidence_threshold", "stop_pct", "target_pct", "risk_per_trade"]
    history_list_display = ["confidence_threshold", "stop_pct", "target_pct", "risk_per_trade", "outside_columns"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return not BotSettings.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(BotSymbol)
class BotSymbolAdmin(SimpleHistoryAdmin):  # type: ignore[misc]
    list_display = ["name", "broker", "data_symbol", "interval", "is_enabled", "position"]
    list_editable = ["is_enabled", "position"]
    list_filter = ["broker", "is_enabled"]
    search_fields = ["name", "data_symbol"]


@admin.register(Setup)
class SetupAdmin(Facts):
    list_display = ["symbol", "broker", "bar_at", "direction", "confidence", "threshold", "approved", "missed_reason"]
    list_filter = ["approved", "direction", "broker", "symbol"]
    list_select_related = ["model__symbol"]
    search_fields = ["symbol", "missed_reason"]
    date_hierarchy = "bar_at"


@admin.register(Outcome)
class OutcomeAdmin(Facts):
    list_display = ["setup", "is_real", "exit_reason", "r", "pnl", "fees", "exit_at"]
    list_filter = ["is_real", "exit_reason"]
    list_select_related = ["setup"]
    search_fields = ["setup__symbol"]


@admin.register(SetupBacktest)
class SetupBacktestAdmin(Facts):
    list_display = ["symbol", "interval", "since", "until", "auc", "seconds", "run_by", "created_at"]
    list_filter = ["symbol", "interval"]
    search_fields = ["symbol", "run_by"]
