"""The fast backtest against the live sizing, planning and slots on any prices and grids, and what always holds."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.planning.adjust import plan_adjustment
from execution.planning.orders import MarginMode
from execution.planning.rounding import decimal_from_float
from execution.planning.sizing import SizingRules, contract_value, size_target
from strategies.kernels import backtest as kernel
from strategies.research.backtest import Capital, backtest
from strategies.research.costs import Costs
from strategies.research.ledgers import ledger_of
from strategies.research.lots import LotRules, SymbolTerms, kernel_terms
from strategies.research.pnl import AMOUNTS, DIMENSIONS, ModelName, decompose, largest_remainder
from strategies.research.timeline import build_timeline
from tests.execution_builders import make_position, make_spec
from tests.research_builders import LiveAccount, price_bars, timeline_of, wishes

pytestmark = pytest.mark.slow

SEEDS = st.integers(0, 2**32 - 1)
few = settings(max_examples=25, deadline=None)
many = settings(max_examples=250, deadline=None)

money = st.decimals("0.01", 1_000_000, places=2)
# Round numbers make exact halves and whole lots, where floats alone round the wrong way.
round_money = st.sampled_from(["10000", "5000", "2500", "40000", "0.5", "125", "80000", "1"]).map(Decimal)


@st.composite
def grids(draw):
    """Draw a symbol's grid: volume steps and precisions that nest, and some that do not."""
    step = draw(st.sampled_from([0.001, 0.01, 0.1, 1.0, 0.03, 0.25]))
    return LotRules(
        contract_size=draw(st.sampled_from([1.0, 0.1, 100.0])),
        volume_step=step,
        volume_min=float(draw(st.integers(1, 5)) * Decimal(str(step))),
        lot_precision=draw(st.integers(0, 4)),
        max_position_pct=draw(st.integers(0, 10)) / 10,
        drift_band=draw(st.sampled_from([0.0, 0.05, 1.0])),
    )


def spec_of(lots: LotRules):
    names = ("contract_size", "volume_step", "volume_min")
    return make_spec(volume_max="1e12", **{name: str(getattr(lots, name)) for name in names})


@many
@given(grids(), st.floats(-1.5, 1.5), money | round_money, money | round_money, st.booleans())
def test_a_target_is_the_live_sizings(lots, position, price, capital, on_a_tenth):
    position = round(position, 1) if on_a_tenth else position
    limit = lots.max_position_pct
    spec = spec_of(lots)
    live = size_target(
        max(-limit, min(limit, position)),
        spec=spec,
        contract_value=contract_value(spec, price),
        capital_per_asset=capital,
        rules=SizingRules(max_position_pct=decimal_from_float(limit), lot_precision=lots.lot_precision),
    )
    terms = kernel_terms(SymbolTerms(lots=lots), weight=1.0, funding_rate=0.0)
    for target_atoms in (kernel.target_atoms, kernel.target_atoms_py):
        atoms = target_atoms(position, float(capital), float(price), terms)
        assert atoms == int(atoms)
        assert decimal_from_float(atoms * terms.atom).quantize(Decimal("1e-8")) == live.target_lots


@many
@given(grids(), st.integers(-400, 400), st.integers(-400, 400))
def test_what_is_held_after_a_slot_is_what_the_live_plan_leads_to(lots, held, target):
    spec = spec_of(lots)
    least = spec.smallest_order / spec.volume_step
    held, target = (Decimal(0) if abs(n) < least else n * spec.volume_step for n in (held, target))
    plan = plan_adjustment(
        target_lots=target,
        positions=[make_position(held, symbol="BTCUSD")] if held else [],
        spec=spec,
        margin_mode=MarginMode.NETTING,
        band=decimal_from_float(lots.drift_band),
    )
    terms = kernel_terms(SymbolTerms(lots=lots), weight=1.0, funding_rate=0.0)
    before, wanted = (round(float(volume) / terms.atom) for volume in (held, target))
    after = kernel.held_after(float(before), float(wanted), terms.band)
    assert round(after - before) == round(float(sum(leg.signed_volume for leg in plan.legs)) / terms.atom)


@few
@given(SEEDS, grids(), st.sampled_from([0.0, 0.05]), st.booleans())
def test_an_account_is_the_one_that_steps_through_live_slots_sizing_and_planning(seed, lots, gaps, compounds):
    bars = price_bars(80, seed=seed, price=900.0, gaps=gaps)
    positions = pd.Series(wishes(len(bars), seed=seed), index=bars.index)
    # With gaps at the early hour the backtest takes it for a break, which live skips for now: another test has that.
    bars, positions = (frame[~_after_a_break(bars.index)] for frame in (bars, positions))
    lots = replace(lots, contract_size=1.0)
    live = LiveAccount(bars, positions, lots, fixed=None if compounds else Decimal(10_000))
    expected = [float(equity) for equity in live.run()]
    capital = Capital(fixed=None if compounds else 10_000.0)
    result = backtest(timeline_of(bars), positions, terms=SymbolTerms(lots=lots), capital=capital)
    np.testing.assert_allclose(result.equity, expected, rtol=1e-9)
    np.testing.assert_allclose(result.fills.after, [float(after) for _, after, _ in live.fills], atol=1e-9)


def _after_a_break(index: pd.DatetimeIndex) -> np.ndarray:
    """Return the bars at 23:00 that follow 21:00."""
    return (index.hour == 23) & (np.diff(index.asi8, prepend=index.asi8[0]) == 2 * np.diff(index[:2].asi8)[0])


@st.composite
def accounts(draw):
    """Draw a backtest of one to three symbols with every cost."""
    names = ["BTCUSD", "ETHUSD", "BNBUSD"][: draw(st.integers(1, 3))]
    seed = draw(SEEDS)
    bars = {name: price_bars(150, seed=seed + i, price=700.0, gaps=0.03) for i, name in enumerate(names)}
    timeline = build_timeline(bars)
    costs = Costs(
        spread_fraction=draw(st.floats(0, 0.01)),
        spread_points=3.0,
        point=0.01,
        slippage=draw(st.floats(0, 0.01)),
        commission_rate=draw(st.floats(0, 0.01)),
        swap_long=draw(st.floats(-1, 1)),
        swap_short=draw(st.floats(-1, 1)),
        funding_rate=draw(st.floats(-0.001, 0.001)),
    )
    lots = draw(st.sampled_from([LotRules(), LotRules(is_rounded=False), LotRules(volume_step=0.1, volume_min=0.3)]))
    capital = draw(st.sampled_from([Capital(), Capital(fixed=None), Capital(start=1e5)]))
    models = {
        name: {
            ModelName("trend", "a"): wishes(len(timeline), seed=seed),
            ModelName("trend", "b"): wishes(len(timeline)),
        }
        | {ModelName("rev", "c"): 0.3 * wishes(len(timeline), seed=seed + 7, stays=2)}
        for name in names
    }
    positions = {name: np.sum(list(own.values()), axis=0) for name, own in models.items()}
    terms = SymbolTerms(lots=lots, costs=costs)
    return backtest(timeline, positions, terms=terms, capital=capital), models


@few
@given(accounts())
def test_start_and_gross_less_each_cost_is_the_end(account):
    result, _ = account
    costs = result.costs
    end = result.capital.start + result.gross
    for cost in (costs.spread, costs.slippage, costs.commission, costs.swap, costs.funding):
        end -= cost
    assert abs(end - result.end) < 1e-9 * result.capital.start
    assert min(costs.spread, costs.slippage, costs.commission) >= 0


@few
@given(accounts())
def test_a_ledger_adds_up_to_the_account(account):
    result, models = account
    ledger = ledger_of(result, models)
    expected = {"gross": result.gross} | result.costs.as_data()
    for name in AMOUNTS:
        assert abs(ledger.amounts[name].sum() - expected[name]) < 1e-8 * result.capital.start, name


@few
@given(accounts())
def test_every_grouping_adds_up_to_the_same_cents(account):
    result, models = account
    ledger = ledger_of(result, models)
    parts = {by: decompose(ledger, by) for by in DIMENSIONS}
    for part in parts.values():
        assert part.total == parts["symbol"].total
        for name in (*AMOUNTS, "costs", "net"):
            assert sum((getattr(row, name) for row in part.rows), Decimal(0)) == getattr(part.total, name)
    assert abs(float(parts["symbol"].total.net) - result.net) < 0.04  # each of six amounts rounded to cents


@many
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
def test_largest_remainders_add_up_and_move_no_amount_by_a_cent(amounts):
    exact = np.array(amounts)
    total = round(float(exact.sum()) * 100)
    rounded = largest_remainder(exact, total)
    assert rounded.sum() == total
    assert (abs(rounded - exact * 100) < 1 + 1e-6).all()


@few
@given(SEEDS, grids(), st.booleans())
def test_kernels_are_their_python_twins(seed, lots, is_rounded):
    n = 60
    timeline = timeline_of(price_bars(n, seed=seed, price=400.0))
    costs = Costs(spread_fraction=0.001, slippage=0.0001, commission_rate=0.0003, swap_long=-0.2, funding_rate=0.001)
    terms = kernel_terms(
        SymbolTerms(lots=replace(lots, is_rounded=is_rounded), costs=costs), weight=1.0, funding_rate=0.001
    )
    positions, course = np.stack([wishes(n, seed=seed + i) for i in range(3)]), timeline.course(0)
    runs = []
    for run in (kernel.run, kernel.run_py):
        equity, fills = np.empty(n), np.zeros((timeline.most_fills, kernel.FILL))
        tally, count = run(positions[0], course, terms, (10_000.0, np.inf), equity, fills)
        runs.append((equity, fills, tally, count))
    table = np.array([terms])
    for run in (kernel.run_portfolio, kernel.run_portfolio_py):
        equity, fills = np.empty(n), np.zeros((timeline.most_fills, kernel.FILL))
        tally, count = run(positions[:1], timeline.arrays, table, (10_000.0, np.inf), equity, fills)
        runs.append((equity, fills, tally, count))
    for equity, fills, tally, count in runs[1:]:
        np.testing.assert_allclose(equity, runs[0][0], rtol=1e-12)
        np.testing.assert_allclose(fills, runs[0][1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(tally, runs[0][2], rtol=1e-9, atol=1e-9)
        assert count == runs[0][3]
