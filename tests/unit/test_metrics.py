"""Metrics against hand-worked figures, quantstats and empyrical-reloaded, and where they are undefined."""

from __future__ import annotations

import json
import math

import empyrical
import numpy as np
import pandas as pd
import pytest
import quantstats.stats as quantstats
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.research import ratios
from strategies.research.errors import ReturnsError
from strategies.research.metrics import Metrics, measure
from strategies.research.returns import growth, monthly_returns, monthly_table

YEAR = 8760
NAN = np.nan


def hours(*values: float, start: str = "2024-01-01") -> pd.Series:
    return series(np.array(values, dtype=np.float64), start=start)


def series(values: np.ndarray, *, start: str = "2024-01-01", freq: str = "h") -> pd.Series:
    return pd.Series(values, pd.date_range(start, periods=len(values), freq=freq, tz="UTC"))


def noise(seed: int = 0, n: int = 5000, *, idle: float = 0.2) -> pd.Series:
    """Return hourly returns with fat tails, some of them 0."""
    rng = np.random.default_rng(seed)
    return series(np.where(rng.random(n) < idle, 0.0, 0.004 * rng.standard_t(4, n) + 0.0001))


def agree(ours: float, theirs: float) -> None:
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-15)


@pytest.fixture(params=range(3))
def returns(request) -> pd.Series:
    return noise(request.param)


def test_ratios_are_both_libraries(returns):
    ours = measure(returns)
    agree(ours.sharpe, empyrical.sharpe_ratio(returns, annualization=YEAR))
    agree(ours.sharpe, quantstats.sharpe(returns, periods=YEAR))
    agree(ours.sortino, empyrical.sortino_ratio(returns, annualization=YEAR))
    agree(ours.sortino, quantstats.sortino(returns, periods=YEAR))
    agree(ours.volatility, empyrical.annual_volatility(returns, annualization=YEAR))
    agree(ours.volatility, quantstats.volatility(returns, periods=YEAR))
    agree(ours.tail_ratio, empyrical.tail_ratio(returns))
    agree(ours.tail_ratio, quantstats.tail_ratio(returns))


def test_growth_and_drawdown_are_both_libraries(returns):
    ours = measure(returns)
    agree(ours.total_return, empyrical.cum_returns_final(returns))
    agree(ours.cagr, empyrical.annual_return(returns, annualization=YEAR))
    agree(ours.cagr, quantstats.cagr(returns, periods=YEAR))
    agree(ours.max_drawdown, empyrical.max_drawdown(returns))
    agree(ours.max_drawdown, quantstats.max_drawdown(returns))
    agree(ours.calmar, empyrical.calmar_ratio(returns, annualization=YEAR))
    agree(ours.calmar, quantstats.calmar(returns, periods=YEAR))


def test_tails_and_counts_are_the_librarys_that_defines_them_so(returns):
    ours = measure(returns, positions=returns.where(returns == 0, 0.5))
    agree(ours.var_95, empyrical.value_at_risk(returns))
    agree(ours.cvar_95, quantstats.conditional_value_at_risk(returns, method="historical"))
    agree(ours.hit_rate, quantstats.win_rate(returns))
    agree(ours.profit_factor, quantstats.profit_factor(returns))
    assert math.ceil(ours.time_in_market * 100) / 100 == quantstats.exposure(returns)  # which it rounds up


def test_the_expected_shortfall_is_empyricals_where_the_quantile_is_one_of_the_bars():
    returns = noise(4, 101, idle=0.0)  # 5 % of 100 steps: the sixth smallest
    agree(measure(returns).cvar_95, empyrical.conditional_value_at_risk(returns))


def test_months_are_both_libraries():
    returns = noise(5, 12_000)
    table = monthly_table(monthly_returns(returns))
    by_month = empyrical.aggregate_returns(returns, "monthly")
    for (year, month), value in by_month.items():
        agree(table.loc[year, month], value)
    assert table.iloc[:, :12].notna().sum().sum() == len(by_month)
    theirs = quantstats.monthly_returns(returns.tz_localize(None))
    np.testing.assert_allclose(table.fillna(0.0), theirs.astype(float), rtol=1e-9, atol=1e-12)


def test_a_loss_in_the_first_bar_is_a_drawdown_from_the_capital():
    returns = hours(-0.1, 0.05)
    agree(measure(returns).max_drawdown, -0.1)
    agree(measure(returns).max_drawdown, empyrical.max_drawdown(returns))


def test_the_figures_of_four_bars_by_hand():
    # 1.1 * 0.8 * 1.25 * 1.0 = 1.1 in four bars of a year of eight: 1.1**2 a year.
    ours = measure(hours(0.1, -0.2, 0.25, 0.0), positions=hours(1, 1, -1, 0), bars_per_year=8)
    assert (ours.n_bars, ours.years, ours.bars_per_year) == (4, 0.5, 8)
    agree(ours.total_return, 0.1)
    agree(ours.cagr, 0.21)
    agree(ours.max_drawdown, -0.2)
    assert ours.max_drawdown_bars == ours.longest_drawdown_bars == 2
    agree(ours.calmar, 1.05)
    agree(ours.volatility, math.sqrt((0.0625**2 + 0.2375**2 + 0.2125**2 + 0.0375**2) / 3 * 8))
    agree(ours.sharpe, 0.0375 * 8 / ours.volatility)
    agree(ours.sortino, 0.0375 / math.sqrt(0.04 / 4) * math.sqrt(8))
    agree(ours.hit_rate, 2 / 3)
    agree(ours.profit_factor, 0.35 / 0.2)
    agree(ours.var_95, -0.17)  # 15 % of the way from -0.2 to 0
    agree(ours.cvar_95, -0.2)
    agree(ours.tail_ratio, 0.2275 / 0.17)
    agree(ours.turnover, (1 + 0 + 2 + 1) / (0.5 * 365))
    agree(ours.exposure, 0.75)
    agree(ours.time_in_market, 0.75)


def test_months_by_hand_across_a_year_with_a_gap():
    returns = pd.Series(
        [0.1, 0.1, -0.5, 0.2],
        pd.to_datetime(["2023-12-31 22:00", "2023-12-31 23:00", "2024-01-01 00:00", "2024-03-15 00:00"], utc=True),
    )
    months = monthly_returns(returns)
    assert [(month.year, month.month) for month in months] == [(2023, 12), (2024, 1), (2024, 3)]
    np.testing.assert_allclose([month.value for month in months], [0.21, -0.5, 0.2])
    table = monthly_table(months)
    np.testing.assert_allclose(table["year"], [0.21, -0.4])
    assert np.isnan(table.loc[2024, 2])


def test_months_are_utcs_whatever_the_zone_of_the_index():
    returns = hours(0.1, start="2024-01-31 23:00")
    for zone in ("Asia/Tokyo", "America/New_York"):
        assert monthly_returns(returns.tz_convert(zone)) == monthly_returns(returns)


def test_capital_that_is_lost_stays_lost():
    ours = measure(hours(0.1, -1.5, 3.0, 0.5))
    np.testing.assert_array_equal(growth(np.array([0.1, -1.5, 3.0])), [1.1, 0.0, 0.0])
    assert ours.total_return == ours.cagr == ours.max_drawdown == -1.0
    assert ours.calmar == -1.0


UNDEFINED = {
    "no bars": (hours(), "cagr volatility sharpe sortino calmar var_95 cvar_95 hit_rate profit_factor tail_ratio"),
    "one bar": (hours(0.01), "volatility sharpe sortino calmar profit_factor"),
    "flat": (hours(*[0.0] * 50), "sharpe sortino calmar hit_rate profit_factor tail_ratio"),
    "the same every bar": (hours(*[0.1] * 50), "sharpe sortino calmar profit_factor"),
    "only wins": (hours(0.1, 0.2, 0.3), "sortino calmar profit_factor"),
}
WITHOUT_POSITIONS = {"turnover", "exposure", "time_in_market"}


@pytest.mark.parametrize("case", UNDEFINED)
def test_what_is_undefined_is_nan_and_none_in_json_and_nothing_is_infinite(case):
    returns, names = UNDEFINED[case]
    ours = measure(returns)
    data = json.loads(json.dumps(ours.as_data(), allow_nan=False))
    assert {name for name, value in data.items() if value is None} >= set(names.split()) | WITHOUT_POSITIONS
    assert all(math.isnan(getattr(ours, name)) for name in names.split())
    assert not any(math.isinf(value) for value in vars_of(ours) if isinstance(value, float))


def vars_of(metrics: Metrics) -> list[object]:
    return [getattr(metrics, name) for name in metrics.__slots__]


def test_a_growth_beyond_any_float_is_undefined():
    assert math.isnan(measure(hours(1.0)).cagr)  # doubled in an hour: 2 ** 8760
    assert math.isnan(ratios.annual_growth(0.1, 0.0))
    agree(ratios.annual_growth(0.0, 2.0), 0.0)


def test_metrics_are_data_for_json_with_times_in_iso_format():
    data = measure(noise(6, 2000), positions=noise(7, 2000)).as_data()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["bars_per_year"] == YEAR
    assert data["worst_drawdowns"][0]["depth"] == data["max_drawdown"]
    assert data["worst_drawdowns"][0]["start"].endswith("+00:00")
    assert data["months"][0] == {"year": 2024, "month": 1, "value": data["months"][0]["value"]}


@pytest.mark.parametrize(
    ("returns", "message"),
    [
        (np.zeros(3), "returns must be a Series on a DatetimeIndex"),
        (pd.Series([0.1, 0.2]), "returns must be a Series on a DatetimeIndex"),
        (hours(0.1, NAN, 0.2), "returns must be finite numbers: 1 of 3 were not, first nan at 2024-01-01 01:00"),
        (hours(0.1, 0.2, np.inf), "1 of 3 were not, first inf at 2024-01-01 02:00"),
        (hours(0.1, 0.2)[::-1], "times of returns must be strictly increasing"),
        (hours(0.1, 0.2).iloc[[0, 0]], "times of returns must be strictly increasing"),
    ],
)
def test_returns_that_cannot_be_measured_are_refused(returns, message):
    with pytest.raises(ReturnsError, match=message):
        measure(returns)


def test_positions_of_other_times_and_years_of_no_bars_are_refused():
    returns = hours(0.1, 0.2)
    with pytest.raises(ReturnsError, match="positions must be a Series on the index of returns"):
        measure(returns, positions=hours(1, 1, start="2025-01-01"))
    with pytest.raises(ReturnsError, match="positions must be finite numbers"):
        measure(returns, positions=hours(1, NAN))
    for pace in (0, -1.0, NAN, math.inf):
        with pytest.raises(ReturnsError, match="bars_per_year must be a number above 0"):
            measure(returns, bars_per_year=pace)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=60))
def test_what_must_hold_of_any_returns(values):
    returns = series(np.array(values))
    ours = measure(returns, positions=returns)
    assert -1.0 <= ours.max_drawdown <= 0.0
    assert ours.max_drawdown_bars <= ours.longest_drawdown_bars <= ours.n_bars
    assert ours.cvar_95 <= ours.var_95 or math.isclose(ours.cvar_95, ours.var_95)
    np.testing.assert_allclose(np.prod([1 + month.value for month in ours.months]), 1 + ours.total_return, rtol=1e-9)
    turned = measure(-returns, positions=-returns)
    assert turned.exposure == ours.exposure
    assert turned.turnover == ours.turnover
    agree(turned.volatility, ours.volatility)
    if not math.isnan(ours.sharpe):
        agree(turned.sharpe, -ours.sharpe)
