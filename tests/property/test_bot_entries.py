"""Whatever the prices, the equity and the settings: what an entry loses at its stop is bounded, and it is protected."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import assume, given
from hypothesis import strategies as st

from execution.errors import RiskRefusedError
from execution.planning.entries import EntryWish, plan_entry
from execution.planning.orders import Side
from execution.planning.rounding import is_on_step
from mlfilter.setups import Costs
from mlfilter.sizing import RiskRules
from tests.execution_builders import make_quote, make_spec

prices = st.decimals("1", "100000", places=2)
distances = st.decimals("0.005", "0.15", places=4)


@given(
    bid=prices,
    spread=st.decimals("0", "0.05", places=2),
    side=st.sampled_from(list(Side)),
    stop=distances,
    target=distances,
    equity=st.decimals("1000", "10000000", places=2),
    leverage=st.floats(1, 20),
    most=st.floats(0.0002, 0.02),
    fee=st.floats(0, 0.005),
    rate=st.decimals("0.01", "100", places=4),
)
def test_an_entry_loses_no_more_than_it_may_and_has_both_levels(
    bid, spread, side, stop, target, equity, leverage, most, fee, rate
):
    quote, spec = make_quote(bid, bid + spread), make_spec(volume_step="0.001", volume_min="0.001")
    rules = RiskRules(risk_per_trade=min(0.005, most), max_risk_per_trade=most, leverage=leverage)
    wish = EntryWish(side=side, stop_distance=stop, target_distance=target)
    costs = Costs(half_spread=0.0, slippage=0.0, fee=fee)
    try:
        plan = plan_entry(wish, equity=equity, spec=spec, quote=quote, rate=rate, rules=rules, costs=costs)
    except RiskRefusedError:
        assume(False)
    price = quote.ask if side is Side.BUY else quote.bid
    distance = (price - plan.stop) * side.sign
    paid = Decimal(str(fee)) * (price + plan.stop)
    lost = plan.lots * spec.contract_size * rate * (distance + paid)
    assert 0 < lost <= equity * Decimal(str(most))
    assert lost == plan.risk
    assert (plan.target - price) * side.sign > 0
    assert is_on_step(plan.lots, spec.volume_step)
    assert spec.volume_min <= plan.lots <= spec.volume_max
    worth = plan.lots * spec.contract_size * rate * price
    # Rounding moves the stop nearer by less than a cent, and so the size of the formula only up by what that is worth.
    formula = equity * Decimal(str(rules.risk_per_trade)) / (distance / price) * Decimal(str(leverage))
    assert worth <= formula
