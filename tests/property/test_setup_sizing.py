"""Whatever is asked: the stop never loses more than the cap, and the backtest sizes as the live bot does."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlfilter.backtest import BacktestSettings, kernels
from mlfilter.setups import Costs, decimal_of
from mlfilter.sizing import HARD_CEILING, Grid, RiskRules, loss_at_stop, size_trade

many = settings(max_examples=150, deadline=None)

money = st.decimals("0.01", 10_000_000, places=2)
prices = st.decimals("0.0001", 200_000, places=4)
stops = st.decimals("0.0011", "0.1999", places=5)
costs = st.builds(Costs, half_spread=st.floats(0, 0.05), slippage=st.floats(0, 0.05), fee=st.floats(0, 0.05))
rules = st.builds(
    RiskRules,
    risk_per_trade=st.floats(0.0001, 0.02),
    max_risk_per_trade=st.floats(0.0001, 0.02),
    leverage=st.floats(1, 20),
)
steps = st.sampled_from(["0.00001", "0.001", "0.03", "1", "7"]).map(Decimal)


@many
@given(money, prices, stops, st.sampled_from([1, -1]), steps, rules, costs)
def test_the_loss_at_the_stop_never_exceeds_the_cap(capital, entry, away, sign, step, chosen, cost):
    stop = entry - sign * entry * away
    sized = size_trade(capital, entry=entry, stop=stop, grid=Grid(step=step), rules=chosen, costs=cost)
    # Written out: what the move takes, and each cost on each fill.
    rates = [decimal_of(rate) for rate in (cost.half_spread, cost.slippage, cost.fee)]
    paid = sum((sized.quantity * price * rate for rate in rates for price in (entry, stop)), Decimal(0))
    lost = sized.quantity * abs(entry - stop) + paid
    assert lost <= capital * decimal_of(chosen.max_risk_per_trade) <= capital * decimal_of(HARD_CEILING)
    assert sized.loss_at_stop == pytest.approx(lost)
    assert 0 <= sized.quantity <= sized.wanted
    assert sized.quantity % step == 0


@many
@given(money, prices, stops, st.sampled_from([1, -1]), steps, rules, costs)
def test_no_more_than_a_step_is_given_away(capital, entry, away, sign, step, chosen, cost):
    stop = entry - sign * entry * away
    sized = size_trade(capital, entry=entry, stop=stop, grid=Grid(step=step), rules=chosen, costs=cost)
    more = sized.quantity + step
    loss = loss_at_stop(more, entry=entry, stop=stop, costs=cost)
    too_dear = more * entry > capital * decimal_of(chosen.leverage) * (1 - Decimal("1e-20"))
    slack = 1 - Decimal("1e-20")  # quotients are rounded at the 28th digit
    assert more >= sized.wanted * slack or loss >= sized.largest_loss * slack or too_dear


@many
@given(money, prices, stops, st.sampled_from([1, -1]), rules, costs)
def test_the_backtest_sizes_as_the_live_bot(capital, entry, away, sign, chosen, cost):
    stop = entry - sign * entry * away
    live = size_trade(capital, entry=entry, stop=stop, grid=Grid(step=Decimal("1e-18")), rules=chosen, costs=cost)
    terms = BacktestSettings(rules=chosen, costs=cost).terms()
    fast = kernels.quantity(float(capital), float(entry), sign, float(away), terms)
    assert fast == pytest.approx(float(live.quantity), rel=1e-9)
    assert fast == kernels.quantity_py(float(capital), float(entry), sign, float(away), terms)
