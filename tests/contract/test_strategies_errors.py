"""What every strategy refuses, and that it says why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from market.errors import BarsError
from strategies.errors import (
    InsufficientHistoryError,
    MissingColumnError,
    MissingHoursError,
    ParameterError,
    StrategyError,
    UnknownStrategyError,
)
from strategies.estimators import STRATEGIES, build
from strategies.estimators.base import BaseStrategy
from tests.bars_builders import make_bars

every_strategy = pytest.mark.parametrize("key", STRATEGIES)
same = np.testing.assert_array_equal
OHLC = ("open", "high", "low", "close")


def small(key: str) -> BaseStrategy:
    return type(build(key)).small()


@every_strategy
def test_predicting_before_fitting_is_refused(key):
    for method in ("predict", "one_step_predict", "signal"):
        with pytest.raises(NotFittedError, match=f"{type(build(key)).__name__} is not fitted yet"):
            getattr(small(key), method)(make_bars())


@every_strategy
def test_too_few_bars_are_refused_with_the_count(key):
    strategy = small(key).fit(make_bars())
    for act in (strategy.fit, strategy.predict, strategy.one_step_predict, strategy.signal):
        with pytest.raises(InsufficientHistoryError, match="got 30") as caught:
            act(make_bars(n=30))
        assert (caught.value.strategy, caught.value.count) == (type(strategy).__name__, 30)
        assert caught.value.needed == strategy.min_bars
    strategy.predict(make_bars(n=strategy.min_bars))


@every_strategy
def test_every_missing_column_is_named(key):
    strategy = small(key).fit(make_bars())
    for column in strategy.required_columns:
        with pytest.raises(MissingColumnError, match=f"requires the column {column}") as caught:
            strategy.predict(make_bars().drop(columns=column))
        assert caught.value.column == column


@every_strategy
def test_columns_that_are_not_required_may_be_missing(key):
    bars = make_bars()
    strategy = small(key).fit(bars)
    same(strategy.predict(bars[list(strategy.required_columns)]), strategy.predict(bars))


@every_strategy
@pytest.mark.parametrize("value", [np.nan, 0.0, -5.0, np.inf])
def test_a_price_that_is_no_price_is_refused(key, value):
    bars = make_bars()
    strategy = small(key).fit(bars)
    bars.loc[bars.index[100], "close"] = value
    for act in (strategy.fit, strategy.predict):
        with pytest.raises(BarsError, match=r"column (close|low|high) must be"):
            act(bars)


@every_strategy
@pytest.mark.parametrize("value", [None, "much", float("nan"), float("inf"), -1, True, []])
def test_a_parameter_outside_its_limits_is_named_with_its_value(key, value):
    bars = make_bars()
    strategy = small(key).fit(bars)
    for name in set(strategy.get_params()) - {"fit_decay"}:
        wrong = clone(strategy).set_params(**{name: value})
        if value in wrong.allowed[name]:
            continue
        with pytest.raises(ParameterError, match=f"{type(strategy).__name__}: {name} must be .*, was ") as caught:
            wrong.fit(bars)
        assert str(caught.value).endswith(repr(value))


@every_strategy
def test_numpys_whole_numbers_are_whole_numbers(key):
    bars = make_bars()
    whole = {name: np.int64(value) for name, value in small(key).get_params().items() if type(value) is int}
    same(small(key).set_params(**whole).fit(bars).predict(bars), small(key).fit(bars).predict(bars))


@every_strategy
def test_prices_that_never_move_are_refused_rather_than_scaled_to_nothing(key):
    bars = make_bars()
    still = bars.assign(**dict.fromkeys(OHLC, 100.0))
    with pytest.raises(InsufficientHistoryError):
        small(key).fit(still)


@every_strategy
def test_a_fit_that_fails_leaves_what_was_learned(key):
    bars = make_bars()
    strategy = small(key).fit(bars)
    learned = strategy.predict(bars)
    with pytest.raises(StrategyError):
        strategy.fit(bars.assign(**dict.fromkeys(OHLC, 100.0)))
    same(strategy.predict(bars), learned)


def klines_missing(bars: pd.DataFrame, count: int, column: str) -> pd.DataFrame:
    holes = bars.copy()
    holes.loc[holes.index[-500 : -500 + count], column] = np.nan
    return holes


@pytest.mark.parametrize(
    ("key", "column"), [("buy_sell_vol", "volume"), ("buy_sell_vol", "taker_buy_base_vol"), ("rev", "volume")]
)
def test_one_percent_of_recent_klines_may_be_missing_and_no_more(key, column):
    bars = make_bars(n=1500)
    strategy = small(key).fit(bars)
    assert np.isfinite(strategy.predict(klines_missing(bars, 7, column))).all()
    first = f"{bars.index[-500]:%Y-%m-%d %H:%M}"
    with pytest.raises(
        MissingHoursError, match=f"{column} is missing in 8 of the last 720 bars, at most 7 .*: {first}"
    ):
        strategy.predict(klines_missing(bars, 8, column))


def test_klines_missing_long_ago_are_skipped():
    bars = make_bars(n=1500)
    bars.loc[bars.index[600:700], "volume"] = np.nan
    positions = small("buy_sell_vol").fit(bars).predict(bars)
    assert np.isfinite(positions).all()


def test_a_history_with_too_few_klines_is_too_short_however_many_bars_it_has():
    bars = make_bars(n=2000)
    bars.loc[bars.index[:1270], "volume"] = np.nan
    with pytest.raises(InsufficientHistoryError, match="needs at least 720 bars with a value, got"):
        build("buy_sell_vol").fit(bars)


def test_a_strategy_that_reads_tick_volume_needs_no_kline():
    bars = make_bars().drop(columns=["volume", "taker_buy_base_vol"])
    strategy = small("rev").set_params(volume_column="tick_volume")
    assert strategy.required_columns == ("open", "high", "low", "close", "tick_volume")
    assert (strategy.fit(bars).predict(bars) != 0).any()


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    with pytest.raises(UnknownStrategyError, match="no strategy 'moonshot'; known: vol_scale, wed_thu"):
        build("moonshot")


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"strategy 'rev' has no parameter 'lookback'; known: .*reversal_window"):
        build("rev", lookback=3)
