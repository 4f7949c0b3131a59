"""``OrthAlphaStrategy`` with calm observations counting for more."""

from __future__ import annotations

from market.bars import Floats
from strategies.estimators.orth_alpha import OrthAlphaStrategy
from strategies.kernels.regression import rolling_wls


class WeightedOrthAlphaStrategy(OrthAlphaStrategy):
    """The same regression by weighted least squares, each row weighted by ``1 / v_{t-fw} ** 2``.

    Parameters
    ----------
    forward_window, regression_window, alpha, fit_decay, decay_mode
        See ``OrthAlphaStrategy``.
    vol_window, target_vol, strat_weight, min_values
        See ``BaseStrategy``.
    """

    def _regress(self, y: Floats, trend: Floats, risk: Floats) -> Floats:
        return rolling_wls(y, trend, 1.0 / risk**2, self.regression_window)
