"""What the rest of the desk asks of the filter."""

from __future__ import annotations

from mlfilter.backtesting import run_setup_backtest
from mlfilter.filters import active_filter, active_recognizer
from mlfilter.models import current_settings
from mlfilter.monitor import measure, watch
from mlfilter.outcomes import compute_outcomes, record_outcome
from mlfilter.scanning import preview, scan
from mlfilter.training import train

__all__ = [
    "active_filter",
    "active_recognizer",
    "compute_outcomes",
    "current_settings",
    "measure",
    "preview",
    "record_outcome",
    "run_setup_backtest",
    "scan",
    "train",
    "watch",
]
