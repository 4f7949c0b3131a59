"""Every kernel against its Python twin and an independent third, on series made to be hard."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.regression.rolling import RollingOLS, RollingWLS

from strategies.kernels import ewm, positions, regression, rolling, volatility

few = settings(max_examples=40, deadline=None)  # the first example compiles
same = np.testing.assert_array_equal
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def series(draw, *, missing: bool = True, longest: int = 160) -> np.ndarray:
    """Draw a noisy series: perhaps far from zero, with a spike, with runs of equal values, with NaN."""
    rng = np.random.default_rng(draw(SEEDS))
    x: np.ndarray = rng.standard_normal(draw(st.integers(1, longest))) + draw(st.sampled_from([0.0, 100.0, -3e4]))
    if draw(st.booleans()):
        x = np.repeat(x, rng.integers(1, 6, x.size))[: x.size]
    if missing:
        x[rng.random(x.size) < draw(st.sampled_from([0.0, 0.02, 0.3]))] = np.nan
    return x


windows = st.integers(1, 40)
long_windows = st.integers(2, 40)


def close(actual, expected, *, atol=1e-9):
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=atol)


@few
@given(series(), windows)
def test_ema_is_pandas_with_gaps_and_all(x, span):
    same(ewm.ema(x, span), ewm.ema_py(x, span))
    com = (span - 1) / 2 * (1 + 1e-13)  # not exactly 1: pandas 3.1 is wrong there after a gap (its issue 66521)
    close(ewm.ema(x, span), pd.Series(x).ewm(com=com, adjust=False, min_periods=span).mean())


@few
@given(series(), long_windows)
def test_ewm_std_is_pandas_with_gaps_and_all(x, span):
    same(ewm.ewm_std(x, span), ewm.ewm_std_py(x, span))
    close(ewm.ewm_std(x, span), pd.Series(x).ewm(span=span, adjust=False, min_periods=span).std())


@few
@given(series(missing=False), windows, st.integers(1, 30))
def test_ema_spread_is_pandas(x, fast, more):
    same(ewm.ema_spread(x, fast, fast + more), ewm.ema_spread_py(x, fast, fast + more))
    averages = [pd.Series(x).ewm(span=w, adjust=False, min_periods=w).mean() for w in (fast, fast + more)]
    close(ewm.ema_spread(x, fast, fast + more), averages[0] - averages[1])


@few
@given(series(), windows)
def test_rolling_mean_and_extremes_are_pandas(x, window):
    rolled = pd.Series(x).rolling(window)
    same(rolling.rolling_mean(x, window), rolling.rolling_mean_py(x, window))
    close(rolling.rolling_mean(x, window), rolled.mean())
    largest, smallest = rolling.rolling_extremes(x, window)
    same((largest, smallest), rolling.rolling_extremes_py(x, window))
    same(largest, rolled.max())
    same(smallest, rolled.min())


@few
@given(series(), long_windows)
def test_rolling_mean_std_is_numpy_on_every_window(x, window):
    mean, std = rolling.rolling_mean_std(x, window)
    same((mean, std), rolling.rolling_mean_std_py(x, window))
    # Not pandas' rolling std: its sums subtract, so two equal values after a far one differ by 1e-6 there.
    rolled = pd.Series(x).rolling(window)
    close(mean, rolled.apply(np.mean, raw=True))
    close(std, rolled.apply(lambda part: part.std(ddof=1), raw=True))


@few
@given(series(), long_windows)
def test_rolling_slope_is_a_fitted_line(x, window):
    slope = rolling.rolling_slope(x, window)
    same(slope, rolling.rolling_slope_py(x, window))
    bars = np.arange(window) - (window - 1) / 2
    expected = pd.Series(x).rolling(window).apply(lambda part: part @ bars / (bars @ bars), raw=True)
    close(slope, expected)


@few
@given(SEEDS, st.integers(1, 100), st.sampled_from([0.001, 0.02, 0.5]))
def test_rogers_satchell_is_numpy(seed, n, size):
    rng = np.random.default_rng(seed)
    o, c = np.exp(size * rng.standard_normal((2, n)))
    h, l = np.maximum(o, c) * (1 + size * rng.random(n)), np.minimum(o, c) / (1 + size * rng.random(n))  # noqa: E741
    expected = np.log(h / c) * np.log(h / o) + np.log(l / c) * np.log(l / o)
    np.testing.assert_allclose(volatility.rogers_satchell(o, h, l, c), expected, rtol=1e-9, atol=size**2 * 1e-12)
    twin = volatility.rogers_satchell_py(o, h, l, c)
    np.testing.assert_allclose(volatility.rogers_satchell(o, h, l, c), twin, rtol=1e-14)


@few
@given(series())
def test_exp_minus_is_numpy(x):
    x = np.abs(x) % 800
    same(volatility.exp_minus(x), volatility.exp_minus_py(x))
    np.testing.assert_allclose(volatility.exp_minus(x), np.exp(-np.minimum(x, 700)), rtol=2e-15)


@few
@given(SEEDS, series(), windows)
def test_pnl_and_decay_are_pandas(seed, exposure, span):
    returns = 0.01 * np.random.default_rng(seed).standard_normal(exposure.size)
    earned = (pd.Series(exposure).shift(1) * pd.Series(returns)).fillna(0)
    average = earned.ewm(span=span, adjust=False).mean()
    same(positions.pnl_ema(exposure, returns, span), positions.pnl_ema_py(exposure, returns, span))
    close(positions.pnl_ema(exposure, returns, span), average, atol=1e-12)
    line = (1.0, 0.125, -2.0, 0.0)
    raw, factors = positions.decayed(exposure, returns, span, 0.3, line)
    same((raw, factors), positions.decayed_py(exposure, returns, span, 0.3, line))
    close(factors, 1 + 0.125 * (average / 0.3).clip(-2, 0))
    close(raw, exposure * factors)


@few
@given(series(longest=60), SEEDS)
def test_finite_std_is_pandas(x, seed):
    where = np.where(np.random.default_rng(seed).random(x.size) < 0.1, np.nan, 1.0)
    same(positions.finite_std(x, where), positions.finite_std_py(x, where))
    close(positions.finite_std(x, where), pd.Series(x)[~np.isnan(where)].std())


@few
@given(SEEDS, st.integers(3, 30), st.integers(1, 120), st.booleans())
def test_regressions_are_their_twins_and_numpys_least_squares(seed, window, n, weighted):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n) + rng.choice([0.0, 50.0])
    y = 0.3 + 0.5 * x + rng.standard_normal(n)
    weights = rng.uniform(0.1, 3.0, n) if weighted else np.ones(n)
    if weighted:
        fit, twin = regression.rolling_wls(y, x, weights, window), regression.rolling_wls_py(y, x, weights, window)
    else:
        fit, twin = regression.rolling_ols(y, x, window), regression.rolling_ols_py(y, x, window)
    np.testing.assert_allclose(fit, twin, rtol=1e-12)
    for end in range(window, n + 1, 7):
        expected = least_squares(*(part[end - window : end] for part in (y, x, weights)))
        np.testing.assert_allclose(fit[:, end - 1], expected, rtol=1e-7)


def least_squares(y, x, weights):
    """Return constant, slope and t-values by the textbook, in the longest floats there are, in two passes."""
    y, x, weights = (part.astype(np.longdouble) for part in (y, x, weights))
    mean_x, mean_y = np.average(x, weights=weights), np.average(y, weights=weights)
    cxx = (weights * (x - mean_x) ** 2).sum()
    beta = (weights * (x - mean_x) * (y - mean_y)).sum() / cxx
    alpha = mean_y - beta * mean_x
    noise = (weights * (y - alpha - beta * x) ** 2).sum() / (len(y) - 2)
    alpha_error = np.sqrt(noise * (1 / weights.sum() + mean_x**2 / cxx))
    return np.array([alpha, beta, alpha / alpha_error, beta / np.sqrt(noise / cxx)]).astype(float)


def hard_series(kind: str, n: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    x = rng.standard_normal(n)
    if kind == "far from zero":
        x = x + 1e8
    elif kind == "price levels":
        x = 60_000 * np.exp(np.cumsum(0.0006 * x))
    spike = x.copy()
    if kind == "after a spike":
        spike[50] = 1e9
    return 0.5 * (x - x.mean()) + rng.standard_normal(n), spike


@pytest.mark.parametrize("kind", ["far from zero", "price levels", "after a spike"])
@pytest.mark.parametrize("weighted", [False, True])
def test_regressions_are_right_where_running_sums_are_not(kind, weighted):
    window = 720
    y, x = hard_series(kind)
    weights = np.random.default_rng(8).uniform(0.5, 1.5, y.size) if weighted else np.ones(y.size)
    fit = regression.rolling_wls(y, x, weights, window) if weighted else regression.rolling_ols(y, x, window)
    # From 770 on the spike at 50 is out of the window.
    for end in (771, 800, 1440, 1441, 2000, 3000):
        expected = least_squares(*(part[end - window : end] for part in (y, x, weights)))
        np.testing.assert_allclose(fit[:, end - 1], expected, rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_regressions_are_statsmodels_on_returns(weighted):
    rng = np.random.default_rng(9)
    y = 0.006 * rng.standard_normal(1500)
    x = pd.Series(y).rolling(24, min_periods=1).sum().to_numpy().copy()
    weights = rng.uniform(0.5, 1.5, y.size)
    X = np.column_stack([np.ones(y.size), x])
    peer = RollingWLS(y, X, window=300, weights=weights) if weighted else RollingOLS(y, X, window=300)
    fitted = peer.fit()
    fit = regression.rolling_wls(y, x, weights, 300) if weighted else regression.rolling_ols(y, x, 300)
    np.testing.assert_allclose(fit.T, np.column_stack([fitted.params, fitted.tvalues]), rtol=1e-9, atol=1e-12)


def test_a_deviation_far_from_zero_keeps_its_accuracy():
    noise = np.random.default_rng(10).standard_normal(2000)
    mean, std = rolling.rolling_mean_std(1e8 + noise, 500)
    whole = 1e8 + noise
    expected = [whole[end - 500 : end].astype(np.longdouble) for end in range(500, 2001, 250)]
    np.testing.assert_allclose(std[499::250], [float(part.std(ddof=1)) for part in expected], rtol=1e-12)
    np.testing.assert_allclose(mean[499::250], [float(part.mean()) for part in expected], rtol=1e-15)


@pytest.mark.parametrize("spike", [1e12, np.nan])
def test_a_window_forgets_what_has_left_it_to_the_last_bit_of_importance(spike):
    x = np.random.default_rng(11).standard_normal(400)
    spiked = x.copy()
    spiked[60] = spike
    for kernel in (rolling.rolling_mean, rolling.rolling_slope, rolling.rolling_mean_std, rolling.rolling_extremes):
        clean, after = np.atleast_2d(kernel(x, 50)), np.atleast_2d(kernel(spiked, 50))
        np.testing.assert_allclose(after[:, 110:], clean[:, 110:], rtol=1e-9, atol=1e-12)
