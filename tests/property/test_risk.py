"""The rules' promises whatever they are asked: no crash, no growth past a cap, no reduction that is none."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.planning.adjust import plan_adjustment
from execution.planning.orders import MarginMode, Side
from execution.planning.sizing import SizingRules, contract_value, size_target
from execution.safety.risk import Exposure, Limits, OrderRequest, ReadAges, evaluate
from tests.execution_builders import make_account, make_context, make_position, make_quote, make_request, make_spec

pytestmark = pytest.mark.slow

numbers = st.decimals(allow_nan=True, allow_infinity=True, places=None) | st.decimals(-10, 10, places=2)
lots = st.integers(0, 60).map(lambda steps: Decimal(steps) / 100)
modes = st.sampled_from(MarginMode)


def allowed(request: OrderRequest, context) -> bool:
    return all(verdict.ok for verdict in evaluate(request, context))


@st.composite
def exposures(draw, mode: MarginMode) -> Exposure:
    """Return what an account of this mode can hold: a netting account is on one side only."""
    long_lots, short_lots = draw(lots), draw(lots)
    if mode is MarginMode.NETTING:
        long_lots, short_lots = draw(st.sampled_from([(long_lots, Decimal(0)), (Decimal(0), short_lots)]))
    side = draw(st.sampled_from(Side))
    ticket_lots = draw(lots.filter(lambda volume: volume <= (long_lots if side is Side.BUY else short_lots)))
    return Exposure(
        long_lots=long_lots,
        short_lots=short_lots,
        pending_buy_lots=draw(lots),
        pending_sell_lots=draw(lots),
        ticket_lots=ticket_lots,
        ticket_side=side,
    )


@settings(max_examples=300, deadline=None)
@given(numbers, numbers, numbers, numbers, st.booleans(), st.floats())
def test_no_number_makes_the_rules_raise(volume, price, rate, capital, reduces, age_s):
    request = make_request(volume=volume, plan_price=price, reduces=reduces, worst_loss=capital)
    ages = ReadAges(tick_s=age_s, account_s=age_s, spec_s=age_s)
    context = make_context(rate=rate, capital_per_asset=capital, ages=ages)
    sendable = allowed(request, context)
    if not volume.is_finite() or volume <= 0:
        assert not sendable
    if not reduces and not (price.is_finite() and price > 0 and math.isfinite(age_s)):
        assert not sendable


@settings(max_examples=300, deadline=None)
@given(st.data(), modes, st.sampled_from(Side), lots, st.booleans())
def test_whatever_is_let_through_keeps_the_possible_position_within_the_cap(data, mode, side, volume, reduces):
    exposure = data.draw(exposures(mode))
    request = make_request(volume=volume, side=side, reduces=reduces, ticket=1 if reduces else None)
    context = make_context(exposure=exposure, account=make_account(margin_mode=mode))
    if not allowed(request, context):
        return
    if reduces:
        assert volume <= exposure.held(side.opposite)
        return
    cap_lots = context.capital_per_asset / request.plan_price
    worst = exposure.held(side) + exposure.pending(side) + volume
    assert worst <= cap_lots
    if mode is MarginMode.NETTING:
        assert exposure.held(side.opposite) == 0


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(Side), lots)
def test_a_netting_reduction_never_flips_however_the_unresolved_attempts_end(data, side, volume):
    exposure = data.draw(exposures(MarginMode.NETTING))
    request = make_request(volume=volume, side=side, reduces=True)
    context = make_context(exposure=exposure, account=make_account(margin_mode=MarginMode.NETTING))
    if allowed(request, context):
        assert volume + exposure.pending(side) <= exposure.held(side.opposite)


@settings(max_examples=300, deadline=None)
@given(st.floats(-1, 1), st.integers(20_000, 120_000), st.floats(-0.4, 0.4), modes)
def test_a_valid_target_is_never_vetoed(position_pct, price, held_fraction, mode):
    """What sizing and planning make of any position passes every rule, leg by leg, on a healthy account."""
    spec, capital = make_spec(), Decimal(30_000)
    sizing = size_target(
        position_pct,
        spec=spec,
        contract_value=contract_value(spec, Decimal(price)),
        capital_per_asset=capital,
        rules=SizingRules(),
    )
    held = Decimal(round(held_fraction * 30_000 / price, 2)).quantize(Decimal("0.01"))
    positions = (make_position(held),) if held else ()
    plan = plan_adjustment(target_lots=sizing.target_lots, positions=positions, spec=spec, margin_mode=mode)
    context = make_context(
        account=make_account(margin_mode=mode), quote=make_quote(price, price + 5), capital_per_asset=capital
    )
    for leg in plan.legs:
        request = OrderRequest(
            symbol=leg.symbol,
            side=leg.side,
            volume=leg.volume,
            plan_price=Decimal(price),
            reduces=leg.reduces,
            ticket=leg.ticket,
        )
        exposure = Exposure(
            long_lots=max(held, Decimal(0)),
            short_lots=max(-held, Decimal(0)),
            ticket_lots=abs(held),
            ticket_side=Side.of(held) if held else None,
        )
        verdicts = evaluate(request, replace(context, exposure=exposure))
        assert [verdict for verdict in verdicts if not verdict.ok] == []
        held += leg.signed_volume


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(["max_gross", "max_net", "max_position_pct"]), st.decimals(0, 2, places=3)))
def test_a_lower_limit_never_allows_more(values):
    looser, request = Limits.from_values(values), make_request("0.3")
    tighter = Limits.from_values({name: value / 2 for name, value in values.items()})
    if allowed(request, make_context(limits=tighter)):
        assert allowed(request, make_context(limits=looser))
