"""How the backtest's account trades."""

from __future__ import annotations

from dataclasses import dataclass, field

from mlfilter.backtest.kernels import Terms
from mlfilter.ranges import require_fractions, require_positive, require_whole
from mlfilter.setups import Barriers, Costs
from mlfilter.sizing import RiskRules

MAX_COOLDOWN = 10_000  # bars


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestSettings:
    """One symbol's account: where trades end, what they cost and how much is risked.

    Raises
    ------
    ValueError
        For a number outside what it may be.
    """

    barriers: Barriers = field(default_factory=Barriers)
    costs: Costs = field(default_factory=Costs)
    rules: RiskRules = field(default_factory=RiskRules)
    capital: float = 10_000.0
    cooldown_bars: int = 4  # after a loss, counted from the bar that brought it
    daily_loss: float = 0.02  # fraction of the equity at 00:00 UTC; after it the day enters nothing more
    quantity_step: float = 0.0  # 0: any quantity can be traded

    def __post_init__(self) -> None:
        require_positive(capital=self.capital)
        require_whole((0, MAX_COOLDOWN), cooldown_bars=self.cooldown_bars)
        require_fractions((0.0001, 1.0), daily_loss=self.daily_loss)
        require_fractions((0.0, 1e12), quantity_step=self.quantity_step)

    def terms(self) -> Terms:
        """Return all of it as the kernel reads it."""
        return Terms(
            horizon=self.barriers.horizon,
            half_spread=float(self.costs.half_spread),
            slippage=float(self.costs.slippage),
            fee=float(self.costs.fee),
            capital=float(self.capital),
            risk=float(self.rules.risk_per_trade),
            most_risk=float(self.rules.max_risk_per_trade),
            leverage=float(self.rules.leverage),
            step=float(self.quantity_step),
            cooldown=self.cooldown_bars,
            daily_loss=float(self.daily_loss),
        )
