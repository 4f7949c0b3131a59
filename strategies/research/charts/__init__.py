"""Figures of research, each with the table of the same data and a sentence that says what it shows."""

from strategies.research.charts.anatomy import anatomy_chart
from strategies.research.charts.calibration import calibration_chart
from strategies.research.charts.chart import Chart, ChartError
from strategies.research.charts.equity import equity_chart
from strategies.research.charts.fan import fan_chart
from strategies.research.charts.months import monthly_chart
from strategies.research.charts.permutation import permutation_chart
from strategies.research.charts.sharpe import rolling_sharpe, rolling_sharpe_chart
from strategies.research.charts.weights import weights_chart

__all__ = [
    "Chart",
    "ChartError",
    "anatomy_chart",
    "calibration_chart",
    "equity_chart",
    "fan_chart",
    "monthly_chart",
    "permutation_chart",
    "rolling_sharpe",
    "rolling_sharpe_chart",
    "weights_chart",
]
