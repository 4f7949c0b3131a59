"""What is planned, what was fitted, what trades, what was predicted, and what was tried, as rows."""

from strategies.models.backtests import Backtest
from strategies.models.fitted import Activation, FittedModel
from strategies.models.plan import MAX_VARIANT, PlanRow, strategy_choices
from strategies.models.predictions import LivePrediction
from strategies.models.rules import RegistrySettings
from strategies.models.tunings import TuningRun

__all__ = [
    "MAX_VARIANT",
    "Activation",
    "Backtest",
    "FittedModel",
    "LivePrediction",
    "PlanRow",
    "RegistrySettings",
    "TuningRun",
    "strategy_choices",
]
