"""The row of settings as the values that pure code takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlfilter.outside import in_order

if TYPE_CHECKING:
    from mlfilter.backtest import BacktestSettings
    from mlfilter.models import BotSettings
    from mlfilter.proposals import Terms
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

TAKER_COLUMNS = ("taker_buy_base_volume",)
BAR_COLUMNS = ("open", "high", "low", "close", "volume")


def terms_of(settings: BotSettings, interval: str) -> Terms:
    """Return what a setup and a success are on bars of an interval.

    Raises
    ------
    FilterError
        The settings name an outside column that nobody brings.
    """
    from mlfilter.proposals import Terms
    from mlfilter.setups import Barriers, Costs

    return Terms(
        interval=interval,
        family=settings.signal_family,
        thresholds=settings.signal_thresholds,
        label=settings.label,
        success_threshold=settings.success_threshold,
        barriers=Barriers(stop_pct=settings.stop_pct, target_pct=settings.target_pct, horizon=settings.horizon),
        costs=Costs(half_spread=settings.half_spread, slippage=settings.slippage, fee=settings.fee),
        outside=in_order(settings.outside_columns),
    )


def backtest_settings(settings: BotSettings, terms: Terms, *, capital: float = 10_000.0) -> BacktestSettings:
    """Return how the backtest's account trades."""
    from mlfilter.backtest import BacktestSettings
    from mlfilter.sizing import RiskRules

    rules = RiskRules(
        risk_per_trade=settings.risk_per_trade,
        max_risk_per_trade=settings.max_risk_per_trade,
        leverage=settings.leverage,
    )
    return BacktestSettings(
        barriers=terms.barriers,
        costs=terms.costs,
        rules=rules,
        capital=capital,
        cooldown_bars=settings.cooldown_bars,
        daily_loss=settings.daily_loss,
    )


def new_recognizer(settings: BotSettings, terms: Terms, **changed: Any) -> MLPatternRecognizer:
    """Return a recognizer, not trained."""
    from mlfilter.recognizers.recognizer import MLPatternRecognizer

    made: dict[str, Any] = {"model": settings.recognizer, "embargo": terms.embargo} | rules(settings) | changed
    return MLPatternRecognizer(**made)


def rules(settings: BotSettings) -> dict[str, Any]:
    """Return what decides whether a trained recognizer approves: a person may change it without training again."""
    return {
        "threshold": settings.confidence_threshold,
        "n_similar": settings.n_similar,
        "min_similar_win_rate": settings.min_similar_win_rate,
        "min_outcomes": settings.min_outcomes_for_similar,
    }


def terms_data(terms: Terms) -> dict[str, Any]:
    """Return the terms as JSON has them; ``terms_from`` reads them back."""
    from dataclasses import asdict

    return asdict(terms) | {"thresholds": dict(terms.thresholds), "outside": list(terms.outside)}


def terms_from(data: dict[str, Any]) -> Terms:
    """Return the terms that ``terms_data`` wrote."""
    from mlfilter.proposals import Terms
    from mlfilter.setups import Barriers, Costs

    values = {"barriers": Barriers(**data["barriers"]), "costs": Costs(**data["costs"])}
    return Terms(**(data | values | {"outside": tuple(data.get("outside", ()))}))  # older versions knew of none
