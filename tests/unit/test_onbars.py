"""A strategy cross-validated by row numbers: what it is fitted on, and that bars are never cut."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

from market.bars import bar_arrays
from strategies import blocks
from strategies.errors import InsufficientHistoryError, ParameterError
from strategies.estimators import STRATEGIES, build
from strategies.estimators.ema_vol import EmaVolStrategy
from strategies.research.errors import RowsError
from strategies.research.onbars import OnBars, rows_and_returns
from strategies.research.scorers import information_coefficient
from strategies.research.splitters import BlockBootstrap, BlockPermutation, PurgedWalkForward
from tests.bars_builders import make_bars
from tests.strategies_reference import A, Reference

same = np.testing.assert_array_equal
SPLITTERS = [
    BlockBootstrap(3, block_length=40, embargo=5),
    BlockPermutation(3, block_length=40, embargo=5),
    PurgedWalkForward(3, test_length=100, embargo=5),
]
every_splitter = pytest.mark.parametrize("splitter", SPLITTERS, ids=lambda splitter: type(splitter).__name__)


def small(key: str = "ema_vol"):
    return type(build(key)).small()


class SpyStrategy(EmaVolStrategy):
    """Notes the times and returns that every fit learns from."""

    fits: ClassVar[list[tuple[pd.DatetimeIndex, np.ndarray]]] = []

    def calibrate(self, indicators, rows=None):
        chosen = slice(None) if rows is None else rows
        self.fits.append((indicators.index[chosen], indicators.returns[chosen]))
        return super().calibrate(indicators, rows)


@pytest.fixture
def spy():
    SpyStrategy.fits.clear()
    return SpyStrategy.small()


def false_returns(bars: pd.DataFrame) -> int:
    """Return how many of the returns that fits learned from are not those of the series."""
    true = bars["close"] / bars["close"].shift(1) - 1.0
    return sum(
        int((~np.isclose(returns, true[times], rtol=1e-12, atol=0, equal_nan=True)).sum())
        for times, returns in SpyStrategy.fits
    )


@every_splitter
def test_every_fit_of_a_search_sees_true_returns_of_its_own_rows_only(spy, splitter):
    bars = make_bars(1, 600)
    rows, ahead = rows_and_returns(bars)
    GridSearchCV(
        OnBars(spy, bars),
        {"strategy__fast_ema_window": [3, 5]},
        cv=splitter,
        scoring=information_coefficient,
        refit=False,
        error_score="raise",
    ).fit(rows, ahead)
    trained = [train for train, _ in splitter.split(rows)]
    assert [times.tolist() for times, _ in SpyStrategy.fits] == [bars.index[train].tolist() for train in trained * 2]
    assert false_returns(bars) == 0


def test_cutting_bars_instead_shows_the_fit_a_false_return_at_every_join(spy):
    bars = make_bars(1, 600)
    joins = 0
    for train, _ in BlockPermutation(3, block_length=40, embargo=5).split(bars):
        clone(spy).fit(bars.iloc[train])
        joins += int((np.diff(train) > 1).sum()) + 1  # and the first bar, whose return is lost
    joins -= sum(int(train[0] == 0) for train, _ in BlockPermutation(3, block_length=40, embargo=5).split(bars))
    assert false_returns(bars) == joins > 5


def learned_by_definition(key: str, bars: pd.DataFrame, rows: np.ndarray) -> tuple[float | None, float | None, float]:
    """Return median, decay unit and scaler of rows, each as often as named: whole-series pandas, then ``iloc``."""
    strategy = small(key)
    reference = Reference.of(
        key, **{name: strategy.get_params()[name] for name in strategy.get_params() if name != "min_values"}
    )
    v, s, tilt = reference.seen(bars)
    r = bars["close"].pct_change()
    reference.cdf_median = v.iloc[rows].median()
    raw = reference._raw(v, s, tilt)
    if reference._decays():
        reference.defactor = reference._strat_pnl(raw, r).iloc[rows][raw.iloc[rows].notna()].std()
    pnl = (raw * reference._decay(raw, r)).shift(1) * r
    return reference.cdf_median, reference.defactor, strategy.target_vol / (A * pnl.iloc[rows].std())


@pytest.mark.parametrize("key", STRATEGIES)
def test_a_fit_learns_the_same_as_plain_pandas_on_the_rows_it_was_given(key):
    bars = make_bars(2, 800)
    train, test = next(BlockBootstrap(1, block_length=50, embargo=3).split(range(799)))
    assert train.size > np.unique(train).size
    fitted = OnBars(small(key), bars).fit(train)
    median, defactor, scaler = learned_by_definition(key, bars, train)
    learned = fitted.strategy_
    if learned.has_vol_tilt:
        assert learned.cdf_median_ == pytest.approx(median, rel=1e-9)
    if learned.has_decay:
        assert learned.defactor_ == pytest.approx(defactor, rel=1e-9)
    assert learned.to_target_scaler_ == pytest.approx(scaler, rel=1e-9)
    same(fitted.predict(test), learned.predict(bars).to_numpy()[test])


def test_positions_of_test_rows_use_the_bars_before_them_and_none_after():
    bars, other = make_bars(3, 600), make_bars(103, 600)
    train, test = np.arange(100, 300), np.arange(350, 450)
    rewritten = pd.concat([bars.iloc[:450], other.iloc[450:]])
    first, second = (OnBars(small(), frame).fit(train).predict(test) for frame in (bars, rewritten))
    same(first, second)
    assert np.ptp(first) > 0


def test_rows_may_be_an_array_a_column_or_a_frame():
    bars = make_bars(4, 400)
    rows, _ = rows_and_returns(bars)
    on_bars = OnBars(small(), bars).fit(rows)
    for X in (rows.to_numpy(), rows["row"], rows["row"].to_numpy(), rows["row"].tolist(), rows):
        same(on_bars.predict(X), on_bars.positions_[:-1])
        assert clone(on_bars).fit(X).strategy_.to_target_scaler_ == on_bars.strategy_.to_target_scaler_


def test_rows_and_returns_pair_every_bar_with_the_return_of_the_bar_after_it():
    bars = make_bars(5, 50)
    rows, ahead = rows_and_returns(bars)
    expected = (bars["close"].shift(-1) / bars["close"] - 1.0).iloc[:-1]
    np.testing.assert_allclose(ahead, expected, rtol=1e-12)
    assert rows["row"].tolist() == list(range(49))
    assert rows.index.equals(expected.index)
    assert ahead.index.equals(expected.index)


def test_what_a_row_trades_is_counted_from_the_bar_before_though_that_is_no_row():
    on_bars = OnBars(small(), make_bars(6, 300)).fit(np.arange(300))
    positions = on_bars.positions_
    same(on_bars.traded([200, 250]), np.abs([positions[200] - positions[199], positions[250] - positions[249]]))
    same(on_bars.traded([0]), np.abs(positions[:1]))


def test_risk_is_the_volatility_of_one_bar_whatever_the_strategys_window():
    bars = make_bars(7, 400)
    wide, narrow = (
        OnBars(small().set_params(vol_window=w), bars, risk_window=50).fit(np.arange(399)) for w in (40, 20)
    )
    same(wide.risk(np.arange(400)), narrow.risk(np.arange(400)))
    same(wide.risk([300]) * blocks.ANNUAL_ROOT, blocks.volatility(bar_arrays(bars), 50)[[300]])
    assert np.isnan(wide.risk([0])).all()


def test_nested_parameters_are_read_set_and_cloned():
    on_bars = OnBars(small(), make_bars(8))
    assert on_bars.get_params()["strategy__fast_ema_window"] == 5
    on_bars.set_params(strategy__fast_ema_window=7, strategy__alpha=0.25)
    copy = clone(on_bars)
    assert copy.strategy.get_params() == on_bars.strategy.get_params()
    assert (copy.strategy.fast_ema_window, copy.strategy.alpha) == (7, 0.25)
    assert copy.strategy is not on_bars.strategy
    assert copy.bars is on_bars.bars
    with pytest.raises(ValueError, match="Invalid parameter 'nonsense'"):
        on_bars.set_params(strategy__nonsense=1)


def test_fitting_changes_neither_the_strategy_nor_the_bars_and_keeps_nothing_with_them():
    arrays, strategy = bar_arrays(make_bars(9)), small()
    before = {name: column.copy() for name, column in arrays.columns.items()}
    OnBars(strategy, arrays).fit(np.arange(299))
    assert vars(strategy) == strategy.get_params()
    assert arrays._derived == {}
    for name, column in before.items():
        same(arrays[name], column)


def test_a_clone_is_not_fitted_and_says_so():
    fitted = OnBars(small(), make_bars(10)).fit(np.arange(299))
    for ask in (clone(fitted).predict, clone(fitted).traded, clone(fitted).risk):
        with pytest.raises(NotFittedError):
            ask([1])


def test_a_fitted_one_travels_to_another_process():
    fitted = OnBars(small(), bar_arrays(make_bars(11))).fit(np.arange(299))
    same(pickle.loads(pickle.dumps(fitted)).predict([100, 200]), fitted.predict([100, 200]))  # noqa: S301


def test_folds_in_threads_score_what_they_score_one_after_the_other():
    bars = bar_arrays(make_bars(12, 900))
    rows, ahead = rows_and_returns(bars)
    scores = []
    for n_jobs in (1, 2):
        with parallel_config(backend="threading"):
            scores.append(
                cross_val_score(
                    OnBars(small("block_vol"), bars),
                    rows,
                    ahead,
                    cv=SPLITTERS[0],
                    scoring=information_coefficient,
                    n_jobs=n_jobs,
                )
            )
    same(*scores)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([0.5, 1.5], "X must be row numbers .* was float64"),
        (np.zeros((5, 2), dtype=int), r"was int64 of \(5, 2\)"),
        ([-1, 3], "in 0..299, were in -1..3"),
        ([0, 300], "in 0..299, were in 0..300"),
        (np.ones(300, dtype=bool), "was bool"),
    ],
)
def test_anything_but_row_numbers_is_refused(X, message):
    on_bars = OnBars(small(), make_bars(13))
    with pytest.raises(RowsError, match=message):
        on_bars.fit(X)
    with pytest.raises(RowsError, match=message):
        on_bars.fit(np.arange(300)).predict(X)


def test_too_few_rows_or_a_parameter_that_may_not_be_is_the_strategys_error():
    bars = make_bars(14)
    with pytest.raises(
        InsufficientHistoryError, match="EmaVolStrategy needs at least 30 bars with a value, got 29 of 29"
    ):
        OnBars(small(), bars).fit(np.arange(200, 229))
    with pytest.raises(ParameterError, match="alpha must be a number"):
        OnBars(small().set_params(alpha=2), bars).fit(np.arange(299))
