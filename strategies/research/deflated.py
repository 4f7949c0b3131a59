"""How good the best of many trials looks by luck alone.

D. H. Bailey and M. Lopez de Prado, "The Deflated Sharpe Ratio: Correcting for Selection Bias, Backtest Overfitting and
Non-Normality", Journal of Portfolio Management 40 (5), 2014. Sharpe ratios are of one bar here, not of a year.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.stats import norm

from market.bars import Floats

POWERS = 5  # sums of the powers 0 to 4
ROUNDING = 1e-12  # of the mean square: less is what subtracting leaves of equal returns


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """The shape of returns, as far as a Sharpe ratio's uncertainty depends on it.

    NaN where it is undefined: ``skewness`` and ``kurtosis`` of equal returns, everything of fewer than two.
    """

    n_bars: int
    mean: float
    deviation: float  # ddof=1
    skewness: float  # 0 for a normal distribution
    kurtosis: float  # 3 for a normal distribution

    @property
    def sharpe(self) -> float:
        """Mean over deviation of one bar; 0 of returns that are all 0, NaN of equal ones that are not."""
        if self.deviation > 0.0:
            return self.mean / self.deviation
        return 0.0 if self.mean == 0.0 else np.nan

    @classmethod
    def of(cls, returns: Floats) -> Self:
        """Return the moments of one series of returns."""
        return cls.of_sums(power_sums(returns))

    @classmethod
    def of_sums(cls, sums: Floats) -> Self:
        """Return the moments of several series together, from the sum of their ``power_sums``.

        Sums of plain powers lose digits when a mean is large against the deviation; that of returns is a hundredth.
        """
        n = float(sums[0])
        if n < 2.0:
            return cls(n_bars=int(n), mean=np.nan, deviation=np.nan, skewness=np.nan, kurtosis=np.nan)
        m1, m2, m3, m4 = (float(total) / n for total in sums[1:])
        variance = m2 - m1**2
        if variance <= ROUNDING * m2:
            return cls(n_bars=int(n), mean=m1, deviation=0.0, skewness=np.nan, kurtosis=np.nan)
        third = m3 - 3.0 * m1 * m2 + 2.0 * m1**3
        fourth = m4 - 4.0 * m1 * m3 + 6.0 * m1**2 * m2 - 3.0 * m1**4
        return cls(
            n_bars=int(n),
            mean=m1,
            deviation=math.sqrt(variance * n / (n - 1.0)),
            skewness=third / variance**1.5,
            kurtosis=fourth / variance**2,
        )

    def counting(self, n_bars: int) -> Self:
        """Return the same shape as seen on so many different bars, where some were summed more than once."""
        return replace(self, n_bars=n_bars)


def power_sums(returns: Floats) -> Floats:
    """Return the count of returns and the sums of their first four powers, an array of shape (5,)."""
    squares = returns * returns
    return np.array([returns.size, returns.sum(), squares.sum(), squares @ returns, squares @ squares])


def probabilistic_sharpe(moments: Moments, benchmark: float = 0.0) -> float:
    """Return the probability that the true Sharpe ratio is above ``benchmark``.

    ``Phi((SR - benchmark) * sqrt(T - 1) / sqrt(1 - skewness * SR + (kurtosis - 1) / 4 * SR**2))`` over ``T`` bars. NaN
    where the moments are.
    """
    sharpe = moments.sharpe
    variance = 1.0 - moments.skewness * sharpe + (moments.kurtosis - 1.0) / 4.0 * sharpe**2
    if not variance > 0.0:
        return np.nan
    return float(norm.cdf((sharpe - benchmark) * math.sqrt((moments.n_bars - 1) / variance)))


def expected_best_sharpe(variance: float, n_trials: int) -> float:
    """Return the Sharpe ratio that the best of ``n_trials`` without any skill can be expected to show.

    ``sqrt(V) * ((1 - g) * PhiInv(1 - 1 / N) + g * PhiInv(1 - 1 / (N * e)))``, ``g`` being Euler's constant and ``V``
    the variance of the trials' Sharpe ratios: the mean of the largest of ``N`` normal numbers, nearly. 0 for a single
    trial, which was not selected.
    """
    if n_trials < 2:
        return 0.0
    g = np.euler_gamma
    most = (1.0 - g) * norm.ppf(1.0 - 1.0 / n_trials) + g * norm.ppf(1.0 - 1.0 / (n_trials * math.e))
    return math.sqrt(variance) * float(most)


def deflated_sharpe(moments: Moments, trial_sharpes: Sequence[float]) -> float:
    """Return the deflated Sharpe ratio: the probability that the best trial's true Sharpe ratio is above 0.

    It is ``probabilistic_sharpe`` against ``expected_best_sharpe``, so 1 less it is the probability that the best is
    luck. Trials that resemble each other count in full, which errs on the careful side.

    Parameters
    ----------
    moments : Moments
        Of the best trial's returns.
    trial_sharpes : sequence of float
        Sharpe ratios of one bar of every trial that was made, the best and the discarded.
    """
    return probabilistic_sharpe(moments, luck_of(trial_sharpes))


def luck_of(trial_sharpes: Sequence[float]) -> float:
    """Return ``expected_best_sharpe`` of as many trials with that variance (``ddof=1``)."""
    variance = float(np.var(trial_sharpes, ddof=1)) if len(trial_sharpes) > 1 else 0.0
    return expected_best_sharpe(variance, len(trial_sharpes))
