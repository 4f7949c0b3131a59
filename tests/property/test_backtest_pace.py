"""What makes the fast backtest fast leaves out only what changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.kernels import backtest as kernel
from strategies.kernels import equity as curve
from strategies.research.costs import Costs
from strategies.research.lots import LotRules, SymbolTerms, kernel_terms
from tests.research_builders import price_bars, timeline_of, wishes

pytestmark = pytest.mark.slow

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)
many = settings(max_examples=400, deadline=None)


@st.composite
def grids(draw):
    """Draw a symbol's grid and band: steps and precisions that nest, some that do not, and none at all."""
    step = draw(st.sampled_from([0.001, 0.01, 0.1, 1.0, 0.03, 0.25]))
    return LotRules(
        volume_step=step,
        volume_min=step * draw(st.integers(1, 5)),
        lot_precision=draw(st.integers(0, 4)),
        max_position_pct=draw(st.sampled_from([0.0, 0.06, 0.15, 0.3, 0.55, 1.0, 2.0])),
        drift_band=draw(st.sampled_from([0.0, 0.05, 0.2, 1.0, 25.0, np.inf])),
        is_rounded=draw(st.booleans()),
    )


@many
@given(grids(), st.floats(-1.5, 1.5), st.floats(-1.5, 1.5), st.floats(0, 1e6), st.floats(0.8, 1.25), SEEDS)
def test_what_is_called_quiet_ends_where_it_began(lots, before, now, capital, moved, seed):
    """Hold a target, let price and wish move on, and ask both the filter and the long way."""
    terms = kernel_terms(SymbolTerms(lots=lots), weight=1.0, funding_rate=0.0)
    rng = np.random.default_rng(seed)
    for price in 10.0 ** rng.uniform(-2, 5, 5):
        held = kernel.target_atoms(before, capital, price, terms)
        quiet = kernel._quiet(held, terms)
        for wish in (before, now, round(now, 1), before + 1e-9, 0.0, *(before * rng.uniform(0.9, 1.1, 5))):
            target = kernel.target_atoms(wish, capital, price * moved, terms)
            if kernel._is_quiet(wish, capital, price * moved, terms, quiet):
                assert kernel.held_after(held, target, terms.band) == held


def slot_by_slot(positions, course, terms, capital):
    """Return equity and volumes of an account that works out every target, one slot after the other."""
    cash, fixed = capital
    held, tally, fill, equity, volumes = 0.0, np.zeros(kernel.TALLY), np.empty(kernel.FILL), [], []
    for t, position in enumerate(positions[course.decided]):
        mark, coins = course.marks[t], held * terms.atom * terms.contract
        if mark & kernel.CARRY:
            cash -= kernel._carry_py(coins, course.nights[t], course.funding[t], terms, tally)
        prices = [course.open_[t]] * bool(mark & kernel.SLOT) + [course.early[t]] * bool(mark & kernel.EARLY)
        for price in prices:
            coins = held * terms.atom * terms.contract
            base = max(min(fixed, cash + coins * price), 0.0)
            after = kernel.held_after_py(held, kernel.target_atoms_py(position, base, price, terms), terms.band)
            if after != held:
                cash -= kernel._fill_py(fill, (t, 0, 0), held, after, price, terms, tally)
                held = after
        equity.append(cash + held * terms.atom * terms.contract * course.close[t])
        volumes.append(held)
    return np.array(equity), np.array(volumes)


@few
@given(SEEDS, grids(), st.sampled_from([1, 7, 40, 90]), st.booleans(), st.booleans(), st.sampled_from([22, None]))
def test_looking_ahead_gives_the_account_of_every_single_slot_to_the_bit(
    seed, lots, stays, is_charged, compounds, early
):
    n = 500
    timeline = timeline_of(price_bars(n, seed=seed, price=400.0, gaps=0.02), early_hour=early)
    positions, course = wishes(len(timeline), seed=seed, stays=stays), timeline.course(0)
    costs = Costs(commission_rate=0.0003)
    if is_charged:
        costs = replace(costs, swap_long=-0.2, swap_short=-0.1, funding_rate=0.001)
    terms = kernel_terms(SymbolTerms(lots=lots, costs=costs), weight=1.0, funding_rate=costs.funding_rate)
    capital = (10_000.0, np.inf if compounds else 10_000.0)
    equity, fills = np.empty(len(timeline)), np.empty((timeline.most_fills, kernel.FILL))
    _, count = kernel.run(positions, course, terms, capital, equity, fills)
    expected, volumes = slot_by_slot(positions, course, terms, capital)
    np.testing.assert_array_equal(equity, expected)
    np.testing.assert_array_equal(fills[:count, kernel.AFTER][-1:], volumes[-1:][:count] * terms.atom)


@few
@given(SEEDS)
def test_a_run_without_room_for_its_fills_is_the_same_run(seed):
    timeline = timeline_of(price_bars(200, seed=seed))
    positions, course = wishes(200, seed=seed), timeline.course(0)
    terms = kernel_terms(SymbolTerms(), weight=1.0, funding_rate=0.0)
    runs = []
    for room in (timeline.most_fills, 1):
        equity, fills = np.empty(200), np.empty((room, kernel.FILL))
        tally, count = kernel.run(positions, course, terms, (1e6, 1e6), equity, fills)
        runs.append((equity.tobytes(), tally.tobytes(), count, fills[min(count, room) - 1].tobytes()))
    assert runs[0] == runs[1]


@few
@given(SEEDS, st.integers(1, 700), st.booleans())
def test_figures_of_an_equity_are_numpys(seed, n, is_ruined):
    rng = np.random.default_rng(seed)
    equity = 1e4 * np.exp(np.cumsum(0.01 * rng.standard_normal(n)))
    if is_ruined:
        equity[n // 2 :] = -5.0
    found, twin = (each(equity, 1e4, returns := np.empty(n)) for each in (curve.figures, curve.figures_py))
    np.testing.assert_allclose(found, twin, rtol=1e-12)
    before = np.concatenate([[1e4], equity[:-1]])
    expected = np.where(before > 0, (equity - before) / before, 0.0)
    np.testing.assert_array_equal(returns, expected)
    peaks = np.maximum.accumulate(np.maximum(equity, 1e4))
    assert found[curve.WORST] == min((equity / peaks).min(), 1.0)
    np.testing.assert_allclose(found[curve.MEAN], expected.mean(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(found[curve.SQUARES], ((expected - expected.mean()) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(found[curve.LEVELS], equity.sum(), rtol=1e-12)
    assert found[curve.LAST] == equity[-1]
