"""Kernels against numbers worked out by hand or by a closed form, and their degenerate windows."""

from __future__ import annotations

import numpy as np
import pytest

from strategies.kernels.ewm import ema, ema_spread, ewm_std
from strategies.kernels.positions import decayed, finite_std, pnl_ema
from strategies.kernels.regression import ALPHA, ALPHA_T, BETA, BETA_T, rolling_ols, rolling_wls
from strategies.kernels.rolling import rolling_extremes, rolling_mean, rolling_mean_std, rolling_slope
from strategies.kernels.volatility import exp_minus, rogers_satchell

NAN = np.nan
same = np.testing.assert_array_equal
close = np.testing.assert_allclose


def floats(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_an_average_of_span_three_halves_the_distance_to_every_value():
    # alpha = 2 / (3 + 1) = 1/2: 8, (8+4)/2 = 6, (6+2)/2 = 4, (4+0)/2 = 2; the first two are warm-up
    close(ema(floats(8, 4, 2, 0), 3), [NAN, NAN, 4, 2])


def test_an_average_skips_a_missing_value_while_old_weight_decays():
    # after one missing bar the old value weighs 1/4 against 1/2 for the new one: (8/4 + 2/2) / (3/4) = 4
    close(ema(floats(8, NAN, 2), 3), [NAN, NAN, NAN])
    close(ema(floats(8, 8, 8, NAN, 2), 3), [NAN, NAN, 8, 8, 4])


def test_a_constant_series_has_that_average_and_no_deviation_to_the_last_bit():
    x = np.full(500, 0.1 + 0.2)
    same(ema(x, 7)[6:], x[6:])
    same(ewm_std(x, 7)[6:], np.zeros(494))
    same(ema_spread(x, 3, 12)[11:], np.zeros(489))


def test_an_infinity_counts_as_missing():
    same(ema(floats(8, 8, 8, np.inf, 2), 3), ema(floats(8, 8, 8, NAN, 2), 3))
    same(ewm_std(floats(8, 9, 8, np.inf, 2), 3), ewm_std(floats(8, 9, 8, NAN, 2), 3))


def test_the_weighted_deviation_of_two_values_is_that_of_a_sample():
    # Unbiased: with two observations it is |a - b| / sqrt(2) whatever their weights.
    close(ewm_std(floats(1, 5), 2), [NAN, 4 / np.sqrt(2)])


def test_one_value_has_no_weighted_deviation():
    assert np.isnan(ewm_std(floats(1), 2)).all()


def test_a_spread_is_the_difference_of_two_averages():
    x = np.random.default_rng(0).lognormal(size=200)
    close(ema_spread(x, 5, 20), ema(x, 5) - ema(x, 20), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", [rolling_mean, rolling_mean_std, rolling_extremes, rolling_slope])
def test_a_window_longer_than_the_series_gives_nan(kernel):
    assert np.isnan(kernel(floats(1, 2, 3), 4)).all()


def test_rolling_windows_by_hand():
    x = floats(1, 3, 2, 6, 4)
    close(rolling_mean(x, 2), [NAN, 2, 2.5, 4, 5])
    highest, lowest = rolling_extremes(x, 3)
    same(highest, [NAN, NAN, 3, 6, 6])
    same(lowest, [NAN, NAN, 1, 2, 2])
    mean, std = rolling_mean_std(x, 2)
    close(mean, [NAN, 2, 2.5, 4, 5])
    close(std, [NAN, np.sqrt(2), np.sqrt(0.5), np.sqrt(8), np.sqrt(2)])


def test_a_window_of_one_is_the_series():
    x = floats(1, 3, NAN, 6)
    same(rolling_mean(x, 1), x)
    same(rolling_extremes(x, 1)[0], x)


def test_equal_values_have_a_deviation_of_exactly_zero():
    x = np.concatenate([floats(5, 7, 1e9), np.full(40, 0.1)])
    mean, std = rolling_mean_std(x, 10)
    same(std[12:], np.zeros(31))
    same(mean[12:], np.full(31, 0.1))


def test_the_slope_of_a_line_is_its_slope():
    close(rolling_slope(3.0 - 0.25 * np.arange(50.0), 12)[11:], -0.25)


def test_the_slope_by_hand():
    # sum((k - 1) x_k) / sum((k - 1)^2) over windows of three: (3 - 0) / 2, (1 - 2) / 2
    close(rolling_slope(floats(0, 2, 3, 1), 3), [NAN, NAN, 1.5, -0.5])


def test_a_bar_between_its_extremes_has_no_range_variance_and_a_range_has():
    up, down = np.log(1.02), np.log(0.99)
    variance = rogers_satchell(floats(100, 100), floats(101, 102), floats(100, 99), floats(101, 100))
    close(variance, [0, up * up + down * down], rtol=1e-13)


def test_a_bar_so_wide_that_the_series_would_fail_takes_the_logarithm():
    o, h, l, c = floats(100.0, 100), floats(900.0, 101), floats(1.0, 99), floats(200.0, 100)  # noqa: E741
    expected = np.log(h / c) * np.log(h / o) + np.log(l / c) * np.log(l / o)
    close(rogers_satchell(o, h, l, c), expected, rtol=1e-13)


def test_the_exponential_is_right_to_rounding_and_bounded_below():
    x = np.concatenate([np.linspace(0, 40, 4001), floats(0.0, 1e-300, 699.9)])
    close(exp_minus(x), np.exp(-x), rtol=1e-15)
    assert exp_minus(floats(1e6))[0] == pytest.approx(np.exp(-700))
    assert np.isnan(exp_minus(floats(NAN))[0])
    assert exp_minus(floats(0.0))[0] == 1.0


def test_pnl_counts_nan_as_nothing_and_holds_for_one_bar():
    # span 1: the average is the pnl itself; the position of a bar earns the return of the next
    close(pnl_ema(floats(NAN, 2, -1, 5), floats(NAN, 0.1, 0.2, 0.3), 1), [0, 0, 0.4, -0.3])


def test_decay_is_clipped_and_leaves_nan_where_there_is_no_exposure():
    line = (0.75, -0.125, -2.0, 2.0)
    raw, factors = decayed(floats(NAN, 10, 10, 10), floats(NAN, 0.1, 0.1, -0.9), 1, 0.5, line)
    # pnl 0, 0, 1, -9 in units of 0.5: 0, 0, 2, -18 -> clipped to 2 and -2
    close(factors, [0.75, 0.75, 0.5, 1.0])
    close(raw, [NAN, 7.5, 5.0, 10.0])


def test_the_deviation_of_what_is_there_ignores_what_is_not():
    assert finite_std(floats(1, NAN, 3, 100), floats(0, 0, 0, NAN)) == pytest.approx(np.sqrt(2))
    assert np.isnan(finite_std(floats(1, NAN), floats(0, 0)))


def test_a_regression_by_hand():
    # means 1.5 and 2.5, cxx = 5, cxy = 4.5: slope 0.9, constant 1.15; residuals -0.15 -0.05 0.55 -0.35, squares 0.45
    fit = rolling_ols(floats(1, 2, 3.5, 3.5), floats(0, 1, 2, 3), 4)[:, 3]
    noise = 0.45 / 2
    close(fit[[ALPHA, BETA]], [1.15, 0.9])
    close(fit[[ALPHA_T, BETA_T]], [1.15 / np.sqrt(noise * (1 / 4 + 1.5**2 / 5)), 0.9 / np.sqrt(noise / 5)])


def test_equal_weights_change_nothing():
    rng = np.random.default_rng(1)
    y, x = rng.standard_normal((2, 100))
    close(rolling_wls(y, x, np.full(100, 7.0), 20), rolling_ols(y, x, 20), rtol=1e-12)


def test_a_weight_of_two_is_the_same_row_twice_up_to_the_degrees_of_freedom():
    x, y = floats(0, 1, 2, 4), floats(1, 3, 2, 5)
    once = rolling_wls(y, x, floats(1, 1, 2, 1), 4)[:, 3]
    twice = rolling_ols(floats(1, 3, 2, 2, 5), floats(0, 1, 2, 2, 4), 5)[:, 4]
    close(once[[ALPHA, BETA]], twice[[ALPHA, BETA]])
    close(once[[ALPHA_T, BETA_T]] * np.sqrt(3 / 2), twice[[ALPHA_T, BETA_T]])


@pytest.mark.parametrize("value", [0.0, 2.0, 0.1])
def test_a_constant_regressor_gives_nan_exactly_while_it_fills_the_window(value):
    rng = np.random.default_rng(2)
    y, x = rng.standard_normal((2, 60))
    x[20:40] = value
    for fit in (rolling_ols(y, x, 10), rolling_wls(y, x, rng.uniform(1, 2, 60), 10)):
        bad = np.isnan(fit)
        assert (bad == bad[0]).all()
        assert np.flatnonzero(bad[0]).tolist() == [*range(9), *range(29, 40)]


def test_a_perfect_fit_has_its_coefficients_and_t_values_beyond_belief():
    x = np.random.default_rng(3).standard_normal(30)
    fit = rolling_ols(1.0 + 2.0 * x, x, 10)[:, 9:]
    close(fit[[ALPHA, BETA]], np.broadcast_to([[1.0], [2.0]], (2, 21)), rtol=1e-12)
    assert (np.abs(fit[ALPHA_T]) > 1e6).all()


@pytest.mark.parametrize("which", ["y", "x"])
def test_one_nan_costs_exactly_the_windows_it_is_in(which):
    rng = np.random.default_rng(4)
    series = {"y": rng.standard_normal(100), "x": rng.standard_normal(100)}
    series[which][50] = NAN
    for fit in (rolling_ols(series["y"], series["x"], 12), rolling_wls(series["y"], series["x"], np.ones(100), 12)):
        assert np.flatnonzero(np.isnan(fit[ALPHA_T])).tolist() == [*range(11), *range(50, 62)]
