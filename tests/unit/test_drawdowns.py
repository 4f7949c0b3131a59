"""Drawdowns drawn by hand, by a loop over bars, and by quantstats."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import quantstats.stats as quantstats
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.research.drawdowns import drawdowns, under_water
from strategies.research.metrics import measure
from strategies.research.returns import growth

# Bars:      0     1     2    3    4    5    6    7    8
EQUITY = [1.0, 0.9, 0.8, 1.0, 1.2, 0.6, 0.9, 1.2, 1.1]


def times(n: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=n, freq="h", tz="UTC")


def drawn(equity, **options):
    return drawdowns(under_water(np.array(equity)), times(len(equity)), **options)


def hours_of(*found) -> list[int | None]:
    return [None if time is None else int((time - times(1)[0]).total_seconds() // 3600) for time in found]


def test_the_stretches_of_a_drawn_curve():
    deepest, second, open_one = drawn(EQUITY)
    assert hours_of(deepest.start, deepest.trough, deepest.end) == [5, 5, 7]
    assert (deepest.bars_down, deepest.bars_up, deepest.bars) == (1, 2, 3)
    assert deepest.depth == pytest.approx(-0.5)
    assert hours_of(second.start, second.trough, second.end) == [1, 2, 3]
    assert (second.bars_down, second.bars_up, second.bars) == (2, 1, 3)
    assert second.depth == pytest.approx(-0.2)
    assert hours_of(open_one.start, open_one.trough, open_one.end) == [8, 8, None]
    assert (open_one.bars_down, open_one.bars_up, open_one.bars) == (1, None, 1)


def test_the_deepest_come_first_and_no_more_than_asked_for():
    assert [drawdown.depth for drawdown in drawn(EQUITY, worst=2)] == [drawdown.depth for drawdown in drawn(EQUITY)[:2]]
    assert [hours_of(drawdown.start) for drawdown in drawn([1, 0.9, 1, 0.9, 1, 0.9])] == [[1], [3], [5]]


@pytest.mark.parametrize("equity", [[], [1.0], [1.0, 1.0, 1.0], [1.0, 1.1, 1.1, 1.3]])
def test_a_curve_that_never_falls_has_none(equity):
    assert drawn(equity) == ()


def test_a_fall_below_the_capital_in_the_first_bar_counts():
    (only,) = drawn([0.9, 1.0])
    assert hours_of(only.start, only.trough, only.end) == [0, 0, 1]
    assert (only.bars_down, only.bars_up, only.bars) == (1, 1, 2)


def test_back_at_the_high_but_for_rounding_is_back():
    around = np.tile([0.11, -0.3, 0.2, 1 / (1.11 * 0.7 * 1.2) - 1], 400)  # up, and back to 1 in three steps
    equity = growth(around)
    assert equity[4::4].max() < equity[0]  # the product never quite gets back to the first high
    found = drawdowns(under_water(equity), times(1600))
    assert len(found) == 400
    assert {drawdown.bars for drawdown in found if drawdown.end} == {4}


def test_metrics_list_the_ten_worst_and_the_longest():
    rng = np.random.default_rng(0)
    returns = pd.Series(0.003 * rng.standard_normal(5000) + 2e-4, times(5000))
    every = drawdowns(under_water(growth(returns.to_numpy())), returns.index)
    ours = measure(returns)
    assert len(every) > 10
    assert ours.worst_drawdowns == every[:10]
    assert ours.longest_drawdown_bars == max(drawdown.bars for drawdown in every)
    assert (ours.max_drawdown, ours.max_drawdown_bars) == (every[0].depth, every[0].bars)


def test_stretches_depths_and_troughs_are_quantstats():
    rng = np.random.default_rng(1)
    days = pd.date_range("2020-01-01", periods=1500, freq="D", tz="UTC")
    returns = pd.Series(0.02 * rng.standard_normal(1500) + 0.002, days)
    ours = drawdowns(under_water(growth(returns.to_numpy())), days)
    theirs = quantstats.drawdown_details(quantstats.to_drawdown_series(returns.tz_localize(None)))
    theirs = theirs.sort_values("max drawdown", kind="stable")
    assert len(ours) == len(theirs)
    for drawdown, (_, row) in zip(ours, theirs.iterrows(), strict=True):
        last_below = days[-1] if drawdown.end is None else drawdown.end - pd.Timedelta(days=1)
        found = [f"{time:%Y-%m-%d}" for time in (drawdown.start, drawdown.trough, last_below)]
        assert found == [row["start"], row["valley"], row["end"]]
        assert drawdown.depth * 100 == pytest.approx(row["max drawdown"], rel=1e-9)
        assert drawdown.bars == row["days"] + (0 if drawdown.end is None else 1)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 8), min_size=1, max_size=60))
def test_they_are_what_a_walk_from_bar_to_bar_finds(steps):
    equity = [step / 4 for step in steps]  # of few values, so that highs are met again exactly
    found, high, start = [], 1.0, None
    for bar, value in enumerate([*equity, np.inf]):
        if value >= high:
            if start is not None:
                found.append((start, bar if bar < len(equity) else None, min(equity[start:bar]) / high - 1.0))
            high, start = value, None
        elif start is None:
            start = bar
    ours = [(*hours_of(drawdown.start, drawdown.end), drawdown.depth) for drawdown in drawn(equity)]
    assert sorted(ours, key=lambda stretch: stretch[0]) == found
    assert [depth for *_, depth in ours] == sorted(depth for *_, depth in ours)
