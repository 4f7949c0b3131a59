"""The planner's promises on any account, target and specification, judged by playing its legs on a small venue."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.planning.adjust import Plan, plan_adjustment, plan_open_after_close
from execution.planning.orders import MarginMode, Position, Scene, SymbolSpec
from tests.execution_builders import make_position, make_spec

pytestmark = pytest.mark.slow

STEPS = ("0.01", "0.1", "1", "0.001", "0.03")


@dataclass(frozen=True)
class Case:
    spec: SymbolSpec
    mode: MarginMode
    positions: tuple[Position, ...]
    target: Decimal

    def plan(self, positions: tuple[Position, ...] | None = None) -> Plan:
        held = self.positions if positions is None else positions
        return plan_adjustment(target_lots=self.target, positions=held, spec=self.spec, margin_mode=self.mode)


@st.composite
def cases(draw, *, most_steps_of_smallest: int = 1) -> Case:
    step = Decimal(draw(st.sampled_from(STEPS)))
    least = draw(st.integers(1, most_steps_of_smallest))
    most = draw(st.integers(2 * least, 60))
    spec = make_spec(volume_step=step, volume_min=least * step, volume_max=most * step)
    mode = draw(st.sampled_from(MarginMode))
    n_positions = draw(st.integers(0, 1 if mode is MarginMode.NETTING else 5))
    lots = st.builds(lambda steps, sign: steps * sign * step, st.integers(least, 80), st.sampled_from((1, -1)))
    positions = tuple(
        make_position(draw(lots), ticket=ticket + 1, age_h=draw(st.integers(0, 9))) for ticket in range(n_positions)
    )
    return Case(spec, mode, positions, draw(st.one_of(st.just(Decimal(0)), lots)))


def play(case: Case, plan: Plan) -> tuple[Position, ...]:
    """Fill the legs as a venue would, and fail where one does what its kind must not."""
    held = {position.ticket: position for position in case.positions}
    for leg in plan.legs:
        if leg.ticket is not None:
            position = held[leg.ticket]
            assert leg.side is position.side.opposite, "a close is on the other side"
            assert leg.volume <= position.volume, "a close never exceeds the position"
            left = position.volume - leg.volume
            held.pop(leg.ticket)
            if left:
                held[leg.ticket] = replace(position, volume=left)
        else:
            against = [position for position in held.values() if position.side is not leg.side]
            assert not against, "nothing is opened against a position of ours"
            _open(case, held, leg.signed_volume)
    return tuple(held.values())


def _open(case: Case, held: dict[int, Position], signed: Decimal) -> None:
    if case.mode is MarginMode.NETTING and held:
        (position,) = held.values()
        held[position.ticket] = replace(position, volume=position.volume + abs(signed))
    else:
        ticket = max(held, default=100) + 1
        held[ticket] = make_position(signed, ticket=ticket)


def net(positions) -> Decimal:
    return sum((position.signed_volume for position in positions), Decimal(0))


any_case = cases()
any_smallest = cases(most_steps_of_smallest=12)


@settings(max_examples=300, deadline=None)
@given(any_case)
def test_the_legs_lead_to_the_target(case):
    plan = case.plan()
    moved = sum((leg.signed_volume for leg in plan.legs), Decimal(0))
    assert abs(moved - plan.delta_lots) < case.spec.volume_step
    assert net(play(case, plan)) == case.target


@settings(max_examples=300, deadline=None)
@given(any_smallest)
def test_every_volume_can_be_sent(case):
    for leg in case.plan().legs:
        assert leg.volume % case.spec.volume_step == 0
        assert 0 < leg.volume <= case.spec.volume_max
        assert leg.volume >= case.spec.volume_min


@settings(max_examples=300, deadline=None)
@given(any_smallest)
def test_planning_again_from_the_result_holds(case):
    after = play(case, case.plan())
    assert case.plan(after).scene is Scene.HOLD
    missed = abs(net(after) - case.target)
    assert missed < case.spec.volume_min, "what is missing is too small to be sent"


@settings(max_examples=300, deadline=None)
@given(any_smallest)
def test_no_leg_flips_a_position_and_closes_come_first(case):
    plan = case.plan()
    reduces = [leg.reduces for leg in plan.legs]
    assert reduces == sorted(reduces, reverse=True)
    assert all((leg.ticket is not None) == leg.reduces for leg in plan.legs)
    gross = sum(position.volume for position in case.positions)
    left = play(case, replace(plan, legs=plan.closing_legs, scene=plan.scene if plan.closing_legs else Scene.HOLD))
    assert sum(position.volume for position in left) <= gross
    if case.mode is MarginMode.NETTING and case.positions:
        assert net(left) * net(case.positions) >= 0


@settings(max_examples=200, deadline=None)
@given(any_smallest, st.data())
def test_a_reverse_whose_close_was_filled_in_part_opens_nothing_against_the_rest(case, data):
    """Stop after any number of closing legs, and plan the opening leg from there."""
    plan = case.plan()
    n_filled = data.draw(st.integers(0, len(plan.closing_legs)))
    filled = plan.closing_legs[:n_filled]
    left = play(case, replace(plan, legs=filled, scene=plan.scene if filled else Scene.HOLD))
    after = plan_open_after_close(target_lots=case.target, positions=left, spec=case.spec, margin_mode=case.mode)
    assert not after.closing_legs
    if n_filled < len(plan.closing_legs):
        assert after.scene is Scene.HOLD
    play(replace(case, positions=left), after)


@settings(max_examples=200, deadline=None)
@given(any_smallest, st.sampled_from(("0.0001", "0.0005")))
def test_dust_off_the_grid_never_makes_an_order_that_flips_or_cannot_be_sent(case, dust):
    """A venue that has changed its step leaves volumes that no order can close."""
    dusty = tuple(replace(position, volume=position.volume + Decimal(dust)) for position in case.positions)
    plan = case.plan(dusty)
    after = play(replace(case, positions=dusty), plan)
    assert all(leg.volume % case.spec.volume_step == 0 for leg in plan.legs)
    assert case.plan(after).scene is Scene.HOLD
