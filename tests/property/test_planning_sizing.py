"""Sizing's promises for any price, capital, position and grid."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from execution.planning.rounding import round_down_to_step, split_by_max
from execution.planning.sizing import SizingRules, contract_value, size_target
from tests.execution_builders import make_spec

steps = st.sampled_from(["0.001", "0.01", "0.1", "1", "0.03"]).map(Decimal)
positions = st.floats(-1, 1, allow_nan=False)
money = st.decimals(1, 1_000_000, places=2)


@st.composite
def sizings(draw, step=steps):
    grid = draw(step)
    rules = SizingRules(max_position_pct=Decimal(draw(st.integers(0, 10))) / 10, lot_precision=draw(st.integers(0, 3)))
    spec = make_spec(volume_step=grid, volume_min=draw(st.integers(1, 5)) * grid)
    limit = float(rules.max_position_pct)
    value, capital = contract_value(spec, draw(money)), draw(money)
    position = max(-limit, min(limit, draw(positions)))
    sizing = size_target(position, spec=spec, contract_value=value, capital_per_asset=capital, rules=rules)
    return sizing, spec, rules


@settings(max_examples=400, deadline=None)
@given(sizings())
def test_the_target_is_on_the_grid_in_the_right_direction_and_within_the_largest_position(made):
    sizing, spec, rules = made
    target = sizing.target_lots
    assert target % spec.volume_step == 0
    assert target == 0 or spec.volume_min <= abs(target)
    assert target * Decimal(sizing.position_pct) >= 0
    assert abs(target) * sizing.contract_value <= rules.max_position_pct * sizing.capital_per_asset


@settings(max_examples=400, deadline=None)
@given(sizings(step=st.sampled_from(["0.01", "0.1", "1"]).map(Decimal)))
def test_the_cap_takes_exactly_one_step(made):
    sizing, spec, rules = made
    grid = max(spec.volume_step, Decimal(1).scaleb(-rules.lot_precision))
    if sizing.capped and sizing.target_lots != 0:
        assert abs(sizing.lots_by_step) - abs(sizing.target_lots) == grid


@settings(max_examples=300, deadline=None)
@given(sizings())
def test_the_target_is_within_a_step_and_the_precisions_rounding_of_the_formula(made):
    sizing, spec, rules = made
    slack = spec.volume_step + Decimal(1).scaleb(-rules.lot_precision)
    if sizing.target_lots != 0:
        assert abs(sizing.target_lots - sizing.raw_lots) <= slack


@settings(max_examples=300, deadline=None)
@given(st.decimals(-1000, 1000, places=4), steps)
def test_rounding_down_never_grows_and_loses_less_than_a_step(volume, step):
    rounded = round_down_to_step(volume, step)
    assert rounded % step == 0
    assert abs(rounded) <= abs(volume) < abs(rounded) + step
    assert rounded * volume >= 0


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 5000), st.integers(1, 700), st.integers(1, 20), steps)
def test_a_split_adds_up_and_every_piece_can_be_sent(n_steps, most, least, step):
    volume, volume_max = n_steps * step, max(most, 2 * least) * step
    pieces = split_by_max(volume, volume_max, step, volume_min=least * step)
    assert sum(pieces) == volume
    assert all(piece % step == 0 and 0 < piece <= volume_max for piece in pieces)
    if n_steps >= least:
        assert min(pieces) >= least * step
