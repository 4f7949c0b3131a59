"""Labels against their Python twin and an oracle of pandas, and against a future that is written anew."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfilter.backtest import kernels
from mlfilter.backtest.plans import make_plan, price_arrays
from mlfilter.labels import forward_return, triple_barrier
from mlfilter.setups import Barriers, Costs
from tests.ml_bars_builders import wild_bars, wishes

pytestmark = pytest.mark.slow

few = settings(max_examples=25, deadline=None)
every_cut = settings(max_examples=5, deadline=None)
some = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 2000)
barriers = st.builds(
    Barriers,
    stop_pct=st.sampled_from([0.005, 0.01, 0.03]),
    target_pct=st.sampled_from([0.005, 0.02, 0.06]),
    horizon=st.integers(1, 30),
)


def end_by_tables(bars: pd.DataFrame, t: int, sign: int, barriers: Barriers) -> tuple[int, float, str]:
    """Return bar, price and reason of a trade's end: the first rows of a table in which something is met."""
    entry = bars["open"].iloc[t + 1]
    held = bars.iloc[t + 1 : t + 1 + barriers.horizon]
    stop, target = entry * (1 - sign * barriers.stop_pct), entry * (1 + sign * barriers.target_pct)
    worst, best = (held["low"], held["high"]) if sign > 0 else (held["high"], held["low"])
    stopped, met = sign * worst <= sign * stop, sign * best >= sign * target
    either = np.flatnonzero(stopped | met)
    if either.size:
        bar = int(either[0])
        level, reason = (stop, "stop") if stopped.iloc[bar] else (target, "target")
        opening = held["open"].iloc[bar]
        beyond = sign * opening < sign * level if reason == "stop" else sign * opening > sign * level
        return t + 1 + bar, opening if beyond else level, reason
    after = t + 1 + barriers.horizon
    return (after, bars["open"].iloc[after], "timeout") if after < len(bars) else (-1, np.nan, "")


@some
@given(SEEDS, barriers, st.sampled_from([0.003, 0.01, 0.03]), st.sampled_from([0.0, 0.2]))
def test_the_first_of_a_tables_rows_is_where_a_trade_ends(seed, chosen, size, gaps):
    bars, signs = wild_bars(seed, 80, size=size, gaps=gaps), wishes(80, seed)
    labels = triple_barrier(bars, signs, barriers=chosen)
    for t in np.flatnonzero(signs[:-1]):
        bar, price, reason = end_by_tables(bars, int(t), int(signs[t]), chosen)
        found = labels.iloc[t]
        assert (found["exit_index"], found["exit_reason"], found["known_at"]) == (bar, reason, bar)
        np.testing.assert_array_equal(found["exit_price"], price)
        assert np.isnan(found["label"]) if bar < 0 else found["label"] == (reason == "target")


@few
@given(SEEDS, barriers, st.sampled_from([0.003, 0.03]))
def test_the_kernel_is_its_twin(seed, chosen, size):
    bars, signs = wild_bars(seed, 80, size=size, gaps=0.2), wishes(80, seed)
    prices, index = price_arrays(bars)
    plan = make_plan(index, signs, chosen.stop_pct, chosen.target_pct)
    for fast, slow in zip(
        kernels.exits(prices, plan, chosen.horizon), kernels.exits_py(prices, plan, chosen.horizon), strict=True
    ):
        np.testing.assert_array_equal(fast, slow)
    for t in np.flatnonzero(signs[:-1]):
        asked = prices, int(t) + 1, int(signs[t]), chosen.stop_pct, chosen.target_pct, chosen.horizon
        np.testing.assert_array_equal(kernels.first_exit(*asked), kernels.first_exit_py(*asked))


@every_cut
@given(SEEDS, barriers, st.booleans())
def test_no_label_that_is_known_depends_on_what_comes_after(seed, chosen, is_forward):
    label = forward_return if is_forward else triple_barrier
    bars, other, signs = wild_bars(seed, 50), wild_bars(seed + 1, 50), wishes(50, seed)
    whole = label(bars, signs, barriers=chosen)
    for now in range(1, len(bars)):
        rewritten = bars.copy()
        rewritten.iloc[now:] = other.iloc[now:].to_numpy()
        known = (whole["known_at"] >= 0) & (whole["known_at"] < now)
        pd.testing.assert_frame_equal(label(rewritten, signs, barriers=chosen)[known], whole[known])


@every_cut
@given(SEEDS, barriers, st.booleans())
def test_what_is_known_by_a_bar_is_what_the_bars_up_to_it_tell(seed, chosen, is_forward):
    label = forward_return if is_forward else triple_barrier
    bars, signs = wild_bars(seed, 50), wishes(50, seed)
    whole = label(bars, signs, barriers=chosen)
    for now in range(1, len(bars)):
        early = label(bars.iloc[:now], signs[:now], barriers=chosen)
        np.testing.assert_array_equal(early["known_at"] >= 0, (whole["known_at"][:now].between(0, now - 1)))
        np.testing.assert_array_equal(early["label"].notna(), early["known_at"] >= 0)


@few
@given(SEEDS, barriers)
def test_returns_are_what_two_fills_leave(seed, chosen):
    bars, signs = wild_bars(seed, 80), wishes(80, seed)
    costs = Costs(half_spread=0.0005, slippage=0.0007, fee=0.001)
    labels = triple_barrier(bars, signs, barriers=chosen, costs=costs)
    for t in np.flatnonzero(labels["label"].notna()):
        entry, leave = bars["open"].iloc[t + 1], labels["exit_price"].iloc[t]
        put_in = 1_000 / entry  # units of 1,000
        earned = signs[t] * put_in * (leave - entry) - 0.0022 * 1_000 - 0.0022 * put_in * leave
        np.testing.assert_allclose(labels["return"].iloc[t], earned / 1_000, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(labels["r"].iloc[t] * chosen.stop_pct, labels["return"].iloc[t], rtol=1e-12)
